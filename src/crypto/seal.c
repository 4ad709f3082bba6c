/* Sealing at rest: XChaCha20-Poly1305, nonce || ciphertext || tag. The nonce is random: 192 bits need no counter. */
#include <sodium.h>

#include "crypto/internal.h"

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEY crypto_aead_xchacha20poly1305_ietf_KEYBYTES

struct dep_res dep_seal(struct dep_secret key, struct dep_str context, struct dep_secret plain, struct dep_arena *arena,
                        struct dep_str *ret_sealed)
{
    if (key.len != KEY)
        return DEP_FAIL(CRYPTO_SEAL);
    if (plain.len > SIZE_MAX - NONCE - TAG)
        return DEP_FAIL(ARENA_FULL);

    unsigned char *out = dep_arena_alloc(arena, NONCE + plain.len + TAG);

    if (out == NULL)
        return DEP_FAIL(ARENA_FULL);
    dep_random(out, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, NULL, plain.bytes, plain.len,
                                                     (const unsigned char *)context.ptr, context.len, NULL, out,
                                                     key.bytes);
    *ret_sealed = dep_str((const char *)out, NONCE + plain.len + TAG);
    return DEP_OK;
}

struct dep_res dep_unseal(struct dep_secret key, struct dep_str context, struct dep_str sealed, struct dep_arena *arena,
                          struct dep_secret *ret_plain)
{
    const unsigned char *in = (const unsigned char *)sealed.ptr;

    if (key.len != KEY || sealed.len < NONCE + TAG)
        return DEP_FAIL(CRYPTO_SEAL);

    size_t len = sealed.len - NONCE - TAG;
    unsigned char *out = dep_arena_alloc(arena, len);

    if (out == NULL)
        return DEP_FAIL(ARENA_FULL);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, in + NONCE, sealed.len - NONCE,
                                                   (const unsigned char *)context.ptr, context.len, in, key.bytes) != 0)
        return DEP_FAIL(CRYPTO_SEAL);
    *ret_plain = dep_secret(out, len);
    return DEP_OK;
}

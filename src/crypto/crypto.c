/* The thread's crypto handle, SHA-256, HMAC (RFC 2104) and randomness.
 *
 * Invariants:
 *  (1) One handle belongs to one thread; `hash` is between uses in any state and is initialised before each.
 *  (2) No call leaves anything on OpenSSL's error queue. */
#include "crypto/crypto.h"

#include <errno.h>
#include <openssl/err.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "crypto/internal.h"

#define HMAC_BLOCK 64u

struct dep_crypto *dep_crypto_new(void)
{
    struct dep_crypto *crypto = calloc(1, sizeof(*crypto));

    if (crypto == NULL)
        return NULL;
    if (sodium_init() >= 0) {
        crypto->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
        crypto->hash = EVP_MD_CTX_new();
        crypto->keys = dep_key_cache_new();
        crypto->hot = dep_hot_keys_new(DEP_HOT_LIMITS);
    }
    if (crypto->sha256 == NULL || crypto->hash == NULL || crypto->keys == NULL || crypto->hot == NULL ||
        EVP_DigestInit_ex2(crypto->hash, crypto->sha256, NULL) != 1) {
        dep_crypto_forget_errors();
        dep_crypto_free(crypto);
        return NULL;
    }
    return crypto;
}

void dep_crypto_free(struct dep_crypto *crypto)
{
    if (crypto == NULL)
        return;
    for (size_t i = 0; i < DEP_CRYPTO_SIGN_SLOTS; i++)
        EVP_PKEY_CTX_free(crypto->sign_slots[i].context);
    for (size_t i = 0; i < DEP_CRYPTO_VERIFY_SLOTS; i++)
        EVP_PKEY_CTX_free(crypto->verify_slots[i].context);
    dep_key_cache_free(crypto->keys);
    dep_hot_keys_free(crypto->hot);
    EVP_MD_CTX_free(crypto->hash);
    EVP_MD_free(crypto->sha256);
    free(crypto);
}

void dep_crypto_forget_errors(void)
{
    ERR_clear_error();
}

static void hash_begin(struct dep_crypto *crypto)
{
    DEP_ASSERT(EVP_DigestInit_ex2(crypto->hash, crypto->sha256, NULL) == 1);
}

static void hash_add(struct dep_crypto *crypto, const void *bytes, size_t len)
{
    if (len > 0)
        DEP_ASSERT(EVP_DigestUpdate(crypto->hash, bytes, len) == 1);
}

static void hash_end(struct dep_crypto *crypto, unsigned char *ret_digest)
{
    unsigned len = 0;

    DEP_ASSERT(EVP_DigestFinal_ex(crypto->hash, ret_digest, &len) == 1 && len == DEP_SHA256_LEN);
}

void dep_sha256_parts(struct dep_crypto *crypto, const struct dep_str *parts, size_t count,
                      unsigned char ret_digest[DEP_SHA256_LEN])
{
    hash_begin(crypto);
    for (size_t i = 0; i < count; i++)
        hash_add(crypto, parts[i].ptr, parts[i].len);
    hash_end(crypto, ret_digest);
}

void dep_sha256(struct dep_crypto *crypto, struct dep_str data, unsigned char ret_digest[DEP_SHA256_LEN])
{
    dep_sha256_parts(crypto, &data, 1, ret_digest);
}

void dep_hmac_sha256(struct dep_crypto *crypto, struct dep_secret key, struct dep_str data,
                     unsigned char ret_mac[DEP_SHA256_LEN])
{
    unsigned char pad[HMAC_BLOCK] = { 0 };
    unsigned char inner[DEP_SHA256_LEN];

    if (key.len > HMAC_BLOCK) {
        hash_begin(crypto);
        hash_add(crypto, key.bytes, key.len);
        hash_end(crypto, pad);
    } else if (key.len > 0) {
        memcpy(pad, key.bytes, key.len);
    }
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        pad[i] ^= 0x36;
    hash_begin(crypto);
    hash_add(crypto, pad, HMAC_BLOCK);
    hash_add(crypto, data.ptr, data.len);
    hash_end(crypto, inner);
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5C;
    hash_begin(crypto);
    hash_add(crypto, pad, HMAC_BLOCK);
    hash_add(crypto, inner, sizeof(inner));
    hash_end(crypto, ret_mac);
    dep_wipe(pad, sizeof(pad));
    dep_wipe(inner, sizeof(inner));
}

void dep_random(void *ret_bytes, size_t len)
{
    unsigned char *at = ret_bytes;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        DEP_ASSERT(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

uint64_t dep_crypto_serial(void)
{
    uint64_t serial;

    dep_random(&serial, sizeof(serial));
    return serial;
}

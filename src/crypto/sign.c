/* Signing and verifying the four algorithms (RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1).
 *
 * OpenSSL is given prehashed digests through contexts that are prepared once for each key and kept in the thread's
 * handle: preparing costs 15 % of an ES256 signature. A P-256 key that verifies often gets a table of its own instead
 * (hot_keys.c).
 *
 * Invariants:
 *  (1) A slot fits only the key with the same address, serial number and algorithm; the serial number is random, so
 *      a freed key's address may be used again.
 *  (2) A slot's context keeps its EVP_PKEY alive until another key takes the slot or the handle goes. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <string.h>

#include "crypto/internal.h"

#define P256_DER_MAX 72u
#define PSS_SALT_LEN 32

typedef int prepare(EVP_PKEY_CTX *context);

static EVP_PKEY_CTX *context_new(const struct dep_crypto *crypto, enum dep_alg alg, EVP_PKEY *pkey, prepare *init)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    int padding = alg == DEP_ALG_PS256 ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
    bool is_good = context != NULL && init(context) == 1;

    if (alg != DEP_ALG_ES256)
        is_good = is_good && EVP_PKEY_CTX_set_rsa_padding(context, padding) == 1 &&
                  EVP_PKEY_CTX_set_signature_md(context, crypto->sha256) == 1;
    if (alg == DEP_ALG_PS256)
        /* The salt is exactly as long as the hash, and MGF1 uses the same hash: rfc7518#3.5. */
        is_good = is_good && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, PSS_SALT_LEN) == 1 &&
                  EVP_PKEY_CTX_set_rsa_mgf1_md(context, crypto->sha256) == 1;
    if (!is_good) {
        EVP_PKEY_CTX_free(context);
        dep_crypto_forget_errors();
        return NULL;
    }
    return context;
}

static bool slot_fits(const struct dep_crypto_slot *slot, const struct dep_crypto_slot *wanted)
{
    return slot->context != NULL && slot->key == wanted->key && slot->serial == wanted->serial &&
           slot->alg == wanted->alg;
}

/* Where a private key's context is, or may be put: there are few keys, and none may push out another by chance. */
static struct dep_crypto_slot *sign_slot(struct dep_crypto *crypto, const struct dep_crypto_slot *wanted)
{
    for (size_t i = 0; i < DEP_CRYPTO_SIGN_SLOTS; i++)
        if (slot_fits(&crypto->sign_slots[i], wanted))
            return &crypto->sign_slots[i];
    return &crypto->sign_slots[crypto->sign_turn++ % DEP_CRYPTO_SIGN_SLOTS];
}

/* The slot's context if it is this key's, else a new one in its place. */
static EVP_PKEY_CTX *slot_context(const struct dep_crypto *crypto, struct dep_crypto_slot *slot,
                                  const struct dep_crypto_slot *wanted, EVP_PKEY *pkey, prepare *init)
{
    if (slot_fits(slot, wanted))
        return slot->context;
    EVP_PKEY_CTX_free(slot->context);
    *slot = *wanted;
    slot->context = context_new(crypto, wanted->alg, pkey, init);
    return slot->context;
}

/* One INTEGER of DER from 32 big-endian bytes: minimal, never negative. */
static size_t der_put_integer(unsigned char *out, const unsigned char *number)
{
    size_t skip = 0;

    while (skip < DEP_P256_COORDINATE_LEN - 1 && number[skip] == 0)
        skip++;

    size_t len = DEP_P256_COORDINATE_LEN - skip;
    size_t zero = number[skip] >= 0x80;

    out[0] = 2;
    out[1] = (unsigned char)(len + zero);
    out[2] = 0;
    memcpy(out + 2 + zero, number + skip, len);
    return 2 + zero + len;
}

static size_t der_of_raw(const unsigned char *raw, unsigned char *der)
{
    size_t len = 2;

    len += der_put_integer(der + len, raw);
    len += der_put_integer(der + len, raw + DEP_P256_COORDINATE_LEN);
    der[0] = 0x30;
    der[1] = (unsigned char)(len - 2);
    return len;
}

/* Reads one INTEGER of at most 256 bits at `*at` into 32 bytes. */
static bool der_take_integer(const unsigned char *der, size_t der_len, size_t *at, unsigned char *number)
{
    if (der_len - *at < 2 || der[*at] != 2)
        return false;

    size_t len = der[*at + 1];

    *at += 2;
    if (len == 0 || len > der_len - *at)
        return false;
    if (len == DEP_P256_COORDINATE_LEN + 1 && der[*at] == 0) {
        len--;
        (*at)++;
    }
    if (len > DEP_P256_COORDINATE_LEN)
        return false;
    memset(number, 0, DEP_P256_COORDINATE_LEN - len);
    memcpy(number + DEP_P256_COORDINATE_LEN - len, der + *at, len);
    *at += len;
    return true;
}

static bool raw_of_der(const unsigned char *der, size_t len, unsigned char *raw)
{
    size_t at = 2;

    return len > 2 && der[0] == 0x30 && der[1] == len - 2 && der_take_integer(der, len, &at, raw) &&
           der_take_integer(der, len, &at, raw + DEP_P256_COORDINATE_LEN) && at == len;
}

static bool ed25519_verify(const struct dep_public_key *key, struct dep_str data, struct dep_str signature)
{
    return crypto_sign_verify_detached((const unsigned char *)signature.ptr, (const unsigned char *)data.ptr, data.len,
                                       key->ed25519) == 0;
}

static size_t signature_len(enum dep_alg alg, const struct dep_public_key *key)
{
    if (alg == DEP_ALG_ES256)
        return DEP_P256_SIGNATURE_LEN;
    return alg == DEP_ALG_ED25519 ? crypto_sign_BYTES : key->rsa_len;
}

static struct dep_res verify_digest(struct dep_crypto *crypto, enum dep_alg alg, const struct dep_public_key *key,
                                    const unsigned char digest[DEP_SHA256_LEN], const unsigned char *signature,
                                    size_t len)
{
    struct dep_crypto_slot *slot = &crypto->verify_slots[key->serial % DEP_CRYPTO_VERIFY_SLOTS];
    struct dep_crypto_slot wanted = { .key = key, .serial = key->serial, .alg = alg };
    EVP_PKEY_CTX *context = slot_context(crypto, slot, &wanted, key->pkey, EVP_PKEY_verify_init);

    if (context == NULL)
        return DEP_FAIL(CRYPTO_LIBRARY);
    if (EVP_PKEY_verify(context, signature, len, digest, DEP_SHA256_LEN) == 1)
        return DEP_OK;
    dep_crypto_forget_errors();
    return DEP_FAIL(CRYPTO_SIGNATURE);
}

static struct dep_res es256_verify(struct dep_crypto *crypto, const struct dep_public_key *key,
                                   const unsigned char digest[DEP_SHA256_LEN], const unsigned char *raw)
{
    struct dep_hot_key *hot = dep_hot_keys_find(crypto->hot, key);
    unsigned char der[P256_DER_MAX];

    if (hot == NULL)
        DEP_TRY(verify_digest(crypto, DEP_ALG_ES256, key, digest, der, der_of_raw(raw, der)));
    else if (!dep_hot_key_verify(crypto->hot, hot, digest, raw))
        return DEP_FAIL(CRYPTO_SIGNATURE);
    dep_hot_keys_note(crypto->hot, key, hot);
    return DEP_OK;
}

struct dep_res dep_verify(struct dep_crypto *crypto, enum dep_alg alg, const struct dep_public_key *key,
                          struct dep_str data, struct dep_str signature)
{
    unsigned char digest[DEP_SHA256_LEN];
    const unsigned char *bytes = (const unsigned char *)signature.ptr;

    if (dep_alg_kty(alg) == DEP_KTY_NONE || dep_alg_kty(alg) != key->kty)
        return DEP_FAIL(CRYPTO_ALG);
    /* Before anything reads it: a raw signature of another length would still make sense to a lenient decoder (A11). */
    if (signature.len != signature_len(alg, key))
        return DEP_FAIL(CRYPTO_SIGNATURE_SIZE);
    if (alg == DEP_ALG_ED25519)
        return ed25519_verify(key, data, signature) ? DEP_OK : DEP_FAIL(CRYPTO_SIGNATURE);
    dep_sha256(crypto, data, digest);
    if (alg == DEP_ALG_ES256)
        return es256_verify(crypto, key, digest, bytes);
    return verify_digest(crypto, alg, key, digest, bytes, signature.len);
}

struct dep_res dep_sign(struct dep_crypto *crypto, const struct dep_private_key *key, struct dep_str data,
                        unsigned char *ret_signature, size_t *ret_len)
{
    unsigned char digest[DEP_SHA256_LEN];
    unsigned char made[DEP_SIGNATURE_MAX];
    size_t len = sizeof(made);

    if (key->alg == DEP_ALG_ED25519) {
        (void)crypto_sign_detached(ret_signature, NULL, (const unsigned char *)data.ptr, data.len, key->ed25519);
        *ret_len = crypto_sign_BYTES;
        return DEP_OK;
    }
    dep_sha256(crypto, data, digest);

    struct dep_crypto_slot wanted = { .key = key, .serial = key->serial, .alg = key->alg };
    EVP_PKEY_CTX *context = slot_context(crypto, sign_slot(crypto, &wanted), &wanted, key->pkey, EVP_PKEY_sign_init);

    if (context == NULL || EVP_PKEY_sign(context, made, &len, digest, sizeof(digest)) != 1) {
        dep_crypto_forget_errors();
        return DEP_FAIL(CRYPTO_LIBRARY);
    }
    if (key->alg != DEP_ALG_ES256) {
        memcpy(ret_signature, made, len);
        *ret_len = len;
        return DEP_OK;
    }
    if (!raw_of_der(made, len, ret_signature))
        return DEP_FAIL(CRYPTO_LIBRARY);
    *ret_len = DEP_P256_SIGNATURE_LEN;
    return DEP_OK;
}

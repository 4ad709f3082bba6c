/* Private keys: made, read and written (RFC 5208 PKCS#8, RFC 8410 for Ed25519).
 *
 * Invariant: what is read fits its algorithm and the same limits as a public key, and its two halves belong
 * together. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/internal.h"

#define RSA_BITS_NEW 3072u

void dep_private_key_free(struct dep_private_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey); /* clears its numbers */
    dep_wipe(key, sizeof(*key));
    free(key);
}

enum dep_alg dep_private_key_alg(const struct dep_private_key *key)
{
    return key->alg;
}

static struct dep_private_key *key_new(enum dep_alg alg)
{
    struct dep_private_key *key = calloc(1, sizeof(*key));

    if (key != NULL) {
        key->alg = alg;
        key->serial = dep_crypto_serial();
    }
    return key;
}

static void ed25519_from_seed(struct dep_private_key *key, const unsigned char *seed)
{
    unsigned char public_half[DEP_ED25519_PUBLIC_LEN];

    (void)crypto_sign_seed_keypair(public_half, key->ed25519, seed);
}

struct dep_res dep_private_key_new(enum dep_alg alg, struct dep_private_key **ret_key)
{
    unsigned char seed[DEP_ED25519_SEED_LEN];
    enum dep_kty kty = dep_alg_kty(alg);

    if (kty == DEP_KTY_NONE)
        return DEP_FAIL(CRYPTO_ALG);

    struct dep_private_key *key = key_new(alg);

    if (key == NULL)
        return DEP_FAIL(CRYPTO_LIBRARY);
    if (kty == DEP_KTY_ED25519) {
        dep_random(seed, sizeof(seed));
        ed25519_from_seed(key, seed);
        dep_wipe(seed, sizeof(seed));
    } else {
        key->pkey = kty == DEP_KTY_P256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(RSA_BITS_NEW);
        if (key->pkey == NULL) {
            dep_crypto_forget_errors();
            dep_private_key_free(key);
            return DEP_FAIL(CRYPTO_LIBRARY);
        }
    }
    *ret_key = key;
    return DEP_OK;
}

/* Never asks anybody for a passphrase. */
static int no_passphrase(char *buffer, int size, int is_writing, void *data)
{
    (void)buffer, (void)size, (void)is_writing, (void)data;
    return -1;
}

static EVP_PKEY *read_pem(struct dep_secret text)
{
    BIO *bio = BIO_new_mem_buf(text.bytes, (int)text.len);
    EVP_PKEY *pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    BIO_free(bio);
    return pkey;
}

static EVP_PKEY *read_der(struct dep_secret der)
{
    const unsigned char *at = der.bytes;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.len);
    EVP_PKEY *pkey = info == NULL || at != der.bytes + der.len ? NULL : EVP_PKCS82PKEY(info);

    PKCS8_PRIV_KEY_INFO_free(info);
    return pkey;
}

static bool rsa_is_good(const EVP_PKEY *pkey)
{
    int bits = EVP_PKEY_get_bits(pkey);
    BIGNUM *e = NULL;
    bool is_good = bits >= (int)DEP_KEY_RSA_BITS_MIN && bits <= (int)DEP_KEY_RSA_BITS_MAX &&
                   EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_word(e, RSA_F4);

    BN_free(e);
    return is_good;
}

static bool pkey_fits(EVP_PKEY *pkey, enum dep_kty kty)
{
    char group[32];

    if (kty == DEP_KTY_ED25519)
        return EVP_PKEY_is_a(pkey, "ED25519") == 1;
    if (kty == DEP_KTY_RSA) {
        if (EVP_PKEY_is_a(pkey, "RSA") != 1 || !rsa_is_good(pkey))
            return false;
    } else if (EVP_PKEY_is_a(pkey, "EC") != 1 || EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1 ||
               strcmp(group, "prime256v1") != 0) {
        return false;
    }

    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool is_good = context != NULL && EVP_PKEY_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    return is_good;
}

/* Takes `pkey`. */
static struct dep_res key_take(enum dep_alg alg, EVP_PKEY *pkey, struct dep_private_key **ret_key)
{
    unsigned char seed[DEP_ED25519_SEED_LEN];
    size_t len = sizeof(seed);
    struct dep_private_key *key = key_new(alg);

    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return DEP_FAIL(CRYPTO_LIBRARY);
    }
    if (alg != DEP_ALG_ED25519) {
        key->pkey = pkey;
        *ret_key = key;
        return DEP_OK;
    }

    bool is_good = EVP_PKEY_get_raw_private_key(pkey, seed, &len) == 1 && len == sizeof(seed);

    EVP_PKEY_free(pkey);
    if (is_good)
        ed25519_from_seed(key, seed);
    dep_wipe(seed, sizeof(seed));
    if (!is_good) {
        dep_private_key_free(key);
        return DEP_FAIL(CRYPTO_LIBRARY);
    }
    *ret_key = key;
    return DEP_OK;
}

struct dep_res dep_private_key_read(enum dep_alg alg, struct dep_secret der_or_pem, struct dep_private_key **ret_key)
{
    enum dep_kty kty = dep_alg_kty(alg);

    if (kty == DEP_KTY_NONE)
        return DEP_FAIL(CRYPTO_ALG);
    if (der_or_pem.len == 0 || der_or_pem.len > 65536)
        return DEP_FAIL(CRYPTO_KEY);

    /* DER of PKCS#8 starts with a SEQUENCE; no PEM text starts with '0'. */
    EVP_PKEY *pkey = der_or_pem.bytes[0] == 0x30 ? read_der(der_or_pem) : read_pem(der_or_pem);

    if (pkey == NULL || !pkey_fits(pkey, kty)) {
        EVP_PKEY_free(pkey);
        dep_crypto_forget_errors();
        return DEP_FAIL(CRYPTO_KEY);
    }
    dep_crypto_forget_errors();
    return key_take(alg, pkey, ret_key);
}

struct dep_res dep_private_key_der(const struct dep_private_key *key, struct dep_arena *arena,
                                   struct dep_secret *ret_der)
{
    EVP_PKEY *pkey = key->pkey;
    unsigned char *der = NULL;
    struct dep_res res = DEP_FAIL(CRYPTO_LIBRARY);

    if (key->alg == DEP_ALG_ED25519)
        pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, key->ed25519, DEP_ED25519_SEED_LEN);

    PKCS8_PRIV_KEY_INFO *info = pkey == NULL ? NULL : EVP_PKEY2PKCS8(pkey);
    int len = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &der);

    if (len > 0) {
        unsigned char *out = dep_arena_alloc(arena, (size_t)len);

        res = out == NULL ? DEP_FAIL(ARENA_FULL) : DEP_OK;
        if (out != NULL) {
            memcpy(out, der, (size_t)len);
            *ret_der = dep_secret(out, (size_t)len);
        }
        OPENSSL_clear_free(der, (size_t)len);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    if (pkey != key->pkey)
        EVP_PKEY_free(pkey);
    dep_crypto_forget_errors();
    return res;
}

/* A number of the public half as big-endian bytes in the arena; `len` 0 for as few as it takes. */
static struct dep_res number_of(const EVP_PKEY *pkey, const char *name, int len, struct dep_arena *arena,
                                struct dep_str *ret_bytes)
{
    BIGNUM *number = NULL;
    struct dep_res res = DEP_FAIL(CRYPTO_LIBRARY);

    if (EVP_PKEY_get_bn_param(pkey, name, &number) == 1) {
        int size = len > 0 ? len : BN_num_bytes(number);
        unsigned char *out = dep_arena_alloc(arena, (size_t)size);

        if (out == NULL) {
            res = DEP_FAIL(ARENA_FULL);
        } else if (BN_bn2binpad(number, out, size) == size) {
            *ret_bytes = dep_str((const char *)out, (size_t)size);
            res = DEP_OK;
        }
    }
    BN_free(number);
    if (!dep_is_ok(res))
        dep_crypto_forget_errors();
    return res;
}

struct dep_res dep_private_key_parts(const struct dep_private_key *key, struct dep_arena *arena, struct dep_str *ret_x,
                                     struct dep_str *ret_y)
{
    const char *names[] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E };
    struct dep_str x, y;
    int len = 0;

    if (key->alg == DEP_ALG_ED25519) {
        x = dep_arena_dup(arena, dep_str((const char *)key->ed25519 + DEP_ED25519_SEED_LEN, DEP_ED25519_PUBLIC_LEN));
        if (dep_str_is_absent(x))
            return DEP_FAIL(ARENA_FULL);
        *ret_x = x;
        *ret_y = DEP_STR_ABSENT;
        return DEP_OK;
    }
    if (key->alg == DEP_ALG_ES256) {
        names[0] = OSSL_PKEY_PARAM_EC_PUB_X;
        names[1] = OSSL_PKEY_PARAM_EC_PUB_Y;
        len = DEP_P256_COORDINATE_LEN;
    }
    DEP_TRY(number_of(key->pkey, names[0], len, arena, &x));
    DEP_TRY(number_of(key->pkey, names[1], len, arena, &y));
    *ret_x = x;
    *ret_y = y;
    return DEP_OK;
}

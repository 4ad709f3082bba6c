/* Importing public keys, with every check on the key itself (RFC 8725 section 3.4, rfc8032#5.1.3).
 *
 * A key that is imported is good for the life of the process; nothing about it is checked again when it is used. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/internal.h"

/* The y coordinates of the points of order 1, 2, 4 and 8, little-endian, sign bit cleared. The encodings with y >= p
 * that name some of them again are refused for not being canonical. */
static const unsigned char low_order[][DEP_ED25519_PUBLIC_LEN] = {
    { 0 },
    { 1 },
    { 0xEC, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F },
    { 0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0,
      0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05 },
    { 0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F,
      0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A },
};

/* The bytes of the exponent 65537. */
static const unsigned char f4[] = { 1, 0, 1 };

static struct dep_public_key *key_new(enum dep_kty kty)
{
    struct dep_public_key *key = calloc(1, sizeof(*key));

    if (key != NULL) {
        key->kty = kty;
        key->serial = dep_crypto_serial();
    }
    return key;
}

void dep_public_key_free(struct dep_public_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

enum dep_kty dep_public_key_kty(const struct dep_public_key *key)
{
    return key->kty;
}

static EVP_PKEY *pkey_of(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    return pkey;
}

struct dep_res dep_public_key_new_p256(struct dep_str x, struct dep_str y, struct dep_public_key **ret_key)
{
    unsigned char point[1 + 2 * DEP_P256_COORDINATE_LEN] = {
        4
    }; /* uncompressed: the point at infinity has no such form */
    char group[] = "prime256v1";

    if (x.len != DEP_P256_COORDINATE_LEN || y.len != DEP_P256_COORDINATE_LEN)
        return DEP_FAIL(CRYPTO_KEY);
    memcpy(point + 1, x.ptr, x.len);
    memcpy(point + 1 + x.len, y.ptr, y.len);

    struct dep_public_key *key = key_new(DEP_KTY_P256);

    if (key == NULL)
        return DEP_FAIL(CRYPTO_LIBRARY);

    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };

    /* Coordinates below p and on the curve: checked by the library when it reads the point. The cofactor is 1. */
    key->pkey = pkey_of("EC", params);
    if (key->pkey == NULL) {
        dep_crypto_forget_errors();
        dep_public_key_free(key);
        return DEP_FAIL(CRYPTO_KEY);
    }
    memcpy(key->p256, point + 1, sizeof(key->p256));
    *ret_key = key;
    return DEP_OK;
}

/* y < 2^255 - 19, sign bit not counted. */
static bool ed25519_is_canonical(const unsigned char *y)
{
    if ((y[31] & 0x7F) != 0x7F || y[0] < 0xED)
        return true;
    for (size_t i = 1; i < 31; i++)
        if (y[i] != 0xFF)
            return true;
    return false;
}

static bool ed25519_is_low_order(const unsigned char *y)
{
    for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++)
        if (memcmp(y, low_order[i], DEP_ED25519_PUBLIC_LEN - 1) == 0 && (y[31] & 0x7F) == low_order[i][31])
            return true;
    return false;
}

struct dep_res dep_public_key_new_ed25519(struct dep_str x, struct dep_public_key **ret_key)
{
    const unsigned char *y = (const unsigned char *)x.ptr;
    unsigned char doubled[DEP_ED25519_PUBLIC_LEN];

    if (x.len != DEP_ED25519_PUBLIC_LEN || !ed25519_is_canonical(y) || ed25519_is_low_order(y))
        return DEP_FAIL(CRYPTO_KEY);
    /* The addition checks that the point is on the curve. */
    if (crypto_core_ed25519_add(doubled, y, y) != 0)
        return DEP_FAIL(CRYPTO_KEY);

    struct dep_public_key *key = key_new(DEP_KTY_ED25519);

    if (key == NULL)
        return DEP_FAIL(CRYPTO_LIBRARY);
    memcpy(key->ed25519, y, DEP_ED25519_PUBLIC_LEN);
    *ret_key = key;
    return DEP_OK;
}

/* The fingerprint of keys from a broken generator (CVE-2017-15361): modulo every small prime, such a modulus is a power
 * of 65537. A sound modulus passes all of them once in 2^150. */
static bool rsa_is_weak(const BIGNUM *n)
{
    static const unsigned char primes[] = { 3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
                                            47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
                                            107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167 };

    for (size_t i = 0; i < sizeof(primes); i++) {
        BN_ULONG rest = BN_mod_word(n, primes[i]);
        BN_ULONG power = 1;

        do {
            power = power * 65537 % primes[i];
        } while (power != rest && power != 1);
        if (power != rest)
            return false;
    }
    return true;
}

static bool rsa_is_good(const BIGNUM *n)
{
    int bits = BN_num_bits(n);

    return bits >= (int)DEP_KEY_RSA_BITS_MIN && bits <= (int)DEP_KEY_RSA_BITS_MAX && BN_is_odd(n) && !rsa_is_weak(n);
}

static EVP_PKEY *rsa_of(const BIGNUM *n, const BIGNUM *e)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY *pkey = NULL;

    if (builder != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(builder);
    if (params != NULL)
        pkey = pkey_of("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

struct dep_res dep_public_key_new_rsa(struct dep_str n, struct dep_str e, struct dep_public_key **ret_key)
{
    if (n.len < DEP_KEY_RSA_BITS_MIN / 8 || n.len > DEP_KEY_RSA_BITS_MAX / 8 || n.ptr[0] == 0 || e.len == 0 ||
        e.ptr[0] == 0)
        return DEP_FAIL(CRYPTO_KEY);
    if (e.len != sizeof(f4) || memcmp(e.ptr, f4, sizeof(f4)) != 0)
        return DEP_FAIL(CRYPTO_KEY_EXPONENT);

    struct dep_public_key *key = key_new(DEP_KTY_RSA);
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn(f4, sizeof(f4), NULL);
    bool is_good = false;

    if (key != NULL && modulus != NULL && exponent != NULL && rsa_is_good(modulus)) {
        key->rsa_len = n.len;
        key->pkey = rsa_of(modulus, exponent);
        is_good = key->pkey != NULL;
    }
    BN_free(modulus);
    BN_free(exponent);
    if (!is_good) {
        dep_crypto_forget_errors();
        dep_public_key_free(key);
        return DEP_FAIL(CRYPTO_KEY);
    }
    *ret_key = key;
    return DEP_OK;
}

/* A P-256 key with its table, and signatures with numbers of one's choice. */
#ifndef DEP_CRYPTO_P256_FIXTURE_H
#define DEP_CRYPTO_P256_FIXTURE_H

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <string.h>

#include "crypto/internal.h"
#include "test/unit.h"

/* A key pair and its table; a digest and a signature to try. */
struct fixture {
    EC_GROUP *curve;
    BN_CTX *context;
    const BIGNUM *n;
    BIGNUM *d;
    EC_POINT *q;
    struct dep_p256 *p256;
    EC_GROUP *table;
    struct dep_public_key *key;
    unsigned char digest[DEP_SHA256_LEN];
    unsigned char raw[DEP_P256_SIGNATURE_LEN];
};

static inline BIGNUM *random_scalar(const struct fixture *f)
{
    BIGNUM *number = BN_new();

    do {
        DEP_ASSERT(BN_rand_range(number, f->n) == 1);
    } while (BN_is_zero(number));
    return number;
}

static inline BIGNUM *small(unsigned value)
{
    BIGNUM *number = BN_new();

    DEP_ASSERT(BN_set_word(number, value) == 1);
    return number;
}

static inline void put(unsigned char *ret_bytes, const BIGNUM *number)
{
    DEP_ASSERT(BN_bn2binpad(number, ret_bytes, DEP_P256_COORDINATE_LEN) == (int)DEP_P256_COORDINATE_LEN);
}

static inline bool begin(struct dep_test *t, struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    f->context = BN_CTX_new();
    f->n = EC_GROUP_get0_order(f->curve);
    f->q = EC_POINT_new(f->curve);
    f->p256 = dep_p256_new();
    DEP_CHECK(t, f->p256 != NULL);
    if (!dep_p256_has_tables(f->p256))
        DEP_SKIP(t, "this OpenSSL makes no tables");
    return t->skipped == NULL;
}

static inline void drop_key(struct fixture *f)
{
    dep_p256_table_free(f->table);
    dep_public_key_free(f->key);
    BN_free(f->d);
    f->table = NULL;
    f->key = NULL;
    f->d = NULL;
}

static inline void end(struct fixture *f)
{
    drop_key(f);
    dep_p256_free(f->p256);
    EC_POINT_free(f->q);
    BN_CTX_free(f->context);
    EC_GROUP_free(f->curve);
}

/* The key is f->q. */
static inline void use_point(struct dep_test *t, struct fixture *f)
{
    unsigned char point[65];

    DEP_ASSERT(EC_POINT_point2oct(f->curve, f->q, POINT_CONVERSION_UNCOMPRESSED, point, 65, f->context) == 65);
    DEP_CHECK_OK(t, dep_public_key_new_p256(dep_str((char *)point + 1, 32), dep_str((char *)point + 33, 32), &f->key));
    DEP_CHECK(t, memcmp(f->key->p256, point + 1, 64) == 0);
    f->table = dep_p256_table_new(f->p256, f->key->p256);
    DEP_CHECK(t, f->table != NULL);
}

/* Takes `d`. */
static inline void use_key(struct dep_test *t, struct fixture *f, BIGNUM *d)
{
    drop_key(f);
    f->d = d;
    DEP_ASSERT(EC_POINT_mul(f->curve, f->q, d, NULL, NULL, f->context) == 1);
    use_point(t, f);
}

/* r of the point k * G, not yet modulo n. */
static inline BIGNUM *x_of(const struct fixture *f, const BIGNUM *k)
{
    EC_POINT *point = EC_POINT_new(f->curve);
    BIGNUM *x = BN_new();

    DEP_ASSERT(EC_POINT_mul(f->curve, point, k, NULL, NULL, f->context) == 1 &&
               EC_POINT_get_affine_coordinates(f->curve, point, x, NULL, f->context) == 1);
    EC_POINT_free(point);
    return x;
}

/* Signs f->digest, or with `doubles` a digest for which both multiplications give the same point (e = r * d). */
static inline void sign(struct fixture *f, bool doubles)
{
    BIGNUM *k = random_scalar(f), *r = x_of(f, k), *e = BN_new(), *rd = BN_new(), *s = BN_new();

    DEP_ASSERT(BN_nnmod(r, r, f->n, f->context) == 1 && BN_mod_mul(rd, r, f->d, f->n, f->context) == 1);
    if (doubles)
        put(f->digest, rd);
    DEP_ASSERT(BN_bin2bn(f->digest, DEP_SHA256_LEN, e) != NULL && BN_mod_inverse(k, k, f->n, f->context) != NULL &&
               BN_mod_add(s, e, rd, f->n, f->context) == 1 && BN_mod_mul(s, s, k, f->n, f->context) == 1);
    put(f->raw, r);
    put(f->raw + 32, s);
    BN_free(k);
    BN_free(r);
    BN_free(e);
    BN_free(rd);
    BN_free(s);
}

static inline bool by_openssl(const struct fixture *f)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    unsigned char *der = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, f->key->pkey, NULL);

    DEP_ASSERT(context != NULL &&
               ECDSA_SIG_set0(signature, BN_bin2bn(f->raw, 32, NULL), BN_bin2bn(f->raw + 32, 32, NULL)) == 1);

    int len = i2d_ECDSA_SIG(signature, &der);
    bool is_good = EVP_PKEY_verify_init(context) == 1 &&
                   EVP_PKEY_verify(context, der, (size_t)len, f->digest, DEP_SHA256_LEN) == 1;

    EVP_PKEY_CTX_free(context);
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
    ERR_clear_error();
    return is_good;
}

static inline bool by_table(const struct fixture *f)
{
    return dep_p256_verify(f->p256, f->table, f->digest, f->raw);
}

#define CHECK_BOTH(t, f, want)                                        \
    do {                                                              \
        bool both_table = by_table(f), both_library = by_openssl(f);  \
        DEP_CHECK(t, both_table == (want) && both_library == (want)); \
        DEP_CHECK(t, ERR_peek_error() == 0);                          \
    } while (0)

#endif

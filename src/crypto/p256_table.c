/* ES256 verification over a table of multiples of the public key (FIPS 186-5 section 6.4.2).
 *
 * A verification is u1 * G + u2 * Q. OpenSSL has a table of multiples for the generator G, and makes one for any
 * other generator it is given: so a copy of P-256 gets the key Q as its generator, and u2 * Q costs what u1 * G
 * costs. All arithmetic is the library's.
 *
 * Everything here is public: the key, the hash, the signature. So the time it takes may depend on them.
 *
 * Invariants:
 *  (1) A group with another generator never leaves this file but as an opaque table; no key is made of it.
 *  (2) A signature is good only when every call has succeeded; nothing is left on the error queue. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/internal.h"

struct dep_p256 {
    EC_GROUP *curve;
    BN_CTX *context;
    const BIGNUM *n; /* the order, the curve's own */
    BIGNUM *p;
    BIGNUM *p_minus_n;
    BIGNUM *r, *s, *e, *w, *u1, *u2, *x, *z;
    EC_POINT *sum, *of_key;
};

/* Deprecated since OpenSSL 3.0, without a successor: the provider of EC keys offers neither tables nor projective
 * coordinates. They work in every 3.x. Only these calls may: a build without them would have to leave out this file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static bool has_table(const EC_GROUP *group)
{
    return EC_GROUP_have_precompute_mult(group) == 1;
}

static bool make_table(EC_GROUP *group, BN_CTX *context)
{
    return EC_GROUP_precompute_mult(group, context) == 1 && has_table(group);
}

/* X and Z of a point (X / Z^2, Y / Z^3). */
static bool get_x_and_z(const struct dep_p256 *p256, const EC_POINT *point)
{
    return EC_POINT_get_Jprojective_coordinates_GFp(p256->curve, point, p256->x, NULL, p256->z, p256->context) == 1;
}

#pragma GCC diagnostic pop

struct dep_p256 *dep_p256_new(void)
{
    struct dep_p256 *p256 = calloc(1, sizeof(*p256));

    if (p256 == NULL)
        return NULL;

    BIGNUM **numbers[] = { &p256->p, &p256->p_minus_n, &p256->r,  &p256->s, &p256->e,
                           &p256->w, &p256->u1,        &p256->u2, &p256->x, &p256->z };
    bool is_good = true;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        is_good = (*numbers[i] = BN_new()) != NULL && is_good;
    p256->context = BN_CTX_new();
    p256->curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    if (is_good && p256->context != NULL && p256->curve != NULL) {
        p256->n = EC_GROUP_get0_order(p256->curve);
        p256->sum = EC_POINT_new(p256->curve);
        p256->of_key = EC_POINT_new(p256->curve);
        is_good = p256->sum != NULL && p256->of_key != NULL && p256->n != NULL &&
                  EC_GROUP_get_curve(p256->curve, p256->p, NULL, NULL, p256->context) == 1 &&
                  BN_sub(p256->p_minus_n, p256->p, p256->n) == 1;
    } else {
        is_good = false;
    }
    if (!is_good) {
        dep_crypto_forget_errors();
        dep_p256_free(p256);
        return NULL;
    }
    return p256;
}

void dep_p256_free(struct dep_p256 *p256)
{
    if (p256 == NULL)
        return;

    BIGNUM *numbers[] = { p256->p, p256->p_minus_n, p256->r,  p256->s, p256->e,
                          p256->w, p256->u1,        p256->u2, p256->x, p256->z };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        BN_free(numbers[i]);
    EC_POINT_free(p256->sum);
    EC_POINT_free(p256->of_key);
    EC_GROUP_free(p256->curve);
    BN_CTX_free(p256->context);
    free(p256);
}

bool dep_p256_has_tables(const struct dep_p256 *p256)
{
    /* An implementation of P-256 that comes with a table for G uses tables; another one may make them and then not
     * look at them, and two multiplications would cost more than one verification. And what a FIPS provider is
     * there to compute, is not computed beside it. */
    return has_table(p256->curve) && EVP_default_properties_is_fips_enabled(NULL) == 0;
}

EC_GROUP *dep_p256_table_new(struct dep_p256 *p256, const unsigned char key[DEP_P256_POINT_LEN])
{
    unsigned char point[1 + DEP_P256_POINT_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
    EC_GROUP *table = EC_GROUP_dup(p256->curve);

    memcpy(point + 1, key, DEP_P256_POINT_LEN);
    if (table == NULL || EC_POINT_oct2point(p256->curve, p256->of_key, point, sizeof(point), p256->context) != 1 ||
        EC_GROUP_set_generator(table, p256->of_key, p256->n, EC_GROUP_get0_cofactor(p256->curve)) != 1 ||
        !make_table(table, p256->context)) {
        dep_crypto_forget_errors();
        EC_GROUP_free(table);
        return NULL;
    }
    return table;
}

void dep_p256_table_free(EC_GROUP *table)
{
    EC_GROUP_free(table);
}

/* Takes r and s, each in [1, n - 1]. */
static bool take_signature(struct dep_p256 *p256, const unsigned char *signature)
{
    return BN_bin2bn(signature, DEP_P256_COORDINATE_LEN, p256->r) != NULL &&
           BN_bin2bn(signature + DEP_P256_COORDINATE_LEN, DEP_P256_COORDINATE_LEN, p256->s) != NULL &&
           !BN_is_zero(p256->r) && BN_cmp(p256->r, p256->n) < 0 && !BN_is_zero(p256->s) && BN_cmp(p256->s, p256->n) < 0;
}

/* sum = (e / s) * G + (r / s) * Q. */
static bool add_up(struct dep_p256 *p256, const EC_GROUP *table, const unsigned char *digest)
{
    return BN_bin2bn(digest, DEP_SHA256_LEN, p256->e) != NULL &&
           BN_mod_inverse(p256->w, p256->s, p256->n, p256->context) != NULL &&
           BN_mod_mul(p256->u1, p256->e, p256->w, p256->n, p256->context) == 1 &&
           BN_mod_mul(p256->u2, p256->r, p256->w, p256->n, p256->context) == 1 &&
           EC_POINT_mul(p256->curve, p256->sum, p256->u1, NULL, NULL, p256->context) == 1 &&
           EC_POINT_mul(table, p256->of_key, p256->u2, NULL, NULL, p256->context) == 1 &&
           EC_POINT_add(p256->curve, p256->sum, p256->sum, p256->of_key, p256->context) == 1;
}

/* The sum's x, modulo n, is r: its x is r, or r + n where that is below p. Multiplying by Z^2 is cheaper than
 * dividing X. */
static bool sum_is_r(struct dep_p256 *p256)
{
    BIGNUM *zz = p256->e, *product = p256->w;

    if (EC_POINT_is_at_infinity(p256->curve, p256->sum) || !get_x_and_z(p256, p256->sum) ||
        BN_mod_sqr(zz, p256->z, p256->p, p256->context) != 1 ||
        BN_mod_mul(product, p256->r, zz, p256->p, p256->context) != 1)
        return false;
    if (BN_cmp(product, p256->x) == 0)
        return true;
    return BN_cmp(p256->r, p256->p_minus_n) < 0 && BN_add(p256->r, p256->r, p256->n) == 1 &&
           BN_mod_mul(product, p256->r, zz, p256->p, p256->context) == 1 && BN_cmp(product, p256->x) == 0;
}

bool dep_p256_verify(struct dep_p256 *p256, const EC_GROUP *table, const unsigned char digest[DEP_SHA256_LEN],
                     const unsigned char signature[DEP_P256_SIGNATURE_LEN])
{
    if (take_signature(p256, signature) && add_up(p256, table, digest) && sum_is_r(p256))
        return true;
    dep_crypto_forget_errors();
    return false;
}

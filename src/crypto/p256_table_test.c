/* The verification equation over a table, against OpenSSL's own verification of the same key. */
#include "crypto/p256_fixture.h"

DEP_TEST(random_signatures_of_many_keys)
{
    struct fixture f;

    if (begin(t, &f))
        for (unsigned i = 0; i < 4096; i++) {
            if (i % 256 == 0)
                use_key(t, &f, random_scalar(&f));
            dep_random(f.digest, sizeof(f.digest));
            sign(&f, false);
            CHECK_BOTH(t, &f, true);
            f.digest[i % 32] ^= 1;
            CHECK_BOTH(t, &f, false);
        }
    end(&f);
}

DEP_TEST(random_bytes_are_no_signature)
{
    struct fixture f;

    if (begin(t, &f)) {
        use_key(t, &f, random_scalar(&f));
        for (unsigned i = 0; i < 1000; i++) {
            dep_random(f.digest, sizeof(f.digest));
            dep_random(f.raw, sizeof(f.raw));
            CHECK_BOTH(t, &f, false);
        }
        sign(&f, false);
        CHECK_BOTH(t, &f, true);
    }
    end(&f);
}

DEP_TEST(each_flipped_bit_is_seen)
{
    struct fixture f;

    if (begin(t, &f)) {
        use_key(t, &f, random_scalar(&f));
        dep_random(f.digest, sizeof(f.digest));
        sign(&f, false);
        for (unsigned bit = 0; bit < 8 * (sizeof(f.raw) + sizeof(f.digest)); bit++) {
            unsigned char *byte = bit < 512 ? &f.raw[bit / 8] : &f.digest[bit / 8 - 64];

            *byte ^= (unsigned char)(1 << bit % 8);
            CHECK_BOTH(t, &f, false);
            *byte ^= (unsigned char)(1 << bit % 8);
        }
        CHECK_BOTH(t, &f, true);
    }
    end(&f);
}

DEP_TEST(another_key_does_not_verify)
{
    struct fixture f;

    if (begin(t, &f)) {
        use_key(t, &f, random_scalar(&f));

        BIGNUM *d = BN_dup(f.d), *negative = BN_new();

        DEP_ASSERT(BN_sub(negative, f.n, d) == 1);
        dep_random(f.digest, sizeof(f.digest));
        sign(&f, false);
        CHECK_BOTH(t, &f, true);
        use_key(t, &f, random_scalar(&f));
        CHECK_BOTH(t, &f, false);
        use_key(t, &f, negative); /* the same x */
        CHECK_BOTH(t, &f, false);
        use_key(t, &f, d);
        CHECK_BOTH(t, &f, true);
    }
    end(&f);
}

/* The generator itself, which has the library's own table, and its neighbours. */
DEP_TEST(keys_near_the_generator)
{
    struct fixture f;

    if (begin(t, &f))
        for (unsigned i = 0; i < 6; i++) {
            BIGNUM *d = small(i % 3 + 1);

            if (i >= 3)
                DEP_ASSERT(BN_sub(d, f.n, d) == 1);
            use_key(t, &f, d);
            for (unsigned k = 0; k < 16; k++) {
                dep_random(f.digest, sizeof(f.digest));
                sign(&f, k % 2 != 0);
                CHECK_BOTH(t, &f, true);
                f.raw[40] ^= 1;
                CHECK_BOTH(t, &f, false);
            }
        }
    end(&f);
}

/* r and s from 0, 1, n - 1, n, n + 1, 2^256 - 1, and those of a good signature, in all pairs. */
DEP_TEST(A09_numbers_at_the_edges)
{
    struct fixture f;
    unsigned char edges[8][32] = { { 0 }, { [31] = 1 } }, good[64];

    if (begin(t, &f)) {
        BIGNUM *number = BN_dup(f.n);

        put(edges[2], number);
        DEP_ASSERT(BN_add_word(number, 1) == 1);
        put(edges[3], number);
        DEP_ASSERT(BN_sub_word(number, 2) == 1);
        put(edges[4], number);
        BN_free(number);
        memset(edges[5], 0xFF, 32);
        use_key(t, &f, random_scalar(&f));
        dep_random(f.digest, sizeof(f.digest));
        sign(&f, false);
        memcpy(good, f.raw, 64);
        memcpy(edges[6], good, 32);
        memcpy(edges[7], good + 32, 32);
        for (unsigned i = 0; i < 64; i++) {
            memcpy(f.raw, edges[i / 8], 32);
            memcpy(f.raw + 32, edges[i % 8], 32);
            CHECK_BOTH(t, &f, memcmp(f.raw, good, 64) == 0); /* r and s the other way round are among them */
        }
    }
    end(&f);
}

/* A signature may be good in two forms, and in the same two for both. */
DEP_TEST(the_negative_of_s)
{
    struct fixture f;

    if (begin(t, &f)) {
        BIGNUM *s = BN_new();

        use_key(t, &f, random_scalar(&f));
        dep_random(f.digest, sizeof(f.digest));
        sign(&f, false);
        DEP_ASSERT(BN_bin2bn(f.raw + 32, 32, s) != NULL && BN_sub(s, f.n, s) == 1);
        put(f.raw + 32, s);
        BN_free(s);
        CHECK_BOTH(t, &f, true);
        f.raw[0] ^= 1;
        CHECK_BOTH(t, &f, false);
    }
    end(&f);
}

/* 0, n (which is 0 again), n - 1, 2^256 - 1. */
DEP_TEST(hashes_at_the_edges)
{
    struct fixture f;

    if (begin(t, &f)) {
        use_key(t, &f, random_scalar(&f));
        for (unsigned i = 0; i < 4; i++) {
            memset(f.digest, i == 3 ? 0xFF : 0, sizeof(f.digest));
            if (i == 1 || i == 2)
                put(f.digest, f.n);
            if (i == 2)
                f.digest[31]--;
            sign(&f, false);
            CHECK_BOTH(t, &f, true);
            f.digest[31] ^= 2;
            CHECK_BOTH(t, &f, false);
        }
        /* The signature of 0 is one of n. */
        memset(f.digest, 0, sizeof(f.digest));
        sign(&f, false);
        put(f.digest, f.n);
        CHECK_BOTH(t, &f, true);
    }
    end(&f);
}

/* e = r * d: the two points are one, and adding them is doubling. */
DEP_TEST(the_two_points_are_one)
{
    struct fixture f;

    if (begin(t, &f))
        for (unsigned i = 0; i < 8; i++) {
            use_key(t, &f, random_scalar(&f));
            sign(&f, true);
            CHECK_BOTH(t, &f, true);
            f.raw[63] ^= 1;
            CHECK_BOTH(t, &f, false);
        }
    end(&f);
}

/* e = -r * d: the sum is the point at infinity, which has no x; whatever s is. r too may be chosen: 0 would be the x that
 * a library says of it. */
DEP_TEST(the_two_points_cancel)
{
    struct fixture f;

    if (begin(t, &f))
        for (unsigned i = 0; i < 64; i++) {
            BIGNUM *r = i % 2 == 0 ? random_scalar(&f) : small(i), *s = random_scalar(&f), *e = BN_new();

            if (i % 16 == 0)
                use_key(t, &f, random_scalar(&f));
            DEP_ASSERT(BN_mod_mul(e, r, f.d, f.n, f.context) == 1 && BN_sub(e, f.n, e) == 1);
            put(f.digest, e);
            put(f.raw, r);
            put(f.raw + 32, s);
            CHECK_BOTH(t, &f, false);
            BN_free(r);
            BN_free(s);
            BN_free(e);
        }
    end(&f);
}

/* A key, a digest and a signature whose point has the lowest possible x from `least` on; r is x + more modulo n.
 * Returns x. */
static BIGNUM *aim_at(struct dep_test *t, struct fixture *f, const BIGNUM *least, const BIGNUM *more)
{
    BIGNUM *x = BN_dup(least), *r = BN_new(), *u1 = random_scalar(f), *u2 = random_scalar(f), *s = BN_new();
    EC_POINT *point = EC_POINT_new(f->curve), *part = EC_POINT_new(f->curve);

    while (EC_POINT_set_compressed_coordinates(f->curve, point, x, 0, f->context) != 1)
        DEP_ASSERT(BN_add_word(x, 1) == 1);
    ERR_clear_error();
    drop_key(f);
    /* s = r / u2, e = u1 * s, Q = (point - u1 * G) / u2. */
    DEP_ASSERT(BN_mod_add(r, x, more, f->n, f->context) == 1 && BN_mod_inverse(u2, u2, f->n, f->context) != NULL &&
               BN_mod_mul(s, r, u2, f->n, f->context) == 1);
    put(f->raw, r);
    put(f->raw + 32, s);
    DEP_ASSERT(EC_POINT_mul(f->curve, part, u1, NULL, NULL, f->context) == 1 &&
               EC_POINT_invert(f->curve, part, f->context) == 1 &&
               EC_POINT_add(f->curve, part, point, part, f->context) == 1 &&
               EC_POINT_mul(f->curve, f->q, NULL, part, u2, f->context) == 1 &&
               BN_mod_mul(u1, u1, s, f->n, f->context) == 1);
    put(f->digest, u1);
    use_point(t, f);
    EC_POINT_free(point);
    EC_POINT_free(part);
    BN_free(r);
    BN_free(u1);
    BN_free(u2);
    BN_free(s);
    return x;
}

/* x is at least n, so r is x - n. */
DEP_TEST(the_points_x_is_beyond_the_order)
{
    struct fixture f;

    if (begin(t, &f)) {
        BIGNUM *least = BN_dup(f.n), *zero = small(0);

        for (unsigned i = 0; i < 8; i++) {
            BIGNUM *x = aim_at(t, &f, least, zero);

            CHECK_BOTH(t, &f, true);
            f.raw[63] ^= 1;
            CHECK_BOTH(t, &f, false);
            f.raw[63] ^= 1;
            put(f.raw, x); /* the x itself is out of range */
            CHECK_BOTH(t, &f, false);
            DEP_ASSERT(BN_copy(least, x) != NULL && BN_add_word(least, 1) == 1);
            BN_free(x);
        }
        BN_free(least);
        BN_free(zero);
    }
    end(&f);
}

/* r is so small that r + n would be an x as well, but is not this one. */
DEP_TEST(the_points_x_is_small)
{
    struct fixture f;

    if (begin(t, &f)) {
        BIGNUM *least = small(1), *zero = small(0);

        for (unsigned i = 0; i < 8; i++) {
            BIGNUM *x = aim_at(t, &f, least, zero);

            CHECK_BOTH(t, &f, true);
            f.digest[31] ^= 1;
            CHECK_BOTH(t, &f, false);
            DEP_ASSERT(BN_copy(least, x) != NULL && BN_add_word(least, 1) == 1);
            BN_free(x);
        }
        BN_free(least);
        BN_free(zero);
    }
    end(&f);
}

/* r = x + p - n, so that r + n is x modulo p: but it is not below p, so it is no x. */
DEP_TEST(r_and_the_order_reach_the_prime)
{
    struct fixture f;

    if (begin(t, &f)) {
        BIGNUM *least = small(1), *more = BN_new(), *zero = small(0);

        DEP_ASSERT(EC_GROUP_get_curve(f.curve, more, NULL, NULL, f.context) == 1 && BN_sub(more, more, f.n) == 1);
        for (unsigned i = 0; i < 8; i++) {
            BIGNUM *x = aim_at(t, &f, least, more);

            CHECK_BOTH(t, &f, false);
            BN_free(x);
            x = aim_at(t, &f, least, zero);
            CHECK_BOTH(t, &f, true);
            DEP_ASSERT(BN_copy(least, x) != NULL && BN_add_word(least, 1) == 1);
            BN_free(x);
        }
        BN_free(least);
        BN_free(more);
        BN_free(zero);
    }
    end(&f);
}

/* s is so small that s + n has 32 bytes as well: the same number modulo n, and refused. */
DEP_TEST(s_is_beyond_the_order)
{
    struct fixture f;

    if (begin(t, &f))
        for (unsigned i = 1; i < 8; i++) {
            BIGNUM *k = random_scalar(&f), *r = x_of(&f, k), *s = small(i), *e = BN_new(), *rd = BN_new();

            use_key(t, &f, random_scalar(&f));
            DEP_ASSERT(BN_nnmod(r, r, f.n, f.context) == 1 && BN_mod_mul(rd, r, f.d, f.n, f.context) == 1 &&
                       BN_mod_mul(e, s, k, f.n, f.context) == 1 && BN_mod_sub(e, e, rd, f.n, f.context) == 1);
            put(f.digest, e);
            put(f.raw, r);
            put(f.raw + 32, s);
            CHECK_BOTH(t, &f, true);
            DEP_ASSERT(BN_add(s, s, f.n) == 1);
            put(f.raw + 32, s);
            CHECK_BOTH(t, &f, false);
            BN_free(k);
            BN_free(r);
            BN_free(s);
            BN_free(e);
            BN_free(rd);
        }
    end(&f);
}

DEP_TEST(a_point_off_the_curve_has_no_table)
{
    struct fixture f;

    if (begin(t, &f)) {
        unsigned char point[DEP_P256_POINT_LEN] = { 0 };

        use_key(t, &f, random_scalar(&f));
        DEP_CHECK(t, dep_p256_table_new(f.p256, point) == NULL);
        memcpy(point, f.key->p256, sizeof(point));
        point[63] ^= 1;
        DEP_CHECK(t, dep_p256_table_new(f.p256, point) == NULL);
        DEP_CHECK(t, ERR_peek_error() == 0);
    }
    end(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(random_signatures_of_many_keys),
        DEP_ROW(random_bytes_are_no_signature),
        DEP_ROW(each_flipped_bit_is_seen),
        DEP_ROW(another_key_does_not_verify),
        DEP_ROW(keys_near_the_generator),
        DEP_ROW(A09_numbers_at_the_edges),
        DEP_ROW(the_negative_of_s),
        DEP_ROW(hashes_at_the_edges),
        DEP_ROW(the_two_points_are_one),
        DEP_ROW(the_two_points_cancel),
        DEP_ROW(the_points_x_is_beyond_the_order),
        DEP_ROW(the_points_x_is_small),
        DEP_ROW(r_and_the_order_reach_the_prime),
        DEP_ROW(s_is_beyond_the_order),
        DEP_ROW(a_point_off_the_curve_has_no_table),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Importing public keys, and reading and writing private ones. */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/internal.h"
#include "test/unit.h"

struct fixture {
    struct dep_crypto *crypto;
    struct dep_arena arena;
    struct dep_private_key *key;
    struct dep_str x, y;
};

static void begin(struct dep_test *t, struct fixture *f, enum dep_alg alg)
{
    memset(f, 0, sizeof(*f));
    f->crypto = dep_crypto_new();
    dep_arena_init_debug(&f->arena, 1 << 20);
    DEP_CHECK_OK(t, dep_private_key_new(alg, &f->key));
    DEP_CHECK_OK(t, dep_private_key_parts(f->key, &f->arena, &f->x, &f->y));
}

static void end(struct fixture *f)
{
    dep_private_key_free(f->key);
    dep_arena_reset(&f->arena);
    dep_crypto_free(f->crypto);
}

static struct dep_str changed(struct fixture *f, struct dep_str s, size_t at, unsigned char flip)
{
    char *copy = dep_arena_alloc(&f->arena, s.len);

    memcpy(copy, s.ptr, s.len);
    copy[at] ^= (char)flip;
    return dep_str(copy, s.len);
}

static struct dep_str with_zero(struct fixture *f, struct dep_str s)
{
    char *copy = dep_arena_alloc(&f->arena, s.len + 1);

    memcpy(copy + 1, s.ptr, s.len);
    return dep_str(copy, s.len + 1);
}

DEP_TEST(p256_takes_points_of_the_curve_only)
{
    static const char zero[32] = { 0 };
    static const unsigned char p[32] = { 0xFF, 0xFF, 0xFF, 0xFF, 0,    0,    0,    1,    0,    0,    0,
                                         0,    0,    0,    0,    0,    0,    0,    0,    0,    0xFF, 0xFF,
                                         0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
    struct dep_public_key *key = NULL;
    struct fixture f;

    begin(t, &f, DEP_ALG_ES256);
    DEP_CHECK_OK(t, dep_public_key_new_p256(f.x, f.y, &key));
    DEP_CHECK(t, dep_public_key_kty(key) == DEP_KTY_P256);
    dep_public_key_free(key);
    key = NULL;
    DEP_CHECK_FAIL(t, dep_public_key_new_p256(f.x, changed(&f, f.y, 31, 1), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_p256(f.y, f.x, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_p256(dep_str(zero, 32), dep_str(zero, 32), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_p256(dep_str((const char *)p, 32), f.y, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_p256(dep_str_sub(f.x, 0, 31), f.y, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_p256(with_zero(&f, f.x), f.y, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_p256(DEP_STR_ABSENT, DEP_STR_ABSENT, &key), CRYPTO_KEY);
    DEP_CHECK(t, key == NULL);
    end(&f);
}

/* All fourteen encodings of the eight points of low order, the y coordinates that are not below p, and a point off
 * the curve. */
DEP_TEST(A63_ed25519_refuses_low_order_and_non_canonical_keys)
{
    static const unsigned char eight[2][32] = {
        { 0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0,
          0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05 },
        { 0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F,
          0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A },
    };
    struct dep_public_key *key = NULL;
    unsigned char y[32];
    struct fixture f;

    begin(t, &f, DEP_ALG_ED25519);
    DEP_CHECK_OK(t, dep_public_key_new_ed25519(f.x, &key));
    DEP_CHECK(t, dep_public_key_kty(key) == DEP_KTY_ED25519);
    dep_public_key_free(key);
    key = NULL;
    for (unsigned sign = 0; sign < 2; sign++) {
        for (unsigned low = 0xEC; low <= 0xFF; low++) {
            memset(y, 0xFF, sizeof(y));
            y[0] = (unsigned char)low;
            y[31] = sign != 0 ? 0xFF : 0x7F;
            DEP_CHECK_FAIL(t, dep_public_key_new_ed25519(dep_str((char *)y, 32), &key), CRYPTO_KEY);
        }
        for (unsigned low = 0; low <= 1; low++) {
            memset(y, 0, sizeof(y));
            y[0] = (unsigned char)low;
            y[31] = sign != 0 ? 0x80 : 0;
            DEP_CHECK_FAIL(t, dep_public_key_new_ed25519(dep_str((char *)y, 32), &key), CRYPTO_KEY);
        }
        for (size_t i = 0; i < 2; i++) {
            memcpy(y, eight[i], sizeof(y));
            y[31] = (unsigned char)(y[31] | (sign != 0 ? 0x80 : 0));
            DEP_CHECK_FAIL(t, dep_public_key_new_ed25519(dep_str((char *)y, 32), &key), CRYPTO_KEY);
        }
    }
    memset(y, 0, sizeof(y));
    y[0] = 2; /* no x has y = 2 */
    DEP_CHECK_FAIL(t, dep_public_key_new_ed25519(dep_str((char *)y, 32), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_ed25519(dep_str_sub(f.x, 0, 31), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_ed25519(with_zero(&f, f.x), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_ed25519(DEP_STR_ABSENT, &key), CRYPTO_KEY);
    DEP_CHECK(t, key == NULL);
    end(&f);
}

DEP_TEST(rsa_takes_2048_to_4096_bits_with_exponent_65537)
{
    static const size_t bad_lens[] = { 128, 255, 513, 1024 };
    static char ones[1024];
    struct dep_public_key *key = NULL;
    struct fixture f;

    begin(t, &f, DEP_ALG_RS256);
    DEP_CHECK(t, f.x.len == 384);
    DEP_CHECK_OK(t, dep_public_key_new_rsa(f.x, f.y, &key));
    DEP_CHECK(t, dep_public_key_kty(key) == DEP_KTY_RSA);
    dep_public_key_free(key);
    key = NULL;
    memset(ones, 0xFF, sizeof(ones));
    for (size_t i = 0; i < DEP_COUNT(bad_lens); i++)
        DEP_CHECK_FAIL(t, dep_public_key_new_rsa(dep_str(ones, bad_lens[i]), f.y, &key), CRYPTO_KEY);
    DEP_CHECK_OK(t, dep_public_key_new_rsa(dep_str(ones, 256), f.y, &key));
    dep_public_key_free(key);
    key = NULL;
    ones[0] = 0x7F; /* 2,047 bits in 256 bytes */
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(dep_str(ones, 256), f.y, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(changed(&f, f.x, f.x.len - 1, 1), f.y, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(with_zero(&f, f.x), f.y, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(f.x, with_zero(&f, f.y), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(f.x, DEP_STR(""), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(f.x, DEP_STR("\x03"), &key), CRYPTO_KEY_EXPONENT);
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(f.x, DEP_STR("\x01"), &key), CRYPTO_KEY_EXPONENT);
    DEP_CHECK_FAIL(t, dep_public_key_new_rsa(f.x, f.x, &key), CRYPTO_KEY_EXPONENT);
    DEP_CHECK(t, key == NULL);
    end(&f);
}

static const enum dep_alg all_algs[] = { DEP_ALG_ES256, DEP_ALG_ED25519, DEP_ALG_RS256, DEP_ALG_PS256 };

DEP_TEST(private_keys_survive_der)
{
    for (size_t i = 0; i < DEP_COUNT(all_algs); i++) {
        struct dep_private_key *again = NULL;
        struct dep_secret der, der_again;
        struct dep_str x, y;
        struct fixture f;

        begin(t, &f, all_algs[i]);
        DEP_CHECK_OK(t, dep_private_key_der(f.key, &f.arena, &der));
        DEP_CHECK_OK(t, dep_private_key_read(all_algs[i], der, &again));
        DEP_CHECK(t, dep_private_key_alg(again) == all_algs[i]);
        DEP_CHECK_OK(t, dep_private_key_parts(again, &f.arena, &x, &y));
        DEP_CHECK(t, dep_str_eq(x, f.x) && dep_str_eq(y, f.y));
        DEP_CHECK_OK(t, dep_private_key_der(again, &f.arena, &der_again));
        DEP_CHECK(t, dep_secret_eq(der, der_again));
        dep_private_key_free(again);
        end(&f);
    }
}

DEP_TEST(private_keys_are_read_for_their_own_algorithm_only)
{
    struct dep_private_key *key = NULL;
    struct dep_secret der;
    struct fixture f;

    begin(t, &f, DEP_ALG_ES256);
    DEP_CHECK_OK(t, dep_private_key_der(f.key, &f.arena, &der));
    DEP_CHECK_OK(t, dep_private_key_read(DEP_ALG_ES256, der, &key));
    dep_private_key_free(key);
    key = NULL;
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_ED25519, der, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_PS256, der, &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_NONE, der, &key), CRYPTO_ALG);
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_ES256, dep_secret(der.bytes, der.len - 1), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_ES256, dep_secret(NULL, 0), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_ES256, dep_secret("0", 1), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_ES256, dep_secret("rubbish", 7), &key), CRYPTO_KEY);

    unsigned char *longer = dep_arena_alloc(&f.arena, der.len + 1);

    memcpy(longer, der.bytes, der.len);
    DEP_CHECK_FAIL(t, dep_private_key_read(DEP_ALG_ES256, dep_secret(longer, der.len + 1), &key), CRYPTO_KEY);
    DEP_CHECK_FAIL(t, dep_private_key_new(DEP_ALG_NONE, &key), CRYPTO_ALG);
    DEP_CHECK(t, key == NULL);
    end(&f);
}

/* The PEM text of a key, encrypted when there is a passphrase. */
static struct dep_secret pem_of(struct fixture *f, EVP_PKEY *pkey, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_256_cbc() : NULL;

    DEP_ASSERT(PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, passphrase,
                                             passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL) == 1);

    long len = BIO_get_mem_data(bio, &text);
    struct dep_str copy = dep_arena_dup(&f->arena, dep_str(text, (size_t)len));

    BIO_free(bio);
    return dep_secret_of(copy);
}

DEP_TEST(private_keys_are_read_from_pem)
{
    EVP_PKEY *pkeys[] = { EVP_EC_gen("P-256"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_RSA_gen(2048) };
    static const enum dep_alg algs[] = { DEP_ALG_ES256, DEP_ALG_ED25519, DEP_ALG_PS256 };
    struct fixture f;

    begin(t, &f, DEP_ALG_ES256);
    for (size_t i = 0; i < DEP_COUNT(pkeys); i++) {
        struct dep_private_key *key = NULL;

        DEP_CHECK_OK(t, dep_private_key_read(algs[i], pem_of(&f, pkeys[i], NULL), &key));
        dep_private_key_free(key);
        key = NULL;
        /* An encrypted key is refused at once: nobody is asked for a passphrase. */
        DEP_CHECK_FAIL(t, dep_private_key_read(algs[i], pem_of(&f, pkeys[i], "secret"), &key), CRYPTO_KEY);
        DEP_CHECK(t, key == NULL);
        EVP_PKEY_free(pkeys[i]);
    }
    end(&f);
}

DEP_TEST(private_keys_have_the_limits_of_public_ones)
{
    EVP_PKEY *pkeys[] = { EVP_EC_gen("P-384"), EVP_EC_gen("secp256k1"), EVP_RSA_gen(1024) };
    static const enum dep_alg algs[] = { DEP_ALG_ES256, DEP_ALG_ES256, DEP_ALG_RS256 };
    struct fixture f;

    begin(t, &f, DEP_ALG_ES256);
    for (size_t i = 0; i < DEP_COUNT(pkeys); i++) {
        struct dep_private_key *key = NULL;

        DEP_CHECK_FAIL(t, dep_private_key_read(algs[i], pem_of(&f, pkeys[i], NULL), &key), CRYPTO_KEY);
        EVP_PKEY_free(pkeys[i]);
    }
    end(&f);
}

DEP_TEST(arena_limits_are_results)
{
    for (size_t i = 0; i < DEP_COUNT(all_algs) - 1; i++) {
        struct dep_res der_res = DEP_FAIL(ARENA_FULL), parts_res = DEP_FAIL(ARENA_FULL);
        struct fixture f;
        size_t limit;

        begin(t, &f, all_algs[i]);
        for (limit = 0; limit < 8192 && !(dep_is_ok(der_res) && dep_is_ok(parts_res)); limit += 16) {
            struct dep_secret der;
            struct dep_arena arena;
            struct dep_str x, y;

            dep_arena_init_debug(&arena, limit);
            der_res = dep_private_key_der(f.key, &arena, &der);
            DEP_CHECK(t, dep_is_ok(der_res) || der_res.err == DEP_ERR_ARENA_FULL);
            dep_arena_reset(&arena);
            parts_res = dep_private_key_parts(f.key, &arena, &x, &y);
            DEP_CHECK(t, dep_is_ok(parts_res) || parts_res.err == DEP_ERR_ARENA_FULL);
            dep_arena_reset(&arena);
        }
        DEP_CHECK(t, limit > 16 && limit < 8192);
        end(&f);
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(p256_takes_points_of_the_curve_only),
        DEP_ROW(A63_ed25519_refuses_low_order_and_non_canonical_keys),
        DEP_ROW(rsa_takes_2048_to_4096_bits_with_exponent_65537),
        DEP_ROW(private_keys_survive_der),
        DEP_ROW(private_keys_are_read_for_their_own_algorithm_only),
        DEP_ROW(private_keys_are_read_from_pem),
        DEP_ROW(private_keys_have_the_limits_of_public_ones),
        DEP_ROW(arena_limits_are_results),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

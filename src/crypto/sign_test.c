/* Signatures: every algorithm against itself, and the hostile ones. */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/internal.h"
#include "test/unit.h"

struct fixture {
    struct dep_crypto *crypto;
    struct dep_private_key *key;
    struct dep_public_key *public_key;
    unsigned char signature[DEP_SIGNATURE_MAX];
    size_t len;
};

static const enum dep_alg all_algs[] = { DEP_ALG_ES256, DEP_ALG_ED25519, DEP_ALG_RS256, DEP_ALG_PS256 };

static struct dep_public_key *public_of(const struct dep_private_key *key)
{
    struct dep_public_key *public_key = NULL;
    struct dep_res res = DEP_OK;
    struct dep_arena arena;
    struct dep_str x, y;

    dep_arena_init_debug(&arena, 4096);
    DEP_ASSERT(dep_is_ok(dep_private_key_parts(key, &arena, &x, &y)));
    switch (dep_alg_kty(dep_private_key_alg(key))) {
    case DEP_KTY_P256:
        res = dep_public_key_new_p256(x, y, &public_key);
        break;
    case DEP_KTY_ED25519:
        res = dep_public_key_new_ed25519(x, &public_key);
        break;
    case DEP_KTY_RSA:
        res = dep_public_key_new_rsa(x, y, &public_key);
        break;
    case DEP_KTY_NONE:
        break;
    }
    DEP_ASSERT(dep_is_ok(res));
    dep_arena_reset(&arena);
    return public_key;
}

/* A key and its good signature over "data". */
static void begin(struct dep_test *t, struct fixture *f, enum dep_alg alg)
{
    memset(f, 0, sizeof(*f));
    f->crypto = dep_crypto_new();
    DEP_CHECK_OK(t, dep_private_key_new(alg, &f->key));
    f->public_key = public_of(f->key);
    DEP_CHECK_OK(t, dep_sign(f->crypto, f->key, DEP_STR("data"), f->signature, &f->len));
}

static void end(struct fixture *f)
{
    dep_private_key_free(f->key);
    dep_public_key_free(f->public_key);
    dep_crypto_free(f->crypto);
}

static struct dep_res verify(struct fixture *f, const void *signature, size_t len)
{
    return dep_verify(f->crypto, dep_private_key_alg(f->key), f->public_key, DEP_STR("data"), dep_str(signature, len));
}

DEP_TEST(each_algorithm_verifies_what_it_signed_and_nothing_else)
{
    for (size_t i = 0; i < DEP_COUNT(all_algs); i++) {
        struct fixture f;

        begin(t, &f, all_algs[i]);
        DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
        DEP_CHECK_FAIL(
            t, dep_verify(f.crypto, all_algs[i], f.public_key, DEP_STR("Data"), dep_str((char *)f.signature, f.len)),
            CRYPTO_SIGNATURE);
        DEP_CHECK_FAIL(
            t, dep_verify(f.crypto, all_algs[i], f.public_key, DEP_STR_ABSENT, dep_str((char *)f.signature, f.len)),
            CRYPTO_SIGNATURE);
        for (size_t at = 0; at < f.len; at += 7) {
            f.signature[at] ^= 1;
            DEP_CHECK_FAIL(t, verify(&f, f.signature, f.len), CRYPTO_SIGNATURE);
            f.signature[at] ^= 1;
        }
        DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
        end(&f);
    }
}

/* A08: PS256 and RS256 are two algorithms although the key is one; and no key serves another type's. */
DEP_TEST(A08_a_key_of_another_algorithm)
{
    struct fixture f;

    begin(t, &f, DEP_ALG_PS256);
    DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
    DEP_CHECK_FAIL(
        t, dep_verify(f.crypto, DEP_ALG_RS256, f.public_key, DEP_STR("data"), dep_str((char *)f.signature, f.len)),
        CRYPTO_SIGNATURE);
    DEP_CHECK_FAIL(
        t, dep_verify(f.crypto, DEP_ALG_ES256, f.public_key, DEP_STR("data"), dep_str((char *)f.signature, f.len)),
        CRYPTO_ALG);
    DEP_CHECK_FAIL(
        t, dep_verify(f.crypto, DEP_ALG_NONE, f.public_key, DEP_STR("data"), dep_str((char *)f.signature, f.len)),
        CRYPTO_ALG);
    DEP_CHECK_FAIL(t, dep_verify(f.crypto, DEP_ALG_COUNT, f.public_key, DEP_STR("data"), DEP_STR_ABSENT), CRYPTO_ALG);
    end(&f);
}

/* The order n of P-256, and n - 1. */
static const unsigned char order[32] = { 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF,
                                         0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17,
                                         0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51 };

DEP_TEST(A09_es256_numbers_outside_their_range)
{
    static const unsigned char zero[32] = { 0 }, one[32] = { [31] = 1 };
    unsigned char below[32], raw[64];
    struct fixture f;

    memcpy(below, order, 32);
    below[31]--;

    const unsigned char *pairs[][2] = { { zero, zero },   { zero, one },  { one, zero },
                                        { order, one },   { one, order }, { order, order },
                                        { below, below }, { one, one },   { zero, order } };

    begin(t, &f, DEP_ALG_ES256);
    DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
    for (size_t i = 0; i < DEP_COUNT(pairs); i++) {
        memcpy(raw, pairs[i][0], 32);
        memcpy(raw + 32, pairs[i][1], 32);
        DEP_CHECK_FAIL(t, verify(&f, raw, sizeof(raw)), CRYPTO_SIGNATURE);
    }
    memset(raw, 0xFF, sizeof(raw));
    DEP_CHECK_FAIL(t, verify(&f, raw, sizeof(raw)), CRYPTO_SIGNATURE);
    /* r of a good signature with s = 0, and the other way round. */
    memcpy(raw, f.signature, 32);
    memset(raw + 32, 0, 32);
    DEP_CHECK_FAIL(t, verify(&f, raw, sizeof(raw)), CRYPTO_SIGNATURE);
    end(&f);
}

DEP_TEST(A10_es256_signature_as_der)
{
    unsigned char digest[DEP_SHA256_LEN], der[80];
    size_t len = sizeof(der);
    struct fixture f;

    begin(t, &f, DEP_ALG_ES256);
    dep_sha256(f.crypto, DEP_STR("data"), digest);

    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, f.key->pkey, NULL);

    DEP_CHECK(t, EVP_PKEY_sign_init(context) == 1 && EVP_PKEY_sign(context, der, &len, digest, sizeof(digest)) == 1);
    EVP_PKEY_CTX_free(context);
    DEP_CHECK_FAIL(t, verify(&f, der, len), CRYPTO_SIGNATURE_SIZE);
    DEP_CHECK_FAIL(t, verify(&f, der, 64), CRYPTO_SIGNATURE);
    DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
    end(&f);
}

/* Each of these lengths can be read as some R and S by a decoder that halves whatever it gets. */
DEP_TEST(A11_es256_signature_of_another_length)
{
    static const size_t lens[] = { 0, 1, 2, 32, 63, 65, 66, 96, 128, 132 };
    unsigned char longer[132];
    struct fixture f;

    begin(t, &f, DEP_ALG_ES256);
    DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
    for (size_t i = 0; i < DEP_COUNT(lens); i++) {
        size_t half = lens[i] / 2;

        memset(longer, 0, sizeof(longer));
        if (half >= 32) {
            memcpy(longer + half - 32, f.signature, 32);
            memcpy(longer + lens[i] - 32, f.signature + 32, 32);
        }
        DEP_CHECK_FAIL(t, verify(&f, longer, lens[i]), CRYPTO_SIGNATURE_SIZE);
    }
    end(&f);
}

DEP_TEST(A12_es256_signature_of_16384_bytes)
{
    static unsigned char huge[16384];
    struct fixture f;

    memset(huge, 0xFF, sizeof(huge));
    begin(t, &f, DEP_ALG_ES256);
    DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
    DEP_CHECK_FAIL(t, verify(&f, huge, sizeof(huge)), CRYPTO_SIGNATURE_SIZE);
    end(&f);
    for (size_t i = 1; i < DEP_COUNT(all_algs); i++) {
        begin(t, &f, all_algs[i]);
        DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
        DEP_CHECK_FAIL(t, verify(&f, huge, sizeof(huge)), CRYPTO_SIGNATURE_SIZE);
        DEP_CHECK_FAIL(t, verify(&f, f.signature, f.len - 1), CRYPTO_SIGNATURE_SIZE);
        end(&f);
    }
}

/* EMSA-PKCS1-v1_5 (rfc8017#9.2) of 384 bytes around the given DigestInfo prefix, `tail` bytes of rubbish at its end. */
static void rsa_forge(const struct fixture *f, const unsigned char *prefix, size_t prefix_len, size_t tail,
                      unsigned char *ret_signature)
{
    unsigned char digest[DEP_SHA256_LEN], block[384];
    size_t len = sizeof(block);
    size_t head = sizeof(block) - prefix_len - sizeof(digest) - tail;

    dep_sha256(f->crypto, DEP_STR("data"), digest);
    memset(block, 0xFF, sizeof(block));
    block[0] = 0;
    block[1] = 1;
    block[head - 1] = 0;
    memcpy(block + head, prefix, prefix_len);
    memcpy(block + head + prefix_len, digest, sizeof(digest));
    memset(block + head + prefix_len + sizeof(digest), 0x5A, tail);

    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, f->key->pkey, NULL);

    DEP_ASSERT(EVP_PKEY_sign_init(context) == 1 && EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
               EVP_PKEY_sign(context, ret_signature, &len, block, sizeof(block)) == 1 && len == 384);
    EVP_PKEY_CTX_free(context);
}

DEP_TEST(A14_rs256_padding_variants)
{
    static const unsigned char good[] = { 0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                          0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    static const unsigned char no_null[] = { 0x30, 0x2F, 0x30, 0x0B, 0x06, 0x09, 0x60, 0x86, 0x48,
                                             0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20 };
    static const unsigned char long_length[] = { 0x30, 0x81, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48,
                                                 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    unsigned char forged[384];
    struct fixture f;

    begin(t, &f, DEP_ALG_RS256);
    rsa_forge(&f, good, sizeof(good), 0, forged);
    DEP_CHECK_OK(t, verify(&f, forged, sizeof(forged)));
    DEP_CHECK(t, memcmp(forged, f.signature, sizeof(forged)) == 0);
    rsa_forge(&f, no_null, sizeof(no_null), 0, forged);
    DEP_CHECK_FAIL(t, verify(&f, forged, sizeof(forged)), CRYPTO_SIGNATURE);
    rsa_forge(&f, long_length, sizeof(long_length), 0, forged);
    DEP_CHECK_FAIL(t, verify(&f, forged, sizeof(forged)), CRYPTO_SIGNATURE);
    rsa_forge(&f, good, sizeof(good), 100, forged);
    DEP_CHECK_FAIL(t, verify(&f, forged, sizeof(forged)), CRYPTO_SIGNATURE);
    rsa_forge(&f, good, 0, 0, forged); /* the bare digest */
    DEP_CHECK_FAIL(t, verify(&f, forged, sizeof(forged)), CRYPTO_SIGNATURE);
    end(&f);
}

/* A60: reasons left on the library's queue would be blamed on the next TLS call of the thread. */
DEP_TEST(A60_a_bad_signature_leaves_nothing_behind)
{
    for (size_t i = 0; i < DEP_COUNT(all_algs); i++) {
        struct dep_public_key *key = NULL;
        struct fixture f;

        begin(t, &f, all_algs[i]);
        DEP_CHECK_OK(t, verify(&f, f.signature, f.len));
        f.signature[5] ^= 1;
        DEP_CHECK_FAIL(t, verify(&f, f.signature, f.len), CRYPTO_SIGNATURE);
        memset(f.signature, 0xFF, f.len);
        DEP_CHECK_FAIL(t, verify(&f, f.signature, f.len), CRYPTO_SIGNATURE);
        DEP_CHECK(t, ERR_peek_error() == 0);
        DEP_CHECK_FAIL(
            t, dep_public_key_new_p256(dep_str((char *)f.signature, 32), dep_str((char *)f.signature, 32), &key),
            CRYPTO_KEY);
        DEP_CHECK(t, ERR_peek_error() == 0);
        end(&f);
    }
}

/* Keys come and go at the same addresses while the handle keeps contexts. */
DEP_TEST(a_freed_keys_address_may_be_used_again)
{
    struct dep_crypto *crypto = dep_crypto_new();

    for (unsigned i = 0; i < 1000; i++) {
        struct dep_private_key *key = NULL;
        unsigned char signature[DEP_SIGNATURE_MAX];
        size_t len = 0;

        DEP_CHECK_OK(t, dep_private_key_new(DEP_ALG_ES256, &key));

        struct dep_public_key *public_key = public_of(key);

        DEP_CHECK_OK(t, dep_sign(crypto, key, DEP_STR("data"), signature, &len));
        DEP_CHECK_OK(t,
                     dep_verify(crypto, DEP_ALG_ES256, public_key, DEP_STR("data"), dep_str((char *)signature, len)));
        DEP_CHECK(t, len == 64);
        dep_private_key_free(key);
        dep_public_key_free(public_key);
    }
    dep_crypto_free(crypto);
}

struct shared {
    const struct dep_private_key *key;
    const struct dep_public_key *public_key;
    unsigned good;
};

static void *sign_and_verify(void *argument)
{
    struct dep_crypto *crypto = dep_crypto_new();
    struct shared *shared = argument;

    for (unsigned i = 0; i < 50; i++) {
        unsigned char signature[DEP_SIGNATURE_MAX];
        size_t len = 0;
        enum dep_alg alg = dep_private_key_alg(shared->key);

        if (dep_is_ok(dep_sign(crypto, shared->key, DEP_STR("data"), signature, &len)) &&
            dep_is_ok(dep_verify(crypto, alg, shared->public_key, DEP_STR("data"), dep_str((char *)signature, len))))
            shared->good++;
    }
    dep_crypto_free(crypto);
    return NULL;
}

/* One handle for each thread, one key for all: TSan sees what they share. */
DEP_TEST(keys_are_shared_by_threads)
{
    for (size_t i = 0; i < DEP_COUNT(all_algs); i++) {
        pthread_t threads[4];
        struct shared shared[4];
        struct fixture f;

        begin(t, &f, all_algs[i]);
        for (size_t n = 0; n < DEP_COUNT(threads); n++) {
            shared[n] = (struct shared){ .key = f.key, .public_key = f.public_key };
            DEP_CHECK(t, pthread_create(&threads[n], NULL, sign_and_verify, &shared[n]) == 0);
        }
        for (size_t n = 0; n < DEP_COUNT(threads); n++)
            DEP_CHECK(t, pthread_join(threads[n], NULL) == 0 && shared[n].good == 50);
        end(&f);
    }
}

/* rfc8032#7.1, the second test: the seed and what it signs. */
DEP_TEST(ed25519_of_rfc8032)
{
    static const unsigned char der[48] = { 0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70,
                                           0x04, 0x22, 0x04, 0x20, 0x4C, 0xCD, 0x08, 0x9B, 0x28, 0xFF, 0x96, 0xDA,
                                           0x9D, 0xB6, 0xC3, 0x46, 0xEC, 0x11, 0x4E, 0x0F, 0x5B, 0x8A, 0x31, 0x9F,
                                           0x35, 0xAB, 0xA6, 0x24, 0xDA, 0x8C, 0xF6, 0xED, 0x4F, 0xB8, 0xA6, 0xFB };
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_private_key *key = NULL;
    unsigned char signature[DEP_SIGNATURE_MAX];
    char text[2 * 64];
    struct dep_buf buf;
    size_t len = 0;

    DEP_CHECK_OK(t, dep_private_key_read(DEP_ALG_ED25519, dep_secret(der, sizeof(der)), &key));
    DEP_CHECK_OK(t, dep_sign(crypto, key, DEP_STR("r"), signature, &len));
    dep_buf_init(&buf, text, sizeof(text));
    dep_buf_put_hex(&buf, signature, len);
    DEP_CHECK_STR(t, dep_buf_str(&buf),
                  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    dep_private_key_free(key);
    dep_crypto_free(crypto);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(each_algorithm_verifies_what_it_signed_and_nothing_else),
        DEP_ROW(A08_a_key_of_another_algorithm),
        DEP_ROW(A09_es256_numbers_outside_their_range),
        DEP_ROW(A10_es256_signature_as_der),
        DEP_ROW(A11_es256_signature_of_another_length),
        DEP_ROW(A12_es256_signature_of_16384_bytes),
        DEP_ROW(A14_rs256_padding_variants),
        DEP_ROW(A60_a_bad_signature_leaves_nothing_behind),
        DEP_ROW(a_freed_keys_address_may_be_used_again),
        DEP_ROW(keys_are_shared_by_threads),
        DEP_ROW(ed25519_of_rfc8032),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

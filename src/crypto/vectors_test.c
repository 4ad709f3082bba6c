/* Public vectors: Wycheproof, CCTV and speccheck. They stand in a folder of their own; without it the rows are
 * skipped. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/internal.h"
#include "test/unit.h"

#define BYTES_MAX 65536u

struct bytes {
    char data[BYTES_MAX];
    size_t len;
};

static json_t *load(struct dep_test *t, const char *path)
{
    const char *shared = getenv("DEPUTY_SHARED");
    char name[1024];

    if (shared == NULL || snprintf(name, sizeof(name), "%s/vectors/%s", shared, path) >= (int)sizeof(name) ||
        access(name, R_OK) != 0) {
        DEP_SKIP(t, "the vectors are not here");
        return NULL;
    }

    json_t *root = json_load_file(name, 0, NULL);

    DEP_CHECK(t, root != NULL);
    return root;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static struct dep_str unhex(const char *hex, struct bytes *out)
{
    size_t len = strlen(hex) / 2;

    DEP_ASSERT(len <= sizeof(out->data));
    for (size_t i = 0; i < len; i++)
        out->data[i] = (char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    out->len = len;
    return dep_str(out->data, len);
}

static struct dep_str without_zeros(struct dep_str number)
{
    while (number.len > 0 && number.ptr[0] == 0)
        number = dep_str_sub(number, 1, number.len);
    return number;
}

/* What the vectors expect of this verifier, given their own verdict. */
typedef bool expectation(const json_t *group, const json_t *test);

static bool expect_result(const json_t *group, const json_t *test)
{
    (void)group;
    /* "acceptable" (a missing NULL in DigestInfo) is refused: there is one encoding of a signature, not two. */
    return strcmp(text_of(test, "result"), "valid") == 0;
}

static bool expect_nothing(const json_t *group, const json_t *test)
{
    (void)group, (void)test;
    return false;
}

/* Where this verifier differs from the vectors' verdict, or from the rule of the row, on purpose. */
static const struct {
    const char *file;
    int id;
    bool is_good;
    const char *why;
} overrides[] = {
    { "rsa_signature_2048_sha256_test.json", 258, false, "the exponent of the key is 3; only 65537 is taken" },
    { "rsa_signature_2048_sha256_test.json", 259, false, "the exponent of the key is 3; only 65537 is taken" },
    { "rsa_signature_3072_sha256_test.json", 259, false, "the exponent of the key is 3; only 65537 is taken" },
    { "rsa_signature_2048_sha384_test.json", 221, true, "hashed with SHA-256 by mistake, so a good RS256 signature" },
    { "rsa_signature_2048_sha512_test.json", 221, true, "hashed with SHA-256 by mistake, so a good RS256 signature" },
    { "rsa_pss_2048_sha256_mgf1_0_test.json", 69, true,
      "made with a salt of 32 by mistake, so a good PS256 signature" },
};

static bool expected(const char *file, const json_t *group, const json_t *test, expectation *expect)
{
    json_int_t id = json_integer_value(json_object_get(test, "tcId"));

    for (size_t i = 0; i < DEP_COUNT(overrides); i++)
        if (overrides[i].id == id && strcmp(overrides[i].file, file) == 0)
            return overrides[i].is_good;
    return expect(group, test);
}

typedef struct dep_res group_key(const json_t *group, struct dep_public_key **ret_key);

static struct dep_res p256_key(const json_t *group, struct dep_public_key **ret_key)
{
    struct bytes point;
    struct dep_str text = unhex(text_of(json_object_get(group, "publicKey"), "uncompressed"), &point);

    return dep_public_key_new_p256(dep_str_sub(text, 1, 32), dep_str_sub(text, 33, 32), ret_key);
}

static struct dep_res ed25519_key(const json_t *group, struct dep_public_key **ret_key)
{
    struct bytes point;

    return dep_public_key_new_ed25519(unhex(text_of(json_object_get(group, "publicKey"), "pk"), &point), ret_key);
}

static struct dep_res rsa_key(const json_t *group, struct dep_public_key **ret_key)
{
    struct bytes n, e;
    const json_t *key = json_object_get(group, "publicKey");

    return dep_public_key_new_rsa(without_zeros(unhex(text_of(key, "modulus"), &n)),
                                  without_zeros(unhex(text_of(key, "publicExponent"), &e)), ret_key);
}

/* From here on the key verifies over a table of its multiples. */
static void make_hot(struct dep_test *t, struct dep_crypto *crypto, const struct dep_public_key *key)
{
    dep_hot_keys_free(crypto->hot);
    crypto->hot = dep_hot_keys_new((struct dep_hot_limits){ .places = 1, .uses = 1, .period = UINT32_MAX });
    dep_hot_keys_note(crypto->hot, key, NULL);
    DEP_CHECK(t, dep_hot_keys_find(crypto->hot, key) != NULL);
}

static void run_group(struct dep_test *t, struct dep_crypto *crypto, enum dep_alg alg, const char *file,
                      const json_t *group, group_key *make, bool is_hot, expectation *expect)
{
    struct dep_public_key *key = NULL;
    struct dep_res imported = make(group, &key);
    struct bytes msg, sig;
    size_t i;
    json_t *test;

    if (is_hot && dep_is_ok(imported))
        make_hot(t, crypto, key);
    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        bool is_good = false;

        if (dep_is_ok(imported))
            is_good = dep_is_ok(
                dep_verify(crypto, alg, key, unhex(text_of(test, "msg"), &msg), unhex(text_of(test, "sig"), &sig)));
        dep_test_check(t, is_good == expected(file, group, test, expect), __FILE__, __LINE__,
                       "tcId %d (%s, %s) is %s, key %s", (int)json_integer_value(json_object_get(test, "tcId")),
                       text_of(test, "result"), text_of(test, "comment"), is_good ? "accepted" : "refused",
                       dep_err_name(imported.err));
    }
    dep_public_key_free(key);
}

static void run_keys(struct dep_test *t, const char *file, enum dep_alg alg, group_key *make, bool is_hot,
                     expectation *expect)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "wycheproof/testvectors_v1/%s", file);

    json_t *root = load(t, path);
    size_t i;
    json_t *group;

    if (root == NULL)
        return;

    struct dep_crypto *crypto = dep_crypto_new();

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
        run_group(t, crypto, alg, file, group, make, is_hot, expect);
    dep_crypto_free(crypto);
    json_decref(root);
}

static void run(struct dep_test *t, const char *file, enum dep_alg alg, group_key *make, expectation *expect)
{
    run_keys(t, file, alg, make, false, expect);
}

DEP_TEST(A11_wycheproof_ecdsa_p256_raw)
{
    run(t, "ecdsa_secp256r1_sha256_p1363_test.json", DEP_ALG_ES256, p256_key, expect_result);
}

/* The same over tables, as keys that verify often do it. */
DEP_TEST(A11_wycheproof_ecdsa_p256_raw_by_hot_keys)
{
    struct dep_p256 *p256 = dep_p256_new();
    bool has_tables = p256 != NULL && dep_p256_has_tables(p256);

    dep_p256_free(p256);
    if (has_tables)
        run_keys(t, "ecdsa_secp256r1_sha256_p1363_test.json", DEP_ALG_ES256, p256_key, true, expect_result);
    else
        DEP_SKIP(t, "this OpenSSL makes no tables");
}

/* Every DER signature is refused, the valid ones too, except those that happen to have the raw length. */
DEP_TEST(A10_wycheproof_ecdsa_p256_der)
{
    run(t, "ecdsa_secp256r1_sha256_test.json", DEP_ALG_ES256, p256_key, expect_nothing);
}

DEP_TEST(wycheproof_ed25519)
{
    run(t, "ed25519_test.json", DEP_ALG_ED25519, ed25519_key, expect_result);
}

DEP_TEST(A14_wycheproof_rs256_2048)
{
    run(t, "rsa_signature_2048_sha256_test.json", DEP_ALG_RS256, rsa_key, expect_result);
}

DEP_TEST(A14_wycheproof_rs256_3072)
{
    run(t, "rsa_signature_3072_sha256_test.json", DEP_ALG_RS256, rsa_key, expect_result);
}

DEP_TEST(A14_wycheproof_rs256_4096)
{
    run(t, "rsa_signature_4096_sha256_test.json", DEP_ALG_RS256, rsa_key, expect_result);
}

/* 8,192 bits are beyond the limit: the key is refused. */
DEP_TEST(wycheproof_rs256_8192_is_too_large)
{
    run(t, "rsa_signature_8192_sha256_test.json", DEP_ALG_RS256, rsa_key, expect_nothing);
}

/* Signatures over another hash are not RS256. */
DEP_TEST(wycheproof_rs384_and_rs512_are_not_rs256)
{
    run(t, "rsa_signature_2048_sha384_test.json", DEP_ALG_RS256, rsa_key, expect_nothing);
    run(t, "rsa_signature_2048_sha512_test.json", DEP_ALG_RS256, rsa_key, expect_nothing);
}

DEP_TEST(wycheproof_ps256)
{
    run(t, "rsa_pss_2048_sha256_mgf1_32_test.json", DEP_ALG_PS256, rsa_key, expect_result);
    run(t, "rsa_pss_3072_sha256_mgf1_32_test.json", DEP_ALG_PS256, rsa_key, expect_result);
}

/* rfc7518#3.5: the salt has the length of the hash, and MGF1 uses the same hash. Whatever else is good there, is bad
 * here. */
DEP_TEST(wycheproof_pss_with_other_parameters_is_not_ps256)
{
    run(t, "rsa_pss_2048_sha256_mgf1_0_test.json", DEP_ALG_PS256, rsa_key, expect_nothing);
    run(t, "rsa_pss_2048_sha256_mgf1sha1_20_test.json", DEP_ALG_PS256, rsa_key, expect_nothing);
    run(t, "rsa_pss_2048_sha384_mgf1_48_test.json", DEP_ALG_PS256, rsa_key, expect_nothing);
    run(t, "rsa_pss_4096_sha384_mgf1_48_test.json", DEP_ALG_PS256, rsa_key, expect_nothing);
    run(t, "rsa_pss_4096_sha512_mgf1_64_test.json", DEP_ALG_PS256, rsa_key, expect_nothing);
}

DEP_TEST(wycheproof_hmac_sha256)
{
    json_t *root = load(t, "wycheproof/testvectors_v1/hmac_sha256_test.json");
    struct bytes key, msg, tag;
    size_t i, j;
    json_t *group, *test;

    if (root == NULL)
        return;

    struct dep_crypto *crypto = dep_crypto_new();

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
        json_array_foreach(json_object_get(group, "tests"), j, test)
    {
        unsigned char mac[DEP_SHA256_LEN];
        struct dep_str want = unhex(text_of(test, "tag"), &tag);

        dep_hmac_sha256(crypto, dep_secret_of(unhex(text_of(test, "key"), &key)), unhex(text_of(test, "msg"), &msg),
                        mac);
        dep_test_check(t, (memcmp(mac, want.ptr, want.len) == 0) == expect_result(group, test), __FILE__, __LINE__,
                       "tcId %d", (int)json_integer_value(json_object_get(test, "tcId")));
    }
    dep_crypto_free(crypto);
    json_decref(root);
}

static bool has_flag(const json_t *vector, const char *name)
{
    size_t i;
    json_t *flag;

    json_array_foreach(json_object_get(vector, "flags"), i,
                       flag) if (strcmp(json_string_value(flag), name) == 0) return true;
    return false;
}

/* Low-order and non-canonical A are refused at import. Of the rest: R neither of low order nor non-canonical, and the
 * equation without the cofactor (rfc8032#5.1.7). */
DEP_TEST(A63_cctv_ed25519)
{
    json_t *root = load(t, "cctv-ed25519/ed25519vectors.json");
    struct bytes point, sig;
    unsigned accepted = 0;
    size_t i;
    json_t *vector;

    if (root == NULL)
        return;

    struct dep_crypto *crypto = dep_crypto_new();

    json_array_foreach(root, i, vector)
    {
        bool may_import = !has_flag(vector, "low_order_A") && !has_flag(vector, "non_canonical_A");
        bool may_verify = may_import && !has_flag(vector, "low_order_R") && !has_flag(vector, "non_canonical_R") &&
                          !has_flag(vector, "low_order_residue");
        struct dep_public_key *key = NULL;
        struct dep_res res = dep_public_key_new_ed25519(unhex(text_of(vector, "key"), &point), &key);

        dep_test_check(t, dep_is_ok(res) == may_import, __FILE__, __LINE__, "import of %zu is %s", i,
                       dep_err_name(res.err));
        if (!dep_is_ok(res))
            continue;
        res = dep_verify(crypto, DEP_ALG_ED25519, key, dep_str_c(text_of(vector, "msg")),
                         unhex(text_of(vector, "sig"), &sig));
        dep_test_check(t, dep_is_ok(res) == may_verify, __FILE__, __LINE__, "vector %zu is %s", i,
                       dep_err_name(res.err));
        accepted += dep_is_ok(res);
        dep_public_key_free(key);
    }
    DEP_CHECK(t, accepted > 0);
    dep_crypto_free(crypto);
    json_decref(root);
}

/* The twelve cases of "Taming the many EdDSAs", table 5. 0, 1, 10, 11: A of low order or not canonical; 2: R of low
 * order; 3: mixed orders that satisfy the equation without cofactor; 4, 5: only with it; 6, 7: S >= L; 8, 9: R not
 * canonical. */
DEP_TEST(A63_ed25519_speccheck)
{
    static const bool verdicts[] = {
        false, false, false, true, false, false, false, false, false, false, false, false
    };
    json_t *root = load(t, "ed25519-speccheck/cases.json");
    struct bytes point, msg, sig;
    size_t i;
    json_t *vector;

    if (root == NULL)
        return;

    struct dep_crypto *crypto = dep_crypto_new();

    DEP_CHECK(t, json_array_size(root) == DEP_COUNT(verdicts));
    json_array_foreach(root, i, vector)
    {
        struct dep_public_key *key = NULL;
        struct dep_res res = dep_public_key_new_ed25519(unhex(text_of(vector, "pub_key"), &point), &key);

        if (dep_is_ok(res))
            res = dep_verify(crypto, DEP_ALG_ED25519, key, unhex(text_of(vector, "message"), &msg),
                             unhex(text_of(vector, "signature"), &sig));
        dep_test_check(t, dep_is_ok(res) == verdicts[i], __FILE__, __LINE__, "case %zu is %s", i,
                       dep_err_name(res.err));
        dep_public_key_free(key);
    }
    dep_crypto_free(crypto);
    json_decref(root);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(A11_wycheproof_ecdsa_p256_raw),
        DEP_ROW(A11_wycheproof_ecdsa_p256_raw_by_hot_keys),
        DEP_ROW(A10_wycheproof_ecdsa_p256_der),
        DEP_ROW(wycheproof_ed25519),
        DEP_ROW(A14_wycheproof_rs256_2048),
        DEP_ROW(A14_wycheproof_rs256_3072),
        DEP_ROW(A14_wycheproof_rs256_4096),
        DEP_ROW(wycheproof_rs256_8192_is_too_large),
        DEP_ROW(wycheproof_rs384_and_rs512_are_not_rs256),
        DEP_ROW(wycheproof_ps256),
        DEP_ROW(wycheproof_pss_with_other_parameters_is_not_ps256),
        DEP_ROW(wycheproof_hmac_sha256),
        DEP_ROW(A63_cctv_ed25519),
        DEP_ROW(A63_ed25519_speccheck),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Public vectors: the RFCs' own examples, the JOSE cookbook (RFC 7520, RFC 7797, RFC 8037) and Wycheproof. They
 * stand in a folder of their own; without it the rows are skipped. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/b64.h"
#include "jose/jws.h"
#include "test/unit.h"

static const struct dep_str typs[] = {
    DEP_STR_INIT("JWT"),
    DEP_STR_INIT("dpop+jwt"),
    DEP_STR_INIT("at+jwt"),
    DEP_STR_INIT("oauth-client-attestation-pop+jwt"),
};

struct fixture {
    struct dep_crypto *crypto;
    struct dep_arena arena;
    struct dep_jws_rules rules;
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

static void begin(struct fixture *f)
{
    f->crypto = dep_crypto_new();
    dep_arena_init_debug(&f->arena, 4 << 20);
    f->rules = (struct dep_jws_rules){ .bytes_max = DEP_JWS_BYTES_MAX,
                                       .algs = DEP_ALGS_ALL,
                                       .typs = typs,
                                       .typs_count = DEP_COUNT(typs),
                                       .may_lack_typ = true };
}

static void end(struct fixture *f)
{
    dep_arena_reset(&f->arena);
    dep_crypto_free(f->crypto);
}

/* A copy of a JWK with the public members only. */
static json_t *public_of(const json_t *jwk)
{
    static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth" };
    json_t *copy = json_copy((json_t *)(uintptr_t)jwk);

    for (size_t i = 0; i < DEP_COUNT(names); i++)
        (void)json_object_del(copy, names[i]);
    return copy;
}

/* The set of this JWK, or of a JWK Set as it is. */
static struct dep_res set_of(struct fixture *f, json_t *keys, struct dep_jwks **ret_jwks)
{
    json_t *set = json_object_get(keys, "keys") != NULL ? json_incref(keys) : json_pack("{s:[O]}", "keys", keys);
    char *text = json_dumps(set, JSON_COMPACT);
    struct dep_res res = dep_jwks_new(f->crypto, dep_str_c(text), ret_jwks);

    free(text);
    json_decref(set);
    return res;
}

static struct dep_res verify(struct fixture *f, json_t *keys, const char *token)
{
    struct dep_jwks *jwks = NULL;
    struct dep_jws jws;

    DEP_TRY(set_of(f, keys, &jwks));

    struct dep_res res = dep_jws_parse(&f->arena, dep_str_c(token), &f->rules, &jws);

    if (dep_is_ok(res)) {
        const struct dep_jwks_key *key = dep_jwks_find(jwks, jws.kid, jws.alg);

        /* Some examples name a kid that the key does not have: then the only key is meant. */
        if (key == NULL && jwks->count == 1 && dep_str_is_absent(jwks->keys[0].kid))
            key = &jwks->keys[0];
        res = key == NULL ? DEP_FAIL(JWS_KID) : dep_jws_verify(f->crypto, &jws, key->alg, key->key);
    }
    dep_jwks_free(jwks);
    return res;
}

static const json_t *find_id(const json_t *vectors, const char *id)
{
    size_t i;
    json_t *vector;

    json_array_foreach(vectors, i, vector) if (strcmp(text_of(vector, "id"), id) == 0) return vector;
    return NULL;
}

/* A row of the RFC examples: the token, the key (of the row itself or of another), and what is expected. */
static const struct {
    const char *id;
    const char *key_id;
    const char *key_member; /* NULL: a jwk header is required and used */
    enum dep_err err;
} rfc_rows[] = {
    { "rfc9449-proof-token-request", NULL, NULL, DEP_ERR_NONE },
    { "rfc9449-proof-refresh", NULL, NULL, DEP_ERR_NONE },
    { "rfc9449-proof-resource", NULL, NULL, DEP_ERR_NONE },
    { "rfc9449-proof-resource", NULL, "public_jwk", DEP_ERR_JWS_HEADER_KEY }, /* a jwk where none belongs */
    { "rfc9449-cnf-jwt", "rfc9449-jkt", "jwk", DEP_ERR_CRYPTO_SIGNATURE },    /* its key is not published */
    { "rfc8037-a4", NULL, "public_jwk", DEP_ERR_NONE },
    { "rfc7515-a.1", NULL, "jwk", DEP_ERR_JWK_PRIVATE }, /* symmetric */
    { "rfc7515-a.1", "rfc7515-a.3", "jwk", DEP_ERR_JWS_ALG },
    { "rfc7515-a.2", NULL, "jwk", DEP_ERR_NONE },
    { "rfc7515-a.3", NULL, "jwk", DEP_ERR_NONE },
    { "rfc7515-a.3", "rfc9449-jkt", "jwk", DEP_ERR_CRYPTO_SIGNATURE },
    { "rfc7515-a.4", "rfc7515-a.3", "jwk", DEP_ERR_JWS_ALG }, /* ES512 */
    { "rfc7515-a.5", "rfc7515-a.3", "jwk", DEP_ERR_JWS_ALG }, /* none */
    { "idchain-2.3.4", NULL, "public_jwk", DEP_ERR_NONE },
    { "rfc9126-ca-1", NULL, "public_jwk", DEP_ERR_NONE },
    { "rfc9126-3", NULL, "public_jwk", DEP_ERR_NONE },
    { "rfc9126-3", NULL, "private_jwk", DEP_ERR_JWK_PRIVATE },
    { "rfc7520-fig13", "rfc7520-fig3", "jwk", DEP_ERR_NONE },
    { "rfc7520-fig20", "rfc7520-fig3", "jwk", DEP_ERR_JWS_ALG }, /* PS384 */
    { "rfc7520-fig27", "rfc7520-fig3", "jwk", DEP_ERR_JWS_ALG }, /* ES512 */
    { "rfc7520-fig34", "rfc7520-fig5", "jwk", DEP_ERR_JWK_PRIVATE },
    { "statuslist-jwt", "rfc9449-jkt", "jwk", DEP_ERR_JWS_TYP },
};

static struct dep_res verify_with_header(struct fixture *f, const char *token)
{
    struct dep_public_key *key = NULL;
    struct dep_jws_rules rules = f->rules;
    struct dep_jws jws;
    struct dep_jwk jwk;

    rules.takes_jwk = true;
    DEP_TRY(dep_jws_parse(&f->arena, dep_str_c(token), &rules, &jws));
    DEP_TRY(dep_jwk_read(&f->arena, f->crypto, jws.jwk, &jwk));
    DEP_TRY(dep_jwk_import(&jwk, &key));

    struct dep_res res = dep_jws_verify(f->crypto, &jws, jws.alg, key);

    dep_public_key_free(key);
    return res;
}

DEP_TEST(tokens_of_the_rfcs)
{
    json_t *root = load(t, "rfc_vectors.json");
    struct fixture f;

    if (root == NULL)
        return;
    begin(&f);

    const json_t *vectors = json_object_get(root, "vectors");

    for (size_t i = 0; i < DEP_COUNT(rfc_rows); i++) {
        const json_t *vector = find_id(vectors, rfc_rows[i].id);
        const json_t *owner = rfc_rows[i].key_id != NULL ? find_id(vectors, rfc_rows[i].key_id) : vector;
        bool is_private = rfc_rows[i].err == DEP_ERR_JWK_PRIVATE;
        struct dep_res res;

        DEP_CHECK(t, vector != NULL && owner != NULL);
        if (rfc_rows[i].key_member == NULL) {
            res = verify_with_header(&f, text_of(vector, "jws"));
        } else {
            json_t *jwk = json_object_get(owner, rfc_rows[i].key_member);
            json_t *key = is_private ? json_incref(jwk) : public_of(jwk);

            res = verify(&f, key, text_of(vector, "jws"));
            json_decref(key);
        }
        dep_test_check(t, res.err == rfc_rows[i].err, __FILE__, __LINE__, "%s is %s, not %s", rfc_rows[i].id,
                       dep_err_name(res.err), dep_err_name(rfc_rows[i].err));
    }
    end(&f);
    json_decref(root);
}

/* Every thumbprint that a row states: of RFC 7638, 8037, 9449 and of the keys of RFC 7520. */
DEP_TEST(thumbprints_of_the_rfcs)
{
    static const char *const members[] = { "jkt", "thumbprint", "thumbprint_computed" };
    json_t *root = load(t, "rfc_vectors.json");
    unsigned seen = 0;
    size_t i;
    json_t *vector;
    struct fixture f;

    if (root == NULL)
        return;
    begin(&f);
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        const json_t *jwk = json_object_get(vector, "jwk") != NULL ? json_object_get(vector, "jwk")
                                                                   : json_object_get(vector, "public_jwk");
        const char *want = "";

        for (size_t m = 0; m < DEP_COUNT(members); m++)
            if (*text_of(vector, members[m]) != '\0')
                want = text_of(vector, members[m]);
        if (jwk == NULL || *want == '\0' || strcmp(text_of(jwk, "kty"), "oct") == 0 ||
            strcmp(text_of(jwk, "crv"), "P-521") == 0)
            continue;

        json_t *key = public_of(jwk);
        char *text = json_dumps(key, 0);
        struct dep_json *json;
        struct dep_jwk read;
        struct dep_buf buf;

        DEP_CHECK_OK(t, dep_json_parse(&f.arena, dep_str_c(text), 8, &json));
        DEP_CHECK_OK(t, dep_jwk_read(&f.arena, f.crypto, json, &read));
        dep_buf_init_arena(&buf, &f.arena, DEP_JKT_LEN);
        dep_jwk_put_jkt(&buf, &read);
        DEP_CHECK_STR(t, dep_buf_str(&buf), want);
        free(text);
        json_decref(key);
        seen++;
    }
    DEP_CHECK(t, seen >= 6);
    end(&f);
    json_decref(root);
}

/* rfc7515#A.7 and the cookbook: the JSON serializations are no JWTs. */
static void refuse_json(struct dep_test *t, struct fixture *f, const json_t *serialized)
{
    struct dep_jws jws;
    char *text = json_dumps(serialized, JSON_COMPACT);

    DEP_CHECK(t, text != NULL && !dep_is_ok(dep_jws_parse(&f->arena, dep_str_c(text), &f->rules, &jws)));
    free(text);
}

DEP_TEST(json_serialization_is_refused)
{
    json_t *root = load(t, "rfc_vectors.json");
    struct fixture f;

    if (root == NULL)
        return;
    begin(&f);
    refuse_json(t, &f, json_object_get(find_id(json_object_get(root, "vectors"), "rfc7515-a.7"), "json"));
    end(&f);
    json_decref(root);
}

static const struct {
    const char *file;
    enum dep_err err;
} cookbook_rows[] = {
    { "jws/4_1.rsa_v15_signature.json", DEP_ERR_NONE },
    { "curve25519/jws.json", DEP_ERR_NONE },
    { "jws/4_2.rsa-pss_signature.json", DEP_ERR_JWS_ALG }, /* PS384 */
    { "jws/4_3.ecdsa_signature.json", DEP_ERR_JWS_ALG },   /* ES512: the key is passed over, the token refused */
    { "jws/4_4.hmac-sha2_integrity_protection.json", DEP_ERR_JWK_PRIVATE },
    { "jws/4_5.signature_with_detached_content.json", DEP_ERR_JWK_PRIVATE },
    { "rfc7797/4.2.hmac-sha2_b64_false.json", DEP_ERR_JWK_PRIVATE },
};

DEP_TEST(tokens_of_the_cookbook)
{
    struct fixture f;

    begin(&f);
    for (size_t i = 0; i < DEP_COUNT(cookbook_rows); i++) {
        char path[256];

        (void)snprintf(path, sizeof(path), "jose-cookbook/%s", cookbook_rows[i].file);

        json_t *root = load(t, path);

        if (root == NULL)
            break;

        json_t *key = public_of(json_object_get(json_object_get(root, "input"), "key"));
        const json_t *output = json_object_get(root, "output");
        struct dep_res res = verify(&f, key, text_of(output, "compact"));

        dep_test_check(t, res.err == cookbook_rows[i].err, __FILE__, __LINE__, "%s is %s, not %s",
                       cookbook_rows[i].file, dep_err_name(res.err), dep_err_name(cookbook_rows[i].err));
        if (json_object_get(output, "json") != NULL)
            refuse_json(t, &f, json_object_get(output, "json"));
        if (json_object_get(output, "json_flat") != NULL)
            refuse_json(t, &f, json_object_get(output, "json_flat"));
        json_decref(key);
        json_decref(root);
    }
    end(&f);
}

/* What Wycheproof calls valid and this verifier refuses, on purpose; and with which reason. */
#define JWS_FILE "json_web_signature_test.json"
#define JWK_FILE "json_web_key_test.json"
#define CRYPTO_FILE "json_web_crypto_test.json"
static const struct {
    const char *file;
    int first, last;
    enum dep_err err;
    const char *why;
} overrides[] = {
    { JWS_FILE, 1, 1, DEP_ERR_JWK_PRIVATE, "HS256: there are no symmetric keys here" },
    { JWS_FILE, 259, 259, DEP_ERR_JWS_SEGMENTS, "empty payload: a JWT has claims" },
    { JWS_FILE, 264, 264, DEP_ERR_JWS_SEGMENTS, "empty payload: a JWT has claims" },
    { JWS_FILE, 265, 267, DEP_ERR_JWS_ALG, "RS384 is not supported" },
    { JWS_FILE, 268, 268, DEP_ERR_JWS_SEGMENTS, "empty payload: a JWT has claims" },
    { JWS_FILE, 269, 271, DEP_ERR_JWS_ALG, "RS512 is not supported" },
    { JWS_FILE, 272, 272, DEP_ERR_JWS_SEGMENTS, "empty payload: a JWT has claims" },
    { JWS_FILE, 320, 320, DEP_ERR_JWS_SEGMENTS, "empty payload: a JWT has claims" },
    { JWS_FILE, 321, 323, DEP_ERR_JWS_ALG, "PS384 is not supported" },
    { JWS_FILE, 325, 325, DEP_ERR_JWS_SEGMENTS, "empty payload: a JWT has claims" },
    { JWS_FILE, 326, 328, DEP_ERR_JWS_ALG, "PS512 is not supported" },
    { JWS_FILE, 346, 346, DEP_ERR_JWS_ALG, "a PS384 token under a key for PS256" },
    { JWS_FILE, 347, 347, DEP_ERR_JWS_ALG, "ES512, and a key for an algorithm that does not exist (ES521)" },
    { JWS_FILE, 348, 348, DEP_ERR_JWK_PRIVATE, "HS256: there are no symmetric keys here" },
    { JWS_FILE, 350, 350, DEP_ERR_JWS_ALG, "a PS384 token under a key for PS256" },
    { JWS_FILE, 351, 351, DEP_ERR_JWS_ALG, "ES512, and a key for an algorithm that does not exist (ES521)" },
    { JWS_FILE, 352, 352, DEP_ERR_JWK_PRIVATE, "HS256: there are no symmetric keys here" },
    { JWS_FILE, 357, 359, DEP_ERR_JWK_PRIVATE, "HS256: there are no symmetric keys here" },
    { JWS_FILE, 372, 373, DEP_ERR_JWK_PRIVATE, "HS256; and a '?' in a segment, which is not base64url (A17)" },
    { JWS_FILE, 376, 377, DEP_ERR_JWK_PRIVATE, "HS256: there are no symmetric keys here" },
    { JWK_FILE, 2, 2, DEP_ERR_JWK_PRIVATE, "a set with symmetric keys is refused as a whole" },
    { JWK_FILE, 13, 15, DEP_ERR_JWK_PRIVATE, "HMAC: there are no symmetric keys here" },
    { CRYPTO_FILE, 1, 1, DEP_ERR_JWK_PRIVATE, "HS256: there are no symmetric keys here" },
    { CRYPTO_FILE, 48, 48, DEP_ERR_JWK_PRIVATE, "a set with symmetric keys is refused as a whole" },
    { CRYPTO_FILE, 50, 50, DEP_ERR_JWK_PRIVATE, "encryption is not supported" },
    { CRYPTO_FILE, 67, 67, DEP_ERR_JWK_PRIVATE, "encryption is not supported" },
};

static bool is_expected(const char *file, const json_t *test, struct dep_res res)
{
    json_int_t id = json_integer_value(json_object_get(test, "tcId"));

    for (size_t i = 0; i < DEP_COUNT(overrides); i++)
        if (overrides[i].first <= id && id <= overrides[i].last && strcmp(overrides[i].file, file) == 0)
            return res.err == overrides[i].err;
    return dep_is_ok(res) == (strcmp(text_of(test, "result"), "valid") == 0);
}

static void run_wycheproof(struct dep_test *t, const char *file)
{
    char path[256];
    size_t i, j;
    json_t *group, *test;
    struct fixture f;

    (void)snprintf(path, sizeof(path), "wycheproof/testvectors_v1/%s", file);

    json_t *root = load(t, path);

    if (root == NULL)
        return;
    begin(&f);
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_t *key = json_object_get(group, "public") != NULL ? json_object_get(group, "public")
                                                               : json_object_get(group, "private");

        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            struct dep_res res = verify(&f, key, text_of(test, "jws"));

            dep_test_check(t, is_expected(file, test, res), __FILE__, __LINE__, "%s tcId %d (%s, %s, %s) is %s", file,
                           (int)json_integer_value(json_object_get(test, "tcId")), text_of(test, "result"),
                           text_of(group, "comment"), text_of(test, "comment"), dep_err_name(res.err));
        }
        dep_arena_reset(&f.arena);
    }
    end(&f);
    json_decref(root);
}

DEP_TEST(wycheproof_json_web_signature)
{
    run_wycheproof(t, JWS_FILE);
}

DEP_TEST(wycheproof_json_web_key)
{
    run_wycheproof(t, JWK_FILE);
}

DEP_TEST(wycheproof_json_web_crypto)
{
    run_wycheproof(t, CRYPTO_FILE);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(tokens_of_the_rfcs),
        DEP_ROW(thumbprints_of_the_rfcs),
        DEP_ROW(json_serialization_is_refused),
        DEP_ROW(tokens_of_the_cookbook),
        DEP_ROW(wycheproof_json_web_signature),
        DEP_ROW(wycheproof_json_web_key),
        DEP_ROW(wycheproof_json_web_crypto),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* JSON Web Keys and sets. */
#include "jose/jwk.h"

#include <stdlib.h>
#include <string.h>

#include "test/unit.h"

/* The key of rfc9449#4.1 and its thumbprint (rfc9449#6.1). */
#define EC_X "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"
#define EC_Y "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"
#define EC_PARTS "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
/* rfc8037#A.2 */
#define OKP_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define OKP_PARTS "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" OKP_X "\""
/* rfc7638#3.1 */
#define RSA_N                                                                                          \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"          \
    "BJECPebWKRXjBZCiFV4n3oknjhM"                                                                      \
    "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"                                    \
    "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"                                            \
    "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-" \
    "kEgU8awapJzKnqDKgw"
#define RSA_PARTS "\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\""

struct fixture {
    struct dep_crypto *crypto;
    struct dep_arena arena;
};

static void begin(struct fixture *f)
{
    f->crypto = dep_crypto_new();
    dep_arena_init_debug(&f->arena, 1 << 20);
}

static void end(struct fixture *f)
{
    dep_arena_reset(&f->arena);
    dep_crypto_free(f->crypto);
}

static struct dep_res read_jwk(struct fixture *f, const char *text, struct dep_jwk *ret_jwk)
{
    struct dep_json *json;

    DEP_TRY(dep_json_parse(&f->arena, dep_str_c(text), 8, &json));
    return dep_jwk_read(&f->arena, f->crypto, json, ret_jwk);
}

/* Reading and importing: the way every foreign key goes. */
static struct dep_res take(struct fixture *f, const char *text)
{
    struct dep_public_key *key = NULL;
    struct dep_jwk jwk;

    DEP_TRY(read_jwk(f, text, &jwk));
    DEP_TRY(dep_jwk_import(&jwk, &key));
    dep_public_key_free(key);
    return DEP_OK;
}

static struct dep_str jkt_of(struct fixture *f, const struct dep_jwk *jwk)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &f->arena, DEP_JKT_LEN);
    dep_jwk_put_jkt(&buf, jwk);
    return dep_buf_str(&buf);
}

DEP_TEST(thumbprints_of_the_rfcs)
{
    struct dep_jwk jwk;
    struct fixture f;

    begin(&f);
    DEP_CHECK_OK(t, read_jwk(&f, "{" EC_PARTS "}", &jwk));
    DEP_CHECK(t, jwk.kty == DEP_KTY_P256 && jwk.alg == DEP_ALG_NONE && jwk.kid.ptr == NULL);
    DEP_CHECK_STR(t, jkt_of(&f, &jwk), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    DEP_CHECK_OK(t, read_jwk(&f, "{" OKP_PARTS "}", &jwk));
    DEP_CHECK_STR(t, jkt_of(&f, &jwk), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    DEP_CHECK_OK(t, read_jwk(&f, "{" RSA_PARTS ",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}", &jwk));
    DEP_CHECK(t, jwk.alg == DEP_ALG_RS256);
    DEP_CHECK_STR(t, jwk.kid, "2011-04-29");
    DEP_CHECK_STR(t, jkt_of(&f, &jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    /* Order of members, other members and escapes change nothing. */
    DEP_CHECK_OK(t,
                 read_jwk(&f,
                          "{\"y\":\"" EC_Y "\",\"foo\":[1],\"x\":\"\\u006c8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","
                          "\"use\":\"sig\",\"crv\":\"P-256\",\"kty\":\"EC\"}",
                          &jwk));
    DEP_CHECK_STR(t, jkt_of(&f, &jwk), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    end(&f);
}

DEP_TEST(private_and_symmetric_keys_are_refused)
{
    static const char *const members[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
    static const char *const publics[] = { EC_PARTS, OKP_PARTS, RSA_PARTS, "\"kty\":\"unknown\"" };
    struct fixture f;

    begin(&f);
    for (size_t i = 0; i < DEP_COUNT(publics); i++)
        for (size_t j = 0; j < DEP_COUNT(members); j++) {
            char text[1024];
            struct dep_jwk jwk;

            (void)snprintf(text, sizeof(text), "{%s,\"%s\":null}", publics[i], members[j]);
            DEP_CHECK_FAIL(t, read_jwk(&f, text, &jwk), JWK_PRIVATE);
        }
    DEP_CHECK_FAIL(t, take(&f, "{\"kty\":\"oct\"}"), JWK_PRIVATE);
    DEP_CHECK_FAIL(t, take(&f, "{\"kty\":\"oct\",\"k\":\"\",\"alg\":\"HS256\"}"), JWK_PRIVATE);
    DEP_CHECK_OK(t, take(&f, "{" EC_PARTS ",\"key\":1}"));
    end(&f);
}

struct bad_key {
    const char *text;
    enum dep_err err;
};

static void check_bad(struct dep_test *t, const struct bad_key *keys, size_t count)
{
    struct fixture f;

    begin(&f);
    for (size_t i = 0; i < count; i++) {
        struct dep_res res = take(&f, keys[i].text);

        dep_test_check(t, res.err == keys[i].err, __FILE__, __LINE__, "%s is %s, not %s", keys[i].text,
                       dep_err_name(res.err), dep_err_name(keys[i].err));
    }
    end(&f);
}

DEP_TEST(use_key_ops_and_alg_must_fit)
{
    static const struct bad_key keys[] = {
        { "{" EC_PARTS ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"alg\":\"ES256\"}", DEP_ERR_NONE },
        { "{" EC_PARTS ",\"key_ops\":[\"sign\",\"verify\"]}", DEP_ERR_NONE },
        { "{" OKP_PARTS ",\"alg\":\"EdDSA\"}", DEP_ERR_NONE },
        { "{" OKP_PARTS ",\"alg\":\"Ed25519\"}", DEP_ERR_NONE },
        { "{" RSA_PARTS ",\"alg\":\"PS256\"}", DEP_ERR_NONE },
        { "{" EC_PARTS ",\"use\":\"enc\"}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"use\":\"SIG\"}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"use\":null}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"use\":[\"sig\"]}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"key_ops\":[]}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"key_ops\":[\"sign\"]}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"key_ops\":\"verify\"}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"key_ops\":[\"verify\",\"verify\"]}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"key_ops\":[\"verify\",1]}", DEP_ERR_JWK_USE },
        { "{" EC_PARTS ",\"alg\":\"RS256\"}", DEP_ERR_JWK_ALG },
        { "{" EC_PARTS ",\"alg\":\"EdDSA\"}", DEP_ERR_JWK_ALG },
        { "{" EC_PARTS ",\"alg\":\"ES256K\"}", DEP_ERR_JWK_ALG },
        { "{" EC_PARTS ",\"alg\":\"none\"}", DEP_ERR_JWK_ALG },
        { "{" EC_PARTS ",\"alg\":\"\"}", DEP_ERR_JWK_ALG },
        { "{" EC_PARTS ",\"alg\":256}", DEP_ERR_JWK_ALG },
        { "{" RSA_PARTS ",\"alg\":\"HS256\"}", DEP_ERR_JWK_ALG },
        { "{" RSA_PARTS ",\"alg\":\"ES256\"}", DEP_ERR_JWK_ALG },
    };

    check_bad(t, keys, DEP_COUNT(keys));
}

DEP_TEST(shapes_are_checked)
{
    static const struct bad_key keys[] = {
        { "{" EC_PARTS "}", DEP_ERR_NONE },
        { "[]", DEP_ERR_JWK_SYNTAX },
        { "null", DEP_ERR_JWK_SYNTAX },
        { "{}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":1}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"ec\"}", DEP_ERR_JWK_KTY },
        { "{\"kty\":\"EC\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"EC\",\"crv\":\"P-384\"}", DEP_ERR_JWK_CRV },
        { "{\"kty\":\"EC\",\"crv\":\"Ed25519\",\"x\":\"" OKP_X "\"}", DEP_ERR_JWK_CRV },
        { "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" OKP_X "\"}", DEP_ERR_JWK_CRV },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":1}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "=\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "A\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"AA\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}", DEP_ERR_CRYPTO_KEY },
        { "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AAEAAQ\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"Aw\"}", DEP_ERR_CRYPTO_KEY_EXPONENT },
        { "{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"}", DEP_ERR_JWK_SYNTAX },
        { "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", DEP_ERR_CRYPTO_KEY },
        { "{" EC_PARTS ",\"kid\":1}", DEP_ERR_JWK_SYNTAX },
        { "{" EC_PARTS ",\"kid\":\"\"}", DEP_ERR_JWK_SYNTAX },
        { "{" EC_PARTS ",\"kid\":\"a\\u0000b\"}", DEP_ERR_JWK_SYNTAX },
        { "{" EC_PARTS ",\"kid\":\"a\\nb\"}", DEP_ERR_JWK_SYNTAX },
        { "{" EC_PARTS ",\"x\":\"" EC_X "\"}", DEP_ERR_JSON_DUPLICATE },
    };

    check_bad(t, keys, DEP_COUNT(keys));
}

/* The encodings themselves are tested in crypto; here: that they are refused where a JWK enters. */
DEP_TEST(A63_low_order_and_non_canonical_jwk)
{
    static const struct bad_key keys[] = {
        { "{" OKP_PARTS "}", DEP_ERR_NONE },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
          DEP_ERR_CRYPTO_KEY },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
          DEP_ERR_CRYPTO_KEY },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"7P_______________________________________38\"}",
          DEP_ERR_CRYPTO_KEY },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"7f________________________________________8\"}",
          DEP_ERR_CRYPTO_KEY },
    };

    check_bad(t, keys, DEP_COUNT(keys));
}

DEP_TEST(own_keys_are_written_and_read_back)
{
    static const enum dep_alg algs[] = { DEP_ALG_ES256, DEP_ALG_ED25519, DEP_ALG_RS256, DEP_ALG_PS256 };
    struct fixture f;

    begin(&f);
    for (size_t i = 0; i < DEP_COUNT(algs); i++) {
        struct dep_private_key *key = NULL;
        struct dep_json_writer writer;
        struct dep_json *json;
        struct dep_jwk jwk;
        struct dep_str jkt;
        struct dep_buf buf;

        DEP_CHECK_OK(t, dep_private_key_new(algs[i], &key));
        dep_buf_init_arena(&buf, &f.arena, 2048);
        dep_json_begin(&writer, &buf);
        DEP_CHECK_OK(t, dep_jwk_put_public(&writer, &f.arena, key, DEP_STR("key-1")));
        DEP_CHECK_OK(t, dep_json_parse(&f.arena, dep_buf_str(&buf), 8, &json));
        DEP_CHECK_OK(t, dep_jwk_read(&f.arena, f.crypto, json, &jwk));
        DEP_CHECK(t, jwk.alg == algs[i]);
        DEP_CHECK_STR(t, jwk.kid, "key-1");
        DEP_CHECK_OK(t, dep_jwk_jkt_of(&f.arena, f.crypto, key, &jkt));
        DEP_CHECK(t, dep_str_eq(jkt, jkt_of(&f, &jwk)));
        dep_buf_init_arena(&buf, &f.arena, 2048);
        dep_json_begin(&writer, &buf);
        DEP_CHECK_OK(t, dep_jwk_put_public(&writer, &f.arena, key, DEP_STR_ABSENT));
        DEP_CHECK_OK(t, dep_json_parse(&f.arena, dep_buf_str(&buf), 8, &json));
        DEP_CHECK(t, DEP_JSON_GET(json, "kid") == NULL && DEP_JSON_GET(json, "alg") == NULL &&
                         DEP_JSON_GET(json, "use") == NULL);
        DEP_CHECK(t, DEP_JSON_GET(json, "d") == NULL);
        dep_private_key_free(key);
    }
    end(&f);
}

static struct dep_res read_set(struct fixture *f, const char *text, size_t *ret_count)
{
    struct dep_jwks *jwks = NULL;

    DEP_TRY(dep_jwks_new(f->crypto, dep_str_c(text), &jwks));
    *ret_count = jwks->count;
    dep_jwks_free(jwks);
    return DEP_OK;
}

DEP_TEST(sets_pass_over_what_they_do_not_know)
{
    size_t count = 99;
    struct fixture f;

    begin(&f);
    DEP_CHECK_OK(t, read_set(&f, "{\"keys\":[]}", &count));
    DEP_CHECK(t, count == 0);
    DEP_CHECK_OK(
        t, read_set(
               &f,
               "{\"keys\":[{" EC_PARTS "},{\"kty\":\"AKP\",\"pub\":\"AA\"},{\"kty\":\"EC\",\"crv\":\"P-384\"},"
               "{" RSA_PARTS ",\"use\":\"enc\"},{" RSA_PARTS ",\"alg\":\"RSA-OAEP\"},{" RSA_PARTS ",\"alg\":\"RS384\"},"
               "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" OKP_X "\"},{" OKP_PARTS ",\"kid\":\"b\"}],\"more\":1}",
               &count));
    DEP_CHECK(t, count == 2);
    end(&f);
}

DEP_TEST(A35_sets_are_refused_as_a_whole)
{
    size_t count = 99;
    struct fixture f;

    begin(&f);
    DEP_CHECK_OK(t, read_set(&f, "{\"keys\":[{" EC_PARTS ",\"kid\":\"a\"},{" OKP_PARTS ",\"kid\":\"b\"}]}", &count));
    DEP_CHECK(t, count == 2);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[{" EC_PARTS "},{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", &count),
                   JWK_PRIVATE);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[{" EC_PARTS "},{" RSA_PARTS ",\"d\":\"AA\"}]}", &count), JWK_PRIVATE);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[{" EC_PARTS "},{" RSA_PARTS ",\"use\":\"enc\",\"d\":\"AA\"}]}", &count),
                   JWK_PRIVATE);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[{" EC_PARTS ",\"kid\":\"a\"},{" OKP_PARTS ",\"kid\":\"a\"}]}", &count),
                   JWKS_DUPLICATE_KID);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[{" EC_PARTS "},{" RSA_PARTS ",\"alg\":\"ES256\"}]}", &count), JWK_ALG);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[{" EC_PARTS "},{" RSA_PARTS ",\"alg\":\"none\"}]}", &count), JWK_ALG);
    DEP_CHECK_FAIL(
        t, read_set(&f, "{\"keys\":[{" EC_PARTS "},{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"Aw\"}]}", &count),
        CRYPTO_KEY_EXPONENT);
    DEP_CHECK_FAIL(t,
                   read_set(&f,
                            "{\"keys\":[{" EC_PARTS "},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X
                            "\",\"y\":\"" EC_X "\"}]}",
                            &count),
                   CRYPTO_KEY);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[{" EC_PARTS "},7]}", &count), JWK_SYNTAX);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":{}}", &count), JWKS_SYNTAX);
    DEP_CHECK_FAIL(t, read_set(&f, "{}", &count), JWKS_SYNTAX);
    DEP_CHECK_FAIL(t, read_set(&f, "[]", &count), JWKS_SYNTAX);
    DEP_CHECK_FAIL(t, read_set(&f, "", &count), JSON_SYNTAX);
    DEP_CHECK_FAIL(t, read_set(&f, "{\"keys\":[]}x", &count), JSON_SYNTAX);
    DEP_CHECK(t, count == 2);
    end(&f);
}

/* A set of `keys` keys with kids of their own. */
static void put_set(char *text, size_t max, unsigned keys)
{
    struct dep_buf buf;

    dep_buf_init(&buf, text, max);
    dep_buf_put_c(&buf, "{\"keys\":[");
    for (unsigned i = 0; i < keys; i++) {
        dep_buf_put_c(&buf, i > 0 ? ",{" OKP_PARTS ",\"kid\":\"" : "{" OKP_PARTS ",\"kid\":\"");
        dep_buf_put_int(&buf, i);
        dep_buf_put_c(&buf, "\"}");
    }
    dep_buf_put_c(&buf, "]}");
    text[buf.len] = '\0';
}

DEP_TEST(A35_sets_have_limits)
{
    size_t max = 5 * 1024 * 1024, count = 0;
    char *text = malloc(max + 1);
    struct fixture f;

    begin(&f);
    for (unsigned keys = 100; keys <= 101; keys++) {
        put_set(text, max, keys);
        if (keys == 100)
            DEP_CHECK_OK(t, read_set(&f, text, &count));
        else
            DEP_CHECK_FAIL(t, read_set(&f, text, &count), JWKS_TOO_MANY);
    }
    DEP_CHECK(t, count == 100);
    memset(text, ' ', max);
    text[max] = '\0';
    DEP_CHECK_FAIL(t, read_set(&f, text, &count), JSON_SIZE);
    free(text);
    end(&f);
}

DEP_TEST(keys_are_found_by_kid_or_when_alone)
{
    struct dep_jwks *jwks = NULL;
    struct fixture f;

    begin(&f);
    DEP_CHECK_OK(t, dep_jwks_new(f.crypto,
                                 DEP_STR("{\"keys\":[{" EC_PARTS ",\"kid\":\"a\"},{" OKP_PARTS "},{" RSA_PARTS
                                         ",\"kid\":\"c\"},{" RSA_PARTS ",\"kid\":\"d\"}]}"),
                                 &jwks));
    DEP_CHECK(t, jwks->keys[0].alg == DEP_ALG_ES256 && jwks->keys[1].alg == DEP_ALG_ED25519 &&
                     jwks->keys[2].alg == DEP_ALG_RS256);
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR("a"), DEP_ALG_ES256) == &jwks->keys[0]);
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR("d"), DEP_ALG_RS256) == &jwks->keys[3]);
    /* By kid alone: dep_jws_verify() then says that the algorithm is another. */
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR("a"), DEP_ALG_RS256) == &jwks->keys[0]);
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR("A"), DEP_ALG_ES256) == NULL);
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR(""), DEP_ALG_ED25519) == NULL);
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR_ABSENT, DEP_ALG_ES256) == &jwks->keys[0]);
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR_ABSENT, DEP_ALG_ED25519) == &jwks->keys[1]);
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR_ABSENT, DEP_ALG_RS256) == NULL); /* two of them */
    DEP_CHECK(t, dep_jwks_find(jwks, DEP_STR_ABSENT, DEP_ALG_PS256) == NULL);
    dep_jwks_free(jwks);
    end(&f);
}

DEP_TEST(arena_limits_are_results)
{
    static const char *const keys[] = { "{" EC_PARTS "}", "{" OKP_PARTS "}", "{" RSA_PARTS "}" };
    struct fixture f;

    begin(&f);
    for (size_t i = 0; i < DEP_COUNT(keys); i++) {
        struct dep_res res = DEP_FAIL(ARENA_FULL);
        struct dep_json *json;
        struct dep_jwk jwk;
        size_t limit;

        DEP_CHECK_OK(t, dep_json_parse(&f.arena, dep_str_c(keys[i]), 8, &json));
        for (limit = 0; limit < 8192 && !dep_is_ok(res); limit += 16) {
            struct dep_arena arena;

            dep_arena_init_debug(&arena, limit);
            res = dep_jwk_read(&arena, f.crypto, json, &jwk);
            DEP_CHECK(t, dep_is_ok(res) || res.err == DEP_ERR_ARENA_FULL);
            dep_arena_reset(&arena);
        }
        DEP_CHECK(t, limit > 16 && limit < 8192);
    }
    end(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(thumbprints_of_the_rfcs),
        DEP_ROW(private_and_symmetric_keys_are_refused),
        DEP_ROW(use_key_ops_and_alg_must_fit),
        DEP_ROW(shapes_are_checked),
        DEP_ROW(A63_low_order_and_non_canonical_jwk),
        DEP_ROW(own_keys_are_written_and_read_back),
        DEP_ROW(sets_pass_over_what_they_do_not_know),
        DEP_ROW(A35_sets_are_refused_as_a_whole),
        DEP_ROW(A35_sets_have_limits),
        DEP_ROW(keys_are_found_by_kid_or_when_alone),
        DEP_ROW(arena_limits_are_results),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

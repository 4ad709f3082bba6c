/* Compact JWS: taking apart, verifying, signing; forged tokens and forged headers. */
#include "jose/jws.h"

#include <time.h>

#include "jose/door.h"

#define HEADER_WITH(more) "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"," more "}"
#define HEADER_ALG(alg) "{\"alg\":" alg ",\"typ\":\"at+jwt\",\"kid\":\"k1\"}"
#define HEADER_TYP(typ) "{\"alg\":\"ES256\",\"typ\":" typ ",\"kid\":\"k1\"}"
#define HEADER_KID(kid) "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":" kid "}"

DEP_TEST(A02_alg_none_in_any_spelling)
{
    static const struct door_row rows[] = {
        { HEADER_ALG("\"none\""), DEP_ERR_JWS_ALG },        { HEADER_ALG("\"None\""), DEP_ERR_JWS_ALG },
        { HEADER_ALG("\"NONE\""), DEP_ERR_JWS_ALG },        { HEADER_ALG("\"nOnE\""), DEP_ERR_JWS_ALG },
        { HEADER_ALG("\"none \""), DEP_ERR_JWS_ALG },       { HEADER_ALG("\"\\u006eone\""), DEP_ERR_JWS_ALG },
        { HEADER_ALG("\"\\u0045S256\""), DEP_ERR_NONE }, /* an escape names the same */
        { HEADER_ALG("\"unsupported\""), DEP_ERR_JWS_ALG },
    };

    door_headers(t, rows, DEP_COUNT(rows));
}

DEP_TEST(A03_alg_none_with_or_without_a_signature)
{
    struct door d;

    door_open(&d, DEP_ALG_ES256);

    struct dep_str good = door_token(&d, DOOR_HEADER, DOOR_CLAIMS);
    size_t last = good.len - 87; /* the dot before 86 characters of signature */

    DEP_CHECK_OK(t, door_pass(&d, good));
    DEP_CHECK(t, good.ptr[last] == '.');
    DEP_CHECK_FAIL(t, door_pass(&d, door_forge(&d, DEP_STR(HEADER_ALG("\"none\"")), DEP_STR(DOOR_CLAIMS), DEP_STR(""))),
                   JWS_ALG);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"none\""), DOOR_CLAIMS)), JWS_ALG);
    DEP_CHECK_FAIL(t, door_pass(&d, dep_str_sub(good, 0, last)), JWS_SEGMENTS);
    DEP_CHECK_FAIL(t, door_pass(&d, dep_str_sub(good, 0, last + 1)), CRYPTO_SIGNATURE_SIZE);
    door_close(&d);
}

DEP_TEST(A04_alg_of_a_wrong_type)
{
    static const struct door_row rows[] = {
        { "{\"typ\":\"at+jwt\",\"kid\":\"k1\"}", DEP_ERR_JWS_ALG },
        { HEADER_ALG("null"), DEP_ERR_JWS_ALG },
        { HEADER_ALG("256"), DEP_ERR_JWS_ALG },
        { HEADER_ALG("[\"ES256\"]"), DEP_ERR_JWS_ALG },
        { HEADER_ALG("{}"), DEP_ERR_JWS_ALG },
        { HEADER_ALG("\"\""), DEP_ERR_JWS_ALG },
        { HEADER_ALG("\"ES256\\u0000\""), DEP_ERR_JWS_ALG },
        { HEADER_ALG("\"es256\""), DEP_ERR_JWS_ALG },
        { HEADER_ALG("\"ES256 \""), DEP_ERR_JWS_ALG },
        { "null", DEP_ERR_JWS_HEADER },
        { "[]", DEP_ERR_JWS_HEADER },
        { "\"ES256\"", DEP_ERR_JWS_HEADER },
        { "{}", DEP_ERR_JWS_TYP },
        { "{", DEP_ERR_JSON_SYNTAX },
    };

    door_headers(t, rows, DEP_COUNT(rows));
}

/* A token with a MAC under `secret` as its signature, sent as HS256 and as ES256. */
static void check_mac(struct dep_test *t, struct door *d, struct dep_str secret)
{
    static const char *const headers[] = { HEADER_ALG("\"HS256\""), HEADER_ALG("\"HS512\""), DOOR_HEADER };

    for (size_t i = 0; i < DEP_COUNT(headers); i++) {
        unsigned char mac[DEP_SHA256_LEN];
        struct dep_buf buf;

        door_input(d, &buf, dep_str_c(headers[i]), DEP_STR(DOOR_CLAIMS));
        dep_hmac_sha256(d->crypto, dep_secret_of(secret), dep_buf_str(&buf), mac);
        door_check(
            t,
            door_pass(d, door_forge(d, dep_str_c(headers[i]), DEP_STR(DOOR_CLAIMS), dep_str((char *)mac, sizeof(mac)))),
            i < 2 ? DEP_ERR_JWS_ALG : DEP_ERR_CRYPTO_SIGNATURE_SIZE, headers[i]);
    }
}

DEP_TEST(A05_hmac_with_the_public_key)
{
    static const char spki[] =
        "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
    struct dep_str x, y;
    struct dep_buf der, pem;
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    DEP_CHECK_OK(t, dep_private_key_parts(d.key, &d.arena, &x, &y));
    dep_buf_init_arena(&der, &d.arena, 128);
    dep_buf_put(&der, dep_str(spki, sizeof(spki) - 1));
    dep_buf_put(&der, x);
    dep_buf_put(&der, y);
    dep_buf_init_arena(&pem, &d.arena, 256);
    dep_buf_put_c(&pem, "  -----BEGIN PUBLIC KEY-----\n");
    dep_b64_put(&pem, der.ptr, der.len);
    dep_buf_put_c(&pem, "\n-----END PUBLIC KEY-----\n");
    check_mac(t, &d, dep_buf_str(&der));
    check_mac(t, &d, dep_str_sub(dep_buf_str(&der), der.len - 64, 64));
    check_mac(t, &d, dep_buf_str(&pem));
    check_mac(t, &d, dep_str_trim(dep_buf_str(&pem)));
    check_mac(t, &d, dep_str_sub(dep_buf_str(&pem), 2, pem.len - 3));
    door_close(&d);
}

DEP_TEST(A06_hmac_with_an_empty_key)
{
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    check_mac(t, &d, DEP_STR(""));
    check_mac(t, &d, DEP_STR_ABSENT);
    door_close(&d);
}

DEP_TEST(A07_hmac_with_the_jwk)
{
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    check_mac(t, &d, door_jwk(&d, d.key));
    door_close(&d);
}

DEP_TEST(A08_the_keys_algorithm_is_not_the_tokens)
{
    struct door d;

    door_open(&d, DEP_ALG_PS256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, HEADER_ALG("\"PS256\""), DOOR_CLAIMS)));
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"RS256\""), DOOR_CLAIMS)), JWS_KEY_ALG);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"ES256\""), DOOR_CLAIMS)), JWS_KEY_ALG);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"PS384\""), DOOR_CLAIMS)), JWS_ALG);
    d.rules.algs = DEP_ALGS_DPOP;
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"PS256\""), DOOR_CLAIMS)), JWS_ALG);
    door_close(&d);
    door_open(&d, DEP_ALG_RS256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, HEADER_ALG("\"RS256\""), DOOR_CLAIMS)));
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"PS256\""), DOOR_CLAIMS)), JWS_KEY_ALG);
    door_close(&d);
    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"ES256K\""), DOOR_CLAIMS)), JWS_ALG);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"ES384\""), DOOR_CLAIMS)), JWS_ALG);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_ALG("\"EdDSA\""), DOOR_CLAIMS)), JWS_KEY_ALG);
    door_close(&d);
}

/* A09 to A12 once more, in tokens; every variant is tested in crypto. */
DEP_TEST(A12_signatures_of_wrong_sizes_in_tokens)
{
    static const size_t lens[] = { 0, 1, 63, 65, 71, 96, 128, 132, 8000, 16384 };
    static char bytes[16384];
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    memset(bytes, 0xFF, sizeof(bytes));
    for (size_t i = 0; i < DEP_COUNT(lens); i++)
        door_check(t,
                   door_pass(&d, door_forge(&d, DEP_STR(DOOR_HEADER), DEP_STR(DOOR_CLAIMS), dep_str(bytes, lens[i]))),
                   lens[i] < 16384 ? DEP_ERR_CRYPTO_SIGNATURE_SIZE : DEP_ERR_JWS_SIZE, "a signature");
    DEP_CHECK_FAIL(t, door_pass(&d, door_forge(&d, DEP_STR(DOOR_HEADER), DEP_STR(DOOR_CLAIMS), dep_str(bytes, 64))),
                   CRYPTO_SIGNATURE);
    memset(bytes, 0, 64);
    DEP_CHECK_FAIL(t, door_pass(&d, door_forge(&d, DEP_STR(DOOR_HEADER), DEP_STR(DOOR_CLAIMS), dep_str(bytes, 64))),
                   CRYPTO_SIGNATURE);
    door_close(&d);
}

DEP_TEST(A17_segments_that_are_not_strict_base64url)
{
    static const char bad[] = "=+/\r\n ?#*,:\"%\t\x7F\x80\xC3";
    struct door d;

    door_open(&d, DEP_ALG_ES256);

    struct dep_str good = door_token(&d, DOOR_HEADER, DOOR_CLAIMS);
    size_t first = dep_str_find(good, '.'), second = good.len - 87;
    const size_t places[] = { 0, first / 2, first - 1, first + 1, second - 1, second + 1, good.len - 1 };

    DEP_CHECK_OK(t, door_pass(&d, good));
    for (size_t place = 0; place < DEP_COUNT(places); place++)
        for (size_t i = 0; i < sizeof(bad); i++) { /* the NUL too */
            struct dep_str copy = dep_arena_dup(&d.arena, good);
            struct dep_buf longer;

            dep_buf_init_arena(&longer, &d.arena, good.len + 1);
            dep_buf_put(&longer, dep_str_sub(good, 0, places[place]));
            dep_buf_put_char(&longer, bad[i]);
            dep_buf_put(&longer, dep_str_sub(good, places[place], good.len));
            DEP_CHECK_FAIL(t, door_pass(&d, dep_buf_str(&longer)), B64_SYNTAX);
            longer.len = 0;
            longer.has_failed = false;
            dep_buf_put(&longer, dep_str_sub(copy, 0, places[place]));
            dep_buf_put_char(&longer, bad[i]);
            dep_buf_put(&longer, dep_str_sub(copy, places[place] + 1, copy.len));
            DEP_CHECK_FAIL(t, door_pass(&d, dep_buf_str(&longer)), B64_SYNTAX);
        }
    /* Stray bits: 86 characters leave four. */
    struct dep_str copy = dep_arena_dup(&d.arena, good);
    struct dep_buf stray;

    dep_buf_init_arena(&stray, &d.arena, good.len);
    dep_buf_put(&stray, dep_str_sub(copy, 0, copy.len - 1));
    dep_buf_put_char(&stray, (char)(copy.ptr[copy.len - 1] + 1));
    DEP_CHECK_FAIL(t, door_pass(&d, dep_buf_str(&stray)), B64_SYNTAX);
    door_close(&d);
}

DEP_TEST(A18_other_numbers_of_segments)
{
    static const char *const bad[] = { "",     "a",    ".",       "..",        "...",         "a.",  "a.b",
                                       ".a.b", "a..b", "a.b.c.d", "a.b.c.d.e", "a.b.c.d.e.f", ".b.c" };
    struct dep_buf buf;
    struct door d;

    door_open(&d, DEP_ALG_ES256);

    struct dep_str good = door_token(&d, DOOR_HEADER, DOOR_CLAIMS);

    DEP_CHECK_OK(t, door_pass(&d, good));
    for (size_t i = 0; i < DEP_COUNT(bad); i++)
        door_check(t, door_pass(&d, dep_str_c(bad[i])), DEP_ERR_JWS_SEGMENTS, bad[i]);
    DEP_CHECK_FAIL(t, door_pass(&d, DEP_STR_ABSENT), JWS_SEGMENTS);
    dep_buf_init_arena(&buf, &d.arena, good.len + 8);
    dep_buf_put(&buf, good);
    dep_buf_put_c(&buf, ".");
    DEP_CHECK_FAIL(t, door_pass(&d, dep_buf_str(&buf)), JWS_SEGMENTS);
    dep_buf_put_c(&buf, "AAAA");
    DEP_CHECK_FAIL(t, door_pass(&d, dep_buf_str(&buf)), JWS_SEGMENTS);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, DOOR_HEADER, "")), JWS_SEGMENTS);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, "", DOOR_CLAIMS)), JWS_SEGMENTS);
    door_close(&d);
}

DEP_TEST(A19_a_million_dots)
{
    static char dots[1000001];
    struct timespec begin, end;
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    memset(dots, '.', sizeof(dots));
    dots[0] = 'a';

    size_t used = d.arena.used;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    DEP_CHECK_FAIL(t, door_pass(&d, dep_str(dots, sizeof(dots))), JWS_SIZE);
    DEP_CHECK_FAIL(t, door_pass(&d, dep_str(dots, DEP_JWS_BYTES_MAX)), JWS_SEGMENTS);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    DEP_CHECK(t, (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec < 5000000L);
    DEP_CHECK(t, d.arena.used == used);
    door_close(&d);
}

DEP_TEST(A22_A23_encrypted_tokens)
{
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));

    struct dep_buf jwe;
    struct dep_str header =
        DEP_STR("{\"alg\":\"PBES2-HS256+A128KW\",\"enc\":\"A128GCM\",\"p2c\":2147483647,\"p2s\":\"AAAA\"}");

    door_input(&d, &jwe, header, DEP_STR("key"));
    dep_buf_put_c(&jwe, ".AAAA.AAAA.AAAA");
    DEP_CHECK_FAIL(t, door_pass(&d, dep_buf_str(&jwe)), JWS_SEGMENTS);
    DEP_CHECK_FAIL(
        t,
        door_pass(
            &d, door_token(&d, "{\"alg\":\"PBES2-HS256+A128KW\",\"typ\":\"at+jwt\",\"p2c\":2147483647}", DOOR_CLAIMS)),
        JWS_ALG);
    /* zip means nothing in a JWS: the payload is taken as it is, and deflated claims are no JSON. */
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_WITH("\"zip\":\"DEF\""), "\x78\x9c\xab\x56\x4a")), JSON_UTF8);
    door_close(&d);
}

DEP_TEST(A24_a_token_in_a_token)
{
    struct door d;

    door_open(&d, DEP_ALG_ES256);

    struct dep_str inner = door_forge(&d, DEP_STR("{\"alg\":\"none\"}"), DEP_STR(DOOR_CLAIMS), DEP_STR(""));

    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, HEADER_WITH("\"cty\":\"json\""), DOOR_CLAIMS)));
    DEP_CHECK_FAIL(t, door_pass(&d, door_sign(&d, d.key, DEP_STR(HEADER_WITH("\"cty\":\"JWT\"")), inner)), JSON_SYNTAX);
    door_close(&d);
}

static struct dep_str with_member(struct door *d, const char *name, struct dep_str value)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &d->arena, 4096);
    dep_buf_put_c(&buf, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"");
    dep_buf_put_c(&buf, name);
    dep_buf_put_c(&buf, "\":");
    dep_buf_put(&buf, value);
    dep_buf_put_c(&buf, "}");
    return dep_buf_str(&buf);
}

DEP_TEST(A25_a_key_in_the_header)
{
    struct dep_public_key *key = NULL;
    struct dep_jws jws;
    struct dep_jwk jwk;
    struct door d;

    door_open(&d, DEP_ALG_ES256);

    struct dep_str header = with_member(&d, "jwk", door_jwk(&d, d.stranger));
    struct dep_str token = door_sign(&d, d.stranger, header, DEP_STR(DOOR_CLAIMS));

    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    DEP_CHECK_FAIL(t, door_pass(&d, token), JWS_HEADER_KEY);
    DEP_CHECK_FAIL(t, door_pass(&d, door_sign(&d, d.stranger, DEP_STR(DOOR_HEADER), DEP_STR(DOOR_CLAIMS))),
                   CRYPTO_SIGNATURE);
    /* Where a jwk is required, as in DPoP proofs, it is given, and its key verifies. */
    d.rules.takes_jwk = true;
    DEP_CHECK_OK(t, dep_jws_parse(&d.arena, token, &d.rules, &jws));
    DEP_CHECK(t, jws.jwk != NULL);
    DEP_CHECK_OK(t, dep_jwk_read(&d.arena, d.crypto, jws.jwk, &jwk));
    DEP_CHECK_OK(t, dep_jwk_import(&jwk, &key));
    DEP_CHECK_OK(t, dep_jws_verify(d.crypto, &jws, DEP_ALG_ES256, key));
    DEP_CHECK_FAIL(t, dep_jws_verify(d.crypto, &jws, DEP_ALG_ED25519, key), JWS_KEY_ALG);
    DEP_CHECK_FAIL(t, dep_jws_verify(d.crypto, &jws, DEP_ALG_NONE, key), JWS_KEY_ALG);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)), JWS_HEADER);
    DEP_CHECK_FAIL(t,
                   door_pass(&d, door_sign(&d, d.key, with_member(&d, "jwk", DEP_STR("null")), DEP_STR(DOOR_CLAIMS))),
                   JWS_HEADER);
    DEP_CHECK_FAIL(t,
                   door_pass(&d, door_sign(&d, d.key, with_member(&d, "jwk", DEP_STR("\"x\"")), DEP_STR(DOOR_CLAIMS))),
                   JWS_HEADER);
    dep_public_key_free(key);
    door_close(&d);
}

DEP_TEST(A26_addresses_of_keys)
{
    static const struct door_row rows[] = {
        { HEADER_WITH("\"jku\":\"https://evil.example/jwks\""), DEP_ERR_JWS_HEADER_KEY },
        { HEADER_WITH("\"jku\":null"), DEP_ERR_JWS_HEADER_KEY },
        { HEADER_WITH("\"x5u\":\"https://evil.example/chain\""), DEP_ERR_JWS_HEADER_KEY },
        { HEADER_WITH("\"x5c\":[\"AAAA\"]"), DEP_ERR_JWS_HEADER_KEY },
        { HEADER_WITH("\"x5t\":\"AAAA\""), DEP_ERR_JWS_HEADER_KEY },
        { HEADER_WITH("\"x5t#S256\":\"AAAA\""), DEP_ERR_JWS_HEADER_KEY },
        { HEADER_WITH("\"jwk\":{}"), DEP_ERR_JWS_HEADER_KEY },
        { HEADER_WITH("\"something\":\"else\""), DEP_ERR_NONE },
    };

    door_headers(t, rows, DEP_COUNT(rows));
}

/* Tokens of GitHub and Entra name their certificate; whoever takes those looks at no thumbprint, and still at no address. */
DEP_TEST(A26_thumbprints_where_platforms_write_them)
{
    struct dep_jws jws;
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    d.rules.may_have_x5t = true;
    DEP_CHECK_OK(t,
                 dep_jws_parse(&d.arena, door_token(&d, HEADER_WITH("\"x5t\":\"AAAA\""), DOOR_CLAIMS), &d.rules, &jws));
    DEP_CHECK_FAIL(
        t, dep_jws_parse(&d.arena, door_token(&d, HEADER_WITH("\"x5c\":[\"AAAA\"]"), DOOR_CLAIMS), &d.rules, &jws),
        JWS_HEADER_KEY);
    DEP_CHECK_FAIL(t,
                   dep_jws_parse(&d.arena, door_token(&d, HEADER_WITH("\"x5u\":\"https://x.example\""), DOOR_CLAIMS),
                                 &d.rules, &jws),
                   JWS_HEADER_KEY);
    door_close(&d);
}

DEP_TEST(A29_kid_that_means_something_elsewhere)
{
    static const struct door_row rows[] = {
        { HEADER_KID("\"x' OR '1'='1\""), DEP_ERR_JWS_KID },
        { HEADER_KID("\"%'\""), DEP_ERR_JWS_KID },
        { HEADER_KID("\"*)(uid=*\""), DEP_ERR_JWS_KID },
        { HEADER_KID("\"../../dev/null\""), DEP_ERR_JWS_KID },
        { HEADER_KID("\"K1\""), DEP_ERR_JWS_KID },
        { HEADER_KID("\"k1 \""), DEP_ERR_JWS_KID },
        { "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", DEP_ERR_NONE }, /* none: the only key of this algorithm */
    };

    door_headers(t, rows, DEP_COUNT(rows));
}

DEP_TEST(A30_kid_that_is_no_plain_text)
{
    static const struct door_row rows[] = {
        { HEADER_KID("1"), DEP_ERR_JWS_HEADER },
        { HEADER_KID("{}"), DEP_ERR_JWS_HEADER },
        { HEADER_KID("null"), DEP_ERR_JWS_HEADER },
        { HEADER_KID("[\"k1\"]"), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"k1\\u0000\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"k1\\r\\nX: y\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"\\u001b[31m\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"\\u007f\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"\\u009b31m\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"\\u202e1k\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"\\u2066k1\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"\\u200fk1\""), DEP_ERR_JWS_HEADER },
        { HEADER_KID("\"schl\\u00fcssel\\u2014\\u2065\""), DEP_ERR_JWS_KID }, /* harmless, only unknown */
    };
    static char kid[65536];
    struct door d;

    door_headers(t, rows, DEP_COUNT(rows));
    memset(kid, 'k', sizeof(kid));
    kid[0] = kid[257] = '"';
    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_FAIL(t,
                   door_pass(&d, door_sign(&d, d.key, with_member(&d, "kid", dep_str(kid, 258)), DEP_STR(DOOR_CLAIMS))),
                   JWS_KID);
    kid[257] = 'k';
    kid[258] = '"';
    DEP_CHECK_FAIL(t,
                   door_pass(&d, door_sign(&d, d.key, with_member(&d, "kid", dep_str(kid, 259)), DEP_STR(DOOR_CLAIMS))),
                   JWS_HEADER);
    DEP_CHECK_FAIL(t, door_pass(&d, door_sign(&d, d.key, dep_str(kid, sizeof(kid)), DEP_STR(DOOR_CLAIMS))), JWS_SIZE);
    door_close(&d);
}

DEP_TEST(A37_crit)
{
    static const struct door_row rows[] = {
        { HEADER_WITH("\"crit\":[]"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"crit\":\"exp\""), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"crit\":null"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"crit\":[\"alg\"]"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"x\":1,\"crit\":[\"x\",\"x\"]"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"crit\":[\"absent\"]"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"exp\":1,\"crit\":[\"exp\"]"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"\\u0063rit\":[\"exp\"]"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"Crit\":[\"exp\"]"), DEP_ERR_NONE }, /* another member, and unknown */
    };

    door_headers(t, rows, DEP_COUNT(rows));
}

DEP_TEST(A38_b64)
{
    static const struct door_row rows[] = {
        { HEADER_WITH("\"b64\":false,\"crit\":[\"b64\"]"), DEP_ERR_JWS_CRIT },
        { HEADER_WITH("\"b64\":false"), DEP_ERR_JWS_B64 },
        { HEADER_WITH("\"b64\":true"), DEP_ERR_JWS_B64 },
    };
    struct door d;

    door_headers(t, rows, DEP_COUNT(rows));
    door_open(&d, DEP_ALG_ES256);
    /* Detached: nothing between the dots. */
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_WITH("\"b64\":false,\"crit\":[\"b64\"]"), "")), JWS_SEGMENTS);
    door_close(&d);
}

/* rfc8725bis: explicit typing. */
DEP_TEST(typ_is_the_expected_one)
{
    static const struct door_row rows[] = {
        { HEADER_TYP("\"AT+jwt\""), DEP_ERR_NONE },
        { HEADER_TYP("\"application/at+jwt\""), DEP_ERR_NONE },
        { HEADER_TYP("\"Application/AT+JWT\""), DEP_ERR_NONE },
        { HEADER_TYP("\"JWT\""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("\"at+jwt \""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("\"application/\""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("\"application/application/at+jwt\""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("\"text/at+jwt\""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("\"dpop+jwt\""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("\"token-introspection+jwt\""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("\"\""), DEP_ERR_JWS_TYP },
        { HEADER_TYP("null"), DEP_ERR_JWS_TYP },
        { HEADER_TYP("[\"at+jwt\"]"), DEP_ERR_JWS_TYP },
        { "{\"alg\":\"ES256\",\"kid\":\"k1\"}", DEP_ERR_JWS_TYP },
    };
    struct door d;

    door_headers(t, rows, DEP_COUNT(rows));
    door_open(&d, DEP_ALG_ES256);
    d.rules.may_lack_typ = true;
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, "{\"alg\":\"ES256\",\"kid\":\"k1\"}", DOOR_CLAIMS)));
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_TYP("null"), DOOR_CLAIMS)), JWS_TYP);
    DEP_CHECK_FAIL(t, door_pass(&d, door_token(&d, HEADER_TYP("\"dpop+jwt\""), DOOR_CLAIMS)), JWS_TYP);
    door_close(&d);
}

DEP_TEST(each_algorithm_signs_tokens_that_pass)
{
    static const enum dep_alg algs[] = { DEP_ALG_ES256, DEP_ALG_ED25519, DEP_ALG_RS256, DEP_ALG_PS256 };

    for (size_t i = 0; i < DEP_COUNT(algs); i++) {
        struct dep_buf buf;
        struct door d;

        door_open(&d, algs[i]);
        dep_buf_init_arena(&buf, &d.arena, 2048);
        dep_buf_put_c(&buf, "Bearer ");
        DEP_CHECK_OK(t, dep_jws_sign(d.crypto, d.key, DEP_STR("at+jwt"), DEP_STR("k1"), DEP_STR_ABSENT,
                                     DEP_STR(DOOR_CLAIMS), &buf));
        DEP_CHECK_OK(t, door_pass(&d, dep_str_sub(dep_buf_str(&buf), 7, buf.len)));
        /* Every size that is too small is a result. */
        for (size_t max = 0; max < buf.len - 7; max += 16) {
            struct dep_buf small;

            dep_buf_init_arena(&small, &d.arena, max);
            DEP_CHECK_FAIL(t,
                           dep_jws_sign(d.crypto, d.key, DEP_STR("at+jwt"), DEP_STR("k1"), DEP_STR_ABSENT,
                                        DEP_STR(DOOR_CLAIMS), &small),
                           BUF_FULL);
        }
        door_close(&d);
    }
}

DEP_TEST(a_header_is_escaped_and_bounded)
{
    static char big[8192];
    struct dep_jws jws;
    struct dep_buf buf;
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    dep_buf_init_arena(&buf, &d.arena, 4096);
    DEP_CHECK_OK(t, dep_jws_sign(d.crypto, d.key, DEP_STR("at+jwt"), DEP_STR("a\"b\\c"), door_jwk(&d, d.key),
                                 DEP_STR("{}"), &buf));
    d.rules.takes_jwk = true;
    DEP_CHECK_OK(t, dep_jws_parse(&d.arena, dep_buf_str(&buf), &d.rules, &jws));
    DEP_CHECK_STR(t, jws.kid, "a\"b\\c");
    DEP_CHECK_STR(t, jws.typ, "at+jwt");
    DEP_CHECK_STR(t, jws.payload, "{}");
    DEP_CHECK(t, jws.header->count == 4 && jws.jwk != NULL && jws.signature.len == 64);
    memset(big, 'k', sizeof(big));
    buf.len = 0;
    DEP_CHECK_FAIL(t,
                   dep_jws_sign(d.crypto, d.key, DEP_STR("at+jwt"), dep_str(big, sizeof(big)), DEP_STR_ABSENT,
                                DEP_STR("{}"), &buf),
                   BUF_FULL);
    door_close(&d);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(A02_alg_none_in_any_spelling),
        DEP_ROW(A03_alg_none_with_or_without_a_signature),
        DEP_ROW(A04_alg_of_a_wrong_type),
        DEP_ROW(A05_hmac_with_the_public_key),
        DEP_ROW(A06_hmac_with_an_empty_key),
        DEP_ROW(A07_hmac_with_the_jwk),
        DEP_ROW(A08_the_keys_algorithm_is_not_the_tokens),
        DEP_ROW(A12_signatures_of_wrong_sizes_in_tokens),
        DEP_ROW(A17_segments_that_are_not_strict_base64url),
        DEP_ROW(A18_other_numbers_of_segments),
        DEP_ROW(A19_a_million_dots),
        DEP_ROW(A22_A23_encrypted_tokens),
        DEP_ROW(A24_a_token_in_a_token),
        DEP_ROW(A25_a_key_in_the_header),
        DEP_ROW(A26_addresses_of_keys),
        DEP_ROW(A26_thumbprints_where_platforms_write_them),
        DEP_ROW(A29_kid_that_means_something_elsewhere),
        DEP_ROW(A30_kid_that_is_no_plain_text),
        DEP_ROW(A37_crit),
        DEP_ROW(A38_b64),
        DEP_ROW(typ_is_the_expected_one),
        DEP_ROW(each_algorithm_signs_tokens_that_pass),
        DEP_ROW(a_header_is_escaped_and_bounded),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

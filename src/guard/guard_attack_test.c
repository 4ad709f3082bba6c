/* Hostile tokens at the guard (attack group A at door d1, group O): 401 invalid_token, always the same words, and the
 * good twin is accepted afterwards. Rows carry their case ids. */
#include "guard/guard_fixture.h"

/* Refused as an access token; then the twin. */
static void check_hostile(struct dep_test *t, struct fixture *f, const char *what, struct dep_str token)
{
    ask_bearer(f, token);
    check_refused(t, f, what, 401, "invalid_token");
    DEP_CHECK(t, str_has(f->decision.www_authenticate,
                         "error=\"invalid_token\", error_description=\"the access token is not valid "
                         "here\""));
    ask_bearer(f, bearer_token(f));
    check_allowed(t, f, what);
}

static struct dep_str with_header(struct fixture *f, const char *header)
{
    return sign_raw(f, f->issuer, dep_str_c(header), fmt(f, "{%.*s}", DEP_STR_ARG(claims_of(f))));
}

static void check_headers(struct dep_test *t, const char *const *headers, size_t count)
{
    struct fixture f;

    set_up(&f);
    for (size_t i = 0; i < count; i++)
        check_hostile(t, &f, headers[i], with_header(&f, headers[i]));
    tear_down(&f);
}

#define H(alg, more) "{\"alg\":" alg ",\"typ\":\"at+jwt\",\"kid\":\"k1\"" more "}"

DEP_TEST(A02_A04_A08_alg)
{
    static const char *const headers[] = {
        H("\"none\"", ""),
        H("\"None\"", ""),
        H("\"NONE\"", ""),
        H("\"nOnE\"", ""),
        H("\"none \"", ""),
        H("\"\\u006eone\"", ""),
        H("null", ""),
        H("256", ""),
        H("[\"ES256\"]", ""),
        H("{}", ""),
        H("\"\"", ""),
        H("\"es256\"", ""),
        H("\"ES256K\"", ""),
        H("\"ES384\"", ""),
        H("\"HS256\"", ""),
        H("\"RS256\"", ""),
        H("\"PS256\"", ""),
        H("\"EdDSA\"", ""),
        "{\"typ\":\"at+jwt\",\"kid\":\"k1\"}",
    };

    check_headers(t, headers, DEP_COUNT(headers));
}

DEP_TEST(A25_A26_A29_A30_A37_A38_A41_header)
{
    static const char *const headers[] = {
        H("\"ES256\"", ",\"jwk\":{\"kty\":\"EC\"}"),
        H("\"ES256\"", ",\"jku\":\"http://127.0.0.1:1/jwks\""),
        H("\"ES256\"", ",\"x5u\":\"http://127.0.0.1:1/x\""),
        H("\"ES256\"", ",\"x5c\":[\"AA==\"]"),
        H("\"ES256\"", ",\"crit\":[]"),
        H("\"ES256\"", ",\"crit\":\"exp\""),
        H("\"ES256\"", ",\"crit\":[\"alg\"]"),
        H("\"ES256\"", ",\"b64\":false,\"crit\":[\"b64\"]"),
        H("\"ES256\"", ",\"alg\":\"none\""),
        H("\"ES256\"", ",\"\\u0061lg\":\"none\""),
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"x' OR '1'='1\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"*)(uid=*\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":1}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":{}}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":null}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\\u0000\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"a\\r\\n\\u001b[31m\\u202e\"}",
        /* Other kinds of JWT are no access tokens (rfc9068#4). */
        "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
        "{\"alg\":\"ES256\",\"kid\":\"k1\"}",
        "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\",\"kid\":\"k1\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt \",\"kid\":\"k1\"}",
        "[]",
        "\"x\"",
        "",
    };

    check_headers(t, headers, DEP_COUNT(headers));
}

DEP_TEST(typ_is_compared_as_a_media_type)
{
    static const char *const headers[] = {
        "{\"alg\":\"ES256\",\"typ\":\"application/at+jwt\",\"kid\":\"k1\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+JWT\",\"kid\":\"k1\"}",
    };
    struct fixture f;

    set_up(&f);
    for (size_t i = 0; i < DEP_COUNT(headers); i++) {
        ask_bearer(&f, with_header(&f, headers[i]));
        check_allowed(t, &f, headers[i]);
    }
    tear_down(&f);
}

/* Claims of which one is replaced: the name, and its value as JSON; an empty value leaves the member out. */
static struct dep_str with_claim(struct fixture *f, const char *name, const char *value)
{
    static const struct {
        const char *name, *value;
    } good[] = {
        { "iss", "\"https://as.example\"" },
        { "sub", "\"agent:A\"" },
        { "aud", "\"" RESOURCE "\"" },
        { "client_id", "\"C\"" },
        { "iat", "1799999990" },
        { "exp", "1800000290" },
        { "jti", "\"J1\"" },
        { "scope", "\"read write\"" },
    };
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &f->arena, strlen(value) + 1024);
    for (size_t i = 0; i < DEP_COUNT(good); i++) {
        const char *text = strcmp(good[i].name, name) == 0 ? value : good[i].value;

        if (text[0] == '\0')
            continue;
        dep_buf_put_c(&buf, buf.len == 0 ? "{\"" : ",\"");
        dep_buf_put_c(&buf, good[i].name);
        dep_buf_put_c(&buf, "\":");
        dep_buf_put_c(&buf, text);
    }
    dep_buf_put_char(&buf, '}');
    return sign_raw(f, f->issuer, DEP_STR(HEADER), dep_buf_str(&buf));
}

static const struct {
    const char *id, *name, *value;
} bad_claims[] = {
    { "A48", "aud", "" },
    { "A48", "aud", "\"\"" },
    { "A48", "aud", "[]" },
    { "A48", "aud", "5" },
    { "A48", "aud", "null" },
    { "A48", "aud", "[\"" RESOURCE "\",7]" },
    { "A48", "aud", "{\"a\":1}" },
    { "A48", "aud", "[[\"" RESOURCE "\"]]" },
    { "A49", "aud", "\"https://api.example\"" },
    { "A49", "aud", "\"https://api.example/mcp/\"" },
    { "A49", "aud", "\"https://api.example/mcp/x\"" },
    { "A49", "aud", "\"https://API.example/mcp\"" },
    { "A49", "aud", "\"https://api.example.evil/mcp\"" },
    { "A49", "aud", "\"https://api.example/mc\"" },
    { "A49", "aud", "\"https://api.example/%6dcp\"" },
    { "A49", "aud", "\"http://api.example/mcp\"" },
    { "A49", "aud", "\"" RESOURCE " \"" },
    { "A49", "aud", "\"x " RESOURCE "\"" },
    { "O02", "aud", "\"https://other.example/mcp\"" },
    { "O02", "aud", "[\"https://other.example/mcp\",\"https://b.example\"]" },
    { "A44", "aud", "\"" RESOURCE "\\u0000x\"" },
    { "A44", "sub", "\"agent:A\\u0000evil\"" },
    { "A44", "scope", "\"read\\u0000write\"" },
    { "A46", "exp", "" },
    { "A46", "exp", "null" },
    { "A46", "exp", "\"1800000290\"" },
    { "A46", "exp", "true" },
    { "A46", "exp", "[]" },
    { "A46", "exp", "{}" },
    { "A46", "exp", "-1" },
    { "A46", "exp", "1e308" },
    { "A47", "exp", "1800000000" },
    { "A47", "exp", "1799999999" },
    { "A47", "iat", "1800000011" },
    { "A51", "iss", "" },
    { "A51", "iss", "[\"https://as.example\"]" },
    { "A51", "iss", "\"https://as.example/\"" },
    { "A51", "iss", "\"http://as.example\"" },
    { "A51", "iss", "\"https://as.example/t2\"" },
    { "A51", "iss", "\"https://AS.example\"" },
    { "A32", "iss", "\"http://127.0.0.1:1/{x}\"" },
    { "P2", "sub", "" },
    { "P2", "sub", "\"\"" },
    { "P2", "client_id", "" },
    { "P2", "jti", "" },
    { "P2", "iat", "" },
    { "A44", "scope", "\"read  write\"" },
    { "A44", "scope", "5" },
};

DEP_TEST(A32_A44_A46_A47_A48_A49_A51_O02_claims)
{
    struct fixture f;

    set_up(&f);
    for (size_t i = 0; i < DEP_COUNT(bad_claims); i++)
        check_hostile(t, &f, bad_claims[i].value, with_claim(&f, bad_claims[i].name, bad_claims[i].value));
    tear_down(&f);
}

DEP_TEST(A47_A48_claims_at_the_bound_are_accepted)
{
    static const struct {
        const char *name, *value;
    } cases[] = {
        { "exp", "1800000001" },
        { "exp", "1800000290.5" },
        { "iat", "1800000010" },
        { "aud", "[\"" RESOURCE "\"]" },
        { "aud", "[\"https://other.example\",\"" RESOURCE "\"]" },
        { "scope", "\"write read\"" },
    };
    struct fixture f;

    set_up(&f);
    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        ask_bearer(&f, with_claim(&f, cases[i].name, cases[i].value));
        check_allowed(t, &f, cases[i].value);
    }
    tear_down(&f);
}

DEP_TEST(A41_A42_A43_A53_A55_payloads)
{
    struct fixture f;

    set_up(&f);

    struct dep_str claims = claims_of(&f);
    const struct dep_str payloads[] = {
        fmt(&f, "{%.*s,\"exp\":1800000290}", DEP_STR_ARG(claims)),
        fmt(&f, "{%.*s,\"\\u0061ud\":\"x\"}", DEP_STR_ARG(claims)),
        fmt(&f, "{%.*s,\"scope\":\"admin\"}", DEP_STR_ARG(claims)),
        DEP_STR("{\"ISS\":\"https://as.example\",\"Sub\":\"a\",\"AUD\":\"x\",\"Exp\":1800000290}"),
        fmt(&f, "\xEF\xBB\xBF{%.*s}", DEP_STR_ARG(claims)),
        fmt(&f, "{%.*s,\"x\":\"\xC0\x80\"}", DEP_STR_ARG(claims)),
        fmt(&f, "{%.*s,\"x\":\"\xED\xA0\x80\"}", DEP_STR_ARG(claims)),
        fmt(&f, "{%.*s,\"x\":\"\\ud800\"}", DEP_STR_ARG(claims)),
        fmt(&f, "{%.*s}x", DEP_STR_ARG(claims)),
        fmt(&f, "[%.*s]", DEP_STR_ARG(claims)),
        DEP_STR("null"),
        DEP_STR("{}"),
        DEP_STR(""),
    };

    for (size_t i = 0; i < DEP_COUNT(payloads); i++)
        check_hostile(t, &f, fmt(&f, "payload %zu", i).ptr, sign_raw(&f, f.issuer, DEP_STR(HEADER), payloads[i]));

    /* As deep and as long as a token may get, and beyond. */
    for (size_t len = 1000; len <= 100000; len *= 10) {
        char *deep = malloc(len + 1);

        memset(deep, '[', len);
        check_hostile(t, &f, "deep", sign_raw(&f, f.issuer, DEP_STR(HEADER), dep_str(deep, len)));
        memset(deep, '9', len);
        check_hostile(t, &f, "digits", sign_raw(&f, f.issuer, DEP_STR(HEADER), dep_str(deep, len)));
        memset(deep, ' ', len);
        check_hostile(t, &f, "blanks", sign_raw(&f, f.issuer, DEP_STR(HEADER), dep_str(deep, len)));
        free(deep);
    }
    tear_down(&f);
}

/* A token as text, changed in one place. */
static struct dep_str changed(struct fixture *f, struct dep_str token, size_t at, const char *text, size_t skip)
{
    return fmt(f, "%.*s%s%.*s", (int)at, token.ptr, text, (int)(token.len - at - skip), token.ptr + at + skip);
}

DEP_TEST(A03_A09_A10_A11_A12_signatures)
{
    struct fixture f;

    set_up(&f);

    struct dep_str token = bearer_token(&f);
    size_t dot = token.len - DEP_B64_ENCODED(64u); /* where the signature starts */
    struct dep_str unsigned_part = dep_str_sub(token, 0, dot);
    unsigned char raw[16384];
    static const size_t sizes[] = { 0, 1, 8, 63, 65, 72, 96, 128, 132, 9000 };

    check_hostile(t, &f, "by a stranger",
                  sign_raw(&f, f.stranger, DEP_STR(HEADER), fmt(&f, "{%.*s}", DEP_STR_ARG(claims_of(&f)))));
    check_hostile(t, &f, "no last dot", dep_str_sub(token, 0, dot - 1));
    check_hostile(t, &f, "one bit", changed(&f, token, dot + 5, token.ptr[dot + 5] == 'A' ? "B" : "A", 1));
    check_hostile(t, &f, "other payload", changed(&f, token, 70, token.ptr[70] == 'A' ? "B" : "A", 1));
    for (size_t i = 0; i < DEP_COUNT(sizes); i++)
        for (unsigned fill = 0; fill < 3; fill++) {
            struct dep_buf buf;

            memset(raw, fill == 0 ? 0 : fill == 1 ? 0xFF : 0x30, sizeof(raw));
            dep_buf_init_arena(&buf, &f.arena, token.len + DEP_B64_ENCODED(sizeof(raw)));
            dep_buf_put(&buf, unsigned_part);
            dep_b64url_put(&buf, raw, sizes[i]);
            ask_bearer(&f, dep_buf_str(&buf));
            check_refused(t, &f, "size", 401, "invalid_token");
        }
    /* r = 0, s = 0; r = 0, s = 1; r = 1, s = 0; r = s = n; r = s = n - 1. */
    static const unsigned char order[32] = { 0xFF, 0xFF, 0xFF, 0xFF, 0,    0,    0,    0,    0xFF, 0xFF, 0xFF,
                                             0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17,
                                             0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51 };

    for (unsigned i = 0; i < 5; i++) {
        struct dep_buf buf;

        memset(raw, 0, 64);
        raw[63] = i == 1;
        raw[31] = i == 2;
        if (i >= 3) {
            memcpy(raw, order, 32);
            memcpy(raw + 32, order, 32);
            raw[31] = raw[63] = i == 3 ? 0x51 : 0x50;
        }
        dep_buf_init_arena(&buf, &f.arena, token.len + 128);
        dep_buf_put(&buf, unsigned_part);
        dep_b64url_put(&buf, raw, 64);
        check_hostile(t, &f, "r and s", dep_buf_str(&buf));
    }
    tear_down(&f);
}

DEP_TEST(A17_A18_A19_segments)
{
    struct fixture f;

    set_up(&f);

    struct dep_str token = bearer_token(&f);
    size_t first = dep_str_find(token, '.');
    const struct dep_str tokens[] = {
        DEP_STR("a"),
        DEP_STR("a.b"),
        DEP_STR("a.b.c"),
        DEP_STR("..."),
        DEP_STR("a..b"),
        fmt(&f, "%.*s.x", DEP_STR_ARG(token)),
        fmt(&f, "%.*s.x.y.z", DEP_STR_ARG(token)),
        fmt(&f, "%.*s=", DEP_STR_ARG(token)),
        fmt(&f, "%.*s==", DEP_STR_ARG(token)),
        changed(&f, token, first + 3, "+", 1),
        changed(&f, token, first + 3, "/", 1),
        changed(&f, token, 0, "", first),
        dep_str_sub(token, 0, token.len - 1),
        fmt(&f, "%.*sA", DEP_STR_ARG(token)),
    };

    for (size_t i = 0; i < DEP_COUNT(tokens); i++)
        check_hostile(t, &f, tokens[i].ptr, tokens[i]);

    static char dots[1000002];

    memset(dots, '.', sizeof(dots));
    dots[0] = 'a';
    ask(&f, fmt(&f, "Bearer %.*s", (int)sizeof(dots), dots), DEP_STR_ABSENT);
    check_refused(t, &f, "a million dots", 401, "invalid_token");
    tear_down(&f);
}

DEP_TEST(A59_authorization_syntax)
{
    struct fixture f;

    set_up(&f);

    struct dep_str token = bearer_token(&f);
    const char *const good[] = { "Bearer %.*s", "bearer %.*s", "BEARER %.*s", "bEaReR %.*s" };
    static const struct {
        const char *value;
        int status;
    } bad[] = {
        { "Bearer", 400 },      { "Bearer ", 400 },      { "Bearer x y", 400 }, { "Bearer \tx", 400 },
        { "Bearer x,y", 400 },  { "Bearer \"x\"", 400 }, { "Bearer x=y", 400 }, { "Bearer  x", 401 },
        { "Bearer x", 401 },    { "Basic QTpC", 401 },   { "Bearerx y", 401 },  { "", 401 },
        { "Negotiate x", 401 }, { "DPoP", 400 },         { "Bearer\tx", 401 },
    };

    for (size_t i = 0; i < DEP_COUNT(good); i++) {
        char value[2048];

        (void)snprintf(value, sizeof(value),
                       i == 0   ? "Bearer %.*s"
                       : i == 1 ? "bearer %.*s"
                       : i == 2 ? "BEARER %.*s"
                                : "bEaReR %.*s",
                       DEP_STR_ARG(token));
        ask(&f, dep_str_c(value), DEP_STR_ABSENT);
        check_allowed(t, &f, good[i]);
    }
    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        ask(&f, dep_str_c(bad[i].value), DEP_STR_ABSENT);
        dep_test_check(t, !f.decision.is_allowed && f.decision.status == bad[i].status, __FILE__, __LINE__,
                       "\"%s\": %d", bad[i].value, f.decision.status);
    }
    tear_down(&f);
}

DEP_TEST(A58_two_tokens)
{
    struct fixture f;

    set_up(&f);

    struct dep_str bearer = fmt(&f, "Bearer %.*s", DEP_STR_ARG(bearer_token(&f)));
    const struct dep_header headers[] = { { DEP_STR("X-Original-Method"), DEP_STR("GET") },
                                          { DEP_STR("X-Original-URL"), DEP_STR("/mcp") },
                                          { DEP_STR("Authorization"), bearer },
                                          { DEP_STR("AUTHORIZATION"), bearer } };

    decide(&f, DEP_GUARD_AUTH_REQUEST, headers, 4);
    check_refused(t, &f, "two", 400, "invalid_request");
    decide(&f, DEP_GUARD_AUTH_REQUEST, headers, 3);
    check_allowed(t, &f, "one");
    tear_down(&f);
}

DEP_TEST(A67_many_faults_one_answer)
{
    struct fixture f;
    struct dep_str first = DEP_STR_ABSENT;

    set_up(&f);

    const struct dep_str tokens[] = {
        sign_raw(&f, f.stranger, DEP_STR(HEADER), DEP_STR("{\"iss\":\"x\",\"exp\":1,\"aud\":\"y\"}")),
        with_claim(&f, "exp", "1"),
        with_claim(&f, "aud", "\"y\""),
        with_claim(&f, "iss", "\"y\""),
        with_header(&f, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"nobody\"}"),
        DEP_STR("x"),
    };

    for (size_t i = 0; i < DEP_COUNT(tokens); i++) {
        ask_bearer(&f, tokens[i]);
        check_refused(t, &f, "fault", 401, "invalid_token");
        if (i == 0)
            first = f.decision.www_authenticate;
        DEP_CHECK(t, dep_str_eq(first, f.decision.www_authenticate));
    }
    tear_down(&f);
}

/* What the cache remembers is the signature; everything else is looked at again. */
DEP_TEST(A68_H06_H07_cached_token)
{
    struct fixture f;

    set_up(&f);
    f.seen = dep_guard_seen_new(8);

    struct dep_str token = bound_token(&f);

    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "first");
    DEP_CHECK(t, (f.decision.effects & DEP_GUARD_EFFECT_KEEP_TOKEN) != 0);
    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "from the cache");
    DEP_CHECK(t, (f.decision.effects & DEP_GUARD_EFFECT_KEEP_TOKEN) == 0);
    ask_dpop(&f, token, proof_for(&f, f.stranger, "POST", RESOURCE, token, DEP_STR_ABSENT, NOW));
    check_refused(t, &f, "another DPoP key", 401, "invalid_token");
    ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, DEP_STR("other"), DEP_STR_ABSENT, NOW));
    check_refused(t, &f, "another ath", 401, "invalid_dpop_proof");
    ask_bearer(&f, token);
    check_refused(t, &f, "as Bearer", 401, "invalid_token");
    f.policy.scopes = DEP_STR("admin");
    ask_dpop(&f, token, good_proof(&f, token));
    check_refused(t, &f, "another scope", 403, "insufficient_scope");
    f.policy.scopes = DEP_STR_ABSENT;
    f.facts.feed_silence_s = 11;
    ask_dpop(&f, token, good_proof(&f, token));
    check_refused(t, &f, "silence", 503, NULL);
    f.facts.feed_silence_s = 0;

    const struct dep_revocation entry = { DEP_REVOKED_JTI, DEP_STR("J1"), NOW, NOW + 300 };

    DEP_CHECK_OK(t, dep_revocations_add(f.revocations, &entry));
    ask_dpop(&f, token, good_proof(&f, token));
    check_refused(t, &f, "after revocation", 401, "invalid_token");
    dep_revocations_free(f.revocations);
    f.facts.revocations = f.revocations = dep_revocations_new(1);
    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "twin");
    f.now = NOW + 290;
    ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, token, DEP_STR_ABSENT, f.now));
    check_refused(t, &f, "after exp", 401, "invalid_token");
    tear_down(&f);
}

DEP_TEST(A64_key_removed)
{
    struct fixture f;

    set_up(&f);

    struct dep_str token = bearer_token(&f);

    ask_bearer(&f, token);
    check_allowed(t, &f, "before");
    dep_jwks_free(f.jwks);
    f.facts.keys = f.jwks = jwks_of(&f, f.stranger, DEP_STR("k2"));
    ask_bearer(&f, token);
    check_refused(t, &f, "removed", 401, "invalid_token");
    /* Another key under the same kid. */
    dep_jwks_free(f.jwks);
    f.facts.keys = f.jwks = jwks_of(&f, f.stranger, DEP_STR("k1"));
    ask_bearer(&f, token);
    check_refused(t, &f, "replaced", 401, "invalid_token");
    tear_down(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(A02_A04_A08_alg),
        DEP_ROW(A25_A26_A29_A30_A37_A38_A41_header),
        DEP_ROW(typ_is_compared_as_a_media_type),
        DEP_ROW(A32_A44_A46_A47_A48_A49_A51_O02_claims),
        DEP_ROW(A47_A48_claims_at_the_bound_are_accepted),
        DEP_ROW(A41_A42_A43_A53_A55_payloads),
        DEP_ROW(A03_A09_A10_A11_A12_signatures),
        DEP_ROW(A17_A18_A19_segments),
        DEP_ROW(A58_two_tokens),
        DEP_ROW(A59_authorization_syntax),
        DEP_ROW(A64_key_removed),
        DEP_ROW(A67_many_faults_one_answer),
        DEP_ROW(A68_H06_H07_cached_token),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

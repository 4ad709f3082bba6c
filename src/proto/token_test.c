/* Access tokens: claims read strictly, and what is written is read again (RFC 9068, RFC 8693 section 4.1; attack group A). */
#include "proto/world_fixture.h"

static struct world w;

static struct dep_res read_text(const char *claims, struct dep_token *ret_token)
{
    struct dep_json *json = NULL;

    dep_arena_reset(&w.arena);
    DEP_TRY(dep_json_parse(&w.arena, dep_str_c(claims), 32, &json));
    return dep_token_read(json, ret_token);
}

#define BASE "\"iss\":\"i\",\"sub\":\"s\",\"client_id\":\"c\",\"jti\":\"j\",\"iat\":1,\"exp\":2"
#define JKT "0123456789012345678901234567890123456789010" /* of 32 bytes: the two bits left over are 0 */
#define ACT4(inner) "{\"sub\":\"a\",\"act\":{\"sub\":\"b\",\"act\":{\"sub\":\"c\",\"act\":{\"sub\":\"d\"" inner "}}}}"

static const struct {
    const char *name, *claims;
    bool is_good;
} claims[] = {
    { "least", "{" BASE ",\"aud\":\"x\"}", true },
    { "list of audiences", "{" BASE ",\"aud\":[\"x\",\"y\"]}", true },
    { "no aud", "{" BASE "}", false },
    { "blank aud", "{" BASE ",\"aud\":\"\"}", false },
    { "empty list of audiences", "{" BASE ",\"aud\":[]}", false },
    { "blank in the list", "{" BASE ",\"aud\":[\"x\",\"\"]}", false },
    { "number as aud", "{" BASE ",\"aud\":5}", false },
    { "no jti", "{\"iss\":\"i\",\"sub\":\"s\",\"client_id\":\"c\",\"iat\":1,\"exp\":2,\"aud\":\"x\"}", false },
    { "blank sub", "{\"iss\":\"i\",\"sub\":\"\",\"client_id\":\"c\",\"jti\":\"j\",\"iat\":1,\"exp\":2,\"aud\":\"x\"}",
      false },
    { "no client_id", "{\"iss\":\"i\",\"sub\":\"s\",\"jti\":\"j\",\"iat\":1,\"exp\":2,\"aud\":\"x\"}", false },
    { "exp a text",
      "{\"iss\":\"i\",\"sub\":\"s\",\"client_id\":\"c\",\"jti\":\"j\",\"iat\":1,\"exp\":\"2\",\"aud\":\"x\"}", false },
    { "no exp", "{\"iss\":\"i\",\"sub\":\"s\",\"client_id\":\"c\",\"jti\":\"j\",\"iat\":1,\"aud\":\"x\"}", false },
    { "scope a list", "{" BASE ",\"aud\":\"x\",\"scope\":[\"read\"]}", false },
    { "bound", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"jkt\":\"" JKT "\"}}", true },
    { "bound to a certificate", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"" JKT "\"}}", true },
    { "B04 bound to a certificate, and to a key",
      "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"" JKT "\",\"jkt\":\"" JKT "\"}}", false },
    { "certificate, of 31 bytes",
      "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"01234567890123456789012345678901234567890A\"}}", false },
    { "certificate, bits left over",
      "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"0123456789012345678901234567890123456789012\"}}", false },
    { "certificate, padded", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"" JKT "=\"}}", false },
    { "certificate, plain base64",
      "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"+123456789012345678901234567890123456789010\"}}", false },
    { "certificate a number", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":1}}", false },
    { "certificate null", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":null}}", false },
    { "certificate blank", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"\"}}", false },
    { "certificate by SHA-1", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t\":\"" JKT "\"}}", false },
    { "B04 a key in the token", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"jwk\":{}}}", false },
    { "B04 binding a list", "{" BASE ",\"aud\":\"x\",\"cnf\":[\"" JKT "\"]}", false },
    { "B04 binding of another kind", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"x5t#S256\":\"y\"}}", false },
    { "B04 two bindings, one of another kind",
      "{" BASE ",\"aud\":\"x\",\"cnf\":{\"jkt\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"x5t#S256\":\"y\"}}",
      false },
    { "B04 empty binding", "{" BASE ",\"aud\":\"x\",\"cnf\":{}}", false },
    { "B04 null binding", "{" BASE ",\"aud\":\"x\",\"cnf\":null}", false },
    { "binding too short", "{" BASE ",\"aud\":\"x\",\"cnf\":{\"jkt\":\"abc\"}}", false },
    { "actor", "{" BASE ",\"aud\":\"x\",\"act\":{\"sub\":\"a\"}}", true },
    { "eight actors", "{" BASE ",\"aud\":\"x\",\"act\":" ACT4(",\"act\":" ACT4("")) "}", true },
    { "D06 nine actors", "{" BASE ",\"aud\":\"x\",\"act\":" ACT4(",\"act\":" ACT4(",\"act\":{\"sub\":\"e\"}")) "}",
      false },
    { "actor without sub", "{" BASE ",\"aud\":\"x\",\"act\":{\"iss\":\"a\"}}", false },
    { "actor blank", "{" BASE ",\"aud\":\"x\",\"act\":{\"sub\":\"\"}}", false },
    { "actor a text", "{" BASE ",\"aud\":\"x\",\"act\":\"a\"}", false },
    { "login", "{" BASE ",\"aud\":\"x\",\"acr\":\"a\",\"auth_time\":1}", true },
    { "acr a number", "{" BASE ",\"aud\":\"x\",\"acr\":1}", false },
    { "auth_time a text", "{" BASE ",\"aud\":\"x\",\"auth_time\":\"1\"}", false },
    { "auth_time negative", "{" BASE ",\"aud\":\"x\",\"auth_time\":-1}", false },
    { "details", "{" BASE ",\"aud\":\"x\",\"authorization_details\":[{\"type\":\"a\"}]}", true },
    { "details a text", "{" BASE ",\"aud\":\"x\",\"authorization_details\":\"[]\"}", false },
    { "details without type", "{" BASE ",\"aud\":\"x\",\"authorization_details\":[{}]}", false },
    { "lineage", "{" BASE ",\"aud\":\"x\",\"lineage\":[\"1\",\"2\"]}", true },
    { "lineage a text", "{" BASE ",\"aud\":\"x\",\"lineage\":\"1\"}", false },
    { "lineage of numbers", "{" BASE ",\"aud\":\"x\",\"lineage\":[1]}", false },
    { "lineage too long",
      "{" BASE
      ",\"aud\":\"x\",\"lineage\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\","
      "\"14\",\"15\",\"16\",\"17\"]}",
      false },
};

DEP_TEST(reads_strictly)
{
    for (size_t i = 0; i < DEP_COUNT(claims); i++) {
        struct dep_token token = { .exp = -1 };
        struct dep_res res = read_text(claims[i].claims, &token);

        dep_test_check(t, dep_is_ok(res) == claims[i].is_good, __FILE__, __LINE__, "%s: %s", claims[i].name,
                       dep_err_name(res.err));
        DEP_CHECK(t, claims[i].is_good || token.exp == -1);
    }
}

static struct dep_token full(void)
{
    return (struct dep_token){
        .iss = DEP_STR(WORLD_ISSUER),
        .sub = DEP_STR(WORLD_ROOT),
        .client_id = DEP_STR("c"),
        .jti = DEP_STR("j3"),
        .aud = { DEP_STR_INIT(WORLD_API), DEP_STR_INIT(WORLD_API2) },
        .aud_count = 2,
        .scope = DEP_STR("read write"),
        .iat = WORLD_NOW,
        .exp = WORLD_NOW + 300,
        .jkt = DEP_STR(JKT),
        .actors = { DEP_STR_INIT(WORLD_WORKER), DEP_STR_INIT(WORLD_ORCHESTRATOR) },
        .actors_count = 2,
        .lineage = { DEP_STR_INIT("j2"), DEP_STR_INIT("j1") },
        .lineage_count = 2,
        .agent_name = DEP_STR("the \"worker\""),
        .agent_version = DEP_STR("1.2"),
        .task_id = DEP_STR("T2"),
        .parent_task_id = DEP_STR("T1"),
        .org_id = DEP_STR("acme"),
        .acr = DEP_STR("urn:example:mfa"),
        .auth_time = WORLD_NOW - 60,
        .details = DEP_STR("[{\"type\":\"order\"}]"),
    };
}

static struct dep_str written(const struct dep_token *token)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &w.texts, 4096);
    dep_json_begin(&writer, &buf);
    dep_token_write(&writer, token);
    return dep_buf_str(&buf);
}

DEP_TEST(what_is_written_is_read)
{
    struct dep_token token = full(), again = { 0 };
    struct dep_str first = written(&token);
    struct dep_json *json = NULL;

    dep_arena_reset(&w.arena);
    DEP_CHECK_OK(t, dep_json_parse(&w.arena, first, 16, &json));
    DEP_CHECK_OK(t, dep_token_read(json, &again));
    DEP_CHECK(t, dep_str_eq(written(&again), first));
    DEP_CHECK(t, again.aud_count == 2 && again.actors_count == 2 && again.lineage_count == 2);
    DEP_CHECK(t, dep_str_eq(again.acr, token.acr) && again.auth_time == token.auth_time);
    DEP_CHECK(t, dep_str_eq(again.details, token.details));
    DEP_CHECK_STR(t, again.agent_name, "the \"worker\"");
    DEP_CHECK_STR(t, DEP_JSON_GET(json, "act")->raw,
                  "{\"sub\":\"" WORLD_WORKER "\",\"act\":{\"sub\":\"" WORLD_ORCHESTRATOR "\"}}");
}

DEP_TEST(a_certificate_is_written_and_read)
{
    struct dep_token token = full(), again = { 0 };
    struct dep_json *json = NULL;

    token.jkt = DEP_STR_ABSENT;
    token.x5t = DEP_STR(JKT);
    dep_arena_reset(&w.arena);
    DEP_CHECK_OK(t, dep_json_parse(&w.arena, written(&token), 16, &json));
    DEP_CHECK_STR(t, DEP_JSON_GET(json, "cnf")->raw, "{\"x5t#S256\":\"" JKT "\"}");
    DEP_CHECK_OK(t, dep_token_read(json, &again));
    DEP_CHECK(t, dep_str_eq(again.x5t, token.x5t) && dep_str_is_absent(again.jkt));
}

DEP_TEST(who_presents_and_for_whom)
{
    struct dep_token token = full();

    DEP_CHECK_STR(t, dep_token_presenter(&token), WORLD_WORKER);
    token.actors_count = 0;
    DEP_CHECK_STR(t, dep_token_presenter(&token), WORLD_ROOT);
    DEP_CHECK(t, dep_token_has_aud(&token, DEP_STR(WORLD_API2)));
    DEP_CHECK(t, !dep_token_has_aud(&token, DEP_STR("https://api2.example/")));
    DEP_CHECK(t, !dep_token_has_aud(&token, DEP_STR("")));
}

static struct dep_res check(const char *typ, const struct dep_token *token, const char *audience, int64_t now)
{
    const struct dep_token_policy policy = {
        .issuer = DEP_STR(WORLD_ISSUER), .audience = dep_str_c(audience), .algs = DEP_ALGS_ALL, .skew_s = 30
    };
    const struct dep_jwks_key *key = dep_jwks_find(w.jwks, w.kid, DEP_ALG_ES256);
    struct dep_token got;
    struct dep_jws jws;
    struct dep_str text = world_sign_text(&w, w.key, dep_str_c(typ), w.kid, written(token));

    dep_arena_reset(&w.arena);
    DEP_TRY(dep_token_open(&w.arena, text, &policy, &jws));
    return dep_token_check(&w.arena, w.crypto, &jws, key->alg, key->key, &policy, now, &got);
}

DEP_TEST(checks_what_stands_in_it)
{
    struct dep_token token = full();

    DEP_CHECK_OK(t, check("at+jwt", &token, WORLD_API, WORLD_NOW));
    DEP_CHECK_OK(t, check("at+jwt", &token, NULL, WORLD_NOW));
    DEP_CHECK_FAIL(t, check("at+jwt", &token, "https://other.example", WORLD_NOW), JWT_AUD);
    DEP_CHECK_OK(t, check("at+jwt", &token, WORLD_API, WORLD_NOW + 299));
    DEP_CHECK_FAIL(t, check("at+jwt", &token, WORLD_API, WORLD_NOW + 300), JWT_EXPIRED);
    DEP_CHECK(t, !dep_is_ok(check("JWT", &token, WORLD_API, WORLD_NOW)));      /* rfc9068#4 */
    DEP_CHECK(t, !dep_is_ok(check("dpop+jwt", &token, WORLD_API, WORLD_NOW))); /* a proof is no token */
    token.iss = DEP_STR("https://as.example.org");
    DEP_CHECK_FAIL(t, check("at+jwt", &token, WORLD_API, WORLD_NOW), JWT_ISS);
    token = full();
    token.nbf = WORLD_NOW + 31;
    DEP_CHECK(t, !dep_is_ok(check("at+jwt", &token, WORLD_API, WORLD_NOW)));
    token.nbf = WORLD_NOW + 30;
    DEP_CHECK_OK(t, check("at+jwt", &token, WORLD_API, WORLD_NOW));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(reads_strictly),
        DEP_ROW(what_is_written_is_read),
        DEP_ROW(a_certificate_is_written_and_read),
        DEP_ROW(who_presents_and_for_whom),
        DEP_ROW(checks_what_stands_in_it),
    };
    int failed;

    world_open(&w);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

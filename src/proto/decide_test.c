/* decide() for client_credentials, client authentication, introspection, revocation, DPoP at the token endpoint. */
#include "proto/world_fixture.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT

DEP_TEST(a_trace_tells_which_rows_ran)
{
    struct dep_str trace = DEP_STR("token:1000000000000000a"); /* bits 1, 3 and 64 */

    for (size_t i = 0; i < 200; i++)
        DEP_CHECK(t, dep_trace_has(trace, i) == (i == 1 || i == 3 || i == 64));
    DEP_CHECK(t, !dep_trace_has(DEP_STR("token"), 0) && !dep_trace_has(DEP_STR("token:G"), 0));
}

DEP_TEST(issues_a_token)
{
    struct outcome o = world_token(&w, 0, WORLD_API, "read", NO_PROOF);
    const struct dep_token *token = &o.decision.token;

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, token->sub, WORLD_ROOT);
    DEP_CHECK_STR(t, token->iss, WORLD_ISSUER);
    DEP_CHECK_STR(t, token->scope, "read");
    DEP_CHECK(t, token->aud_count == 1 && dep_str_eq(token->aud[0], DEP_STR(WORLD_API)));
    DEP_CHECK(t, token->exp - token->iat == 300);
    DEP_CHECK(t, o.rounds == 2 || o.rounds == 3);
    DEP_CHECK(t, o.status == 200);
}

DEP_TEST(is_byte_identical_twice)
{
    struct outcome a, b;

    w.counter = 77;
    a = world_token(&w, 0, WORLD_API, "read write", NO_PROOF);
    char first[2048];
    size_t len = a.decision.id.len + a.decision.token.jti.len;

    (void)snprintf(first, sizeof(first), "%.*s%.*s", DEP_STR_ARG(a.decision.id), DEP_STR_ARG(a.decision.token.jti));
    w.counter = 77;
    b = world_token(&w, 0, WORLD_API, "read write", NO_PROOF);
    DEP_CHECK(t, memcmp(a.decision.checks_run, b.decision.checks_run, sizeof(a.decision.checks_run)) == 0);
    DEP_CHECK(t, memcmp(first, b.decision.id.ptr, b.decision.id.len) == 0);
    DEP_CHECK(t,
              memcmp(first + b.decision.id.len, b.decision.token.jti.ptr, b.decision.token.jti.len) == 0 && len > 40);
}

static const struct {
    const char *name;
    const char *body;
    enum dep_err reason;
    enum dep_class class;
} forms[] = {
    { "no grant type", "scope=read", DEP_ERR_PARAM_MISSING, DEP_CLASS_INVALID_REQUEST },
    { "W3 empty grant type", "grant_type=&scope=read", DEP_ERR_PARAM_MISSING, DEP_CLASS_INVALID_REQUEST },
    { "O4 password grant", "grant_type=password", DEP_ERR_GRANT_UNSUPPORTED, DEP_CLASS_UNSUPPORTED_GRANT_TYPE },
    { "C27 repeated grant type", "grant_type=client_credentials&grant_type=client_credentials", DEP_ERR_PARAM_DUPLICATE,
      DEP_CLASS_INVALID_REQUEST },
    { "C27 repeated, once empty", "grant_type=client_credentials&scope=&scope=read", DEP_ERR_PARAM_DUPLICATE,
      DEP_CLASS_INVALID_REQUEST },
    { "no target", "grant_type=client_credentials&scope=read", DEP_ERR_TARGET_MISSING, DEP_CLASS_INVALID_TARGET },
    { "unknown target", "grant_type=client_credentials&resource=https://nowhere.example", DEP_ERR_TARGET_UNKNOWN,
      DEP_CLASS_INVALID_TARGET },
    { "Q1 fragment", "grant_type=client_credentials&resource=https://api.example/mcp%23x", DEP_ERR_TARGET_SYNTAX,
      DEP_CLASS_INVALID_TARGET },
    { "D04 relative", "grant_type=client_credentials&resource=/mcp", DEP_ERR_TARGET_SYNTAX, DEP_CLASS_INVALID_TARGET },
    { "one known, one not", "grant_type=client_credentials&resource=" WORLD_API "&resource=https://nowhere.example",
      DEP_ERR_TARGET_UNKNOWN, DEP_CLASS_INVALID_TARGET },
    { "scope not at every target",
      "grant_type=client_credentials&resource=" WORLD_API "&resource=" WORLD_API2 "&scope=write", DEP_ERR_SCOPE_CEILING,
      DEP_CLASS_INVALID_SCOPE },
    { "D03 two blanks", "grant_type=client_credentials&resource=" WORLD_API "&scope=read++write", DEP_ERR_SCOPE_SYNTAX,
      DEP_CLASS_INVALID_SCOPE },
    { "D03 twice the same", "grant_type=client_credentials&resource=" WORLD_API "&scope=read+read",
      DEP_ERR_SCOPE_SYNTAX, DEP_CLASS_INVALID_SCOPE },
    { "unknown scope", "grant_type=client_credentials&resource=" WORLD_API "&scope=admin", DEP_ERR_SCOPE_CEILING,
      DEP_CLASS_INVALID_SCOPE },
    { "delegation across organisations", "grant_type=client_credentials&audience=" WORLD_STRANGER "&scope=read",
      DEP_ERR_TARGET_FORBIDDEN, DEP_CLASS_INVALID_TARGET },
    { "delegation to oneself", "grant_type=client_credentials&audience=" WORLD_ROOT "&scope=read",
      DEP_ERR_TARGET_FORBIDDEN, DEP_CLASS_INVALID_TARGET },
    { "delegation without a scope", "grant_type=client_credentials&audience=" WORLD_WORKER, DEP_ERR_SCOPE_NONE,
      DEP_CLASS_INVALID_SCOPE },
    { "issuer and resource mixed", "grant_type=client_credentials&audience=" WORLD_ISSUER "&resource=" WORLD_API,
      DEP_ERR_TARGET_MIXED, DEP_CLASS_INVALID_TARGET },
    { "task with a blank", "grant_type=client_credentials&resource=" WORLD_API "&task_id=a+b", DEP_ERR_TASK_SYNTAX,
      DEP_CLASS_INVALID_REQUEST },
    { "two secrets", "grant_type=client_credentials&resource=" WORLD_API "&client_secret=x", DEP_ERR_CLIENT_TWO_METHODS,
      DEP_CLASS_INVALID_REQUEST },
    { "C03 another client_id", "grant_type=client_credentials&resource=" WORLD_API "&client_id=somebody",
      DEP_ERR_CLIENT_ID_MISMATCH, DEP_CLASS_INVALID_CLIENT },
    { "scope with the issuer", "grant_type=client_credentials&scope=read&resource=" WORLD_ISSUER, DEP_ERR_SCOPE_CEILING,
      DEP_CLASS_INVALID_SCOPE },
};

DEP_TEST(refuses_bad_forms)
{
    for (size_t i = 0; i < DEP_COUNT(forms); i++) {
        struct outcome o = world_post(&w, DEP_ENDPOINT_TOKEN, 0, forms[i].body, NO_PROOF);

        dep_test_check(t,
                       o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == forms[i].reason &&
                           o.decision.class == forms[i].class,
                       __FILE__, __LINE__, "%s: got %s", forms[i].name, dep_err_name(o.decision.reason));
        for (size_t k = 0; k < o.decision.effects_count; k++)
            DEP_CHECK(t, !dep_effect_gives(o.decision.effects[k].kind));
    }
    DEP_CHECK_ISSUED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF));
}

DEP_TEST(unknown_parameters_are_ignored)
{
    struct outcome o = world_post(
        &w, DEP_ENDPOINT_TOKEN, 0,
        "grant_type=client_credentials&resource=" WORLD_API "&scope=read&act=x&sub=y&cnf=z&tenant=q", NO_PROOF);

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.sub, WORLD_ROOT);
}

static struct outcome run_with(const char *method, const char *type, struct dep_str authorization, const char *body)
{
    struct dep_header headers[2] = { { DEP_STR("content-type"), dep_str_c(type) },
                                     { DEP_STR("AUTHORIZATION"), authorization } };
    const struct dep_request request = {
        .endpoint = DEP_ENDPOINT_TOKEN,
        .method = dep_str_c(method),
        .path = DEP_STR("/oauth/token"),
        .peer = DEP_STR("192.0.2.1"),
        .body = dep_str_c(body),
        .headers = headers,
        .headers_count = dep_str_is_absent(authorization) ? 1 : 2,
    };

    return world_run(&w, &request);
}

#define FORM "application/x-www-form-urlencoded"
#define GOOD "grant_type=client_credentials&scope=read&resource=" WORLD_API

DEP_TEST(authenticates_clients)
{
    struct dep_str good = world_basic(&w, w.client_ids[0], WORLD_SECRET);

    DEP_CHECK_ISSUED(t, run_with("POST", FORM, good, GOOD));
    DEP_CHECK_REFUSED(t, run_with("POST", FORM, DEP_STR_ABSENT, GOOD), CLIENT_NO_AUTH, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, run_with("POST", FORM, world_basic(&w, w.client_ids[0], "wrong"), GOOD), CLIENT_SECRET,
                      INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, run_with("POST", FORM, world_basic(&w, w.client_ids[0], ""), GOOD), CLIENT_SECRET,
                      INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, run_with("POST", FORM, world_basic(&w, "nobody", WORLD_SECRET), GOOD), CLIENT_UNKNOWN,
                      INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, run_with("POST", FORM, DEP_STR("Bearer abc"), GOOD), CLIENT_BASIC, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, run_with("POST", FORM, DEP_STR("Basic !!!"), GOOD), CLIENT_BASIC, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, run_with("GET", FORM, good, GOOD), HTTP_METHOD, METHOD);
    DEP_CHECK_REFUSED(t, run_with("POST", "application/json", good, "{}"), HTTP_MEDIA_TYPE, INVALID_REQUEST);
}

DEP_TEST(counts_wrong_secrets_and_locks)
{
    struct outcome o = run_with("POST", FORM, world_basic(&w, w.client_ids[0], "wrong"), GOOD);

    DEP_CHECK(t, o.decision.effects_count == 1 && o.decision.effects[0].kind == DEP_EFFECT_COUNT_FAILURE);
    w.locked_until = WORLD_NOW + 10;
    o = run_with("POST", FORM, world_basic(&w, w.client_ids[0], WORLD_SECRET), GOOD);
    DEP_CHECK_REFUSED(t, o, CLIENT_LOCKED, RATE_LIMITED);
    DEP_CHECK(t, o.decision.retry_after_s == 10);
    w.locked_until = 0;
    DEP_CHECK_ISSUED(t, run_with("POST", FORM, world_basic(&w, w.client_ids[0], WORLD_SECRET), GOOD));
}

DEP_TEST(refuses_clients_whose_state_forbids)
{
    w.clients[0].is_enabled = false;
    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF), CLIENT_DISABLED, INVALID_CLIENT);
    w.clients[0].is_enabled = true;
    w.agents[0].effective_state = DEP_STATE_SUSPENDED;
    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF), CLIENT_AGENT_STATE, INVALID_CLIENT);
    w.agents[0].effective_state = DEP_STATE_ACTIVE;
    w.clients[0].grants = DEP_GRANT_TOKEN_EXCHANGE;
    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF), CLIENT_GRANT, UNAUTHORIZED_CLIENT);
    w.clients[0].grants |= DEP_GRANT_CLIENT_CREDENTIALS;
    w.clients[0].secrets[0].expires = WORLD_NOW;
    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF), CLIENT_SECRET_EXPIRED, INVALID_CLIENT);
    w.clients[0].secrets[0].expires = 0;
    DEP_CHECK_ISSUED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF));
}

DEP_TEST(two_live_secrets)
{
    w.clients[0].secrets[1] = w.clients[0].secrets[0];
    dep_sha256(w.crypto, DEP_STR("the other one"), w.clients[0].secrets[0].hash);
    w.clients[0].secrets_count = 2;
    DEP_CHECK_ISSUED(t, run_with("POST", FORM, world_basic(&w, w.client_ids[0], WORLD_SECRET), GOOD));
    DEP_CHECK_ISSUED(t, run_with("POST", FORM, world_basic(&w, w.client_ids[0], "the other one"), GOOD));
    w.clients[0].secrets[0] = w.clients[0].secrets[1];
    w.clients[0].secrets_count = 1;
}

DEP_TEST(binds_to_the_proof_key)
{
    struct dep_str proof = world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT);
    struct outcome o = world_token(&w, 0, WORLD_API, "read", proof);

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.jkt.len == DEP_JKT_LEN);
    /* B25: the same proof again */
    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "read", proof), DPOP_REPLAY, INVALID_DPOP_PROOF);
    DEP_CHECK_ISSUED(
        t, world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.other_proof_key, WORLD_NOW, DEP_STR_ABSENT)));
}

DEP_TEST(B20_window_of_iat)
{
    DEP_CHECK_ISSUED(
        t, world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW - 60, DEP_STR_ABSENT)));
    DEP_CHECK_ISSUED(
        t, world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW + 10, DEP_STR_ABSENT)));
    DEP_CHECK_REFUSED(
        t, world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW - 61, DEP_STR_ABSENT)),
        DPOP_IAT, INVALID_DPOP_PROOF);
    DEP_CHECK_REFUSED(
        t, world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW + 11, DEP_STR_ABSENT)),
        DPOP_IAT, INVALID_DPOP_PROOF);
}

DEP_TEST(B31_a_refused_request_uses_nothing_up)
{
    struct dep_str proof = world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT);

    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "admin", proof), SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_ISSUED(t, world_token(&w, 0, WORLD_API, "read", proof));
}

DEP_TEST(B38_nonces)
{
    struct dep_str nonce;
    struct outcome o;

    w.policy.dpop.needs_nonce = true;
    o = world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT));
    DEP_CHECK_REFUSED(t, o, DPOP_NONCE_MISSING, USE_DPOP_NONCE);
    DEP_CHECK(t, o.decision.nonce.len == DEP_NONCE_LEN);
    nonce = world_keep(&w, o.decision.nonce);
    o = world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW, nonce));
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.nonce.len == DEP_NONCE_LEN); /* rfc9449#8.2: the next one, with the token */
    o = world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR("bm90IG9uZSBvZiBvdXJz")));
    DEP_CHECK_REFUSED(t, o, DPOP_NONCE, USE_DPOP_NONCE);
    w.policy.dpop.needs_nonce = false;
}

/* Where nonces are not demanded, the next one comes when the one in use is in its last window, and not before. */
DEP_TEST(nonces_are_renewed_before_they_end)
{
    static const struct {
        int64_t age_s;
        bool is_renewed;
    } cases[] = { { 0, false }, { 59, false }, { 60, true }, { 119, true } };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_str nonce = dep_nonce_make(&w.texts, w.crypto, w.policy.dpop.nonce, WORLD_NOW - cases[i].age_s);
        struct outcome o = world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW, nonce));

        DEP_CHECK_ISSUED(t, o);
        DEP_CHECK(t, (o.decision.nonce.len == DEP_NONCE_LEN) == cases[i].is_renewed);
    }
    DEP_CHECK(t, dep_str_is_absent(world_token(&w, 0, WORLD_API, "read", NO_PROOF).decision.nonce));
}

DEP_TEST(B27_the_fence_after_a_restart)
{
    struct dep_str nonce;
    struct outcome o;

    w.policy.fence = w.policy.dpop.fence = WORLD_NOW - 1;
    o = world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT));
    DEP_CHECK_REFUSED(t, o, DPOP_FENCE, USE_DPOP_NONCE);
    nonce = world_keep(&w, o.decision.nonce);
    DEP_CHECK_ISSUED(t, world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW, nonce)));
    w.policy.fence = w.policy.dpop.fence = 0;
    DEP_CHECK_ISSUED(t, world_token(&w, 0, WORLD_API, "read", world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT)));
}

DEP_TEST(B01_clients_and_resources_that_want_proofs)
{
    w.clients[0].needs_dpop = true;
    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF), DPOP_REQUIRED, INVALID_DPOP_PROOF);
    w.clients[0].needs_dpop = false;
    w.resources[0].needs_dpop = true;
    DEP_CHECK_REFUSED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF), DPOP_REQUIRED, INVALID_DPOP_PROOF);
    w.resources[0].needs_dpop = false;
    DEP_CHECK_ISSUED(t, world_token(&w, 0, WORLD_API, "read", NO_PROOF));
}

static struct outcome introspect(size_t client, struct dep_str token)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "token=%.*s", DEP_STR_ARG(token));
    return world_post(&w, DEP_ENDPOINT_INTROSPECT, client, body, NO_PROOF);
}

static struct outcome revoke(size_t client, struct dep_str token)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "token=%.*s", DEP_STR_ARG(token));
    return world_post(&w, DEP_ENDPOINT_REVOKE, client, body, NO_PROOF);
}

DEP_TEST(introspects_and_revokes)
{
    size_t guard = WORLD_AGENTS; /* the resource server's client */
    struct dep_str token = world_token(&w, 0, WORLD_API, "read", NO_PROOF).token;
    struct dep_str other = world_token(&w, 0, WORLD_API2, "read", NO_PROOF).token;
    struct outcome o = introspect(guard, token);

    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_ACTIVE);
    o = introspect(guard, other); /* H02: not its audience */
    DEP_CHECK_REFUSED(t, o, TOKEN_INACTIVE, INACTIVE);
    DEP_CHECK_STR(t, o.body, "{\"active\":false}");
    DEP_CHECK_REFUSED(t, introspect(guard, DEP_STR("garbage")), TOKEN_INACTIVE, INACTIVE);
    DEP_CHECK_REFUSED(t, revoke(1, token), TOKEN_NOT_YOURS, UNAUTHORIZED_CLIENT); /* H08 */
    DEP_CHECK(t, introspect(guard, token).decision.answer == DEP_ANSWER_ACTIVE);
    DEP_CHECK(t, revoke(0, DEP_STR("garbage")).decision.answer == DEP_ANSWER_EMPTY); /* H09 */
    DEP_CHECK(t, revoke(0, token).decision.answer == DEP_ANSWER_EMPTY);
    DEP_CHECK_REFUSED(t, introspect(guard, token), TOKEN_INACTIVE, INACTIVE);
    DEP_CHECK(t, introspect(guard, world_token(&w, 0, WORLD_API, "read", NO_PROOF).token).decision.answer ==
                     DEP_ANSWER_ACTIVE);
}

/* Every limit of the arena is a refusal or a result, never a crash, until the request fits. */
/* rfc8414#3.1: the well-known part goes before the issuer's path; only OpenID Connect's name is also found behind it. */
DEP_TEST(finds_endpoints_below_the_issuers_path)
{
    static const struct {
        const char *path, *issuer_path;
        enum dep_endpoint endpoint;
    } table[] = {
        { "/.well-known/oauth-authorization-server", "", DEP_ENDPOINT_METADATA },
        { "/.well-known/openid-configuration", "", DEP_ENDPOINT_METADATA },
        { "/.well-known/jwks.json", "", DEP_ENDPOINT_JWKS },
        { "/oauth/token", "", DEP_ENDPOINT_TOKEN },
        { "/.well-known/oauth-authorization-server/t", "", DEP_ENDPOINT_NONE },
        { "/.well-known/oauth-authorization-server/", "", DEP_ENDPOINT_NONE },
        { "/t/oauth/token", "", DEP_ENDPOINT_NONE },
        { "", "", DEP_ENDPOINT_NONE },
        { "/.well-known/oauth-authorization-server/t", "/t", DEP_ENDPOINT_METADATA },
        { "/.well-known/openid-configuration/t", "/t", DEP_ENDPOINT_METADATA },
        { "/t/.well-known/openid-configuration", "/t", DEP_ENDPOINT_METADATA },
        { "/t/.well-known/oauth-authorization-server", "/t", DEP_ENDPOINT_NONE },
        { "/.well-known/oauth-authorization-server", "/t", DEP_ENDPOINT_NONE },
        { "/.well-known/openid-configuration", "/t", DEP_ENDPOINT_NONE },
        { "/.well-known/oauth-authorization-server/tt", "/t", DEP_ENDPOINT_NONE },
        { "/.well-known/oauth-authorization-server/t/", "/t", DEP_ENDPOINT_NONE },
        { "/.well-known/oauth-authorization-servert", "/t", DEP_ENDPOINT_NONE },
        { "/t/.well-known/jwks.json", "/t", DEP_ENDPOINT_JWKS },
        { "/.well-known/jwks.json", "/t", DEP_ENDPOINT_NONE },
        { "/t/oauth/token", "/t", DEP_ENDPOINT_TOKEN },
        { "/t/oauth/introspect", "/t", DEP_ENDPOINT_INTROSPECT },
        { "/t/oauth/revoke", "/t", DEP_ENDPOINT_REVOKE },
        { "/oauth/token", "/t", DEP_ENDPOINT_NONE },
        { "/tt/oauth/token", "/t", DEP_ENDPOINT_NONE },
        { "/T/oauth/token", "/t", DEP_ENDPOINT_NONE },
        { "/t/t/oauth/token", "/t", DEP_ENDPOINT_NONE },
        { "/t", "/t", DEP_ENDPOINT_NONE },
        { "/.well-known/oauth-authorization-server/a/b", "/a/b", DEP_ENDPOINT_METADATA },
        { "/a/b/.well-known/openid-configuration", "/a/b", DEP_ENDPOINT_METADATA },
        { "/a/.well-known/openid-configuration/b", "/a/b", DEP_ENDPOINT_NONE },
        { "/a/b/oauth/token", "/a/b", DEP_ENDPOINT_TOKEN },
    };

    for (size_t i = 0; i < DEP_COUNT(table); i++)
        dep_test_check(t,
                       dep_endpoint_of(dep_str_c(table[i].path), dep_str_c(table[i].issuer_path)) == table[i].endpoint,
                       __FILE__, __LINE__, "\"%s\" of issuer path \"%s\"", table[i].path, table[i].issuer_path);
}

DEP_TEST(sweeps_the_arena)
{
    struct dep_str proof = world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT);
    struct dep_arena whole = w.arena;
    struct dep_header headers[3] = {
        { DEP_STR("Content-Type"), DEP_STR(FORM) },
        { DEP_STR("Authorization"), world_basic(&w, w.client_ids[0], WORLD_SECRET) },
        { DEP_STR("DPoP"), proof },
    };
    const struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                         .method = DEP_STR("POST"),
                                         .path = DEP_STR("/oauth/token"),
                                         .body = DEP_STR(GOOD),
                                         .headers = headers,
                                         .headers_count = 3 };
    bool has_issued = false;
    size_t limit;

    for (limit = 0; limit <= 1 << 20 && !has_issued; limit += limit < 65536 ? 16 : 4096) {
        struct dep_facts facts = { .revocations = w.revocations };
        unsigned char random[DEP_RANDOM_LEN] = { 1 };
        struct dep_decision decision;
        struct dep_res res = DEP_OK;

        dep_arena_init_debug(&w.arena, limit);
        for (unsigned round = 0; round < DEP_ROUNDS_MAX && dep_is_ok(res); round++) {
            res = dep_decide(&w.arena, w.crypto, &w.policy, &request, &facts, WORLD_NOW, random, &decision);
            if (!dep_is_ok(res) || decision.needs_count == 0)
                break;
            for (size_t i = 0; i < decision.needs_count; i++)
                facts.items[facts.count++] = (struct dep_fact){ decision.needs[i], world_load(&w, &decision.needs[i]) };
        }
        has_issued = dep_is_ok(res) && decision.answer == DEP_ANSWER_TOKEN;
        dep_arena_reset(&w.arena);
    }
    w.arena = whole;
    DEP_CHECK(t, has_issued);
    DEP_CHECK(t, limit > 1024);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_trace_tells_which_rows_ran),
        DEP_ROW(issues_a_token),
        DEP_ROW(is_byte_identical_twice),
        DEP_ROW(refuses_bad_forms),
        DEP_ROW(unknown_parameters_are_ignored),
        DEP_ROW(authenticates_clients),
        DEP_ROW(counts_wrong_secrets_and_locks),
        DEP_ROW(refuses_clients_whose_state_forbids),
        DEP_ROW(two_live_secrets),
        DEP_ROW(binds_to_the_proof_key),
        DEP_ROW(B20_window_of_iat),
        DEP_ROW(B31_a_refused_request_uses_nothing_up),
        DEP_ROW(B38_nonces),
        DEP_ROW(nonces_are_renewed_before_they_end),
        DEP_ROW(B27_the_fence_after_a_restart),
        DEP_ROW(B01_clients_and_resources_that_want_proofs),
        DEP_ROW(introspects_and_revokes),
        DEP_ROW(finds_endpoints_below_the_issuers_path),
        DEP_ROW(sweeps_the_arena),
    };
    int failed;

    world_open(&w);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

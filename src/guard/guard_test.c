/* Every row of the guard's table: one request that passes it and one that it refuses; and what the answers look like.
 * */
#include "guard/guard_fixture.h"

/* One good request of each kind passes every row; each case below refuses at exactly one. */
DEP_TEST(good_requests_pass_every_row)
{
    struct fixture f;

    set_up(&f);
    ask_bearer(&f, bearer_token(&f));
    check_allowed(t, &f, "bearer");
    DEP_CHECK(t, f.decision.rows_run == dep_guard_row_count() && f.decision.check == NULL);
    DEP_CHECK(t, f.decision.effects == (DEP_GUARD_EFFECT_AUDIT | DEP_GUARD_EFFECT_KEEP_TOKEN));

    struct dep_str token = bound_token(&f);

    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "DPoP");
    DEP_CHECK(t, (f.decision.effects & DEP_GUARD_EFFECT_REMEMBER_JTI) != 0 && f.decision.replay_until == NOW + 70);
    tear_down(&f);
}

static void no_keys(struct fixture *f)
{
    f->facts.keys = NULL;
}
static void silent_feed(struct fixture *f)
{
    f->facts.feed_silence_s = 11;
}
static void feed_at_the_bound(struct fixture *f)
{
    f->facts.feed_silence_s = 10;
}
static void no_feed(struct fixture *f)
{
    f->facts.revocations = NULL;
}
static void broken_audit(struct fixture *f)
{
    f->facts.is_audit_broken = true;
}
static void seen_proof(struct fixture *f)
{
    f->facts.replay = DEP_FAIL(REPLAY_SEEN);
}
static void full_replay(struct fixture *f)
{
    f->facts.replay = DEP_FAIL(REPLAY_FULL);
}
static void needs_write_and_admin(struct fixture *f)
{
    f->policy.scopes = DEP_STR("write admin");
}
static void needs_both(struct fixture *f)
{
    f->policy.scopes = DEP_STR("write read");
}
static void needs_dpop(struct fixture *f)
{
    f->policy.needs_dpop = true;
}
static void needs_nonce(struct fixture *f)
{
    f->policy.dpop.needs_nonce = true;
}
static void started_now(struct fixture *f)
{
    f->policy.dpop.fence = NOW;
}
static void after_exp(struct fixture *f)
{
    f->now = NOW + 290;
}
static void before_exp(struct fixture *f)
{
    f->now = NOW + 289;
}
static void revoked(struct fixture *f)
{
    const struct dep_revocation entry = { DEP_REVOKED_AGENT, DEP_STR("agent:A"), NOW, NOW + 300 };

    (void)dep_is_ok(dep_revocations_add(f->revocations, &entry));
}
static void other_revoked(struct fixture *f)
{
    const struct dep_revocation entry = { DEP_REVOKED_AGENT, DEP_STR("agent:B"), NOW, NOW + 300 };

    (void)dep_is_ok(dep_revocations_add(f->revocations, &entry));
}

enum how { BEARER, DPOP, BOUND_AS_BEARER, BEARER_AS_DPOP, NOTHING, BASIC, DPOP_NO_PROOF, STRANGER, OF_CERTIFICATE };

static void ask_how(struct fixture *f, enum how how)
{
    struct dep_str bearer = bearer_token(f), bound = bound_token(f);

    switch (how) {
    case BEARER:
        ask_bearer(f, bearer);
        break;
    case DPOP:
        ask_dpop(f, bound, proof_for(f, f->client, "POST", RESOURCE, bound, DEP_STR_ABSENT, f->now));
        break;
    case BOUND_AS_BEARER:
        ask(f, fmt(f, "Bearer %.*s", DEP_STR_ARG(bound)), good_proof(f, bound));
        break;
    case BEARER_AS_DPOP:
        ask_dpop(f, bearer, good_proof(f, bearer));
        break;
    case NOTHING:
        ask(f, DEP_STR_ABSENT, DEP_STR_ABSENT);
        break;
    case BASIC:
        ask(f, DEP_STR("Basic QTpC"), DEP_STR_ABSENT);
        break;
    case DPOP_NO_PROOF:
        ask_dpop(f, bound, DEP_STR_ABSENT);
        break;
    case STRANGER:
        ask_dpop(f, bound, proof_for(f, f->stranger, "POST", RESOURCE, bound, DEP_STR_ABSENT, f->now));
        break;
    case OF_CERTIFICATE:
        ask_bearer(f, token_with(f, ",\"cnf\":{\"x5t#S256\":\"0123456789012345678901234567890123456789010\"}"));
        break;
    }
}

DEP_TEST(each_row_passes_one_and_refuses_one)
{
    static const struct {
        void (*change)(struct fixture *f);
        enum how how;
        const char *row; /* NULL: allowed */
        int status;
        const char *error;
        enum dep_err reason;
    } cases[] = {
        { broken_audit, BEARER, "audit.writable", 503, NULL, DEP_ERR_AUDIT_IO },
        { broken_audit, NOTHING, "audit.writable", 503, NULL, DEP_ERR_AUDIT_IO },
        { NULL, NOTHING, "credentials.present", 401, NULL, DEP_ERR_TOKEN_ABSENT },
        { NULL, BASIC, "credentials.scheme", 401, NULL, DEP_ERR_TOKEN_SCHEME },
        { no_keys, BEARER, "keys.known", 503, NULL, DEP_ERR_KEYS_MISSING },
        { silent_feed, BEARER, "feed.alive", 503, NULL, DEP_ERR_FEED_STALE },
        { no_feed, BEARER, "feed.alive", 503, NULL, DEP_ERR_FEED_STALE },
        { feed_at_the_bound, BEARER, NULL, 200, NULL, DEP_ERR_NONE },
        { after_exp, BEARER, "token.verifies", 401, "invalid_token", DEP_ERR_JWT_EXPIRED },
        { before_exp, BEARER, NULL, 200, NULL, DEP_ERR_NONE },
        { revoked, BEARER, "token.alive", 401, "invalid_token", DEP_ERR_TOKEN_REVOKED },
        { revoked, DPOP, "token.alive", 401, "invalid_token", DEP_ERR_TOKEN_REVOKED },
        { other_revoked, BEARER, NULL, 200, NULL, DEP_ERR_NONE },
        { NULL, BOUND_AS_BEARER, "token.scheme", 401, "invalid_token", DEP_ERR_TOKEN_BOUND_AS_BEARER },
        { NULL, BEARER_AS_DPOP, "token.scheme", 401, "invalid_token", DEP_ERR_TOKEN_NOT_BOUND },
        { NULL, OF_CERTIFICATE, "token.certificate", 401, "invalid_token", DEP_ERR_GUARD_CERTIFICATE },
        { needs_dpop, BEARER, "token.bound", 401, "invalid_token", DEP_ERR_GUARD_UNBOUND },
        { needs_dpop, DPOP, NULL, 200, NULL, DEP_ERR_NONE },
        { NULL, DPOP_NO_PROOF, "proof.valid", 401, "invalid_dpop_proof", DEP_ERR_DPOP_REQUIRED },
        { NULL, STRANGER, "proof.valid", 401, "invalid_token", DEP_ERR_TOKEN_BINDING },
        { needs_nonce, DPOP, "proof.valid", 401, "use_dpop_nonce", DEP_ERR_DPOP_NONCE_MISSING },
        { started_now, DPOP, "proof.valid", 401, "use_dpop_nonce", DEP_ERR_DPOP_FENCE },
        { needs_write_and_admin, BEARER, "token.scope", 403, "insufficient_scope", DEP_ERR_TOKEN_SCOPE },
        { needs_both, BEARER, NULL, 200, NULL, DEP_ERR_NONE },
        { seen_proof, DPOP, "proof.new", 401, "invalid_dpop_proof", DEP_ERR_DPOP_REPLAY },
        { full_replay, DPOP, "proof.new", 503, NULL, DEP_ERR_REPLAY_FULL },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct fixture f;

        set_up(&f);
        if (cases[i].change != NULL)
            cases[i].change(&f);
        ask_how(&f, cases[i].how);
        if (cases[i].row == NULL) {
            check_allowed(t, &f, "case");
        } else {
            check_refused(t, &f, cases[i].row, cases[i].status, cases[i].error);
            DEP_CHECK_STR(t, dep_str_c(f.decision.check), cases[i].row);
            DEP_CHECK(t, f.decision.reason == cases[i].reason);
            DEP_CHECK(t, (f.decision.effects & DEP_GUARD_EFFECT_REMEMBER_JTI) == 0);
            DEP_CHECK(t, (f.decision.status == 503) == (f.decision.retry_after_s > 0));
        }
        tear_down(&f);
    }
}

static void refuse_with(struct dep_test *t, struct fixture *f, const struct dep_header *headers, size_t count,
                        const char *row, int status)
{
    decide(f, DEP_GUARD_FORWARD_AUTH, headers, count);
    DEP_CHECK_STR(t, dep_str_c(f->decision.check), row);
    DEP_CHECK(t, f->decision.status == status);
}

DEP_TEST(headers_and_origin)
{
    struct fixture f;

    set_up(&f);

    struct dep_str bearer = fmt(&f, "Bearer %.*s", DEP_STR_ARG(bearer_token(&f)));
    const struct dep_header good[] = { { DEP_STR("X-Forwarded-Method"), DEP_STR("GET") },
                                       { DEP_STR("X-Forwarded-Uri"), DEP_STR("/mcp") },
                                       { DEP_STR("Authorization"), bearer } };
    const struct dep_header twice[] = { good[0], good[1], good[2], { DEP_STR("authorization"), bearer } };
    const struct dep_header methods[] = {
        good[0], good[1], good[2], { DEP_STR("X-FORWARDED-METHOD"), DEP_STR("GET") }
    };
    const struct dep_header hosts[] = { good[0],
                                        good[1],
                                        good[2],
                                        { DEP_STR("X-Forwarded-Host"), DEP_STR("a") },
                                        { DEP_STR("X-Forwarded-Host"), DEP_STR("b") } };
    const struct dep_header bare[] = { good[2] };
    /* What another adapter reads is not read here (G1). */
    const struct dep_header foreign[] = { { DEP_STR("X-Original-Method"), DEP_STR("GET") },
                                          { DEP_STR("X-Original-URL"), DEP_STR("/mcp") },
                                          good[2] };

    decide(&f, DEP_GUARD_FORWARD_AUTH, good, DEP_COUNT(good));
    check_allowed(t, &f, "good");
    refuse_with(t, &f, twice, DEP_COUNT(twice), "headers.once", 400);
    refuse_with(t, &f, methods, DEP_COUNT(methods), "headers.once", 400);
    refuse_with(t, &f, hosts, DEP_COUNT(hosts), "headers.once", 400);
    refuse_with(t, &f, bare, DEP_COUNT(bare), "origin.known", 400);
    refuse_with(t, &f, foreign, DEP_COUNT(foreign), "origin.known", 400);
    tear_down(&f);
}

DEP_TEST(challenges)
{
    struct fixture f;

    set_up(&f);
    ask_how(&f, NOTHING);
    DEP_CHECK_STR(
        t, f.decision.www_authenticate,
        "Bearer scope=\"read\", resource_metadata=\"https://api.example/.well-known/oauth-protected-resource/mcp\", "
        "DPoP scope=\"read\", resource_metadata=\"https://api.example/.well-known/oauth-protected-resource/mcp\", "
        "algs=\"ES256 EdDSA\"");
    f.policy.scopes = DEP_STR("admin read");
    ask_how(&f, BEARER);
    DEP_CHECK(t, dep_str_starts(f.decision.www_authenticate, DEP_STR("Bearer error=\"insufficient_scope\"")));
    DEP_CHECK(t, str_has(f.decision.www_authenticate, "scope=\"admin read\"") &&
                     str_has(f.decision.www_authenticate, "resource_metadata=\"https://"));
    f.policy.dpop.needs_nonce = true;
    ask_how(&f, DPOP);
    DEP_CHECK(t, dep_str_starts(f.decision.www_authenticate, DEP_STR("DPoP error=\"use_dpop_nonce\"")));
    DEP_CHECK(t, f.decision.dpop_nonce.len == DEP_NONCE_LEN && !str_has(f.decision.www_authenticate, "Bearer"));
    f.policy.needs_dpop = true;
    ask_how(&f, NOTHING);
    DEP_CHECK(t, dep_str_starts(f.decision.www_authenticate, DEP_STR("DPoP ")));
    f.facts.keys = NULL;
    ask_how(&f, DPOP);
    DEP_CHECK(t, dep_str_is_absent(f.decision.www_authenticate) && f.decision.retry_after_s == 1);
    tear_down(&f);
}

DEP_TEST(bodies_are_problem_documents)
{
    struct fixture f;
    struct dep_json *json = NULL;
    struct dep_buf buf;

    set_up(&f);
    ask_how(&f, BOUND_AS_BEARER);
    dep_buf_init_arena(&buf, &f.arena, 1024);
    dep_guard_put_body(&buf, &f.decision);
    DEP_CHECK_OK(t, dep_json_parse(&f.arena, dep_buf_str(&buf), 2, &json));

    struct dep_str error, id;
    int64_t status = 0;

    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(json, "error"), &error));
    DEP_CHECK_STR(t, error, "invalid_token");
    DEP_CHECK_OK(t, dep_json_int(DEP_JSON_GET(json, "status"), 0, 999, &status));
    DEP_CHECK(t, status == 401);
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(json, "decision"), &id));
    DEP_CHECK(t, dep_ulid_is_valid(id));
    tear_down(&f);
}

DEP_TEST(nonce_retry_is_accepted)
{
    struct fixture f;

    set_up(&f);
    f.policy.dpop.needs_nonce = true;
    f.policy.dpop.fence = NOW - 1;

    struct dep_str token = bound_token(&f);

    ask_dpop(&f, token, good_proof(&f, token));
    check_refused(t, &f, "no nonce", 401, "use_dpop_nonce");

    struct dep_str nonce = f.decision.dpop_nonce;

    ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, token, nonce, NOW));
    check_allowed(t, &f, "with the nonce");
    tear_down(&f);
}

DEP_TEST(identity_headers_are_all_there)
{
    static const char *const names[] = { "Deputy-Subject",     "Deputy-Client",   "Deputy-Actor",
                                         "Deputy-Actor-Chain", "Deputy-Scope",    "Deputy-Audience",
                                         "Deputy-Task",        "Deputy-Token-Id", "Deputy-Decision" };
    static const char *const plain[] = { "agent:A", "C", "", "", "read write", RESOURCE, "", "J1" };
    static const char *const acted[] = { "agent:A",    "C",      "agent:S", "agent:S, agent:O",
                                         "read write", RESOURCE, "T1",      "J1" };
    struct fixture f;

    set_up(&f);
    ask_bearer(&f, bearer_token(&f));
    for (size_t i = 0; i < DEP_GUARD_IDENTITY; i++)
        DEP_CHECK_STR(t, f.decision.identity[i].name, names[i]);
    for (size_t i = 0; i < DEP_COUNT(plain); i++)
        DEP_CHECK_STR(t, f.decision.identity[i].value, plain[i]);
    DEP_CHECK(t, dep_ulid_is_valid(f.decision.identity[8].value));
    ask_bearer(&f, token_with(&f, ",\"act\":{\"sub\":\"agent:S\",\"act\":{\"sub\":\"agent:O\"}},\"task_id\":\"T1\""));
    for (size_t i = 0; i < DEP_COUNT(acted); i++)
        DEP_CHECK_STR(t, f.decision.identity[i].value, acted[i]);
    tear_down(&f);
}

DEP_TEST(identity_that_breaks_a_header_is_refused)
{
    static const char *const bad[] = {
        ",\"task_id\":\"a\\r\\nX: y\"",
        ",\"task_id\":\"a b\"",
        ",\"act\":{\"sub\":\"agent:S, agent:root\"}",
        ",\"act\":{\"sub\":\"agent:\\u00e9\"}",
        ",\"act\":{\"sub\":\"agent:\\u007f\"}",
    };
    struct fixture f;

    set_up(&f);
    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        ask_bearer(&f, token_with(&f, bad[i]));
        check_refused(t, &f, bad[i], 401, "invalid_token");
        DEP_CHECK(t, f.decision.reason == DEP_ERR_GUARD_IDENTITY);
    }
    ask_bearer(&f, token_with(&f, ",\"task_id\":\"a-b\""));
    check_allowed(t, &f, "plain task");
    tear_down(&f);
}

/* Keys that may have come since are asked for once; with the same keys again the token is refused. */
DEP_TEST(unknown_kid_asks_for_keys)
{
    struct fixture f;

    set_up(&f);
    f.facts.may_refresh_keys = true;

    struct dep_str token = sign_raw(&f, f.issuer, DEP_STR("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k2\"}"),
                                    fmt(&f, "{%.*s}", DEP_STR_ARG(claims_of(&f))));
    const struct dep_header headers[] = { { DEP_STR("X-Original-Method"), DEP_STR("GET") },
                                          { DEP_STR("X-Original-URL"), DEP_STR("/mcp") },
                                          { DEP_STR("Authorization"), fmt(&f, "Bearer %.*s", DEP_STR_ARG(token)) } };
    const struct dep_guard_request request = { .adapter = DEP_GUARD_AUTH_REQUEST,
                                               .headers = headers,
                                               .headers_count = DEP_COUNT(headers) };

    f.facts.seen_for = token;
    dep_guard_decide(&f.arena, f.crypto, &f.policy, &request, &f.facts, NOW, f.random, &f.decision);
    DEP_CHECK(t, f.decision.needs == DEP_GUARD_NEEDS_KEYS);
    f.facts.may_refresh_keys = false;
    dep_guard_decide(&f.arena, f.crypto, &f.policy, &request, &f.facts, NOW, f.random, &f.decision);
    check_refused(t, &f, "unknown kid", 401, "invalid_token");
    dep_jwks_free(f.jwks);
    f.facts.keys = f.jwks = jwks_of(&f, f.issuer, DEP_STR("k2"));
    dep_guard_decide(&f.arena, f.crypto, &f.policy, &request, &f.facts, NOW, f.random, &f.decision);
    check_allowed(t, &f, "new keys");
    tear_down(&f);
}

/* With every arena limit up to what a request needs: a refusal or an allow, never a crash, and no allow that lacks a
 * part. */
DEP_TEST(arena_sweep)
{
    static _Alignas(16) unsigned char memory[65536];
    struct fixture f;
    unsigned allowed = 0;

    set_up(&f);

    struct dep_str token = bound_token(&f);
    const struct dep_header headers[] = { { DEP_STR("X-Original-Method"), DEP_STR("POST") },
                                          { DEP_STR("X-Original-URL"), DEP_STR("/mcp") },
                                          { DEP_STR("Authorization"), fmt(&f, "DPoP %.*s", DEP_STR_ARG(token)) },
                                          { DEP_STR("DPoP"), good_proof(&f, token) } };
    const struct dep_guard_request request = { .adapter = DEP_GUARD_AUTH_REQUEST,
                                               .headers = headers,
                                               .headers_count = DEP_COUNT(headers) };

    f.facts.seen_for = token;
    for (size_t size = 0; size <= sizeof(memory) && allowed < 8; size += 16) {
        struct dep_arena arena;

        dep_arena_init(&arena, memory, size);
        dep_guard_decide(&arena, f.crypto, &f.policy, &request, &f.facts, NOW, f.random, &f.decision);
        allowed += f.decision.is_allowed;
        if (f.decision.is_allowed == (f.decision.status != 200))
            DEP_CHECK(t, false);
        for (size_t i = 0; f.decision.is_allowed && i < DEP_GUARD_IDENTITY; i++)
            DEP_CHECK(t, !dep_str_is_absent(f.decision.identity[i].value));
    }
    DEP_CHECK(t, allowed == 8);
    tear_down(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(good_requests_pass_every_row),
        DEP_ROW(each_row_passes_one_and_refuses_one),
        DEP_ROW(headers_and_origin),
        DEP_ROW(challenges),
        DEP_ROW(bodies_are_problem_documents),
        DEP_ROW(nonce_retry_is_accepted),
        DEP_ROW(identity_headers_are_all_there),
        DEP_ROW(identity_that_breaks_a_header_is_refused),
        DEP_ROW(unknown_kid_asks_for_keys),
        DEP_ROW(arena_sweep),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

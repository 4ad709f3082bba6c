/* Tokens of trusted foreign issuers: exchanged (RFC 8693), and as a grant (RFC 7523, ID-JAG). Attack cases D16, D21, D33. */
#include "proto/world_fixture.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define ORCHESTRATOR 1u
#define WORKER 2u
#define ID_TOKEN_TYPE "urn:ietf:params:oauth:token-type:id_token"

/* An ID token's claims; `more` is appended inside the object. */
static struct dep_str foreign(const char *typ, const char *iss, const char *sub, const char *aud, int64_t exp,
                              const char *more)
{
    char payload[2048];

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"%s\",\"exp\":%lld,\"iat\":%lld%s}", iss, sub, aud,
                   (long long)exp, (long long)WORLD_NOW - 5, more);
    return world_sign_text(&w, w.idp_key, dep_str_c(typ), DEP_STR("idp-1"), dep_str_c(payload));
}

static struct outcome exchange(size_t client, struct dep_str subject, const char *type, const char *more)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "grant_type=" EXCHANGE "&subject_token_type=%s&subject_token=%.*s%s", type,
                   DEP_STR_ARG(subject), more);
    return world_post(&w, DEP_ENDPOINT_TOKEN, client, body, NO_PROOF);
}

static struct outcome grant(size_t client, struct dep_str assertion, const char *more)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=%.*s%s",
                   DEP_STR_ARG(assertion), more);
    return world_post(&w, DEP_ENDPOINT_TOKEN, client, body, NO_PROOF);
}

static struct dep_str id_token(const char *more)
{
    return foreign("JWT", WORLD_IDP, "alice", WORLD_ISSUER, WORLD_NOW + 200, more);
}

DEP_TEST(user_then_three_actors)
{
    struct outcome first =
        exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&audience=" WORLD_WORKER "&scope=read+write&task_id=T1");
    struct outcome second =
        world_exchange(&w, WORKER, first.token, "&audience=agent:01J00000000000000000000005&scope=read", NO_PROOF);
    struct outcome third = world_exchange(&w, 4, second.token, "&resource=" WORLD_API, NO_PROOF);
    const struct dep_token *token = &third.decision.token;

    DEP_CHECK_ISSUED(t, first);
    DEP_CHECK_ISSUED(t, second);
    DEP_CHECK_ISSUED(t, third);
    DEP_CHECK_STR(t, token->sub, "user:corp:alice");
    DEP_CHECK(t, token->actors_count == 3);
    DEP_CHECK_STR(t, token->actors[0], "agent:01J00000000000000000000005");
    DEP_CHECK_STR(t, token->actors[2], WORLD_ORCHESTRATOR);
    DEP_CHECK(t, token->exp == WORLD_NOW + 200); /* never longer than the ID token */
    DEP_CHECK_STR(t, token->task_id, "T1");
}

DEP_TEST(D21_foreign_claims_are_evidence_only)
{
    struct outcome o =
        exchange(ORCHESTRATOR,
                 id_token(",\"act\":{\"sub\":\"agent:root\"},\"may_act\":{\"sub\":\"x\"},\"cnf\":{\"jkt\":\"x\"},"
                          "\"scope\":\"delete admin\",\"client_id\":\"x\",\"org_id\":\"elsewhere\""),
                 ID_TOKEN_TYPE, "&resource=" WORLD_API "&scope=read");

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.actors_count == 1);
    DEP_CHECK_STR(t, o.decision.token.scope, "read");
    DEP_CHECK_STR(t, o.decision.token.org_id, "acme");
    DEP_CHECK(t, dep_str_is_absent(o.decision.token.jkt));
}

/* rfc9068#2.2.1: how and when the user logged in is the user's issuer's word, and stays as it was through every hop. */
DEP_TEST(the_login_is_carried_unchanged)
{
    struct outcome o = exchange(ORCHESTRATOR, id_token(",\"acr\":\"urn:example:mfa\",\"auth_time\":1700000000"),
                                ID_TOKEN_TYPE, "&audience=" WORLD_WORKER "&scope=read");

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.acr, "urn:example:mfa");
    DEP_CHECK(t, o.decision.token.auth_time == 1700000000);
    o = world_exchange(&w, WORKER, o.token, "&resource=" WORLD_API "&scope=read", NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.acr, "urn:example:mfa");
    DEP_CHECK(t, o.decision.token.auth_time == 1700000000);
    o = exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API "&scope=read");
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, dep_str_is_absent(o.decision.token.acr) && o.decision.token.auth_time == 0);
    DEP_CHECK_REFUSED(t, exchange(ORCHESTRATOR, id_token(",\"acr\":7"), ID_TOKEN_TYPE, "&resource=" WORLD_API),
                      JSON_TYPE, INVALID_REQUEST);
}

DEP_TEST(the_issuers_ceiling_holds)
{
    /* The issuer's users have rights at the first API only. */
    DEP_CHECK_REFUSED(t, exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API2 "&scope=read"),
                      TARGET_FORBIDDEN, INVALID_TARGET);
    DEP_CHECK_REFUSED(t, exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API "&scope=admin"),
                      SCOPE_CEILING, INVALID_SCOPE);
    w.issuer.is_enabled = false;
    DEP_CHECK_REFUSED(t, exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API), JWT_ISS,
                      INVALID_REQUEST);
    w.issuer.is_enabled = true;
    DEP_CHECK_ISSUED(t, exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API));
}

static const struct {
    const char *name, *typ, *iss, *sub, *aud;
    int64_t exp_in;
    enum dep_err reason;
} subjects[] = {
    { "expired", "JWT", WORLD_IDP, "alice", WORLD_ISSUER, -31, DEP_ERR_JWT_EXPIRED },
    { "expired within the skew", "JWT", WORLD_IDP, "alice", WORLD_ISSUER, 0, DEP_ERR_JWT_EXPIRED },
    { "for somebody else", "JWT", WORLD_IDP, "alice", "https://other.example", 100, DEP_ERR_JWT_AUD },
    { "of a stranger", "JWT", "https://evil.example", "alice", WORLD_ISSUER, 100, DEP_ERR_JWT_ISS },
    { "issuer with a slash", "JWT", WORLD_IDP "/", "alice", WORLD_ISSUER, 100, DEP_ERR_JWT_ISS },
    { "claims to be ours", "JWT", WORLD_ISSUER, "alice", WORLD_ISSUER, 100, DEP_ERR_JWT_ISS },
    { "an access token", "at+jwt", WORLD_IDP, "alice", WORLD_ISSUER, 100, DEP_ERR_JWS_TYP },
    { "a DPoP proof", "dpop+jwt", WORLD_IDP, "alice", WORLD_ISSUER, 100, DEP_ERR_JWS_TYP },
    { "an ID-JAG as subject", "oauth-id-jag+jwt", WORLD_IDP, "alice", WORLD_ISSUER, 100, DEP_ERR_JWS_TYP },
    { "valid for a year", "JWT", WORLD_IDP, "alice", WORLD_ISSUER, 31536000, DEP_ERR_JWT_LIFETIME },
    { "sub with a blank", "JWT", WORLD_IDP, "al ice", WORLD_ISSUER, 100, DEP_ERR_EXCHANGE_PRINCIPAL },
};

DEP_TEST(D16_bad_foreign_subjects)
{
    for (size_t i = 0; i < DEP_COUNT(subjects); i++) {
        struct dep_str token = foreign(subjects[i].typ, subjects[i].iss, subjects[i].sub, subjects[i].aud,
                                       WORLD_NOW + subjects[i].exp_in, "");
        struct outcome o = exchange(ORCHESTRATOR, token, ID_TOKEN_TYPE, "&resource=" WORLD_API);

        dep_test_check(t,
                       o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == subjects[i].reason &&
                           o.decision.class == DEP_CLASS_INVALID_REQUEST,
                       __FILE__, __LINE__, "%s: got %s", subjects[i].name, dep_err_name(o.decision.reason));
    }
    DEP_CHECK_ISSUED(t, exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API));
}

DEP_TEST(audiences_that_the_record_names)
{
    struct dep_str named[] = { DEP_STR("our-client-at-the-idp") };
    struct dep_str token = foreign("JWT", WORLD_IDP, "alice", "our-client-at-the-idp", WORLD_NOW + 100, "");

    DEP_CHECK_REFUSED(t, exchange(ORCHESTRATOR, token, ID_TOKEN_TYPE, "&resource=" WORLD_API), JWT_AUD,
                      INVALID_REQUEST);
    w.issuer.audiences = named;
    w.issuer.audiences_count = 1;
    DEP_CHECK_ISSUED(t, exchange(ORCHESTRATOR, token, ID_TOKEN_TYPE, "&resource=" WORLD_API));
    w.issuer.audiences_count = 0;
}

DEP_TEST(a_banned_user_is_refused)
{
    const struct dep_revocation entry = { DEP_REVOKED_AGENT, DEP_STR("user:corp:bob"), WORLD_NOW + 2,
                                          WORLD_NOW + 3600 };
    struct dep_str bob = foreign("JWT", WORLD_IDP, "bob", WORLD_ISSUER, WORLD_NOW + 100, "");

    DEP_CHECK_ISSUED(t, exchange(ORCHESTRATOR, bob, ID_TOKEN_TYPE, "&resource=" WORLD_API));
    DEP_CHECK_OK(t, dep_revocations_add(w.revocations, &entry));
    DEP_CHECK_REFUSED(t, exchange(ORCHESTRATOR, bob, ID_TOKEN_TYPE, "&resource=" WORLD_API), EXCHANGE_SUBJECT,
                      INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API));
}

/* ---- ID-JAG ---- */

static struct dep_str id_jag(const char *client, const char *jti, int64_t exp_in, const char *more)
{
    char claims[512];

    (void)snprintf(claims, sizeof(claims), ",\"client_id\":\"%s\",\"jti\":\"%s\"%s", client, jti, more);
    return foreign("oauth-id-jag+jwt", WORLD_IDP, "alice", WORLD_ISSUER, WORLD_NOW + exp_in, claims);
}

DEP_TEST(takes_an_id_jag_once)
{
    struct dep_str assertion =
        id_jag(w.client_ids[ORCHESTRATOR], "jag-1", 200, ",\"scope\":\"read\",\"resource\":\"" WORLD_API "\"");
    struct outcome o = grant(ORCHESTRATOR, assertion, "&resource=" WORLD_API);

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.sub, "user:corp:alice");
    DEP_CHECK_STR(t, o.decision.token.actors[0], WORLD_ORCHESTRATOR);
    DEP_CHECK_STR(t, o.decision.token.scope, "read");
    DEP_CHECK(t, !o.decision.is_exchange);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, assertion, "&resource=" WORLD_API), GRANT_REPLAY, INVALID_GRANT);
}

DEP_TEST(D33_bad_id_jags)
{
    const char *me = w.client_ids[ORCHESTRATOR];

    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(w.client_ids[WORKER], "d1", 200, ""), "&resource=" WORLD_API),
                      GRANT_CLIENT, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(me, "d2", 400, ""), "&resource=" WORLD_API), JWT_LIFETIME,
                      INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(me, "", 200, ""), "&resource=" WORLD_API), JWT_MISSING,
                      INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(me, "d3", -31, ""), "&resource=" WORLD_API), JWT_EXPIRED,
                      INVALID_GRANT);
    DEP_CHECK_REFUSED(
        t, grant(ORCHESTRATOR, id_jag(me, "d4", 200, ",\"resource\":\"" WORLD_API2 "\""), "&resource=" WORLD_API),
        GRANT_RESOURCE, INVALID_GRANT);
    DEP_CHECK_REFUSED(
        t, grant(ORCHESTRATOR, id_jag(me, "d5", 200, ",\"scope\":\"read\""), "&resource=" WORLD_API "&scope=write"),
        GRANT_SCOPE, INVALID_GRANT);
    DEP_CHECK_REFUSED(t,
                      grant(ORCHESTRATOR,
                            foreign("oauth-id-jag+jwt", WORLD_IDP, "alice", WORLD_ISSUER "/oauth/token",
                                    WORLD_NOW + 100, ",\"jti\":\"d6\""),
                            "&resource=" WORLD_API),
                      JWT_AUD, INVALID_GRANT);
    DEP_CHECK_REFUSED(
        t,
        grant(ORCHESTRATOR,
              foreign("oauth-id-jag+jwt", "https://evil.example", "alice", WORLD_ISSUER, WORLD_NOW + 100, ""),
              "&resource=" WORLD_API),
        JWT_ISS, INVALID_GRANT);
    /* an ID token is no grant, a chained one of typ JWT is, once */
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_token(""), "&resource=" WORLD_API), JWT_MISSING, INVALID_GRANT);
    DEP_CHECK_REFUSED(t,
                      grant(ORCHESTRATOR,
                            foreign("JWT", WORLD_IDP, "alice", WORLD_ISSUER, WORLD_NOW + 3000, ",\"jti\":\"i\""),
                            "&resource=" WORLD_API),
                      JWT_LIFETIME, INVALID_GRANT);
    DEP_CHECK_REFUSED(t,
                      grant(ORCHESTRATOR, id_token(",\"jti\":\"limited\",\"scope\":\"read\""),
                            "&resource=" WORLD_API "&scope=read+write"),
                      GRANT_SCOPE, INVALID_GRANT);
    DEP_CHECK_ISSUED(t, grant(ORCHESTRATOR, id_token(",\"jti\":\"chained\""), "&resource=" WORLD_API));
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_token(",\"jti\":\"chained\""), "&resource=" WORLD_API), GRANT_REPLAY,
                      INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, DEP_STR("a.b.c"), "&resource=" WORLD_API), B64_SYNTAX, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, DEP_STR(""), "&resource=" WORLD_API), PARAM_MISSING, INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, grant(ORCHESTRATOR, id_jag(me, "d7", 200, ""), "&resource=" WORLD_API));
}

DEP_TEST(a_grant_says_for_which_resource_it_is)
{
    const char *me = w.client_ids[ORCHESTRATOR];
    struct outcome o = grant(ORCHESTRATOR, id_jag(me, "r1", 200, ",\"resource\":\"" WORLD_API "\""), "");

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.aud_count == 1);
    DEP_CHECK_STR(t, o.decision.token.aud[0], WORLD_API);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(me, "r2", 200, ",\"resource\":\"https://x.example\""), ""),
                      TARGET_UNKNOWN, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(me, "r3", 200, ",\"resource\":\"" WORLD_API2 "\""), ""),
                      TARGET_FORBIDDEN, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(me, "r4", 200, ",\"resource\":[\"" WORLD_API "\",7]"), ""),
                      TARGET_MISSING, INVALID_TARGET);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, id_jag(me, "r5", 200, ""), "&resource=https://x.example"), TARGET_UNKNOWN,
                      INVALID_TARGET);
}

/* ---- access tokens of another deputy ---- */

#define JWT_TYPE "urn:ietf:params:oauth:token-type:jwt"
#define TOKEN_CLAIMS ",\"jti\":\"t1\",\"client_id\":\"theirs\""

static struct dep_str deputys(const char *more)
{
    return foreign("at+jwt", WORLD_IDP, "agent:x", WORLD_ISSUER, WORLD_NOW + 200, more);
}

static struct outcome exchange_deputys(const char *more)
{
    return exchange(ORCHESTRATOR, deputys(more), JWT_TYPE, "&resource=" WORLD_API);
}

DEP_TEST(access_tokens_only_of_an_issuer_that_may)
{
    struct outcome o;

    DEP_CHECK_REFUSED(t, exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\""), JWT_ISS, INVALID_REQUEST);
    w.issuer.uses = DEP_ISSUER_ACCESS_TOKEN;
    o = exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read fly\"");
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.sub, "user:corp:agent:x");
    DEP_CHECK_STR(t, o.decision.token.scope, "read");
    /* its other tokens are not for this, nor is this for other doors */
    DEP_CHECK_REFUSED(t, exchange(ORCHESTRATOR, id_token(""), ID_TOKEN_TYPE, "&resource=" WORLD_API), JWT_ISS,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(
        t, exchange(ORCHESTRATOR, deputys(TOKEN_CLAIMS ",\"scope\":\"read\""), ID_TOKEN_TYPE, "&resource=" WORLD_API),
        JWS_TYP, INVALID_REQUEST);
    DEP_CHECK_REFUSED(
        t,
        exchange(ORCHESTRATOR, deputys(TOKEN_CLAIMS ",\"scope\":\"read\""), ACCESS_TOKEN_TYPE, "&resource=" WORLD_API),
        JWS_KID, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, deputys(TOKEN_CLAIMS), "&resource=" WORLD_API), JWS_TYP, INVALID_GRANT);
    w.issuer.uses = DEP_ISSUER_SUBJECT | DEP_ISSUER_ID_JAG;
}

#define THUMBPRINT "0123456789012345678901234567890123456789010"

DEP_TEST(X17_what_such_a_token_limits)
{
    w.issuer.uses = DEP_ISSUER_ACCESS_TOKEN;
    DEP_CHECK_REFUSED(t, exchange_deputys(TOKEN_CLAIMS), SCOPE_NONE, INVALID_SCOPE); /* blank is nothing */
    DEP_CHECK_REFUSED(t, exchange_deputys(",\"client_id\":\"theirs\",\"scope\":\"read\""), JWT_MISSING,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_deputys(",\"jti\":\"t1\",\"scope\":\"read\""), JWT_MISSING, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\",\"cnf\":{\"x\":\"y\"}"), JWT_CLAIMS,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\",\"cnf\":{\"jkt\":\"" THUMBPRINT "\"}"),
                      DPOP_REQUIRED, INVALID_DPOP_PROOF);
    DEP_CHECK_REFUSED(t, exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\",\"cnf\":{\"jkt\":\"y\"}"), JWT_CLAIMS,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\",\"cnf\":{\"x5t#S256\":\"" THUMBPRINT "\"}"),
                      EXCHANGE_CERTIFICATE, INVALID_REQUEST);
    DEP_CHECK_REFUSED(
        t, exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\",\"may_act\":{\"sub\":\"" WORLD_ORCHESTRATOR "\"}"),
        EXCHANGE_MAY_ACT, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t,
                      exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\",\"may_act\":{\"iss\":\"" WORLD_IDP
                                                    "\",\"sub\":\"" WORLD_ORCHESTRATOR "\"}"),
                      EXCHANGE_MAY_ACT, INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, exchange_deputys(TOKEN_CLAIMS ",\"scope\":\"read\",\"may_act\":{\"iss\":\"" WORLD_ISSUER
                                                      "\",\"sub\":\"" WORLD_ORCHESTRATOR "\"}"));
    w.issuer.uses = DEP_ISSUER_SUBJECT | DEP_ISSUER_ID_JAG;
}

DEP_TEST(a_foreign_act_stands_in_the_record)
{
    static const char *const faulty[] = { ",\"act\":\"x\"", ",\"act\":{}", ",\"act\":{\"sub\":7}",
                                          ",\"act\":{\"sub\":\"a\",\"iss\":7}" };
    struct outcome o =
        exchange(ORCHESTRATOR,
                 id_token(",\"act\":{\"sub\":\"agent:new\",\"iss\":\"https://a.example\",\"act\":{\"sub\":"
                          "\"agent:old\"}}"),
                 ID_TOKEN_TYPE, "&resource=" WORLD_API);
    const struct dep_str want =
        DEP_STR("\"foreign_chain\":[{\"iss\":\"https://a.example\",\"sub\":\"agent:new\"},{\"sub\":\"agent:old\"}]");
    struct dep_buf line;

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.actors_count == 1);
    o.decision.record.token = &o.decision.token;
    dep_buf_init_arena(&line, &w.texts, 4096);
    dep_audit_record_write(&line, &o.decision.record);
    DEP_CHECK(t, memmem(line.ptr, line.len, want.ptr, want.len) != NULL);
    for (size_t i = 0; i < DEP_COUNT(faulty); i++) {
        o = exchange(ORCHESTRATOR, id_token(faulty[i]), ID_TOKEN_TYPE, "&resource=" WORLD_API);
        DEP_CHECK_ISSUED(t, o);
        DEP_CHECK(t, o.decision.record.foreign_chain_count == 0);
    }
    /* Nobody wrote into the log who is not verified. */
    o = exchange(
        ORCHESTRATOR,
        foreign("JWT", WORLD_IDP, "alice", "https://other.example", WORLD_NOW + 100, ",\"act\":{\"sub\":\"a\"}"),
        ID_TOKEN_TYPE, "&resource=" WORLD_API);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.record.foreign_chain_count == 0);
}

DEP_TEST(a_bound_grant_needs_its_key)
{
    char more[200], body[4096];
    struct dep_str jkt, assertion;
    struct outcome o;

    DEP_CHECK_OK(t, dep_jwk_jkt_of(&w.texts, w.crypto, w.proof_key, &jkt));
    (void)snprintf(more, sizeof(more), ",\"cnf\":{\"jkt\":\"%.*s\"}", DEP_STR_ARG(jkt));
    assertion = id_jag(w.client_ids[ORCHESTRATOR], "bound-1", 200, more);
    DEP_CHECK_REFUSED(t, grant(ORCHESTRATOR, assertion, "&resource=" WORLD_API), GRANT_KEY, INVALID_GRANT);
    (void)snprintf(body, sizeof(body),
                   "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&resource=" WORLD_API "&assertion=%.*s",
                   DEP_STR_ARG(assertion));
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body,
                   world_proof(&w, w.other_proof_key, WORLD_NOW, DEP_STR_ABSENT));
    DEP_CHECK_REFUSED(t, o, GRANT_KEY, INVALID_GRANT);
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT));
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, dep_str_eq(o.decision.token.jkt, jkt));
}

/* ---- workloads ---- */

static struct outcome with_workload(struct dep_str assertion)
{
    static char body[20000];
    struct dep_header headers[1] = { { DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") } };
    const struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                         .method = DEP_STR("POST"),
                                         .path = DEP_STR("/oauth/token"),
                                         .peer = DEP_STR("192.0.2.1"),
                                         .headers = headers,
                                         .headers_count = 1 };
    struct dep_request sent = request;

    (void)snprintf(
        body, sizeof(body),
        "grant_type=client_credentials&scope=read&resource=" WORLD_API
        "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%.*s",
        DEP_STR_ARG(assertion));
    sent.body = dep_str_c(body);
    return world_run(&w, &sent);
}

/* Shapes of real tokens: a Kubernetes service account, a GitHub Actions job, a SPIFFE JWT-SVID. */
static const struct {
    const char *name, *sub, *more;
    bool is_taken;
} workloads[] = {
    { "kubernetes", "system:serviceaccount:prod:worker",
      ",\"kubernetes.io\":{\"namespace\":\"prod\",\"serviceaccount\":{\"name\":\"worker\",\"uid\":\"u\"}},\"jti\":"
      "\"k1\"",
      true },
    { "kubernetes, another account", "system:serviceaccount:prod:intruder", "", false },
    { "kubernetes, longer name", "system:serviceaccount:prod:worker2", "", false },
    { "github", "repo:acme/app:ref:refs/heads/main",
      ",\"repository\":\"acme/app\",\"ref\":\"refs/heads/main\",\"jti\":\"g1\",\"nbf\":1699999990", true },
    { "github, another branch", "repo:acme/app:ref:refs/heads/x",
      ",\"repository\":\"acme/app\",\"ref\":\"refs/heads/x\"", false },
    { "github, branch as a list", "repo:acme/app", ",\"repository\":\"acme/app\",\"ref\":[\"refs/heads/main\"]",
      false },
    { "spiffe", "spiffe://acme.example/worker", "", true },
    { "spiffe, below it", "spiffe://acme.example/worker/x", "", false },
};

DEP_TEST(workloads_authenticate_by_rule)
{
    static struct dep_workload_rule rules[3] = {
        { .claims = { .names = { DEP_STR("sub") },
                      .values = { DEP_STR("system:serviceaccount:prod:worker") },
                      .count = 1 } },
        { .claims = { .names = { DEP_STR("repository"), DEP_STR("ref") },
                      .values = { DEP_STR("acme/app"), DEP_STR("refs/heads/main") },
                      .count = 2 } },
        { .claims = { .names = { DEP_STR("sub") },
                      .values = { DEP_STR("spiffe://acme.example/worker") },
                      .count = 1 } },
    };

    for (size_t i = 0; i < 3; i++)
        rules[i].client = w.clients[WORKER].id;
    w.clients[WORKER].auth = DEP_CLIENT_AUTH_WORKLOAD_JWT;
    w.issuer.uses |= DEP_ISSUER_WORKLOAD;
    w.issuer.rules = rules;
    w.issuer.rules_count = 3;
    for (size_t i = 0; i < DEP_COUNT(workloads); i++) {
        struct dep_str token =
            foreign("JWT", WORLD_IDP, workloads[i].sub, WORLD_ISSUER, WORLD_NOW + 600, workloads[i].more);
        struct outcome o = with_workload(token);

        dep_test_check(t, (o.decision.answer == DEP_ANSWER_TOKEN) == workloads[i].is_taken, __FILE__, __LINE__,
                       "%s: %s at %s", workloads[i].name, dep_err_name(o.decision.reason),
                       o.decision.check == NULL ? "-" : o.decision.check);
        DEP_CHECK(t, workloads[i].is_taken || o.decision.class == DEP_CLASS_INVALID_CLIENT);
    }
}

DEP_TEST(workload_replay_rules)
{
    struct dep_str once =
        foreign("JWT", WORLD_IDP, "spiffe://acme.example/worker", WORLD_ISSUER, WORLD_NOW + 600, ",\"jti\":\"w1\"");
    struct dep_str other_aud =
        foreign("JWT", WORLD_IDP, "spiffe://acme.example/worker", "https://other.example", WORLD_NOW + 600, "");

    DEP_CHECK_ISSUED(t, with_workload(once));
    DEP_CHECK_ISSUED(t, with_workload(once)); /* a projected token is used until it is renewed */
    w.issuer.is_single_use = true;
    DEP_CHECK_ISSUED(t, with_workload(once));
    DEP_CHECK_REFUSED(t, with_workload(once), CLIENT_ASSERTION_REPLAY, INVALID_CLIENT);
    DEP_CHECK_REFUSED(
        t, with_workload(foreign("JWT", WORLD_IDP, "spiffe://acme.example/worker", WORLD_ISSUER, WORLD_NOW + 600, "")),
        CLIENT_ASSERTION_JTI, INVALID_CLIENT);
    w.issuer.is_single_use = false;
    DEP_CHECK_REFUSED(t, with_workload(other_aud), JWT_AUD, INVALID_CLIENT);
    w.issuer.uses &= ~DEP_ISSUER_WORKLOAD;
    DEP_CHECK_REFUSED(t, with_workload(once), JWT_ISS, INVALID_CLIENT);
    w.issuer.uses |= DEP_ISSUER_WORKLOAD;
    /* a client with a secret is not a workload, whatever its platform says */
    w.clients[WORKER].auth = DEP_CLIENT_AUTH_BASIC;
    DEP_CHECK_REFUSED(t, with_workload(once), CLIENT_METHOD, INVALID_CLIENT);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(user_then_three_actors),
        DEP_ROW(D21_foreign_claims_are_evidence_only),
        DEP_ROW(the_login_is_carried_unchanged),
        DEP_ROW(the_issuers_ceiling_holds),
        DEP_ROW(D16_bad_foreign_subjects),
        DEP_ROW(audiences_that_the_record_names),
        DEP_ROW(a_banned_user_is_refused),
        DEP_ROW(takes_an_id_jag_once),
        DEP_ROW(D33_bad_id_jags),
        DEP_ROW(a_grant_says_for_which_resource_it_is),
        DEP_ROW(access_tokens_only_of_an_issuer_that_may),
        DEP_ROW(X17_what_such_a_token_limits),
        DEP_ROW(a_foreign_act_stands_in_the_record),
        DEP_ROW(a_bound_grant_needs_its_key),
        DEP_ROW(workloads_authenticate_by_rule),
        DEP_ROW(workload_replay_rules),
    };
    int failed;

    world_open(&w);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

/* Grants for a foreign authorization server (RFC 8693 section 2.2.1, ID-JAG, identity chaining; X11, X12, B2, B3). */
#include "proto/world_fixture.h"

static struct world w;
#define HAS(text, piece) (memmem((text).ptr, (text).len, (piece), sizeof(piece) - 1) != NULL)
#define NO_PROOF DEP_STR_ABSENT
#define ORCHESTRATOR 1u
#define WORKER 2u
#define HELPER 4u /* not known at the foreign server */
#define ID_JAG "&requested_token_type=urn:ietf:params:oauth:token-type:id-jag"
#define JWT "&requested_token_type=urn:ietf:params:oauth:token-type:jwt"
#define THERE "&audience=" WORLD_SERVER "&resource=" WORLD_THERE

static struct outcome by_user(size_t client, int64_t exp_in, const char *more)
{
    char payload[512];
    static char body[20000];
    struct dep_str token;

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER
                   "\",\"exp\":%lld,\"iat\":%lld}",
                   (long long)(WORLD_NOW + exp_in), (long long)WORLD_NOW - 5);
    token = world_sign_text(&w, w.idp_key, DEP_STR("JWT"), DEP_STR("idp-1"), dep_str_c(payload));
    (void)snprintf(body, sizeof(body),
                   "grant_type=" EXCHANGE
                   "&subject_token_type=urn:ietf:params:oauth:token-type:id_token&subject_token=%.*s%s",
                   DEP_STR_ARG(token), more);
    return world_post(&w, DEP_ENDPOINT_TOKEN, client, body, NO_PROOF);
}

static struct dep_str handed(const char *scope)
{
    struct outcome o = world_token(&w, ORCHESTRATOR, WORLD_WORKER, scope, NO_PROOF);

    return o.token;
}

static struct outcome by_agent(size_t client, struct dep_str subject, const char *more)
{
    return world_exchange(&w, client, subject, more, NO_PROOF);
}

static const struct dep_json *claims_of(struct dep_str token)
{
    const struct dep_jws_rules rules = {
        .bytes_max = DEP_JWS_BYTES_MAX,
        .algs = DEP_ALGS_ALL,
        .typs = (const struct dep_str[]){ DEP_STR_INIT("authorization-grant+jwt"), DEP_STR_INIT("oauth-id-jag+jwt") },
        .typs_count = 2,
    };
    const struct dep_json *claims = NULL;
    struct dep_jws jws;

    DEP_ASSERT(dep_is_ok(dep_jws_parse(&w.arena, token, &rules, &jws)));
    DEP_ASSERT(dep_is_ok(dep_jwt_claims(&w.arena, &jws, &claims)));
    return claims;
}

DEP_TEST(X11_an_id_jag_for_a_user)
{
    struct outcome o = by_user(ORCHESTRATOR, 200, ID_JAG THERE "&scope=read");
    const struct dep_json *claims;
    struct dep_str text;

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, HAS(o.body, "\"token_type\":\"N_A\""));
    DEP_CHECK(t, HAS(o.body, "\"issued_token_type\":\"urn:ietf:params:oauth:token-type:id-jag\""));
    DEP_CHECK(t, HAS(o.body, "\"expires_in\":200,"));
    claims = claims_of(o.token);
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(claims, "aud"), &text));
    DEP_CHECK_STR(t, text, WORLD_SERVER);
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(claims, "client_id"), &text));
    DEP_CHECK_STR(t, text, "ours-there");
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(claims, "resource"), &text));
    DEP_CHECK_STR(t, text, WORLD_THERE);
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(DEP_JSON_GET(claims, "act"), "sub"), &text));
    DEP_CHECK_STR(t, text, WORLD_ORCHESTRATOR);
    DEP_CHECK(t, DEP_JSON_GET(claims, "lineage") == NULL && DEP_JSON_GET(claims, "org_id") == NULL);
    DEP_CHECK_STR(t, o.decision.record.event, "grant.issued");
    DEP_CHECK_STR(t, o.decision.record.issued, "id-jag");
}

DEP_TEST(X12_a_jwt_keeps_the_chain_and_the_lineage_in_the_record)
{
    struct dep_str subject = handed("read");
    struct outcome o = by_agent(WORKER, subject, JWT "&audience=" WORLD_SERVER);
    const struct dep_json *claims;
    struct dep_str text;

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, HAS(o.body, "\"issued_token_type\":\"urn:ietf:params:oauth:token-type:jwt\""));
    claims = claims_of(o.token);
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(claims, "sub"), &text));
    DEP_CHECK_STR(t, text, WORLD_ORCHESTRATOR);
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(claims, "scope"), &text));
    DEP_CHECK_STR(t, text, "read");
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(DEP_JSON_GET(claims, "act"), "iss"), &text));
    DEP_CHECK_STR(t, text, WORLD_ISSUER);
    DEP_CHECK(t, DEP_JSON_GET(claims, "resource") == NULL);
    DEP_CHECK(t, o.decision.token.lineage_count == 1 && o.decision.token.jti.len > 0);
}

DEP_TEST(a_grant_is_no_access_token)
{
    struct dep_str grants[] = { by_user(ORCHESTRATOR, 200, ID_JAG THERE).token,
                                by_user(ORCHESTRATOR, 200, JWT THERE).token };
    char body[8192];

    for (size_t i = 0; i < DEP_COUNT(grants); i++) {
        DEP_CHECK_REFUSED(t, by_agent(ORCHESTRATOR, grants[i], "&resource=" WORLD_API), JWS_TYP, INVALID_REQUEST);
        (void)snprintf(body, sizeof(body), "token=%.*s", DEP_STR_ARG(grants[i]));
        DEP_CHECK_REFUSED(t, world_post(&w, DEP_ENDPOINT_INTROSPECT, ORCHESTRATOR, body, NO_PROOF), TOKEN_INACTIVE,
                          INACTIVE);
        /* Nor is it a grant or a subject here: this server does not trust itself as a foreign issuer. */
        (void)snprintf(body, sizeof(body), "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=%.*s",
                       DEP_STR_ARG(grants[i]));
        DEP_CHECK_REFUSED(t, world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, NO_PROOF), JWT_ISS, INVALID_GRANT);
    }
}

DEP_TEST(X13_five_minutes_and_never_longer_than_the_inputs)
{
    w.policy.token_lifetime_s = 3600;
    DEP_CHECK(t, by_user(ORCHESTRATOR, 1000, ID_JAG THERE).decision.token.exp == WORLD_NOW + 300);
    DEP_CHECK(t, by_user(ORCHESTRATOR, 100, ID_JAG THERE).decision.token.exp == WORLD_NOW + 100);
    w.agents[1].delegation_lifetime_max_s = 60;
    DEP_CHECK(t, by_user(ORCHESTRATOR, 1000, ID_JAG THERE).decision.token.exp == WORLD_NOW + 60);
    w.agents[1].delegation_lifetime_max_s = 0;
    w.policy.token_lifetime_s = 300;
}

static const struct {
    const char *name, *more;
    enum dep_err reason;
    enum dep_class class;
} faults[] = {
    { "no audience", ID_JAG, DEP_ERR_PARAM_MISSING, DEP_CLASS_INVALID_REQUEST },
    { "a resource alone", ID_JAG "&resource=" WORLD_THERE, DEP_ERR_TARGET_SERVER, DEP_CLASS_INVALID_TARGET },
    { "an unknown server", ID_JAG "&audience=https://as3.example", DEP_ERR_TARGET_SERVER, DEP_CLASS_INVALID_TARGET },
    { "a slash more", ID_JAG "&audience=" WORLD_SERVER "/", DEP_ERR_TARGET_SERVER, DEP_CLASS_INVALID_TARGET },
    { "an issuer that takes no grants", ID_JAG "&audience=" WORLD_IDP, DEP_ERR_TARGET_SERVER,
      DEP_CLASS_INVALID_TARGET },
    { "D14 this server", ID_JAG "&audience=" WORLD_ISSUER, DEP_ERR_EXCHANGE_REQUESTED_TYPE, DEP_CLASS_INVALID_REQUEST },
    { "D14 a resource here", JWT "&resource=" WORLD_API, DEP_ERR_EXCHANGE_REQUESTED_TYPE, DEP_CLASS_INVALID_REQUEST },
    { "D14 an agent", JWT "&audience=" WORLD_WORKER, DEP_ERR_EXCHANGE_REQUESTED_TYPE, DEP_CLASS_INVALID_REQUEST },
    { "mixed with a resource here", JWT "&audience=" WORLD_SERVER "&resource=" WORLD_API, DEP_ERR_TARGET_FORBIDDEN,
      DEP_CLASS_INVALID_TARGET },
    { "mixed, as an access token", "&audience=" WORLD_SERVER "&resource=" WORLD_API, DEP_ERR_TARGET_MIXED,
      DEP_CLASS_INVALID_TARGET },
    { "a resource that is not there", ID_JAG "&audience=" WORLD_SERVER "&resource=https://x.example",
      DEP_ERR_TARGET_FORBIDDEN, DEP_CLASS_INVALID_TARGET },
    { "a resource there outside the ceilings", ID_JAG "&audience=" WORLD_SERVER "&resource=" WORLD_THERE2,
      DEP_ERR_TARGET_FORBIDDEN, DEP_CLASS_INVALID_TARGET },
    { "more scope than the pair has", ID_JAG THERE "&scope=delete", DEP_ERR_SCOPE_CEILING, DEP_CLASS_INVALID_SCOPE },
    { "more scope than the server has", ID_JAG "&audience=" WORLD_SERVER "&scope=write", DEP_ERR_SCOPE_CEILING,
      DEP_CLASS_INVALID_SCOPE },
    { "may_act", ID_JAG THERE "&may_act=" WORLD_WORKER, DEP_ERR_EXCHANGE_REQUESTED_TYPE, DEP_CLASS_INVALID_REQUEST },
    { "a fragment", ID_JAG "&audience=" WORLD_SERVER "%23x", DEP_ERR_TARGET_SYNTAX, DEP_CLASS_INVALID_TARGET },
};

DEP_TEST(what_is_refused)
{
    for (size_t i = 0; i < DEP_COUNT(faults); i++) {
        struct outcome o = by_user(ORCHESTRATOR, 200, faults[i].more);

        dep_test_check(t,
                       o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == faults[i].reason &&
                           o.decision.class == faults[i].class,
                       __FILE__, __LINE__, "%s: got %s", faults[i].name, dep_err_name(o.decision.reason));
        DEP_CHECK_ISSUED(t, by_user(ORCHESTRATOR, 200, ID_JAG THERE "&scope=read"));
    }
}

DEP_TEST(everybody_on_the_way_is_asked)
{
    struct dep_str subject = handed("read write");

    /* The subject's scope limits, as everywhere; the server's own list does where no resource is named. */
    DEP_CHECK_REFUSED(t, by_agent(WORKER, handed("read"), ID_JAG THERE "&scope=write"), SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_STR(t, by_agent(WORKER, subject, ID_JAG THERE).decision.token.scope, "read write");
    DEP_CHECK_STR(t, by_agent(WORKER, subject, ID_JAG "&audience=" WORLD_SERVER).decision.token.scope, "read");
    DEP_CHECK_REFUSED(t, by_user(HELPER, 200, ID_JAG THERE), TARGET_FORBIDDEN, INVALID_TARGET);
    w.agents[1].ceiling[1].scopes_count = 1; /* the orchestrator's, at the resource there */
    DEP_CHECK_REFUSED(t, by_agent(WORKER, subject, ID_JAG THERE "&scope=write"), SCOPE_CEILING, INVALID_SCOPE);
    w.agents[1].ceiling[1].scopes_count = 2;
    w.agents[1].ceiling[1].resource = DEP_STR("https://x.example");
    DEP_CHECK_REFUSED(t, by_agent(WORKER, subject, ID_JAG THERE), TARGET_FORBIDDEN, INVALID_TARGET);
    w.agents[1].ceiling[1].resource = DEP_STR(WORLD_THERE);
    w.server.org = DEP_STR("elsewhere");
    DEP_CHECK_REFUSED(t, by_agent(WORKER, subject, ID_JAG THERE), TARGET_FORBIDDEN, INVALID_TARGET);
    w.server.org = DEP_STR("acme");
    w.server.is_enabled = false;
    DEP_CHECK_REFUSED(t, by_agent(WORKER, subject, ID_JAG THERE), TARGET_SERVER, INVALID_TARGET);
    w.server.is_enabled = true;
    DEP_CHECK_ISSUED(t, by_agent(WORKER, subject, ID_JAG THERE "&scope=write"));
}

DEP_TEST(an_own_token_stays_within_its_audience)
{
    struct outcome own = world_token(&w, ORCHESTRATOR, WORLD_API, "read", NO_PROOF);
    struct outcome abroad = world_token(&w, ORCHESTRATOR, WORLD_SERVER, "read", NO_PROOF);

    DEP_CHECK_ISSUED(t, abroad); /* an access token that the other server may exchange */
    DEP_CHECK_STR(t, abroad.decision.token.aud[0], WORLD_SERVER);
    DEP_CHECK_REFUSED(t, by_agent(ORCHESTRATOR, own.token, JWT "&audience=" WORLD_SERVER), TARGET_FORBIDDEN,
                      INVALID_TARGET);
    DEP_CHECK_ISSUED(t, by_agent(ORCHESTRATOR, abroad.token, JWT "&audience=" WORLD_SERVER));
    DEP_CHECK_REFUSED(t, world_token(&w, HELPER, WORLD_SERVER, "read", NO_PROOF), TARGET_FORBIDDEN, INVALID_TARGET);
    DEP_CHECK_REFUSED(t, world_token(&w, ORCHESTRATOR, WORLD_SERVER, "write", NO_PROOF), SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_REFUSED(t, world_token(&w, ORCHESTRATOR, WORLD_IDP, "read", NO_PROOF), TARGET_UNKNOWN, INVALID_TARGET);
}

DEP_TEST(a_grant_is_bound_to_the_key_of_the_proof)
{
    struct dep_str proof = world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT);
    struct outcome o = world_exchange(&w, WORKER, handed("read"), ID_JAG THERE, proof);
    struct dep_str jkt, text;

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, HAS(o.body, "\"token_type\":\"N_A\""));
    DEP_CHECK_OK(t, dep_jwk_jkt_of(&w.texts, w.crypto, w.proof_key, &jkt));
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(DEP_JSON_GET(claims_of(o.token), "cnf"), "jkt"), &text));
    DEP_CHECK(t, dep_str_eq(text, jkt));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(X11_an_id_jag_for_a_user),
        DEP_ROW(X12_a_jwt_keeps_the_chain_and_the_lineage_in_the_record),
        DEP_ROW(a_grant_is_no_access_token),
        DEP_ROW(X13_five_minutes_and_never_longer_than_the_inputs),
        DEP_ROW(what_is_refused),
        DEP_ROW(everybody_on_the_way_is_asked),
        DEP_ROW(an_own_token_stays_within_its_audience),
        DEP_ROW(a_grant_is_bound_to_the_key_of_the_proof),
    };
    int failed;

    world_open(&w);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

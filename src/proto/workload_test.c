/* Workloads by tokens in the formats of their platforms: as client authentication and as the grant itself (RFC 7523 sections 2.1 and 2.2;
 * Kubernetes projected service account tokens, GitHub Actions OIDC, SPIFFE JWT-SVID). */
#include "proto/world_fixture.h"

static struct world w;
#define WORKER 2u
#define KUBERNETES "https://kubernetes.default.svc.cluster.local"
#define GITHUB "https://token.actions.githubusercontent.com"
#define DOMAIN "spiffe://acme.example"
#define TIMES "\"exp\":1700003000,\"iat\":1699999400,\"nbf\":1699999400"

/* aud is a list, the platform's object is nested under a name with a dot; the header has no typ. */
#define KUBERNETES_OF(namespace, account, jti)                                                                         \
    "{\"aud\":[\"" WORLD_ISSUER "\"]," TIMES ",\"iss\":\"" KUBERNETES "\",\"jti\":\"" jti "\",\"kubernetes.io\":{"     \
    "\"namespace\":\"" namespace "\",\"node\":{\"name\":\"node-1\",\"uid\":\"646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1\"}," \
                                 "\"pod\":{\"name\":\"worker-7f9c\",\"uid\":\"5e0bd49b-f040-43b0-99b7-22765a53f7f3\"}" \
                                 ",\"serviceaccount\":{"                                                               \
                                 "\"name\":\"" account "\",\"uid\":\"14ee3fa4-a7e2-420f-9f9a-dbc4507c3798\"}},"        \
                                 "\"sub\":\"system:serviceaccount:" namespace ":" account "\"}"

#define GITHUB_OF(ref, jti)                                                                                          \
    "{\"jti\":\"" jti "\",\"sub\":\"repo:acme/app:ref:" ref "\",\"aud\":\"" WORLD_ISSUER "\",\"ref\":\"" ref "\","   \
    "\"sha\":\"b9c0f2b1\",\"repository\":\"acme/app\",\"repository_owner\":\"acme\",\"repository_owner_id\":\"65\"," \
    "\"run_id\":\"1\",\"run_number\":\"10\",\"run_attempt\":\"2\",\"repository_visibility\":\"private\","            \
    "\"repository_id\":\"74\",\"actor_id\":\"12\",\"actor\":\"octocat\",\"workflow\":\"deploy\",\"head_ref\":\"\","  \
    "\"base_ref\":\"\",\"event_name\":\"push\",\"ref_protected\":\"true\",\"ref_type\":\"branch\","                  \
    "\"runner_environment\":\"github-hosted\",\"job_workflow_ref\":\"acme/app/.github/workflows/d.yml@" ref "\","    \
    "\"iss\":\"" GITHUB "\"," TIMES "}"

#define SVID_OF(path, aud) "{\"aud\":" aud ",\"exp\":1700000300,\"iat\":1699999990,\"sub\":\"" DOMAIN path "\"}"
#define US "\"" WORLD_ISSUER "\""

static const char *const ids[] = { KUBERNETES, GITHUB, DOMAIN };
static struct dep_workload_rule rules[3];

/* The world's issuer becomes one of the platforms. */
static void trust(size_t platform)
{
    w.issuer = (struct dep_trusted_issuer){ .id = dep_str_c(ids[platform]),
                                            .name = DEP_STR("platform"),
                                            .org = DEP_STR("acme"),
                                            .uses = DEP_ISSUER_WORKLOAD,
                                            .is_enabled = true,
                                            .is_single_use = platform == 1,
                                            .rules = &rules[platform],
                                            .rules_count = 1 };
}

static void open_platforms(void)
{
    rules[0] = (struct dep_workload_rule){ .claims = { .names = { DEP_STR("/kubernetes.io/namespace"),
                                                                  DEP_STR("/kubernetes.io/serviceaccount/name") },
                                                       .values = { DEP_STR("prod"), DEP_STR("worker") },
                                                       .count = 2 } };
    rules[1] = (struct dep_workload_rule){ .claims = { .names = { DEP_STR("repository"), DEP_STR("ref") },
                                                       .values = { DEP_STR("acme/app"), DEP_STR("refs/heads/main") },
                                                       .count = 2 } };
    rules[2] = (struct dep_workload_rule){
        .claims = { .names = { DEP_STR("sub") }, .values = { DEP_STR(DOMAIN "/ns/prod/*") }, .count = 1 }
    };
    for (size_t i = 0; i < 3; i++)
        rules[i].client = w.clients[WORKER].id;
    w.clients[WORKER].auth = DEP_CLIENT_AUTH_WORKLOAD_JWT;
}

/* `typ` NULL: none. */
static struct dep_str signed_by(const struct dep_private_key *key, const char *typ, const char *claims)
{
    return world_sign_text(&w, key, dep_str_c(typ), DEP_STR("idp-1"), dep_str_c(claims));
}

static struct outcome post(const char *head, struct dep_str token, const char *more)
{
    static char body[20000];
    struct dep_header headers[1] = { { DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") } };
    struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth/token"),
                                   .peer = DEP_STR("192.0.2.1"),
                                   .headers = headers,
                                   .headers_count = 1 };

    (void)snprintf(body, sizeof(body), "%s%.*s&scope=read&resource=" WORLD_API "%s", head, DEP_STR_ARG(token), more);
    request.body = dep_str_c(body);
    return world_run(&w, &request);
}

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:"

static struct outcome authenticate(struct dep_str token, bool is_spiffe)
{
    return post(is_spiffe ? "grant_type=client_credentials&client_assertion_type=" ASSERTION_TYPE
                            "jwt-spiffe&client_assertion="
                          : "grant_type=client_credentials&client_assertion_type=" ASSERTION_TYPE
                            "jwt-bearer&client_assertion=",
                token, "");
}

static struct outcome grant(struct dep_str token, const char *more)
{
    return post("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=", token, more);
}

static const struct {
    const char *name;
    size_t platform;
    const char *typ, *claims;
    enum dep_err reason;
} rows[] = {
    { "kubernetes", 0, NULL, KUBERNETES_OF("prod", "worker", "k1"), DEP_ERR_NONE },
    { "kubernetes with typ", 0, "JWT", KUBERNETES_OF("prod", "worker", "k2"), DEP_ERR_NONE },
    { "kubernetes, another namespace", 0, NULL, KUBERNETES_OF("test", "worker", "k3"), DEP_ERR_CLIENT_UNKNOWN },
    { "kubernetes, another account", 0, NULL, KUBERNETES_OF("prod", "worker2", "k4"), DEP_ERR_CLIENT_UNKNOWN },
    { "github", 1, "JWT", GITHUB_OF("refs/heads/main", "g1"), DEP_ERR_NONE },
    { "github, another branch", 1, "JWT", GITHUB_OF("refs/heads/x", "g2"), DEP_ERR_CLIENT_UNKNOWN },
    { "github at kubernetes", 0, "JWT", GITHUB_OF("refs/heads/main", "g3"), DEP_ERR_CLIENT_UNKNOWN },
    { "spiffe", 2, "JWT", SVID_OF("/ns/prod/worker", US), DEP_ERR_NONE },
    { "spiffe, typ JOSE", 2, "JOSE", SVID_OF("/ns/prod/worker", "[" US "]"), DEP_ERR_NONE },
    { "spiffe, no typ", 2, NULL, SVID_OF("/ns/prod/a/b", US), DEP_ERR_NONE },
    { "spiffe, another path", 2, "JWT", SVID_OF("/ns/test/worker", US), DEP_ERR_CLIENT_UNKNOWN },
    { "spiffe, the path itself", 2, "JWT", SVID_OF("/ns/prod", US), DEP_ERR_CLIENT_UNKNOWN },
    { "spiffe, an audience more", 2, "JWT", SVID_OF("/ns/prod/worker", "[" US ",\"https://x.example\"]"),
      DEP_ERR_JWT_AUD },
    { "spiffe, another audience", 2, "JWT", SVID_OF("/ns/prod/worker", "\"https://x.example\""), DEP_ERR_JWT_AUD },
};

DEP_TEST(as_client_authentication_and_as_grant)
{
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str token = signed_by(w.idp_key, rows[i].typ, rows[i].claims);
        struct outcome o;

        trust(rows[i].platform);
        w.issuer.is_single_use = false;
        o = authenticate(token, rows[i].platform == 2);
        dep_test_check(t,
                       o.decision.reason == rows[i].reason &&
                           (rows[i].reason == DEP_ERR_NONE || o.decision.class == DEP_CLASS_INVALID_CLIENT),
                       __FILE__, __LINE__, "%s: %s", rows[i].name, dep_err_name(o.decision.reason));
        o = grant(token, "");
        dep_test_check(t,
                       o.decision.reason == rows[i].reason &&
                           (rows[i].reason == DEP_ERR_NONE || o.decision.class == DEP_CLASS_INVALID_GRANT),
                       __FILE__, __LINE__, "%s as grant: %s", rows[i].name, dep_err_name(o.decision.reason));
    }
}

DEP_TEST(what_a_workload_gets_is_its_agents)
{
    struct outcome o;

    trust(0);
    o = grant(signed_by(w.idp_key, NULL, KUBERNETES_OF("prod", "worker", "w1")), "");
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.sub, WORLD_WORKER);
    DEP_CHECK(t, o.decision.token.actors_count == 0 && !o.decision.is_exchange);
    DEP_CHECK_STR(t, o.decision.record.event, "token.issued");
    DEP_CHECK_STR(t, o.decision.record.detail, "workload system:serviceaccount:prod:worker of " KUBERNETES);
    DEP_CHECK_STR(t, dep_str_c(dep_column_name(o.decision.column)), "workload");
}

DEP_TEST(the_grant_form_is_for_workloads_alone)
{
    struct dep_str good = signed_by(w.idp_key, NULL, KUBERNETES_OF("prod", "worker", "x1"));
    struct dep_str forged = signed_by(w.other_proof_key, NULL, KUBERNETES_OF("prod", "worker", "x2"));
    char more[64];

    trust(0);
    DEP_CHECK_REFUSED(t, grant(forged, ""), CRYPTO_SIGNATURE, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant(DEP_STR("a.b.c"), ""), CLIENT_NO_AUTH, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, grant(signed_by(w.idp_key, "oauth-id-jag+jwt", KUBERNETES_OF("prod", "worker", "x3")), ""),
                      CLIENT_NO_AUTH, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, grant(good, "&client_id=somebody"), CLIENT_ID_MISMATCH, INVALID_GRANT);
    (void)snprintf(more, sizeof(more), "&client_id=%s", w.client_ids[WORKER]);
    DEP_CHECK_ISSUED(t, grant(good, more));
    w.issuer.uses = DEP_ISSUER_SUBJECT;
    DEP_CHECK_REFUSED(t, grant(good, ""), JWT_ISS, INVALID_GRANT);
    w.issuer.uses = DEP_ISSUER_WORKLOAD;
    w.clients[WORKER].grants &= ~DEP_GRANT_JWT_BEARER;
    DEP_CHECK_REFUSED(t, grant(good, ""), CLIENT_GRANT, UNAUTHORIZED_CLIENT);
    w.clients[WORKER].grants |= DEP_GRANT_JWT_BEARER;
    w.clients[WORKER].auth = DEP_CLIENT_AUTH_BASIC;
    DEP_CHECK_REFUSED(t, grant(good, ""), CLIENT_METHOD, INVALID_GRANT);
    w.clients[WORKER].auth = DEP_CLIENT_AUTH_WORKLOAD_JWT;
    DEP_CHECK_ISSUED(t, grant(good, ""));
}

DEP_TEST(C08_used_once_where_the_record_says_so_in_both_forms)
{
    struct dep_str github = signed_by(w.idp_key, "JWT", GITHUB_OF("refs/heads/main", "once"));
    struct dep_str pod = signed_by(w.idp_key, NULL, KUBERNETES_OF("prod", "worker", "many"));
    struct dep_str svid = signed_by(w.idp_key, "JWT", SVID_OF("/ns/prod/worker", US));

    trust(1);
    DEP_CHECK_ISSUED(t, grant(github, ""));
    DEP_CHECK_REFUSED(t, grant(github, ""), CLIENT_ASSERTION_REPLAY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, authenticate(github, false), CLIENT_ASSERTION_REPLAY, INVALID_CLIENT);
    trust(0); /* a projected token is used until it is renewed */
    DEP_CHECK_ISSUED(t, grant(pod, ""));
    DEP_CHECK_ISSUED(t, grant(pod, ""));
    trust(2);
    DEP_CHECK_ISSUED(t, grant(svid, ""));
    DEP_CHECK_ISSUED(t, authenticate(svid, true));
    w.issuer.is_single_use = true; /* without a jti nobody can say what was used */
    DEP_CHECK_REFUSED(t, grant(svid, ""), CLIENT_ASSERTION_JTI, INVALID_GRANT);
}

DEP_TEST(a_token_without_an_issuer_is_an_svid_or_nothing)
{
    trust(2);
    DEP_CHECK_REFUSED(t, grant(signed_by(w.idp_key, "JWT", "{\"aud\":" US ",\"exp\":1700000300,\"sub\":\"x\"}"), ""),
                      CLIENT_UNKNOWN, INVALID_GRANT);
    DEP_CHECK_REFUSED(
        t, authenticate(signed_by(w.idp_key, "JWT", "{\"aud\":" US ",\"exp\":1700000300,\"sub\":\"x\"}"), true),
        JSON_MISSING, INVALID_CLIENT);
    DEP_CHECK_REFUSED(
        t,
        grant(signed_by(w.idp_key, "JWT", "{\"aud\":" US ",\"exp\":1699999900,\"sub\":\"" DOMAIN "/ns/prod/worker\"}"),
              ""),
        JWT_EXPIRED, INVALID_GRANT);
    DEP_CHECK_REFUSED(t,
                      grant(signed_by(w.idp_key, "JWT", "{\"aud\":" US ",\"sub\":\"" DOMAIN "/ns/prod/worker\"}"), ""),
                      JWT_MISSING, INVALID_GRANT);
    DEP_CHECK_REFUSED(
        t,
        grant(signed_by(w.idp_key, "JWT",
                        "{\"aud\":" US ",\"exp\":1700000300,\"sub\":\"spiffe://evil.example/ns/prod/worker\"}"),
              ""),
        CLIENT_UNKNOWN, INVALID_GRANT);
    DEP_CHECK_ISSUED(t, grant(signed_by(w.idp_key, "JWT", SVID_OF("/ns/prod/worker", US)), ""));
}

int main(void)
{
    static const struct dep_test_row table[] = {
        DEP_ROW(as_client_authentication_and_as_grant),
        DEP_ROW(what_a_workload_gets_is_its_agents),
        DEP_ROW(the_grant_form_is_for_workloads_alone),
        DEP_ROW(C08_used_once_where_the_record_says_so_in_both_forms),
        DEP_ROW(a_token_without_an_issuer_is_an_svid_or_nothing),
    };
    int failed;

    world_open(&w);
    open_platforms();
    failed = dep_test_main(table, DEP_COUNT(table));
    world_close(&w);
    return failed;
}

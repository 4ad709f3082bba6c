/* Tokens that are bound to a client's certificate (RFC 8705 section 3): when they are, and that they stay bound through every exchange. */
#include "proto/world_fixture.h"
#include "test/certificates.h"

#define NO_PROOF DEP_STR_ABSENT
#define ROOT 0u
#define ORCHESTRATOR 1u
#define JWT_BEARER "urn:ietf:params:oauth:grant-type:jwt-bearer"

static struct world w;
static struct dep_str mine, other; /* certificates */
static struct dep_str mine_x5t, other_x5t;

static struct dep_str make_certificate(struct dep_str *ret_x5t)
{
    const struct issue what = { .subject = "CN=somebody" };
    struct issued made = fixture_issue(NULL, EVP_EC_gen("P-256"), &what);
    struct dep_str der = fixture_der(&w.texts, &made);
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_buf x5t;

    fixture_free(&made);
    dep_sha256(w.crypto, der, digest);
    dep_buf_init_arena(&x5t, &w.texts, DEP_JKT_LEN);
    dep_b64url_put(&x5t, digest, sizeof(digest));
    *ret_x5t = dep_buf_str(&x5t);
    return der;
}

static void begin(void)
{
    world_open(&w);
    mine = make_certificate(&mine_x5t);
    other = make_certificate(&other_x5t);
}

static struct dep_str proof(void)
{
    return world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT);
}

/* The next requests come with this certificate. */
static struct outcome token_with(struct dep_str certificate, struct dep_str dpop)
{
    w.certificate = certificate;
    return world_token(&w, ROOT, WORLD_API, "read", dpop);
}

static struct outcome exchange_with(struct dep_str certificate, size_t client, struct dep_str subject, const char *more,
                                    struct dep_str dpop)
{
    w.certificate = certificate;
    return world_exchange(&w, client, subject, more, dpop);
}

static void check_bound(struct dep_test *t, struct outcome o, struct dep_str x5t, int line)
{
    const struct dep_token *token = &o.decision.token;

    dep_test_check(
        t, o.decision.answer == DEP_ANSWER_TOKEN && dep_str_eq(token->x5t, x5t) && dep_str_is_absent(token->jkt),
        __FILE__, line, "%s, x5t %.*s", dep_err_name(o.decision.reason), DEP_STR_ARG(token->x5t));
}
#define CHECK_BOUND(t, outcome, x5t) check_bound((t), (outcome), (x5t), __LINE__)

DEP_TEST(T3_bound_when_the_record_says_so)
{
    struct outcome o;

    begin();
    CHECK_BOUND(t, token_with(mine, NO_PROOF), DEP_STR_ABSENT); /* nobody asked */
    w.clients[ROOT].needs_certificate = true;
    o = token_with(mine, NO_PROOF);
    CHECK_BOUND(t, o, mine_x5t);
    DEP_CHECK(t, strstr(o.body.ptr, "\"token_type\":\"Bearer\"") != NULL);
    DEP_CHECK_REFUSED(t, token_with(DEP_STR_ABSENT, NO_PROOF), CLIENT_CERTIFICATE_REQUIRED, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, token_with(DEP_STR_ABSENT, proof()), CLIENT_CERTIFICATE_REQUIRED, INVALID_REQUEST);
    /* cnf has one member: the proof that came is what the client means. */
    o = token_with(mine, proof());
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, dep_str_is_absent(o.decision.token.x5t) && o.decision.token.jkt.len == DEP_JKT_LEN);
    DEP_CHECK(t, strstr(o.body.ptr, "\"token_type\":\"DPoP\"") != NULL);
    world_close(&w);
}

DEP_TEST(T3_bound_when_the_certificate_authenticates)
{
    char body[200];
    struct dep_header form = { DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth/token"),
                                   .headers = &form,
                                   .headers_count = 1 };
    struct issued root, leaf;
    const struct issue authority = { .subject = "CN=Root", .is_authority = true },
                       client = { .subject = "CN=somebody" };
    struct dep_trust *trust = NULL;

    begin();
    root = fixture_issue(NULL, EVP_EC_gen("P-256"), &authority);
    leaf = fixture_issue(&root, EVP_EC_gen("P-256"), &client);
    DEP_CHECK_OK(t, dep_trust_new(fixture_pem(&w.texts, &root, 1), &trust));
    w.policy.client_trust = trust;
    w.clients[ROOT].auth = DEP_CLIENT_AUTH_TLS;
    w.clients[ROOT].tls_name_kind = DEP_TLS_SUBJECT_DN;
    w.clients[ROOT].tls_name = w.clients[ROOT].tls_name_form = DEP_STR("CN=somebody");
    request.certificate = fixture_der(&w.texts, &leaf);
    (void)snprintf(body, sizeof(body), "grant_type=client_credentials&resource=" WORLD_API "&scope=read&client_id=%s",
                   w.client_ids[ROOT]);
    request.body = dep_str_c(body);
    DEP_CHECK(t, world_run(&w, &request).decision.token.x5t.len == DEP_JKT_LEN);
    dep_trust_free(trust);
    fixture_free(&leaf);
    fixture_free(&root);
    world_close(&w);
}

DEP_TEST(T3_introspection_says_it)
{
    struct outcome o;
    char body[4000], want[80];

    begin();
    w.clients[ROOT].needs_certificate = true;
    o = token_with(mine, NO_PROOF);
    (void)snprintf(body, sizeof(body), "token=%.*s", DEP_STR_ARG(o.token));
    (void)snprintf(want, sizeof(want), "\"cnf\":{\"x5t#S256\":\"%.*s\"}", DEP_STR_ARG(mine_x5t));
    w.certificate = DEP_STR_ABSENT; /* the resource server is another */
    o = world_post(&w, DEP_ENDPOINT_INTROSPECT, WORLD_AGENTS, body, NO_PROOF);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_ACTIVE);
    DEP_CHECK(t, strstr(o.body.ptr, want) != NULL && strstr(o.body.ptr, "\"token_type\":\"Bearer\"") != NULL);
    world_close(&w);
}

/* D28, B49: what narrows its own token shows the same certificate, and gets no less. */
DEP_TEST(D28_narrowing_takes_the_same_certificate)
{
    struct dep_str bound;
    struct outcome o;

    begin();
    w.clients[ROOT].needs_certificate = true;
    bound = token_with(mine, NO_PROOF).token;
    w.clients[ROOT].needs_certificate = false; /* the token alone asks for it */
    CHECK_BOUND(t, exchange_with(mine, ROOT, bound, "&scope=read", NO_PROOF), mine_x5t);
    DEP_CHECK_REFUSED(t, exchange_with(DEP_STR_ABSENT, ROOT, bound, "", NO_PROOF), EXCHANGE_CERTIFICATE,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_with(other, ROOT, bound, "", NO_PROOF), EXCHANGE_CERTIFICATE, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_with(DEP_STR_ABSENT, ROOT, bound, "", proof()), EXCHANGE_CERTIFICATE,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_with(other, ROOT, bound, "", proof()), EXCHANGE_CERTIFICATE, INVALID_REQUEST);
    o = exchange_with(mine, ROOT, bound, "", proof());
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.jkt.len == DEP_JKT_LEN && dep_str_is_absent(o.decision.token.x5t));
    /* And a key is not replaced by a certificate. */
    bound = token_with(DEP_STR_ABSENT, proof()).token;
    DEP_CHECK_REFUSED(t, exchange_with(mine, ROOT, bound, "", NO_PROOF), DPOP_REQUIRED, INVALID_DPOP_PROOF);
    DEP_CHECK_ISSUED(t, exchange_with(mine, ROOT, bound, "", proof()));
    world_close(&w);
}

/* Whoever it was handed to binds what follows to something of its own. */
DEP_TEST(D28_a_delegate_shows_its_own)
{
    const char *hand_over = "grant_type=client_credentials&audience=" WORLD_ORCHESTRATOR "&scope=read";
    struct dep_str bound, by_key;
    struct outcome o;

    begin();
    w.clients[ROOT].needs_certificate = true;
    w.certificate = mine;
    bound = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, hand_over, NO_PROOF).token;
    CHECK_BOUND(t, exchange_with(other, ORCHESTRATOR, bound, "&resource=" WORLD_API, NO_PROOF), other_x5t);
    o = exchange_with(DEP_STR_ABSENT, ORCHESTRATOR, bound, "&resource=" WORLD_API, proof());
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.jkt.len == DEP_JKT_LEN);
    DEP_CHECK_REFUSED(t, exchange_with(DEP_STR_ABSENT, ORCHESTRATOR, bound, "&resource=" WORLD_API, NO_PROOF),
                      EXCHANGE_CERTIFICATE, INVALID_REQUEST);
    w.clients[ROOT].needs_certificate = false;
    w.certificate = DEP_STR_ABSENT;
    by_key = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, hand_over, proof()).token;
    CHECK_BOUND(t, exchange_with(other, ORCHESTRATOR, by_key, "&resource=" WORLD_API, NO_PROOF), other_x5t);
    DEP_CHECK_REFUSED(t, exchange_with(DEP_STR_ABSENT, ORCHESTRATOR, by_key, "&resource=" WORLD_API, NO_PROOF),
                      DPOP_REQUIRED, INVALID_DPOP_PROOF);
    world_close(&w);
}

DEP_TEST(D28_an_actor_token_too)
{
    struct dep_str subject, actor;
    char more[4000];

    begin();
    w.certificate = DEP_STR_ABSENT;
    subject = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT,
                         "grant_type=client_credentials&audience=" WORLD_ORCHESTRATOR "&scope=read", NO_PROOF)
                  .token;
    w.clients[ORCHESTRATOR].needs_certificate = true;
    w.certificate = mine;
    actor = world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, "grant_type=client_credentials&audience=" WORLD_ISSUER,
                       NO_PROOF)
                .token;
    w.clients[ORCHESTRATOR].needs_certificate = false;
    (void)snprintf(more, sizeof(more),
                   "&resource=" WORLD_API "&actor_token_type=" ACCESS_TOKEN_TYPE "&actor_token=%.*s",
                   DEP_STR_ARG(actor));
    CHECK_BOUND(t, exchange_with(mine, ORCHESTRATOR, subject, more, NO_PROOF), mine_x5t);
    DEP_CHECK_REFUSED(t, exchange_with(other, ORCHESTRATOR, subject, more, NO_PROOF), EXCHANGE_CERTIFICATE,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, exchange_with(DEP_STR_ABSENT, ORCHESTRATOR, subject, more, proof()), EXCHANGE_CERTIFICATE,
                      INVALID_REQUEST);
    world_close(&w);
}

/* A grant of another issuer that is for who has this certificate (rfc7800#3.1). */
static struct outcome grant_with(struct dep_str certificate, const char *cnf)
{
    static unsigned count;
    char claims[600], body[2000];
    struct dep_str jwt;

    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER
                   "\",\"client_id\":\"%s\",\"jti\":\"g%u\",\"iat\":%lld,\"exp\":%lld,\"scope\":\"read\"%s}",
                   w.client_ids[ORCHESTRATOR], count++, (long long)WORLD_NOW, (long long)WORLD_NOW + 200, cnf);
    jwt = world_sign_text(&w, w.idp_key, DEP_STR("oauth-id-jag+jwt"), DEP_STR("idp-1"), dep_str_c(claims));
    (void)snprintf(body, sizeof(body), "grant_type=" JWT_BEARER "&resource=" WORLD_API "&assertion=%.*s",
                   DEP_STR_ARG(jwt));
    w.certificate = certificate;
    return world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, NO_PROOF);
}

DEP_TEST(J11_a_grant_that_is_bound_to_a_certificate)
{
    char cnf[100], two[200];

    begin();
    (void)snprintf(cnf, sizeof(cnf), ",\"cnf\":{\"x5t#S256\":\"%.*s\"}", DEP_STR_ARG(mine_x5t));
    (void)snprintf(two, sizeof(two), ",\"cnf\":{\"x5t#S256\":\"%.*s\",\"jkt\":\"%.*s\"}", DEP_STR_ARG(mine_x5t),
                   DEP_STR_ARG(mine_x5t));
    CHECK_BOUND(t, grant_with(mine, cnf), mine_x5t);
    CHECK_BOUND(t, grant_with(mine, ""), DEP_STR_ABSENT);
    DEP_CHECK_REFUSED(t, grant_with(DEP_STR_ABSENT, cnf), GRANT_KEY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant_with(other, cnf), GRANT_KEY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant_with(mine, two), GRANT_KEY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant_with(mine, ",\"cnf\":{}"), GRANT_KEY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, grant_with(mine, ",\"cnf\":null"), GRANT_KEY, INVALID_GRANT);
    world_close(&w);
}

/* An access token of another deputy is for who has its certificate. */
DEP_TEST(D28_an_access_token_of_another_issuer)
{
    char claims[600], body[2000];
    struct dep_str jwt;

    begin();
    w.issuer.uses = DEP_ISSUER_ACCESS_TOKEN;
    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER
                   "\",\"client_id\":\"x\",\"jti\":\"a1\",\"iat\":%lld,\"exp\":%lld,\"scope\":\"read\",\"cnf\":{"
                   "\"x5t#S256\":\"%.*s\"}}",
                   (long long)WORLD_NOW, (long long)WORLD_NOW + 200, DEP_STR_ARG(mine_x5t));
    jwt = world_sign_text(&w, w.idp_key, DEP_STR("at+jwt"), DEP_STR("idp-1"), dep_str_c(claims));
    (void)snprintf(body, sizeof(body),
                   "grant_type=" EXCHANGE "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&resource=" WORLD_API
                   "&subject_token=%.*s",
                   DEP_STR_ARG(jwt));
    w.certificate = mine;
    CHECK_BOUND(t, world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, NO_PROOF), mine_x5t);
    w.certificate = other;
    DEP_CHECK_REFUSED(t, world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, NO_PROOF), EXCHANGE_CERTIFICATE,
                      INVALID_REQUEST);
    w.certificate = DEP_STR_ABSENT;
    DEP_CHECK_REFUSED(t, world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, proof()), EXCHANGE_CERTIFICATE,
                      INVALID_REQUEST);
    world_close(&w);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(T3_bound_when_the_record_says_so),
        DEP_ROW(T3_bound_when_the_certificate_authenticates),
        DEP_ROW(T3_introspection_says_it),
        DEP_ROW(D28_narrowing_takes_the_same_certificate),
        DEP_ROW(D28_a_delegate_shows_its_own),
        DEP_ROW(D28_an_actor_token_too),
        DEP_ROW(J11_a_grant_that_is_bound_to_a_certificate),
        DEP_ROW(D28_an_access_token_of_another_issuer),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* An agent registers one below itself: with a token of its own for this issuer, within its ceiling, and nobody else does. */
#include "proto/world_fixture.h"
#include "test/certificates.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define ROOT 0u
#define ORCHESTRATOR 1u
#define CEILING \
    "&ceiling=%5B%7B%22resource%22%3A%22https%3A%2F%2Fapi.example%2Fmcp%22%2C%22scopes%22%3A%5B%22read%22%5D%7D%5D"
#define GOOD "name=finder" CEILING

static struct dep_right rights[3];
static struct dep_str create_word[] = { DEP_STR_INIT(DEP_SCOPE_AGENTS) };

/* The root may make agents. */
static void give_right(void)
{
    rights[0] = w.agents[ROOT].ceiling[0];
    rights[1] = w.agents[ROOT].ceiling[1];
    rights[2] = (struct dep_right){ DEP_STR(WORLD_ISSUER), create_word, 1 };
    w.agents[ROOT].ceiling = rights;
    w.agents[ROOT].ceiling_count = 3;
}

static struct outcome ask_token(size_t agent, struct dep_str proof)
{
    return world_post(&w, DEP_ENDPOINT_TOKEN, agent,
                      "grant_type=client_credentials&audience=" WORLD_ISSUER "&scope=agents%3Acreate", proof);
}

static struct outcome call(const char *scheme, struct dep_str token, struct dep_str proof, const char *body)
{
    static char authorization[8192];
    struct dep_header headers[3] = {
        { DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") },
    };
    struct dep_request request = { .endpoint = DEP_ENDPOINT_AGENTS,
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth/agents"),
                                   .body = dep_str_c(body),
                                   .headers = headers,
                                   .headers_count = 1,
                                   .certificate = w.certificate };

    if (scheme != NULL) {
        (void)snprintf(authorization, sizeof(authorization), "%s %.*s", scheme, DEP_STR_ARG(token));
        headers[request.headers_count++] = (struct dep_header){ DEP_STR("Authorization"), dep_str_c(authorization) };
    }
    if (!dep_str_is_absent(proof))
        headers[request.headers_count++] = (struct dep_header){ DEP_STR("DPoP"), proof };
    return world_run(&w, &request);
}

static struct dep_str proof_for(struct dep_str token, const char *url)
{
    static unsigned char random[16];
    struct dep_str proof;

    random[0]++;
    DEP_ASSERT(dep_is_ok(dep_dpop_sign(&w.texts, w.crypto, w.proof_key, DEP_STR("POST"), dep_str_c(url), token,
                                       DEP_STR_ABSENT, WORLD_NOW, random, &proof)));
    return proof;
}

static void check_refused(struct dep_test *t, const char *what, struct outcome o, enum dep_err reason, int status)
{
    dep_test_check(t, o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == reason && o.status == status,
                   __FILE__, __LINE__, "%s: %s, status %d", what, dep_err_name(o.decision.reason), o.status);
    for (size_t i = 0; i < o.decision.effects_count; i++)
        DEP_CHECK(t, !dep_effect_gives(o.decision.effects[i].kind));
}

DEP_TEST(a_parent_registers_within_its_ceiling)
{
    struct dep_str token = ask_token(ROOT, NO_PROOF).token;
    struct outcome o = call("Bearer", token, NO_PROOF, GOOD "&purpose=finds&expires_in=600");
    const struct dep_child *child = &o.decision.child;

    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_CHILD && o.status == 201);
    DEP_CHECK_STR(t, child->name, "finder");
    DEP_CHECK_STR(t, child->parent->id, WORLD_ROOT);
    DEP_CHECK(t, child->ceiling_count == 1 && child->expires == WORLD_NOW + 600 && !child->needs_dpop);
    DEP_CHECK(t, dep_str_starts(child->id, DEP_STR("agent:")) && child->client_id.len == 26);
    DEP_CHECK_STR(t, o.decision.record.event, "agent.registered");
    DEP_CHECK(t, dep_str_eq(o.decision.record.target, child->id));
    DEP_CHECK(t, o.decision.effects_count == 1 && o.decision.effects[0].kind == DEP_EFFECT_REGISTER);
}

DEP_TEST(a_token_of_a_certificate_needs_it)
{
    struct dep_token token = ask_token(ROOT, NO_PROOF).decision.token;
    struct dep_str text;

    token.x5t = DEP_STR("0123456789012345678901234567890123456789010");
    text = world_sign(&w, &token);
    check_refused(t, "none", call("Bearer", text, NO_PROOF, GOOD), DEP_ERR_TOKEN_NO_CERTIFICATE, 401);
    check_refused(t, "a proof in its place", call("DPoP", text, proof_for(text, WORLD_ISSUER "/oauth/agents"), GOOD),
                  DEP_ERR_TOKEN_NO_CERTIFICATE, 401);
}

DEP_TEST(a_token_of_a_certificate_comes_with_it)
{
    const struct issue what = { .subject = "CN=somebody" };
    struct issued one = fixture_issue(NULL, EVP_EC_gen("P-256"), &what);
    struct issued other = fixture_issue(NULL, EVP_EC_gen("P-256"), &what);
    struct dep_str token;
    struct outcome o;

    w.clients[ROOT].needs_certificate = true;
    w.certificate = fixture_der(&w.texts, &one);
    token = ask_token(ROOT, NO_PROOF).token;
    o = call("Bearer", token, NO_PROOF, GOOD);
    /* What grows from a bound token is bound too: to a key, which every agent can make. */
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_CHILD && o.decision.child.needs_dpop);
    w.certificate = fixture_der(&w.texts, &other);
    check_refused(t, "another", call("Bearer", token, NO_PROOF, GOOD), DEP_ERR_TOKEN_CERTIFICATE, 401);
    w.certificate = DEP_STR_ABSENT;
    check_refused(t, "none", call("Bearer", token, NO_PROOF, GOOD), DEP_ERR_TOKEN_NO_CERTIFICATE, 401);
    w.clients[ROOT].needs_certificate = false;
    fixture_free(&one);
    fixture_free(&other);
}

DEP_TEST(a_bound_token_needs_its_proof)
{
    struct outcome got = ask_token(ROOT, world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT));
    const char *url = WORLD_ISSUER "/oauth/agents";
    struct dep_str proof;
    struct outcome o;

    DEP_CHECK_ISSUED(t, got);
    o = call("DPoP", got.token, proof_for(got.token, url), GOOD);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_CHILD && o.decision.child.needs_dpop);
    check_refused(t, "as Bearer", call("Bearer", got.token, NO_PROOF, GOOD), DEP_ERR_TOKEN_BOUND_AS_BEARER, 401);
    check_refused(t, "no proof", call("DPoP", got.token, NO_PROOF, GOOD), DEP_ERR_DPOP_REQUIRED, 401);
    check_refused(t, "a proof for the token endpoint",
                  call("DPoP", got.token, proof_for(got.token, WORLD_ISSUER "/oauth/token"), GOOD), DEP_ERR_DPOP_HTU,
                  401);
    proof = proof_for(got.token, url);
    DEP_CHECK(t, call("DPoP", got.token, proof, GOOD).decision.answer == DEP_ANSWER_CHILD);
    check_refused(t, "the same proof again", call("DPoP", got.token, proof, GOOD), DEP_ERR_DPOP_REPLAY, 401);
}

DEP_TEST(D31_nobody_else_registers)
{
    struct dep_str token = ask_token(ROOT, NO_PROOF).token;
    struct dep_str actor =
        world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, "grant_type=client_credentials&audience=" WORLD_ISSUER, NO_PROOF)
            .token;
    struct dep_str api = world_token(&w, ROOT, WORLD_API, "read", NO_PROOF).token;
    const struct dep_revocation cut = { DEP_REVOKED_AGENT, DEP_STR_INIT(WORLD_ROOT), WORLD_NOW, WORLD_NOW + 600 };
    struct dep_revocations *before = w.revocations;

    DEP_CHECK_REFUSED(t, ask_token(ORCHESTRATOR, NO_PROOF), SCOPE_CEILING, INVALID_SCOPE);
    check_refused(t, "no token", call(NULL, DEP_STR_ABSENT, NO_PROOF, GOOD), DEP_ERR_TOKEN_ABSENT, 401);
    check_refused(t, "a token without the scope", call("Bearer", actor, NO_PROOF, GOOD), DEP_ERR_TOKEN_SCOPE, 403);
    check_refused(t, "a token for an API", call("Bearer", api, NO_PROOF, GOOD), DEP_ERR_JWT_AUD, 401);
    check_refused(t, "Basic", call("Basic", DEP_STR("YTpi"), NO_PROOF, GOOD), DEP_ERR_TOKEN_SCHEME, 401);
    w.agents[ROOT].ceiling_count = 2;
    check_refused(t, "the right was taken away", call("Bearer", token, NO_PROOF, GOOD), DEP_ERR_TOKEN_SCOPE, 403);
    w.agents[ROOT].ceiling_count = 3;
    w.agents[ROOT].effective_state = DEP_STATE_SUSPENDED;
    check_refused(t, "suspended", call("Bearer", token, NO_PROOF, GOOD), DEP_ERR_CALLER_PRINCIPAL, 401);
    w.agents[ROOT].effective_state = DEP_STATE_ACTIVE;
    w.revocations = dep_revocations_new(1);
    DEP_ASSERT(dep_is_ok(dep_revocations_add(w.revocations, &cut)));
    check_refused(t, "revoked", call("Bearer", token, NO_PROOF, GOOD), DEP_ERR_TOKEN_REVOKED, 401);
    dep_revocations_free(w.revocations);
    w.revocations = before;
    DEP_CHECK(t, call("Bearer", token, NO_PROOF, GOOD).decision.answer == DEP_ANSWER_CHILD);
}

DEP_TEST(D20_a_child_is_never_wider)
{
    static const struct {
        const char *name, *body;
        enum dep_err reason;
        int status;
    } rows[] = {
        { "no name", "name=" CEILING, DEP_ERR_PARAM_MISSING, 400 },
        { "no ceiling", "name=x", DEP_ERR_PARAM_MISSING, 400 },
        { "an empty ceiling", "name=x&ceiling=%5B%5D", DEP_ERR_CHILD_SYNTAX, 400 },
        { "no JSON", "name=x&ceiling=read", DEP_ERR_CHILD_SYNTAX, 400 },
        { "no scopes",
          "name=x&ceiling=%5B%7B%22resource%22%3A%22https%3A%2F%2Fapi.example%2Fmcp%22%2C%22scopes%22%3A%5B%5D%7D%5D",
          DEP_ERR_CHILD_SYNTAX, 400 },
        { "a scope that the parent has not",
          "name=x&ceiling=%5B%7B%22resource%22%3A%22https%3A%2F%2Fapi.example%2Fmcp%22%2C%22scopes%22%3A%5B%22admin%22%"
          "5D%7D%5D",
          DEP_ERR_CHILD_CEILING, 403 },
        { "a resource that the parent has not",
          "name=x&ceiling=%5B%7B%22resource%22%3A%22https%3A%2F%2Felsewhere.example%22%2C%22scopes%22%3A%5B%22read%22%"
          "5D%7D%5D",
          DEP_ERR_CHILD_CEILING, 403 },
        { "two names", GOOD "&name=y", DEP_ERR_PARAM_DUPLICATE, 400 },
        { "an end of nothing", GOOD "&expires_in=0", DEP_ERR_CHILD_SYNTAX, 400 },
        { "an end that is no number", GOOD "&expires_in=1e9", DEP_ERR_CHILD_SYNTAX, 400 },
        { "keys that are no object", GOOD "&jwks=%5B%5D", DEP_ERR_CHILD_SYNTAX, 400 },
    };
    struct dep_str token = ask_token(ROOT, NO_PROOF).token;

    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        check_refused(t, rows[i].name, call("Bearer", token, NO_PROOF, rows[i].body), rows[i].reason, rows[i].status);
    w.family.children = DEP_CHILDREN_MAX;
    check_refused(t, "too many children", call("Bearer", token, NO_PROOF, GOOD), DEP_ERR_CHILD_ROOM, 409);
    w.family = (struct dep_family){ .ancestors = DEP_ANCESTORS_MAX };
    check_refused(t, "too deep", call("Bearer", token, NO_PROOF, GOOD), DEP_ERR_CHILD_ROOM, 409);
    w.family.ancestors = 0;
    DEP_CHECK(t, call("Bearer", token, NO_PROOF, GOOD).decision.answer == DEP_ANSWER_CHILD);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_parent_registers_within_its_ceiling),
        DEP_ROW(a_token_of_a_certificate_needs_it),
        DEP_ROW(a_token_of_a_certificate_comes_with_it),
        DEP_ROW(a_bound_token_needs_its_proof),
        DEP_ROW(D31_nobody_else_registers),
        DEP_ROW(D20_a_child_is_never_wider),
    };
    int failed;

    world_open(&w);
    give_right();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

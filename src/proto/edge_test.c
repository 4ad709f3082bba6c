/* The edges of a chain: what may be handed over, to whom, for which resources; what an over-ask would have got; and a preview, which
 * says all that without a token (attack group D). */
#include "proto/world_fixture.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define ROOT 0u
#define ORCHESTRATOR 1u
#define WORKER 2u

#define TOKEN_FOR "grant_type=client_credentials&scope=read"
#define HAND_OVER TOKEN_FOR "&audience=" WORLD_ORCHESTRATOR

/* A user of the foreign issuer, exchanged by the client of an agent. */
static struct outcome user_gives(size_t client)
{
    static char body[2048];
    char claims[256];
    struct dep_str id_token;

    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER
                   "\",\"iat\":%lld,\"exp\":%lld}",
                   (long long)WORLD_NOW, (long long)WORLD_NOW + 250);
    id_token = world_sign_text(&w, w.idp_key, DEP_STR("JWT"), DEP_STR("idp-1"), dep_str_c(claims));
    (void)snprintf(body, sizeof(body),
                   "grant_type=" EXCHANGE
                   "&subject_token_type=urn:ietf:params:oauth:token-type:id_token&scope=read&resource=" WORLD_API
                   "&subject_token=%.*s",
                   DEP_STR_ARG(id_token));
    return world_post(&w, DEP_ENDPOINT_TOKEN, client, body, NO_PROOF);
}

DEP_TEST(D19_whom_the_users_of_an_issuer_may_hand_over_to)
{
    struct dep_str only_worker[] = { DEP_STR(WORLD_WORKER) };

    DEP_CHECK_ISSUED(t, user_gives(ORCHESTRATOR));
    w.issuer.agents = only_worker;
    w.issuer.agents_count = 1;
    w.issuer.has_agents = true;
    DEP_CHECK_REFUSED(t, user_gives(ORCHESTRATOR), EXCHANGE_EDGE, INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, user_gives(WORKER));
    w.issuer.agents_count = 0; /* an empty list is nobody */
    DEP_CHECK_REFUSED(t, user_gives(WORKER), EXCHANGE_EDGE, INVALID_REQUEST);
    w.issuer.has_agents = false;
    DEP_CHECK_ISSUED(t, user_gives(WORKER));
}

/* An instance of an agent: a client with an end. What it gets ends with it, and afterwards it is nobody. */
DEP_TEST(an_instance_ends_and_its_tokens_with_it)
{
    struct dep_client *instance = &w.clients[ROOT];
    struct outcome o;

    instance->expires = WORLD_NOW + 40;
    o = world_token(&w, ROOT, WORLD_API, "read", NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.exp == WORLD_NOW + 40);
    instance->expires = WORLD_NOW;
    DEP_CHECK_REFUSED(t, world_token(&w, ROOT, WORLD_API, "read", NO_PROOF), CLIENT_EXPIRED, INVALID_CLIENT);
    instance->expires = 0;
    DEP_CHECK(t, world_token(&w, ROOT, WORLD_API, "read", NO_PROOF).decision.token.exp == WORLD_NOW + 300);
}

static struct outcome root_asks(const char *body)
{
    return world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, body, NO_PROOF);
}

DEP_TEST(D19_resources_beside_an_agent_bind_what_follows)
{
    struct outcome free_one = root_asks(HAND_OVER), bound = root_asks(HAND_OVER "&resource=" WORLD_API), next;

    DEP_CHECK_ISSUED(t, free_one);
    DEP_CHECK_ISSUED(t, bound);
    DEP_CHECK(t, bound.decision.token.aud_count == 1 && bound.decision.token.resources_count == 1);
    DEP_CHECK_STR(t, bound.decision.token.aud[0], WORLD_ORCHESTRATOR);
    DEP_CHECK_STR(t, bound.decision.token.resources[0], WORLD_API);
    /* "read" is a scope of both resources: the binding is what keeps it to one. */
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, free_one.token, "&resource=" WORLD_API2, NO_PROOF));
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, bound.token, "&resource=" WORLD_API2, NO_PROOF),
                      TARGET_FORBIDDEN, INVALID_TARGET);
    next = world_exchange(&w, ORCHESTRATOR, bound.token, "&resource=" WORLD_API, NO_PROOF);
    DEP_CHECK_ISSUED(t, next);
    DEP_CHECK(t, next.decision.token.resources_count == 0);
    /* Handed on, it stays bound, whether or not that is said again; and it cannot be bound to anything else. */
    next = world_exchange(&w, ORCHESTRATOR, bound.token, "&audience=" WORLD_WORKER, NO_PROOF);
    DEP_CHECK_ISSUED(t, next);
    DEP_CHECK(t, next.decision.token.resources_count == 1);
    DEP_CHECK_STR(t, next.decision.token.resources[0], WORLD_API);
    DEP_CHECK_REFUSED(
        t, world_exchange(&w, ORCHESTRATOR, bound.token, "&audience=" WORLD_WORKER "&resource=" WORLD_API2, NO_PROOF),
        TARGET_FORBIDDEN, INVALID_TARGET);
    DEP_CHECK_ISSUED(t, world_exchange(&w, WORKER, next.token, "&resource=" WORLD_API, NO_PROOF));
}

DEP_TEST(resources_and_the_issuer_do_not_mix)
{
    DEP_CHECK_REFUSED(t, root_asks(HAND_OVER "&resource=" WORLD_ISSUER), TARGET_MIXED, INVALID_TARGET);
    DEP_CHECK_REFUSED(t, root_asks("grant_type=client_credentials&audience=" WORLD_ISSUER "&resource=" WORLD_API),
                      TARGET_MIXED, INVALID_TARGET);
}

/* The root may have read, write and delete, and may hand over read alone, at one resource. */
DEP_TEST(D19_what_an_agent_may_hand_over)
{
    const struct dep_right only_read = { DEP_STR(WORLD_API), world_words, 1 };
    struct dep_agent *root = &w.agents[ROOT];
    struct dep_str before =
        root_asks("grant_type=client_credentials&scope=read+write&audience=" WORLD_ORCHESTRATOR).token;
    struct outcome o;

    root->delegation_rights = (struct dep_right *)(uintptr_t)&only_read;
    root->delegation_rights_count = 1;
    root->has_delegation_rights = true;
    DEP_CHECK_ISSUED(t,
                     root_asks("grant_type=client_credentials&scope=read+write&resource=" WORLD_API)); /* its own use */
    o = root_asks("grant_type=client_credentials&scope=read+write&audience=" WORLD_ORCHESTRATOR);
    DEP_CHECK_REFUSED(t, o, SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_STR(t, o.decision.record.allowed_scope, "read");
    DEP_CHECK_STR(t, o.decision.record.limits, "write: delegation of " WORLD_ROOT " at " WORLD_ORCHESTRATOR);
    o = root_asks("grant_type=client_credentials&scope=write&resource=" WORLD_API "&may_act=" WORLD_ORCHESTRATOR);
    DEP_CHECK_REFUSED(t, o, SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_REFUSED(t, root_asks(HAND_OVER "&resource=" WORLD_API2), TARGET_FORBIDDEN, INVALID_TARGET);
    /* What was handed over before the policy is bound by it too. */
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, before, "&scope=write&resource=" WORLD_API, NO_PROOF),
                      SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, before, "&scope=read&resource=" WORLD_API2, NO_PROOF),
                      TARGET_FORBIDDEN, INVALID_TARGET);
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, before, "&scope=read&resource=" WORLD_API, NO_PROOF));
    root->delegation_rights_count = 0; /* an empty list is nothing, not anything */
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, before, "&scope=read&resource=" WORLD_API, NO_PROOF),
                      TARGET_FORBIDDEN, INVALID_TARGET);
    root->has_delegation_rights = false;
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, before, "&scope=write&resource=" WORLD_API, NO_PROOF));
}

DEP_TEST(D31_an_edge_that_was_closed_counts_at_once)
{
    struct dep_str only_worker[] = { DEP_STR(WORLD_WORKER) };
    struct dep_agent *root = &w.agents[ROOT];
    struct dep_str subject = root_asks(HAND_OVER).token;

    root->delegates = only_worker;
    root->delegates_count = 1;
    root->has_delegates = true;
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, subject, "&resource=" WORLD_API, NO_PROOF), EXCHANGE_EDGE,
                      INVALID_REQUEST);
    root->has_delegates = false;
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, subject, "&resource=" WORLD_API, NO_PROOF));
}

DEP_TEST(D20_an_over_ask_is_refused_and_the_record_says_what_would_have_been)
{
    struct dep_str subject = root_asks("grant_type=client_credentials&scope=read+write&audience=" WORLD_WORKER).token;
    struct outcome o = world_exchange(&w, WORKER, subject, "&scope=read+delete+write&resource=" WORLD_API, NO_PROOF);

    DEP_CHECK_REFUSED(t, o, SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_STR(t, o.decision.record.allowed_scope, "read write");
    DEP_CHECK_STR(t, o.decision.record.limits, "delete: subject token");
    o = world_post(&w, DEP_ENDPOINT_TOKEN, WORKER, "grant_type=client_credentials&scope=delete&resource=" WORLD_API,
                   NO_PROOF);
    DEP_CHECK_REFUSED(t, o, SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_STR(t, o.decision.record.allowed_scope, "");
    DEP_CHECK_STR(t, o.decision.record.limits, "delete: ceiling of " WORLD_WORKER " at " WORLD_API);
    DEP_CHECK(t, o.decision.effects_count == 0);
    DEP_CHECK(t, o.body.len > 0 &&
                     memmem(o.body.ptr, o.body.len, "ceiling of", 10) == NULL); /* nothing of it on the wire */
    o = root_asks("grant_type=client_credentials&scope=read&resource=" WORLD_API);
    DEP_CHECK(t, dep_str_is_absent(o.decision.record.allowed_scope) && dep_str_is_absent(o.decision.record.limits));
}

/* `more` follows grant_type and client_id. */
static struct outcome preview(const char *grant, const char *more, struct dep_str subject)
{
    static char body[20000];
    struct dep_request request = {
        .endpoint = DEP_ENDPOINT_TOKEN, .is_preview = true, .method = DEP_STR("POST"), .path = DEP_STR("/oauth/token")
    };
    const struct dep_header header = { DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };

    (void)snprintf(body, sizeof(body), "grant_type=%s&client_id=%.*s%s%.*s", grant, DEP_STR_ARG(w.clients[WORKER].id),
                   more, DEP_STR_ARG(subject));
    request.body = dep_str_c(body);
    request.headers = &header;
    request.headers_count = 1;
    return world_run(&w, &request);
}

DEP_TEST(a_preview_needs_no_credentials_and_changes_nothing)
{
    struct dep_str subject = root_asks("grant_type=client_credentials&scope=read&audience=" WORLD_WORKER).token;
    struct outcome o = preview("client_credentials", "&resource=" WORLD_API, DEP_STR(""));

    DEP_CHECK(t, dep_is_ok(o.res) && o.decision.answer == DEP_ANSWER_TOKEN);
    DEP_CHECK_STR(t, o.decision.token.scope, "read write");
    DEP_CHECK_STR(t, o.decision.token.sub, WORLD_WORKER);
    DEP_CHECK(t, o.decision.effects_count == 0);
    DEP_CHECK(t, o.decision.scopes_count == 3); /* all that the resource knows */
    DEP_CHECK(t, o.decision.scopes[0].limit == DEP_LIMIT_NONE && o.decision.scopes[1].limit == DEP_LIMIT_NONE);
    DEP_CHECK(t, o.decision.scopes[2].limit == DEP_LIMIT_CEILING);
    DEP_CHECK_STR(t, o.decision.scopes[2].who, WORLD_WORKER);
    o = preview(
        EXCHANGE,
        "&scope=read+write&resource=" WORLD_API "&subject_token_type=" ACCESS_TOKEN_TYPE "&subject_token=", subject);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == DEP_ERR_SCOPE_CEILING);
    DEP_CHECK(t, o.decision.scopes_count == 2 && o.decision.scopes[1].limit == DEP_LIMIT_SUBJECT);
    DEP_CHECK(t, o.decision.effects_count == 0);
    /* The same words without an operator's word are a stranger's. */
    o = world_post(&w, DEP_ENDPOINT_TOKEN, WORLD_AGENTS + 1, "grant_type=client_credentials&resource=" WORLD_API,
                   NO_PROOF);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_REFUSAL);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(D19_whom_the_users_of_an_issuer_may_hand_over_to),
        DEP_ROW(an_instance_ends_and_its_tokens_with_it),
        DEP_ROW(D19_resources_beside_an_agent_bind_what_follows),
        DEP_ROW(resources_and_the_issuer_do_not_mix),
        DEP_ROW(D19_what_an_agent_may_hand_over),
        DEP_ROW(D31_an_edge_that_was_closed_counts_at_once),
        DEP_ROW(D20_an_over_ask_is_refused_and_the_record_says_what_would_have_been),
        DEP_ROW(a_preview_needs_no_credentials_and_changes_nothing),
    };
    int code;

    world_open(&w);
    code = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return code;
}

/* Token exchange: who may, what comes out, and that nothing ever grows (RFC 8693; oauth.md X1-X21; attack group D). */
#include "proto/world_fixture.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define ROOT 0u
#define ORCHESTRATOR 1u
#define WORKER 2u
#define STRANGER 3u

/* The root hands over to the orchestrator. */
static struct dep_str handed_over(const char *scope, struct dep_str proof)
{
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "grant_type=client_credentials&audience=" WORLD_ORCHESTRATOR "&scope=%s&task_id=T1", scope);
    return world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, body, proof).token;
}

DEP_TEST(X15_nests_the_newest_outermost)
{
    struct dep_str first = handed_over("read+write", NO_PROOF);
    struct outcome second =
        world_exchange(&w, ORCHESTRATOR, first, "&audience=" WORLD_WORKER "&scope=read&task_id=T2", NO_PROOF);
    struct outcome third = world_exchange(&w, WORKER, second.token, "&resource=" WORLD_API, NO_PROOF);
    const struct dep_token *token = &third.decision.token;

    DEP_CHECK_ISSUED(t, second);
    DEP_CHECK_ISSUED(t, third);
    DEP_CHECK_STR(t, token->sub, WORLD_ROOT);
    DEP_CHECK(t, token->actors_count == 2);
    DEP_CHECK_STR(t, token->actors[0], WORLD_WORKER);
    DEP_CHECK_STR(t, token->actors[1], WORLD_ORCHESTRATOR);
    DEP_CHECK(t, token->lineage_count == 2);
    DEP_CHECK_STR(t, token->scope, "read");
    DEP_CHECK_STR(t, token->task_id, "T2");
    DEP_CHECK_STR(t, token->parent_task_id, "T1");
}

DEP_TEST(narrows_its_own_token)
{
    struct dep_str own = world_token(&w, ROOT, WORLD_API, "read+write", NO_PROOF).token;
    struct outcome o = world_exchange(&w, ROOT, own, "&scope=read", NO_PROOF);

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.actors_count == 0);
    DEP_CHECK(t, o.decision.token.lineage_count == 1);
    DEP_CHECK_STR(t, o.decision.token.aud[0], WORLD_API);
    /* D32: to another resource, or wider */
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, own, "&resource=" WORLD_API2 "&scope=read", NO_PROOF),
                      TARGET_FORBIDDEN, INVALID_TARGET);
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, own, "&scope=delete", NO_PROOF), SCOPE_CEILING, INVALID_SCOPE);
}

static const struct {
    const char *name;
    const char *more;
    enum dep_err reason;
    enum dep_class class;
} requests[] = {
    { "D03 superset", "&resource=" WORLD_API "&scope=read+delete", DEP_ERR_SCOPE_CEILING, DEP_CLASS_INVALID_SCOPE },
    { "D30 actor has it, subject has not", "&resource=" WORLD_API "&scope=delete", DEP_ERR_SCOPE_CEILING,
      DEP_CLASS_INVALID_SCOPE },
    { "D04 unknown resource", "&resource=https://nowhere.example", DEP_ERR_TARGET_UNKNOWN, DEP_CLASS_INVALID_TARGET },
    { "D04 one good, one not", "&resource=" WORLD_API "&resource=https://nowhere.example", DEP_ERR_TARGET_UNKNOWN,
      DEP_CLASS_INVALID_TARGET },
    { "D04 fragment", "&resource=" WORLD_API "%23f", DEP_ERR_TARGET_SYNTAX, DEP_CLASS_INVALID_TARGET },
    { "no target at all", "", DEP_ERR_TARGET_MISSING, DEP_CLASS_INVALID_TARGET },
    { "to an agent of another organisation", "&audience=" WORLD_STRANGER "&scope=read", DEP_ERR_TARGET_FORBIDDEN,
      DEP_CLASS_INVALID_TARGET },
    { "D14 refresh token",
      "&resource=" WORLD_API "&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token",
      DEP_ERR_EXCHANGE_REQUESTED_TYPE, DEP_CLASS_INVALID_REQUEST },
    { "D14 jwt", "&resource=" WORLD_API "&requested_token_type=urn:ietf:params:oauth:token-type:jwt",
      DEP_ERR_EXCHANGE_REQUESTED_TYPE, DEP_CLASS_INVALID_REQUEST },
    { "D14 unknown", "&resource=" WORLD_API "&requested_token_type=x", DEP_ERR_EXCHANGE_REQUESTED_TYPE,
      DEP_CLASS_INVALID_REQUEST },
    { "D15 actor without type", "&resource=" WORLD_API "&actor_token=x", DEP_ERR_EXCHANGE_ACTOR_PAIR,
      DEP_CLASS_INVALID_REQUEST },
    { "D15 type without actor", "&resource=" WORLD_API "&actor_token_type=" ACCESS_TOKEN_TYPE,
      DEP_ERR_EXCHANGE_ACTOR_PAIR, DEP_CLASS_INVALID_REQUEST },
    { "actor as a bare name",
      "&resource=" WORLD_API "&actor_token=" WORLD_ORCHESTRATOR "&actor_token_type=" ACCESS_TOKEN_TYPE,
      DEP_ERR_JWS_SEGMENTS, DEP_CLASS_INVALID_REQUEST },
    { "X5 id_token as subject", "&resource=" WORLD_API "&subject_token_type=x", DEP_ERR_PARAM_DUPLICATE,
      DEP_CLASS_INVALID_REQUEST },
    { "wrong parent task", "&resource=" WORLD_API "&task_id=T2&parent_task_id=T9", DEP_ERR_TASK_MISMATCH,
      DEP_CLASS_INVALID_REQUEST },
    { "parent task without a task", "&resource=" WORLD_API "&parent_task_id=T1", DEP_ERR_TASK_MISMATCH,
      DEP_CLASS_INVALID_REQUEST },
};

DEP_TEST(refuses_over_asks)
{
    struct dep_str subject = handed_over("read+write", NO_PROOF);

    for (size_t i = 0; i < DEP_COUNT(requests); i++) {
        struct outcome o = world_exchange(&w, ORCHESTRATOR, subject, requests[i].more, NO_PROOF);

        dep_test_check(t,
                       o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == requests[i].reason &&
                           o.decision.class == requests[i].class,
                       __FILE__, __LINE__, "%s: got %s at %s", requests[i].name, dep_err_name(o.decision.reason),
                       o.decision.check == NULL ? "-" : o.decision.check);
        DEP_CHECK(t, o.decision.effects_count == 0);
    }
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, subject, "&resource=" WORLD_API, NO_PROOF));
}

DEP_TEST(D07_tokens_of_others)
{
    struct dep_str roots = world_token(&w, ROOT, WORLD_API, "read", NO_PROOF).token;
    struct dep_str for_orchestrator = handed_over("read", NO_PROOF);

    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, roots, "&resource=" WORLD_API, NO_PROOF),
                      EXCHANGE_SUBJECT_OWNER, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, world_exchange(&w, WORKER, for_orchestrator, "&resource=" WORLD_API, NO_PROOF),
                      EXCHANGE_SUBJECT_OWNER, INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, for_orchestrator, "&resource=" WORLD_API, NO_PROOF));
}

DEP_TEST(D10_dead_subjects)
{
    struct dep_token token = world_token(&w, ROOT, WORLD_API, "read", NO_PROOF).decision.token;
    struct dep_revocation entry = { .kind = DEP_REVOKED_JTI, .before = WORLD_NOW, .expires = WORLD_NOW + 300 };
    struct dep_str live;

    token.exp = WORLD_NOW;
    token.iat = token.nbf = WORLD_NOW - 300;
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, world_sign(&w, &token), "", NO_PROOF), JWT_EXPIRED, INVALID_REQUEST);

    struct outcome o = world_token(&w, ROOT, WORLD_API, "read", NO_PROOF);

    live = o.token;
    entry.id = world_keep(&w, o.decision.token.jti);
    DEP_CHECK_ISSUED(t, world_exchange(&w, ROOT, live, "", NO_PROOF));
    DEP_CHECK_OK(t, dep_revocations_add(w.revocations, &entry));
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, live, "", NO_PROOF), EXCHANGE_SUBJECT, INVALID_REQUEST);
}

DEP_TEST(D11_principals_that_fell)
{
    struct dep_str subject = handed_over("read", NO_PROOF);

    w.agents[ROOT].effective_state = DEP_STATE_BANNED;
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, subject, "&resource=" WORLD_API, NO_PROOF),
                      EXCHANGE_PRINCIPAL, INVALID_REQUEST);
    w.agents[ROOT].effective_state = DEP_STATE_ACTIVE;
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, subject, "&resource=" WORLD_API, NO_PROOF));
}

DEP_TEST(D31_ceilings_as_they_are_now)
{
    struct dep_str subject = handed_over("write", NO_PROOF);

    w.agents[ROOT].ceiling[0].scopes_count = 1;
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, subject, "&resource=" WORLD_API "&scope=write", NO_PROOF),
                      SCOPE_CEILING, INVALID_SCOPE);
    w.agents[ROOT].ceiling[0].scopes_count = 3;
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, subject, "&resource=" WORLD_API "&scope=write", NO_PROOF));
}

DEP_TEST(D16_actor_tokens)
{
    struct dep_str subject = handed_over("read", NO_PROOF);
    struct dep_str actor = world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR,
                                      "grant_type=client_credentials&resource=" WORLD_ISSUER, NO_PROOF)
                               .token;
    struct dep_str others =
        world_post(&w, DEP_ENDPOINT_TOKEN, WORKER, "grant_type=client_credentials&resource=" WORLD_ISSUER, NO_PROOF)
            .token;
    struct dep_str api = world_token(&w, ORCHESTRATOR, WORLD_API, "read", NO_PROOF).token;
    char more[4096];

#define WITH(token)                                                                                                  \
    (snprintf(more, sizeof(more), "&resource=" WORLD_API "&actor_token_type=" ACCESS_TOKEN_TYPE "&actor_token=%.*s", \
              DEP_STR_ARG(token)),                                                                                   \
     more)
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, subject, WITH(actor), NO_PROOF));
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, subject, WITH(others), NO_PROOF), EXCHANGE_ACTOR_OWNER,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, subject, WITH(api), NO_PROOF), EXCHANGE_ACTOR,
                      INVALID_REQUEST);
#undef WITH
}

DEP_TEST(D28_bound_subjects_stay_bound)
{
    struct dep_str proof = world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT);
    struct dep_str own = world_token(&w, ROOT, WORLD_API, "read", proof).token;
    struct dep_str delegated = handed_over("read", world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT));
    struct outcome o;

    /* B49: narrowing wants the same key */
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, own, "", NO_PROOF), DPOP_REQUIRED, INVALID_DPOP_PROOF);
    DEP_CHECK_REFUSED(t,
                      world_exchange(&w, ROOT, own, "", world_proof(&w, w.other_proof_key, WORLD_NOW, DEP_STR_ABSENT)),
                      DPOP_KEY, INVALID_DPOP_PROOF);
    DEP_CHECK_ISSUED(t, world_exchange(&w, ROOT, own, "", world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT)));
    /* a delegate wants a key of its own */
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, delegated, "&resource=" WORLD_API, NO_PROOF), DPOP_REQUIRED,
                      INVALID_DPOP_PROOF);
    o = world_exchange(&w, ORCHESTRATOR, delegated, "&resource=" WORLD_API,
                       world_proof(&w, w.other_proof_key, WORLD_NOW, DEP_STR_ABSENT));
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.jkt.len == DEP_JKT_LEN);
}

/* A token of ours that is bound to a certificate, as this server will issue them. */
static struct dep_str on_certificate(struct dep_token token)
{
    token.jkt = DEP_STR_ABSENT;
    token.x5t = DEP_STR("0123456789012345678901234567890123456789010");
    return world_sign(&w, &token);
}

DEP_TEST(D28_a_certificate_is_no_smaller_bond)
{
    struct outcome own = world_token(&w, ROOT, WORLD_API, "read", NO_PROOF);
    struct dep_str bound = on_certificate(own.decision.token), delegated;
    struct dep_str with_key = world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT);

    DEP_CHECK_ISSUED(t, world_exchange(&w, ROOT, own.token, "", NO_PROOF));
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, bound, "", NO_PROOF), EXCHANGE_CERTIFICATE, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, bound, "", with_key), EXCHANGE_CERTIFICATE, INVALID_REQUEST);
    own = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT,
                     "grant_type=client_credentials&audience=" WORLD_ORCHESTRATOR "&scope=read&task_id=T1", NO_PROOF);
    delegated = on_certificate(own.decision.token);
    DEP_CHECK_ISSUED(t, world_exchange(&w, ORCHESTRATOR, own.token, "&resource=" WORLD_API, NO_PROOF));
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, delegated, "&resource=" WORLD_API, NO_PROOF),
                      EXCHANGE_CERTIFICATE, INVALID_REQUEST);
}

DEP_TEST(X20_cycles_and_depth)
{
    struct dep_str subject = handed_over("read", NO_PROOF);
    struct outcome back = world_exchange(&w, ORCHESTRATOR, subject, "&audience=" WORLD_ROOT "&scope=read", NO_PROOF);

    DEP_CHECK_ISSUED(t, back);
    DEP_CHECK_REFUSED(t, world_exchange(&w, ROOT, back.token, "&resource=" WORLD_API, NO_PROOF), EXCHANGE_CYCLE,
                      INVALID_REQUEST);

    /* agents 5 to 12 hand over one to the next until the chain is full */
    unsigned depth = 1;

    for (size_t i = 4; i < WORLD_AGENTS; i++) {
        char more[128];
        size_t from = i == 4 ? ORCHESTRATOR : i - 1;
        struct outcome o;

        (void)snprintf(more, sizeof(more), "&scope=read&audience=%s", w.agent_ids[i]);
        o = world_exchange(&w, from, subject, more, NO_PROOF);
        if (o.decision.answer != DEP_ANSWER_TOKEN) {
            DEP_CHECK_REFUSED(t, o, EXCHANGE_DEPTH, INVALID_REQUEST);
            break;
        }
        depth = (unsigned)o.decision.token.actors_count;
        subject = o.token;
    }
    DEP_CHECK(t, depth == DEP_ACT_DEPTH_MAX);
}

DEP_TEST(X17_may_act)
{
    char body[512];
    struct outcome o;
    struct dep_str token;

    (void)snprintf(body, sizeof(body), "grant_type=client_credentials&resource=" WORLD_API "&scope=read&may_act=%s",
                   WORLD_WORKER);
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, body, NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    token = o.token;
    o = world_exchange(&w, WORKER, token, "&scope=read", NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.actors[0], WORLD_WORKER);
    DEP_CHECK_STR(t, o.decision.token.sub, WORLD_ROOT);
    DEP_CHECK(t, dep_str_is_absent(o.decision.token.may_act));
    /* nobody else, and nowhere else */
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, token, "&scope=read", NO_PROOF), EXCHANGE_SUBJECT_OWNER,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, world_exchange(&w, WORKER, token, "&resource=" WORLD_API2 "&scope=read", NO_PROOF),
                      TARGET_FORBIDDEN, INVALID_TARGET);
    /* the one that presents it may still narrow it */
    DEP_CHECK_ISSUED(t, world_exchange(&w, ROOT, token, "&scope=read", NO_PROOF));
    /* handed to one agent, naming another: the named one is not the audience, the audience not the named one */
    (void)snprintf(body, sizeof(body),
                   "grant_type=client_credentials&audience=" WORLD_ORCHESTRATOR "&scope=read&may_act=%s", WORLD_WORKER);
    token = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, body, NO_PROOF).token;
    DEP_CHECK_REFUSED(t, world_exchange(&w, ORCHESTRATOR, token, "&resource=" WORLD_API, NO_PROOF), EXCHANGE_MAY_ACT,
                      INVALID_REQUEST);
    (void)snprintf(body, sizeof(body), "grant_type=client_credentials&resource=" WORLD_API "&may_act=%s",
                   WORLD_STRANGER);
    DEP_CHECK_REFUSED(t, world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, body, NO_PROOF), MAY_ACT_AGENT, INVALID_REQUEST);
}

static struct dep_str actor_jwt(const char *iss, const char *sub, const char *aud, const char *jti, int64_t exp_in)
{
    char payload[512];

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"%s\",\"jti\":\"%s\",\"iat\":%lld,\"exp\":%lld}", iss, sub,
                   aud, jti, (long long)WORLD_NOW, (long long)(WORLD_NOW + exp_in));
    return world_sign_text(&w, w.idp_key, DEP_STR("JWT"), DEP_STR("idp-1"), dep_str_c(payload));
}

static struct outcome with_actor_jwt(struct dep_str actor)
{
    static char more[4096];
    struct dep_str subject = handed_over("read", NO_PROOF);

    (void)snprintf(more, sizeof(more),
                   "&resource=" WORLD_API "&actor_token_type=urn:ietf:params:oauth:token-type:jwt&actor_token=%.*s",
                   DEP_STR_ARG(actor));
    return world_exchange(&w, ORCHESTRATOR, subject, more, NO_PROOF);
}

DEP_TEST(X6_a_jwt_as_actor_token)
{
    const char *me = w.client_ids[ORCHESTRATOR];
    struct dep_str good = actor_jwt(me, WORLD_ORCHESTRATOR, WORLD_ISSUER, "a1", 60);

    DEP_CHECK_REFUSED(t, with_actor_jwt(good), JWS_KID, INVALID_REQUEST); /* no key registered */
    w.clients[ORCHESTRATOR].jwks = w.idp_jwks;
    DEP_CHECK_ISSUED(t, with_actor_jwt(good));
    DEP_CHECK_REFUSED(t, with_actor_jwt(good), EXCHANGE_ACTOR_REPLAY, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, with_actor_jwt(actor_jwt(me, WORLD_WORKER, WORLD_ISSUER, "a2", 60)), EXCHANGE_ACTOR_OWNER,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, with_actor_jwt(actor_jwt("x", WORLD_ORCHESTRATOR, WORLD_ISSUER, "a3", 60)), EXCHANGE_ACTOR,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, with_actor_jwt(actor_jwt(me, WORLD_ORCHESTRATOR, WORLD_API, "a4", 60)), JWT_AUD,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, with_actor_jwt(actor_jwt(me, WORLD_ORCHESTRATOR, WORLD_ISSUER, "a5", 0)), JWT_EXPIRED,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, with_actor_jwt(actor_jwt(me, WORLD_ORCHESTRATOR, WORLD_ISSUER, "", 60)), EXCHANGE_ACTOR,
                      INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, with_actor_jwt(actor_jwt(me, WORLD_ORCHESTRATOR, WORLD_ISSUER, "a6", 60)));
    w.clients[ORCHESTRATOR].jwks = NULL;
}

DEP_TEST(D19_the_policy_of_an_edge)
{
    struct dep_str only_worker[] = { DEP_STR(WORLD_WORKER) };
    struct dep_agent *root = &w.agents[ROOT];
    struct dep_str subject;
    struct outcome o;

    root->delegates = only_worker;
    root->delegates_count = 1;
    root->has_delegates = true;
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT,
                   "grant_type=client_credentials&scope=read&audience=" WORLD_ORCHESTRATOR, NO_PROOF);
    DEP_CHECK_REFUSED(t, o, TARGET_DELEGATE, INVALID_TARGET);
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT,
                   "grant_type=client_credentials&scope=read&resource=" WORLD_API "&may_act=" WORLD_ORCHESTRATOR,
                   NO_PROOF);
    DEP_CHECK_REFUSED(t, o, TARGET_DELEGATE, INVALID_TARGET);
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, "grant_type=client_credentials&scope=read&audience=" WORLD_WORKER,
                   NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    root->delegates_count = 0; /* an empty list is nobody, not anybody */
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT, "grant_type=client_credentials&scope=read&audience=" WORLD_WORKER,
                   NO_PROOF);
    DEP_CHECK_REFUSED(t, o, TARGET_DELEGATE, INVALID_TARGET);
    root->has_delegates = false;

    root->delegation_lifetime_max_s = 30;
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ROOT,
                   "grant_type=client_credentials&scope=read&audience=" WORLD_ORCHESTRATOR, NO_PROOF);
    DEP_CHECK(t, o.decision.token.exp == WORLD_NOW + 30);
    subject = o.token;
    root->delegation_depth_max = 1; /* one actor may follow the root, no second */
    o = world_exchange(&w, ORCHESTRATOR, subject, "&audience=" WORLD_WORKER "&scope=read", NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_REFUSED(t, world_exchange(&w, WORKER, o.token, "&resource=" WORLD_API, NO_PROOF), EXCHANGE_DEPTH,
                      INVALID_REQUEST);
    root->delegation_depth_max = 2;
    o = world_exchange(&w, ORCHESTRATOR, subject, "&audience=" WORLD_WORKER "&scope=read", NO_PROOF);
    DEP_CHECK_ISSUED(t, world_exchange(&w, WORKER, o.token, "&resource=" WORLD_API, NO_PROOF));
    root->delegation_depth_max = root->delegation_lifetime_max_s = 0;
}

DEP_TEST(D26_one_cut_reaches_what_grew_from_it)
{
    static const struct {
        enum dep_revoked_kind kind;
        const char *id; /* NULL: the root's client */
    } cuts[] = {
        { DEP_REVOKED_TASK, "T1" }, { DEP_REVOKED_TASK, "T2" }, { DEP_REVOKED_TASK, "T3" }, { DEP_REVOKED_CLIENT, NULL }
    };
    struct dep_str first = handed_over("read", NO_PROOF);
    struct outcome o = world_exchange(&w, ORCHESTRATOR, first, "&resource=" WORLD_API "&task_id=T2", NO_PROOF);
    struct dep_token token;
    char more[64];

    /* a task that is called like the client hides nothing */
    (void)snprintf(more, sizeof(more), "&task_id=%s", w.client_ids[ROOT]);
    o = world_exchange(&w, ORCHESTRATOR, o.token, more, NO_PROOF);
    o = world_exchange(&w, ORCHESTRATOR, o.token, "&task_id=T3", NO_PROOF);
    o = world_exchange(&w, ORCHESTRATOR, o.token, "&task_id=T4", NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    token = o.decision.token;
    DEP_CHECK(t, !dep_revocations_cover(w.revocations, &token));
    for (size_t i = 0; i < DEP_COUNT(cuts); i++) {
        struct dep_revocations *set = dep_revocations_new(1);
        const struct dep_revocation entry = { cuts[i].kind,
                                              dep_str_c(cuts[i].id == NULL ? w.client_ids[ROOT] : cuts[i].id),
                                              WORLD_NOW, WORLD_NOW + 300 };

        DEP_CHECK_OK(t, dep_revocations_add(set, &entry));
        DEP_CHECK(t, dep_revocations_cover(set, &token));
        dep_revocations_free(set);
    }
}

DEP_TEST(D02_lifetime_never_grows)
{
    struct dep_token token = world_token(&w, ROOT, WORLD_API, "read", NO_PROOF).decision.token;
    struct outcome o;

    token.exp = WORLD_NOW + 17;
    o = world_exchange(&w, ROOT, world_sign(&w, &token), "", NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.exp == WORLD_NOW + 17);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(X15_nests_the_newest_outermost),
        DEP_ROW(narrows_its_own_token),
        DEP_ROW(refuses_over_asks),
        DEP_ROW(D07_tokens_of_others),
        DEP_ROW(D10_dead_subjects),
        DEP_ROW(D11_principals_that_fell),
        DEP_ROW(D31_ceilings_as_they_are_now),
        DEP_ROW(D16_actor_tokens),
        DEP_ROW(D28_bound_subjects_stay_bound),
        DEP_ROW(D28_a_certificate_is_no_smaller_bond),
        DEP_ROW(X20_cycles_and_depth),
        DEP_ROW(X17_may_act),
        DEP_ROW(X6_a_jwt_as_actor_token),
        DEP_ROW(D19_the_policy_of_an_edge),
        DEP_ROW(D26_one_cut_reaches_what_grew_from_it),
        DEP_ROW(D02_lifetime_never_grows),
    };
    int failed;

    world_open(&w);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

/* Token exchange (RFC 8693; oauth.md X1-X21), and what the jwt-bearer grant has in common with it.
 *
 * The actor is always the authenticated client's agent; an actor_token can confirm that, never replace it. So the chain is built from
 * what we know, and nothing that a caller leaves out shortens it. Two doors:
 *   narrowing:  the token was issued to this very client; audience, scope and lifetime may shrink, the chain stays as it is;
 *   delegation: the token names this client's agent in `aud`; the agent becomes the outermost actor.
 *   may_act:    the token names this client's agent there: the agent becomes the actor, within the token's own audience.
 * A user's token of a trusted issuer opens the second: whoever the user gave it to acts for the user, within the issuer's ceiling. */
#include "proto/ctx.h"

#define TOKEN_TYPE "urn:ietf:params:oauth:token-type:"
#define ACCESS_TOKEN TOKEN_TYPE "access_token"

struct dep_res dep_check_exchange_params(struct dep_ctx *c)
{
    if (dep_str_is_absent(DEP_P(c, SUBJECT_TOKEN)) || dep_str_is_absent(DEP_P(c, SUBJECT_TOKEN_TYPE)))
        return DEP_FAIL(PARAM_MISSING);
    if (dep_str_is_absent(DEP_P(c, ACTOR_TOKEN)) != dep_str_is_absent(DEP_P(c, ACTOR_TOKEN_TYPE)))
        return DEP_FAIL(EXCHANGE_ACTOR_PAIR);
    return DEP_OK;
}

struct dep_res dep_check_exchange_types(struct dep_ctx *c)
{
    /* rfc8693#3: access_token is one of ours; id_token and jwt come from issuers that we trust. */
    c->is_foreign = dep_str_eq_c(DEP_P(c, SUBJECT_TOKEN_TYPE), TOKEN_TYPE "id_token") ||
                    dep_str_eq_c(DEP_P(c, SUBJECT_TOKEN_TYPE), TOKEN_TYPE "jwt");
    if (!c->is_foreign && !dep_str_eq_c(DEP_P(c, SUBJECT_TOKEN_TYPE), ACCESS_TOKEN))
        return DEP_FAIL(EXCHANGE_TOKEN_TYPE);
    c->is_actor_jwt = dep_str_eq_c(DEP_P(c, ACTOR_TOKEN_TYPE), TOKEN_TYPE "jwt");
    if (!dep_str_is_absent(DEP_P(c, ACTOR_TOKEN_TYPE)) && !c->is_actor_jwt &&
        !dep_str_eq_c(DEP_P(c, ACTOR_TOKEN_TYPE), ACCESS_TOKEN))
        return DEP_FAIL(EXCHANGE_TOKEN_TYPE);
    if (dep_str_is_absent(DEP_P(c, REQUESTED_TOKEN_TYPE)))
        return DEP_OK;
    if (!dep_issued_by_urn(DEP_P(c, REQUESTED_TOKEN_TYPE), &c->issued))
        return DEP_FAIL(EXCHANGE_REQUESTED_TYPE);
    /* A grant is for the client it names; naming another actor there is nobody's to do. */
    return c->issued == DEP_ISSUED_ACCESS_TOKEN || dep_str_is_absent(DEP_P(c, MAY_ACT))
               ? DEP_OK
               : DEP_FAIL(EXCHANGE_REQUESTED_TYPE);
}

/* Names the agents of a chain that nobody has verified yet: a lookup gives no authority. */
static void name_chain(struct dep_ctx *c, struct dep_presented *presented)
{
    struct dep_token *token = &presented->claimed;
    const struct dep_json *claims = NULL;
    const void *value;

    if (!dep_is_ok(dep_jwt_claims(c->arena, &presented->jws, &claims)) || !dep_is_ok(dep_token_read(claims, token)))
        return;
    (void)dep_ctx_fact(c, DEP_FACT_AGENT, token->sub, &value);
    for (size_t i = 0; i < token->actors_count; i++)
        (void)dep_ctx_fact(c, DEP_FACT_AGENT, token->actors[i], &value);
}

/* Issuer, key and user of a foreign subject, as far as they are known by now. */
static void load_foreign(struct dep_ctx *c, struct dep_str text, enum dep_foreign_door door)
{
    const void *value;
    struct dep_str user;

    dep_foreign_open(c, text, door, &c->foreign);
    if (c->foreign.issuer == NULL)
        return;
    user = dep_foreign_principal(c->arena, &c->foreign);
    if (!dep_str_is_absent(user))
        (void)dep_ctx_fact(c, DEP_FACT_AGENT, user, &value);
}

struct dep_res dep_check_load_exchange(struct dep_ctx *c)
{
    if (c->column == DEP_COLUMN_JWT_BEARER) {
        c->is_foreign = true;
        load_foreign(c, DEP_P(c, ASSERTION), DEP_FOREIGN_GRANT);
        return DEP_OK;
    }
    if (c->is_foreign)
        load_foreign(c, DEP_P(c, SUBJECT_TOKEN),
                     dep_str_eq_c(DEP_P(c, SUBJECT_TOKEN_TYPE), TOKEN_TYPE "jwt") ? DEP_FOREIGN_JWT
                                                                                  : DEP_FOREIGN_ID_TOKEN);
    else
        dep_presented_open(c, DEP_P(c, SUBJECT_TOKEN), &c->subject);
    if (c->subject.is_open)
        name_chain(c, &c->subject);
    if (!dep_str_is_absent(DEP_P(c, ACTOR_TOKEN)) && !c->is_actor_jwt)
        dep_presented_open(c, DEP_P(c, ACTOR_TOKEN), &c->actor);
    return DEP_OK;
}

/* Any fault of a subject or actor token is invalid_request (rfc8693#2.2.2). */
struct dep_res dep_check_subject_token(struct dep_ctx *c)
{
    if (!c->is_foreign)
        return dep_presented_verify(c, &c->subject);
    DEP_TRY(dep_foreign_verify(c, &c->foreign,
                               c->column == DEP_COLUMN_JWT_BEARER ? DEP_ISSUER_ID_JAG : DEP_ISSUER_SUBJECT));
    return dep_foreign_subject(c, &c->foreign, &c->subject.token);
}

struct dep_res dep_check_subject_live(struct dep_ctx *c)
{
    return dep_revocations_cover(c->facts->revocations, &c->subject.token) ? DEP_FAIL(EXCHANGE_SUBJECT) : DEP_OK;
}

struct dep_res dep_check_subject_owner(struct dep_ctx *c)
{
    c->is_handed_over = c->is_foreign || dep_token_has_aud(&c->subject.token, c->agent->id);
    /* rfc8693#4.4: by iss and sub together, when iss is there. */
    c->is_named = !c->is_foreign && dep_str_eq(c->subject.token.may_act, c->agent->id) &&
                  (dep_str_is_absent(c->subject.token.may_act_iss) ||
                   dep_str_eq(c->subject.token.may_act_iss, c->policy->issuer));
    if (c->is_handed_over || c->is_named)
        return DEP_OK;
    /* Same client, same agent: a client that was given to another agent does not take its old tokens along. */
    if (!dep_str_eq(c->subject.token.client_id, c->client->id) ||
        !dep_str_eq(dep_token_presenter(&c->subject.token), c->agent->id))
        return DEP_FAIL(EXCHANGE_SUBJECT_OWNER);
    return DEP_OK;
}

/* rfc8693#4.4: a token that names its actor is for that one alone, and for whoever presents it already. */
struct dep_res dep_check_subject_may_act(struct dep_ctx *c)
{
    if (c->is_foreign || dep_str_is_absent(c->subject.token.may_act) || c->is_named ||
        dep_str_eq(dep_token_presenter(&c->subject.token), c->agent->id))
        return DEP_OK;
    return DEP_FAIL(EXCHANGE_MAY_ACT);
}

/* A JWT that the client signed with its registered key, naming its agent: another way to say who acts, used once. */
static struct dep_res check_actor_jwt(struct dep_ctx *c)
{
    static const struct dep_str typs[] = { DEP_STR_INIT("JWT") };
    const struct dep_jws_rules rules = {
        .bytes_max = DEP_JWS_BYTES_MAX, .algs = DEP_ALGS_ALL, .typs = typs, .typs_count = 1
    };
    int64_t lifetime_s = c->policy->assertion_lifetime_s + c->policy->skew_s;
    struct dep_str iss = DEP_STR_ABSENT, jti = DEP_STR_ABSENT;
    const struct dep_json *claims = NULL;
    const struct dep_jwks_key *key;
    struct dep_jwt_times times;

    DEP_TRY(dep_jws_parse(c->arena, DEP_P(c, ACTOR_TOKEN), &rules, &c->actor_jws));
    key = c->client->jwks == NULL ? NULL : dep_jwks_find(c->client->jwks, c->actor_jws.kid, c->actor_jws.alg);
    if (key == NULL)
        return DEP_FAIL(JWS_KID);
    DEP_TRY(dep_jws_verify(c->crypto, &c->actor_jws, key->alg, key->key));
    DEP_TRY(dep_jwt_claims(c->arena, &c->actor_jws, &claims));
    DEP_TRY(dep_json_str(DEP_JSON_GET(claims, "iss"), &iss));
    DEP_TRY(dep_json_str(DEP_JSON_GET(claims, "sub"), &c->actor.token.sub));
    DEP_TRY(dep_json_str(DEP_JSON_GET(claims, "jti"), &jti));
    if (!dep_str_eq(iss, c->client->id) || dep_str_is_blank(jti) || jti.len > DEP_JTI_MAX)
        return DEP_FAIL(EXCHANGE_ACTOR);
    DEP_TRY(dep_jwt_aud_is(claims, c->policy->issuer));
    DEP_TRY(dep_jwt_times(claims, c->now, c->policy->skew_s, lifetime_s, true, &times));
    if (times.exp <= c->now || (c->policy->fence > 0 && times.iat <= c->policy->fence))
        return DEP_FAIL(JWT_EXPIRED);
    dep_use_set(c, DEP_REPLAY_ACTOR, c->client->id, jti, &times, &c->actor_use);
    c->actor.token.exp = times.exp;
    c->actor.token.client_id = c->client->id;
    return DEP_OK;
}

struct dep_res dep_check_actor_token(struct dep_ctx *c)
{
    if (dep_str_is_absent(DEP_P(c, ACTOR_TOKEN)))
        return DEP_OK;
    if (c->is_actor_jwt)
        return check_actor_jwt(c);
    DEP_TRY(dep_presented_verify(c, &c->actor));
    if (!dep_token_has_aud(&c->actor.token, c->policy->issuer))
        return DEP_FAIL(EXCHANGE_ACTOR);
    return dep_revocations_cover(c->facts->revocations, &c->actor.token) ? DEP_FAIL(EXCHANGE_ACTOR) : DEP_OK;
}

struct dep_res dep_check_actor_owner(struct dep_ctx *c)
{
    if (dep_str_is_absent(DEP_P(c, ACTOR_TOKEN)))
        return DEP_OK;
    if (!dep_str_eq(c->actor.token.client_id, c->client->id) || c->actor.token.actors_count > 0 ||
        !dep_str_eq(c->actor.token.sub, c->agent->id))
        return DEP_FAIL(EXCHANGE_ACTOR_OWNER);
    return DEP_OK;
}

/* What a token is bound to is shown by this request: the same key or certificate, or, by whoever it was handed to, any of its own. */
static struct dep_res check_bond(const struct dep_ctx *c, const struct dep_token *token, bool is_same)
{
    bool is_shown = c->has_dpop || c->certificate != NULL;

    if (!dep_str_is_absent(token->jkt)) {
        if (is_same ? !c->has_dpop : !is_shown)
            return DEP_FAIL(DPOP_REQUIRED);
        if (is_same && !dep_str_eq(token->jkt, c->dpop.jkt))
            return DEP_FAIL(DPOP_KEY);
    }
    if (!dep_str_is_absent(token->x5t) && (is_same ? !dep_str_eq(token->x5t, c->x5t) : !is_shown))
        return DEP_FAIL(EXCHANGE_CERTIFICATE);
    return DEP_OK;
}

/* A bound token never becomes a bearer token (attack cases B49, D28). Whoever narrows its own token proves the same key; whoever was
 * named as its audience binds the result to a key of its own. Of another deputy's token nobody here is the audience: it is for who
 * holds its key. */
struct dep_res dep_check_subject_binding(struct dep_ctx *c)
{
    DEP_TRY(check_bond(c, &c->subject.token, c->is_foreign || (!c->is_handed_over && !c->is_named)));
    return check_bond(c, &c->actor.token, true);
}

static struct dep_res add_to_chain(struct dep_ctx *c, struct dep_str id)
{
    const struct dep_agent *agent;
    const void *value = NULL;

    if (!dep_ctx_peek(c, DEP_FACT_AGENT, id, &value) || value == NULL)
        return DEP_FAIL(EXCHANGE_PRINCIPAL);
    agent = value;
    if (agent->effective_state != DEP_STATE_ACTIVE)
        return DEP_FAIL(EXCHANGE_PRINCIPAL);
    if (!dep_str_eq(agent->org, c->agent->org))
        return DEP_FAIL(EXCHANGE_ORG);
    c->chain[c->chain_count++] = agent;
    return DEP_OK;
}

/* Who handed over to whom must still be allowed: a policy that was tightened counts at once. */
static struct dep_res check_edges(const struct dep_ctx *c)
{
    for (size_t i = 0; i < c->chain_count; i++) {
        const struct dep_agent *next = i == 0 ? c->agent : c->chain[i - 1];

        if (!dep_str_eq(next->id, c->chain[i]->id) && !dep_agent_may_delegate(c->chain[i], next->id))
            return DEP_FAIL(EXCHANGE_EDGE);
    }
    return DEP_OK;
}

/* Everybody in the chain as our records have them now, not as the token says (attack cases D11, D31). */
struct dep_res dep_check_chain(struct dep_ctx *c)
{
    const struct dep_token *subject = &c->subject.token;

    c->chain_count = 0;
    for (size_t i = 0; i < subject->actors_count; i++)
        DEP_TRY(add_to_chain(c, subject->actors[i]));
    DEP_TRY(add_to_chain(c, subject->sub));
    if (c->is_foreign && c->foreign.issuer != NULL) /* a consent was within those limits when it was given */
        DEP_TRY(dep_foreign_limit_user(c, &c->chain[c->chain_count - 1]));
    if (!dep_str_eq(subject->org_id, c->agent->org))
        return DEP_FAIL(EXCHANGE_ORG);
    return check_edges(c);
}

struct dep_res dep_check_chain_depth(struct dep_ctx *c)
{
    const struct dep_token *subject = &c->subject.token;

    if (!c->is_foreign && subject->lineage_count + 1 > DEP_LINEAGE_MAX)
        return DEP_FAIL(EXCHANGE_DEPTH);
    if (dep_str_eq(dep_token_presenter(subject), c->agent->id))
        return DEP_OK; /* narrowing: the chain stays */
    if (subject->actors_count + 1 > DEP_ACT_DEPTH_MAX)
        return DEP_FAIL(EXCHANGE_DEPTH);
    /* chain[0] is the presenter; behind chain[i] there will be i + 1 actors with ours. */
    for (size_t i = 0; i < c->chain_count; i++) {
        int64_t depth_max = c->chain[i]->delegation_depth_max;

        if (dep_str_eq(c->chain[i]->id, c->agent->id))
            return DEP_FAIL(EXCHANGE_CYCLE);
        if (depth_max > 0 && (int64_t)i + 1 > depth_max)
            return DEP_FAIL(EXCHANGE_DEPTH);
    }
    return DEP_OK;
}

struct dep_res dep_check_task_lineage(struct dep_ctx *c)
{
    struct dep_str parent = DEP_P(c, PARENT_TASK_ID), task = DEP_P(c, TASK_ID);
    const struct dep_token *subject = &c->subject.token;

    if (c->is_foreign)
        return DEP_OK; /* tasks begin here */
    /* Naming a parent without a task of one's own would rewrite the subject's. */
    if (dep_str_is_absent(task))
        return dep_str_is_absent(parent) || dep_str_eq(parent, subject->parent_task_id) ? DEP_OK
                                                                                        : DEP_FAIL(TASK_MISMATCH);
    if (!dep_str_is_absent(parent) && !dep_str_eq(parent, subject->task_id))
        return DEP_FAIL(TASK_MISMATCH);
    return DEP_OK;
}

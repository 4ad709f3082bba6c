/* Targets and scopes (RFC 8707, RFC 8693 section 2.1, oauth.md Q1-Q5, X4, X10).
 *
 * A target is a registered resource, an agent ("agent:…", the door of delegation), or this issuer itself (for actor tokens, which
 * carry no scope), or a foreign authorization server (target_server.c). Ceilings are asked of everybody on the way: the client's agent and each agent in the subject's chain. */
#include "base/url.h"
#include "proto/ctx.h"
#include "proto/scope.h"

#define SCOPE_BYTES_MAX 4096u

static bool is_agent_id(struct dep_str id)
{
    return dep_str_starts(id, DEP_STR("agent:"));
}

struct dep_res dep_check_target_syntax(struct dep_ctx *c)
{
    for (size_t i = 0; i < c->targets_asked_count; i++) {
        bool has_fragment = false;

        /* audience may be any name (rfc8693#2.1), but the names we know are URIs and agents: one rule for both. */
        if (!dep_is_ok(dep_uri_check(c->targets_asked[i], &has_fragment)) || has_fragment)
            return DEP_FAIL(TARGET_SYNTAX);
        for (size_t k = 0; k < i; k++)
            if (dep_str_eq(c->targets_asked[k], c->targets_asked[i]))
                return DEP_FAIL(TARGET_SYNTAX);
    }
    c->is_target_good = true;
    return DEP_OK;
}

struct dep_res dep_check_scope_syntax(struct dep_ctx *c)
{
    if (!dep_str_is_absent(DEP_P(c, SCOPE)))
        DEP_TRY(dep_scope_check(DEP_P(c, SCOPE)));
    c->is_scope_good = true;
    return DEP_OK;
}

/* A grant says itself for which resources it is (mcp.md 3.2): as it claims, checked against the verified one later. */
static size_t granted_ids(struct dep_ctx *c, struct dep_str ids[DEP_TARGETS_MAX])
{
    const struct dep_json *resource = DEP_JSON_GET(c->foreign.claims, "resource");
    bool is_list = resource != NULL && resource->type == DEP_JSON_ARRAY;
    size_t count = 0;

    for (const struct dep_json *item = is_list ? resource->child : resource; item != NULL && count < DEP_TARGETS_MAX;
         item = is_list ? item->next : NULL) {
        if (!dep_is_ok(dep_json_str(item, &ids[count])))
            return 0;
        count++;
    }
    c->is_target_claimed = count > 0;
    return count;
}

/* What the request is for: what it names, or what is implied: for a narrowing the subject token's audience, as it claims (what is
 * looked up here is checked against the verified token later), else the client's default. */
static size_t target_ids(struct dep_ctx *c, struct dep_str ids[DEP_TARGETS_MAX])
{
    const struct dep_token *claimed = &c->subject.claimed;
    size_t count = 0;

    for (; count < c->targets_asked_count; count++)
        ids[count] = c->targets_asked[count];
    if (count > 0 || c->client == NULL)
        return count;
    if (c->column == DEP_COLUMN_JWT_BEARER && (count = granted_ids(c, ids)) > 0)
        return count;
    if (claimed->aud_count > 0 && !dep_token_has_aud(claimed, c->client->agent)) {
        for (; count < claimed->aud_count && count < DEP_TARGETS_MAX; count++)
            ids[count] = claimed->aud[count];
        return count;
    }
    if (!dep_str_is_absent(c->client->default_resource))
        ids[count++] = c->client->default_resource;
    return count;
}

struct dep_res dep_check_load_targets(struct dep_ctx *c)
{
    struct dep_str ids[DEP_TARGETS_MAX];
    size_t count = target_ids(c, ids);

    const void *named;

    if (!dep_str_is_absent(DEP_P(c, MAY_ACT)))
        (void)dep_ctx_fact(c, DEP_FACT_AGENT, DEP_P(c, MAY_ACT), &named);
    if (c->issued != DEP_ISSUED_ACCESS_TOKEN) {
        dep_target_server_load(c);
        return DEP_OK;
    }
    c->targets_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct dep_target target = { .kind = DEP_TARGET_RESOURCE, .id = ids[i] };
        const void *value = NULL;

        if (dep_str_eq(ids[i], c->policy->issuer)) {
            target.kind = DEP_TARGET_ISSUER;
        } else if (is_agent_id(ids[i])) {
            target.kind = DEP_TARGET_AGENT;
            (void)dep_ctx_fact(c, DEP_FACT_AGENT, ids[i], &value);
            target.agent = value;
        } else {
            bool is_known = dep_ctx_fact(c, DEP_FACT_RESOURCE, ids[i], &value);

            target.resource = value;
            if (is_known && value == NULL)
                (void)dep_target_server_find(c, ids[i], &target);
        }
        c->targets[c->targets_count++] = target;
    }
    return DEP_OK;
}

static bool stands_alone(const struct dep_target *target)
{
    return target->kind == DEP_TARGET_ISSUER || target->kind == DEP_TARGET_SERVER;
}

struct dep_res dep_check_target_known(struct dep_ctx *c)
{
    if (c->issued != DEP_ISSUED_ACCESS_TOKEN)
        return dep_target_server_known(c);
    if (c->targets_count == 0)
        return DEP_FAIL(TARGET_MISSING);
    for (size_t i = 0; i < c->targets_count; i++) {
        const struct dep_target *target = &c->targets[i];

        if (target->kind == DEP_TARGET_RESOURCE && (target->resource == NULL || !target->resource->is_enabled))
            return DEP_FAIL(TARGET_UNKNOWN);
        if (target->kind == DEP_TARGET_AGENT &&
            (target->agent == NULL || target->agent->effective_state != DEP_STATE_ACTIVE))
            return DEP_FAIL(TARGET_UNKNOWN);
        /* Issuers stand alone; resources beside an agent say what may follow from what it is handed. */
        if (target->kind != c->targets[0].kind && (stands_alone(target) || stands_alone(&c->targets[0])))
            return DEP_FAIL(TARGET_MIXED);
    }
    return c->targets[0].kind == DEP_TARGET_SERVER ? dep_target_server_known(c) : DEP_OK;
}

bool dep_ctx_is_hand_over(const struct dep_ctx *c)
{
    for (size_t i = 0; i < c->targets_count; i++)
        if (c->targets[i].kind == DEP_TARGET_AGENT || c->targets[i].kind == DEP_TARGET_SERVER)
            return true;
    return !dep_str_is_absent(DEP_P(c, MAY_ACT));
}

/* A narrowing stays within the subject token's audience; a delegate may turn to any target that every ceiling allows. */
static bool is_within_subject(const struct dep_ctx *c, const struct dep_target *target)
{
    if (!dep_ctx_is_own(c) && target->kind != DEP_TARGET_AGENT && target->kind != DEP_TARGET_SERVER &&
        !dep_token_may_lead_to(&c->subject.token, target->id))
        return false;
    if (!dep_ctx_is_own(c) && target->kind == DEP_TARGET_SERVER && !dep_target_server_may_follow(c, &c->subject.token))
        return false;
    return dep_ctx_is_own(c) || c->is_handed_over ||
           (target->kind == DEP_TARGET_SERVER ? dep_target_server_is_within(c, &c->subject.token)
                                              : dep_token_has_aud(&c->subject.token, target->id));
}

/* Whoever stands in the chain has handed over, but for the client's own agent when it only narrows its token. */
static bool has_handed_over(const struct dep_ctx *c, size_t i)
{
    return i > 0 || !dep_str_eq(c->chain[0]->id, c->agent->id);
}

static bool has_right_everywhere(const struct dep_ctx *c, struct dep_str resource)
{
    for (size_t i = 0; i < c->chain_count; i++)
        if (dep_agent_right(c->chain[i], resource) == NULL ||
            (has_handed_over(c, i) && dep_agent_edge_right(c->chain[i], resource) == NULL))
            return false;
    return dep_agent_right(c->agent, resource) != NULL &&
           (!dep_ctx_is_hand_over(c) || dep_agent_edge_right(c->agent, resource) != NULL);
}

struct dep_res dep_check_target_allowed(struct dep_ctx *c)
{
    for (size_t i = 0; i < c->targets_count; i++) {
        const struct dep_target *target = &c->targets[i];

        if (!is_within_subject(c, target))
            return DEP_FAIL(TARGET_FORBIDDEN);
        switch (target->kind) {
        case DEP_TARGET_RESOURCE:
            if (!has_right_everywhere(c, target->id))
                return DEP_FAIL(TARGET_FORBIDDEN);
            break;
        case DEP_TARGET_AGENT:
            /* Delegation stays in the organisation, and nobody hands over to itself. */
            if (!dep_str_eq(target->agent->org, c->agent->org) || dep_str_eq(target->id, c->agent->id))
                return DEP_FAIL(TARGET_FORBIDDEN);
            if (!dep_agent_may_delegate(c->agent, target->id))
                return DEP_FAIL(TARGET_DELEGATE);
            break;
        case DEP_TARGET_ISSUER:
            /* For actor tokens: the agent speaks for itself, so there is nothing to exchange. */
            if (!dep_ctx_is_own(c))
                return DEP_FAIL(TARGET_FORBIDDEN);
            break;
        case DEP_TARGET_SERVER:
            DEP_TRY(dep_target_server_allowed(c));
            break;
        }
    }
    return DEP_OK;
}

/* Naming an actor ahead (rfc8693#4.4): the agent may then exchange this token, whose audience stays what it is. */
struct dep_res dep_check_may_act(struct dep_ctx *c)
{
    const struct dep_agent *agent;
    const void *value = NULL;

    if (dep_str_is_absent(DEP_P(c, MAY_ACT)))
        return DEP_OK;
    if (!dep_ctx_peek(c, DEP_FACT_AGENT, DEP_P(c, MAY_ACT), &value) || value == NULL)
        return DEP_FAIL(MAY_ACT_AGENT);
    agent = value;
    if (agent->effective_state != DEP_STATE_ACTIVE || !dep_str_eq(agent->org, c->agent->org) || !is_agent_id(agent->id))
        return DEP_FAIL(MAY_ACT_AGENT);
    return dep_agent_may_delegate(c->agent, agent->id) ? DEP_OK : DEP_FAIL(TARGET_DELEGATE);
}

static bool has_anywhere(const struct dep_right *rights, size_t count, struct dep_str word)
{
    for (size_t i = 0; i < count; i++)
        if (dep_right_has(&rights[i], word))
            return true;
    return false;
}

/* What the agent may hand over, which is within what it may. */
static bool edge_has(const struct dep_agent *agent, const struct dep_target *target, struct dep_str word)
{
    const struct dep_right *right;

    if (!agent->has_delegation_rights || target->kind == DEP_TARGET_ISSUER)
        return true;
    if (target->kind != DEP_TARGET_RESOURCE)
        return has_anywhere(agent->delegation_rights, agent->delegation_rights_count, word);
    right = dep_agent_edge_right(agent, target->id);
    return right != NULL && dep_right_has(right, word);
}

static bool resource_has(const struct dep_resource *resource, struct dep_str word)
{
    for (size_t i = 0; i < resource->scopes_count; i++)
        if (dep_str_eq(resource->scopes[i], word))
            return true;
    return false;
}

/* One word at one target: known there, and within the ceiling of `agent`. */
static enum dep_limit limit_at(const struct dep_ctx *c, const struct dep_agent *agent, const struct dep_target *target,
                               struct dep_str word)
{
    const struct dep_right *right;

    if (target->kind == DEP_TARGET_AGENT)
        return has_anywhere(agent->ceiling, agent->ceiling_count, word) ? DEP_LIMIT_NONE : DEP_LIMIT_CEILING;
    if (target->kind == DEP_TARGET_ISSUER && !dep_str_eq(word, DEP_STR(DEP_SCOPE_AGENTS)))
        return DEP_LIMIT_ISSUER;
    if (target->kind == DEP_TARGET_SERVER)
        return dep_target_server_may(c, agent, word) ? DEP_LIMIT_NONE : DEP_LIMIT_CEILING;
    right = dep_agent_right(agent, target->id);
    if (right == NULL || !dep_right_has(right, word))
        return DEP_LIMIT_CEILING;
    if (target->kind == DEP_TARGET_ISSUER)
        return DEP_LIMIT_NONE;
    return resource_has(target->resource, word) ? DEP_LIMIT_NONE : DEP_LIMIT_RESOURCE;
}

/* Our own tokens limit what follows from them, blank meaning nothing; a user's ID token says nothing of scopes, and the issuer's
 * ceiling limits it (in the chain). */
static bool has_subject_scope(const struct dep_ctx *c)
{
    if (dep_ctx_is_own(c))
        return false;
    return !c->is_foreign || !dep_str_is_absent(c->subject.token.scope);
}

/* One word at every target, for everybody on the way (rfc8693#2.1: scope and targets are a Cartesian product): the first that says no. */
static struct dep_scope_verdict judge(const struct dep_ctx *c, struct dep_str word)
{
    if (has_subject_scope(c) && !dep_scope_has(c->subject.token.scope, word))
        return (struct dep_scope_verdict){ .scope = word, .limit = DEP_LIMIT_SUBJECT };
    for (size_t t = 0; t < c->targets_count; t++)
        for (size_t i = 0; i <= c->chain_count; i++) {
            const struct dep_agent *agent = i == 0 ? c->agent : c->chain[i - 1];
            enum dep_limit limit = limit_at(c, agent, &c->targets[t], word);

            if (limit == DEP_LIMIT_NONE && (i == 0 ? dep_ctx_is_hand_over(c) : has_handed_over(c, i - 1)) &&
                !edge_has(agent, &c->targets[t], word))
                limit = DEP_LIMIT_EDGE;
            if (limit != DEP_LIMIT_NONE)
                return (struct dep_scope_verdict){ word, limit, agent->id, c->targets[t].id };
        }
    return (struct dep_scope_verdict){ .scope = word };
}

static bool may(const struct dep_ctx *c, struct dep_str word)
{
    return judge(c, word).limit == DEP_LIMIT_NONE;
}

/* Nothing was asked for: the subject's scopes that may go on, or the resource's defaults, or the agent's ceiling there. */
static void put_implied(struct dep_ctx *c, struct dep_buf *buf)
{
    const struct dep_target *first = &c->targets[0];
    struct dep_str rest = c->subject.token.scope, word;

    if (has_subject_scope(c)) {
        while (dep_str_cut(&rest, ' ', &word))
            if (may(c, word))
                dep_scope_put(buf, word);
        return;
    }
    if (first->kind != DEP_TARGET_RESOURCE && first->kind != DEP_TARGET_SERVER)
        return;

    const struct dep_str *words;
    size_t count;

    if (first->kind == DEP_TARGET_SERVER) {
        words = dep_target_server_scopes(c, &count);
    } else {
        const struct dep_right *right = dep_agent_right(c->agent, first->id);
        bool has_defaults = first->resource->default_scopes_count > 0;

        words = has_defaults ? first->resource->default_scopes : right->scopes;
        count = has_defaults ? first->resource->default_scopes_count : right->scopes_count;
    }

    for (size_t i = 0; i < count; i++)
        if (may(c, words[i]))
            dep_scope_put(buf, words[i]);
}

static size_t count_words(struct dep_str scope)
{
    size_t count = 0;
    struct dep_str word;

    while (dep_str_cut(&scope, ' ', &word))
        count++;
    return count;
}

/* Every word with its verdict, for a preview and for the record of an over-ask. Left out when the arena is full: the refusal stands. */
static void judge_all(struct dep_ctx *c, struct dep_str scope)
{
    size_t count = count_words(scope), i = 0;
    struct dep_scope_verdict *verdicts = DEP_NEW_ARRAY(c->arena, count, struct dep_scope_verdict);
    struct dep_str word;

    if (verdicts == NULL)
        return;
    while (dep_str_cut(&scope, ' ', &word))
        verdicts[i++] = judge(c, word);
    c->decision->scopes = verdicts;
    c->decision->scopes_count = count;
}

/* Every scope that the resource knows: what a preview shows when none is named. */
static struct dep_str known_scopes(struct dep_ctx *c)
{
    const struct dep_resource *resource = c->targets[0].resource;
    struct dep_buf buf;

    if (c->targets[0].kind != DEP_TARGET_RESOURCE)
        return c->scope;
    dep_buf_init_arena(&buf, c->arena, SCOPE_BYTES_MAX);
    for (size_t i = 0; i < resource->scopes_count; i++)
        dep_scope_put(&buf, resource->scopes[i]);
    dep_buf_fit(&buf, c->arena);
    return buf.has_failed ? DEP_STR_ABSENT : dep_buf_str(&buf);
}

static struct dep_res take_implied(struct dep_ctx *c)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, c->arena, SCOPE_BYTES_MAX);
    put_implied(c, &buf);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_buf_fit(&buf, c->arena);
    if (buf.len > 0)
        c->scope = dep_buf_str(&buf);
    if (c->request->is_preview)
        judge_all(c, known_scopes(c));
    c->decision->has_scope_change = true;
    return buf.len == 0 ? DEP_FAIL(SCOPE_NONE) : DEP_OK;
}

struct dep_res dep_check_scope_ceiling(struct dep_ctx *c)
{
    struct dep_str asked = DEP_P(c, SCOPE), rest = asked, word;

    /* An actor token says who somebody is, and nothing about what they may do; only making agents is a scope of the issuer's own. */
    if (c->targets[0].kind == DEP_TARGET_ISSUER && dep_str_is_absent(asked))
        return DEP_OK;
    if (dep_str_is_absent(asked))
        return take_implied(c);
    if (c->request->is_preview)
        judge_all(c, asked);
    while (dep_str_cut(&rest, ' ', &word)) {
        if (may(c, word))
            continue;
        /* Refused, never narrowed; what would have been allowed is for the record. */
        judge_all(c, asked);
        return DEP_FAIL(SCOPE_CEILING);
    }
    c->scope = asked;
    return DEP_OK;
}

/* A foreign authorization server as target (oauth.md X11, X12, B2, B3; mcp.md 3.2).
 *
 * A grant (id-jag, jwt) is for one such server; whatever else the request names are resources there. An access token may be for one too:
 * the other server takes it as a subject token. Our record of the server says which of our clients are known there and as whom, and which
 * scopes a grant may carry at which resource. Ceilings speak of the resource there, or of the server itself when none is named. */
#include "proto/ctx.h"

static bool is_server(const struct dep_trusted_issuer *issuer)
{
    return issuer != NULL && (issuer->uses & DEP_ISSUER_TARGET);
}

bool dep_target_server_find(struct dep_ctx *c, struct dep_str id, struct dep_target *target)
{
    const void *value = NULL;

    if (!dep_ctx_fact(c, DEP_FACT_ISSUER, id, &value) || !is_server(value))
        return false;
    target->kind = DEP_TARGET_SERVER;
    target->server = value;
    return true;
}

/* Something of this server's: then not the target is unknown, but the type asked for is wrong (attack case D14). */
static bool is_here(struct dep_ctx *c, struct dep_str id)
{
    const void *value = NULL;

    if (dep_str_eq(id, c->policy->issuer) || dep_str_starts(id, DEP_STR("agent:")))
        return true;
    return dep_ctx_fact(c, DEP_FACT_RESOURCE, id, &value) && value != NULL;
}

void dep_target_server_load(struct dep_ctx *c)
{
    c->targets_count = 0;
    c->there_count = 0;
    c->is_target_here = false;
    for (size_t i = 0; i < c->targets_asked_count; i++) {
        struct dep_target target = { .id = c->targets_asked[i] };

        if (dep_target_server_find(c, target.id, &target))
            c->targets[c->targets_count++] = target;
        else
            c->there[c->there_count++] = target.id;
    }
    for (size_t i = 0; c->targets_count == 0 && i < c->there_count; i++)
        c->is_target_here |= is_here(c, c->there[i]);
}

struct dep_res dep_target_server_known(const struct dep_ctx *c)
{
    if (c->targets_count == 0 && c->there_count == 0)
        return DEP_FAIL(PARAM_MISSING); /* audience is required */
    if (c->targets_count == 0)
        return c->is_target_here ? DEP_FAIL(EXCHANGE_REQUESTED_TYPE) : DEP_FAIL(TARGET_SERVER);
    if (c->targets_count > 1 || !c->targets[0].server->is_enabled)
        return DEP_FAIL(TARGET_SERVER);
    return DEP_OK;
}

struct dep_str dep_target_server_client(const struct dep_ctx *c)
{
    const struct dep_trusted_issuer *server = c->targets[0].server;

    for (size_t i = 0; i < server->target_clients_count; i++)
        if (dep_str_eq(server->target_clients[i].client, c->client->id))
            return server->target_clients[i].client_id;
    return DEP_STR_ABSENT;
}

static const struct dep_right *right_there(const struct dep_trusted_issuer *server, struct dep_str resource)
{
    for (size_t i = 0; i < server->target_rights_count; i++)
        if (dep_str_eq(server->target_rights[i].resource, resource))
            return &server->target_rights[i];
    return NULL;
}

/* What a ceiling must name: the k-th resource there, or the server. */
static struct dep_str place(const struct dep_ctx *c, size_t k)
{
    return c->there_count > 0 ? c->there[k] : c->targets[0].id;
}

static size_t places(const struct dep_ctx *c)
{
    return c->there_count > 0 ? c->there_count : 1;
}

bool dep_target_server_may_follow(const struct dep_ctx *c, const struct dep_token *subject)
{
    for (size_t k = 0; k < places(c); k++)
        if (!dep_token_may_lead_to(subject, place(c, k)))
            return false;
    return true;
}

bool dep_target_server_is_within(const struct dep_ctx *c, const struct dep_token *subject)
{
    bool has_all = c->there_count > 0;

    for (size_t k = 0; k < c->there_count; k++)
        has_all = has_all && dep_token_has_aud(subject, c->there[k]);
    return has_all || dep_token_has_aud(subject, c->targets[0].id);
}

struct dep_res dep_target_server_allowed(const struct dep_ctx *c)
{
    const struct dep_trusted_issuer *server = c->targets[0].server;

    if (!dep_str_eq(server->org, c->agent->org) || dep_str_is_absent(dep_target_server_client(c)))
        return DEP_FAIL(TARGET_FORBIDDEN);
    for (size_t k = 0; k < places(c); k++) {
        if (c->there_count > 0 && right_there(server, place(c, k)) == NULL)
            return DEP_FAIL(TARGET_FORBIDDEN);
        if (dep_agent_right(c->agent, place(c, k)) == NULL)
            return DEP_FAIL(TARGET_FORBIDDEN);
        for (size_t i = 0; i < c->chain_count; i++)
            if (dep_agent_right(c->chain[i], place(c, k)) == NULL)
                return DEP_FAIL(TARGET_FORBIDDEN);
    }
    return DEP_OK;
}

static bool has(const struct dep_str *words, size_t count, struct dep_str word)
{
    for (size_t i = 0; i < count; i++)
        if (dep_str_eq(words[i], word))
            return true;
    return false;
}

bool dep_target_server_may(const struct dep_ctx *c, const struct dep_agent *agent, struct dep_str word)
{
    const struct dep_trusted_issuer *server = c->targets[0].server;

    for (size_t k = 0; k < places(c); k++) {
        const struct dep_right *ceiling = dep_agent_right(agent, place(c, k));
        const struct dep_right *there = right_there(server, place(c, k));

        if (ceiling == NULL || !dep_right_has(ceiling, word))
            return false;
        if (c->there_count > 0 ? there == NULL || !dep_right_has(there, word)
                               : !has(server->target_scopes, server->target_scopes_count, word))
            return false;
    }
    return true;
}

const struct dep_str *dep_target_server_scopes(const struct dep_ctx *c, size_t *ret_count)
{
    const struct dep_trusted_issuer *server = c->targets[0].server;
    const struct dep_right *there = c->there_count > 0 ? right_there(server, c->there[0]) : NULL;

    *ret_count = there != NULL ? there->scopes_count : server->target_scopes_count;
    return there != NULL ? there->scopes : server->target_scopes;
}

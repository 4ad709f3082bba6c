/* The jwt-bearer grant (RFC 7523 section 2.1) and its ID-JAG profile (oauth.md J10, J11, B2; mcp.md 3.2). The rows that it shares with
 * token exchange stand in check_exchange.c: a grant is a subject token that comes by another parameter. */
#include "proto/ctx.h"
#include "proto/scope.h"

#define ID_JAG_LIFETIME_S 300

struct dep_res dep_check_grant_params(struct dep_ctx *c)
{
    return dep_str_is_absent(DEP_P(c, ASSERTION)) ? DEP_FAIL(PARAM_MISSING) : DEP_OK;
}

/* resource of an ID-JAG: a string or an array of strings; every target must be among them. */
static struct dep_res check_resource(const struct dep_ctx *c, const struct dep_json *resource)
{
    if (resource == NULL)
        return DEP_OK;
    for (size_t i = 0; i < c->targets_count; i++) {
        const struct dep_json *item = resource->type == DEP_JSON_ARRAY ? resource->child : resource;
        bool is_named = false;

        for (; item != NULL && !is_named; item = resource->type == DEP_JSON_ARRAY ? item->next : NULL) {
            struct dep_str text;

            DEP_TRY(dep_json_str(item, &text));
            is_named = dep_str_eq(text, c->targets[i].id);
        }
        if (!is_named)
            return DEP_FAIL(GRANT_RESOURCE);
    }
    return DEP_OK;
}

/* mcp.md 3.2: what is asked for beyond the assertion's scope is a fault of the grant. */
static struct dep_res check_scope(const struct dep_ctx *c)
{
    struct dep_str rest = DEP_P(c, SCOPE), word;

    if (dep_str_is_absent(c->subject.token.scope))
        return DEP_OK;
    while (dep_str_cut(&rest, ' ', &word))
        if (!dep_scope_has(c->subject.token.scope, word))
            return DEP_FAIL(GRANT_SCOPE);
    return DEP_OK;
}

/* A bound grant is for whoever holds the key; the token is bound to the same one. What else cnf may say, nobody here can check. */
static struct dep_res check_cnf(struct dep_ctx *c, const struct dep_json *cnf)
{
    struct dep_token *subject = &c->subject.token;

    if (cnf == NULL)
        return DEP_OK;
    if (!dep_is_ok(dep_token_read_cnf(cnf, subject)))
        return DEP_FAIL(GRANT_KEY);
    if (!dep_str_is_absent(subject->jkt) ? c->has_dpop && dep_str_eq(subject->jkt, c->dpop.jkt)
                                         : dep_str_eq(subject->x5t, c->x5t))
        return DEP_OK;
    return DEP_FAIL(GRANT_KEY);
}

/* What a grant promises beyond being signed: it is short-lived, and used once. An ID-JAG names its client besides (identity chaining
 * leaves that out, but what it names counts). An ID token, which lives long and may lie about, is none. */
struct dep_res dep_check_grant_profile(struct dep_ctx *c)
{
    const struct dep_json *claims = c->foreign.claims, *named = DEP_JSON_GET(claims, "client_id");
    struct dep_str client = DEP_STR_ABSENT, jti = DEP_STR_ABSENT;
    struct dep_jwt_times times;

    if (c->foreign.is_id_jag || named != NULL)
        if (!dep_is_ok(dep_json_str(named, &client)) || !dep_str_eq(client, c->client->id))
            return DEP_FAIL(GRANT_CLIENT);
    DEP_TRY(dep_jwt_times(claims, c->now, c->policy->skew_s, ID_JAG_LIFETIME_S + c->policy->skew_s, true, &times));
    if (times.exp - times.iat > ID_JAG_LIFETIME_S + c->policy->skew_s)
        return DEP_FAIL(JWT_LIFETIME);
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(claims, "jti"), &jti)) || dep_str_is_blank(jti) || jti.len > DEP_JTI_MAX)
        return DEP_FAIL(JWT_MISSING);
    DEP_TRY(check_cnf(c, DEP_JSON_GET(claims, "cnf")));
    DEP_TRY(check_resource(c, DEP_JSON_GET(claims, "resource")));
    DEP_TRY(check_scope(c));
    if (c->policy->fence > 0 && times.iat <= c->policy->fence)
        return DEP_FAIL(GRANT_FENCE);
    dep_use_set(c, DEP_REPLAY_GRANT, c->foreign.iss, jti, &times, &c->grant_use);
    return DEP_OK;
}

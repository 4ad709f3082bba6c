/* Introspection (RFC 7662; oauth.md I1-I6) and revocation (RFC 7009; R1-R6). */
#include "proto/ctx.h"

struct dep_res dep_check_token_param(struct dep_ctx *c)
{
    return dep_str_is_absent(DEP_P(c, TOKEN)) ? DEP_FAIL(PARAM_MISSING) : DEP_OK;
}

struct dep_res dep_check_load_token(struct dep_ctx *c)
{
    const void *consent = NULL;

    dep_presented_open(c, DEP_P(c, TOKEN), &c->presented);
    /* rfc7009#2.1: whatever the hint says, either kind is looked for. An old turn of a refresh token is one of its consent too. */
    if (c->column == DEP_COLUMN_REVOKE && !dep_str_is_absent(c->policy->consent.login_header) &&
        dep_is_ok(dep_ticket_open(c->arena, c->policy->consent.key, DEP_TICKET_REFRESH, DEP_P(c, TOKEN), &c->ticket))) {
        (void)dep_ctx_fact(c, DEP_FACT_CONSENT, c->ticket.id, &consent);
        c->consent = consent;
    }
    return DEP_OK;
}

/* Introspection says nothing but "inactive" of a token that is not alive (rfc7662#2.2); revoking one is no error (rfc7009#2.2), and
 * the answer's builder sees that there is nothing to revoke. */
struct dep_res dep_check_token_active(struct dep_ctx *c)
{
    bool is_live = dep_is_ok(dep_presented_verify(c, &c->presented)) &&
                   !dep_revocations_cover(c->facts->revocations, &c->presented.token);

    if (!is_live) {
        c->presented.is_open = false;
        return c->column == DEP_COLUMN_INTROSPECT ? DEP_FAIL(TOKEN_INACTIVE) : DEP_OK;
    }
    return DEP_OK;
}

struct dep_res dep_check_token_visible(struct dep_ctx *c)
{
    const struct dep_token *token = &c->presented.token;
    bool is_audience = (!dep_str_is_absent(c->client->resource) && dep_token_has_aud(token, c->client->resource)) ||
                       (c->agent != NULL && dep_token_has_aud(token, c->agent->id));

    return is_audience || c->client->may_introspect_any ? DEP_OK : DEP_FAIL(TOKEN_INACTIVE);
}

struct dep_res dep_check_token_own(struct dep_ctx *c)
{
    if (c->consent != NULL)
        return dep_str_eq(c->consent->client_id, c->client->id) ? DEP_OK : DEP_FAIL(TOKEN_NOT_YOURS);
    if (!c->presented.is_open)
        return DEP_OK;
    return dep_str_eq(c->presented.token.client_id, c->client->id) ? DEP_OK : DEP_FAIL(TOKEN_NOT_YOURS);
}

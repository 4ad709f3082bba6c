/* DPoP at the token endpoint (RFC 9449 section 5; oauth.md A12). */
#include "proto/ctx.h"

struct dep_res dep_check_dpop_header(struct dep_ctx *c)
{
    struct dep_res res =
        dep_header_one(c->request->headers, c->request->headers_count, DEP_STR("DPoP"), &c->dpop_header);

    return dep_is_ok(res) ? DEP_OK : DEP_FAIL(DPOP_TWO);
}

struct dep_res dep_check_dpop_required(struct dep_ctx *c)
{
    bool is_required = c->client->needs_dpop;

    for (size_t i = 0; i < c->targets_count; i++)
        is_required |= c->targets[i].resource != NULL && c->targets[i].resource->needs_dpop;
    return is_required && dep_str_is_absent(c->dpop_header) ? DEP_FAIL(DPOP_REQUIRED) : DEP_OK;
}

struct dep_res dep_check_dpop_proof(struct dep_ctx *c)
{
    const struct dep_dpop_request request = {
        .proof = c->dpop_header,
        .method = c->request->method,
        .url = c->column == DEP_COLUMN_PAR ? c->policy->consent.par_url : c->policy->token_url,
    };

    if (dep_str_is_absent(c->dpop_header))
        return DEP_OK;
    DEP_TRY(dep_dpop_check(c->arena, c->crypto, &c->policy->dpop, &request, c->now, &c->dpop));
    c->has_dpop = true;
    return DEP_OK;
}

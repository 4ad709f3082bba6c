/* An agent registers one below itself, with a token of its own for this issuer (RFC 6750, RFC 9449 section 7).
 *
 * The parent speaks for itself: a chain would let whoever it serves make agents. The child is within the parent's ceiling as it counts
 * now, of its organisation and its owner, and falls with it. */
#include "base/id.h"
#include "base/num.h"
#include "proto/ctx.h"
#include "proto/records_read.h"
#include "proto/scope.h"

#define RANDOM_AT_AGENT 32u
#define RANDOM_AT_CLIENT 44u
#define EXPIRES_MAX_S (366 * 86400)
#define JSON_DEPTH 6u

struct dep_res dep_check_caller_header(struct dep_ctx *c)
{
    struct dep_str value;

    if (!dep_is_ok(dep_header_one(c->request->headers, c->request->headers_count, DEP_STR("Authorization"), &value)))
        return DEP_FAIL(HTTP_HEADER_DUPLICATE);
    if (dep_str_is_blank(value))
        return DEP_FAIL(TOKEN_ABSENT);
    if (!dep_is_ok(dep_credentials_parse(value, &c->credentials)))
        return DEP_FAIL(TOKEN_SCHEME);
    c->is_dpop_scheme = dep_str_eq_nocase(c->credentials.scheme, DEP_STR("DPoP"));
    return c->is_dpop_scheme || dep_str_eq_nocase(c->credentials.scheme, DEP_STR("Bearer")) ? DEP_OK
                                                                                            : DEP_FAIL(TOKEN_SCHEME);
}

struct dep_res dep_check_load_caller(struct dep_ctx *c)
{
    struct dep_presented *presented = &c->presented;
    const struct dep_json *claims = NULL;
    struct dep_str sub = DEP_STR_ABSENT;
    const void *value;

    dep_presented_open(c, c->credentials.token, presented);
    if (!presented->is_open || !dep_is_ok(dep_jwt_claims(c->arena, &presented->jws, &claims)) ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(claims, "sub"), &sub)))
        return DEP_OK;
    (void)dep_ctx_fact(c, DEP_FACT_AGENT, sub, &value);
    (void)dep_ctx_fact(c, DEP_FACT_FAMILY, sub, &value);
    return DEP_OK;
}

struct dep_res dep_check_caller_token(struct dep_ctx *c)
{
    const struct dep_token *token = &c->presented.token;
    const void *agent = NULL;

    DEP_TRY(dep_presented_verify(c, &c->presented));
    if (!dep_token_has_aud(token, c->policy->issuer))
        return DEP_FAIL(JWT_AUD);
    if (dep_revocations_cover(c->facts->revocations, token))
        return DEP_FAIL(TOKEN_REVOKED);
    if (!dep_str_is_absent(token->x5t) && !dep_str_eq(token->x5t, c->x5t))
        return c->certificate == NULL ? DEP_FAIL(TOKEN_NO_CERTIFICATE) : DEP_FAIL(TOKEN_CERTIFICATE);
    if (!dep_str_is_absent(token->jkt) && !c->is_dpop_scheme)
        return DEP_FAIL(TOKEN_BOUND_AS_BEARER);
    if (dep_str_is_absent(token->jkt) && c->is_dpop_scheme)
        return DEP_FAIL(TOKEN_NOT_BOUND);
    if (token->actors_count > 0 || !dep_ctx_peek(c, DEP_FACT_AGENT, token->sub, &agent) || agent == NULL)
        return DEP_FAIL(CALLER_PRINCIPAL);
    c->agent = agent;
    return c->agent->effective_state == DEP_STATE_ACTIVE ? DEP_OK : DEP_FAIL(CALLER_PRINCIPAL);
}

struct dep_res dep_check_caller_proof(struct dep_ctx *c)
{
    const struct dep_dpop_request request = {
        .proof = c->dpop_header,
        .method = c->request->method,
        .url = c->policy->agents_url,
        .token = c->credentials.token,
        .bound_jkt = c->presented.token.jkt,
    };

    if (!c->is_dpop_scheme)
        return DEP_OK;
    if (dep_str_is_absent(c->dpop_header))
        return DEP_FAIL(DPOP_REQUIRED);
    DEP_TRY(dep_dpop_check(c->arena, c->crypto, &c->policy->dpop, &request, c->now, &c->dpop));
    c->has_dpop = true;
    return DEP_OK;
}

struct dep_res dep_check_caller_scope(struct dep_ctx *c)
{
    const struct dep_right *right = dep_agent_right(c->agent, c->policy->issuer);

    /* The right may have been taken away since the token was issued. */
    return dep_scope_has(c->presented.token.scope, DEP_STR(DEP_SCOPE_AGENTS)) && right != NULL &&
                   dep_right_has(right, DEP_STR(DEP_SCOPE_AGENTS))
               ? DEP_OK
               : DEP_FAIL(TOKEN_SCOPE);
}

static bool is_within(const struct dep_agent *parent, const struct dep_right *right)
{
    const struct dep_right *above = dep_agent_right(parent, right->resource);

    for (size_t i = 0; above != NULL && i < right->scopes_count; i++)
        if (!dep_right_has(above, right->scopes[i]))
            return false;
    return above != NULL;
}

static struct dep_res read_child_ceiling(struct dep_ctx *c)
{
    struct dep_json *json;

    if (dep_str_is_absent(DEP_P(c, CEILING)))
        return DEP_FAIL(PARAM_MISSING);
    if (!dep_is_ok(dep_json_parse(c->arena, DEP_P(c, CEILING), JSON_DEPTH, &json)) ||
        !dep_is_ok(dep_record_ceiling(c->arena, json, &c->child.ceiling, &c->child.ceiling_count)))
        return DEP_FAIL(CHILD_SYNTAX);
    if (c->child.ceiling_count == 0)
        return DEP_FAIL(CHILD_SYNTAX);
    for (size_t i = 0; i < c->child.ceiling_count; i++)
        if (!is_within(c->agent, &c->child.ceiling[i]))
            return DEP_FAIL(CHILD_CEILING);
    return DEP_OK;
}

static struct dep_res read_child_client(struct dep_ctx *c)
{
    struct dep_json *json;
    int64_t expires_in_s;

    if (!dep_str_is_absent(DEP_P(c, JWKS))) {
        if (!dep_is_ok(dep_json_parse(c->arena, DEP_P(c, JWKS), JSON_DEPTH, &json)) || json->type != DEP_JSON_OBJECT)
            return DEP_FAIL(CHILD_SYNTAX);
        c->child.jwks = DEP_P(c, JWKS);
    }
    if (dep_str_is_absent(DEP_P(c, EXPIRES_IN)))
        return DEP_OK;
    if (!dep_is_ok(dep_num_parse(DEP_P(c, EXPIRES_IN), 1, EXPIRES_MAX_S, &expires_in_s)))
        return DEP_FAIL(CHILD_SYNTAX);
    c->child.expires = c->now + expires_in_s;
    return DEP_OK;
}

static struct dep_res make_id(struct dep_ctx *c, const char *prefix, size_t random_at, struct dep_str *ret_id)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, c->arena, DEP_ULID_LEN + 8);
    dep_buf_put_c(&buf, prefix);
    dep_ulid_put(&buf, c->now * 1000, c->random + random_at);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_id = dep_buf_str(&buf);
    return DEP_OK;
}

struct dep_res dep_check_child(struct dep_ctx *c)
{
    const struct dep_family *family;
    const void *value = NULL;

    if (dep_str_is_blank(DEP_P(c, NAME)))
        return DEP_FAIL(PARAM_MISSING);
    DEP_TRY(read_child_ceiling(c));
    DEP_TRY(read_child_client(c));
    if (!dep_ctx_peek(c, DEP_FACT_FAMILY, c->agent->id, &value) || value == NULL)
        return DEP_FAIL(CALLER_PRINCIPAL);
    family = value;
    if (family->children >= DEP_CHILDREN_MAX || family->ancestors >= DEP_ANCESTORS_MAX)
        return DEP_FAIL(CHILD_ROOM);
    c->child.parent = c->agent;
    c->child.name = DEP_P(c, NAME);
    c->child.purpose = DEP_P(c, PURPOSE);
    c->child.agent_version = DEP_P(c, AGENT_VERSION);
    /* A key is what everybody can make; a certificate has to be given. */
    c->child.needs_dpop = !dep_str_is_absent(c->presented.token.jkt) || !dep_str_is_absent(c->presented.token.x5t);
    DEP_TRY(make_id(c, "agent:", RANDOM_AT_AGENT, &c->child.id));
    return make_id(c, "", RANDOM_AT_CLIENT, &c->child.client_id);
}

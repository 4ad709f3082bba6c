/* What follows when every check of a column has passed: the token to sign, the revocation to write, the effects. */
#include "base/b64.h"
#include "proto/ctx.h"

#define JTI_BYTES 16u
#define RANDOM_AT_JTI 16u /* the first bytes of `random` made the decision id */

static struct dep_str make_jti(struct dep_ctx *c)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, c->arena, DEP_B64_ENCODED(JTI_BYTES));
    dep_b64url_put(&buf, c->random + RANDOM_AT_JTI, JTI_BYTES);
    return dep_buf_str(&buf);
}

static int64_t lifetime_of(const struct dep_ctx *c)
{
    int64_t lifetime_s = c->policy->token_lifetime_s;

    for (size_t i = 0; i < c->targets_count; i++) {
        const struct dep_resource *resource = c->targets[i].resource;

        if (resource != NULL && resource->token_lifetime_s > 0 && resource->token_lifetime_s < lifetime_s)
            lifetime_s = resource->token_lifetime_s;
    }
    /* What is handed over may have to be shorter. */
    if (dep_ctx_is_hand_over(c) && c->agent->delegation_lifetime_max_s > 0 &&
        c->agent->delegation_lifetime_max_s < lifetime_s)
        lifetime_s = c->agent->delegation_lifetime_max_s;
    /* An instance's tokens end with it. */
    if (c->client->expires > 0 && c->client->expires - c->now < lifetime_s)
        lifetime_s = c->client->expires - c->now;
    return lifetime_s;
}

/* Keeps a client or task of the subject's in sight that the new token's own claims do not name. */
static struct dep_res add_origin(struct dep_ctx *c, struct dep_token *token, struct dep_str kind, struct dep_str id)
{
    struct dep_buf text;

    if (dep_str_is_blank(id))
        return DEP_OK;
    dep_buf_init_arena(&text, c->arena, kind.len + id.len);
    dep_buf_put(&text, kind);
    dep_buf_put(&text, id);
    if (text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < token->origins_count; i++)
        if (dep_str_eq(token->origins[i], dep_buf_str(&text)))
            return DEP_OK;
    if (token->origins_count == DEP_ORIGINS_MAX)
        return DEP_FAIL(EXCHANGE_DEPTH);
    token->origins[token->origins_count++] = dep_buf_str(&text);
    return DEP_OK;
}

static bool names_task(const struct dep_token *token, struct dep_str task)
{
    return dep_str_eq(task, token->task_id) || dep_str_eq(task, token->parent_task_id);
}

static struct dep_res inherit_origins(struct dep_ctx *c, struct dep_token *token)
{
    const struct dep_token *subject = &c->subject.token;

    if (c->is_foreign)
        return DEP_OK;
    for (size_t i = 0; i < subject->origins_count; i++)
        token->origins[token->origins_count++] = subject->origins[i];
    if (!dep_str_eq(subject->client_id, token->client_id))
        DEP_TRY(add_origin(c, token, DEP_STR("client:"), subject->client_id));
    if (!names_task(token, subject->task_id))
        DEP_TRY(add_origin(c, token, DEP_STR("task:"), subject->task_id));
    return names_task(token, subject->parent_task_id) ? DEP_OK
                                                      : add_origin(c, token, DEP_STR("task:"), subject->parent_task_id);
}

/* The subject's chain with the client's agent in front, unless it presents the token already (rfc8693#4.1). */
static void inherit(struct dep_ctx *c, struct dep_token *token)
{
    const struct dep_token *subject = &c->subject.token;
    bool is_delegation = !dep_str_eq(dep_token_presenter(subject), c->agent->id);

    token->sub = subject->sub;
    token->acr = subject->acr; /* frozen at the login (rfc9068#2.2.1); what nobody said stays unsaid */
    token->auth_time = subject->auth_time;
    if (is_delegation)
        token->actors[token->actors_count++] = c->agent->id;
    for (size_t i = 0; i < subject->actors_count; i++)
        token->actors[token->actors_count++] = subject->actors[i];
    if (!c->is_foreign || c->has_ticket) /* what we did not issue, we cannot revoke by jti; a consent is ours */
        token->lineage[token->lineage_count++] = subject->jti;
    for (size_t i = 0; i < subject->lineage_count; i++)
        token->lineage[token->lineage_count++] = subject->lineage[i];
    if (subject->exp < token->exp)
        token->exp = subject->exp;
    if (c->actor.token.exp > 0 && c->actor.token.exp < token->exp)
        token->exp = c->actor.token.exp;
    if (dep_str_is_absent(token->task_id)) {
        token->task_id = subject->task_id;
        token->parent_task_id = subject->parent_task_id;
    } else if (!c->is_foreign) {
        token->parent_task_id = subject->task_id;
    }
}

/* The token described becomes a grant: in the other server's terms, and short (mcp.md 3.2). Chain and lineage stay for the record. */
static void make_grant(struct dep_ctx *c, struct dep_token *token)
{
    token->client_id = dep_target_server_client(c);
    token->nbf = 0;
    if (token->exp > c->now + DEP_GRANT_LIFETIME_S)
        token->exp = c->now + DEP_GRANT_LIFETIME_S;
    c->decision->issued = c->issued;
    c->decision->grant_resources = c->there;
    c->decision->grant_resources_count = c->there_count;
    c->decision->record.issued = dep_issued_name(c->issued);
}

/* Agents are the audience of what is handed over; resources beside them, or of the token before it, are what may follow. */
static void put_targets(struct dep_ctx *c, struct dep_token *token)
{
    bool has_agent = false;

    for (size_t i = 0; i < c->targets_count; i++)
        has_agent |= c->targets[i].kind == DEP_TARGET_AGENT;
    for (size_t i = 0; i < c->targets_count; i++)
        if (has_agent && c->targets[i].kind == DEP_TARGET_RESOURCE)
            token->resources[token->resources_count++] = c->targets[i].id;
        else
            token->aud[token->aud_count++] = c->targets[i].id;
    if (!has_agent || token->resources_count > 0 || dep_ctx_is_own(c))
        return;
    for (; token->resources_count < c->subject.token.resources_count; token->resources_count++)
        token->resources[token->resources_count] = c->subject.token.resources[token->resources_count];
}

static struct dep_res put_instruction(struct dep_ctx *c)
{
    struct dep_str text = DEP_P(c, HUMAN_INSTRUCTION);
    unsigned char hash[DEP_SHA256_LEN];
    struct dep_buf hex;

    if (dep_str_is_absent(text))
        return DEP_OK;
    dep_sha256(c->crypto, text, hash);
    dep_buf_init_arena(&hex, c->arena, 2 * sizeof(hash));
    dep_buf_put_hex(&hex, hash, sizeof(hash));
    if (hex.has_failed)
        return DEP_FAIL(ARENA_FULL);
    c->decision->record.instruction = dep_buf_str(&hex);
    dep_ctx_effect(c, (struct dep_effect){ .kind = DEP_EFFECT_INSTRUCTION, .id = dep_buf_str(&hex), .text = text });
    return DEP_OK;
}

static struct dep_res build_token(struct dep_ctx *c)
{
    struct dep_token *token = &c->decision->token;

    *token = (struct dep_token){
        .iss = c->policy->issuer,
        .sub = c->agent->id,
        .client_id = c->client->id,
        .jti = make_jti(c),
        .scope = c->scope,
        .iat = c->now,
        .nbf = c->now,
        .exp = c->now + lifetime_of(c),
        .jkt = c->has_dpop ? c->dpop.jkt : DEP_STR_ABSENT,
        .x5t = dep_certificate_binding(c),
        .may_act = DEP_P(c, MAY_ACT),
        .agent_name = c->agent->name,
        .agent_version = c->agent->agent_version,
        .task_id = DEP_P(c, TASK_ID),
        .parent_task_id = DEP_P(c, PARENT_TASK_ID),
        .org_id = c->agent->org,
    };
    if (dep_str_is_absent(token->jti))
        return DEP_FAIL(ARENA_FULL);
    put_targets(c, token);
    c->decision->is_exchange = c->column == DEP_COLUMN_TOKEN_EXCHANGE;
    if (!dep_ctx_is_own(c))
        inherit(c, token);
    if (!dep_ctx_is_own(c))
        DEP_TRY(inherit_origins(c, token));
    if (c->issued != DEP_ISSUED_ACCESS_TOKEN)
        make_grant(c, token);
    c->decision->has_token = true;
    c->decision->answer = DEP_ANSWER_TOKEN;
    if (c->has_dpop && c->policy->dpop.nonce != NULL)
        c->decision->nonce = dep_dpop_next_nonce(c->arena, c->crypto, &c->policy->dpop, &c->dpop, c->now);
    dep_ctx_effect(c, (struct dep_effect){ .kind = DEP_EFFECT_ISSUE });
    if (c->has_ticket)
        DEP_TRY(dep_answer_refresh(c));
    return put_instruction(c);
}

static void build_revocation(struct dep_ctx *c)
{
    const struct dep_token *token = &c->presented.token;

    c->decision->answer = DEP_ANSWER_EMPTY;
    if (c->consent != NULL) /* rfc7009#2.1: what came of the consent goes with its refresh token */
        dep_ctx_effect(c, (struct dep_effect){
                              .kind = DEP_EFFECT_REVOKE,
                              .revocation = { DEP_REVOKED_JTI, c->consent->id, c->now, c->consent->expires + 3600 },
                          });
    if (!c->presented.is_open)
        return;
    c->decision->token = *token;
    c->decision->has_token = true;
    dep_ctx_effect(
        c,
        (struct dep_effect){
            .kind = DEP_EFFECT_REVOKE,
            /* Descendants expire with it: their exp is never later. The hour is for clocks that jump ahead and back. */
            .revocation = { DEP_REVOKED_JTI, token->jti, c->now, token->exp + 3600 },
        });
}

struct dep_res dep_answer_build(struct dep_ctx *c)
{
    switch (c->column) {
    case DEP_COLUMN_CLIENT_CREDENTIALS:
    case DEP_COLUMN_WORKLOAD:
    case DEP_COLUMN_TOKEN_EXCHANGE:
    case DEP_COLUMN_JWT_BEARER:
    case DEP_COLUMN_AUTHORIZATION_CODE:
    case DEP_COLUMN_REFRESH_TOKEN:
        return build_token(c);
    case DEP_COLUMN_PAR:
    case DEP_COLUMN_AUTHORIZE:
    case DEP_COLUMN_CONSENT:
        dep_answer_consent(c);
        return DEP_OK;
    case DEP_COLUMN_INTROSPECT:
        c->decision->answer = DEP_ANSWER_ACTIVE;
        c->decision->token = c->presented.token;
        c->decision->has_token = true;
        return DEP_OK;
    case DEP_COLUMN_REVOKE:
        build_revocation(c);
        return DEP_OK;
    case DEP_COLUMN_AGENTS:
        c->decision->answer = DEP_ANSWER_CHILD;
        c->decision->child = c->child;
        dep_ctx_effect(c, (struct dep_effect){ .kind = DEP_EFFECT_REGISTER });
        return DEP_OK;
    case DEP_COLUMN_FEED:
        c->decision->answer = DEP_ANSWER_FEED;
        return DEP_OK;
    case DEP_COLUMN_METADATA:
    case DEP_COLUMN_JWKS:
    case DEP_COLUMN_CHECKPOINT:
        c->decision->answer = DEP_ANSWER_DOCUMENT;
        return DEP_OK;
    case DEP_COLUMN_TOKEN:
    case DEP_COLUMNS:
        break;
    }
    DEP_ASSERT(false && "a column without an answer");
    return DEP_FAIL(GRANT_UNSUPPORTED);
}

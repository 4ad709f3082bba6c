/* What a user's consent is redeemed by: the code, once (oauth-v2-1#4.1.3), and refresh tokens (#4.3; oauth.md O9-O20, A12).
 *
 * Whoever redeems is measured again by the records as they are now: the agent's ceiling, the user's, who may hand over to whom. The consent
 * is one limit more. A client without a secret gets refresh tokens only for a key that it proves, and a new one each time; when an old one
 * comes back with that proof, somebody has a copy, and the consent ends. */
#include "base/b64.h"
#include "proto/ctx.h"

#define VERIFIER_MIN 43u

struct dep_res dep_check_code_params(struct dep_ctx *c)
{
    struct dep_str verifier = DEP_P(c, CODE_VERIFIER);

    if (c->column == DEP_COLUMN_REFRESH_TOKEN)
        return dep_str_is_absent(DEP_P(c, REFRESH_TOKEN)) ? DEP_FAIL(PARAM_MISSING) : DEP_OK;
    if (dep_str_is_absent(DEP_P(c, CODE)) || dep_str_is_absent(verifier))
        return DEP_FAIL(PARAM_MISSING);
    for (size_t i = 0; i < verifier.len; i++) {
        char v = verifier.ptr[i];

        if (!((v >= 'a' && v <= 'z') || (v >= 'A' && v <= 'Z') || (v >= '0' && v <= '9') ||
              dep_str_has(DEP_STR("-._~"), v)))
            return DEP_FAIL(PARAM_SYNTAX);
    }
    return verifier.len >= VERIFIER_MIN ? DEP_OK : DEP_FAIL(PARAM_SYNTAX);
}

/* The subject of what is issued: the user, as far as the consent goes. */
static void take_subject(struct dep_ctx *c, const struct dep_ticket *consent)
{
    struct dep_token *token = &c->subject.token;
    bool has_agent = false;

    *token = (struct dep_token){
        .iss = c->policy->issuer,
        .sub = consent->user,
        .client_id = consent->client_id,
        .jti = consent->id,
        .scope = dep_str_is_absent(consent->scope) ? DEP_STR("") : consent->scope,
        .iat = consent->made,
        .exp = consent->expires,
        .org_id = consent->org,
        .acr = consent->acr,
        .auth_time = consent->auth_time,
    };
    for (; token->aud_count < consent->targets_count; token->aud_count++) {
        token->aud[token->aud_count] = consent->targets[token->aud_count];
        has_agent |= dep_str_starts(consent->targets[token->aud_count], DEP_STR("agent:"));
    }
    /* Resources beside an agent are what may follow from what it is handed, also when less than all is asked for. */
    for (size_t i = 0; has_agent && i < consent->targets_count; i++)
        if (!dep_str_starts(consent->targets[i], DEP_STR("agent:")))
            token->resources[token->resources_count++] = consent->targets[i];
    c->subject.claimed = *token;
}

struct dep_res dep_check_load_code(struct dep_ctx *c)
{
    bool is_code = c->column == DEP_COLUMN_AUTHORIZATION_CODE;
    const struct dep_ticket *consent = &c->ticket;
    const void *value = NULL;
    struct dep_res res;

    c->is_foreign = true;
    res = dep_ticket_open(c->arena, c->policy->consent.key, is_code ? DEP_TICKET_CODE : DEP_TICKET_REFRESH,
                          is_code ? DEP_P(c, CODE) : DEP_P(c, REFRESH_TOKEN), &c->ticket);
    if (res.err == DEP_ERR_ARENA_FULL)
        return res;
    if (!dep_is_ok(res))
        return DEP_OK;
    c->has_ticket = true;
    if (!is_code) {
        (void)dep_ctx_fact(c, DEP_FACT_CONSENT, c->ticket.id, &value);
        consent = c->consent = value;
    }
    if (consent == NULL)
        return DEP_OK;
    take_subject(c, consent);
    (void)dep_ctx_fact(c, DEP_FACT_AGENT, consent->user, &value);
    if (dep_ctx_fact(c, DEP_FACT_ISSUER, consent->issuer, &value))
        c->foreign_of_consent = value;
    return DEP_OK;
}

static struct dep_res check_verifier(struct dep_ctx *c)
{
    unsigned char hash[DEP_SHA256_LEN], challenge[DEP_SHA256_LEN];

    dep_sha256(c->crypto, DEP_P(c, CODE_VERIFIER), hash);
    if (!dep_is_ok(dep_b64url_decode_exact(c->ticket.challenge, challenge, sizeof(challenge))))
        return DEP_FAIL(CODE_VERIFIER);
    return dep_secret_eq(dep_secret(hash, sizeof(hash)), dep_secret(challenge, sizeof(challenge)))
               ? DEP_OK
               : DEP_FAIL(CODE_VERIFIER);
}

struct dep_res dep_check_code(struct dep_ctx *c)
{
    bool is_code = c->column == DEP_COLUMN_AUTHORIZATION_CODE;

    if (!c->has_ticket || c->ticket.expires <= c->now || (!is_code && c->consent == NULL))
        return DEP_FAIL(CODE_UNKNOWN);
    if (!dep_str_eq(c->ticket.client_id, c->client->id))
        return DEP_FAIL(CODE_CLIENT);
    if (!is_code)
        return c->consent->expires > c->now ? DEP_OK : DEP_FAIL(CODE_UNKNOWN);
    /* oauth-v2-1#10.2: clients of OAuth 2.0 repeat it, and it counts when they do. */
    if (!dep_str_is_absent(DEP_P(c, REDIRECT_URI)) && !dep_str_eq(DEP_P(c, REDIRECT_URI), c->ticket.redirect_uri))
        return DEP_FAIL(CODE_REDIRECT_URI);
    return check_verifier(c);
}

struct dep_res dep_check_code_live(struct dep_ctx *c)
{
    struct dep_token given = c->subject.token;

    given.actors[given.actors_count++] = c->agent->id; /* it was given to this agent */
    if (dep_revocations_cover(c->facts->revocations, &given))
        return DEP_FAIL(CONSENT_REVOKED);
    if (c->foreign_of_consent == NULL || !(c->foreign_of_consent->uses & DEP_ISSUER_LOGIN))
        return DEP_FAIL(CONSENT_REVOKED);
    /* A code outlives its minute by nothing, and what comes of it lives as long as any token. */
    if (c->column == DEP_COLUMN_AUTHORIZATION_CODE)
        c->subject.token.exp = c->now + c->policy->token_lifetime_s;
    return DEP_OK;
}

/* rfc9449#10, #5: a code that was asked for with a key, and a refresh token that is bound to one, are for who proves it. */
struct dep_res dep_check_code_key(struct dep_ctx *c)
{
    struct dep_str jkt = c->column == DEP_COLUMN_AUTHORIZATION_CODE ? c->ticket.jkt : c->consent->jkt;

    if (dep_str_is_absent(jkt))
        return DEP_OK;
    if (!c->has_dpop)
        return DEP_FAIL(DPOP_REQUIRED);
    return dep_str_eq(jkt, c->dpop.jkt) ? DEP_OK : DEP_FAIL(CODE_KEY);
}

static void end_consent(struct dep_ctx *c, int64_t until)
{
    dep_ctx_effect(c, (struct dep_effect){
                          .kind = DEP_EFFECT_REVOKE,
                          .revocation = { DEP_REVOKED_JTI, c->ticket.id, c->now, until + 3600 },
                      });
}

/* Last, so that only who could have redeemed it can end what came of it (oauth-v2-1#7.5.2): a thief with the code alone revokes nothing. */
struct dep_res dep_check_code_unused(struct dep_ctx *c)
{
    struct dep_use use = { .is_single = true, .made = c->ticket.made, .until = c->ticket.expires, .is_durable = true };
    struct dep_res res;

    dep_replay_key(c->crypto, DEP_STR(""), DEP_REPLAY_CODE, c->client->id, DEP_STR(""), c->ticket.id, use.key);
    res = dep_use_up(c, &use, DEP_ERR_CODE_REPLAY);
    if (!dep_is_ok(res))
        end_consent(c, c->now + c->policy->consent.refresh_s);
    return res;
}

/* oauth-v2-1#4.3.1. A client with a secret keeps its refresh token: turn 0 for ever. */
struct dep_res dep_check_refresh_unused(struct dep_ctx *c)
{
    if (c->ticket.turn == c->consent->turn)
        return DEP_OK;
    end_consent(c, c->consent->expires);
    return DEP_FAIL(REFRESH_REPLAY);
}

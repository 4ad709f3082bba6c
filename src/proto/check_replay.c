/* What may be used once. Last of the checks of a grant: only a request that is good in every other way uses something up. At
 * introspection and revocation it comes before the token is looked at: one assertion asks one question (C11). The commit inserts
 * the key if it is absent; if it was there, the shell says so as a fact and decides again. */
#include "proto/ctx.h"

static bool is_used(struct dep_ctx *c, const unsigned char key[DEP_REPLAY_KEY_BYTES])
{
    const void *value;

    return dep_ctx_peek(c, DEP_FACT_REPLAY, dep_str((const char *)key, DEP_REPLAY_KEY_BYTES), &value);
}

static void remember(struct dep_ctx *c, const unsigned char key[DEP_REPLAY_KEY_BYTES], int64_t expires, bool is_durable)
{
    struct dep_effect effect = { .kind = DEP_EFFECT_REMEMBER, .expires = expires, .is_durable = is_durable };

    for (size_t i = 0; i < DEP_REPLAY_KEY_BYTES; i++)
        effect.key[i] = key[i];
    dep_ctx_effect(c, effect);
}

struct dep_res dep_check_assertion_unused(struct dep_ctx *c)
{
    if (!c->is_assertion_single_use)
        return DEP_OK;
    if (is_used(c, c->assertion_key))
        return DEP_FAIL(CLIENT_ASSERTION_REPLAY);
    remember(c, c->assertion_key, c->assertion_until, c->assertion_is_durable);
    return DEP_OK;
}

struct dep_res dep_check_proof_unused(struct dep_ctx *c)
{
    if (!c->has_dpop)
        return DEP_OK;
    if (is_used(c, c->dpop.replay_key))
        return DEP_FAIL(DPOP_REPLAY);
    remember(c, c->dpop.replay_key, c->dpop.replay_until, false);
    return DEP_OK;
}

struct dep_res dep_check_grant_unused(struct dep_ctx *c)
{
    if (!c->has_grant_jti)
        return DEP_OK;
    if (is_used(c, c->grant_key))
        return DEP_FAIL(GRANT_REPLAY);
    remember(c, c->grant_key, c->grant_until, c->grant_is_durable);
    return DEP_OK;
}

struct dep_res dep_check_actor_unused(struct dep_ctx *c)
{
    if (!c->is_actor_jwt)
        return DEP_OK;
    if (is_used(c, c->actor_key))
        return DEP_FAIL(EXCHANGE_ACTOR_REPLAY);
    remember(c, c->actor_key, c->actor_until, c->actor_is_durable);
    return DEP_OK;
}

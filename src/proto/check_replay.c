/* What may be used once. Last of the checks of a grant: only a request that is good in every other way uses something up. At
 * introspection and revocation it comes before the token is looked at: one assertion asks one question (C11). The commit inserts
 * the key if it is absent; if it was there, the shell says so as a fact and decides again. */
#include "proto/ctx.h"

void dep_use_set(const struct dep_ctx *c, enum dep_replay_purpose purpose, struct dep_str owner, struct dep_str jti,
                 const struct dep_jwt_times *times, struct dep_use *ret_use)
{
    ret_use->is_single = true;
    /* One that does not say when it was made was made as early as its exp allows. */
    ret_use->made = times->iat >= 0 ? times->iat : times->exp - c->policy->assertion_lifetime_s - c->policy->skew_s;
    ret_use->until = times->exp + c->policy->skew_s;
    ret_use->is_durable = times->iat < 0 || times->iat > c->now;
    dep_replay_key(c->crypto, DEP_STR(""), purpose, owner, DEP_STR(""), jti, ret_use->key);
}

struct dep_res dep_use_up(struct dep_ctx *c, const struct dep_use *use, enum dep_err reason)
{
    struct dep_effect effect = {
        .kind = DEP_EFFECT_REMEMBER, .made = use->made, .expires = use->until, .is_durable = use->is_durable
    };
    const void *value;

    if (!use->is_single)
        return DEP_OK;
    if (dep_ctx_peek(c, DEP_FACT_REPLAY, dep_str((const char *)use->key, sizeof(use->key)), &value))
        return (struct dep_res){ reason };
    for (size_t i = 0; i < DEP_REPLAY_KEY_BYTES; i++)
        effect.key[i] = use->key[i];
    dep_ctx_effect(c, effect);
    return DEP_OK;
}

struct dep_res dep_check_assertion_unused(struct dep_ctx *c)
{
    return dep_use_up(c, &c->assertion_use, DEP_ERR_CLIENT_ASSERTION_REPLAY);
}

struct dep_res dep_check_proof_unused(struct dep_ctx *c)
{
    struct dep_use use = { .is_single = c->has_dpop, .made = c->dpop.iat, .until = c->dpop.replay_until };

    for (size_t i = 0; i < DEP_REPLAY_KEY_BYTES; i++)
        use.key[i] = c->dpop.replay_key[i];
    return dep_use_up(c, &use, DEP_ERR_DPOP_REPLAY);
}

struct dep_res dep_check_grant_unused(struct dep_ctx *c)
{
    return dep_use_up(c, &c->grant_use, DEP_ERR_GRANT_REPLAY);
}

struct dep_res dep_check_actor_unused(struct dep_ctx *c)
{
    return dep_use_up(c, &c->actor_use, DEP_ERR_EXCHANGE_ACTOR_REPLAY);
}

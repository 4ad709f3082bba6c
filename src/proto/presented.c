/* Access tokens of ours that come as parameters: subject_token, actor_token, token. */
#include "proto/ctx.h"

static struct dep_token_policy policy_of(const struct dep_ctx *c)
{
    return (struct dep_token_policy){
        .issuer = c->policy->issuer,
        .algs = DEP_ALGS_ALL,
        .skew_s = c->policy->skew_s,
    };
}

/* Takes the token apart and names the key. Both happen before anything is verified, so that everything can be looked up at once. */
void dep_presented_open(struct dep_ctx *c, struct dep_str text, struct dep_presented *presented)
{
    const struct dep_token_policy policy = policy_of(c);
    const void *key = NULL;

    presented->open_res = dep_token_open(c->arena, text, &policy, &presented->jws);
    presented->is_open = dep_is_ok(presented->open_res);
    if (!presented->is_open || dep_str_is_blank(presented->jws.kid))
        return;
    if (dep_ctx_fact(c, DEP_FACT_KEY, presented->jws.kid, &key))
        presented->key = key;
}

struct dep_res dep_presented_verify(struct dep_ctx *c, struct dep_presented *presented)
{
    const struct dep_token_policy policy = policy_of(c);

    if (!presented->is_open)
        return presented->open_res;
    if (presented->key == NULL)
        return DEP_FAIL(JWS_KID);
    return dep_token_check(c->arena, c->crypto, &presented->jws, presented->key->alg, presented->key->key, &policy,
                           c->now, &presented->token);
}

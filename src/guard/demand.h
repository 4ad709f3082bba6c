/* What a rule demands of a verified token, beyond its scopes. */
#ifndef DEP_GUARD_DEMAND_H
#define DEP_GUARD_DEMAND_H

#include "guard/rules.h"
#include "proto/token.h"

/* Who presents it and through how many hands: DEP_ERR_GUARD_DEPTH, DEP_ERR_GUARD_ACTOR, DEP_ERR_GUARD_ORG. */
DEP_MUST struct dep_res dep_guard_demand_actor(const struct dep_guard_rule *rule, const struct dep_token *token);
/* How and when the user logged in (rfc9470#5): DEP_ERR_TOKEN_LOGIN. */
DEP_MUST struct dep_res dep_guard_demand_login(const struct dep_guard_rule *rule, const struct dep_token *token,
                                               int64_t now, int64_t skew_s);
/* What the user agreed to in detail (rfc9396). `url` is the request's, normalised: DEP_ERR_GUARD_DETAILS. */
DEP_MUST struct dep_res dep_guard_demand_details(struct dep_arena *arena, const struct dep_guard_rule *rule,
                                                 const struct dep_token *token, struct dep_str url);

#endif

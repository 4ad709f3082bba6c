/* The demands of a rule. A claim that is not there never fits. */
#include "guard/demand.h"

#include "proto/details.h"
#include "proto/scope.h"

struct dep_res dep_guard_demand_actor(const struct dep_guard_rule *rule, const struct dep_token *token)
{
    if (rule->depth_max >= 0 && token->actors_count > (size_t)rule->depth_max)
        return DEP_FAIL(GUARD_DEPTH);
    /* Only the current actor counts; who acted before it is for the record (rfc8693#4.1). */
    if (rule->actors.count > 0 && !dep_guard_list_has(rule->actors, dep_token_presenter(token)))
        return DEP_FAIL(GUARD_ACTOR);
    if (rule->orgs.count > 0 && (dep_str_is_blank(token->org_id) || !dep_guard_list_has(rule->orgs, token->org_id)))
        return DEP_FAIL(GUARD_ORG);
    return DEP_OK;
}

struct dep_res dep_guard_demand_login(const struct dep_guard_rule *rule, const struct dep_token *token, int64_t now,
                                      int64_t skew_s)
{
    if (!dep_str_is_blank(rule->acr_values) &&
        (dep_str_is_blank(token->acr) || dep_str_has(token->acr, ' ') || !dep_scope_has(rule->acr_values, token->acr)))
        return DEP_FAIL(TOKEN_LOGIN);
    if (rule->max_age_s >= 0 &&
        (token->auth_time <= 0 || token->auth_time > now + skew_s || now - token->auth_time > rule->max_age_s))
        return DEP_FAIL(TOKEN_LOGIN);
    return DEP_OK;
}

struct dep_res dep_guard_demand_details(struct dep_arena *arena, const struct dep_guard_rule *rule,
                                        const struct dep_token *token, struct dep_str url)
{
    const struct dep_details_demand demand = { rule->details_type, rule->details_actions.items,
                                               rule->details_actions.count, rule->details_need_location, url };

    return dep_details_cover(arena, token->details, &demand) ? DEP_OK : DEP_FAIL(GUARD_DETAILS);
}

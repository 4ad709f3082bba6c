/* Rules are copied as texts where they come in, and become rows when a guard is made of them. */
#include "lib/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dep_lib_rules_free(struct dep_lib_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < DEP_LIB_RULE_TEXTS; k++)
            free(rules[i].texts[k]);
    free(rules);
}

/* False when out of memory; what was copied until then is the rule's. */
static bool copy_texts(struct dep_lib_rule *rule, const char *const texts[DEP_LIB_RULE_TEXTS])
{
    bool is_good = true;

    for (size_t k = 0; k < DEP_LIB_RULE_TEXTS; k++) {
        rule->texts[k] = texts[k] == NULL ? NULL : strdup(texts[k]);
        is_good &= (rule->texts[k] == NULL) == (texts[k] == NULL);
    }
    return is_good;
}

struct dep_lib_rule *dep_lib_rules_copy(const struct dep_lib_rule *rules, size_t count)
{
    struct dep_lib_rule *copy = count == 0 ? NULL : calloc(count, sizeof(*copy));
    bool is_good = true;

    for (size_t i = 0; copy != NULL && i < count; i++) {
        const char *texts[DEP_LIB_RULE_TEXTS];

        for (size_t k = 0; k < DEP_LIB_RULE_TEXTS; k++)
            texts[k] = rules[i].texts[k];
        copy[i] = rules[i];
        is_good &= copy_texts(&copy[i], texts);
    }
    if (is_good)
        return copy;
    dep_lib_rules_free(copy, count);
    return NULL;
}

enum deputy_result deputy_config_add_rule(struct deputy_config *config, const struct deputy_rule *rule)
{
    struct dep_lib_rule *rules;
    struct dep_lib_rule one;

    if (config == NULL || rule == NULL || rule->size < sizeof(*rule) || rule->name == NULL || rule->methods == NULL ||
        rule->path == NULL)
        return DEPUTY_ERR_ARGUMENT;
    config->fault[0] = '\0';
    if (config->rules_count == DEP_GUARD_RULES_MAX)
        return dep_config_fault(config, rule->name, "there are 256 rules already");

    const char *const texts[DEP_LIB_RULE_TEXTS] = { rule->name,   rule->methods, rule->path,      rule->scopes,
                                                    rule->actors, rule->orgs,    rule->acr_values };

    one = (struct dep_lib_rule){ .depth_max = rule->depth_max,
                                 .max_age_s = rule->max_age_s,
                                 .any_token = rule->any_token,
                                 .needs_dpop = rule->needs_dpop,
                                 .needs_bound = rule->needs_bound };
    rules = realloc(config->rules, (config->rules_count + 1) * sizeof(*rules));
    if (rules == NULL)
        return DEPUTY_ERR_MEMORY;
    config->rules = rules;
    if (!copy_texts(&one, texts)) {
        for (size_t k = 0; k < DEP_LIB_RULE_TEXTS; k++)
            free(one.texts[k]);
        return DEPUTY_ERR_MEMORY;
    }
    rules[config->rules_count++] = one;
    return DEPUTY_OK;
}

/* The words of a text; false when the arena is full. */
static bool split(struct dep_arena *arena, const char *text, struct dep_guard_list *ret_list)
{
    struct dep_str rest = dep_str_c(text), word;
    struct dep_str *items;
    size_t count = 0;

    *ret_list = (struct dep_guard_list){ NULL, 0 };
    if (text == NULL)
        return true;
    items = DEP_NEW_ARRAY(arena, DEP_GUARD_RULE_ITEMS_MAX + 1, struct dep_str);
    if (items == NULL)
        return false;
    /* One more than there may be: that it is too many is said where the rows are checked. */
    while (count <= DEP_GUARD_RULE_ITEMS_MAX && dep_str_cut(&rest, ' ', &word))
        items[count++] = word;
    *ret_list = (struct dep_guard_list){ items, count };
    return true;
}

static bool make_row(struct dep_arena *arena, const struct dep_lib_rule *rule, struct dep_guard_rule *row)
{
    *row = (struct dep_guard_rule){
        .name = dep_str_c(rule->texts[DEP_LIB_RULE_NAME]),
        .path = dep_str_c(rule->texts[DEP_LIB_RULE_PATH]),
        .any_token = rule->any_token,
        .scopes = dep_str_c(rule->texts[DEP_LIB_RULE_SCOPES]),
        .depth_max = rule->depth_max,
        .needs_dpop = rule->needs_dpop,
        .needs_bound = rule->needs_bound,
        .acr_values = dep_str_c(rule->texts[DEP_LIB_RULE_ACR]),
        .max_age_s = rule->max_age_s,
    };
    return split(arena, rule->texts[DEP_LIB_RULE_METHODS], &row->methods) &&
           split(arena, rule->texts[DEP_LIB_RULE_ACTORS], &row->actors) &&
           split(arena, rule->texts[DEP_LIB_RULE_ORGS], &row->orgs);
}

enum deputy_result dep_lib_rules_make(struct deputy_config *config, struct dep_arena *arena,
                                      struct dep_guard_rules *ret_rules)
{
    struct dep_guard_rules_fault fault = { .rule = config->rules_count };
    struct dep_res res;

    *ret_rules = (struct dep_guard_rules){ .count = config->rules_count };
    ret_rules->rows = DEP_NEW_ARRAY(arena, config->rules_count, struct dep_guard_rule);
    for (size_t i = 0; i < config->rules_count; i++)
        if (ret_rules->rows == NULL || !make_row(arena, &config->rules[i], &ret_rules->rows[i]))
            return DEPUTY_ERR_MEMORY;
    res = dep_guard_rules_make(arena, ret_rules, dep_config_text(config, DEP_SETTING_SCOPE), &fault);
    if (dep_is_ok(res))
        return DEPUTY_OK;
    if (res.err == DEP_ERR_ARENA_FULL)
        return DEPUTY_ERR_MEMORY;
    return dep_config_fault(
        config, fault.rule < config->rules_count ? config->rules[fault.rule].texts[DEP_LIB_RULE_NAME] : "rules",
        fault.text);
}

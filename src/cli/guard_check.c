/* deputy guard check: reads a file of rules as `deputy guard run` does, and says which rule decides a request and what it
 * needs. No network, no token: for tests of a policy before it is used. */
#include "cli/guard_check.h"

#include <string.h>

#include "cli/out.h"
#include "guard/rules_file.h"

const struct dep_flag dep_guard_check_flags[DEP_GUARD_CHECK_FLAGS] = {
    { "rules", DEP_FLAG_TEXT, "FILE", DEP_FLAG_REQUIRED, "the rules, see deputy-guard-rules(5)", 0 },
    { "scope", DEP_FLAG_TEXT, "\"SCOPE…\"", 0, "what every request needs, as for run", 0 },
    { "mcp-method", DEP_FLAG_TEXT, "METHOD", 0, "the request is this MCP message, such as tools/call", 0 },
    { "mcp-name", DEP_FLAG_TEXT, "NAME", 0, "for this tool, prompt or resource", 0 },
    { "expect", DEP_FLAG_TEXT, "RULE", 0, "exit 7 when another rule decides; 'none': when any does", 0 },
};

static json_t *text_json(struct dep_str text)
{
    return json_stringn(text.len > 0 ? text.ptr : "", text.len);
}

static json_t *list_json(struct dep_guard_list list)
{
    json_t *items = json_array();

    for (size_t i = 0; i < list.count; i++)
        json_array_append_new(items, text_json(list.items[i]));
    return items;
}

static void add_list(json_t *object, const char *name, struct dep_guard_list list)
{
    if (list.count > 0)
        json_object_set_new(object, name, list_json(list));
}

static void add_text(json_t *object, const char *name, struct dep_str text)
{
    if (!dep_str_is_blank(text))
        json_object_set_new(object, name, text_json(text));
}

static void add_number(json_t *object, const char *name, int64_t number)
{
    if (number >= 0)
        json_object_set_new(object, name, json_integer(number));
}

/* "read": also "admin", which implies it. */
static json_t *implied_json(const struct dep_guard_rule *rule)
{
    json_t *object = json_object();

    for (size_t i = 0; i < rule->needs_count; i++)
        if (rule->needs[i].also.count > 0)
            json_object_setn_new(object, rule->needs[i].scope.ptr, rule->needs[i].scope.len,
                                 list_json(rule->needs[i].also));
    return object;
}

static json_t *rule_json(const struct dep_guard_rule *rule)
{
    json_t *object = json_object(), *implied = implied_json(rule);

    json_object_set_new(object, "rule", text_json(rule->name));
    json_object_set_new(object, "methods", list_json(rule->methods));
    json_object_set_new(object, "path", text_json(rule->path));
    add_list(object, "mcp_methods", rule->mcp_methods);
    add_list(object, "mcp_names", rule->mcp_names);
    json_object_set_new(object, "scopes", text_json(rule->challenge));
    if (json_object_size(implied) > 0)
        json_object_set(object, "implied_by", implied);
    json_decref(implied);
    add_list(object, "actors", rule->actors);
    add_list(object, "orgs", rule->orgs);
    add_number(object, "depth_max", rule->depth_max);
    json_object_set_new(object, "needs_dpop", json_boolean(rule->needs_dpop));
    if (rule->needs_bound)
        json_object_set_new(object, "needs_bound", json_true());
    add_text(object, "acr_values", rule->acr_values);
    add_number(object, "max_age_s", rule->max_age_s);
    add_text(object, "details_type", rule->details_type);
    add_list(object, "details_actions", rule->details_actions);
    if (rule->details_need_location)
        json_object_set_new(object, "details_need_location", json_true());
    return object;
}

static int list_rules(struct dep_cli *cli, const struct dep_guard_rules *rules)
{
    static const struct dep_column_spec columns[] = {
        { "RULE", "rule" },     { "METHODS", "methods" }, { "PATH", "path" },
        { "MCP", "mcp_names" }, { "SCOPES", "scopes" },
    };
    json_t *items = json_array();

    for (size_t i = 0; i < rules->count; i++)
        json_array_append_new(items, rule_json(&rules->rows[i]));
    dep_out_list(cli, items, columns, DEP_CLI_COUNT(columns));
    json_decref(items);
    return DEP_EXIT_OK;
}

static json_t *refusal_json(struct dep_res res)
{
    return json_pack("{s:n,s:s,s:s}", "rule", "reason", dep_err_name(res.err), "text", dep_err_text(res.err));
}

static int check_expected(struct dep_cli *cli, const struct dep_guard_rule *rule)
{
    const char *expected = dep_cli_get(cli, "expect");
    struct dep_str name = rule == NULL ? DEP_STR("none") : rule->name;

    if (expected == NULL || dep_str_eq_c(name, expected))
        return DEP_EXIT_OK;
    return dep_cli_fail(cli, DEP_EXIT_FINDINGS, "unexpected_rule", "%s %s: '%.*s' decides, not '%s'", cli->args[0],
                        cli->args[1], DEP_STR_ARG(name), expected);
}

static int check_request(struct dep_cli *cli, const struct dep_guard_rules *rules)
{
    const struct dep_guard_mcp mcp = { dep_cli_has(cli, "mcp-method"), dep_str_c(dep_cli_get(cli, "mcp-method")),
                                       dep_str_c(dep_cli_get(cli, "mcp-name")) };
    const struct dep_guard_rule *rule = NULL;
    struct dep_res res = dep_guard_rules_find(rules, dep_str_c(cli->args[0]), dep_str_c(cli->args[1]), &mcp, &rule);
    json_t *object = dep_is_ok(res) ? rule_json(rule) : refusal_json(res);

    dep_out_object(cli, object);
    json_decref(object);
    return check_expected(cli, dep_is_ok(res) ? rule : NULL);
}

int dep_guard_check(struct dep_cli *cli)
{
    char message[DEP_RULES_MESSAGE_MAX];
    struct dep_rules_file *file = NULL;
    struct dep_res res;
    int code;

    if (cli->args_count == 1)
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "missing_argument", "a method and a path are needed: GET /orders/7");
    res = dep_rules_file_load(dep_cli_get(cli, "rules"), dep_str_c(dep_cli_get(cli, "scope")), &file, message);
    if (!dep_is_ok(res))
        return dep_cli_fail(cli, DEP_EXIT_USAGE, dep_err_name(res.err), "%s", message);
    code = cli->args_count == 0 ? list_rules(cli, dep_rules_file_rules(file))
                                : check_request(cli, dep_rules_file_rules(file));
    dep_rules_file_free(file);
    return code;
}

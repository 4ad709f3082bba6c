/* From what a configuration says to rules that can be looked up: every row checked, scopes with what implies them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guard/rules.h"
#include "proto/scope.h"
#include "proto/token.h"

struct making {
    struct dep_arena *arena;
    struct dep_guard_rules *rules;
    struct dep_str base;
    struct dep_guard_rules_fault *fault;
};

__attribute__((format(printf, 3, 4))) static struct dep_res wrong(struct making *making, size_t rule,
                                                                  const char *format, ...)
{
    va_list arguments;

    making->fault->rule = rule;
    va_start(arguments, format);
    (void)vsnprintf(making->fault->text, sizeof(making->fault->text), format, arguments);
    va_end(arguments);
    return DEP_FAIL(CONFIG_SYNTAX);
}

/* --- what a rule is about --- */

static bool is_rule_name(struct dep_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
              c == '.'))
            return false;
    }
    return name.len > 0 && name.len <= DEP_GUARD_RULE_NAME_MAX;
}

static struct dep_res make_name(struct making *making, size_t at)
{
    struct dep_str name = making->rules->rows[at].name;

    if (!is_rule_name(name))
        return wrong(making, at,
                     "name: 1 to 64 letters, digits, '-', '_' or '.' are needed; it stands in audit records");
    for (size_t i = 0; i < at; i++)
        if (dep_str_eq(making->rules->rows[i].name, name))
            return wrong(making, at, "name: another rule has it");
    return DEP_OK;
}

/* HEAD is GET without the body (rfc9110#9.3.2): who rules over one rules over the other. */
static struct dep_res make_methods(struct making *making, size_t at)
{
    struct dep_guard_rule *rule = &making->rules->rows[at];
    unsigned bits = 0;

    if (rule->methods.count == 0)
        return wrong(making, at, "methods: at least one is needed, or '*' for every one");
    for (size_t i = 0; i < rule->methods.count; i++) {
        unsigned bit = dep_guard_method_bit(rule->methods.items[i]);

        if (dep_str_eq_c(rule->methods.items[i], "*") && rule->methods.count == 1)
            bit = DEP_GUARD_METHOD_ANY;
        if (bit == 0)
            return wrong(making, at, "methods: '%.*s' is none that rules can name; '*' stands alone and for every one",
                         DEP_STR_ARG(dep_str_sub(rule->methods.items[i], 0, 40)));
        bits |= bit == dep_guard_method_bit(DEP_STR("GET")) ? bit | dep_guard_method_bit(DEP_STR("HEAD")) : bit;
    }
    rule->method_bits = bits;
    return DEP_OK;
}

/* "*" is a whole segment; "**" a whole segment and the last. */
static bool is_pattern(struct dep_str path)
{
    struct dep_str rest = dep_str_sub(path, 1, path.len), segment;

    if (!dep_guard_path_is_plain(path))
        return false;
    while (dep_str_cut(&rest, '/', &segment))
        if (dep_str_has(segment, '*') && !dep_str_eq_c(segment, "*") &&
            !(dep_str_eq_c(segment, "**") && dep_str_is_absent(rest)))
            return false;
    return true;
}

static struct dep_res make_path(struct making *making, size_t at)
{
    const struct dep_guard_rule *rule = &making->rules->rows[at];

    if (!is_pattern(rule->path))
        return wrong(making, at,
                     "path: a path from the root is needed, without '//', '..', ';' and needless '%%'; a segment '*' "
                     "stands for any one, '**' at the end for everything below");
    if (rule->path.len > 1 && dep_str_ends(rule->path, DEP_STR("/")))
        return wrong(making, at, "path: leave out the slash at the end; the rule is about both forms");
    return DEP_OK;
}

static void make_probe(const struct dep_guard_rule *rule, struct dep_guard_probe *probe)
{
    size_t end = dep_str_find(rule->path, '*');

    if (end < rule->path.len) /* what is below /files is ruled as /files itself */
        end--;
    *probe = (struct dep_guard_probe){ .end = (unsigned)end, .method_bits = rule->method_bits };
    /* The first bytes in memory are the ones of the path, on every machine. */
    memset(&probe->mask, 0xFF, end < sizeof(probe->mask) ? end : sizeof(probe->mask));
    probe->word = dep_guard_probe_word(dep_str_sub(rule->path, 0, end), end);
}

/* A '*' at the end of a name is a wildcard; anywhere else nobody would know. */
static bool is_mcp_item(struct dep_str item, bool may_end_open)
{
    size_t star = dep_str_find(item, '*');

    if (item.len == 0 || item.len > DEP_GUARD_MCP_NAME_MAX)
        return false;
    return star == item.len || (may_end_open ? star == item.len - 1 : item.len == 1);
}

static struct dep_res make_mcp(struct making *making, size_t at)
{
    struct dep_guard_rule *rule = &making->rules->rows[at];

    if (rule->mcp_methods.count == 0 && rule->mcp_names.count == 0)
        return DEP_OK;
    if (rule->mcp_methods.count == 0)
        return wrong(making, at, "mcp_names: mcp_methods is needed too, such as [tools/call]");
    if (rule->methods.count != 1 || !dep_str_eq_c(rule->methods.items[0], "POST"))
        return wrong(making, at, "mcp_methods: MCP messages come by POST; methods must be [POST]");
    for (size_t i = 0; i < rule->mcp_methods.count; i++) {
        struct dep_str method = rule->mcp_methods.items[i];

        if (!is_mcp_item(method, false) || (rule->mcp_methods.count > 1 && dep_str_eq_c(method, "*")))
            return wrong(making, at, "mcp_methods: whole method names, or '*' alone");
        if (rule->mcp_names.count > 0 && !dep_guard_mcp_has_name(method))
            return wrong(making, at, "mcp_names: only tools/call, prompts/get and resources/read name something");
    }
    for (size_t i = 0; i < rule->mcp_names.count; i++)
        if (!is_mcp_item(rule->mcp_names.items[i], true))
            return wrong(making, at, "mcp_names: a name, or the start of one with '*' at its end");
    making->rules->has_mcp = true;
    return DEP_OK;
}

/* An earlier rule that takes every request of this one. */
static struct dep_res make_reachable(struct making *making, size_t at)
{
    const struct dep_guard_rule *rule = &making->rules->rows[at];

    for (size_t i = 0; i < at; i++) {
        const struct dep_guard_rule *earlier = &making->rules->rows[i];

        if (earlier->mcp_methods.count > 0 || (rule->method_bits & ~earlier->method_bits) != 0 ||
            (dep_str_ends(rule->path, DEP_STR("**")) && !dep_str_ends(earlier->path, DEP_STR("**"))) ||
            dep_guard_path_fits(earlier->path, rule->path) != DEP_GUARD_FITS)
            continue;
        return wrong(making, at, "it can never decide: rule '%.*s' before it takes all its requests",
                     DEP_STR_ARG(earlier->name));
    }
    return DEP_OK;
}

/* --- what it needs --- */

static struct dep_res check_list(struct making *making, size_t at, const char *key, struct dep_guard_list texts)
{
    for (size_t i = 0; i < texts.count; i++)
        if (dep_str_is_blank(texts.items[i]))
            return wrong(making, at, "%s: an item is empty", key);
    return texts.count <= DEP_GUARD_RULE_ITEMS_MAX ? DEP_OK : wrong(making, at, "%s: too many items", key);
}

static bool asks_for_something(const struct dep_guard_rule *rule)
{
    return !dep_str_is_blank(rule->scopes) || rule->actors.count > 0 || rule->orgs.count > 0 || rule->depth_max >= 0 ||
           rule->needs_dpop || rule->needs_bound || !dep_str_is_blank(rule->acr_values) || rule->max_age_s >= 0 ||
           !dep_str_is_blank(rule->details_type);
}

static struct dep_res check_demands(struct making *making, size_t at)
{
    const struct dep_guard_rule *rule = &making->rules->rows[at];

    DEP_TRY(check_list(making, at, "methods", rule->methods));
    DEP_TRY(check_list(making, at, "mcp_methods", rule->mcp_methods));
    DEP_TRY(check_list(making, at, "mcp_names", rule->mcp_names));
    DEP_TRY(check_list(making, at, "actors", rule->actors));
    DEP_TRY(check_list(making, at, "orgs", rule->orgs));
    DEP_TRY(check_list(making, at, "details_actions", rule->details_actions));
    for (size_t i = 0; i < rule->actors.count; i++)
        if (!dep_str_has(rule->actors.items[i], ':'))
            return wrong(making, at, "actors: whole principals are needed, such as agent:01J…, client:… or user:…");
    if (rule->depth_max > (int64_t)DEP_ACT_DEPTH_MAX)
        return wrong(making, at, "depth_max: 0 to %u", DEP_ACT_DEPTH_MAX);
    if (!dep_str_is_blank(rule->acr_values) && !dep_is_ok(dep_scope_check(rule->acr_values)))
        return wrong(making, at, "acr_values: words with one blank between, none of them twice");
    if (dep_str_is_blank(rule->details_type) && (rule->details_actions.count > 0 || rule->details_need_location))
        return wrong(making, at, "details_actions and details_need_location: details_type is needed too");
    if (rule->any_token && asks_for_something(rule))
        return wrong(making, at, "any_token: it stands alone; this rule asks for more");
    if (!rule->any_token && !asks_for_something(rule))
        return wrong(making, at, "it asks for nothing: say scopes or another demand, or any_token: true");
    return DEP_OK;
}

/* Every scope from which `scope` follows, through any number of steps. */
static struct dep_res find_implying(struct making *making, struct dep_str scope, struct dep_guard_list *ret_also)
{
    const struct dep_guard_rules *rules = making->rules;
    struct dep_str *found = DEP_NEW_ARRAY(making->arena, rules->implications_count + 1, struct dep_str);
    size_t count = 1;

    if (found == NULL)
        return DEP_FAIL(ARENA_FULL);
    found[0] = scope;
    for (size_t at = 0; at < count; at++)
        for (size_t i = 0; i < rules->implications_count; i++) {
            const struct dep_guard_implication *one = &rules->implications[i];

            if (dep_str_eq(one->implies, found[at]) &&
                !dep_guard_list_has((struct dep_guard_list){ found, count }, one->scope))
                found[count++] = one->scope;
        }
    *ret_also = (struct dep_guard_list){ found + 1, count - 1 };
    return DEP_OK;
}

static struct dep_res add_needs(struct making *making, struct dep_guard_rule *rule, struct dep_str scopes,
                                struct dep_buf *challenge)
{
    struct dep_str rest = scopes, word;

    while (dep_str_cut(&rest, ' ', &word)) {
        struct dep_guard_need *need = &rule->needs[rule->needs_count];

        if (dep_scope_has(dep_buf_str(challenge), word))
            continue;
        need->scope = word;
        DEP_TRY(find_implying(making, word, &need->also));
        dep_scope_put(challenge, word);
        rule->needs_count++;
    }
    return DEP_OK;
}

/* offline_access is between client and authorization server (MCP authorization 2026-07-28). */
static struct dep_res make_scopes(struct making *making, size_t at)
{
    struct dep_guard_rule *rule = &making->rules->rows[at];
    struct dep_buf challenge;

    if (!dep_str_is_absent(rule->scopes) && !dep_is_ok(dep_scope_check(rule->scopes)))
        return wrong(making, at, "scopes: words with one blank between, none of them twice");
    if (dep_scope_has(rule->scopes, DEP_STR("offline_access")))
        return wrong(making, at, "scopes: offline_access says nothing to a resource; leave it out");
    rule->needs_count = 0;
    rule->challenge = DEP_STR_ABSENT;
    if (dep_str_is_blank(rule->scopes) && dep_str_is_blank(making->base))
        return DEP_OK;
    /* A word needs a character and a blank. */
    rule->needs = DEP_NEW_ARRAY(making->arena, (rule->scopes.len + making->base.len) / 2 + 2, struct dep_guard_need);
    dep_buf_init_arena(&challenge, making->arena, rule->scopes.len + making->base.len + 2);
    if (rule->needs == NULL || challenge.has_failed)
        return DEP_FAIL(ARENA_FULL);
    DEP_TRY(add_needs(making, rule, making->base, &challenge));
    DEP_TRY(add_needs(making, rule, rule->scopes, &challenge));
    rule->challenge = dep_buf_str(&challenge);
    return DEP_OK;
}

/* --- what is for all of them --- */

static struct dep_res check_implications(struct making *making)
{
    const struct dep_guard_rules *rules = making->rules;
    struct dep_guard_list also;

    for (size_t i = 0; i < rules->implications_count; i++) {
        const struct dep_guard_implication *one = &rules->implications[i];

        if (!dep_is_ok(dep_scope_check(one->scope)) || dep_str_has(one->scope, ' ') ||
            !dep_is_ok(dep_scope_check(one->implies)) || dep_str_has(one->implies, ' '))
            return wrong(making, rules->count, "hierarchy: one scope implies another: two words are needed");
        DEP_TRY(find_implying(making, one->scope, &also));
        if (dep_str_eq(one->scope, one->implies) || dep_guard_list_has(also, one->implies))
            return wrong(making, rules->count, "hierarchy: '%.*s' implies itself in a circle", DEP_STR_ARG(one->scope));
    }
    return DEP_OK;
}

static struct dep_res check_origins(struct making *making)
{
    struct dep_guard_list origins = making->rules->origins;

    for (size_t i = 0; i < origins.count; i++) {
        struct dep_str origin = origins.items[i];

        if ((!dep_str_starts(origin, DEP_STR("https://")) && !dep_str_starts(origin, DEP_STR("http://"))) ||
            dep_str_ends(origin, DEP_STR("/")) || dep_str_has(origin, '*'))
            return wrong(making, making->rules->count,
                         "origins: scheme and host as browsers send them are needed, as in https://app.example");
    }
    return DEP_OK;
}

struct dep_res dep_guard_rules_make(struct dep_arena *arena, struct dep_guard_rules *rules, struct dep_str base,
                                    struct dep_guard_rules_fault *ret_fault)
{
    struct making making = { arena, rules, base, ret_fault };
    struct dep_guard_probe *probes;

    *ret_fault = (struct dep_guard_rules_fault){ .rule = rules->count };
    rules->has_mcp = false;
    if (rules->count == 0 || rules->count > DEP_GUARD_RULES_MAX)
        return wrong(&making, rules->count, "rules: 1 to %u are needed; without one nothing could pass",
                     DEP_GUARD_RULES_MAX);
    if (rules->implications_count > DEP_GUARD_RULES_MAX)
        return wrong(&making, rules->count, "hierarchy: too many lines");
    probes = DEP_NEW_ARRAY(arena, rules->count, struct dep_guard_probe);
    if (probes == NULL)
        return DEP_FAIL(ARENA_FULL);
    rules->probes = probes;
    DEP_TRY(check_implications(&making));
    DEP_TRY(check_origins(&making));
    for (size_t i = 0; i < rules->count; i++) {
        DEP_TRY(make_name(&making, i));
        DEP_TRY(check_demands(&making, i));
        DEP_TRY(make_methods(&making, i));
        DEP_TRY(make_path(&making, i));
        DEP_TRY(make_mcp(&making, i));
        DEP_TRY(make_scopes(&making, i));
        DEP_TRY(make_reachable(&making, i));
        make_probe(&rules->rows[i], &probes[i]);
    }
    return DEP_OK;
}

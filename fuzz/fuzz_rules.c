/* The look-up of rules: the first line is the method, the rest the path. However a path is written, it never gets to
 * another rule than its plain form. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "guard/rules.h"

#define S(text) DEP_STR_INIT(text)

static const struct dep_str get[] = { S("GET") }, post[] = { S("POST"), S("DELETE") }, any[] = { S("*") };

static const struct dep_guard_rule *find(const struct dep_guard_rules *rules, struct dep_str method,
                                         struct dep_str path)
{
    const struct dep_guard_rule *rule = NULL;
    struct dep_res res = dep_guard_rules_find(rules, method, path, NULL, &rule);

    DEP_FUZZ_CHECK(dep_is_ok(res) == (rule != NULL));
    DEP_FUZZ_CHECK(rule == NULL || dep_guard_path_is_plain(path));
    return rule;
}

/* Letter case and a slash at the end lead to the same rule or to none. */
static void check_forms(struct dep_arena *arena, const struct dep_guard_rules *rules, struct dep_str method,
                        struct dep_str path)
{
    const struct dep_guard_rule *rule = find(rules, method, path), *other;
    char *text = dep_arena_alloc(arena, path.len + 1);

    DEP_FUZZ_CHECK(text != NULL);
    for (size_t i = 0; i < path.len; i++)
        text[i] = path.ptr[i] >= 'a' && path.ptr[i] <= 'z' ? (char)(path.ptr[i] - 'a' + 'A') : path.ptr[i];
    other = find(rules, method, dep_str(text, path.len));
    DEP_FUZZ_CHECK(rule == NULL || other == NULL || other == rule);
    if (rule == NULL || dep_str_ends(path, DEP_STR("/")))
        return;
    memcpy(text, path.ptr, path.len);
    text[path.len] = '/';
    DEP_FUZZ_CHECK(find(rules, method, dep_str(text, path.len + 1)) == rule);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_guard_rule rows[] = {
        { .name = S("admin"), .methods = { any, 1 }, .path = S("/admin/**"), .depth_max = -1, .max_age_s = -1 },
        { .name = S("order"), .methods = { get, 1 }, .path = S("/orders/*"), .depth_max = -1, .max_age_s = -1 },
        { .name = S("lines"), .methods = { post, 2 }, .path = S("/orders/*/lines"), .depth_max = -1, .max_age_s = -1 },
        { .name = S("root"), .methods = { any, 1 }, .path = S("/"), .depth_max = -1, .max_age_s = -1 },
        { .name = S("rest"), .methods = { any, 1 }, .path = S("/**"), .depth_max = -1, .max_age_s = -1 },
    };
    struct dep_guard_rules rules = { .rows = rows, .count = sizeof(rows) / sizeof(rows[0]) };
    struct dep_str rest = dep_fuzz_text(data, size), method;
    struct dep_guard_rules_fault fault;
    struct dep_arena arena;

    if (size > 4096 || !dep_str_cut(&rest, '\n', &method))
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    for (size_t i = 0; i < rules.count; i++)
        rows[i].any_token = true;
    DEP_FUZZ_CHECK(dep_is_ok(dep_guard_rules_make(&arena, &rules, DEP_STR_ABSENT, &fault)));
    check_forms(&arena, &rules, method, dep_str_is_absent(rest) ? DEP_STR("") : rest);
    dep_arena_reset(&arena);
}

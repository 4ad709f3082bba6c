/* Rules: what a configuration may say, and which rule decides which request. */
#include "guard/rules.h"
#include "test/unit.h"

static struct dep_arena arena;

#define TEXTS(...)                                                          \
    ({                                                                      \
        static const struct dep_str items[] = { __VA_ARGS__ };              \
        (struct dep_guard_list){ items, sizeof(items) / sizeof(items[0]) }; \
    })
#define S(text) DEP_STR_INIT(text)

/* The least a rule can say. */
static struct dep_guard_rule plain(const char *name, struct dep_guard_list methods, const char *path)
{
    return (struct dep_guard_rule){ .name = dep_str_c(name),
                                    .methods = methods,
                                    .path = dep_str_c(path),
                                    .scopes = DEP_STR("read"),
                                    .depth_max = -1,
                                    .max_age_s = -1 };
}

static bool is_made(struct dep_guard_rules *rules, struct dep_guard_rules_fault *fault)
{
    return dep_is_ok(dep_guard_rules_make(&arena, rules, DEP_STR_ABSENT, fault));
}

/* --- what is refused, one change each --- */

static void nothing(struct dep_guard_rule *rule)
{
    (void)rule;
}
static void no_name(struct dep_guard_rule *rule)
{
    rule->name = DEP_STR("");
}
static void odd_name(struct dep_guard_rule *rule)
{
    rule->name = DEP_STR("a\"b");
}
static void no_methods(struct dep_guard_rule *rule)
{
    rule->methods.count = 0;
}
static void lower_method(struct dep_guard_rule *rule)
{
    rule->methods = TEXTS(S("get"));
}
static void star_and_more(struct dep_guard_rule *rule)
{
    rule->methods = TEXTS(S("*"), S("GET"));
}
static void no_path(struct dep_guard_rule *rule)
{
    rule->path = DEP_STR_ABSENT;
}
static void relative(struct dep_guard_rule *rule)
{
    rule->path = DEP_STR("orders");
}
static void dots(struct dep_guard_rule *rule)
{
    rule->path = DEP_STR("/a/../b");
}
static void query(struct dep_guard_rule *rule)
{
    rule->path = DEP_STR("/a?x=1");
}
static void slash_at_end(struct dep_guard_rule *rule)
{
    rule->path = DEP_STR("/a/");
}
static void half_star(struct dep_guard_rule *rule)
{
    rule->path = DEP_STR("/a*");
}
static void rest_inside(struct dep_guard_rule *rule)
{
    rule->path = DEP_STR("/**/a");
}
static void blank_scopes(struct dep_guard_rule *rule)
{
    rule->scopes = DEP_STR_ABSENT;
}
static void any_token(struct dep_guard_rule *rule)
{
    rule->scopes = DEP_STR_ABSENT;
    rule->any_token = true;
}
static void any_token_and_scope(struct dep_guard_rule *rule)
{
    rule->any_token = true;
}
static void bad_scopes(struct dep_guard_rule *rule)
{
    rule->scopes = DEP_STR("read  write");
}
static void offline(struct dep_guard_rule *rule)
{
    rule->scopes = DEP_STR("read offline_access");
}
static void blank_actor(struct dep_guard_rule *rule)
{
    rule->actors = TEXTS(S("agent:A"), S(""));
}
static void bare_actor(struct dep_guard_rule *rule)
{
    rule->actors = TEXTS(S("A"));
}
static void blank_org(struct dep_guard_rule *rule)
{
    rule->orgs = TEXTS(S(""));
}
static void deep(struct dep_guard_rule *rule)
{
    rule->depth_max = 9;
}
static void actions_alone(struct dep_guard_rule *rule)
{
    rule->details_actions = TEXTS(S("read"));
}
static void names_alone(struct dep_guard_rule *rule)
{
    rule->mcp_names = TEXTS(S("search"));
}
static void mcp_by_get(struct dep_guard_rule *rule)
{
    rule->mcp_methods = TEXTS(S("tools/call"));
}
static void mcp(struct dep_guard_rule *rule)
{
    rule->methods = TEXTS(S("POST"));
    rule->mcp_methods = TEXTS(S("tools/call"));
    rule->mcp_names = TEXTS(S("read_*"));
}
static void name_of_a_list(struct dep_guard_rule *rule)
{
    mcp(rule);
    rule->mcp_methods = TEXTS(S("tools/list"));
}
static void star_inside(struct dep_guard_rule *rule)
{
    mcp(rule);
    rule->mcp_names = TEXTS(S("re*d"));
}
static void open_method(struct dep_guard_rule *rule)
{
    mcp(rule);
    rule->mcp_names.count = 0;
    rule->mcp_methods = TEXTS(S("tools/*"));
}

DEP_TEST(O09_what_a_rule_may_say)
{
    static const struct {
        void (*change)(struct dep_guard_rule *rule);
        const char *fault; /* what the message starts with; NULL: good */
    } cases[] = {
        { nothing, NULL },
        { any_token, NULL },
        { mcp, NULL },
        { no_name, "name:" },
        { odd_name, "name:" },
        { no_methods, "methods:" },
        { lower_method, "methods: 'get'" },
        { star_and_more, "methods:" },
        { no_path, "path:" },
        { relative, "path:" },
        { dots, "path:" },
        { query, "path:" },
        { slash_at_end, "path:" },
        { half_star, "path:" },
        { rest_inside, "path:" },
        { blank_scopes, "it asks for nothing" },
        { any_token_and_scope, "any_token:" },
        { bad_scopes, "scopes:" },
        { offline, "scopes: offline_access" },
        { blank_actor, "actors:" },
        { bare_actor, "actors:" },
        { blank_org, "orgs:" },
        { deep, "depth_max:" },
        { actions_alone, "details_actions" },
        { names_alone, "mcp_names:" },
        { mcp_by_get, "mcp_methods:" },
        { name_of_a_list, "mcp_names:" },
        { star_inside, "mcp_names:" },
        { open_method, "mcp_methods:" },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_guard_rule rule = plain("one", TEXTS(S("GET")), "/a");
        struct dep_guard_rules rules = { .rows = &rule, .count = 1 };
        struct dep_guard_rules_fault fault;

        cases[i].change(&rule);
        if (cases[i].fault == NULL) {
            DEP_CHECK(t, is_made(&rules, &fault));
            continue;
        }
        DEP_CHECK(t, !is_made(&rules, &fault) && fault.rule == 0);
        dep_test_check(t, dep_str_starts(dep_str_c(fault.text), dep_str_c(cases[i].fault)), __FILE__, __LINE__,
                       "%zu: %s", i, fault.text);
    }
}

DEP_TEST(O09_what_all_rules_may_say)
{
    struct dep_guard_rule rows[] = { plain("a", TEXTS(S("GET")), "/a"), plain("b", TEXTS(S("GET")), "/b") };
    const struct dep_guard_implication circle[] = { { S("x"), S("y") }, { S("y"), S("x") } };
    const struct dep_guard_implication words[] = { { S("x y"), S("z") } };
    struct dep_guard_rules rules = { .rows = rows, .count = 2 };
    struct dep_guard_rules_fault fault;

    DEP_CHECK(t, is_made(&rules, &fault));
    rules.count = 0;
    DEP_CHECK(t, !is_made(&rules, &fault));
    rules = (struct dep_guard_rules){ .rows = rows, .count = 2, .implications = circle, .implications_count = 2 };
    DEP_CHECK(t, !is_made(&rules, &fault) && fault.rule == 2);
    rules.implications_count = 1;
    DEP_CHECK(t, is_made(&rules, &fault));
    rules.implications = words;
    DEP_CHECK(t, !is_made(&rules, &fault));
    rules = (struct dep_guard_rules){ .rows = rows, .count = 2, .origins = TEXTS(S("https://app.example")) };
    DEP_CHECK(t, is_made(&rules, &fault));
    rules.origins = TEXTS(S("*"));
    DEP_CHECK(t, !is_made(&rules, &fault));
    rules.origins.count = 0;
    rows[1].name = DEP_STR("a");
    DEP_CHECK(t, !is_made(&rules, &fault) && fault.rule == 1);
}

DEP_TEST(rules_that_can_never_decide)
{
    static const struct dep_str star[] = { S("*") }, get[] = { S("GET") }, head[] = { S("HEAD") },
                                post[] = { S("POST") };
    static const struct {
        struct dep_guard_list first, second;
        const char *first_path, *second_path;
        bool is_good;
    } cases[] = {
        { { star, 1 }, { get, 1 }, "/**", "/a", false }, { { get, 1 }, { head, 1 }, "/a", "/a", false },
        { { get, 1 }, { get, 1 }, "/*", "/a", false },   { { get, 1 }, { get, 1 }, "/a/**", "/a", false },
        { { get, 1 }, { post, 1 }, "/a", "/a", true },   { { get, 1 }, { star, 1 }, "/a", "/a", true },
        { { get, 1 }, { get, 1 }, "/a", "/*", true },    { { get, 1 }, { get, 1 }, "/a/*", "/a/**", true },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_guard_rule rows[] = { plain("first", cases[i].first, cases[i].first_path),
                                         plain("second", cases[i].second, cases[i].second_path) };
        struct dep_guard_rules rules = { .rows = rows, .count = 2 };
        struct dep_guard_rules_fault fault;

        dep_test_check(t, is_made(&rules, &fault) == cases[i].is_good, __FILE__, __LINE__, "%zu: %s", i, fault.text);
    }
}

/* --- which rule decides --- */

static struct dep_guard_rule table[7];

static struct dep_guard_rules open_table(void)
{
    struct dep_guard_rules rules = { .rows = table, .count = DEP_COUNT(table) };
    struct dep_guard_rules_fault fault;

    table[0] = plain("call-delete", TEXTS(S("POST")), "/mcp");
    table[0].mcp_methods = TEXTS(S("tools/call"));
    table[0].mcp_names = TEXTS(S("delete"), S("drop_*"));
    table[1] = plain("mcp", TEXTS(S("POST")), "/mcp");
    table[1].mcp_methods = TEXTS(S("*"));
    table[2] = plain("one-order", TEXTS(S("GET"), S("DELETE")), "/orders/*");
    table[3] = plain("lines", TEXTS(S("GET")), "/orders/*/lines");
    table[4] = plain("admin", TEXTS(S("*")), "/admin/**");
    table[5] = plain("root", TEXTS(S("GET")), "/");
    table[6] = plain("rest", TEXTS(S("GET"), S("POST")), "/public/**");
    DEP_ASSERT(dep_is_ok(dep_guard_rules_make(&arena, &rules, DEP_STR_ABSENT, &fault)));
    return rules;
}

DEP_TEST(K19_O21_the_rule_that_decides)
{
    static const struct {
        const char *method, *path, *rule; /* the reason when it starts with "GUARD_" */
    } cases[] = {
        { "GET", "/", "root" },
        { "HEAD", "/", "root" }, /* GET without the body */
        { "POST", "/", "GUARD_NO_RULE" },
        { "GET", "/orders/7", "one-order" },
        { "GET", "/orders/7/", "one-order" },
        { "GET", "/orders/%C3%A9", "one-order" },
        { "PUT", "/orders/7", "GUARD_NO_RULE" },
        { "GET", "/orders", "GUARD_NO_RULE" },
        { "GET", "/orders/", "GUARD_NO_RULE" },
        { "GET", "/orders/7/lines", "lines" },
        { "DELETE", "/orders/7/lines", "GUARD_NO_RULE" },
        { "GET", "/orders/7/lines/1", "GUARD_NO_RULE" },
        { "GET", "/admin", "admin" },
        { "BREW", "/admin/x/y", "admin" }, /* "*" is every method */
        { "BREW", "/", "GUARD_NO_RULE" },
        { "GET", "/administrator", "GUARD_NO_RULE" },
        { "GET", "/public/a/b", "rest" },
        /* ways to write a path that a server may read as another one */
        { "GET", "/Admin", "GUARD_PATH" },
        { "GET", "/ADMIN/x", "GUARD_PATH" },
        { "GET", "//admin", "GUARD_PATH" },
        { "GET", "/./admin", "GUARD_PATH" },
        { "GET", "/public/../admin", "GUARD_PATH" },
        { "GET", "/public/..", "GUARD_PATH" },
        { "GET", "/admin.", "GUARD_PATH" },
        { "GET", "/public/..;/admin", "GUARD_PATH" },
        { "GET", "/public;a=b", "GUARD_PATH" },
        { "GET", "/%61dmin", "GUARD_PATH" },
        { "GET", "/public/%2e%2e/admin", "GUARD_PATH" },
        { "GET", "/public/%2E%2E/admin", "GUARD_PATH" },
        { "GET", "/public%2Fadmin", "GUARD_PATH" },
        { "GET", "/public/%5C..", "GUARD_PATH" },
        { "GET", "/public/\\..\\admin", "GUARD_PATH" },
        { "GET", "/public/%2561", "GUARD_PATH" },
        { "GET", "/public/%00", "GUARD_PATH" },
        { "GET", "/public/%20", "GUARD_PATH" },
        { "GET", "/public/%c3%a9", "GUARD_PATH" },
        { "GET", "/public/%zz", "GUARD_PATH" },
        { "GET", "/public/%", "GUARD_PATH" },
        { "GET", "/public/\xC3\xA9", "GUARD_PATH" },
        { "GET", "/public/{x}", "GUARD_PATH" },
        { "GET", "", "GUARD_PATH" },
        { "GET", "public", "GUARD_PATH" },
        { "get", "/", "GUARD_PATH" },
        { "Post", "/public", "GUARD_PATH" },
    };
    struct dep_guard_rules rules = open_table();

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        const struct dep_guard_rule *rule = NULL;
        struct dep_res res =
            dep_guard_rules_find(&rules, dep_str_c(cases[i].method), dep_str_c(cases[i].path), NULL, &rule);
        const char *got = dep_is_ok(res) ? rule->name.ptr : dep_err_name(res.err);

        dep_test_check(t, strcmp(got, cases[i].rule) == 0, __FILE__, __LINE__, "%s %s: %s, not %s", cases[i].method,
                       cases[i].path, got, cases[i].rule);
    }
}

DEP_TEST(O07_rules_about_messages)
{
    static const struct {
        struct dep_guard_mcp mcp;
        const char *rule;
    } cases[] = {
        { { true, S("tools/call"), S("delete") }, "call-delete" },
        { { true, S("tools/call"), S("drop_table") }, "call-delete" },
        { { true, S("tools/call"), S("drop_") }, "call-delete" },
        { { true, S("tools/call"), S("search") }, "mcp" },
        { { true, S("tools/call"), S("search, delete") }, "mcp" }, /* one name, and no server has a tool called so */
        { { true, S("prompts/get"), S("delete") }, "mcp" },
        { { true, S("initialize"), { NULL, 0 } }, "mcp" },
        { { true, { NULL, 0 }, { NULL, 0 } }, "mcp" }, /* an answer */
        { { false, { NULL, 0 }, { NULL, 0 } }, "GUARD_TOOL_UNKNOWN" },
    };
    struct dep_guard_rules rules = open_table();
    const struct dep_guard_rule *rule = NULL;

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_res res = dep_guard_rules_find(&rules, DEP_STR("POST"), DEP_STR("/mcp"), &cases[i].mcp, &rule);
        const char *got = dep_is_ok(res) ? rule->name.ptr : dep_err_name(res.err);

        dep_test_check(t, strcmp(got, cases[i].rule) == 0, __FILE__, __LINE__, "%zu: %s, not %s", i, got,
                       cases[i].rule);
    }
    DEP_CHECK(t, rules.has_mcp);
    DEP_CHECK_FAIL(t, dep_guard_rules_find(&rules, DEP_STR("POST"), DEP_STR("/mcp"), NULL, &rule), GUARD_TOOL_UNKNOWN);
}

DEP_TEST(O03_scopes_and_what_implies_them)
{
    const struct dep_guard_implication hierarchy[] = { { S("admin"), S("write") },
                                                       { S("write"), S("read") },
                                                       { S("root"), S("admin") } };
    static const struct {
        const char *scope;
        bool is_enough;
    } cases[] = {
        { "base read pay", true },
        { "pay read base", true },
        { "base write pay", true },
        { "base admin pay", true },
        { "base root pay", true },
        { "base read", false },
        { "base pay", false },
        { "read pay", false },
        { "base readx pay", false },
        { "base pay implied", false },
        { "", false },
    };
    struct dep_guard_rule rule = plain("one", TEXTS(S("GET")), "/a");
    struct dep_guard_rules rules = { .rows = &rule, .count = 1, .implications = hierarchy, .implications_count = 3 };
    struct dep_guard_rules_fault fault;

    rule.scopes = DEP_STR("read pay base");
    DEP_CHECK_OK(t, dep_guard_rules_make(&arena, &rules, DEP_STR("base"), &fault));
    DEP_CHECK_STR(t, rule.challenge, "base read pay"); /* all at once, each once */
    for (size_t i = 0; i < DEP_COUNT(cases); i++)
        dep_test_check(t, dep_guard_rule_has_scopes(&rule, dep_str_c(cases[i].scope)) == cases[i].is_enough, __FILE__,
                       __LINE__, "%s", cases[i].scope);
    DEP_CHECK(t, !dep_guard_rule_has_scopes(&rule, DEP_STR_ABSENT));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(O09_what_a_rule_may_say),     DEP_ROW(O09_what_all_rules_may_say),
        DEP_ROW(rules_that_can_never_decide), DEP_ROW(K19_O21_the_rule_that_decides),
        DEP_ROW(O07_rules_about_messages),    DEP_ROW(O03_scopes_and_what_implies_them),
    };
    int failed;

    dep_arena_init_debug(&arena, 16u << 20);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_arena_reset(&arena);
    return failed;
}

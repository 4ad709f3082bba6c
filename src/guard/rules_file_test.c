/* The file of rules: what is read, and what is refused with which words. */
#include "guard/rules_file.h"
#include "test/unit.h"

#define ONE "rules:\n  - name: one\n    methods: [GET]\n    path: /a\n"

static struct dep_rules_file *read_text(const char *text, char message[DEP_RULES_MESSAGE_MAX])
{
    struct dep_rules_file *file = NULL;

    return dep_is_ok(dep_rules_file_read("r.yaml", dep_str_c(text), DEP_STR("base"), &file, message)) ? file : NULL;
}

DEP_TEST(reads_every_key)
{
    static const char text[] = "mcp_headers: compared\n"
                               "origins: [https://app.example]\n"
                               "hierarchy:\n"
                               "  - scope: admin\n"
                               "    implies: write\n"
                               "rules:\n"
                               "  - name: pay\n"
                               "    methods: [POST]\n"
                               "    path: /pay/*\n"
                               "    scopes: write pay\n"
                               "    actors: [agent:A, user:u]\n"
                               "    orgs: [acme]\n"
                               "    depth_max: 0\n"
                               "    needs_dpop: true\n"
                               "    acr_values: mfa phr\n"
                               "    max_age_s: 60\n"
                               "    details_type: payment\n"
                               "    details_actions: [initiate]\n"
                               "    details_need_location: true\n"
                               "  - name: tools\n"
                               "    methods: [POST]\n"
                               "    path: /mcp\n"
                               "    mcp_methods: [tools/call]\n"
                               "    mcp_names: [search, read_*]\n"
                               "    needs_bound: true\n";
    char message[DEP_RULES_MESSAGE_MAX];
    struct dep_rules_file *file = read_text(text, message);

    dep_test_check(t, file != NULL, __FILE__, __LINE__, "%s", message);
    if (file == NULL)
        return;

    const struct dep_guard_rules *rules = dep_rules_file_rules(file);
    const struct dep_guard_rule *pay = &rules->rows[0], *tools = &rules->rows[1], *found = NULL;

    DEP_CHECK(t, rules->count == 2 && rules->mcp_headers_count && rules->has_mcp && rules->origins.count == 1);
    DEP_CHECK_STR(t, pay->challenge, "base write pay");
    DEP_CHECK(t, dep_guard_rule_has_scopes(pay, DEP_STR("base admin pay")));
    DEP_CHECK(t, pay->actors.count == 2 && pay->orgs.count == 1 && pay->depth_max == 0 && pay->needs_dpop);
    DEP_CHECK(t, pay->max_age_s == 60 && pay->details_need_location && pay->details_actions.count == 1);
    DEP_CHECK_STR(t, pay->acr_values, "mfa phr");
    DEP_CHECK_STR(t, pay->details_type, "payment");
    DEP_CHECK(t, tools->depth_max == -1 && tools->max_age_s == -1 && tools->mcp_names.count == 2);
    DEP_CHECK(t, tools->needs_bound && !tools->needs_dpop && !pay->needs_bound);
    DEP_CHECK_STR(t, tools->challenge, "base");
    DEP_CHECK_OK(t, dep_guard_rules_find(rules, DEP_STR("POST"), DEP_STR("/pay/7"), NULL, &found));
    DEP_CHECK(t, found == pay);
    dep_rules_file_free(file);
}

DEP_TEST(O09_says_what_is_wrong_and_where)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { ONE "    scoops: read\n", "r.yaml:5: unknown key 'scoops'; did you mean 'scopes'?" },
        { "ruels:\n  - name: one\n", "r.yaml:1: unknown key 'ruels'; did you mean 'rules'?" },
        { ONE "    zzzzzzzz: read\n", "r.yaml:5: unknown key 'zzzzzzzz'; see deputy-guard-rules(5)" },
        { ONE, "r.yaml:2: rule 'one': it asks for nothing" },
        { ONE "    scopes: read offline_access\n", "r.yaml:2: rule 'one': scopes: offline_access" },
        { ONE "    any_token: true\n  - methods: [GET]\n    name: two\n    path: /a\n    any_token: true\n",
          "r.yaml:7: rule 'two': it can never decide" },
        { ONE "    depth_max: -1\n    scopes: read\n", "r.yaml:2: rule 'one': depth_max: 0 or more" },
        { ONE "    max_age_s: -1\n    scopes: read\n", "r.yaml:2: rule 'one': max_age_s: 0 or more" },
        { "mcp_headers: trusted\n" ONE "    scopes: read\n", "r.yaml: mcp_headers: 'compared'" },
    };
    /* What libcyaml says in its own words: the place is ours. */
    static const char *const refused[] = {
        "",
        "rules: []\n",
        "rules:\n",
        "- a\n",
        "rules: 7\n",
        ONE "    scopes: ''\n",
        ONE "    actors: []\n",
        ONE "    actors: ['']\n",
        ONE "    actors: agent:A\n",
        ONE "    depth_max: deep\n    scopes: read\n",
        ONE "    needs_dpop: perhaps\n",
        ONE "    scopes: [read]\n",
        ONE "    scopes: read\n    scopes: write\n",
        ONE "    any_token: true\nrules: []\n",
        "rules:\n  - name: one\n    path: /a\n    scopes: read\n",
        "rules:\n  - name: one\n    methods: [GET]\n    scopes: read\n",
        "rules:\n  - methods: [GET]\n    path: /a\n    scopes: read\n",
        ONE "   any_token: true\n",
        "\t",
    };
    char message[DEP_RULES_MESSAGE_MAX];

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_rules_file *file = read_text(cases[i].text, message);

        dep_test_check(t, file == NULL && dep_str_starts(dep_str_c(message), dep_str_c(cases[i].message)), __FILE__,
                       __LINE__, "%s, not %s", message, cases[i].message);
        dep_rules_file_free(file);
    }
    for (size_t i = 0; i < DEP_COUNT(refused); i++) {
        struct dep_rules_file *file = read_text(refused[i], message);

        dep_test_check(t, file == NULL && dep_str_starts(dep_str_c(message), DEP_STR("r.yaml")), __FILE__, __LINE__,
                       "%zu %s: %s", i, refused[i], message);
        dep_rules_file_free(file);
    }
}

DEP_TEST(a_file_that_is_not_there)
{
    char message[DEP_RULES_MESSAGE_MAX];
    struct dep_rules_file *file = NULL;

    DEP_CHECK_FAIL(t, dep_rules_file_load("/nonexistent/rules.yaml", DEP_STR_ABSENT, &file, message), CONFIG_FILE);
    DEP_CHECK(t, dep_str_starts(dep_str_c(message), DEP_STR("/nonexistent/rules.yaml: ")));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(reads_every_key),
        DEP_ROW(O09_says_what_is_wrong_and_where),
        DEP_ROW(a_file_that_is_not_there),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

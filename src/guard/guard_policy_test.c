/* Rules in the guard's decision: what a challenge says, and every demand with a token that meets it and one that does not. */
#include "guard/guard_fixture.h"

#define S(text) DEP_STR_INIT(text)

static const struct dep_str get[] = { S("GET") }, post[] = { S("POST") }, call[] = { S("tools/call") },
                            delete[] = { S("delete") }, any[] = { S("*") }, actors[] = { S("agent:A"), S("user:u") },
                            orgs[] = { S("acme") }, actions[] = { S("read") }, origins[] = { S("https://app.example") };
static const struct dep_guard_implication hierarchy[] = { { S("admin"), S("orders") } };

struct table {
    struct dep_guard_rule rows[3];
    struct dep_guard_rules rules;
};

static struct dep_guard_rule *add(struct table *table, const char *name, const struct dep_str *method, const char *path)
{
    struct dep_guard_rule *rule = &table->rows[table->rules.count++];

    *rule = (struct dep_guard_rule){
        .name = dep_str_c(name), .methods = { method, 1 }, .path = dep_str_c(path), .depth_max = -1, .max_age_s = -1
    };
    return rule;
}

static void use(struct fixture *f, struct table *table)
{
    struct dep_guard_rules_fault fault;

    table->rules.rows = table->rows;
    table->rules.implications = hierarchy;
    table->rules.implications_count = 1;
    DEP_ASSERT(dep_is_ok(dep_guard_rules_make(&f->arena, &table->rules, f->policy.scopes, &fault)));
    f->policy.rules = &table->rules;
}

static void ask_at(struct fixture *f, const char *method, const char *path, struct dep_str token,
                   const struct dep_header *more, size_t more_count)
{
    struct dep_header headers[8] = { { DEP_STR("X-Forwarded-Method"), dep_str_c(method) },
                                     { DEP_STR("X-Forwarded-Uri"), dep_str_c(path) } };
    size_t count = 2;

    if (!dep_str_is_absent(token))
        headers[count++] = (struct dep_header){ DEP_STR("Authorization"), fmt(f, "Bearer %.*s", DEP_STR_ARG(token)) };
    for (size_t i = 0; i < more_count; i++)
        headers[count++] = more[i];
    decide(f, DEP_GUARD_FORWARD_AUTH, headers, count);
}

static void check_rule(struct dep_test *t, const struct fixture *f, const char *name)
{
    DEP_CHECK(t, f->decision.rule != NULL);
    if (f->decision.rule != NULL)
        DEP_CHECK_STR(t, f->decision.rule->name, name);
}

/* mcp.md 2a: every scope of the operation at once, and nothing that is not this operation's. */
DEP_TEST(O03_challenges_name_what_the_operation_needs)
{
    struct fixture f;
    struct table table = { 0 };

    set_up(&f);
    add(&table, "orders", get, "/orders/*")->scopes = DEP_STR("orders audit");
    add(&table, "plain", post, "/mcp")->any_token = true;
    use(&f, &table);

    ask_at(&f, "GET", "/orders/7", DEP_STR_ABSENT, NULL, 0);
    check_refused(t, &f, "no token", 401, NULL);
    check_rule(t, &f, "orders");
    DEP_CHECK(t, str_has(f.decision.www_authenticate, "Bearer scope=\"read orders audit\""));
    ask_at(&f, "GET", "/orders/7?x=1", bearer_token(&f), NULL, 0);
    check_refused(t, &f, "some scopes", 403, "insufficient_scope");
    DEP_CHECK_STR(t, dep_str_c(f.decision.check), "token.scope");
    DEP_CHECK(t, str_has(f.decision.www_authenticate, "scope=\"read orders audit\", resource_metadata="));

    struct dep_str claims = claims_of(&f);
    size_t at = claims.len - strlen("\"read write\"");

    ask_at(&f, "GET", "/orders/7",
           sign_raw(&f, f.issuer, DEP_STR(HEADER), fmt(&f, "{%.*s\"read audit admin\"}", (int)at, claims.ptr)), NULL,
           0);
    check_allowed(t, &f, "admin implies orders");
    check_rule(t, &f, "orders");

    ask_at(&f, "POST", "/mcp", bearer_token(&f), NULL, 0);
    check_allowed(t, &f, "the base scope is enough here");
    check_rule(t, &f, "plain");
    tear_down(&f);
}

DEP_TEST(O21_what_no_rule_is_about_is_refused)
{
    static const char *const paths[] = { "/", "/orders", "/orders/7/8", "/ORDERS/7", "/orders//7", "/orders/7;x" };
    struct fixture f;
    struct table table = { 0 };

    set_up(&f);
    add(&table, "orders", get, "/orders/*")->any_token = true;
    use(&f, &table);
    for (size_t i = 0; i < DEP_COUNT(paths); i++) {
        ask_at(&f, "GET", paths[i], bearer_token(&f), NULL, 0);
        check_refused(t, &f, paths[i], i < 3 ? 403 : 400, i < 3 ? NULL : "invalid_request");
        DEP_CHECK_STR(t, dep_str_c(f.decision.check), "rule.found");
        DEP_CHECK(t, f.decision.rule == NULL);
    }
    ask_at(&f, "POST", "/orders/7", bearer_token(&f), NULL, 0);
    check_refused(t, &f, "another method", 403, NULL);
    DEP_CHECK(t, !str_has(f.decision.www_authenticate, "error="));
    ask_at(&f, "GET", "/orders/7", bearer_token(&f), NULL, 0);
    check_allowed(t, &f, "its own");
    tear_down(&f);
}

/* One demand each: claims that meet it, claims that do not. */
static void depth_1(struct dep_guard_rule *rule)
{
    rule->depth_max = 1;
}
static void depth_0(struct dep_guard_rule *rule)
{
    rule->depth_max = 0;
}
static void some_actors(struct dep_guard_rule *rule)
{
    rule->actors = (struct dep_guard_list){ actors, 2 };
}
static void one_org(struct dep_guard_rule *rule)
{
    rule->orgs = (struct dep_guard_list){ orgs, 1 };
}
static void strong(struct dep_guard_rule *rule)
{
    rule->acr_values = DEP_STR("mfa phr");
}
static void fresh(struct dep_guard_rule *rule)
{
    rule->max_age_s = 60;
}
static void strong_and_fresh(struct dep_guard_rule *rule)
{
    strong(rule);
    fresh(rule);
}
static void detailed(struct dep_guard_rule *rule)
{
    rule->details_type = DEP_STR("order");
    rule->details_actions = (struct dep_guard_list){ actions, 1 };
    rule->details_need_location = true;
}
static void bound(struct dep_guard_rule *rule)
{
    rule->needs_dpop = true;
}

#define ACT(sub, inner) ",\"act\":{\"sub\":\"" sub "\"" inner "}"
#define DETAILS(action, location) \
    ",\"authorization_details\":[{\"type\":\"order\",\"actions\":[\"" action "\"],\"locations\":[\"" location "\"]}]"

DEP_TEST(each_demand_is_met_by_one_and_not_by_another)
{
    static const struct {
        void (*change)(struct dep_guard_rule *rule);
        const char *claims;
        int status;
        const char *check, *error;
        enum dep_err reason;
    } cases[] = {
        { depth_1, ACT("agent:B", ""), 200, NULL, NULL, DEP_ERR_NONE },
        { depth_1, ACT("agent:C", ACT("agent:B", "")), 403, "rule.actor", NULL, DEP_ERR_GUARD_DEPTH },
        { depth_0, "", 200, NULL, NULL, DEP_ERR_NONE },
        { depth_0, ACT("agent:B", ""), 403, "rule.actor", NULL, DEP_ERR_GUARD_DEPTH },
        { some_actors, "", 200, NULL, NULL, DEP_ERR_NONE }, /* the subject presents it itself */
        { some_actors, ACT("user:u", ""), 200, NULL, NULL, DEP_ERR_NONE },
        { some_actors, ACT("agent:B", ""), 403, "rule.actor", NULL, DEP_ERR_GUARD_ACTOR },
        /* rfc8693#4.1: who acted before does not count */
        { some_actors, ACT("agent:B", ACT("user:u", "")), 403, "rule.actor", NULL, DEP_ERR_GUARD_ACTOR },
        { one_org, ",\"org_id\":\"acme\"", 200, NULL, NULL, DEP_ERR_NONE },
        { one_org, ",\"org_id\":\"Acme\"", 403, "rule.actor", NULL, DEP_ERR_GUARD_ORG },
        { one_org, ",\"org_id\":\"\"", 403, "rule.actor", NULL, DEP_ERR_GUARD_ORG },
        { one_org, "", 403, "rule.actor", NULL, DEP_ERR_GUARD_ORG },
        { strong, ",\"acr\":\"phr\"", 200, NULL, NULL, DEP_ERR_NONE },
        { strong, ",\"acr\":\"pwd\"", 401, "rule.login", "insufficient_user_authentication", DEP_ERR_TOKEN_LOGIN },
        { strong, ",\"acr\":\"mfa phr\"", 401, "rule.login", "insufficient_user_authentication", DEP_ERR_TOKEN_LOGIN },
        { strong, ",\"acr\":\"\"", 401, "rule.login", "insufficient_user_authentication", DEP_ERR_TOKEN_LOGIN },
        { strong, "", 401, "rule.login", "insufficient_user_authentication", DEP_ERR_TOKEN_LOGIN },
        { fresh, ",\"auth_time\":1799999940", 200, NULL, NULL, DEP_ERR_NONE },
        { fresh, ",\"auth_time\":1799999939", 401, "rule.login", "insufficient_user_authentication",
          DEP_ERR_TOKEN_LOGIN },
        { fresh, ",\"auth_time\":1800000011", 401, "rule.login", "insufficient_user_authentication",
          DEP_ERR_TOKEN_LOGIN },
        { fresh, "", 401, "rule.login", "insufficient_user_authentication", DEP_ERR_TOKEN_LOGIN },
        { detailed, DETAILS("read", "https://api.example/orders"), 200, NULL, NULL, DEP_ERR_NONE },
        { detailed, DETAILS("read", "https://api.example/order"), 403, "rule.details", NULL, DEP_ERR_GUARD_DETAILS },
        { detailed, DETAILS("write", "https://api.example/orders"), 403, "rule.details", NULL, DEP_ERR_GUARD_DETAILS },
        { detailed, ",\"authorization_details\":[{\"type\":\"order\",\"actions\":[\"read\"]}]", 403, "rule.details",
          NULL, DEP_ERR_GUARD_DETAILS },
        { detailed, "", 403, "rule.details", NULL, DEP_ERR_GUARD_DETAILS },
        { detailed, ",\"authorization_details\":{}", 401, "token.verifies", "invalid_token", DEP_ERR_JWT_CLAIMS },
        { bound, "", 401, "token.bound", "invalid_token", DEP_ERR_GUARD_UNBOUND },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct fixture f;
        struct table table = { 0 };
        struct dep_guard_rule *rule;

        set_up(&f);
        rule = add(&table, "one", get, "/orders/*");
        rule->scopes = DEP_STR("write");
        cases[i].change(rule);
        use(&f, &table);
        f.seen = dep_guard_seen_new(8);
        /* The second time the token comes from the cache: the demands are asked again (attack case A68). */
        for (unsigned time = 0; time < 2; time++) {
            ask_at(&f, "GET", "/orders/7", token_with(&f, cases[i].claims), NULL, 0);
            check_rule(t, &f, "one");
            if (cases[i].check == NULL) {
                check_allowed(t, &f, cases[i].claims);
                continue;
            }
            check_refused(t, &f, cases[i].claims, cases[i].status, cases[i].error);
            DEP_CHECK_STR(t, dep_str_c(f.decision.check), cases[i].check);
            DEP_CHECK(t, f.decision.reason == cases[i].reason);
        }
        tear_down(&f);
    }
}

DEP_TEST(a_rule_that_needs_dpop_takes_a_proof)
{
    struct fixture f;
    struct table table = { 0 };

    set_up(&f);
    add(&table, "one", post, "/mcp")->needs_dpop = true;
    use(&f, &table);

    struct dep_str token = bound_token(&f);

    ask_bearer(&f, bearer_token(&f));
    check_refused(t, &f, "bearer", 401, "invalid_token");
    DEP_CHECK(t, dep_str_starts(f.decision.www_authenticate, DEP_STR("DPoP ")));
    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "bound");
    tear_down(&f);
}

/* rfc9470#3: what login is needed, with the scopes, so that one new authorization is enough. */
DEP_TEST(a_step_up_challenge_says_everything)
{
    struct fixture f;
    struct table table = { 0 };
    struct dep_guard_rule *rule;

    set_up(&f);
    rule = add(&table, "one", get, "/orders/*");
    rule->scopes = DEP_STR("orders");
    strong_and_fresh(rule);
    use(&f, &table);
    ask_at(&f, "GET", "/orders/7", bearer_token(&f), NULL, 0);
    check_refused(t, &f, "neither login nor scope", 401, "insufficient_user_authentication");
    DEP_CHECK(t, str_has(f.decision.www_authenticate, "Bearer error=\"insufficient_user_authentication\""));
    DEP_CHECK(t, str_has(f.decision.www_authenticate,
                         "scope=\"read orders\", acr_values=\"mfa phr\", max_age=\"60\", resource_metadata="));
    DEP_CHECK(t, str_has(f.decision.www_authenticate, "DPoP error=\"insufficient_user_authentication\""));
    tear_down(&f);
}

DEP_TEST(O06_pages_of_other_origins)
{
    static const struct {
        const char *origin;
        bool is_good;
    } cases[] = {
        { "https://app.example", true },        { "https://app.example.evil", false },
        { "https://evil.example", false },      { "http://app.example", false },
        { "https://app.example/", false },      { "null", false },
        { "https://app.example, null", false }, { "", false },
    };
    struct fixture f;
    struct table table = { 0 };

    set_up(&f);
    add(&table, "one", get, "/orders/*")->any_token = true;
    table.rules.origins = (struct dep_guard_list){ origins, 1 };
    use(&f, &table);
    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        const struct dep_header origin = { DEP_STR("Origin"), dep_str_c(cases[i].origin) };

        ask_at(&f, "GET", "/orders/7", bearer_token(&f), &origin, 1);
        if (cases[i].is_good) {
            check_allowed(t, &f, cases[i].origin);
            continue;
        }
        check_refused(t, &f, cases[i].origin, 403, NULL);
        DEP_CHECK_STR(t, dep_str_c(f.decision.check), "origin.web");
    }
    ask_at(&f, "GET", "/orders/7", bearer_token(&f), NULL, 0);
    check_allowed(t, &f, "no browser");
    tear_down(&f);
}

/* G10: by headers from 2026-07-28 on and in front of a server that compares; by the body before. */
DEP_TEST(O07_rules_by_tool)
{
    static const struct {
        const char *version, *method, *name, *body; /* NULL: absent */
        const char *rule;                           /* NULL: refused */
        int status;
        enum dep_err reason;
    } cases[] = {
        { "2026-07-28", "tools/call", "search", NULL, "mcp", 200, DEP_ERR_NONE },
        { "2026-07-28", "tools/list", NULL, NULL, "mcp", 200, DEP_ERR_NONE },
        { "2026-07-28", "tools/call", "delete", NULL, "delete", 403, DEP_ERR_TOKEN_SCOPE },
        { "2026-07-28", "tools/call", "=?base64?ZGVsZXRl?=", NULL, "delete", 403, DEP_ERR_TOKEN_SCOPE },
        { "2026-07-28", "tools/call", NULL, NULL, NULL, 400, DEP_ERR_GUARD_MCP },
        { "2026-07-28", NULL, NULL, NULL, NULL, 400, DEP_ERR_GUARD_MCP },
        { "2025-11-25", "tools/call", "search", NULL, NULL, 403, DEP_ERR_GUARD_TOOL_UNKNOWN },
        { NULL, NULL, NULL, NULL, NULL, 403, DEP_ERR_GUARD_TOOL_UNKNOWN },
        { NULL, NULL, NULL, "{\"method\":\"tools/call\",\"params\":{\"name\":\"search\"}}", "mcp", 200, DEP_ERR_NONE },
        { NULL, NULL, NULL, "{\"method\":\"tools/call\",\"params\":{\"name\":\"delete\"}}", "delete", 403,
          DEP_ERR_TOKEN_SCOPE },
        { "2026-07-28", "tools/call", "search", "{\"method\":\"tools/call\",\"params\":{\"name\":\"delete\"}}", NULL,
          400, DEP_ERR_GUARD_MCP_MISMATCH },
    };
    struct fixture f;
    struct table table = { 0 };
    struct dep_guard_rule *rule;

    set_up(&f);
    rule = add(&table, "delete", post, "/mcp");
    rule->mcp_methods = (struct dep_guard_list){ call, 1 };
    rule->mcp_names = (struct dep_guard_list){ delete, 1 };
    rule->scopes = DEP_STR("admin");
    rule = add(&table, "mcp", post, "/mcp");
    rule->mcp_methods = (struct dep_guard_list){ any, 1 };
    rule->any_token = true;
    table.rules.mcp_headers_count = true;
    use(&f, &table);
    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        const struct {
            const char *name, *value;
        } sent[] = { { "MCP-Protocol-Version", cases[i].version },
                     { "Mcp-Method", cases[i].method },
                     { "Mcp-Name", cases[i].name } };
        struct dep_header more[3];
        size_t count = 0;

        for (size_t k = 0; k < DEP_COUNT(sent); k++)
            if (sent[k].value != NULL)
                more[count++] = (struct dep_header){ dep_str_c(sent[k].name), dep_str_c(sent[k].value) };
        f.body = dep_str_c(cases[i].body);
        ask_at(&f, "POST", "/mcp", bearer_token(&f), more, count);
        dep_test_check(t, f.decision.status == cases[i].status && f.decision.reason == cases[i].reason, __FILE__,
                       __LINE__, "%zu: %d %s", i, f.decision.status, dep_err_name(f.decision.reason));
        DEP_CHECK(t, (f.decision.rule != NULL) == (cases[i].rule != NULL));
        if (f.decision.rule != NULL)
            DEP_CHECK_STR(t, f.decision.rule->name, cases[i].rule);
    }
    f.body = DEP_STR_ABSENT;

    const struct dep_header twice[] = { { DEP_STR("MCP-Protocol-Version"), DEP_STR("2026-07-28") },
                                        { DEP_STR("Mcp-Method"), DEP_STR("tools/call") },
                                        { DEP_STR("Mcp-Name"), DEP_STR("search") },
                                        { DEP_STR("mcp-name"), DEP_STR("delete") } };

    ask_at(&f, "POST", "/mcp", bearer_token(&f), twice, 4);
    check_refused(t, &f, "two names", 400, "invalid_request");
    tear_down(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(O03_challenges_name_what_the_operation_needs),
        DEP_ROW(O21_what_no_rule_is_about_is_refused),
        DEP_ROW(each_demand_is_met_by_one_and_not_by_another),
        DEP_ROW(a_rule_that_needs_dpop_takes_a_proof),
        DEP_ROW(a_step_up_challenge_says_everything),
        DEP_ROW(O06_pages_of_other_origins),
        DEP_ROW(O07_rules_by_tool),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Rules through the C API: which request needs what. */
#include "lib/lib_fixture.h"

static const struct deputy_rule reading = { .size = sizeof(reading),
                                            .name = "reading",
                                            .methods = "GET",
                                            .path = "/mcp/**",
                                            .scopes = "list",
                                            .depth_max = -1,
                                            .max_age_s = -1 };
static const struct deputy_rule writing = { .size = sizeof(writing),
                                            .name = "writing",
                                            .methods = "POST PUT",
                                            .path = "/mcp/**",
                                            .scopes = "write",
                                            .depth_max = -1,
                                            .max_age_s = -1 };
static const struct deputy_rule nobody_between = {
    .size = sizeof(nobody_between), .name = "direct", .methods = "*", .path = "/direct", .depth_max = 0, .max_age_s = -1
};

static const char *reason_of(struct world *w, struct dep_str token, const char *method, const char *target,
                             const char *scopes)
{
    struct deputy_header header = { { "Authorization", 13 },
                                    text_of(fmt(&w->keys, "Bearer %.*s", DEP_STR_ARG(token))) };
    struct deputy_request request = { .size = sizeof(request),
                                      .method = text_of(dep_str_c(method)),
                                      .target = text_of(dep_str_c(target)),
                                      .headers = &header,
                                      .headers_count = 1,
                                      .scopes = text_of(dep_str_c(scopes)) };
    struct deputy_verdict *verdict = NULL;
    const char *reason;

    DEP_ASSERT(deputy_guard_check(w->guard, &request, &verdict) != DEPUTY_NEEDS);
    reason = deputy_verdict_reason(verdict);
    deputy_verdict_free(verdict);
    return reason;
}

static void check_reason(struct dep_test *t, const char *got, const char *want)
{
    dep_test_check(t, strcmp(got, want) == 0, __FILE__, __LINE__, "%s, not %s", got, want);
}

DEP_TEST(the_first_rule_that_fits_decides)
{
    struct dep_str token, chained;
    struct world w;

    set_up_world(&w);
    DEP_CHECK(t, deputy_config_add_rule(w.config, &reading) == DEPUTY_OK);
    DEP_CHECK(t, deputy_config_add_rule(w.config, &writing) == DEPUTY_OK);
    DEP_CHECK(t, deputy_config_add_rule(w.config, &nobody_between) == DEPUTY_OK);
    start_ready(&w);
    token = mint_good(&w); /* read list */
    chained = mint(&w, w.keys.issuer, "k1", "J8", ",\"act\":{\"sub\":\"agent:B\"}");
    check_reason(t, reason_of(&w, token, "GET", "/mcp/items?x=1", NULL), "NONE");
    check_reason(t, reason_of(&w, token, "POST", "/mcp/items", NULL), "TOKEN_SCOPE");
    check_reason(t, reason_of(&w, token, "DELETE", "/mcp/items", NULL), "GUARD_NO_RULE");
    check_reason(t, reason_of(&w, token, "GET", "/elsewhere", NULL), "GUARD_NO_RULE");
    check_reason(t, reason_of(&w, token, "GET", "/direct", NULL), "NONE");
    DEP_CHECK(t, strcmp(reason_of(&w, chained, "GET", "/direct", NULL), "NONE") != 0);
    check_reason(t, reason_of(&w, chained, "GET", "/mcp/items", NULL), "NONE");
    /* Scopes of a request would be passed over by rules: that is no allow. */
    check_reason(t, reason_of(&w, token, "GET", "/mcp/items", "read"), "GUARD_CALLER");
    tear_down_world(&w);
}

DEP_TEST(rules_are_checked)
{
    struct deputy_rule bare = reading, wrong = reading;
    struct deputy_guard *guard = NULL;
    struct world w;

    set_up_world(&w);
    bare.path = NULL;
    DEP_CHECK(t, deputy_config_add_rule(w.config, &bare) == DEPUTY_ERR_ARGUMENT);
    bare = reading;
    bare.size--;
    DEP_CHECK(t, deputy_config_add_rule(w.config, &bare) == DEPUTY_ERR_ARGUMENT);
    DEP_CHECK(t, deputy_config_add_rule(w.config, NULL) == DEPUTY_ERR_ARGUMENT);
    wrong.path = "no/slash";
    DEP_CHECK(t, deputy_config_add_rule(w.config, &wrong) == DEPUTY_OK);
    DEP_CHECK(t, deputy_guard_new(w.config, &guard) == DEPUTY_ERR_SETTING && guard == NULL);
    DEP_CHECK(t, strncmp(deputy_config_fault(w.config), "reading: ", 9) == 0);
    tear_down_world(&w);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(the_first_rule_that_fits_decides),
        DEP_ROW(rules_are_checked),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Rules through the C API: which request needs what. */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

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

static const struct deputy_rule bound = { .size = sizeof(bound),
                                          .name = "bound",
                                          .methods = "GET",
                                          .path = "/bound",
                                          .depth_max = -1,
                                          .max_age_s = -1,
                                          .needs_bound = true };

static const char *judge(struct world *w, const struct deputy_request *request)
{
    struct deputy_verdict *verdict = NULL;
    const char *reason;

    DEP_ASSERT(deputy_guard_check(w->guard, request, &verdict) != DEPUTY_NEEDS);
    reason = deputy_verdict_reason(verdict);
    deputy_verdict_free(verdict);
    return reason;
}

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

    return judge(w, &request);
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
    DEP_CHECK(t, deputy_config_add_rule(w.config, &bound) == DEPUTY_OK);
    start_ready(&w);
    token = mint_good(&w); /* read list */
    chained = mint(&w, w.keys.issuer, "k1", "J8", ",\"act\":{\"sub\":\"agent:B\"}");
    check_reason(t, reason_of(&w, token, "GET", "/mcp/items?x=1", NULL), "NONE");
    check_reason(t, reason_of(&w, token, "POST", "/mcp/items", NULL), "TOKEN_SCOPE");
    check_reason(t, reason_of(&w, token, "DELETE", "/mcp/items", NULL), "GUARD_NO_RULE");
    check_reason(t, reason_of(&w, token, "GET", "/elsewhere", NULL), "GUARD_NO_RULE");
    check_reason(t, reason_of(&w, token, "GET", "/direct", NULL), "NONE");
    check_reason(t, reason_of(&w, token, "GET", "/bound", NULL), "GUARD_NEEDS_BOUND");
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

static const char file_text[] =
    "origins: [https://app.example]\n"
    "hierarchy:\n"
    "  - {scope: admin, implies: list}\n"
    "rules:\n"
    "  - {name: erase, methods: [POST], path: /mcp, mcp_methods: [tools/call], mcp_names: [erase], scopes: erase}\n"
    "  - {name: call, methods: [POST], path: /mcp, mcp_methods: ['*'], scopes: list}\n"
    "  - {name: rich, methods: [GET], path: /accounts/*, details_type: account}\n"
    "  - {name: rest, methods: [GET], path: /**, any_token: true}\n";

static void write_rules(char path[64], const char *text)
{
    int fd;

    (void)snprintf(path, 64, "/tmp/deputy-rules-XXXXXX");
    fd = mkstemp(path);
    DEP_ASSERT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

/* What a POST to /mcp with this body is answered; `more` is one more header. */
static const char *reason_of_call(struct world *w, struct dep_str token, const char *body, struct deputy_header more)
{
    struct deputy_header headers[2] = {
        { { "Authorization", 13 }, text_of(fmt(&w->keys, "Bearer %.*s", DEP_STR_ARG(token))) }, more
    };
    struct deputy_request request = { .size = sizeof(request),
                                      .method = { "POST", 4 },
                                      .target = { "/mcp", 4 },
                                      .headers = headers,
                                      .headers_count = more.name.ptr == NULL ? 1 : 2,
                                      .body = text_of(dep_str_c(body)) };

    return judge(w, &request);
}

#define CALL(name) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"" name "\"}}"

DEP_TEST(a_file_says_more)
{
    static const struct deputy_header none = { { NULL, 0 }, { NULL, 0 } };
    static const struct deputy_header evil = { { "Origin", 6 }, { "https://evil.example", 20 } };
    static const struct deputy_header app = { { "origin", 6 }, { "https://app.example", 19 } };
    struct dep_str token;
    struct world w;
    char path[64];

    write_rules(path, file_text);
    set_up_world(&w);
    set(&w, "rules", path);
    start_ready(&w);
    (void)unlink(path);    /* it was read */
    token = mint_good(&w); /* read list */
    check_reason(t, reason_of_call(&w, token, CALL("search"), none), "NONE");
    check_reason(t, reason_of_call(&w, token, CALL("erase"), none), "TOKEN_SCOPE");
    check_reason(t, reason_of_call(&w, token, NULL, none), "GUARD_TOOL_UNKNOWN");
    check_reason(t, reason_of_call(&w, token, "{", none), "GUARD_MCP");
    check_reason(t, reason_of_call(&w, token, CALL("search"), evil), "GUARD_WEB_ORIGIN");
    check_reason(t, reason_of_call(&w, token, CALL("search"), app), "NONE");
    check_reason(t, reason_of(&w, token, "GET", "/accounts/7", NULL), "GUARD_DETAILS");
    check_reason(t, reason_of(&w, token, "GET", "/other", NULL), "NONE");
    check_reason(t, reason_of(&w, token, "PUT", "/other", NULL), "GUARD_NO_RULE");
    tear_down_world(&w);
}

DEP_TEST(a_request_of_before_bodies)
{
    static const struct deputy_header no_header = { { NULL, 0 }, { NULL, 0 } };
    struct deputy_request request = { .size = offsetof(struct deputy_request, body),
                                      .method = { "GET", 3 },
                                      .target = { "/other", 6 },
                                      .headers = &no_header };
    struct deputy_verdict *verdict = NULL;
    struct world w;

    set_up_world(&w);
    start_ready(&w);
    DEP_CHECK(t, deputy_guard_check(w.guard, &request, &verdict) == DEPUTY_REFUSE);
    DEP_CHECK(t, deputy_verdict_status(verdict) == 401);
    deputy_verdict_free(verdict);
    tear_down_world(&w);
}

DEP_TEST(a_file_that_cannot_be)
{
    struct deputy_guard *guard = NULL;
    struct world w;
    char path[64];

    set_up_world(&w);
    set(&w, "rules", "/nowhere/rules.yaml");
    DEP_CHECK(t, deputy_guard_new(w.config, &guard) == DEPUTY_ERR_SETTING && guard == NULL);
    DEP_CHECK(t, strstr(deputy_config_fault(w.config), "rules: /nowhere/rules.yaml: ") != NULL);
    write_rules(path, "rules:\n  - {name: one, methods: [GET], path: /a, scoops: x}\n");
    set(&w, "rules", path);
    DEP_CHECK(t, deputy_guard_new(w.config, &guard) == DEPUTY_ERR_SETTING && guard == NULL);
    DEP_CHECK(t, strstr(deputy_config_fault(w.config), "did you mean 'scopes'?") != NULL);
    DEP_CHECK(t, deputy_config_add_rule(w.config, &reading) == DEPUTY_OK);
    DEP_CHECK(t, deputy_guard_new(w.config, &guard) == DEPUTY_ERR_SETTING && guard == NULL);
    DEP_CHECK(t, strstr(deputy_config_fault(w.config), "not both") != NULL);
    (void)unlink(path);
    tear_down_world(&w);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(the_first_rule_that_fits_decides), DEP_ROW(rules_are_checked),     DEP_ROW(a_file_says_more),
        DEP_ROW(a_request_of_before_bodies),       DEP_ROW(a_file_that_cannot_be),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

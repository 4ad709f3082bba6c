/* Settings: what is accepted, and what is said about what is not. */
#include "lib/lib_fixture.h"

#include <stdlib.h>
#include <unistd.h>

DEP_TEST(settings_have_names_and_ranges)
{
    static const struct {
        const char *name, *value;
        enum deputy_result result;
        const char *fault; /* starts with this */
    } rows[] = {
        { "scope", "read write", DEPUTY_OK, "" },
        { "skew-s", "60", DEPUTY_OK, "" },
        { "skew-s", "61", DEPUTY_ERR_SETTING, "skew-s: a whole number from 1 to 60 is needed" },
        { "skew-s", "0", DEPUTY_ERR_SETTING, "skew-s:" },
        { "skew-s", "1s", DEPUTY_ERR_SETTING, "skew-s:" },
        { "skew-s", "", DEPUTY_ERR_SETTING, "skew-s:" },
        { "needs-dpop", "true", DEPUTY_OK, "" },
        { "needs-dpop", "yes", DEPUTY_ERR_SETTING, "needs-dpop: \"true\" or \"false\"" },
        { "resource", "", DEPUTY_ERR_SETTING, "resource: an empty value" },
        { "Resource", "x", DEPUTY_ERR_SETTING, "Resource: there is no such setting" },
        { "", "x", DEPUTY_ERR_SETTING, ": there is no such setting" },
        { NULL, "x", DEPUTY_ERR_ARGUMENT, "" },
        { "scope", NULL, DEPUTY_ERR_ARGUMENT, "" },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct deputy_config *config = deputy_config_new();

        DEP_CHECK(t, deputy_config_set(config, rows[i].name, rows[i].value) == rows[i].result);
        DEP_CHECK(t, strncmp(deputy_config_fault(config), rows[i].fault, strlen(rows[i].fault)) == 0);
        DEP_CHECK(t, rows[i].fault[0] != '\0' || deputy_config_fault(config)[0] == '\0');
        deputy_config_free(config);
    }
    DEP_CHECK(t, deputy_config_set(NULL, "scope", "read") == DEPUTY_ERR_ARGUMENT);
    deputy_config_free(NULL);
}

DEP_TEST(secrets)
{
    struct deputy_config *config = deputy_config_new();
    unsigned char key[32] = { 1 };

    DEP_CHECK(t, deputy_config_set_secret(config, "secret", "a", 1) == DEPUTY_OK);
    DEP_CHECK(t, deputy_config_set_secret(config, "secret", "bb", 2) == DEPUTY_OK);
    DEP_CHECK(t, deputy_config_set_secret(config, "secret", "", 0) == DEPUTY_ERR_SETTING);
    DEP_CHECK(t, deputy_config_set_secret(config, "nonce-key", key, 31) == DEPUTY_ERR_SETTING);
    DEP_CHECK(t, deputy_config_set_secret(config, "nonce-key", key, 32) == DEPUTY_OK);
    DEP_CHECK(t, deputy_config_set_secret(config, "resource", key, 32) == DEPUTY_ERR_SETTING);
    DEP_CHECK(t, deputy_config_set_secret(config, "secret", NULL, 1) == DEPUTY_ERR_ARGUMENT);
    /* A secret is no setting: it would be in a file that people show around. */
    DEP_CHECK(t, deputy_config_set(config, "secret", "a") == DEPUTY_ERR_SETTING);
    deputy_config_free(config);
}

/* `setting` is missing or wrong: no guard, and the fault names it. */
static void check_no_guard(struct dep_test *t, struct world *w, const char *setting)
{
    struct deputy_guard *guard = NULL;

    DEP_CHECK(t, deputy_guard_new(w->config, &guard) == DEPUTY_ERR_SETTING && guard == NULL);
    dep_test_check(t, strncmp(deputy_config_fault(w->config), setting, strlen(setting)) == 0, __FILE__, __LINE__,
                   "\"%s\" does not name %s", deputy_config_fault(w->config), setting);
}

DEP_TEST(O09_a_guard_that_does_not_know_enough_is_not_made)
{
    struct deputy_guard *guard = NULL;
    struct deputy_config *bare = deputy_config_new();
    char longest[9000];
    struct world w;

    DEP_CHECK(t, deputy_guard_new(bare, &guard) == DEPUTY_ERR_SETTING);
    DEP_CHECK(t, deputy_guard_new(NULL, &guard) == DEPUTY_ERR_ARGUMENT);
    DEP_CHECK(t, deputy_guard_new(bare, NULL) == DEPUTY_ERR_ARGUMENT);
    deputy_config_free(bare);
    set_up_world(&w);
    set(&w, "issuer", "http://as.example");
    check_no_guard(t, &w, "issuer: https is needed");
    set(&w, "issuer", "http://127.0.0.1:1");
    check_no_guard(t, &w, "issuer: https is needed");
    set(&w, "issuer", ISSUER);
    set(&w, "resource", "api");
    check_no_guard(t, &w, "resource:");
    (void)snprintf(longest, sizeof(longest), "https://a.example/%08500d", 1);
    set(&w, "resource", longest);
    check_no_guard(t, &w, "resource:");
    set(&w, "resource", RESOURCE);
    (void)snprintf(longest, sizeof(longest), "https://a.example/%02500d", 1);
    set(&w, "issuer", longest);
    check_no_guard(t, &w, "issuer:");
    set(&w, "issuer", ISSUER);
    set(&w, "scopes-offered", "a\"b");
    check_no_guard(t, &w, "scopes-offered:");
    set(&w, "scopes-offered", "read list");
    set(&w, "client-cert", "TLS");
    check_no_guard(t, &w, "client-cert: \"tls\"");
    set(&w, "client-cert", "header");
    /* Nothing is answered that was not recorded: somewhere is needed, and one place only. */
    deputy_config_set_record(w.config, NULL, NULL);
    check_no_guard(t, &w, "audit:");
    deputy_config_set_record(w.config, keep_record, &w);
    set(&w, "audit", "/nonexistent/audit");
    check_no_guard(t, &w, "audit:");
    deputy_config_set_record(w.config, NULL, NULL);
    DEP_CHECK(t, deputy_guard_new(w.config, &guard) == DEPUTY_ERR_AUDIT && guard == NULL);
    tear_down_world(&w);
}

DEP_TEST(a_guard_tells_its_metadata)
{
    struct deputy_text path, document;
    struct world w;

    set_up_world(&w);
    set(&w, "public-url", "http://127.0.0.1:8080");
    set(&w, "scopes-offered", "read list");
    start_guard(&w);
    path = deputy_guard_metadata_path(w.guard);
    document = deputy_guard_metadata(w.guard);
    DEP_CHECK_STR(t, dep_str(path.ptr, path.len), "/.well-known/oauth-protected-resource/mcp");
    DEP_CHECK(t, str_has(dep_str(document.ptr, document.len), "\"scopes_supported\":[\"read\",\"list\"]"));
    DEP_CHECK(t, document.ptr[document.len] == '\0' && path.ptr[path.len] == '\0');
    tear_down_world(&w);
}

DEP_TEST(results_are_sentences)
{
    for (int i = 0; i <= DEPUTY_ERR_TIMEOUT; i++)
        DEP_CHECK(t, strlen(deputy_result_text((enum deputy_result)i)) > 5);
    DEP_CHECK(t, strlen(deputy_result_text((enum deputy_result)99)) > 5);
    DEP_CHECK(t, strchr(deputy_version(), '.') != NULL);
}

/* What a failed call leaves behind cannot be taken for a guard; that results cannot be dropped is in test/flow/libdeputy.sh. */
DEP_TEST(O10_a_failed_call_gives_nothing)
{
    struct deputy_config *bare = deputy_config_new();
    struct deputy_guard *guard = (struct deputy_guard *)bare;

    DEP_CHECK(t, deputy_guard_new(bare, &guard) == DEPUTY_ERR_SETTING && guard == NULL);
    guard = (struct deputy_guard *)bare;
    DEP_CHECK(t, deputy_guard_new(NULL, &guard) == DEPUTY_ERR_ARGUMENT && guard == NULL);
    deputy_config_free(bare);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(settings_have_names_and_ranges),
        DEP_ROW(secrets),
        DEP_ROW(O09_a_guard_that_does_not_know_enough_is_not_made),
        DEP_ROW(a_guard_tells_its_metadata),
        DEP_ROW(results_are_sentences),
        DEP_ROW(O10_a_failed_call_gives_nothing),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

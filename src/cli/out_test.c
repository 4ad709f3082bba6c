/* Output: tables, JSON, JSON lines, text of others on a terminal; exit codes. */
#include "cli/fixture.h"
#include "cli/out.h"
#include "test/unit.h"

static const struct dep_column_spec columns[] = { { "ID", "id" }, { "SCOPES", "scopes" }, { "ON", "is_enabled" } };

static char *written(enum dep_format format, const char *json, bool is_list)
{
    struct dep_cli cli = { .format = format };
    json_t *value = json_loads(json, 0, NULL);
    char *text = NULL;
    size_t len;

    cli.out = open_memstream(&text, &len);
    if (is_list)
        dep_out_list(&cli, value, columns, DEP_CLI_COUNT(columns));
    else
        dep_out_object(&cli, value);
    fclose(cli.out);
    json_decref(value);
    return text;
}

static void check_written(struct dep_test *t, enum dep_format format, const char *json, bool is_list, const char *want)
{
    char *text = written(format, json, is_list);

    DEP_CHECK_STR(t, dep_str_c(text), want);
    free(text);
}

#define LIST "[{\"id\":\"a\",\"scopes\":[\"x\",\"y\"],\"is_enabled\":true},{\"id\":\"longer\",\"is_enabled\":false}]"

DEP_TEST(a_list_is_a_table_json_or_lines)
{
    check_written(t, DEP_FORMAT_TABLE, LIST, true,
                  "ID      SCOPES  ON\n"
                  "a       x y     true\n"
                  "longer  -       false\n");
    check_written(
        t, DEP_FORMAT_NDJSON, LIST, true,
        "{\"id\":\"a\",\"scopes\":[\"x\",\"y\"],\"is_enabled\":true}\n{\"id\":\"longer\",\"is_enabled\":false}\n");
    check_written(t, DEP_FORMAT_JSON, "[]", true, "{\n  \"items\": []\n}\n");
}

DEP_TEST(an_object_is_lines_for_people)
{
    check_written(t, DEP_FORMAT_TABLE, "{\"id\":\"a\",\"created\":0,\"exp\":1795485459,\"n\":5,\"none\":null}", false,
                  "id       a\n"
                  "created  0\n"
                  "exp      2026-11-24 01:57:39Z\n"
                  "n        5\n"
                  "none     \n");
    check_written(t, DEP_FORMAT_NDJSON, "{\"id\":\"a\"}", false, "{\"id\":\"a\"}\n");
}

DEP_TEST(text_of_others_cannot_drive_a_terminal)
{
    /* Escape, C1 control, right-to-left override, bell, a lone byte; and the twin that is left as it is. */
    check_written(t, DEP_FORMAT_TABLE, "{\"a\":\"x\\u001b[2Jy\\u009b\\u202e\\u0007\"}", false,
                  "a  x\\u001b[2Jy\\u009b\\u202e\\u0007\n");
    check_written(t, DEP_FORMAT_TABLE, "{\"a\":\"Zoë 日本\"}", false, "a  Zoë 日本\n");
    check_written(t, DEP_FORMAT_NDJSON, "{\"a\":\"\\u001b\\u202eë\"}", false, "{\"a\":\"\\u001B\\u202E\\u00EB\"}\n");
}

DEP_TEST(bytes_that_are_no_text_are_shown_as_such)
{
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);

    dep_out_clean(file, "a\xff\xc3z");
    fclose(file);
    DEP_CHECK_STR(t, dep_str_c(text), "a\\xff\\xc3z");
    free(text);
}

DEP_TEST(http_answers_have_their_exit_codes)
{
    static const struct {
        int status;
        const char *error;
        enum dep_exit exit;
    } cases[] = {
        { 200, NULL, DEP_EXIT_OK },
        { 201, NULL, DEP_EXIT_OK },
        { 204, NULL, DEP_EXIT_OK },
        { 400, NULL, DEP_EXIT_USAGE },
        { 400, "invalid_request", DEP_EXIT_USAGE },
        { 400, "invalid_scope", DEP_EXIT_AUTH },
        { 400, "invalid_target", DEP_EXIT_AUTH },
        { 400, "invalid_dpop_proof", DEP_EXIT_AUTH },
        { 400, "unauthorized_client", DEP_EXIT_AUTH },
        { 400, "unsupported_grant_type", DEP_EXIT_USAGE },
        { 400, "no_such_error", DEP_EXIT_USAGE },
        { 401, "invalid_client", DEP_EXIT_AUTH },
        { 401, NULL, DEP_EXIT_AUTH },
        { 403, NULL, DEP_EXIT_AUTH },
        { 404, NULL, DEP_EXIT_NOT_FOUND },
        { 404, "invalid_request", DEP_EXIT_NOT_FOUND },
        { 409, "invalid_request", DEP_EXIT_CONFLICT },
        { 412, NULL, DEP_EXIT_CONFLICT },
        { 413, NULL, DEP_EXIT_USAGE },
        { 429, "temporarily_unavailable", DEP_EXIT_UNAVAILABLE },
        { 500, "server_error", DEP_EXIT_GENERAL },
        { 502, NULL, DEP_EXIT_UNAVAILABLE },
        { 503, "temporarily_unavailable", DEP_EXIT_UNAVAILABLE },
        { 302, NULL, DEP_EXIT_GENERAL },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++)
        dep_test_check(t, dep_exit_of(cases[i].status, cases[i].error) == cases[i].exit, __FILE__, __LINE__, "%d %s",
                       cases[i].status, cases[i].error != NULL ? cases[i].error : "-");
}

DEP_TEST(near_words_are_found_and_far_ones_not)
{
    static const char *const words[] = { "agent", "client", "resource", "token" };

    DEP_CHECK_STR(t, dep_str_c(dep_nearest("agnet", words, 4)), "agent");
    DEP_CHECK_STR(t, dep_str_c(dep_nearest("resorce", words, 4)), "resource");
    DEP_CHECK_STR(t, dep_str_c(dep_nearest("toke", words, 4)), "token");
    DEP_CHECK(t, dep_nearest("banana", words, 4) == NULL);
    DEP_CHECK(t, dep_nearest("", words, 4) == NULL);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_list_is_a_table_json_or_lines),        DEP_ROW(an_object_is_lines_for_people),
        DEP_ROW(text_of_others_cannot_drive_a_terminal), DEP_ROW(bytes_that_are_no_text_are_shown_as_such),
        DEP_ROW(http_answers_have_their_exit_codes),     DEP_ROW(near_words_are_found_and_far_ones_not),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

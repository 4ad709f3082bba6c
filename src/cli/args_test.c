/* The command line: nouns, verbs, flags, help, what is refused and what is suggested. */
#include "cli/fixture.h"
#include "test/unit.h"

static void check_fault(struct dep_test *t, const char *line, int code, const char *error, const char *said)
{
    struct dep_cli_run run = dep_cli_run(line);
    char text[1024];

    dep_test_check(t, run.code == code, __FILE__, __LINE__, "%s: code %d, not %d", line, run.code, code);
    dep_test_check(t, run.out_len == 0, __FILE__, __LINE__, "%s: wrote a result", line);
    dep_test_check(t, strcmp(dep_cli_member(run.err, "error", text, sizeof(text)), error) == 0, __FILE__, __LINE__,
                   "%s: error %s, not %s", line, text, error);
    dep_test_check(t, strstr(run.err, said) != NULL, __FILE__, __LINE__, "%s: '%s' does not say '%s'", line, run.err,
                   said);
    dep_cli_run_done(&run);
}

static void check_out(struct dep_test *t, const char *line, const char *said)
{
    struct dep_cli_run run = dep_cli_run(line);

    dep_test_check(t, run.code == 0, __FILE__, __LINE__, "%s: code %d: %s", line, run.code, run.err);
    dep_test_check(t, strstr(run.out, said) != NULL, __FILE__, __LINE__, "%s: '%s' does not say '%s'", line, run.out,
                   said);
    dep_cli_run_done(&run);
}

DEP_TEST(help_stands_on_each_level)
{
    check_out(t, "--help", "token      tokens: get, exchange");
    check_out(t, "help", "usage: deputy NOUN VERB");
    check_out(t, "-h", "usage: deputy NOUN VERB");
    check_out(t, "agent --help", "the kill switch");
    check_out(t, "agent create --help", "--ceiling");
    check_out(t, "token get --help", "--dpop-key SOURCE");
    check_out(t, "token get --help", "never the secret itself");
    check_out(t, "explain --help", "usage: deputy explain CODE|DECISION");
    check_out(t, "--version", "deputy ");
}

DEP_TEST(every_verb_has_help_and_a_line)
{
    for (size_t i = 0; i < dep_nouns_count; i++) {
        for (size_t v = 0; v < dep_nouns[i]->verbs_count; v++) {
            const struct dep_verb *verb = &dep_nouns[i]->verbs[v];
            char line[128];

            snprintf(line, sizeof(line), "%s %s --help", dep_nouns[i]->name, verb->name != NULL ? verb->name : "");
            check_out(t, line, verb->help);
            DEP_CHECK(t, verb->run != NULL && verb->args_min <= verb->args_max);
            DEP_CHECK(t, (verb->args == NULL) == (verb->args_max == 0));
        }
    }
}

DEP_TEST(no_flag_stands_twice_in_one_verb)
{
    for (size_t i = 0; i < dep_nouns_count; i++) {
        for (size_t v = 0; v < dep_nouns[i]->verbs_count; v++) {
            const struct dep_verb *verb = &dep_nouns[i]->verbs[v];

            for (size_t f = 0; f < verb->flags_count; f++) {
                for (size_t g = 0; g < f; g++)
                    DEP_CHECK(t, strcmp(verb->flags[f].name, verb->flags[g].name) != 0);
                for (size_t g = 0; g < dep_global_flags_count; g++)
                    dep_test_check(t,
                                   strcmp(verb->flags[f].name, dep_global_flags[g].name) != 0 ||
                                       strcmp(verb->flags[f].name, "url") == 0,
                                   __FILE__, __LINE__, "%s %s --%s hides a global flag", dep_nouns[i]->name, verb->name,
                                   verb->flags[f].name);
            }
        }
    }
}

DEP_TEST(a_slip_is_answered_with_what_was_meant)
{
    check_fault(t, "agnet list", 2, "unknown_command", "did you mean deputy agent?");
    check_fault(t, "agent lsit", 2, "unknown_verb", "did you mean deputy agent list?");
    check_fault(t, "agent create --ower x", 2, "unknown_flag", "did you mean --owner?");
    check_fault(t, "token get --scop x", 2, "unknown_flag", "did you mean --scope?");
    check_fault(t, "explain DPOP_REPLY", 3, "unknown_code", "did you mean deputy explain DPOP_REPLAY?");
}

DEP_TEST(usage_errors_say_what_is_missing)
{
    check_fault(t, "", 2, "no_command", "deputy --help");
    check_fault(t, "agent", 2, "no_verb", "deputy agent --help");
    check_fault(t, "agent get", 2, "bad_arguments", "takes AGENT");
    check_fault(t, "agent list extra", 2, "bad_arguments", "takes no arguments");
    check_fault(t, "token get --secret env:X", 2, "bad_value", "--client: this flag is required");
    check_fault(t, "agent create --name", 2, "bad_value", "--name: its value is missing");
    check_fault(t, "agent create --name a --name b", 2, "bad_value", "given twice");
    check_fault(t, "audit tail --lines many", 2, "bad_value", "a number is needed");
    check_fault(t, "audit tail --lines -1", 2, "bad_value", "a number is needed");
    check_fault(t, "agent list --format xml", 2, "bad_value", "'xml' is none of auto|table|json|ndjson");
    check_fault(t, "client create --needs-dpop=maybe --agent agent:x", 2, "bad_value", "a switch is =true or =false");
    check_fault(t, "client delete ''", 2, "bad_arguments", "'' is no ID");
    check_fault(t, "key taint ..", 2, "bad_arguments", "'..' is no KID");
    check_fault(t, "client create", 2, "bad_value", "--agent or --resource");
    check_fault(t, "agent update agent:x", 2, "nothing_to_change", "at least one flag");
}

DEP_TEST(flags_may_stand_anywhere)
{
    check_out(t, "--dry-run agent suspend agent:1", "\"url\": \"http://localhost/admin/v1/agents/agent%3A1/suspend\"");
    check_out(t, "agent --dry-run suspend agent:1", "agents/agent%3A1/suspend");
    check_out(t, "agent suspend agent:1 --dry-run=true", "agents/agent%3A1/suspend");
    check_out(t, "agent suspend --dry-run -- agent:1", "agents/agent%3A1/suspend");
}

DEP_TEST(an_argument_may_start_with_a_dash)
{
    /* Token and key ids are base64url. */
    check_out(t, "key taint -Zx9_kid --dry-run", "/admin/v1/keys/-Zx9_kid/taint");
    check_out(t, "key taint --dry-run -- --x", "/admin/v1/keys/--x/taint");
    check_fault(t, "key taint --x --dry-run", 2, "unknown_flag", "has no flag --x");
}

DEP_TEST(a_dry_run_shows_the_body)
{
    check_out(t, "agent create --name a --owner o --ceiling 'https://x/api?a=b read write' --dry-run --format ndjson",
              "{\"name\":\"a\",\"owner\":\"o\",\"ceiling\":[{\"resource\":\"https://x/"
              "api?a=b\",\"scopes\":[\"read\",\"write\"]}]}");
    check_out(t, "resource create https://x/api --scopes 'a b' --scopes c --dry-run --format ndjson",
              "{\"id\":\"https://x/api\",\"name\":\"https://x/api\",\"scopes\":[\"a\",\"b\",\"c\"]}");
    check_out(t, "client create --agent agent:1 --grant token-exchange --needs-dpop --dry-run --format ndjson",
              "\"grants\":[\"urn:ietf:params:oauth:grant-type:token-exchange\"]");
    check_out(t, "client update x --enabled=false --dry-run --format ndjson", "{\"is_enabled\":false}");
    check_out(t, "resource delete https://x/a?b --dry-run", "/admin/v1/resources/https%3A%2F%2Fx%2Fa%3Fb");
}

DEP_TEST(curl_is_printed_instead_of_called)
{
    check_out(t, "agent ban agent:1 --print-curl --socket '/s o/x'", "curl -sS --unix-socket '/s o/x' -X POST");
    check_out(t, "agent list --print-curl", "'http://localhost/admin/v1/agents'");
}

DEP_TEST(nobody_at_the_socket_is_retry_later)
{
    check_fault(t, "agent list --socket /nowhere/admin.sock", 6, "NET_FETCH", "deputyd --dev");
}

DEP_TEST(plain_http_elsewhere_is_refused)
{
    check_fault(t, "token verify env:PATH --url http://192.0.2.1", 2, "plain_http", "https");
    check_fault(t, "call http://192.0.2.1/api --token env:PATH", 2, "plain_http", "nothing was sent");
    check_fault(t, "token verify env:PATH --url nonsense", 2, "bad_url", "for example");
    check_fault(t, "token verify env:PATH --url https://user@h/", 2, "bad_url", "without query, fragment and user");
}

DEP_TEST(a_fault_is_prose_on_a_terminal_and_json_elsewhere)
{
    struct dep_cli_run run = dep_cli_run_on("agnet list", true);
    json_t *json;

    DEP_CHECK(t, strstr(run.err, "deputy: 'deputy' has no command 'agnet' (unknown_command)\n") != NULL);
    DEP_CHECK(t, strstr(run.err, "  try: did you mean deputy agent?\n") != NULL);
    dep_cli_run_done(&run);
    run = dep_cli_run("agnet list");
    json = json_loads(run.err, JSON_REJECT_DUPLICATES, NULL);
    DEP_CHECK(t, json_is_array(json_object_get(json, "suggestions")));
    DEP_CHECK(t, json_is_string(json_object_get(json, "message")));
    DEP_CHECK(t, json_is_string(json_object_get(json, "doc_uri")));
    DEP_CHECK(t, run.err[run.err_len - 1] == '\n' && strchr(run.err, '\n') == run.err + run.err_len - 1);
    json_decref(json);
    dep_cli_run_done(&run);
}

DEP_TEST(explain_knows_codes_errors_checks_and_exit_codes)
{
    check_out(t, "explain DPOP_REPLAY", "\"error\": \"invalid_dpop_proof\"");
    check_out(t, "explain dpop-replay", "\"exit_code\": 4");
    check_out(t, "explain invalid_client", "\"code\": \"CLIENT_SECRET\"");
    check_out(t, "explain client_secret", "\"cite\": \"oauth-v2-1#2.4.1\"");
    check_out(t, "explain 7", "the check found something");
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(help_stands_on_each_level),
        DEP_ROW(every_verb_has_help_and_a_line),
        DEP_ROW(no_flag_stands_twice_in_one_verb),
        DEP_ROW(a_slip_is_answered_with_what_was_meant),
        DEP_ROW(usage_errors_say_what_is_missing),
        DEP_ROW(flags_may_stand_anywhere),
        DEP_ROW(an_argument_may_start_with_a_dash),
        DEP_ROW(a_dry_run_shows_the_body),
        DEP_ROW(curl_is_printed_instead_of_called),
        DEP_ROW(nobody_at_the_socket_is_retry_later),
        DEP_ROW(plain_http_elsewhere_is_refused),
        DEP_ROW(a_fault_is_prose_on_a_terminal_and_json_elsewhere),
        DEP_ROW(explain_knows_codes_errors_checks_and_exit_codes),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

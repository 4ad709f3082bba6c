/* deputy explain: a code (a reason, an OAuth error, a check, an exit code), or one decision with every check it went through. */
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/num.h"
#include "cli/audit.h"
#include "cli/http.h"
#include "cli/nouns.h"
#include "cli/out.h"
#include "guard/guard.h"
#include "proto/wire.h"

#define NAMES_MAX 256u
#define CHECKS_MAX 64u

static const struct dep_flag flags[] = {
    { "log", DEP_FLAG_TEXT, "DIR", DEP_FLAG_REPEATED, "look a decision up in this audit directory, without a server",
      0 },
};

/* --- codes --- */

static json_t *reason_json(enum dep_err reason)
{
    enum dep_class class = dep_err_class(reason);
    const struct dep_wire *wire = dep_wire_of(class);
    json_t *object = json_object();

    json_object_set_new(object, "code", json_string(dep_err_name(reason)));
    json_object_set_new(object, "text", json_string(dep_err_text(reason)));
    json_object_set_new(object, "class", json_string(dep_class_name(class)));
    json_object_set_new(object, "meaning", json_string(dep_class_text(class)));
    if (class != DEP_CLASS_DOOR) {
        json_object_set_new(object, "status", json_integer(wire->status));
        json_object_set_new(object, "error", wire->error != NULL ? json_string(wire->error) : json_null());
        json_object_set_new(object, "is_retriable", json_boolean(wire->is_retriable));
        json_object_set_new(object, "exit_code", json_integer(dep_exit_of(wire->status, wire->error)));
    }
    return object;
}

/* An OAuth error stands for many reasons: all of them. */
static json_t *reasons_of_error(const char *error)
{
    json_t *items = json_array();

    for (int i = 1; i < DEP_ERR_COUNT; i++) {
        const struct dep_wire *wire = dep_wire_of(dep_err_class((enum dep_err)i));

        if (wire->error != NULL && strcmp(wire->error, error) == 0 && dep_err_class((enum dep_err)i) != DEP_CLASS_DOOR)
            json_array_append_new(items, reason_json((enum dep_err)i));
    }
    return items;
}

static json_t *check_json(struct dep_check_info info)
{
    json_t *columns = json_array();

    for (unsigned i = 0; i < DEP_COLUMNS; i++) {
        if ((info.columns & 1u << i) != 0)
            json_array_append_new(columns, json_string(dep_column_name((enum dep_column)i)));
    }
    return json_pack("{s:s,s:s,s:s,s:o}", "check", info.name, "cite", info.cite, "text", info.text, "endpoints",
                     columns);
}

static const char *upper(struct dep_cli *cli, const char *word)
{
    char *text = dep_arena_alloc(&cli->arena, strlen(word) + 1);

    for (size_t i = 0; text != NULL && word[i] != '\0'; i++)
        text[i] = word[i] == '-' ? '_' : word[i] >= 'a' && word[i] <= 'z' ? (char)(word[i] - 'a' + 'A') : word[i];
    return text != NULL ? text : "";
}

static int unknown_code(struct dep_cli *cli, const char *word)
{
    const char *names[NAMES_MAX];
    const char *nearest;
    size_t count = 0;

    for (int i = 1; i < DEP_ERR_COUNT && count < NAMES_MAX; i++)
        names[count++] = dep_err_name((enum dep_err)i);
    nearest = dep_nearest(upper(cli, word), names, count);
    dep_cli_fail(cli, DEP_EXIT_NOT_FOUND, "unknown_code",
                 "'%s' is no reason, no OAuth error, no check and no decision id", word);
    if (nearest != NULL)
        dep_cli_suggest(cli, "did you mean deputy explain %s?", nearest);
    dep_cli_suggest(cli, "deputy audit tail shows reasons and decision ids");
    return DEP_EXIT_NOT_FOUND;
}

static int put_and_free(struct dep_cli *cli, json_t *object)
{
    dep_out_object(cli, object);
    json_decref(object);
    return DEP_EXIT_OK;
}

static int explain_code(struct dep_cli *cli, const char *word)
{
    static const struct dep_column_spec columns[] = { { "CODE", "code" }, { "STATUS", "status" }, { "TEXT", "text" } };
    enum dep_err reason = dep_err_by_name(word);
    int64_t exit;
    json_t *items;

    if (reason != DEP_ERR_COUNT)
        return put_and_free(cli, reason_json(reason));
    if (dep_is_ok(dep_num_parse(dep_str_c(word), 0, DEP_EXIT_FINDINGS, &exit)))
        return put_and_free(cli,
                            json_pack("{s:i,s:s}", "exit_code", (int)exit, "text", dep_exit_text((enum dep_exit)exit)));
    for (size_t i = 0; i < dep_check_count(); i++) {
        if (strcmp(dep_check_info(i).name, word) == 0)
            return put_and_free(cli, check_json(dep_check_info(i)));
    }
    reason = dep_err_by_name(upper(cli, word));
    if (reason != DEP_ERR_COUNT)
        return put_and_free(cli, reason_json(reason));
    items = reasons_of_error(word);
    if (json_array_size(items) == 0) {
        json_decref(items);
        return unknown_code(cli, word);
    }
    dep_out_list(cli, items, columns, DEP_CLI_COUNT(columns));
    json_decref(items);
    return DEP_EXIT_OK;
}

/* --- decisions --- */

static void add_check(json_t *checks, const char *name, const char *cite, const char *text, const char *verdict)
{
    json_array_append_new(
        checks, json_pack("{s:s,s:s,s:s,s:s}", "verdict", verdict, "check", name, "cite", cite, "text", text));
}

/* "client_credentials:00000000001ff7af": the column, and one bit for each row that ran. */
static json_t *server_checks(struct dep_str trace, const char *refused)
{
    json_t *checks = json_array();

    for (size_t i = 0; i < dep_check_count(); i++) {
        struct dep_check_info info = dep_check_info(i);

        if (dep_trace_has(trace, i))
            add_check(checks, info.name, info.cite, info.text,
                      refused != NULL && strcmp(refused, info.name) == 0 ? "refused" : "passed");
    }
    return checks;
}

/* "guard 9/17 auth-request": so many rows ran, the refusing one included. */
static json_t *guard_checks(struct dep_str trace, const char *refused)
{
    json_t *checks = json_array();
    struct dep_str rest = trace, word, number = DEP_STR_ABSENT;
    int64_t ran = 0;

    dep_str_cut(&rest, ' ', &word);
    if (dep_str_cut(&rest, ' ', &word) && dep_str_cut(&word, '/', &number) &&
        !dep_is_ok(dep_num_parse(number, 0, CHECKS_MAX, &ran)))
        ran = 0;
    for (size_t i = 0; i < dep_guard_row_count() && i < (size_t)ran; i++) {
        struct dep_guard_row_info info = dep_guard_row(i);

        add_check(checks, info.name, info.citation, "",
                  refused != NULL && strcmp(refused, info.name) == 0 ? "refused" : "passed");
    }
    return checks;
}

static json_t *checks_of(const json_t *record)
{
    struct dep_str trace = dep_str_c(json_string_value(json_object_get(record, "trace")));
    const char *refused = json_string_value(json_object_get(record, "check"));

    return dep_str_starts(trace, DEP_STR("guard ")) ? guard_checks(trace, refused) : server_checks(trace, refused);
}

static int put_decision(struct dep_cli *cli, json_t *record)
{
    static const struct dep_column_spec columns[] = {
        { "VERDICT", "verdict" },
        { "CHECK", "check" },
        { "CITATION", "cite" },
        { "WHAT", "text" },
    };
    const char *reason = json_string_value(json_object_get(record, "reason"));
    enum dep_err err = reason != NULL ? dep_err_by_name(reason) : DEP_ERR_COUNT;
    json_t *checks = checks_of(record);
    bool has_text = json_string_length(json_object_get(json_array_get(checks, 0), "text")) > 0;

    if (cli->format != DEP_FORMAT_TABLE) {
        json_t *object = json_pack("{s:O,s:o}", "record", record, "checks", checks);

        if (err != DEP_ERR_COUNT)
            json_object_set_new(object, "explanation", reason_json(err));
        return put_and_free(cli, object);
    }
    dep_out_object(cli, record);
    fputc('\n', cli->out);
    dep_out_list(cli, checks, columns, has_text ? 4 : 3);
    if (err != DEP_ERR_COUNT)
        fprintf(cli->out, "\n%s: %s\n", reason, dep_err_text(err));
    json_decref(checks);
    return DEP_EXIT_OK;
}

struct lookup {
    const char *id;
    json_t *record;
};

static bool look(void *context, const struct dep_audit_entry *entry)
{
    struct lookup *lookup = context;
    struct dep_str id;

    if (dep_is_ok(dep_json_str(DEP_JSON_GET(entry->record, "id"), &id)) && dep_str_eq_c(id, lookup->id))
        lookup->record = dep_audit_json(entry);
    return lookup->record == NULL;
}

static int explain_offline(struct dep_cli *cli, const char *id)
{
    struct lookup lookup = { id, NULL };
    int code;

    for (size_t i = 0; lookup.record == NULL && dep_audit_directory(cli, i) != NULL; i++) {
        struct dep_res res = dep_audit_walk(dep_audit_directory(cli, i), 0, look, &lookup);

        if (!dep_is_ok(res))
            return dep_cli_fail_res(cli, DEP_EXIT_NOT_FOUND, res, dep_audit_directory(cli, i));
    }
    if (lookup.record == NULL) {
        dep_cli_fail(cli, DEP_EXIT_NOT_FOUND, "not_found", "no record of decision %s in these logs", id);
        dep_cli_suggest(cli, "a guard's decisions stand in the guard's own log: --log DIR");
        return DEP_EXIT_NOT_FOUND;
    }
    code = put_decision(cli, lookup.record);
    json_decref(lookup.record);
    return code;
}

static int explain_decision(struct dep_cli *cli, const char *id)
{
    json_t *json = NULL;
    json_t *record;
    int code;

    if (dep_cli_has(cli, "log") || dep_cli_has(cli, "data"))
        return explain_offline(cli, id);
    code = dep_admin_call(cli, "GET", dep_admin_path(cli, "/admin/v1/decisions/", id, ""), NULL, &json);
    if (code == DEP_EXIT_NOT_FOUND || code == DEP_EXIT_UNAVAILABLE)
        dep_cli_suggest(cli, "a guard's decisions stand in the guard's own log: deputy explain %s --log DIR", id);
    if (code != DEP_EXIT_OK || json == NULL)
        return code;
    record = json_object_get(json, "record");
    code = put_decision(cli, record != NULL ? record : json);
    json_decref(json);
    return code;
}

static int explain(struct dep_cli *cli)
{
    const char *word = cli->args[0];

    return dep_ulid_is_valid(dep_str_c(word)) ? explain_decision(cli, word) : explain_code(cli, word);
}

static const struct dep_verb verbs[] = {
    { NULL, "CODE|DECISION", 1, 1, "what a code means, or why a decision went as it did", DEP_CLI_FLAGS(flags), explain,
      false },
};

const struct dep_noun dep_noun_explain = { "explain", "what a code means, or why a decision went as it did",
                                           DEP_CLI_FLAGS(verbs) };

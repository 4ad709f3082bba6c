/* deputy token preview: what would be issued to a client, and which line of policy allows or forbids each scope. It asks the admin API:
 * nobody's secret is needed, and nothing is issued. */
#include "cli/admin.h"
#include "cli/secret.h"
#include "cli/token.h"

static const struct dep_body_row rows[] = {
    { "client", "client", DEP_BODY_TEXT },
    { "scope", "scope", DEP_BODY_TEXT },
    { "resource", "resource", DEP_BODY_WORDS },
    { "audience", "audience", DEP_BODY_WORDS },
    { "may-act", "may_act", DEP_BODY_TEXT },
    { "task", "task_id", DEP_BODY_TEXT },
    { "parent-task", "parent_task_id", DEP_BODY_TEXT },
};

static int add_subject(struct dep_cli *cli, json_t *body)
{
    const char *source = dep_cli_get(cli, "subject-token");
    struct dep_str token;
    int code;

    if (source == NULL)
        return DEP_EXIT_OK;
    code = dep_secret_load_text(cli, source, "--subject-token", &token);
    if (code == DEP_EXIT_OK)
        json_object_set_new(body, "subject_token", json_stringn(token.ptr, token.len));
    return code;
}

/* "allowed", or what says no: "ceiling of agent:… at https://…". */
static json_t *verdict_of(struct dep_cli *cli, const json_t *scope)
{
    const char *by = json_string_value(json_object_get(scope, "by"));
    const char *who = json_string_value(json_object_get(scope, "who"));
    const char *where = json_string_value(json_object_get(scope, "where"));

    if (by == NULL)
        return json_string("allowed");
    return json_string(dep_cli_text(cli, "%s%s%s%s%s", by, who != NULL ? " of " : "", who != NULL ? who : "",
                                    where != NULL ? " at " : "", where != NULL ? where : ""));
}

static void put_tables(struct dep_cli *cli, json_t *json)
{
    static const struct dep_column_spec columns[] = { { "SCOPE", "scope" }, { "VERDICT", "verdict" } };
    json_t *scopes = json_object_get(json, "scopes"), *token = json_object_get(json, "token");
    json_t *scope;
    size_t i;

    json_array_foreach(scopes, i, scope)
    {
        json_object_set_new(scope, "verdict", verdict_of(cli, scope));
    }
    if (json_array_size(scopes) > 0)
        dep_out_list(cli, scopes, columns, DEP_CLI_COUNT(columns));
    if (token != NULL) {
        fputs("\nThis would be issued:\n", cli->out);
        dep_out_object(cli, token);
        return;
    }
    fprintf(cli->out,
            "\nNothing would be issued. %s, by the check %s: ", json_string_value(json_object_get(json, "reason")),
            json_string_value(json_object_get(json, "check")));
    dep_out_clean(cli->out, json_string_value(json_object_get(json, "detail")));
    fputc('\n', cli->out);
}

int dep_token_verb_preview(struct dep_cli *cli)
{
    json_t *body = json_object(), *json = NULL;
    int code = add_subject(cli, body);
    bool would_issue;

    dep_body_add(cli, body, rows, DEP_CLI_COUNT(rows));
    if (code != DEP_EXIT_OK) {
        json_decref(body);
        return code;
    }
    code = dep_admin_call(cli, "POST", "/admin/v1/preview", body, &json);
    if (code != DEP_EXIT_OK || json == NULL)
        return code;
    would_issue = json_is_true(json_object_get(json, "would_issue"));
    if (cli->format == DEP_FORMAT_TABLE)
        put_tables(cli, json);
    else
        dep_out_object(cli, json);
    json_decref(json);
    return would_issue ? DEP_EXIT_OK : DEP_EXIT_AUTH;
}

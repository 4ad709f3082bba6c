/* deputy resource: the protected APIs and MCP servers that tokens are for. */
#include "cli/admin.h"
#include "cli/nouns.h"

#define RESOURCES "/admin/v1/resources"

#define SHARED_FLAGS                                                                                                  \
    { "name", DEP_FLAG_TEXT, "NAME", 0, "what people call it", 0 },                                                   \
        { "scopes", DEP_FLAG_TEXT, "\"SCOPE…\"", DEP_FLAG_REPEATED, "every scope it knows", 0 },                      \
        { "default-scopes", DEP_FLAG_TEXT, "\"SCOPE…\"", DEP_FLAG_REPEATED, "granted when a request names none", 0 }, \
        { "needs-dpop", DEP_FLAG_SWITCH, NULL, 0, "tokens for it only with a DPoP proof", 0 },                        \
    {                                                                                                                 \
        "token-lifetime-s", DEP_FLAG_NUMBER, "SECONDS", 0, "shorter than the server's", 0                             \
    }

static const struct dep_flag create_flags[] = { SHARED_FLAGS };
static const struct dep_flag update_flags[] = {
    SHARED_FLAGS,
    { "enabled", DEP_FLAG_SWITCH, NULL, 0, "--enabled=false turns the resource off", 0 },
};

static const struct dep_body_row rows[] = {
    { "name", "name", DEP_BODY_TEXT },
    { "scopes", "scopes", DEP_BODY_WORDS },
    { "default-scopes", "default_scopes", DEP_BODY_WORDS },
    { "needs-dpop", "needs_dpop", DEP_BODY_SWITCH },
    { "token-lifetime-s", "token_lifetime_s", DEP_BODY_NUMBER },
    { "enabled", "is_enabled", DEP_BODY_SWITCH },
};

static const struct dep_column_spec columns[] = {
    { "ID", "id" }, { "NAME", "name" }, { "SCOPES", "scopes" }, { "DPOP", "needs_dpop" }, { "ENABLED", "is_enabled" },
};

static const char *path_of(struct dep_cli *cli)
{
    return dep_admin_path(cli, RESOURCES "/", cli->args[0], "");
}

static int create(struct dep_cli *cli)
{
    json_t *body;

    if (!dep_cli_has(cli, "scopes")) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--scopes: this flag is required");
        dep_cli_suggest(cli, "deputy resource create %s --scopes \"read write\"", cli->args[0]);
        return DEP_EXIT_USAGE;
    }
    body = json_object();
    json_object_set_new(body, "id", json_string(cli->args[0]));
    json_object_set_new(body, "name", json_string(cli->args[0]));
    dep_body_add(cli, body, rows, DEP_CLI_COUNT(rows));
    return dep_admin_object(cli, "POST", RESOURCES, body);
}

static int list(struct dep_cli *cli)
{
    return dep_admin_list(cli, RESOURCES, columns, DEP_CLI_COUNT(columns));
}

static int get(struct dep_cli *cli)
{
    return dep_admin_object(cli, "GET", path_of(cli), NULL);
}

static int update(struct dep_cli *cli)
{
    json_t *body = json_object();
    int code;

    dep_body_add(cli, body, rows, DEP_CLI_COUNT(rows));
    code = dep_body_check_some(cli, body);
    return code == DEP_EXIT_OK ? dep_admin_object(cli, "PATCH", path_of(cli), body) : code;
}

static int delete (struct dep_cli *cli)
{
    return dep_admin_object(cli, "DELETE", path_of(cli), NULL);
}

static const struct dep_verb verbs[] = {
    { "create", "URI", 1, 1, "register a resource; --scopes is required", DEP_CLI_FLAGS(create_flags), create, false },
    { "list", NULL, 0, 0, "all resources", NULL, 0, list, false },
    { "get", "URI", 1, 1, "one resource", NULL, 0, get, false },
    { "update", "URI", 1, 1, "change name, scopes, DPoP duty, lifetime, or turn it off", DEP_CLI_FLAGS(update_flags),
      update, false },
    { "delete", "URI", 1, 1, "remove a resource", NULL, 0, delete, false },
};

const struct dep_noun dep_noun_resource = { "resource", "resources: the APIs and MCP servers that tokens are for",
                                            DEP_CLI_FLAGS(verbs) };

/* deputy grant: what users consented to - which agent may act for whom, by which program - and its end. */
#include "cli/admin.h"
#include "cli/nouns.h"

#define GRANTS "/admin/v1/grants"

static const struct dep_column_spec columns[] = {
    { "ID", "id" },       { "USER", "user" },           { "AGENT", "agent" },
    { "SCOPE", "scope" }, { "RESOURCES", "resources" }, { "EXPIRES", "expires" },
};

static int list(struct dep_cli *cli)
{
    return dep_admin_list(cli, GRANTS, columns, DEP_CLI_COUNT(columns));
}

static int get(struct dep_cli *cli)
{
    return dep_admin_object(cli, "GET", dep_admin_path(cli, GRANTS "/", cli->args[0], ""), NULL);
}

static int revoke(struct dep_cli *cli)
{
    return dep_admin_object(cli, "POST", dep_admin_path(cli, GRANTS "/", cli->args[0], "/revoke"), json_object());
}

static const struct dep_verb verbs[] = {
    { "list", NULL, 0, 0, "consents that can be renewed from", NULL, 0, list, false },
    { "get", "ID", 1, 1, "one of them", NULL, 0, get, false },
    { "revoke", "ID", 1, 1, "end it: its refresh token, its access tokens, and all that grew from them", NULL, 0,
      revoke, false },
};

const struct dep_noun dep_noun_grant = { "grant", "grants: what users consented to", DEP_CLI_FLAGS(verbs) };

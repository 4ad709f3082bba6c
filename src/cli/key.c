/* deputy key: the server's signing keys. A key is prepared (published, not used), active (signs), retired (verifies only until its last
 * token is dead) or tainted (verifies nothing). */
#include "cli/admin.h"
#include "cli/nouns.h"

#define KEYS "/admin/v1/keys"

static const struct dep_flag prepare_flags[] = {
    { "alg", DEP_FLAG_CHOICE, "ES256|EdDSA|RS256|PS256", 0, "default ES256", 0 },
};

static const struct dep_column_spec columns[] = {
    { "KID", "kid" }, { "ALG", "alg" }, { "STATE", "state" }, { "CREATED", "created" }, { "RETIRED", "retired" },
};

static int list(struct dep_cli *cli)
{
    return dep_admin_list(cli, KEYS, columns, DEP_CLI_COUNT(columns));
}

static int prepare(struct dep_cli *cli)
{
    const char *alg = dep_cli_get(cli, "alg");

    return dep_admin_object(cli, "POST", KEYS, json_pack("{s:s}", "alg", alg != NULL ? alg : "ES256"));
}

static int on_key(struct dep_cli *cli, const char *tail)
{
    return dep_admin_object(cli, "POST", dep_admin_path(cli, KEYS "/", cli->args[0], tail), json_object());
}

static int activate(struct dep_cli *cli)
{
    return on_key(cli, "/activate");
}

static int retire(struct dep_cli *cli)
{
    return on_key(cli, "/retire");
}

static int taint(struct dep_cli *cli)
{
    return on_key(cli, "/taint");
}

static const struct dep_verb verbs[] = {
    { "list", NULL, 0, 0, "all signing keys", NULL, 0, list, false },
    { "prepare", NULL, 0, 0, "make the next key: published, not signing yet", DEP_CLI_FLAGS(prepare_flags), prepare,
      false },
    { "activate", "KID", 1, 1, "sign with it from now on", NULL, 0, activate, false },
    { "retire", "KID", 1, 1, "sign no more, verify on", NULL, 0, retire, false },
    { "taint", "KID", 1, 1, "it may be known to others: everything it signed is dead", NULL, 0, taint, false },
    /* A key has no other end that takes its tokens along: whoever looks for it by this name finds it. */
    { "revoke", "KID", 1, 1, "the same as taint", NULL, 0, taint, false },
};

const struct dep_noun dep_noun_key = { "key", "the server's signing keys", DEP_CLI_FLAGS(verbs) };

/* deputy issuer: foreign issuers whose tokens this server takes for something: users to act for, ID-JAGs, workloads; and
 * those that take grants of ours. */
#include <string.h>

#include "cli/admin.h"
#include "cli/nouns.h"

#define ISSUERS "/admin/v1/issuers"

#define SHARED_FLAGS                                                                                                   \
    { "use",                                                                                                           \
      DEP_FLAG_CHOICE,                                                                                                 \
      "subject|id-jag|workload|target|access-token|login",                                                             \
      DEP_FLAG_REPEATED,                                                                                               \
      "what its tokens may be",                                                                                        \
      0 },                                                                                                             \
        { "audience", DEP_FLAG_TEXT, "AUD", DEP_FLAG_REPEATED, "an aud that is good beside this server's", 0 },        \
        { "jwks-uri", DEP_FLAG_TEXT, "URI", 0, "its keys; without it they are discovered", 0 },                        \
        { "jwks", DEP_FLAG_TEXT, "FILE", 0, "or its keys in a file: a JWK Set", 0 },                                   \
        { "ceiling", DEP_FLAG_TEXT, "\"URI SCOPE…\"", DEP_FLAG_REPEATED, "the most its users may hand on", 0 },        \
        { "agent", DEP_FLAG_TEXT, "AGENT", DEP_FLAG_REPEATED, "to whom; default every agent of the organisation", 0 }, \
        { "require",                                                                                                   \
          DEP_FLAG_TEXT,                                                                                               \
          "CLAIM=VALUE",                                                                                               \
          DEP_FLAG_REPEATED,                                                                                           \
          "what its users' tokens must say; none takes it back",                                                       \
          0 },                                                                                                         \
        { "claim-ceiling",                                                                                             \
          DEP_FLAG_TEXT,                                                                                               \
          "\"CLAIM=VALUE URI SCOPE…\"",                                                                                \
          DEP_FLAG_REPEATED,                                                                                           \
          "users may hand on only what such rows give; none takes them back",                                          \
          0 },                                                                                                         \
        { "target-client",                                                                                             \
          DEP_FLAG_TEXT,                                                                                               \
          "\"CLIENT NAME\"",                                                                                           \
          DEP_FLAG_REPEATED,                                                                                           \
          "a client of ours that it knows by this name",                                                               \
          0 },                                                                                                         \
        { "target-scope", DEP_FLAG_TEXT, "SCOPE", DEP_FLAG_REPEATED, "what a grant for it may carry", 0 },             \
        { "target-resource", DEP_FLAG_TEXT, "\"URI SCOPE…\"", DEP_FLAG_REPEATED, "the same for a resource there", 0 }, \
        { "rule",                                                                                                      \
          DEP_FLAG_TEXT,                                                                                               \
          "\"CLIENT CLAIM=VALUE…\"",                                                                                   \
          DEP_FLAG_REPEATED,                                                                                           \
          "which workload is which client; /a/b is a path of claims",                                                  \
          0 },                                                                                                         \
        { "lifetime-max-s", DEP_FLAG_NUMBER, "SECONDS", 0, "tokens that live longer are refused", 0 },                 \
    {                                                                                                                  \
        "single-use", DEP_FLAG_SWITCH, NULL, 0, "each of its tokens is good once", 0                                   \
    }

static const struct dep_flag create_flags[] = {
    SHARED_FLAGS,
    { "name", DEP_FLAG_TEXT, "NAME", 0, "part of its users' names: user:NAME:SUB; stays", 0 },
    { "org", DEP_FLAG_TEXT, "ORG", 0, "the organisation of its users; stays", 0 },
    { "subject-claim", DEP_FLAG_TEXT, "CLAIM", 0, "names a user in place of sub; stays", 0 },
};

static const struct dep_flag update_flags[] = {
    SHARED_FLAGS,
    { "enabled", DEP_FLAG_SWITCH, NULL, 0, "--enabled=false ends the trust", 0 },
};

static const struct dep_body_row rows[] = {
    { "name", "name", DEP_BODY_TEXT },
    { "org", "org", DEP_BODY_TEXT },
    { "jwks-uri", "jwks_uri", DEP_BODY_TEXT },
    { "subject-claim", "subject_claim", DEP_BODY_TEXT },
    { "lifetime-max-s", "lifetime_max_s", DEP_BODY_NUMBER },
    { "single-use", "is_single_use", DEP_BODY_SWITCH },
    { "enabled", "is_enabled", DEP_BODY_SWITCH },
};

static const struct dep_column_spec columns[] = {
    { "ID", "id" },     { "NAME", "name" },       { "ORG", "org" },
    { "USES", "uses" }, { "CEILING", "ceiling" }, { "ENABLED", "is_enabled" },
};

static const char *path_of(struct dep_cli *cli)
{
    return dep_admin_path(cli, ISSUERS "/", cli->args[0], "");
}

static void add_list(const struct dep_cli *cli, json_t *body, const char *flag, const char *member)
{
    json_t *list;

    if (!dep_cli_has(cli, flag))
        return;
    list = json_array();
    for (size_t i = 0; dep_cli_get_nth(cli, flag, i) != NULL; i++)
        json_array_append_new(list, json_string(dep_cli_get_nth(cli, flag, i)));
    json_object_set_new(body, member, list);
}

/* "CLIENT CLAIM=VALUE CLAIM=VALUE". */
static int add_rules(struct dep_cli *cli, json_t *body)
{
    json_t *rules = json_array();

    for (size_t i = 0; dep_cli_get_nth(cli, "rule", i) != NULL; i++) {
        struct dep_str rest = dep_str_c(dep_cli_get_nth(cli, "rule", i)), word, name;
        json_t *rule = json_object(), *claims = json_object();

        json_object_set_new(rule, "claims", claims);
        json_array_append_new(rules, rule);
        while (dep_str_cut(&rest, ' ', &word)) {
            if (word.len == 0)
                continue;
            if (json_object_get(rule, "client") == NULL) {
                json_object_set_new(rule, "client", json_stringn(word.ptr, word.len));
                continue;
            }
            if (!dep_str_has(word, '=') || !dep_str_cut(&word, '=', &name)) {
                json_decref(rules);
                return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--rule: CLAIM=VALUE is wanted after the client");
            }
            json_object_setn_new(claims, name.ptr, name.len, json_stringn(word.ptr, word.len));
        }
    }
    if (json_array_size(rules) > 0)
        json_object_set(body, "rules", rules);
    json_decref(rules);
    return DEP_EXIT_OK;
}

/* "CLAIM=VALUE" into `claims`. A name may have dots and slashes, never '='. */
static bool add_claim(json_t *claims, struct dep_str text)
{
    struct dep_str name;

    if (!dep_str_has(text, '=') || !dep_str_cut(&text, '=', &name) || name.len == 0 || text.len == 0)
        return false;
    json_object_setn_new(claims, name.ptr, name.len, json_stringn(text.ptr, text.len));
    return true;
}

/* "none" as the only value takes away what the record has. */
static bool is_none(const struct dep_cli *cli, const char *flag)
{
    return dep_cli_has(cli, flag) && strcmp(dep_cli_get(cli, flag), "none") == 0 &&
           dep_cli_get_nth(cli, flag, 1) == NULL;
}

static int add_required(struct dep_cli *cli, json_t *body)
{
    json_t *claims;

    if (is_none(cli, "require")) {
        json_object_set_new(body, "required_claims", json_null());
        return DEP_EXIT_OK;
    }
    claims = json_object();
    for (size_t i = 0; dep_cli_get_nth(cli, "require", i) != NULL; i++)
        if (!add_claim(claims, dep_str_c(dep_cli_get_nth(cli, "require", i)))) {
            json_decref(claims);
            return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--require: CLAIM=VALUE is wanted");
        }
    if (json_object_size(claims) > 0)
        json_object_set(body, "required_claims", claims);
    json_decref(claims);
    return DEP_EXIT_OK;
}

/* "CLAIM=VALUE URI SCOPE…": the value may have blanks and ends before the first word that is a URI. */
static int add_claim_ceilings(struct dep_cli *cli, json_t *body)
{
    json_t *ceilings;

    if (is_none(cli, "claim-ceiling")) {
        json_object_set_new(body, "claim_ceilings", json_null());
        return DEP_EXIT_OK;
    }
    ceilings = json_array();
    for (size_t i = 0; dep_cli_get_nth(cli, "claim-ceiling", i) != NULL; i++) {
        const char *text = dep_cli_get_nth(cli, "claim-ceiling", i), *equals = strchr(text, '=');
        const char *uri = equals == NULL ? NULL : strstr(equals, "://");
        json_t *row = json_object(), *claims = json_object();

        while (uri != NULL && uri > equals && *uri != ' ')
            uri--;
        json_array_append_new(ceilings, row);
        json_object_set_new(row, "claims", claims);
        if (uri == NULL || uri == equals || !add_claim(claims, dep_str(text, (size_t)(uri - text)))) {
            json_decref(ceilings);
            return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value",
                                "--claim-ceiling: CLAIM=VALUE is wanted, then a resource and its scopes");
        }
        json_object_set_new(row, "ceiling", json_pack("[o]", dep_body_right(dep_str_c(uri))));
    }
    if (json_array_size(ceilings) > 0)
        json_object_set(body, "claim_ceilings", ceilings);
    json_decref(ceilings);
    return DEP_EXIT_OK;
}

static int add_agents(struct dep_cli *cli, json_t *body)
{
    json_t *agents = NULL;
    int code = dep_body_agents(cli, "agent", &agents);

    if (code == DEP_EXIT_OK && json_array_size(agents) > 0)
        json_object_set(body, "agents", agents);
    json_decref(agents);
    return code;
}

/* "CLIENT NAME" each. */
static int add_target_clients(struct dep_cli *cli, json_t *clients)
{
    for (size_t i = 0; dep_cli_get_nth(cli, "target-client", i) != NULL; i++) {
        struct dep_str name = dep_str_c(dep_cli_get_nth(cli, "target-client", i)), client;

        if (!dep_str_has(name, ' ') || !dep_str_cut(&name, ' ', &client))
            return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value",
                                "--target-client: our client and its name there are wanted, with a blank between");
        json_array_append_new(
            clients, json_pack("{s:s%,s:s%}", "client", client.ptr, client.len, "client_id", name.ptr, name.len));
    }
    return DEP_EXIT_OK;
}

static int add_target(struct dep_cli *cli, json_t *body)
{
    json_t *target, *clients;

    if (!dep_cli_has(cli, "target-client") && !dep_cli_has(cli, "target-scope") && !dep_cli_has(cli, "target-resource"))
        return DEP_EXIT_OK;
    target = json_object();
    clients = json_array();
    json_object_set_new(target, "clients", clients);
    add_list(cli, target, "target-scope", "scopes");
    json_object_set_new(target, "resources", dep_body_rights(cli, "target-resource"));
    json_object_set_new(body, "target", target);
    return add_target_clients(cli, clients);
}

/* All that create and update share. The body is freed when a flag is faulty. */
static int fill(struct dep_cli *cli, json_t *body)
{
    int code;

    dep_body_add(cli, body, rows, DEP_CLI_COUNT(rows));
    add_list(cli, body, "use", "uses");
    add_list(cli, body, "audience", "audiences");
    if (dep_cli_has(cli, "ceiling"))
        dep_body_add_ceiling(cli, body);
    code = add_rules(cli, body);
    if (code == DEP_EXIT_OK)
        code = add_target(cli, body);
    if (code == DEP_EXIT_OK)
        code = add_required(cli, body);
    if (code == DEP_EXIT_OK)
        code = add_claim_ceilings(cli, body);
    if (code == DEP_EXIT_OK)
        code = add_agents(cli, body);
    if (code == DEP_EXIT_OK)
        code = dep_body_add_jwks(cli, body);
    if (code != DEP_EXIT_OK)
        json_decref(body);
    return code;
}

static int create(struct dep_cli *cli)
{
    json_t *body;
    int code;

    if (!dep_cli_has(cli, "name") || !dep_cli_has(cli, "use")) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--%s: this flag is required",
                     dep_cli_has(cli, "name") ? "use" : "name");
        dep_cli_suggest(cli, "deputy issuer create %s --name corp --use subject --ceiling \"URI SCOPE…\"",
                        cli->args[0]);
        return DEP_EXIT_USAGE;
    }
    body = json_object();
    json_object_set_new(body, "id", json_string(cli->args[0]));
    code = fill(cli, body);
    return code == DEP_EXIT_OK ? dep_admin_object(cli, "POST", ISSUERS, body) : code;
}

static int list(struct dep_cli *cli)
{
    return dep_admin_list(cli, ISSUERS, columns, DEP_CLI_COUNT(columns));
}

static int get(struct dep_cli *cli)
{
    return dep_admin_object(cli, "GET", path_of(cli), NULL);
}

static int update(struct dep_cli *cli)
{
    json_t *body = json_object();
    int code = fill(cli, body);

    if (code != DEP_EXIT_OK)
        return code;
    code = dep_body_check_some(cli, body);
    return code == DEP_EXIT_OK ? dep_admin_object(cli, "PATCH", path_of(cli), body) : code;
}

static int delete (struct dep_cli *cli)
{
    return dep_admin_object(cli, "DELETE", path_of(cli), NULL);
}

static const struct dep_verb verbs[] = {
    { "create", "ISSUER", 1, 1, "trust an issuer; --name and --use are required", DEP_CLI_FLAGS(create_flags), create,
      false },
    { "list", NULL, 0, 0, "all trusted issuers", NULL, 0, list, false },
    { "get", "ISSUER", 1, 1, "one issuer", NULL, 0, get, false },
    { "update", "ISSUER", 1, 1, "change what it is trusted for, its keys, or end the trust",
      DEP_CLI_FLAGS(update_flags), update, false },
    { "delete", "ISSUER", 1, 1, "forget an issuer", NULL, 0, delete, false },
};

const struct dep_noun dep_noun_issuer = { "issuer", "trusted foreign issuers: identity providers, platforms, deputies",
                                          DEP_CLI_FLAGS(verbs) };

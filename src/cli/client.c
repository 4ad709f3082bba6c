/* deputy client: the OAuth clients by which agents and guards authenticate. */
#include <string.h>
#include <time.h>

#include "cli/admin.h"
#include "cli/nouns.h"
#include "cli/secret.h"

#define CLIENTS "/admin/v1/clients"
#define GRANT_TYPE "urn:ietf:params:oauth:grant-type:%s"

#define SHARED_FLAGS                                                                                               \
    { "name", DEP_FLAG_TEXT, "NAME", 0, "what people call it", 0 },                                                \
        { "jwks",                                                                                                  \
          DEP_FLAG_TEXT,                                                                                           \
          "FILE",                                                                                                  \
          0,                                                                                                       \
          "public keys for private_key_jwt or self_signed_tls_client_auth: a JWK or a JWK Set",                    \
          0 },                                                                                                     \
        { "needs-dpop", DEP_FLAG_SWITCH, NULL, 0, "tokens only with a DPoP proof", 0 },                            \
        { "needs-certificate", DEP_FLAG_SWITCH, NULL, 0, "tokens only bound to the client's TLS certificate", 0 }, \
        { "tls-subject-dn",                                                                                        \
          DEP_FLAG_TEXT,                                                                                           \
          "DN",                                                                                                    \
          0,                                                                                                       \
          "tls_client_auth: by the subject of its certificate, as RFC 4514 writes it",                             \
          0 },                                                                                                     \
        { "tls-san-dns", DEP_FLAG_TEXT, "NAME", 0, "or by a DNS name in it", 0 },                                  \
        { "tls-san-uri", DEP_FLAG_TEXT, "URI", 0, "or by a URI in it", 0 },                                        \
        { "tls-san-ip", DEP_FLAG_TEXT, "ADDRESS", 0, "or by an IP address in it", 0 },                             \
        { "tls-san-email", DEP_FLAG_TEXT, "ADDRESS", 0, "or by a mail address in it", 0 },                         \
    {                                                                                                              \
        "default-resource", DEP_FLAG_TEXT, "URI", 0, "used when a request names no resource", 0                    \
    }

static const struct dep_flag create_flags[] = {
    SHARED_FLAGS,
    { "agent", DEP_FLAG_TEXT, "AGENT", 0, "the agent it acts for, by id or name", 0 },
    { "resource", DEP_FLAG_TEXT, "URI", 0, "or the resource that it guards", 0 },
    { "auth", DEP_FLAG_CHOICE,
      "client_secret_basic|client_secret_post|private_key_jwt|tls_client_auth|self_signed_tls_client_auth|workload_jwt|"
      "none",
      0, "default client_secret_basic; none for a program on users' computers", 0 },
    { "grant", DEP_FLAG_CHOICE, "client_credentials|token-exchange|jwt-bearer|authorization_code|refresh_token",
      DEP_FLAG_REPEATED, "default the first two for an agent's client", 0 },
    { "redirect-uri", DEP_FLAG_TEXT, "URI", DEP_FLAG_REPEATED,
      "where browsers go back to after a user's answer; with authorization_code", 0 },
    { "expires-in", DEP_FLAG_NUMBER, "SECONDS", 0, "an ephemeral instance of the agent, which ends by itself", 0 },
    { "may-introspect-any", DEP_FLAG_SWITCH, NULL, 0, "introspection of tokens for other audiences", 0 },
    { "secret-out", DEP_FLAG_TEXT, "FILE", 0, "write the secret there, mode 0600, instead of showing it", 0 },
};

static const struct dep_flag update_flags[] = {
    SHARED_FLAGS,
    { "enabled", DEP_FLAG_SWITCH, NULL, 0, "--enabled=false turns the client off", 0 },
};

static const struct dep_flag rotate_flags[] = {
    { "overlap-s", DEP_FLAG_NUMBER, "SECONDS", 0, "how long the old secret still works", 0 },
    { "secret-out", DEP_FLAG_TEXT, "FILE", 0, "write the secret there, mode 0600, instead of showing it", 0 },
};

static const struct dep_body_row rows[] = {
    { "name", "name", DEP_BODY_TEXT },
    { "auth", "auth", DEP_BODY_TEXT },
    { "resource", "resource", DEP_BODY_TEXT },
    { "default-resource", "default_resource", DEP_BODY_TEXT },
    { "needs-dpop", "needs_dpop", DEP_BODY_SWITCH },
    { "needs-certificate", "needs_certificate", DEP_BODY_SWITCH },
    { "may-introspect-any", "may_introspect_any", DEP_BODY_SWITCH },
    { "tls-subject-dn", "tls_client_auth_subject_dn", DEP_BODY_TEXT },
    { "tls-san-dns", "tls_client_auth_san_dns", DEP_BODY_TEXT },
    { "tls-san-uri", "tls_client_auth_san_uri", DEP_BODY_TEXT },
    { "tls-san-ip", "tls_client_auth_san_ip", DEP_BODY_TEXT },
    { "tls-san-email", "tls_client_auth_san_email", DEP_BODY_TEXT },
    { "enabled", "is_enabled", DEP_BODY_SWITCH },
    { "overlap-s", "overlap_s", DEP_BODY_NUMBER },
};

static const struct dep_column_spec columns[] = {
    { "ID", "id" },     { "NAME", "name" },          { "AGENT", "agent" }, { "RESOURCE", "resource" },
    { "AUTH", "auth" }, { "ENABLED", "is_enabled" },
};

static void add_grants(const struct dep_cli *cli, json_t *body)
{
    json_t *grants = json_array();

    for (size_t i = 0; dep_cli_get_nth(cli, "grant", i) != NULL; i++) {
        const char *grant = dep_cli_get_nth(cli, "grant", i);

        json_array_append_new(grants,
                              strchr(grant, '_') != NULL ? json_string(grant) : json_sprintf(GRANT_TYPE, grant));
    }
    if (json_array_size(grants) > 0)
        json_object_set(body, "grants", grants);
    json_decref(grants);
}

static void add_redirect_uris(const struct dep_cli *cli, json_t *body)
{
    json_t *uris = json_array();

    for (size_t i = 0; dep_cli_get_nth(cli, "redirect-uri", i) != NULL; i++)
        json_array_append_new(uris, json_string(dep_cli_get_nth(cli, "redirect-uri", i)));
    if (json_array_size(uris) > 0)
        json_object_set(body, "redirect_uris", uris);
    json_decref(uris);
}

/* Prints an answer that may hold a secret, which is shown once or goes to a file. */
static int put_with_secret(struct dep_cli *cli, json_t *json)
{
    const char *path = dep_cli_get(cli, "secret-out");
    const char *secret = json_string_value(json_object_get(json, "client_secret"));
    int code = DEP_EXIT_OK;

    if (secret != NULL && path != NULL) {
        code = dep_secret_save(cli, path, dep_secret_of(dep_str_c(secret)), false);
        if (code == DEP_EXIT_OK)
            json_object_set_new(json, "client_secret", json_string(dep_cli_text(cli, "file:%s", path)));
        else
            dep_cli_suggest(cli, "deputy client rotate-secret %s --secret-out FILE",
                            json_string_value(json_object_get(json, "id")) != NULL
                                ? json_string_value(json_object_get(json, "id"))
                                : "ID");
    }
    if (code != DEP_EXIT_OK)
        return code;
    dep_out_object(cli, json);
    if (secret != NULL && path == NULL && cli->err_is_terminal && !cli->is_quiet)
        fputs("The secret is shown this once and kept nowhere; store it now.\n", cli->err);
    return DEP_EXIT_OK;
}

static int call_with_secret(struct dep_cli *cli, const char *path, json_t *body)
{
    json_t *json = NULL;
    int code = dep_admin_call(cli, "POST", path, body, &json);

    if (code == DEP_EXIT_OK && json != NULL)
        code = put_with_secret(cli, json);
    json_decref(json);
    return code;
}

static int create(struct dep_cli *cli)
{
    const char *agent = dep_cli_get(cli, "agent");
    json_t *body;
    int code;

    if ((agent != NULL) == dep_cli_has(cli, "resource")) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value",
                     "a client acts for an agent or guards a resource: give --agent or --resource");
        dep_cli_suggest(cli, "deputy client create --help");
        return DEP_EXIT_USAGE;
    }
    if (agent != NULL) {
        code = dep_admin_agent_id(cli, agent, &agent);
        if (code != DEP_EXIT_OK)
            return code;
    }
    body = json_object();
    dep_body_add(cli, body, rows, DEP_CLI_COUNT(rows));
    if (agent != NULL)
        json_object_set_new(body, "agent", json_string(agent));
    if (!dep_cli_has(cli, "auth"))
        json_object_set_new(body, "auth", json_string("client_secret_basic"));
    if (!dep_cli_has(cli, "name"))
        json_object_set_new(body, "name", json_string(dep_cli_has(cli, "agent") ? dep_cli_get(cli, "agent") : "guard"));
    add_grants(cli, body);
    add_redirect_uris(cli, body);
    if (dep_cli_has(cli, "expires-in"))
        json_object_set_new(body, "expires",
                            json_integer((json_int_t)time(NULL) + dep_cli_number(cli, "expires-in", 0)));
    code = dep_body_add_jwks(cli, body);
    if (code != DEP_EXIT_OK) {
        json_decref(body);
        return code;
    }
    return call_with_secret(cli, CLIENTS, body);
}

static int list(struct dep_cli *cli)
{
    return dep_admin_list(cli, CLIENTS, columns, DEP_CLI_COUNT(columns));
}

static int get(struct dep_cli *cli)
{
    return dep_admin_object(cli, "GET", dep_admin_path(cli, CLIENTS "/", cli->args[0], ""), NULL);
}

/* A client is known by one name: a new one takes the place of the old one, whatever kind that was. */
static void replace_tls_name(json_t *body)
{
    bool has_name = false;

    for (size_t i = 0; i < DEP_CLI_COUNT(rows); i++)
        has_name |= strncmp(rows[i].flag, "tls-", 4) == 0 && json_object_get(body, rows[i].member) != NULL;
    for (size_t i = 0; has_name && i < DEP_CLI_COUNT(rows); i++)
        if (strncmp(rows[i].flag, "tls-", 4) == 0 && json_object_get(body, rows[i].member) == NULL)
            json_object_set_new(body, rows[i].member, json_null());
}

static int update(struct dep_cli *cli)
{
    json_t *body = json_object();
    int code;

    dep_body_add(cli, body, rows, DEP_CLI_COUNT(rows));
    replace_tls_name(body);
    code = dep_body_add_jwks(cli, body);
    if (code != DEP_EXIT_OK) {
        json_decref(body);
        return code;
    }
    code = dep_body_check_some(cli, body);
    return code == DEP_EXIT_OK
               ? dep_admin_object(cli, "PATCH", dep_admin_path(cli, CLIENTS "/", cli->args[0], ""), body)
               : code;
}

static int rotate(struct dep_cli *cli)
{
    json_t *body = json_object();

    dep_body_add(cli, body, rows, DEP_CLI_COUNT(rows));
    return call_with_secret(cli, dep_admin_path(cli, CLIENTS "/", cli->args[0], "/rotate-secret"), body);
}

static int delete (struct dep_cli *cli)
{
    return dep_admin_object(cli, "DELETE", dep_admin_path(cli, CLIENTS "/", cli->args[0], ""), NULL);
}

static const struct dep_verb verbs[] = {
    { "create", NULL, 0, 0, "register a client; its secret is shown once", DEP_CLI_FLAGS(create_flags), create, false },
    { "list", NULL, 0, 0, "all clients", NULL, 0, list, false },
    { "get", "ID", 1, 1, "one client", NULL, 0, get, false },
    { "update", "ID", 1, 1,
      "change name, keys, the name in its certificate, what its tokens are bound to, default resource, or turn it off",
      DEP_CLI_FLAGS(update_flags), update, false },
    { "rotate-secret", "ID", 1, 1, "a new secret; the old one works on for a while", DEP_CLI_FLAGS(rotate_flags),
      rotate, false },
    { "delete", "ID", 1, 1, "remove a client; its tokens die with it", NULL, 0, delete, false },
};

const struct dep_noun dep_noun_client = { "client", "clients: how agents and guards authenticate",
                                          DEP_CLI_FLAGS(verbs) };

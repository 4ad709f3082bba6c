/* Shared by agent, client, resource and key. */
#include "cli/admin.h"

#include <string.h>

#define NAMES_MAX 256

static void add_words(json_t *list, struct dep_str text)
{
    struct dep_str word;

    while (dep_str_cut(&text, ' ', &word)) {
        if (word.len > 0)
            json_array_append_new(list, json_stringn(word.ptr, word.len));
    }
}

void dep_body_add(const struct dep_cli *cli, json_t *body, const struct dep_body_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = dep_cli_get(cli, rows[i].flag);
        json_t *value = NULL;

        if (text == NULL)
            continue;
        switch (rows[i].kind) {
        case DEP_BODY_TEXT:
            value = json_string(text);
            break;
        case DEP_BODY_SWITCH:
            value = json_boolean(dep_cli_is_on(cli, rows[i].flag));
            break;
        case DEP_BODY_NUMBER:
            value = json_integer(dep_cli_number(cli, rows[i].flag, 0));
            break;
        case DEP_BODY_WORDS:
            value = json_array();
            for (size_t n = 0; dep_cli_get_nth(cli, rows[i].flag, n) != NULL; n++)
                add_words(value, dep_str_c(dep_cli_get_nth(cli, rows[i].flag, n)));
            break;
        }
        json_object_set_new(body, rows[i].member, value);
    }
}

/* "URI SCOPE SCOPE": a URI has no blanks, so this needs no escapes. */
void dep_body_add_ceiling(const struct dep_cli *cli, json_t *body)
{
    json_object_set_new(body, "ceiling", dep_body_rights(cli, "ceiling"));
}

json_t *dep_body_right(struct dep_str text)
{
    struct dep_str word;
    json_t *right = json_object();
    json_t *scopes = json_array();

    while (dep_str_cut(&text, ' ', &word)) {
        if (word.len > 0 && json_object_get(right, "resource") == NULL)
            json_object_set_new(right, "resource", json_stringn(word.ptr, word.len));
        else if (word.len > 0)
            json_array_append_new(scopes, json_stringn(word.ptr, word.len));
    }
    json_object_set_new(right, "scopes", scopes);
    return right;
}

json_t *dep_body_rights(const struct dep_cli *cli, const char *flag)
{
    json_t *ceiling = json_array();

    for (size_t i = 0; dep_cli_get_nth(cli, flag, i) != NULL; i++)
        json_array_append_new(ceiling, dep_body_right(dep_str_c(dep_cli_get_nth(cli, flag, i))));
    return ceiling;
}

/* The file's JWK Set; a single JWK becomes a set of one. A private key is refused here already: it must not even be sent. */
int dep_body_add_jwks(struct dep_cli *cli, json_t *body)
{
    const char *path = dep_cli_get(cli, "jwks");
    json_error_t error;
    json_t *set;
    const json_t *key;
    size_t i;

    if (path == NULL)
        return DEP_EXIT_OK;
    set = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (set != NULL && json_object_get(set, "kty") != NULL)
        set = json_pack("{s:[o]}", "keys", set);
    if (!json_is_array(json_object_get(set, "keys"))) {
        json_decref(set);
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "not_a_jwks", "--jwks: %s is not a JWK or JWK Set%s%s", path,
                            error.text[0] != '\0' ? ": " : "", error.text);
    }
    json_array_foreach(json_object_get(set, "keys"), i, key)
    {
        if (json_object_get(key, "d") != NULL || json_object_get(key, "k") != NULL) {
            json_decref(set);
            dep_cli_fail(cli, DEP_EXIT_USAGE, "private_key", "--jwks: %s holds a private key; register the public one",
                         path);
            dep_cli_suggest(cli, "deputy token key --key file:KEY.pem");
            return DEP_EXIT_USAGE;
        }
    }
    json_object_set_new(body, "jwks", set);
    return DEP_EXIT_OK;
}

int dep_body_check_some(struct dep_cli *cli, json_t *body)
{
    if (json_object_size(body) > 0)
        return DEP_EXIT_OK;
    json_decref(body);
    dep_cli_fail(cli, DEP_EXIT_USAGE, "nothing_to_change", "nothing to change: give at least one flag");
    dep_cli_suggest(cli, "deputy %s %s --help", cli->noun->name, cli->verb->name);
    return DEP_EXIT_USAGE;
}

static int agent_not_found(struct dep_cli *cli, const char *word, const json_t *items)
{
    const char *names[NAMES_MAX];
    const char *nearest;
    const json_t *item;
    size_t count = 0, i;

    json_array_foreach(items, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        if (name != NULL && count < NAMES_MAX)
            names[count++] = dep_cli_cstr(cli, dep_str_c(name));
    }
    nearest = dep_nearest(word, names, count);
    dep_cli_fail(cli, DEP_EXIT_NOT_FOUND, "not_found", "there is no agent '%s'", word);
    if (nearest != NULL)
        dep_cli_suggest(cli, "did you mean %s?", nearest);
    dep_cli_suggest(cli, "deputy agent list");
    return DEP_EXIT_NOT_FOUND;
}

static int pick_agent(struct dep_cli *cli, const char *word, const json_t *items, const char **ret_id)
{
    const char *found = NULL;
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *id = json_string_value(json_object_get(item, "id"));

        if (name == NULL || id == NULL || strcmp(name, word) != 0)
            continue;
        if (found != NULL) {
            dep_cli_fail(cli, DEP_EXIT_USAGE, "ambiguous", "more than one agent is called '%s'; give the id", word);
            dep_cli_suggest(cli, "%s", found);
            dep_cli_suggest(cli, "%s", id);
            return DEP_EXIT_USAGE;
        }
        found = dep_cli_cstr(cli, dep_str_c(id));
    }
    if (found == NULL)
        return agent_not_found(cli, word, items);
    *ret_id = found;
    return DEP_EXIT_OK;
}

int dep_admin_agent_id(struct dep_cli *cli, const char *word, const char **ret_id)
{
    json_t *json = NULL;
    int code;

    *ret_id = word;
    if (strncmp(word, "agent:", 6) == 0 || cli->prints_curl)
        return DEP_EXIT_OK;
    code = dep_admin_call(cli, "GET", "/admin/v1/agents", NULL, &json);
    if (code == DEP_EXIT_OK)
        code = pick_agent(cli, word, json_object_get(json, "items"), ret_id);
    json_decref(json);
    return code;
}

int dep_admin_object(struct dep_cli *cli, const char *method, const char *path, json_t *body)
{
    json_t *json = NULL;
    int code = dep_admin_call(cli, method, path, body, &json);

    if (code == DEP_EXIT_OK && json != NULL)
        dep_out_object(cli, json);
    json_decref(json);
    return code;
}

int dep_admin_list(struct dep_cli *cli, const char *path, const struct dep_column_spec *columns, size_t count)
{
    json_t *json = NULL;
    int code = dep_admin_call(cli, "GET", path, NULL, &json);

    if (code == DEP_EXIT_OK && json != NULL)
        dep_out_list(cli, json_object_get(json, "items"), columns, count);
    json_decref(json);
    return code;
}

int dep_body_agents(struct dep_cli *cli, const char *flag, json_t **ret_ids)
{
    json_t *ids = json_array();
    const char *agent = NULL;

    for (size_t i = 0; dep_cli_get_nth(cli, flag, i) != NULL; i++) {
        int code = dep_admin_agent_id(cli, dep_cli_get_nth(cli, flag, i), &agent);

        if (code != DEP_EXIT_OK) {
            json_decref(ids);
            return code;
        }
        json_array_append_new(ids, json_string(agent));
    }
    *ret_ids = ids;
    return DEP_EXIT_OK;
}

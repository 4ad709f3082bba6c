/* deputy config: the daemon's configuration file, checked as the daemon would. */
#include <string.h>

#include "cli/nouns.h"
#include "cli/out.h"
#include "server/config.h"

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

/* Paths, not contents: nothing here is secret. */
static json_t *config_json(const struct dep_config *config)
{
    json_t *object = json_object();

    json_object_set_new(object, "issuer", text_or_null(config->issuer));
    json_object_set_new(object, "listen", text_or_null(config->listen));
    json_object_set_new(object, "data_dir", text_or_null(config->data_dir));
    json_object_set_new(object, "admin_socket", text_or_null(config->admin_socket));
    json_object_set_new(object, "key_encryption_key_file", text_or_null(config->key_encryption_key_file));
    json_object_set_new(object, "signing_alg", text_or_null(config->signing_alg));
    json_object_set_new(object, "workers", json_integer(config->workers));
    json_object_set_new(object, "connections_max", json_integer(config->connections_max));
    json_object_set_new(object, "access_token_lifetime_s", json_integer(config->access_token_lifetime_s));
    json_object_set_new(object, "dpop_age_max_s", json_integer(config->dpop_age_max_s));
    json_object_set_new(object, "dpop_skew_s", json_integer(config->dpop_skew_s));
    json_object_set_new(object, "dpop_needs_nonce", json_boolean(config->dpop_needs_nonce));
    json_object_set_new(object, "dpop_rsa", json_boolean(config->dpop_rsa));
    json_object_set_new(object, "replay_entries_max", json_integer(config->replay_entries_max));
    return object;
}

static int check(struct dep_cli *cli)
{
    char message[DEP_CONFIG_MESSAGE_MAX] = "";
    struct dep_config *config = NULL;
    struct dep_res res = dep_config_load(cli->args[0], &config, message);
    json_t *object;

    if (!dep_is_ok(res)) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, dep_err_name(res.err), "%s",
                     message[0] != '\0' ? message : dep_err_text(res.err));
        dep_cli_suggest(cli, "a running server keeps its old configuration until the file is good");
        return DEP_EXIT_USAGE;
    }
    object = config_json(config);
    dep_config_free(config);
    if (!cli->is_quiet)
        dep_out_object(cli, object);
    json_decref(object);
    return DEP_EXIT_OK;
}

static const struct dep_verb verbs[] = {
    { "check", "FILE", 1, 1, "read a configuration as deputyd does, and show what it means", NULL, 0, check, false },
};

const struct dep_noun dep_noun_config = { "config", "the daemon's configuration", DEP_CLI_FLAGS(verbs) };

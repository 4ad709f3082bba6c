/* deputy token get, exchange, introspect, revoke: the issuer's form endpoints. */
#include "cli/keyfile.h"
#include "cli/oauth.h"
#include "cli/out.h"
#include "cli/secret.h"
#include "cli/token.h"

#define TOKEN_TYPE "urn:ietf:params:oauth:token-type:"
#define EXCHANGE_GRANT "urn:ietf:params:oauth:grant-type:token-exchange"

static int put_instruction(struct dep_cli *cli, struct dep_oauth_form *form)
{
    const char *text = dep_cli_get(cli, "instruction");
    struct dep_str instruction;
    int code;

    if (text == NULL)
        return DEP_EXIT_OK;
    code = dep_text_load(cli, text, "--instruction", &instruction);
    if (code == DEP_EXIT_OK)
        dep_oauth_param(form, "human_instruction", instruction, NULL);
    return code;
}

/* What both grants take. */
static int put_request(struct dep_cli *cli, struct dep_oauth_form *form)
{
    for (size_t i = 0; dep_cli_get_nth(cli, "resource", i) != NULL && i < 8; i++)
        dep_oauth_param(form, "resource", dep_str_c(dep_cli_get_nth(cli, "resource", i)), NULL);
    for (size_t i = 0; dep_cli_get_nth(cli, "audience", i) != NULL && i < 8; i++)
        dep_oauth_param(form, "audience", dep_str_c(dep_cli_get_nth(cli, "audience", i)), NULL);
    dep_oauth_param(form, "scope", dep_str_c(dep_cli_get(cli, "scope")), NULL);
    dep_oauth_param(form, "task_id", dep_str_c(dep_cli_get(cli, "task")), NULL);
    dep_oauth_param(form, "parent_task_id", dep_str_c(dep_cli_get(cli, "parent-task")), NULL);
    dep_oauth_param(form, "may_act", dep_str_c(dep_cli_get(cli, "may-act")), NULL);
    return put_instruction(cli, form);
}

/* The last part of the URN is enough on a command line. */
static void put_type(struct dep_cli *cli, struct dep_oauth_form *form, const char *name, const char *flag)
{
    const char *type = dep_cli_get(cli, flag);

    dep_oauth_param(form, name, dep_str_c(dep_cli_text(cli, TOKEN_TYPE "%s", type == NULL ? "access_token" : type)),
                    NULL);
}

/* A token, and with `type_flag` its type, as <name>_type. */
static int put_secret_param(struct dep_cli *cli, struct dep_oauth_form *form, const char *flag, const char *name,
                            const char *type_flag, const char *shown)
{
    const char *source = dep_cli_get(cli, flag);
    struct dep_str token;
    int code;

    if (source == NULL)
        return DEP_EXIT_OK;
    code = dep_secret_load_text(cli, source, dep_cli_text(cli, "--%s", flag), &token);
    if (code != DEP_EXIT_OK)
        return code;
    dep_oauth_param(form, name, token, shown);
    if (type_flag != NULL)
        put_type(cli, form, dep_cli_text(cli, "%s_type", name), type_flag);
    return DEP_EXIT_OK;
}

/* Who asked for a bound token does not use an unbound one (rfc9449#5): it is thrown away here. */
static bool is_downgraded(struct dep_cli *cli, json_t *answer)
{
    const char *type = json_string_value(json_object_get(answer, "token_type"));

    return dep_cli_has(cli, "dpop-key") && type != NULL && dep_str_eq_nocase(dep_str_c(type), DEP_STR("Bearer"));
}

/* Shows the answer, the token itself only where it was asked for. */
static int put_token(struct dep_cli *cli, const struct dep_fetch_answer *answer)
{
    const char *path = dep_cli_get(cli, "out");
    const char *token;
    json_t *json = NULL;
    int code = dep_cli_answer_json(cli, answer, &json);

    if (code != DEP_EXIT_OK)
        return code;
    token = json_string_value(json_object_get(json, "access_token"));
    if (token == NULL) {
        json_decref(json);
        return dep_cli_fail(cli, DEP_EXIT_GENERAL, "no_token", "the answer has no access_token");
    }
    if (is_downgraded(cli, json)) {
        json_decref(json);
        dep_cli_fail(cli, DEP_EXIT_AUTH, "not_bound",
                     "the server answered with a Bearer token, not with one bound to "
                     "--dpop-key; it was thrown away");
        dep_cli_suggest(cli, "ask the server's operator for DPoP (RFC 9449), or leave --dpop-key out");
        return DEP_EXIT_AUTH;
    }
    if (path != NULL) {
        code = dep_secret_save(cli, path, dep_secret_of(dep_str_c(token)), true);
        json_object_set_new(json, "access_token", json_string(dep_cli_text(cli, "file:%s", path)));
    }
    if (code == DEP_EXIT_OK && path == NULL && dep_cli_is_on(cli, "raw"))
        fprintf(cli->out, "%s\n", token);
    else if (code == DEP_EXIT_OK)
        dep_out_object(cli, json);
    json_decref(json);
    return code;
}

static int finish(struct dep_cli *cli, const struct dep_fetch_answer *answer)
{
    if (answer->status == 0)
        return DEP_EXIT_OK;
    return answer->status == 200 ? put_token(cli, answer) : dep_cli_answer_fault(cli, answer);
}

static int ask(struct dep_cli *cli, struct dep_oauth_form *form)
{
    const char *source = dep_cli_get(cli, "dpop-key");
    struct dep_private_key *key = NULL;
    struct dep_fetch_answer answer = { 0 };
    struct dep_issuer issuer;
    int code = put_request(cli, form);

    if (code == DEP_EXIT_OK && source != NULL)
        code = dep_keyfile_load(cli, source, "--dpop-key", &key);
    if (code == DEP_EXIT_OK)
        code = dep_issuer_discover(cli, &issuer);
    if (code == DEP_EXIT_OK)
        code = dep_oauth_post(cli, &issuer, issuer.token_endpoint, form, key, &answer);
    dep_private_key_free(key);
    return code == DEP_EXIT_OK ? finish(cli, &answer) : code;
}

int dep_token_verb_get(struct dep_cli *cli)
{
    struct dep_oauth_form form = { .count = 0 };

    dep_oauth_param(&form, "grant_type", DEP_STR("client_credentials"), NULL);
    return ask(cli, &form);
}

int dep_token_verb_exchange(struct dep_cli *cli)
{
    struct dep_oauth_form form = { .count = 0 };
    int code;

    dep_oauth_param(&form, "grant_type", DEP_STR(EXCHANGE_GRANT), NULL);
    code = put_secret_param(cli, &form, "subject-token", "subject_token", "subject-token-type", "$SUBJECT_TOKEN");
    if (code == DEP_EXIT_OK)
        code = put_secret_param(cli, &form, "actor-token", "actor_token", "actor-token-type", "$ACTOR_TOKEN");
    if (code == DEP_EXIT_OK && dep_cli_has(cli, "requested-type"))
        put_type(cli, &form, "requested_token_type", "requested-type");
    return code == DEP_EXIT_OK ? ask(cli, &form) : code;
}

/* Introspection and revocation: one token, one post. */
static int post_token(struct dep_cli *cli, bool is_revocation, struct dep_fetch_answer *ret_answer)
{
    struct dep_oauth_form form = { .count = 0 };
    struct dep_issuer issuer;
    int code = put_secret_param(cli, &form, "token", "token", NULL, "$TOKEN");

    if (code == DEP_EXIT_OK)
        code = dep_issuer_discover(cli, &issuer);
    if (code == DEP_EXIT_OK)
        code = dep_oauth_post(cli, &issuer, is_revocation ? issuer.revocation_endpoint : issuer.introspection_endpoint,
                              &form, NULL, ret_answer);
    if (code == DEP_EXIT_OK && ret_answer->status != 0 && ret_answer->status != 200)
        code = dep_cli_answer_fault(cli, ret_answer);
    return code;
}

int dep_token_verb_introspect(struct dep_cli *cli)
{
    struct dep_fetch_answer answer = { 0 };
    json_t *json = NULL;
    int code = post_token(cli, false, &answer);

    if (code != DEP_EXIT_OK || answer.status == 0)
        return code;
    code = dep_cli_answer_json(cli, &answer, &json);
    if (code == DEP_EXIT_OK)
        dep_out_object(cli, json);
    json_decref(json);
    return code;
}

int dep_token_verb_revoke(struct dep_cli *cli)
{
    struct dep_fetch_answer answer = { 0 };
    json_t *json;
    int code = post_token(cli, true, &answer);

    if (code != DEP_EXIT_OK || answer.status == 0)
        return code;
    /* rfc7009#2.2: 200 also for a token that was dead or unknown; the answer does not tell. */
    json =
        json_pack("{s:b,s:s}", "revoked", 1, "note", "the token, if it was alive, is dead, with all that grew from it");
    dep_out_object(cli, json);
    json_decref(json);
    return DEP_EXIT_OK;
}

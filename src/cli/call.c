/* deputy call: one request to a guarded API, with the token and a fresh proof; once more when the API wants its nonce (rfc9449#9). */
#include "cli/http.h"
#include "cli/keyfile.h"
#include "cli/nouns.h"
#include "cli/oauth.h"
#include "cli/out.h"
#include "cli/secret.h"

#define EXTRA_HEADERS_MAX 16u

static const struct dep_flag flags[] = {
    { "token", DEP_FLAG_SECRET, "SOURCE", DEP_FLAG_REQUIRED, "the access token", 0 },
    { "dpop-key", DEP_FLAG_SECRET, "SOURCE", 0, "the key it is bound to; without one it goes as Bearer", 0 },
    { "method", DEP_FLAG_TEXT, "METHOD", 0, "default GET, or POST with --body", 0 },
    { "header", DEP_FLAG_TEXT, "\"NAME: VALUE\"", DEP_FLAG_REPEATED, "one more header", 0 },
    { "body", DEP_FLAG_TEXT, "TEXT|file:PATH", 0, "the request's body", 0 },
    DEP_TLS_FLAGS,
    { "include", DEP_FLAG_SWITCH, NULL, 0, "show status and headers of the answer too", 'i' },
};

static int add_headers(struct dep_cli *cli, struct dep_cli_request *request)
{
    for (size_t i = 0; dep_cli_get_nth(cli, "header", i) != NULL && i < EXTRA_HEADERS_MAX; i++) {
        struct dep_str line = dep_str_c(dep_cli_get_nth(cli, "header", i));
        size_t colon = dep_str_find(line, ':');

        if (colon == 0 || colon == line.len)
            return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--header: \"NAME: VALUE\" is needed");
        dep_cli_request_header(request, dep_cli_cstr(cli, dep_str_sub(line, 0, colon)),
                               dep_str_trim(dep_str_sub(line, colon + 1, line.len)), NULL);
    }
    return DEP_EXIT_OK;
}

static int send_once(struct dep_cli *cli, const struct dep_cli_request *plain, const struct dep_private_key *key,
                     struct dep_str token, struct dep_str nonce, struct dep_fetch_answer *ret_answer)
{
    struct dep_cli_request request = *plain;
    struct dep_str proof;
    struct dep_buf value;

    if (key != NULL) {
        int code = dep_oauth_proof(cli, key, request.method, request.url, token, nonce, &proof);

        if (code != DEP_EXIT_OK)
            return code;
        dep_cli_request_header(&request, "DPoP", proof, "$DPOP_PROOF");
    }
    dep_buf_init_arena(&value, &cli->arena, token.len + 8);
    dep_buf_put_c(&value, key != NULL ? "DPoP " : "Bearer ");
    dep_buf_put(&value, token);
    dep_cli_request_header(&request, "Authorization", dep_buf_str(&value),
                           key != NULL ? "DPoP $TOKEN" : "Bearer $TOKEN");
    return dep_cli_request_is_shown(cli, &request) ? DEP_EXIT_OK : dep_cli_send(cli, &request, ret_answer);
}

/* rfc9449#9: one try more, with a nonce that is there. */
static bool wants_nonce(const struct dep_fetch_answer *answer)
{
    struct dep_str challenge = dep_cli_answer_header(answer, "WWW-Authenticate");

    while (challenge.len > 0 && !dep_str_starts(challenge, DEP_STR("error=\"use_dpop_nonce\"")))
        challenge = dep_str_sub(challenge, 1, challenge.len);
    return answer->status == 401 && challenge.len > 0 && !dep_str_is_blank(dep_cli_answer_header(answer, "DPoP-Nonce"));
}

static void put_head(struct dep_cli *cli, const struct dep_fetch_answer *answer)
{
    fprintf(cli->out, "HTTP %d\n", answer->status);
    for (size_t i = 0; i < answer->headers_count; i++) {
        dep_out_clean(cli->out, dep_cli_text(cli, "%.*s: %.*s", DEP_STR_ARG(answer->headers[i].name),
                                             DEP_STR_ARG(answer->headers[i].value)));
        fputc('\n', cli->out);
    }
    fputc('\n', cli->out);
}

/* Guards of ours say in the body what they say in the challenge; of others the challenge is shown. */
static int refused(struct dep_cli *cli, const struct dep_fetch_answer *answer)
{
    struct dep_str challenge = dep_cli_answer_header(answer, "WWW-Authenticate");
    struct dep_str decision = dep_cli_answer_header(answer, "Deputy-Decision");
    json_t *json = json_loadb(answer->body.ptr, answer->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *text = json_string_value(json_object_get(json, "error_description"));
    int code = dep_cli_fail(cli, dep_exit_of(answer->status, error),
                            error != NULL ? dep_cli_cstr(cli, dep_str_c(error)) : "http", "the API answered %d%s%s",
                            answer->status, text != NULL || challenge.len > 0 ? ": " : "",
                            text != NULL ? text : dep_cli_cstr(cli, challenge));

    if (dep_exit_hint(error) != NULL)
        dep_cli_suggest(cli, "%s", dep_exit_hint(error));
    if (!dep_str_is_absent(decision))
        dep_cli_suggest(cli, "deputy explain %.*s --log DIR, with the audit directory of the API's guard",
                        DEP_STR_ARG(decision));
    if (code == DEP_EXIT_UNAVAILABLE)
        dep_cli_suggest(cli, "try again in a moment");
    json_decref(json);
    return code;
}

static int put_answer(struct dep_cli *cli, const struct dep_fetch_answer *answer)
{
    if (dep_cli_is_on(cli, "include"))
        put_head(cli, answer);
    fwrite(answer->body.ptr, 1, answer->body.len, cli->out);
    if (answer->status < 400)
        return DEP_EXIT_OK;
    if (answer->body.len > 0 && !dep_str_ends(answer->body, DEP_STR("\n")))
        fputc('\n', cli->out); /* the fault that follows gets a line of its own */
    return refused(cli, answer);
}

static int prepare(struct dep_cli *cli, struct dep_cli_request *request, struct dep_str *ret_token,
                   struct dep_private_key **ret_key)
{
    const char *body = dep_cli_get(cli, "body");
    const char *method = dep_cli_get(cli, "method");
    int code = dep_secret_load_text(cli, dep_cli_get(cli, "token"), "--token", ret_token);

    request->method = dep_str_c(method != NULL ? method : body != NULL ? "POST" : "GET");
    request->url = dep_str_c(cli->args[0]);
    if (code == DEP_EXIT_OK && body != NULL)
        code = dep_text_load(cli, body, "--body", &request->body);
    if (code == DEP_EXIT_OK)
        code = add_headers(cli, request);
    if (code == DEP_EXIT_OK)
        code = dep_cli_request_certificate(cli, request);
    if (code == DEP_EXIT_OK && dep_cli_has(cli, "dpop-key"))
        code = dep_keyfile_load(cli, dep_cli_get(cli, "dpop-key"), "--dpop-key", ret_key);
    return code;
}

static int call(struct dep_cli *cli)
{
    struct dep_cli_request request = { .headers_count = 0 };
    struct dep_fetch_answer answer = { 0 };
    struct dep_private_key *key = NULL;
    struct dep_str token;
    int code = prepare(cli, &request, &token, &key);

    if (code == DEP_EXIT_OK)
        code = send_once(cli, &request, key, token, DEP_STR_ABSENT, &answer);
    if (code == DEP_EXIT_OK && key != NULL && wants_nonce(&answer))
        code = send_once(cli, &request, key, token, dep_cli_answer_header(&answer, "DPoP-Nonce"), &answer);
    dep_private_key_free(key);
    if (code != DEP_EXIT_OK || answer.status == 0)
        return code;
    return put_answer(cli, &answer);
}

static const struct dep_verb verbs[] = {
    { NULL, "URL", 1, 1, "call a guarded API with a token and a fresh proof", DEP_CLI_FLAGS(flags), call, false },
};

const struct dep_noun dep_noun_call = { "call", "call a guarded API: curl with a token and a fresh proof",
                                        DEP_CLI_FLAGS(verbs) };

/* Requests and answers. */
#include "cli/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/url.h"
#include "cli/out.h"
#include "cli/secret.h"

#define ADMIN_ORIGIN "http://localhost"
#define BODY_MAX ((size_t)16 << 20)
#define TIMEOUT_MS 30000

void dep_cli_request_header(struct dep_cli_request *request, const char *name, struct dep_str value, const char *shown)
{
    DEP_ASSERT(request->headers_count < DEP_CLI_HEADERS_MAX);
    request->shown_headers[request->headers_count] = shown;
    request->headers[request->headers_count++] = (struct dep_header){ dep_str_c(name), value };
}

int dep_cli_request_certificate(struct dep_cli *cli, struct dep_cli_request *request)
{
    const char *path = dep_cli_get(cli, "cert"), *key = dep_cli_get(cli, "cert-key");
    int code;

    if (path == NULL && key == NULL)
        return DEP_EXIT_OK;
    if (path == NULL || key == NULL) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value",
                     "a certificate is shown with its key: give --cert and --cert-key");
        dep_cli_suggest(cli, "--cert CERT.pem --cert-key file:KEY.pem");
        return DEP_EXIT_USAGE;
    }
    request->certificate_path = path;
    code = dep_text_load(cli, dep_cli_text(cli, "file:%s", path), "--cert", &request->certificate);
    return code == DEP_EXIT_OK ? dep_secret_load(cli, key, "--cert-key", &request->certificate_key) : code;
}

/* Between single quotes, as a shell reads it. */
static void put_quoted(FILE *out, struct dep_str text)
{
    fputc('\'', out);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            fputs("'\\''", out);
        else
            fputc(text.ptr[i], out);
    }
    fputc('\'', out);
}

/* What stands for a secret is a variable of the shell's, so it goes between double quotes. */
static void put_shown(FILE *out, struct dep_str name, const char *text)
{
    fprintf(out, "\"%.*s: %s\"", DEP_STR_ARG(name), text);
}

static void print_curl(const struct dep_cli *cli, const struct dep_cli_request *request)
{
    FILE *out = cli->out;

    fputs("curl -sS", out);
    if (!dep_str_is_absent(request->unix_socket)) {
        fputs(" --unix-socket ", out);
        put_quoted(out, request->unix_socket);
    }
    if (dep_cli_has(cli, "ca")) {
        fputs(" --cacert ", out);
        put_quoted(out, dep_str_c(dep_cli_get(cli, "ca")));
    }
    if (request->certificate_path != NULL) {
        fputs(" --cert ", out);
        put_quoted(out, dep_str_c(request->certificate_path));
        fputs(" --key \"$CERT_KEY_FILE\"", out);
    }
    fprintf(out, " -X %.*s", DEP_STR_ARG(request->method));
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct dep_header *header = &request->headers[i];

        fputs(" \\\n  -H ", out);
        if (request->shown_headers[i] != NULL)
            put_shown(out, header->name, request->shown_headers[i]);
        else
            fprintf(out, "'%.*s: %.*s'", DEP_STR_ARG(header->name), DEP_STR_ARG(header->value));
    }
    if (!dep_str_is_absent(request->body)) {
        fputs(" \\\n  --data-raw ", out);
        if (!dep_str_is_absent(request->shown_body))
            fprintf(out, "\"%.*s\"", DEP_STR_ARG(request->shown_body));
        else
            put_quoted(out, request->body);
    }
    fputs(" \\\n  ", out);
    put_quoted(out, request->url);
    fputc('\n', out);
}

static void print_dry(const struct dep_cli *cli, const struct dep_cli_request *request)
{
    struct dep_str body = dep_str_is_absent(request->shown_body) ? request->body : request->shown_body;
    json_t *object = json_object();

    json_object_set_new(object, "dry_run", json_true());
    json_object_set_new(object, "method", json_stringn(request->method.ptr, request->method.len));
    json_object_set_new(object, "url", json_stringn(request->url.ptr, request->url.len));
    if (!dep_str_is_absent(body)) {
        json_t *value = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);

        json_object_set_new(object, "body", value != NULL ? value : json_stringn(body.ptr, body.len));
    }
    dep_out_object(cli, object);
    json_decref(object);
}

bool dep_cli_request_is_shown(struct dep_cli *cli, const struct dep_cli_request *request)
{
    if (cli->prints_curl)
        print_curl(cli, request);
    else if (cli->is_dry && !dep_str_eq_c(request->method, "GET"))
        print_dry(cli, request);
    else
        return false;
    return true;
}

static int unreachable(struct dep_cli *cli, const struct dep_cli_request *request, struct dep_res res)
{
    struct stat status;
    enum dep_exit exit = res.err == DEP_ERR_NET_FETCH_SIZE ? DEP_EXIT_GENERAL : DEP_EXIT_UNAVAILABLE;

    if (!dep_str_is_absent(request->unix_socket)) {
        dep_cli_fail(cli, exit, dep_err_name(res.err), "nobody answers at the admin socket %.*s: %s",
                     DEP_STR_ARG(request->unix_socket),
                     stat(cli->socket, &status) == 0 ? "the server does not run" : strerror(errno));
        dep_cli_suggest(cli, "start the server: deputyd --dev");
        dep_cli_suggest(cli, "or say where its socket is: --socket PATH or DEPUTY_ADMIN_SOCKET");
        return (int)exit;
    }
    if (res.err == DEP_ERR_NET_FETCH_CERTIFICATE) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, dep_err_name(res.err), "--cert, --cert-key: %s", dep_err_text(res.err));
        dep_cli_suggest(cli, "compare: openssl x509 -noout -pubkey -in CERT.pem; openssl pkey -pubout -in KEY.pem");
        return DEP_EXIT_USAGE;
    }
    dep_cli_fail(cli, exit, dep_err_name(res.err), "%.*s: %s", DEP_STR_ARG(request->url), dep_err_text(res.err));
    dep_cli_suggest(cli, "check that the server runs and that --url or DEPUTY_URL names it (now %s)", cli->url);
    return (int)exit;
}

/* Secrets and tokens go over TLS, or stay on the machine. */
static int check_scheme(struct dep_cli *cli, const struct dep_cli_request *request)
{
    struct dep_url url;

    if (!dep_str_is_absent(request->unix_socket))
        return DEP_EXIT_OK;
    if (!dep_is_ok(dep_url_parse(request->url, &url)))
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_url", "'%.*s' is no URL", DEP_STR_ARG(request->url));
    if (dep_str_eq_nocase(url.scheme, DEP_STR("https")) || dep_url_is_loopback(&url))
        return DEP_EXIT_OK;
    dep_cli_fail(cli, DEP_EXIT_USAGE, "plain_http", "%.*s: plain http is used on loopback only; nothing was sent",
                 DEP_STR_ARG(request->url));
    dep_cli_suggest(cli, "use the https address of the server");
    return DEP_EXIT_USAGE;
}

/* Copies the answer into the arena, so that the fetcher and its memory can go. */
static bool keep_answer(struct dep_cli *cli, const struct dep_fetch_answer *answer, struct dep_fetch_answer *ret_answer)
{
    struct dep_fetch_answer kept = { .status = answer->status, .headers_count = answer->headers_count };

    kept.body = dep_str_is_absent(answer->body) ? DEP_STR("") : dep_arena_dup(&cli->arena, answer->body);
    kept.headers = DEP_NEW_ARRAY(&cli->arena, answer->headers_count + 1, struct dep_header);
    if (kept.headers == NULL || dep_str_is_absent(kept.body))
        return false;
    for (size_t i = 0; i < answer->headers_count; i++) {
        kept.headers[i].name = dep_arena_dup(&cli->arena, answer->headers[i].name);
        kept.headers[i].value = dep_arena_dup(&cli->arena, answer->headers[i].value);
    }
    *ret_answer = kept;
    return true;
}

int dep_cli_send(struct dep_cli *cli, const struct dep_cli_request *request, struct dep_fetch_answer *ret_answer)
{
    struct dep_fetch_policy policy = {
        .may_loopback = true,
        .may_private = true, /* the operator named the address; no document of others did */
        .body_bytes_max = BODY_MAX,
        .timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_MS,
        .ca_file = dep_cli_get(cli, "ca"),
    };
    struct dep_fetch_request fetch = {
        .method = request->method,
        .url = request->url,
        .unix_socket = request->unix_socket,
        .headers = request->headers,
        .headers_count = request->headers_count,
        .body = request->body,
        .certificate = request->certificate,
        .certificate_key = request->certificate_key,
    };
    struct dep_fetcher *fetcher;
    struct dep_fetch_answer answer = { 0 };
    bool is_kept;
    struct dep_res res;
    int code = check_scheme(cli, request);

    if (code != DEP_EXIT_OK)
        return code;
    fetcher = dep_fetcher_new(-1);
    if (fetcher == NULL)
        return dep_cli_fail(cli, DEP_EXIT_GENERAL, "NET_FETCH", "the HTTP library cannot be initialised");
    res = dep_fetch(fetcher, &policy, &fetch, &answer);
    if (!dep_is_ok(res)) {
        dep_fetcher_free(fetcher);
        return unreachable(cli, request, res);
    }
    is_kept = keep_answer(cli, &answer, ret_answer);
    dep_fetch_answer_done(&answer);
    dep_fetcher_free(fetcher);
    if (!is_kept)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, DEP_FAIL(ARENA_FULL), "the answer");
    if (cli->is_verbose)
        fprintf(cli->err, "deputy: %.*s %.*s: %d\n", DEP_STR_ARG(request->method), DEP_STR_ARG(request->url),
                ret_answer->status);
    return DEP_EXIT_OK;
}

struct dep_str dep_cli_answer_header(const struct dep_fetch_answer *answer, const char *name)
{
    struct dep_str value = DEP_STR_ABSENT;

    if (!dep_is_ok(dep_header_one(answer->headers, answer->headers_count, dep_str_c(name), &value)))
        return DEP_STR_ABSENT;
    return value;
}

int dep_cli_answer_json(struct dep_cli *cli, const struct dep_fetch_answer *answer, json_t **ret_json)
{
    json_t *json = json_loadb(answer->body.ptr, answer->body.len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(json)) {
        json_decref(json);
        dep_cli_fail(cli, DEP_EXIT_GENERAL, "not_json",
                     "the answer (status %d) is not a JSON object: this is no deputy server, or a "
                     "proxy answered in its place",
                     answer->status);
        dep_cli_suggest(cli, "check --url and what stands in front of the server");
        return DEP_EXIT_GENERAL;
    }
    *ret_json = json;
    return DEP_EXIT_OK;
}

static const char *string_of(struct dep_cli *cli, const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    return json_is_string(value) ? dep_cli_cstr(cli, dep_str_c(json_string_value(value))) : NULL;
}

static void suggest_from(struct dep_cli *cli, const json_t *json, enum dep_exit exit)
{
    const json_t *suggestions = json_object_get(json, "suggestions");
    const char *decision = string_of(cli, json, "decision");
    const json_t *item;
    size_t i;

    json_array_foreach(suggestions, i, item)
    {
        if (json_is_string(item))
            dep_cli_suggest(cli, "%s", json_string_value(item));
    }
    if (decision == NULL)
        decision = string_of(cli, json, "trace_id");
    if (decision != NULL)
        dep_cli_suggest(cli, "deputy explain %s", decision);
    if (exit == DEP_EXIT_UNAVAILABLE)
        dep_cli_suggest(cli, "try again in a moment; nothing was changed");
}

/* The last segment of a problem's type: "https://…/problems/not-found" is "not-found". */
static const char *slug_of(const char *type)
{
    const char *slash = type != NULL ? strrchr(type, '/') : NULL;
    const char *colon = type != NULL ? strrchr(type, ':') : NULL;
    const char *end = slash != NULL && (colon == NULL || slash > colon) ? slash : colon;

    return end != NULL ? end + 1 : type;
}

int dep_cli_answer_fault(struct dep_cli *cli, const struct dep_fetch_answer *answer)
{
    json_t *json = json_loadb(answer->body.ptr, answer->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *oauth = string_of(cli, json, "error");
    const char *error = oauth != NULL ? oauth : string_of(cli, json, "reason");
    const char *text = string_of(cli, json, oauth != NULL ? "error_description" : "detail");
    const char *doc_uri = string_of(cli, json, "doc_uri");
    enum dep_exit exit = dep_exit_of(answer->status, oauth);

    if (error == NULL)
        error = slug_of(string_of(cli, json, "type"));
    if (text == NULL)
        text = string_of(cli, json, "title");
    dep_cli_fail(cli, exit, error != NULL ? error : "http", "the server answered %d%s%s", answer->status,
                 text != NULL ? ": " : "", text != NULL ? text : "");
    if (doc_uri != NULL)
        cli->fault.doc_uri = doc_uri;
    if (dep_exit_hint(oauth) != NULL)
        dep_cli_suggest(cli, "%s", dep_exit_hint(oauth));
    suggest_from(cli, json, exit);
    if (!json_is_object(json) && answer->status == 404)
        dep_cli_suggest(cli, "check --url and --socket: this server does not know the address");
    json_decref(json);
    return (int)exit;
}

int dep_admin_call(struct dep_cli *cli, const char *method, const char *path, json_t *body, json_t **ret_json)
{
    struct dep_cli_request request = { .method = dep_str_c(method), .unix_socket = dep_str_c(cli->socket) };
    struct dep_fetch_answer answer = { 0 };
    int code;

    *ret_json = NULL;
    request.url = dep_str_c(dep_cli_text(cli, ADMIN_ORIGIN "%s", path));
    if (body != NULL) {
        char *text = json_dumps(body, JSON_COMPACT);

        json_decref(body);
        request.body = dep_arena_dup(&cli->arena, dep_str_c(text));
        free(text);
        dep_cli_request_header(&request, "Content-Type", DEP_STR("application/json"), NULL);
    }
    if (dep_cli_request_is_shown(cli, &request))
        return DEP_EXIT_OK;
    code = dep_cli_send(cli, &request, &answer);
    if (code != DEP_EXIT_OK)
        return code;
    if (answer.status < 200 || answer.status > 299)
        return dep_cli_answer_fault(cli, &answer);
    return answer.body.len == 0 ? DEP_EXIT_OK : dep_cli_answer_json(cli, &answer, ret_json);
}

const char *dep_admin_path(struct dep_cli *cli, const char *base, const char *id, const char *tail)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &cli->arena, strlen(base) + 3 * strlen(id) + strlen(tail) + 1);
    dep_buf_put_c(&buf, base);
    for (const char *at = id; *at != '\0'; at++) {
        static const char digits[] = "0123456789ABCDEF";

        if (strchr(plain, *at) != NULL) {
            dep_buf_put_char(&buf, *at);
            continue;
        }
        dep_buf_put_char(&buf, '%');
        dep_buf_put_char(&buf, digits[(unsigned char)*at >> 4]);
        dep_buf_put_char(&buf, digits[(unsigned char)*at & 15]);
    }
    dep_buf_put_c(&buf, tail);
    return dep_cli_cstr(cli, dep_buf_str(&buf));
}

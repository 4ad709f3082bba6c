/* Requests of the command: to the admin socket and to the issuer. --dry-run and --print-curl are honoured here, for every verb. */
#ifndef DEP_CLI_HTTP_H
#define DEP_CLI_HTTP_H

#include <jansson.h>

#include "cli/cli.h"
#include "net/fetch.h"

#define DEP_CLI_HEADERS_MAX 24u

/* One request. `shown_body` and `shown_headers` are what may be printed: the same without secrets. */
struct dep_cli_request {
    struct dep_str method, url, unix_socket;
    struct dep_header headers[DEP_CLI_HEADERS_MAX];
    size_t headers_count;
    const char *shown_headers[DEP_CLI_HEADERS_MAX]; /* by index; NULL: as it is */
    struct dep_str body, shown_body;
    const char *certificate_path; /* of the TLS certificate to be shown; NULL: none */
    struct dep_str certificate;
    struct dep_secret certificate_key;
    int64_t timeout_ms; /* 0: 30 s */
};

/* Flags of every verb that speaks TLS to a server, and with a certificate of its own (RFC 8705). */
#define DEP_TLS_FLAGS                                                                                            \
    { "cert", DEP_FLAG_TEXT, "FILE", 0, "the client's TLS certificate, PEM, to be shown to the server", 0 },     \
        { "cert-key", DEP_FLAG_SECRET, "SOURCE", 0, "its private key, PEM", 0 },                                 \
    {                                                                                                            \
        "ca", DEP_FLAG_TEXT, "FILE", 0, "who may vouch for the server, PEM; default the system's authorities", 0 \
    }
/* Reads what --cert and --cert-key name into the request; nothing when they are not there. */
int dep_cli_request_certificate(struct dep_cli *cli, struct dep_cli_request *request);
void dep_cli_request_header(struct dep_cli_request *request, const char *name, struct dep_str value, const char *shown);
/* True when --dry-run or --print-curl took the request's place; the verb then ends with DEP_EXIT_OK. */
bool dep_cli_request_is_shown(struct dep_cli *cli, const struct dep_cli_request *request);
/* Sends. The answer's bytes live in the run's arena. Any status is DEP_EXIT_OK. */
int dep_cli_send(struct dep_cli *cli, const struct dep_cli_request *request, struct dep_fetch_answer *ret_answer);
/* The answer as a fault: OAuth errors and problem details, with the decision id and what to do next. */
int dep_cli_answer_fault(struct dep_cli *cli, const struct dep_fetch_answer *answer);
/* An answer's header, absent when it is not there once. */
struct dep_str dep_cli_answer_header(const struct dep_fetch_answer *answer, const char *name);
/* The JSON of an answer; a fault when it is none. The caller decrefs. */
int dep_cli_answer_json(struct dep_cli *cli, const struct dep_fetch_answer *answer, json_t **ret_json);

/* A call of the admin API. `body` may be NULL and is released. `*ret_json` is NULL when nothing was sent (--dry-run, --print-curl) or
 * the answer has no content. */
int dep_admin_call(struct dep_cli *cli, const char *method, const char *path, json_t *body, json_t **ret_json);
/* base + percent-encoded id + tail. */
const char *dep_admin_path(struct dep_cli *cli, const char *base, const char *id, const char *tail);

#endif

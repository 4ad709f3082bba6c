/* One table from HTTP answers to exit codes. */
#include "cli/exit.h"

#include <stddef.h>
#include <string.h>

struct error_row {
    const char *error;
    enum dep_exit exit;
    const char *hint;
};

/* rfc6749#5.2, rfc8693#2.2.2, rfc8707#2, rfc9449#5: errors that say more than their status does. */
static const struct error_row errors[] = {
    { "invalid_request", DEP_EXIT_USAGE, NULL },
    { "unsupported_grant_type", DEP_EXIT_USAGE, NULL },
    { "unsupported_token_type", DEP_EXIT_USAGE, NULL },
    { "invalid_client", DEP_EXIT_AUTH, "check --client and its secret or key: deputy client get ID" },
    { "invalid_grant", DEP_EXIT_AUTH, NULL },
    { "unauthorized_client", DEP_EXIT_AUTH, "the client may not do this; see its grants: deputy client get ID" },
    { "access_denied", DEP_EXIT_AUTH, NULL },
    { "invalid_scope", DEP_EXIT_AUTH,
      "ask for less, or raise the ceiling: deputy agent update AGENT --ceiling \"URI SCOPE\"" },
    { "insufficient_scope", DEP_EXIT_AUTH, "get a token with the scope that the challenge names" },
    { "invalid_target", DEP_EXIT_AUTH,
      "compare --resource and --audience with: deputy resource list, deputy agent list" },
    { "invalid_token", DEP_EXIT_AUTH, "get a new token" },
    { "invalid_dpop_proof", DEP_EXIT_AUTH, "give --dpop-key file:KEY.pem; deputy token key --out KEY.pem makes one" },
    { "use_dpop_nonce", DEP_EXIT_AUTH, "try again: the server's nonce was just renewed" },
    { "temporarily_unavailable", DEP_EXIT_UNAVAILABLE, NULL },
    { "server_error", DEP_EXIT_GENERAL, NULL },
};

struct status_row {
    int from, to;
    enum dep_exit exit;
};

static const struct status_row statuses[] = {
    { 200, 299, DEP_EXIT_OK },          { 400, 400, DEP_EXIT_USAGE },       { 401, 401, DEP_EXIT_AUTH },
    { 403, 403, DEP_EXIT_AUTH },        { 404, 404, DEP_EXIT_NOT_FOUND },   { 408, 408, DEP_EXIT_UNAVAILABLE },
    { 409, 409, DEP_EXIT_CONFLICT },    { 410, 410, DEP_EXIT_NOT_FOUND },   { 412, 412, DEP_EXIT_CONFLICT },
    { 413, 413, DEP_EXIT_USAGE },       { 415, 415, DEP_EXIT_USAGE },       { 422, 422, DEP_EXIT_USAGE },
    { 425, 425, DEP_EXIT_UNAVAILABLE }, { 429, 429, DEP_EXIT_UNAVAILABLE }, { 502, 504, DEP_EXIT_UNAVAILABLE },
};

enum dep_exit dep_exit_of(int status, const char *error)
{
    /* A refusal of overload or of a missing thing is told by its status, whatever the error word. */
    bool is_coarse = status == 404 || status == 409 || status == 412 || status == 429 || status >= 500;

    for (size_t i = 0; error != NULL && !is_coarse && i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(errors[i].error, error) == 0)
            return errors[i].exit;
    }
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (status >= statuses[i].from && status <= statuses[i].to)
            return statuses[i].exit;
    }
    return DEP_EXIT_GENERAL;
}

const char *dep_exit_hint(const char *error)
{
    for (size_t i = 0; error != NULL && i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(errors[i].error, error) == 0)
            return errors[i].hint;
    }
    return NULL;
}

const char *dep_exit_text(enum dep_exit exit)
{
    static const char *const texts[] = {
        "ok",
        "unexpected failure",
        "the command line or the request is malformed",
        "there is no such thing",
        "authentication failed, or this is not allowed",
        "the state does not allow this now",
        "something needed is not there; retry later",
        "the check found something",
    };

    return (size_t)exit < sizeof(texts) / sizeof(texts[0]) ? texts[exit] : texts[1];
}

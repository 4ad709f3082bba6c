/* One table from HTTP answers to exit codes. */
#include "cli/exit.h"

#include <stddef.h>
#include <string.h>

struct error_row {
    const char *error;
    enum dep_exit exit;
};

/* rfc6749#5.2, rfc8693#2.2.2, rfc8707#2, rfc9449#5: errors that say more than their status does. */
static const struct error_row errors[] = {
    { "invalid_request", DEP_EXIT_USAGE },        { "unsupported_grant_type", DEP_EXIT_USAGE },
    { "unsupported_token_type", DEP_EXIT_USAGE }, { "invalid_client", DEP_EXIT_AUTH },
    { "invalid_grant", DEP_EXIT_AUTH },           { "unauthorized_client", DEP_EXIT_AUTH },
    { "access_denied", DEP_EXIT_AUTH },           { "invalid_scope", DEP_EXIT_AUTH },
    { "insufficient_scope", DEP_EXIT_AUTH },      { "invalid_target", DEP_EXIT_AUTH },
    { "invalid_token", DEP_EXIT_AUTH },           { "invalid_dpop_proof", DEP_EXIT_AUTH },
    { "use_dpop_nonce", DEP_EXIT_AUTH },          { "temporarily_unavailable", DEP_EXIT_UNAVAILABLE },
    { "server_error", DEP_EXIT_GENERAL },
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

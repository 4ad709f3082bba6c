/* Exit codes of `deputy`, and what leads to them. The codes are an interface: deputy-exit-codes(7). */
#ifndef DEP_CLI_EXIT_H
#define DEP_CLI_EXIT_H

#include <stdbool.h>

enum dep_exit {
    DEP_EXIT_OK = 0,
    DEP_EXIT_GENERAL = 1, /* unexpected */
    DEP_EXIT_USAGE = 2,   /* the command line, or a request that the server calls malformed */
    DEP_EXIT_NOT_FOUND = 3,
    DEP_EXIT_AUTH = 4, /* authentication failed, or not allowed */
    DEP_EXIT_CONFLICT = 5,
    DEP_EXIT_UNAVAILABLE = 6, /* retry later */
    DEP_EXIT_FINDINGS = 7     /* a check ran and found something */
};

/* The exit code of an HTTP answer. `error` is the OAuth error code, or NULL; it is more exact than the status. */
enum dep_exit dep_exit_of(int status, const char *error);
/* What to do about an OAuth error, or NULL when there is nothing general to say. Static. */
const char *dep_exit_hint(const char *error);
/* One line about the code. Static. */
const char *dep_exit_text(enum dep_exit exit);

#endif

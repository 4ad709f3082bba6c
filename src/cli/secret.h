/* Where secrets come from: never from the command line itself, which every process of the machine can read.
 *
 *   file:PATH   a file; refused when others may read it      env:NAME    a variable
 *   fd:N        an open descriptor                            -           standard input
 *   cred:NAME   a file of $CREDENTIALS_DIRECTORY (systemd)
 *
 * One line end at the end of the text is not part of the secret. */
#ifndef DEP_CLI_SECRET_H
#define DEP_CLI_SECRET_H

#include "base/secret.h"
#include "cli/cli.h"

#define DEP_SECRET_BYTES_MAX 65536u

/* Is it a source at all? `what` names the flag in the fault. Never repeats the text: it may be a secret. */
int dep_secret_source_check(struct dep_cli *cli, const char *source, const char *what);
/* Reads it into the arena. */
int dep_secret_load(struct dep_cli *cli, const char *source, const char *what, struct dep_secret *ret_secret);
/* The same for tokens, which are sent on as text. */
int dep_secret_load_text(struct dep_cli *cli, const char *source, const char *what, struct dep_str *ret_text);
/* TEXT or file:PATH, for what is no secret: the file's mode does not matter. */
int dep_text_load(struct dep_cli *cli, const char *text, const char *what, struct dep_str *ret_text);
/* A new file of mode 0600 with a line end after the text; never follows or replaces what is there unless `may_replace`. */
int dep_secret_save(struct dep_cli *cli, const char *path, struct dep_secret secret, bool may_replace);

#endif

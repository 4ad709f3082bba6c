/* The verbs of `deputy token`, shared between its files. */
#ifndef DEP_CLI_TOKEN_H
#define DEP_CLI_TOKEN_H

#include "cli/cli.h"

/* token_wire.c: they talk to the issuer. */
int dep_token_verb_get(struct dep_cli *cli);
int dep_token_verb_exchange(struct dep_cli *cli);
int dep_token_verb_introspect(struct dep_cli *cli);
int dep_token_verb_revoke(struct dep_cli *cli);
/* token_preview.c: it asks the admin API. */
int dep_token_verb_preview(struct dep_cli *cli);
/* token_local.c: they work on what is here; only verify fetches keys. */
int dep_token_verb_decode(struct dep_cli *cli);
int dep_token_verb_verify(struct dep_cli *cli);
int dep_token_verb_key(struct dep_cli *cli);
int dep_token_verb_proof(struct dep_cli *cli);

#endif

/* Private keys of the command's user, as PEM PKCS#8: for DPoP proofs and for private_key_jwt. */
#ifndef DEP_CLI_KEYFILE_H
#define DEP_CLI_KEYFILE_H

#include "cli/cli.h"
#include "jose/jwk.h"

/* Reads the key of a secret source, whatever its type. The caller frees. */
int dep_keyfile_load(struct dep_cli *cli, const char *source, const char *what, struct dep_private_key **ret_key);
/* A new key in a new file of mode 0600. The caller frees. */
int dep_keyfile_create(struct dep_cli *cli, const char *path, enum dep_alg alg, struct dep_private_key **ret_key);

#endif

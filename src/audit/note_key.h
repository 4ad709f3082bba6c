/* The key that signs the checkpoints of the guard's audit log: made at the first start, kept in
 * `<directory>/checkpoint.key`. */
#ifndef DEP_AUDIT_NOTE_KEY_H
#define DEP_AUDIT_NOTE_KEY_H

#include "crypto/crypto.h"

/* Creates the directory (0700) and the key file (0600) when they are missing. A file that others may read, or that is
 * no Ed25519 key, is DEP_ERR_KEY_FILE; DEP_ERR_AUDIT_IO when neither can be had. The caller frees. */
DEP_MUST struct dep_res dep_note_key(const char *directory, struct dep_private_key **ret_key);

#endif

/* Proofs that a record is in the log, for people who have neither the log nor the server: C2SP tlog-proof.
 *
 *     c2sp.org/tlog-proof@v1
 *     index 73894
 *     <base64 of a hash, from the leaf up; as many lines as needed>
 *
 *     <the checkpoint, a signed note>
 *
 * With the record's line and the verifier key that is all that is needed (rfc9162#2.1.3). */
#ifndef DEP_AUDIT_PROVE_H
#define DEP_AUDIT_PROVE_H

#include "base/buf.h"
#include "base/res.h"

#define DEP_PROOF_MAX 8192u

/* Writes the record's line, without its newline, and its proof under the newest checkpoint. DEP_ERR_STORE_MISSING: there is no such
 * record, or no checkpoint covers it yet; DEP_ERR_AUDIT_CORRUPT: the log does not fit its checkpoint; DEP_ERR_BUF_FULL. */
DEP_MUST struct dep_res dep_audit_prove(const char *directory, uint64_t index, struct dep_buf *line,
                                        struct dep_buf *proof);

/* Checks a proof offline: the checkpoint is signed by `public_key` (a line as in key.pub), and `line` is the leaf at the index that
 * the proof names. DEP_ERR_AUDIT_SYNTAX, DEP_ERR_AUDIT_CORRUPT. */
DEP_MUST struct dep_res dep_audit_check_proof(struct dep_str public_key, struct dep_str line, struct dep_str proof,
                                              uint64_t *ret_index);

#endif

/* The audit log: JSON lines in append-only segment files; each line is a leaf of a Merkle tree (RFC 9162 section 2.1), the tree's
 * head is signed as a C2SP tlog-checkpoint (signed note, Ed25519). One log per node, one writer per log.
 *
 * Layout of the directory: `log/0000000000.jsonl` (named by the index of its first leaf), `checkpoint` (the newest signed note),
 * `checkpoints` (every signed note, one after the other), `key.pub` (the note verifier key line). Derived, and made anew when they
 * do not fit: `leaves` (the leaf hashes, 32 bytes each, which are the tiles of level 0 of C2SP tlog-tiles one after the other) and
 * `state` (where the log ended at the newest checkpoint). The directory itself is locked while the log is open. */
#ifndef DEP_AUDIT_LOG_H
#define DEP_AUDIT_LOG_H

#include "audit/merkle.h"
#include "base/arena.h"
#include "base/res.h"
#include "crypto/crypto.h"

struct dep_audit_log;

struct dep_audit_config {
    const char *directory;             /* created with mode 0700 */
    struct dep_str origin;             /* first line of checkpoints: "deputy/<issuer without scheme>" */
    const struct dep_private_key *key; /* Ed25519; outlives the log */
    int64_t segment_bytes_max;
};

/* Opens or creates. A torn last line (never answered) is cut off. Only what was written since the newest checkpoint is read, the rest
 * is vouched for by its signature; a log that does not fit its newest checkpoint is DEP_ERR_AUDIT_CORRUPT, one that another process
 * writes DEP_ERR_AUDIT_IO. A record changed in place before the checkpoint is for dep_audit_verify() to find. `config` need not
 * outlive the call, its key must. */
DEP_MUST struct dep_res dep_audit_open(const struct dep_audit_config *config, struct dep_audit_log **ret_log);
/* Writes a checkpoint and closes. */
void dep_audit_close(struct dep_audit_log *log);

/* One record: a JSON line without its newline, and its leaf hash (dep_merkle_leaf), made by the thread that made the line. */
struct dep_audit_line {
    struct dep_str json;
    unsigned char leaf[DEP_SHA256_LEN];
};

/* Appends all lines with one writev and one fdatasync. On failure nothing counts as written: the tail is cut back, and the log
 * refuses (DEP_ERR_AUDIT_IO) until that has worked. `*ret_first` is the index of the first line. */
DEP_MUST struct dep_res dep_audit_append(struct dep_audit_log *log, const struct dep_audit_line *lines, size_t count,
                                         uint64_t *ret_first);
/* Signs and writes the head if it changed since the last one. */
DEP_MUST struct dep_res dep_audit_checkpoint(struct dep_audit_log *log);
uint64_t dep_audit_size(const struct dep_audit_log *log);
/* The latest "ts" among the last records that were found when the log was opened, Unix seconds; 0 for an empty log. The restart fence uses it, so
 * that a clock set back does not reopen the past. */
int64_t dep_audit_last_time(const struct dep_audit_log *log);

#endif

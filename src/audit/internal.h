/* What the files that write a log share. Nobody else includes it. */
#ifndef DEP_AUDIT_INTERNAL_H
#define DEP_AUDIT_INTERNAL_H

#include <sys/uio.h>

#include "audit/log.h"
#include "audit/note.h"
#include "audit/segment.h"

#define DEP_AUDIT_FILE_MODE 0640
#define DEP_AUDIT_PRIVATE_MODE 0600
#define DEP_AUDIT_LEAVES_MAX 65536u /* hashes held back before they are written */

/* A place in the segments: behind the last record. */
struct dep_audit_place {
    uint64_t segment; /* index of its first leaf */
    uint64_t offset;
    uint64_t before; /* bytes of all segments before this one */
};

struct dep_audit_log {
    struct dep_crypto *crypto;
    const struct dep_private_key *key;
    struct dep_note_signer signer;
    int64_t segment_bytes_max;
    int64_t last_time;

    int directory_fd; /* holds the lock */
    int log_fd;       /* the folder of the segments */
    int segment_fd;   /* the segment that is written; -1: none yet */
    int leaves_fd;
    struct dep_audit_place end;  /* where the next record goes */
    struct dep_audit_place last; /* behind the newest record; its segment may be the one before */
    bool has_dirty_tail;         /* bytes behind `end` that do not count */
    bool must_sync_cut;          /* and a sync of them failed */
    bool needs_segment;

    struct dep_merkle tree;
    unsigned char last_leaf[DEP_SHA256_LEN];
    unsigned char (*leaves)[DEP_SHA256_LEN]; /* not yet in the file of leaves: the last `leaves_count` of the tree */
    size_t leaves_count;

    bool has_checkpoint;
    uint64_t signed_size;
    unsigned char signed_root[DEP_SHA256_LEN];
    uint64_t checkpoints_bytes; /* of the file of checkpoints */

    struct iovec *pieces;
};

/* Adds a leaf whose record is safe. */
void dep_audit_grow(struct dep_audit_log *log, const unsigned char leaf[DEP_SHA256_LEN]);
/* Writes the leaves held back. */
DEP_MUST struct dep_res dep_audit_flush_leaves(struct dep_audit_log *log);
/* Finds the newest signed checkpoint, the tree and the end of the log; cuts what was never answered. */
DEP_MUST struct dep_res dep_audit_recover(struct dep_audit_log *log);
/* The derived state, so that the next opening reads only what was written since. */
DEP_MUST struct dep_res dep_audit_state_write(struct dep_audit_log *log);
/* Takes the state over if it fits the newest checkpoint and the files: tree, last place, last leaf. False: start from nothing. */
bool dep_audit_state_read(struct dep_audit_log *log, const struct dep_segments *segments);
/* The record that ends at `place`, on the heap. */
DEP_MUST struct dep_res dep_audit_read_before(const struct dep_audit_log *log, struct dep_audit_place place,
                                              struct dep_str *ret_line);

#endif

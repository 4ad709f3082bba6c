/* The record store: what survives a restart, behind one interface. SQLite for real, memory and a wrapper that fails on purpose
 * for tests; one contract test for all.
 *
 * A record is a kind, an id, a version that counts its changes, and a JSON body that proto/records.h reads and writes.
 * Changes come in batches; a batch is one transaction: all of it, durably, or nothing. */
#ifndef DEP_STORE_STORE_H
#define DEP_STORE_STORE_H

#include "base/arena.h"
#include "base/res.h"

enum dep_record_kind {
    DEP_RECORD_AGENT,
    DEP_RECORD_CLIENT,
    DEP_RECORD_RESOURCE,
    DEP_RECORD_KEY,
    DEP_RECORD_REVOCATION,
    DEP_RECORD_REPLAY,      /* id = hex of the replay key; only what must survive a restart */
    DEP_RECORD_META,        /* server secrets and marks, e.g. the nonce key */
    DEP_RECORD_IDEMPOTENCY, /* not used: the ledger has a file of its own. The numbers stand in the file, so it stays */
    DEP_RECORD_INSTRUCTION, /* human instructions by their SHA-256, so that they can be erased without touching the log */
    DEP_RECORD_ISSUER,      /* foreign issuers that are trusted for something */
    DEP_RECORD_CONSENT,     /* a user's consent that refresh tokens hang on: proto/ticket.h, by its id */
    DEP_RECORD_KINDS
};

struct dep_record {
    enum dep_record_kind kind;
    struct dep_str id;
    int64_t version; /* 1 for a new record */
    int64_t expires; /* Unix seconds after which it may be dropped; 0 for never */
    struct dep_str body;
};

enum dep_change_op {
    DEP_CHANGE_ADD, /* must not exist: DEP_ERR_STORE_EXISTS */
    DEP_CHANGE_REPLACE, /* must exist with record.version, becomes version + 1: DEP_ERR_STORE_CONFLICT, DEP_ERR_STORE_MISSING */
    DEP_CHANGE_PUT,   /* add or replace, whatever is there */
    DEP_CHANGE_REMOVE /* must exist with record.version */
};

struct dep_change {
    enum dep_change_op op;
    struct dep_record record;
};

struct dep_store;

/* Called for each record; slices live during the call. Returning false ends the walk. */
typedef bool dep_record_visit(void *context, const struct dep_record *record);

struct dep_store_ops {
    /* Every record of a kind, in order of id. */
    struct dep_res (*walk)(struct dep_store *store, enum dep_record_kind kind, dep_record_visit *visit, void *context);
    /* One record, copied into the arena: DEP_ERR_STORE_MISSING. */
    struct dep_res (*get)(struct dep_store *store, enum dep_record_kind kind, struct dep_str id,
                          struct dep_arena *arena, struct dep_record *ret_record);
    /* One transaction. When a precondition fails, nothing is changed and `*ret_failed` is the index of the change. */
    struct dep_res (*commit)(struct dep_store *store, const struct dep_change *changes, size_t count,
                             size_t *ret_failed);
    /* Drops records whose `expires` is set and before `now`. */
    struct dep_res (*expire)(struct dep_store *store, int64_t now);
    void (*free)(struct dep_store *store);
};

/* Implementations start with this member. Used by one thread at a time. */
struct dep_store {
    const struct dep_store_ops *ops;
};

DEP_MUST struct dep_res dep_store_walk(struct dep_store *store, enum dep_record_kind kind, dep_record_visit *visit,
                                       void *context);
DEP_MUST struct dep_res dep_store_get(struct dep_store *store, enum dep_record_kind kind, struct dep_str id,
                                      struct dep_arena *arena, struct dep_record *ret_record);
DEP_MUST struct dep_res dep_store_commit(struct dep_store *store, const struct dep_change *changes, size_t count,
                                         size_t *ret_failed);
DEP_MUST struct dep_res dep_store_expire(struct dep_store *store, int64_t now);
void dep_store_free(struct dep_store *store);

/* SQLite in WAL mode with synchronous=FULL; the file is created with mode 0600. */
DEP_MUST struct dep_res dep_store_sqlite_new(const char *path, struct dep_store **ret_store);
/* For tests: nothing survives. */
DEP_MUST struct dep_res dep_store_memory_new(struct dep_store **ret_store);
/* For tests: takes `inner`; the n-th call from now fails with DEP_ERR_STORE_IO, once or, with `is_forever`, from then on. */
DEP_MUST struct dep_res dep_store_faulty_new(struct dep_store *inner, struct dep_store **ret_store);
void dep_store_faulty_arm(struct dep_store *store, unsigned nth, bool is_forever);

#endif

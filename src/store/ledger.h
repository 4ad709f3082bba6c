/* The ledger of writes: which keys were used, by which process, and how it ended. For several processes and threads at
 * once, behind one interface: SQLite for real, memory and a wrapper that fails on purpose for tests; one contract for all.
 *
 *     begin -> run -> complete (with the answer) | abandon (it was not run) | lose (nobody knows)
 *
 * An entry whose process died is reported as such by the next begin: the kernel knows who lives (ledger_owner.h). What the
 * entries mean is the business of proto/idempotency.h. */
#ifndef DEP_STORE_LEDGER_H
#define DEP_STORE_LEDGER_H

#include "proto/idempotency.h"

struct dep_ledger_limits {
    int64_t entries_max;        /* in all: beyond, begin says DEP_ERR_LEDGER_FULL */
    int64_t caller_entries_max; /* of one caller: beyond, begin says DEP_ERR_LEDGER_QUOTA */
    int64_t bytes_max;          /* of kept answers in all: beyond, answers are not kept */
    int64_t retention_s;        /* of an entry, from its beginning */
};
/* 1,000,000 entries, 100,000 of one caller, 1 GiB, 24 h. */
struct dep_ledger_limits dep_ledger_limits_default(void);

struct dep_ledger;

struct dep_ledger_ops {
    struct dep_res (*begin)(struct dep_ledger *ledger, const struct dep_idempotency_names *names, int64_t now,
                            struct dep_arena *arena, struct dep_idempotency_entry *ret_entry);
    struct dep_res (*complete)(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket, int status,
                               struct dep_str answer);
    struct dep_res (*abandon)(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket);
    struct dep_res (*lose)(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket);
    struct dep_res (*expire)(struct dep_ledger *ledger, int64_t now, int max, int *ret_count);
    struct dep_res (*count)(struct dep_ledger *ledger, int64_t *ret_entries, int64_t *ret_bytes);
    void (*free)(struct dep_ledger *ledger);
};

/* Implementations start with this member. */
struct dep_ledger {
    const struct dep_ledger_ops *ops;
};

/* Makes the entry if there is none (state NEW; it is on the disk when this returns), or tells what is there; `answer` is
 * copied into the arena. DEP_ERR_LEDGER_FULL, DEP_ERR_LEDGER_QUOTA, DEP_ERR_STORE_IO, DEP_ERR_ARENA_FULL: nothing was begun,
 * and nothing may be run. */
DEP_MUST struct dep_res dep_ledger_begin(struct dep_ledger *ledger, const struct dep_idempotency_names *names,
                                         int64_t now, struct dep_arena *arena, struct dep_idempotency_entry *ret_entry);
/* It was run and this is its answer, sealed; absent: not to be kept. Durable when this returns. DEP_ERR_LEDGER_GONE when this
 * beginning is not there any more or has ended. When this fails the entry stays begun, and its owner should lose() it. */
DEP_MUST struct dep_res dep_ledger_complete(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket,
                                            int status, struct dep_str answer);
/* It was not run: as if it had never begun. DEP_ERR_LEDGER_GONE. */
DEP_MUST struct dep_res dep_ledger_abandon(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket);
/* It may have been run, and no answer will come. DEP_ERR_LEDGER_GONE. */
DEP_MUST struct dep_res dep_ledger_lose(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket);
/* Forgets up to `max` entries whose retention is over. `ret_count`: how many; less than `max` means that none is left. */
DEP_MUST struct dep_res dep_ledger_expire(struct dep_ledger *ledger, int64_t now, int max, int *ret_count);
DEP_MUST struct dep_res dep_ledger_count(struct dep_ledger *ledger, int64_t *ret_entries, int64_t *ret_bytes);
/* What this handle has begun and not ended is from now on without an owner. */
void dep_ledger_free(struct dep_ledger *ledger);

/* SQLite in WAL mode with synchronous=FULL in a file of its own, mode 0600, and beside it "<path>.owners", the lock file.
 * Thread-safe. Not to be carried over a fork(): every process opens its own. */
DEP_MUST struct dep_res dep_ledger_sqlite_new(const char *path, const struct dep_ledger_limits *limits,
                                              struct dep_ledger **ret_ledger);
/* For tests: nothing survives. Thread-safe. */
DEP_MUST struct dep_res dep_ledger_memory_new(const struct dep_ledger_limits *limits, struct dep_ledger **ret_ledger);
/* For tests: takes `inner`; the n-th call from now fails with DEP_ERR_STORE_IO, before or after the inner one did its work, once or
 * from then on. */
DEP_MUST struct dep_res dep_ledger_faulty_new(struct dep_ledger *inner, struct dep_ledger **ret_ledger);
void dep_ledger_faulty_arm(struct dep_ledger *ledger, unsigned nth, bool is_after, bool is_forever);

#endif

/* The guard behind the C API: one resource, one issuer, any number of threads.
 *
 * Invariants:
 *  (1) `lock` is held for moments only: never while something is fetched, verified, recorded or called back.
 *  (2) What a check needs is its worker's own; workers wait in a stack, so that one thread finds its caches warm.
 *  (3) Nothing becomes a verdict that was not recorded, but the refusal that says so. */
#ifndef DEP_LIB_HANDLE_H
#define DEP_LIB_HANDLE_H

#include <pthread.h>

#include "audit/journal.h"
#include "guard/follow_feed.h"
#include "guard/follow_keys.h"
#include "guard/guard.h"
#include "guard/seen.h"
#include "lib/config.h"
#include "net/clock.h"
#include "store/replay.h"

#define DEP_LIB_ARENA_BYTES (384u * 1024u)
#define DEP_LIB_LINE 16384u
#define DEP_LIB_RUNNERS 2u

/* What one check at a time uses. */
struct dep_lib_worker {
    struct dep_lib_worker *next;
    struct dep_crypto *crypto;
    void *memory;
    struct dep_arena arena;
    struct dep_guard_seen *seen;
    struct dep_hold keys, feed;
    char line[DEP_LIB_LINE];
};

struct dep_lib_runner {
    struct deputy_guard *guard;
    enum dep_follow_kind kind; /* DEP_FOLLOW_KEYS (metadata too) or DEP_FOLLOW_FEED */
    struct dep_fetcher *fetcher;
    pthread_t thread;
    bool is_running;
};

struct deputy_guard {
    struct deputy_config *config; /* our own */
    void *memory;                 /* of the arena */
    struct dep_arena arena;       /* of the texts */
    struct dep_guard_texts texts;
    struct dep_guard_rules rules;      /* where the caller has added any */
    struct dep_rules_file *rules_file; /* NULL: none */
    struct dep_guard_policy policy;
    struct dep_nonce_policy nonce;
    struct dep_follow_policy following;
    struct dep_journal *journal; /* NULL: the caller records */
    struct dep_replay *replay;   /* NULL: the caller remembers */
    int event_fd, stop_fd;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* something below has changed */
    struct dep_follow_keys keys;
    struct dep_follow_feed feed;
    atomic_bool has_tried_keys, has_tried_feed; /* the first try has come back */
    struct dep_lib_worker *idle;
    struct deputy_verdict *recorded, **recorded_last; /* for deputy_guard_recorded() */
    struct dep_lib_runner runners[DEP_LIB_RUNNERS];
    bool is_started, is_stopping;
};

/* NULL when out of memory. */
struct dep_lib_worker *dep_lib_worker_take(struct deputy_guard *guard);
void dep_lib_worker_give(struct deputy_guard *guard, struct dep_lib_worker *worker);
void dep_lib_worker_free(struct dep_lib_worker *worker);

/* Under the lock: wakes whoever waits, and makes the descriptor readable. */
void dep_lib_wake(struct deputy_guard *guard);
/* Under the lock: a round of keys is under way or wanted, or a first try has not come back. */
bool dep_lib_is_waiting(const struct deputy_guard *guard);
/* Waits on the condition until then, for at most that long. Under the lock. */
void dep_lib_wait_until(struct deputy_guard *guard, int64_t until_ms);

/* Ends and frees the threads that fetch. */
void dep_lib_runners_stop(struct deputy_guard *guard);
/* Under the lock: when the feed is to be asked: not before the keys that its signature needs have been tried for. INT64_MAX: not yet. */
int64_t dep_lib_feed_due(const struct deputy_guard *guard);
/* Under the lock: takes the fetch that is due for the feed, or for the keys. */
void dep_lib_fetch_begin(struct deputy_guard *guard, bool is_feed, int64_t now_ms, struct dep_follow_fetch *ret_fetch);
/* Applies its answer. */
struct dep_res dep_lib_fetch_end(struct deputy_guard *guard, enum dep_follow_kind kind,
                                 const struct dep_follow_answer *answer);

#endif

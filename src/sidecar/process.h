/* The parts of a running guard, and what each thread that decides has for itself. */
#ifndef DEP_SIDECAR_PROCESS_H
#define DEP_SIDECAR_PROCESS_H

#include "guard/guard.h"
#include "guard/seen.h"
#include "sidecar/denied.h"
#include "sidecar/feed.h"
#include "sidecar/journal.h"
#include "sidecar/keys.h"
#include "sidecar/sidecar.h"
#include "store/replay.h"

#define DEP_WORKER_ARENA_BYTES (384u * 1024u)
#define DEP_WORKER_RANDOM 640u
#define DEP_WORKER_LINE 16384u

/* A thread that decides. No locks: nobody else touches it. */
struct dep_sidecar_worker {
    struct dep_crypto *crypto;
    void *memory;
    struct dep_arena arena;
    struct dep_guard_seen *seen;
    struct dep_hold keys, feed;
    unsigned char random[DEP_WORKER_RANDOM];
    size_t random_at;           /* used so far */
    char line[DEP_WORKER_LINE]; /* the record of this request */
};

struct dep_sidecar {
    struct dep_sidecar_config config; /* with the defaults filled in */
    struct dep_guard_policy policy;
    struct dep_nonce_policy nonce;
    unsigned char nonce_key[DEP_SHA256_LEN];
    struct dep_str node;          /* of the audit records: "guard " + resource */
    struct dep_str metadata;      /* the protected-resource metadata document */
    struct dep_str metadata_path; /* its path */
    struct dep_arena arena;       /* of the texts above */
    void *memory;
    struct dep_keys *keys;
    struct dep_guard_feed *feed;
    struct dep_journal *journal;
    struct dep_denied *denied;
    struct dep_replay *replay;
    struct dep_sidecar_worker *workers; /* the last one is the keys' thread's */
    size_t workers_count;
    int stop_fd; /* readable once the guard stops */
};

/* Fills in defaults, policy and documents. 0, or the exit code: says why on stderr. */
int dep_sidecar_prepare(struct dep_sidecar *sidecar, const struct dep_sidecar_config *config);

bool dep_sidecar_worker_init(struct dep_sidecar_worker *worker, size_t tokens_max);
void dep_sidecar_worker_done(struct dep_sidecar_worker *worker);

/* Answers one request, on the worker's thread. */
void dep_sidecar_handle(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                        struct dep_net_exchange *exchange);
/* Decides and answers; `is_late` when it has waited for keys already. */
void dep_sidecar_guard(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                       struct dep_net_exchange *exchange, enum dep_guard_adapter adapter, bool is_late);

#endif

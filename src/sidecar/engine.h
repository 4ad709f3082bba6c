/* The engine of a guard process, apart from how requests come in: `deputy guard run` and the nginx module are two shells
 * of it. It has the issuer's keys, the revocation feed, the audit log and what was used once, loads facts from them, asks
 * dep_guard_decide() and applies its effects. */
#ifndef DEP_SIDECAR_ENGINE_H
#define DEP_SIDECAR_ENGINE_H

#include "audit/journal.h"
#include "guard/guard.h"
#include "guard/seen.h"
#include "guard/seen_region.h"
#include "sidecar/feed.h"
#include "sidecar/keys.h"
#include "sidecar/sidecar.h"
#include "store/replay_region.h"
#include "store/replay_store.h"

#define DEP_WORKER_ARENA_BYTES (384u * 1024u)
#define DEP_WORKER_RANDOM 640u
#define DEP_WORKER_LINE 16384u

/* A thread that decides. No locks: nobody else touches it. */
struct dep_engine_worker {
    struct dep_crypto *crypto;
    void *memory;
    struct dep_arena arena;
    struct dep_guard_seen *seen;
    struct dep_hold keys, feed;
    unsigned char tag[DEP_SHA256_LEN]; /* what a token in the shared cache was verified under */
    uint64_t tag_version;              /* of the keys it was made for */
    unsigned char random[DEP_WORKER_RANDOM];
    size_t random_at;           /* used so far */
    char line[DEP_WORKER_LINE]; /* the record of this request */
    bool owes_entry;            /* the last decision stands if dep_engine_entry() is new: the store is to be asked */
};

struct dep_engine {
    struct dep_sidecar_config config; /* with the defaults filled in */
    struct dep_guard_policy policy;
    struct dep_nonce_policy nonce;
    unsigned char nonce_key[DEP_SHA256_LEN];
    struct dep_str node;          /* of the audit records: "guard " + resource */
    struct dep_str log_origin;    /* of the audit log */
    struct dep_str metadata;      /* the protected-resource metadata document */
    struct dep_str metadata_path; /* its path */
    struct dep_arena arena;       /* of the texts above */
    void *memory;
    struct dep_keys *keys;
    struct dep_guard_feed *feed;
    struct dep_journal *journal;
    struct dep_replay_store *replay;
    /* Memory shared with the processes beside this one, if the shell has any: set before the start, never freed here. */
    struct dep_replay_region *shared_replay;
    struct dep_seen_region *shared_seen;
    int stop_fd; /* readable once the guard stops */
};

/* Fills in defaults, policy and documents. 0, or the exit code: says why on stderr. The engine starts zeroed;
 * dep_engine_done() is due in any case. */
int dep_engine_prepare(struct dep_engine *engine, const struct dep_sidecar_config *config);
/* How long a proof may have to be remembered. */
int64_t dep_engine_proof_life_s(const struct dep_engine *engine);
/* Opens the log and starts the threads of a prepared engine. 0, or the exit code: says why on stderr. */
int dep_engine_start(struct dep_engine *engine);
/* Ends the threads that ask the issuer and the replay store. Those that wait for them are resumed by then. */
void dep_engine_quiesce(struct dep_engine *engine);
/* Writes what waits for the log and frees everything. */
void dep_engine_done(struct dep_engine *engine);

bool dep_engine_worker_init(struct dep_engine_worker *worker, size_t tokens_max);
void dep_engine_worker_done(struct dep_engine_worker *worker);

struct dep_engine_ask {
    struct dep_guard_request request;
    const struct dep_guard_policy *policy; /* NULL: the engine's own */
    bool may_wait;                         /* for keys */
    const unsigned char *burnt;            /* replay_key that this very request was allowed with before; NULL: none */
    const struct dep_replay_entry *entry;  /* what the replay store answered for this very request; NULL: not asked */
    int64_t now;
};

/* Decides, on the worker's thread; effects are applied but the record. False: a newer key may help, and the caller may
 * wait for it with dep_keys_wait() and ask again; never when `may_wait` is false. Slices in the decision live until the
 * next call. Where the replay store does not answer at once, `owes_entry` of the worker is set when all else is well. */
bool dep_engine_decide(struct dep_engine *engine, struct dep_engine_worker *worker, const struct dep_engine_ask *ask,
                       struct dep_guard_decision *ret_decision);
/* The entry that such a decision owes. Its answer goes into the next ask; or, if it is new, the decision may be used. */
void dep_engine_entry(const struct dep_engine *engine, const struct dep_guard_decision *decision, int64_t now,
                      struct dep_replay_entry *ret_entry);
/* The audit record of a decision, in the worker's memory; absent when it cannot be written. */
struct dep_str dep_engine_record(struct dep_engine *engine, struct dep_engine_worker *worker,
                                 enum dep_guard_adapter adapter, struct dep_str peer,
                                 const struct dep_guard_decision *decision, int64_t now);
/* Why nothing can be allowed now, as a line for an operator; absent: ready. In the worker's line. */
struct dep_str dep_engine_trouble(struct dep_engine *engine, struct dep_engine_worker *worker);
/* That it is ready, and how old what it knows of revocations is. In the worker's line. */
struct dep_str dep_engine_ready(struct dep_engine *engine, struct dep_engine_worker *worker);

#endif

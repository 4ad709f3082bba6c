/* The thread of a replay store that is slower than its callers: what has gathered while one batch was on its way is the next.
 * SQLite and PostgreSQL are backends of it. Not for other folders.
 *
 * Invariants:
 *  (1) An entry is decided exactly once. No caller ever waits for the backend.
 *  (2) Entries reach the backend in order of anchor and key, each key once: two nodes with the same keys in their batches
 *      never wait for each other in a circle. Of the same key twice in a batch, one can be new.
 *  (3) While the backend is not open, entries are refused at once (DEP_ERR_REPLAY_GONE).
 *  (4) Bounded: DEP_GATHER_WAITING_MAX entries wait, no more. */
#ifndef DEP_STORE_REPLAY_GATHER_H
#define DEP_STORE_REPLAY_GATHER_H

#include "store/replay_store.h"

#define DEP_GATHER_WAITING_MAX 65536u
#define DEP_GATHER_BATCH_MAX 1024u

struct dep_gather_backend;

struct dep_gather_ops {
    /* Connects, checks, prepares. False: not now. `stop_fd` is readable when there is no more point in it. */
    bool (*open)(struct dep_gather_backend *backend, int stop_fd);
    /* Sets the `res` of every entry. False: the session cannot go on. */
    bool (*insert)(struct dep_gather_backend *backend, struct dep_replay_entry **entries, size_t count);
    /* Upkeep, every `tend_ms`, and whenever `fd` was readable while nothing was asked. False as above. */
    bool (*tend)(struct dep_gather_backend *backend);
    /* To be watched while nothing is asked; -1: nothing. */
    int (*fd)(struct dep_gather_backend *backend);
    void (*close)(struct dep_gather_backend *backend); /* may be opened again */
    void (*free)(struct dep_gather_backend *backend);
};

struct dep_gather_backend {
    const struct dep_gather_ops *ops;
    int tend_ms, retry_ms;
};

/* Takes the backend, also when it fails. NULL when out of memory, descriptors or threads. */
struct dep_replay_store *dep_gather_new(struct dep_gather_backend *backend);

#endif

/* What may be used once, behind one interface: in memory (replay.h), in SQLite where a restart may not forget, in PostgreSQL
 * for several nodes. One contract test for all (replay_store_test.c).
 *
 * An insert is either decided at once or taken and decided later; the answer "new" is given at most once for a key, whatever
 * fails. When the store cannot know - gone, slow, failing over, an outcome lost with its connection - the answer is a reason
 * of class UNAVAILABLE, and the thing is burnt or not. */
#ifndef DEP_STORE_REPLAY_STORE_H
#define DEP_STORE_REPLAY_STORE_H

#include "base/secret.h"
#include "base/str.h"
#include "store/replay.h"

/* One insert; the first member of whatever carries it. The caller's memory, untouched by the caller until it is decided. */
struct dep_replay_entry {
    struct dep_replay_entry *next;         /* the store's */
    unsigned char key[DEP_REPLAY_KEY_LEN]; /* name spaces by tenant and purpose are in the hash: proto/replay.h */
    int64_t anchor; /* a time that the thing carries and that every node reads alike, whatever its settings: iat, exp */
    int64_t expires; /* the last second at which the thing could be accepted */
    int64_t now;
    struct dep_res res;                           /* DEP_OK, DEP_ERR_REPLAY_SEEN, or why it is not known */
    void (*done)(struct dep_replay_entry *entry); /* called once, on the store's thread, when it was taken */
};

struct dep_replay_store;

struct dep_replay_store_ops {
    bool (*insert)(struct dep_replay_store *store, struct dep_replay_entry *entry);
    bool (*is_usable)(struct dep_replay_store *store);
    void (*stop)(struct dep_replay_store *store);
    void (*free)(struct dep_replay_store *store);
};

/* Implementations start with this member. Used by any thread. */
struct dep_replay_store {
    const struct dep_replay_store_ops *ops;
    bool is_durable; /* remembers across a restart of this process */
};

/* True: decided, `entry->res` is set. False: taken; `entry->done` is called later. */
DEP_MUST bool dep_replay_store_insert(struct dep_replay_store *store, struct dep_replay_entry *entry);
/* False while every insert is refused. */
bool dep_replay_store_is_usable(struct dep_replay_store *store);
/* What it holds, when that is in this process's memory; else false. */
bool dep_replay_store_size(struct dep_replay_store *store, size_t *ret_entries, size_t *ret_bytes);
/* Ends the thread. What was taken is decided by then; later inserts are refused. */
void dep_replay_store_stop(struct dep_replay_store *store);
/* Stops first. May be NULL. */
void dep_replay_store_free(struct dep_replay_store *store);

/* Room for `entries_max`, each living at most life_max_s from now. NULL when out of memory. */
struct dep_replay_store *dep_replay_memory_new(size_t entries_max, int64_t life_max_s);

/* A database of its own at `path`, mode 0600, held by one process. DEP_ERR_STORE_IO. Also keeps at most `entries_max`. */
DEP_MUST struct dep_res dep_replay_sqlite_new(const char *path, size_t entries_max, int64_t life_max_s,
                                              struct dep_replay_store **ret_store);

struct dep_replay_postgres_config {
    struct dep_secret conninfo; /* keywords or URI of libpq; several hosts may be named. Copied */
    int64_t life_max_s;         /* the longest time from anchor to expires */
    int64_t skew_s;             /* how far ahead of the clock an anchor may be */
    int64_t timeout_ms;         /* a batch that takes longer is not known */
    bool is_alone;              /* the operator vouches for a server that names no synchronous standby */
    void (*tell)(void *context, const char *text); /* a line for the operator, on the store's thread; may be NULL */
    void *context;
};

/* Connects in its thread, again and again. DEP_ERR_CONFIG_SYNTAX: that is no connection string. */
DEP_MUST struct dep_res dep_replay_postgres_new(const struct dep_replay_postgres_config *config,
                                                struct dep_replay_store **ret_store);
/* The schema, as a script for psql; applied once by the owner of the database. */
extern const char dep_replay_postgres_schema[];

#endif

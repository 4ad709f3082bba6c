/* The snapshot: every record that decisions read, immutable, versioned, shared by all threads; a change makes a new one.
 *
 * Invariants:
 *  (1) A snapshot never changes once it is published; whoever holds a reference may read it without a lock.
 *  (2) Cells (one record each) are shared between snapshots and counted; a change copies pointers, not records.
 *  (3) Only the writer thread makes new snapshots, after the store has committed. */
#ifndef DEP_SERVER_SNAPSHOT_H
#define DEP_SERVER_SNAPSHOT_H

#include "proto/decide.h"
#include "store/store.h"

/* One record with its own memory. */
struct dep_cell {
    _Atomic unsigned references;
    enum dep_record_kind kind;
    struct dep_str id;
    int64_t version;
    union {
        struct dep_agent agent;
        struct dep_client client;
        struct dep_resource resource;
        struct dep_key key;
        struct dep_trusted_issuer issuer;
        struct dep_ticket consent;
    };
    struct dep_jwks *jwks;               /* of a client, or of an issuer with a fixed set */
    struct dep_private_key *private_key; /* of a key */
    struct dep_public_key *public_key;
    struct dep_jwks_key jwks_key;
    struct dep_arena arena;
    void *memory;
};

struct dep_snapshot;

/* Makes the cell of a record. `unseal_key` opens sealed keys. Failures: those of the record's reader, DEP_ERR_KEY_FILE. */
DEP_MUST struct dep_res dep_cell_new(struct dep_crypto *crypto, struct dep_secret unseal_key,
                                     const struct dep_record *record, struct dep_cell **ret_cell);

struct dep_snapshot *dep_snapshot_new(void);
struct dep_snapshot *dep_snapshot_ref(struct dep_snapshot *snapshot);
void dep_snapshot_unref(struct dep_snapshot *snapshot);
/* A copy that may be changed until it is published; revocations that expired before `now` stay behind. */
struct dep_snapshot *dep_snapshot_copy(const struct dep_snapshot *snapshot, int64_t now);
/* Adds or replaces; takes the cell. */
DEP_MUST struct dep_res dep_snapshot_put(struct dep_snapshot *snapshot, struct dep_cell *cell);
void dep_snapshot_remove(struct dep_snapshot *snapshot, enum dep_record_kind kind, struct dep_str id);
/* The cell, or NULL. */
const struct dep_cell *dep_snapshot_find(const struct dep_snapshot *snapshot, enum dep_record_kind kind,
                                         struct dep_str id);
/* Every cell of a kind, in no order; false from `visit` ends the walk. */
void dep_snapshot_walk(const struct dep_snapshot *snapshot, enum dep_record_kind kind,
                       bool (*visit)(void *context, const struct dep_cell *cell), void *context);
/* The agent as it counts now, into the arena: its state is the worst of its own and of everybody above it (a missing parent counts as
 * banned), its ceiling what everybody above it has too, whatever was shrunk since. DEP_ERR_ARENA_FULL. */
DEP_MUST struct dep_res dep_snapshot_agent(const struct dep_snapshot *snapshot, const struct dep_cell *cell,
                                           struct dep_arena *arena, struct dep_agent *ret_agent);

/* A user as an agent of sorts: the principal "user:<issuer's name>:<sub>", with the issuer's organisation and ceiling. Into the arena;
 * NULL when no issuer has that name. */
const struct dep_agent *dep_snapshot_user(const struct dep_snapshot *snapshot, struct dep_str id,
                                          struct dep_arena *arena);

/* The active signing key, NULL when there is none. */
const struct dep_cell *dep_snapshot_signer(const struct dep_snapshot *snapshot);
const struct dep_revocations *dep_snapshot_revocations(const struct dep_snapshot *snapshot);
/* Adds to the set of a snapshot that is not published yet. */
DEP_MUST struct dep_res dep_snapshot_revoke(struct dep_snapshot *snapshot, const struct dep_revocation *entry);
/* Takes the set. */
void dep_snapshot_set_revocations(struct dep_snapshot *snapshot, struct dep_revocations *revocations);
/* The JWK Set as served: prepared, active and retired keys. Made by dep_snapshot_publish(). */
struct dep_str dep_snapshot_jwks(const struct dep_snapshot *snapshot);
/* Chooses the signer and writes the documents. To be called once, before the snapshot is shared. A retired key leaves the JWK Set
 * `grace_s` after it stopped signing, when no token of it can be alive any more. */
DEP_MUST struct dep_res dep_snapshot_publish(struct dep_snapshot *snapshot, int64_t now, int64_t grace_s);
/* When the next retired key has to leave; INT64_MAX: none. */
int64_t dep_snapshot_due(const struct dep_snapshot *snapshot);
/* Whether tokens of this key are still taken. */
bool dep_key_verifies(const struct dep_key *key, int64_t now, int64_t grace_s);

#endif

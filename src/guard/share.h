/* Values that one thread replaces and many read: the issuer's keys, the revocation set.
 *
 * Invariants:
 *  (1) A value is immutable once it is in a slot, and freed by whoever lets go of it last.
 *  (2) A reader keeps its own hold; taking the newest value costs one atomic load when nothing has changed. */
#ifndef DEP_GUARD_SHARE_H
#define DEP_GUARD_SHARE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* The first member of a shared value. */
struct dep_shared {
    atomic_uint refs;
    void (*free)(struct dep_shared *shared);
};

struct dep_slot {
    pthread_mutex_t lock;
    struct dep_shared *current;   /* NULL: none yet */
    atomic_uint_fast64_t version; /* counts the swaps */
};

struct dep_hold {
    struct dep_shared *value; /* NULL: none yet */
    uint64_t version;
};

void dep_slot_init(struct dep_slot *slot);
void dep_slot_done(struct dep_slot *slot);
/* Puts a new value in; the slot takes the caller's reference (refs = 1). */
void dep_slot_take(struct dep_slot *slot, struct dep_shared *value);
/* Brings the hold up to date. */
void dep_hold_refresh(struct dep_hold *hold, struct dep_slot *slot);
void dep_hold_done(struct dep_hold *hold);

#endif

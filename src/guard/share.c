/* Shared values, counted by reference. */
#include "guard/share.h"

#include <stddef.h>

static void let_go(struct dep_shared *shared)
{
    if (shared != NULL && atomic_fetch_sub(&shared->refs, 1) == 1)
        shared->free(shared);
}

void dep_slot_init(struct dep_slot *slot)
{
    pthread_mutex_init(&slot->lock, NULL);
    slot->current = NULL;
    atomic_init(&slot->version, 0);
}

void dep_slot_done(struct dep_slot *slot)
{
    let_go(slot->current);
    slot->current = NULL;
    pthread_mutex_destroy(&slot->lock);
}

void dep_slot_take(struct dep_slot *slot, struct dep_shared *value)
{
    struct dep_shared *old;

    pthread_mutex_lock(&slot->lock);
    old = slot->current;
    slot->current = value;
    atomic_fetch_add(&slot->version, 1);
    pthread_mutex_unlock(&slot->lock);
    let_go(old);
}

void dep_hold_refresh(struct dep_hold *hold, struct dep_slot *slot)
{
    struct dep_shared *old = hold->value;

    if (atomic_load(&slot->version) == hold->version)
        return;
    pthread_mutex_lock(&slot->lock);
    hold->value = slot->current;
    hold->version = atomic_load(&slot->version);
    if (hold->value != NULL)
        atomic_fetch_add(&hold->value->refs, 1);
    pthread_mutex_unlock(&slot->lock);
    let_go(old);
}

void dep_hold_done(struct dep_hold *hold)
{
    let_go(hold->value);
    *hold = (struct dep_hold){ 0 };
}

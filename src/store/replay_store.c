/* The calls of the interface, and the store in memory behind it. */
#include "store/replay_store.h"

#include <stdlib.h>

bool dep_replay_store_insert(struct dep_replay_store *store, struct dep_replay_entry *entry)
{
    return store->ops->insert(store, entry);
}

bool dep_replay_store_is_usable(struct dep_replay_store *store)
{
    return store->ops->is_usable(store);
}

void dep_replay_store_stop(struct dep_replay_store *store)
{
    store->ops->stop(store);
}

void dep_replay_store_free(struct dep_replay_store *store)
{
    if (store == NULL)
        return;
    store->ops->stop(store);
    store->ops->free(store);
}

struct memory {
    struct dep_replay_store base;
    struct dep_replay *replay;
};

static bool memory_insert(struct dep_replay_store *store, struct dep_replay_entry *entry)
{
    const struct memory *memory = (const struct memory *)store;

    entry->res = dep_replay_insert(memory->replay, entry->key, entry->expires, entry->now);
    return true;
}

static bool memory_is_usable(struct dep_replay_store *store)
{
    (void)store;
    return true;
}

static void memory_stop(struct dep_replay_store *store)
{
    (void)store;
}

static void memory_free(struct dep_replay_store *store)
{
    struct memory *memory = (struct memory *)store;

    dep_replay_free(memory->replay);
    free(memory);
}

bool dep_replay_store_size(struct dep_replay_store *store, size_t *ret_entries, size_t *ret_bytes)
{
    const struct memory *memory = (const struct memory *)store;

    if (store->is_durable)
        return false;
    *ret_entries = dep_replay_count(memory->replay);
    *ret_bytes = dep_replay_bytes(memory->replay);
    return true;
}

struct dep_replay_store *dep_replay_memory_new(size_t entries_max, int64_t life_max_s)
{
    static const struct dep_replay_store_ops ops = { memory_insert, memory_is_usable, memory_stop, memory_free };
    struct memory *memory = calloc(1, sizeof(*memory));

    if (memory == NULL)
        return NULL;
    memory->base.ops = &ops;
    memory->replay = dep_replay_new(entries_max, life_max_s);
    if (memory->replay == NULL) {
        free(memory);
        return NULL;
    }
    return &memory->base;
}

/* The store's interface: one line for each operation. */
#include "store/store.h"

struct dep_res dep_store_walk(struct dep_store *store, enum dep_record_kind kind, dep_record_visit *visit,
                              void *context)
{
    return store->ops->walk(store, kind, visit, context);
}

struct dep_res dep_store_get(struct dep_store *store, enum dep_record_kind kind, struct dep_str id,
                             struct dep_arena *arena, struct dep_record *ret_record)
{
    return store->ops->get(store, kind, id, arena, ret_record);
}

struct dep_res dep_store_commit(struct dep_store *store, const struct dep_change *changes, size_t count,
                                size_t *ret_failed)
{
    return store->ops->commit(store, changes, count, ret_failed);
}

struct dep_res dep_store_expire(struct dep_store *store, int64_t now)
{
    return store->ops->expire(store, now);
}

void dep_store_free(struct dep_store *store)
{
    if (store != NULL)
        store->ops->free(store);
}

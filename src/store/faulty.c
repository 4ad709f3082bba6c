/* A store that fails on purpose: the n-th call from the arming fails before it reaches the inner store. */
#include <stdlib.h>

#include "store/store.h"

struct faulty {
    struct dep_store base;
    struct dep_store *inner;
    unsigned left; /* calls until the one that fails; 0: none will */
    bool is_forever;
};

static struct faulty *faulty_of(struct dep_store *store)
{
    return (struct faulty *)store;
}

static bool must_fail(struct faulty *faulty)
{
    if (faulty->left == 0)
        return false;
    if (faulty->left > 1) {
        faulty->left--;
        return false;
    }
    if (!faulty->is_forever)
        faulty->left = 0;
    return true;
}

static struct dep_res faulty_walk(struct dep_store *store, enum dep_record_kind kind, dep_record_visit *visit,
                                  void *context)
{
    if (must_fail(faulty_of(store)))
        return DEP_FAIL(STORE_IO);
    return dep_store_walk(faulty_of(store)->inner, kind, visit, context);
}

static struct dep_res faulty_get(struct dep_store *store, enum dep_record_kind kind, struct dep_str id,
                                 struct dep_arena *arena, struct dep_record *ret_record)
{
    if (must_fail(faulty_of(store)))
        return DEP_FAIL(STORE_IO);
    return dep_store_get(faulty_of(store)->inner, kind, id, arena, ret_record);
}

static struct dep_res faulty_commit(struct dep_store *store, const struct dep_change *changes, size_t count,
                                    size_t *ret_failed)
{
    if (must_fail(faulty_of(store)))
        return DEP_FAIL(STORE_IO);
    return dep_store_commit(faulty_of(store)->inner, changes, count, ret_failed);
}

static struct dep_res faulty_expire(struct dep_store *store, int64_t now)
{
    if (must_fail(faulty_of(store)))
        return DEP_FAIL(STORE_IO);
    return dep_store_expire(faulty_of(store)->inner, now);
}

static void faulty_free(struct dep_store *store)
{
    dep_store_free(faulty_of(store)->inner);
    free(store);
}

struct dep_res dep_store_faulty_new(struct dep_store *inner, struct dep_store **ret_store)
{
    static const struct dep_store_ops ops = { faulty_walk, faulty_get, faulty_commit, faulty_expire, faulty_free };
    struct faulty *faulty = calloc(1, sizeof(*faulty));

    if (faulty == NULL)
        return DEP_FAIL(STORE_IO);
    faulty->base.ops = &ops;
    faulty->inner = inner;
    *ret_store = &faulty->base;
    return DEP_OK;
}

void dep_store_faulty_arm(struct dep_store *store, unsigned nth, bool is_forever)
{
    faulty_of(store)->left = nth;
    faulty_of(store)->is_forever = is_forever;
}

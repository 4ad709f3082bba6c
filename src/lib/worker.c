/* What one check at a time uses: made when all others are busy, kept until the end. */
#include <stdlib.h>

#include "lib/handle.h"

void dep_lib_worker_free(struct dep_lib_worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->crypto != NULL)
        dep_crypto_free(worker->crypto);
    dep_guard_seen_free(worker->seen);
    dep_hold_done(&worker->keys);
    dep_hold_done(&worker->feed);
    free(worker->memory);
    free(worker);
}

static struct dep_lib_worker *make(const struct deputy_guard *guard)
{
    struct dep_lib_worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL)
        return NULL;
    worker->crypto = dep_crypto_new();
    worker->memory = calloc(1, DEP_LIB_ARENA_BYTES);
    worker->seen = dep_guard_seen_new((size_t)guard->config->numbers[DEP_SETTING_TOKENS_MAX]);
    dep_arena_init_zero(&worker->arena, worker->memory, worker->memory == NULL ? 0 : DEP_LIB_ARENA_BYTES);
    if (worker->crypto != NULL && worker->memory != NULL && worker->seen != NULL)
        return worker;
    dep_lib_worker_free(worker);
    return NULL;
}

struct dep_lib_worker *dep_lib_worker_take(struct deputy_guard *guard)
{
    struct dep_lib_worker *worker;

    pthread_mutex_lock(&guard->lock);
    worker = guard->idle;
    if (worker != NULL)
        guard->idle = worker->next;
    pthread_mutex_unlock(&guard->lock);
    if (worker == NULL)
        worker = make(guard);
    if (worker != NULL)
        dep_arena_reset(&worker->arena);
    return worker;
}

void dep_lib_worker_give(struct deputy_guard *guard, struct dep_lib_worker *worker)
{
    pthread_mutex_lock(&guard->lock);
    worker->next = guard->idle;
    guard->idle = worker;
    pthread_mutex_unlock(&guard->lock);
}

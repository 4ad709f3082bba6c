/* The ledger in memory, for tests: a list. One process, so whoever began an entry lives. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/ledger.h"

struct item {
    struct item *next;
    unsigned char scope[DEP_IDEMPOTENCY_NAME_LEN], caller[DEP_IDEMPOTENCY_NAME_LEN];
    struct dep_idempotency_entry entry; /* `answer` is the heap's */
    int64_t expires;
};

struct memory {
    struct dep_ledger base;
    struct dep_ledger_limits limits;
    pthread_mutex_t mutex;
    struct item *items;
    int64_t entries, bytes, tickets;
};

static struct memory *memory_lock(struct dep_ledger *ledger)
{
    struct memory *memory = (struct memory *)ledger;

    (void)pthread_mutex_lock(&memory->mutex);
    return memory;
}

static struct dep_res memory_unlock(struct memory *memory, struct dep_res res)
{
    (void)pthread_mutex_unlock(&memory->mutex);
    return res;
}

static struct item **find(struct memory *memory, const unsigned char *scope)
{
    struct item **at = &memory->items;

    while (*at != NULL && memcmp((*at)->scope, scope, sizeof((*at)->scope)) != 0)
        at = &(*at)->next;
    return at;
}

static void drop(struct memory *memory, struct item **at)
{
    struct item *item = *at;

    *at = item->next;
    memory->entries--;
    memory->bytes -= (int64_t)item->entry.answer.len;
    free((void *)(uintptr_t)item->entry.answer.ptr);
    free(item);
}

static bool is_old(const struct item *item, int64_t now)
{
    return item->expires <= now && item->entry.state != DEP_IDEMPOTENCY_BEGUN;
}

static struct dep_res add(struct memory *memory, const struct dep_idempotency_names *names, int64_t now,
                          struct dep_idempotency_entry *ret_entry)
{
    int64_t of_caller = 0;
    struct item *item;

    for (item = memory->items; item != NULL; item = item->next)
        of_caller += memcmp(item->caller, names->caller, sizeof(item->caller)) == 0;
    if (memory->entries >= memory->limits.entries_max)
        return DEP_FAIL(LEDGER_FULL);
    if (of_caller >= memory->limits.caller_entries_max)
        return DEP_FAIL(LEDGER_QUOTA);
    item = calloc(1, sizeof(*item));
    if (item == NULL)
        return DEP_FAIL(STORE_IO);
    memcpy(item->scope, names->scope, sizeof(item->scope));
    memcpy(item->caller, names->caller, sizeof(item->caller));
    memcpy(item->entry.fingerprint, names->fingerprint, sizeof(item->entry.fingerprint));
    item->entry.state = DEP_IDEMPOTENCY_BEGUN;
    item->entry.begun = now;
    item->entry.ticket = ++memory->tickets;
    item->entry.is_owner_alive = true;
    item->expires = now + memory->limits.retention_s;
    item->next = memory->items;
    memory->items = item;
    memory->entries++;
    *ret_entry = item->entry;
    ret_entry->state = DEP_IDEMPOTENCY_NEW;
    return DEP_OK;
}

static int expire(struct memory *memory, int64_t now, int max)
{
    struct item **at = &memory->items;
    int count = 0;

    while (*at != NULL && count < max) {
        if (is_old(*at, now)) {
            drop(memory, at);
            count++;
        } else {
            at = &(*at)->next;
        }
    }
    return count;
}

static struct dep_res find_or_add(struct memory *memory, const struct dep_idempotency_names *names, int64_t now,
                                  struct dep_arena *arena, struct dep_idempotency_entry *ret_entry)
{
    struct item **at = find(memory, names->scope);
    struct dep_idempotency_entry entry;

    if (*at == NULL || is_old(*at, now)) {
        (void)expire(memory, now, 8);
        at = find(memory, names->scope);
        if (*at != NULL && is_old(*at, now))
            drop(memory, at);
        return add(memory, names, now, ret_entry);
    }
    entry = (*at)->entry;
    entry.answer = dep_arena_dup(arena, entry.answer);
    if (dep_str_is_absent(entry.answer) && !dep_str_is_absent((*at)->entry.answer))
        return DEP_FAIL(ARENA_FULL);
    *ret_entry = entry;
    return DEP_OK;
}

static struct dep_res memory_begin(struct dep_ledger *ledger, const struct dep_idempotency_names *names, int64_t now,
                                   struct dep_arena *arena, struct dep_idempotency_entry *ret_entry)
{
    struct memory *memory = memory_lock(ledger);

    return memory_unlock(memory, find_or_add(memory, names, now, arena, ret_entry));
}

static struct dep_res complete(struct memory *memory, struct item *item, int status, struct dep_str answer)
{
    char *copy;

    item->entry.state = DEP_IDEMPOTENCY_DONE;
    item->entry.status = status;
    if (dep_str_is_absent(answer) || (int64_t)answer.len > memory->limits.bytes_max - memory->bytes)
        return DEP_OK;
    copy = malloc(answer.len + 1);
    if (copy == NULL)
        return DEP_OK; /* not kept */
    if (answer.len > 0)
        memcpy(copy, answer.ptr, answer.len);
    item->entry.answer = dep_str(copy, answer.len);
    memory->bytes += (int64_t)answer.len;
    return DEP_OK;
}

static struct dep_res memory_complete(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket, int status,
                                      struct dep_str answer)
{
    struct memory *memory = memory_lock(ledger);
    struct item *item = *find(memory, scope);

    if (item == NULL || item->entry.ticket != ticket || item->entry.state == DEP_IDEMPOTENCY_DONE)
        return memory_unlock(memory, DEP_FAIL(LEDGER_GONE));
    return memory_unlock(memory, complete(memory, item, status, answer));
}

static struct dep_res memory_abandon(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket)
{
    struct memory *memory = memory_lock(ledger);
    struct item **at = find(memory, scope);

    if (*at == NULL || (*at)->entry.ticket != ticket || (*at)->entry.state != DEP_IDEMPOTENCY_BEGUN)
        return memory_unlock(memory, DEP_FAIL(LEDGER_GONE));
    drop(memory, at);
    return memory_unlock(memory, DEP_OK);
}

static struct dep_res memory_lose(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket)
{
    struct memory *memory = memory_lock(ledger);
    struct item *item = *find(memory, scope);

    if (item == NULL || item->entry.ticket != ticket || item->entry.state != DEP_IDEMPOTENCY_BEGUN)
        return memory_unlock(memory, DEP_FAIL(LEDGER_GONE));
    item->entry.state = DEP_IDEMPOTENCY_LOST;
    return memory_unlock(memory, DEP_OK);
}

static struct dep_res memory_expire(struct dep_ledger *ledger, int64_t now, int max, int *ret_count)
{
    struct memory *memory = memory_lock(ledger);

    *ret_count = expire(memory, now, max);
    return memory_unlock(memory, DEP_OK);
}

static struct dep_res memory_count(struct dep_ledger *ledger, int64_t *ret_entries, int64_t *ret_bytes)
{
    struct memory *memory = memory_lock(ledger);

    *ret_entries = memory->entries;
    *ret_bytes = memory->bytes;
    return memory_unlock(memory, DEP_OK);
}

static void memory_free(struct dep_ledger *ledger)
{
    struct memory *memory = (struct memory *)ledger;

    while (memory->items != NULL)
        drop(memory, &memory->items);
    (void)pthread_mutex_destroy(&memory->mutex);
    free(memory);
}

struct dep_res dep_ledger_memory_new(const struct dep_ledger_limits *limits, struct dep_ledger **ret_ledger)
{
    static const struct dep_ledger_ops ops = { memory_begin,  memory_complete, memory_abandon, memory_lose,
                                               memory_expire, memory_count,    memory_free };
    struct memory *memory = calloc(1, sizeof(*memory));

    if (memory == NULL)
        return DEP_FAIL(STORE_IO);
    memory->base.ops = &ops;
    memory->limits = *limits;
    (void)pthread_mutex_init(&memory->mutex, NULL);
    *ret_ledger = &memory->base;
    return DEP_OK;
}

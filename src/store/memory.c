/* The store in memory, for tests: a sorted array of records, each in one piece of heap.
 *
 * A commit works on a copy of the array. When a change does not hold, the copy goes and nothing has happened. */
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

struct item {
    struct dep_record record;
    bool is_new; /* made by the commit that runs */
    char bytes[];
};

struct items {
    struct item **at;
    size_t count, room;
};

struct memory {
    struct dep_store base;
    struct items items;
};

static struct memory *memory_of(struct dep_store *store)
{
    return (struct memory *)store;
}

static int compare(const struct item *item, enum dep_record_kind kind, struct dep_str id)
{
    if (item->record.kind != kind)
        return item->record.kind < kind ? -1 : 1;
    return dep_str_cmp(item->record.id, id);
}

/* The place of a record, or where it would go. */
static size_t place(const struct items *items, enum dep_record_kind kind, struct dep_str id, bool *ret_is_there)
{
    size_t low = 0, high = items->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(items->at[middle], kind, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_is_there = low < items->count && compare(items->at[low], kind, id) == 0;
    return low;
}

static struct item *item_new(const struct dep_record *record, int64_t version)
{
    struct item *item = malloc(sizeof(*item) + record->id.len + record->body.len);

    if (item == NULL)
        return NULL;
    if (record->id.len > 0)
        memcpy(item->bytes, record->id.ptr, record->id.len);
    if (record->body.len > 0)
        memcpy(item->bytes + record->id.len, record->body.ptr, record->body.len);
    item->record = *record;
    item->record.version = version;
    item->record.id = dep_str(item->bytes, record->id.len);
    item->record.body = dep_str(item->bytes + record->id.len, record->body.len);
    item->is_new = true;
    return item;
}

static struct dep_res memory_walk(struct dep_store *store, enum dep_record_kind kind, dep_record_visit *visit,
                                  void *context)
{
    const struct items *items = &memory_of(store)->items;

    for (size_t i = 0; i < items->count; i++)
        if (items->at[i]->record.kind == kind && !visit(context, &items->at[i]->record))
            break;
    return DEP_OK;
}

static struct dep_res memory_get(struct dep_store *store, enum dep_record_kind kind, struct dep_str id,
                                 struct dep_arena *arena, struct dep_record *ret_record)
{
    const struct items *items = &memory_of(store)->items;
    struct dep_record record;
    bool is_there;
    size_t at = place(items, kind, id, &is_there);

    if (!is_there)
        return DEP_FAIL(STORE_MISSING);
    record = items->at[at]->record;
    record.id = dep_arena_dup(arena, record.id);
    record.body = dep_arena_dup(arena, record.body);
    if (record.id.ptr == NULL || record.body.ptr == NULL)
        return DEP_FAIL(ARENA_FULL);
    *ret_record = record;
    return DEP_OK;
}

static void remove_at(struct items *items, size_t at)
{
    if (items->at[at]->is_new)
        free(items->at[at]);
    items->count--;
    memmove(items->at + at, items->at + at + 1, (items->count - at) * sizeof(*items->at));
}

static struct dep_res check(const struct dep_change *change, const struct item *found)
{
    if (change->op == DEP_CHANGE_PUT)
        return DEP_OK;
    if (change->op == DEP_CHANGE_ADD)
        return found != NULL ? DEP_FAIL(STORE_EXISTS) : DEP_OK;
    if (found == NULL)
        return DEP_FAIL(STORE_MISSING);
    return found->record.version == change->record.version ? DEP_OK : DEP_FAIL(STORE_CONFLICT);
}

/* On the copy, which has room for one more. */
static struct dep_res apply(struct items *items, const struct dep_change *change)
{
    bool is_there;
    size_t at = place(items, change->record.kind, change->record.id, &is_there);
    struct item *found = is_there ? items->at[at] : NULL;
    struct item *item;

    DEP_TRY(check(change, found));
    if (change->op == DEP_CHANGE_REMOVE) {
        remove_at(items, at);
        return DEP_OK;
    }
    item = item_new(&change->record, found == NULL ? 1 : found->record.version + 1);
    if (item == NULL)
        return DEP_FAIL(STORE_IO);
    if (found != NULL)
        remove_at(items, at);
    memmove(items->at + at + 1, items->at + at, (items->count - at) * sizeof(*items->at));
    items->at[at] = item;
    items->count++;
    return DEP_OK;
}

/* The array of which nothing is kept: its new items go with it. */
static void discard(struct items *items)
{
    for (size_t i = 0; i < items->count; i++)
        if (items->at[i]->is_new)
            free(items->at[i]);
    free(items->at);
}

/* Frees what is in `before` and not in `after`. Both are sorted; an item in both is the same pointer. */
static void settle(struct items *before, struct items *after)
{
    size_t k = 0;

    for (size_t i = 0; i < before->count; i++) {
        const struct dep_record *record = &before->at[i]->record;

        while (k < after->count && compare(after->at[k], record->kind, record->id) < 0)
            k++;
        if (k == after->count || after->at[k] != before->at[i])
            free(before->at[i]);
    }
    free(before->at);
    for (size_t i = 0; i < after->count; i++)
        after->at[i]->is_new = false;
}

static struct dep_res memory_commit(struct dep_store *store, const struct dep_change *changes, size_t count,
                                    size_t *ret_failed)
{
    struct items *items = &memory_of(store)->items;
    struct items copy = { .count = items->count, .room = items->count + count };

    copy.at = malloc((copy.room + 1) * sizeof(*copy.at));
    if (copy.at == NULL)
        return DEP_FAIL(STORE_IO);
    if (items->count > 0)
        memcpy(copy.at, items->at, items->count * sizeof(*copy.at));
    for (size_t i = 0; i < count; i++) {
        struct dep_res res = apply(&copy, &changes[i]);

        if (!dep_is_ok(res)) {
            discard(&copy);
            if (ret_failed != NULL)
                *ret_failed = i;
            return res;
        }
    }
    settle(items, &copy);
    *items = copy;
    return DEP_OK;
}

static struct dep_res memory_expire(struct dep_store *store, int64_t now)
{
    struct items *items = &memory_of(store)->items;
    size_t kept = 0;

    for (size_t i = 0; i < items->count; i++) {
        int64_t expires = items->at[i]->record.expires;

        if (expires != 0 && expires < now)
            free(items->at[i]);
        else
            items->at[kept++] = items->at[i];
    }
    items->count = kept;
    return DEP_OK;
}

static void memory_free(struct dep_store *store)
{
    struct items *items = &memory_of(store)->items;

    for (size_t i = 0; i < items->count; i++)
        free(items->at[i]);
    free(items->at);
    free(store);
}

struct dep_res dep_store_memory_new(struct dep_store **ret_store)
{
    static const struct dep_store_ops ops = { memory_walk, memory_get, memory_commit, memory_expire, memory_free };
    struct memory *memory = calloc(1, sizeof(*memory));

    if (memory == NULL)
        return DEP_FAIL(STORE_IO);
    memory->base.ops = &ops;
    *ret_store = &memory->base;
    return DEP_OK;
}

/* Sets of four entries, each set behind a robust lock. */
#include "guard/seen_region.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "guard/token_copy.h"

#define WAYS 4u
#define TOKEN_MAX 3072u

struct entry {
    unsigned char digest[DEP_SHA256_LEN];
    unsigned char tag[DEP_SHA256_LEN];
    int64_t exp; /* 0: free */
    uint64_t used;
    _Alignas(16) unsigned char token[TOKEN_MAX];
};

struct set {
    _Alignas(64) pthread_mutex_t lock;
    uint64_t tick;
    struct entry entries[WAYS];
};

struct dep_seen_region {
    size_t sets_count;
    _Alignas(64) struct set sets[];
};

struct dep_seen_region *dep_seen_region_init(void *memory, size_t bytes)
{
    struct dep_seen_region *region = memory;
    pthread_mutexattr_t attributes;
    bool is_good;

    if (bytes < sizeof(*region) + sizeof(struct set) || pthread_mutexattr_init(&attributes) != 0)
        return NULL;
    is_good = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
              pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0;
    region->sets_count = (bytes - sizeof(*region)) / sizeof(struct set);
    for (size_t i = 0; i < region->sets_count && is_good; i++) {
        struct set *set = &region->sets[i];

        set->tick = 0;
        for (unsigned way = 0; way < WAYS; way++)
            set->entries[way].exp = 0;
        is_good = pthread_mutex_init(&set->lock, &attributes) == 0;
    }
    pthread_mutexattr_destroy(&attributes);
    return is_good ? region : NULL;
}

/* The set of a digest, locked; NULL when it cannot be. */
static struct set *lock_set(struct dep_seen_region *region, const unsigned char *digest)
{
    uint64_t bits = 0;
    struct set *set;
    int error;

    memcpy(&bits, digest, sizeof(bits));
    set = &region->sets[bits % region->sets_count];
    error = pthread_mutex_lock(&set->lock);
    if (error == EOWNERDEAD) {
        for (unsigned way = 0; way < WAYS; way++)
            set->entries[way].exp = 0;
        error = pthread_mutex_consistent(&set->lock);
    }
    return error == 0 ? set : NULL;
}

static bool is_for(const struct entry *entry, const unsigned char *digest, const unsigned char *tag)
{
    return entry->exp != 0 &&
           dep_secret_eq(dep_secret(entry->digest, DEP_SHA256_LEN), dep_secret(digest, DEP_SHA256_LEN)) &&
           memcmp(entry->tag, tag, DEP_SHA256_LEN) == 0;
}

static struct dep_token *copy_out(const struct entry *entry, struct dep_arena *arena)
{
    const struct dep_token *token = (const struct dep_token *)(const void *)entry->token;
    void *memory = dep_arena_alloc(arena, dep_token_copy_bytes(token));

    return memory == NULL ? NULL : dep_token_copy(token, memory);
}

struct dep_token *dep_seen_region_find(struct dep_seen_region *region, const unsigned char digest[DEP_SHA256_LEN],
                                       const unsigned char tag[DEP_SHA256_LEN], int64_t now, struct dep_arena *arena)
{
    struct set *set = lock_set(region, digest);
    struct dep_token *found = NULL;

    if (set == NULL)
        return NULL;
    for (unsigned way = 0; way < WAYS && found == NULL; way++) {
        struct entry *entry = &set->entries[way];

        if (!is_for(entry, digest, tag) || now >= entry->exp)
            continue;
        entry->used = ++set->tick;
        found = copy_out(entry, arena);
    }
    pthread_mutex_unlock(&set->lock);
    return found;
}

/* Its own entry, a free or expired one, or the least recently used. */
static struct entry *victim(struct set *set, const unsigned char *digest, const unsigned char *tag, int64_t now)
{
    struct entry *best = &set->entries[0];

    for (unsigned way = 0; way < WAYS; way++) {
        struct entry *entry = &set->entries[way];

        if (is_for(entry, digest, tag))
            return entry;
        if (now >= entry->exp)
            best = entry;
        else if (now < best->exp && entry->used < best->used)
            best = entry;
    }
    return best;
}

void dep_seen_region_put(struct dep_seen_region *region, const unsigned char digest[DEP_SHA256_LEN],
                         const unsigned char tag[DEP_SHA256_LEN], int64_t now, const struct dep_token *token)
{
    struct entry *entry;
    struct set *set;

    if (dep_token_copy_bytes(token) > TOKEN_MAX || token->exp <= 0)
        return;
    set = lock_set(region, digest);
    if (set == NULL)
        return;
    entry = victim(set, digest, tag, now);
    entry->exp = 0;
    memcpy(entry->digest, digest, DEP_SHA256_LEN);
    memcpy(entry->tag, tag, DEP_SHA256_LEN);
    (void)dep_token_copy(token, entry->token);
    entry->used = ++set->tick;
    entry->exp = token->exp;
    pthread_mutex_unlock(&set->lock);
}

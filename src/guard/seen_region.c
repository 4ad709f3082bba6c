/* Sets of four entries, each set behind a robust lock. */
#include "guard/seen_region.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "guard/token_copy.h"

#define WAYS 4u
#define TOKEN_MAX 1504u

struct entry {
    int64_t exp; /* 0: free */
    uint64_t used;
    size_t bytes; /* of the token */
    unsigned char digest[DEP_SHA256_LEN];
};

struct body {
    unsigned char tag[DEP_SHA256_LEN];
    char token[TOKEN_MAX]; /* packed */
};

/* What is looked at to find nothing lies together: a miss of this table costs misses of the processor's cache, and little else. */
struct set {
    _Alignas(64) pthread_mutex_t lock;
    uint64_t tick;
    struct entry entries[WAYS];
    _Alignas(64) struct body bodies[WAYS];
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

static bool is_for(const struct set *set, unsigned way, const unsigned char *digest, const unsigned char *tag)
{
    const struct entry *entry = &set->entries[way];

    return entry->exp != 0 &&
           dep_secret_eq(dep_secret(entry->digest, DEP_SHA256_LEN), dep_secret(digest, DEP_SHA256_LEN)) &&
           memcmp(set->bodies[way].tag, tag, DEP_SHA256_LEN) == 0;
}

struct dep_token *dep_seen_region_find(struct dep_seen_region *region, const unsigned char digest[DEP_SHA256_LEN],
                                       const unsigned char tag[DEP_SHA256_LEN], int64_t now, struct dep_arena *arena)
{
    struct set *set = lock_set(region, digest);
    struct dep_str packed = DEP_STR_ABSENT;
    struct dep_token *token;

    if (set == NULL)
        return NULL;
    for (unsigned way = 0; way < WAYS && dep_str_is_absent(packed); way++) {
        struct entry *entry = &set->entries[way];

        if (!is_for(set, way, digest, tag) || now >= entry->exp)
            continue;
        entry->used = ++set->tick;
        packed = dep_arena_dup(arena, dep_str(set->bodies[way].token, entry->bytes));
    }
    pthread_mutex_unlock(&set->lock);
    if (dep_str_is_absent(packed))
        return NULL;
    token = dep_arena_alloc(arena, sizeof(*token));
    return token != NULL && dep_token_unpack(packed, token) ? token : NULL;
}

/* Its own place, a free or expired one, or the least recently used. */
static unsigned victim(const struct set *set, const unsigned char *digest, const unsigned char *tag, int64_t now)
{
    unsigned best = 0;

    for (unsigned way = 0; way < WAYS; way++) {
        const struct entry *entry = &set->entries[way];

        if (is_for(set, way, digest, tag))
            return way;
        if (now >= entry->exp)
            best = way;
        else if (now < set->entries[best].exp && entry->used < set->entries[best].used)
            best = way;
    }
    return best;
}

bool dep_seen_region_put(struct dep_seen_region *region, const unsigned char digest[DEP_SHA256_LEN],
                         const unsigned char tag[DEP_SHA256_LEN], int64_t now, const struct dep_token *token)
{
    char packed[TOKEN_MAX];
    size_t bytes = dep_token_pack(token, packed, sizeof(packed));
    struct entry *entry;
    struct set *set;
    unsigned way;

    if (bytes == 0 || token->exp <= 0)
        return false;
    set = lock_set(region, digest);
    if (set == NULL)
        return false;
    way = victim(set, digest, tag, now);
    entry = &set->entries[way];
    entry->exp = 0;
    memcpy(entry->digest, digest, DEP_SHA256_LEN);
    memcpy(set->bodies[way].tag, tag, DEP_SHA256_LEN);
    memcpy(set->bodies[way].token, packed, bytes);
    entry->bytes = bytes;
    entry->used = ++set->tick;
    entry->exp = token->exp;
    pthread_mutex_unlock(&set->lock);
    return true;
}

/* The thread's cache of imported public keys: importing a P-256 key costs a fifth of a verification.
 *
 * Invariants:
 *  (1) At most ENTRIES keys; the least recently used goes first.
 *  (2) An entry is in exactly one bucket chain and in the list of uses.
 *  (3) Buckets are chosen by a keyed hash: who picks keys cannot pick buckets. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/internal.h"

#define ENTRIES 4096u
#define BUCKETS 8192u
#define NOBODY UINT16_MAX

struct entry {
    unsigned char name[DEP_SHA256_LEN];
    struct dep_public_key *key;
    uint16_t chain; /* next in the bucket */
    uint16_t bucket;
    uint16_t newer, older;
};

struct dep_key_cache {
    unsigned char secret[crypto_shorthash_KEYBYTES];
    uint16_t count;
    uint16_t newest, oldest;
    uint16_t buckets[BUCKETS];
    struct entry entries[ENTRIES];
};

struct dep_key_cache *dep_key_cache_new(void)
{
    struct dep_key_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        return NULL;
    dep_random(cache->secret, sizeof(cache->secret));
    cache->newest = cache->oldest = NOBODY;
    memset(cache->buckets, 0xFF, sizeof(cache->buckets));
    return cache;
}

void dep_key_cache_free(struct dep_key_cache *cache)
{
    if (cache == NULL)
        return;
    for (uint16_t i = 0; i < cache->count; i++)
        dep_public_key_free(cache->entries[i].key);
    free(cache);
}

static uint16_t bucket_of(const struct dep_key_cache *cache, const unsigned char *name)
{
    uint64_t hash;

    _Static_assert(sizeof(hash) == crypto_shorthash_BYTES, "SipHash gives 64 bits");
    (void)crypto_shorthash((unsigned char *)&hash, name, DEP_SHA256_LEN, cache->secret);
    return (uint16_t)(hash % BUCKETS);
}

static void leave_uses(struct dep_key_cache *cache, uint16_t at)
{
    struct entry *entry = &cache->entries[at];

    if (entry->newer != NOBODY)
        cache->entries[entry->newer].older = entry->older;
    else
        cache->newest = entry->older;
    if (entry->older != NOBODY)
        cache->entries[entry->older].newer = entry->newer;
    else
        cache->oldest = entry->newer;
}

static void enter_uses(struct dep_key_cache *cache, uint16_t at)
{
    struct entry *entry = &cache->entries[at];

    entry->newer = NOBODY;
    entry->older = cache->newest;
    if (cache->newest != NOBODY)
        cache->entries[cache->newest].newer = at;
    else
        cache->oldest = at;
    cache->newest = at;
}

static void leave_bucket(struct dep_key_cache *cache, uint16_t at)
{
    uint16_t *link = &cache->buckets[cache->entries[at].bucket];

    while (*link != at)
        link = &cache->entries[*link].chain;
    *link = cache->entries[at].chain;
}

/* An unused entry, in no list; the oldest one's if all are in use. */
static uint16_t take_entry(struct dep_key_cache *cache)
{
    if (cache->count < ENTRIES)
        return cache->count++;

    uint16_t at = cache->oldest;

    leave_uses(cache, at);
    leave_bucket(cache, at);
    dep_public_key_free(cache->entries[at].key);
    return at;
}

struct dep_res dep_crypto_cached_key(struct dep_crypto *crypto, const unsigned char name[DEP_SHA256_LEN],
                                     dep_key_import *import, const void *source, const struct dep_public_key **ret_key)
{
    struct dep_key_cache *cache = crypto->keys;
    uint16_t bucket = bucket_of(cache, name);
    struct dep_public_key *key = NULL;

    for (uint16_t at = cache->buckets[bucket]; at != NOBODY; at = cache->entries[at].chain) {
        if (memcmp(cache->entries[at].name, name, DEP_SHA256_LEN) != 0)
            continue;
        if (at != cache->newest) {
            leave_uses(cache, at);
            enter_uses(cache, at);
        }
        *ret_key = cache->entries[at].key;
        return DEP_OK;
    }
    DEP_TRY(import(source, &key));

    uint16_t at = take_entry(cache);
    struct entry *entry = &cache->entries[at];

    memcpy(entry->name, name, DEP_SHA256_LEN);
    entry->key = key;
    entry->bucket = bucket;
    entry->chain = cache->buckets[bucket];
    cache->buckets[bucket] = at;
    enter_uses(cache, at);
    *ret_key = key;
    return DEP_OK;
}

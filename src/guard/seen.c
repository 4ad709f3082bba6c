/* The verified-token cache: sets of eight entries, so that a look-up is one short scan and eviction needs no list. */
#include "guard/seen.h"

#include <stdlib.h>
#include <string.h>

#include "guard/token_copy.h"

#define WAYS 8u

struct entry {
    unsigned char digest[DEP_SHA256_LEN];
    uint64_t keys_version;
    uint64_t used;           /* tick of the last use */
    int64_t exp;             /* the token's, here so that making room does not read the tokens */
    struct dep_token *token; /* NULL: free. Its texts follow it in the same block */
};

struct dep_guard_seen {
    struct entry *entries;
    size_t sets; /* a power of two */
    uint64_t tick;
    size_t count;
};

struct dep_guard_seen *dep_guard_seen_new(size_t tokens_max)
{
    struct dep_guard_seen *seen = calloc(1, sizeof(*seen));

    if (seen == NULL)
        return NULL;
    seen->sets = 1;
    while (seen->sets * WAYS < tokens_max && seen->sets < SIZE_MAX / WAYS / sizeof(struct entry) / 2)
        seen->sets *= 2;
    seen->entries = calloc(seen->sets * WAYS, sizeof(*seen->entries));
    if (seen->entries == NULL) {
        free(seen);
        return NULL;
    }
    return seen;
}

static void drop(struct dep_guard_seen *seen, struct entry *entry)
{
    if (entry->token == NULL)
        return;
    free(entry->token);
    entry->token = NULL;
    seen->count--;
}

void dep_guard_seen_free(struct dep_guard_seen *seen)
{
    if (seen == NULL)
        return;
    for (size_t i = 0; i < seen->sets * WAYS; i++)
        drop(seen, &seen->entries[i]);
    free(seen->entries);
    free(seen);
}

static struct entry *set_of(const struct dep_guard_seen *seen, const unsigned char *digest)
{
    uint64_t bits = 0;

    memcpy(&bits, digest, sizeof(bits));
    return &seen->entries[((size_t)bits & (seen->sets - 1)) * WAYS];
}

static bool is_digest(const struct entry *entry, const unsigned char *digest)
{
    return dep_secret_eq(dep_secret(entry->digest, DEP_SHA256_LEN), dep_secret(digest, DEP_SHA256_LEN));
}

const struct dep_token *dep_guard_seen_find(struct dep_guard_seen *seen, const unsigned char digest[DEP_SHA256_LEN],
                                            uint64_t keys_version, int64_t now)
{
    struct entry *set = set_of(seen, digest);

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].token == NULL || !is_digest(&set[i], digest))
            continue;
        if (set[i].keys_version != keys_version || now >= set[i].exp) {
            drop(seen, &set[i]);
            return NULL;
        }
        set[i].used = ++seen->tick;
        return set[i].token;
    }
    return NULL;
}

static struct dep_token *copy_of(const struct dep_token *token)
{
    void *memory = malloc(dep_token_copy_bytes(token));

    return memory == NULL ? NULL : dep_token_copy(token, memory);
}

/* The entry to write to: the token's own, a free one, an expired one, or the least recently used. */
static struct entry *victim(struct entry *set, const unsigned char *digest, int64_t now)
{
    struct entry *best = &set[0];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].token != NULL && is_digest(&set[i], digest))
            return &set[i];
        if (set[i].token == NULL || now >= set[i].exp)
            best = &set[i];
        else if (best->token != NULL && now < best->exp && set[i].used < best->used)
            best = &set[i];
    }
    return best;
}

void dep_guard_seen_put(struct dep_guard_seen *seen, const unsigned char digest[DEP_SHA256_LEN], uint64_t keys_version,
                        int64_t now, const struct dep_token *token)
{
    struct dep_token *copy = copy_of(token);
    struct entry *entry;

    if (copy == NULL)
        return;
    entry = victim(set_of(seen, digest), digest, now);
    drop(seen, entry);
    *entry = (struct entry){ .keys_version = keys_version, .used = ++seen->tick, .exp = token->exp, .token = copy };
    memcpy(entry->digest, digest, DEP_SHA256_LEN);
    seen->count++;
}

size_t dep_guard_seen_count(const struct dep_guard_seen *seen)
{
    return seen->count;
}

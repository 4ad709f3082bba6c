/* The failure counter: a fixed table of slots, four ways each; the stalest gives way. Losing a count is harmless, growing without a
 * bound is not. */
#include "server/limiter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SETS 4096u
#define WAYS 4u

struct entry {
    uint64_t hash;  /* of client and address; 0: empty */
    int64_t window; /* start */
    int64_t until;
    unsigned failures;
};

struct dep_limiter {
    pthread_mutex_t mutex;
    uint64_t seed;
    _Atomic unsigned used; /* 0: nothing was ever counted, and no lock is taken */
    struct entry entries[SETS][WAYS];
};

struct dep_limiter *dep_limiter_new(void)
{
    struct dep_limiter *limiter = calloc(1, sizeof(*limiter));

    if (limiter == NULL)
        return NULL;
    limiter->seed = (uint64_t)(uintptr_t)limiter;
    (void)pthread_mutex_init(&limiter->mutex, NULL);
    return limiter;
}

void dep_limiter_free(struct dep_limiter *limiter)
{
    if (limiter == NULL)
        return;
    (void)pthread_mutex_destroy(&limiter->mutex);
    free(limiter);
}

/* An IPv6 host owns at least its /64, so that is the address (attack case C24). Read as bytes: the short form of an address may leave
 * out any of its groups. */
static struct dep_str network_of(struct dep_str peer, struct in6_addr *ret_address)
{
    char text[INET6_ADDRSTRLEN];

    if (!dep_str_has(peer, ':') || peer.len >= sizeof(text))
        return peer;
    memcpy(text, peer.ptr, peer.len);
    text[peer.len] = '\0';
    return inet_pton(AF_INET6, text, ret_address) == 1 ? dep_str((const char *)ret_address, 8) : peer;
}

static uint64_t hash_of(const struct dep_limiter *limiter, struct dep_str client, struct dep_str peer)
{
    struct in6_addr address;
    uint64_t hash = dep_str_hash(network_of(peer, &address), dep_str_hash(client, limiter->seed));

    return hash == 0 ? 1 : hash;
}

static struct entry *find(struct dep_limiter *limiter, uint64_t hash)
{
    struct entry *set = limiter->entries[hash % SETS];

    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].hash == hash)
            return &set[i];
    return NULL;
}

static struct entry *stalest(struct dep_limiter *limiter, uint64_t hash)
{
    struct entry *set = limiter->entries[hash % SETS], *oldest = &set[0];

    for (unsigned i = 1; i < WAYS; i++)
        if (set[i].window < oldest->window)
            oldest = &set[i];
    return oldest;
}

void dep_limiter_count(struct dep_limiter *limiter, struct dep_str client, struct dep_str peer, int64_t now)
{
    uint64_t hash = hash_of(limiter, client, peer);
    struct entry *entry;

    (void)pthread_mutex_lock(&limiter->mutex);
    limiter->used = 1;
    entry = find(limiter, hash);
    if (entry == NULL) {
        entry = stalest(limiter, hash);
        *entry = (struct entry){ .hash = hash, .window = now };
    }
    if (now - entry->window >= DEP_LIMITER_WINDOW_S)
        *entry = (struct entry){ .hash = hash, .window = now };
    if (++entry->failures >= DEP_LIMITER_FAILURES_MAX)
        entry->until = now + DEP_LIMITER_LOCK_S;
    (void)pthread_mutex_unlock(&limiter->mutex);
}

int64_t dep_limiter_locked_until(struct dep_limiter *limiter, struct dep_str client, struct dep_str peer, int64_t now)
{
    const struct entry *entry;
    int64_t until = 0;

    if (limiter->used == 0)
        return 0;
    (void)pthread_mutex_lock(&limiter->mutex);
    entry = find(limiter, hash_of(limiter, client, peer));
    if (entry != NULL && entry->until > now)
        until = entry->until;
    (void)pthread_mutex_unlock(&limiter->mutex);
    return until;
}

/* Following the issuer's keys. See keys.h for the invariants. */
#include "sidecar/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sidecar/clock.h"
#include "sidecar/issuer.h"

#define WAITING_MAX 64u
#define RETRY_MS 1000
#define URL_MAX 2048u
#define ARENA_BYTES (512u * 1024u)

struct dep_keys {
    const struct dep_sidecar_config *config;
    struct dep_slot slot;
    struct dep_issuer issuer;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_stopping, is_wanted, is_in_flight;
    int64_t asked_ms;                /* when an unknown kid last led to a fetch */
    atomic_int_fast64_t fetched_ms;  /* 0: never */
    atomic_int_fast64_t hinted_ms;   /* since when the issuer has said that it has other keys; 0: these are they */
    struct dep_keys_waiter *waiting; /* newest first */
    size_t waiting_count;
    char url[URL_MAX]; /* jwks_uri; empty: not known */
    unsigned char digest[DEP_SHA256_LEN];
};

static void free_set(struct dep_shared *shared)
{
    struct dep_key_set *set = (struct dep_key_set *)shared;

    dep_jwks_free(set->jwks);
    free(set);
}

static struct dep_res find_url(struct dep_keys *keys)
{
    struct dep_str url;

    if (keys->url[0] != '\0')
        return DEP_OK;
    DEP_TRY(dep_issuer_keys_url(&keys->issuer, &url));
    if (url.len >= URL_MAX)
        return DEP_FAIL(METADATA_SYNTAX);
    memcpy(keys->url, url.ptr, url.len);
    keys->url[url.len] = '\0';
    return DEP_OK;
}

static struct dep_res fetch(struct dep_keys *keys)
{
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_jwks *jwks = NULL;
    struct dep_key_set *set;
    struct dep_res res;

    DEP_TRY(find_url(keys));
    res = dep_issuer_keys(&keys->issuer, keys->url, &jwks, digest);
    if (!dep_is_ok(res)) {
        keys->url[0] = '\0'; /* it may have moved */
        return res;
    }
    atomic_store(&keys->fetched_ms, dep_clock_ms());
    /* The same text again keeps the old set, and with it everything verified under it. */
    if (keys->slot.current != NULL && memcmp(digest, keys->digest, sizeof(digest)) == 0) {
        dep_jwks_free(jwks);
        return DEP_OK;
    }
    set = calloc(1, sizeof(*set));
    if (set == NULL) {
        dep_jwks_free(jwks);
        return DEP_FAIL(ARENA_FULL);
    }
    atomic_init(&set->shared.refs, 1);
    set->shared.free = free_set;
    set->jwks = jwks;
    memcpy(keys->digest, digest, sizeof(digest));
    dep_slot_take(&keys->slot, &set->shared);
    return DEP_OK;
}

/* Waits until a fetch is due; false when stopping. Marks it as in flight. */
static bool wait_until_due(struct dep_keys *keys, int64_t due_ms)
{
    struct timespec until = { due_ms / 1000, due_ms % 1000 * 1000000 };
    bool goes_on;

    pthread_mutex_lock(&keys->lock);
    while (!keys->is_stopping && !keys->is_wanted && dep_clock_ms() < due_ms)
        if (pthread_cond_timedwait(&keys->wake, &keys->lock, &until) == ETIMEDOUT)
            break;
    goes_on = !keys->is_stopping;
    keys->is_wanted = false;
    keys->is_in_flight = goes_on;
    pthread_mutex_unlock(&keys->lock);
    return goes_on;
}

static void resume_all(struct dep_keys *keys)
{
    struct dep_keys_waiter *waiting;

    pthread_mutex_lock(&keys->lock);
    keys->is_in_flight = false;
    waiting = keys->waiting;
    keys->waiting = NULL;
    keys->waiting_count = 0;
    pthread_mutex_unlock(&keys->lock);
    while (waiting != NULL) {
        struct dep_keys_waiter *next = waiting->next;

        waiting->resume(waiting);
        waiting = next;
    }
}

/* A good fetch answers the hints that came before it began; a newer one has asked for the next. */
static void settle_hint(struct dep_keys *keys, struct dep_res res)
{
    pthread_mutex_lock(&keys->lock);
    if (dep_is_ok(res) && !keys->is_wanted)
        atomic_store(&keys->hinted_ms, 0);
    pthread_mutex_unlock(&keys->lock);
}

static void *run(void *context)
{
    struct dep_keys *keys = context;
    enum dep_err last = DEP_ERR_NONE;
    int64_t due_ms = 0;

    while (wait_until_due(keys, due_ms)) {
        struct dep_res res = fetch(keys);

        settle_hint(keys, res);
        if (res.err != last && !dep_is_ok(res))
            fprintf(stderr, "deputy guard: keys of the issuer: %s\n", dep_err_text(res.err));
        last = res.err;
        due_ms = dep_clock_ms() + (dep_is_ok(res) ? keys->config->keys_refresh_s * 1000 : RETRY_MS);
        resume_all(keys);
    }
    resume_all(keys);
    return NULL;
}

struct dep_keys *dep_keys_new(const struct dep_sidecar_config *config, int stop_fd)
{
    struct dep_keys *keys = calloc(1, sizeof(*keys));
    pthread_condattr_t attributes;

    if (keys == NULL)
        return NULL;
    keys->config = config;
    keys->asked_ms = INT64_MIN / 2;
    atomic_init(&keys->fetched_ms, 0);
    atomic_init(&keys->hinted_ms, 0);
    dep_slot_init(&keys->slot);
    pthread_mutex_init(&keys->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keys->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!dep_issuer_init(&keys->issuer, config, stop_fd, ARENA_BYTES) ||
        pthread_create(&keys->thread, NULL, run, keys) != 0) {
        dep_keys_free(keys);
        return NULL;
    }
    return keys;
}

void dep_keys_stop(struct dep_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    keys->is_stopping = true;
    pthread_cond_signal(&keys->wake);
    pthread_mutex_unlock(&keys->lock);
    pthread_join(keys->thread, NULL);
}

void dep_keys_free(struct dep_keys *keys)
{
    if (keys == NULL)
        return;
    dep_issuer_done(&keys->issuer);
    dep_slot_done(&keys->slot);
    pthread_cond_destroy(&keys->wake);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

struct dep_slot *dep_keys_slot(struct dep_keys *keys)
{
    return &keys->slot;
}

bool dep_keys_are_usable(struct dep_keys *keys, int64_t now_ms)
{
    int64_t fetched_ms = atomic_load(&keys->fetched_ms), hinted_ms = atomic_load(&keys->hinted_ms);

    return fetched_ms != 0 && now_ms - fetched_ms <= keys->config->keys_stale_max_s * 1000 &&
           (hinted_ms == 0 || now_ms - hinted_ms <= keys->config->feed_silence_max_s * 1000);
}

/* Under the lock. A fetch that is on its way already may be joined. */
static bool may_refresh(const struct dep_keys *keys, int64_t now_ms)
{
    return !keys->is_stopping && keys->waiting_count < WAITING_MAX &&
           (keys->is_in_flight || keys->is_wanted || now_ms - keys->asked_ms >= keys->config->keys_throttle_s * 1000);
}

bool dep_keys_may_refresh(struct dep_keys *keys, int64_t now_ms)
{
    bool may;

    pthread_mutex_lock(&keys->lock);
    may = may_refresh(keys, now_ms);
    pthread_mutex_unlock(&keys->lock);
    return may;
}

bool dep_keys_wait(struct dep_keys *keys, struct dep_keys_waiter *waiter, int64_t now_ms)
{
    bool waits;

    pthread_mutex_lock(&keys->lock);
    waits = may_refresh(keys, now_ms);
    if (waits) {
        waiter->next = keys->waiting;
        keys->waiting = waiter;
        keys->waiting_count++;
        if (!keys->is_in_flight && !keys->is_wanted) {
            keys->asked_ms = now_ms;
            keys->is_wanted = true;
            pthread_cond_signal(&keys->wake);
        }
    }
    pthread_mutex_unlock(&keys->lock);
    return waits;
}

void dep_keys_hint(struct dep_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    keys->is_wanted = true;
    if (atomic_load(&keys->hinted_ms) == 0)
        atomic_store(&keys->hinted_ms, dep_clock_ms());
    pthread_cond_signal(&keys->wake);
    pthread_mutex_unlock(&keys->lock);
}

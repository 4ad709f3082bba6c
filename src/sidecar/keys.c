/* Following the issuer's keys. See keys.h for the invariants. */
#include "sidecar/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/clock.h"
#include "sidecar/issuer.h"

#define WAITING_MAX 64u

struct dep_keys {
    const struct dep_sidecar_config *config;
    struct dep_follow_policy policy;
    struct dep_follow_keys follow; /* under the lock */
    struct dep_issuer issuer;      /* the thread's */
    pthread_t thread, watch;
    bool has_thread, has_watch;
    pthread_mutex_t lock, resuming;
    pthread_cond_t wake, waits; /* for the thread, for the watch */
    bool is_stopping;
    struct dep_keys_waiter *waiting; /* newest first */
    size_t waiting_count;
};

/* Waits for the fetch that is due; false when stopping. */
static bool wait_until_due(struct dep_keys *keys, struct dep_follow_fetch *ret_fetch)
{
    bool goes_on;
    int64_t due_ms;

    pthread_mutex_lock(&keys->lock);
    while (!keys->is_stopping && (due_ms = dep_follow_keys_due(&keys->follow)) > dep_clock_ms()) {
        struct timespec until = { due_ms / 1000, due_ms % 1000 * 1000000 };

        (void)pthread_cond_timedwait(&keys->wake, &keys->lock, &until);
    }
    goes_on = !keys->is_stopping;
    if (goes_on)
        dep_follow_keys_next(&keys->follow, ret_fetch);
    pthread_mutex_unlock(&keys->lock);
    return goes_on;
}

/* Applies an answer. The waiters, when the round is over. */
static struct dep_keys_waiter *settle(struct dep_keys *keys, struct dep_follow_keys_news *news, struct dep_res *ret_res)
{
    struct dep_keys_waiter *waiting = NULL;

    pthread_mutex_lock(&keys->lock);
    *ret_res = dep_follow_keys_settle(&keys->follow, news, dep_clock_ms());
    if (!keys->follow.is_round) {
        waiting = keys->waiting;
        keys->waiting = NULL;
        keys->waiting_count = 0;
    }
    pthread_mutex_unlock(&keys->lock);
    return waiting;
}

static void resume(struct dep_keys *keys, struct dep_keys_waiter *waiting)
{
    pthread_mutex_lock(&keys->resuming);
    while (waiting != NULL) {
        struct dep_keys_waiter *next = waiting->next;

        waiting->resume(waiting);
        waiting = next;
    }
    pthread_mutex_unlock(&keys->resuming);
}

/* Those that have waited long enough: the end of the list, since the newest stand first. Under the lock. */
static struct dep_keys_waiter *take_late(struct dep_keys *keys, int64_t now_ms, int64_t *ret_next_ms)
{
    struct dep_keys_waiter **at = &keys->waiting, *late;

    *ret_next_ms = -1;
    while (*at != NULL && (*at)->until_ms > now_ms) {
        *ret_next_ms = (*at)->until_ms;
        at = &(*at)->next;
    }
    late = *at;
    *at = NULL;
    for (struct dep_keys_waiter *one = late; one != NULL; one = one->next)
        keys->waiting_count--;
    return late;
}

static void *watch(void *context)
{
    struct dep_keys *keys = context;

    pthread_mutex_lock(&keys->lock);
    while (!keys->is_stopping) {
        int64_t next_ms;
        struct dep_keys_waiter *late = take_late(keys, dep_clock_ms(), &next_ms);
        struct timespec until = { next_ms / 1000, next_ms % 1000 * 1000000 };

        if (late != NULL) {
            pthread_mutex_unlock(&keys->lock);
            resume(keys, late);
            pthread_mutex_lock(&keys->lock);
        } else if (next_ms < 0) {
            pthread_cond_wait(&keys->waits, &keys->lock);
        } else {
            (void)pthread_cond_timedwait(&keys->waits, &keys->lock, &until);
        }
    }
    pthread_mutex_unlock(&keys->lock);
    return NULL;
}

static void *run(void *context)
{
    struct dep_keys *keys = context;
    enum dep_err last = DEP_ERR_NONE;
    struct dep_follow_keys_news news;
    struct dep_follow_fetch fetch;

    while (wait_until_due(keys, &fetch)) {
        struct dep_fetch_answer answer;
        struct dep_follow_answer heard = dep_issuer_get(&keys->issuer, &fetch, &answer);
        struct dep_keys_waiter *waiting;
        struct dep_res res;

        dep_follow_keys_read(&keys->policy, keys->issuer.crypto, fetch.kind, &heard, &news);
        dep_fetch_answer_done(&answer);
        waiting = settle(keys, &news, &res);
        if (res.err != last && !dep_is_ok(res))
            fprintf(stderr, "deputy guard: keys of the issuer: %s\n", dep_err_text(res.err));
        last = res.err;
        resume(keys, waiting);
    }
    return NULL;
}

struct dep_keys *dep_keys_new(const struct dep_sidecar_config *config, int stop_fd)
{
    struct dep_keys *keys = calloc(1, sizeof(*keys));
    pthread_condattr_t attributes;

    if (keys == NULL)
        return NULL;
    keys->config = config;
    keys->policy = dep_sidecar_follow_policy(config);
    pthread_mutex_init(&keys->lock, NULL);
    pthread_mutex_init(&keys->resuming, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keys->wake, &attributes);
    pthread_cond_init(&keys->waits, &attributes);
    pthread_condattr_destroy(&attributes);
    if (dep_is_ok(dep_follow_keys_init(&keys->follow, &keys->policy)) &&
        dep_issuer_init(&keys->issuer, config, stop_fd)) {
        keys->has_watch = pthread_create(&keys->watch, NULL, watch, keys) == 0;
        keys->has_thread = keys->has_watch && pthread_create(&keys->thread, NULL, run, keys) == 0;
    }
    if (!keys->has_thread) {
        dep_keys_stop(keys);
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
    pthread_cond_signal(&keys->waits);
    pthread_mutex_unlock(&keys->lock);
    if (keys->has_thread)
        pthread_join(keys->thread, NULL);
    if (keys->has_watch)
        pthread_join(keys->watch, NULL);
    keys->has_thread = keys->has_watch = false;
    resume(keys, keys->waiting); /* nobody is taken any more */
    keys->waiting = NULL;
}

void dep_keys_free(struct dep_keys *keys)
{
    if (keys == NULL)
        return;
    dep_issuer_done(&keys->issuer);
    dep_follow_keys_done(&keys->follow);
    pthread_cond_destroy(&keys->wake);
    pthread_cond_destroy(&keys->waits);
    pthread_mutex_destroy(&keys->lock);
    pthread_mutex_destroy(&keys->resuming);
    free(keys);
}

struct dep_slot *dep_keys_slot(struct dep_keys *keys)
{
    return &keys->follow.slot;
}

bool dep_keys_are_usable(struct dep_keys *keys, int64_t now_ms)
{
    return dep_follow_keys_are_usable(&keys->follow, now_ms);
}

/* Under the lock. */
static bool may_refresh(const struct dep_keys *keys, int64_t now_ms)
{
    return !keys->is_stopping && keys->waiting_count < WAITING_MAX && dep_follow_keys_may_want(&keys->follow, now_ms);
}

bool dep_keys_may_refresh(struct dep_keys *keys, int64_t now_ms)
{
    bool may;

    pthread_mutex_lock(&keys->lock);
    may = may_refresh(keys, now_ms);
    pthread_mutex_unlock(&keys->lock);
    return may;
}

bool dep_keys_are_underway(struct dep_keys *keys)
{
    bool are;

    pthread_mutex_lock(&keys->lock);
    are = keys->follow.is_round || keys->follow.is_wanted;
    pthread_mutex_unlock(&keys->lock);
    return are;
}

bool dep_keys_wait(struct dep_keys *keys, struct dep_keys_waiter *waiter, int64_t now_ms)
{
    bool waits;

    pthread_mutex_lock(&keys->lock);
    waits = may_refresh(keys, now_ms);
    if (waits) {
        waiter->until_ms = now_ms + DEP_KEYS_WAIT_MAX_MS;
        waiter->next = keys->waiting;
        keys->waiting = waiter;
        keys->waiting_count++;
        dep_follow_keys_want(&keys->follow, now_ms);
        pthread_cond_signal(&keys->wake);
        pthread_cond_signal(&keys->waits);
    }
    pthread_mutex_unlock(&keys->lock);
    return waits;
}

void dep_keys_hint(struct dep_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    dep_follow_keys_hint(&keys->follow, dep_clock_ms());
    pthread_cond_signal(&keys->wake);
    pthread_mutex_unlock(&keys->lock);
}

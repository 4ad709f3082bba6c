/* Keys of trusted foreign issuers.
 *
 * Invariants:
 *  (1) `mutex` guards the entries, but for `lookup` and `release_ms`, which are the thread's alone. Only the thread sets `is_looking`.
 *  (2) An entry that looks something up, or at which a request is parked, stays what it is; any other may be given to another issuer. */
#include "server/issuers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net/clock.h"
#include "server/lookup.h"

#define ARENA_BYTES (2u * 1024u * 1024u)

struct dep_issuer_keys {
    _Atomic unsigned references;
    struct dep_jwks *set;
};

struct parked {
    struct parked *next;
    struct dep_net_exchange *exchange;
    uint64_t lookups; /* that had ended when it was seen that keys are missing */
};

struct entry {
    char *issuer;   /* NULL: free */
    char *jwks_uri; /* NULL: by discovery */
    struct dep_issuer_keys *keys;
    int64_t fetched;    /* 0: never */
    int64_t tried;      /* when the last lookup began */
    int64_t not_before; /* and when the next one may */
    bool is_looking;
    uint64_t lookups; /* that have ended */
    struct parked *parked;
    size_t parked_count;
    struct dep_lookup lookup;
    int64_t release_ms; /* of a lookup that has failed, monotonic */
};

struct dep_issuers {
    pthread_mutex_t mutex;
    pthread_t thread;
    struct entry entries[DEP_ISSUERS_MAX];
    bool is_stopping, is_running;
    int wake_fd;
    struct dep_issuers_config config;
    struct dep_lookup_tools tools;
    void *memory;
};

const struct dep_jwks *dep_issuer_keys_set(const struct dep_issuer_keys *keys)
{
    return keys->set;
}

void dep_issuer_keys_unref(struct dep_issuer_keys *keys)
{
    if (keys == NULL || atomic_fetch_sub(&keys->references, 1) != 1)
        return;
    dep_jwks_free(keys->set);
    free(keys);
}

/* ---- entries; the mutex is held ---- */

static bool is_at(const struct entry *entry, struct dep_issuer_place place)
{
    if (entry->issuer == NULL || !dep_str_eq_c(place.issuer, entry->issuer))
        return false;
    if (entry->jwks_uri == NULL || dep_str_is_absent(place.jwks_uri))
        return entry->jwks_uri == NULL && dep_str_is_absent(place.jwks_uri);
    return dep_str_eq_c(place.jwks_uri, entry->jwks_uri);
}

static struct entry *find(struct dep_issuers *issuers, struct dep_issuer_place place)
{
    for (size_t i = 0; i < DEP_ISSUERS_MAX; i++)
        if (is_at(&issuers->entries[i], place))
            return &issuers->entries[i];
    return NULL;
}

static void clear(struct entry *entry)
{
    free(entry->issuer);
    free(entry->jwks_uri);
    dep_issuer_keys_unref(entry->keys);
    *entry = (struct entry){ 0 };
}

/* The issuer's entry, if need be in place of the one that was tried longest ago; NULL when all are in use. */
static struct entry *claim(struct dep_issuers *issuers, struct dep_issuer_place place)
{
    struct entry *entry = find(issuers, place);

    if (entry != NULL)
        return entry;
    for (size_t i = 0; i < DEP_ISSUERS_MAX; i++) {
        struct entry *other = &issuers->entries[i];

        if (!other->is_looking && other->parked == NULL && (entry == NULL || other->tried < entry->tried))
            entry = other;
    }
    if (entry == NULL)
        return NULL;
    clear(entry);
    entry->issuer = strndup(place.issuer.ptr, place.issuer.len);
    if (!dep_str_is_absent(place.jwks_uri))
        entry->jwks_uri = strndup(place.jwks_uri.ptr, place.jwks_uri.len);
    if (entry->issuer == NULL || (entry->jwks_uri == NULL && !dep_str_is_absent(place.jwks_uri))) {
        clear(entry);
        return NULL;
    }
    return entry;
}

static bool is_fresh(const struct entry *entry, int64_t now)
{
    return entry->keys != NULL && now - entry->fetched < DEP_ISSUERS_FRESH_S;
}

/* A clock that was set back holds nobody up. */
static bool may_look(const struct entry *entry, int64_t now)
{
    return now >= entry->not_before || now < entry->tried;
}

struct dep_issuer_keys *dep_issuers_get(struct dep_issuers *issuers, struct dep_issuer_place place, struct dep_str kid,
                                        enum dep_alg alg, int64_t now, bool *ret_must_fetch, uint64_t *ret_lookups)
{
    struct dep_issuer_keys *keys = NULL;
    const struct entry *entry;
    bool has_key = false;

    (void)pthread_mutex_lock(&issuers->mutex);
    entry = find(issuers, place);
    if (entry != NULL && entry->keys != NULL && now - entry->fetched < DEP_ISSUERS_STALE_S) {
        keys = entry->keys;
        (void)atomic_fetch_add(&keys->references, 1);
        has_key = dep_jwks_find(keys->set, kid, alg) != NULL;
    }
    *ret_lookups = entry == NULL ? 0 : entry->lookups;
    if (entry == NULL)
        *ret_must_fetch = true;
    else if (entry->is_looking)
        *ret_must_fetch = !has_key; /* waits for those that are on their way (F18); who has an old key does not */
    else
        *ret_must_fetch = !(has_key && is_fresh(entry, now)) && may_look(entry, now);
    (void)pthread_mutex_unlock(&issuers->mutex);
    return keys;
}

static void wake(struct dep_issuers *issuers)
{
    const uint64_t one = 1;
    ssize_t written = write(issuers->wake_fd, &one, sizeof(one));

    (void)written; /* it fails only when the counter is full, and then the thread is awake */
}

struct dep_res dep_issuers_park(struct dep_issuers *issuers, struct dep_net_exchange *exchange,
                                struct dep_issuer_place place, uint64_t lookups)
{
    struct parked *parked = malloc(sizeof(*parked));
    struct entry *entry = NULL;
    struct dep_res res = DEP_OK;

    if (parked == NULL)
        return DEP_FAIL(OVERLOADED);
    (void)pthread_mutex_lock(&issuers->mutex);
    if (issuers->is_stopping)
        res = DEP_FAIL(SHUTTING_DOWN);
    else if ((entry = claim(issuers, place)) == NULL || entry->parked_count >= DEP_ISSUERS_PARKED_MAX)
        res = DEP_FAIL(OVERLOADED);
    else {
        *parked = (struct parked){ entry->parked, exchange, lookups };
        entry->parked = parked;
        entry->parked_count++;
    }
    (void)pthread_mutex_unlock(&issuers->mutex);
    if (dep_is_ok(res))
        wake(issuers);
    else
        free(parked);
    return res;
}

/* ---- the thread ---- */

/* The mutex is held. */
static struct parked *take_parked(struct entry *entry)
{
    struct parked *parked = entry->parked;

    entry->parked = NULL;
    entry->parked_count = 0;
    return parked;
}

/* In the order in which they came, which is the list's order backwards. */
static void run_again(struct dep_issuers *issuers, struct parked *parked)
{
    struct parked *next, *first = NULL;

    for (; parked != NULL; parked = next) {
        next = parked->next;
        parked->next = first;
        first = parked;
    }
    for (; first != NULL; first = next) {
        next = first->next;
        issuers->config.again(issuers->config.context, first->exchange);
        free(first);
    }
}

/* The mutex is held. */
static void keep(struct entry *entry, struct dep_jwks *set)
{
    struct dep_issuer_keys *keys = calloc(1, sizeof(*keys));

    if (keys == NULL) {
        dep_jwks_free(set);
        return;
    }
    atomic_init(&keys->references, 1);
    keys->set = set;
    dep_issuer_keys_unref(entry->keys);
    entry->keys = keys;
    entry->fetched = entry->tried;
}

/* Keys that were due leave the next unknown kid its chance: a key may be new since a moment ago. */
static void finish(struct dep_issuers *issuers, struct entry *entry)
{
    struct dep_jwks *set = entry->lookup.set;
    struct parked *parked;
    bool was_due;

    entry->lookup = (struct dep_lookup){ 0 };
    (void)pthread_mutex_lock(&issuers->mutex);
    was_due = !is_fresh(entry, entry->tried);
    entry->not_before = entry->tried + (set != NULL && was_due ? 0 : DEP_ISSUERS_THROTTLE_S);
    if (set != NULL)
        keep(entry, set);
    entry->is_looking = false;
    entry->lookups++;
    parked = take_parked(entry);
    (void)pthread_mutex_unlock(&issuers->mutex);
    run_again(issuers, parked);
}

/* When a lookup that failed may be told: at the end of its bucket, and in no case after the time that all of it has. */
static int64_t bucket_end(const struct entry *entry, int64_t now_ms)
{
    int64_t began_ms = entry->lookup.deadline_ms - DEP_LOOKUP_TIMEOUT_MS;
    int64_t took_ms = (now_ms - began_ms) / DEP_ISSUERS_BUCKET_MS * DEP_ISSUERS_BUCKET_MS + DEP_ISSUERS_BUCKET_MS;

    return took_ms < DEP_LOOKUP_TIMEOUT_MS ? began_ms + took_ms : entry->lookup.deadline_ms;
}

static void look(struct dep_issuers *issuers, struct entry *entry, bool is_stopping, int64_t now_ms)
{
    struct dep_lookup *lookup = &entry->lookup;

    if (is_stopping)
        dep_lookup_cancel(lookup);
    if (lookup->transfer != NULL && dep_fetch_has_ended(lookup->transfer))
        dep_lookup_next(lookup, &issuers->tools, dep_str_c(entry->issuer), now_ms);
    if (lookup->transfer != NULL)
        return;
    if (lookup->set == NULL && entry->release_ms == 0)
        entry->release_ms = bucket_end(entry, now_ms);
    if (lookup->set != NULL || now_ms >= entry->release_ms || is_stopping)
        finish(issuers, entry);
}

/* Somebody waits who has not seen the last lookup's keys. */
static bool wants_lookup(const struct entry *entry)
{
    for (const struct parked *parked = entry->parked; parked != NULL; parked = parked->next)
        if (parked->lookups >= entry->lookups)
            return true;
    return false;
}

/* Begins a lookup, or runs those that wait for nothing. */
static void attend(struct dep_issuers *issuers, struct entry *entry, bool is_stopping, int64_t now_ms)
{
    struct parked *parked = NULL;
    int64_t now = (int64_t)time(NULL);

    (void)pthread_mutex_lock(&issuers->mutex);
    if (!is_stopping && wants_lookup(entry) && may_look(entry, now)) {
        entry->tried = now;
        entry->is_looking = true;
    } else {
        parked = take_parked(entry);
    }
    (void)pthread_mutex_unlock(&issuers->mutex);
    run_again(issuers, parked);
    if (entry->is_looking) {
        entry->release_ms = 0;
        dep_lookup_begin(&entry->lookup, &issuers->tools, dep_str_c(entry->issuer),
                         entry->jwks_uri == NULL ? DEP_STR_ABSENT : dep_str_c(entry->jwks_uri), now_ms);
    }
}

/* Moves every entry on as far as it goes; returns for how long there is nothing to do. */
static int64_t move_all(struct dep_issuers *issuers, bool is_stopping)
{
    int64_t now_ms = dep_clock_ms(), next_ms = now_ms + 1000;

    for (size_t i = 0; i < DEP_ISSUERS_MAX; i++) {
        struct entry *entry = &issuers->entries[i];

        if (!entry->is_looking)
            attend(issuers, entry, is_stopping, now_ms);
        if (entry->is_looking)
            look(issuers, entry, is_stopping, now_ms);
        if (entry->is_looking && entry->lookup.transfer == NULL && entry->release_ms < next_ms)
            next_ms = entry->release_ms;
    }
    return next_ms > now_ms ? next_ms - now_ms : 0;
}

static void *run(void *context)
{
    struct dep_issuers *issuers = context;
    bool is_stopping = false;

    while (!is_stopping) {
        uint64_t count;
        int64_t wait_ms;
        ssize_t got = read(issuers->wake_fd, &count, sizeof(count));

        (void)got; /* nothing there: a transfer or the time woke us */
        (void)pthread_mutex_lock(&issuers->mutex);
        is_stopping = issuers->is_stopping;
        (void)pthread_mutex_unlock(&issuers->mutex);
        wait_ms = move_all(issuers, is_stopping);
        if (!is_stopping)
            (void)dep_fetch_wait(issuers->tools.fetcher, issuers->wake_fd, wait_ms);
    }
    return NULL;
}

struct dep_res dep_issuers_start(const struct dep_issuers_config *config, struct dep_issuers **ret_issuers)
{
    struct dep_issuers *issuers = calloc(1, sizeof(*issuers));
    struct dep_lookup_tools *tools;

    if (issuers == NULL)
        return DEP_FAIL(ARENA_FULL);
    tools = &issuers->tools;
    (void)pthread_mutex_init(&issuers->mutex, NULL);
    issuers->config = *config;
    issuers->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    tools->may_loopback = config->may_loopback;
    tools->ca_file = config->ca_file;
    tools->crypto = dep_crypto_new();
    tools->fetcher = dep_fetcher_new(-1);
    issuers->memory = aligned_alloc(16, ARENA_BYTES);
    if (issuers->memory != NULL)
        dep_arena_init(&tools->arena, issuers->memory, ARENA_BYTES);
    if (issuers->wake_fd < 0 || tools->crypto == NULL || tools->fetcher == NULL || issuers->memory == NULL ||
        pthread_create(&issuers->thread, NULL, run, issuers) != 0) {
        dep_issuers_free(issuers);
        return DEP_FAIL(OVERLOADED);
    }
    issuers->is_running = true;
    *ret_issuers = issuers;
    return DEP_OK;
}

void dep_issuers_stop(struct dep_issuers *issuers)
{
    if (issuers == NULL || !issuers->is_running)
        return;
    (void)pthread_mutex_lock(&issuers->mutex);
    issuers->is_stopping = true;
    (void)pthread_mutex_unlock(&issuers->mutex);
    wake(issuers);
    (void)pthread_join(issuers->thread, NULL);
    issuers->is_running = false;
}

void dep_issuers_free(struct dep_issuers *issuers)
{
    if (issuers == NULL)
        return;
    dep_issuers_stop(issuers);
    for (size_t i = 0; i < DEP_ISSUERS_MAX; i++)
        clear(&issuers->entries[i]);
    if (issuers->tools.fetcher != NULL)
        dep_fetcher_free(issuers->tools.fetcher);
    dep_crypto_free(issuers->tools.crypto);
    if (issuers->wake_fd >= 0)
        (void)close(issuers->wake_fd);
    (void)pthread_mutex_destroy(&issuers->mutex);
    free(issuers->memory);
    free(issuers);
}

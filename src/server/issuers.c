/* Keys of trusted foreign issuers. */
#include "server/issuers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/url.h"
#include "net/fetch.h"

#define ARENA_BYTES (2u * 1024u * 1024u)
#define FETCH_TIMEOUT_MS 3000
#define REFRESH_TIMEOUT_MS 4500 /* for all documents of one issuer together (F11) */

struct dep_issuer_keys {
    _Atomic unsigned references;
    struct dep_jwks *set;
};

struct entry {
    char *issuer; /* NULL: free */
    struct dep_issuer_keys *keys;
    int64_t fetched; /* 0: never */
    int64_t tried;
    bool is_fetching;
};

struct parked {
    struct parked *next;
    struct dep_net_exchange *exchange;
    char *issuer;
};

struct dep_issuers {
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    pthread_t thread;
    struct entry entries[DEP_ISSUERS_MAX];
    struct parked *head, **tail;
    size_t parked;
    bool is_stopping, is_running;
    int stop_fd;
    bool may_loopback;
    struct dep_str (*find_url)(void *context, struct dep_str issuer, struct dep_arena *arena);
    void (*again)(void *context, struct dep_net_exchange *exchange);
    void *context;
    struct dep_crypto *crypto;
    struct dep_fetcher *fetcher;
    struct dep_arena arena;
    void *memory;
    int64_t deadline_ms; /* of the issuer that the thread is at, monotonic */
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

static struct entry *find(struct dep_issuers *issuers, struct dep_str issuer)
{
    for (size_t i = 0; i < DEP_ISSUERS_MAX; i++)
        if (issuers->entries[i].issuer != NULL && dep_str_eq_c(issuer, issuers->entries[i].issuer))
            return &issuers->entries[i];
    return NULL;
}

struct dep_issuer_keys *dep_issuers_get(struct dep_issuers *issuers, struct dep_str issuer, struct dep_str kid,
                                        enum dep_alg alg, int64_t now, bool *ret_must_fetch)
{
    struct dep_issuer_keys *keys = NULL;
    const struct entry *entry;
    bool is_good = false;

    (void)pthread_mutex_lock(&issuers->mutex);
    entry = find(issuers, issuer);
    if (entry != NULL && entry->keys != NULL && now - entry->fetched < DEP_ISSUERS_STALE_S) {
        keys = entry->keys;
        (void)atomic_fetch_add(&keys->references, 1);
        is_good = now - entry->fetched < DEP_ISSUERS_FRESH_S && dep_jwks_find(keys->set, kid, alg) != NULL;
    }
    /* Whoever comes while the keys are on their way waits for them too (F18). */
    *ret_must_fetch = !is_good && (entry == NULL || entry->is_fetching ||
                                   now - entry->tried >= DEP_ISSUERS_THROTTLE_S || now < entry->tried);
    (void)pthread_mutex_unlock(&issuers->mutex);
    return keys;
}

struct dep_res dep_issuers_park(struct dep_issuers *issuers, struct dep_net_exchange *exchange, struct dep_str issuer)
{
    struct parked *parked = malloc(sizeof(*parked));
    struct dep_res res = DEP_OK;

    if (parked == NULL || (parked->issuer = strndup(issuer.ptr, issuer.len)) == NULL) {
        free(parked);
        return DEP_FAIL(OVERLOADED);
    }
    parked->next = NULL;
    parked->exchange = exchange;
    (void)pthread_mutex_lock(&issuers->mutex);
    if (issuers->is_stopping)
        res = DEP_FAIL(SHUTTING_DOWN);
    else if (issuers->parked >= DEP_ISSUERS_PARKED_MAX)
        res = DEP_FAIL(OVERLOADED);
    if (dep_is_ok(res)) {
        *issuers->tail = parked;
        issuers->tail = &parked->next;
        issuers->parked++;
        (void)pthread_cond_signal(&issuers->has_work);
    }
    (void)pthread_mutex_unlock(&issuers->mutex);
    if (!dep_is_ok(res)) {
        free(parked->issuer);
        free(parked);
    }
    return res;
}

/* ---- the fetching thread ---- */

static int64_t monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct dep_res fetch(struct dep_issuers *issuers, struct dep_str url, struct dep_str *ret_body)
{
    int64_t left_ms = issuers->deadline_ms - monotonic_ms();
    const struct dep_fetch_policy policy = {
        .may_loopback = issuers->may_loopback,
        .body_bytes_max = DEP_JWKS_BYTES_MAX,
        .timeout_ms = left_ms < FETCH_TIMEOUT_MS ? left_ms : FETCH_TIMEOUT_MS,
    };
    const struct dep_fetch_request request = { .url = url };
    struct dep_fetch_answer answer;

    if (left_ms <= 0)
        return DEP_FAIL(NET_FETCH);
    DEP_TRY(dep_fetch(issuers->fetcher, &policy, &request, &answer));
    *ret_body = answer.status == 200 ? dep_arena_dup(&issuers->arena, answer.body) : DEP_STR_ABSENT;
    dep_fetch_answer_done(&answer);
    return dep_str_is_absent(*ret_body) ? DEP_FAIL(NET_FETCH_STATUS) : DEP_OK;
}

/* OpenID Connect appends the well-known name to the issuer, RFC 8414 puts it in front of the issuer's path. */
static struct dep_str metadata_url(struct dep_issuers *issuers, struct dep_str issuer, bool is_openid)
{
    struct dep_url url;
    struct dep_buf buf;

    if (!dep_is_ok(dep_url_parse(issuer, &url)))
        return DEP_STR_ABSENT;
    dep_buf_init_arena(&buf, &issuers->arena, issuer.len + 64);
    if (is_openid) {
        /* The issuer may end with a slash (OpenID Connect Discovery section 4.1). */
        dep_buf_put(&buf, dep_str_ends(issuer, DEP_STR("/")) ? dep_str_sub(issuer, 0, issuer.len - 1) : issuer);
        dep_buf_put_c(&buf, "/.well-known/openid-configuration");
    } else {
        dep_buf_put(&buf, dep_str_sub(issuer, 0, issuer.len - url.path.len));
        dep_buf_put_c(&buf, "/.well-known/oauth-authorization-server");
        dep_buf_put(&buf, dep_str_eq(url.path, DEP_STR("/")) ? DEP_STR("") : url.path);
    }
    return dep_buf_str(&buf);
}

/* Metadata whose issuer is not the one that was asked is nobody's (rfc8414#3.3). */
static struct dep_res discover(struct dep_issuers *issuers, struct dep_str issuer, bool is_openid,
                               struct dep_str *ret_url)
{
    struct dep_str body, name;
    struct dep_json *json;

    DEP_TRY(fetch(issuers, metadata_url(issuers, issuer, is_openid), &body));
    DEP_TRY(dep_json_parse(&issuers->arena, body, 16, &json));
    DEP_TRY(dep_json_str(DEP_JSON_GET(json, "issuer"), &name));
    if (!dep_str_eq(name, issuer))
        return DEP_FAIL(JWT_ISS);
    return dep_json_str(DEP_JSON_GET(json, "jwks_uri"), ret_url);
}

static struct dep_res fetch_keys(struct dep_issuers *issuers, struct dep_str issuer, struct dep_jwks **ret_set)
{
    struct dep_str url = issuers->find_url(issuers->context, issuer, &issuers->arena), body;

    if (dep_str_is_absent(url) && !dep_is_ok(discover(issuers, issuer, true, &url)))
        DEP_TRY(discover(issuers, issuer, false, &url));
    DEP_TRY(fetch(issuers, url, &body));
    return dep_jwks_new(issuers->crypto, body, ret_set);
}

/* Claims the right to fetch: false when somebody has just tried. */
static bool may_try(struct dep_issuers *issuers, const char *issuer, int64_t now)
{
    struct entry *entry, *oldest = &issuers->entries[0];
    bool may = true;

    (void)pthread_mutex_lock(&issuers->mutex);
    entry = find(issuers, dep_str_c(issuer));
    if (entry == NULL) {
        for (size_t i = 0; i < DEP_ISSUERS_MAX; i++)
            if (issuers->entries[i].issuer == NULL || issuers->entries[i].tried < oldest->tried)
                oldest = &issuers->entries[i];
        entry = oldest;
        free(entry->issuer);
        dep_issuer_keys_unref(entry->keys);
        *entry = (struct entry){ .issuer = strdup(issuer) };
    } else if (now - entry->tried < DEP_ISSUERS_THROTTLE_S && now >= entry->tried) {
        may = false;
    }
    if (may) {
        entry->tried = now;
        entry->is_fetching = true;
    }
    (void)pthread_mutex_unlock(&issuers->mutex);
    return may;
}

static void end_try(struct dep_issuers *issuers, const char *issuer)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&issuers->mutex);
    entry = find(issuers, dep_str_c(issuer));
    if (entry != NULL)
        entry->is_fetching = false;
    (void)pthread_mutex_unlock(&issuers->mutex);
}

static void keep(struct dep_issuers *issuers, const char *issuer, struct dep_jwks *set, int64_t now)
{
    struct dep_issuer_keys *keys = calloc(1, sizeof(*keys)), *last = NULL;
    struct entry *entry;

    if (keys == NULL) {
        dep_jwks_free(set);
        return;
    }
    atomic_init(&keys->references, 1);
    keys->set = set;
    (void)pthread_mutex_lock(&issuers->mutex);
    entry = find(issuers, dep_str_c(issuer));
    if (entry != NULL) {
        last = entry->keys;
        entry->keys = keys;
        entry->fetched = now;
        keys = NULL;
    }
    (void)pthread_mutex_unlock(&issuers->mutex);
    dep_issuer_keys_unref(last);
    dep_issuer_keys_unref(keys);
}

static void refresh(struct dep_issuers *issuers, const char *issuer)
{
    int64_t now = (int64_t)time(NULL);
    struct dep_jwks *set = NULL;

    if (!may_try(issuers, issuer, now))
        return;
    issuers->deadline_ms = monotonic_ms() + REFRESH_TIMEOUT_MS;
    if (dep_is_ok(fetch_keys(issuers, dep_str_c(issuer), &set)))
        keep(issuers, issuer, set, now);
    end_try(issuers, issuer);
    dep_arena_reset(&issuers->arena);
}

static struct parked *take(struct dep_issuers *issuers, bool *ret_is_stopping)
{
    struct parked *parked;

    (void)pthread_mutex_lock(&issuers->mutex);
    while (issuers->head == NULL && !issuers->is_stopping)
        (void)pthread_cond_wait(&issuers->has_work, &issuers->mutex);
    parked = issuers->head;
    if (parked != NULL) {
        issuers->head = parked->next;
        if (issuers->head == NULL)
            issuers->tail = &issuers->head;
        issuers->parked--;
    }
    *ret_is_stopping = issuers->is_stopping;
    (void)pthread_mutex_unlock(&issuers->mutex);
    return parked;
}

static void *run(void *context)
{
    struct dep_issuers *issuers = context;
    bool is_stopping = false;
    struct parked *parked;

    while ((parked = take(issuers, &is_stopping)) != NULL) {
        if (!is_stopping)
            refresh(issuers, parked->issuer);
        issuers->again(issuers->context, parked->exchange);
        free(parked->issuer);
        free(parked);
    }
    return NULL;
}

struct dep_res dep_issuers_start(
    bool may_loopback, struct dep_str (*find_url)(void *context, struct dep_str issuer, struct dep_arena *arena),
    void (*again)(void *context, struct dep_net_exchange *exchange), void *context, struct dep_issuers **ret_issuers)
{
    struct dep_issuers *issuers = calloc(1, sizeof(*issuers));

    if (issuers == NULL)
        return DEP_FAIL(ARENA_FULL);
    (void)pthread_mutex_init(&issuers->mutex, NULL);
    (void)pthread_cond_init(&issuers->has_work, NULL);
    issuers->tail = &issuers->head;
    issuers->may_loopback = may_loopback;
    issuers->find_url = find_url;
    issuers->again = again;
    issuers->context = context;
    issuers->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    issuers->crypto = dep_crypto_new();
    issuers->fetcher = dep_fetcher_new(issuers->stop_fd);
    issuers->memory = aligned_alloc(16, ARENA_BYTES);
    if (issuers->memory != NULL)
        dep_arena_init(&issuers->arena, issuers->memory, ARENA_BYTES);
    if (issuers->stop_fd < 0 || issuers->crypto == NULL || issuers->fetcher == NULL || issuers->memory == NULL ||
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
    const uint64_t one = 1;

    if (issuers == NULL || !issuers->is_running)
        return;
    (void)pthread_mutex_lock(&issuers->mutex);
    issuers->is_stopping = true;
    (void)pthread_cond_signal(&issuers->has_work);
    (void)pthread_mutex_unlock(&issuers->mutex);
    if (write(issuers->stop_fd, &one, sizeof(one)) != sizeof(one))
        issuers->is_stopping = true; /* the fetch ends by its timeout */
    (void)pthread_join(issuers->thread, NULL);
    issuers->is_running = false;
}

void dep_issuers_free(struct dep_issuers *issuers)
{
    if (issuers == NULL)
        return;
    dep_issuers_stop(issuers);
    for (size_t i = 0; i < DEP_ISSUERS_MAX; i++) {
        free(issuers->entries[i].issuer);
        dep_issuer_keys_unref(issuers->entries[i].keys);
    }
    if (issuers->fetcher != NULL)
        dep_fetcher_free(issuers->fetcher);
    dep_crypto_free(issuers->crypto);
    if (issuers->stop_fd >= 0)
        (void)close(issuers->stop_fd);
    (void)pthread_cond_destroy(&issuers->has_work);
    (void)pthread_mutex_destroy(&issuers->mutex);
    free(issuers->memory);
    free(issuers);
}

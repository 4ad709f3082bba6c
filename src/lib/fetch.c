/* What is to be fetched, handed to whoever has the sockets. */
#include <stdlib.h>

#include "lib/handle.h"

struct deputy_fetch {
    struct deputy_guard *guard;
    struct dep_follow_fetch what; /* its texts live until the answer is settled */
    struct deputy_header headers[2];
    size_t headers_count;
};

int64_t dep_lib_feed_due(const struct deputy_guard *guard)
{
    return atomic_load(&guard->has_tried_keys) ? dep_follow_feed_due(&guard->feed) : INT64_MAX;
}

void dep_lib_fetch_begin(struct deputy_guard *guard, bool is_feed, int64_t now_ms, struct dep_follow_fetch *ret_fetch)
{
    if (is_feed)
        dep_follow_feed_next(&guard->feed, now_ms, ret_fetch);
    else
        dep_follow_keys_next(&guard->keys, ret_fetch);
}

static struct dep_res end_keys(struct deputy_guard *guard, enum dep_follow_kind kind,
                               const struct dep_follow_answer *answer)
{
    struct dep_lib_worker *worker = dep_lib_worker_take(guard);
    struct dep_follow_keys_news news = { .kind = kind, .res = DEP_FAIL(ARENA_FULL) };
    struct dep_res res;

    if (worker != NULL) {
        dep_follow_keys_read(&guard->following, worker->crypto, kind, answer, &news);
        dep_lib_worker_give(guard, worker);
    }
    pthread_mutex_lock(&guard->lock);
    res = dep_follow_keys_settle(&guard->keys, &news, dep_clock_ms());
    if (!guard->keys.is_round)
        atomic_store(&guard->has_tried_keys, true);
    dep_lib_wake(guard);
    pthread_mutex_unlock(&guard->lock);
    return res;
}

/* Without a worker there is no memory either: the answer is of no use then. */
static struct dep_res settle_feed(struct deputy_guard *guard, const struct dep_follow_answer *answer, int64_t now_ms,
                                  bool *ret_has_keys_news)
{
    const struct dep_follow_answer nothing = { .res = DEP_FAIL(ARENA_FULL) };
    struct dep_lib_worker *worker = dep_lib_worker_take(guard);
    const struct dep_key_set *keys;
    struct dep_res res;

    if (worker == NULL)
        return dep_follow_feed_settle(&guard->feed, NULL, NULL, &nothing, now_ms, dep_clock_unix(), ret_has_keys_news);
    dep_hold_refresh(&worker->keys, &guard->keys.slot);
    keys = (const struct dep_key_set *)worker->keys.value;
    res = dep_follow_feed_settle(&guard->feed, worker->crypto, keys == NULL ? NULL : keys->jwks, answer, now_ms,
                                 dep_clock_unix(), ret_has_keys_news);
    dep_lib_worker_give(guard, worker);
    return res;
}

static struct dep_res end_feed(struct deputy_guard *guard, const struct dep_follow_answer *answer)
{
    int64_t now_ms = dep_clock_ms();
    bool has_keys_news = false;
    struct dep_res res = settle_feed(guard, answer, now_ms, &has_keys_news);
    bool is_first = !atomic_exchange(&guard->has_tried_feed, true);

    pthread_mutex_lock(&guard->lock);
    if (has_keys_news)
        dep_follow_keys_hint(&guard->keys, now_ms);
    if (is_first)
        dep_lib_wake(guard);
    else
        pthread_cond_broadcast(&guard->wake);
    pthread_mutex_unlock(&guard->lock);
    return res;
}

struct dep_res dep_lib_fetch_end(struct deputy_guard *guard, enum dep_follow_kind kind,
                                 const struct dep_follow_answer *answer)
{
    return kind == DEP_FOLLOW_FEED ? end_feed(guard, answer) : end_keys(guard, kind, answer);
}

static void add_header(struct deputy_fetch *fetch, struct dep_str name, struct dep_str value)
{
    if (!dep_str_is_absent(value))
        fetch->headers[fetch->headers_count++] =
            (struct deputy_header){ { name.ptr, name.len }, { value.ptr, value.len } };
}

/* Milliseconds until the next fetch is due: 0 now, -1 when both are out. */
static int64_t wait_ms(const struct deputy_guard *guard, int64_t now_ms, bool *ret_is_feed)
{
    int64_t keys_ms = dep_follow_keys_due(&guard->keys), feed_ms = dep_lib_feed_due(guard);
    int64_t due_ms = feed_ms < keys_ms ? feed_ms : keys_ms;

    *ret_is_feed = feed_ms < keys_ms;
    if (due_ms == INT64_MAX)
        return -1;
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

struct deputy_fetch *deputy_guard_fetch_next(struct deputy_guard *guard, int64_t *ret_wait_ms)
{
    struct deputy_fetch *fetch = calloc(1, sizeof(*fetch));
    int64_t now_ms = dep_clock_ms();
    bool is_feed;

    pthread_mutex_lock(&guard->lock);
    *ret_wait_ms = wait_ms(guard, now_ms, &is_feed);
    if (*ret_wait_ms == 0 && fetch != NULL)
        dep_lib_fetch_begin(guard, is_feed, now_ms, &fetch->what);
    pthread_mutex_unlock(&guard->lock);
    if (*ret_wait_ms != 0) {
        free(fetch);
        return NULL;
    }
    if (fetch == NULL) {
        *ret_wait_ms = 1000; /* out of memory: perhaps later there is some */
        return NULL;
    }
    fetch->guard = guard;
    add_header(fetch, DEP_STR("Accept"), fetch->what.accept);
    add_header(fetch, DEP_STR("Authorization"), fetch->what.authorization);
    return fetch;
}

enum deputy_fetch_kind deputy_fetch_kind(const struct deputy_fetch *fetch)
{
    switch (fetch->what.kind) {
    case DEP_FOLLOW_METADATA:
        return DEPUTY_FETCH_METADATA;
    case DEP_FOLLOW_KEYS:
        return DEPUTY_FETCH_KEYS;
    case DEP_FOLLOW_FEED:
        break;
    }
    return DEPUTY_FETCH_REVOCATIONS;
}

const char *deputy_fetch_method(const struct deputy_fetch *fetch)
{
    (void)fetch;
    return "GET";
}

const char *deputy_fetch_url(const struct deputy_fetch *fetch)
{
    return fetch->what.url.ptr; /* followed by NUL in the follower's memory */
}

const struct deputy_header *deputy_fetch_headers(const struct deputy_fetch *fetch, size_t *ret_count)
{
    *ret_count = fetch->headers_count;
    return fetch->headers;
}

size_t deputy_fetch_body_bytes_max(const struct deputy_fetch *fetch)
{
    return fetch->what.body_bytes_max;
}

int64_t deputy_fetch_timeout_ms(const struct deputy_fetch *fetch)
{
    return fetch->what.timeout_ms;
}

static enum deputy_result end(struct deputy_fetch *fetch, const struct dep_follow_answer *answer)
{
    struct dep_res res = dep_lib_fetch_end(fetch->guard, fetch->what.kind, answer);

    free(fetch);
    return dep_is_ok(res) ? DEPUTY_OK : DEPUTY_ERR_DOCUMENT;
}

enum deputy_result deputy_fetch_answer(struct deputy_fetch *fetch, int status, const void *body, size_t len)
{
    const struct dep_follow_answer answer = {
        .res = len > fetch->what.body_bytes_max ? DEP_FAIL(NET_FETCH_SIZE) : DEP_OK,
        .status = status,
        .body = body == NULL ? DEP_STR("") : dep_str(body, len),
    };

    return end(fetch, &answer);
}

void deputy_fetch_fail(struct deputy_fetch *fetch)
{
    const struct dep_follow_answer answer = { .res = DEP_FAIL(NET_FETCH) };

    (void)end(fetch, &answer);
}

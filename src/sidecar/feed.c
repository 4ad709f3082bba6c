/* Following the revocation feed. See feed.h for the invariants. */
#include "sidecar/feed.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "http/form.h"
#include "sidecar/clock.h"
#include "sidecar/issuer.h"

/* About 180,000 entries. */
#define BODY_MAX (16u * 1024u * 1024u)
#define ARENA_BYTES 16384u
/* What reading a body needs: values are shorter than their nodes. */
#define BODY_ARENA(bytes) ((bytes)*8 + 65536)
#define JWKS_NAME_MAX 64u
#define TIMEOUT_MS 5000
#define RETRY_MS 250
#define DEPTH_MAX 4u
#define URL_ROOM 64u

struct dep_guard_feed {
    const struct dep_sidecar_config *config;
    void (*on_keys)(void *context);
    void *context;
    int stop_fd;
    struct dep_slot slot;
    struct dep_issuer issuer;
    struct dep_str authorization; /* "Basic …", in `secrets` */
    char *secrets;
    size_t secrets_bytes;
    int64_t version; /* -1: not known */
    char jwks[JWKS_NAME_MAX];
    size_t jwks_len;              /* 0: not known */
    atomic_int_fast64_t heard_ms; /* 0: never */
    pthread_t thread;
};

static struct dep_res add_entries(struct dep_arena *arena, const struct dep_json *entries, struct dep_revocations *set)
{
    struct dep_revocation entry;

    for (const struct dep_json *item = entries->child; item != NULL; item = item->next) {
        if (!dep_is_ok(dep_revocation_read(arena, item, &entry)))
            return DEP_FAIL(FEED_SYNTAX);
        DEP_TRY(dep_revocations_add(set, &entry));
    }
    return DEP_OK;
}

static struct dep_res read_answer(const struct dep_json *json, int64_t version, struct dep_guard_feed_answer *answer,
                                  const struct dep_json **ret_entries)
{
    const struct dep_json *entries = DEP_JSON_GET(json, "entries");
    const struct dep_json *jwks = DEP_JSON_GET(json, "jwks");

    answer->jwks = DEP_STR_ABSENT;
    if (!dep_is_ok(dep_json_int(DEP_JSON_GET(json, "version"), 0, INT64_MAX, &answer->version)) ||
        !dep_is_ok(dep_json_bool(DEP_JSON_GET(json, "full"), &answer->is_full)) || entries == NULL ||
        entries->type != DEP_JSON_ARRAY || (jwks != NULL && !dep_is_ok(dep_json_str(jwks, &answer->jwks))))
        return DEP_FAIL(FEED_SYNTAX);
    /* A feed that went back has lost entries that we may lack too: only a full set mends that. */
    if (answer->version < version && !answer->is_full)
        return DEP_FAIL(FEED_SYNTAX);
    answer->entries = entries->count;
    *ret_entries = entries;
    return DEP_OK;
}

struct dep_res dep_guard_feed_apply(struct dep_arena *arena, struct dep_str text, const struct dep_revocations *old,
                                    int64_t version, int64_t now, struct dep_guard_feed_answer *ret_answer)
{
    struct dep_guard_feed_answer answer = { 0 };
    const struct dep_json *entries = NULL;
    struct dep_json *json = NULL;
    struct dep_res res;

    if (!dep_is_ok(dep_json_parse_max(arena, text, DEPTH_MAX, BODY_MAX, &json)))
        return DEP_FAIL(FEED_SYNTAX);
    DEP_TRY(read_answer(json, version, &answer, &entries));
    if (old != NULL && !answer.is_full && answer.entries == 0) {
        *ret_answer = answer;
        return DEP_OK;
    }
    answer.set = old == NULL || answer.is_full ? dep_revocations_new(answer.entries) : dep_revocations_copy(old, now);
    if (answer.set == NULL)
        return DEP_FAIL(ARENA_FULL);
    res = add_entries(arena, entries, answer.set);
    if (!dep_is_ok(res)) {
        dep_revocations_free(answer.set);
        return res;
    }
    *ret_answer = answer;
    return DEP_OK;
}

static void free_set(struct dep_shared *shared)
{
    struct dep_guard_feed_set *set = (struct dep_guard_feed_set *)shared;

    dep_revocations_free(set->entries);
    free(set);
}

static struct dep_res take(struct dep_guard_feed *feed, struct dep_revocations *entries)
{
    struct dep_guard_feed_set *set = calloc(1, sizeof(*set));

    if (set == NULL) {
        dep_revocations_free(entries);
        return DEP_FAIL(ARENA_FULL);
    }
    atomic_init(&set->shared.refs, 1);
    set->shared.free = free_set;
    set->entries = entries;
    dep_slot_take(&feed->slot, &set->shared);
    return DEP_OK;
}

/* The issuer names its key set in every answer: another name, other keys (attack case A65). */
static void hear_keys(struct dep_guard_feed *feed, struct dep_str jwks)
{
    if (dep_str_is_blank(jwks) || jwks.len > JWKS_NAME_MAX || dep_str_eq(jwks, dep_str(feed->jwks, feed->jwks_len)))
        return;
    if (feed->jwks_len > 0)
        feed->on_keys(feed->context);
    memcpy(feed->jwks, jwks.ptr, jwks.len);
    feed->jwks_len = jwks.len;
}

static struct dep_res apply(struct dep_guard_feed *feed, struct dep_arena *arena, struct dep_str text,
                            bool *ret_is_news)
{
    /* This thread alone swaps the slot's value. */
    const struct dep_guard_feed_set *old = (const struct dep_guard_feed_set *)feed->slot.current;
    struct dep_guard_feed_answer answer;

    DEP_TRY(
        dep_guard_feed_apply(arena, text, old == NULL ? NULL : old->entries, feed->version, dep_clock_unix(), &answer));
    if (answer.set != NULL)
        DEP_TRY(take(feed, answer.set));
    *ret_is_news = answer.version != feed->version;
    feed->version = answer.version;
    atomic_store(&feed->heard_ms, dep_clock_ms());
    hear_keys(feed, answer.jwks);
    return DEP_OK;
}

static struct dep_res hear(struct dep_guard_feed *feed, struct dep_str text, bool *ret_is_news)
{
    void *memory = calloc(1, BODY_ARENA(text.len));
    struct dep_arena arena;
    struct dep_res res;

    dep_arena_init_zero(&arena, memory, memory == NULL ? 0 : BODY_ARENA(text.len));
    res = apply(feed, &arena, text, ret_is_news);
    free(memory);
    return res;
}

static struct dep_res feed_url(struct dep_guard_feed *feed, struct dep_str *ret_url)
{
    struct dep_buf buf;

    dep_arena_reset(&feed->issuer.arena);
    dep_buf_init_arena(&buf, &feed->issuer.arena, feed->config->issuer.len + URL_ROOM);
    dep_buf_put(&buf, feed->config->issuer);
    dep_buf_put_c(&buf, "/revocations?after=");
    dep_buf_put_int(&buf, feed->version < 0 ? 0 : feed->version);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_url = dep_buf_str(&buf);
    return DEP_OK;
}

static struct dep_res poll_once(struct dep_guard_feed *feed, bool *ret_is_news)
{
    const struct dep_fetch_policy policy = {
        .may_loopback = feed->config->may_loopback,
        .may_private = feed->config->may_private,
        .body_bytes_max = BODY_MAX,
        .timeout_ms = TIMEOUT_MS,
    };
    const struct dep_header authorization = { DEP_STR("Authorization"), feed->authorization };
    struct dep_fetch_request request = { .headers = &authorization, .headers_count = 1 };
    struct dep_fetch_answer answer;
    struct dep_res res;

    DEP_TRY(feed_url(feed, &request.url));
    DEP_TRY(dep_fetch(feed->issuer.fetcher, &policy, &request, &answer));
    res = answer.status == 200 ? hear(feed, answer.body, ret_is_news) : DEP_FAIL(NET_FETCH_STATUS);
    dep_fetch_answer_done(&answer);
    return res;
}

/* False when the guard stops. */
static bool pause_ms(struct dep_guard_feed *feed, int ms)
{
    struct pollfd stop = { .fd = feed->stop_fd, .events = POLLIN };

    return poll(&stop, 1, ms) == 0;
}

static void *run(void *context)
{
    struct dep_guard_feed *feed = context;
    enum dep_err last = DEP_ERR_NONE;
    int pause = 0;

    while (pause_ms(feed, pause)) {
        int64_t started_ms = dep_clock_ms();
        bool is_news = false;
        struct dep_res res = poll_once(feed, &is_news);

        if (res.err != last && !dep_is_ok(res))
            fprintf(stderr, "deputy guard: revocation feed: %s\n", dep_err_text(res.err));
        last = res.err;
        if (res.err == DEP_ERR_FEED_SYNTAX)
            feed->version = -1; /* start over with a full set */
        /* A server that answers at once with nothing does not poll long: do not spin. */
        pause = !dep_is_ok(res) || (!is_news && dep_clock_ms() - started_ms < RETRY_MS) ? RETRY_MS : 0;
    }
    return NULL;
}

/* rfc6749#2.3.1: both halves form-encoded, then Basic. */
static bool make_authorization(struct dep_guard_feed *feed)
{
    const struct dep_sidecar_config *config = feed->config;
    struct dep_str secret = dep_str((const char *)config->client_secret.bytes, config->client_secret.len);
    size_t room = 3 * (config->client_id.len + secret.len) + 8;
    struct dep_buf pair, basic;

    feed->secrets_bytes = room + DEP_B64_ENCODED(room) + 16;
    feed->secrets = malloc(feed->secrets_bytes);
    if (feed->secrets == NULL)
        return false;
    dep_buf_init(&pair, feed->secrets, room);
    dep_form_put(&pair, config->client_id, secret); /* "id=secret", encoded */

    struct dep_str text = dep_buf_str(&pair);
    size_t at = dep_str_find(text, '=');

    if (dep_str_is_absent(text) || at == text.len)
        return false;
    feed->secrets[at] = ':';
    dep_buf_init(&basic, feed->secrets + room, feed->secrets_bytes - room);
    dep_buf_put_c(&basic, "Basic ");
    dep_b64_put(&basic, text.ptr, text.len);
    feed->authorization = dep_buf_str(&basic);
    return !basic.has_failed;
}

static void release(struct dep_guard_feed *feed)
{
    dep_issuer_done(&feed->issuer);
    dep_slot_done(&feed->slot);
    if (feed->secrets != NULL)
        dep_wipe(feed->secrets, feed->secrets_bytes);
    free(feed->secrets);
    free(feed);
}

struct dep_guard_feed *dep_guard_feed_new(const struct dep_sidecar_config *config, int stop_fd,
                                          void (*on_keys)(void *context), void *context)
{
    struct dep_guard_feed *feed = calloc(1, sizeof(*feed));

    if (feed == NULL)
        return NULL;
    feed->config = config;
    feed->on_keys = on_keys;
    feed->context = context;
    feed->stop_fd = stop_fd;
    feed->version = -1;
    atomic_init(&feed->heard_ms, 0);
    dep_slot_init(&feed->slot);
    if (!dep_issuer_init(&feed->issuer, config, stop_fd, ARENA_BYTES) || !make_authorization(feed) ||
        pthread_create(&feed->thread, NULL, run, feed) != 0) {
        release(feed);
        return NULL;
    }
    return feed;
}

void dep_guard_feed_free(struct dep_guard_feed *feed)
{
    if (feed == NULL)
        return;
    pthread_join(feed->thread, NULL);
    release(feed);
}

struct dep_slot *dep_guard_feed_slot(struct dep_guard_feed *feed)
{
    return &feed->slot;
}

int64_t dep_guard_feed_silence_ms(struct dep_guard_feed *feed, int64_t now_ms)
{
    int64_t heard_ms = atomic_load(&feed->heard_ms);

    return heard_ms == 0 ? INT64_MAX : now_ms - heard_ms;
}

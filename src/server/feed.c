/* The revocation feed. Polls are kept on the writer's clock: it adds entries and ticks, so one lock and no thread of its own. */
#include "server/feed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/b64.h"
#include "jose/jws.h"

#define DELTAS_MAX 65536u

/* Room for an entry, each byte of its id escaped, and for what stands around the entries. */
static size_t entry_bytes(const struct dep_revocation *entry)
{
    return 6 * entry->id.len + 160;
}
#define FRAME_BYTES 512u
/* Header and signature of the token, and its dots. */
#define SIGNATURE_BYTES 2048u

struct delta {
    struct dep_revocation entry; /* id on the heap */
};

struct waiter {
    struct waiter *next;
    struct dep_net_exchange *exchange;
    int64_t until_ms;
    char id[40];
    size_t id_len;
};

/* What an answer says beside its entries. */
struct frame {
    uint64_t version, jwks;
    bool is_full;
};

struct dep_feed {
    pthread_mutex_t mutex;
    uint64_t base; /* the version before deltas[0] */
    struct delta *deltas;
    size_t count;
    struct waiter *waiters; /* all of them know everything up to base + count */
    uint64_t jwks;
    bool is_stopped;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct dep_feed *dep_feed_new(uint64_t base)
{
    struct dep_feed *feed = calloc(1, sizeof(*feed));

    if (feed == NULL)
        return NULL;
    (void)pthread_mutex_init(&feed->mutex, NULL);
    feed->base = base;
    feed->deltas = calloc(DELTAS_MAX, sizeof(*feed->deltas));
    if (feed->deltas == NULL) {
        dep_feed_free(feed);
        return NULL;
    }
    return feed;
}

static void drop_deltas(struct dep_feed *feed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)feed->deltas[i].entry.id.ptr);
    memmove(feed->deltas, feed->deltas + count, (feed->count - count) * sizeof(*feed->deltas));
    feed->count -= count;
    feed->base += count;
}

void dep_feed_free(struct dep_feed *feed)
{
    if (feed == NULL)
        return;
    if (feed->deltas != NULL)
        drop_deltas(feed, feed->count);
    free(feed->deltas);
    (void)pthread_mutex_destroy(&feed->mutex);
    free(feed);
}

static void open_payload(struct dep_json_writer *writer, const struct dep_feed_signer *signer,
                         const struct frame *frame)
{
    char text[16];
    struct dep_buf hash;

    dep_buf_init(&hash, text, sizeof(text));
    dep_buf_put_hex(&hash, &frame->jwks, sizeof(frame->jwks));
    dep_json_open(writer, '{');
    dep_json_member(writer, "iss", signer->issuer);
    dep_json_member_int(writer, "iat", (int64_t)time(NULL));
    dep_json_member(writer, "jwks", dep_buf_str(&hash));
    dep_json_member_int(writer, "version", (int64_t)frame->version);
    dep_json_member_bool(writer, "full", frame->is_full);
    dep_json_name(writer, "entries");
    dep_json_open(writer, '[');
}

/* The signed payload, absent when memory or key are missing. The caller frees `*ret_memory`. */
static struct dep_str sign_payload(const struct dep_feed_signer *signer, struct dep_json_writer *writer,
                                   char **ret_memory)
{
    size_t max = DEP_B64_ENCODED(writer->buf->len) + SIGNATURE_BYTES;
    struct dep_buf token;

    *ret_memory = NULL;
    dep_json_close(writer, ']');
    dep_json_close(writer, '}');
    if (writer->buf->has_failed || signer->key == NULL)
        return DEP_STR_ABSENT;
    *ret_memory = malloc(max);
    dep_buf_init(&token, *ret_memory, *ret_memory == NULL ? 0 : max);
    if (!dep_is_ok(dep_jws_sign(signer->crypto, signer->key, DEP_STR(DEP_FEED_TYP), signer->kid, DEP_STR_ABSENT,
                                dep_buf_str(writer->buf), &token)))
        return DEP_STR_ABSENT;
    return dep_buf_str(&token);
}

/* Everything after `after`, which is within the deltas. */
static struct dep_str make_deltas(const struct dep_feed *feed, const struct dep_feed_signer *signer, uint64_t after,
                                  char **ret_memory)
{
    const struct frame frame = { feed->base + feed->count, feed->jwks, false };
    size_t first = (size_t)(after - feed->base);
    size_t max = FRAME_BYTES + signer->issuer.len;
    struct dep_json_writer writer;
    struct dep_str token;
    struct dep_buf buf;
    char *memory;

    for (size_t i = first; i < feed->count; i++)
        max += entry_bytes(&feed->deltas[i].entry);
    memory = malloc(max);
    dep_buf_init(&buf, memory, memory == NULL ? 0 : max);
    dep_json_begin(&writer, &buf);
    open_payload(&writer, signer, &frame);
    for (size_t i = first; i < feed->count; i++)
        if (feed->deltas[i].entry.id.len > 0) /* else: other keys */
            dep_revocation_write(&writer, &feed->deltas[i].entry);
    token = sign_payload(signer, &writer, ret_memory);
    free(memory);
    return token;
}

static struct dep_str make_all(const struct dep_feed_signer *signer, const struct frame *frame,
                               const struct dep_revocations *all, char **ret_memory)
{
    size_t max = FRAME_BYTES + signer->issuer.len;
    struct dep_json_writer writer;
    struct dep_revocation entry;
    struct dep_str token;
    struct dep_buf buf;
    char *memory;

    for (size_t i = 0; i < dep_revocations_count(all); i++)
        if (dep_revocations_at(all, i, &entry))
            max += entry_bytes(&entry);
    memory = malloc(max);
    dep_buf_init(&buf, memory, memory == NULL ? 0 : max);
    dep_json_begin(&writer, &buf);
    open_payload(&writer, signer, frame);
    for (size_t i = 0; i < dep_revocations_count(all); i++)
        if (dep_revocations_at(all, i, &entry))
            dep_revocation_write(&writer, &entry);
    token = sign_payload(signer, &writer, ret_memory);
    free(memory);
    return token;
}

static void send(struct dep_net_exchange *exchange, struct dep_str id, struct dep_str token)
{
    const struct dep_header headers[] = {
        { DEP_STR("Content-Type"), DEP_STR("application/" DEP_FEED_TYP) },
        { DEP_STR("Cache-Control"), DEP_STR("no-store") },
        { DEP_STR("Deputy-Decision"), id },
    };
    const struct dep_net_answer answer = {
        .status = dep_str_is_absent(token) ? 503 : 200,
        .headers = headers,
        .headers_count = 3,
        .body = dep_str_is_absent(token) ? DEP_STR("") : token,
    };

    dep_net_reply(exchange, &answer);
}

/* All who wait know the same, so one signature does for all of them. */
static void wake(struct dep_feed *feed, const struct dep_feed_signer *signer, uint64_t known, int64_t due_ms)
{
    struct waiter **at = &feed->waiters;
    struct dep_str token = DEP_STR_ABSENT;
    bool is_made = false;
    char *memory = NULL;

    while (*at != NULL) {
        struct waiter *waiter = *at;

        if (waiter->until_ms > due_ms) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        if (!is_made)
            token = make_deltas(feed, signer, known, &memory);
        is_made = true;
        send(waiter->exchange, dep_str(waiter->id, waiter->id_len), token);
        free(waiter);
    }
    free(memory);
}

void dep_feed_add(struct dep_feed *feed, const struct dep_feed_signer *signer, const struct dep_revocation *entry)
{
    char *id = malloc(entry->id.len);

    if (id != NULL)
        memcpy(id, entry->id.ptr, entry->id.len);
    (void)pthread_mutex_lock(&feed->mutex);
    if (feed->count == DELTAS_MAX)
        drop_deltas(feed, DELTAS_MAX / 2);

    uint64_t known = feed->base + feed->count;

    if (id != NULL) {
        feed->deltas[feed->count] = (struct delta){ *entry };
        feed->deltas[feed->count++].entry.id = dep_str(id, entry->id.len);
    } else {
        /* Without memory for the delta, everybody must fetch everything: no version before this one is known any more. */
        drop_deltas(feed, feed->count);
        known = ++feed->base;
    }
    wake(feed, signer, known, INT64_MAX);
    (void)pthread_mutex_unlock(&feed->mutex);
}

void dep_feed_poll(struct dep_feed *feed, const struct dep_feed_signer *signer, struct dep_net_exchange *exchange,
                   uint64_t after, const struct dep_revocations *all, uint64_t all_version, struct dep_str decision_id)
{
    struct frame frame = { .version = all_version };
    struct dep_str token = DEP_STR_ABSENT;
    struct waiter *waiter = NULL;
    char *memory = NULL;

    (void)pthread_mutex_lock(&feed->mutex);

    uint64_t version = feed->base + feed->count;

    frame.jwks = feed->jwks;
    frame.is_full = after < feed->base || after > version;
    if (!frame.is_full && after == version && !feed->is_stopped && (waiter = malloc(sizeof(*waiter))) != NULL) {
        waiter->exchange = exchange;
        waiter->until_ms = monotonic_ms() + DEP_FEED_POLL_MS;
        waiter->id_len = decision_id.len < sizeof(waiter->id) ? decision_id.len : 0;
        memcpy(waiter->id, decision_id.ptr, waiter->id_len);
        waiter->next = feed->waiters;
        feed->waiters = waiter;
        dep_net_defer(exchange);
    } else if (!frame.is_full) {
        token = make_deltas(feed, signer, after, &memory);
    }
    (void)pthread_mutex_unlock(&feed->mutex);
    if (waiter != NULL)
        return;
    /* A large set is written and signed while others go on. */
    if (frame.is_full)
        token = make_all(signer, &frame, all, &memory);
    send(exchange, decision_id, token);
    free(memory);
}

uint64_t dep_feed_version(struct dep_feed *feed)
{
    uint64_t version;

    (void)pthread_mutex_lock(&feed->mutex);
    version = feed->base + feed->count;
    (void)pthread_mutex_unlock(&feed->mutex);
    return version;
}

void dep_feed_set_jwks(struct dep_feed *feed, const struct dep_feed_signer *signer, uint64_t hash)
{
    (void)pthread_mutex_lock(&feed->mutex);
    if (feed->jwks != hash) {
        uint64_t known = feed->base + feed->count;

        if (feed->count == DELTAS_MAX)
            drop_deltas(feed, DELTAS_MAX / 2);
        feed->jwks = hash;
        /* A version of its own, so that a guard that is not waiting just now hears of it with its next poll (A65). */
        feed->deltas[feed->count++] = (struct delta){ 0 };
        wake(feed, signer, known, INT64_MAX);
    }
    (void)pthread_mutex_unlock(&feed->mutex);
}

void dep_feed_tick(struct dep_feed *feed, const struct dep_feed_signer *signer)
{
    (void)pthread_mutex_lock(&feed->mutex);
    if (feed->waiters != NULL)
        wake(feed, signer, feed->base + feed->count, monotonic_ms());
    (void)pthread_mutex_unlock(&feed->mutex);
}

void dep_feed_stop(struct dep_feed *feed, const struct dep_feed_signer *signer)
{
    (void)pthread_mutex_lock(&feed->mutex);
    feed->is_stopped = true;
    wake(feed, signer, feed->base + feed->count, INT64_MAX);
    (void)pthread_mutex_unlock(&feed->mutex);
}

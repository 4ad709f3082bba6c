/* The thread that follows the revocation feed. */
#include "sidecar/feed.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard/follow_keys.h"
#include "net/clock.h"
#include "sidecar/issuer.h"

struct dep_guard_feed {
    struct dep_follow_policy policy;
    void (*on_keys)(void *context);
    void *context;
    int stop_fd;
    struct dep_slot *keys; /* of the issuer */
    struct dep_hold key_hold;
    struct dep_follow_feed follow; /* but for what everybody may read, the thread's */
    struct dep_issuer issuer;
    pthread_t thread;
};

static struct dep_res poll_once(struct dep_guard_feed *feed)
{
    struct dep_follow_fetch fetch;
    struct dep_fetch_answer answer;
    struct dep_follow_answer heard;
    const struct dep_key_set *set;
    bool has_keys_news = false;
    struct dep_res res;

    dep_follow_feed_next(&feed->follow, dep_clock_ms(), &fetch);
    heard = dep_issuer_get(&feed->issuer, &fetch, &answer);
    dep_hold_refresh(&feed->key_hold, feed->keys);
    set = (const struct dep_key_set *)feed->key_hold.value;
    res = dep_follow_feed_settle(&feed->follow, feed->issuer.crypto, set == NULL ? NULL : set->jwks, &heard,
                                 dep_clock_ms(), dep_clock_unix(), &has_keys_news);
    dep_fetch_answer_done(&answer);
    if (has_keys_news)
        feed->on_keys(feed->context);
    return res;
}

/* False when the guard stops. */
static bool wait_until_due(struct dep_guard_feed *feed)
{
    struct pollfd stop = { .fd = feed->stop_fd, .events = POLLIN };
    int64_t due_ms = dep_follow_feed_due(&feed->follow), now_ms = dep_clock_ms();

    return poll(&stop, 1, due_ms > now_ms ? (int)(due_ms - now_ms) : 0) == 0;
}

static void *run(void *context)
{
    struct dep_guard_feed *feed = context;
    enum dep_err last = DEP_ERR_NONE;

    while (wait_until_due(feed)) {
        struct dep_res res = poll_once(feed);

        /* Without keys it is their thread that says why. */
        if (res.err != last && !dep_is_ok(res) && res.err != DEP_ERR_KEYS_MISSING)
            fprintf(stderr, "deputy guard: revocation feed: %s\n", dep_err_text(res.err));
        last = res.err;
    }
    return NULL;
}

static void release(struct dep_guard_feed *feed)
{
    dep_hold_done(&feed->key_hold);
    dep_issuer_done(&feed->issuer);
    dep_follow_feed_done(&feed->follow);
    free(feed);
}

struct dep_guard_feed *dep_guard_feed_new(const struct dep_sidecar_config *config, int stop_fd, struct dep_slot *keys,
                                          void (*on_keys)(void *context), void *context)
{
    struct dep_guard_feed *feed = calloc(1, sizeof(*feed));
    bool is_good;

    if (feed == NULL)
        return NULL;
    feed->policy = dep_sidecar_follow_policy(config);
    feed->keys = keys;
    feed->on_keys = on_keys;
    feed->context = context;
    feed->stop_fd = stop_fd;
    is_good = dep_is_ok(dep_follow_feed_init(&feed->follow, &feed->policy, config->client_id, config->client_secret));
    if (!dep_issuer_init(&feed->issuer, config, stop_fd) || !is_good ||
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
    return &feed->follow.slot;
}

int64_t dep_guard_feed_silence_s(struct dep_guard_feed *feed, int64_t now_ms)
{
    return dep_follow_feed_silence_s(&feed->follow, now_ms);
}

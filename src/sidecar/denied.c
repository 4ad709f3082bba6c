/* A ring of refusals, found by id through a small table of hashes. */
#include "sidecar/denied.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    struct dep_reply *reply; /* NULL: free */
    int64_t until_ms;
    uint32_t next; /* in its bucket: index + 1, or 0 */
};

struct dep_denied {
    pthread_mutex_t lock;
    struct kept ring[DEP_DENIED_MAX];
    uint32_t buckets[DEP_DENIED_MAX]; /* index + 1 of the newest, or 0 */
    uint32_t at;
};

struct dep_denied *dep_denied_new(void)
{
    struct dep_denied *denied = calloc(1, sizeof(*denied));

    if (denied != NULL)
        pthread_mutex_init(&denied->lock, NULL);
    return denied;
}

void dep_denied_free(struct dep_denied *denied)
{
    if (denied == NULL)
        return;
    for (size_t i = 0; i < DEP_DENIED_MAX; i++)
        dep_reply_free(denied->ring[i].reply);
    pthread_mutex_destroy(&denied->lock);
    free(denied);
}

static uint32_t *bucket_of(struct dep_denied *denied, struct dep_str id)
{
    return &denied->buckets[dep_str_hash(id, 0) % DEP_DENIED_MAX];
}

static struct dep_str id_of(const struct kept *kept)
{
    return dep_str(kept->reply->id, sizeof(kept->reply->id));
}

/* Takes the entry out of its bucket and frees it. */
static void drop(struct dep_denied *denied, uint32_t index)
{
    struct kept *kept = &denied->ring[index];

    if (kept->reply == NULL)
        return;
    for (uint32_t *at = bucket_of(denied, id_of(kept)); *at != 0; at = &denied->ring[*at - 1].next)
        if (*at == index + 1) {
            *at = kept->next;
            break;
        }
    dep_reply_free(kept->reply);
    *kept = (struct kept){ 0 };
}

void dep_denied_put(struct dep_denied *denied, const struct dep_guard_decision *decision,
                    const struct dep_net_answer *answer, int64_t now_ms)
{
    struct dep_reply *reply = dep_reply_new(NULL, decision, answer);

    if (reply == NULL)
        return;
    pthread_mutex_lock(&denied->lock);
    drop(denied, denied->at);

    uint32_t *bucket = bucket_of(denied, dep_str(reply->id, sizeof(reply->id)));

    denied->ring[denied->at] = (struct kept){ reply, now_ms + DEP_DENIED_LIFE_MS, *bucket };
    *bucket = denied->at + 1;
    denied->at = (denied->at + 1) % DEP_DENIED_MAX;
    pthread_mutex_unlock(&denied->lock);
}

static void answer_without_challenge(const struct dep_reply *reply, struct dep_net_exchange *exchange)
{
    struct dep_header headers[DEP_SHAPE_HEADERS];
    struct dep_net_answer answer = reply->answer;

    answer.headers = headers;
    answer.headers_count = 0;
    for (size_t i = 0; i < reply->answer.headers_count; i++)
        if (answer.status != 401 || !dep_str_eq(reply->headers[i].name, DEP_STR("WWW-Authenticate")))
            headers[answer.headers_count++] = reply->headers[i];
    dep_net_reply(exchange, &answer);
}

bool dep_denied_answer(struct dep_denied *denied, struct dep_str id, int64_t now_ms, struct dep_net_exchange *exchange)
{
    bool is_known = false;

    pthread_mutex_lock(&denied->lock);
    for (uint32_t at = *bucket_of(denied, id); at != 0 && !is_known; at = denied->ring[at - 1].next) {
        const struct kept *kept = &denied->ring[at - 1];

        if (!dep_str_eq(id_of(kept), id) || kept->until_ms < now_ms)
            continue;
        answer_without_challenge(kept->reply, exchange);
        is_known = true;
    }
    pthread_mutex_unlock(&denied->lock);
    return is_known;
}

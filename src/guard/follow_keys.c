/* The rounds. See follow_keys.h for the invariants. */
#include "guard/follow_keys.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 2000
#define RETRY_MS 1000
/* What reading metadata needs: values are shorter than their nodes. */
#define ARENA(bytes) ((bytes)*8 + 8192)

enum { METADATA, JWKS };

static void free_set(struct dep_shared *shared)
{
    struct dep_key_set *set = (struct dep_key_set *)shared;

    dep_jwks_free(set->jwks);
    free(set);
}

static struct dep_res keep(char *place, struct dep_str url)
{
    if (url.len >= DEP_FOLLOW_URL_MAX)
        return DEP_FAIL(BUF_FULL);
    memcpy(place, url.ptr, url.len);
    place[url.len] = '\0';
    return DEP_OK;
}

struct dep_res dep_follow_keys_init(struct dep_follow_keys *keys, const struct dep_follow_policy *policy)
{
    _Alignas(16) unsigned char memory[2 * DEP_FOLLOW_URL_MAX];
    struct dep_arena arena;
    struct dep_str url;

    dep_arena_init(&arena, memory, sizeof(memory));
    *keys = (struct dep_follow_keys){ .policy = policy, .asked_ms = INT64_MIN / 2, .due_ms = INT64_MIN };
    atomic_init(&keys->until_ms, INT64_MIN);
    dep_slot_init(&keys->slot);
    DEP_TRY(dep_follow_metadata_url(&arena, policy->issuer, &url));
    return keep(keys->urls[METADATA], url);
}

void dep_follow_keys_done(struct dep_follow_keys *keys)
{
    dep_slot_done(&keys->slot);
}

int64_t dep_follow_keys_due(const struct dep_follow_keys *keys)
{
    if (keys->is_asked)
        return INT64_MAX;
    return keys->is_round || keys->is_wanted ? INT64_MIN : keys->due_ms;
}

void dep_follow_keys_next(struct dep_follow_keys *keys, struct dep_follow_fetch *ret_fetch)
{
    bool is_located = keys->urls[JWKS][0] != '\0';

    DEP_ASSERT(!keys->is_asked);
    if (!keys->is_round)
        keys->is_wanted = false;
    keys->is_round = keys->is_asked = true;
    *ret_fetch = (struct dep_follow_fetch){
        .kind = is_located ? DEP_FOLLOW_KEYS : DEP_FOLLOW_METADATA,
        .url = dep_str_c(keys->urls[is_located ? JWKS : METADATA]),
        .accept = DEP_STR("application/json"),
        .body_bytes_max = DEP_FOLLOW_DOCUMENT_MAX,
        .timeout_ms = TIMEOUT_MS,
    };
}

static struct dep_res read_metadata(const struct dep_follow_policy *policy, struct dep_str text,
                                    struct dep_follow_keys_news *news)
{
    void *memory = calloc(1, ARENA(text.len));
    struct dep_arena arena;
    struct dep_res res;
    struct dep_str url;

    dep_arena_init_zero(&arena, memory, memory == NULL ? 0 : ARENA(text.len));
    res = dep_follow_metadata_read(&arena, policy->issuer, text, &url);
    if (dep_is_ok(res) && (dep_str_has(url, '\0') || url.len == 0 || !dep_is_ok(keep(news->url, url))))
        res = DEP_FAIL(METADATA_SYNTAX);
    free(memory);
    return res;
}

static struct dep_res read_keys(struct dep_crypto *crypto, struct dep_str text, struct dep_follow_keys_news *news)
{
    struct dep_jwks *jwks = NULL;
    struct dep_key_set *set;

    DEP_TRY(dep_jwks_new(crypto, text, &jwks));
    set = calloc(1, sizeof(*set));
    if (set == NULL) {
        dep_jwks_free(jwks);
        return DEP_FAIL(ARENA_FULL);
    }
    atomic_init(&set->shared.refs, 1);
    set->shared.free = free_set;
    set->jwks = jwks;
    news->set = set;
    dep_sha256(crypto, text, news->digest);
    memcpy(set->digest, news->digest, sizeof(set->digest));
    return DEP_OK;
}

void dep_follow_keys_read(const struct dep_follow_policy *policy, struct dep_crypto *crypto, enum dep_follow_kind kind,
                          const struct dep_follow_answer *answer, struct dep_follow_keys_news *ret_news)
{
    *ret_news = (struct dep_follow_keys_news){ .kind = kind, .res = dep_follow_answered(answer) };
    if (!dep_is_ok(ret_news->res))
        return;
    ret_news->res = kind == DEP_FOLLOW_METADATA ? read_metadata(policy, answer->body, ret_news)
                                                : read_keys(crypto, answer->body, ret_news);
}

/* The same text again keeps the old set, and with it everything verified under it. */
static void take_keys(struct dep_follow_keys *keys, struct dep_follow_keys_news *news)
{
    if (keys->fetched_ms != 0 && memcmp(keys->digest, news->digest, DEP_SHA256_LEN) == 0) {
        free_set(&news->set->shared);
    } else {
        memcpy(keys->digest, news->digest, DEP_SHA256_LEN);
        dep_slot_take(&keys->slot, &news->set->shared);
    }
    news->set = NULL;
}

static void tell_until(struct dep_follow_keys *keys)
{
    int64_t until_ms = keys->fetched_ms + keys->policy->keys_stale_max_s * 1000;
    int64_t hint_ms = keys->hinted_ms + keys->policy->feed_silence_max_s * 1000;

    if (keys->fetched_ms != 0)
        atomic_store(&keys->until_ms, keys->hinted_ms != 0 && hint_ms < until_ms ? hint_ms : until_ms);
}

struct dep_res dep_follow_keys_settle(struct dep_follow_keys *keys, struct dep_follow_keys_news *news, int64_t now_ms)
{
    DEP_ASSERT(keys->is_asked);
    keys->is_asked = false;
    if (!dep_is_ok(news->res)) {
        keys->is_round = false;
        keys->urls[JWKS][0] = '\0'; /* it may have moved */
        keys->due_ms = now_ms + RETRY_MS;
    } else if (news->kind == DEP_FOLLOW_METADATA) {
        memcpy(keys->urls[JWKS], news->url, sizeof(news->url)); /* and the round goes on */
    } else {
        keys->is_round = false;
        take_keys(keys, news);
        keys->fetched_ms = now_ms;
        /* It answers the hints that came before the round began; a newer one has asked for the next. */
        if (!keys->is_wanted)
            keys->hinted_ms = 0;
        keys->due_ms = now_ms + keys->policy->keys_refresh_s * 1000;
        tell_until(keys);
    }
    return news->res;
}

bool dep_follow_keys_are_usable(const struct dep_follow_keys *keys, int64_t now_ms)
{
    return now_ms <= atomic_load(&keys->until_ms);
}

bool dep_follow_keys_may_want(const struct dep_follow_keys *keys, int64_t now_ms)
{
    return keys->is_round || keys->is_wanted || now_ms - keys->asked_ms >= keys->policy->keys_throttle_s * 1000;
}

void dep_follow_keys_want(struct dep_follow_keys *keys, int64_t now_ms)
{
    if (keys->is_round || keys->is_wanted)
        return;
    keys->asked_ms = now_ms;
    keys->is_wanted = true;
}

void dep_follow_keys_hint(struct dep_follow_keys *keys, int64_t now_ms)
{
    keys->is_wanted = true;
    if (keys->hinted_ms == 0)
        keys->hinted_ms = now_ms;
    tell_until(keys);
}

/* The polls. See follow_feed.h for the invariants. */
#include "guard/follow_feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "base/json.h"
#include "http/form.h"

/* About 180,000 entries. */
#define BODY_MAX (24u * 1024u * 1024u)
/* What reading a body needs: values are shorter than their nodes. */
#define ARENA(bytes) ((bytes)*8 + 65536)
#define TIMEOUT_MS 5000
#define RETRY_MS 250
#define KEYLESS_RETRY_MS 25 /* the keys are on their way */
#define DEPTH_MAX 4u

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

struct dep_res dep_guard_feed_open(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_jwks *keys,
                                   struct dep_str token, struct dep_str *ret_payload)
{
    static const struct dep_str typ = DEP_STR_INIT(DEP_FEED_TYP);
    const struct dep_jws_rules rules = { .bytes_max = BODY_MAX, .algs = DEP_ALGS_ALL, .typs = &typ, .typs_count = 1 };
    const struct dep_jwks_key *key;
    struct dep_jws jws;

    if (!dep_is_ok(dep_jws_parse(arena, token, &rules, &jws)))
        return DEP_FAIL(FEED_SYNTAX);
    if (keys == NULL)
        return DEP_FAIL(KEYS_MISSING);
    key = dep_jwks_find(keys, jws.kid, jws.alg);
    if (key == NULL)
        return DEP_FAIL(FEED_KEY);
    if (!dep_is_ok(dep_jws_verify(crypto, &jws, key->alg, key->key)))
        return DEP_FAIL(FEED_SIGNATURE);
    *ret_payload = jws.payload;
    return DEP_OK;
}

static struct dep_res read_answer(const struct dep_json *json, int64_t version, struct dep_guard_feed_answer *answer,
                                  const struct dep_json **ret_entries)
{
    const struct dep_json *entries = DEP_JSON_GET(json, "entries");
    const struct dep_json *jwks = DEP_JSON_GET(json, "jwks");

    answer->jwks = DEP_STR_ABSENT;
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(json, "iss"), &answer->iss)) ||
        !dep_is_ok(dep_json_int(DEP_JSON_GET(json, "iat"), 0, INT64_MAX, &answer->iat)) ||
        !dep_is_ok(dep_json_int(DEP_JSON_GET(json, "version"), 0, INT64_MAX, &answer->version)) ||
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

/* rfc6749#2.3.1: both halves form-encoded, then Basic. */
static struct dep_res make_authorization(struct dep_follow_feed *feed, struct dep_str client_id,
                                         struct dep_secret client_secret)
{
    struct dep_str secret = dep_str((const char *)client_secret.bytes, client_secret.len);
    size_t room = 3 * (client_id.len + secret.len) + 8;
    struct dep_buf pair, basic;

    feed->secrets_bytes = room + DEP_B64_ENCODED(room) + 16;
    feed->secrets = malloc(feed->secrets_bytes);
    if (feed->secrets == NULL)
        return DEP_FAIL(ARENA_FULL);
    dep_buf_init(&pair, feed->secrets, room);
    dep_form_put(&pair, client_id, secret); /* "id=secret", encoded */

    struct dep_str text = dep_buf_str(&pair);
    size_t at = dep_str_find(text, '=');

    if (dep_str_is_absent(text) || at == text.len)
        return DEP_FAIL(BUF_FULL);
    feed->secrets[at] = ':';
    dep_buf_init(&basic, feed->secrets + room, feed->secrets_bytes - room);
    dep_buf_put_c(&basic, "Basic ");
    dep_b64_put(&basic, text.ptr, text.len);
    feed->authorization = dep_buf_str(&basic);
    return basic.has_failed ? DEP_FAIL(BUF_FULL) : DEP_OK;
}

/* Where to ask for what came after the version that is known. */
static struct dep_res write_url(struct dep_follow_feed *feed)
{
    struct dep_buf url;

    dep_buf_init(&url, feed->url, sizeof(feed->url) - 1);
    dep_buf_put(&url, feed->policy->issuer);
    dep_buf_put_c(&url, "/revocations?after=");
    dep_buf_put_int(&url, feed->version < 0 ? 0 : feed->version);
    if (url.has_failed)
        return DEP_FAIL(BUF_FULL);
    feed->url[url.len] = '\0';
    return DEP_OK;
}

struct dep_res dep_follow_feed_init(struct dep_follow_feed *feed, const struct dep_follow_policy *policy,
                                    struct dep_str client_id, struct dep_secret client_secret)
{
    *feed = (struct dep_follow_feed){ .policy = policy, .version = INT64_MAX, .due_ms = INT64_MIN };
    atomic_init(&feed->heard_ms, 0);
    atomic_init(&feed->is_asked, false);
    dep_slot_init(&feed->slot);
    DEP_TRY(write_url(feed)); /* the longest there can be */
    feed->version = -1;
    return make_authorization(feed, client_id, client_secret);
}

void dep_follow_feed_done(struct dep_follow_feed *feed)
{
    dep_slot_done(&feed->slot);
    if (feed->secrets != NULL)
        dep_wipe(feed->secrets, feed->secrets_bytes);
    free(feed->secrets);
}

int64_t dep_follow_feed_due(const struct dep_follow_feed *feed)
{
    return atomic_load(&feed->is_asked) ? INT64_MAX : feed->due_ms;
}

void dep_follow_feed_next(struct dep_follow_feed *feed, int64_t now_ms, struct dep_follow_fetch *ret_fetch)
{
    struct dep_res res = write_url(feed);

    DEP_ASSERT(!atomic_load(&feed->is_asked) && dep_is_ok(res));
    feed->sent_ms = now_ms;
    atomic_store(&feed->is_asked, true);
    *ret_fetch = (struct dep_follow_fetch){
        .kind = DEP_FOLLOW_FEED,
        .url = dep_str_c(feed->url),
        .accept = DEP_STR("application/" DEP_FEED_TYP),
        .authorization = feed->authorization,
        .body_bytes_max = BODY_MAX,
        .timeout_ms = TIMEOUT_MS,
    };
}

static void free_set(struct dep_shared *shared)
{
    struct dep_guard_feed_set *set = (struct dep_guard_feed_set *)shared;

    dep_revocations_free(set->entries);
    free(set);
}

static struct dep_res take(struct dep_follow_feed *feed, struct dep_revocations *entries)
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
static bool hear_keys(struct dep_follow_feed *feed, struct dep_str jwks)
{
    bool was_known = feed->jwks_len > 0;

    if (dep_str_is_blank(jwks) || jwks.len > sizeof(feed->jwks) ||
        dep_str_eq(jwks, dep_str(feed->jwks, feed->jwks_len)))
        return false;
    memcpy(feed->jwks, jwks.ptr, jwks.len);
    feed->jwks_len = jwks.len;
    return was_known;
}

/* An answer is of now: not older than the last one (nodes of one issuer may differ by the skew), nor than the silence that is allowed anyway. What somebody kept and plays again is
 * no news of what was revoked since. */
static bool is_of_now(const struct dep_follow_feed *feed, int64_t iat, int64_t now)
{
    const struct dep_follow_policy *policy = feed->policy;

    return iat >= feed->iat - policy->skew_s && iat <= now + policy->skew_s &&
           now - iat <= policy->feed_silence_max_s + policy->skew_s;
}

static struct dep_res apply(struct dep_follow_feed *feed, struct dep_arena *arena, struct dep_str text, int64_t now_ms,
                            int64_t now, bool *ret_is_news, bool *ret_has_keys_news)
{
    /* Only what settles swaps the slot's value. */
    const struct dep_guard_feed_set *old = (const struct dep_guard_feed_set *)feed->slot.current;
    struct dep_guard_feed_answer answer;

    DEP_TRY(dep_guard_feed_apply(arena, text, old == NULL ? NULL : old->entries, feed->version, now, &answer));
    if (!dep_str_eq(answer.iss, feed->policy->issuer) || !is_of_now(feed, answer.iat, now)) {
        dep_revocations_free(answer.set);
        return dep_str_eq(answer.iss, feed->policy->issuer) ? DEP_FAIL(FEED_TIME) : DEP_FAIL(FEED_SIGNATURE);
    }
    if (answer.set != NULL)
        DEP_TRY(take(feed, answer.set));
    feed->iat = answer.iat;
    *ret_is_news = answer.version != feed->version;
    feed->version = answer.version;
    atomic_store(&feed->heard_ms, now_ms);
    *ret_has_keys_news = hear_keys(feed, answer.jwks);
    return DEP_OK;
}

static struct dep_res hear(struct dep_follow_feed *feed, struct dep_crypto *crypto, const struct dep_jwks *keys,
                           const struct dep_follow_answer *answer, int64_t now_ms, int64_t now, bool *ret_is_news,
                           bool *ret_has_keys_news)
{
    struct dep_str payload = DEP_STR("");
    struct dep_arena arena;
    struct dep_res res;
    void *memory;

    DEP_TRY(dep_follow_answered(answer));
    memory = calloc(1, ARENA(answer->body.len));
    dep_arena_init_zero(&arena, memory, memory == NULL ? 0 : ARENA(answer->body.len));
    res = dep_guard_feed_open(&arena, crypto, keys, answer->body, &payload);
    if (dep_is_ok(res))
        res = apply(feed, &arena, payload, now_ms, now, ret_is_news, ret_has_keys_news);
    free(memory);
    return res;
}

struct dep_res dep_follow_feed_settle(struct dep_follow_feed *feed, struct dep_crypto *crypto,
                                      const struct dep_jwks *keys, const struct dep_follow_answer *answer,
                                      int64_t now_ms, int64_t now, bool *ret_has_keys_news)
{
    int64_t retry_ms = keys == NULL ? KEYLESS_RETRY_MS : RETRY_MS;
    bool is_news = false;
    struct dep_res res;

    DEP_ASSERT(atomic_load(&feed->is_asked));
    *ret_has_keys_news = false;
    res = hear(feed, crypto, keys, answer, now_ms, now, &is_news, ret_has_keys_news);
    /* Who signs with another key has another key set. */
    if (res.err == DEP_ERR_FEED_KEY)
        *ret_has_keys_news = true;
    if (res.err == DEP_ERR_FEED_SYNTAX)
        feed->version = -1; /* start over with a full set */
    /* A server that answers at once with nothing does not poll long: do not spin. */
    feed->due_ms = !dep_is_ok(res) || (!is_news && now_ms - feed->sent_ms < RETRY_MS) ? now_ms + retry_ms : INT64_MIN;
    atomic_store(&feed->is_asked, false);
    return res;
}

int64_t dep_follow_feed_silence_s(const struct dep_follow_feed *feed, int64_t now_ms)
{
    int64_t heard_ms = atomic_load(&feed->heard_ms);

    return heard_ms == 0 ? INT64_MAX : (now_ms - heard_ms + 999) / 1000;
}

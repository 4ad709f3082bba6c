/* From a request to a decision: load facts, decide, apply the effects, write the record. */
#include "sidecar/engine.h"

#include <string.h>

#include "guard/record.h"
#include "net/clock.h"

#define ROUNDS_MAX 8u
#define TAG_TEXT_MAX 8448u

static const unsigned char *take_random(struct dep_engine_worker *worker)
{
    if (worker->random_at + DEP_ULID_RANDOM > DEP_WORKER_RANDOM) {
        dep_random(worker->random, DEP_WORKER_RANDOM);
        worker->random_at = 0;
    }
    worker->random_at += DEP_ULID_RANDOM;
    return worker->random + worker->random_at - DEP_ULID_RANDOM;
}

static void load_facts(struct dep_engine *engine, struct dep_engine_worker *worker, bool may_wait,
                       struct dep_guard_facts *facts)
{
    int64_t now_ms = dep_clock_ms();
    bool are_usable = dep_keys_are_usable(engine->keys, now_ms);

    dep_hold_refresh(&worker->keys, dep_keys_slot(engine->keys));
    dep_hold_refresh(&worker->feed, dep_guard_feed_slot(engine->feed));
    *facts = (struct dep_guard_facts){
        .is_audit_broken = dep_journal_is_broken(engine->journal),
        .may_refresh_keys = may_wait,
        .are_keys_underway = dep_keys_are_underway(engine->keys),
        .feed_silence_s = dep_guard_feed_silence_s(engine->feed, now_ms),
    };
    if (worker->keys.value != NULL && are_usable)
        facts->keys = ((const struct dep_key_set *)worker->keys.value)->jwks;
    if (worker->feed.value != NULL)
        facts->revocations = ((const struct dep_guard_feed_set *)worker->feed.value)->entries;
}

/* Issuer, audience, algorithms, skew and key set: all that a verified token was verified under. */
static void make_tag(const struct dep_engine *engine, struct dep_engine_worker *worker)
{
    const struct dep_token_policy *policy = &engine->policy.token;
    const struct dep_key_set *set = (const struct dep_key_set *)worker->keys.value;
    struct dep_buf buf;
    char text[TAG_TEXT_MAX];

    dep_buf_init(&buf, text, sizeof(text));
    dep_buf_put(&buf, policy->issuer);
    dep_buf_put_char(&buf, '\n');
    dep_buf_put(&buf, policy->audience);
    dep_buf_put_char(&buf, '\n');
    dep_buf_put_int(&buf, (int64_t)policy->algs);
    dep_buf_put_char(&buf, '\n');
    dep_buf_put_int(&buf, policy->skew_s);
    dep_buf_put_char(&buf, '\n');
    dep_buf_put(&buf, dep_str((const char *)set->digest, sizeof(set->digest)));
    DEP_ASSERT(!buf.has_failed); /* URLs were checked for their length */
    dep_sha256(worker->crypto, dep_buf_str(&buf), worker->tag);
    worker->tag_version = worker->keys.version;
}

static bool has_shared(const struct dep_engine *engine, struct dep_engine_worker *worker)
{
    if (engine->shared_seen == NULL || worker->keys.value == NULL)
        return false;
    if (worker->tag_version != worker->keys.version)
        make_tag(engine, worker);
    return true;
}

static void ask_cache(const struct dep_engine *engine, struct dep_engine_worker *worker, struct dep_str token,
                      int64_t now, struct dep_guard_facts *facts)
{
    facts->seen_for = token;
    dep_sha256(worker->crypto, token, facts->seen_digest);
    facts->seen = dep_guard_seen_find(worker->seen, facts->seen_digest, worker->keys.version, now);
    if (facts->seen != NULL || !has_shared(engine, worker))
        return;
    facts->seen = dep_seen_region_find(engine->shared_seen, facts->seen_digest, worker->tag, now, &worker->arena);
    if (facts->seen != NULL)
        dep_guard_seen_put(worker->seen, facts->seen_digest, worker->keys.version, now, facts->seen);
}

static void keep_token(const struct dep_engine *engine, struct dep_engine_worker *worker,
                       const struct dep_guard_decision *decision, int64_t now)
{
    /* Of the shared cache a token gets into the worker's own when it comes again: many never do. */
    if (has_shared(engine, worker) &&
        dep_seen_region_put(engine->shared_seen, decision->token_digest, worker->tag, now, decision->token))
        return;
    dep_guard_seen_put(worker->seen, decision->token_digest, worker->keys.version, now, decision->token);
}

void dep_engine_entry(const struct dep_engine *engine, const struct dep_guard_decision *decision, int64_t now,
                      struct dep_replay_entry *ret_entry)
{
    const struct dep_dpop_policy *policy = &engine->policy.dpop;

    *ret_entry = (struct dep_replay_entry){
        .anchor = decision->replay_until - policy->age_max_s - policy->skew_s, /* its iat */
        .expires = decision->replay_until,
        .now = now,
    };
    memcpy(ret_entry->key, decision->replay_key, sizeof(ret_entry->key));
}

/* An answer is for its own proof alone. */
static struct dep_res answered(const struct dep_replay_entry *entry, const unsigned char key[DEP_REPLAY_KEY_BYTES])
{
    return memcmp(entry->key, key, DEP_REPLAY_KEY_BYTES) == 0 ? entry->res : DEP_FAIL(REPLAY_UNKNOWN);
}

/* Settles uniqueness, last of all. True when the decision stands, or would if its entry is new. */
static bool apply_replay(struct dep_engine *engine, struct dep_engine_worker *worker,
                         const struct dep_guard_decision *decision, const struct dep_engine_ask *ask,
                         struct dep_guard_facts *facts)
{
    struct dep_replay_entry entry;

    if ((decision->effects & DEP_GUARD_EFFECT_REMEMBER_JTI) == 0)
        return true;
    if (ask->burnt != NULL && memcmp(ask->burnt, decision->replay_key, DEP_REPLAY_KEY_BYTES) == 0)
        return true;
    dep_engine_entry(engine, decision, ask->now, &entry);
    if (engine->shared_replay != NULL)
        facts->replay = dep_replay_region_insert(engine->shared_replay, entry.key, entry.expires, entry.now);
    else if (ask->entry != NULL)
        facts->replay = answered(ask->entry, decision->replay_key);
    else if (!dep_replay_store_is_usable(engine->replay))
        facts->replay = DEP_FAIL(REPLAY_GONE);
    else if (engine->replay->is_durable)
        worker->owes_entry = true;
    else if (dep_replay_store_insert(engine->replay, &entry))
        facts->replay = entry.res;
    return dep_is_ok(facts->replay);
}

bool dep_engine_decide(struct dep_engine *engine, struct dep_engine_worker *worker, const struct dep_engine_ask *ask,
                       struct dep_guard_decision *ret_decision)
{
    const struct dep_guard_policy *policy = ask->policy == NULL ? &engine->policy : ask->policy;
    const unsigned char *random = take_random(worker);
    struct dep_str token = dep_guard_presented(&ask->request);
    int64_t now = ask->now;
    struct dep_guard_facts facts;

    worker->owes_entry = false;
    dep_arena_reset(&worker->arena);
    load_facts(engine, worker, ask->may_wait && dep_keys_may_refresh(engine->keys, dep_clock_ms()), &facts);
    if (token.len > 0) /* what the rules would ask for: one round instead of two */
        ask_cache(engine, worker, token, now, &facts);
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        dep_guard_decide(&worker->arena, worker->crypto, policy, &ask->request, &facts, now, random, ret_decision);
        if ((ret_decision->needs & DEP_GUARD_NEEDS_KEYS) != 0)
            return false;
        if ((ret_decision->needs & DEP_GUARD_NEEDS_SEEN) != 0) {
            ask_cache(engine, worker, ret_decision->presented, now, &facts);
            continue;
        }
        if (!apply_replay(engine, worker, ret_decision, ask, &facts))
            continue;
        if ((ret_decision->effects & DEP_GUARD_EFFECT_KEEP_TOKEN) != 0)
            keep_token(engine, worker, ret_decision, now);
        return true;
    }
    dep_guard_refuse(&worker->arena, worker->crypto, policy, now, DEP_ERR_BUG_NEEDS, "rounds", ret_decision);
    return true;
}

struct dep_str dep_engine_record(struct dep_engine *engine, struct dep_engine_worker *worker,
                                 enum dep_guard_adapter adapter, struct dep_str peer,
                                 const struct dep_guard_decision *decision, int64_t now)
{
    return dep_guard_record(&worker->arena, decision, adapter, engine->node, peer, now, worker->line,
                            sizeof(worker->line));
}

static struct dep_str say_silence(const struct dep_engine *engine, struct dep_engine_worker *worker, int64_t silence_s)
{
    struct dep_buf buf;

    if (silence_s == INT64_MAX)
        return DEP_STR("the revocation feed has not been heard yet\n");
    dep_buf_init(&buf, worker->line, sizeof(worker->line));
    dep_buf_put_c(&buf, "the revocation feed has been silent for ");
    dep_buf_put_int(&buf, silence_s);
    dep_buf_put_c(&buf, " s, ");
    dep_buf_put_int(&buf, engine->policy.feed_silence_max_s);
    dep_buf_put_c(&buf, " s are allowed\n");
    return dep_buf_str(&buf);
}

struct dep_str dep_engine_trouble(struct dep_engine *engine, struct dep_engine_worker *worker)
{
    struct dep_guard_facts facts;

    load_facts(engine, worker, false, &facts);
    if (facts.is_audit_broken)
        return DEP_STR("the audit log cannot be written\n");
    if (facts.keys == NULL)
        return DEP_STR("the keys of the issuer are not known\n");
    if (facts.revocations == NULL || facts.feed_silence_s > engine->policy.feed_silence_max_s)
        return say_silence(engine, worker, facts.feed_silence_s);
    if (engine->replay != NULL && !dep_replay_store_is_usable(engine->replay))
        return DEP_STR("the replay store is not there\n");
    return DEP_STR_ABSENT;
}

struct dep_str dep_engine_ready(struct dep_engine *engine, struct dep_engine_worker *worker)
{
    struct dep_guard_facts facts;
    struct dep_buf buf;

    load_facts(engine, worker, false, &facts);
    dep_buf_init(&buf, worker->line, sizeof(worker->line));
    dep_buf_put_c(&buf, "ready\nrevocations: heard ");
    dep_buf_put_int(&buf, facts.feed_silence_s);
    dep_buf_put_c(&buf, " s ago, ");
    dep_buf_put_int(&buf, facts.revocations == NULL ? 0 : (int64_t)dep_revocations_count(facts.revocations));
    dep_buf_put_c(&buf, " in force\n");
    return dep_buf_str(&buf);
}

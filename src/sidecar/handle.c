/* From a request of the proxy to an answer: route, load facts, decide, apply the effects, record, reply. */
#include "sidecar/process.h"

#include "guard/metadata.h"
#include "proto/audit_record.h"
#include "sidecar/clock.h"

#define ROUNDS_MAX 8u

static const unsigned char *take_random(struct dep_sidecar_worker *worker)
{
    if (worker->random_at + DEP_ULID_RANDOM > DEP_WORKER_RANDOM) {
        dep_random(worker->random, DEP_WORKER_RANDOM);
        worker->random_at = 0;
    }
    worker->random_at += DEP_ULID_RANDOM;
    return worker->random + worker->random_at - DEP_ULID_RANDOM;
}

static void load_facts(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker, bool is_late,
                       struct dep_guard_facts *facts)
{
    int64_t now_ms = dep_clock_ms(), silence_ms = dep_guard_feed_silence_ms(sidecar->feed, now_ms);
    bool are_usable = dep_keys_are_usable(sidecar->keys, now_ms);

    dep_hold_refresh(&worker->keys, dep_keys_slot(sidecar->keys));
    dep_hold_refresh(&worker->feed, dep_guard_feed_slot(sidecar->feed));
    *facts = (struct dep_guard_facts){
        .is_audit_broken = dep_journal_is_broken(sidecar->journal),
        .may_refresh_keys = !is_late,
        .feed_silence_s = silence_ms == INT64_MAX ? INT64_MAX : (silence_ms + 999) / 1000,
    };
    if (worker->keys.value != NULL && are_usable)
        facts->keys = ((const struct dep_key_set *)worker->keys.value)->jwks;
    if (worker->feed.value != NULL)
        facts->revocations = ((const struct dep_guard_feed_set *)worker->feed.value)->entries;
}

static void ask_cache(struct dep_sidecar_worker *worker, struct dep_str token, int64_t now,
                      struct dep_guard_facts *facts)
{
    facts->seen_for = token;
    dep_sha256(worker->crypto, token, facts->seen_digest);
    facts->seen = dep_guard_seen_find(worker->seen, facts->seen_digest, worker->keys.version, now);
}

/* Loads what the decision named. False: the exchange waits for keys and is no longer ours. */
static bool load_needs(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                       struct dep_net_exchange *exchange, const struct dep_guard_request *request,
                       const struct dep_guard_decision *decision, int64_t now, struct dep_guard_facts *facts)
{
    if ((decision->needs & DEP_GUARD_NEEDS_SEEN) != 0)
        ask_cache(worker, decision->presented, now, facts);
    if ((decision->needs & DEP_GUARD_NEEDS_KEYS) != 0) {
        if (dep_keys_wait(sidecar->keys, exchange, request->adapter, dep_clock_ms()))
            return false;
        facts->may_refresh_keys = false;
    }
    return true;
}

/* Settles uniqueness, last of all. True when the decision stands. */
static bool apply_replay(struct dep_sidecar *sidecar, const struct dep_guard_decision *decision, int64_t now,
                         struct dep_guard_facts *facts)
{
    if ((decision->effects & DEP_GUARD_EFFECT_REMEMBER_JTI) == 0)
        return true;
    facts->replay = dep_replay_insert(sidecar->replay, decision->replay_key, decision->replay_until, now);
    return dep_is_ok(facts->replay);
}

static bool decide(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker, struct dep_net_exchange *exchange,
                   const struct dep_guard_request *request, bool is_late, int64_t now,
                   struct dep_guard_decision *decision)
{
    const unsigned char *random = take_random(worker);
    struct dep_str token = dep_guard_presented(request);
    struct dep_guard_facts facts;

    load_facts(sidecar, worker, is_late, &facts);
    if (token.len > 0) /* what the rules would ask for: one round instead of two */
        ask_cache(worker, token, now, &facts);
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        dep_guard_decide(&worker->arena, worker->crypto, &sidecar->policy, request, &facts, now, random, decision);
        if (decision->needs != 0) {
            if (!load_needs(sidecar, worker, exchange, request, decision, now, &facts))
                return false;
            continue;
        }
        if (!apply_replay(sidecar, decision, now, &facts))
            continue;
        if ((decision->effects & DEP_GUARD_EFFECT_KEEP_TOKEN) != 0)
            dep_guard_seen_put(worker->seen, decision->token_digest, worker->keys.version, now, decision->token);
        return true;
    }
    dep_guard_refuse(&worker->arena, worker->crypto, &sidecar->policy, now, DEP_ERR_BUG_NEEDS, "rounds", decision);
    return true;
}

/* "guard 12/18 auth-request": how many rows ran; dep_guard_row() names them. */
static struct dep_str trace(struct dep_arena *arena, const struct dep_guard_decision *decision,
                            enum dep_guard_adapter adapter)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 64);
    dep_buf_put_c(&buf, "guard ");
    dep_buf_put_int(&buf, (int64_t)decision->rows_run);
    dep_buf_put_char(&buf, '/');
    dep_buf_put_int(&buf, (int64_t)dep_guard_row_count());
    dep_buf_put_char(&buf, ' ');
    dep_buf_put_c(&buf, dep_guard_adapter_name(adapter));
    return dep_buf_str(&buf);
}

static struct dep_str write_record(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                                   const struct dep_net_exchange *exchange, enum dep_guard_adapter adapter,
                                   const struct dep_guard_decision *decision, int64_t now)
{
    const struct dep_audit_record record = {
        .ts = now,
        .id = dep_str(decision->id, sizeof(decision->id)),
        .node = sidecar->node,
        .event = decision->is_allowed ? DEP_STR("guard.allowed") : DEP_STR("guard.refused"),
        .is_allowed = decision->is_allowed,
        .reason = decision->reason,
        .check = dep_str_c(decision->check),
        .trace = trace(&worker->arena, decision, adapter),
        .client = decision->token == NULL ? DEP_STR_ABSENT : decision->token->client_id,
        .principal = decision->token == NULL ? DEP_STR_ABSENT : dep_token_presenter(decision->token),
        .method = decision->method,
        .path = decision->path,
        .peer = exchange->peer,
        .token = decision->token,
    };
    struct dep_buf line;

    dep_buf_init(&line, worker->line, sizeof(worker->line));
    dep_audit_record_write(&line, &record);
    if (!line.has_failed)
        return dep_buf_str(&line);

    /* Too long, by its path: the record without what the caller chose. */
    struct dep_audit_record shorter = record;

    shorter.path = shorter.method = DEP_STR_ABSENT;
    shorter.detail = DEP_STR("path left out: too long");
    dep_buf_init(&line, worker->line, sizeof(worker->line));
    dep_audit_record_write(&line, &shorter);
    return dep_buf_str(&line);
}

/* An allow whose record was handed over leaves at once; a refusal leaves when its record is safe. */
static void record_and_reply(struct dep_sidecar *sidecar, struct dep_net_exchange *exchange, bool is_late,
                             const struct dep_guard_decision *decision, const struct dep_net_answer *answer,
                             struct dep_str line)
{
    struct dep_str id = dep_str(decision->id, sizeof(decision->id));
    struct dep_reply *reply;

    if (dep_str_is_absent(line)) {
        dep_reply_trouble(exchange, id);
        return;
    }
    if (decision->is_allowed) {
        if (dep_is_ok(dep_journal_add(sidecar->journal, line, NULL)))
            dep_net_reply(exchange, answer);
        else
            dep_reply_trouble(exchange, id);
        return;
    }
    reply = dep_reply_new(exchange, decision, answer);
    if (reply == NULL) {
        dep_reply_trouble(exchange, id);
        return;
    }
    if (!is_late) /* else it was deferred when it began to wait */
        dep_net_defer(exchange);
    if (!dep_is_ok(dep_journal_add(sidecar->journal, line, &reply->waiter)))
        reply->waiter.done(&reply->waiter, false);
}

void dep_sidecar_guard(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                       struct dep_net_exchange *exchange, enum dep_guard_adapter adapter, bool is_late)
{
    const struct dep_guard_request request = { adapter, exchange->headers, exchange->headers_count };
    struct dep_guard_decision decision;
    struct dep_answer_space space;
    struct dep_net_answer answer;
    int64_t now = dep_clock_unix();

    dep_arena_reset(&worker->arena);
    if (!decide(sidecar, worker, exchange, &request, is_late, now, &decision))
        return;
    dep_reply_shape(&decision, &space, &answer);
    if (!decision.is_allowed && adapter == DEP_GUARD_AUTH_REQUEST)
        dep_denied_put(sidecar->denied, &decision, &answer, dep_clock_ms());
    record_and_reply(sidecar, exchange, is_late, &decision, &answer,
                     write_record(sidecar, worker, exchange, adapter, &decision, now));
}

static bool is_read(const struct dep_net_exchange *exchange)
{
    return dep_str_eq(exchange->method, DEP_STR("GET")) || dep_str_eq(exchange->method, DEP_STR("HEAD"));
}

static void guard_auth_request(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                               struct dep_net_exchange *exchange)
{
    dep_sidecar_guard(sidecar, worker, exchange, DEP_GUARD_AUTH_REQUEST, false);
}

static void guard_forward_auth(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                               struct dep_net_exchange *exchange)
{
    dep_sidecar_guard(sidecar, worker, exchange, DEP_GUARD_FORWARD_AUTH, false);
}

static void repeat_decision(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                            struct dep_net_exchange *exchange)
{
    struct dep_str id = DEP_STR_ABSENT;

    (void)worker;
    if (!dep_is_ok(dep_header_one(exchange->headers, exchange->headers_count, DEP_STR("Deputy-Decision"), &id)) ||
        !dep_ulid_is_valid(id) || !dep_denied_answer(sidecar->denied, id, dep_clock_ms(), exchange))
        dep_reply_trouble(exchange, DEP_STR_ABSENT);
}

static void show_metadata(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                          struct dep_net_exchange *exchange)
{
    (void)worker;
    if (!is_read(exchange))
        dep_reply_plain(exchange, 405, "text/plain", DEP_STR("GET only\n"));
    else
        dep_reply_plain(exchange, 200, "application/json", sidecar->metadata);
}

static void show_live(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker, struct dep_net_exchange *exchange)
{
    (void)sidecar;
    (void)worker;
    dep_reply_plain(exchange, 200, "text/plain", DEP_STR("live\n"));
}

static void show_ready(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                       struct dep_net_exchange *exchange)
{
    struct dep_guard_facts facts;

    load_facts(sidecar, worker, false, &facts);
    if (facts.is_audit_broken)
        dep_reply_plain(exchange, 503, "text/plain", DEP_STR("the audit log cannot be written\n"));
    else if (facts.keys == NULL)
        dep_reply_plain(exchange, 503, "text/plain", DEP_STR("the keys of the issuer are not known\n"));
    else if (facts.revocations == NULL || facts.feed_silence_s > sidecar->policy.feed_silence_max_s)
        dep_reply_plain(exchange, 503, "text/plain", DEP_STR("the revocation feed is silent\n"));
    else
        dep_reply_plain(exchange, 200, "text/plain", DEP_STR("ready\n"));
}

static const struct {
    struct dep_str path;
    void (*handle)(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker, struct dep_net_exchange *exchange);
} routes[] = {
    { DEP_STR_INIT("/authz/auth-request"), guard_auth_request },
    { DEP_STR_INIT("/authz/forward-auth"), guard_forward_auth },
    { DEP_STR_INIT("/authz/decision"), repeat_decision },
    { DEP_STR_INIT(DEP_GUARD_METADATA_PATH), show_metadata },
    { DEP_STR_INIT("/livez"), show_live },
    { DEP_STR_INIT("/readyz"), show_ready },
};

void dep_sidecar_handle(struct dep_sidecar *sidecar, struct dep_sidecar_worker *worker,
                        struct dep_net_exchange *exchange)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (dep_str_eq(exchange->path, routes[i].path)) {
            routes[i].handle(sidecar, worker, exchange);
            return;
        }
    if (dep_str_eq(exchange->path, sidecar->metadata_path))
        show_metadata(sidecar, worker, exchange);
    else
        dep_reply_plain(exchange, 404, "text/plain", DEP_STR("there is nothing here\n"));
}

/* From a request to a verdict: load facts, decide, settle what may be used once, record. */
#include <stddef.h>
#include <unistd.h>

#include "guard/record.h"
#include "http/client_cert.h"
#include "lib/handle.h"
#include "lib/verdict.h"
#include "proto/scope.h"

#define ROUNDS_MAX 8u
#define SECURITY_HEADERS_MAX 16u /* more than that are refused as two are */

/* One check. */
struct check {
    struct deputy_guard *guard;
    const struct deputy_request *request;
    struct dep_lib_worker *worker;
    struct dep_guard_policy policy;
    struct dep_header headers[SECURITY_HEADERS_MAX];
    struct dep_guard_request question;
    unsigned char random[DEP_ULID_RANDOM];
    bool is_final;
    int64_t now;
    struct dep_guard_decision decision;
};

static struct dep_str str_of(struct deputy_text text)
{
    return dep_str(text.ptr, text.len);
}

/* Only these are read, every line of them: the first two always, the others by rules, the last where a proxy writes it. */
static bool is_read(const struct check *check, struct dep_str name)
{
    static const struct dep_str names[] = {
        DEP_STR_INIT("authorization"),        DEP_STR_INIT("dpop"),       DEP_STR_INIT("origin"),
        DEP_STR_INIT("mcp-protocol-version"), DEP_STR_INIT("mcp-method"), DEP_STR_INIT("mcp-name"),
    };
    size_t count = check->policy.rules == NULL ? 2 : sizeof(names) / sizeof(names[0]);

    if (check->policy.certificates == DEP_GUARD_CERTIFICATES_HEADER && dep_str_eq_nocase(name, DEP_CLIENT_CERT_HEADER))
        return true;

    for (size_t i = 0; i < count; i++)
        if (dep_str_eq_nocase(name, names[i]))
            return true;
    return false;
}

static void take_headers(struct check *check)
{
    for (size_t i = 0; i < check->request->headers_count; i++) {
        struct dep_str name = str_of(check->request->headers[i].name);

        if (check->question.headers_count < SECURITY_HEADERS_MAX && is_read(check, name))
            check->headers[check->question.headers_count++] =
                (struct dep_header){ name, str_of(check->request->headers[i].value) };
    }
}

/* Newer keys are on their way: an unknown kid is no fault of the token's. */
static bool are_keys_underway(struct deputy_guard *guard)
{
    bool are;

    pthread_mutex_lock(&guard->lock);
    are = guard->keys.is_round || guard->keys.is_wanted;
    pthread_mutex_unlock(&guard->lock);
    return are;
}

static void load_facts(struct check *check, struct dep_guard_facts *facts)
{
    struct deputy_guard *guard = check->guard;
    struct dep_lib_worker *worker = check->worker;
    int64_t now_ms = dep_clock_ms();
    bool are_usable = dep_follow_keys_are_usable(&guard->keys, now_ms);

    dep_hold_refresh(&worker->keys, &guard->keys.slot);
    dep_hold_refresh(&worker->feed, &guard->feed.slot);
    *facts = (struct dep_guard_facts){
        .is_audit_broken = guard->journal != NULL && dep_journal_is_broken(guard->journal),
        .may_refresh_keys = !check->is_final,
        .are_keys_underway = check->is_final && are_keys_underway(guard),
        .feed_silence_s = dep_follow_feed_silence_s(&guard->feed, now_ms),
    };
    if (worker->keys.value != NULL && are_usable)
        facts->keys = ((const struct dep_key_set *)worker->keys.value)->jwks;
    if (worker->feed.value != NULL)
        facts->revocations = ((const struct dep_guard_feed_set *)worker->feed.value)->entries;
}

static void ask_cache(struct check *check, struct dep_str token, struct dep_guard_facts *facts)
{
    struct dep_lib_worker *worker = check->worker;

    facts->seen_for = token;
    dep_sha256(worker->crypto, token, facts->seen_digest);
    facts->seen = dep_guard_seen_find(worker->seen, facts->seen_digest, worker->keys.version, check->now);
}

static struct dep_res remember(struct check *check)
{
    const struct deputy_config *config = check->guard->config;
    const struct dep_guard_decision *decision = &check->decision;

    _Static_assert(DEPUTY_REPLAY_KEY_BYTES == DEP_REPLAY_KEY_BYTES, "the public size is the real one");
    if (config->replay == NULL)
        return dep_replay_insert(check->guard->replay, decision->replay_key, decision->replay_until, check->now);
    switch (config->replay(config->replay_context, decision->replay_key, decision->replay_until, check->now)) {
    case DEPUTY_REPLAY_NEW:
        return DEP_OK;
    case DEPUTY_REPLAY_SEEN:
        return DEP_FAIL(REPLAY_SEEN);
    case DEPUTY_REPLAY_FAILED:
        break;
    }
    return DEP_FAIL(STORE_IO);
}

/* An unknown kid: true when new keys may be waited for. */
static bool want_keys(struct deputy_guard *guard)
{
    int64_t now_ms = dep_clock_ms();
    bool may;

    pthread_mutex_lock(&guard->lock);
    may = dep_follow_keys_may_want(&guard->keys, now_ms);
    if (may) {
        dep_follow_keys_want(&guard->keys, now_ms);
        pthread_cond_broadcast(&guard->wake);
    }
    pthread_mutex_unlock(&guard->lock);
    return may;
}

static void refuse(struct check *check, enum dep_err reason, const char *row)
{
    dep_guard_refuse(&check->worker->arena, check->worker->crypto, &check->policy, check->now, reason, row,
                     &check->decision);
}

/* False: something has to be fetched first. */
static bool decide(struct check *check)
{
    struct dep_str token = dep_guard_presented(&check->question);
    struct dep_guard_decision *decision = &check->decision;
    struct dep_guard_facts facts;

    load_facts(check, &facts);
    if (token.len > 0) /* what the rules would ask for: one round instead of two */
        ask_cache(check, token, &facts);
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        dep_guard_decide(&check->worker->arena, check->worker->crypto, &check->policy, &check->question, &facts,
                         check->now, check->random, decision);
        if ((decision->needs & DEP_GUARD_NEEDS_KEYS) != 0) {
            if (want_keys(check->guard))
                return false;
            facts.may_refresh_keys = false;
            facts.are_keys_underway = are_keys_underway(check->guard);
        }
        if ((decision->needs & DEP_GUARD_NEEDS_SEEN) != 0)
            ask_cache(check, decision->presented, &facts);
        if (decision->needs != 0)
            continue;
        if ((decision->effects & DEP_GUARD_EFFECT_REMEMBER_JTI) != 0) {
            facts.replay = remember(check);
            if (!dep_is_ok(facts.replay))
                continue;
        }
        if ((decision->effects & DEP_GUARD_EFFECT_KEEP_TOKEN) != 0)
            dep_guard_seen_put(check->worker->seen, decision->token_digest, check->worker->keys.version, check->now,
                               decision->token);
        return true;
    }
    refuse(check, DEP_ERR_BUG_NEEDS, "rounds");
    return true;
}

static bool has_been_tried(struct deputy_guard *guard)
{
    return atomic_load(&guard->has_tried_keys) && atomic_load(&guard->has_tried_feed);
}

/* Waits for what has to be fetched, where somebody fetches by himself. False: the caller has to. */
static bool wait_for_fetch(struct check *check)
{
    struct deputy_guard *guard = check->guard;
    int64_t until_ms = dep_clock_ms() + guard->config->numbers[DEP_SETTING_WAIT_MAX_MS];
    bool may_wait;

    pthread_mutex_lock(&guard->lock);
    may_wait = guard->is_started && (check->request->flags & DEPUTY_CHECK_NO_WAIT) == 0;
    while (may_wait && dep_lib_is_waiting(guard) && !guard->is_stopping && dep_clock_ms() < until_ms)
        dep_lib_wait_until(guard, until_ms);
    pthread_mutex_unlock(&guard->lock);
    check->is_final = true; /* one wait for one check */
    return may_wait;
}

/* A fault of the program: it fails closed. */
static bool refuse_program(struct check *check, const char *row)
{
    struct dep_buf id;

    check->decision = (struct dep_guard_decision){ .effects = DEP_GUARD_EFFECT_AUDIT };
    dep_buf_init(&id, check->decision.id, sizeof(check->decision.id));
    dep_ulid_put(&id, check->now * 1000, check->random);
    refuse(check, DEP_ERR_GUARD_CALLER, row);
    return false;
}

/* Scopes of this request's own, and the certificate of its connection. False: the scopes are none, or there are rules, which
 * would pass them over; or nobody has said that the program knows certificates. */
static bool take_request(struct check *check)
{
    struct dep_str scopes = str_of(check->request->scopes);

    if (!dep_str_is_absent(check->question.certificate) && check->policy.certificates != DEP_GUARD_CERTIFICATES_TLS)
        return refuse_program(check, "certificate");
    if (dep_str_is_absent(scopes))
        return true;
    if (check->policy.rules != NULL || !dep_is_ok(dep_scope_check(scopes)))
        return refuse_program(check, "scopes");
    check->policy.scopes = scopes;
    return true;
}

/* The decision; false: it needs something. */
static bool reach_decision(struct check *check)
{
    if (!take_request(check))
        return true;
    while (!check->is_final && !has_been_tried(check->guard))
        if (!wait_for_fetch(check))
            return false;
    while (!decide(check)) {
        if (!wait_for_fetch(check))
            return false;
        dep_arena_reset(&check->worker->arena);
    }
    return true;
}

/* On the journal's thread. */
static void is_recorded(struct dep_journal_waiter *waiter, bool is_written)
{
    struct deputy_verdict *verdict = (struct deputy_verdict *)waiter;
    struct deputy_guard *guard = verdict->guard;

    pthread_mutex_lock(&guard->lock);
    if (!is_written)
        dep_lib_verdict_spoil(verdict, DEP_ERR_AUDIT_IO);
    verdict->record_state = is_written ? DEP_LIB_RECORD_SAFE : DEP_LIB_RECORD_FAILED;
    if (verdict->is_queued) {
        verdict->next = NULL;
        *guard->recorded_last = verdict;
        guard->recorded_last = &verdict->next;
    }
    dep_lib_wake(guard);
    pthread_mutex_unlock(&guard->lock);
}

static void wait_for_record(struct deputy_guard *guard, struct deputy_verdict *verdict)
{
    pthread_mutex_lock(&guard->lock);
    while (verdict->record_state == DEP_LIB_RECORD_PENDING)
        pthread_cond_wait(&guard->wake, &guard->lock);
    pthread_mutex_unlock(&guard->lock);
}

/* Into the journal: an allow is handed over, a refusal waits. True: its caller asks for it later. */
static bool record_in_journal(struct check *check, struct deputy_verdict *verdict)
{
    struct dep_str line = str_of(verdict->record);
    bool may_wait = (check->request->flags & DEPUTY_CHECK_NO_WAIT) == 0;
    struct dep_res res;

    if (verdict->is_allowed) {
        res = dep_journal_add(check->guard->journal, line, NULL);
    } else {
        verdict->waiter.done = is_recorded;
        verdict->record_state = DEP_LIB_RECORD_PENDING;
        verdict->is_queued = !may_wait;
        res = dep_journal_add(check->guard->journal, line, &verdict->waiter);
        if (dep_is_ok(res) && !may_wait)
            return true;
        if (dep_is_ok(res))
            wait_for_record(check->guard, verdict);
    }
    if (!dep_is_ok(res))
        dep_lib_verdict_spoil(verdict, res.err);
    return false;
}

/* True: recorded, or spoiled; false: its caller asks for it later. */
static bool record(struct check *check, struct deputy_verdict *verdict)
{
    const struct deputy_config *config = check->guard->config;

    if (verdict->record.ptr == NULL)
        dep_lib_verdict_spoil(verdict, DEP_ERR_BUF_FULL);
    else if (config->record == NULL)
        return !record_in_journal(check, verdict);
    else if (config->record(config->record_context, verdict->record.ptr, verdict->record.len) != 0)
        dep_lib_verdict_spoil(verdict, DEP_ERR_AUDIT_IO);
    return true;
}

static enum deputy_outcome judge(struct check *check, struct deputy_verdict **ret_verdict)
{
    struct dep_lib_worker *worker = check->worker;
    struct dep_lib_verdict_source source = { check->guard, &check->decision, DEP_STR_ABSENT, check->request->user };
    struct deputy_verdict *verdict;

    if (!reach_decision(check))
        return DEPUTY_NEEDS;
    source.record = dep_guard_record(&worker->arena, &check->decision, DEP_GUARD_IN_PROCESS, check->guard->texts.node,
                                     str_of(check->request->peer), check->now, worker->line, sizeof(worker->line));
    verdict = dep_lib_verdict_new(&source);
    if (verdict == NULL)
        verdict = dep_lib_verdict_trouble();
    else if (!record(check, verdict))
        return DEPUTY_RECORDING;
    *ret_verdict = verdict;
    return verdict->is_allowed ? DEPUTY_ALLOW : DEPUTY_REFUSE;
}

/* As it is now, or as it was when it ended before one of the newer members. */
static bool is_sized(const struct deputy_request *request)
{
    return request->size >= sizeof(*request) || request->size == offsetof(struct deputy_request, body) ||
           request->size == offsetof(struct deputy_request, certificate);
}

/* Programs that were compiled before there was one have none. */
static struct dep_str newer(const struct deputy_request *request, size_t offset, const struct deputy_text *member)
{
    return request->size > offset ? str_of(*member) : DEP_STR_ABSENT;
}

enum deputy_outcome deputy_guard_check(struct deputy_guard *guard, const struct deputy_request *request,
                                       struct deputy_verdict **ret_verdict)
{
    struct check check = { .guard = guard,
                           .request = request,
                           .policy = guard->policy,
                           .is_final = (request->flags & DEPUTY_CHECK_FINAL) != 0,
                           .now = dep_clock_unix() };
    enum deputy_outcome outcome;

    *ret_verdict = NULL;
    check.worker = dep_lib_worker_take(guard);
    if (check.worker == NULL || !is_sized(request)) {
        if (check.worker != NULL)
            dep_lib_worker_give(guard, check.worker);
        *ret_verdict = dep_lib_verdict_trouble();
        return DEPUTY_REFUSE;
    }
    check.question.certificate = newer(request, offsetof(struct deputy_request, certificate), &request->certificate);
    take_headers(&check);
    check.question.adapter = DEP_GUARD_IN_PROCESS;
    check.question.headers = check.headers;
    check.question.method = str_of(request->method);
    check.question.target = str_of(request->target);
    check.question.body = newer(request, offsetof(struct deputy_request, body), &request->body);
    dep_random(check.random, sizeof(check.random));
    outcome = judge(&check, ret_verdict);
    dep_lib_worker_give(guard, check.worker);
    return outcome;
}

struct deputy_verdict *deputy_guard_recorded(struct deputy_guard *guard)
{
    struct deputy_verdict *verdict;
    uint64_t count;

    pthread_mutex_lock(&guard->lock);
    verdict = guard->recorded;
    if (verdict != NULL) {
        guard->recorded = verdict->next;
        if (guard->recorded == NULL)
            guard->recorded_last = &guard->recorded;
    } else {
        (void)!read(guard->event_fd, &count, sizeof(count)); /* nothing there: no longer readable */
    }
    pthread_mutex_unlock(&guard->lock);
    return verdict;
}

/* From a request of the proxy to an answer: route, decide, record, reply. */
#include "sidecar/process.h"

#include <stdlib.h>
#include <string.h>

#include "guard/metadata.h"
#include "net/clock.h"

/* Envoy puts this before the path of the original request. */
static const struct dep_str ext_authz = DEP_STR_INIT("/authz/ext-authz");
/* And takes these out of the request that goes upstream (G9). */
static const struct dep_header remove_credentials = { DEP_STR_INIT("x-envoy-auth-headers-to-remove"),
                                                      DEP_STR_INIT("authorization,dpop") };

/* A decision that waited longer for the replay store is made again. */
#define STALE_MS 500

/* An exchange that waits for keys. */
struct pending {
    struct dep_keys_waiter waiter; /* first */
    struct dep_sidecar *sidecar;
    struct dep_net_exchange *exchange;
    enum dep_guard_adapter adapter;
};

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
        if (dep_is_ok(dep_journal_add(sidecar->engine.journal, line, NULL)))
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
    if (!dep_is_ok(dep_journal_add(sidecar->engine.journal, line, &reply->waiter)))
        reply->waiter.done(&reply->waiter, false);
}

static void shape(enum dep_guard_adapter adapter, const struct dep_guard_decision *decision,
                  struct dep_answer_space *space, struct dep_net_answer *ret_answer)
{
    dep_shape(decision, space, ret_answer);
    if (decision->is_allowed && adapter == DEP_GUARD_EXT_AUTHZ)
        space->headers[ret_answer->headers_count++] = remove_credentials;
}

/* Records a decision and answers with it. */
static void finish(struct dep_sidecar *sidecar, struct dep_engine_worker *worker, struct dep_net_exchange *exchange,
                   const struct dep_engine_ask *ask, bool is_late, const struct dep_guard_decision *decision)
{
    struct dep_answer_space space;
    struct dep_net_answer answer;

    shape(ask->request.adapter, decision, &space, &answer);
    if (!decision->is_allowed && ask->request.adapter == DEP_GUARD_AUTH_REQUEST)
        dep_denied_put(sidecar->denied, decision, &answer, dep_clock_ms());
    record_and_reply(
        sidecar, exchange, is_late, decision, &answer,
        dep_engine_record(&sidecar->engine, worker, ask->request.adapter, exchange->peer, decision, ask->now));
}

/* An exchange that waits for the replay store, with the answer that it gets if its proof is new. */
struct owing {
    struct dep_replay_entry entry; /* first */
    struct dep_sidecar *sidecar;
    struct dep_net_exchange *exchange;
    struct dep_engine_ask ask;
    struct dep_reply *reply;
    uint64_t keys_version, feed_version; /* what was decided under */
    int64_t since_ms;
    size_t line_len;
    char line[]; /* the record */
};

static bool is_current(const struct owing *owing)
{
    const struct dep_engine *engine = &owing->sidecar->engine;

    return atomic_load(&dep_keys_slot(engine->keys)->version) == owing->keys_version &&
           atomic_load(&dep_guard_feed_slot(engine->feed)->version) == owing->feed_version &&
           dep_clock_ms() - owing->since_ms <= STALE_MS;
}

/* The store has answered. New, and nothing has changed meanwhile: the answer that was prepared. Else it is decided again, with
 * that answer as a fact. */
static void settle(struct owing *owing, struct dep_engine_worker *worker)
{
    struct dep_sidecar *sidecar = owing->sidecar;
    struct dep_guard_decision decision;

    if (dep_is_ok(owing->entry.res) && is_current(owing)) {
        if (dep_is_ok(dep_journal_add(sidecar->engine.journal, dep_str(owing->line, owing->line_len), NULL)))
            dep_net_reply(owing->exchange, &owing->reply->answer);
        else
            dep_reply_trouble(owing->exchange, dep_str(owing->reply->id, sizeof(owing->reply->id)));
    } else {
        owing->ask.entry = &owing->entry;
        owing->ask.now = dep_clock_unix();
        (void)dep_engine_decide(&sidecar->engine, worker, &owing->ask, &decision);
        finish(sidecar, worker, owing->exchange, &owing->ask, true, &decision);
    }
    dep_reply_free(owing->reply);
    free(owing);
}

/* On the replay store's thread. */
static void entry_done(struct dep_replay_entry *entry)
{
    struct owing *owing = (struct owing *)entry;

    settle(owing, owing->sidecar->settler);
}

static struct owing *owing_new(struct dep_sidecar *sidecar, struct dep_engine_worker *worker,
                               struct dep_net_exchange *exchange, const struct dep_engine_ask *ask,
                               const struct dep_guard_decision *decision)
{
    struct dep_str line =
        dep_engine_record(&sidecar->engine, worker, ask->request.adapter, exchange->peer, decision, ask->now);
    struct owing *owing = dep_str_is_absent(line) ? NULL : malloc(sizeof(*owing) + line.len);
    struct dep_answer_space space;
    struct dep_net_answer answer;

    if (owing == NULL)
        return NULL;
    shape(ask->request.adapter, decision, &space, &answer);
    *owing = (struct owing){
        .sidecar = sidecar,
        .exchange = exchange,
        .ask = *ask,
        .reply = dep_reply_new(exchange, decision, &answer),
        .keys_version = worker->keys.version,
        .feed_version = worker->feed.version,
        .since_ms = dep_clock_ms(),
        .line_len = line.len,
    };
    owing->ask.may_wait = false;
    memcpy(owing->line, line.ptr, line.len);
    if (owing->reply != NULL) {
        dep_engine_entry(&sidecar->engine, decision, ask->now, &owing->entry);
        owing->entry.done = entry_done;
        return owing;
    }
    free(owing);
    return NULL;
}

/* Hands the entry of a decision to the store; the exchange is not ours any more. */
static void ask_store(struct dep_sidecar *sidecar, struct dep_engine_worker *worker, struct dep_net_exchange *exchange,
                      const struct dep_engine_ask *ask, bool is_late, const struct dep_guard_decision *decision)
{
    struct owing *owing = owing_new(sidecar, worker, exchange, ask, decision);

    if (!is_late)
        dep_net_defer(exchange);
    if (owing == NULL)
        dep_reply_trouble(exchange, dep_str(decision->id, sizeof(decision->id)));
    else if (dep_replay_store_insert(sidecar->engine.replay, &owing->entry))
        settle(owing, worker);
}

/* Decides and answers; `is_late` when the exchange has been deferred already. */
static void guard(struct dep_sidecar *sidecar, struct dep_engine_worker *worker, struct dep_net_exchange *exchange,
                  enum dep_guard_adapter adapter, bool is_late);

/* On a thread of the keys. */
static void resume(struct dep_keys_waiter *waiter)
{
    struct pending *pending = (struct pending *)waiter;

    guard(pending->sidecar, pending->sidecar->late, pending->exchange, pending->adapter, true);
    free(pending);
}

/* True when the exchange waits for keys and is no longer ours. In any case it is deferred. */
static bool wait_for_keys(struct dep_sidecar *sidecar, struct dep_net_exchange *exchange,
                          enum dep_guard_adapter adapter)
{
    struct pending *pending = malloc(sizeof(*pending));

    dep_net_defer(exchange);
    if (pending == NULL)
        return false;
    *pending = (struct pending){ { .resume = resume }, sidecar, exchange, adapter };
    if (dep_keys_wait(sidecar->engine.keys, &pending->waiter, dep_clock_ms()))
        return true;
    free(pending);
    return false;
}

static void guard(struct dep_sidecar *sidecar, struct dep_engine_worker *worker, struct dep_net_exchange *exchange,
                  enum dep_guard_adapter adapter, bool is_late)
{
    struct dep_engine_ask ask = {
        .request = { .adapter = adapter, .headers = exchange->headers, .headers_count = exchange->headers_count },
        .may_wait = !is_late,
        .now = dep_clock_unix(),
    };
    struct dep_engine *engine = &sidecar->engine;
    struct dep_guard_decision decision;

    if (adapter == DEP_GUARD_EXT_AUTHZ) {
        ask.request.method = exchange->method;
        ask.request.target = dep_str_sub(exchange->path, ext_authz.len, exchange->path.len);
    }
    if (!dep_engine_decide(engine, worker, &ask, &decision)) {
        if (wait_for_keys(sidecar, exchange, adapter))
            return;
        is_late = true;
        ask.may_wait = false;
        (void)dep_engine_decide(engine, worker, &ask, &decision);
    }
    if (worker->owes_entry)
        ask_store(sidecar, worker, exchange, &ask, is_late, &decision);
    else
        finish(sidecar, worker, exchange, &ask, is_late, &decision);
}

static bool is_read(const struct dep_net_exchange *exchange)
{
    return dep_str_eq(exchange->method, DEP_STR("GET")) || dep_str_eq(exchange->method, DEP_STR("HEAD"));
}

static void guard_auth_request(struct dep_sidecar *sidecar, struct dep_engine_worker *worker,
                               struct dep_net_exchange *exchange)
{
    guard(sidecar, worker, exchange, DEP_GUARD_AUTH_REQUEST, false);
}

static void guard_forward_auth(struct dep_sidecar *sidecar, struct dep_engine_worker *worker,
                               struct dep_net_exchange *exchange)
{
    guard(sidecar, worker, exchange, DEP_GUARD_FORWARD_AUTH, false);
}

static void repeat_decision(struct dep_sidecar *sidecar, struct dep_engine_worker *worker,
                            struct dep_net_exchange *exchange)
{
    struct dep_str id = DEP_STR_ABSENT;

    (void)worker;
    if (!dep_is_ok(dep_header_one(exchange->headers, exchange->headers_count, DEP_STR("Deputy-Decision"), &id)) ||
        !dep_ulid_is_valid(id) || !dep_denied_answer(sidecar->denied, id, dep_clock_ms(), exchange))
        dep_reply_trouble(exchange, DEP_STR_ABSENT);
}

static void show_metadata(struct dep_sidecar *sidecar, struct dep_engine_worker *worker,
                          struct dep_net_exchange *exchange)
{
    (void)worker;
    if (!is_read(exchange))
        dep_reply_plain(exchange, 405, "text/plain", DEP_STR("GET only\n"));
    else
        dep_reply_plain(exchange, 200, "application/json", sidecar->engine.metadata);
}

static void show_live(struct dep_sidecar *sidecar, struct dep_engine_worker *worker, struct dep_net_exchange *exchange)
{
    (void)sidecar;
    (void)worker;
    dep_reply_plain(exchange, 200, "text/plain", DEP_STR("live\n"));
}

static void show_ready(struct dep_sidecar *sidecar, struct dep_engine_worker *worker, struct dep_net_exchange *exchange)
{
    struct dep_str trouble = dep_engine_trouble(&sidecar->engine, worker);

    dep_reply_plain(exchange, dep_str_is_absent(trouble) ? 200 : 503, "text/plain",
                    dep_str_is_absent(trouble) ? dep_engine_ready(&sidecar->engine, worker) : trouble);
}

static const struct {
    struct dep_str path;
    void (*handle)(struct dep_sidecar *sidecar, struct dep_engine_worker *worker, struct dep_net_exchange *exchange);
} routes[] = {
    { DEP_STR_INIT("/authz/auth-request"), guard_auth_request },
    { DEP_STR_INIT("/authz/forward-auth"), guard_forward_auth },
    { DEP_STR_INIT("/authz/decision"), repeat_decision },
    { DEP_STR_INIT(DEP_GUARD_METADATA_PATH), show_metadata },
    { DEP_STR_INIT("/livez"), show_live },
    { DEP_STR_INIT("/readyz"), show_ready },
};

void dep_sidecar_handle(struct dep_sidecar *sidecar, struct dep_engine_worker *worker,
                        struct dep_net_exchange *exchange)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (dep_str_eq(exchange->path, routes[i].path)) {
            routes[i].handle(sidecar, worker, exchange);
            return;
        }
    if (dep_str_starts(exchange->path, ext_authz) && exchange->path.len > ext_authz.len &&
        exchange->path.ptr[ext_authz.len] == '/')
        guard(sidecar, worker, exchange, DEP_GUARD_EXT_AUTHZ, false);
    else if (dep_str_eq(exchange->path, sidecar->engine.metadata_path))
        show_metadata(sidecar, worker, exchange);
    else
        dep_reply_plain(exchange, 404, "text/plain", DEP_STR("there is nothing here\n"));
}

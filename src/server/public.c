/* The OAuth endpoints: read, decide, record, reply. The rules are in proto/; here is only what carries them out. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/b64.h"
#include "base/id.h"
#include "proto/wire.h"
#include "server/facts.h"
#include "server/register.h"
#include "server/server.h"
#include "server/uses.h"

#define LINE_BYTES_MAX 16384u
#define JWT_BYTES_MAX 16384u
#define CHANGES_MAX (DEP_EFFECTS_MAX + DEP_REGISTER_CHANGES)

/* One request on its way. */
struct flow {
    struct dep_server *server;
    struct dep_worker *worker;
    struct dep_net_exchange *exchange;
    struct dep_snapshot *snapshot;
    struct dep_settings *settings;
    struct dep_request request;
    struct dep_loader loader;
    struct dep_decision decision;
    int64_t now;
    struct dep_change registered[DEP_REGISTER_CHANGES]; /* of DEP_EFFECT_REGISTER */
    uint64_t feed_floor; /* the feed's version when the snapshot was taken, or an earlier one */
    unsigned char random[DEP_RANDOM_LEN];
    struct dep_uses uses; /* of this very request, from earlier rounds */
    bool owes;            /* the decision stands if the replay store says so: it is to be asked */
};

static void reply(struct dep_net_exchange *exchange, const struct dep_wire_answer *answer)
{
    struct dep_net_answer net = {
        .status = answer->status,
        .headers = answer->headers,
        .headers_count = answer->headers_count,
        .body = answer->body,
    };

    dep_net_reply(exchange, &net);
}

void dep_server_refuse(struct dep_net_exchange *exchange, struct dep_str id, enum dep_err reason)
{
    _Alignas(16) unsigned char memory[8192];
    struct dep_wire_answer answer;
    struct dep_arena arena;
    struct dep_res res;

    /* Its own memory: the request's may be what ran out. */
    dep_arena_init(&arena, memory, sizeof(memory));
    res = dep_wire_refuse(&arena, reason, id, 1, &answer);
    DEP_ASSERT(dep_is_ok(res));
    reply(exchange, &answer);
}

static void reply_refusal(struct flow *flow, enum dep_err reason)
{
    dep_server_refuse(flow->exchange, flow->decision.id, reason);
}

static void reply_unknown_path(struct flow *flow)
{
    char text[DEP_ULID_LEN];
    struct dep_buf id;

    dep_buf_init(&id, text, sizeof(text));
    dep_ulid_put(&id, flow->now * 1000, flow->random);
    flow->decision.id = dep_buf_str(&id);
    reply_refusal(flow, DEP_ERR_HTTP_PATH);
}

/* ---- decide ---- */

/* Carries out what must hold before the answer stands. False: a fact was stale, decide again. A decision that is taken again does not
 * find its own assertion used: the fault would be blamed on the wrong one. */
static bool settle(struct flow *flow, struct dep_res *ret_res)
{
    const unsigned char *seen = NULL;
    struct dep_str key;

    flow->owes = false;
    *ret_res = dep_uses_settle(flow->server, &flow->uses, &flow->decision, flow->now, &flow->owes, &seen);
    if (ret_res->err == DEP_ERR_REPLAY_SEEN) {
        key = dep_arena_dup(&flow->worker->arena, dep_str((const char *)seen, DEP_REPLAY_KEY_BYTES));
        if (dep_str_is_absent(key)) {
            *ret_res = DEP_FAIL(ARENA_FULL);
            return true;
        }
        dep_loader_add(&flow->loader, DEP_FACT_REPLAY, key, "");
        return false;
    }
    for (size_t i = 0; i < flow->decision.effects_count; i++)
        if (flow->decision.effects[i].kind == DEP_EFFECT_COUNT_FAILURE)
            dep_limiter_count(flow->server->limiter, flow->decision.effects[i].id, flow->request.peer, flow->now);
    return true;
}

static struct dep_res decide(struct flow *flow)
{
    struct dep_res res;

    for (unsigned round = 0; round < DEP_ROUNDS_MAX; round++) {
        DEP_TRY(dep_decide(&flow->worker->arena, flow->worker->crypto, &flow->settings->policy, &flow->request,
                           &flow->loader.facts, flow->now, flow->random, &flow->decision));
        if (flow->decision.needs_count > 0) {
            dep_loader_load(&flow->loader, &flow->decision);
            if (flow->loader.must_fetch != NULL)
                return DEP_OK;
        } else if (settle(flow, &res)) {
            return res;
        }
    }
    return DEP_FAIL(BUG_NEEDS);
}

/* ---- record and reply ---- */

static struct dep_res sign(struct flow *flow, struct dep_str *ret_jwt)
{
    const struct dep_cell *signer = dep_snapshot_signer(flow->snapshot);
    struct dep_json_writer writer;
    struct dep_buf claims, jwt;

    if (signer == NULL)
        return DEP_FAIL(KEY_NONE);
    dep_buf_init_arena(&claims, &flow->worker->arena, JWT_BYTES_MAX / 2);
    dep_json_begin(&writer, &claims);
    if (flow->decision.issued == DEP_ISSUED_ACCESS_TOKEN)
        dep_token_write(&writer, &flow->decision.token);
    else
        dep_grant_write(&writer, &flow->decision.token, flow->decision.grant_resources,
                        flow->decision.grant_resources_count);
    dep_buf_fit(&claims, &flow->worker->arena);
    dep_buf_init_arena(&jwt, &flow->worker->arena, JWT_BYTES_MAX);
    if (claims.has_failed || jwt.has_failed)
        return DEP_FAIL(ARENA_FULL);
    DEP_TRY(dep_jws_sign(flow->worker->crypto, signer->private_key, dep_issued_typ(flow->decision.issued),
                         signer->key.kid, DEP_STR_ABSENT, dep_buf_str(&claims), &jwt));
    if (jwt.has_failed)
        return DEP_FAIL(BUF_FULL);
    dep_buf_fit(&jwt, &flow->worker->arena);
    *ret_jwt = dep_buf_str(&jwt);
    return DEP_OK;
}

static struct dep_res replay_change(struct dep_arena *arena, const struct dep_effect *effect,
                                    struct dep_change *ret_change)
{
    struct dep_buf id;

    dep_buf_init_arena(&id, arena, DEP_B64_ENCODED(sizeof(effect->key)));
    dep_b64url_put(&id, effect->key, sizeof(effect->key));
    if (id.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_change = (struct dep_change){
        .op = DEP_CHANGE_PUT,
        .record = { .kind = DEP_RECORD_REPLAY,
                    .id = dep_buf_str(&id),
                    .expires = effect->expires,
                    .body = DEP_STR("{}") },
    };
    return DEP_OK;
}

/* A consent that is new, or has another turn than the one that was read: of two at once the store takes one. */
static struct dep_res consent_change(struct flow *flow, struct dep_change *ret_change)
{
    const struct dep_ticket *consent = &flow->decision.consent;
    const struct dep_cell *cell = dep_snapshot_find(flow->snapshot, DEP_RECORD_CONSENT, consent->id);
    bool is_new = flow->decision.column == DEP_COLUMN_AUTHORIZATION_CODE;
    struct dep_json_writer writer;
    struct dep_buf body;

    dep_buf_init_arena(&body, &flow->worker->arena, DEP_TICKET_BYTES_MAX);
    dep_json_begin(&writer, &body);
    dep_ticket_write(&writer, consent);
    if (body.has_failed)
        return DEP_FAIL(ARENA_FULL);
    if (!is_new && cell == NULL)
        return DEP_FAIL(BUG_NEEDS); /* it was a fact of this very snapshot */
    dep_buf_fit(&body, &flow->worker->arena);
    *ret_change = (struct dep_change){
        .op = is_new ? DEP_CHANGE_ADD : DEP_CHANGE_REPLACE,
        .record = { .kind = DEP_RECORD_CONSENT,
                    .id = consent->id,
                    .version = is_new ? 1 : cell->version,
                    .expires = consent->expires,
                    .body = dep_buf_str(&body) },
    };
    return DEP_OK;
}

/* The store's part of a decision. */
static struct dep_res changes_of(struct flow *flow, struct dep_change changes[CHANGES_MAX], size_t *ret_count)
{
    size_t count = 0;

    for (size_t i = 0; i < flow->decision.effects_count; i++) {
        const struct dep_effect *effect = &flow->decision.effects[i];

        if (effect->kind == DEP_EFFECT_REVOKE)
            DEP_TRY(dep_revocation_change(&flow->worker->arena, &effect->revocation, &changes[count++]));
        if (effect->kind == DEP_EFFECT_REMEMBER && effect->is_durable)
            DEP_TRY(replay_change(&flow->worker->arena, effect, &changes[count++]));
        if (effect->kind == DEP_EFFECT_CONSENT)
            DEP_TRY(consent_change(flow, &changes[count++]));
        if (effect->kind == DEP_EFFECT_REGISTER)
            for (size_t k = 0; k < DEP_REGISTER_CHANGES; k++)
                changes[count++] = flow->registered[k];
        if (effect->kind == DEP_EFFECT_INSTRUCTION)
            changes[count++] = (struct dep_change){
                .op = DEP_CHANGE_PUT,
                .record = { .kind = DEP_RECORD_INSTRUCTION, .id = effect->id, .body = effect->text },
            };
    }
    *ret_count = count;
    return DEP_OK;
}

static struct dep_job *make_job(struct flow *flow, const struct dep_wire_answer *answer, struct dep_str line,
                                const struct dep_change *changes, size_t changes_count)
{
    size_t bytes = line.len + answer->body.len + flow->decision.id.len;
    struct dep_job *job;

    for (size_t i = 0; i < answer->headers_count; i++)
        bytes += answer->headers[i].value.len;
    job = dep_job_new(changes, changes_count, bytes);
    if (job == NULL)
        return NULL;
    job->exchange = flow->exchange;
    job->line.json = dep_job_text(job, line);
    dep_merkle_leaf(flow->worker->crypto, line, job->line.leaf);
    job->status = answer->status;
    for (size_t i = 0; i < answer->headers_count; i++)
        job->headers[job->headers_count++] =
            (struct dep_header){ answer->headers[i].name, dep_job_text(job, answer->headers[i].value) };
    job->body = dep_job_text(job, answer->body);
    job->id = dep_job_text(job, flow->decision.id);
    if (flow->decision.column == DEP_COLUMN_REFRESH_TOKEN)
        job->stale = DEP_ERR_REFRESH_RACE;
    return job;
}

/* The exchange is not ours any more. */
static void ask_store(struct flow *flow, struct dep_job *job)
{
    dep_uses_ask(flow->server, flow->exchange, &flow->uses, &flow->decision, flow->snapshot, flow->settings, job,
                 flow->now);
}

/* Hands record and answer to the writer, or first asks whether they may go there. */
static struct dep_res record(struct flow *flow, const struct dep_wire_answer *answer)
{
    struct dep_change changes[CHANGES_MAX];
    size_t changes_count = 0;
    struct dep_buf line;
    struct dep_job *job;
    struct dep_res res;

    dep_buf_init_arena(&line, &flow->worker->arena, LINE_BYTES_MAX);
    dep_audit_record_write(&line, &flow->decision.record);
    if (line.has_failed) {
        /* What was asked may be of any length; that it was asked and refused is what must stand. */
        flow->decision.record.asked_scope = DEP_STR_ABSENT;
        flow->decision.record.asked_targets_count = 0;
        flow->decision.record.path = DEP_STR_ABSENT;
        dep_buf_init(&line, line.ptr, line.max);
        dep_audit_record_write(&line, &flow->decision.record);
        if (line.has_failed)
            return DEP_FAIL(BUF_FULL);
    }
    dep_buf_fit(&line, &flow->worker->arena);
    DEP_TRY(changes_of(flow, changes, &changes_count));
    job = make_job(flow, answer, dep_buf_str(&line), changes, changes_count);
    if (job == NULL)
        return DEP_FAIL(OVERLOADED);
    if (flow->owes) {
        ask_store(flow, job);
        return DEP_OK;
    }
    dep_net_defer(flow->exchange);
    res = dep_writer_push(flow->server->writer, job);
    if (!dep_is_ok(res))
        dep_job_free(job);
    return res;
}

/* The newest signed note, as it lies in the log's directory: a few lines that never leave the page cache. */
static void reply_checkpoint(struct flow *flow)
{
    char path[1300], text[2048];
    size_t len = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/checkpoint", flow->server->audit_dir);
    file = fopen(path, "re");
    if (file != NULL) {
        len = fread(text, 1, sizeof(text), file);
        (void)fclose(file);
    }
    if (len == 0) {
        reply_refusal(flow, DEP_ERR_HTTP_PATH);
        return;
    }

    struct dep_wire_answer answer = { .status = 200, .body = dep_str(text, len) };

    dep_wire_header(&answer, "Content-Type", DEP_STR("text/plain; charset=utf-8"));
    dep_wire_header(&answer, "Cache-Control", DEP_STR("no-store"));
    reply(flow->exchange, &answer);
}

static void reply_document(struct flow *flow)
{
    struct dep_wire_answer answer = { .status = 200 };

    dep_wire_header(&answer, "Content-Type", DEP_STR("application/json"));
    dep_wire_header(&answer, "Access-Control-Allow-Origin", DEP_STR("*"));
    dep_wire_header(&answer, "Cache-Control", DEP_STR("public, max-age=60"));
    if (flow->request.endpoint == DEP_ENDPOINT_CHECKPOINT) {
        reply_checkpoint(flow);
        return;
    }
    if (flow->request.endpoint == DEP_ENDPOINT_METADATA)
        answer.body = dep_str(flow->settings->metadata, flow->settings->metadata_len);
    else
        answer.body = dep_snapshot_jwks(flow->snapshot);
    reply(flow->exchange, &answer);
}

static struct dep_res finish(struct flow *flow)
{
    struct dep_wire_answer answer;
    struct dep_str jwt = DEP_STR_ABSENT;

    if (flow->decision.answer == DEP_ANSWER_DOCUMENT) {
        reply_document(flow);
        return DEP_OK;
    }
    if (flow->decision.answer == DEP_ANSWER_FEED && flow->owes) /* a GET brings nothing that may be used once */
        return DEP_FAIL(BUG_NEEDS);
    if (flow->decision.answer == DEP_ANSWER_FEED) {
        const struct dep_feed_signer signer =
            dep_server_feed_signer(flow->worker->crypto, flow->snapshot, flow->settings);

        dep_feed_poll(flow->server->feed, &signer, flow->exchange, flow->decision.feed_after,
                      flow->loader.facts.revocations, flow->feed_floor, flow->decision.id);
        return DEP_OK;
    }
    if (flow->decision.answer == DEP_ANSWER_TOKEN) {
        DEP_TRY(sign(flow, &jwt));
        flow->worker->tokens += !flow->owes;
    }
    if (flow->decision.has_ticket && flow->decision.answer != DEP_ANSWER_REFUSAL)
        DEP_TRY(dep_ticket_seal(&flow->worker->arena, flow->settings->policy.consent.key, flow->decision.ticket_kind,
                                &flow->decision.ticket, &flow->decision.sealed));
    if (flow->decision.answer == DEP_ANSWER_REFUSAL)
        flow->worker->refusals++;
    DEP_TRY(dep_wire_write(&flow->worker->arena, &flow->decision, jwt, &answer));
    if (flow->decision.answer == DEP_ANSWER_CHILD)
        DEP_TRY(dep_register_child(flow->server, flow->worker->crypto, &flow->worker->arena, &flow->decision.child,
                                   flow->now, flow->registered, &answer.body));
    return record(flow, &answer);
}

/* GET documents are for everybody; refusing one is no decision about anybody's rights. */
static bool is_recorded(enum dep_endpoint endpoint)
{
    return endpoint >= DEP_ENDPOINT_TOKEN && endpoint < DEP_ENDPOINT_NONE;
}

/* Keys are fetched by another thread, which then runs the request again; a worker waits for nobody. */
static struct dep_res park(struct flow *flow)
{
    const struct dep_cell *cell = flow->loader.must_fetch;

    dep_net_defer(flow->exchange);
    return dep_issuers_park(flow->server->issuers, flow->exchange,
                            (struct dep_issuer_place){ cell->id, cell->issuer.jwks_uri }, flow->loader.lookups);
}

static void run(struct flow *flow)
{
    struct dep_wire_answer answer;
    struct dep_res res;

    res = decide(flow);
    if (dep_is_ok(res) && flow->loader.must_fetch != NULL) {
        res = park(flow);
        if (!dep_is_ok(res))
            reply_refusal(flow, res.err);
        return;
    }
    if (dep_is_ok(res) && !is_recorded(flow->request.endpoint) && flow->decision.answer == DEP_ANSWER_REFUSAL) {
        res = dep_wire_write(&flow->worker->arena, &flow->decision, DEP_STR_ABSENT, &answer);
        if (dep_is_ok(res)) {
            reply(flow->exchange, &answer);
            return;
        }
    }
    if (dep_is_ok(res))
        res = finish(flow);
    if (!dep_is_ok(res))
        reply_refusal(flow, res.err);
}

/* A system call for every request would be a hundredth of its cost. */
static void take_random(struct dep_worker *worker, unsigned char ret_random[DEP_RANDOM_LEN])
{
    if (worker->random_left < DEP_RANDOM_LEN) {
        dep_random(worker->random, sizeof(worker->random));
        worker->random_left = sizeof(worker->random);
    }
    worker->random_left -= DEP_RANDOM_LEN;
    memcpy(ret_random, worker->random + worker->random_left, DEP_RANDOM_LEN);
    dep_wipe(worker->random + worker->random_left, DEP_RANDOM_LEN);
}

/* `uses` is NULL for a request that has not waited for the replay store. */
static void handle(struct dep_server *server, struct dep_worker *worker, struct dep_net_exchange *exchange,
                   bool is_parked_before, const struct dep_uses *uses)
{
    struct dep_settings *settings = dep_server_settings(server);
    struct flow flow = {
        .server = server,
        .worker = worker,
        .exchange = exchange,
        .settings = settings,
        .now = dep_server_now(),
    };

    flow.request = (struct dep_request){
        .endpoint = dep_endpoint_of(exchange->path, dep_config_issuer_path(settings->config)),
        .method = exchange->method,
        .path = exchange->path,
        .query = exchange->query,
        .body = exchange->body,
        .peer = exchange->peer,
        .headers = exchange->headers,
        .headers_count = exchange->headers_count,
        .certificate = exchange->certificate,
        .is_from_login = dep_config_is_login_peer(settings->config, exchange->peer),
        .is_from_proxy = dep_client_certificates_is_proxy(&settings->certificates, exchange->peer),
    };
    if (uses != NULL)
        flow.uses = *uses;
    take_random(worker, flow.random);
    if (flow.request.endpoint == DEP_ENDPOINT_NONE) {
        reply_unknown_path(&flow);
    } else {
        if (flow.request.endpoint == DEP_ENDPOINT_FEED)
            flow.feed_floor = dep_feed_version(server->feed);
        flow.snapshot = dep_server_snapshot(server);
        dep_loader_init(&flow.loader, server, flow.snapshot, &worker->arena, exchange->peer, flow.now);
        flow.loader.is_parked_before = is_parked_before;
        for (size_t i = 0; i < flow.uses.seen_count; i++)
            dep_loader_add(&flow.loader, DEP_FACT_REPLAY,
                           dep_str((const char *)flow.uses.seen[i], sizeof(flow.uses.seen[i])), "");
        run(&flow);
        dep_loader_done(&flow.loader);
        dep_snapshot_unref(flow.snapshot);
        dep_arena_reset(&worker->arena);
    }
    dep_settings_unref(settings);
}

void dep_server_handle(void *context, struct dep_net_exchange *exchange)
{
    struct dep_server *server = context;
    struct dep_worker *worker = &server->workers[exchange->worker];

    DEP_ASSERT(exchange->worker < DEP_WORKERS_MAX);
    worker->requests++;
    handle(server, worker, exchange, false, NULL);
}

void dep_server_handle_again(void *context, struct dep_net_exchange *exchange)
{
    struct dep_server *server = context;

    handle(server, &server->fetch_worker, exchange, true, NULL);
}

void dep_server_handle_used(struct dep_server *server, struct dep_net_exchange *exchange, const struct dep_uses *uses)
{
    handle(server, &server->replay_worker, exchange, true, uses);
}

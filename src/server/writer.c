/* The writer thread. Invariants stand in writer.h. */
#include "server/writer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/clock.h"
#include "proto/wire.h"

#define BATCH_MAX 1024u
#define CHECKPOINT_EVERY_MS 1000

struct dep_writer {
    struct dep_writer_config config;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    struct dep_job *head, **tail;
    size_t waiting;
    bool is_idle;
    bool is_stopping;
    _Atomic uint64_t commits, records;
    int64_t checkpoint_ms;
    bool is_unsigned; /* records since the last checkpoint */
    struct dep_audit_line lines[BATCH_MAX];
};

struct dep_job *dep_job_new(const struct dep_change *changes, size_t changes_count, size_t bytes)
{
    size_t changes_bytes = changes_count * sizeof(*changes);
    struct dep_job *job;

    for (size_t i = 0; i < changes_count; i++)
        bytes += changes[i].record.id.len + changes[i].record.body.len;
    job = malloc(sizeof(*job) + changes_bytes + bytes);
    if (job == NULL)
        return NULL;
    memset(job, 0, sizeof(*job));
    job->changes = (struct dep_change *)(job + 1);
    job->changes_count = changes_count;
    job->used = changes_bytes;
    job->size = changes_bytes + bytes;
    for (size_t i = 0; i < changes_count; i++) {
        job->changes[i] = changes[i];
        job->changes[i].record.id = dep_job_text(job, changes[i].record.id);
        job->changes[i].record.body = dep_job_text(job, changes[i].record.body);
    }
    return job;
}

struct dep_str dep_job_text(struct dep_job *job, struct dep_str text)
{
    char *at = (char *)(job + 1) + job->used;

    if (dep_str_is_absent(text))
        return text;
    DEP_ASSERT(text.len <= job->size - job->used);
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    job->used += text.len;
    return dep_str(at, text.len);
}

void dep_job_free(struct dep_job *job)
{
    if (job == NULL)
        return;
    /* Bodies hold tokens and fresh secrets. */
    dep_wipe(job + 1, job->used);
    free(job);
}

static void answer(struct dep_job *job)
{
    struct dep_net_answer reply = {
        .status = job->status,
        .headers = job->headers,
        .headers_count = job->headers_count,
        .body = job->body,
    };

    dep_net_reply(job->exchange, &reply);
}

/* The job cannot stand: 503 when something failed, 409 when its facts were stale. */
static void answer_failure(struct dep_job *job, enum dep_err reason)
{
    _Alignas(16) unsigned char memory[8192];
    struct dep_wire_answer refusal;
    struct dep_arena arena;
    struct dep_res res;

    dep_arena_init(&arena, memory, sizeof(memory));
    res = job->is_problem ? dep_wire_problem(&arena, reason, DEP_STR_ABSENT, job->id, &refusal)
                          : dep_wire_refuse(&arena, reason, job->id, 1, &refusal);
    DEP_ASSERT(dep_is_ok(res));

    struct dep_net_answer reply = {
        .status = refusal.status,
        .headers = refusal.headers,
        .headers_count = refusal.headers_count,
        .body = refusal.body,
    };

    dep_net_reply(job->exchange, &reply);
}

/* State changes first: a record of something that did not happen is worse than an answer that was not given. */
static void commit_changes(struct dep_writer *writer, struct dep_job *batch)
{
    for (struct dep_job *job = batch; job != NULL; job = job->next) {
        size_t failed = 0;

        job->res = DEP_OK;
        if (job->changes_count == 0)
            continue;
        job->res = dep_store_commit(writer->config.store, job->changes, job->changes_count, &failed);
        if (job->stale != DEP_ERR_NONE &&
            (job->res.err == DEP_ERR_STORE_CONFLICT || job->res.err == DEP_ERR_STORE_MISSING))
            job->res = (struct dep_res){ job->stale };
        if (dep_is_ok(job->res))
            writer->config.publish(writer->config.context, job->changes, job->changes_count);
    }
}

/* When the ledger cannot be told, its entry stays begun: later requests hear that the outcome is not known. */
static void end_once(const struct dep_job *job, struct dep_res recorded)
{
    const struct dep_job_once *once = &job->once;
    struct dep_res res;

    if (once->ledger == NULL)
        return;
    if (!dep_is_ok(job->res))
        res = dep_ledger_abandon(once->ledger, once->scope, once->ticket);
    else if (!dep_is_ok(recorded))
        res = dep_ledger_lose(once->ledger, once->scope, once->ticket);
    else
        res = dep_ledger_complete(once->ledger, once->scope, once->ticket, job->status, once->answer);
    if (!dep_is_ok(res))
        (void)dep_is_ok(dep_ledger_lose(once->ledger, once->scope, once->ticket));
}

static void commit(struct dep_writer *writer, struct dep_job *batch)
{
    struct dep_res res = DEP_OK;
    uint64_t first;
    size_t count = 0;

    commit_changes(writer, batch);
    for (const struct dep_job *job = batch; job != NULL; job = job->next)
        if (dep_is_ok(job->res) && !dep_str_is_absent(job->line.json))
            writer->lines[count++] = job->line;
    if (count > 0)
        res = dep_audit_append(writer->config.log, writer->lines, count, &first);
    if (dep_is_ok(res)) {
        writer->commits++;
        writer->records += count;
        writer->is_unsigned |= count > 0;
    }
    while (batch != NULL) {
        struct dep_job *job = batch;

        batch = job->next;
        end_once(job, res);
        if (!dep_is_ok(job->res))
            answer_failure(job, job->res.err);
        else if (!dep_is_ok(res))
            answer_failure(job, DEP_ERR_AUDIT_IO);
        else
            answer(job);
        dep_job_free(job);
    }
}

/* A checkpoint covers what was written: at the latest a second after it was. */
static void sign_when_due(struct dep_writer *writer, bool is_now)
{
    int64_t now = dep_clock_ms();

    if (!writer->is_unsigned || (!is_now && now - writer->checkpoint_ms < CHECKPOINT_EVERY_MS))
        return;
    if (dep_is_ok(dep_audit_checkpoint(writer->config.log)))
        writer->is_unsigned = false;
    writer->checkpoint_ms = now;
}

/* Waits for work, at most a tick; returns up to BATCH_MAX jobs. */
static struct dep_job *take_batch(struct dep_writer *writer, bool *ret_is_stopping)
{
    struct dep_job *batch, *last;
    struct timespec until;
    int waited = 0;

    (void)pthread_mutex_lock(&writer->mutex);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 200000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    writer->is_idle = true;
    while (writer->head == NULL && !writer->is_stopping && waited == 0)
        waited = pthread_cond_timedwait(&writer->has_work, &writer->mutex, &until);
    writer->is_idle = false;
    batch = last = writer->head;
    if (batch != NULL) {
        size_t taken = 1;

        while (last->next != NULL && taken < BATCH_MAX) {
            last = last->next;
            taken++;
        }
        writer->head = last->next;
        if (writer->head == NULL)
            writer->tail = &writer->head;
        last->next = NULL;
        writer->waiting -= taken;
    }
    *ret_is_stopping = writer->is_stopping;
    (void)pthread_mutex_unlock(&writer->mutex);
    return batch;
}

static void *run(void *context)
{
    const struct sched_param none = { 0 };
    struct dep_writer *writer = context;
    bool is_stopping = false;

    /* As a batch thread it runs when a worker sleeps or has used up its slice, not whenever a job arrives. So jobs gather and share one
     * fdatasync; measured, that is a tenth more per second and a third of the latency at the 99th percentile. */
    (void)sched_setscheduler(0, SCHED_BATCH, &none);
    for (;;) {
        struct dep_job *batch = take_batch(writer, &is_stopping);

        if (batch != NULL)
            commit(writer, batch);
        else if (is_stopping)
            break;
        sign_when_due(writer, batch == NULL);
        if (writer->config.tick != NULL)
            writer->config.tick(writer->config.context);
    }
    sign_when_due(writer, true);
    return NULL;
}

struct dep_res dep_writer_start(const struct dep_writer_config *config, struct dep_writer **ret_writer)
{
    struct dep_writer *writer = calloc(1, sizeof(*writer));
    pthread_condattr_t attributes;

    if (writer == NULL)
        return DEP_FAIL(ARENA_FULL);
    writer->config = *config;
    writer->tail = &writer->head;
    (void)pthread_mutex_init(&writer->mutex, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&writer->has_work, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (pthread_create(&writer->thread, NULL, run, writer) != 0) {
        free(writer);
        return DEP_FAIL(OVERLOADED);
    }
    *ret_writer = writer;
    return DEP_OK;
}

struct dep_res dep_writer_push(struct dep_writer *writer, struct dep_job *job)
{
    struct dep_res res = DEP_OK;
    bool must_wake = false;

    (void)pthread_mutex_lock(&writer->mutex);
    if (writer->is_stopping) {
        res = DEP_FAIL(SHUTTING_DOWN);
    } else if (writer->waiting >= writer->config.waiting_max) {
        res = DEP_FAIL(OVERLOADED);
    } else {
        job->next = NULL;
        *writer->tail = job;
        writer->tail = &job->next;
        writer->waiting++;
        must_wake = writer->is_idle && writer->waiting == 1;
    }
    (void)pthread_mutex_unlock(&writer->mutex);
    if (must_wake)
        (void)pthread_cond_signal(&writer->has_work);
    return res;
}

void dep_writer_stop(struct dep_writer *writer)
{
    if (writer == NULL)
        return;
    (void)pthread_mutex_lock(&writer->mutex);
    writer->is_stopping = true;
    (void)pthread_cond_signal(&writer->has_work);
    (void)pthread_mutex_unlock(&writer->mutex);
    (void)pthread_join(writer->thread, NULL);
    (void)pthread_cond_destroy(&writer->has_work);
    (void)pthread_mutex_destroy(&writer->mutex);
    free(writer);
}

uint64_t dep_writer_commits(const struct dep_writer *writer)
{
    return writer->commits;
}

uint64_t dep_writer_records(const struct dep_writer *writer)
{
    return writer->records;
}

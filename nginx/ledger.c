/* The ledger on nginx's threads. */
#include "ledger.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "wake.h"

/* What an entry's answer and its opened form take, and texts of our own. */
#define ROOM (2 * (DEP_IDEMPOTENCY_BODY_MAX + 32768) + 4096)

struct dep_nginx_ledger *dep_nginx_ledger_claim(ngx_conf_t *cf, struct dep_nginx_ledger **all, ngx_str_t path)
{
    struct dep_nginx_ledger *ledger;

    if (ngx_conf_full_name(cf->cycle, &path, 0) != NGX_OK)
        return NULL;
    for (ledger = *all; ledger != NULL; ledger = ledger->next)
        if (ledger->path.len == path.len && ngx_memcmp(ledger->path.data, path.data, path.len) == 0)
            return ledger;
    ledger = ngx_pcalloc(cf->pool, sizeof(*ledger));
    if (ledger == NULL)
        return NULL;
    ledger->path = path;
    ledger->pool = ngx_thread_pool_add(cf, NULL);
    if (ledger->pool == NULL)
        return NULL;
    ledger->next = *all;
    *all = ledger;
    return ledger;
}

void dep_nginx_ledgers_start(ngx_cycle_t *cycle, struct dep_nginx_ledger *all)
{
    const struct dep_ledger_limits limits = dep_ledger_limits_default();

    for (struct dep_nginx_ledger *one = all; one != NULL; one = one->next) {
        pthread_mutex_init(&one->lock, NULL);
        one->crypto = dep_crypto_new();
        if (one->crypto == NULL ||
            !dep_is_ok(dep_ledger_sqlite_new((const char *)one->path.data, &limits, &one->ledger)))
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "deputy_idempotency_ledger \"%V\" cannot be opened; may the worker write in its directory? "
                          "Writes with a key are answered with 503",
                          &one->path);
    }
}

void dep_nginx_ledgers_stop(struct dep_nginx_ledger *all)
{
    for (struct dep_nginx_ledger *one = all; one != NULL; one = one->next) {
        dep_ledger_free(one->ledger);
        dep_crypto_free(one->crypto);
        one->ledger = NULL;
        one->crypto = NULL;
        pthread_mutex_destroy(&one->lock);
    }
}

struct dep_nginx_job *dep_nginx_job_new(struct dep_nginx_ledger *ledger, enum dep_nginx_job_kind kind, size_t room)
{
    size_t head = (sizeof(struct dep_nginx_job) + 15) & ~(size_t)15;
    size_t bytes = room + (kind == DEP_NGINX_BEGIN || kind == DEP_NGINX_COMPLETE ? ROOM : 0);
    struct dep_nginx_job *job = calloc(1, head + bytes);

    if (job == NULL)
        return NULL;
    dep_arena_init_zero(&job->arena, (char *)job + head, bytes);
    job->kind = kind;
    job->ledger = ledger;
    job->body_fd = -1;
    job->now = (int64_t)time(NULL);
    job->policy = dep_idempotency_policy_default();
    return job;
}

void dep_nginx_job_free(struct dep_nginx_job *job)
{
    if (job->hold != NULL)
        dep_nginx_wait_free(job->hold);
    if (job->body_fd >= 0)
        close(job->body_fd);
    dep_wipe(&job->names, sizeof(job->names));
    free(job);
}

/* ---- on a thread ---- */

static struct dep_res name_it(struct dep_nginx_job *job)
{
    struct dep_nginx_ledger *ledger = job->ledger;
    void *map = NULL;
    off_t start = job->body_at & ~((off_t)sysconf(_SC_PAGESIZE) - 1);
    size_t len = job->body_len + (size_t)(job->body_at - start);
    struct dep_res res;

    if (job->body_fd >= 0 && job->body_len > 0) {
        map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, job->body_fd, start);
        if (map == MAP_FAILED)
            return DEP_FAIL(STORE_IO);
        job->what.body = dep_str((const char *)map + (job->body_at - start), job->body_len);
    }
    pthread_mutex_lock(&ledger->lock);
    res = dep_idempotency_name(ledger->crypto, &job->policy, &job->what, &job->names);
    pthread_mutex_unlock(&ledger->lock);
    if (map != NULL)
        munmap(map, len);
    return res;
}

static struct dep_res run_begin(struct dep_nginx_job *job)
{
    struct dep_idempotency_entry entry;

    DEP_TRY(name_it(job));
    DEP_TRY(dep_ledger_begin(job->ledger->ledger, &job->names, job->now, &job->arena, &entry));
    job->ticket = entry.ticket;
    job->decision = dep_idempotency_decide(&job->policy, &job->names, &entry, job->now);
    if (job->decision.verdict == DEP_IDEMPOTENCY_REPLAY)
        return dep_idempotency_answer_open(&job->arena, &job->names, entry.answer, &job->answer);
    return DEP_OK;
}

static struct dep_res run_complete(struct dep_nginx_job *job)
{
    struct dep_str sealed = DEP_STR_ABSENT;

    if (job->is_kept && !dep_is_ok(dep_idempotency_answer_seal(&job->arena, &job->names, &job->answer, &sealed)))
        sealed = DEP_STR_ABSENT;
    return dep_ledger_complete(job->ledger->ledger, job->names.scope, job->ticket, job->status, sealed);
}

static void run(void *data, ngx_log_t *log)
{
    struct dep_nginx_job *job = data;
    struct dep_ledger *ledger = job->ledger->ledger;

    (void)log;
    switch (job->kind) {
    case DEP_NGINX_BEGIN:
        job->res = run_begin(job);
        break;
    case DEP_NGINX_COMPLETE:
        job->res = run_complete(job);
        if (!dep_is_ok(job->res))
            (void)dep_is_ok(dep_ledger_lose(ledger, job->names.scope, job->ticket));
        break;
    case DEP_NGINX_ABANDON:
        job->res = dep_ledger_abandon(ledger, job->names.scope, job->ticket);
        break;
    case DEP_NGINX_LOSE:
        job->res = dep_ledger_lose(ledger, job->names.scope, job->ticket);
        break;
    }
}

/* ---- on the event loop ---- */

static void finished(ngx_event_t *event)
{
    struct dep_nginx_job *job = event->data;

    if (!dep_is_ok(job->res) && job->kind != DEP_NGINX_BEGIN)
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "deputy: the ledger was not told how a write ended: %s",
                      dep_err_text(job->res.err));
    job->done(job);
}

ngx_int_t dep_nginx_job_post(struct dep_nginx_job *job, ngx_http_request_t *request)
{
    if (job->ledger->ledger == NULL)
        return NGX_ERROR;
    job->hold = dep_nginx_wait_new(NULL);
    if (job->hold == NULL)
        return NGX_ERROR;
    job->request = request;
    job->task.ctx = job;
    job->task.handler = run;
    job->task.event.handler = finished;
    job->task.event.data = job;
    job->task.event.log = ngx_cycle->log;
    return ngx_thread_task_post(job->ledger->pool, &job->task);
}

void dep_nginx_job_end(struct dep_nginx_ledger *ledger, enum dep_nginx_job_kind kind,
                       const struct dep_idempotency_names *names, int64_t ticket, int status)
{
    struct dep_nginx_job *job = dep_nginx_job_new(ledger, kind, 0);

    if (job == NULL)
        return;
    job->names = *names;
    job->ticket = ticket;
    job->status = status;
    job->done = dep_nginx_job_free;
    if (dep_nginx_job_post(job, NULL) != NGX_OK)
        dep_nginx_job_free(job);
}

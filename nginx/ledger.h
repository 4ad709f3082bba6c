/* The ledgers of a worker process, and work on them, which is done by nginx's threads: a disk may be slow.
 *
 * Invariants:
 *  (1) A job belongs to the thread that runs it until it is done; only the event loop looks at its request.
 *  (2) A request that ends while its job runs is taken out of it. A write that was begun for it and not run is abandoned. */
#ifndef DEP_NGINX_LEDGER_H
#define DEP_NGINX_LEDGER_H

#include "module.h"
#include "proto/idempotency_answer.h"
#include "store/ledger.h"

/* Of the configuration; the lower half of a worker. */
struct dep_nginx_ledger {
    struct dep_nginx_ledger *next;
    ngx_str_t path;
    ngx_thread_pool_t *pool;
    struct dep_ledger *ledger; /* NULL: it cannot be opened, and nothing is run */
    struct dep_crypto *crypto; /* under the lock */
    pthread_mutex_t lock;
};

enum dep_nginx_job_kind { DEP_NGINX_BEGIN, DEP_NGINX_COMPLETE, DEP_NGINX_ABANDON, DEP_NGINX_LOSE };

struct dep_nginx_job {
    ngx_thread_task_t task;
    enum dep_nginx_job_kind kind;
    struct dep_nginx_ledger *ledger;
    ngx_http_request_t *request; /* that waits; NULL: none does */
    struct dep_nginx_wait *hold; /* keeps a draining worker */
    void (*done)(struct dep_nginx_job *job);
    struct dep_idempotency_policy policy;
    struct dep_idempotency_names names;
    int64_t ticket;
    int64_t now;
    struct dep_res res;
    struct dep_arena arena; /* in the job's own memory */

    struct dep_idempotency_request what; /* BEGIN; its texts are in the arena, but for a body that is in a file */
    int body_fd;                         /* -1: none */
    off_t body_at;
    size_t body_len;
    struct dep_idempotency_decision decision; /* of BEGIN */
    struct dep_idempotency_answer answer;     /* REPLAY: kept; COMPLETE: to be kept, when `is_kept` */
    bool is_kept;
    int status; /* COMPLETE */
};

/* The ledger with this path, made when there is none. NULL when the configuration can not have it. */
struct dep_nginx_ledger *dep_nginx_ledger_claim(ngx_conf_t *cf, struct dep_nginx_ledger **all, ngx_str_t path);
/* In a worker. A ledger that can not be opened is told in the log, and its locations answer 503. */
void dep_nginx_ledgers_start(ngx_cycle_t *cycle, struct dep_nginx_ledger *all);
void dep_nginx_ledgers_stop(struct dep_nginx_ledger *all);

/* With `room` bytes beside what every job needs. NULL when out of memory. */
struct dep_nginx_job *dep_nginx_job_new(struct dep_nginx_ledger *ledger, enum dep_nginx_job_kind kind, size_t room);
void dep_nginx_job_free(struct dep_nginx_job *job);
/* Takes the job and calls `done` when it has run, on the event loop; `done` frees it. NGX_ERROR: the job stays the caller's. */
ngx_int_t dep_nginx_job_post(struct dep_nginx_job *job, ngx_http_request_t *request);
/* A job that nobody waits for. When it can not be had, the entry stays begun: it will be told as unknown. */
void dep_nginx_job_end(struct dep_nginx_ledger *ledger, enum dep_nginx_job_kind kind,
                       const struct dep_idempotency_names *names, int64_t ticket, int status);

#endif

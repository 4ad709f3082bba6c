/* deputy_idempotency: writes with an Idempotency-Key are run once (docs/adr/0016). */
#ifndef DEP_NGINX_ONCE_H
#define DEP_NGINX_ONCE_H

#include "ledger.h"
#include "state.h"

enum dep_nginx_once_mode { DEP_NGINX_ONCE_OFF, DEP_NGINX_ONCE_ON, DEP_NGINX_ONCE_REQUIRED };

enum dep_nginx_once_step {
    DEP_NGINX_ONCE_READS,   /* the body comes in */
    DEP_NGINX_ONCE_WAITS,   /* for the ledger: may it be run? */
    DEP_NGINX_ONCE_KNOWS,   /* `begun` has the decision */
    DEP_NGINX_ONCE_RUNS,    /* the upstream has it */
    DEP_NGINX_ONCE_GATHERS, /* the answer comes in and is held back */
    DEP_NGINX_ONCE_HOLDS,   /* the whole answer waits for the ledger */
    DEP_NGINX_ONCE_ANSWERS, /* the ledger has it: it may go */
    DEP_NGINX_ONCE_PASSES,  /* an answer that is not kept goes through */
    DEP_NGINX_ONCE_IS_OVER,
};

/* Of one request, in its pool. */
struct dep_nginx_once {
    enum dep_nginx_once_step step;
    struct dep_nginx_ledger *ledger;
    struct dep_str key;
    bool is_lenient;
    struct dep_nginx_job *job; /* that runs for this request, or has begun it */
    struct dep_idempotency_names names;
    int64_t ticket;
    struct dep_idempotency_answer answer;
    u_char *body;
    size_t body_len;
};

/* Of the configuration: deputy_idempotency off|on|required [bare]. */
char *dep_nginx_set_once(ngx_conf_t *cf, ngx_command_t *command, void *conf);
char *dep_nginx_once_merge(ngx_conf_t *cf, struct dep_nginx_location *location, const struct dep_nginx_location *above);

/* The phase handler, after the guard's. */
ngx_int_t dep_nginx_once(ngx_http_request_t *request);
/* The request ends. A write that was begun and did not end is lost. */
void dep_nginx_once_forget(struct dep_nginx_once *once);

/* once_answer.c: the filters. */
void dep_nginx_once_filters(void);
/* Idempotency-Retention on an answer that is on its way. */
ngx_int_t dep_nginx_once_retention(ngx_http_request_t *request);

#endif

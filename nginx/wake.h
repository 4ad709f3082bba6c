/* Requests that wait for another thread, and how they come back to nginx's event loop.
 *
 * Invariants:
 *  (1) A wait belongs to the thread that will wake it until it has; only the event loop looks at its request.
 *  (2) A request that ends while it waits is taken out of its wait, which then wakes nobody.
 *  (3) A worker that drains does not exit while somebody waits. */
#ifndef DEP_NGINX_WAKE_H
#define DEP_NGINX_WAKE_H

#include "module.h"

struct dep_nginx_wait {
    struct dep_keys_waiter keys;      /* one of these two is what it waits for */
    struct dep_journal_waiter record; /* */
    struct dep_nginx_wait *next;      /* of those that are awake */
    ngx_http_request_t *request;      /* NULL: it has ended */
    bool is_written;                  /* the record is safe */
};

/* What goes on with a request that woke up; the wait is freed afterwards. */
typedef void dep_nginx_resume(ngx_http_request_t *request, const struct dep_nginx_wait *wait);

/* In a worker, before anything waits. */
ngx_int_t dep_nginx_wake_start(ngx_cycle_t *cycle, dep_nginx_resume *resume);
/* When no other thread is left. */
void dep_nginx_wake_stop(void);

/* For the request's keys or record. NULL when out of memory. */
struct dep_nginx_wait *dep_nginx_wait_new(ngx_http_request_t *request);
/* For one that nothing waits for after all. */
void dep_nginx_wait_free(struct dep_nginx_wait *wait);
void dep_nginx_wait_orphan(struct dep_nginx_wait *wait);

#endif

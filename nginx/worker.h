/* The guards of a worker process. */
#ifndef DEP_NGINX_WORKER_H
#define DEP_NGINX_WORKER_H

#include "module.h"

/* Hooks of nginx: at the start and the end of a worker. A guard that cannot start answers 503, other locations serve. */
ngx_int_t dep_nginx_worker_start(ngx_cycle_t *cycle);
void dep_nginx_worker_stop(ngx_cycle_t *cycle);

#endif

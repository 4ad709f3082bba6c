/* Answers that the guard gives itself. */
#ifndef DEP_NGINX_ANSWER_H
#define DEP_NGINX_ANSWER_H

#include "module.h"

/* A copy in the request's pool. NGX_ERROR when out of memory. */
ngx_int_t dep_nginx_answer_copy(ngx_http_request_t *request, const struct dep_net_answer *answer,
                                struct dep_net_answer *ret_copy);
/* One more header for whatever answer the client will get. Its texts outlive the request. */
ngx_int_t dep_nginx_answer_header(ngx_http_request_t *request, struct dep_header sent);
/* Sends and finalizes; what it gives is for nginx: the request is over. */
ngx_int_t dep_nginx_answer_send(ngx_http_request_t *request, const struct dep_net_answer *answer);
/* 503: the guard has trouble of its own. `id` may be absent. */
ngx_int_t dep_nginx_answer_trouble(ngx_http_request_t *request, struct dep_str id);

#endif

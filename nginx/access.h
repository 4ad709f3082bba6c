/* The guard of a request. */
#ifndef DEP_NGINX_ACCESS_H
#define DEP_NGINX_ACCESS_H

#include "wake.h"

/* Handler of the phase: lets the request on, refuses it, or lets it wait. */
ngx_int_t dep_nginx_access(ngx_http_request_t *request);
/* A request that has waited goes on. */
dep_nginx_resume dep_nginx_access_resume;

#endif

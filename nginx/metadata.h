/* The protected-resource metadata of a server's resources (RFC 9728 section 3). */
#ifndef DEP_NGINX_METADATA_H
#define DEP_NGINX_METADATA_H

#include "module.h"

ngx_int_t dep_nginx_metadata(ngx_http_request_t *request);

#endif

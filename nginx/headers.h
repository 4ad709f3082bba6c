/* The client's headers: as the guard reads them, and as the upstream gets them. */
#ifndef DEP_NGINX_HEADERS_H
#define DEP_NGINX_HEADERS_H

#include "state.h"

/* All of them, duplicates included, in the request's pool. NGX_ERROR when out of memory. */
ngx_int_t dep_nginx_headers_read(ngx_http_request_t *request, const ngx_list_t *sent, struct dep_guard_request *ret);
/* The identity headers in, and out what a client may not say itself and what is not for the upstream: Deputy-*,
 * Authorization, DPoP, and Client-Cert where nginx knows the certificate itself. Without a state (nothing is guarded here)
 * only Deputy-* goes. */
ngx_int_t dep_nginx_headers_replace(ngx_http_request_t *request, const struct dep_nginx_location *location,
                                    const struct dep_nginx_state *state);

/* "Deputy-Subject" and the others, in the order of the decision. */
const ngx_str_t *dep_nginx_identity_name(size_t index);

#endif

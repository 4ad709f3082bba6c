/* The certificate with which a client came over TLS. */
#ifndef DEP_NGINX_CERTIFICATE_H
#define DEP_NGINX_CERTIFICATE_H

#include "module.h"

/* In DER, in the request's pool; absent when it came without one, or not over TLS. NGX_ERROR: no memory. Whether nginx has
 * verified it is for ssl_verify_client to say; that the client has its key, the handshake has shown. */
ngx_int_t dep_nginx_certificate(ngx_http_request_t *request, struct dep_str *ret_der);

#endif

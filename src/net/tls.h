/* TLS of the HTTP server: its certificate and key, which may be replaced while it serves, and the certificates of its clients. By GnuTLS,
 * which is what libmicrohttpd speaks TLS with. TLS 1.2 and 1.3, forward secrecy, authenticated encryption. */
#ifndef DEP_NET_TLS_H
#define DEP_NET_TLS_H

#include "base/res.h"
#include "base/secret.h"
#include "base/str.h"

struct dep_net_tls;

/* A certificate with those that lead up to its authority behind it, and its key, both PEM. DEP_ERR_NET_TLS: one of them cannot be read, they
 * do not belong together, the HTTP library has no TLS. The caller frees, after the server that uses it. */
DEP_MUST struct dep_res dep_net_tls_new(struct dep_str certificates, struct dep_secret key,
                                        struct dep_net_tls **ret_tls);
/* The same for the handshakes from now on; connections that are open stay as they are. On failure nothing has changed. */
DEP_MUST struct dep_res dep_net_tls_replace(struct dep_net_tls *tls, struct dep_str certificates,
                                            struct dep_secret key);
void dep_net_tls_free(struct dep_net_tls *tls);

#endif

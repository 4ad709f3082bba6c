/* How the HTTP server uses TLS. Not for other folders. */
#ifndef DEP_NET_TLS_SESSION_H
#define DEP_NET_TLS_SESSION_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "net/tls.h"

#define DEP_NET_TLS_PRIORITIES                                                                                       \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-" \
    "ALL:+AEAD:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%SERVER_PRECEDENCE"

/* Prepares a session before its handshake: whose certificate it shows, and whether it asks for one, which the client may leave out. */
void dep_net_tls_begin(struct dep_net_tls *tls, gnutls_session_t session, bool asks_certificate);
/* gnutls_certificate_retrieve_function2: the certificate of the moment. */
int dep_net_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int authorities_count,
                         const gnutls_pk_algorithm_t *algorithms, int algorithms_count,
                         gnutls_pcert_st **ret_certificates, unsigned *ret_count, gnutls_privkey_t *ret_key);
/* The client's certificate in DER, as long as the session lives; absent: it showed none. That it has the key was seen in the handshake;
 * whose it is was not looked at. */
struct dep_str dep_net_tls_peer(gnutls_session_t session);

#endif

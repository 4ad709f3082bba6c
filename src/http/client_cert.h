/* The Client-Cert header field of a proxy that ended the TLS connection (RFC 9440 section 2). Whether the peer is such a
 * proxy is for the caller to know: a header that anybody may send proves nothing. */
#ifndef DEP_HTTP_CLIENT_CERT_H
#define DEP_HTTP_CLIENT_CERT_H

#include "base/arena.h"
#include "base/res.h"

#define DEP_CLIENT_CERT_HEADER DEP_STR("Client-Cert")
/* Bytes of the certificate in DER. */
#define DEP_CLIENT_CERT_MAX 8192u

/* The DER of `:base64:`, or of one certificate as PEM in percent-encoding, which is all that nginx ($ssl_client_escaped_cert) and Envoy
 * (%DOWNSTREAM_PEER_CERT%) can write; into the arena; it is not parsed. Parameters, a list, an empty sequence, base64 without its
 * padding or with stray bits, a chain, text around the PEM, and more than DEP_CLIENT_CERT_MAX bytes: DEP_ERR_HTTP_CLIENT_CERT. */
DEP_MUST struct dep_res dep_client_cert_parse(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_der);

#endif

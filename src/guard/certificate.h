/* Tokens that are bound to the client's certificate, at the guard (RFC 8705 section 3). */
#ifndef DEP_GUARD_CERTIFICATE_H
#define DEP_GUARD_CERTIFICATE_H

#include "base/arena.h"
#include "base/res.h"
#include "crypto/crypto.h"

/* Who says with which certificate the client has come. */
enum dep_guard_certificates {
    DEP_GUARD_CERTIFICATES_NONE,  /* nobody: tokens that are bound to one are refused */
    DEP_GUARD_CERTIFICATES_TLS,   /* this process ended the TLS connection: `certificate` of the request */
    DEP_GUARD_CERTIFICATES_HEADER /* the proxy in front did, and writes Client-Cert (RFC 9440), never the caller */
};

/* DEP_OK when `x5t`, a token's cnf.x5t#S256, is the thumbprint of the certificate. DEP_ERR_TOKEN_NO_CERTIFICATE when `der` is absent or
 * blank, DEP_ERR_TOKEN_CERTIFICATE when it is another one. Whether the certificate is to be trusted is not asked: what counts is that
 * the client has its key, and that was shown in the handshake. */
DEP_MUST struct dep_res dep_guard_certificate_check(struct dep_crypto *crypto, struct dep_str der, struct dep_str x5t);
/* The certificate that `header`, a value of Client-Cert, brings; absent when it is blank: the client has none. DEP_ERR_HTTP_CLIENT_CERT.
 */
DEP_MUST struct dep_res dep_guard_certificate_read(struct dep_arena *arena, struct dep_str header,
                                                   struct dep_str *ret_der);

#endif

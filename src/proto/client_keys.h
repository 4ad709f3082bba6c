/* The certificates and keys of a client that authenticates by a certificate of its own making (RFC 8705 section 2.2). */
#ifndef DEP_PROTO_CLIENT_KEYS_H
#define DEP_PROTO_CLIENT_KEYS_H

#include "crypto/certificate.h"

/* Whether the certificate is one of a registered JWK Set: the first of a key's x5c, byte for byte, or, of a key without x5c, one with
 * that public key. False for a set that cannot be read. */
bool dep_client_keys_have(struct dep_crypto *crypto, struct dep_arena *arena, struct dep_str jwks,
                          const struct dep_certificate *certificate, struct dep_str der);
/* Whether such a set may be registered: every x5c begins with a certificate of its own key (rfc7517#4.7). DEP_ERR_CRYPTO_CERTIFICATE,
 * or what is wrong with the set. */
DEP_MUST struct dep_res dep_client_keys_check(struct dep_crypto *crypto, struct dep_arena *arena, struct dep_str jwks);

#endif

/* What an X.509 certificate says about its holder (RFC 5280), as far as OAuth asks (RFC 8705). Nothing here says that the
 * certificate is to be trusted: whoever ended the TLS connection has checked its chain and that the peer has its key. */
#ifndef DEP_CRYPTO_CERTIFICATE_H
#define DEP_CRYPTO_CERTIFICATE_H

#include "crypto/crypto.h"

#define DEP_CERTIFICATE_MAX 8192u /* bytes of DER */
#define DEP_CERTIFICATE_SANS_MAX 64u

enum dep_san_kind { DEP_SAN_DNS, DEP_SAN_URI, DEP_SAN_IP, DEP_SAN_EMAIL };

/* Printable ASCII without spaces, as it stands in the certificate: a wildcard is a literal text. An IP address is its 4 or 16
 * bytes. */
struct dep_san {
    enum dep_san_kind kind;
    struct dep_str value;
};

struct dep_certificate {
    unsigned char thumbprint[DEP_SHA256_LEN]; /* of the DER: base64url of it is x5t#S256 (rfc8705#3.1) */
    struct dep_str subject;                   /* RFC 4514, UTF-8; absent when empty */
    struct dep_san sans[DEP_CERTIFICATE_SANS_MAX];
    size_t sans_count;             /* names of other kinds are left out */
    int64_t not_before, not_after; /* seconds since 1970, both inclusive */
    bool has_key;                  /* false: of a kind that we do not use */
    enum dep_kty kty;
    struct dep_str x, y; /* raw parts, as of dep_private_key_parts() */
};

/* One certificate in DER and nothing behind it; texts live in the arena. DEP_ERR_CRYPTO_CERTIFICATE: not DER (an encoding that is
 * not the one DER has for it included), too large, more than DEP_CERTIFICATE_SANS_MAX names, a name with bytes that no such name
 * has, subjectAltName twice. */
DEP_MUST struct dep_res dep_certificate_parse(struct dep_crypto *crypto, struct dep_arena *arena, struct dep_str der,
                                              struct dep_certificate *ret_certificate);

#endif

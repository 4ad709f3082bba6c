/* Authorities that vouch for certificates of TLS clients (RFC 5280 section 6). */
#ifndef DEP_CRYPTO_TRUST_H
#define DEP_CRYPTO_TRUST_H

#include "crypto/crypto.h"

#define DEP_TRUST_AUTHORITIES_MAX 64u

/* Immutable, on the heap, shared by threads. */
struct dep_trust;

/* The authorities of a PEM text; other blocks and remarks are passed over. Each is trusted for what it signs, whoever stands above it.
 * DEP_ERR_CRYPTO_CERTIFICATE: none, more than DEP_TRUST_AUTHORITIES_MAX, one that cannot be read or is not an authority's. The caller
 * frees. */
DEP_MUST struct dep_res dep_trust_new(struct dep_str pem, struct dep_trust **ret_trust);
void dep_trust_free(struct dep_trust *trust);
/* Whether an authority vouches at `now` (Unix seconds) for this certificate in DER as one of a TLS client: signatures, times, purpose,
 * name constraints, keys and hashes of 112 bits of strength. Authorities between it and the trusted ones stand among the latter or
 * nowhere. Revocation lists are not looked at. DEP_ERR_CRYPTO_CERTIFICATE, DEP_ERR_CRYPTO_CERTIFICATE_CHAIN. */
DEP_MUST struct dep_res dep_trust_check(const struct dep_trust *trust, struct dep_str der, int64_t now);

#endif

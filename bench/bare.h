/* One ES256 verification by OpenSSL alone, with the key and its context at hand: what the rows "one ES256 verify" measure. Nothing
 * of ours makes it faster. */
#ifndef DEP_BENCH_BARE_H
#define DEP_BENCH_BARE_H

#include "crypto/crypto.h"

#define BARE_DER_MAX 72u

struct bare;

/* NULL when the library refuses. */
struct bare *bare_new(struct dep_str x, struct dep_str y);
void bare_free(struct bare *bare);
/* The form that the library reads, of r and s one after the other. Returns its length. */
size_t bare_der(struct dep_str signature, unsigned char ret_der[BARE_DER_MAX]);
bool bare_verify(struct bare *bare, const unsigned char digest[DEP_SHA256_LEN], const unsigned char *der, size_t len);

#endif

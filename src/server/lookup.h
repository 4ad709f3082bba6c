/* One issuer's keys being looked up: the issuer's metadata (OpenID Connect Discovery section 4, RFC 8414 section 3), then its JWK Set. A
 * lookup never waits: its owner moves the fetcher on, and steps the lookup when a transfer has ended. */
#ifndef DEP_SERVER_LOOKUP_H
#define DEP_SERVER_LOOKUP_H

#include "jose/jwk.h"
#include "net/fetch.h"

#define DEP_LOOKUP_TIMEOUT_MS 4500 /* for all documents of one issuer together (F11) */

/* What all lookups of a thread share. */
struct dep_lookup_tools {
    struct dep_crypto *crypto;
    struct dep_fetcher *fetcher;
    struct dep_arena arena; /* for the length of one step */
    bool may_loopback;
    const char *ca_file; /* NULL: the system's authorities */
};

enum dep_lookup_step { DEP_LOOKUP_OPENID, DEP_LOOKUP_OAUTH, DEP_LOOKUP_KEYS };

struct dep_lookup {
    struct dep_fetch_transfer *transfer; /* NULL: over */
    enum dep_lookup_step step;
    int64_t deadline_ms;  /* monotonic */
    struct dep_jwks *set; /* what was found, the taker's; NULL: nothing */
};

/* `jwks_uri` absent: by discovery. */
void dep_lookup_begin(struct dep_lookup *lookup, struct dep_lookup_tools *tools, struct dep_str issuer,
                      struct dep_str jwks_uri, int64_t now_ms);
/* After the transfer has ended: the next one, or none. */
void dep_lookup_next(struct dep_lookup *lookup, struct dep_lookup_tools *tools, struct dep_str issuer, int64_t now_ms);
/* Ends it wherever it is. */
void dep_lookup_cancel(struct dep_lookup *lookup);

#endif

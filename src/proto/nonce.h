/* DPoP nonces (RFC 9449 section 8) without state: base64url of the minting time and an HMAC over it. Good for two windows. */
#ifndef DEP_PROTO_NONCE_H
#define DEP_PROTO_NONCE_H

#include "base/arena.h"
#include "base/res.h"
#include "crypto/crypto.h"

#define DEP_NONCE_LEN 32u /* 24 bytes: 8 of time, 16 of MAC */

struct dep_nonce_policy {
    struct dep_secret key; /* 32 bytes; servers and guards have different ones */
    struct dep_str
        purpose;      /* the token endpoint's URL, or "guard " and the resource: a nonce of one is none of the other */
    int64_t window_s; /* 60 */
};

/* The nonce of this window, into the arena. */
struct dep_str dep_nonce_make(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_nonce_policy *policy,
                              int64_t now);
/* DEP_ERR_DPOP_NONCE when it is not ours or too old. `*ret_minted` is the start of its window, not before the second it was made in:
 * the time written into it. */
DEP_MUST struct dep_res dep_nonce_check(struct dep_crypto *crypto, const struct dep_nonce_policy *policy,
                                        struct dep_str nonce, int64_t now, int64_t *ret_minted);

#endif

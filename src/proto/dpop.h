/* DPoP proofs (RFC 9449): one check for the token endpoint and for every guarded resource. */
#ifndef DEP_PROTO_DPOP_H
#define DEP_PROTO_DPOP_H

#include "jose/jws.h"
#include "proto/nonce.h"
#include "proto/replay.h"

struct dep_dpop_policy {
    int64_t age_max_s; /* 60 */
    int64_t skew_s;    /* 10 */
    int64_t fence;     /* proofs with iat <= fence + skew need a nonce minted after it; 0: no fence */
    bool needs_nonce;  /* always ask for a nonce */
    unsigned algs;     /* DEP_ALG_BIT()s; 0: DEP_ALGS_DPOP */
    const struct dep_nonce_policy *nonce;
};

/* What the proof has to fit. */
struct dep_dpop_request {
    struct dep_str proof; /* the one DPoP header */
    struct dep_str method;
    struct dep_str url;       /* the request's URL from trusted configuration, normalised by dep_url_normalise() */
    struct dep_str token;     /* the access token presented with it; absent at the token endpoint */
    struct dep_str bound_jkt; /* the token's cnf.jkt; absent at the token endpoint */
};

struct dep_dpop {
    struct dep_str jkt; /* the proof key's thumbprint, text */
    unsigned char replay_key[DEP_REPLAY_KEY_BYTES];
    int64_t iat;
    int64_t replay_until; /* the last second at which the proof could be accepted */
    int64_t nonce_minted; /* of the nonce in it; 0: it had none */
};

/* A nonce that is good from now on, past the fence too. */
struct dep_str dep_dpop_nonce(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_dpop_policy *policy,
                              int64_t now);
/* The nonce to send with a success (rfc9449#8.2): when every proof needs one, or the one used here is in its last window;
 * absent otherwise. */
struct dep_str dep_dpop_next_nonce(struct dep_arena *arena, struct dep_crypto *crypto,
                                   const struct dep_dpop_policy *policy, const struct dep_dpop *dpop, int64_t now);

/* All checks of RFC 9449 section 4.3 but uniqueness, which the caller settles last with `replay_key`. Failures are DEP_ERR_DPOP_
 * reasons; a key other than the token's is DEP_ERR_TOKEN_BINDING. */
DEP_MUST struct dep_res dep_dpop_check(struct dep_arena *arena, struct dep_crypto *crypto,
                                       const struct dep_dpop_policy *policy, const struct dep_dpop_request *request,
                                       int64_t now, struct dep_dpop *ret_dpop);
/* Writes a proof: for `deputy` and for tests. `token` and `nonce` may be absent. `random` gives 16 bytes for the jti. */
DEP_MUST struct dep_res dep_dpop_sign(struct dep_arena *arena, struct dep_crypto *crypto,
                                      const struct dep_private_key *key, struct dep_str method, struct dep_str url,
                                      struct dep_str token, struct dep_str nonce, int64_t now,
                                      const unsigned char random[16], struct dep_str *ret_proof);

#endif

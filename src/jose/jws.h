/* Compact JWS and JWT (RFC 7515, RFC 7519, RFC 8725 and its revision). Order of checks: size, three segments, strict
 * base64url, JSON, typ, alg on the list of this place, key by kid with the same alg, signature, claims; replay comes
 * after all of them. */
#ifndef DEP_JOSE_JWS_H
#define DEP_JOSE_JWS_H

#include "base/json.h"
#include "crypto/crypto.h"
#include "jose/jwk.h"

/* The bound of what comes with a request: tokens, assertions, proofs. */
#define DEP_JWS_BYTES_MAX 16384u

/* What one place accepts. Constant data. */
struct dep_jws_rules {
    size_t bytes_max;
    unsigned algs;              /* DEP_ALG_BIT()s */
    const struct dep_str *typs; /* accepted values without "application/", compared without case; count below */
    size_t typs_count;
    bool may_lack_typ; /* only client assertions, whose older clients send none */
    bool
        may_have_x5t; /* tokens of platforms (GitHub, Entra): a thumbprint of a certificate is a name, and is not looked at */
    bool takes_jwk; /* only DPoP proofs: a jwk header is required; everywhere else it is refused */
};

struct dep_jws {
    enum dep_alg alg;
    struct dep_str kid; /* absent when there is none */
    struct dep_str typ;
    const struct dep_json *jwk; /* the jwk header where the rules take it, else NULL */
    const struct dep_json *header;
    struct dep_str signing_input;
    struct dep_str payload;   /* decoded */
    struct dep_str signature; /* decoded */
};

/* Takes the token apart and checks the header by the rules. jku, x5u, x5c, crit, b64 are refused everywhere, x5t but where the rules take it. Nothing is
 * verified yet. */
DEP_MUST struct dep_res dep_jws_parse(struct dep_arena *arena, struct dep_str token, const struct dep_jws_rules *rules,
                                      struct dep_jws *ret_jws);
/* DEP_ERR_JWS_KEY_ALG when the token's alg is not `alg`, the one the key is registered for. */
DEP_MUST struct dep_res dep_jws_verify(struct dep_crypto *crypto, const struct dep_jws *jws, enum dep_alg alg,
                                       const struct dep_public_key *key);
/* The payload as a JSON object of at most 16 levels: DEP_ERR_JWT_CLAIMS or a JSON reason. */
DEP_MUST struct dep_res dep_jwt_claims(struct dep_arena *arena, const struct dep_jws *jws,
                                       const struct dep_json **ret_claims);

/* Times (RFC 7519 section 4.1.4-6). A token is good while now < exp + skew_s; nbf and iat may be at most skew_s ahead.
 * `lifetime_max_s` bounds exp - now, 0 for no bound. exp is required; iat too when `needs_iat`. */
struct dep_jwt_times {
    int64_t exp;
    int64_t iat; /* -1 when absent */
};
DEP_MUST struct dep_res dep_jwt_times(const struct dep_json *claims, int64_t now, int64_t skew_s,
                                      int64_t lifetime_max_s, bool needs_iat, struct dep_jwt_times *ret_times);
/* aud is a non-empty string, or a non-empty array of non-empty strings only: DEP_ERR_JWT_MISSING, DEP_ERR_JWT_AUD. */
DEP_MUST struct dep_res dep_jwt_aud_has(const struct dep_json *claims, struct dep_str audience);
/* aud is this one value and nothing else, as a string or an array of one (rfc7523bis section 4). */
DEP_MUST struct dep_res dep_jwt_aud_is(const struct dep_json *claims, struct dep_str audience);

/* Signs: writes header.payload.signature to `buf`. The header is {"alg","typ"[,"kid"][,"jwk"]}; `jwk_json` absent
 * leaves it out. */
DEP_MUST struct dep_res dep_jws_sign(struct dep_crypto *crypto, const struct dep_private_key *key, struct dep_str typ,
                                     struct dep_str kid, struct dep_str jwk_json, struct dep_str payload,
                                     struct dep_buf *buf);

#endif

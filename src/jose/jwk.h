/* JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037) and their thumbprints (RFC 7638). Public keys only, but for
 * writing. */
#ifndef DEP_JOSE_JWK_H
#define DEP_JOSE_JWK_H

#include "base/json.h"
#include "crypto/crypto.h"

#define DEP_JKT_LEN 43u /* base64url of a SHA-256 */
#define DEP_JWKS_KEYS_MAX 100u
#define DEP_JWKS_BYTES_MAX 65536u

struct dep_jwk {
    enum dep_kty kty;
    enum dep_alg alg;    /* the registered one; DEP_ALG_NONE when the member is absent */
    struct dep_str kid;  /* absent when there is none */
    struct dep_str x, y; /* raw bytes: EC x and y; OKP x; RSA n in x and e in y */
    struct dep_str
        x5c; /* the first certificate, base64 as it stands, unchecked; absent when there is none (rfc7517#4.7) */
    unsigned char thumbprint[DEP_SHA256_LEN];
};

/* Reads one public key. Private members (d p q dp dq qi oth k) of any type: DEP_ERR_JWK_PRIVATE; kty oct: the same.
 * `use` other than sig, `key_ops` without verify: DEP_ERR_JWK_USE. alg that does not fit kty: DEP_ERR_JWK_ALG.
 * Shapes are checked (lengths, minimal n); that the point is on the curve is checked when the key is imported. */
DEP_MUST struct dep_res dep_jwk_read(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_json *json,
                                     struct dep_jwk *ret_jwk);
/* base64url of the thumbprint, DEP_JKT_LEN characters. */
void dep_jwk_put_jkt(struct dep_buf *buf, const struct dep_jwk *jwk);
/* Makes the key (caller frees). The signature of dep_key_import, with a `const struct dep_jwk *` as source. */
DEP_MUST struct dep_res dep_jwk_import(const void *jwk, struct dep_public_key **ret_key);
/* Writes the public JWK of a private key with kid, alg and "use":"sig"; `kid` absent leaves all three out (DPoP's
 * jwk). */
DEP_MUST struct dep_res dep_jwk_put_public(struct dep_json_writer *writer, struct dep_arena *arena,
                                           const struct dep_private_key *key, struct dep_str kid);
/* The thumbprint of a private key's public half, as text in the arena. */
DEP_MUST struct dep_res dep_jwk_jkt_of(struct dep_arena *arena, struct dep_crypto *crypto,
                                       const struct dep_private_key *key, struct dep_str *ret_jkt);

/* A set of imported keys: immutable, on the heap, shareable by threads. */
struct dep_jwks_key {
    struct dep_str kid; /* absent when there is none */
    enum dep_alg alg;   /* the only algorithm this key is used with */
    struct dep_public_key *key;
    unsigned char thumbprint[DEP_SHA256_LEN];
};

struct dep_jwks {
    struct dep_jwks_key *keys;
    size_t count;
    char *kids; /* what the kid slices point into */
    size_t kids_len;
};

/* Reads a JWK Set. The set is refused as a whole for a symmetric or private key, a duplicate kid, more than
 * DEP_JWKS_KEYS_MAX keys, or a key that cannot be imported; unknown kty, crv and keys for encryption are passed over
 * (RFC 7517 section 5). A key without alg gets the only one its type has (EC ES256, OKP EdDSA), RSA gets RS256. The
 * caller frees. */
DEP_MUST struct dep_res dep_jwks_new(struct dep_crypto *crypto, struct dep_str text, struct dep_jwks **ret_jwks);
void dep_jwks_free(struct dep_jwks *jwks);
/* The key for a token: by kid when the token has one; without a kid only when exactly one key has this alg. NULL:
 * none. */
const struct dep_jwks_key *dep_jwks_find(const struct dep_jwks *jwks, struct dep_str kid, enum dep_alg alg);

#endif

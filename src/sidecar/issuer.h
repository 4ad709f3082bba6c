/* Documents of the issuer: metadata (RFC 8414) and JWK Set. */
#ifndef DEP_SIDECAR_ISSUER_H
#define DEP_SIDECAR_ISSUER_H

#include "jose/jwk.h"
#include "net/fetch.h"
#include "sidecar/sidecar.h"

#define DEP_ISSUER_DOCUMENT_MAX 65536u

/* One thread's means to ask the issuer. */
struct dep_issuer {
    const struct dep_sidecar_config *config;
    struct dep_fetcher *fetcher;
    struct dep_crypto *crypto;
    void *memory; /* of the arena */
    struct dep_arena arena;
};

/* `arena_bytes` for one document. False when something cannot be had; dep_issuer_done() is due in any case. */
bool dep_issuer_init(struct dep_issuer *issuer, const struct dep_sidecar_config *config, int stop_fd,
                     size_t arena_bytes);
void dep_issuer_done(struct dep_issuer *issuer);

/* Where the metadata is: the well-known name goes between authority and path (rfc8414#3.1). Into the arena. */
DEP_MUST struct dep_res dep_issuer_metadata_url(struct dep_arena *arena, struct dep_str issuer,
                                                struct dep_str *ret_url);
/* Fetches the metadata, whose issuer must be the configured one character by character (rfc8414#3.3), and gives its
 * jwks_uri in the arena. DEP_ERR_METADATA_SYNTAX, or a reason of net/. Resets the arena. */
DEP_MUST struct dep_res dep_issuer_keys_url(struct dep_issuer *issuer, struct dep_str *ret_url);
/* Fetches a JWK Set: the whole of it or nothing (attack case A35). `*ret_digest` tells whether it changed. Resets the
 * arena. */
DEP_MUST struct dep_res dep_issuer_keys(struct dep_issuer *issuer, const char *url, struct dep_jwks **ret_jwks,
                                        unsigned char ret_digest[DEP_SHA256_LEN]);

#endif

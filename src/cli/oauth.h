/* The issuer's side of the wire as the command uses it: metadata, client authentication, the form endpoints, DPoP with its nonces. */
#ifndef DEP_CLI_OAUTH_H
#define DEP_CLI_OAUTH_H

#include "cli/http.h"

/* The issuer's metadata (RFC 8414), checked to be of the issuer that was asked for. */
struct dep_issuer {
    struct dep_str issuer, token_endpoint, introspection_endpoint, revocation_endpoint,
        jwks_uri; /* absent when there is none */
};
int dep_issuer_discover(struct dep_cli *cli, struct dep_issuer *ret_issuer);

/* Flags of every verb that authenticates as a client. */
#define DEP_CLIENT_FLAGS                                                                                       \
    { "client", DEP_FLAG_TEXT, "ID", DEP_FLAG_REQUIRED, "the client_id", 0 },                                  \
        { "secret", DEP_FLAG_SECRET, "SOURCE", 0, "its secret (client_secret_basic)", 0 },                     \
        { "auth", DEP_FLAG_CHOICE, "client_secret_basic|client_secret_post", 0, "how the secret is sent", 0 }, \
        { "key", DEP_FLAG_SECRET, "SOURCE", 0, "or its private key (private_key_jwt)", 0 },                    \
        { "kid", DEP_FLAG_TEXT, "KID", 0, "the key's id where it is registered; default its thumbprint", 0 },  \
        DEP_TLS_FLAGS

/* A form for one of the issuer's endpoints. Members are added in order; `shown` (or NULL) stands for the value in --print-curl. */
#define DEP_FORM_PARAMS_MAX 32u
struct dep_oauth_form {
    struct dep_str names[DEP_FORM_PARAMS_MAX], values[DEP_FORM_PARAMS_MAX];
    const char *shown[DEP_FORM_PARAMS_MAX];
    size_t count;
};
void dep_oauth_param(struct dep_oauth_form *form, const char *name, struct dep_str value, const char *shown);

/* Posts the form as the client that the flags name, with a DPoP proof when `dpop_key` is there; once more, with a new proof and a new
 * assertion, when the server asks for its nonce (rfc9449#8). `*ret_answer` has status 0 when nothing was sent (--dry-run). */
int dep_oauth_post(struct dep_cli *cli, const struct dep_issuer *issuer, struct dep_str url,
                   const struct dep_oauth_form *form, const struct dep_private_key *dpop_key,
                   struct dep_fetch_answer *ret_answer);

/* One DPoP proof; token and nonce may be absent. */
int dep_oauth_proof(struct dep_cli *cli, const struct dep_private_key *key, struct dep_str method, struct dep_str url,
                    struct dep_str token, struct dep_str nonce, struct dep_str *ret_proof);

#endif

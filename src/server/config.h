/* The daemon's configuration: a YAML file read by libcyaml. An unknown key, a wrong type or a value out of range is an error with
 * file, line and a suggestion. */
#ifndef DEP_SERVER_CONFIG_H
#define DEP_SERVER_CONFIG_H

#include "base/res.h"
#include "base/str.h"

#define DEP_ADMIN_UIDS_MAX 32
#define DEP_CLIENT_CERTIFICATES_FROM_MAX 16

/* Strings are the heap's; absent ones are NULL. */
struct dep_config {
    char *issuer;               /* https, or http on loopback; no trailing slash, query or fragment */
    char *listen;               /* "127.0.0.1:8693" */
    char *tls_certificate_file; /* PEM: the server's certificate and those above it; NULL: TLS is not spoken here */
    char *tls_key_file;         /* PEM; mode 0600 or stricter */
    char *data_dir;
    char *admin_socket;            /* default: <data_dir>/admin.sock */
    char *key_encryption_key_file; /* 32 bytes, raw or base64url; mode 0600 or stricter */
    int64_t *admin_uids;           /* who may use the admin socket beside root and the daemon's own user */
    unsigned admin_uids_count;
    char *issuers_ca_file; /* PEM: who may vouch for foreign issuers' servers, in place of the system's authorities */
    char *client_certificates; /* who ends TLS and says which certificate a client showed: "none", "proxy" or "tls" */
    char **client_certificates_from; /* the proxies: IP addresses, or "unix" for the Unix socket of `listen` */
    unsigned client_certificates_from_count;
    char *client_ca_file; /* PEM: who may vouch for certificates of clients (tls_client_auth) */
    char *nonce_key_file; /* 32 bytes, shared by nodes; default: random at each start */
    char *signing_alg;    /* of the key made at first start: ES256 */
    int64_t workers;
    int64_t connections_max;
    int64_t access_token_lifetime_s;
    int64_t dpop_age_max_s;
    int64_t dpop_skew_s;
    int64_t replay_entries_max;
    char *replay;      /* where what was used is remembered: "memory", "sqlite:FILE", "postgresql:file:FILE" */
    bool replay_alone; /* a PostgreSQL server that waits for no synchronous standby will do */
    int64_t replay_timeout_ms;
    bool dpop_needs_nonce;
    char *login_header; /* by which the proxy before this server says who is logged in; NULL: no user logs in here */
    char **login_from;  /* those proxies: IP addresses, or "unix"; nobody else may send the header */
    unsigned login_from_count;
    char *ticket_key_file; /* 32 bytes, shared by nodes: of codes and refresh tokens; default: the store keeps one */
    int64_t refresh_lifetime_s;
    bool dpop_rsa; /* PS256 and RS256 for proofs too */
};

/* What is wrong, for people: "file:3: unknown key 'isuer'; did you mean 'issuer'?" */
#define DEP_CONFIG_MESSAGE_MAX 512u

/* Reads and checks a file: DEP_ERR_CONFIG_SYNTAX with a message. The caller frees. */
DEP_MUST struct dep_res dep_config_load(const char *path, struct dep_config **ret_config,
                                        char message[DEP_CONFIG_MESSAGE_MAX]);
/* `--dev`: issuer http://127.0.0.1:8693, data in ./deputy-data. */
DEP_MUST struct dep_res dep_config_dev(struct dep_config **ret_config);
void dep_config_free(struct dep_config *config);
/* Whether anybody is believed about certificates of clients. */
bool dep_config_has_client_certificates(const struct dep_config *config);
/* Whether the peer is a proxy that logs users in. */
bool dep_config_is_login_peer(const struct dep_config *config, struct dep_str peer);
/* Whether this server asks for them itself. */
bool dep_config_asks_certificates(const struct dep_config *config);
/* The path below the issuer's host: "" or "/tenant". */
struct dep_str dep_config_issuer_path(const struct dep_config *config);

/* The rest of `replay` after "sqlite:" or "postgresql:file:", or NULL. */
const char *dep_config_replay_sqlite(const struct dep_config *config);
const char *dep_config_replay_postgres(const struct dep_config *config);

#endif

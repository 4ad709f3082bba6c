/* `deputy guard run`: the guard as a process beside a reverse proxy.
 *
 * Endpoints: /authz/auth-request (nginx), /authz/forward-auth (Traefik, Caddy, HAProxy), /authz/ext-authz/… (Envoy), /authz/decision (a refusal once more,
 * for nginx), /.well-known/oauth-protected-resource[/path], /livez, /readyz. */
#ifndef DEP_SIDECAR_SIDECAR_H
#define DEP_SIDECAR_SIDECAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/str.h"
#include "guard/certificate.h"

struct dep_guard_rules;

/* All slices outlive the run. Zero and absent mean the default given here; dep_sidecar_config_init() sets nothing else.
 * */
struct dep_sidecar_config {
    struct dep_str resource;      /* absolute URI: the only audience accepted. Required */
    struct dep_str resource_name; /* for people, in the resource metadata; absent: none */
    struct dep_str issuer;        /* exactly as in its metadata. Required */
    struct dep_str
        public_url; /* scheme and authority that callers use, "https://api.example"; absent: the resource's */
    const struct dep_str *listen; /* "127.0.0.1:8694", "[::1]:0", "unix:/run/deputy/guard.sock". At least one */
    size_t listen_count;
    struct dep_str scopes;         /* scopes every request needs, blank between; absent: none */
    struct dep_str scopes_offered; /* scopes_supported of the resource metadata; absent: `scopes` */
    struct dep_str client_id;      /* the resource's client at the issuer, for the revocation feed. Required */
    struct dep_secret client_secret;
    const struct dep_guard_rules *rules; /* made with `scopes` as their base; NULL: none */
    struct dep_secret nonce_key; /* 32 bytes, shared by the guards of one resource; empty: one of this run's own */
    const char *audit_directory; /* created with mode 0700. Required */
    unsigned algs;               /* DEP_ALG_BIT()s for access tokens; 0: all this build verifies */
    bool needs_dpop;             /* only DPoP-bound tokens */
    bool needs_nonce;            /* every proof carries a nonce of this guard */
    bool has_rsa_proofs;         /* DPoP proofs by RSA keys too */
    enum dep_guard_certificates certificates; /* who says with which certificate the client came */
    bool may_loopback;                        /* http and loopback addresses for issuer and JWKS */
    bool may_private;                         /* other special-use addresses */
    int64_t skew_s;                           /* 10 */
    int64_t proof_age_max_s;                  /* 60 */
    int64_t feed_silence_max_s;               /* 10: beyond it everything is 503 */
    int64_t keys_refresh_s;                   /* 300 */
    int64_t keys_throttle_s;                  /* 10: at most one refetch for unknown kids in that time */
    int64_t keys_stale_max_s;                 /* 3600: older keys are not used */
    unsigned workers;                         /* for each address of `listen`; 1 */
    unsigned connections_max;                 /* 1024 */
    size_t tokens_max;                        /* verified tokens remembered by each worker; 8192 */
    size_t proofs_max;                        /* live entries of the replay store in memory or SQLite; 2,000,000 */
    const char *replay_file;           /* what was used once is remembered in this SQLite file; NULL: elsewhere */
    struct dep_secret replay_conninfo; /* in PostgreSQL, shared with other guards; empty: neither: in memory */
    bool replay_is_alone;              /* a PostgreSQL server without a synchronous standby will do */
    int64_t replay_timeout_ms;         /* 2000: then PostgreSQL's answer is not waited for any more */
    int stop_fd;                       /* the run ends when it becomes readable; -1: on TERM and INT */
    /* Called once it listens, with the port of each address (0 for Unix sockets); may be NULL. It listens at once and
     * is ready (/readyz) when keys and feed are there. */
    void (*on_listen)(void *context, const unsigned *ports, size_t count);
    void *context;
};

/* Everything zero, stop_fd -1. */
void dep_sidecar_config_init(struct dep_sidecar_config *config);

/* Runs until stopped. The exit code of the command: 0 stopped in order, 2 the configuration cannot be used, 6 an
 * address or the audit directory cannot be had. Says on stderr, one line each, when it listens and why it fails. */
int dep_sidecar_run(const struct dep_sidecar_config *config);

#endif

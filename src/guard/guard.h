/* The guard's decision: may this request reach the resource, and as whom. Pure: no socket, no clock, no store.
 *
 *     decide(request, facts, policy, now, randomness) -> { allow with an identity | refuse with a reason, effects,
 *     needs, trace }
 *
 * The rules are the rows of one table (dep_guard_rows), in order of execution. A row that lacks a fact sets `needs` and
 * stops; the shell loads the fact and decides again. Uniqueness of a proof comes last, as an effect: the shell inserts
 * `replay_key` if it is absent, and when it was there, decides again with `facts.replay` set. Nothing that a caller
 * sends is believed but what the token and the proof carry; where the request came in is configuration (G5). */
#ifndef DEP_GUARD_GUARD_H
#define DEP_GUARD_GUARD_H

#include "base/id.h"
#include "guard/certificate.h"
#include "guard/rules.h"
#include "http/header.h"
#include "proto/dpop.h"
#include "proto/revocation.h"
#include "proto/token.h"

/* How the request was handed over. Each adapter reads one fixed set of headers (G1). */
enum dep_guard_adapter {
    DEP_GUARD_AUTH_REQUEST, /* nginx: X-Original-Method, X-Original-URL */
    DEP_GUARD_FORWARD_AUTH, /* Traefik, Caddy: X-Forwarded-Method, X-Forwarded-Uri */
    DEP_GUARD_EXT_AUTHZ,    /* Envoy: `method` and `target` of the question itself, no header */
    DEP_GUARD_IN_PROCESS,   /* the server itself: `method` and `target` of the request, no header */
    DEP_GUARD_ADAPTERS
};
/* "auth-request", "forward-auth", "ext-authz", "in-process". Static. */
const char *dep_guard_adapter_name(enum dep_guard_adapter adapter);

/* Immutable configuration. */
struct dep_guard_policy {
    struct dep_str origin;            /* scheme and authority callers use, no slash at the end: "https://api.example" */
    struct dep_str resource_metadata; /* URL of the protected-resource metadata */
    struct dep_str scopes;            /* every request needs all of them; absent: none. With rules: in their `base` */
    const struct dep_guard_rules *rules; /* NULL: none; `scopes` and needs_dpop are all there is */
    struct dep_token_policy token;       /* issuer, audience, algorithms, skew */
    struct dep_dpop_policy dpop;
    bool needs_dpop; /* DPoP-bound tokens only */
    enum dep_guard_certificates certificates;
    int64_t feed_silence_max_s;
};

struct dep_guard_request {
    enum dep_guard_adapter adapter;
    const struct dep_header *headers; /* as the proxy sent them, all of them */
    size_t headers_count;
    struct dep_str method, target; /* EXT_AUTHZ and IN_PROCESS only: as the caller sent them */
    struct dep_str body;           /* for rules about MCP; absent: out of sight */
    struct dep_str certificate;    /* CERTIFICATES_TLS only: of the client, in DER; absent: it came without */
};

struct dep_guard_facts {
    bool is_audit_broken;        /* decisions cannot be recorded */
    const struct dep_jwks *keys; /* the issuer's; NULL: not loaded, or too old to use */
    bool are_keys_underway;      /* newer keys are on their way: what is not in `keys` is not known, and not refused */
    bool may_refresh_keys;       /* a kid that is not in `keys` may be asked for with DEP_GUARD_NEEDS_KEYS */
    const struct dep_revocations *revocations; /* NULL: never heard of */
    int64_t feed_silence_s;                    /* since the feed's last good answer */
    struct dep_str seen_for;                   /* the token the cache was asked for; absent: it was not asked */
    unsigned char seen_digest[DEP_SHA256_LEN]; /* of `seen_for` */
    const struct dep_token *seen;              /* verified before under the same keys; NULL: not in the cache */
    struct dep_res replay;                     /* what inserting the proof said, when it failed */
};

#define DEP_GUARD_NEEDS_SEEN (1u << 0) /* look up `presented` in the cache */
#define DEP_GUARD_NEEDS_KEYS (1u << 1) /* fetch the issuer's keys again */

#define DEP_GUARD_EFFECT_AUDIT (1u << 0)        /* always */
#define DEP_GUARD_EFFECT_REMEMBER_JTI (1u << 1) /* insert replay_key until replay_until, if absent; gives */
#define DEP_GUARD_EFFECT_KEEP_TOKEN (1u << 2)   /* put `token` in the cache under token_digest */

/* The identity headers, in this order. Every one is on every allow, empty where it does not apply (G2). */
#define DEP_GUARD_IDENTITY 9u

struct dep_guard_decision {
    unsigned needs;           /* not 0: nothing else counts but `presented` */
    struct dep_str presented; /* the token as sent; absent: none */
    bool is_allowed;
    char id[DEP_ULID_LEN];
    enum dep_err reason;
    enum dep_class class;
    const char *check;                           /* the row that refused; NULL on allow */
    size_t rows_run;                             /* the trace: rows of the table that ran, the refusing one included */
    int status;                                  /* 200, 400, 401, 403, 429, 503 */
    struct dep_str error;                        /* registered code; absent: none on the wire */
    struct dep_str www_authenticate, dpop_nonce; /* absent: not sent; the nonce also goes out with an allow */
    int64_t retry_after_s;                       /* 0: not sent */
    unsigned effects;
    unsigned char token_digest[DEP_SHA256_LEN]; /* SHA-256 of the whole token */
    unsigned char replay_key[DEP_REPLAY_KEY_BYTES];
    int64_t replay_until;
    const struct dep_token *token;                  /* verified, also where a later row refuses; else NULL */
    struct dep_str method, path;                    /* of the original request, no query; absent when not known */
    const struct dep_guard_rule *rule;              /* the one that decided; NULL: there are no rules, or none fits */
    struct dep_guard_mcp mcp;                       /* the message, when a rule asked for it */
    struct dep_header identity[DEP_GUARD_IDENTITY]; /* on allow */
};

/* Decides. Slices in the decision live as long as arena, request, facts and policy. `random` names the decision. */
void dep_guard_decide(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_guard_policy *policy,
                      const struct dep_guard_request *request, const struct dep_guard_facts *facts, int64_t now,
                      const unsigned char random[DEP_ULID_RANDOM], struct dep_guard_decision *ret_decision);

/* The token a request seems to present, so that the cache can be asked before the first round; absent: none. Only a
 * hint: dep_guard_decide() asks again when it reads another one. */
struct dep_str dep_guard_presented(const struct dep_guard_request *request);

/* A refusal that no row decides: the record could not be written, the process stops. Keeps the decision's id and
 * request. */
void dep_guard_refuse(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_guard_policy *policy,
                      int64_t now, enum dep_err reason, const char *check, struct dep_guard_decision *decision);

/* The rows, for documentation, `deputy explain` and tests. */
struct dep_guard_row_info {
    const char *name, *citation;
};
size_t dep_guard_row_count(void);
struct dep_guard_row_info dep_guard_row(size_t index);

#endif

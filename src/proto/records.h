/* The records deputy keeps: agents, clients, resources, keys, revocations, as C values and as JSON bodies of the store.
 *
 * Reading is strict: an unknown member, a wrong type, or a blank where a value belongs is refused. "Blank" never means "any". */
#ifndef DEP_PROTO_RECORDS_H
#define DEP_PROTO_RECORDS_H

#include "base/json.h"
#include "jose/jwk.h"
#include "proto/claim.h"

/* Typed principal ids: "agent:" + ULID, "client:" + client_id, "user:" + …; at most this long. */
#define DEP_PRINCIPAL_MAX 160u
#define DEP_NAME_MAX 200u
#define DEP_SCOPES_MAX 64u
#define DEP_SECRETS_LIVE 2u

enum dep_state { DEP_STATE_ACTIVE, DEP_STATE_SUSPENDED, DEP_STATE_BANNED };
/* "active", "suspended", "banned". Static. */
const char *dep_state_name(enum dep_state state);

/* Scopes that somebody may have at a resource. */
struct dep_right {
    struct dep_str resource; /* the resource's URI */
    struct dep_str *scopes;
    size_t scopes_count;
};

struct dep_agent {
    struct dep_str id;                     /* "agent:" + ULID; never recycled */
    struct dep_str name, owner, org;       /* never blank */
    struct dep_str agent_version, purpose; /* absent or text */
    struct dep_str parent;                 /* another agent's id; absent at the top */
    enum dep_state state;
    int64_t created;
    struct dep_right *ceiling;
    size_t ceiling_count;
    /* The edges that start here. Without a list: every agent of the organisation. */
    struct dep_str *delegates; /* agents that this one may hand over to */
    size_t delegates_count;
    bool has_delegates;                  /* the list counts, also when it is empty */
    int64_t delegation_depth_max;        /* actors that may follow this agent in a chain; 0: the server's limit */
    int64_t delegation_lifetime_max_s;   /* of tokens that it hands over; 0: the server's */
    struct dep_right *delegation_rights; /* what it may hand over at most, within its ceiling */
    size_t delegation_rights_count;
    bool has_delegation_rights; /* the list counts, also when it is empty */
    /* Set by the snapshot, not stored: the worst state of this agent and everybody above it. */
    enum dep_state effective_state;
};

/* What a foreign issuer is trusted for. */
#define DEP_ISSUER_SUBJECT (1u << 0)  /* its tokens may be exchanged: they name users */
#define DEP_ISSUER_ID_JAG (1u << 1)   /* its identity assertion grants are taken (ID-JAG) */
#define DEP_ISSUER_WORKLOAD (1u << 2) /* its tokens authenticate clients: Kubernetes, GitHub Actions, SPIFFE */

#define DEP_ISSUER_TARGET (1u << 3)       /* it takes grants of ours: our exchange issues them for it */
#define DEP_ISSUER_ACCESS_TOKEN (1u << 4) /* another deputy: its access tokens for us may be exchanged */
#define DEP_ISSUER_LOGIN (1u << 5)        /* its ID tokens say which user is to be asked for consent */
/* Any of these: its tokens name users, and its record says what they may hand on. */
#define DEP_ISSUER_USERS (DEP_ISSUER_SUBJECT | DEP_ISSUER_ID_JAG | DEP_ISSUER_ACCESS_TOKEN | DEP_ISSUER_LOGIN)

/* One of our clients, and its name at a foreign authorization server. */
struct dep_target_client {
    struct dep_str client, client_id;
};

/* A workload rule: a token whose claims all match authenticates this client. */
struct dep_workload_rule {
    struct dep_str client;
    struct dep_claim_terms claims; /* never none: blank is never "any" */
};

/* Rights of the users whose tokens say all of these claims. */
struct dep_claim_ceiling {
    struct dep_claim_terms claims; /* never none */
    struct dep_right *rights;      /* within the issuer's ceiling */
    size_t rights_count;
};

struct dep_trusted_issuer {
    struct dep_str id;   /* its issuer identifier, compared byte for byte */
    struct dep_str name; /* short and plain: the principals are "user:" + name + ":" + sub */
    struct dep_str org;
    unsigned uses;             /* DEP_ISSUER_ bits, at least one */
    struct dep_str *audiences; /* values of aud that are meant for us, besides our own issuer identifier */
    size_t audiences_count;
    struct dep_str jwks_uri;  /* absent: by discovery */
    struct dep_str jwks_json; /* a set that never changes; absent: fetched */
    int64_t lifetime_max_s;   /* of its tokens; 0: 3600 */
    bool is_single_use;       /* its workload tokens have a jti and are taken once */
    bool is_enabled;
    struct dep_right *ceiling; /* what its users may hand on */
    size_t ceiling_count;
    struct dep_str subject_claim;           /* what names a user, by name or path; absent: sub */
    struct dep_claim_terms required_claims; /* what a user's token must say; none: nothing more */
    /* When there are any, a user may hand on what the rows give that the token's claims meet, and nothing else. */
    struct dep_claim_ceiling *claim_ceilings;
    size_t claim_ceilings_count;
    struct dep_str *agents; /* to whom; without a list: every agent of the organisation */
    size_t agents_count;
    bool has_agents;
    struct dep_workload_rule *rules;
    size_t rules_count;
    /* As a target: who is known there, what a grant may carry that names no resource, what it may carry for a resource there. */
    struct dep_target_client *target_clients;
    size_t target_clients_count;
    struct dep_str *target_scopes;
    size_t target_scopes_count;
    struct dep_right *target_rights;
    size_t target_rights_count;
    int64_t created;
};

enum dep_client_auth {
    DEP_CLIENT_AUTH_NONE,  /* a public client: for users' consent alone */
    DEP_CLIENT_AUTH_BASIC, /* client_secret_basic */
    DEP_CLIENT_AUTH_POST,  /* client_secret_post */
    DEP_CLIENT_AUTH_PRIVATE_KEY_JWT,
    DEP_CLIENT_AUTH_WORKLOAD_JWT,   /* a token of a trusted issuer instead of a key of its own */
    DEP_CLIENT_AUTH_TLS,            /* tls_client_auth: a certificate with its name, of an authority (rfc8705#2.1) */
    DEP_CLIENT_AUTH_TLS_SELF_SIGNED /* self_signed_tls_client_auth: a certificate of a registered key (rfc8705#2.2) */
};
/* The registered names. Static; by_name gives false for an unknown one. */
const char *dep_client_auth_name(enum dep_client_auth method);
bool dep_client_auth_by_name(struct dep_str name, enum dep_client_auth *ret_method);

/* By what a client with tls_client_auth is known in its certificate (rfc8705#2.1.2). */
enum dep_tls_name {
    DEP_TLS_NAME_NONE,
    DEP_TLS_SUBJECT_DN,
    DEP_TLS_SAN_DNS,
    DEP_TLS_SAN_URI,
    DEP_TLS_SAN_IP,
    DEP_TLS_SAN_EMAIL,
    DEP_TLS_NAMES
};

struct dep_client_secret {
    unsigned char hash[DEP_SHA256_LEN]; /* of the secret's text */
    int64_t created;
    int64_t expires; /* 0: never */
};

#define DEP_GRANT_CLIENT_CREDENTIALS (1u << 0)
#define DEP_GRANT_TOKEN_EXCHANGE (1u << 1)
#define DEP_GRANT_JWT_BEARER (1u << 2)
#define DEP_GRANT_AUTHORIZATION_CODE (1u << 3)
#define DEP_GRANT_REFRESH_TOKEN (1u << 4)
#define DEP_REDIRECT_URIS_MAX 8u
#define DEP_REDIRECT_URI_MAX 512u /* bytes */

struct dep_client {
    struct dep_str id; /* a ULID: the OAuth client_id; the principal is "client:" + id */
    struct dep_str name;
    struct dep_str agent;            /* the agent this client acts for; absent for a resource server's client */
    struct dep_str resource;         /* a resource server's client: the resource it guards; absent otherwise */
    struct dep_str default_resource; /* used when a request names none; absent: none */
    enum dep_client_auth auth;
    unsigned grants;                                     /* DEP_GRANT_ bits */
    struct dep_str redirect_uris[DEP_REDIRECT_URIS_MAX]; /* with the code grant at least one, else none */
    size_t redirect_uris_count;
    bool is_enabled;
    bool needs_dpop;        /* dpop_bound_access_tokens (rfc9449#5.2) */
    bool needs_certificate; /* tls_client_certificate_bound_access_tokens (rfc8705#3.4) */
    bool may_introspect_any;
    struct dep_client_secret secrets[DEP_SECRETS_LIVE];
    size_t secrets_count;
    /* private_key_jwt, self_signed_tls_client_auth: the registered JWK Set; absent otherwise */
    struct dep_str jwks_json;
    enum dep_tls_name tls_name_kind; /* tls_client_auth: one of them */
    struct dep_str tls_name;         /* as it was registered */
    struct dep_str tls_name_form;    /* as it is compared: a DN in its one form, the bytes of an IP address */
    int64_t created;
    int64_t expires; /* an ephemeral instance of its agent: from then on it is nobody; 0: never */
    /* Set by the snapshot, not stored. */
    const struct dep_jwks *jwks;
};

struct dep_resource {
    struct dep_str id; /* an absolute URI without fragment: the value of aud */
    struct dep_str name;
    struct dep_str *scopes;
    size_t scopes_count;
    struct dep_str *default_scopes; /* granted when a request names none; may be empty: then the whole ceiling */
    size_t default_scopes_count;
    int64_t token_lifetime_s; /* 0: the server's */
    bool needs_dpop;
    bool is_enabled;
    int64_t created;
};

enum dep_key_state { DEP_KEY_PREPARED, DEP_KEY_ACTIVE, DEP_KEY_RETIRED, DEP_KEY_TAINTED };
const char *dep_key_state_name(enum dep_key_state state);

struct dep_key {
    struct dep_str kid; /* the key's thumbprint */
    enum dep_alg alg;
    enum dep_key_state state; /* prepared, active and retired are in the JWKS; tainted verifies nothing */
    int64_t created;
    int64_t retired;    /* when it stopped signing; 0 while it has not */
    struct dep_str der; /* base64url: PKCS#8, sealed when `is_sealed` */
    bool is_sealed;
};

enum dep_revoked_kind {
    DEP_REVOKED_AGENT,
    DEP_REVOKED_CLIENT,
    DEP_REVOKED_ORG,
    DEP_REVOKED_TASK,
    DEP_REVOKED_GRANT,
    DEP_REVOKED_JTI,
    DEP_REVOKED_KINDS
};
const char *dep_revoked_kind_name(enum dep_revoked_kind kind);
bool dep_revoked_kind_by_name(struct dep_str name, enum dep_revoked_kind *ret_kind);

/* Tokens that name `id` as `kind` anywhere in their lineage and were issued at or before `before` are dead; for a jti, whenever
 * they were issued. */
struct dep_revocation {
    enum dep_revoked_kind kind;
    struct dep_str id;
    int64_t before;  /* Unix seconds, inclusive */
    int64_t expires; /* when no such token can be alive any more */
};

/* Bodies. Slices in the result point into `json`'s text and the arena. Failures: a JSON reason or DEP_ERR_ADMIN_INPUT. */
DEP_MUST struct dep_res dep_agent_read(struct dep_arena *arena, const struct dep_json *json,
                                       struct dep_agent *ret_agent);
DEP_MUST struct dep_res dep_client_read(struct dep_arena *arena, const struct dep_json *json,
                                        struct dep_client *ret_client);
DEP_MUST struct dep_res dep_resource_read(struct dep_arena *arena, const struct dep_json *json,
                                          struct dep_resource *ret_resource);
DEP_MUST struct dep_res dep_key_read(struct dep_arena *arena, const struct dep_json *json, struct dep_key *ret_key);
DEP_MUST struct dep_res dep_revocation_read(struct dep_arena *arena, const struct dep_json *json,
                                            struct dep_revocation *ret_entry);
DEP_MUST struct dep_res dep_trusted_issuer_read(struct dep_arena *arena, const struct dep_json *json,
                                                struct dep_trusted_issuer *ret_issuer);
/* As objects. `with_secrets` false leaves out hashes and key material: the admin API's view. */
void dep_agent_write(struct dep_json_writer *writer, const struct dep_agent *agent);
void dep_client_write(struct dep_json_writer *writer, const struct dep_client *client, bool with_secrets);
void dep_resource_write(struct dep_json_writer *writer, const struct dep_resource *resource);
void dep_key_write(struct dep_json_writer *writer, const struct dep_key *key, bool with_secrets);
void dep_revocation_write(struct dep_json_writer *writer, const struct dep_revocation *entry);

void dep_trusted_issuer_write(struct dep_json_writer *writer, const struct dep_trusted_issuer *issuer);

/* The agent's right at a resource, or NULL. */
const struct dep_right *dep_agent_right(const struct dep_agent *agent, struct dep_str resource);
bool dep_right_has(const struct dep_right *right, struct dep_str scope);
/* What the agent may hand over at a resource: its delegation rights there, or its ceiling when it has none. NULL: nothing. */
const struct dep_right *dep_agent_edge_right(const struct dep_agent *agent, struct dep_str resource);
/* Whether the agent may hand over to `other`. */
bool dep_agent_may_delegate(const struct dep_agent *agent, struct dep_str other);

#endif

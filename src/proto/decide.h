/* decide(): the heart. A pure function from request, facts, policy, time and randomness to an answer, effects, needs and a trace.
 *
 * The shell calls it with the facts it has. When a check lacks a fact, the decision names it in `needs` and nothing else is valid;
 * the shell loads it and calls again from the start. When a precondition of an effect fails at commit, the shell adds the fact that
 * says so and calls again. Invariants:
 *  (1) Same arguments, same bytes out.
 *  (2) A refusal carries only effects that reduce authority.
 *  (3) Every check that ran stands in the trace, with the one that refused by name. */
#ifndef DEP_PROTO_DECIDE_H
#define DEP_PROTO_DECIDE_H

#include "crypto/trust.h"
#include "http/header.h"
#include "proto/audit_record.h"
#include "proto/dpop.h"
#include "proto/grant.h"
#include "proto/records.h"
#include "proto/revocation.h"
#include "proto/ticket.h"
#include "proto/token.h"

enum dep_endpoint {
    DEP_ENDPOINT_METADATA,
    DEP_ENDPOINT_JWKS,
    DEP_ENDPOINT_CHECKPOINT,
    DEP_ENDPOINT_TOKEN,
    DEP_ENDPOINT_INTROSPECT,
    DEP_ENDPOINT_REVOKE,
    DEP_ENDPOINT_AGENTS, /* an agent registers one below itself */
    DEP_ENDPOINT_PAR,
    DEP_ENDPOINT_AUTHORIZE, /* asks the user */
    DEP_ENDPOINT_CONSENT,   /* takes the answer */
    DEP_ENDPOINT_FEED,
    DEP_ENDPOINT_NONE /* no such path: 404 */
};

enum dep_column {
#define DEP_COLUMN(id, name, endpoint, path, method, grant_type, grant) DEP_COLUMN_##id,
#include "proto/column.def"
#undef DEP_COLUMN
    DEP_COLUMNS
};

enum dep_param {
#define DEP_PARAM(id, name, may_repeat, bytes_max) DEP_PARAM_##id,
#include "proto/params.def"
#undef DEP_PARAM
    DEP_PARAMS
};

#define DEP_FACTS_MAX 64u
#define DEP_EFFECTS_MAX 8u
#define DEP_TARGETS_MAX 8u
#define DEP_RANDOM_LEN 64u
#define DEP_ROUNDS_MAX 8u
#define DEP_CHECK_WORDS 2u /* rows of the matrix: 64 a word */

/* The request as a value; slices into the input. */
struct dep_request {
    enum dep_endpoint endpoint;
    bool
        is_preview; /* an operator asks what would be decided for this client: nobody proves who they are, nothing is issued */
    struct dep_str method, path, query, body, peer;
    /* The certificate of the TLS connection, in DER; absent: the caller showed none here. */
    struct dep_str certificate;
    bool is_from_login; /* the peer is a proxy that logs users in: login_header counts */
    bool is_from_proxy; /* the peer is a proxy that ends TLS: its Client-Cert header says who called (rfc9440) */
    const struct dep_header *headers;
    size_t headers_count;
};

enum dep_fact_kind {
    DEP_FACT_CLIENT, /* id = client_id: struct dep_client */
    DEP_FACT_AGENT, /* id = "agent:…", or "user:<issuer's name>:<sub>": struct dep_agent; a user has the issuer's ceiling */
    DEP_FACT_RESOURCE,   /* id = URI: struct dep_resource */
    DEP_FACT_KEY,        /* id = kid of one of our keys that still verifies: struct dep_jwks_key */
    DEP_FACT_ISSUER,     /* id = a foreign issuer's identifier: struct dep_trusted_issuer */
    DEP_FACT_ISSUER_KEY, /* id = issuer, newline, alg, newline, kid (may be empty): struct dep_jwks_key */
    DEP_FACT_FAMILY,     /* id = "agent:…": struct dep_family */
    DEP_FACT_LOCK,       /* id = client_id: int64_t until when this client is locked for this request's peer */
    DEP_FACT_CONSENT,    /* id = a consent's: its struct dep_ticket, with the turn that is good */
    DEP_FACT_REPLAY      /* id = replay key: known only after a failed REMEMBER; any value means "used" */
};

/* Where an agent stands in its tree. */
struct dep_family {
    size_t children;  /* agents right below it */
    size_t ancestors; /* agents above it */
};

/* What an agent may have below it. */
#define DEP_CHILDREN_MAX 1000u
#define DEP_ANCESTORS_MAX 31u
/* The scope of a token for the issuer that lets an agent register sub-agents. */
#define DEP_SCOPE_AGENTS "agents:create"

/* A sub-agent to be, and its first client. */
struct dep_child {
    struct dep_str id, client_id;
    const struct dep_agent *parent;
    struct dep_str name, purpose, agent_version; /* the last two may be absent */
    struct dep_right *ceiling;
    size_t ceiling_count;
    struct dep_str jwks; /* the client's public keys; absent: it gets a secret */
    int64_t expires;     /* of the client; 0: never */
    bool needs_dpop;     /* as its parent's token was bound */
};

struct dep_need {
    enum dep_fact_kind kind;
    struct dep_str id;
};

/* One loaded record. `value == NULL` means "looked up, does not exist". */
struct dep_fact {
    struct dep_need need;
    const void *value;
};

struct dep_facts {
    struct dep_fact items[DEP_FACTS_MAX];
    size_t count;
    const struct dep_revocations *revocations;
};

/* How users consent. */
struct dep_consent_policy {
    struct dep_str
        login_header;       /* where the proxy before this server says who is logged in; absent: no user logs in here */
    struct dep_secret key;  /* of tickets: DEP_TICKET_KEY_LEN bytes */
    struct dep_str par_url; /* normalised: the htu of proofs there */
    int64_t code_s, pushed_s, page_s; /* 60, 60, 300 */
    int64_t
        refresh_s; /* how long a consent may be renewed from; and each refresh token, no longer than its consent, the half of it */
};

/* The immutable configuration, as far as rules look at it. */
struct dep_policy {
    struct dep_str issuer;
    struct dep_str token_url;     /* normalised: the htu of proofs */
    struct dep_str agents_url;    /* the same where agents register others */
    int64_t token_lifetime_s;     /* 300 */
    int64_t assertion_lifetime_s; /* 300 */
    int64_t skew_s;               /* 30, for clocks of others */
    int64_t fence;                /* time of the last record before this start; 0: nothing came before */
    struct dep_dpop_policy dpop;
    struct dep_consent_policy consent;
    const struct dep_trust *client_trust; /* who may vouch for certificates of clients; NULL: nobody */
};

enum dep_effect_kind {
    DEP_EFFECT_REMEMBER,      /* replay key, if absent; reduces */
    DEP_EFFECT_REVOKE,        /* a revocation entry; reduces */
    DEP_EFFECT_COUNT_FAILURE, /* a wrong secret for `id` from this peer; reduces */
    DEP_EFFECT_ISSUE,         /* the token of the answer; gives */
    DEP_EFFECT_REGISTER,      /* the child of the answer, and its client; gives */
    DEP_EFFECT_CONSENT,       /* the consent of the answer's refresh token, new or with its next turn; gives */
    DEP_EFFECT_INSTRUCTION    /* keep `text` under its hash `id`; gives */
};

struct dep_effect {
    enum dep_effect_kind kind;
    unsigned char key[DEP_REPLAY_KEY_BYTES];
    int64_t made; /* REMEMBER: its iat, or as early as its exp allows: every node reads the same */
    int64_t expires;
    bool is_durable; /* REMEMBER: must survive a restart, because the fence would not catch it */
    struct dep_revocation revocation;
    struct dep_str id, text;
};
bool dep_effect_gives(enum dep_effect_kind kind);

/* What says no to a scope. */
enum dep_limit {
    DEP_LIMIT_NONE,     /* it is allowed */
    DEP_LIMIT_SUBJECT,  /* the subject token has it not */
    DEP_LIMIT_CEILING,  /* the ceiling of `who` at `where` */
    DEP_LIMIT_EDGE,     /* what `who` may hand over, or what may be handed over to it */
    DEP_LIMIT_RESOURCE, /* `where` knows no such scope */
    DEP_LIMIT_ISSUER    /* a token for the issuer itself carries none */
};
/* "allowed", "subject token", "ceiling", "delegation", "resource", "issuer". Static. */
const char *dep_limit_name(enum dep_limit limit);

struct dep_scope_verdict {
    struct dep_str scope;
    enum dep_limit limit;
    struct dep_str who, where; /* absent where there is none */
};

enum dep_answer {
    DEP_ANSWER_REFUSAL,
    DEP_ANSWER_DOCUMENT, /* metadata, JWKS, checkpoint: the shell has it */
    DEP_ANSWER_TOKEN,
    DEP_ANSWER_ACTIVE, /* introspection of a live token */
    DEP_ANSWER_CHILD,  /* a sub-agent was registered: the shell has its secret */
    DEP_ANSWER_PUSHED, /* the ticket is the request_uri */
    DEP_ANSWER_PAGE,   /* the question for the user; the ticket is in its form */
    DEP_ANSWER_CODE,   /* the user said yes; the ticket is the code */
    DEP_ANSWER_EMPTY,  /* 200 without content: revocation */
    DEP_ANSWER_FEED    /* revocations after `feed_after`: the shell has them */
};

struct dep_decision {
    struct dep_need needs[DEP_FACTS_MAX];
    size_t needs_count; /* > 0: load these and call again; nothing else is valid */

    enum dep_answer answer;
    enum dep_err reason;     /* refusals: what was wrong */
    enum dep_class class;    /* refusals: how it is answered */
    bool used_authorization; /* the client used the Authorization header (RFC 6749 section 5.2) */
    int64_t retry_after_s;   /* 0: no Retry-After */
    struct dep_token token;  /* the token to sign, or the one introspected */
    bool has_token;
    bool is_exchange;
    enum dep_issued issued;                /* of an exchange: what `token` describes */
    const struct dep_str *grant_resources; /* of a grant: the resources at the other server */
    size_t grant_resources_count;
    bool has_scope_change; /* the granted scope differs from the asked one */
    const struct dep_scope_verdict
        *scopes; /* each scope that was asked for, when one was refused; in a preview always */
    size_t scopes_count;
    struct dep_str nonce; /* DPoP-Nonce to send; absent: none */
    uint64_t feed_after;
    struct dep_child child;
    /* What is to be sealed: of PUSHED, PAGE and CODE, and of TOKEN the refresh token. The shell seals it into `sealed` before the answer is
     * written. */
    bool has_ticket;
    enum dep_ticket_kind ticket_kind;
    struct dep_ticket ticket;
    struct dep_str sealed;
    struct dep_ticket consent; /* of DEP_EFFECT_CONSENT */
    /* Where the browser is sent: of CODE, and of refusals that the client may see (oauth-v2-1#4.1.2.1). Absent: nowhere. */
    struct dep_str redirect_uri, state, issuer;
    const struct dep_client *client; /* of PAGE */
    const struct dep_agent *agent;   /* of PAGE */

    struct dep_effect effects[DEP_EFFECTS_MAX];
    size_t effects_count;
    struct dep_str id; /* the decision's ULID */
    struct dep_audit_record record;

    enum dep_column column;
    uint64_t checks_run[DEP_CHECK_WORDS]; /* bit i % 64 of word i / 64: row i of the matrix ran */
    const char *check;                    /* the row that refused; NULL otherwise */
};

/* Everything in the result points into the arena, the request, the facts, or static memory. Returns a failure only when the arena is
 * exhausted before a decision exists; the shell answers that as a refusal too. */
DEP_MUST struct dep_res dep_decide(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_policy *policy,
                                   const struct dep_request *request, const struct dep_facts *facts, int64_t now,
                                   const unsigned char random[DEP_RANDOM_LEN], struct dep_decision *ret_decision);

/* The endpoint of a path: exact comparison. Metadata is found below the issuer's path too (rfc8414#3.1): `issuer_path` is "" or "/t". */
enum dep_endpoint dep_endpoint_of(struct dep_str path, struct dep_str issuer_path);

/* The matrix as data, for `deputy explain` and the docs. Index 0 .. dep_check_count()-1; static text. */
struct dep_check_info {
    const char *name, *cite, *text;
    unsigned columns; /* bit per dep_column */
};
size_t dep_check_count(void);
struct dep_check_info dep_check_info(size_t i);
const char *dep_column_name(enum dep_column column);
/* Whether row `i` ran, by the trace of a record: "<column>:<hex digits>", the last digit being rows 0 to 3. */
bool dep_trace_has(struct dep_str trace, size_t i);

#endif

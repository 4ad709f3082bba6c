/* Writes that happen once: the rules of the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header-07, expired).
 *
 *     key of the request -> names -> entry of the ledger -> decision
 *
 * A caller names a write with a key of its own choice. The first request with the key is run and its answer is kept; every
 * later one gets that answer, whether it was a success or an error. A request that we refuse before it is run leaves
 * nothing behind. The ledger (store/ledger.h) keeps what these rules need and knows none of them. Pure: no clock, no disk. */
#ifndef DEP_PROTO_IDEMPOTENCY_H
#define DEP_PROTO_IDEMPOTENCY_H

#include "crypto/crypto.h"
#include "http/header.h"

#define DEP_IDEMPOTENCY_KEY_MAX 255u
#define DEP_IDEMPOTENCY_NAME_LEN 32u
#define DEP_IDEMPOTENCY_HEADER DEP_STR("Idempotency-Key")
/* Marks an answer that was given before: "true". */
#define DEP_IDEMPOTENCY_REPLAYED DEP_STR("Idempotency-Replayed")
/* For how many seconds after the first request a key is remembered; on every answer that a key took part in. */
#define DEP_IDEMPOTENCY_RETENTION DEP_STR("Idempotency-Retention")
/* A server's word that a request was not run and may be run afresh: "not-executed". Taken out on the way to the caller. */
#define DEP_IDEMPOTENCY_OUTCOME DEP_STR("Idempotency-Outcome")

struct dep_idempotency_policy {
    bool is_required;         /* a write without a key is refused */
    bool is_lenient;          /* a bare key without quotes is taken too */
    int64_t retention_s;      /* from the first request on; then the key is forgotten */
    int64_t in_flight_max_s;  /* a write that runs longer has an unknown outcome until its answer comes */
    struct dep_secret secret; /* of this node, mixed into what seals answers at rest; may be empty */
};
/* 24 h, 15 min, not required, strict, no secret. */
struct dep_idempotency_policy dep_idempotency_policy_default(void);

/* The request's key. Absent, with DEP_OK, when there is none and none is required. DEP_ERR_IDEMPOTENCY_MISSING,
 * DEP_ERR_IDEMPOTENCY_SYNTAX, DEP_ERR_HTTP_HEADER_DUPLICATE. */
DEP_MUST struct dep_res dep_idempotency_key(struct dep_arena *arena, const struct dep_idempotency_policy *policy,
                                            const struct dep_header *headers, size_t headers_count,
                                            struct dep_str *ret_key);

/* Who wants what. The first five and the key say whose write it is; the others what it is. What changes with every retry
 * stands in neither: Authorization, DPoP, client assertions, dates, connection headers. */
struct dep_idempotency_request {
    struct dep_str realm;     /* what the caller writes to: the resource's identifier, or "admin"; never blank */
    struct dep_str tenant;    /* issuer and organisation; may be absent */
    struct dep_str principal; /* sub; never blank */
    struct dep_str client;    /* client_id; may be absent */
    struct dep_str chain;     /* the actors, outermost first; may be absent */
    struct dep_str key;
    struct dep_str method;
    struct dep_str target;       /* path and query as sent */
    struct dep_str content_type; /* absent: none */
    struct dep_str body;
};

/* Digests of the request. Neither the key nor anything of the request can be read from them. */
struct dep_idempotency_names {
    unsigned char scope[DEP_IDEMPOTENCY_NAME_LEN];       /* whose key: the entry's name in the ledger */
    unsigned char caller[DEP_IDEMPOTENCY_NAME_LEN];      /* without the key: for quotas */
    unsigned char fingerprint[DEP_IDEMPOTENCY_NAME_LEN]; /* which request */
    unsigned char seal[DEP_IDEMPOTENCY_NAME_LEN];        /* seals the answer; never stored */
};
/* DEP_ERR_IDEMPOTENCY_CALLER when realm or principal is blank: blank never means "any". */
DEP_MUST struct dep_res dep_idempotency_name(struct dep_crypto *crypto, const struct dep_idempotency_policy *policy,
                                             const struct dep_idempotency_request *request,
                                             struct dep_idempotency_names *ret_names);

enum dep_idempotency_state {
    DEP_IDEMPOTENCY_NEW,   /* there was no entry: now there is one, begun by this request */
    DEP_IDEMPOTENCY_BEGUN, /* by an earlier request that gave no answer yet */
    DEP_IDEMPOTENCY_LOST,  /* begun, and known to be without an outcome */
    DEP_IDEMPOTENCY_DONE
};

/* What the ledger knows of a scope. */
struct dep_idempotency_entry {
    enum dep_idempotency_state state;
    unsigned char fingerprint[DEP_IDEMPOTENCY_NAME_LEN]; /* of the request that began it */
    int64_t begun;                                       /* Unix seconds */
    int64_t ticket;                                      /* of this beginning; NEW: names it when it ends */
    bool is_owner_alive;                                 /* BEGUN: the process that runs it still lives */
    int status;                                          /* DONE: of the answer */
    struct dep_str answer;                               /* DONE: sealed; absent: not kept */
};

enum dep_idempotency_verdict {
    DEP_IDEMPOTENCY_RUN,    /* run the request, then tell the ledger how it ended */
    DEP_IDEMPOTENCY_REPLAY, /* give the kept answer */
    DEP_IDEMPOTENCY_REFUSE  /* with `reason` */
};
struct dep_idempotency_decision {
    enum dep_idempotency_verdict verdict;
    enum dep_err reason;
};
struct dep_idempotency_decision dep_idempotency_decide(const struct dep_idempotency_policy *policy,
                                                       const struct dep_idempotency_names *names,
                                                       const struct dep_idempotency_entry *entry, int64_t now);

#endif

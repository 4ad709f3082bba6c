/* libdeputy: may this request reach my API, and as whom?
 *
 * A guard stands in front of one resource and trusts one issuer. It checks access tokens (RFC 9068) and DPoP proofs (RFC 9449), lets
 * every proof pass once, follows the issuer's keys and revocations, and records every decision. It fails closed: without keys, or when
 * the revocation feed has been silent for too long, every verdict is 503.
 *
 *     request -> deputy_guard_check() -> ALLOW  with an identity
 *                                     -> REFUSE with status, headers and body to answer
 *                                     -> NEEDS  something that has to be fetched first: check again
 *
 * Fetching goes one of two ways. Either the caller has an event loop: it takes what is to be fetched with deputy_guard_fetch_next(),
 * makes the request in its own way and gives the answer back; nothing in the library waits. Or deputy_guard_start() starts two threads
 * that fetch by themselves; deputy_guard_check() then waits, for a moment, where it would say NEEDS.
 *
 * Threads: a guard may be used by any number of threads at once; every function that takes a `struct deputy_guard *` may be called at
 * any time from any thread, but deputy_guard_free(), which must be the last call. A configuration, a verdict and a fetch belong to
 * one thread at a time. The library has no state outside its handles (libcurl, where deputy_guard_start() uses it, has its own).
 * Threads do not survive fork(): make guards after it. */
#ifndef DEPUTY_GUARD_H
#define DEPUTY_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include <deputy/result.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------- configuration */

struct deputy_config;
struct deputy_guard;
struct deputy_verdict;
struct deputy_fetch;

/* NULL when out of memory. */
DEPUTY_API struct deputy_config *deputy_config_new(void);
DEPUTY_API void deputy_config_free(struct deputy_config *config);
/* Settings are named as the flags of `deputy guard run` are; libdeputy(3) lists them. Values are copied. Needed are resource, issuer,
 * client, the secret, and somewhere to record: audit, or deputy_config_set_record(). DEPUTY_ERR_SETTING: no such setting, or not a
 * value of it. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_config_set(struct deputy_config *config, const char *name,
                                                            const char *value);
/* Secret bytes: "secret" (the resource's client at the issuer), "nonce-key" (32 bytes; the nodes of one API share it, so that a nonce
 * of one is understood by all; made up when it is not set). Copied, and wiped at the end. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_config_set_secret(struct deputy_config *config, const char *name,
                                                                   const void *bytes, size_t len);
/* What was wrong with the last call that failed with DEPUTY_ERR_SETTING, as a sentence; "" when nothing was. */
DEPUTY_API const char *deputy_config_fault(const struct deputy_config *config);

/* Records one decision: a line of JSON without its newline. 0 when it is safe; anything else, and the request is answered with 503.
 * Nothing is answered that was not recorded: a guard without "audit" and without this does not start. Called before
 * deputy_guard_check() returns, on its thread, without a lock held. */
typedef int deputy_record_fn(void *context, const char *line, size_t len);
DEPUTY_API void deputy_config_set_record(struct deputy_config *config, deputy_record_fn *record, void *context);

/* A rule: what requests of these methods to this path need. Set `size`, and -1 where nothing is asked. */
struct deputy_rule {
    size_t size;            /* sizeof(struct deputy_rule) */
    const char *name;       /* stands in records */
    const char *methods;    /* blanks between; "*" alone: every method */
    const char *path;       /* a segment "*" stands for any one, "**" at the end for everything below */
    const char *scopes;     /* all of them, blanks between; NULL: none */
    const char *actors;     /* who may present the token, blanks between; NULL: not asked */
    const char *orgs;       /* of which organisations, blanks between; NULL: not asked */
    const char *acr_values; /* one of these authentication classes (RFC 9470), blanks between; NULL: not asked */
    int64_t depth_max;      /* actors in the chain; -1: not asked */
    int64_t max_age_s;      /* since the user's login; -1: not asked */
    bool any_token;         /* a token for this resource is enough: a rule that asks for nothing has to say so */
    bool needs_dpop;
    bool needs_bound; /* bound to a key by DPoP, or to a client certificate */
};
/* The setting "rules" names a file of rules instead (deputy-guard-rules(5)), which can say more: MCP messages by the body or by headers, scopes that
 * imply others, origins of web pages, authorization_details. It is read when the guard is made.
 *
 * With rules, the first that fits decides, the setting "scope" is needed by each of them, and a request that none fits is refused. They are checked
 * together when the guard is made. DEPUTY_ERR_ARGUMENT, _MEMORY, DEPUTY_ERR_SETTING: too many. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_config_add_rule(struct deputy_config *config,
                                                                 const struct deputy_rule *rule);

/* Remembers what may be used once, for several nodes in front of one API. Inserts the key if it is absent, atomically; it may be
 * forgotten after `expires` (Unix seconds). Without it each guard remembers in memory. */
#define DEPUTY_REPLAY_KEY_BYTES 16
enum deputy_replay {
    DEPUTY_REPLAY_FAILED = 0, /* the store cannot say, or is full: the request is answered with 503 */
    DEPUTY_REPLAY_NEW = 1,
    DEPUTY_REPLAY_SEEN = 2
};
typedef enum deputy_replay deputy_replay_fn(void *context, const unsigned char key[DEPUTY_REPLAY_KEY_BYTES],
                                            int64_t expires, int64_t now);
DEPUTY_API void deputy_config_set_replay(struct deputy_config *config, deputy_replay_fn *replay, void *context);

/* ---------------------------------------------------------------------------------------------------- the handle */

/* The configuration is copied. DEPUTY_ERR_SETTING (deputy_config_fault() says what), _MEMORY, _AUDIT, _SYSTEM. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_guard_new(struct deputy_config *config,
                                                           struct deputy_guard **ret_guard);
/* Ends its threads and writes what is to be recorded. Every verdict and fetch must have been freed. */
DEPUTY_API void deputy_guard_free(struct deputy_guard *guard);

/* The protected-resource metadata (RFC 9728): serve the document at the path, as application/json, to everybody. */
DEPUTY_API struct deputy_text deputy_guard_metadata_path(const struct deputy_guard *guard);
DEPUTY_API struct deputy_text deputy_guard_metadata(const struct deputy_guard *guard);
/* Why every request is answered with 503 now, as a sentence for operators; NULL when the guard is ready. Static. */
DEPUTY_API const char *deputy_guard_trouble(struct deputy_guard *guard);

/* -------------------------------------------------------------------------------------------------------- checking */

enum deputy_outcome {
    DEPUTY_ALLOW = 1,
    DEPUTY_REFUSE = 2,
    DEPUTY_NEEDS = 3,    /* fetch first, and check again when deputy_guard_is_waiting() has become false */
    DEPUTY_RECORDING = 4 /* refused; the verdict comes from deputy_guard_recorded() when its record is safe */
};

#define DEPUTY_CHECK_NO_WAIT (1u << 0) /* never wait: neither for keys (NEEDS) nor for the disk (RECORDING) */
#define DEPUTY_CHECK_FINAL (1u << 1)   /* never NEEDS: decide with what is known */

/* A request as it came in. Set `size`; zero and absent mean: not known. */
struct deputy_request {
    size_t size; /* sizeof(struct deputy_request) */
    struct deputy_text method;
    struct deputy_text
        target; /* the request target: "/path?query". Host and scheme come from the configuration alone */
    const struct deputy_header *headers; /* every line, as it came in; Authorization and DPoP are read, with rules of a
                                          * file also Origin and those of MCP */
    size_t headers_count;
    struct deputy_text peer; /* for the record: the caller's address */
    struct deputy_text
        scopes; /* what this request needs, blanks between; absent: "scope" of the configuration. Not with rules: 503 */
    void *user; /* deputy_verdict_user() */
    unsigned flags;
    struct deputy_text body; /* for rules about MCP messages: all of it; absent: out of sight, or not there */
    struct deputy_text
        certificate; /* the client's, of the TLS connection that the program has ended, in DER: i2d_X509() of SSL_get1_peer_certificate().
                      * Only with "client-cert" = "tls", else 503; absent: it came without one */
};

/* Decides and records. `*ret_verdict` is the caller's, and NULL for NEEDS and RECORDING. Never NULL for ALLOW and REFUSE: out of memory
 * is a refusal with 503. A proof is used up by ALLOW only.
 *
 * With "audit" a refusal waits until its record is on the disk, unless DEPUTY_CHECK_NO_WAIT is set; the record of an allow is handed
 * over and written within 20 ms. */
DEPUTY_API DEPUTY_MUST enum deputy_outcome deputy_guard_check(struct deputy_guard *guard,
                                                              const struct deputy_request *request,
                                                              struct deputy_verdict **ret_verdict);
/* A verdict whose check said RECORDING; NULL: no more for now. */
DEPUTY_API struct deputy_verdict *deputy_guard_recorded(struct deputy_guard *guard);
/* True while those whose check said NEEDS do better to wait. */
DEPUTY_API bool deputy_guard_is_waiting(struct deputy_guard *guard);
/* A descriptor for poll() and epoll: readable when deputy_guard_recorded() has something, and when a wait is over. It stays readable
 * until deputy_guard_recorded() has said NULL. */
DEPUTY_API int deputy_guard_fd(const struct deputy_guard *guard);

/* --------------------------------------------------------------------------------------------------------- verdicts */

DEPUTY_API void deputy_verdict_free(struct deputy_verdict *verdict);
DEPUTY_API bool deputy_verdict_is_allowed(const struct deputy_verdict *verdict);
/* 200, or what to answer: 400, 401, 403, 429, 503. */
DEPUTY_API int deputy_verdict_status(const struct deputy_verdict *verdict);
/* Headers of the answer to the caller. On a refusal all of them: WWW-Authenticate, DPoP-Nonce, Retry-After, Content-Type …; on an allow
 * those to be added to the API's own. */
DEPUTY_API const struct deputy_header *deputy_verdict_answer(const struct deputy_verdict *verdict, size_t *ret_count);
/* The body of a refusal (RFC 9457); absent on an allow. */
DEPUTY_API struct deputy_text deputy_verdict_body(const struct deputy_verdict *verdict);
/* Id of the decision, as it stands in the record. */
DEPUTY_API struct deputy_text deputy_verdict_id(const struct deputy_verdict *verdict);
/* "DPOP_HTU": what exactly was wrong, for logs; `deputy explain` knows them. Never for the caller. "NONE" on an allow. Static. */
DEPUTY_API const char *deputy_verdict_reason(const struct deputy_verdict *verdict);
/* The record, a line of JSON without its newline; absent when there was no memory for it. */
DEPUTY_API struct deputy_text deputy_verdict_record(const struct deputy_verdict *verdict);
/* `user` of the request. */
DEPUTY_API void *deputy_verdict_user(const struct deputy_verdict *verdict);

/* Who is calling; on an allow only. */
enum deputy_claim {
    DEPUTY_SUBJECT = 0, /* on whose behalf */
    DEPUTY_CLIENT = 1,
    DEPUTY_ACTOR = 2, /* who acts for the subject; absent: the subject itself */
    DEPUTY_SCOPE = 3, /* blanks between */
    DEPUTY_TASK = 4,
    DEPUTY_PARENT_TASK = 5,
    DEPUTY_TOKEN_ID = 6,
    DEPUTY_ISSUER = 7,
    DEPUTY_ORGANISATION = 8,
    DEPUTY_AGENT_NAME = 9,
    DEPUTY_AGENT_VERSION = 10,
    DEPUTY_KEY = 11, /* thumbprint of the key the token is bound to (RFC 7638); absent for a bearer token */
    DEPUTY_CERTIFICATE =
        12 /* thumbprint of the certificate the token is bound to (x5t#S256, RFC 8705); absent for others */
};
/* Absent when the token does not have it, and for claims this version does not know. */
DEPUTY_API struct deputy_text deputy_verdict_claim(const struct deputy_verdict *verdict, enum deputy_claim claim);
/* The actor chain, the caller first (RFC 8693 section 4.1). */
DEPUTY_API const struct deputy_text *deputy_verdict_actors(const struct deputy_verdict *verdict, size_t *ret_count);
/* When the token expires, Unix seconds; 0 on a refusal. */
DEPUTY_API int64_t deputy_verdict_expires(const struct deputy_verdict *verdict);
/* True when the token has this scope. */
DEPUTY_API bool deputy_verdict_has_scope(const struct deputy_verdict *verdict, const char *scope);
/* The nine Deputy-* headers for an upstream, empty where there is nothing to say: set every one, so that a value of the caller's own
 * never passes. None on a refusal. */
DEPUTY_API const struct deputy_header *deputy_verdict_identity(const struct deputy_verdict *verdict, size_t *ret_count);

/* --------------------------------------------------------------------------- fetching, by the caller's event loop */

enum deputy_fetch_kind { DEPUTY_FETCH_METADATA = 0, DEPUTY_FETCH_KEYS = 1, DEPUTY_FETCH_REVOCATIONS = 2 };

/* What is to be fetched now; NULL: nothing, ask again after `*ret_wait_ms` (-1: after an answer was given, or a check said NEEDS). At
 * most two fetches are out at a time: the revocation feed is a long poll, and one is always out. */
DEPUTY_API struct deputy_fetch *deputy_guard_fetch_next(struct deputy_guard *guard, int64_t *ret_wait_ms);
DEPUTY_API enum deputy_fetch_kind deputy_fetch_kind(const struct deputy_fetch *fetch);
/* "GET". Static. */
DEPUTY_API const char *deputy_fetch_method(const struct deputy_fetch *fetch);
/* https, or http on loopback where the configuration allows it. The caller checks the server's certificate, follows no redirects, and
 * may refuse addresses of its own network. */
DEPUTY_API const char *deputy_fetch_url(const struct deputy_fetch *fetch);
/* To be sent. Authorization among them is a secret. */
DEPUTY_API const struct deputy_header *deputy_fetch_headers(const struct deputy_fetch *fetch, size_t *ret_count);
/* What the caller need not read beyond, and how long it need not wait. */
DEPUTY_API size_t deputy_fetch_body_bytes_max(const struct deputy_fetch *fetch);
DEPUTY_API int64_t deputy_fetch_timeout_ms(const struct deputy_fetch *fetch);
/* Gives the answer and frees the fetch. DEPUTY_ERR_DOCUMENT: it is of no use and the guard goes on with what it knows, while that is
 * fresh enough. */
DEPUTY_API enum deputy_result deputy_fetch_answer(struct deputy_fetch *fetch, int status, const void *body, size_t len);
/* There is no answer: no connection, or no time left. Frees the fetch. */
DEPUTY_API void deputy_fetch_fail(struct deputy_fetch *fetch);

/* ------------------------------------------------------------------------------------------- fetching, by itself */

/* Starts the threads that fetch. https only, but for loopback with "allow-loopback"; no redirects, no proxy; addresses of private
 * networks only with "allow-private". DEPUTY_ERR_SYSTEM; DEPUTY_ERR_ARGUMENT when it was started before. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_guard_start(struct deputy_guard *guard);
/* Waits until the guard is ready (deputy_guard_trouble() is NULL). DEPUTY_ERR_TIMEOUT. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_guard_wait_ready(struct deputy_guard *guard, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif

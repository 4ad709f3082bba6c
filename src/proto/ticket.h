/* Tickets: what the authorization server gives away and gets back, sealed, so that nothing is stored until somebody consented: a request
 * that was pushed ahead (rfc9126), the question on the page, the code (oauth-v2-1#4.1), the refresh token. Each kind opens as itself and
 * as nothing else. A consent that lasts, because a refresh token hangs on it, is kept as a record; that is a ticket too, in plain. */
#ifndef DEP_PROTO_TICKET_H
#define DEP_PROTO_TICKET_H

#include "base/json.h"
#include "crypto/crypto.h"

#define DEP_TICKET_KEY_LEN 32u
#define DEP_TICKET_BYTES_MAX 16384u /* sealed and in base64url */
#define DEP_TICKET_TARGETS_MAX 8u
#define DEP_REQUEST_URI_PREFIX "urn:ietf:params:oauth:request_uri:"

enum dep_ticket_kind {
    DEP_TICKET_PUSHED, /* the value of request_uri behind its prefix */
    DEP_TICKET_ASKED,  /* the form on the consent page */
    DEP_TICKET_CODE,
    DEP_TICKET_REFRESH, /* id, client_id, turn and times alone: the rest is in the consent's record */
    DEP_TICKET_KINDS
};

struct dep_ticket {
    /* Of a question, pushed or shown: what is answered once. Of a code and what comes of it: the consent's, which every token descends from. */
    struct dep_str id;
    int64_t made,
        expires; /* Unix seconds; `expires` is the first second at which it is not taken any more. `made` of a page is that of
                            * the request that was pushed: however many pages it is shown on, it is one thing */
    struct dep_str client_id;
    struct dep_str redirect_uri, state; /* as they came; absent where there is none */
    struct dep_str challenge;           /* code_challenge, always of S256 */
    struct dep_str jkt;   /* the key that the code is for (rfc9449#10), then the refresh token's; absent: none */
    struct dep_str scope; /* asked for, then granted; absent: none */
    struct dep_str targets[DEP_TICKET_TARGETS_MAX];
    size_t targets_count;
    struct dep_str user, org, issuer,
        acr;           /* the principal and its issuer, from the page on; acr absent when nobody said */
    int64_t auth_time; /* 0 when nobody said */
    int64_t turn;      /* of a refresh token: which of its consent; a record has the one that is good now */
};

/* Seals as base64url into the arena. The nonce comes from the system: not for rules. DEP_ERR_ARENA_FULL, DEP_ERR_PARAM_SIZE. */
DEP_MUST struct dep_res dep_ticket_seal(struct dep_arena *arena, struct dep_secret key, enum dep_ticket_kind kind,
                                        const struct dep_ticket *ticket, struct dep_str *ret_text);
/* Opens what dep_ticket_seal() made, of this kind; times are the caller's to judge. Slices point into the arena. Anything that is wrong:
 * DEP_ERR_CRYPTO_SEAL. */
DEP_MUST struct dep_res dep_ticket_open(struct dep_arena *arena, struct dep_secret key, enum dep_ticket_kind kind,
                                        struct dep_str text, struct dep_ticket *ret_ticket);
/* As a JSON object: the record of a consent. Failures of reading: a JSON reason or DEP_ERR_ADMIN_INPUT. */
void dep_ticket_write(struct dep_json_writer *writer, const struct dep_ticket *ticket);
DEP_MUST struct dep_res dep_ticket_read(const struct dep_json *json, struct dep_ticket *ret_ticket);

#endif

/* Access tokens (RFC 9068 with act of RFC 8693, cnf of RFC 9449 and our lineage): the one description that the server writes
 * and that server, guard and command line check by the same function. */
#ifndef DEP_PROTO_TOKEN_H
#define DEP_PROTO_TOKEN_H

#include "base/json.h"
#include "jose/jws.h"

#define DEP_ACT_DEPTH_MAX 8u
#define DEP_ACT_BYTES_MAX 4096u
#define DEP_LINEAGE_MAX 16u
#define DEP_ORIGINS_MAX 32u
#define DEP_AUDIENCES_MAX 16u
#define DEP_TASK_MAX 128u
#define DEP_JTI_MAX 128u
#define DEP_ACR_MAX 256u

struct dep_token {
    struct dep_str iss, sub, client_id, jti;
    struct dep_str aud[DEP_AUDIENCES_MAX];
    size_t aud_count;
    struct dep_str scope;  /* absent when there is none */
    int64_t iat, nbf, exp; /* nbf 0 when absent */
    struct dep_str jkt;    /* cnf.jkt; absent for a bearer token. Never with x5t */
    struct dep_str x5t; /* cnf.x5t#S256 (rfc8705#3.1): of the client's certificate, base64url; absent: bound to none */
    struct dep_str actors[DEP_ACT_DEPTH_MAX]; /* act.sub, outermost (the presenter) first */
    size_t actors_count;
    struct dep_str lineage[DEP_LINEAGE_MAX]; /* jtis of the tokens this one descends from, nearest first */
    size_t lineage_count;
    /* "client:" + id and "task:" + id of the tokens it descends from, where its own claims do not name them any more: so that one cut
     * reaches what grew from it (private claim). */
    struct dep_str origins[DEP_ORIGINS_MAX];
    size_t origins_count;
    struct dep_str
        resources[DEP_AUDIENCES_MAX]; /* of a token that is handed over: what may follow from it (private claim) */
    size_t resources_count;           /* 0: whatever the ceilings on the way allow */
    struct dep_str may_act;           /* may_act.sub: who may become the actor; absent: nobody else */
    struct dep_str may_act_iss;       /* may_act.iss; absent: this issuer */
    struct dep_str agent_name, agent_version, task_id, parent_task_id, org_id; /* absent when there is none */
    struct dep_str acr;     /* how the user logged in (rfc9068#2.2.1); absent when nobody said */
    int64_t auth_time;      /* when; 0 when nobody said */
    struct dep_str details; /* authorization_details (rfc9396#9.1): the JSON array as it stands; absent: none */
};

/* What a place expects of an access token. */
struct dep_token_policy {
    struct dep_str issuer;
    struct dep_str audience; /* absent: any (introspection, exchange: looked at afterwards) */
    unsigned algs;
    int64_t skew_s;
};

/* Takes the token apart; gives the kid and alg to look up. Reasons of jose/. */
DEP_MUST struct dep_res dep_token_open(struct dep_arena *arena, struct dep_str text,
                                       const struct dep_token_policy *policy, struct dep_jws *ret_jws);
/* Verifies the signature with the looked-up key, then checks iss, times, aud, and reads the claims (rfc9068#4). */
DEP_MUST struct dep_res dep_token_check(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_jws *jws,
                                        enum dep_alg key_alg, const struct dep_public_key *key,
                                        const struct dep_token_policy *policy, int64_t now,
                                        struct dep_token *ret_token);
/* Reads the claims of a token that somebody already trusts (a cache, `deputy token decode`). */
DEP_MUST struct dep_res dep_token_read(const struct dep_json *claims, struct dep_token *ret_token);
/* What a token is bound to: cnf, NULL when it has none. DEP_ERR_JWT_CLAIMS: neither jkt nor x5t#S256, or more than one member. */
DEP_MUST struct dep_res dep_token_read_cnf(const struct dep_json *cnf, struct dep_token *token);
/* The member cnf; nothing for an unbound token. */
void dep_token_write_cnf(struct dep_json_writer *writer, const struct dep_token *token);
/* The claims as JSON. */
void dep_token_write(struct dep_json_writer *writer, const struct dep_token *token);
/* Who presents the token: the outermost actor, or the subject when nobody acts for it. */
struct dep_str dep_token_presenter(const struct dep_token *token);
/* Whether a token for this resource may follow from it. */
bool dep_token_may_lead_to(const struct dep_token *token, struct dep_str resource);
bool dep_token_has_aud(const struct dep_token *token, struct dep_str audience);

#endif

/* What the checks of one decision share. Each check reads what earlier rows established and adds its own; nothing survives. */
#ifndef DEP_PROTO_CTX_H
#define DEP_PROTO_CTX_H

#include "crypto/certificate.h"
#include "http/form.h"
#include "proto/decide.h"

enum dep_target_kind { DEP_TARGET_RESOURCE, DEP_TARGET_AGENT, DEP_TARGET_ISSUER, DEP_TARGET_SERVER };

struct dep_target {
    enum dep_target_kind kind;
    struct dep_str id;
    const struct dep_resource *resource;
    const struct dep_agent *agent;
    const struct dep_trusted_issuer *server; /* a foreign authorization server */
};

/* A token that came as a parameter. */
struct dep_presented {
    bool is_open;            /* taken apart; `jws` is valid */
    struct dep_res open_res; /* why not, otherwise */
    struct dep_jws jws;
    struct dep_token claimed; /* what it says, unverified: good for naming facts, and for nothing else */
    struct dep_token token;   /* valid once a row has verified it */
    const struct dep_jwks_key *key;
};

/* As what a JWT of another issuer comes: each takes other types of token. */
enum dep_foreign_door {
    DEP_FOREIGN_ID_TOKEN, /* subject_token of type id_token */
    DEP_FOREIGN_JWT,      /* of type jwt: also an access token of another deputy */
    DEP_FOREIGN_GRANT,
    DEP_FOREIGN_WORKLOAD, /* also a JWT-SVID, which names its issuer by its subject */
    DEP_FOREIGN_DOORS
};

/* A JWT of another issuer: a subject token, a grant, a workload's credential. */
struct dep_foreign {
    struct dep_res open_res; /* why it cannot be taken apart */
    bool is_open;
    bool is_id_jag, is_access_token, is_svid;
    bool is_good; /* verified */
    struct dep_jws jws;
    struct dep_str iss, sub; /* as claimed, until verified */
    const struct dep_json *claims;
    const struct dep_trusted_issuer *issuer; /* NULL: not trusted, or not looked up yet */
    const struct dep_jwks_key *key;
    struct dep_foreign_actor actors[DEP_ACT_DEPTH_MAX]; /* its act, newest first: evidence, no authority */
    size_t actors_count;
};

/* Something that may be used once. */
struct dep_use {
    bool is_single; /* false: nothing of the kind came, or it may be used again */
    unsigned char key[DEP_REPLAY_KEY_BYTES];
    int64_t made, until; /* as in dep_effect */
    bool is_durable;
};

struct dep_ctx {
    struct dep_arena *arena;
    struct dep_crypto *crypto;
    const struct dep_policy *policy;
    const struct dep_request *request;
    const struct dep_facts *facts;
    struct dep_decision *decision;
    int64_t now;
    const unsigned char *random;
    enum dep_column column;

    /* wire */
    struct dep_str param[DEP_PARAMS];                  /* absent: not sent, or empty */
    struct dep_str targets_asked[2 * DEP_TARGETS_MAX]; /* resource and audience, as sent */
    size_t targets_asked_count;
    bool is_scope_good, is_target_good; /* well-formed: fit to be recorded */
    struct dep_str dpop_header;         /* absent: none */

    /* client */
    struct dep_str certificate_der;            /* absent: the caller showed no certificate */
    const struct dep_certificate *certificate; /* NULL: the same */
    struct dep_str x5t;                        /* its x5t#S256 (rfc8705#3.1) */
    enum dep_client_auth method;
    struct dep_str client_id;
    struct dep_secret secret;
    struct dep_jws assertion;
    bool is_workload; /* the assertion is a trusted issuer's token for a workload, not signed by the client */
    struct dep_foreign workload;
    const struct dep_client *client;
    const struct dep_agent *agent; /* the client's; NULL for a resource server */
    struct dep_use assertion_use;

    /* an agent that calls with its token */
    struct dep_credentials credentials;
    bool is_dpop_scheme;
    struct dep_child child;

    /* users' consent */
    struct dep_ticket ticket; /* that came back: a pushed request, a page, a code, a refresh token */
    bool has_ticket;
    const struct dep_ticket *consent; /* the record that a refresh token belongs to */
    struct dep_str redirect_uri;      /* one of the client's */
    bool is_redirectable; /* the client may see a refusal: who asks and where to is known, and who the user is */
    const struct dep_trusted_issuer
        *foreign_of_consent; /* whose login it was; NULL: not trusted any more, or not looked up yet */

    /* tokens and targets */
    struct dep_presented subject, actor, presented; /* exchange; introspection and revocation */
    struct dep_foreign foreign;
    bool is_foreign; /* the subject is a user of another issuer */
    struct dep_use grant_use;
    bool is_actor_jwt; /* the actor token is signed by the client itself */
    struct dep_jws actor_jws;
    struct dep_use actor_use;
    bool is_named;       /* may_act of the subject token names our agent: it may act, within the token's own audience */
    bool is_handed_over; /* the subject token names our agent in aud: a delegation, not a narrowing */
    struct dep_target targets[DEP_TARGETS_MAX];
    size_t targets_count;
    enum dep_issued issued;                    /* what is asked for: an access token, or a grant for a foreign server */
    struct dep_str there[2 * DEP_TARGETS_MAX]; /* of a grant: the resources at the foreign server */
    size_t there_count;
    bool is_target_claimed; /* nothing was asked for: the grant says for which resource it is */
    bool is_target_here;    /* a grant is asked for, for something of this server's */
    const struct dep_agent *chain[DEP_ACT_DEPTH_MAX + 2]; /* agents of the subject's chain, then the client's own */
    size_t chain_count;
    struct dep_str scope; /* granted; absent for none */
    bool has_dpop;
    struct dep_dpop dpop;
};

typedef struct dep_res dep_check_run(struct dep_ctx *c);

struct dep_check {
    const char *name;
    const char *cite;
    const char *text;
    unsigned columns;
    enum dep_class door; /* the class of reasons that are answered by where the object came in */
    bool is_load;        /* may name needs; runs even when an earlier row named some */
    dep_check_run *run;
};

/* A fact: DEP_FACT_KNOWN with `*ret_value` (NULL: does not exist), or not known: then it is named in `needs`. */
bool dep_ctx_fact(struct dep_ctx *c, enum dep_fact_kind kind, struct dep_str id, const void **ret_value);
/* The same without naming a need. */
bool dep_ctx_peek(const struct dep_ctx *c, enum dep_fact_kind kind, struct dep_str id, const void **ret_value);
/* The token will be in another agent's hands: its audience is one, or it names one as actor. */
bool dep_ctx_is_hand_over(const struct dep_ctx *c);
void dep_ctx_effect(struct dep_ctx *c, struct dep_effect effect);

/* Whether the client's agent acts for itself: there is no subject token. */
static inline bool dep_ctx_is_own(const struct dep_ctx *c)
{
    return c->column == DEP_COLUMN_CLIENT_CREDENTIALS || c->column == DEP_COLUMN_WORKLOAD;
}

/* check_replay.c: a JWT with `jti` of `owner`, with these times. */
void dep_use_set(const struct dep_ctx *c, enum dep_replay_purpose purpose, struct dep_str owner, struct dep_str jti,
                 const struct dep_jwt_times *times, struct dep_use *ret_use);

#define DEP_P(c, id) ((c)->param[DEP_PARAM_##id])

#define DEP_CHECK_ROW(fn) struct dep_res fn(struct dep_ctx *c)
/* check_wire.c */
DEP_CHECK_ROW(dep_check_method);
DEP_CHECK_ROW(dep_check_query);
DEP_CHECK_ROW(dep_check_media_type);
DEP_CHECK_ROW(dep_check_content_coding);
DEP_CHECK_ROW(dep_check_form);
DEP_CHECK_ROW(dep_check_grant_known);
DEP_CHECK_ROW(dep_check_task);
DEP_CHECK_ROW(dep_check_feed_query);
/* check_client.c */
DEP_CHECK_ROW(dep_check_client_one_method);
DEP_CHECK_ROW(dep_check_client_id);
DEP_CHECK_ROW(dep_check_load_client);
DEP_CHECK_ROW(dep_check_client_lock);
DEP_CHECK_ROW(dep_check_client_known);
DEP_CHECK_ROW(dep_check_client_method);
DEP_CHECK_ROW(dep_check_client_secret);
DEP_CHECK_ROW(dep_check_client_assertion);
DEP_CHECK_ROW(dep_check_client_agent);
DEP_CHECK_ROW(dep_check_client_grant);
DEP_CHECK_ROW(dep_check_client_guards);
/* check_certificate.c */
DEP_CHECK_ROW(dep_check_certificate);
DEP_CHECK_ROW(dep_check_client_certificate);
DEP_CHECK_ROW(dep_check_certificate_required);
/* check_dpop.c */
DEP_CHECK_ROW(dep_check_dpop_header);
DEP_CHECK_ROW(dep_check_dpop_required);
DEP_CHECK_ROW(dep_check_dpop_proof);
/* check_target.c */
DEP_CHECK_ROW(dep_check_target_syntax);
DEP_CHECK_ROW(dep_check_scope_syntax);
DEP_CHECK_ROW(dep_check_load_targets);
DEP_CHECK_ROW(dep_check_target_known);
DEP_CHECK_ROW(dep_check_target_allowed);
DEP_CHECK_ROW(dep_check_may_act);
DEP_CHECK_ROW(dep_check_scope_ceiling);
/* check_exchange.c */
DEP_CHECK_ROW(dep_check_exchange_params);
DEP_CHECK_ROW(dep_check_exchange_types);
DEP_CHECK_ROW(dep_check_load_exchange);
DEP_CHECK_ROW(dep_check_subject_token);
DEP_CHECK_ROW(dep_check_subject_live);
DEP_CHECK_ROW(dep_check_subject_owner);
DEP_CHECK_ROW(dep_check_subject_may_act);
DEP_CHECK_ROW(dep_check_actor_token);
DEP_CHECK_ROW(dep_check_actor_owner);
DEP_CHECK_ROW(dep_check_chain);
DEP_CHECK_ROW(dep_check_chain_depth);
DEP_CHECK_ROW(dep_check_subject_binding);
DEP_CHECK_ROW(dep_check_task_lineage);
/* check_grant.c */
DEP_CHECK_ROW(dep_check_grant_params);
DEP_CHECK_ROW(dep_check_grant_profile);
/* check_authorize.c */
DEP_CHECK_ROW(dep_check_users_offered);
DEP_CHECK_ROW(dep_check_asked);
DEP_CHECK_ROW(dep_check_redirect_uri);
DEP_CHECK_ROW(dep_check_load_login);
DEP_CHECK_ROW(dep_check_login);
DEP_CHECK_ROW(dep_check_answer);
DEP_CHECK_ROW(dep_check_asked_form);
DEP_CHECK_ROW(dep_check_response_type);
DEP_CHECK_ROW(dep_check_pkce);
DEP_CHECK_ROW(dep_check_key_param);
DEP_CHECK_ROW(dep_check_key_named);
DEP_CHECK_ROW(dep_check_page_unused);
/* check_code.c */
DEP_CHECK_ROW(dep_check_code_params);
DEP_CHECK_ROW(dep_check_load_code);
DEP_CHECK_ROW(dep_check_code);
DEP_CHECK_ROW(dep_check_code_live);
DEP_CHECK_ROW(dep_check_code_key);
DEP_CHECK_ROW(dep_check_code_unused);
DEP_CHECK_ROW(dep_check_refresh_unused);
/* check_register.c */
DEP_CHECK_ROW(dep_check_caller_header);
DEP_CHECK_ROW(dep_check_load_caller);
DEP_CHECK_ROW(dep_check_caller_token);
DEP_CHECK_ROW(dep_check_caller_proof);
DEP_CHECK_ROW(dep_check_caller_scope);
DEP_CHECK_ROW(dep_check_child);
/* check_token.c */
DEP_CHECK_ROW(dep_check_token_param);
DEP_CHECK_ROW(dep_check_load_token);
DEP_CHECK_ROW(dep_check_token_active);
DEP_CHECK_ROW(dep_check_token_visible);
DEP_CHECK_ROW(dep_check_token_own);
/* check_replay.c */
DEP_CHECK_ROW(dep_check_assertion_unused);
DEP_CHECK_ROW(dep_check_proof_unused);
DEP_CHECK_ROW(dep_check_grant_unused);
DEP_CHECK_ROW(dep_check_actor_unused);

/* foreign.c: shared by exchange, grant and workload authentication. Opening names the issuer and its key as facts; verifying fills in
 * `ret_token` as far as a foreign token can speak for us: who, until when, and for an ID-JAG the scope. */
void dep_foreign_open(struct dep_ctx *c, struct dep_str text, enum dep_foreign_door door, struct dep_foreign *foreign);
struct dep_res dep_foreign_verify(struct dep_ctx *c, struct dep_foreign *foreign, unsigned use) DEP_MUST;
struct dep_res dep_foreign_subject(struct dep_ctx *c, struct dep_foreign *foreign,
                                   struct dep_token *ret_token) DEP_MUST;
/* foreign_user.c: what the issuer's record makes of the claims. The principal is "user:" + issuer's name + ":" + sub, or the claim that the
 * record names instead; absent when that is not plain enough to stand in an id. `check` is for the claims that must be there. `limit`
 * replaces a user by one who may do what the rows for its claims give, when there are any. */
struct dep_str dep_foreign_principal(struct dep_arena *arena, const struct dep_foreign *foreign);
struct dep_res dep_foreign_check_user(const struct dep_foreign *foreign) DEP_MUST;
struct dep_res dep_foreign_limit_user(struct dep_ctx *c, const struct dep_agent **user) DEP_MUST;

/* target_server.c: a foreign authorization server as the one target. `find` makes `target` one when `id` is one, and may name needs;
 * `load` does it for a grant, where everything else that is asked for is a resource there. */
bool dep_target_server_find(struct dep_ctx *c, struct dep_str id, struct dep_target *target);
void dep_target_server_load(struct dep_ctx *c);
struct dep_res dep_target_server_known(const struct dep_ctx *c) DEP_MUST;
struct dep_res dep_target_server_allowed(const struct dep_ctx *c) DEP_MUST;
bool dep_target_server_may_follow(const struct dep_ctx *c, const struct dep_token *subject);
bool dep_target_server_is_within(const struct dep_ctx *c, const struct dep_token *subject);
bool dep_target_server_may(const struct dep_ctx *c, const struct dep_agent *agent, struct dep_str word);
/* What a grant there may carry at most, for requests that name no scope. */
const struct dep_str *dep_target_server_scopes(const struct dep_ctx *c, size_t *ret_count);
/* The client's name there; absent: it is not known there. */
struct dep_str dep_target_server_client(const struct dep_ctx *c);

/* check_certificate.c: the thumbprint that the token of this request is bound to; absent: none. A proof comes first: cnf names one key. */
struct dep_str dep_certificate_binding(const struct dep_ctx *c);

/* Shared by exchange, introspection and revocation. */
void dep_presented_open(struct dep_ctx *c, struct dep_str text, struct dep_presented *presented);
struct dep_res dep_presented_verify(struct dep_ctx *c, struct dep_presented *presented) DEP_MUST;
/* check_replay.c: `reason` when it was used before. */
struct dep_res dep_use_up(struct dep_ctx *c, const struct dep_use *use, enum dep_err reason) DEP_MUST;
/* answer_consent.c: the answers that carry a ticket, and the refresh token beside an access token. */
void dep_answer_consent(struct dep_ctx *c);
struct dep_res dep_answer_refresh(struct dep_ctx *c) DEP_MUST;
/* Builds the answer of the column after all its checks passed. */
struct dep_res dep_answer_build(struct dep_ctx *c) DEP_MUST;

#endif

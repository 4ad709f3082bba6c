/* The admin API: JSON over a Unix socket, RFC 9457 errors. One row per route; what a route does is one function. */
#ifndef DEP_SERVER_ADMIN_H
#define DEP_SERVER_ADMIN_H

#include "proto/idempotency_answer.h"
#include "proto/wire.h"
#include "server/server.h"

#define DEP_ADMIN_CHANGES_MAX 64u /* of one request, unless it reserves more */

/* One admin request on its way. A route reads what it needs and fills in status, body, changes and event; the engine records and
 * answers. */
struct dep_admin {
    struct dep_server *server;
    struct dep_net_exchange *exchange;
    struct dep_arena *arena;
    struct dep_crypto *crypto;
    struct dep_snapshot *snapshot;
    const struct dep_settings *settings;
    struct dep_str noun, id, verb; /* of the path: /admin/v1/<noun>[/<id>[/<verb>]], id percent-decoded */
    const struct dep_json *body;   /* an object; NULL when the request has none */
    int64_t now;
    struct dep_str decision_id;
    char principal[40];
    struct dep_idempotency_names names; /* of a request with a key */
    struct dep_job_once once;           /* while the ledger waits for the end of this request */
    bool has_key, is_replay;

    int status;
    struct dep_buf out;            /* the answer's body */
    struct dep_json_writer writer; /* on `out` */
    const char *content_type;
    struct dep_change *changes; /* the heap's */
    size_t changes_count, changes_max;
    struct dep_arena changes_arena; /* texts of many revocations: a family may be large */
    void *changes_memory;
    bool is_for_good;  /* what is revoked never comes back: banned agents, deleted clients */
    const char *event; /* "agent.created"; NULL: nothing to record */
    struct dep_str target;
    char detail[200]; /* refusals: for the caller */
};

typedef struct dep_res dep_admin_route(struct dep_admin *a);

/* admin_once.c: writes with an Idempotency-Key. Before the route runs: a write that ran before has its answer in status and out now
 * (is_replay); one that may not run is refused. */
DEP_MUST struct dep_res dep_admin_once_begin(struct dep_admin *a);
/* The write will not run, or has changed nothing. */
void dep_admin_once_abandon(struct dep_admin *a);
/* Room for the answer as it is to be kept, before the job is made; absent: it has none or is too large. */
struct dep_str dep_admin_once_seal(struct dep_admin *a, const struct dep_wire_answer *answer);
/* What every answer to a request with a key says. */
void dep_admin_once_headers(struct dep_admin *a, struct dep_wire_answer *answer);

/* A change of the record with this body, by its present version, or a new one. */
void dep_admin_change(struct dep_admin *a, enum dep_change_op op, enum dep_record_kind kind, struct dep_str id,
                      int64_t version, struct dep_str body);
/* Room for this many revocations more, and for their texts. */
DEP_MUST struct dep_res dep_admin_reserve(struct dep_admin *a, size_t count);
/* Appends the revocation to the changes. */
DEP_MUST struct dep_res dep_admin_revoke(struct dep_admin *a, enum dep_revoked_kind kind, struct dep_str id);
/* DEP_ERR_ADMIN_INPUT with a sentence for the caller. */
__attribute__((format(printf, 2, 3))) struct dep_res dep_admin_refuse(struct dep_admin *a, const char *format, ...);
/* A new object: the members of `base` (may be NULL), overridden by those of `patch`, which may only name what stands in `allowed`
 * (blanks between). null removes. */
DEP_MUST struct dep_res dep_admin_merge(struct dep_admin *a, const struct dep_json *base, const struct dep_json *patch,
                                        const char *allowed, struct dep_str *ret_text);
/* The cell of the path's id, or DEP_ERR_STORE_MISSING. */
DEP_MUST struct dep_res dep_admin_find(struct dep_admin *a, enum dep_record_kind kind,
                                       const struct dep_cell **ret_cell);

/* admin_records.c: what all kinds of records share. */
DEP_MUST struct dep_res dep_admin_parse(struct dep_admin *a, struct dep_str text, const struct dep_json **ret_json);
DEP_MUST struct dep_res dep_admin_list(struct dep_admin *a, enum dep_record_kind kind,
                                       void (*write)(struct dep_json_writer *writer, const struct dep_cell *cell));
/* Merges the request's body into the record of the path; the new text is checked and becomes a change. */
DEP_MUST struct dep_res dep_admin_update_record(struct dep_admin *a, enum dep_record_kind kind, const char *allowed,
                                                struct dep_str *ret_text);
/* The same for a new record: `generated` is an object with what the caller may not choose, or need not. */
DEP_MUST struct dep_res dep_admin_create_record(struct dep_admin *a, enum dep_record_kind kind, struct dep_str id,
                                                struct dep_str generated, const char *allowed,
                                                struct dep_str *ret_text);
/* admin_records.c, admin_resources.c, admin_issuers.c: the routes. */
dep_admin_route dep_admin_agents_list, dep_admin_agents_create, dep_admin_agents_get, dep_admin_agents_update;
dep_admin_route dep_admin_clients_list, dep_admin_clients_create, dep_admin_clients_get, dep_admin_clients_update;
dep_admin_route dep_admin_clients_delete, dep_admin_clients_rotate;
dep_admin_route dep_admin_resources_list, dep_admin_resources_create, dep_admin_resources_get,
    dep_admin_resources_update;
dep_admin_route dep_admin_resources_delete;
dep_admin_route dep_admin_issuers_list, dep_admin_issuers_create, dep_admin_issuers_get, dep_admin_issuers_update;
dep_admin_route dep_admin_issuers_delete;
/* admin_grants.c */
dep_admin_route dep_admin_grants_list, dep_admin_grants_get, dep_admin_grants_revoke;
/* Whether a ceiling may speak of `uri` because it is a foreign server that takes grants, or a resource there. */
bool dep_admin_is_abroad(const struct dep_admin *a, struct dep_str uri);
/* admin_state.c */
dep_admin_route dep_admin_agents_suspend, dep_admin_agents_resume, dep_admin_agents_ban;
dep_admin_route dep_admin_keys_list, dep_admin_keys_prepare, dep_admin_keys_activate, dep_admin_keys_retire,
    dep_admin_keys_taint;
dep_admin_route dep_admin_revocations_list, dep_admin_revocations_create;
/* admin_preview.c */
dep_admin_route dep_admin_preview;
/* admin_view.c */
/* "checks": the rows that a server's trace names, with the one that refused. */
void dep_admin_put_checks(struct dep_json_writer *writer, struct dep_str trace, struct dep_str refused);
dep_admin_route dep_admin_decisions_get, dep_admin_livez, dep_admin_readyz, dep_admin_metrics, dep_admin_config;

#endif

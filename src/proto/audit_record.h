/* The audit record: what server and guard write about every decision, as one JSON line. The shape is an interface: fields are added,
 * never renamed. */
#ifndef DEP_PROTO_AUDIT_RECORD_H
#define DEP_PROTO_AUDIT_RECORD_H

#include "base/buf.h"
#include "base/res.h"
#include "proto/token.h"

/* One actor of a foreign token's act. */
struct dep_foreign_actor {
    struct dep_str iss, sub; /* iss absent: it named none */
};

/* Absent text and zero numbers are left out of the line. */
struct dep_audit_record {
    int64_t ts;            /* Unix seconds */
    struct dep_str id;     /* decision id */
    struct dep_str node;   /* "as", or "guard " + resource */
    struct dep_str event;  /* "token.issued", "token.refused", "guard.allowed", "guard.refused", "agent.banned", … */
    bool is_allowed;       /* "outcome":"allow" or "deny" */
    enum dep_err reason;   /* DEP_ERR_NONE is left out */
    struct dep_str check;  /* the row that refused */
    struct dep_str trace;  /* column and rows run, for `deputy explain` */
    struct dep_str rule;   /* the guard's rule that decided */
    struct dep_str tool;   /* the MCP tool, prompt or resource that a rule looked at */
    struct dep_str client; /* client_id */
    struct dep_str principal; /* who asked: the authenticated agent, client or operator */
    struct dep_str method, path, peer;
    const struct dep_token
        *token; /* the issued or presented token: sub, chain, aud, scope, jti, lineage, jkt, x5t, exp, task … */
    struct dep_str
        issued; /* "id-jag" or "jwt": the token described is a grant for another server; absent: an access token */
    struct dep_str asked_scope;
    const struct dep_str *asked_targets;
    size_t asked_targets_count;
    struct dep_str allowed_scope; /* of an over-ask: the part that would have been allowed; blank: nothing */
    struct dep_str limits;        /* of an over-ask: "scope: what says no", one after the other */
    struct dep_str instruction;   /* hex SHA-256 of the human instruction */
    struct dep_str target;        /* admin events: the id of what was changed */
    const struct dep_foreign_actor *foreign_chain; /* act of a foreign token, newest first: evidence only */
    size_t foreign_chain_count;
    struct dep_str detail; /* free text of ours; never a caller's secret */
};

/* {"ts":…,"id":…,"node":…,"event":…,"outcome":…, … ,"sub":…,"chain":[presenter, …, subject],"aud":[…],…}, without a newline. */
void dep_audit_record_write(struct dep_buf *buf, const struct dep_audit_record *record);

#endif

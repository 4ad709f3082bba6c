/* Reading a log: walking, searching, tracing a chain, and verifying offline. Needs no running server. */
#ifndef DEP_AUDIT_READ_H
#define DEP_AUDIT_READ_H

#include "base/json.h"
#include "base/res.h"
#include "crypto/crypto.h"

/* One record as read: `line` without its newline, `index` its leaf index, `record` parsed. Slices live during the call. */
struct dep_audit_entry {
    uint64_t index;
    struct dep_str line;
    const struct dep_json *record;
};
typedef bool dep_audit_visit(void *context, const struct dep_audit_entry *entry);

/* Every record in order from leaf `from`; ends when `visit` returns false. */
DEP_MUST struct dep_res dep_audit_walk(const char *directory, uint64_t from, dep_audit_visit *visit, void *context);

/* Absent fields match everything; a field that is present must match exactly. */
struct dep_audit_filter {
    struct dep_str principal; /* sub, client, or any actor */
    struct dep_str actor;     /* anywhere in the chain */
    struct dep_str task;      /* task or parent task */
    struct dep_str jti;       /* the token itself or one of its lineage */
    struct dep_str resource;  /* one of the audiences */
    struct dep_str event;     /* "token.issued" */
    struct dep_str outcome;   /* "allow" or "deny" */
    struct dep_str decision;
    int64_t since, until; /* Unix seconds; 0 for no bound */
};
bool dep_audit_matches(const struct dep_audit_filter *filter, const struct dep_json *record);

/* What verification found. Every record is hashed, every checkpoint's signature and root are checked, and tree heads must grow. */
struct dep_audit_report {
    uint64_t records;
    uint64_t checkpoints;
    uint64_t records_signed; /* covered by the newest checkpoint */
    bool is_intact;
    char detail[256]; /* what is wrong and where, for people */
};
/* `public_key` is the note verifier key ("origin+hash+base64", as in key.pub); absent: the key.pub of the directory. */
DEP_MUST struct dep_res dep_audit_verify(const char *directory, struct dep_str public_key,
                                         struct dep_audit_report *ret_report);

#endif

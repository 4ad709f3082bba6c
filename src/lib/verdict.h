/* A verdict: one block with every text of it, on its own, so that nothing else is held until it is freed. */
#ifndef DEP_LIB_VERDICT_H
#define DEP_LIB_VERDICT_H

#include <deputy/guard.h>

#include "audit/journal.h"
#include "guard/guard.h"

#define DEP_LIB_HEADERS 8u
#define DEP_LIB_CLAIMS 13u

/* Where its record is. */
enum dep_lib_record { DEP_LIB_RECORD_SAFE, DEP_LIB_RECORD_PENDING, DEP_LIB_RECORD_FAILED };

struct deputy_verdict {
    struct dep_journal_waiter waiter; /* first; while its record is pending */
    struct deputy_guard *guard;
    struct deputy_verdict *next;      /* among those for deputy_guard_recorded() */
    enum dep_lib_record record_state; /* under the guard's lock while it is pending */
    bool is_queued;                   /* its caller asks for it with deputy_guard_recorded() */
    bool is_static;
    void *user;
    bool is_allowed;
    int status;
    enum dep_err reason;
    int64_t expires;
    struct deputy_text id, body, record;
    struct deputy_header answer[DEP_LIB_HEADERS];
    size_t answer_count;
    struct deputy_header identity[DEP_GUARD_IDENTITY];
    size_t identity_count;
    struct deputy_text claims[DEP_LIB_CLAIMS];
    struct deputy_text actors[DEP_ACT_DEPTH_MAX];
    size_t actors_count;
};

/* What the verdict's texts are copied from. */
struct dep_lib_verdict_source {
    struct deputy_guard *guard;
    const struct dep_guard_decision *decision;
    struct dep_str record;
    void *user;
};
/* NULL when out of memory. */
struct deputy_verdict *dep_lib_verdict_new(const struct dep_lib_verdict_source *source);
/* Makes it a refusal with 503: its record is not safe. */
void dep_lib_verdict_spoil(struct deputy_verdict *verdict, enum dep_err reason);
/* The verdict for when there is no memory for one. */
struct deputy_verdict *dep_lib_verdict_trouble(void);

#endif

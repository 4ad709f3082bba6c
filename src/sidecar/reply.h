/* A prepared answer: copied out of the worker's arena, so that it can wait for its record or be repeated. */
#ifndef DEP_SIDECAR_REPLY_H
#define DEP_SIDECAR_REPLY_H

#include "audit/journal.h"
#include "sidecar/shape.h"

struct dep_reply {
    struct dep_journal_waiter waiter; /* first */
    struct dep_net_exchange *exchange;
    struct dep_header headers[DEP_SHAPE_HEADERS];
    struct dep_net_answer answer;
    char id[DEP_ULID_LEN];
};

/* A copy on the heap that answers `exchange` once its record is written, or 503 when it is not. NULL when out of
 * memory. */
struct dep_reply *dep_reply_new(struct dep_net_exchange *exchange, const struct dep_guard_decision *decision,
                                const struct dep_net_answer *answer);
void dep_reply_free(struct dep_reply *reply);

/* 503 with a problem document and nothing else: for failures before there is a decision. `id` may be absent. */
void dep_reply_trouble(struct dep_net_exchange *exchange, struct dep_str id);
/* A small answer without a decision: health, metadata, 404, 405. */
void dep_reply_plain(struct dep_net_exchange *exchange, int status, const char *media_type, struct dep_str body);

#endif

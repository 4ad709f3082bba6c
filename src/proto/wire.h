/* From a decision to status, headers and body. The only place that writes OAuth answers, and the only one that writes problem
 * details (RFC 9457) for what is not OAuth. */
#ifndef DEP_PROTO_WIRE_H
#define DEP_PROTO_WIRE_H

#include "proto/decide.h"

struct dep_wire {
    enum dep_class class;
    int status;
    const char *error; /* NULL: the answer is no OAuth error */
    const char *slug;
    bool is_retriable;
};
const struct dep_wire *dep_wire_of(enum dep_class class);

#define DEP_WIRE_HEADERS_MAX 8u

struct dep_wire_answer {
    int status;
    struct dep_header headers[DEP_WIRE_HEADERS_MAX];
    size_t headers_count;
    struct dep_str body; /* empty for none */
};
void dep_wire_header(struct dep_wire_answer *answer, const char *name, struct dep_str value);

/* Writes the answer of any decision but DOCUMENT and FEED, whose bodies the shell has. `jwt` is the signed token, for TOKEN only. */
DEP_MUST struct dep_res dep_wire_write(struct dep_arena *arena, const struct dep_decision *decision, struct dep_str jwt,
                                       struct dep_wire_answer *ret_answer);
/* A refusal that no decision made: 404, a full queue, a log that cannot be written. `id` may be absent. */
DEP_MUST struct dep_res dep_wire_refuse(struct dep_arena *arena, enum dep_err reason, struct dep_str id,
                                        int64_t retry_after_s, struct dep_wire_answer *ret_answer);
/* Problem details. `detail` is for the caller and may be absent: then the reason's text. */
DEP_MUST struct dep_res dep_wire_problem(struct dep_arena *arena, enum dep_err reason, struct dep_str detail,
                                         struct dep_str id, struct dep_wire_answer *ret_answer);
/* Refusals answered before the body is rendered can be told apart only by class where the caller must not learn more. */
struct dep_str dep_wire_description(enum dep_err reason, enum dep_class class);

#endif

/* How a decision looks on the wire: status, headers and body on the caller's memory, whoever sends them. */
#ifndef DEP_SIDECAR_SHAPE_H
#define DEP_SIDECAR_SHAPE_H

#include "guard/guard.h"
#include "net/server.h"

#define DEP_SHAPE_HEADERS 16u

struct dep_answer_space {
    struct dep_header headers[DEP_SHAPE_HEADERS];
    char body[1024];
    char number[24];
};

/* Allow: the identity headers; refusal: challenge, nonce, Retry-After, problem document. Cache-Control: no-store always
 * (G7). */
void dep_shape(const struct dep_guard_decision *decision, struct dep_answer_space *space,
               struct dep_net_answer *ret_answer);
/* 503 with a problem document and nothing else: for failures before there is a decision. `id` may be absent. */
void dep_shape_trouble(struct dep_str id, struct dep_answer_space *space, struct dep_net_answer *ret_answer);

#endif

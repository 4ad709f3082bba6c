/* Refusals of the last seconds, so that nginx can fetch one again with its true status (integrations#3.3): auth_request
 * passes on 401 and 403 only, and no body. Nothing is verified twice; a proof would be a replay. Bounded: the oldest
 * make room. */
#ifndef DEP_SIDECAR_DENIED_H
#define DEP_SIDECAR_DENIED_H

#include "sidecar/reply.h"

#define DEP_DENIED_MAX 4096u
#define DEP_DENIED_LIFE_MS 5000

struct dep_denied;

struct dep_denied *dep_denied_new(void);
void dep_denied_free(struct dep_denied *denied);
/* Keeps a copy under the decision's id. Out of memory: nothing is kept. */
void dep_denied_put(struct dep_denied *denied, const struct dep_guard_decision *decision,
                    const struct dep_net_answer *answer, int64_t now_ms);
/* Answers the exchange as the decision was answered; false when it is not known any more. A 401 goes without its
 * challenge, because nginx has put it into the answer already. */
bool dep_denied_answer(struct dep_denied *denied, struct dep_str id, int64_t now_ms, struct dep_net_exchange *exchange);

#endif

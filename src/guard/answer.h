/* What a refusal looks like on the wire: status, challenge, body (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9457).
 * */
#ifndef DEP_GUARD_ANSWER_H
#define DEP_GUARD_ANSWER_H

#include "guard/guard.h"

/* Fills status, error, www_authenticate, dpop_nonce and retry_after_s from `reason`. When the arena is full, the header
 * lines that do not fit are left out. */
void dep_guard_answer(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_guard_policy *policy,
                      int64_t now, struct dep_guard_decision *decision);

/* The problem document of a refusal (RFC 9457), with error, error_description and decision beside it. */
void dep_guard_put_body(struct dep_buf *buf, const struct dep_guard_decision *decision);

#endif

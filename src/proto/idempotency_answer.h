/* An answer as the ledger keeps it: status, the headers that still mean something later, body; sealed. */
#ifndef DEP_PROTO_IDEMPOTENCY_ANSWER_H
#define DEP_PROTO_IDEMPOTENCY_ANSWER_H

#include "proto/idempotency.h"

#define DEP_IDEMPOTENCY_HEADERS_MAX 16u
#define DEP_IDEMPOTENCY_BODY_MAX 65536u /* by default */

struct dep_idempotency_answer {
    int status;
    struct dep_header headers[DEP_IDEMPOTENCY_HEADERS_MAX];
    size_t headers_count;
    struct dep_str body;
};

/* Whether a header of an answer is kept. Those that describe the body or name what was made are; cookies, credentials,
 * challenges, dates and what belongs to one connection are not. */
bool dep_idempotency_keeps(struct dep_str name);

/* Adds the header when it is one to keep. False: it was to be kept and there is no room. */
bool dep_idempotency_answer_header(struct dep_idempotency_answer *answer, struct dep_str name, struct dep_str value);

/* For dep_ledger_complete(). */
DEP_MUST struct dep_res dep_idempotency_answer_seal(struct dep_arena *arena, const struct dep_idempotency_names *names,
                                                    const struct dep_idempotency_answer *answer,
                                                    struct dep_str *ret_sealed);
/* Of an entry that is to be replayed; slices live in the arena. DEP_ERR_CRYPTO_SEAL when the entry was changed. */
DEP_MUST struct dep_res dep_idempotency_answer_open(struct dep_arena *arena, const struct dep_idempotency_names *names,
                                                    struct dep_str sealed, struct dep_idempotency_answer *ret_answer);

#endif

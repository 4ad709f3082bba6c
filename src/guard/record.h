/* The audit record of a decision at the resource. */
#ifndef DEP_GUARD_RECORD_H
#define DEP_GUARD_RECORD_H

#include "guard/guard.h"

/* Into `memory`, a line without its newline; absent when it cannot be written. `node` names who decided, `peer` who
 * asked (absent: not known). The arena holds what is needed in between. */
struct dep_str dep_guard_record(struct dep_arena *arena, const struct dep_guard_decision *decision,
                                enum dep_guard_adapter adapter, struct dep_str node, struct dep_str peer, int64_t now,
                                void *memory, size_t memory_bytes);

#endif

/* Who the upstream is told is calling: the identity headers (interface.md, G2). */
#ifndef DEP_GUARD_IDENTITY_H
#define DEP_GUARD_IDENTITY_H

#include "guard/guard.h"

/* Fills `identity` from the decision's token. All of the headers always, so that a value of the client's own can never
 * pass. DEP_ERR_GUARD_IDENTITY when a claim cannot stand in a header as it is: it is refused, never altered. */
DEP_MUST struct dep_res dep_guard_identity(struct dep_arena *arena, struct dep_guard_decision *decision);

#endif

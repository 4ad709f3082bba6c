/* Who the upstream is told is calling: the identity headers (interface.md, G2). */
#ifndef DEP_GUARD_IDENTITY_H
#define DEP_GUARD_IDENTITY_H

#include "guard/guard.h"

/* False when a claim cannot stand in a header as it is: it is refused, never altered. */
bool dep_guard_identity_is_plain(const struct dep_token *token);
/* Fills `identity` from the decision's token, whose claims are plain. All of the headers always, so that a value of the
 * client's own can never pass. */
DEP_MUST struct dep_res dep_guard_identity(struct dep_arena *arena, struct dep_guard_decision *decision);

#endif

/* Distinguished names as text (RFC 4514), in one form, so that two of them can be compared byte for byte. */
#ifndef DEP_PROTO_DN_H
#define DEP_PROTO_DN_H

#include "base/arena.h"
#include "base/res.h"

/* Types in capitals, one way of escaping, no blanks beside separators, the parts of a relative name in order. Values keep their case
 * and their blanks: the matching rules of X.520 would let more names be one. DEP_ERR_DN_SYNTAX: not such a text, a value that is
 * empty, no name at all. */
DEP_MUST struct dep_res dep_dn_normalise(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_form);

#endif

/* A structured field that is one String (RFC 8941): `"text"`, perhaps with parameters. */
#ifndef DEP_HTTP_ITEM_H
#define DEP_HTTP_ITEM_H

#include "base/arena.h"
#include "base/res.h"

/* The String's text, without quotes and escapes. Parameters must be well-formed and are not looked at (rfc8941#3.3: a
 * field that defines none ignores them). Anything else, a list of Strings included: DEP_ERR_HTTP_ITEM. A text without
 * escapes is a slice of `value`. */
DEP_MUST struct dep_res dep_item_string(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_text);

#endif

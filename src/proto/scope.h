/* Scopes (RFC 6749 section 3.3): a list of case-sensitive words, single blanks between them, order without meaning. */
#ifndef DEP_PROTO_SCOPE_H
#define DEP_PROTO_SCOPE_H

#include "base/buf.h"
#include "base/res.h"

/* Only %x21 / %x23-5B / %x5D-7E, one blank between words, no word twice: DEP_ERR_SCOPE_SYNTAX. */
DEP_MUST struct dep_res dep_scope_check(struct dep_str scope);
bool dep_scope_has(struct dep_str scope, struct dep_str word);
/* Every word of `part` is in `whole`. An empty part is in everything. */
bool dep_scope_within(struct dep_str part, struct dep_str whole);
/* Appends a word, with the blank that is due. */
void dep_scope_put(struct dep_buf *buf, struct dep_str word);

#endif

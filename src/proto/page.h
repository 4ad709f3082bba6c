/* What people see: the question of consent, and refusals that go to nobody else. HTML without scripts, under a policy that loads nothing. */
#ifndef DEP_PROTO_PAGE_H
#define DEP_PROTO_PAGE_H

#include "proto/wire.h"

/* The style's hash stands in the Content-Security-Policy; a test compares them. */
extern const char dep_page_style[];
extern const char dep_page_style_hash[]; /* base64 of its SHA-256 */

/* Text as HTML, fit for content and for quoted attributes; bytes below 0x20 become blanks. */
void dep_page_put_text(struct dep_buf *buf, struct dep_str text);
/* Body and headers; type and decision are there already. DEP_ERR_ARENA_FULL. */
DEP_MUST struct dep_res dep_page_consent(struct dep_arena *arena, const struct dep_decision *decision,
                                         struct dep_wire_answer *answer);
DEP_MUST struct dep_res dep_page_refusal(struct dep_arena *arena, const struct dep_decision *decision,
                                         struct dep_wire_answer *answer);

#endif

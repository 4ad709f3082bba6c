/* application/x-www-form-urlencoded, as OAuth uses it (RFC 6749 appendix B): strict percent-encoding, UTF-8,
 * bounded. */
#ifndef DEP_HTTP_FORM_H
#define DEP_HTTP_FORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/res.h"

#define DEP_FORM_FIELDS_MAX 128u

struct dep_form_field {
    struct dep_str name;
    struct dep_str value; /* decoded; never absent */
};

struct dep_form {
    struct dep_form_field *fields;
    size_t count;
};

/* Reads a body or a query. A bad percent sign, a NUL, bytes that are not UTF-8 or too many fields: DEP_ERR_HTTP_FORM.
 * Empty pieces between '&' are passed over; a piece without '=' is a name with an empty value. */
DEP_MUST struct dep_res dep_form_parse(struct dep_arena *arena, struct dep_str text, struct dep_form *ret_form);
/* Percent-decoding alone, with '+' as blank when `is_form`. Used for Basic credentials too (oauth-v2-1#2.4.1). */
DEP_MUST struct dep_res dep_percent_decode(struct dep_arena *arena, struct dep_str text, bool is_form,
                                           struct dep_str *ret_text);
/* Appends name=value with the '&' that is due. */
void dep_form_put(struct dep_buf *buf, struct dep_str name, struct dep_str value);

#endif

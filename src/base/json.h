/* JSON, strict (RFC 8259), read into the arena and written through one escaping writer.
 *
 * Refused on reading: duplicate members (RFC 7515 section 4 allows that; we always do), invalid UTF-8, lone surrogates,
 * a byte-order mark, anything after the value, nesting beyond the given depth, more than DEP_JSON_BYTES_MAX bytes,
 * DEP_JSON_VALUES_MAX values or DEP_JSON_MEMBERS_MAX members in one object. Numbers keep their text and never pass
 * through `double`. A NUL inside a string is read, and refused by every getter. */
#ifndef DEP_BASE_JSON_H
#define DEP_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/res.h"

#define DEP_JSON_BYTES_MAX 65536u
#define DEP_JSON_VALUES_MAX 4096u
#define DEP_JSON_MEMBERS_MAX 256u
#define DEP_JSON_DEPTH_MAX 32u
/* Latest time accepted in a NumericDate: the last second of the year 9999. */
#define DEP_JSON_TIME_MAX INT64_C(253402300799)

enum dep_json_type {
    DEP_JSON_NULL,
    DEP_JSON_FALSE,
    DEP_JSON_TRUE,
    DEP_JSON_NUMBER,
    DEP_JSON_STRING,
    DEP_JSON_ARRAY,
    DEP_JSON_OBJECT
};

struct dep_json {
    enum dep_json_type type;
    uint32_t name_hash;
    struct dep_str name;    /* member name, escapes resolved; absent in arrays and at the top */
    struct dep_str text;    /* string: escapes resolved; number: as written */
    struct dep_str raw;     /* the whole value as written */
    struct dep_json *child; /* first member or element */
    struct dep_json *next;  /* next sibling */
    size_t count;           /* members or elements */
};

/* Reads one value. Depth 1 is a scalar or an empty container's own level: `[[]]` has depth 2.
 * Slices in the result point into `text` or the arena. */
DEP_MUST struct dep_res dep_json_parse(struct dep_arena *arena, struct dep_str text, unsigned depth_max,
                                       struct dep_json **ret_value);
/* The same with a caller's byte limit (JWK Sets, metadata, the revocation feed); beyond 64 KiB one value for each 16
 * bytes of it. */
DEP_MUST struct dep_res dep_json_parse_max(struct dep_arena *arena, struct dep_str text, unsigned depth_max,
                                           size_t bytes_max, struct dep_json **ret_value);

/* The member, or NULL: not an object, or no such member. */
const struct dep_json *dep_json_get(const struct dep_json *object, struct dep_str name);
#define DEP_JSON_GET(object, literal) dep_json_get((object), DEP_STR(literal))
/* True for a present member that is not null. */
bool dep_json_has(const struct dep_json *object, struct dep_str name);

/* A string without NUL. `value` may be NULL: DEP_ERR_JSON_MISSING; else DEP_ERR_JSON_TYPE, DEP_ERR_JSON_NUL. */
DEP_MUST struct dep_res dep_json_str(const struct dep_json *value, struct dep_str *ret_text);
/* An integer in range; "5.0" counts as 5, an exponent or another fraction does not. */
DEP_MUST struct dep_res dep_json_int(const struct dep_json *value, int64_t min, int64_t max, int64_t *ret_value);
/* A NumericDate (RFC 7519 section 2), fractions rounded down, 0 to DEP_JSON_TIME_MAX. */
DEP_MUST struct dep_res dep_json_time(const struct dep_json *value, int64_t *ret_time);
DEP_MUST struct dep_res dep_json_bool(const struct dep_json *value, bool *ret_value);

/* The writer. Commas and escaping are its business; output is pure ASCII, one line.
 * Bytes that are not UTF-8 become U+FFFD. */
struct dep_json_writer {
    struct dep_buf *buf;
    bool needs_comma;
};

void dep_json_begin(struct dep_json_writer *writer, struct dep_buf *buf);
void dep_json_open(struct dep_json_writer *writer, char bracket);  /* '{' or '[' */
void dep_json_close(struct dep_json_writer *writer, char bracket); /* '}' or ']' */
void dep_json_name(struct dep_json_writer *writer, const char *name);
void dep_json_name_str(struct dep_json_writer *writer, struct dep_str name);
void dep_json_put_str(struct dep_json_writer *writer, struct dep_str text);
void dep_json_put_int(struct dep_json_writer *writer, int64_t value);
void dep_json_put_bool(struct dep_json_writer *writer, bool value);
void dep_json_put_null(struct dep_json_writer *writer);
/* Text that is JSON already. */
void dep_json_put_raw(struct dep_json_writer *writer, struct dep_str json);
/* A value that was read, written again. */
void dep_json_put_value(struct dep_json_writer *writer, const struct dep_json *value);
/* Member with a string value, left out when `text` is absent. */
void dep_json_member(struct dep_json_writer *writer, const char *name, struct dep_str text);
void dep_json_member_int(struct dep_json_writer *writer, const char *name, int64_t value);
void dep_json_member_bool(struct dep_json_writer *writer, const char *name, bool value);

#endif

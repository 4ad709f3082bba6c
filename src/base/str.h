/* Slices of text, passed by value.
 *
 * `ptr == NULL` means "absent", `len == 0` with a pointer means "there, but empty"; the two are kept
 * apart because OAuth gives them different meanings. A slice never owns what it points to and is not
 * terminated by NUL. */
#ifndef DEP_BASE_STR_H
#define DEP_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dep_str {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal. */
#define DEP_STR(literal) ((struct dep_str){ "" literal "", sizeof(literal) - 1 })
/* The same as a constant initialiser, for tables. */
#define DEP_STR_INIT(literal)              \
    {                                      \
        "" literal "", sizeof(literal) - 1 \
    }
/* No slice at all. */
#define DEP_STR_ABSENT ((struct dep_str){ NULL, 0 })
/* Arguments for printf("%.*s"). */
#define DEP_STR_ARG(s) (int)(s).len, ((s).len > 0 ? (s).ptr : "")

struct dep_str dep_str(const char *ptr, size_t len);
/* A slice of a C string; NULL gives an absent slice. */
struct dep_str dep_str_c(const char *cstr);

static inline bool dep_str_is_absent(struct dep_str s)
{
    return s.ptr == NULL;
}
/* Absent or empty: "parameter with empty value = absent" (oauth-v2-1#3.2). */
static inline bool dep_str_is_blank(struct dep_str s)
{
    return s.len == 0;
}

/* True for a text of blanks and control characters only, and for none. */
bool dep_str_says_nothing(struct dep_str s);

/* Equality for public text. Absent equals only absent. Never for secrets: see secret.h. */
bool dep_str_eq(struct dep_str a, struct dep_str b);
bool dep_str_eq_c(struct dep_str a, const char *cstr);
/* ASCII case-insensitive equality: header names, authentication schemes, media types. */
bool dep_str_eq_nocase(struct dep_str a, struct dep_str b);
bool dep_str_starts(struct dep_str s, struct dep_str prefix);
bool dep_str_ends(struct dep_str s, struct dep_str suffix);
/* memcmp order, shorter first. */
int dep_str_cmp(struct dep_str a, struct dep_str b);
/* Index of the first `c`, or s.len. */
size_t dep_str_find(struct dep_str s, char c);
bool dep_str_has(struct dep_str s, char c);
/* The part from `at`, at most `len` bytes; clipped to what there is. */
struct dep_str dep_str_sub(struct dep_str s, size_t at, size_t len);
/* Without the blanks and tabs at both ends (the OWS of RFC 9110). */
struct dep_str dep_str_trim(struct dep_str s);
/* Cuts the text up to the next `sep` from `*rest`, moves `*rest` past it. False when nothing is left.
 * "a,,b" gives "a", "", "b"; an absent or empty `*rest` gives nothing. After the last piece `*rest` is absent. */
bool dep_str_cut(struct dep_str *rest, char sep, struct dep_str *ret_piece);
/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool dep_str_is_utf8(struct dep_str s);
/* FNV-1a with a seed, for in-process tables of public text. Not a keyed hash. */
uint64_t dep_str_hash(struct dep_str s, uint64_t seed);

#endif

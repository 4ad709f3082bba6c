/* Scopes (RFC 6749 section 3.3). */
#include "proto/scope.h"

static bool is_scope_char(char c)
{
    unsigned char u = (unsigned char)c;

    return u == 0x21 || (u >= 0x23 && u <= 0x5B) || (u >= 0x5D && u <= 0x7E);
}

struct dep_res dep_scope_check(struct dep_str scope)
{
    struct dep_str rest = scope, word;

    if (scope.len == 0 || scope.ptr[scope.len - 1] == ' ')
        return DEP_FAIL(SCOPE_SYNTAX);
    while (dep_str_cut(&rest, ' ', &word)) {
        if (word.len == 0)
            return DEP_FAIL(SCOPE_SYNTAX);
        for (size_t i = 0; i < word.len; i++)
            if (!is_scope_char(word.ptr[i]))
                return DEP_FAIL(SCOPE_SYNTAX);
        if (dep_scope_has(rest, word))
            return DEP_FAIL(SCOPE_SYNTAX);
    }
    return DEP_OK;
}

bool dep_scope_has(struct dep_str scope, struct dep_str word)
{
    struct dep_str rest = scope, other;

    while (dep_str_cut(&rest, ' ', &other))
        if (dep_str_eq(other, word))
            return true;
    return false;
}

bool dep_scope_within(struct dep_str part, struct dep_str whole)
{
    struct dep_str rest = part, word;

    while (dep_str_cut(&rest, ' ', &word))
        if (!dep_scope_has(whole, word))
            return false;
    return true;
}

void dep_scope_put(struct dep_buf *buf, struct dep_str word)
{
    if (buf->len > 0)
        dep_buf_put_char(buf, ' ');
    dep_buf_put(buf, word);
}

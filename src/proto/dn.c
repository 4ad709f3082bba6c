/* Reading RFC 4514 section 3, with the blanks beside separators that RFC 2253 still allowed: people write them. */
#include "proto/dn.h"

#include <string.h>

#include "base/buf.h"
#include "base/num.h"

#define PARTS_MAX 8u /* of one relative name */

struct reader {
    struct dep_str text;
    size_t at;
    struct dep_buf out;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* NUL at the end: no name has one unescaped. */
static char peek(const struct reader *r)
{
    return r->at < r->text.len ? r->text.ptr[r->at] : '\0';
}

static void skip_blanks(struct reader *r)
{
    while (peek(r) == ' ')
        r->at++;
}

/* A descriptor or an OID in dots, in capitals, with the sign behind it. */
static bool read_type(struct reader *r)
{
    bool is_oid;
    size_t start;

    skip_blanks(r);
    is_oid = is_digit(peek(r));
    start = r->at;
    for (;; r->at++) {
        char c = peek(r);

        if (is_oid ? !is_digit(c) && c != '.' : !is_alpha(c) && (r->at == start || (!is_digit(c) && c != '-')))
            break;
        dep_buf_put_char(&r->out, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
    if (r->at == start)
        return false;
    skip_blanks(r);
    if (peek(r) != '=')
        return false;
    r->at++;
    dep_buf_put_char(&r->out, '=');
    skip_blanks(r);
    return true;
}

/* A value of which nobody knows the syntax: its BER in hexadecimal. */
static bool read_hex(struct reader *r)
{
    size_t start = ++r->at, digits;

    dep_buf_put_char(&r->out, '#');
    for (int nibble = dep_hex_digit(peek(r)); nibble >= 0; nibble = dep_hex_digit(peek(r))) {
        dep_buf_put_char(&r->out, "0123456789abcdef"[nibble]);
        r->at++;
    }
    digits = r->at - start;
    skip_blanks(r);
    return digits > 0 && digits % 2 == 0;
}

static void put_escaped(struct reader *r, unsigned char byte)
{
    dep_buf_put_char(&r->out, '\\');
    dep_buf_put_hex(&r->out, &byte, 1);
}

/* A blank within a value is never escaped here, so that "a\ b" and "a b" are one; every other special is, in one way. */
static void put_byte(struct reader *r, unsigned char byte)
{
    if (byte >= 0x80 || is_alpha((char)byte) || is_digit((char)byte) || byte == ' ' || byte == '-' || byte == '.') {
        dep_buf_put_char(&r->out, (char)byte);
        return;
    }
    put_escaped(r, byte);
}

/* What stands behind a backslash: two hexadecimal digits, or one of the characters that may not stand alone. */
static bool read_escape(struct reader *r)
{
    int high, low;
    char c;

    r->at++;
    c = peek(r);
    high = dep_hex_digit(c);
    low = high < 0 || r->text.len - r->at < 2 ? -1 : dep_hex_digit(r->text.ptr[r->at + 1]);
    if (low >= 0) {
        put_byte(r, (unsigned char)(high << 4 | low));
        r->at += 2;
        return true;
    }
    if (!dep_str_has(DEP_STR(" \"#+,;<=>\\"), c))
        return false;
    put_byte(r, (unsigned char)c);
    r->at++;
    return true;
}

/* The blank at `at` becomes three bytes. */
static bool escape_first(struct reader *r, size_t at)
{
    size_t len = r->out.len - at - 1;
    char *end = dep_buf_take(&r->out, 2);

    if (end == NULL)
        return false;
    memmove(r->out.ptr + at + 3, r->out.ptr + at + 1, len);
    memcpy(r->out.ptr + at, "\\20", 3);
    return true;
}

static bool read_string(struct reader *r)
{
    size_t start = r->out.len, kept = start;
    bool starts_blank = false;

    while (r->at < r->text.len && peek(r) != ',' && peek(r) != '+') {
        char c = peek(r);

        if (c == '\\') {
            if (!read_escape(r))
                return false;
            starts_blank |= kept == start && r->out.len > start && r->out.ptr[start] == ' ';
            kept = r->out.len;
            continue;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f || dep_str_has(DEP_STR("\";<>"), c))
            return false;
        put_byte(r, (unsigned char)c);
        if (c != ' ')
            kept = r->out.len;
        r->at++;
    }
    r->out.len = kept; /* blanks at the end belong to the separator unless they are escaped */
    if (kept == start || r->out.has_failed)
        return false;
    /* Those at the ends of the value go out escaped, or nobody could read them again. */
    if (kept > start + 1 && r->out.ptr[kept - 1] == ' ') {
        r->out.len--;
        put_escaped(r, ' ');
    }
    return starts_blank ? escape_first(r, start) : true;
}

/* Sorts the parts of a relative name, which has no order of its own: they stand in `out` from `start`, each with `+` behind. */
static struct dep_res sort_parts(struct dep_arena *arena, struct reader *r, size_t start, struct dep_str *parts,
                                 size_t count)
{
    struct dep_str copy;

    if (count < 2)
        return DEP_OK;
    copy = dep_arena_dup(arena, dep_str(r->out.ptr + start, r->out.len - start));
    if (dep_str_is_absent(copy))
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < count; i++)
        parts[i].ptr = copy.ptr + (parts[i].ptr - (r->out.ptr + start));
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && dep_str_cmp(parts[k - 1], parts[k]) > 0; k--) {
            struct dep_str swap = parts[k];

            parts[k] = parts[k - 1];
            parts[k - 1] = swap;
        }
    r->out.len = start;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            dep_buf_put_char(&r->out, '+');
        dep_buf_put(&r->out, parts[i]);
    }
    return DEP_OK;
}

static struct dep_res read_relative(struct dep_arena *arena, struct reader *r)
{
    struct dep_str parts[PARTS_MAX];
    size_t start = r->out.len, count = 0;

    for (;;) {
        size_t part = r->out.len;

        if (count == PARTS_MAX || !read_type(r) || !(peek(r) == '#' ? read_hex(r) : read_string(r)) ||
            r->out.has_failed)
            return DEP_FAIL(DN_SYNTAX);
        parts[count++] = dep_str(r->out.ptr + part, r->out.len - part);
        if (peek(r) != '+')
            break;
        r->at++;
        dep_buf_put_char(&r->out, '+');
    }
    return sort_parts(arena, r, start, parts, count);
}

struct dep_res dep_dn_normalise(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_form)
{
    struct reader r = { .text = text };

    if (text.len == 0 || text.len > 8192 || dep_str_has(text, '\0') || !dep_str_is_utf8(text))
        return DEP_FAIL(DN_SYNTAX);
    dep_buf_init_arena(&r.out, arena, 3 * text.len);
    if (r.out.has_failed)
        return DEP_FAIL(ARENA_FULL);
    for (;;) {
        DEP_TRY(read_relative(arena, &r));
        if (r.at == text.len)
            break;
        if (peek(&r) != ',')
            return DEP_FAIL(DN_SYNTAX);
        r.at++;
        dep_buf_put_char(&r.out, ',');
    }
    /* Escapes may have put together what is no text. */
    if (r.out.has_failed || !dep_str_is_utf8(dep_buf_str(&r.out)))
        return DEP_FAIL(DN_SYNTAX);
    *ret_form = dep_buf_str(&r.out);
    return DEP_OK;
}

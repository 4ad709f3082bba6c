/* application/x-www-form-urlencoded, as OAuth uses it: RFC 6749 appendix B over the WHATWG form encoding.
 *
 * Text without '%' and '+' is not copied: the slices point into the input, as everywhere in a request. */
#include "http/form.h"

#include <string.h>

#include "base/num.h"

static bool is_plain(struct dep_str text, bool is_form)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '%' || (is_form && text.ptr[i] == '+'))
            return false;
    return true;
}

/* Decodes into `out`, which has room for text.len. False on a '%' without two hex digits behind it. */
static bool decode(struct dep_str text, bool is_form, char *out, size_t *ret_len)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '+' && is_form) {
            c = ' ';
        } else if (c == '%') {
            if (text.len - i < 3)
                return false;

            int high = dep_hex_digit(text.ptr[i + 1]);
            int low = dep_hex_digit(text.ptr[i + 2]);

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        out[len++] = c;
    }
    *ret_len = len;
    return true;
}

struct dep_res dep_percent_decode(struct dep_arena *arena, struct dep_str text, bool is_form, struct dep_str *ret_text)
{
    struct dep_str result = text;

    if (!is_plain(text, is_form)) {
        char *out = dep_arena_alloc(arena, text.len);

        if (out == NULL)
            return DEP_FAIL(ARENA_FULL);
        result.ptr = out;
        if (!decode(text, is_form, out, &result.len))
            return DEP_FAIL(HTTP_FORM);
    }
    /* A NUL would end the value for some readers and not for others. */
    if (dep_str_has(result, '\0') || !dep_str_is_utf8(result))
        return DEP_FAIL(HTTP_FORM);
    *ret_text = result;
    return DEP_OK;
}

static size_t count_pieces(struct dep_str text)
{
    struct dep_str rest = text;
    struct dep_str piece;
    size_t count = 0;

    while (dep_str_cut(&rest, '&', &piece))
        count += piece.len > 0;
    return count;
}

struct dep_res dep_form_parse(struct dep_arena *arena, struct dep_str text, struct dep_form *ret_form)
{
    struct dep_form form = { NULL, 0 };
    struct dep_str rest = text;
    struct dep_str piece;
    size_t count = count_pieces(text);

    if (count > DEP_FORM_FIELDS_MAX)
        return DEP_FAIL(HTTP_FORM);
    form.fields = DEP_NEW_ARRAY(arena, count, struct dep_form_field);
    if (form.fields == NULL)
        return DEP_FAIL(ARENA_FULL);
    while (dep_str_cut(&rest, '&', &piece)) {
        struct dep_form_field *field = &form.fields[form.count];
        size_t at = dep_str_find(piece, '=');

        if (piece.len == 0)
            continue;
        DEP_TRY(dep_percent_decode(arena, dep_str_sub(piece, 0, at), true, &field->name));
        DEP_TRY(dep_percent_decode(arena, dep_str_sub(piece, at + 1, piece.len), true, &field->value));
        if (dep_str_is_absent(field->value))
            field->value = DEP_STR("");
        form.count++;
    }
    *ret_form = form;
    return DEP_OK;
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static void put_encoded(struct dep_buf *buf, struct dep_str text)
{
    static const char digits[16] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char three[3] = { '%', digits[c >> 4], digits[c & 15] };

        if (is_unreserved(text.ptr[i]))
            dep_buf_put_char(buf, text.ptr[i]);
        else if (c == ' ')
            dep_buf_put_char(buf, '+');
        else
            dep_buf_put(buf, dep_str(three, 3));
    }
}

void dep_form_put(struct dep_buf *buf, struct dep_str name, struct dep_str value)
{
    if (buf->len > 0)
        dep_buf_put_char(buf, '&');
    put_encoded(buf, name);
    dep_buf_put_char(buf, '=');
    put_encoded(buf, value);
}

/* Writing JSON: the one place where text is escaped for a token, an answer, a log line or an audit record.
 *
 * Output is pure ASCII: no terminal escape, bidirectional control or line separator survives as such (attack case A30). */
#include "base/json.h"

#include <string.h>

void dep_json_begin(struct dep_json_writer *writer, struct dep_buf *buf)
{
    *writer = (struct dep_json_writer){ .buf = buf };
}

static void comma(struct dep_json_writer *writer)
{
    if (writer->needs_comma)
        dep_buf_put_char(writer->buf, ',');
    writer->needs_comma = true;
}

void dep_json_open(struct dep_json_writer *writer, char bracket)
{
    comma(writer);
    dep_buf_put_char(writer->buf, bracket);
    writer->needs_comma = false;
}

void dep_json_close(struct dep_json_writer *writer, char bracket)
{
    dep_buf_put_char(writer->buf, bracket);
    writer->needs_comma = true;
}

static void put_u(struct dep_buf *buf, uint32_t unit)
{
    unsigned char bytes[2] = { (unsigned char)(unit >> 8), (unsigned char)unit };

    dep_buf_put(buf, DEP_STR("\\u"));
    dep_buf_put_hex(buf, bytes, sizeof(bytes));
}

/* One character that needs escaping; returns the bytes consumed. */
static size_t put_escaped(struct dep_buf *buf, struct dep_str rest)
{
    const unsigned char *p = (const unsigned char *)rest.ptr;
    size_t step = 1;
    uint32_t code = p[0];

    if (p[0] == '"' || p[0] == '\\') {
        dep_buf_put_char(buf, '\\');
        dep_buf_put_char(buf, (char)p[0]);
        return 1;
    }
    if (p[0] >= 0x80) {
        step = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
        if (step > rest.len || !dep_str_is_utf8(dep_str_sub(rest, 0, step))) {
            put_u(buf, 0xFFFD);
            return 1;
        }
        code = p[0] & (0xFFu >> (step + 1));
        for (size_t i = 1; i < step; i++)
            code = code << 6 | (p[i] & 0x3F);
    }
    if (code >= 0x10000) {
        put_u(buf, 0xD800 + ((code - 0x10000) >> 10));
        put_u(buf, 0xDC00 + ((code - 0x10000) & 0x3FF));
    } else {
        put_u(buf, code);
    }
    return step;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

/* No byte ends the loop, so that the compiler takes many at once. */
static bool is_all_plain(struct dep_str text)
{
    unsigned char bad = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        bad |= (unsigned char)((c < 0x20) | (c >= 0x7F) | (c == '"') | (c == '\\'));
    }
    return bad == 0;
}

/* Length of the part that needs no escape. */
static size_t plain_prefix(struct dep_str text)
{
    size_t i = 0;

    while (i < text.len && is_plain((unsigned char)text.ptr[i]))
        i++;
    return i;
}

static void put_quoted(struct dep_buf *buf, struct dep_str text)
{
    /* Nearly everything we write is plain: one check of the room, one copy. */
    if (is_all_plain(text)) {
        char *at = dep_buf_take(buf, text.len + 2);

        if (at == NULL)
            return;
        at[0] = '"';
        if (text.len > 0)
            memcpy(at + 1, text.ptr, text.len);
        at[text.len + 1] = '"';
        return;
    }
    dep_buf_put_char(buf, '"');
    while (text.len > 0) {
        size_t plain = plain_prefix(text);

        dep_buf_put(buf, dep_str_sub(text, 0, plain));
        text = dep_str_sub(text, plain, text.len);
        if (text.len > 0)
            text = dep_str_sub(text, put_escaped(buf, text), text.len);
    }
    dep_buf_put_char(buf, '"');
}

void dep_json_name_str(struct dep_json_writer *writer, struct dep_str name)
{
    comma(writer);
    put_quoted(writer->buf, name);
    dep_buf_put_char(writer->buf, ':');
    writer->needs_comma = false;
}

void dep_json_name(struct dep_json_writer *writer, const char *name)
{
    dep_json_name_str(writer, dep_str_c(name));
}

void dep_json_put_str(struct dep_json_writer *writer, struct dep_str text)
{
    comma(writer);
    put_quoted(writer->buf, text);
}

void dep_json_put_int(struct dep_json_writer *writer, int64_t value)
{
    comma(writer);
    dep_buf_put_int(writer->buf, value);
}

void dep_json_put_bool(struct dep_json_writer *writer, bool value)
{
    comma(writer);
    dep_buf_put(writer->buf, value ? DEP_STR("true") : DEP_STR("false"));
}

void dep_json_put_null(struct dep_json_writer *writer)
{
    comma(writer);
    dep_buf_put(writer->buf, DEP_STR("null"));
}

void dep_json_put_raw(struct dep_json_writer *writer, struct dep_str json)
{
    comma(writer);
    dep_buf_put(writer->buf, json);
}

void dep_json_put_value(struct dep_json_writer *writer, const struct dep_json *value)
{
    switch (value->type) {
    case DEP_JSON_NULL:
        dep_json_put_null(writer);
        break;
    case DEP_JSON_FALSE:
    case DEP_JSON_TRUE:
        dep_json_put_bool(writer, value->type == DEP_JSON_TRUE);
        break;
    case DEP_JSON_NUMBER:
        dep_json_put_raw(writer, value->text);
        break;
    case DEP_JSON_STRING:
        dep_json_put_str(writer, value->text);
        break;
    case DEP_JSON_ARRAY:
    case DEP_JSON_OBJECT:
        dep_json_open(writer, value->type == DEP_JSON_ARRAY ? '[' : '{');
        for (const struct dep_json *item = value->child; item != NULL; item = item->next) {
            if (value->type == DEP_JSON_OBJECT)
                dep_json_name_str(writer, item->name);
            dep_json_put_value(writer, item);
        }
        dep_json_close(writer, value->type == DEP_JSON_ARRAY ? ']' : '}');
        break;
    }
}

void dep_json_member(struct dep_json_writer *writer, const char *name, struct dep_str text)
{
    if (dep_str_is_absent(text))
        return;
    dep_json_name(writer, name);
    dep_json_put_str(writer, text);
}

void dep_json_member_int(struct dep_json_writer *writer, const char *name, int64_t value)
{
    dep_json_name(writer, name);
    dep_json_put_int(writer, value);
}

void dep_json_member_bool(struct dep_json_writer *writer, const char *name, bool value)
{
    dep_json_name(writer, name);
    dep_json_put_bool(writer, value);
}

/* Reading JSON: a strict recursive reader with every limit checked (RFC 8259). The writer stands in json_write.c.
 *
 * Invariants:
 *  (1) Recursion is bounded by depth_max <= DEP_JSON_DEPTH_MAX.
 *  (2) Time is linear in the text but for duplicate search, which compares hashes of at most DEP_JSON_MEMBERS_MAX siblings. */
#include "base/json.h"

#include <string.h>

#include "base/num.h"

struct reader {
    struct dep_arena *arena;
    const char *at;
    const char *end;
    size_t values, values_max;
    unsigned depth_max;
};

static struct dep_res read_value(struct reader *r, unsigned depth, struct dep_json *value);

static void skip_blank(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool read_hex4(const char **at, const char *end, uint32_t *ret)
{
    uint32_t value = 0;

    if (end - *at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = (*at)[i];

        value <<= 4;
        if (c >= '0' && c <= '9')
            value |= (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value |= (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            value |= (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    *at += 4;
    *ret = value;
    return true;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* The escape after a backslash, into `out` (at most 4 bytes: never longer than its spelling). */
static struct dep_res read_escape(const char **at, const char *end, char *out, size_t *ret_len)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;

    if (*at == end)
        return DEP_FAIL(JSON_SYNTAX);

    char c = *(*at)++;
    const char *known = memchr(from, c, sizeof(from) - 1);

    if (known != NULL) {
        out[0] = to[known - from];
        *ret_len = 1;
        return DEP_OK;
    }
    if (c != 'u' || !read_hex4(at, end, &code))
        return DEP_FAIL(JSON_SYNTAX);
    if (code >= 0xDC00 && code <= 0xDFFF)
        return DEP_FAIL(JSON_UTF8);
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (end - *at < 2 || (*at)[0] != '\\' || (*at)[1] != 'u')
            return DEP_FAIL(JSON_UTF8);
        *at += 2;
        if (!read_hex4(at, end, &low))
            return DEP_FAIL(JSON_SYNTAX);
        if (low < 0xDC00 || low > 0xDFFF)
            return DEP_FAIL(JSON_UTF8);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    *ret_len = put_utf8(out, code);
    return DEP_OK;
}

static struct dep_res unescape(struct reader *r, struct dep_str raw, struct dep_str *ret_text)
{
    char *out = dep_arena_alloc(r->arena, raw.len);
    const char *at = raw.ptr;
    const char *end = raw.ptr + raw.len;
    size_t len = 0, step = 0;

    if (out == NULL)
        return DEP_FAIL(ARENA_FULL);
    while (at < end) {
        if (*at != '\\') {
            out[len++] = *at++;
            continue;
        }
        at++;
        DEP_TRY(read_escape(&at, end, out + len, &step));
        len += step;
    }
    *ret_text = dep_str(out, len);
    return DEP_OK;
}

/* After the opening quote. */
static struct dep_res read_string(struct reader *r, struct dep_str *ret_text)
{
    const char *start = r->at;
    bool has_escape = false;

    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < 0x20)
            return DEP_FAIL(JSON_SYNTAX);
        if (*r->at == '\\') {
            has_escape = true;
            if (++r->at == r->end)
                return DEP_FAIL(JSON_SYNTAX);
        }
        r->at++;
    }

    struct dep_str raw = dep_str(start, (size_t)(r->at - start));

    if (!take(r, '"'))
        return DEP_FAIL(JSON_SYNTAX);
    if (!has_escape) {
        *ret_text = raw;
        return DEP_OK;
    }
    return unescape(r, raw, ret_text);
}

static size_t read_digits(struct reader *r)
{
    const char *start = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - start);
}

static struct dep_res read_number(struct reader *r, struct dep_json *value)
{
    const char *start = r->at;

    (void)take(r, '-');
    if (!take(r, '0') && read_digits(r) == 0)
        return DEP_FAIL(JSON_SYNTAX);
    if (take(r, '.') && read_digits(r) == 0)
        return DEP_FAIL(JSON_SYNTAX);
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            (void)take(r, '-');
        if (read_digits(r) == 0)
            return DEP_FAIL(JSON_SYNTAX);
    }
    value->type = DEP_JSON_NUMBER;
    value->text = dep_str(start, (size_t)(r->at - start));
    return DEP_OK;
}

static struct dep_res read_word(struct reader *r, struct dep_str word, enum dep_json_type type, struct dep_json *value)
{
    struct dep_str rest = dep_str(r->at, (size_t)(r->end - r->at));

    if (!dep_str_starts(rest, word))
        return DEP_FAIL(JSON_SYNTAX);
    r->at += word.len;
    value->type = type;
    return DEP_OK;
}

static struct dep_res read_name(struct reader *r, const struct dep_json *object, struct dep_json *member)
{
    if (!take(r, '"'))
        return DEP_FAIL(JSON_SYNTAX);
    DEP_TRY(read_string(r, &member->name));
    member->name_hash = (uint32_t)dep_str_hash(member->name, 0);
    for (const struct dep_json *other = object->child; other != NULL; other = other->next)
        if (other->name_hash == member->name_hash && dep_str_eq(other->name, member->name))
            return DEP_FAIL(JSON_DUPLICATE);
    skip_blank(r);
    if (!take(r, ':'))
        return DEP_FAIL(JSON_SYNTAX);
    skip_blank(r);
    return DEP_OK;
}

/* Members or elements, after the opening bracket. */
static struct dep_res read_container(struct reader *r, unsigned depth, struct dep_json *value)
{
    bool is_object = value->type == DEP_JSON_OBJECT;
    char close = is_object ? '}' : ']';
    struct dep_json **tail = &value->child;

    skip_blank(r);
    if (take(r, close))
        return DEP_OK;
    do {
        if (is_object && value->count == DEP_JSON_MEMBERS_MAX)
            return DEP_FAIL(JSON_SIZE);

        struct dep_json *item = DEP_NEW(r->arena, struct dep_json);

        if (item == NULL)
            return DEP_FAIL(ARENA_FULL);
        skip_blank(r);
        if (is_object)
            DEP_TRY(read_name(r, value, item));
        DEP_TRY(read_value(r, depth + 1, item));
        *tail = item;
        tail = &item->next;
        value->count++;
        skip_blank(r);
    } while (take(r, ','));
    return take(r, close) ? DEP_OK : DEP_FAIL(JSON_SYNTAX);
}

static struct dep_res read_value(struct reader *r, unsigned depth, struct dep_json *value)
{
    const char *start = r->at;
    struct dep_res res;

    if (depth > r->depth_max)
        return DEP_FAIL(JSON_DEPTH);
    if (++r->values > r->values_max)
        return DEP_FAIL(JSON_SIZE);
    if (take(r, '"')) {
        value->type = DEP_JSON_STRING;
        res = read_string(r, &value->text);
    } else if (take(r, '{')) {
        value->type = DEP_JSON_OBJECT;
        res = read_container(r, depth, value);
    } else if (take(r, '[')) {
        value->type = DEP_JSON_ARRAY;
        res = read_container(r, depth, value);
    } else if (r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'))) {
        res = read_number(r, value);
    } else if (r->at < r->end && *r->at == 't') {
        res = read_word(r, DEP_STR("true"), DEP_JSON_TRUE, value);
    } else if (r->at < r->end && *r->at == 'f') {
        res = read_word(r, DEP_STR("false"), DEP_JSON_FALSE, value);
    } else {
        res = read_word(r, DEP_STR("null"), DEP_JSON_NULL, value);
    }
    value->raw = dep_str(start, (size_t)(r->at - start));
    return res;
}

struct dep_res dep_json_parse_max(struct dep_arena *arena, struct dep_str text, unsigned depth_max, size_t bytes_max,
                                  struct dep_json **ret_value)
{
    struct reader reader = { .arena = arena, .at = text.ptr, .end = text.ptr + text.len, .depth_max = depth_max };
    struct dep_json *value;

    DEP_ASSERT(depth_max <= DEP_JSON_DEPTH_MAX);
    reader.values_max = bytes_max / 16 > DEP_JSON_VALUES_MAX ? bytes_max / 16 : DEP_JSON_VALUES_MAX;
    if (text.len > bytes_max)
        return DEP_FAIL(JSON_SIZE);
    if (text.len == 0)
        return DEP_FAIL(JSON_SYNTAX);
    if (!dep_str_is_utf8(text))
        return DEP_FAIL(JSON_UTF8);
    value = DEP_NEW(arena, struct dep_json);
    if (value == NULL)
        return DEP_FAIL(ARENA_FULL);
    skip_blank(&reader);
    DEP_TRY(read_value(&reader, 1, value));
    skip_blank(&reader);
    if (reader.at != reader.end)
        return DEP_FAIL(JSON_SYNTAX);
    *ret_value = value;
    return DEP_OK;
}

struct dep_res dep_json_parse(struct dep_arena *arena, struct dep_str text, unsigned depth_max,
                              struct dep_json **ret_value)
{
    return dep_json_parse_max(arena, text, depth_max, DEP_JSON_BYTES_MAX, ret_value);
}

const struct dep_json *dep_json_get(const struct dep_json *object, struct dep_str name)
{
    if (object == NULL || object->type != DEP_JSON_OBJECT)
        return NULL;
    for (const struct dep_json *member = object->child; member != NULL; member = member->next)
        if (dep_str_eq(member->name, name))
            return member;
    return NULL;
}

bool dep_json_has(const struct dep_json *object, struct dep_str name)
{
    const struct dep_json *member = dep_json_get(object, name);

    return member != NULL && member->type != DEP_JSON_NULL;
}

struct dep_res dep_json_str(const struct dep_json *value, struct dep_str *ret_text)
{
    if (value == NULL)
        return DEP_FAIL(JSON_MISSING);
    if (value->type != DEP_JSON_STRING)
        return DEP_FAIL(JSON_TYPE);
    if (dep_str_has(value->text, '\0'))
        return DEP_FAIL(JSON_NUL);
    *ret_text = value->text;
    return DEP_OK;
}

/* Splits "12.50" into "12" and "50"; refuses an exponent. */
static struct dep_res split_number(const struct dep_json *value, struct dep_str *ret_whole,
                                   struct dep_str *ret_fraction)
{
    if (value == NULL)
        return DEP_FAIL(JSON_MISSING);
    if (value->type != DEP_JSON_NUMBER)
        return DEP_FAIL(JSON_TYPE);
    if (dep_str_has(value->text, 'e') || dep_str_has(value->text, 'E'))
        return DEP_FAIL(NUM_RANGE);

    size_t dot = dep_str_find(value->text, '.');

    *ret_whole = dep_str_sub(value->text, 0, dot);
    *ret_fraction = dep_str_sub(value->text, dot + 1, value->text.len);
    return DEP_OK;
}

struct dep_res dep_json_int(const struct dep_json *value, int64_t min, int64_t max, int64_t *ret_value)
{
    struct dep_str whole, fraction;

    DEP_TRY(split_number(value, &whole, &fraction));
    for (size_t i = 0; i < fraction.len; i++)
        if (fraction.ptr[i] != '0')
            return DEP_FAIL(NUM_RANGE);
    return dep_num_parse(whole, min, max, ret_value);
}

struct dep_res dep_json_time(const struct dep_json *value, int64_t *ret_time)
{
    struct dep_str whole, fraction;

    DEP_TRY(split_number(value, &whole, &fraction));
    /* "-0.5" rounds down to -1. */
    if (dep_str_starts(whole, DEP_STR("-")))
        return DEP_FAIL(NUM_RANGE);
    return dep_num_parse(whole, 0, DEP_JSON_TIME_MAX, ret_time);
}

struct dep_res dep_json_bool(const struct dep_json *value, bool *ret_value)
{
    if (value == NULL)
        return DEP_FAIL(JSON_MISSING);
    if (value->type != DEP_JSON_TRUE && value->type != DEP_JSON_FALSE)
        return DEP_FAIL(JSON_TYPE);
    *ret_value = value->type == DEP_JSON_TRUE;
    return DEP_OK;
}

/* HTTP header values: RFC 9110 sections 5, 8.3 and 11; RFC 7617 (Basic); the characters of RFC 6749 section 5.2. */
#include "http/header.h"

#include "base/b64.h"
#include "http/form.h"

size_t dep_header_count(const struct dep_header *headers, size_t count, struct dep_str name)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += dep_str_eq_nocase(headers[i].name, name);
    return found;
}

struct dep_res dep_header_one(const struct dep_header *headers, size_t count, struct dep_str name,
                              struct dep_str *ret_value)
{
    struct dep_str value = DEP_STR_ABSENT;

    for (size_t i = 0; i < count; i++) {
        if (!dep_str_eq_nocase(headers[i].name, name))
            continue;
        if (!dep_str_is_absent(value))
            return DEP_FAIL(HTTP_HEADER_DUPLICATE);
        value = dep_str_is_absent(headers[i].value) ? DEP_STR("") : headers[i].value;
    }
    *ret_value = value;
    return DEP_OK;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* rfc9110#5.6.2 */
static bool is_token_char(char c)
{
    return is_alnum(c) || dep_str_has(DEP_STR("!#$%&'*+-.^_`|~"), c);
}

/* rfc9110#11.2: letters, digits and -._~+/, with '=' at the end only. Every guarded request brings a token of hundreds of characters, so
 * no byte ends the loop: the compiler takes many at once. "-./" and the digits are neighbours. */
static bool is_token68(struct dep_str s)
{
    unsigned char bad = 0;

    while (s.len > 0 && s.ptr[s.len - 1] == '=')
        s.len--;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        unsigned char is_letter = (unsigned char)((c | 0x20) - 'a') < 26, is_digit = (unsigned char)(c - '-') < 13;

        bad |= (unsigned char)!(is_letter | is_digit | (c == '_') | (c == '~') | (c == '+'));
    }
    return s.len > 0 && bad == 0;
}

struct dep_res dep_credentials_parse(struct dep_str value, struct dep_credentials *ret_credentials)
{
    size_t end = 0;

    while (end < value.len && is_token_char(value.ptr[end]))
        end++;

    size_t start = end;

    while (start < value.len && value.ptr[start] == ' ')
        start++;

    struct dep_str token = dep_str_sub(value, start, value.len);

    if (end == 0 || start == end || !is_token68(token))
        return DEP_FAIL(HTTP_AUTHORIZATION);
    ret_credentials->scheme = dep_str_sub(value, 0, end);
    ret_credentials->token = token;
    return DEP_OK;
}

/* rfc7617#2: no control characters in either part. */
static bool has_control(struct dep_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

/* Form-decoded when that works, as it stands otherwise. */
static struct dep_res decode_part(struct dep_arena *arena, struct dep_str raw, struct dep_str *ret_part)
{
    struct dep_str part;
    struct dep_res res = dep_percent_decode(arena, raw, true, &part);

    if (res.err == DEP_ERR_HTTP_FORM)
        part = raw;
    else
        DEP_TRY(res);
    if (has_control(part) || !dep_str_is_utf8(part))
        return DEP_FAIL(CLIENT_BASIC);
    *ret_part = part;
    return DEP_OK;
}

struct dep_res dep_basic_parse(struct dep_arena *arena, struct dep_str token68, struct dep_str *ret_user,
                               struct dep_secret *ret_password)
{
    struct dep_str pair;
    struct dep_str user;
    struct dep_str password;
    struct dep_res res = dep_b64_decode(arena, token68, &pair);

    if (res.err == DEP_ERR_ARENA_FULL)
        return res;
    if (!dep_is_ok(res))
        return DEP_FAIL(CLIENT_BASIC);

    size_t colon = dep_str_find(pair, ':');

    if (colon == pair.len)
        return DEP_FAIL(CLIENT_BASIC);
    DEP_TRY(decode_part(arena, dep_str_sub(pair, 0, colon), &user));
    DEP_TRY(decode_part(arena, dep_str_sub(pair, colon + 1, pair.len), &password));
    *ret_user = user;
    *ret_password = dep_secret_of(password);
    return DEP_OK;
}

bool dep_media_type_is(struct dep_str value, struct dep_str type)
{
    size_t semicolon = dep_str_find(value, ';');

    if (!dep_str_eq_nocase(dep_str_trim(dep_str_sub(value, 0, semicolon)), type))
        return false;
    if (semicolon == value.len)
        return true;

    struct dep_str parameter = dep_str_trim(dep_str_sub(value, semicolon + 1, value.len));

    return dep_str_eq_nocase(parameter, DEP_STR("charset=utf-8")) ||
           dep_str_eq_nocase(parameter, DEP_STR("charset=\"utf-8\""));
}

void dep_put_error_text(struct dep_buf *buf, struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        dep_buf_put_char(buf, c >= 0x20 && c <= 0x7e && c != '"' && c != '\\' ? c : '?');
    }
}

void dep_challenge_put(struct dep_buf *buf, const struct dep_challenge *challenge)
{
    const struct {
        const char *name;
        struct dep_str value;
    } parameters[] = {
        { "realm", challenge->realm },
        { "error", challenge->error },
        { "error_description", challenge->error_description },
        { "scope", challenge->scope },
        { "acr_values", challenge->acr_values },
        { "max_age", challenge->max_age },
        { "resource_metadata", challenge->resource_metadata },
        { "algs", challenge->algs },
    };
    bool is_first = true;

    if (buf->len > 0)
        dep_buf_put_c(buf, ", ");
    dep_buf_put_c(buf, challenge->scheme);
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        if (dep_str_is_absent(parameters[i].value))
            continue;
        dep_buf_put_c(buf, is_first ? " " : ", ");
        dep_buf_put_c(buf, parameters[i].name);
        dep_buf_put_c(buf, "=\"");
        dep_put_error_text(buf, parameters[i].value);
        dep_buf_put_c(buf, "\"");
        is_first = false;
    }
}

/* Structured field values, as far as they are needed: an Item whose value is a String (RFC 8941 sections 3.3 and 4.2). */
#include "http/item.h"

/* What is left to read. */
struct cursor {
    struct dep_str rest;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* NUL at the end: no rule below takes it. */
static char peek(const struct cursor *at)
{
    return at->rest.len > 0 ? at->rest.ptr[0] : '\0';
}

static void skip(struct cursor *at, size_t count)
{
    at->rest = dep_str_sub(at->rest, count, at->rest.len);
}

static bool eat(struct cursor *at, char c)
{
    if (at->rest.len == 0 || at->rest.ptr[0] != c)
        return false;
    skip(at, 1);
    return true;
}

static size_t eat_while(struct cursor *at, bool (*is_good)(char c))
{
    size_t count = 0;

    while (count < at->rest.len && is_good(at->rest.ptr[count]))
        count++;
    skip(at, count);
    return count;
}

/* rfc8941#4.2.5. The inside as it stands in the field, escapes and all. */
static bool eat_string(struct cursor *at, struct dep_str *ret_inside, size_t *ret_escapes)
{
    size_t i = 1, escapes = 0;
    struct dep_str s = at->rest;

    if (peek(at) != '"')
        return false;
    for (; i < s.len && s.ptr[i] != '"'; i++) {
        if (s.ptr[i] == '\\') {
            i++;
            escapes++;
            if (i == s.len || (s.ptr[i] != '"' && s.ptr[i] != '\\'))
                return false;
        } else if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e) {
            return false;
        }
    }
    if (i == s.len)
        return false;
    *ret_inside = dep_str_sub(s, 1, i - 1);
    *ret_escapes = escapes;
    skip(at, i + 1);
    return true;
}

/* rfc8941#4.2.4: at most 15 digits, or 12, a point and 1 to 3. */
static bool eat_number(struct cursor *at)
{
    size_t whole, fraction;

    (void)eat(at, '-');
    whole = eat_while(at, is_digit);
    if (whole == 0 || whole > 15)
        return false;
    if (!eat(at, '.'))
        return true;
    fraction = eat_while(at, is_digit);
    return whole <= 12 && fraction >= 1 && fraction <= 3;
}

/* rfc8941#4.2.6 */
static bool is_token_char(char c)
{
    return is_alpha(c) || is_digit(c) || dep_str_has(DEP_STR("!#$%&'*+-.^_`|~:/"), c);
}

/* rfc8941#4.2.7. Lenient about padding, as that section allows. */
static bool is_base64_char(char c)
{
    return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}

/* rfc8941#4.2.3.1 */
static bool eat_bare_item(struct cursor *at)
{
    struct dep_str inside;
    size_t escapes;
    char c = peek(at);

    if (c == '"')
        return eat_string(at, &inside, &escapes);
    if (c == '-' || is_digit(c))
        return eat_number(at);
    if (c == '*' || is_alpha(c))
        return eat_while(at, is_token_char) > 0;
    if (eat(at, '?'))
        return eat(at, '0') || eat(at, '1');
    if (eat(at, ':')) {
        (void)eat_while(at, is_base64_char);
        return eat(at, ':');
    }
    return false;
}

static bool is_key_char(char c)
{
    return is_lower(c) || is_digit(c) || dep_str_has(DEP_STR("_-.*"), c);
}

/* rfc8941#4.2.3.2, #4.2.3.3 */
static bool eat_parameters(struct cursor *at)
{
    while (eat(at, ';')) {
        while (eat(at, ' '))
            ;
        if (peek(at) != '*' && !is_lower(peek(at)))
            return false;
        (void)eat_while(at, is_key_char);
        if (eat(at, '=') && !eat_bare_item(at))
            return false;
    }
    return true;
}

static struct dep_res unescape(struct dep_arena *arena, struct dep_str inside, size_t escapes, struct dep_str *ret_text)
{
    char *text = dep_arena_alloc(arena, inside.len - escapes);
    size_t len = 0;

    if (text == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < inside.len; i++) {
        if (inside.ptr[i] == '\\')
            i++;
        text[len++] = inside.ptr[i];
    }
    *ret_text = dep_str(text, len);
    return DEP_OK;
}

/* rfc8941#4.2: spaces may stand around the item, tabs may not. */
struct dep_res dep_item_string(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_text)
{
    struct cursor at = { value };
    struct dep_str inside;
    size_t escapes;

    while (eat(&at, ' '))
        ;
    if (!eat_string(&at, &inside, &escapes) || !eat_parameters(&at))
        return DEP_FAIL(HTTP_ITEM);
    while (eat(&at, ' '))
        ;
    if (at.rest.len > 0)
        return DEP_FAIL(HTTP_ITEM);
    if (escapes > 0)
        return unescape(arena, inside, escapes, ret_text);
    *ret_text = inside;
    return DEP_OK;
}

/* URIs (RFC 3986). */
#include "base/url.h"

#include "base/buf.h"
#include "base/num.h"

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_hex(char c)
{
    return dep_hex_digit(c) >= 0;
}
static bool is_unreserved(char c)
{
    return is_alpha(c) || is_digit(c) || dep_str_has(DEP_STR("-._~"), c);
}
static bool is_sub_delim(char c)
{
    return dep_str_has(DEP_STR("!$&'()*+,;="), c);
}

/* Unreserved, sub-delims, well-formed percent signs, and `more`. */
static bool is_made_of(struct dep_str text, struct dep_str more)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (is_unreserved(c) || is_sub_delim(c) || dep_str_has(more, c))
            continue;
        if (c != '%' || text.len - i < 3 || !is_hex(text.ptr[i + 1]) || !is_hex(text.ptr[i + 2]))
            return false;
        i += 2;
    }
    return true;
}

static bool is_scheme(struct dep_str text)
{
    if (text.len == 0 || !is_alpha(text.ptr[0]))
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (!is_alpha(text.ptr[i]) && !is_digit(text.ptr[i]) && !dep_str_has(DEP_STR("+-."), text.ptr[i]))
            return false;
    return true;
}

static struct dep_str tail(struct dep_str text, size_t at)
{
    return at >= text.len ? DEP_STR_ABSENT : dep_str(text.ptr + at + 1, text.len - at - 1);
}

/* What stands between the brackets: the characters of an address, and no zone. */
static bool is_ip6_text(struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_hex(text.ptr[i]) && text.ptr[i] != ':' && text.ptr[i] != '.')
            return false;
    return text.len >= 2;
}

static bool split_authority(struct dep_str authority, struct dep_url *url)
{
    size_t at = dep_str_find(authority, '@');

    if (at < authority.len) {
        url->userinfo = dep_str_sub(authority, 0, at);
        authority = tail(authority, at);
        if (!is_made_of(url->userinfo, DEP_STR(":")))
            return false;
    }

    bool is_ip6 = authority.len > 0 && authority.ptr[0] == '[';
    size_t host_len = is_ip6 ? dep_str_find(authority, ']') + 1 : dep_str_find(authority, ':');

    if (host_len > authority.len || host_len == 0)
        return false;
    url->host = dep_str_sub(authority, 0, host_len);
    if (is_ip6 ? !is_ip6_text(dep_str_sub(url->host, 1, url->host.len - 2)) : !is_made_of(url->host, DEP_STR("")))
        return false;
    if (host_len == authority.len)
        return true;
    if (authority.ptr[host_len] != ':')
        return false;
    url->port = dep_str(authority.ptr + host_len + 1, authority.len - host_len - 1);
    for (size_t i = 0; i < url->port.len; i++)
        if (!is_digit(url->port.ptr[i]))
            return false;

    int64_t port = 0;

    return url->port.len == 0 || dep_is_ok(dep_num_parse(url->port, 0, 65535, &port));
}

struct dep_res dep_url_parse(struct dep_str text, struct dep_url *ret_url)
{
    struct dep_url url = { 0 };
    size_t colon = dep_str_find(text, ':');

    url.scheme = dep_str_sub(text, 0, colon);
    if (colon == text.len || !is_scheme(url.scheme))
        return DEP_FAIL(URL_SYNTAX);

    struct dep_str rest = tail(text, colon);

    if (!dep_str_starts(rest, DEP_STR("//")))
        return DEP_FAIL(URL_SYNTAX);
    rest = dep_str_sub(rest, 2, rest.len);

    size_t hash = dep_str_find(rest, '#');

    url.fragment = tail(rest, hash);
    rest = dep_str_sub(rest, 0, hash);

    size_t mark = dep_str_find(rest, '?');

    url.query = tail(rest, mark);
    rest = dep_str_sub(rest, 0, mark);

    size_t slash = dep_str_find(rest, '/');

    url.path = dep_str_sub(rest, slash, rest.len);
    if (!split_authority(dep_str_sub(rest, 0, slash), &url))
        return DEP_FAIL(URL_SYNTAX);
    if (!is_made_of(url.path, DEP_STR("/:@")) || !is_made_of(url.query, DEP_STR("/:@?")) ||
        !is_made_of(url.fragment, DEP_STR("/:@?")))
        return DEP_FAIL(URL_SYNTAX);
    *ret_url = url;
    return DEP_OK;
}

struct dep_res dep_uri_check(struct dep_str text, bool *ret_has_fragment)
{
    size_t colon = dep_str_find(text, ':');
    struct dep_str rest = dep_str_sub(text, colon + 1, text.len);

    if (colon == text.len || !is_scheme(dep_str_sub(text, 0, colon)) || rest.len == 0)
        return DEP_FAIL(URL_SYNTAX);
    if (dep_str_starts(rest, DEP_STR("//"))) {
        struct dep_url url;

        DEP_TRY(dep_url_parse(text, &url));
        *ret_has_fragment = !dep_str_is_absent(url.fragment);
        return DEP_OK;
    }

    size_t hash = dep_str_find(rest, '#');

    if (!is_made_of(dep_str_sub(rest, 0, hash), DEP_STR("/:@?")) ||
        !is_made_of(dep_str_sub(rest, hash + 1, rest.len), DEP_STR("/:@?")))
        return DEP_FAIL(URL_SYNTAX);
    *ret_has_fragment = hash < rest.len;
    return DEP_OK;
}

bool dep_url_is_loopback(const struct dep_url *url)
{
    return dep_str_eq(url->host, DEP_STR("127.0.0.1")) || dep_str_eq(url->host, DEP_STR("[::1]")) ||
           dep_str_eq_nocase(url->host, DEP_STR("localhost"));
}

static char to_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}
static char to_upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

static void put_lower(struct dep_buf *buf, struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++)
        dep_buf_put_char(buf, to_lower(text.ptr[i]));
}

/* Percent signs: decoded where the character is unreserved, upper case elsewhere (RFC 3986 section 6.2.2). */
static struct dep_str plain_path(struct dep_arena *arena, struct dep_str path)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, path.len + 1);
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] != '%') {
            dep_buf_put_char(&buf, path.ptr[i]);
            continue;
        }

        char decoded = (char)(dep_hex_digit(path.ptr[i + 1]) << 4 | dep_hex_digit(path.ptr[i + 2]));

        if (is_unreserved(decoded)) {
            dep_buf_put_char(&buf, decoded);
        } else {
            dep_buf_put_char(&buf, '%');
            dep_buf_put_char(&buf, to_upper(path.ptr[i + 1]));
            dep_buf_put_char(&buf, to_upper(path.ptr[i + 2]));
        }
        i += 2;
    }
    return dep_buf_str(&buf);
}

/* Removes "." and ".." segments of a path that starts with '/' (RFC 3986 section 5.2.4). */
static void put_without_dots(struct dep_buf *buf, struct dep_str path)
{
    size_t floor = buf->len;
    struct dep_str rest = dep_str_sub(path, 1, path.len);
    bool is_last = false;

    while (!is_last) {
        size_t slash = dep_str_find(rest, '/');
        struct dep_str segment = dep_str_sub(rest, 0, slash);

        is_last = slash == rest.len;
        rest = dep_str_sub(rest, slash + 1, rest.len);
        if (dep_str_eq(segment, DEP_STR("."))) {
            if (is_last)
                dep_buf_put_char(buf, '/');
            continue;
        }
        if (dep_str_eq(segment, DEP_STR(".."))) {
            while (buf->len > floor && buf->ptr[--buf->len] != '/')
                ;
            if (is_last)
                dep_buf_put_char(buf, '/');
            continue;
        }
        dep_buf_put_char(buf, '/');
        dep_buf_put(buf, segment);
    }
}

struct dep_res dep_url_normalise(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_text)
{
    struct dep_url url;
    struct dep_buf buf;

    DEP_TRY(dep_url_parse(text, &url));
    if (!dep_str_is_absent(url.userinfo))
        return DEP_FAIL(URL_SYNTAX);
    dep_buf_init_arena(&buf, arena, text.len + 2);
    put_lower(&buf, url.scheme);
    dep_buf_put_c(&buf, "://");
    put_lower(&buf, url.host);

    bool is_default = url.port.len == 0 ||
                      (dep_str_eq_nocase(url.scheme, DEP_STR("https")) && dep_str_eq(url.port, DEP_STR("443"))) ||
                      (dep_str_eq_nocase(url.scheme, DEP_STR("http")) && dep_str_eq(url.port, DEP_STR("80")));

    if (!is_default) {
        dep_buf_put_char(&buf, ':');
        dep_buf_put(&buf, url.port);
    }

    struct dep_str path = plain_path(arena, url.path.len == 0 ? DEP_STR("/") : url.path);

    if (dep_str_is_absent(path))
        return DEP_FAIL(ARENA_FULL);
    put_without_dots(&buf, path);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_text = dep_buf_str(&buf);
    return DEP_OK;
}

/* Redirect URIs. See redirect.h. */
#include "proto/redirect.h"

#include "base/url.h"
#include "proto/records.h"

/* Of names and addresses alone: what else RFC 3986 lets stand there would end a source in a Content-Security-Policy. */
static bool is_plain_host(struct dep_str host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              dep_str_has(DEP_STR(".-:[]"), c)))
            return false;
    }
    return host.len > 0;
}

static bool is_http(const struct dep_url *url)
{
    return dep_str_eq_nocase(url->scheme, DEP_STR("http"));
}

static bool is_https(const struct dep_url *url)
{
    return dep_str_eq_nocase(url->scheme, DEP_STR("https"));
}

static struct dep_str scheme_of(struct dep_str uri)
{
    return dep_str_sub(uri, 0, dep_str_find(uri, ':'));
}

/* A name may lead elsewhere (oauth-v2-1#8.4.2). */
static bool is_loopback_address(struct dep_str host)
{
    return dep_str_eq_c(host, "127.0.0.1") || dep_str_eq_c(host, "[::1]");
}

bool dep_redirect_uri_is_good(struct dep_str uri)
{
    bool has_fragment = true;
    struct dep_url url;

    if (uri.len > DEP_REDIRECT_URI_MAX || !dep_is_ok(dep_uri_check(uri, &has_fragment)) || has_fragment)
        return false;
    if (dep_str_has(scheme_of(uri), '.'))
        return true;
    return dep_is_ok(dep_url_parse(uri, &url)) && dep_str_is_absent(url.userinfo) && is_plain_host(url.host) &&
           (is_https(&url) || (is_http(&url) && dep_url_is_loopback(&url)));
}

bool dep_redirect_uri_matches(struct dep_str registered, struct dep_str asked)
{
    struct dep_url a, b;

    if (dep_str_eq(registered, asked))
        return true;
    if (!dep_is_ok(dep_url_parse(registered, &a)) || !dep_is_ok(dep_url_parse(asked, &b)))
        return false;
    return dep_str_eq(a.scheme, DEP_STR("http")) && is_loopback_address(a.host) && dep_str_eq(a.scheme, b.scheme) &&
           dep_str_is_absent(b.userinfo) && dep_str_eq(a.host, b.host) && dep_str_eq(a.path, b.path) &&
           dep_str_is_absent(a.query) == dep_str_is_absent(b.query) && dep_str_eq(a.query, b.query) &&
           dep_str_is_absent(b.fragment);
}

struct dep_str dep_redirect_uri_host(struct dep_str uri)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(uri, &url)) && (is_https(&url) || is_http(&url)) ? url.host : scheme_of(uri);
}

void dep_redirect_uri_put_origin(struct dep_buf *buf, struct dep_str uri)
{
    struct dep_url url;

    dep_buf_put(buf, scheme_of(uri));
    dep_buf_put_char(buf, ':');
    if (!dep_is_ok(dep_url_parse(uri, &url)) || !(is_https(&url) || is_http(&url)))
        return;
    dep_buf_put_c(buf, "//");
    dep_buf_put(buf, url.host);
    if (dep_str_is_blank(url.port))
        return;
    dep_buf_put_char(buf, ':');
    dep_buf_put(buf, url.port);
}

struct dep_res dep_redirect_url(struct dep_arena *arena, struct dep_str uri, const struct dep_form_field *fields,
                                size_t count, struct dep_str *ret_url)
{
    struct dep_buf query, url;
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += fields[i].name.len + 3 * fields[i].value.len + 2;
    dep_buf_init_arena(&query, arena, size);
    for (size_t i = 0; i < count; i++)
        if (!dep_str_is_absent(fields[i].value))
            dep_form_put(&query, fields[i].name, fields[i].value);
    dep_buf_init_arena(&url, arena, uri.len + 1 + query.len);
    dep_buf_put(&url, uri);
    dep_buf_put_char(&url, dep_str_has(uri, '?') ? '&' : '?');
    dep_buf_put(&url, dep_buf_str(&query));
    if (query.has_failed || url.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_url = dep_buf_str(&url);
    return DEP_OK;
}

/* URIs: parts that make up the whole, and a normal form that is its own normal form. */
#include "base/url.h"
#include "base/buf.h"
#include "fuzz/fuzz.h"

static void put_part(struct dep_buf *buf, const char *before, struct dep_str part)
{
    if (dep_str_is_absent(part))
        return;
    dep_buf_put_c(buf, before);
    dep_buf_put(buf, part);
}

static void check_whole(struct dep_arena *arena, struct dep_str text, const struct dep_url *url)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, text.len);
    dep_buf_put(&buf, url->scheme);
    dep_buf_put_c(&buf, "://");
    if (!dep_str_is_absent(url->userinfo)) {
        dep_buf_put(&buf, url->userinfo);
        dep_buf_put_c(&buf, "@");
    }
    dep_buf_put(&buf, url->host);
    put_part(&buf, ":", url->port);
    dep_buf_put(&buf, url->path);
    put_part(&buf, "?", url->query);
    put_part(&buf, "#", url->fragment);
    DEP_FUZZ_CHECK(dep_str_eq(dep_buf_str(&buf), text));
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size), normal, again;
    struct dep_arena arena;
    bool has_fragment = false;
    struct dep_url url;

    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_is_ok(dep_url_parse(text, &url))) {
        check_whole(&arena, text, &url);
        DEP_FUZZ_CHECK(dep_is_ok(dep_uri_check(text, &has_fragment)));
        DEP_FUZZ_CHECK(has_fragment == !dep_str_is_absent(url.fragment));
        (void)dep_url_is_loopback(&url);
    }
    if (dep_is_ok(dep_url_normalise(&arena, text, &normal))) {
        DEP_FUZZ_CHECK(dep_is_ok(dep_url_parse(normal, &url)));
        DEP_FUZZ_CHECK(dep_str_is_absent(url.query) && dep_str_is_absent(url.fragment) &&
                       dep_str_is_absent(url.userinfo));
        DEP_FUZZ_CHECK(dep_is_ok(dep_url_normalise(&arena, normal, &again)) && dep_str_eq(normal, again));
    }
    dep_arena_reset(&arena);
}

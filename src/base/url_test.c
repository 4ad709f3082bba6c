/* URIs: splitting, checking, and the comparison form for htu (rfc9449#4.3). */
#include "base/url.h"

#include "test/unit.h"

static struct dep_arena arena;

static struct dep_str normal(struct dep_str text)
{
    struct dep_str got = DEP_STR_ABSENT;

    dep_arena_reset(&arena);
    dep_arena_init_debug(&arena, 65536);
    return dep_is_ok(dep_url_normalise(&arena, text, &got)) ? got : DEP_STR_ABSENT;
}

DEP_TEST(parts)
{
    struct dep_url url;

    DEP_CHECK_OK(t, dep_url_parse(DEP_STR("https://user:pw@API.example:8443/a/b;c?x=1&y=/?#frag/?"), &url));
    DEP_CHECK_STR(t, url.scheme, "https");
    DEP_CHECK_STR(t, url.userinfo, "user:pw");
    DEP_CHECK_STR(t, url.host, "API.example");
    DEP_CHECK_STR(t, url.port, "8443");
    DEP_CHECK_STR(t, url.path, "/a/b;c");
    DEP_CHECK_STR(t, url.query, "x=1&y=/?");
    DEP_CHECK_STR(t, url.fragment, "frag/?");
    DEP_CHECK_OK(t, dep_url_parse(DEP_STR("http://h"), &url));
    DEP_CHECK(t, dep_str_is_absent(url.userinfo) && dep_str_is_absent(url.port) && url.path.len == 0);
    DEP_CHECK(t, dep_str_is_absent(url.query) && dep_str_is_absent(url.fragment));
    DEP_CHECK_OK(t, dep_url_parse(DEP_STR("http://h:?#"), &url));
    DEP_CHECK_STR(t, url.port, "");
    DEP_CHECK_STR(t, url.query, "");
    DEP_CHECK_STR(t, url.fragment, "");
    DEP_CHECK_OK(t, dep_url_parse(DEP_STR("http://[2001:db8::1]:80/"), &url));
    DEP_CHECK_STR(t, url.host, "[2001:db8::1]");
    DEP_CHECK_STR(t, url.port, "80");
    DEP_CHECK_OK(t, dep_url_parse(DEP_STR("http://h?q=a@b"), &url));
    DEP_CHECK_STR(t, url.host, "h");
}

DEP_TEST(refuses_what_is_no_url)
{
    static const struct dep_str rows[] = {
        DEP_STR_INIT(""),
        DEP_STR_INIT("https"),
        DEP_STR_INIT("https:"),
        DEP_STR_INIT("https:/h"),
        DEP_STR_INIT("https://"),
        DEP_STR_INIT("https:///p"),
        DEP_STR_INIT("//h/p"),
        DEP_STR_INIT("/p"),
        DEP_STR_INIT("://h"),
        DEP_STR_INIT("1http://h"),
        DEP_STR_INIT("ht tp://h"),
        DEP_STR_INIT("urn:a:b"),
        DEP_STR_INIT(" https://h"),
        DEP_STR_INIT("https://h "),
        DEP_STR_INIT("https://h/a b"),
        DEP_STR_INIT("https://h/\n"),
        DEP_STR_INIT("https://h/\0"),
        DEP_STR_INIT("https://h\\@evil/"),
        DEP_STR_INIT("https://h/\\"),
        DEP_STR_INIT("https://h/<x>"),
        DEP_STR_INIT("https://h/\""),
        DEP_STR_INIT("https://h/{a}"),
        DEP_STR_INIT("https://h/\xC3\xA4"),
        DEP_STR_INIT("https://h/%"),
        DEP_STR_INIT("https://h/%4"),
        DEP_STR_INIT("https://h/%zz"),
        DEP_STR_INIT("https://h/[a]"),
        DEP_STR_INIT("https://h/?%"),
        DEP_STR_INIT("https://h/#a#b"),
        DEP_STR_INIT("https://a@b@c/"),
        DEP_STR_INIT("https://h:x/"),
        DEP_STR_INIT("https://h:65536/"),
        DEP_STR_INIT("https://h:-1/"),
        DEP_STR_INIT("https://h:99999999999999999999/"),
        DEP_STR_INIT("https://h:80:80/"),
        DEP_STR_INIT("https://:80/"),
        DEP_STR_INIT("https://@/"),
        DEP_STR_INIT("https://[::1/"),
        DEP_STR_INIT("https://[::1]x/"),
        DEP_STR_INIT("https://[]/"),
        DEP_STR_INIT("https://[evil.example]/"),
        DEP_STR_INIT("https://[fe80::1%25eth0]/"),
        DEP_STR_INIT("https://::1/"),
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_url url = { .host = DEP_STR("before") };
        struct dep_res res = dep_url_parse(rows[i], &url);

        dep_test_check(t, res.err == DEP_ERR_URL_SYNTAX, __FILE__, __LINE__, "row %zu: %s", i, dep_err_name(res.err));
        DEP_CHECK_STR(t, url.host, "before");
    }
    DEP_CHECK_FAIL(t, dep_url_parse(DEP_STR_ABSENT, &(struct dep_url){ 0 }), URL_SYNTAX);
}

DEP_TEST(any_absolute_uri)
{
    static const struct {
        struct dep_str text;
        bool is_good, has_fragment;
    } rows[] = {
        { DEP_STR_INIT("urn:example:api"), true, false },
        { DEP_STR_INIT("urn:example:api#x"), true, true },
        { DEP_STR_INIT("urn:example:api#"), true, true },
        { DEP_STR_INIT("https://h/p?q"), true, false },
        { DEP_STR_INIT("https://h/p#f"), true, true },
        { DEP_STR_INIT("https://h/p#"), true, true },
        { DEP_STR_INIT("agent:01J"), true, false },
        { DEP_STR_INIT("urn:"), false, false },
        { DEP_STR_INIT("urn"), false, false },
        { DEP_STR_INIT(":x"), false, false },
        { DEP_STR_INIT("/p"), false, false },
        { DEP_STR_INIT(""), false, false },
        { DEP_STR_INIT("urn:a b"), false, false },
        { DEP_STR_INIT("urn:a\0"), false, false },
        { DEP_STR_INIT("urn:%x"), false, false },
        { DEP_STR_INIT("urn:a#b#c"), false, false },
        { DEP_STR_INIT("https://"), false, false },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        bool has_fragment = false;
        struct dep_res res = dep_uri_check(rows[i].text, &has_fragment);

        dep_test_check(t, dep_is_ok(res) == rows[i].is_good && has_fragment == rows[i].has_fragment, __FILE__, __LINE__,
                       "row %zu", i);
    }
}

DEP_TEST(normal_form)
{
    static const struct {
        struct dep_str text;
        const char *want;
    } rows[] = {
        { DEP_STR_INIT("https://h/p"), "https://h/p" },
        { DEP_STR_INIT("HTTPS://API.Example/P"), "https://api.example/P" },
        { DEP_STR_INIT("https://h"), "https://h/" },
        { DEP_STR_INIT("https://h?q"), "https://h/" },
        { DEP_STR_INIT("https://h/p?q=1#f"), "https://h/p" },
        { DEP_STR_INIT("https://h/p#f?q"), "https://h/p" },
        { DEP_STR_INIT("https://h:443/p"), "https://h/p" },
        { DEP_STR_INIT("http://h:80/p"), "http://h/p" },
        { DEP_STR_INIT("http://h:443/p"), "http://h:443/p" },
        { DEP_STR_INIT("https://h:80/p"), "https://h:80/p" },
        { DEP_STR_INIT("https://h:/p"), "https://h/p" },
        { DEP_STR_INIT("https://h:8443/p"), "https://h:8443/p" },
        { DEP_STR_INIT("ftp://h:80/p"), "ftp://h:80/p" },
        { DEP_STR_INIT("https://[2001:DB8::1]:443/"), "https://[2001:db8::1]/" },
        { DEP_STR_INIT("https://h/%7euser"), "https://h/~user" },
        { DEP_STR_INIT("https://h/%41%2d%5F"), "https://h/A-_" },
        { DEP_STR_INIT("https://h/a%2fb"), "https://h/a%2Fb" },
        { DEP_STR_INIT("https://h/%c3%a4"), "https://h/%C3%A4" },
        { DEP_STR_INIT("https://h/%2541"), "https://h/%2541" },
        { DEP_STR_INIT("https://h/%00"), "https://h/%00" },
        { DEP_STR_INIT("https://h/a/./b"), "https://h/a/b" },
        { DEP_STR_INIT("https://h/a/../b"), "https://h/b" },
        { DEP_STR_INIT("https://h/a/b/.."), "https://h/a/" },
        { DEP_STR_INIT("https://h/a/."), "https://h/a/" },
        { DEP_STR_INIT("https://h/.."), "https://h/" },
        { DEP_STR_INIT("https://h/../../../p"), "https://h/p" },
        { DEP_STR_INIT("https://h/a/%2e%2E/b"), "https://h/b" },
        { DEP_STR_INIT("https://h/a/..%2fb"), "https://h/a/..%2Fb" },
        { DEP_STR_INIT("https://h/a//../b"), "https://h/a/b" },
        { DEP_STR_INIT("https://h//"), "https://h//" },
        { DEP_STR_INIT("https://h/..."), "https://h/..." },
        { DEP_STR_INIT("https://h/a/.b/..c"), "https://h/a/.b/..c" },
        /* The example of rfc3986#5.2.4. */
        { DEP_STR_INIT("https://h/a/b/c/./../../g"), "https://h/a/g" },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str got = normal(rows[i].text);

        DEP_CHECK_STR(t, got, rows[i].want);
        /* What is normal stays as it is. */
        DEP_CHECK_STR(t, normal(dep_str_c(rows[i].want)), rows[i].want);
    }
    dep_arena_reset(&arena);
}

DEP_TEST(normal_form_keeps_apart_what_differs)
{
    static const struct {
        const char *a, *b;
    } rows[] = {
        { "https://h/p", "http://h/p" },   { "https://h/p", "https://h/p/" },    { "https://h/p", "https://h/P" },
        { "https://h/p", "https://h2/p" }, { "https://h/p", "https://h:444/p" }, { "https://h/a%2Fb", "https://h/a/b" },
        { "https://h//p", "https://h/p" }, { "https://h/p;x", "https://h/p" },
    };
    char room[64];

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str a = normal(dep_str_c(rows[i].a));

        DEP_CHECK(t, !dep_str_is_absent(a) && a.len < sizeof(room));
        memcpy(room, a.ptr, a.len);
        a.ptr = room;

        struct dep_str b = normal(dep_str_c(rows[i].b));

        dep_test_check(t, !dep_str_is_absent(b) && !dep_str_eq(a, b), __FILE__, __LINE__, "row %zu", i);
    }
    dep_arena_reset(&arena);
}

DEP_TEST(no_normal_form)
{
    DEP_CHECK(t, dep_str_is_absent(normal(DEP_STR("https://user@h/p"))));
    DEP_CHECK(t, dep_str_is_absent(normal(DEP_STR("https://@h/p"))));
    DEP_CHECK(t, dep_str_is_absent(normal(DEP_STR("urn:a:b"))));
    DEP_CHECK(t, dep_str_is_absent(normal(DEP_STR("/p"))));
    dep_arena_reset(&arena);
}

DEP_TEST(normal_form_arena_sweep)
{
    size_t limit = 0;

    for (; limit < 4096; limit += 16) {
        struct dep_str got = DEP_STR_ABSENT;

        dep_arena_init_debug(&arena, limit);

        struct dep_res res = dep_url_normalise(&arena, DEP_STR("https://h/a/%7e/../b"), &got);

        dep_arena_reset(&arena);
        if (dep_is_ok(res))
            break;
        DEP_CHECK(t, res.err == DEP_ERR_ARENA_FULL && dep_str_is_absent(got));
    }
    DEP_CHECK(t, limit > 0 && limit < 4096);
}

DEP_TEST(loopback)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        { "http://127.0.0.1/", true },       { "http://127.0.0.1:8080/", true },
        { "http://[::1]/", true },           { "http://localhost/", true },
        { "http://LOCALHOST/", true },       { "http://127.0.0.1.evil.example/", false },
        { "http://127.0.0.2/", false },      { "http://localhost.evil.example/", false },
        { "http://127.0.0.1@evil/", false }, { "http://evil/127.0.0.1", false },
        { "http://[::2]/", false },          { "http://2130706433/", false },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_url url;

        DEP_CHECK_OK(t, dep_url_parse(dep_str_c(rows[i].text), &url));
        dep_test_check(t, dep_url_is_loopback(&url) == rows[i].want, __FILE__, __LINE__, "row %zu", i);
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(parts),
        DEP_ROW(refuses_what_is_no_url),
        DEP_ROW(any_absolute_uri),
        DEP_ROW(normal_form),
        DEP_ROW(normal_form_keeps_apart_what_differs),
        DEP_ROW(no_normal_form),
        DEP_ROW(normal_form_arena_sweep),
        DEP_ROW(loopback),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

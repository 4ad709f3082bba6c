/* The Client-Cert header (RFC 9440): one way to write it, and the ways that are refused. */
#include <string.h>

#include "base/b64.h"
#include "http/client_cert.h"
#include "test/unit.h"

#define BEGIN "-----BEGIN%20CERTIFICATE-----%0A"
#define END "-----END%20CERTIFICATE-----"
#define LINE64 "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"

DEP_TEST(pem_in_percent_encoding)
{
    static const struct {
        const char *value, *der;
    } rows[] = {
        { BEGIN "aGVsbG8%3D%0A" END, "hello" },
        { BEGIN "aGVsbG8%3D%0A" END "%0A", "hello" }, /* nginx */
        { BEGIN "aGVsbG8=%0A" END "%0A", "hello" },   /* others leave + / = as they are */
        { BEGIN "Pj4%2BPz8%2F%0A" END, ">>>???" },
        { BEGIN "Pj4+Pz8/%0A" END, ">>>???" }, /* a plus is no blank here */
        { BEGIN LINE64 "%0AaGVsbG8%3D%0A" END, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAhello" },
        { BEGIN LINE64 "%0A" END, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_arena arena;
        struct dep_str der = DEP_STR_ABSENT;

        dep_arena_init_debug(&arena, 4096);
        DEP_CHECK_OK(t, dep_client_cert_parse(&arena, dep_str_c(rows[i].value), &der));
        DEP_CHECK_STR(t, der, rows[i].der);
        dep_arena_reset(&arena);
    }
}

DEP_TEST(a_byte_sequence)
{
    struct dep_arena arena;
    struct dep_str der = DEP_STR_ABSENT;

    dep_arena_init_debug(&arena, 4096);
    DEP_CHECK_OK(t, dep_client_cert_parse(&arena, DEP_STR(":aGVsbG8=:"), &der));
    DEP_CHECK_STR(t, der, "hello");
    dep_arena_reset(&arena);
}

DEP_TEST(what_is_no_byte_sequence)
{
    static const char *const rows[] = {
        "",
        ":",
        "::",
        "aGVsbG8=",
        ":aGVsbG8=",
        "aGVsbG8=:",
        "\"aGVsbG8=\"",
        ":aGVsbG8:",
        ":aGVsbG9=:",
        ":aGVs bG8=:",
        ":aGVsbG8=:;a=1",
        ":aGVsbG8=:, :aGVsbG8=:",
        ":aGVsbG8=: ",
        ":-_-_:",
        "-----BEGIN CERTIFICATE-----",
        BEGIN END,
        BEGIN "%0A" END,
        BEGIN "aGVsbG8%3D" END,
        BEGIN "aGVsbG8%3D%0A%0A" END,
        BEGIN "%0AaGVsbG8%3D%0A" END,
        BEGIN "aGVsbG8%3D%0D%0A" END,
        BEGIN "aGVs%0AbG8%3D%0A" END, /* a short line that is not the last */
        BEGIN LINE64 "AAAA%0A" END,
        BEGIN "aGVsbG8%0A" END,
        BEGIN "aGVsbG9%3D%0A" END,
        BEGIN "aGVsbG8%3D%0A" END "%0A%0A",
        BEGIN "aGVsbG8%3D%0A" END "x",
        BEGIN "aGVsbG8%3D%0A" END ", " BEGIN "aGVsbG8%3D%0A" END,
        BEGIN "aGVsbG8%3D%0A" END "%0A" BEGIN "aGVsbG8%3D%0A" END, /* a chain */
        BEGIN "aGVsbG8%3%0A" END,
        BEGIN "aGVsbG8%00%0A" END,
        BEGIN "aGVs+bG8%3D%0A" END,
        " " BEGIN "aGVsbG8%3D%0A" END,
        "x" BEGIN "aGVsbG8%3D%0A" END,
        "-----BEGIN%20CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----",
        "-----BEGIN%20TRUSTED%20CERTIFICATE-----%0AaGVsbG8%3D%0A-----END%20TRUSTED%20CERTIFICATE-----",
    };
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str der = DEP_STR("?");

        DEP_CHECK_FAIL(t, dep_client_cert_parse(&arena, dep_str_c(rows[i]), &der), HTTP_CLIENT_CERT);
        DEP_CHECK_STR(t, der, "?");
    }
    DEP_CHECK_FAIL(t, dep_client_cert_parse(&arena, DEP_STR_ABSENT, &(struct dep_str){ 0 }), HTTP_CLIENT_CERT);
    dep_arena_reset(&arena);
}

/* As nginx writes it: everything that is not unreserved is escaped. */
static struct dep_res parse_pem_of_size(struct dep_arena *arena, size_t size, struct dep_str *ret_der)
{
    static char bytes[DEP_CLIENT_CERT_MAX + 1];
    struct dep_buf base64, buf;
    struct dep_str rest;

    memset(bytes, 0xFB, sizeof(bytes)); /* "+/v7" */
    dep_buf_init_arena(&base64, arena, size / 3 * 4 + 8);
    dep_b64_put(&base64, bytes, size);
    dep_buf_init_arena(&buf, arena, 3 * base64.len + size + 128);
    dep_buf_put_c(&buf, BEGIN);
    rest = dep_buf_str(&base64);
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] == '+')
            dep_buf_put_c(&buf, "%2B");
        else if (rest.ptr[i] == '/')
            dep_buf_put_c(&buf, "%2F");
        else if (rest.ptr[i] == '=')
            dep_buf_put_c(&buf, "%3D");
        else
            dep_buf_put_char(&buf, rest.ptr[i]);
        if (i % 64 == 63 || i + 1 == rest.len)
            dep_buf_put_c(&buf, "%0A");
    }
    dep_buf_put_c(&buf, END "%0A");
    DEP_ASSERT(!buf.has_failed);
    return dep_client_cert_parse(arena, dep_buf_str(&buf), ret_der);
}

static struct dep_res parse_of_size(struct dep_arena *arena, size_t size, struct dep_str *ret_der)
{
    static char bytes[DEP_CLIENT_CERT_MAX + 1];
    struct dep_buf buf;

    memset(bytes, 'x', sizeof(bytes));
    dep_buf_init_arena(&buf, arena, size / 3 * 4 + 8);
    dep_buf_put_char(&buf, ':');
    dep_b64_put(&buf, bytes, size);
    dep_buf_put_char(&buf, ':');
    return dep_client_cert_parse(arena, dep_buf_str(&buf), ret_der);
}

DEP_TEST(the_largest_and_one_byte_more)
{
    struct dep_arena arena;
    struct dep_str der = DEP_STR_ABSENT;

    dep_arena_init_debug(&arena, 1 << 20);
    DEP_CHECK_OK(t, parse_of_size(&arena, DEP_CLIENT_CERT_MAX, &der));
    DEP_CHECK(t, der.len == DEP_CLIENT_CERT_MAX);
    DEP_CHECK_FAIL(t, parse_of_size(&arena, DEP_CLIENT_CERT_MAX + 1, &der), HTTP_CLIENT_CERT);
    DEP_CHECK_OK(t, parse_pem_of_size(&arena, DEP_CLIENT_CERT_MAX, &der));
    DEP_CHECK(t, der.len == DEP_CLIENT_CERT_MAX && (unsigned char)der.ptr[der.len - 1] == 0xFB);
    DEP_CHECK_FAIL(t, parse_pem_of_size(&arena, DEP_CLIENT_CERT_MAX + 1, &der), HTTP_CLIENT_CERT);
    dep_arena_reset(&arena);
}

DEP_TEST(no_memory)
{
    struct dep_arena arena;
    struct dep_str der = DEP_STR("?");

    dep_arena_init_debug(&arena, 2);
    DEP_CHECK_FAIL(t, dep_client_cert_parse(&arena, DEP_STR(":aGVsbG8=:"), &der), ARENA_FULL);
    for (size_t bytes = 0; bytes < 60; bytes++) {
        struct dep_arena small;

        dep_arena_init_debug(&small, bytes);
        DEP_CHECK_FAIL(t, dep_client_cert_parse(&small, DEP_STR(BEGIN "aGVsbG8%3D%0A" END), &der), ARENA_FULL);
        dep_arena_reset(&small);
    }
    DEP_CHECK_STR(t, der, "?");
    dep_arena_reset(&arena);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_byte_sequence),
        DEP_ROW(pem_in_percent_encoding),
        DEP_ROW(what_is_no_byte_sequence),
        DEP_ROW(the_largest_and_one_byte_more),
        DEP_ROW(no_memory),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

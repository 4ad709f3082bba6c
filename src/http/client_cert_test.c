/* The Client-Cert header (RFC 9440): one way to write it, and the ways that are refused. */
#include <string.h>

#include "base/b64.h"
#include "http/client_cert.h"
#include "test/unit.h"

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
    dep_arena_reset(&arena);
}

DEP_TEST(no_memory)
{
    struct dep_arena arena;
    struct dep_str der = DEP_STR("?");

    dep_arena_init_debug(&arena, 2);
    DEP_CHECK_FAIL(t, dep_client_cert_parse(&arena, DEP_STR(":aGVsbG8=:"), &der), ARENA_FULL);
    DEP_CHECK_STR(t, der, "?");
    dep_arena_reset(&arena);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_byte_sequence),
        DEP_ROW(what_is_no_byte_sequence),
        DEP_ROW(the_largest_and_one_byte_more),
        DEP_ROW(no_memory),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

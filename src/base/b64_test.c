/* Base64url and base64: one text for one value. */
#include "base/b64.h"

#include "test/unit.h"

struct pair {
    struct dep_str bytes, url, std;
};

/* RFC 4648 section 10, and what tells the two alphabets apart. */
static const struct pair pairs[] = {
    { DEP_STR_INIT(""), DEP_STR_INIT(""), DEP_STR_INIT("") },
    { DEP_STR_INIT("f"), DEP_STR_INIT("Zg"), DEP_STR_INIT("Zg==") },
    { DEP_STR_INIT("fo"), DEP_STR_INIT("Zm8"), DEP_STR_INIT("Zm8=") },
    { DEP_STR_INIT("foo"), DEP_STR_INIT("Zm9v"), DEP_STR_INIT("Zm9v") },
    { DEP_STR_INIT("foob"), DEP_STR_INIT("Zm9vYg"), DEP_STR_INIT("Zm9vYg==") },
    { DEP_STR_INIT("fooba"), DEP_STR_INIT("Zm9vYmE"), DEP_STR_INIT("Zm9vYmE=") },
    { DEP_STR_INIT("foobar"), DEP_STR_INIT("Zm9vYmFy"), DEP_STR_INIT("Zm9vYmFy") },
    { DEP_STR_INIT("\xFB\xEF\xBE\xFF"), DEP_STR_INIT("----_w"), DEP_STR_INIT("++++/w==") },
    { DEP_STR_INIT("\0\0"), DEP_STR_INIT("AAA"), DEP_STR_INIT("AAA=") },
};

DEP_TEST(known_pairs_both_ways)
{
    struct dep_arena arena;
    char room[64];

    dep_arena_init_debug(&arena, 4096);
    for (size_t i = 0; i < DEP_COUNT(pairs); i++) {
        struct dep_str got = DEP_STR_ABSENT;
        struct dep_buf buf;

        DEP_CHECK_OK(t, dep_b64url_decode(&arena, pairs[i].url, &got));
        DEP_CHECK(t, dep_str_eq(got, pairs[i].bytes));
        DEP_CHECK_OK(t, dep_b64_decode(&arena, pairs[i].std, &got));
        DEP_CHECK(t, dep_str_eq(got, pairs[i].bytes));
        dep_buf_init(&buf, room, sizeof(room));
        dep_b64url_put(&buf, pairs[i].bytes.ptr, pairs[i].bytes.len);
        DEP_CHECK(t, dep_str_eq(dep_buf_str(&buf), pairs[i].url));
        DEP_CHECK(t, DEP_B64_ENCODED(pairs[i].bytes.len) == pairs[i].url.len);
        DEP_CHECK(t, DEP_B64_DECODED(pairs[i].url.len) == pairs[i].bytes.len);
        dep_buf_init(&buf, room, sizeof(room));
        dep_b64_put(&buf, pairs[i].bytes.ptr, pairs[i].bytes.len);
        DEP_CHECK(t, dep_str_eq(dep_buf_str(&buf), pairs[i].std));
    }
    dep_arena_reset(&arena);
}

DEP_TEST(base64url_is_strict)
{
    static const struct dep_str rows[] = {
        DEP_STR_INIT("A"),
        DEP_STR_INIT("AAAAA"),
        DEP_STR_INIT("Zg=="),
        DEP_STR_INIT("Zm8="),
        DEP_STR_INIT("Zg="),
        DEP_STR_INIT("Zh"),
        DEP_STR_INIT("Zv"),
        DEP_STR_INIT("Zm9"),
        DEP_STR_INIT("Zm-"),
        DEP_STR_INIT("++++"),
        DEP_STR_INIT("////"),
        DEP_STR_INIT("Zm 9v"),
        DEP_STR_INIT(" Zm9"),
        DEP_STR_INIT("Zm9v\n"),
        DEP_STR_INIT("Zm9\0"),
        DEP_STR_INIT("Zm.v"),
        DEP_STR_INIT("Z\xC3\xA4v"),
        DEP_STR_INIT("===="),
        DEP_STR_INIT("\xFF\xFF\xFF\xFF"),
    };
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str got = DEP_STR_ABSENT;
        struct dep_res res = dep_b64url_decode(&arena, rows[i], &got);

        dep_test_check(t, res.err == DEP_ERR_B64_SYNTAX, __FILE__, __LINE__, "row %zu: %s", i, dep_err_name(res.err));
        DEP_CHECK(t, dep_str_is_absent(got));
    }
    dep_arena_reset(&arena);
}

DEP_TEST(base64_is_strict)
{
    static const struct dep_str rows[] = {
        DEP_STR_INIT("Zg"),       DEP_STR_INIT("Zg="),     DEP_STR_INIT("Zh=="),   DEP_STR_INIT("Zm9="),
        DEP_STR_INIT("Z==="),     DEP_STR_INIT("===="),    DEP_STR_INIT("Zm9v="),  DEP_STR_INIT("----"),
        DEP_STR_INIT("____"),     DEP_STR_INIT("Z=g="),    DEP_STR_INIT("=Zg="),   DEP_STR_INIT("Zg==Zg=="),
        DEP_STR_INIT("Zm9v===="), DEP_STR_INIT("Zm 9v=="), DEP_STR_INIT("Zg==\n"),
    };
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str got = DEP_STR_ABSENT;
        struct dep_res res = dep_b64_decode(&arena, rows[i], &got);

        dep_test_check(t, res.err == DEP_ERR_B64_SYNTAX, __FILE__, __LINE__, "row %zu: %s", i, dep_err_name(res.err));
    }
    dep_arena_reset(&arena);
}

/* Of the 64 texts "A?" four decode: the last four bits must be zero. */
DEP_TEST(stray_bits_are_counted)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned two = 0, three = 0;

    for (unsigned i = 0; i < 64; i++) {
        char text[3] = { 'A', 'A', alphabet[i] };
        unsigned char out[2];

        three += dep_is_ok(dep_b64url_decode_exact(dep_str(text, 3), out, 2));
        text[1] = alphabet[i];
        two += dep_is_ok(dep_b64url_decode_exact(dep_str(text, 2), out, 1));
    }
    DEP_CHECK(t, two == 4);
    DEP_CHECK(t, three == 16);
}

/* Every other byte is refused wherever it stands. */
DEP_TEST(every_foreign_byte_is_refused)
{
    for (unsigned c = 0; c < 256; c++) {
        bool is_ours =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';

        for (unsigned at = 0; at < 4; at++) {
            char text[4] = { 'A', 'A', 'A', 'A' };
            unsigned char out[3];

            text[at] = (char)c;
            dep_test_check(t, dep_is_ok(dep_b64url_decode_exact(dep_str(text, 4), out, 3)) == is_ours, __FILE__,
                           __LINE__, "byte %u at %u", c, at);
        }
    }
}

DEP_TEST(exact_length)
{
    unsigned char out[3] = { 9, 9, 9 };

    DEP_CHECK_OK(t, dep_b64url_decode_exact(DEP_STR("Zm9v"), out, 3));
    DEP_CHECK(t, memcmp(out, "foo", 3) == 0);
    DEP_CHECK_FAIL(t, dep_b64url_decode_exact(DEP_STR("Zm9v"), out, 2), B64_LENGTH);
    DEP_CHECK_FAIL(t, dep_b64url_decode_exact(DEP_STR("Zm8"), out, 3), B64_LENGTH);
    DEP_CHECK_FAIL(t, dep_b64url_decode_exact(DEP_STR("Zm9v="), out, 3), B64_LENGTH);
    DEP_CHECK_FAIL(t, dep_b64url_decode_exact(DEP_STR_ABSENT, out, 3), B64_LENGTH);
    DEP_CHECK_OK(t, dep_b64url_decode_exact(DEP_STR(""), out, 0));
}

DEP_TEST(all_lengths_round_trip)
{
    unsigned char bytes[70];
    char room[100];
    struct dep_arena arena;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    dep_arena_init_debug(&arena, 65536);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        struct dep_str got = DEP_STR_ABSENT;
        struct dep_buf buf;

        dep_buf_init(&buf, room, DEP_B64_ENCODED(len));
        dep_b64url_put(&buf, bytes, len);
        DEP_CHECK(t, !buf.has_failed && buf.len == DEP_B64_ENCODED(len));
        DEP_CHECK_OK(t, dep_b64url_decode(&arena, dep_str(room, buf.len), &got));
        DEP_CHECK(t, dep_str_eq(got, dep_str((const char *)bytes, len)));
    }
    dep_arena_reset(&arena);
}

DEP_TEST(a_full_arena_is_a_result)
{
    struct dep_arena arena;
    struct dep_str got = DEP_STR_ABSENT;

    dep_arena_init_debug(&arena, 0);
    DEP_CHECK_FAIL(t, dep_b64url_decode(&arena, DEP_STR("Zm9v"), &got), ARENA_FULL);
    DEP_CHECK_FAIL(t, dep_b64_decode(&arena, DEP_STR("Zm9v"), &got), ARENA_FULL);
    dep_arena_reset(&arena);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(known_pairs_both_ways),  DEP_ROW(base64url_is_strict),           DEP_ROW(base64_is_strict),
        DEP_ROW(stray_bits_are_counted), DEP_ROW(every_foreign_byte_is_refused), DEP_ROW(exact_length),
        DEP_ROW(all_lengths_round_trip), DEP_ROW(a_full_arena_is_a_result),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

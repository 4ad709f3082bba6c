/* Arena, buffer and secrets: what owns bytes. */
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[1024];

DEP_TEST(arena_gives_zeroed_aligned_memory)
{
    struct dep_arena arena;

    memset(memory, 0xA5, sizeof(memory));
    dep_arena_init(&arena, memory, sizeof(memory));
    for (size_t size = 0; size < 20; size++) {
        unsigned char *p = dep_arena_alloc(&arena, size);

        DEP_CHECK(t, p != NULL && (uintptr_t)p % 16 == 0);
        for (size_t i = 0; i < size; i++)
            DEP_CHECK(t, p[i] == 0);
        memset(p, 0xFF, size);
    }
    /* After a reset nothing of the last request is left. */
    dep_arena_reset(&arena);
    for (size_t i = 0; i < sizeof(memory); i++)
        if (memory[i] != 0)
            DEP_CHECK(t, memory[i] == 0);
    DEP_CHECK(t, arena.used == 0 && arena.peak > 0);
}

static void check_limit(struct dep_test *t, struct dep_arena *arena)
{
    DEP_CHECK(t, dep_arena_alloc(arena, 48) != NULL);
    DEP_CHECK(t, dep_arena_alloc(arena, 17) == NULL);
    DEP_CHECK(t, dep_arena_alloc(arena, 16) != NULL);
    DEP_CHECK(t, dep_arena_alloc(arena, 1) == NULL);
    DEP_CHECK(t, dep_arena_alloc(arena, 0) != NULL);
    DEP_CHECK(t, dep_arena_alloc(arena, SIZE_MAX) == NULL);
    DEP_CHECK(t, dep_arena_alloc(arena, SIZE_MAX - 15) == NULL);
    DEP_CHECK(t, arena->used == 64 && arena->peak == 64);
    dep_arena_reset(arena);
    DEP_CHECK(t, dep_arena_alloc(arena, 64) != NULL);
    dep_arena_reset(arena);
}

DEP_TEST(arena_limit_is_a_result_in_both_modes)
{
    struct dep_arena arena;

    dep_arena_init(&arena, memory, 64);
    check_limit(t, &arena);
    dep_arena_init_debug(&arena, 64);
    check_limit(t, &arena);
    dep_arena_init(&arena, NULL, 0);
    DEP_CHECK(t, dep_arena_alloc(&arena, 1) == NULL);
    dep_arena_reset(&arena);
}

DEP_TEST(arena_array_refuses_overflow)
{
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK(t, dep_arena_array(&arena, SIZE_MAX / 2, 3) == NULL);
    DEP_CHECK(t, dep_arena_array(&arena, SIZE_MAX, SIZE_MAX) == NULL);
    DEP_CHECK(t, dep_arena_array(&arena, ((size_t)1 << 60) + 1, 16) == NULL); /* wraps to 16 */
    DEP_CHECK(t, arena.used == 0);
    DEP_CHECK(t, DEP_NEW_ARRAY(&arena, 4, uint64_t) != NULL && arena.used == 32);
    DEP_CHECK(t, dep_arena_array(&arena, 0, 8) != NULL);
}

DEP_TEST(arena_dup_copies)
{
    struct dep_arena arena;
    char text[] = "abc";

    dep_arena_init(&arena, memory, 32);

    struct dep_str copy = dep_arena_dup(&arena, dep_str(text, 3));

    text[0] = 'x';
    DEP_CHECK_STR(t, copy, "abc");
    DEP_CHECK(t, dep_str_is_absent(dep_arena_dup(&arena, DEP_STR_ABSENT)));
    DEP_CHECK(t, !dep_str_is_absent(dep_arena_dup(&arena, DEP_STR(""))));
    DEP_CHECK(t, dep_str_is_absent(dep_arena_dup(&arena, DEP_STR("a text of more than sixteen bytes"))));
}

DEP_TEST(buf_failure_is_sticky)
{
    char room[8];
    struct dep_buf buf;

    dep_buf_init(&buf, room, 4);
    room[4] = '!';
    dep_buf_put_c(&buf, "abc");
    DEP_CHECK_STR(t, dep_buf_str(&buf), "abc");
    dep_buf_put_c(&buf, "de"); /* does not fit: nothing of it is written */
    DEP_CHECK(t, buf.has_failed && buf.len == 3 && dep_str_is_absent(dep_buf_str(&buf)));
    dep_buf_put_char(&buf, 'd'); /* would fit, but it is too late */
    DEP_CHECK(t, buf.has_failed && buf.len == 3 && room[4] == '!');
}

DEP_TEST(buf_takes_exactly_its_maximum)
{
    char room[4];
    struct dep_buf buf;

    dep_buf_init(&buf, room, 4);
    dep_buf_put_c(&buf, "abcd");
    dep_buf_put(&buf, DEP_STR(""));
    dep_buf_put(&buf, DEP_STR_ABSENT);
    DEP_CHECK_STR(t, dep_buf_str(&buf), "abcd");
    dep_buf_put_char(&buf, 'e');
    DEP_CHECK(t, buf.has_failed);
    dep_buf_init(&buf, room, 4);
    dep_buf_put(&buf, dep_str(room, SIZE_MAX));
    DEP_CHECK(t, buf.has_failed && buf.len == 0);
}

DEP_TEST(buf_writes_numbers)
{
    static const struct {
        int64_t value;
        const char *want;
    } rows[] = { { 0, "0" },
                 { 7, "7" },
                 { -1, "-1" },
                 { INT64_MAX, "9223372036854775807" },
                 { INT64_MIN, "-9223372036854775808" } };
    char room[32];
    struct dep_buf buf;

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        dep_buf_init(&buf, room, sizeof(room));
        dep_buf_put_int(&buf, rows[i].value);
        DEP_CHECK_STR(t, dep_buf_str(&buf), rows[i].want);
    }
    dep_buf_init(&buf, room, sizeof(room));
    dep_buf_put_hex(&buf, "\x00\x0F\xF0\xFF", 4);
    DEP_CHECK_STR(t, dep_buf_str(&buf), "000ff0ff");
    dep_buf_init(&buf, room, 1);
    dep_buf_put_int(&buf, 10);
    DEP_CHECK(t, buf.has_failed && buf.len == 0);
}

DEP_TEST(buf_on_a_full_arena_starts_failed)
{
    struct dep_arena arena;
    struct dep_buf buf;

    dep_arena_init(&arena, memory, 16);
    dep_buf_init_arena(&buf, &arena, 17);
    DEP_CHECK(t, buf.has_failed);
    dep_buf_put_char(&buf, 'a');
    DEP_CHECK(t, dep_str_is_absent(dep_buf_str(&buf)));
    dep_buf_init_arena(&buf, &arena, 16);
    dep_buf_put_char(&buf, 'a');
    DEP_CHECK_STR(t, dep_buf_str(&buf), "a");
}

DEP_TEST(secrets_compare_by_value_and_blank_never_matches)
{
    struct dep_secret a = dep_secret_of(DEP_STR("correct horse"));

    DEP_CHECK(t, dep_secret_eq(a, dep_secret("correct horse", 13)));
    DEP_CHECK(t, !dep_secret_eq(a, dep_secret("correct horsf", 13)));
    DEP_CHECK(t, !dep_secret_eq(a, dep_secret("Correct horse", 13)));
    DEP_CHECK(t, !dep_secret_eq(a, dep_secret("correct hors", 12)));
    DEP_CHECK(t, !dep_secret_eq(dep_secret_of(DEP_STR("")), dep_secret_of(DEP_STR(""))));
    DEP_CHECK(t, !dep_secret_eq(dep_secret_of(DEP_STR_ABSENT), dep_secret_of(DEP_STR_ABSENT)));
    /* All of it counts: bytes behind a NUL as well, and differences that cancel out in a sum. */
    DEP_CHECK(t, !dep_secret_eq(dep_secret("a\0b", 3), dep_secret("a\0c", 3)));
    DEP_CHECK(t, !dep_secret_eq(dep_secret("\x01\x80", 2), dep_secret("\x80\x01", 2)));
}

DEP_TEST(wipe_overwrites)
{
    unsigned char bytes[5] = { 1, 2, 3, 4, 5 };

    dep_wipe(bytes, 4);
    DEP_CHECK(t, bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0 && bytes[4] == 5);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(arena_gives_zeroed_aligned_memory),
        DEP_ROW(arena_limit_is_a_result_in_both_modes),
        DEP_ROW(arena_array_refuses_overflow),
        DEP_ROW(arena_dup_copies),
        DEP_ROW(buf_failure_is_sticky),
        DEP_ROW(buf_takes_exactly_its_maximum),
        DEP_ROW(buf_writes_numbers),
        DEP_ROW(buf_on_a_full_arena_starts_failed),
        DEP_ROW(secrets_compare_by_value_and_blank_never_matches),
        DEP_ROW(wipe_overwrites),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

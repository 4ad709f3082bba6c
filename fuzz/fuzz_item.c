/* Items that are Strings, and idempotency keys: what is read can be written and read again. */
#include "fuzz/fuzz.h"
#include "http/item.h"
#include "proto/idempotency.h"

static void check_text(struct dep_arena *arena, struct dep_str text)
{
    struct dep_str again;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 2 * text.len + 2);
    dep_buf_put_char(&buf, '"');
    for (size_t i = 0; i < text.len; i++) {
        DEP_FUZZ_CHECK(text.ptr[i] >= 0x20 && text.ptr[i] <= 0x7e);
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            dep_buf_put_char(&buf, '\\');
        dep_buf_put_char(&buf, text.ptr[i]);
    }
    dep_buf_put_char(&buf, '"');
    DEP_FUZZ_CHECK(!buf.has_failed && dep_is_ok(dep_item_string(arena, dep_buf_str(&buf), &again)));
    DEP_FUZZ_CHECK(dep_str_eq(again, text));
}

static void check_key(struct dep_arena *arena, struct dep_str value, bool is_lenient, bool is_string)
{
    const struct dep_header header = { DEP_IDEMPOTENCY_HEADER, value };
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();
    struct dep_str key = DEP_STR_ABSENT;

    policy.is_lenient = is_lenient;
    if (!dep_is_ok(dep_idempotency_key(arena, &policy, &header, 1, &key)))
        return;
    DEP_FUZZ_CHECK(is_lenient || is_string);
    DEP_FUZZ_CHECK(key.len > 0 && key.len <= DEP_IDEMPOTENCY_KEY_MAX);
    check_text(arena, key);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str value = dep_fuzz_text(data, size), text;
    struct dep_arena arena;
    bool is_string;

    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    is_string = dep_is_ok(dep_item_string(&arena, value, &text));
    if (is_string)
        check_text(&arena, text);
    check_key(&arena, value, false, is_string);
    check_key(&arena, value, true, is_string);
    dep_arena_reset(&arena);
}

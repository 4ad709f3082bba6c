/* One text for one value: what decodes, encodes to the same text. */
#include "base/b64.h"
#include "fuzz/fuzz.h"

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size), bytes;
    struct dep_arena arena;
    struct dep_buf buf;

    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_is_ok(dep_b64url_decode(&arena, text, &bytes))) {
        unsigned char *exact = dep_arena_alloc(&arena, bytes.len);

        dep_buf_init_arena(&buf, &arena, DEP_B64_ENCODED(bytes.len));
        dep_b64url_put(&buf, bytes.ptr, bytes.len);
        DEP_FUZZ_CHECK(dep_str_eq(dep_buf_str(&buf), text));
        DEP_FUZZ_CHECK(dep_is_ok(dep_b64url_decode_exact(text, exact, bytes.len)));
        DEP_FUZZ_CHECK(!dep_is_ok(dep_b64url_decode_exact(text, exact, bytes.len + 1)));
    }
    if (dep_is_ok(dep_b64_decode(&arena, text, &bytes))) {
        dep_buf_init_arena(&buf, &arena, text.len);
        dep_b64_put(&buf, bytes.ptr, bytes.len);
        DEP_FUZZ_CHECK(dep_str_eq(dep_buf_str(&buf), text));
    }
    /* And any bytes survive the way there and back. */
    dep_buf_init_arena(&buf, &arena, DEP_B64_ENCODED(text.len));
    dep_b64url_put(&buf, text.ptr, text.len);
    DEP_FUZZ_CHECK(dep_is_ok(dep_b64url_decode(&arena, dep_buf_str(&buf), &bytes)) && dep_str_eq(bytes, text));
    dep_arena_reset(&arena);
}

/* MCP messages: three lines are the headers, the rest is the body. What is known is plain text, and what only headers say
 * counts for nothing where nobody compares them. */
#include "fuzz/fuzz.h"
#include "guard/mcp.h"

static void check_text(struct dep_str text)
{
    DEP_FUZZ_CHECK(text.len > 0 && text.len <= DEP_GUARD_MCP_NAME_MAX && dep_str_is_utf8(text));
    for (size_t i = 0; i < text.len; i++)
        DEP_FUZZ_CHECK((unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7F);
}

static void check(struct dep_arena *arena, const struct dep_guard_mcp_headers *headers, struct dep_str body,
                  bool headers_count)
{
    struct dep_guard_mcp mcp = { 0 };

    if (!dep_is_ok(dep_guard_mcp_read(arena, headers, body, headers_count, &mcp)))
        return;
    DEP_FUZZ_CHECK(mcp.is_known || dep_str_is_absent(body));
    DEP_FUZZ_CHECK(!mcp.is_known || headers_count || !dep_str_is_absent(body));
    if (!dep_str_is_absent(mcp.method))
        check_text(mcp.method);
    if (mcp.is_known && !dep_str_is_absent(mcp.method))
        DEP_FUZZ_CHECK(dep_guard_mcp_has_name(mcp.method) == !dep_str_is_absent(mcp.name));
    if (!dep_str_is_absent(mcp.name))
        check_text(mcp.name);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str rest = dep_fuzz_text(data, size);
    struct dep_guard_mcp_headers headers = { 0 };
    struct dep_arena arena;

    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_str_cut(&rest, '\n', &headers.version) && dep_str_cut(&rest, '\n', &headers.method))
        (void)dep_str_cut(&rest, '\n', &headers.name);
    check(&arena, &headers, rest, true);
    check(&arena, &headers, rest, false);
    check(&arena, &headers, DEP_STR_ABSENT, true);
    dep_arena_reset(&arena);
}

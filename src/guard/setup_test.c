/* What a guard is told: faults are named, and the texts follow. */
#include "guard/setup.h"

#include <stdlib.h>

#include "base/buf.h"
#include "test/unit.h"

static const struct dep_guard_setup good = { .resource = DEP_STR_INIT("https://api.example/mcp"),
                                             .issuer = DEP_STR_INIT("https://as.example"),
                                             .scopes = DEP_STR_INIT("read"),
                                             .scopes_offered = DEP_STR_INIT("read write") };

static void check_fault(struct dep_test *t, const struct dep_guard_setup *setup, const char *setting)
{
    struct dep_guard_fault fault = dep_guard_setup_check(setup);

    dep_test_check_str(t, dep_str_c(fault.setting), setting, __FILE__, __LINE__);
    DEP_CHECK(t, (fault.text == NULL) == (setting == NULL));
}

DEP_TEST(O09_a_guard_that_does_not_know_what_it_guards_does_not_start)
{
    static const struct {
        const char *resource, *issuer, *public_url, *scopes;
        bool may_loopback;
        const char *setting; /* NULL: good */
    } rows[] = {
        { "https://api.example/mcp", "https://as.example", NULL, NULL, false, NULL },
        { "http://api.example", "https://as.example/t1", "http://api.example:8080", "a b", false, NULL },
        { NULL, "https://as.example", NULL, NULL, false, "resource" },
        { "", "https://as.example", NULL, NULL, false, "resource" },
        { "/mcp", "https://as.example", NULL, NULL, false, "resource" },
        { "https://api.example/?a", "https://as.example", NULL, NULL, false, "resource" },
        { "ftp://api.example/", "https://as.example", NULL, NULL, false, "resource" },
        { "https://api.example/mcp", NULL, NULL, NULL, false, "issuer" },
        { "https://api.example/mcp", "https://as.example#a", NULL, NULL, false, "issuer" },
        { "https://api.example/mcp", "http://as.example", NULL, NULL, false, "issuer" },
        { "https://api.example/mcp", "http://as.example", NULL, NULL, true, "issuer" },
        { "https://api.example/mcp", "http://127.0.0.1:8693", NULL, NULL, false, "issuer" },
        { "https://api.example/mcp", "http://127.0.0.1:8693", NULL, NULL, true, NULL },
        { "https://api.example/mcp", "https://as.example", "https://api.example/x", NULL, false, "public-url" },
        { "https://api.example/mcp", "https://as.example", NULL, "a\"b", false, "scope" },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        const struct dep_guard_setup setup = { .resource = dep_str_c(rows[i].resource),
                                               .issuer = dep_str_c(rows[i].issuer),
                                               .public_url = dep_str_c(rows[i].public_url),
                                               .scopes = dep_str_c(rows[i].scopes),
                                               .may_loopback = rows[i].may_loopback };

        check_fault(t, &setup, rows[i].setting);
    }
}

DEP_TEST(texts)
{
    static _Alignas(16) unsigned char memory[32768];
    struct dep_guard_setup setup = good;
    struct dep_guard_texts texts;
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_OK(t, dep_guard_texts(&arena, &setup, &texts));
    DEP_CHECK_STR(t, texts.origin, "https://api.example");
    DEP_CHECK_STR(t, texts.metadata_url, "https://api.example/.well-known/oauth-protected-resource/mcp");
    DEP_CHECK_STR(t, texts.metadata_path, "/.well-known/oauth-protected-resource/mcp");
    DEP_CHECK_STR(t, texts.node, "guard https://api.example/mcp");
    DEP_CHECK_STR(t, texts.log_origin, "deputy/guard/api.example/mcp");
    DEP_CHECK(t, texts.metadata.len > 0 && texts.metadata.ptr[0] == '{');
    dep_arena_reset(&arena);
    setup.public_url = DEP_STR("http://127.0.0.1:8080");
    DEP_CHECK_OK(t, dep_guard_texts(&arena, &setup, &texts));
    DEP_CHECK_STR(t, texts.metadata_url, "http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp");
}

DEP_TEST(arena_sweep)
{
    static _Alignas(16) unsigned char memory[32768];
    bool has_failed = false, has_worked = false;

    for (size_t size = 0; size <= sizeof(memory); size += 16) {
        struct dep_guard_texts texts;
        struct dep_arena arena;
        struct dep_res res;

        dep_arena_init(&arena, memory, size);
        res = dep_guard_texts(&arena, &good, &texts);
        has_failed |= !dep_is_ok(res);
        DEP_CHECK(t, !has_worked || dep_is_ok(res)); /* more room never hurts */
        has_worked |= dep_is_ok(res);
    }
    DEP_CHECK(t, has_failed && has_worked);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(O09_a_guard_that_does_not_know_what_it_guards_does_not_start),
        DEP_ROW(texts),
        DEP_ROW(arena_sweep),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

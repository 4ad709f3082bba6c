/* Items that are Strings (RFC 8941), by the grammar. */
#include "http/item.h"
#include "test/unit.h"

static struct dep_res read(struct dep_arena *arena, const char *value, struct dep_str *ret_text)
{
    return dep_item_string(arena, dep_str_c(value), ret_text);
}

DEP_TEST(strings_and_what_they_say)
{
    static const struct {
        const char *value, *text;
    } rows[] = {
        { "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324" },
        { "\"clkyoesmbgybucifusbbtdsbohtyuuwz\"", "clkyoesmbgybucifusbbtdsbohtyuuwz" },
        { "\"\"", "" },
        { "  \"a\"  ", "a" },
        { "\"a b,;=\"", "a b,;=" },
        { "\"a\\\"b\\\\c\"", "a\"b\\c" },
        { "\"a\";x", "a" },
        { "\"a\"; x=1; *y=\"z\\\"\";q=?1;b=:aGk=:;t=*tok/en:x;n=-1.250;m=123456789012345", "a" },
    };
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str text = DEP_STR("?");

        DEP_CHECK_OK(t, read(&arena, rows[i].value, &text));
        DEP_CHECK_STR(t, text, rows[i].text);
    }
    dep_arena_reset(&arena);
}

DEP_TEST(what_is_no_string)
{
    static const char *const rows[] = {
        "",
        " ",
        "a",
        "8e03978e-40d5-43e8-bc93-6894a57f9324",
        "\"",
        "\"a",
        "a\"",
        "\"a\"b",
        "\"a\"\"b\"",
        "\"a\", \"b\"",
        "\"a\"\t",
        "\t\"a\"",
        "\"a\\\"",
        "\"a\\n\"",
        "\"a\x7f\"",
        "\"a\tb\"",
        "\"\xc3\xa9\"",
        "'a'",
        "12",
        "?1",
        ":YQ==:",
        "(\"a\")",
        "\"a\";",
        "\"a\";X",
        "\"a\" ;x",
        "\"a\";x=",
        "\"a\";x=\"",
        "\"a\";x=?2",
        "\"a\";x=:a",
        "\"a\";x=1234567890123456",
        "\"a\";x=1234567890123.1",
        "\"a\";x=1.1234",
        "\"a\";x=1.",
        "\"a\";x=-",
        "\"a\";x=(1)",
    };
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str text = DEP_STR("?");

        DEP_CHECK_FAIL(t, read(&arena, rows[i], &text), HTTP_ITEM);
        DEP_CHECK_STR(t, text, "?");
    }
    DEP_CHECK_FAIL(t, dep_item_string(&arena, DEP_STR("\"a\0\""), &(struct dep_str){ 0 }), HTTP_ITEM);
    DEP_CHECK_FAIL(t, dep_item_string(&arena, DEP_STR_ABSENT, &(struct dep_str){ 0 }), HTTP_ITEM);
    dep_arena_reset(&arena);
}

DEP_TEST(no_memory_for_escapes)
{
    struct dep_arena arena;
    struct dep_str text = DEP_STR("?");

    dep_arena_init_debug(&arena, 2);
    DEP_CHECK_FAIL(t, read(&arena, "\"ab\\\\c\"", &text), ARENA_FULL);
    DEP_CHECK_OK(t, read(&arena, "\"abc\"", &text));
    DEP_CHECK_STR(t, text, "abc");
    dep_arena_reset(&arena);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(strings_and_what_they_say),
        DEP_ROW(what_is_no_string),
        DEP_ROW(no_memory_for_escapes),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Scopes (RFC 6749 section 3.3). */
#include "proto/scope.h"
#include "test/unit.h"

DEP_TEST(takes_what_the_grammar_allows)
{
    static const char *const good[] = { "read", "read write", "urn:x:y!z#[]~", "a b c d", "Read read" };

    for (size_t i = 0; i < DEP_COUNT(good); i++)
        DEP_CHECK_OK(t, dep_scope_check(dep_str_c(good[i])));
}

DEP_TEST(refuses_what_it_does_not)
{
    static const struct {
        const char *name, *text;
    } rows[] = {
        { "empty", "" },
        { "blank in front", " read" },
        { "blank at the end", "read " },
        { "two blanks", "read  write" },
        { "only a blank", " " },
        { "twice the same", "read write read" },
        { "tab", "read\twrite" },
        { "line feed", "read\nwrite" },
        { "quote", "re\"ad" },
        { "backslash", "re\\ad" },
        { "delete", "re\x7f" },
        { "beyond ASCII", "r\xc3\xa9" },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        dep_test_check(t, dep_scope_check(dep_str_c(rows[i].text)).err == DEP_ERR_SCOPE_SYNTAX, __FILE__, __LINE__,
                       "%s", rows[i].name);
    DEP_CHECK_FAIL(t, dep_scope_check(DEP_STR_ABSENT), SCOPE_SYNTAX);
    DEP_CHECK_FAIL(t, dep_scope_check(dep_str("re\0ad", 5)), SCOPE_SYNTAX);
    DEP_CHECK_OK(t, dep_scope_check(DEP_STR("read write")));
}

DEP_TEST(finds_whole_words_only)
{
    struct dep_str scope = DEP_STR("read write");

    DEP_CHECK(t, dep_scope_has(scope, DEP_STR("read")));
    DEP_CHECK(t, dep_scope_has(scope, DEP_STR("write")));
    DEP_CHECK(t, !dep_scope_has(scope, DEP_STR("rea")));
    DEP_CHECK(t, !dep_scope_has(scope, DEP_STR("Read")));
    DEP_CHECK(t, !dep_scope_has(scope, DEP_STR("read write")));
    DEP_CHECK(t, !dep_scope_has(scope, DEP_STR("")));
    DEP_CHECK(t, !dep_scope_has(DEP_STR_ABSENT, DEP_STR("read")));
}

DEP_TEST(within_knows_no_order_and_no_more)
{
    DEP_CHECK(t, dep_scope_within(DEP_STR("write read"), DEP_STR("read write delete")));
    DEP_CHECK(t, dep_scope_within(DEP_STR_ABSENT, DEP_STR("read")));
    DEP_CHECK(t, dep_scope_within(DEP_STR(""), DEP_STR_ABSENT));
    DEP_CHECK(t, !dep_scope_within(DEP_STR("read admin"), DEP_STR("read write")));
    DEP_CHECK(t, !dep_scope_within(DEP_STR("read"), DEP_STR_ABSENT));
    DEP_CHECK(t, !dep_scope_within(DEP_STR("READ"), DEP_STR("read")));
}

DEP_TEST(puts_single_blanks_between)
{
    char memory[16];
    struct dep_buf buf;

    dep_buf_init(&buf, memory, sizeof(memory));
    dep_scope_put(&buf, DEP_STR("read"));
    dep_scope_put(&buf, DEP_STR("write"));
    DEP_CHECK_STR(t, dep_buf_str(&buf), "read write");
    DEP_CHECK_OK(t, dep_scope_check(dep_buf_str(&buf)));
    dep_scope_put(&buf, DEP_STR("delete"));
    DEP_CHECK(t, buf.has_failed);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(takes_what_the_grammar_allows), DEP_ROW(refuses_what_it_does_not),
        DEP_ROW(finds_whole_words_only),        DEP_ROW(within_knows_no_order_and_no_more),
        DEP_ROW(puts_single_blanks_between),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

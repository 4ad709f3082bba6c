/* Slices. */
#include "base/str.h"

#include "test/unit.h"

DEP_TEST(absent_and_empty_are_not_the_same)
{
    DEP_CHECK(t, dep_str_is_absent(DEP_STR_ABSENT));
    DEP_CHECK(t, !dep_str_is_absent(DEP_STR("")));
    DEP_CHECK(t, dep_str_is_blank(DEP_STR_ABSENT) && dep_str_is_blank(DEP_STR("")) && !dep_str_is_blank(DEP_STR(" ")));
    DEP_CHECK(t, dep_str_says_nothing(DEP_STR_ABSENT) && dep_str_says_nothing(DEP_STR(" \t\r\n")));
    DEP_CHECK(t, !dep_str_says_nothing(DEP_STR(" a ")) && !dep_str_says_nothing(DEP_STR("\xc3\xa9")));
    DEP_CHECK(t, dep_str_is_absent(dep_str_c(NULL)) && !dep_str_is_absent(dep_str_c("")));
    DEP_CHECK(t, !dep_str_eq(DEP_STR_ABSENT, DEP_STR("")));
    DEP_CHECK(t, dep_str_eq(DEP_STR_ABSENT, DEP_STR_ABSENT) && dep_str_eq(DEP_STR(""), DEP_STR("")));
}

DEP_TEST(equality)
{
    DEP_CHECK(t, dep_str_eq(DEP_STR("abc"), DEP_STR("abc")));
    DEP_CHECK(t, !dep_str_eq(DEP_STR("abc"), DEP_STR("abd")));
    DEP_CHECK(t, !dep_str_eq(DEP_STR("abc"), DEP_STR("ab")));
    DEP_CHECK(t, !dep_str_eq(DEP_STR("a\0b"), DEP_STR("a\0c")));
    DEP_CHECK(t, !dep_str_eq_c(DEP_STR("a\0b"), "a"));
    DEP_CHECK(t, dep_str_eq_nocase(DEP_STR("DPoP"), DEP_STR("dpop")) && !dep_str_eq(DEP_STR("DPoP"), DEP_STR("dpop")));
    DEP_CHECK(t, !dep_str_eq_nocase(DEP_STR("DPoP"), DEP_STR("dpo")));
    DEP_CHECK(t, !dep_str_eq_nocase(DEP_STR_ABSENT, DEP_STR("")) && dep_str_eq_nocase(DEP_STR_ABSENT, DEP_STR_ABSENT));
}

/* Only A to Z fold: '[' is 'Z' + 1, '@' is 'A' - 1, and U+212A is no k. */
DEP_TEST(folding_is_ascii_only)
{
    DEP_CHECK(t, !dep_str_eq_nocase(DEP_STR("["), DEP_STR("{")) && !dep_str_eq_nocase(DEP_STR("@"), DEP_STR("`")));
    DEP_CHECK(t, !dep_str_eq_nocase(DEP_STR("\xE2\x84\xAA"), DEP_STR("k")));
    DEP_CHECK(t, !dep_str_eq_nocase(DEP_STR("\xC3\x84"), DEP_STR("\xC3\xA4")));
}

DEP_TEST(starts_and_ends)
{
    DEP_CHECK(t, dep_str_starts(DEP_STR("agent:1"), DEP_STR("agent:")) &&
                     !dep_str_starts(DEP_STR("age"), DEP_STR("agent:")));
    DEP_CHECK(t, dep_str_ends(DEP_STR("a.json"), DEP_STR(".json")) && !dep_str_ends(DEP_STR("json"), DEP_STR(".json")));
    DEP_CHECK(t, dep_str_starts(DEP_STR("a"), DEP_STR("")) && dep_str_ends(DEP_STR("a"), DEP_STR("")));
    DEP_CHECK(t, dep_str_starts(DEP_STR_ABSENT, DEP_STR("")) && !dep_str_starts(DEP_STR_ABSENT, DEP_STR("a")));
}

DEP_TEST(order_is_bytewise_then_by_length)
{
    DEP_CHECK(t, dep_str_cmp(DEP_STR("a"), DEP_STR("b")) < 0 && dep_str_cmp(DEP_STR("b"), DEP_STR("a")) > 0);
    DEP_CHECK(t, dep_str_cmp(DEP_STR("a"), DEP_STR("aa")) < 0 && dep_str_cmp(DEP_STR("aa"), DEP_STR("a")) > 0);
    DEP_CHECK(t, dep_str_cmp(DEP_STR("a"), DEP_STR("\xFF")) < 0);
    DEP_CHECK(t, dep_str_cmp(DEP_STR("a"), DEP_STR("a")) == 0 && dep_str_cmp(DEP_STR_ABSENT, DEP_STR("")) == 0);
}

DEP_TEST(find_and_has)
{
    DEP_CHECK(t, dep_str_find(DEP_STR("a.b.c"), '.') == 1 && dep_str_find(DEP_STR("abc"), '.') == 3);
    DEP_CHECK(t, dep_str_find(DEP_STR_ABSENT, '.') == 0 && !dep_str_has(DEP_STR_ABSENT, '.'));
    DEP_CHECK(t, dep_str_has(DEP_STR("a\0b"), '\0') && !dep_str_has(DEP_STR("ab"), '\0'));
}

DEP_TEST(sub_clips)
{
    DEP_CHECK_STR(t, dep_str_sub(DEP_STR("abcdef"), 2, 3), "cde");
    DEP_CHECK_STR(t, dep_str_sub(DEP_STR("abc"), 1, 100), "bc");
    DEP_CHECK_STR(t, dep_str_sub(DEP_STR("abc"), 3, 1), "");
    DEP_CHECK_STR(t, dep_str_sub(DEP_STR("abc"), SIZE_MAX, SIZE_MAX), "");
    DEP_CHECK(t, dep_str_is_absent(dep_str_sub(DEP_STR_ABSENT, 1, 1)));
}

DEP_TEST(trim_takes_blanks_and_tabs_only)
{
    DEP_CHECK_STR(t, dep_str_trim(DEP_STR(" \t a b \t")), "a b");
    DEP_CHECK_STR(t, dep_str_trim(DEP_STR(" \t ")), "");
    DEP_CHECK_STR(t, dep_str_trim(DEP_STR("\r\na\v")), "\r\na\v");
    DEP_CHECK(t, dep_str_is_absent(dep_str_trim(DEP_STR_ABSENT)));
}

DEP_TEST(cut_gives_all_pieces)
{
    struct dep_str rest = DEP_STR("a,,b"), piece = DEP_STR_ABSENT;

    DEP_CHECK(t, dep_str_cut(&rest, ',', &piece) && dep_str_eq_c(piece, "a"));
    DEP_CHECK(t, dep_str_cut(&rest, ',', &piece) && dep_str_eq_c(piece, ""));
    DEP_CHECK(t, dep_str_cut(&rest, ',', &piece) && dep_str_eq_c(piece, "b"));
    DEP_CHECK(t, dep_str_is_absent(rest));
    DEP_CHECK(t, !dep_str_cut(&rest, ',', &piece) && dep_str_eq_c(piece, "b"));
    rest = DEP_STR("");
    DEP_CHECK(t, !dep_str_cut(&rest, ',', &piece));
    /* A trailing separator leaves an empty rest, which gives nothing but can be told from "no more". */
    rest = DEP_STR("a,");
    DEP_CHECK(t, dep_str_cut(&rest, ',', &piece) && !dep_str_is_absent(rest) && rest.len == 0);
    DEP_CHECK(t, !dep_str_cut(&rest, ',', &piece));
}

DEP_TEST(utf8)
{
    static const struct {
        struct dep_str text;
        bool is_good;
    } rows[] = {
        { DEP_STR_INIT(""), true },
        { DEP_STR_INIT("a\0b"), true },
        { DEP_STR_INIT("\x7F"), true },
        { DEP_STR_INIT("\x80"), false },             /* a continuation alone */
        { DEP_STR_INIT("\xC2\x80"), true },          /* U+0080 */
        { DEP_STR_INIT("\xC1\xBF"), false },         /* U+007F, overlong */
        { DEP_STR_INIT("\xC0\x80"), false },         /* NUL, overlong */
        { DEP_STR_INIT("\xC3"), false },             /* cut short */
        { DEP_STR_INIT("\xC3\x28"), false },         /* no continuation */
        { DEP_STR_INIT("\xE0\xA0\x80"), true },      /* U+0800 */
        { DEP_STR_INIT("\xE0\x9F\xBF"), false },     /* U+07FF, overlong */
        { DEP_STR_INIT("\xE2\x82"), false },         /* cut short */
        { DEP_STR_INIT("\xED\x9F\xBF"), true },      /* U+D7FF */
        { DEP_STR_INIT("\xED\xA0\x80"), false },     /* a surrogate */
        { DEP_STR_INIT("\xEE\x80\x80"), true },      /* U+E000 */
        { DEP_STR_INIT("\xEF\xBF\xBF"), true },      /* U+FFFF */
        { DEP_STR_INIT("\xF0\x90\x80\x80"), true },  /* U+10000 */
        { DEP_STR_INIT("\xF0\x8F\xBF\xBF"), false }, /* U+FFFF, overlong */
        { DEP_STR_INIT("\xF4\x8F\xBF\xBF"), true },  /* U+10FFFF */
        { DEP_STR_INIT("\xF4\x90\x80\x80"), false }, /* beyond */
        { DEP_STR_INIT("\xF5\x80\x80\x80"), false },
        { DEP_STR_INIT("\xF0\x90\x80"), false },
        { DEP_STR_INIT("\xFE"), false },
        { DEP_STR_INIT("\xFF"), false },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        dep_test_check(t, dep_str_is_utf8(rows[i].text) == rows[i].is_good, __FILE__, __LINE__, "row %zu", i);
    DEP_CHECK(t, dep_str_is_utf8(DEP_STR_ABSENT));
}

DEP_TEST(hash_depends_on_text_and_seed)
{
    DEP_CHECK(t, dep_str_hash(DEP_STR("a"), 1) == dep_str_hash(DEP_STR("a"), 1));
    DEP_CHECK(t, dep_str_hash(DEP_STR("a"), 1) != dep_str_hash(DEP_STR("a"), 2));
    DEP_CHECK(t, dep_str_hash(DEP_STR("a"), 1) != dep_str_hash(DEP_STR("b"), 1));
    DEP_CHECK(t, dep_str_hash(DEP_STR("a\0b"), 1) != dep_str_hash(DEP_STR("a\0c"), 1));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(absent_and_empty_are_not_the_same),
        DEP_ROW(equality),
        DEP_ROW(folding_is_ascii_only),
        DEP_ROW(starts_and_ends),
        DEP_ROW(order_is_bytewise_then_by_length),
        DEP_ROW(find_and_has),
        DEP_ROW(sub_clips),
        DEP_ROW(trim_takes_blanks_and_tabs_only),
        DEP_ROW(cut_gives_all_pieces),
        DEP_ROW(utf8),
        DEP_ROW(hash_depends_on_text_and_seed),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Numbers from text. */
#include "base/num.h"

#include "test/unit.h"

DEP_TEST(accepts_integers_in_range)
{
    static const struct {
        struct dep_str text;
        int64_t min, max, want;
    } rows[] = {
        { DEP_STR_INIT("0"), 0, 0, 0 },
        { DEP_STR_INIT("-0"), 0, 0, 0 },
        { DEP_STR_INIT("7"), 7, 7, 7 },
        { DEP_STR_INIT("-7"), -7, -7, -7 },
        { DEP_STR_INIT("65535"), 0, 65535, 65535 },
        { DEP_STR_INIT("9223372036854775807"), 0, INT64_MAX, INT64_MAX },
        { DEP_STR_INIT("-9223372036854775808"), INT64_MIN, 0, INT64_MIN },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        int64_t value = 99;

        DEP_CHECK_OK(t, dep_num_parse(rows[i].text, rows[i].min, rows[i].max, &value));
        dep_test_check(t, value == rows[i].want, __FILE__, __LINE__, "row %zu", i);
    }
}

DEP_TEST(refuses_other_spellings)
{
    static const struct dep_str rows[] = {
        DEP_STR_INIT(""),    DEP_STR_INIT("-"),        DEP_STR_INIT("+1"),  DEP_STR_INIT(" 1"),  DEP_STR_INIT("1 "),
        DEP_STR_INIT("01"),  DEP_STR_INIT("-01"),      DEP_STR_INIT("00"),  DEP_STR_INIT("0x1"), DEP_STR_INIT("1e3"),
        DEP_STR_INIT("1.0"), DEP_STR_INIT("1\0"),      DEP_STR_INIT("--1"), DEP_STR_INIT("1-"),  DEP_STR_INIT("a"),
        DEP_STR_INIT("1,0"), DEP_STR_INIT("\xD9\xA1"),
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        int64_t value = 99;

        DEP_CHECK_FAIL(t, dep_num_parse(rows[i], INT64_MIN, INT64_MAX, &value), NUM_SYNTAX);
        dep_test_check(t, value == 99, __FILE__, __LINE__, "row %zu wrote its result", i);
    }
    DEP_CHECK_FAIL(t, dep_num_parse(DEP_STR_ABSENT, 0, 1, &(int64_t){ 0 }), NUM_SYNTAX);
}

DEP_TEST(refuses_what_is_out_of_range)
{
    static const struct {
        struct dep_str text;
        int64_t min, max;
    } rows[] = {
        { DEP_STR_INIT("1"), 2, 3 },
        { DEP_STR_INIT("4"), 2, 3 },
        { DEP_STR_INIT("-1"), 0, 3 },
        { DEP_STR_INIT("9223372036854775808"), INT64_MIN, INT64_MAX },
        { DEP_STR_INIT("-9223372036854775809"), INT64_MIN, INT64_MAX },
        { DEP_STR_INIT("18446744073709551617"), INT64_MIN, INT64_MAX }, /* 2^64 + 1: wraps to 1 */
        { DEP_STR_INIT("99999999999999999999999999999999999999"), INT64_MIN, INT64_MAX },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        int64_t value = 99;

        DEP_CHECK_FAIL(t, dep_num_parse(rows[i].text, rows[i].min, rows[i].max, &value), NUM_RANGE);
        dep_test_check(t, value == 99, __FILE__, __LINE__, "row %zu wrote its result", i);
    }
}

DEP_TEST(hexadecimal_digits)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    size_t wrong = 0;

    for (int c = -128; c < 128; c++) {
        const char *at = c == 0 ? NULL : strchr(lower, c);
        int value;

        if (at != NULL)
            value = (int)(at - lower);
        else if (c != 0 && (at = strchr(upper, c)) != NULL)
            value = (int)(at - upper);
        else
            value = -1;
        wrong += dep_hex_digit((char)c) != value;
    }
    DEP_CHECK(t, wrong == 0);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(accepts_integers_in_range),
        DEP_ROW(refuses_other_spellings),
        DEP_ROW(refuses_what_is_out_of_range),
        DEP_ROW(hexadecimal_digits),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

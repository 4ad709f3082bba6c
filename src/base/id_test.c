/* Identifiers and the tables of reasons. */
#include "base/id.h"

#include "base/res.h"
#include "test/unit.h"

static struct dep_str ulid(char *room, int64_t time_ms, const char *random)
{
    struct dep_buf buf;

    dep_buf_init(&buf, room, DEP_ULID_LEN);
    dep_ulid_put(&buf, time_ms, (const unsigned char *)random);
    return dep_buf_str(&buf);
}

DEP_TEST(ulid_known_values)
{
    static const char zero[10] = { 0 };
    char room[DEP_ULID_LEN];

    DEP_CHECK_STR(t, ulid(room, 0, zero), "00000000000000000000000000");
    DEP_CHECK_STR(t, ulid(room, 0xFFFFFFFFFFFF, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
                  "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    /* The example of the ULID specification: 1469918176385 is 01ARYZ6S41. */
    DEP_CHECK(t, dep_str_starts(ulid(room, INT64_C(1469918176385), zero), DEP_STR("01ARYZ6S41")));
    DEP_CHECK_STR(t, ulid(room, 0, "\0\0\0\0\1\0\0\0\0\1"), "00000000000000000100000001");
}

DEP_TEST(ulid_sorts_by_time)
{
    char first[DEP_ULID_LEN], second[DEP_ULID_LEN];

    for (int64_t time = 1; time < INT64_C(1) << 47; time *= 7) {
        struct dep_str a = ulid(first, time, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
        struct dep_str b = ulid(second, time + 1, "\0\0\0\0\0\0\0\0\0\0");

        DEP_CHECK(t, dep_str_cmp(a, b) < 0 && dep_ulid_is_valid(a) && dep_ulid_is_valid(b));
    }
}

DEP_TEST(ulid_validity)
{
    DEP_CHECK(t, dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FAV")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FA")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FAVV")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("81ARYZ6S41TSV4RRFFQ69G5FAV"))); /* 129 bits */
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01aryz6s41tsv4rrffq69g5fav"))); /* one spelling only */
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FAI")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FAL")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FAO")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FAU")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR("01ARYZ6S41TSV4RRFFQ69G5FA\0")));
    DEP_CHECK(t, !dep_ulid_is_valid(DEP_STR_ABSENT));
}

DEP_TEST(plain_ids)
{
    DEP_CHECK(t, dep_id_is_plain(DEP_STR("agent:01J-x_y.z~9"), 64));
    DEP_CHECK(t, dep_id_is_plain(DEP_STR("abc"), 3) && !dep_id_is_plain(DEP_STR("abcd"), 3));
    DEP_CHECK(t, !dep_id_is_plain(DEP_STR(""), 3) && !dep_id_is_plain(DEP_STR_ABSENT, 3));

    static const struct dep_str rows[] = { DEP_STR_INIT("a b"),      DEP_STR_INIT("a\n"),    DEP_STR_INIT("a\0"),
                                           DEP_STR_INIT("a/b"),      DEP_STR_INIT("a\"b"),   DEP_STR_INIT("a%b"),
                                           DEP_STR_INIT("\xC3\xA4"), DEP_STR_INIT("a\x1B[m") };

    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        dep_test_check(t, !dep_id_is_plain(rows[i], 64), __FILE__, __LINE__, "row %zu", i);
}

DEP_TEST(every_reason_has_a_name_of_its_own_a_text_and_a_class)
{
    for (unsigned i = 0; i < DEP_ERR_COUNT; i++) {
        enum dep_err err = (enum dep_err)i;

        DEP_CHECK(t, dep_err_by_name(dep_err_name(err)) == err);
        DEP_CHECK(t, strlen(dep_err_text(err)) > 3);
        DEP_CHECK(t, (dep_err_class(err) == DEP_CLASS_NONE) == (err == DEP_ERR_NONE));
    }
    for (unsigned i = 0; i < DEP_CLASS_COUNT; i++)
        DEP_CHECK(t, strlen(dep_class_name((enum dep_class)i)) > 3 && strlen(dep_class_text((enum dep_class)i)) > 3);
    DEP_CHECK(t, dep_err_by_name("NO_SUCH_REASON") == DEP_ERR_COUNT);
    DEP_CHECK(t, dep_err_class(DEP_ERR_DPOP_HTU) == DEP_CLASS_INVALID_DPOP_PROOF);
}

static struct dep_res try_twice(bool is_good, unsigned *ret_steps)
{
    DEP_TRY(is_good ? DEP_OK : DEP_FAIL(JSON_TYPE));
    (*ret_steps)++;
    return DEP_OK;
}

DEP_TEST(try_returns_the_reason)
{
    unsigned steps = 0;

    DEP_CHECK_OK(t, try_twice(true, &steps));
    DEP_CHECK(t, steps == 1);
    DEP_CHECK_FAIL(t, try_twice(false, &steps), JSON_TYPE);
    DEP_CHECK(t, steps == 1);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(ulid_known_values),
        DEP_ROW(ulid_sorts_by_time),
        DEP_ROW(ulid_validity),
        DEP_ROW(plain_ids),
        DEP_ROW(every_reason_has_a_name_of_its_own_a_text_and_a_class),
        DEP_ROW(try_returns_the_reason),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Reading JSON: what is accepted, what is refused and why, and the getters. */
#include "base/json.h"

#include "test/unit.h"

static struct dep_arena arena;

static struct dep_res parse(struct dep_str text, unsigned depth, struct dep_json **ret_value)
{
    dep_arena_reset(&arena);
    dep_arena_init_debug(&arena, (size_t)1 << 22);
    *ret_value = NULL;
    return dep_json_parse(&arena, text, depth, ret_value);
}

struct row {
    struct dep_str text;
    enum dep_err want;
};

static void check_rows(struct dep_test *t, const struct row *rows, size_t count)
{
    struct dep_json *value;

    for (size_t i = 0; i < count; i++) {
        struct dep_res res = parse(rows[i].text, 4, &value);

        dep_test_check(t, res.err == rows[i].want, __FILE__, __LINE__, "row %zu is %s, not %s", i,
                       dep_err_name(res.err), dep_err_name(rows[i].want));
        DEP_CHECK(t, dep_is_ok(res) == (value != NULL));
    }
    dep_arena_reset(&arena);
}

#define OK DEP_ERR_NONE
#define SYNTAX DEP_ERR_JSON_SYNTAX
#define UTF8 DEP_ERR_JSON_UTF8
#define DUPLICATE DEP_ERR_JSON_DUPLICATE
#define DEPTH DEP_ERR_JSON_DEPTH

DEP_TEST(grammar)
{
    static const struct row rows[] = {
        { DEP_STR_INIT("null"), OK },
        { DEP_STR_INIT(" \t\r\n true \t\r\n"), OK },
        { DEP_STR_INIT("false"), OK },
        { DEP_STR_INIT("0"), OK },
        { DEP_STR_INIT("-0"), OK },
        { DEP_STR_INIT("-12.50e+07"), OK },
        { DEP_STR_INIT("1E-9"), OK },
        { DEP_STR_INIT("\"\""), OK },
        { DEP_STR_INIT("[]"), OK },
        { DEP_STR_INIT("{}"), OK },
        { DEP_STR_INIT("[1,[2,{\"a\":{}}]]"), OK },
        { DEP_STR_INIT(""), SYNTAX },
        { DEP_STR_INIT(" "), SYNTAX },
        { DEP_STR_INIT("nul"), SYNTAX },
        { DEP_STR_INIT("nulll"), SYNTAX },
        { DEP_STR_INIT("True"), SYNTAX },
        { DEP_STR_INIT("NaN"), SYNTAX },
        { DEP_STR_INIT("Infinity"), SYNTAX },
        { DEP_STR_INIT("01"), SYNTAX },
        { DEP_STR_INIT("+1"), SYNTAX },
        { DEP_STR_INIT("-"), SYNTAX },
        { DEP_STR_INIT("1."), SYNTAX },
        { DEP_STR_INIT(".5"), SYNTAX },
        { DEP_STR_INIT("1e"), SYNTAX },
        { DEP_STR_INIT("1e+"), SYNTAX },
        { DEP_STR_INIT("0x10"), SYNTAX },
        { DEP_STR_INIT("[1,]"), SYNTAX },
        { DEP_STR_INIT("[,1]"), SYNTAX },
        { DEP_STR_INIT("[1 2]"), SYNTAX },
        { DEP_STR_INIT("[1"), SYNTAX },
        { DEP_STR_INIT("[1}"), SYNTAX },
        { DEP_STR_INIT("{\"a\":1,}"), SYNTAX },
        { DEP_STR_INIT("{\"a\"}"), SYNTAX },
        { DEP_STR_INIT("{\"a\":}"), SYNTAX },
        { DEP_STR_INIT("{a:1}"), SYNTAX },
        { DEP_STR_INIT("{'a':1}"), SYNTAX },
        { DEP_STR_INIT("{1:1}"), SYNTAX },
        { DEP_STR_INIT("{\"a\":1"), SYNTAX },
        { DEP_STR_INIT("{} {}"), SYNTAX },
        { DEP_STR_INIT("1 1"), SYNTAX },
        { DEP_STR_INIT("{}\0"), SYNTAX },
        { DEP_STR_INIT("/* */ 1"), SYNTAX },
        { DEP_STR_INIT("[1]//"), SYNTAX },
        { DEP_STR_INIT("\xEF\xBB\xBF{}"), SYNTAX }, /* a byte-order mark */
        { DEP_STR_INIT("\xC2\xA0"
                       "1"),
          SYNTAX }, /* no blank of JSON */
        { DEP_STR_INIT("\f1"), SYNTAX },
    };

    check_rows(t, rows, DEP_COUNT(rows));
}

DEP_TEST(strings)
{
    static const struct row rows[] = {
        { DEP_STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), OK },
        { DEP_STR_INIT("\"\\u0041\\u00e4\\u20AC\""), OK },
        { DEP_STR_INIT("\"\\ud83d\\ude00\""), OK },
        { DEP_STR_INIT("\"\x7F\""), OK },
        { DEP_STR_INIT("\"\xF0\x9F\x98\x80\""), OK },
        { DEP_STR_INIT("\"\\uFFFF\""), OK },
        { DEP_STR_INIT("\""), SYNTAX },
        { DEP_STR_INIT("\"\\"), SYNTAX },
        { DEP_STR_INIT("\"\\\""), SYNTAX },
        { DEP_STR_INIT("\"\\x41\""), SYNTAX },
        { DEP_STR_INIT("\"\\a\""), SYNTAX },
        { DEP_STR_INIT("\"\\'\""), SYNTAX },
        { DEP_STR_INIT("\"\\U0041\""), SYNTAX },
        { DEP_STR_INIT("\"\\\0\""), SYNTAX },
        { DEP_STR_INIT("\"\\u004\""), SYNTAX },
        { DEP_STR_INIT("\"\\u00g1\""), SYNTAX },
        { DEP_STR_INIT("\"\\u 041\""), SYNTAX },
        { DEP_STR_INIT("\"\n\""), SYNTAX },
        { DEP_STR_INIT("\"\t\""), SYNTAX },
        { DEP_STR_INIT("\"\x1F\""), SYNTAX },
        { DEP_STR_INIT("\"\0\""), SYNTAX },
        { DEP_STR_INIT("\"\\ud83d\""), UTF8 },
        { DEP_STR_INIT("\"\\ude00\""), UTF8 },
        { DEP_STR_INIT("\"\\ud83dx\""), UTF8 },
        { DEP_STR_INIT("\"\\ud83d\\n\""), UTF8 },
        { DEP_STR_INIT("\"\\ud83d\\u0041\""), UTF8 },
        { DEP_STR_INIT("\"\\ud83d\\ud83d\""), UTF8 },
        { DEP_STR_INIT("\"\\ude00\\ud83d\""), UTF8 },
        { DEP_STR_INIT("\"\xC0\x80\""), UTF8 },
        { DEP_STR_INIT("\"\xED\xA0\xBD\xED\xB8\x80\""), UTF8 }, /* surrogates as bytes */
        { DEP_STR_INIT("\"\xFF\""), UTF8 },
        { DEP_STR_INIT("\"\xE2\x82\""), UTF8 },
    };

    check_rows(t, rows, DEP_COUNT(rows));
}

DEP_TEST(escapes_are_resolved)
{
    struct dep_json *value;

    DEP_CHECK_OK(t, parse(DEP_STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00E4\\u20ac\\uD83D\\uDE00z\""), 1, &value));
    DEP_CHECK_STR(t, value->text, "\"\\/\b\f\n\r\tA\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z");
    DEP_CHECK(t, value->raw.ptr[0] == '"' && value->raw.ptr[value->raw.len - 1] == '"');
    dep_arena_reset(&arena);
}

DEP_TEST(duplicates)
{
    static const struct row rows[] = {
        { DEP_STR_INIT("{\"a\":1,\"b\":2}"), OK },
        { DEP_STR_INIT("{\"a\":1,\"A\":2}"), OK },
        { DEP_STR_INIT("{\"a\":{\"a\":1}}"), OK },
        { DEP_STR_INIT("[{\"a\":1},{\"a\":1}]"), OK },
        { DEP_STR_INIT("{\"a\":1,\"a\":1}"), DUPLICATE },
        { DEP_STR_INIT("{\"sub\":1,\"x\":2,\"sub\":3}"), DUPLICATE },
        { DEP_STR_INIT("{\"\":1,\"\":1}"), DUPLICATE },
        { DEP_STR_INIT("{\"sub\":1,\"s\\u0075b\":2}"), DUPLICATE },
        { DEP_STR_INIT("{\"\\/\":1,\"/\":2}"), DUPLICATE },
        { DEP_STR_INIT("{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":2}"), DUPLICATE },
        { DEP_STR_INIT("{\"a\\u0000\":1,\"a\\u0000\":2}"), DUPLICATE },
        { DEP_STR_INIT("{\"a\\u0000b\":1,\"a\\u0000c\":2}"), OK },
        { DEP_STR_INIT("{\"x\":[{\"a\":1,\"a\":2}]}"), DUPLICATE },
    };

    check_rows(t, rows, DEP_COUNT(rows));
}

DEP_TEST(depth)
{
    static const struct row rows[] = {
        { DEP_STR_INIT("[[[[]]]]"), OK },
        { DEP_STR_INIT("[[[1]]]"), OK },
        { DEP_STR_INIT("{\"a\":{\"a\":{\"a\":{}}}}"), OK },
        { DEP_STR_INIT("[[[[1]]]]"), DEPTH },
        { DEP_STR_INIT("[[[[[]]]]]"), DEPTH },
        { DEP_STR_INIT("{\"a\":{\"a\":{\"a\":{\"a\":1}}}}"), DEPTH },
        { DEP_STR_INIT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), DEPTH },
    };
    struct dep_json *value;

    check_rows(t, rows, DEP_COUNT(rows));
    DEP_CHECK_OK(t, parse(DEP_STR("1"), 1, &value));
    DEP_CHECK_OK(t, parse(DEP_STR("[]"), 1, &value));
    DEP_CHECK_FAIL(t, parse(DEP_STR("[1]"), 1, &value), JSON_DEPTH);
    dep_arena_reset(&arena);
}

/* [0,0,...] with `count` elements, or {"0":0,...}. */
static struct dep_str many(char *room, size_t size, size_t count, bool is_object)
{
    struct dep_buf buf;

    dep_buf_init(&buf, room, size);
    dep_buf_put_char(&buf, is_object ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            dep_buf_put_char(&buf, ',');
        if (is_object) {
            dep_buf_put_char(&buf, '"');
            dep_buf_put_int(&buf, (int64_t)i);
            dep_buf_put_c(&buf, "\":");
        }
        dep_buf_put_char(&buf, '0');
    }
    dep_buf_put_char(&buf, is_object ? '}' : ']');
    return dep_buf_str(&buf);
}

DEP_TEST(sizes)
{
    static char room[DEP_JSON_BYTES_MAX + 16];
    struct dep_json *value;

    DEP_CHECK_OK(t, parse(many(room, sizeof(room), DEP_JSON_VALUES_MAX - 1, false), 2, &value));
    DEP_CHECK(t, value != NULL && value->count == DEP_JSON_VALUES_MAX - 1);
    DEP_CHECK_FAIL(t, parse(many(room, sizeof(room), DEP_JSON_VALUES_MAX, false), 2, &value), JSON_SIZE);
    DEP_CHECK_OK(t, parse(many(room, sizeof(room), DEP_JSON_MEMBERS_MAX, true), 2, &value));
    DEP_CHECK_FAIL(t, parse(many(room, sizeof(room), DEP_JSON_MEMBERS_MAX + 1, true), 2, &value), JSON_SIZE);
    memset(room, ' ', sizeof(room));
    room[0] = '1';
    DEP_CHECK_OK(t, parse(dep_str(room, DEP_JSON_BYTES_MAX), 1, &value));
    DEP_CHECK_FAIL(t, parse(dep_str(room, DEP_JSON_BYTES_MAX + 1), 1, &value), JSON_SIZE);
    DEP_CHECK_FAIL(t, dep_json_parse_max(&arena, DEP_STR("[1]"), 2, 2, &value), JSON_SIZE);
    DEP_CHECK_OK(t, dep_json_parse_max(&arena, DEP_STR("[1]"), 2, 3, &value));
    dep_arena_reset(&arena);
}

DEP_TEST(structure)
{
    struct dep_json *value;

    DEP_CHECK_OK(t, parse(DEP_STR("{ \"a\" : [ 1 , null ] , \"b\" : { \"c\" : \"d\" } }"), 4, &value));

    const struct dep_json *a = DEP_JSON_GET(value, "a"), *b = DEP_JSON_GET(value, "b");

    DEP_CHECK(t, value->type == DEP_JSON_OBJECT && value->count == 2 && dep_str_is_absent(value->name));
    DEP_CHECK(t, a != NULL && a->type == DEP_JSON_ARRAY && a->count == 2 && a->next == b);
    DEP_CHECK_STR(t, a->raw, "[ 1 , null ]");
    DEP_CHECK_STR(t, a->child->raw, "1");
    DEP_CHECK_STR(t, a->child->text, "1");
    DEP_CHECK(t, dep_str_is_absent(a->child->name) && a->child->next->type == DEP_JSON_NULL &&
                     a->child->next->next == NULL);
    DEP_CHECK_STR(t, b->raw, "{ \"c\" : \"d\" }");
    DEP_CHECK_STR(t, DEP_JSON_GET(b, "c")->text, "d");
    DEP_CHECK(t, DEP_JSON_GET(value, "c") == NULL && DEP_JSON_GET(a, "a") == NULL && DEP_JSON_GET(NULL, "a") == NULL);
    DEP_CHECK(t, DEP_JSON_GET(value, "A") == NULL);
    dep_arena_reset(&arena);
}

DEP_TEST(has_means_present_and_not_null)
{
    struct dep_json *value;

    DEP_CHECK_OK(t, parse(DEP_STR("{\"a\":null,\"b\":false,\"c\":\"\"}"), 2, &value));
    DEP_CHECK(t, !dep_json_has(value, DEP_STR("a")) && dep_json_has(value, DEP_STR("b")) &&
                     dep_json_has(value, DEP_STR("c")));
    DEP_CHECK(t, !dep_json_has(value, DEP_STR("d")) && !dep_json_has(NULL, DEP_STR("a")));
    dep_arena_reset(&arena);
}

DEP_TEST(get_string)
{
    struct dep_str text = DEP_STR("before");
    struct dep_json *value;

    DEP_CHECK_OK(
        t, parse(DEP_STR("{\"a\":\"x\",\"n\":1,\"z\":\"x\\u0000y\",\"e\":\"\",\"l\":[\"x\"],\"u\":null}"), 3, &value));
    DEP_CHECK_FAIL(t, dep_json_str(NULL, &text), JSON_MISSING);
    DEP_CHECK_FAIL(t, dep_json_str(DEP_JSON_GET(value, "n"), &text), JSON_TYPE);
    DEP_CHECK_FAIL(t, dep_json_str(DEP_JSON_GET(value, "l"), &text), JSON_TYPE);
    DEP_CHECK_FAIL(t, dep_json_str(DEP_JSON_GET(value, "u"), &text), JSON_TYPE);
    DEP_CHECK_FAIL(t, dep_json_str(DEP_JSON_GET(value, "z"), &text), JSON_NUL);
    DEP_CHECK_STR(t, text, "before");
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(value, "a"), &text));
    DEP_CHECK_STR(t, text, "x");
    DEP_CHECK_OK(t, dep_json_str(DEP_JSON_GET(value, "e"), &text));
    DEP_CHECK_STR(t, text, "");
    dep_arena_reset(&arena);
}

DEP_TEST(get_int)
{
    static const struct {
        struct dep_str text;
        enum dep_err want_err;
        int64_t want;
    } rows[] = {
        { DEP_STR_INIT("5"), OK, 5 },
        { DEP_STR_INIT("5.0"), OK, 5 },
        { DEP_STR_INIT("5.000"), OK, 5 },
        { DEP_STR_INIT("-0"), OK, 0 },
        { DEP_STR_INIT("-10"), OK, -10 },
        { DEP_STR_INIT("100"), OK, 100 },
        { DEP_STR_INIT("101"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("-11"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("5.5"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("5.0001"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("5e0"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("1E1"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("18446744073709551621"), DEP_ERR_NUM_RANGE, 0 }, /* 2^64 + 5 */
        { DEP_STR_INIT("\"5\""), DEP_ERR_JSON_TYPE, 0 },
        { DEP_STR_INIT("true"), DEP_ERR_JSON_TYPE, 0 },
        { DEP_STR_INIT("[5]"), DEP_ERR_JSON_TYPE, 0 },
        { DEP_STR_INIT("null"), DEP_ERR_JSON_TYPE, 0 },
    };
    struct dep_json *value;

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        int64_t got = 99;

        DEP_CHECK_OK(t, parse(rows[i].text, 2, &value));

        struct dep_res res = dep_json_int(value, -10, 100, &got);

        dep_test_check(t, res.err == rows[i].want_err && got == (res.err == OK ? rows[i].want : 99), __FILE__, __LINE__,
                       "row %zu: %s, %lld", i, dep_err_name(res.err), (long long)got);
    }
    DEP_CHECK_FAIL(t, dep_json_int(NULL, 0, 1, &(int64_t){ 0 }), JSON_MISSING);
    dep_arena_reset(&arena);
}

DEP_TEST(get_time)
{
    static const struct {
        struct dep_str text;
        enum dep_err want_err;
        int64_t want;
    } rows[] = {
        { DEP_STR_INIT("1700000000"), OK, 1700000000 },
        { DEP_STR_INIT("1700000000.999"), OK, 1700000000 },
        { DEP_STR_INIT("0"), OK, 0 },
        { DEP_STR_INIT("253402300799"), OK, DEP_JSON_TIME_MAX },
        { DEP_STR_INIT("253402300799.5"), OK, DEP_JSON_TIME_MAX },
        { DEP_STR_INIT("253402300800"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("-1"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("-0.5"), DEP_ERR_NUM_RANGE, 0 }, /* rounds down to -1 */
        { DEP_STR_INIT("17e8"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("9223372036854775808"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("1e400"), DEP_ERR_NUM_RANGE, 0 },
        { DEP_STR_INIT("\"1700000000\""), DEP_ERR_JSON_TYPE, 0 },
        { DEP_STR_INIT("false"), DEP_ERR_JSON_TYPE, 0 },
    };
    struct dep_json *value;

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        int64_t got = 99;

        DEP_CHECK_OK(t, parse(rows[i].text, 2, &value));

        struct dep_res res = dep_json_time(value, &got);

        dep_test_check(t, res.err == rows[i].want_err && got == (res.err == OK ? rows[i].want : 99), __FILE__, __LINE__,
                       "row %zu: %s, %lld", i, dep_err_name(res.err), (long long)got);
    }
    DEP_CHECK_FAIL(t, dep_json_time(NULL, &(int64_t){ 0 }), JSON_MISSING);
    dep_arena_reset(&arena);
}

DEP_TEST(get_bool)
{
    struct dep_json *value;
    bool got = true;

    DEP_CHECK_OK(t, parse(DEP_STR("{\"f\":false,\"t\":true,\"n\":0,\"s\":\"true\"}"), 2, &value));
    DEP_CHECK_OK(t, dep_json_bool(DEP_JSON_GET(value, "f"), &got));
    DEP_CHECK(t, !got);
    DEP_CHECK_OK(t, dep_json_bool(DEP_JSON_GET(value, "t"), &got));
    DEP_CHECK(t, got);
    DEP_CHECK_FAIL(t, dep_json_bool(DEP_JSON_GET(value, "n"), &got), JSON_TYPE);
    DEP_CHECK_FAIL(t, dep_json_bool(DEP_JSON_GET(value, "s"), &got), JSON_TYPE);
    DEP_CHECK_FAIL(t, dep_json_bool(NULL, &got), JSON_MISSING);
    dep_arena_reset(&arena);
}

/* Whatever the arena holds, the answer is ARENA_FULL or the right one. */
DEP_TEST(arena_sweep)
{
    static const struct dep_str text = DEP_STR_INIT("{\"a\\n\":[1,\"\\u0041\",{\"b\":null}],\"c\":\"\\\\\"}");
    struct dep_json *value = NULL;
    struct dep_res res = DEP_OK;
    size_t limit = 0;

    for (; limit < 65536; limit += 16) {
        dep_arena_init_debug(&arena, limit);
        value = NULL;
        res = dep_json_parse(&arena, text, 4, &value);
        if (dep_is_ok(res))
            break;
        DEP_CHECK(t, res.err == DEP_ERR_ARENA_FULL && value == NULL);
        dep_arena_reset(&arena);
    }
    DEP_CHECK(t, limit > 256 && limit < 4096 && value != NULL && value->count == 2);
    dep_arena_reset(&arena);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(grammar),
        DEP_ROW(strings),
        DEP_ROW(escapes_are_resolved),
        DEP_ROW(duplicates),
        DEP_ROW(depth),
        DEP_ROW(sizes),
        DEP_ROW(structure),
        DEP_ROW(has_means_present_and_not_null),
        DEP_ROW(get_string),
        DEP_ROW(get_int),
        DEP_ROW(get_time),
        DEP_ROW(get_bool),
        DEP_ROW(arena_sweep),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Writing JSON: commas, escaping, and that what was written reads back. */
#include "base/json.h"

#include "test/unit.h"

static char room[8192];

static struct dep_str quoted(struct dep_str text)
{
    struct dep_json_writer w;
    struct dep_buf buf;

    dep_buf_init(&buf, room, sizeof(room));
    dep_json_begin(&w, &buf);
    dep_json_put_str(&w, text);
    return dep_buf_str(&buf);
}

DEP_TEST(commas)
{
    struct dep_json_writer w;
    struct dep_buf buf;

    dep_buf_init(&buf, room, sizeof(room));
    dep_json_begin(&w, &buf);
    dep_json_open(&w, '{');
    dep_json_member(&w, "a", DEP_STR("x"));
    dep_json_member(&w, "gone", DEP_STR_ABSENT);
    dep_json_member(&w, "empty", DEP_STR(""));
    dep_json_name(&w, "list");
    dep_json_open(&w, '[');
    dep_json_put_int(&w, -1);
    dep_json_put_bool(&w, true);
    dep_json_put_null(&w);
    dep_json_open(&w, '{');
    dep_json_close(&w, '}');
    dep_json_open(&w, '[');
    dep_json_close(&w, ']');
    dep_json_put_raw(&w, DEP_STR("{\"r\":1}"));
    dep_json_close(&w, ']');
    dep_json_member_int(&w, "n", INT64_MIN);
    dep_json_member_bool(&w, "b", false);
    dep_json_name_str(&w, DEP_STR("q\"\n"));
    dep_json_put_null(&w);
    dep_json_close(&w, '}');
    DEP_CHECK_STR(t, dep_buf_str(&buf),
                  "{\"a\":\"x\",\"empty\":\"\",\"list\":[-1,true,null,{},[],{\"r\":1}],\"n\":-9223372036854775808,"
                  "\"b\":false,\"q\\\"\\u000a\":null}");
}

DEP_TEST(escaping)
{
    static const struct {
        struct dep_str text;
        const char *want;
    } rows[] = {
        { DEP_STR_INIT(""), "\"\"" },
        { DEP_STR_INIT("plain text / ' <&>"), "\"plain text / ' <&>\"" },
        { DEP_STR_INIT("\"\\"), "\"\\\"\\\\\"" },
        { DEP_STR_INIT("a\0b"), "\"a\\u0000b\"" },
        { DEP_STR_INIT("\n\r\t\b\f"), "\"\\u000a\\u000d\\u0009\\u0008\\u000c\"" },
        { DEP_STR_INIT("\x1B[31m"), "\"\\u001b[31m\"" },
        { DEP_STR_INIT("\x7F"), "\"\\u007f\"" },
        { DEP_STR_INIT("\xC2\x85"), "\"\\u0085\"" }, /* C1: next line */
        { DEP_STR_INIT("\xC3\xA4"), "\"\\u00e4\"" },
        { DEP_STR_INIT("\xE2\x80\xAE"
                       "txt"),
          "\"\\u202etxt\"" },                            /* right-to-left override */
        { DEP_STR_INIT("\xE2\x81\xA6"), "\"\\u2066\"" }, /* left-to-right isolate */
        { DEP_STR_INIT("\xE2\x80\xA8\xE2\x80\xA9"), "\"\\u2028\\u2029\"" },
        { DEP_STR_INIT("\xF0\x9F\x98\x80"), "\"\\ud83d\\ude00\"" },
        { DEP_STR_INIT("\xF4\x8F\xBF\xBF"), "\"\\udbff\\udfff\"" },
        { DEP_STR_INIT("\x80"), "\"\\ufffd\"" },
        { DEP_STR_INIT("\xFF\xFE"), "\"\\ufffd\\ufffd\"" },
        { DEP_STR_INIT("\xC3"), "\"\\ufffd\"" },
        { DEP_STR_INIT("\xC3\"x"), "\"\\ufffd\\\"x\"" }, /* the quote is not swallowed */
        { DEP_STR_INIT("\xE2\x82\""), "\"\\ufffd\\ufffd\\\"\"" },
        { DEP_STR_INIT("\xF0\x9F\x98\n"), "\"\\ufffd\\ufffd\\ufffd\\u000a\"" },
        { DEP_STR_INIT("\xED\xA0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" }, /* a surrogate */
        { DEP_STR_INIT("\xC0\xAF"), "\"\\ufffd\\ufffd\"" },            /* overlong '/' */
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        DEP_CHECK_STR(t, quoted(rows[i].text), rows[i].want);
}

/* A30: whatever the bytes, the output is printable ASCII without a bare quote, and reads back. */
DEP_TEST(A30_every_pair_of_bytes_is_printable_ascii_and_reads_back)
{
    struct dep_arena arena;
    unsigned bad = 0;

    dep_arena_init_debug(&arena, 4096);
    for (unsigned pair = 0; pair < 65536; pair++) {
        char text[2] = { (char)(pair >> 8), (char)pair };
        struct dep_str got = quoted(dep_str(text, 2));
        struct dep_json *value = NULL;

        for (size_t i = 0; i < got.len; i++)
            bad += got.ptr[i] < 0x20 || got.ptr[i] > 0x7E;
        bad += !dep_is_ok(dep_json_parse(&arena, got, 1, &value));
        if (value != NULL && dep_str_is_utf8(dep_str(text, 2)))
            bad += !dep_str_eq(value->text, dep_str(text, 2));
        dep_arena_reset(&arena);
    }
    DEP_CHECK(t, bad == 0);
}

/* Many bytes are looked at at once: one that needs an escape is found wherever it stands. */
DEP_TEST(one_byte_among_plain_ones)
{
    char text[70];

    for (size_t at = 0; at < sizeof(text); at++)
        for (unsigned c = 0; c < 256; c++) {
            bool is_plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

            memset(text, 'a', sizeof(text));
            text[at] = (char)c;
            if ((quoted(dep_str(text, sizeof(text))).len == sizeof(text) + 2) != is_plain)
                DEP_CHECK(t, false);
        }
    DEP_CHECK_STR(t, quoted(DEP_STR("")), "\"\"");
}

DEP_TEST(values_are_written_again)
{
    static const struct dep_str text =
        DEP_STR_INIT("{ \"a\\u0062\" : [ 1.50, -0, 1e3, true, false, null, \"\\ud83d\\ude00\" ], \"o\" : { } }");
    struct dep_arena arena;
    struct dep_json_writer w;
    struct dep_json *value = NULL;
    struct dep_buf buf;

    dep_arena_init_debug(&arena, 65536);
    dep_buf_init(&buf, room, sizeof(room));
    dep_json_begin(&w, &buf);
    DEP_CHECK_OK(t, dep_json_parse(&arena, text, 4, &value));
    dep_json_put_value(&w, value);
    DEP_CHECK_STR(t, dep_buf_str(&buf), "{\"ab\":[1.50,-0,1e3,true,false,null,\"\\ud83d\\ude00\"],\"o\":{}}");
    dep_arena_reset(&arena);
}

DEP_TEST(a_full_buffer_fails_once_and_for_good)
{
    for (size_t max = 0; max < 20; max++) {
        struct dep_json_writer w;
        struct dep_buf buf;

        dep_buf_init(&buf, room, max);
        dep_json_begin(&w, &buf);
        dep_json_open(&w, '{');
        dep_json_member(&w, "ab", DEP_STR("c\nd"));
        dep_json_close(&w, '}');
        DEP_CHECK(t, dep_str_is_absent(dep_buf_str(&buf)) == (max < sizeof("{\"ab\":\"c\\u000ad\"}") - 1));
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(commas),
        DEP_ROW(escaping),
        DEP_ROW(A30_every_pair_of_bytes_is_printable_ascii_and_reads_back),
        DEP_ROW(one_byte_among_plain_ones),
        DEP_ROW(values_are_written_again),
        DEP_ROW(a_full_buffer_fails_once_and_for_good),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

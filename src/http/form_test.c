/* Form parsing, as a table; K20 in full. */
#include "http/form.h"

#include "test/unit.h"

static _Alignas(16) unsigned char memory[65536];

/* Writes the fields back as name=value, one a line, so that a row is one text. */
static struct dep_str show(const struct dep_form *form, char *text, size_t max)
{
    struct dep_buf buf;

    dep_buf_init(&buf, text, max);
    for (size_t i = 0; i < form->count; i++) {
        dep_buf_put_c(&buf, "<");
        dep_buf_put(&buf, form->fields[i].name);
        dep_buf_put_c(&buf, ">=<");
        dep_buf_put(&buf, form->fields[i].value);
        dep_buf_put_c(&buf, ">");
    }
    return dep_buf_str(&buf);
}

static void check(struct dep_test *t, struct dep_str text, const char *want)
{
    struct dep_arena arena;
    struct dep_form form;
    char shown[4096];

    dep_arena_init(&arena, memory, sizeof(memory));

    struct dep_res res = dep_form_parse(&arena, text, &form);

    if (want == NULL) {
        dep_test_check(t, res.err == DEP_ERR_HTTP_FORM, __FILE__, __LINE__, "\"%.*s\" gives %s", DEP_STR_ARG(text),
                       dep_err_name(res.err));
        return;
    }
    DEP_CHECK_OK(t, res);
    if (!dep_is_ok(res))
        return;
    DEP_CHECK_STR(t, show(&form, shown, sizeof(shown)), want);
    for (size_t i = 0; i < form.count; i++)
        DEP_CHECK(t, !dep_str_is_absent(form.fields[i].name) && !dep_str_is_absent(form.fields[i].value));
}

DEP_TEST(parses)
{
    check(t, DEP_STR_ABSENT, "");
    check(t, DEP_STR(""), "");
    check(t, DEP_STR("a=1"), "<a>=<1>");
    check(t, DEP_STR("a=1&b=2&c=3"), "<a>=<1><b>=<2><c>=<3>");
    check(t, DEP_STR("a"), "<a>=<>");
    check(t, DEP_STR("a="), "<a>=<>");
    check(t, DEP_STR("a&b="), "<a>=<><b>=<>");
    check(t, DEP_STR("=b"), "<>=<b>");
    check(t, DEP_STR("a=b=c"), "<a>=<b=c>");
    check(t, DEP_STR("a=%41%6a%6A"), "<a>=<Ajj>");
    check(t, DEP_STR("a=x+y%20z%2B"), "<a>=<x y z+>");
    check(t, DEP_STR("a%3d=b%26c"), "<a=>=<b&c>");
    check(t, DEP_STR("grant_type=urn%3Aietf%3Aparams"), "<grant_type>=<urn:ietf:params>");
    /* The example of RFC 6749 appendix B. */
    check(t, DEP_STR("v=+%25%26%2B%C2%A3%E2%82%AC"), "<v>=< %&+\xc2\xa3\xe2\x82\xac>");
}

DEP_TEST(K20_duplicates_stay_visible)
{
    check(t, DEP_STR("a=1&a=2"), "<a>=<1><a>=<2>");
    check(t, DEP_STR("a[]=1&a%5B%5D=2"), "<a[]>=<1><a[]>=<2>");
    check(t, DEP_STR("%61=1&a=2"), "<a>=<1><a>=<2>");
    check(t, DEP_STR("A=1&a=2"), "<A>=<1><a>=<2>");
}

DEP_TEST(K20_separators_only)
{
    check(t, DEP_STR("&"), "");
    check(t, DEP_STR("&&&"), "");
    check(t, DEP_STR("&&a=1&&b=2&"), "<a>=<1><b>=<2>");
    check(t, DEP_STR("="), "<>=<>");
    check(t, DEP_STR("=&="), "<>=<><>=<>");
    check(t, DEP_STR(";"), "<;>=<>");
    check(t, DEP_STR("a=1;b=2"), "<a>=<1;b=2>");
}

DEP_TEST(K20_bad_percent_signs)
{
    check(t, DEP_STR("a=%u0041"), NULL);
    check(t, DEP_STR("a=%"), NULL);
    check(t, DEP_STR("a=%4"), NULL);
    check(t, DEP_STR("a=%4&b=1"), NULL);
    check(t, DEP_STR("a=%zz"), NULL);
    check(t, DEP_STR("a=%+1"), NULL);
    check(t, DEP_STR("%=1"), NULL);
    check(t, DEP_STR("a=%%41"), NULL);
    check(t, DEP_STR("a=%25"), "<a>=<%>");
}

DEP_TEST(K20_nul_and_bad_utf8)
{
    check(t, DEP_STR("a=%00"), NULL);
    check(t, DEP_STR("a=x\0y"), NULL);
    check(t, DEP_STR("a%00=1"), NULL);
    check(t, DEP_STR("a=%C0%AF"), NULL);
    check(t, DEP_STR("a=%E0%80%AF"), NULL);
    check(t, DEP_STR("a=%ED%A0%80"), NULL);
    check(t, DEP_STR("a=%F4%90%80%80"), NULL);
    check(t, DEP_STR("a=%FF"), NULL);
    check(t, DEP_STR("a=\xff"), NULL);
    check(t, DEP_STR("a=%C3"), NULL);
    check(t, DEP_STR("a=%C3%A4"), "<a>=<\xc3\xa4>");
    check(t, DEP_STR("a=\xc3%A4"), "<a>=<\xc3\xa4>");
    check(t, DEP_STR("a=%0A"), "<a>=<\n>");
}

DEP_TEST(K20_json_is_one_odd_name)
{
    check(t, DEP_STR("{\"grant_type\":\"client_credentials\"}"), "<{\"grant_type\":\"client_credentials\"}>=<>");
}

DEP_TEST(too_many_fields)
{
    char text[DEP_FORM_FIELDS_MAX * 2 + 3];
    struct dep_arena arena;
    struct dep_form form;

    for (size_t i = 0; i < DEP_FORM_FIELDS_MAX + 1; i++)
        memcpy(text + 2 * i, "a&", 2);
    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_OK(t, dep_form_parse(&arena, dep_str(text, DEP_FORM_FIELDS_MAX * 2), &form));
    DEP_CHECK(t, form.count == DEP_FORM_FIELDS_MAX);
    DEP_CHECK_FAIL(t, dep_form_parse(&arena, dep_str(text, DEP_FORM_FIELDS_MAX * 2 + 2), &form), HTTP_FORM);
}

DEP_TEST(percent_decoding_alone)
{
    struct dep_arena arena;
    struct dep_str text;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_OK(t, dep_percent_decode(&arena, DEP_STR("https%3A%2F%2Fapi+x"), false, &text));
    DEP_CHECK_STR(t, text, "https://api+x");
    DEP_CHECK_OK(t, dep_percent_decode(&arena, DEP_STR("a+b"), true, &text));
    DEP_CHECK_STR(t, text, "a b");
    DEP_CHECK_OK(t, dep_percent_decode(&arena, DEP_STR(""), true, &text));
    DEP_CHECK_STR(t, text, "");
    DEP_CHECK_FAIL(t, dep_percent_decode(&arena, DEP_STR("%0"), false, &text), HTTP_FORM);
    DEP_CHECK_STR(t, text, "");
}

DEP_TEST(writes)
{
    struct dep_arena arena;
    struct dep_form form;
    struct dep_buf buf;
    char text[256];
    char shown[256];

    dep_buf_init(&buf, text, sizeof(text));
    dep_form_put(&buf, DEP_STR("grant_type"), DEP_STR("urn:ietf:params:oauth:grant-type:token-exchange"));
    dep_form_put(&buf, DEP_STR("v"), DEP_STR(" %&+\xc2\xa3\xe2\x82\xac="));
    dep_form_put(&buf, DEP_STR("e"), DEP_STR(""));
    DEP_CHECK_STR(
        t, dep_buf_str(&buf),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&v=+%25%26%2B%C2%A3%E2%82%AC%3D&e=");
    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_OK(t, dep_form_parse(&arena, dep_buf_str(&buf), &form));
    DEP_CHECK_STR(
        t, show(&form, shown, sizeof(shown)),
        "<grant_type>=<urn:ietf:params:oauth:grant-type:token-exchange><v>=< %&+\xc2\xa3\xe2\x82\xac=><e>=<>");
}

DEP_TEST(arena_sweep)
{
    struct dep_str text = DEP_STR("a=%41&b=%42+c&d=e");
    bool is_done = false;

    for (size_t limit = 0; limit < 4096 && !is_done; limit += 16) {
        struct dep_arena arena;
        struct dep_form form;

        dep_arena_init_debug(&arena, limit);

        struct dep_res res = dep_form_parse(&arena, text, &form);

        DEP_CHECK(t, dep_is_ok(res) || res.err == DEP_ERR_ARENA_FULL);
        is_done = dep_is_ok(res);
        dep_arena_reset(&arena);
    }
    DEP_CHECK(t, is_done);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(parses),
        DEP_ROW(K20_duplicates_stay_visible),
        DEP_ROW(K20_separators_only),
        DEP_ROW(K20_bad_percent_signs),
        DEP_ROW(K20_nul_and_bad_utf8),
        DEP_ROW(K20_json_is_one_odd_name),
        DEP_ROW(too_many_fields),
        DEP_ROW(percent_decoding_alone),
        DEP_ROW(writes),
        DEP_ROW(arena_sweep),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

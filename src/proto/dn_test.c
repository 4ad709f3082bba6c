/* Distinguished names: many texts of one name, names that differ, texts that are none. */
#include "proto/dn.h"

#include "test/unit.h"

static const struct {
    const char *text, *form;
} rows[] = {
    { "CN=worker,O=Example,C=DE", "CN=worker,O=Example,C=DE" },
    { "cn=worker,o=Example,c=DE", "CN=worker,O=Example,C=DE" },
    { "CN=worker, O=Example , C = DE", "CN=worker,O=Example,C=DE" },
    { " CN=worker", "CN=worker" },
    { "2.5.4.3=worker", "2.5.4.3=worker" },
    { "CN=a b", "CN=a b" },
    { "CN=a\\ b", "CN=a b" },
    { "CN=\\ a", "CN=\\20a" },
    { "CN=a\\ ", "CN=a\\20" },
    { "CN=a ", "CN=a" },
    { "CN=\\ ", "CN=\\20" },
    { "CN=\\ \\ ", "CN=\\20\\20" },
    { "CN=\\  a \\  ,O=\\20b", "CN=\\20 a \\20,O=\\20b" },
    { "CN=Smith\\, John", "CN=Smith\\2c John" },
    { "CN=Smith\\2C John", "CN=Smith\\2c John" },
    { "CN=\\#x", "CN=\\23x" },
    { "CN=a#b", "CN=a\\23b" },
    { "1.3.6.1.4.1.1466.0=#04024869", "1.3.6.1.4.1.1466.0=#04024869" },
    { "1.3.6.1.4.1.1466.0=#04024A6B", "1.3.6.1.4.1.1466.0=#04024a6b" },
    { "CN=L\\C4\\8Di", "CN=L\xc4\x8di" },
    { "CN=L\xc4\x8di", "CN=L\xc4\x8di" },
    { "CN=a=b", "CN=a\\3db" },
    { "CN=a\\=b", "CN=a\\3db" },
    { "OU=Sales+CN=J.", "CN=J.+OU=Sales" },
    { "CN=J. + OU=Sales,O=x", "CN=J.+OU=Sales,O=x" },
    { "emailAddress=a@b.example", "EMAILADDRESS=a\\40b.example" },
    { "CN=a\\00b", "CN=a\\00b" },
    { "UID=a-b", "UID=a-b" },
    { "CN=*", "CN=\\2a" },
};

static const char *const bad[] = {
    "",        " ",         "worker",   "CN",    "CN=",    "CN= ",     "=worker", ",CN=a",
    "CN=a,",   "CN=a,,O=b", "CN=a;O=b", "CN=a+", "+CN=a",  "CN=\"a\"", "CN=a<b",  "CN=a\\",
    "CN=a\\x", "CN=a\\4",   "1CN=a",    "CN=#",  "CN=#0",  "CN=#0g",   "CN=#0 ",  "CN=a\\CAb",
    "CN=\\C4", "CN=# ",     "CN=#04,",  "C N=a", "CN=a\n", "CN=a\x01", "CN=\xff", "A=1+B=1+C=1+D=1+E=1+F=1+G=1+H=1+I=1",
    "-a=b",
};

DEP_TEST(one_form)
{
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str form = DEP_STR_ABSENT, again = DEP_STR_ABSENT;
        struct dep_arena arena;

        dep_arena_init_debug(&arena, 1 << 16);
        DEP_CHECK_OK(t, dep_dn_normalise(&arena, dep_str_c(rows[i].text), &form));
        dep_test_check(t, dep_str_eq_c(form, rows[i].form), __FILE__, __LINE__, "%s: got %.*s", rows[i].text,
                       DEP_STR_ARG(form));
        /* The form is a text of the same name. */
        DEP_CHECK_OK(t, dep_dn_normalise(&arena, form, &again));
        DEP_CHECK(t, dep_str_eq(form, again));
        dep_arena_reset(&arena);
    }
}

DEP_TEST(names_that_differ)
{
    static const char *const pairs[][2] = {
        { "CN=worker", "CN=Worker" }, { "CN=a  b", "CN=a b" },  { "CN=a,O=b", "O=b,CN=a" },
        { "CN=a,O=b", "CN=a+O=b" },   { "CN=a", "OU=a" },       { "CN=a\\,O=b", "CN=a,O=b" },
        { "CN=a\\+O=b", "CN=a+O=b" }, { "CN=\\#04", "CN=#04" }, { "CN=a", "CN=a,O=b" },
        { "CN=a\\ ", "CN=a" },        { "CN=a\\00", "CN=a" },   { "CN=*", "CN=a" },
    };

    for (size_t i = 0; i < DEP_COUNT(pairs); i++) {
        struct dep_str a = DEP_STR_ABSENT, b = DEP_STR_ABSENT;
        struct dep_arena arena;

        dep_arena_init_debug(&arena, 1 << 16);
        DEP_CHECK_OK(t, dep_dn_normalise(&arena, dep_str_c(pairs[i][0]), &a));
        DEP_CHECK_OK(t, dep_dn_normalise(&arena, dep_str_c(pairs[i][1]), &b));
        dep_test_check(t, !dep_str_eq(a, b), __FILE__, __LINE__, "%s and %s", pairs[i][0], pairs[i][1]);
        dep_arena_reset(&arena);
    }
}

DEP_TEST(no_name)
{
    struct dep_str form = DEP_STR_ABSENT;
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 1 << 20);
    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        struct dep_res res = dep_dn_normalise(&arena, dep_str_c(bad[i]), &form);

        dep_test_check(t, res.err == DEP_ERR_DN_SYNTAX, __FILE__, __LINE__, "\"%s\"", bad[i]);
    }
    DEP_CHECK_FAIL(t, dep_dn_normalise(&arena, DEP_STR_ABSENT, &form), DN_SYNTAX);
    DEP_CHECK_FAIL(t, dep_dn_normalise(&arena, DEP_STR("CN=a\0b"), &form), DN_SYNTAX);
    DEP_CHECK(t, dep_str_is_absent(form));
    dep_arena_reset(&arena);
}

DEP_TEST(memory_is_out)
{
    unsigned char memory[64] __attribute__((aligned(16)));
    struct dep_str form = DEP_STR_ABSENT;
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_FAIL(t, dep_dn_normalise(&arena, DEP_STR("CN=a long name that needs more,O=Example"), &form), ARENA_FULL);
    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_FAIL(t, dep_dn_normalise(&arena, DEP_STR("OU=bbbbbbb+CN=aaaaaa"), &form), ARENA_FULL);
}

int main(void)
{
    static const struct dep_test_row tests[] = {
        DEP_ROW(one_form),
        DEP_ROW(names_that_differ),
        DEP_ROW(no_name),
        DEP_ROW(memory_is_out),
    };

    return dep_test_main(tests, DEP_COUNT(tests));
}

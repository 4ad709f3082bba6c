/* Unit tests: named rows, TAP output. A check that fails marks its row and goes on; a row that checks nothing fails. */
#ifndef DEP_TEST_UNIT_H
#define DEP_TEST_UNIT_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/res.h"
#include "base/str.h"

struct dep_test {
    const char *name;
    const char *skipped; /* why, or NULL */
    unsigned checks;
    unsigned failures;
};

struct dep_test_row {
    const char *name;
    void (*run)(struct dep_test *t);
};

#define DEP_TEST(name) static void name(struct dep_test *t)
#define DEP_ROW(test)              \
    {                              \
        .name = #test, .run = test \
    }
#define DEP_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DEP_SKIP(t, why) ((void)((t)->skipped = (why)))

#define DEP_CHECK(t, condition) dep_test_check((t), !!(condition), __FILE__, __LINE__, "%s", #condition)
#define DEP_CHECK_OK(t, call)                                                                       \
    do {                                                                                            \
        struct dep_res dep_test_res = (call);                                                       \
        dep_test_check((t), dep_is_ok(dep_test_res), __FILE__, __LINE__, "%s is %s, not ok", #call, \
                       dep_err_name(dep_test_res.err));                                             \
    } while (0)
#define DEP_CHECK_FAIL(t, call, reason)                                                                          \
    do {                                                                                                         \
        struct dep_res dep_test_res = (call);                                                                    \
        dep_test_check((t), dep_test_res.err == DEP_ERR_##reason, __FILE__, __LINE__, "%s is %s, not %s", #call, \
                       dep_err_name(dep_test_res.err), #reason);                                                 \
    } while (0)
#define DEP_CHECK_STR(t, got, want) dep_test_check_str((t), (got), (want), __FILE__, __LINE__)

__attribute__((format(printf, 5, 6))) static inline void
dep_test_check(struct dep_test *t, bool is_good, const char *file, int line, const char *format, ...)
{
    t->checks++;
    if (is_good)
        return;
    t->failures++;

    va_list arguments;

    va_start(arguments, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static inline void dep_test_check_str(struct dep_test *t, struct dep_str got, const char *want, const char *file,
                                      int line)
{
    dep_test_check(t, dep_str_eq_c(got, want), file, line, "got \"%.*s\", want \"%s\"", DEP_STR_ARG(got), want);
}

/* Runs the rows; the exit status is 1 when one failed. */
static inline int dep_test_main(const struct dep_test_row *rows, size_t count)
{
    unsigned failed = 0;

    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        struct dep_test t = { .name = rows[i].name };

        rows[i].run(&t);
        if (t.skipped == NULL && t.checks == 0) {
            printf("# the row checked nothing\n");
            t.failures++;
        }
        printf("%s %zu - %s%s%s\n", t.failures == 0 ? "ok" : "not ok", i + 1, t.name,
               t.skipped != NULL ? " # SKIP " : "", t.skipped != NULL ? t.skipped : "");
        fflush(stdout);
        failed += t.failures > 0;
    }
    return failed > 0;
}

#endif

/* Results: the tables behind the reasons. */
#include "base/res.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    enum dep_class class;
} reasons[DEP_ERR_COUNT] = {
#define DEP_REASON(name, class, text) { #name, text, DEP_CLASS_##class },
#include "base/err.def"
#undef DEP_REASON
};

static const struct {
    const char *name;
    const char *text;
} classes[DEP_CLASS_COUNT] = {
#define DEP_CLASS(name, text) { #name, text },
#include "base/class.def"
#undef DEP_CLASS
};

void dep_assert_failed(const char *condition, const char *file, int line)
{
    /* Kept in registers and on the stack for the debugger; library code never prints. */
    const char *volatile where = file;
    const char *volatile what = condition;
    volatile int at = line;

    (void)where;
    (void)what;
    (void)at;
    abort();
}

const char *dep_err_name(enum dep_err err)
{
    DEP_ASSERT((unsigned)err < DEP_ERR_COUNT);
    return reasons[err].name;
}

const char *dep_err_text(enum dep_err err)
{
    DEP_ASSERT((unsigned)err < DEP_ERR_COUNT);
    return reasons[err].text;
}

enum dep_class dep_err_class(enum dep_err err)
{
    DEP_ASSERT((unsigned)err < DEP_ERR_COUNT);
    return reasons[err].class;
}

enum dep_err dep_err_by_name(const char *name)
{
    for (unsigned i = 0; i < DEP_ERR_COUNT; i++)
        if (strcmp(reasons[i].name, name) == 0)
            return (enum dep_err)i;
    return DEP_ERR_COUNT;
}

const char *dep_class_name(enum dep_class class)
{
    DEP_ASSERT((unsigned)class < DEP_CLASS_COUNT);
    return classes[class].name;
}

const char *dep_class_text(enum dep_class class)
{
    DEP_ASSERT((unsigned)class < DEP_CLASS_COUNT);
    return classes[class].text;
}

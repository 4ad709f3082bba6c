/* Results. One convention from the first line: a newtype that must be used, carrying a reason.
 *
 * Three kinds of failure, never mixed. An expected refusal or a failing environment is a *reason* (err.def), a value that
 * travels up and is rendered once, at the edge. A bug is an assertion, always on. Library code never logs. */
#ifndef DEP_BASE_RES_H
#define DEP_BASE_RES_H

#include <stdbool.h>

/* What class a reason belongs to: decides the wire answer (proto/wire.def) and the exit code. */
enum dep_class {
#define DEP_CLASS(name, text) DEP_CLASS_##name,
#include "base/class.def"
#undef DEP_CLASS
    DEP_CLASS_COUNT
};

enum dep_err {
#define DEP_REASON(name, class, text) DEP_ERR_##name,
#include "base/err.def"
#undef DEP_REASON
    DEP_ERR_COUNT
};

struct dep_res {
    enum dep_err err;
};

#define DEP_MUST __attribute__((warn_unused_result))
#define DEP_OK ((struct dep_res){ DEP_ERR_NONE })
#define DEP_FAIL(name) ((struct dep_res){ DEP_ERR_##name })

static inline bool dep_is_ok(struct dep_res res)
{
    return res.err == DEP_ERR_NONE;
}

/* The only macro that returns. */
#define DEP_TRY(call)                                     \
    do {                                                  \
        struct dep_res dep_try_res = (call);              \
        if (__builtin_expect(!dep_is_ok(dep_try_res), 0)) \
            return dep_try_res;                           \
    } while (0)

/* A bug if false. Always on, in every build. */
#define DEP_ASSERT(condition) \
    (__builtin_expect(!!(condition), 1) ? (void)0 : dep_assert_failed(#condition, __FILE__, __LINE__))
__attribute__((noreturn)) void dep_assert_failed(const char *condition, const char *file, int line);

/* "DPOP_HTU", for logs, audit and `deputy explain`. Static. */
const char *dep_err_name(enum dep_err err);
/* One sentence for operators. Static. */
const char *dep_err_text(enum dep_err err);
enum dep_class dep_err_class(enum dep_err err);
/* The reason called `name`; DEP_ERR_COUNT when there is none. */
enum dep_err dep_err_by_name(const char *name);
const char *dep_class_name(enum dep_class class);
const char *dep_class_text(enum dep_class class);

#endif

/* libdeputy: results, texts, version. */
#ifndef DEPUTY_RESULT_H
#define DEPUTY_RESULT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEPUTY_API __attribute__((visibility("default")))
#define DEPUTY_MUST __attribute__((warn_unused_result))

enum deputy_result {
    DEPUTY_OK = 0,
    DEPUTY_ERR_ARGUMENT = 1, /* the call was wrong: a pointer that may not be NULL, a size, a text out of its form */
    DEPUTY_ERR_SETTING = 2,  /* the configuration cannot be used; deputy_config_fault() says what */
    DEPUTY_ERR_MEMORY = 3,
    DEPUTY_ERR_AUDIT = 4,    /* the audit directory cannot be used: not writable, in use, or its log was changed */
    DEPUTY_ERR_SYSTEM = 5,   /* no more threads or descriptors */
    DEPUTY_ERR_DOCUMENT = 6, /* what the issuer answered cannot be used; it is asked again by itself */
    DEPUTY_ERR_TIMEOUT = 7
};

/* One sentence: what was wrong and what to do. Static. */
DEPUTY_API const char *deputy_result_text(enum deputy_result result);
/* "0.1.0". Static. */
DEPUTY_API const char *deputy_version(void);

/* A text of `len` bytes. `ptr` NULL: there is none, which is not the same as an empty one. What the library gives is
 * followed by a NUL; what it is given need not be. */
struct deputy_text {
    const char *ptr;
    size_t len;
};

struct deputy_header {
    struct deputy_text name, value;
};

#ifdef __cplusplus
}
#endif

#endif

/* Secret bytes: constant-time comparison and wiping. */
#include "base/secret.h"

#include <string.h>

struct dep_secret dep_secret(const void *bytes, size_t len)
{
    return (struct dep_secret){ bytes, len };
}

struct dep_secret dep_secret_of(struct dep_str text)
{
    return (struct dep_secret){ (const unsigned char *)text.ptr, text.len };
}

bool dep_secret_eq(struct dep_secret a, struct dep_secret b)
{
    /* volatile: the accumulator must not let the compiler leave the loop early. */
    volatile unsigned char difference = 0;

    if (a.len == 0 || a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        difference |= (unsigned char)(a.bytes[i] ^ b.bytes[i]);
    return difference == 0;
}

void dep_wipe(void *bytes, size_t len)
{
    if (len > 0)
        explicit_bzero(bytes, len);
}

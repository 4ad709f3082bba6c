/* Secret bytes, as a type of their own: they can be neither printed nor compared by accident.
 *
 * `struct dep_secret` is a view; whoever owns the memory wipes it. Only `dep_secret_eq` compares. */
#ifndef DEP_BASE_SECRET_H
#define DEP_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct dep_secret {
    const unsigned char *bytes;
    size_t len;
};

struct dep_secret dep_secret(const void *bytes, size_t len);
/* Marks text as secret from here on. */
struct dep_secret dep_secret_of(struct dep_str text);
/* Equality in time that depends on the lengths alone. Two absent or empty secrets are NOT equal: blank never matches. */
bool dep_secret_eq(struct dep_secret a, struct dep_secret b);
/* Overwrites `len` bytes; the compiler may not remove it. */
void dep_wipe(void *bytes, size_t len);

#endif

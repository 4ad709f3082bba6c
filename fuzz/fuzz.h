/* A fuzz target is one function in one file, fuzz_<name>.c. It is built three ways:
 *   replay_<name>  runs files and folders given as arguments; part of the test run, over corpus/<name>
 *   the same       without arguments reads one input from stdin, which is what AFL++ drives
 *   fuzz_<name>    libFuzzer, with clang and -Dfuzz=true
 * A target aborts when a property does not hold. */
#ifndef DEP_FUZZ_FUZZ_H
#define DEP_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/res.h"

void dep_fuzz_one(const uint8_t *data, size_t size);

#define DEP_FUZZ_CHECK(condition) DEP_ASSERT(condition)
/* Enough for every input that is not refused for its size. */
#define DEP_FUZZ_ARENA (8u << 20)

static inline struct dep_str dep_fuzz_text(const uint8_t *data, size_t size)
{
    return dep_str(size > 0 ? (const char *)data : "", size);
}

#endif

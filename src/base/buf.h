/* A bounded text buffer with a sticky failure: write many pieces, check once.
 *
 * The maximum is given at the start and never grows. A write that does not fit writes nothing, and marks the buffer failed
 * for good; later writes are ignored. */
#ifndef DEP_BASE_BUF_H
#define DEP_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct dep_buf {
    char *ptr;
    size_t len;
    size_t max;
    bool has_failed;
};

/* On the caller's memory. */
void dep_buf_init(struct dep_buf *buf, void *memory, size_t max);
/* On the arena; when the arena is full the buffer starts as failed. */
void dep_buf_init_arena(struct dep_buf *buf, struct dep_arena *arena, size_t max);
void dep_buf_put(struct dep_buf *buf, struct dep_str s);
/* Room for `len` more bytes, counted as written, to be filled by the caller; NULL, and the buffer failed, when there is none. */
char *dep_buf_take(struct dep_buf *buf, size_t len);
void dep_buf_put_c(struct dep_buf *buf, const char *cstr);
void dep_buf_put_char(struct dep_buf *buf, char c);
/* Decimal. */
void dep_buf_put_int(struct dep_buf *buf, int64_t value);
/* Lower-case hexadecimal of `len` bytes. */
void dep_buf_put_hex(struct dep_buf *buf, const void *bytes, size_t len);
/* Gives the room that was not needed back to the arena, if nothing was allocated after it. No more writes after that. */
void dep_buf_fit(struct dep_buf *buf, struct dep_arena *arena);
/* What was written; absent when the buffer has failed. */
struct dep_str dep_buf_str(const struct dep_buf *buf);

#endif

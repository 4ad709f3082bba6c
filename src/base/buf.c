/* A bounded text buffer with a sticky failure. */
#include "base/buf.h"

#include <string.h>

void dep_buf_init(struct dep_buf *buf, void *memory, size_t max)
{
    *buf = (struct dep_buf){ .ptr = memory, .max = max };
}

void dep_buf_init_arena(struct dep_buf *buf, struct dep_arena *arena, size_t max)
{
    char *memory = dep_arena_alloc(arena, max);

    *buf = (struct dep_buf){ .ptr = memory, .max = memory == NULL ? 0 : max, .has_failed = memory == NULL };
}

char *dep_buf_take(struct dep_buf *buf, size_t len)
{
    char *at;

    if (buf->has_failed || len > buf->max - buf->len) {
        buf->has_failed = true;
        return NULL;
    }
    at = buf->ptr + buf->len;
    buf->len += len;
    return at;
}

void dep_buf_put(struct dep_buf *buf, struct dep_str s)
{
    char *at = dep_buf_take(buf, s.len);

    if (at != NULL && s.len > 0)
        memcpy(at, s.ptr, s.len);
}

void dep_buf_put_c(struct dep_buf *buf, const char *cstr)
{
    dep_buf_put(buf, dep_str_c(cstr));
}

void dep_buf_put_char(struct dep_buf *buf, char c)
{
    char *at = dep_buf_take(buf, 1);

    if (at != NULL)
        *at = c;
}

void dep_buf_put_int(struct dep_buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    dep_buf_put(buf, dep_str(digits + at, sizeof(digits) - at));
}

void dep_buf_put_hex(struct dep_buf *buf, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++) {
        dep_buf_put_char(buf, digits[p[i] >> 4]);
        dep_buf_put_char(buf, digits[p[i] & 15]);
    }
}

void dep_buf_fit(struct dep_buf *buf, struct dep_arena *arena)
{
    size_t start;

    if (arena->is_debug || buf->ptr == NULL)
        return;
    start = (size_t)((unsigned char *)buf->ptr - arena->memory);
    /* Only the last allocation; what was not written is still zero, as the arena promises. */
    if (start + ((buf->max + 15) & ~(size_t)15) != arena->used)
        return;
    arena->used = start + ((buf->len + 15) & ~(size_t)15);
    buf->max = buf->len;
}

struct dep_str dep_buf_str(const struct dep_buf *buf)
{
    return buf->has_failed ? DEP_STR_ABSENT : dep_str(buf->ptr, buf->len);
}

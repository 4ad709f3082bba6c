/* Slices of text. */
#include "base/str.h"

#include <string.h>

struct dep_str dep_str(const char *ptr, size_t len)
{
    return (struct dep_str){ ptr, len };
}

struct dep_str dep_str_c(const char *cstr)
{
    return cstr == NULL ? DEP_STR_ABSENT : (struct dep_str){ cstr, strlen(cstr) };
}

bool dep_str_eq(struct dep_str a, struct dep_str b)
{
    if (a.ptr == NULL || b.ptr == NULL)
        return a.ptr == b.ptr;
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool dep_str_eq_c(struct dep_str a, const char *cstr)
{
    return dep_str_eq(a, dep_str_c(cstr));
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool dep_str_eq_nocase(struct dep_str a, struct dep_str b)
{
    if (a.ptr == NULL || b.ptr == NULL)
        return a.ptr == b.ptr;
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool dep_str_starts(struct dep_str s, struct dep_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool dep_str_ends(struct dep_str s, struct dep_str suffix)
{
    return s.len >= suffix.len && (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

int dep_str_cmp(struct dep_str a, struct dep_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

size_t dep_str_find(struct dep_str s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);

    return at == NULL ? s.len : (size_t)(at - s.ptr);
}

bool dep_str_has(struct dep_str s, char c)
{
    return dep_str_find(s, c) < s.len;
}

struct dep_str dep_str_sub(struct dep_str s, size_t at, size_t len)
{
    if (s.ptr == NULL)
        return s;
    if (at > s.len)
        at = s.len;
    if (len > s.len - at)
        len = s.len - at;
    return (struct dep_str){ s.ptr + at, len };
}

bool dep_str_says_nothing(struct dep_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] > ' ')
            return false;
    return true;
}

struct dep_str dep_str_trim(struct dep_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool dep_str_cut(struct dep_str *rest, char sep, struct dep_str *ret_piece)
{
    if (rest->ptr == NULL || (rest->len == 0))
        return false;

    size_t at = dep_str_find(*rest, sep);

    *ret_piece = (struct dep_str){ rest->ptr, at };
    if (at == rest->len)
        *rest = DEP_STR_ABSENT;
    else
        *rest = (struct dep_str){ rest->ptr + at + 1, rest->len - at - 1 };
    return true;
}

/* Length of the UTF-8 sequence at `p` with `n` bytes left, or 0. Table 3-7 of the Unicode Standard. */
static size_t utf8_step(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        return n >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        unsigned char low = p[0] == 0xE0 ? 0xA0 : 0x80;
        unsigned char high = p[0] == 0xED ? 0x9F : 0xBF;

        return n >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        unsigned char low = p[0] == 0xF0 ? 0x90 : 0x80;
        unsigned char high = p[0] == 0xF4 ? 0x8F : 0xBF;

        return n >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 && (p[3] & 0xC0) == 0x80 ? 4 : 0;
    }
    return 0;
}

bool dep_str_is_utf8(struct dep_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;

    for (size_t i = 0; i < s.len;) {
        size_t step = utf8_step(p + i, s.len - i);

        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

/* Folds the halves of one wide multiplication together. */
static uint64_t mix(uint64_t h, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(h ^ word) * 0x9E3779B97F4A7C15u;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight bytes at a step: keys are some thirty bytes long, and one request asks for a dozen. The last step overlaps the one before. */
uint64_t dep_str_hash(struct dep_str s, uint64_t seed)
{
    uint64_t h = mix(seed ^ 0xcbf29ce484222325u, s.len), word = 0;
    size_t i = 0;

    for (; i + sizeof(word) < s.len; i += sizeof(word)) {
        memcpy(&word, s.ptr + i, sizeof(word));
        h = mix(h, word);
    }
    if (s.len >= sizeof(word)) {
        memcpy(&word, s.ptr + s.len - sizeof(word), sizeof(word));
        return mix(h, word);
    }
    word = 0;
    for (i = 0; i < s.len; i++)
        word = word << 8 | (unsigned char)s.ptr[i];
    return mix(h, word);
}

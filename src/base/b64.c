/* Base64url and base64, strict: one text for one value, so that no two tokens differ in spelling alone. */
#include "base/b64.h"

static const char url_alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std_alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Value of a character plus one; 0 for what is in neither alphabet. The two alphabets differ in the last two. */
#define ROW(a, v) [(unsigned char)(a)] = (unsigned char)((v) + 1)
static const unsigned char common[256] = {
    ROW('A', 0),  ROW('B', 1),  ROW('C', 2),  ROW('D', 3),  ROW('E', 4),  ROW('F', 5),  ROW('G', 6),  ROW('H', 7),
    ROW('I', 8),  ROW('J', 9),  ROW('K', 10), ROW('L', 11), ROW('M', 12), ROW('N', 13), ROW('O', 14), ROW('P', 15),
    ROW('Q', 16), ROW('R', 17), ROW('S', 18), ROW('T', 19), ROW('U', 20), ROW('V', 21), ROW('W', 22), ROW('X', 23),
    ROW('Y', 24), ROW('Z', 25), ROW('a', 26), ROW('b', 27), ROW('c', 28), ROW('d', 29), ROW('e', 30), ROW('f', 31),
    ROW('g', 32), ROW('h', 33), ROW('i', 34), ROW('j', 35), ROW('k', 36), ROW('l', 37), ROW('m', 38), ROW('n', 39),
    ROW('o', 40), ROW('p', 41), ROW('q', 42), ROW('r', 43), ROW('s', 44), ROW('t', 45), ROW('u', 46), ROW('v', 47),
    ROW('w', 48), ROW('x', 49), ROW('y', 50), ROW('z', 51), ROW('0', 52), ROW('1', 53), ROW('2', 54), ROW('3', 55),
    ROW('4', 56), ROW('5', 57), ROW('6', 58), ROW('7', 59), ROW('8', 60), ROW('9', 61),
};

static unsigned value_of(char c, char c62, char c63)
{
    if (c == c62)
        return 63;
    if (c == c63)
        return 64;
    return common[(unsigned char)c];
}

/* Decodes characters without padding into `out`, which has room for DEP_B64_DECODED(text.len). */
static bool decode(struct dep_str text, char c62, char c63, unsigned char *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;

    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned value = value_of(text.ptr[i], c62, c63);

        if (value == 0)
            return false;
        bits = (bits << 6) | (value - 1);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[at++] = (unsigned char)(bits >> held);
        }
    }
    return (bits & ((1u << held) - 1)) == 0;
}

static void put(struct dep_buf *buf, const void *bytes, size_t len, const char *alphabet)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        char four[4];

        for (unsigned k = 0; k < 4; k++)
            four[k] = alphabet[bits >> (18 - 6 * k) & 63];
        dep_buf_put(buf, dep_str(four, left + 1));
    }
}

struct dep_res dep_b64url_decode(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_bytes)
{
    unsigned char *out = dep_arena_alloc(arena, DEP_B64_DECODED(text.len));

    if (out == NULL)
        return DEP_FAIL(ARENA_FULL);
    if (!decode(text, '-', '_', out))
        return DEP_FAIL(B64_SYNTAX);
    *ret_bytes = dep_str((const char *)out, DEP_B64_DECODED(text.len));
    return DEP_OK;
}

struct dep_res dep_b64url_decode_exact(struct dep_str text, void *out, size_t len)
{
    if (text.len != DEP_B64_ENCODED(len))
        return DEP_FAIL(B64_LENGTH);
    return decode(text, '-', '_', out) ? DEP_OK : DEP_FAIL(B64_SYNTAX);
}

void dep_b64url_put(struct dep_buf *buf, const void *bytes, size_t len)
{
    put(buf, bytes, len, url_alphabet);
}

struct dep_res dep_b64_decode(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_bytes)
{
    if (text.len % 4 != 0)
        return DEP_FAIL(B64_SYNTAX);
    for (int i = 0; i < 2 && text.len > 0 && text.ptr[text.len - 1] == '='; i++)
        text.len--;

    unsigned char *out = dep_arena_alloc(arena, DEP_B64_DECODED(text.len));

    if (out == NULL)
        return DEP_FAIL(ARENA_FULL);
    if (!decode(text, '+', '/', out))
        return DEP_FAIL(B64_SYNTAX);
    *ret_bytes = dep_str((const char *)out, DEP_B64_DECODED(text.len));
    return DEP_OK;
}

void dep_b64_put(struct dep_buf *buf, const void *bytes, size_t len)
{
    put(buf, bytes, len, std_alphabet);
    for (size_t i = len % 3; i > 0 && i < 3; i++)
        dep_buf_put_char(buf, '=');
}

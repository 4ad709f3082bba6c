/* Numbers from text. */
#include "base/num.h"

#include <stdbool.h>

struct dep_res dep_num_parse(struct dep_str text, int64_t min, int64_t max, int64_t *ret_value)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    size_t at = is_negative ? 1 : 0;
    int64_t value = 0;

    if (at == text.len || (text.ptr[at] == '0' && text.len > at + 1))
        return DEP_FAIL(NUM_SYNTAX);
    for (; at < text.len; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9')
            return DEP_FAIL(NUM_SYNTAX);

        int64_t digit = text.ptr[at] - '0';

        /* Built as a negative number: INT64_MIN has no positive twin. */
        if (__builtin_mul_overflow(value, (int64_t)10, &value) || __builtin_sub_overflow(value, digit, &value))
            return DEP_FAIL(NUM_RANGE);
    }
    if (!is_negative && __builtin_sub_overflow((int64_t)0, value, &value))
        return DEP_FAIL(NUM_RANGE);
    if (value < min || value > max)
        return DEP_FAIL(NUM_RANGE);
    *ret_value = value;
    return DEP_OK;
}

int dep_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

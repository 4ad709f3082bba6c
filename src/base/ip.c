/* Addresses from text. One address has many texts; its bytes are what is compared. */
#include "base/ip.h"

#include <string.h>

#include "base/num.h"

static bool parse_v4(struct dep_str text, unsigned char ret_bytes[4])
{
    struct dep_str rest = text, part;
    size_t count = 0;

    while (dep_str_cut(&rest, '.', &part)) {
        unsigned value = 0;

        if (count == 4 || part.len == 0 || part.len > 3 || (part.len > 1 && part.ptr[0] == '0'))
            return false;
        for (size_t i = 0; i < part.len; i++) {
            if (part.ptr[i] < '0' || part.ptr[i] > '9')
                return false;
            value = value * 10 + (unsigned)(part.ptr[i] - '0');
        }
        if (value > 255)
            return false;
        ret_bytes[count++] = (unsigned char)value;
    }
    return count == 4 && text.ptr[text.len - 1] != '.';
}

/* One to four hexadecimal digits. */
static bool parse_group(struct dep_str part, unsigned char ret_bytes[2])
{
    unsigned value = 0;

    if (part.len == 0 || part.len > 4)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        int digit = dep_hex_digit(part.ptr[i]);

        if (digit < 0)
            return false;
        value = value << 4 | (unsigned)digit;
    }
    ret_bytes[0] = (unsigned char)(value >> 8);
    ret_bytes[1] = (unsigned char)value;
    return true;
}

/* Groups with colons between; the last may be an IPv4 address. The number of bytes, or SIZE_MAX when they are none. */
static size_t parse_groups(struct dep_str text, unsigned char ret_bytes[DEP_IP_BYTES_MAX])
{
    struct dep_str rest = text, part;
    size_t len = 0;

    if (text.len == 0)
        return 0;
    while (dep_str_cut(&rest, ':', &part)) {
        bool is_v4 = dep_str_is_absent(rest) && dep_str_has(part, '.');
        size_t size = is_v4 ? 4 : 2;

        if (len + size > DEP_IP_BYTES_MAX ||
            !(is_v4 ? parse_v4(part, ret_bytes + len) : parse_group(part, ret_bytes + len)))
            return SIZE_MAX;
        len += size;
    }
    return text.ptr[text.len - 1] == ':' ? SIZE_MAX : len;
}

static bool parse_v6(struct dep_str text, unsigned char ret_bytes[DEP_IP_BYTES_MAX])
{
    unsigned char tail[DEP_IP_BYTES_MAX];
    size_t gap = 0, head_len, tail_len;

    while (gap + 1 < text.len && !(text.ptr[gap] == ':' && text.ptr[gap + 1] == ':'))
        gap++;
    if (gap + 1 >= text.len)
        return parse_groups(text, ret_bytes) == DEP_IP_BYTES_MAX;
    memset(ret_bytes, 0, DEP_IP_BYTES_MAX);
    head_len = parse_groups(dep_str_sub(text, 0, gap), ret_bytes);
    tail_len = parse_groups(dep_str_sub(text, gap + 2, text.len), tail);
    /* The gap stands for one group at least, and an IPv4 address for the last two. */
    if (head_len > DEP_IP_BYTES_MAX || tail_len > DEP_IP_BYTES_MAX || head_len + tail_len > DEP_IP_BYTES_MAX - 2 ||
        dep_str_has(dep_str_sub(text, 0, gap), '.'))
        return false;
    memcpy(ret_bytes + DEP_IP_BYTES_MAX - tail_len, tail, tail_len);
    return true;
}

size_t dep_ip_parse(struct dep_str text, unsigned char ret_bytes[DEP_IP_BYTES_MAX])
{
    if (text.len == 0 || text.len > 45)
        return 0;
    if (!dep_str_has(text, ':'))
        return parse_v4(text, ret_bytes) ? 4 : 0;
    return parse_v6(text, ret_bytes) ? DEP_IP_BYTES_MAX : 0;
}

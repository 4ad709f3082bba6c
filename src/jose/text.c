/* Text that comes from headers and keys of others. */
#include "jose/text.h"

/* U+200E, U+200F, U+202A to U+202E and U+2066 to U+2069, after their first byte. */
static bool turns_text(unsigned char second, unsigned char third)
{
    if (second == 0x80)
        return third == 0x8E || third == 0x8F || (third >= 0xAA && third <= 0xAE);
    return second == 0x81 && third >= 0xA6 && third <= 0xA9;
}

/* C0, DEL, C1, and the characters that turn the direction of text: none of them has a place in an identifier. */
static bool is_plain(struct dep_str text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;

    for (size_t i = 0; i < text.len; i++) {
        if (p[i] < 0x20 || p[i] == 0x7F)
            return false;
        if (p[i] == 0xC2 && i + 1 < text.len && p[i + 1] < 0xA0)
            return false;
        if (p[i] == 0xE2 && i + 2 < text.len && turns_text(p[i + 1], p[i + 2]))
            return false;
    }
    return true;
}

bool dep_jose_kid(const struct dep_json *object, struct dep_str *ret_kid)
{
    const struct dep_json *member = DEP_JSON_GET(object, "kid");
    struct dep_str kid = DEP_STR_ABSENT;

    if (member != NULL &&
        (!dep_is_ok(dep_json_str(member, &kid)) || kid.len == 0 || kid.len > DEP_KID_BYTES_MAX || !is_plain(kid)))
        return false;
    *ret_kid = kid;
    return true;
}

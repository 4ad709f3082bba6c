/* Identifiers. */
#include "base/id.h"

static const char alphabet[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void dep_ulid_put(struct dep_buf *buf, int64_t time_ms, const unsigned char *random)
{
    uint64_t time = (uint64_t)time_ms & 0xFFFFFFFFFFFFu;
    char out[DEP_ULID_LEN];

    for (unsigned i = 0; i < 10; i++)
        out[i] = alphabet[time >> (45 - 5 * i) & 31];
    for (unsigned half = 0; half < 2; half++) {
        uint64_t bits = 0;

        for (unsigned i = 0; i < 5; i++)
            bits = bits << 8 | random[5 * half + i];
        for (unsigned i = 0; i < 8; i++)
            out[10 + 8 * half + i] = alphabet[bits >> (35 - 5 * i) & 31];
    }
    dep_buf_put(buf, dep_str(out, sizeof(out)));
}

bool dep_ulid_is_valid(struct dep_str text)
{
    if (text.len != DEP_ULID_LEN || text.ptr[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || !dep_str_has(dep_str(alphabet, 32), text.ptr[i]))
            return false;
    return true;
}

bool dep_id_is_plain(struct dep_str text, size_t max)
{
    if (text.len == 0 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              dep_str_has(DEP_STR("-._~:"), c)))
            return false;
    }
    return true;
}

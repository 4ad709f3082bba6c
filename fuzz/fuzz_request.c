/* Request heads: the input's first line is the request line, the others are headers. What passes has one reading. */
#include "fuzz/fuzz.h"
#include "net/request.h"

static struct dep_str line_of(struct dep_str *rest)
{
    struct dep_str line = DEP_STR("");

    if (!dep_str_cut(rest, '\n', &line))
        *rest = DEP_STR_ABSENT;
    return line;
}

static void check_line(struct dep_str line)
{
    struct dep_str rest = line, method = DEP_STR(""), target = DEP_STR("");

    (void)dep_str_cut(&rest, ' ', &method);
    (void)dep_str_cut(&rest, ' ', &target);
    if (dep_net_check_line(method, target, rest) != NULL)
        return;
    DEP_FUZZ_CHECK(target.len > 0 && target.ptr[0] == '/' && target.len <= DEP_NET_TARGET_MAX);
    for (size_t i = 0; i < target.len; i++)
        DEP_FUZZ_CHECK(target.ptr[i] > 0x20 && target.ptr[i] < 0x7f && target.ptr[i] != '#');
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_header headers[DEP_NET_HEADERS_MAX + 1];
    struct dep_str rest = dep_fuzz_text(data, size);
    size_t count = 0, body_bytes = 0;

    check_line(line_of(&rest));
    while (!dep_str_is_absent(rest) && count < DEP_NET_HEADERS_MAX + 1) {
        struct dep_str line = line_of(&rest);
        size_t colon = dep_str_find(line, ':');

        headers[count++] =
            (struct dep_header){ dep_str_sub(line, 0, colon), dep_str_trim(dep_str_sub(line, colon + 1, line.len)) };
    }
    if (dep_net_check_headers(headers, count, DEP_STR("POST"), true, 65536, &body_bytes) != NULL)
        return;
    DEP_FUZZ_CHECK(body_bytes <= 65536 && count <= DEP_NET_HEADERS_MAX);
    DEP_FUZZ_CHECK(dep_header_count(headers, count, DEP_STR("host")) == 1);
    DEP_FUZZ_CHECK(dep_header_count(headers, count, DEP_STR("content-length")) <= 1);
    DEP_FUZZ_CHECK(dep_header_count(headers, count, DEP_STR("transfer-encoding")) == 0);
}

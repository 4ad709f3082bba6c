/* One byte sequence (RFC 8941 section 3.3.5), stricter than that section allows: only a proxy writes this field, and it has no
 * reason to write it in two ways. */
#include "http/client_cert.h"

#include "base/b64.h"

struct dep_res dep_client_cert_parse(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_der)
{
    struct dep_str der = DEP_STR_ABSENT;
    struct dep_res res;

    if (value.len < 3 || value.ptr[0] != ':' || value.ptr[value.len - 1] != ':' ||
        value.len - 2 > (DEP_CLIENT_CERT_MAX + 2) / 3 * 4)
        return DEP_FAIL(HTTP_CLIENT_CERT);
    res = dep_b64_decode(arena, dep_str(value.ptr + 1, value.len - 2), &der);
    if (res.err == DEP_ERR_ARENA_FULL)
        return res;
    if (!dep_is_ok(res) || der.len == 0 || der.len > DEP_CLIENT_CERT_MAX)
        return DEP_FAIL(HTTP_CLIENT_CERT);
    *ret_der = der;
    return DEP_OK;
}

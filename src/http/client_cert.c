/* One byte sequence (RFC 8941 section 3.3.5), stricter than that section allows: only a proxy writes this field, and it has no
 * reason to write it in two ways. Of the proxies that cannot write one, all write PEM in percent-encoding. */
#include "http/client_cert.h"

#include "base/b64.h"
#include "http/form.h"

#define LINE 64u /* rfc7468#2 */
#define TEXT_MAX ((DEP_CLIENT_CERT_MAX + 2) / 3 * 4)

static struct dep_res decode(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_der)
{
    struct dep_str der = DEP_STR_ABSENT;
    struct dep_res res;

    if (text.len == 0 || text.len > TEXT_MAX)
        return DEP_FAIL(HTTP_CLIENT_CERT);
    res = dep_b64_decode(arena, text, &der);
    if (res.err == DEP_ERR_ARENA_FULL)
        return res;
    if (!dep_is_ok(res) || der.len == 0 || der.len > DEP_CLIENT_CERT_MAX)
        return DEP_FAIL(HTTP_CLIENT_CERT);
    *ret_der = der;
    return DEP_OK;
}

/* Lines of 64, the last one shorter or as long, and nothing around them (rfc7468#3, its strict form). */
static struct dep_res decode_pem(struct dep_arena *arena, struct dep_str pem, struct dep_str *ret_der)
{
    static const struct dep_str begin = DEP_STR_INIT("-----BEGIN CERTIFICATE-----\n");
    static const struct dep_str end = DEP_STR_INIT("-----END CERTIFICATE-----");
    struct dep_str rest, line;
    struct dep_buf text;
    bool is_last = false;

    if (dep_str_ends(pem, DEP_STR("\n")))
        pem.len--;
    if (!dep_str_starts(pem, begin) || !dep_str_ends(pem, end))
        return DEP_FAIL(HTTP_CLIENT_CERT);
    rest = dep_str_sub(pem, begin.len, pem.len - begin.len - end.len);
    if (!dep_str_ends(rest, DEP_STR("\n")))
        return DEP_FAIL(HTTP_CLIENT_CERT);
    rest.len--;
    if (dep_str_ends(rest, DEP_STR("\n"))) /* an empty last line */
        return DEP_FAIL(HTTP_CLIENT_CERT);
    dep_buf_init_arena(&text, arena, rest.len);
    while (dep_str_cut(&rest, '\n', &line)) {
        if (is_last || line.len == 0 || line.len > LINE)
            return DEP_FAIL(HTTP_CLIENT_CERT);
        is_last = line.len < LINE;
        dep_buf_put(&text, line);
    }
    return text.has_failed ? DEP_FAIL(ARENA_FULL) : decode(arena, dep_buf_str(&text), ret_der);
}

static struct dep_res decode_escaped(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_der)
{
    struct dep_str pem = DEP_STR_ABSENT;
    struct dep_res res;

    if (value.len > 3 * (TEXT_MAX + TEXT_MAX / LINE + 64))
        return DEP_FAIL(HTTP_CLIENT_CERT);
    res = dep_percent_decode(arena, value, false, &pem);
    if (res.err == DEP_ERR_ARENA_FULL)
        return res;
    return dep_is_ok(res) ? decode_pem(arena, pem, ret_der) : DEP_FAIL(HTTP_CLIENT_CERT);
}

struct dep_res dep_client_cert_parse(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_der)
{
    if (dep_str_starts(value, DEP_STR("-----BEGIN%20CERTIFICATE-----%0A")))
        return decode_escaped(arena, value, ret_der);
    if (value.len < 3 || value.ptr[0] != ':' || value.ptr[value.len - 1] != ':')
        return DEP_FAIL(HTTP_CLIENT_CERT);
    return decode(arena, dep_str(value.ptr + 1, value.len - 2), ret_der);
}

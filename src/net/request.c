/* What a request head must look like: RFC 9112 sections 2-6, RFC 9110 section 5, RFC 3986 section 3.
 *
 * Transfer-Encoding is refused altogether: the clients of an authorization server send Content-Length, and every way to
 * smuggle a request needs the other. 411 is the answer RFC 9112 section 6.3 has for it. */
#include "net/request.h"

#include "base/num.h"

static const struct dep_net_refusal bad_method = { 400, "the method is not a token" };
static const struct dep_net_refusal unknown_method = { 501, "the method is not known here" };
static const struct dep_net_refusal bad_version = { 505, "only HTTP/1.1 and HTTP/1.0 are spoken here" };
static const struct dep_net_refusal bad_target = { 400, "the target is not a plain path" };
static const struct dep_net_refusal long_target = { 414, "the target is too long" };
static const struct dep_net_refusal bad_name = { 400, "a header name is not a token" };
static const struct dep_net_refusal bad_value = { 400, "a header value has control characters" };
static const struct dep_net_refusal many_headers = { 431, "the headers are too many or too large" };
static const struct dep_net_refusal bad_host = { 400, "Host must be there once and name one host" };
static const struct dep_net_refusal bad_length = { 400, "Content-Length must be there once and be a plain number" };
static const struct dep_net_refusal bad_coding = { 400, "Transfer-Encoding is ambiguous" };
static const struct dep_net_refusal chunked = { 411, "Transfer-Encoding is not taken here; send Content-Length" };
static const struct dep_net_refusal unknown_coding = { 501, "the Transfer-Encoding is not known here" };
static const struct dep_net_refusal bad_expect = { 417, "only Expect: 100-continue is known here" };
static const struct dep_net_refusal has_body = { 400, "a body with a method that has none" };
static const struct dep_net_refusal large_body = { 413, "the body is too large" };

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_one_of(unsigned char c, const char *set)
{
    for (; *set != '\0'; set++)
        if ((unsigned char)*set == c)
            return true;
    return false;
}

/* rfc9110#5.6.2 */
static bool is_token(struct dep_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum((unsigned char)s.ptr[i]) && !is_one_of((unsigned char)s.ptr[i], "-!#$%&'*+.^_`|~"))
            return false;
    return s.len > 0;
}

/* rfc9110#5.5: HTAB, blank, visible characters, obs-text. All bytes are looked at and none ends the loop, so that the compiler takes
 * many at once: tokens are long. */
static bool is_value(struct dep_str s)
{
    unsigned char bad = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        bad |= (unsigned char)(((c < 0x20) & (c != '\t')) | (c == 0x7f));
    }
    return bad == 0;
}

/* Origin form (rfc9112#3.2.1) in the characters of rfc3986#3.3 and #3.4; "//x" would be an authority, %00 ends
 * strings. */
static bool is_target(struct dep_str s)
{
    if (s.len == 0 || s.ptr[0] != '/' || (s.len > 1 && s.ptr[1] == '/'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (is_alnum(c) || is_one_of(c, "/-._~?=&!$'()*+,;:@"))
            continue;
        if (c != '%' || s.len - i < 3 || dep_hex_digit(s.ptr[i + 1]) < 0 || dep_hex_digit(s.ptr[i + 2]) < 0)
            return false;
        if (s.ptr[i + 1] == '0' && s.ptr[i + 2] == '0')
            return false;
        i += 2;
    }
    return true;
}

/* Digits only: dep_num_parse() would also take "-0". */
static bool is_number(struct dep_str s, int64_t max, int64_t *ret_value)
{
    return s.len > 0 && s.ptr[0] != '-' && dep_is_ok(dep_num_parse(s, 0, max, ret_value));
}

static bool is_known_method(struct dep_str method)
{
    static const char *const known[] = { "POST", "GET", "HEAD", "PATCH", "DELETE", "PUT", "OPTIONS" };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (dep_str_eq_c(method, known[i]))
            return true;
    return false;
}

const struct dep_net_refusal *dep_net_check_line(struct dep_str method, struct dep_str target, struct dep_str version)
{
    if (!is_token(method))
        return &bad_method;
    if (!dep_str_eq_c(version, "HTTP/1.1") && !dep_str_eq_c(version, "HTTP/1.0"))
        return &bad_version;
    if (target.len > DEP_NET_TARGET_MAX)
        return &long_target;
    if (!is_target(target))
        return &bad_target;
    if (!is_known_method(method))
        return &unknown_method;
    return NULL;
}

/* host[:port], where host is a name, an IPv4 address or [IPv6] (rfc9110#7.2); no userinfo, no list. */
static bool is_host(struct dep_str s)
{
    size_t at = 0;
    int64_t port;

    if (s.len == 0 || s.len > 255 + 6)
        return false;
    if (s.ptr[0] == '[') {
        at = 1;
        while (at < s.len && (dep_hex_digit(s.ptr[at]) >= 0 || is_one_of((unsigned char)s.ptr[at], ":.")))
            at++;
        if (at < 4 || at >= s.len || s.ptr[at] != ']')
            return false;
        at++;
    } else {
        while (at < s.len && (is_alnum((unsigned char)s.ptr[at]) || is_one_of((unsigned char)s.ptr[at], "-._")))
            at++;
        if (at == 0)
            return false;
    }
    if (at == s.len)
        return true;
    return s.ptr[at] == ':' && is_number(dep_str_sub(s, at + 1, s.len), 65535, &port);
}

/* What the framing headers said. */
struct framing {
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    int64_t length;
    struct dep_str coding;
};

static const struct dep_net_refusal *check_header(const struct dep_header *header, struct framing *framing)
{
    if (!is_token(header->name))
        return &bad_name;
    if (!is_value(header->value))
        return &bad_value;
    if (dep_str_eq_nocase(header->name, DEP_STR("host"))) {
        if (framing->hosts++ > 0 || !is_host(header->value))
            return &bad_host;
    } else if (dep_str_eq_nocase(header->name, DEP_STR("content-length"))) {
        /* rfc9112#6.3: a list of equal numbers may be taken for one; here it is refused, as is a sign or a leading
         * zero. */
        if (framing->lengths++ > 0 || !is_number(header->value, INT64_MAX, &framing->length))
            return &bad_length;
    } else if (dep_str_eq_nocase(header->name, DEP_STR("transfer-encoding"))) {
        if (framing->codings++ > 0)
            return &bad_coding;
        framing->coding = header->value;
    } else if (dep_str_eq_nocase(header->name, DEP_STR("expect"))) {
        if (!dep_str_eq_nocase(header->value, DEP_STR("100-continue")))
            return &bad_expect;
    }
    return NULL;
}

static const struct dep_net_refusal *check_framing(const struct framing *framing, struct dep_str method, bool is_1_1,
                                                   size_t body_bytes_max)
{
    if (is_1_1 && framing->hosts == 0)
        return &bad_host;
    if (framing->codings > 0) {
        if (framing->lengths > 0 || !is_1_1)
            return &bad_coding;
        return dep_str_eq_nocase(framing->coding, DEP_STR("chunked")) ? &chunked : &unknown_coding;
    }
    if (framing->length > 0 && !dep_str_eq_c(method, "POST") && !dep_str_eq_c(method, "PATCH") &&
        !dep_str_eq_c(method, "PUT"))
        return &has_body;
    if ((uint64_t)framing->length > body_bytes_max)
        return &large_body;
    return NULL;
}

const struct dep_net_refusal *dep_net_check_headers(const struct dep_header *headers, size_t count,
                                                    struct dep_str method, bool is_1_1, size_t body_bytes_max,
                                                    size_t *ret_body_bytes)
{
    struct framing framing = { 0 };
    const struct dep_net_refusal *refusal;
    size_t bytes = 0;

    if (count > DEP_NET_HEADERS_MAX)
        return &many_headers;
    for (size_t i = 0; i < count; i++) {
        bytes += headers[i].name.len + headers[i].value.len + 4;
        if (bytes > DEP_NET_HEADER_BYTES_MAX)
            return &many_headers;
        refusal = check_header(&headers[i], &framing);
        if (refusal != NULL)
            return refusal;
    }
    refusal = check_framing(&framing, method, is_1_1, body_bytes_max);
    if (refusal == NULL)
        *ret_body_bytes = (size_t)framing.length;
    return refusal;
}

/* The checks of request heads, as tables; server_test.c sends the same over sockets. */
#include "net/request.h"

#include "net/layout.h"
#include "test/unit.h"

static int line_status(const char *method, struct dep_str target, const char *version)
{
    const struct dep_net_refusal *refusal = dep_net_check_line(dep_str_c(method), target, dep_str_c(version));

    return refusal == NULL ? 0 : refusal->status;
}

DEP_TEST(K16_request_lines)
{
    static const struct {
        const char *method;
        const char *target;
        const char *version;
        int status;
    } rows[] = {
        { "GET", "/", "HTTP/1.1", 0 },
        { "POST", "/a/b?c=d", "HTTP/1.0", 0 },
        { "PATCH", "/a%20b", "HTTP/1.1", 0 },
        { "get", "/", "HTTP/1.1", 501 },
        { "BREW", "/", "HTTP/1.1", 501 },
        { "", "/", "HTTP/1.1", 400 },
        { "G T", "/", "HTTP/1.1", 400 },
        { "G\"T", "/", "HTTP/1.1", 400 },
        { "GET", "/", "", 505 },
        { "GET", "/", "HTTP/1.2", 505 },
        { "GET", "/", "HTTP/1.10", 505 },
        { "GET", "/", "http/1.1", 505 },
        { "GET", "/", "HTTP/2.0", 505 },
        { "GET", "", "HTTP/1.1", 400 },
        { "GET", "*", "HTTP/1.1", 400 },
        { "GET", "//a", "HTTP/1.1", 400 },
        { "GET", "http://a/", "HTTP/1.1", 400 },
        { "GET", "/#", "HTTP/1.1", 400 },
        { "GET", "/%00", "HTTP/1.1", 400 },
        { "GET", "/%0", "HTTP/1.1", 400 },
        { "GET", "/%g0", "HTTP/1.1", 400 },
        { "GET", "/a b", "HTTP/1.1", 400 },
        { "GET", "/\x7f", "HTTP/1.1", 400 },
        { "GET", "/\xc3\xa4", "HTTP/1.1", 400 },
        { "GET", "/%c3%a4", "HTTP/1.1", 0 },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        int status = line_status(rows[i].method, dep_str_c(rows[i].target), rows[i].version);

        dep_test_check(t, status == rows[i].status, __FILE__, __LINE__, "%s %s %s gives %d", rows[i].method,
                       rows[i].target, rows[i].version, status);
    }
    DEP_CHECK(t, line_status("GET", DEP_STR("/a\0b"), "HTTP/1.1") == 400);
}

DEP_TEST(K17_long_targets)
{
    static char target[DEP_NET_TARGET_MAX + 1];

    memset(target, 'a', sizeof(target));
    target[0] = '/';
    DEP_CHECK(t, line_status("GET", dep_str(target, DEP_NET_TARGET_MAX), "HTTP/1.1") == 0);
    DEP_CHECK(t, line_status("GET", dep_str(target, DEP_NET_TARGET_MAX + 1), "HTTP/1.1") == 414);
}

#define H(name, value)                          \
    {                                           \
        DEP_STR_INIT(name), DEP_STR_INIT(value) \
    }

DEP_TEST(K01_K03_K10_K18_framing)
{
    static const struct {
        struct dep_header headers[4];
        const char *method;
        int status;
        size_t body_bytes;
        bool is_1_0;
    } rows[] = {
        { { H("Host", "h") }, "GET", 0, 0, false },
        { { H("host", "h"), H("Content-Length", "0") }, "DELETE", 0, 0, false },
        { { H("Host", "h"), H("content-length", "100") }, "POST", 0, 100, false },
        { { H("Host", "h"), H("Content-Length", "101") }, "POST", 413, 0, false },
        { { H("Host", "h"), H("Content-Length", "9223372036854775807") }, "POST", 413, 0, false },
        { { H("Host", "h"), H("Content-Length", "9223372036854775808") }, "POST", 400, 0, false },
        { { H("Host", "h"), H("Content-Length", "-0") }, "POST", 400, 0, false },
        { { H("Host", "h"), H("Content-Length", "01") }, "POST", 400, 0, false },
        { { H("Host", "h"), H("Content-Length", "1 ") }, "POST", 400, 0, false },
        { { H("Host", "h"), H("Content-Length", "5"), H("Content-Length", "5") }, "POST", 400, 0, false },
        { { H("Host", "h"), H("Content-Length", "5"), H("Transfer-Encoding", "chunked") }, "POST", 400, 0, false },
        { { H("Host", "h"), H("Transfer-Encoding", "chunked") }, "POST", 411, 0, false },
        { { H("Host", "h"), H("Transfer-Encoding", "chunked") }, "POST", 400, 0, true },
        { { H("Host", "h"), H("Transfer-Encoding", "gzip") }, "POST", 501, 0, false },
        { { H("Host", "h"), H("Content-Length", "5") }, "GET", 400, 0, false },
        { { H("Host", "h"), H("Expect", "100-Continue") }, "POST", 0, 0, false },
        { { H("Host", "h"), H("Expect", "x") }, "POST", 417, 0, false },
        { { H("X", "y") }, "GET", 400, 0, false },
        { { H("X", "y") }, "GET", 0, 0, true },
        { { H("Host", "h"), H("Host", "h") }, "GET", 400, 0, true },
        { { H("Host", "h"), H("a b", "") }, "GET", 400, 0, false },
        { { H("Host", "h"), H("", "x") }, "GET", 400, 0, false },
        { { H("Host", "h"), H("X", "a\0b") }, "GET", 400, 0, false },
        { { H("Host", "h"), H("X", "a\tb\xff") }, "GET", 0, 0, false },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        size_t count = 0;
        size_t body_bytes = 12345;

        while (count < 4 && !dep_str_is_absent(rows[i].headers[count].name))
            count++;

        const struct dep_net_refusal *refusal =
            dep_net_check_headers(rows[i].headers, count, dep_str_c(rows[i].method), !rows[i].is_1_0, 100, &body_bytes);

        dep_test_check(t, (refusal == NULL ? 0 : refusal->status) == rows[i].status, __FILE__, __LINE__,
                       "row %zu gives %d", i, refusal == NULL ? 0 : refusal->status);
        DEP_CHECK(t, body_bytes == (refusal == NULL ? rows[i].body_bytes : 12345));
    }
}

/* rfc9110#5.5: every byte at every place of a long value. */
DEP_TEST(bytes_of_a_value)
{
    char value[70] = { 0 };
    const struct dep_header headers[] = { { DEP_STR("Host"), DEP_STR("a") },
                                          { DEP_STR("X"), dep_str(value, sizeof(value)) } };
    size_t body_bytes, wrong = 0;

    for (size_t at = 0; at < sizeof(value); at++)
        for (unsigned c = 0; c < 256; c++) {
            bool is_good = c == '\t' || (c >= 0x20 && c != 0x7f);

            memset(value, 'x', sizeof(value));
            value[at] = (char)c;
            wrong += (dep_net_check_headers(headers, 2, DEP_STR("GET"), true, 0, &body_bytes) == NULL) != is_good;
        }
    DEP_CHECK(t, wrong == 0);
}

DEP_TEST(K28_limits)
{
    static struct dep_header headers[DEP_NET_HEADERS_MAX + 1];
    static char value[DEP_NET_HEADER_BYTES_MAX];
    size_t body_bytes;

    headers[0] = (struct dep_header)H("Host", "h");
    for (size_t i = 1; i < DEP_COUNT(headers); i++)
        headers[i] = (struct dep_header)H("X", "y");
    DEP_CHECK(t, dep_net_check_headers(headers, DEP_NET_HEADERS_MAX, DEP_STR("GET"), true, 0, &body_bytes) == NULL);
    DEP_CHECK(t,
              dep_net_check_headers(headers, DEP_NET_HEADERS_MAX + 1, DEP_STR("GET"), true, 0, &body_bytes)->status ==
                  431);
    memset(value, 'a', sizeof(value));
    headers[1].value = dep_str(value, DEP_NET_HEADER_BYTES_MAX - 9 - 5);
    DEP_CHECK(t, dep_net_check_headers(headers, 2, DEP_STR("GET"), true, 0, &body_bytes) == NULL);
    headers[1].value.len++;
    DEP_CHECK(t, dep_net_check_headers(headers, 2, DEP_STR("GET"), true, 0, &body_bytes)->status == 431);
}

/* A head as the library leaves it: '0' stands for NUL. Places are given by their offsets. */
static bool layout_is_good(const char *text, size_t target, size_t version, size_t name, size_t value, size_t head_len)
{
    char head[64] = { 0 };
    struct dep_net_layout layout;

    for (size_t i = 0; text[i] != '\0'; i++)
        head[i] = text[i] == '0' ? '\0' : text[i];
    return dep_net_layout_line(&layout, true, head, head + target, strlen(head + target), head + version) &&
           dep_net_layout_header(&layout, head + name, strlen(head + name), head + value, strlen(head + value)) &&
           dep_net_layout_end(&layout, head_len);
}

DEP_TEST(K04_K07_layouts)
{
    DEP_CHECK(t, layout_is_good("GET0/0V00A0b0000", 4, 6, 9, 11, 16));
    DEP_CHECK(t, layout_is_good("GET0/0V00A0 \tb0000", 4, 6, 9, 13, 18));
    DEP_CHECK(t, layout_is_good("GET0/0V00A000000", 4, 6, 9, 11, 15));
    /* Two blanks before the target; a bare LF behind the version; behind the value; at the end. */
    DEP_CHECK(t, !layout_is_good("GET00/0V00A0b0000", 5, 7, 10, 12, 17));
    DEP_CHECK(t, !layout_is_good("GET0/0V0A0b0000", 4, 6, 8, 10, 15));
    DEP_CHECK(t, !layout_is_good("GET0/0V00A0b0X0", 4, 6, 9, 11, 15));
    DEP_CHECK(t, !layout_is_good("GET0/0V00A0b000X", 4, 6, 9, 11, 15));
    /* A blank before the colon, where the library cut it off; a line between that is no header. */
    DEP_CHECK(t, !layout_is_good("GET0/0V00A00b0000", 4, 6, 9, 12, 17));
    DEP_CHECK(t, !layout_is_good("GET0/0V00X00A0b0000", 4, 6, 12, 14, 19));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(K16_request_lines), DEP_ROW(K17_long_targets), DEP_ROW(K01_K03_K10_K18_framing),
        DEP_ROW(bytes_of_a_value),  DEP_ROW(K28_limits),       DEP_ROW(K04_K07_layouts),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* MCP messages: from headers, from bodies, and where the two differ (G10). */
#include "guard/mcp.h"
#include "test/unit.h"

static struct dep_arena arena;

#define NEW "2026-07-28"
#define CALL(name) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"" name "\"}}"

static const struct {
    const char *value, *text; /* NULL: refused */
} wrapped[] = {
    { "search", "search" },
    { "=?base64?c2VhcmNo?=", "search" },
    { "=?base64?w6l0w6k=?=", "\xC3\xA9t\xC3\xA9" },
    { "=?base64?PT9iYXNlNjQ/Pz0=?=", "=?base64?\?=" }, /* what looks wrapped can be wrapped */
    { "a=?base64?c2VhcmNo?=", "a=?base64?c2VhcmNo?=" },
    { "search, delete", "search, delete" }, /* one value, whatever is in it */
    { "", NULL },
    { "=?base64?\?=", NULL },
    { "=?base64?=", NULL },
    { "=?base64?c2VhcmNo", NULL },
    { "=?BASE64?c2VhcmNo?=", NULL },
    { "=?base64?c2VhcmNo?= ", NULL },
    { "=?base64?c2Vhcm?=", NULL },
    { "=?base64?c2VhcmN=?=", NULL },     /* stray bits, no padding that fits */
    { "=?base64?c2Vh cmNo?=", NULL },    /* no blanks in it */
    { "=?base64?c2VhAGNo?=", NULL },     /* NUL */
    { "=?base64?c2VhCmNo?=", NULL },     /* a line break */
    { "=?base64?/v4=?=", NULL },         /* not UTF-8 */
    { "=?base64?c2VhcmNo-_==?=", NULL }, /* base64url */
    { "\xC3\xA9t\xC3\xA9", NULL },       /* bare */
    { "sea\trch", NULL },
};

DEP_TEST(decodes_header_values)
{
    for (size_t i = 0; i < DEP_COUNT(wrapped); i++) {
        struct dep_str text = DEP_STR_ABSENT;
        struct dep_res res = dep_guard_mcp_decode(&arena, dep_str_c(wrapped[i].value), &text);

        dep_test_check(t, dep_is_ok(res) == (wrapped[i].text != NULL) && dep_str_eq_c(text, wrapped[i].text), __FILE__,
                       __LINE__, "%s", wrapped[i].value);
    }
}

enum says { KNOWN, UNKNOWN, REFUSED, MISMATCH };

static const struct {
    const char *what, *version, *method, *header_name, *body; /* NULL: absent */
    bool headers_count;
    enum says says;
    const char *known_method, *known_name;
} cases[] = {
    { "headers of a new client", NEW, "tools/call", "search", NULL, true, KNOWN, "tools/call", "search" },
    { "a later version", "2027-01-01", "tools/list", NULL, NULL, true, KNOWN, "tools/list", NULL },
    { "wrapped", NEW, "tools/call", "=?base64?c2VhcmNo?=", NULL, true, KNOWN, "tools/call", "search" },
    { "a name where none belongs is not read", NEW, "tools/list", "search", NULL, true, KNOWN, "tools/list", NULL },
    { "nobody compares", NEW, "tools/call", "search", NULL, false, UNKNOWN, NULL, NULL },
    { "an older client", "2025-11-25", "tools/call", "search", NULL, true, UNKNOWN, NULL, NULL },
    { "no version", NULL, "tools/call", "search", NULL, true, UNKNOWN, NULL, NULL },
    { "a draft", "draft", "tools/call", "search", NULL, true, UNKNOWN, NULL, NULL },
    { "a version that is no date", "2026-07-2x", "tools/call", "search", NULL, true, UNKNOWN, NULL, NULL },
    { "a date and more", "2026-07-28x", "tools/call", "search", NULL, true, UNKNOWN, NULL, NULL },
    { "no method", NEW, NULL, "search", NULL, true, REFUSED, NULL, NULL },
    { "no name", NEW, "tools/call", NULL, NULL, true, REFUSED, NULL, NULL },
    { "a broken wrap", NEW, "tools/call", "=?base64?!?=", NULL, true, REFUSED, NULL, NULL },

    { "body of an older client", "2025-06-18", NULL, NULL, CALL("search"), false, KNOWN, "tools/call", "search" },
    { "body, no version", NULL, NULL, NULL, CALL("search"), false, KNOWN, "tools/call", "search" },
    { "an older client's headers do not count", "2025-06-18", "tools/list", NULL, CALL("search"), true, KNOWN,
      "tools/call", "search" },
    { "body and headers", NEW, "tools/call", "search", CALL("search"), false, KNOWN, "tools/call", "search" },
    { "body and wrapped header", NEW, "tools/call", "=?base64?c2VhcmNo?=", CALL("search"), false, KNOWN, "tools/call",
      "search" },
    { "another name in the header", NEW, "tools/call", "safe", CALL("search"), true, MISMATCH, NULL, NULL },
    { "another method in the header", NEW, "tools/list", NULL, CALL("search"), true, MISMATCH, NULL, NULL },
    { "letter case", NEW, "tools/call", "Search", CALL("search"), true, MISMATCH, NULL, NULL },
    { "body without its headers", NEW, NULL, NULL, CALL("search"), true, REFUSED, NULL, NULL },
    { "a resource", NULL, NULL, NULL, "{\"method\":\"resources/read\",\"params\":{\"uri\":\"file:///a\"}}", false,
      KNOWN, "resources/read", "file:///a" },
    { "a prompt", NULL, NULL, NULL, "{\"method\":\"prompts/get\",\"params\":{\"name\":\"p\"}}", false, KNOWN,
      "prompts/get", "p" },
    { "a notification", NULL, NULL, NULL, "{\"method\":\"notifications/initialized\"}", false, KNOWN,
      "notifications/initialized", NULL },
    { "an answer", NEW, NULL, NULL, "{\"id\":1,\"result\":{}}", true, KNOWN, NULL, NULL },
    { "an error", NULL, NULL, NULL, "{\"id\":1,\"error\":{}}", true, KNOWN, NULL, NULL },
    { "a batch", NULL, NULL, NULL, "[" CALL("search") "]", true, REFUSED, NULL, NULL },
    { "two methods", NULL, NULL, NULL, "{\"method\":\"tools/list\",\"method\":\"tools/call\"}", true, REFUSED, NULL,
      NULL },
    { "two names", NULL, NULL, NULL, "{\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}", true,
      REFUSED, NULL, NULL },
    { "method in another letter case", NULL, NULL, NULL, "{\"id\":1,\"result\":{},\"Method\":\"tools/call\"}", true,
      REFUSED, NULL, NULL },
    { "name in another letter case", NULL, NULL, NULL,
      "{\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"NAME\":\"b\"}}", true, REFUSED, NULL, NULL },
    { "params in another letter case", NULL, NULL, NULL,
      "{\"method\":\"tools/call\",\"params\":{\"name\":\"a\"},\"Params\":{\"name\":\"b\"}}", true, REFUSED, NULL,
      NULL },
    { "a call of nothing", NULL, NULL, NULL, "{\"method\":\"tools/call\"}", true, REFUSED, NULL, NULL },
    { "a name that is none", NULL, NULL, NULL, "{\"method\":\"tools/call\",\"params\":{\"name\":7}}", true, REFUSED,
      NULL, NULL },
    { "an empty name", NULL, NULL, NULL, CALL(""), true, REFUSED, NULL, NULL },
    { "a method that is none", NULL, NULL, NULL, "{\"method\":null}", true, REFUSED, NULL, NULL },
    { "neither method nor answer", NULL, NULL, NULL, "{\"id\":1}", true, REFUSED, NULL, NULL },
    { "an empty body", NULL, NULL, NULL, "", true, REFUSED, NULL, NULL },
    { "no JSON", NULL, NULL, NULL, "method=tools/call", true, REFUSED, NULL, NULL },
    { "more behind it", NULL, NULL, NULL, CALL("a") CALL("b"), true, REFUSED, NULL, NULL },
};

DEP_TEST(reads_messages)
{
    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        const struct dep_guard_mcp_headers headers = { dep_str_c(cases[i].version), dep_str_c(cases[i].method),
                                                       dep_str_c(cases[i].header_name) };
        struct dep_guard_mcp mcp = { 0 };
        struct dep_res res =
            dep_guard_mcp_read(&arena, &headers, dep_str_c(cases[i].body), cases[i].headers_count, &mcp);
        enum says says = res.err == DEP_ERR_GUARD_MCP_MISMATCH ? MISMATCH
                         : res.err == DEP_ERR_GUARD_MCP        ? REFUSED
                         : mcp.is_known                        ? KNOWN
                                                               : UNKNOWN;

        dep_test_check(t,
                       says == cases[i].says && dep_str_eq_c(mcp.method, cases[i].known_method) &&
                           dep_str_eq_c(mcp.name, cases[i].known_name),
                       __FILE__, __LINE__, "%s: %s, %.*s %.*s", cases[i].what, dep_err_name(res.err),
                       DEP_STR_ARG(mcp.method), DEP_STR_ARG(mcp.name));
    }
}

DEP_TEST(a_full_arena_is_not_a_message)
{
    static _Alignas(16) unsigned char memory[4096];
    struct dep_guard_mcp mcp;
    struct dep_arena small;
    size_t size = 0;
    struct dep_res res;

    do {
        dep_arena_init(&small, memory, size);
        res = dep_guard_mcp_read(&small, &(struct dep_guard_mcp_headers){ .version = DEP_STR("2025-06-18") },
                                 DEP_STR(CALL("search")), true, &mcp);
        if (!dep_is_ok(res))
            DEP_CHECK(t, res.err == DEP_ERR_ARENA_FULL);
        size += 16;
    } while (!dep_is_ok(res) && size <= sizeof(memory));
    DEP_CHECK_OK(t, res);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(decodes_header_values),
        DEP_ROW(reads_messages),
        DEP_ROW(a_full_arena_is_not_a_message),
    };
    int failed;

    dep_arena_init_debug(&arena, 16u << 20);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_arena_reset(&arena);
    return failed;
}

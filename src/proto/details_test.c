/* authorization_details: what is well-formed, and what covers a request. */
#include "proto/details.h"
#include "test/unit.h"

#define URL "https://api.example/orders/7"

static struct dep_arena arena;

static const struct {
    const char *json;
    bool is_good;
} forms[] = {
    { "[{\"type\":\"payment\"}]", true },
    { "[{\"type\":\"payment\",\"actions\":[\"read\"],\"locations\":[\"https://api.example\"],\"x\":{\"y\":1}}]", true },
    { "[{\"type\":\"a\"},{\"type\":\"b\",\"identifier\":\"7\",\"datatypes\":[],\"privileges\":[\"p\"]}]", true },
    { "[]", false },
    { "{\"type\":\"payment\"}", false },
    { "\"payment\"", false },
    { "[\"payment\"]", false },
    { "[{}]", false },
    { "[{\"type\":\"\"}]", false },
    { "[{\"type\":7}]", false },
    { "[{\"type\":\"a\"},null]", false },
    { "[{\"type\":\"a\",\"actions\":\"read\"}]", false },
    { "[{\"type\":\"a\",\"actions\":[7]}]", false },
    { "[{\"type\":\"a\",\"actions\":[\"\"]}]", false },
    { "[{\"type\":\"a\",\"locations\":{}}]", false },
    { "[{\"type\":\"a\",\"identifier\":[\"7\"]}]", false },
    { "[{\"type\":\"a\",\"privileges\":null}]", false },
};

DEP_TEST(reads_strictly)
{
    for (size_t i = 0; i < DEP_COUNT(forms); i++) {
        struct dep_json *json = NULL;

        DEP_CHECK_OK(t, dep_json_parse(&arena, dep_str_c(forms[i].json), 8, &json));
        dep_test_check(t, dep_is_ok(dep_details_check(json)) == forms[i].is_good, __FILE__, __LINE__, "%s",
                       forms[i].json);
    }
    DEP_CHECK(t, !dep_is_ok(dep_details_check(NULL)));
    dep_arena_reset(&arena);
}

DEP_TEST(is_bounded)
{
    static char text[DEP_DETAILS_BYTES_MAX + 256];
    struct dep_json *json = NULL;
    struct dep_buf buf;

    dep_buf_init(&buf, text, sizeof(text));
    for (unsigned i = 0; i <= DEP_DETAILS_MAX; i++)
        dep_buf_put_c(&buf, i == 0 ? "[{\"type\":\"a\"}" : ",{\"type\":\"a\"}");
    dep_buf_put_char(&buf, ']');
    DEP_CHECK_OK(t, dep_json_parse(&arena, dep_buf_str(&buf), 8, &json));
    DEP_CHECK(t, !dep_is_ok(dep_details_check(json)));

    dep_buf_init(&buf, text, sizeof(text));
    dep_buf_put_c(&buf, "[{\"type\":\"");
    while (buf.len < DEP_DETAILS_BYTES_MAX - 3)
        dep_buf_put_char(&buf, 'a');
    dep_buf_put_c(&buf, "\"}]");
    DEP_CHECK_OK(t, dep_json_parse(&arena, dep_buf_str(&buf), 8, &json));
    DEP_CHECK_OK(t, dep_details_check(json));
    text[buf.len - 3] = 'a';
    buf.len -= 2;
    dep_buf_put_c(&buf, "\"}]");
    DEP_CHECK_OK(t, dep_json_parse(&arena, dep_buf_str(&buf), 8, &json));
    DEP_CHECK(t, !dep_is_ok(dep_details_check(json)));
    dep_arena_reset(&arena);
}

static const struct dep_str read_action[] = { DEP_STR_INIT("read") };
static const struct dep_str two_actions[] = { DEP_STR_INIT("read"), DEP_STR_INIT("pay") };

static const struct {
    const char *json, *type;
    const struct dep_str *actions;
    size_t actions_count;
    bool needs_location, is_covered;
} demands[] = {
    { "[{\"type\":\"order\"}]", "order", NULL, 0, false, true },
    { "[{\"type\":\"order\"}]", "Order", NULL, 0, false, false },
    { "[{\"type\":\"order\"}]", "order", NULL, 0, true, false },
    { "[{\"type\":\"order\"}]", "order", read_action, 1, false, false },
    { "[{\"type\":\"order\",\"actions\":[\"pay\",\"read\"]}]", "order", two_actions, 2, false, true },
    { "[{\"type\":\"order\",\"actions\":[\"read\"]}]", "order", two_actions, 2, false, false },
    /* Two objects are two rights: they are not added up. */
    { "[{\"type\":\"order\",\"actions\":[\"read\"]},{\"type\":\"order\",\"actions\":[\"pay\"]}]", "order", two_actions,
      2, false, false },
    { "[{\"type\":\"a\"},{\"type\":\"order\",\"actions\":[\"read\"]}]", "order", read_action, 1, false, true },
    { "[{\"type\":\"order\",\"locations\":[\"" URL "\"]}]", "order", NULL, 0, true, true },
    { "[{\"type\":\"order\",\"locations\":[\"https://api.example\"]}]", "order", NULL, 0, true, true },
    { "[{\"type\":\"order\",\"locations\":[\"https://API.example:443/orders/\"]}]", "order", NULL, 0, true, true },
    { "[{\"type\":\"order\",\"locations\":[\"https://api.example/order\"]}]", "order", NULL, 0, true, false },
    { "[{\"type\":\"order\",\"locations\":[\"https://api.example/orders/71\"]}]", "order", NULL, 0, true, false },
    { "[{\"type\":\"order\",\"locations\":[\"https://api.example.evil\"]}]", "order", NULL, 0, true, false },
    { "[{\"type\":\"order\",\"locations\":[\"http://api.example\"]}]", "order", NULL, 0, true, false },
    { "[{\"type\":\"order\",\"locations\":[\"https://api.example/orders?x=1\"]}]", "order", NULL, 0, true, false },
    { "[{\"type\":\"order\",\"locations\":[\"orders\"]}]", "order", NULL, 0, true, false },
    /* Locations limit also where the rule does not ask for them; none is nowhere. */
    { "[{\"type\":\"order\",\"locations\":[\"https://other.example\"]}]", "order", NULL, 0, false, false },
    { "[{\"type\":\"order\",\"locations\":[]}]", "order", NULL, 0, false, false },
    { "[{\"type\":\"order\",\"locations\":[\"https://other.example\"]},{\"type\":\"order\"}]", "order", NULL, 0, false,
      true },
    { "[{\"type\":\"order\"}", "order", NULL, 0, false, false },
    { "[{\"type\":\"order\",\"actions\":7}]", "order", NULL, 0, false, false },
    { "", "order", NULL, 0, false, false },
    { "[{\"type\":\"order\"}]", "", NULL, 0, false, false },
};

DEP_TEST(covers_a_request)
{
    for (size_t i = 0; i < DEP_COUNT(demands); i++) {
        const struct dep_details_demand demand = { dep_str_c(demands[i].type), demands[i].actions,
                                                   demands[i].actions_count, demands[i].needs_location, DEP_STR(URL) };

        dep_test_check(t, dep_details_cover(&arena, dep_str_c(demands[i].json), &demand) == demands[i].is_covered,
                       __FILE__, __LINE__, "%zu: %s", i, demands[i].json);
    }
    DEP_CHECK(t, !dep_details_cover(&arena, DEP_STR_ABSENT,
                                    &(struct dep_details_demand){ .type = DEP_STR("order"), .url = DEP_STR(URL) }));
    dep_arena_reset(&arena);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(reads_strictly),
        DEP_ROW(is_bounded),
        DEP_ROW(covers_a_request),
    };
    int failed;

    dep_arena_init_debug(&arena, 4u << 20);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_arena_reset(&arena);
    return failed;
}

/* Claims by name and path; rules on them. */
#include "proto/claim.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[1 << 16];
static struct dep_arena arena;

#define CLAIMS                                                                                                \
    "{\"sub\":\"s\",\"kubernetes.io\":{\"namespace\":\"prod\",\"serviceaccount\":{\"name\":\"worker\"}},\"a/" \
    "b\":{\"c~d\":\"e\"},"                                                                                    \
    "\"list\":[\"x\"],\"kubernetes\":{\"io\":\"no\"},\"number\":1,\"id\":\"spiffe://acme.example/ns/prod/worker\"}"

static const struct {
    const char *name, *value;
    bool is_so;
} rows[] = {
    { "sub", "s", true },
    { "/sub", "s", true },
    { "/kubernetes.io/namespace", "prod", true },
    { "/kubernetes.io/serviceaccount/name", "worker", true },
    { "/a~1b/c~0d", "e", true },
    { "/kubernetes.io/namespace", "prod2", false },
    { "/kubernetes.io/namespace", "pro", false },
    { "kubernetes.io.namespace", "prod", false }, /* dots are part of names */
    { "/kubernetes/io", "no", true },
    { "/kubernetes.io", "prod", false },
    { "/kubernetes.io/namespace/x", "prod", false },
    { "/list/0", "x", false },
    { "list", "x", false },
    { "number", "1", false },
    { "none", "", false },
    { "id", "spiffe://acme.example/ns/prod/worker", true },
    { "id", "spiffe://acme.example/ns/prod/*", true },
    { "id", "spiffe://acme.example/*", true },
    { "id", "spiffe://acme.example/ns/pro/*", false },
    { "id", "spiffe://acme.example/ns/prod/worker/*", false },
    { "id", "spiffe://acme.example/ns/prod/work*", false },
    { "id", "spiffe://acme.exampl/*", false },
    { "sub", "*", false },
};

DEP_TEST(exact_and_by_path)
{
    struct dep_json *claims = NULL;

    dep_arena_reset(&arena);
    DEP_CHECK_OK(t, dep_json_parse(&arena, DEP_STR(CLAIMS), 16, &claims));
    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        dep_test_check(t, dep_claim_is(claims, dep_str_c(rows[i].name), dep_str_c(rows[i].value)) == rows[i].is_so,
                       __FILE__, __LINE__, "%s = %s", rows[i].name, rows[i].value);
}

/* What identity providers say of a user is often a list, or a boolean. */
DEP_TEST(lists_and_booleans)
{
    static const char text[] =
        "{\"groups\":[\"ops\",7,\"pay \\u00e9\",true],\"ok\":true,\"no\":false,\"text\":\"true\",\"n\":1,"
        "\"o\":{\"groups\":[[\"deep\"]]},\"empty\":[],\"one\":\"ops\"}";
    static const struct {
        const char *name, *value;
        bool is_so;
    } asked[] = {
        { "groups", "ops", true },      { "groups", "pay \xc3\xa9", true },
        { "groups", "7", false },       { "groups", "true", true },
        { "groups", "op", false },      { "ok", "true", true },
        { "ok", "false", false },       { "no", "false", true },
        { "text", "true", true },       { "n", "1", false },
        { "/o/groups", "deep", false }, { "o", "deep", false },
        { "empty", "ops", false },      { "one", "ops", true },
        { "none", "ops", false },       { "/groups/0", "ops", false },
    };
    struct dep_claim_terms both = { { DEP_STR("groups"), DEP_STR("ok") }, { DEP_STR("ops"), DEP_STR("true") }, 2 };
    struct dep_json *claims = NULL;

    dep_arena_reset(&arena);
    DEP_CHECK_OK(t, dep_json_parse(&arena, dep_str_c(text), 16, &claims));
    for (size_t i = 0; i < DEP_COUNT(asked); i++) {
        const struct dep_claim_terms one = { { dep_str_c(asked[i].name) }, { dep_str_c(asked[i].value) }, 1 };

        dep_test_check(t, dep_claims_have(claims, &one) == asked[i].is_so, __FILE__, __LINE__, "%s has %s",
                       asked[i].name, asked[i].value);
    }
    DEP_CHECK(t, dep_claims_have(claims, &both));
    both.values[1] = DEP_STR("false");
    DEP_CHECK(t, !dep_claims_have(claims, &both));
}

DEP_TEST(names_are_checked_when_a_rule_is_made)
{
    static const char *const good[] = { "sub", "kubernetes.io", "/a", "/a/b", "/~0~1", "a/b", "a~2" };
    static const char *const bad[] = { "", "/", "//", "/a/", "/a//b", "/a~", "/a~2", "/~" };

    for (size_t i = 0; i < DEP_COUNT(good); i++)
        dep_test_check(t, dep_claim_name_is_good(dep_str_c(good[i])), __FILE__, __LINE__, "%s", good[i]);
    for (size_t i = 0; i < DEP_COUNT(bad); i++)
        dep_test_check(t, !dep_claim_name_is_good(dep_str_c(bad[i])), __FILE__, __LINE__, "'%s'", bad[i]);
}

int main(void)
{
    static const struct dep_test_row table[] = {
        DEP_ROW(exact_and_by_path),
        DEP_ROW(lists_and_booleans),
        DEP_ROW(names_are_checked_when_a_rule_is_made),
    };

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_test_main(table, DEP_COUNT(table));
}

/* The rules of writes that happen once, row by row. */
#include "proto/idempotency.h"

#include <stddef.h>

#include "test/unit.h"

static struct dep_res key_of(struct dep_arena *arena, bool is_required, bool is_lenient, struct dep_str value,
                             struct dep_str *ret_key)
{
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();
    struct dep_header headers[] = { { DEP_STR("Host"), DEP_STR("x") }, { DEP_STR("idempotency-key"), value } };

    policy.is_required = is_required;
    policy.is_lenient = is_lenient;
    return dep_idempotency_key(arena, &policy, headers, 2, ret_key);
}

DEP_TEST(keys_as_they_come)
{
    static const struct {
        const char *value;
        const char *strict, *lenient; /* NULL: IDEMPOTENCY_SYNTAX */
    } rows[] = {
        { "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324",
          "8e03978e-40d5-43e8-bc93-6894a57f9324" },
        { "\"a b\";p=1", "a b", "a b" },
        { "8e03978e-40d5-43e8-bc93-6894a57f9324", NULL, "8e03978e-40d5-43e8-bc93-6894a57f9324" },
        { " key_1:/x= ", NULL, "key_1:/x=" },
        { "", NULL, NULL },
        { "  ", NULL, NULL },
        { "\"\"", NULL, NULL },
        { "a b", NULL, NULL },
        { "a,b", NULL, NULL },
        { "a;b", NULL, NULL },
        { "\"a", NULL, NULL },
        { "a\"b", NULL, NULL },
        { "\"a\", \"b\"", NULL, NULL },
        { "\xc3\xa9", NULL, NULL },
    };
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        for (int is_lenient = 0; is_lenient < 2; is_lenient++) {
            const char *wanted = is_lenient ? rows[i].lenient : rows[i].strict;
            struct dep_str key = DEP_STR("?");
            struct dep_res res = key_of(&arena, false, is_lenient, dep_str_c(rows[i].value), &key);

            DEP_CHECK(t, res.err == (wanted == NULL ? DEP_ERR_IDEMPOTENCY_SYNTAX : DEP_ERR_NONE));
            DEP_CHECK_STR(t, key, wanted == NULL ? "?" : wanted);
        }
    dep_arena_reset(&arena);
}

DEP_TEST(N05_missing_malformed_too_long_empty_or_repeated_keys)
{
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();
    const struct dep_header twice[] = { { DEP_STR("Idempotency-Key"), DEP_STR("\"a\"") },
                                        { DEP_STR("IDEMPOTENCY-KEY"), DEP_STR("\"a\"") } };
    struct dep_str key = DEP_STR("?");
    char longest[300];
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    memset(longest, 'k', sizeof(longest));
    longest[0] = longest[256] = '"';
    DEP_CHECK_OK(t, key_of(&arena, true, false, dep_str(longest, 257), &key));
    DEP_CHECK(t, key.len == 255);
    longest[256] = 'k';
    longest[257] = '"';
    DEP_CHECK_FAIL(t, key_of(&arena, true, false, dep_str(longest, 258), &key), IDEMPOTENCY_SYNTAX);
    DEP_CHECK_FAIL(t, key_of(&arena, true, true, dep_str(longest + 1, 256), &key), IDEMPOTENCY_SYNTAX);

    DEP_CHECK_FAIL(t, dep_idempotency_key(&arena, &policy, twice, 2, &key), HTTP_HEADER_DUPLICATE);
    DEP_CHECK_OK(t, dep_idempotency_key(&arena, &policy, twice, 1, &key));
    DEP_CHECK_STR(t, key, "a");
    DEP_CHECK_OK(t, dep_idempotency_key(&arena, &policy, twice, 0, &key));
    DEP_CHECK(t, dep_str_is_absent(key));
    policy.is_required = true;
    DEP_CHECK_FAIL(t, dep_idempotency_key(&arena, &policy, twice, 0, &key), IDEMPOTENCY_MISSING);
    dep_arena_reset(&arena);
}

static const struct dep_idempotency_request payment = {
    .realm = DEP_STR_INIT("https://api.example/"),
    .tenant = DEP_STR_INIT("https://as.example org_1"),
    .principal = DEP_STR_INIT("user:u1"),
    .client = DEP_STR_INIT("c1"),
    .chain = DEP_STR_INIT("agent:a agent:b"),
    .key = DEP_STR_INIT("key-1"),
    .method = DEP_STR_INIT("POST"),
    .target = DEP_STR_INIT("/payments?x=1"),
    .content_type = DEP_STR_INIT("application/json"),
    .body = DEP_STR_INIT("{\"amount\":1}"),
};

static struct dep_idempotency_names names_of(struct dep_test *t, const struct dep_idempotency_request *request,
                                             struct dep_str secret)
{
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_idempotency_names names;

    memset(&names, 0, sizeof(names));
    policy.secret = dep_secret_of(secret);
    DEP_CHECK_OK(t, dep_idempotency_name(crypto, &policy, request, &names));
    dep_crypto_free(crypto);
    return names;
}

#define SAME(a, b) (memcmp((a), (b), sizeof(a)) == 0)

/* Changes one text of the request at a time. */
DEP_TEST(N04_a_key_is_its_callers_alone)
{
    static const size_t members[] = {
        offsetof(struct dep_idempotency_request, realm),     offsetof(struct dep_idempotency_request, tenant),
        offsetof(struct dep_idempotency_request, principal), offsetof(struct dep_idempotency_request, client),
        offsetof(struct dep_idempotency_request, chain),
    };
    static const char *const others[] = { "other", "user:u1c1", "user:u" };
    struct dep_idempotency_names first = names_of(t, &payment, DEP_STR("s")),
                                 again = names_of(t, &payment, DEP_STR("s"));

    DEP_CHECK(t, memcmp(&first, &again, sizeof(first)) == 0);
    for (size_t i = 0; i < DEP_COUNT(members); i++)
        for (size_t k = 0; k < DEP_COUNT(others); k++) {
            struct dep_idempotency_request request = payment;
            struct dep_idempotency_names names;

            *(struct dep_str *)(void *)((char *)&request + members[i]) = dep_str_c(others[k]);
            names = names_of(t, &request, DEP_STR("s"));
            DEP_CHECK(t, !SAME(first.scope, names.scope) && !SAME(first.caller, names.caller));
            DEP_CHECK(t, !SAME(first.seal, names.seal) && SAME(first.fingerprint, names.fingerprint));
        }
}

DEP_TEST(texts_do_not_run_into_each_other)
{
    struct dep_idempotency_request one = payment, two = payment;
    struct dep_idempotency_names names[2];

    one.client = DEP_STR("ab");
    one.chain = DEP_STR("c");
    two.client = DEP_STR("a");
    two.chain = DEP_STR("bc");
    names[0] = names_of(t, &one, DEP_STR(""));
    names[1] = names_of(t, &two, DEP_STR(""));
    DEP_CHECK(t, !SAME(names[0].scope, names[1].scope) && !SAME(names[0].caller, names[1].caller));
    one.chain = DEP_STR("");
    two = one;
    two.chain = DEP_STR_ABSENT;
    names[0] = names_of(t, &one, DEP_STR(""));
    names[1] = names_of(t, &two, DEP_STR(""));
    DEP_CHECK(t, !SAME(names[0].scope, names[1].scope));
}

DEP_TEST(blank_is_nobody)
{
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_idempotency_request request = payment;
    struct dep_idempotency_names names;

    request.principal = DEP_STR("");
    DEP_CHECK_FAIL(t, dep_idempotency_name(crypto, &policy, &request, &names), IDEMPOTENCY_CALLER);
    request.principal = DEP_STR_ABSENT;
    DEP_CHECK_FAIL(t, dep_idempotency_name(crypto, &policy, &request, &names), IDEMPOTENCY_CALLER);
    request = payment;
    request.realm = DEP_STR("");
    DEP_CHECK_FAIL(t, dep_idempotency_name(crypto, &policy, &request, &names), IDEMPOTENCY_CALLER);
    DEP_CHECK_OK(t, dep_idempotency_name(crypto, &policy, &payment, &names));
    dep_crypto_free(crypto);
}

DEP_TEST(the_seal_needs_key_and_secret)
{
    struct dep_idempotency_request request = payment;
    struct dep_idempotency_names first = names_of(t, &payment, DEP_STR("s")), names;

    names = names_of(t, &payment, DEP_STR("other"));
    DEP_CHECK(t, !SAME(first.seal, names.seal) && SAME(first.scope, names.scope) && SAME(first.caller, names.caller));
    request.key = DEP_STR("key-2");
    names = names_of(t, &request, DEP_STR("s"));
    DEP_CHECK(t, !SAME(first.seal, names.seal) && !SAME(first.scope, names.scope) && SAME(first.caller, names.caller));
    DEP_CHECK(t, !SAME(first.scope, first.seal) && !SAME(first.scope, first.caller));
}

DEP_TEST(N02_another_method_path_query_type_or_body_is_another_request)
{
    static const size_t members[] = {
        offsetof(struct dep_idempotency_request, method),
        offsetof(struct dep_idempotency_request, target),
        offsetof(struct dep_idempotency_request, content_type),
        offsetof(struct dep_idempotency_request, body),
    };
    static const char *const others[] = { "PUT", "/payments?x=2", "/payments/2", "" };
    struct dep_idempotency_names first = names_of(t, &payment, DEP_STR(""));

    for (size_t i = 0; i < DEP_COUNT(members); i++)
        for (size_t k = 0; k < DEP_COUNT(others); k++) {
            struct dep_idempotency_request request = payment;
            struct dep_idempotency_names names;

            *(struct dep_str *)(void *)((char *)&request + members[i]) = dep_str_c(others[k]);
            names = names_of(t, &request, DEP_STR(""));
            DEP_CHECK(t, SAME(first.scope, names.scope) && !SAME(first.fingerprint, names.fingerprint));
        }
}

DEP_TEST(a_retry_signs_a_new_assertion)
{
    static const struct {
        const char *body;
        bool is_same;
    } rows[] = {
        { "a=1&client_assertion=xxx&b=2", true },
        { "a=1&client_assertion=yyyy.zz&b=2", true },
        { "a=1&client%5Fassertion=q&b=2", true },
        { "a=1&%63lient%5fassertion=q&b=2", true },
        { "a=1&client_assertion&b=2", true },
        { "client_assertion=1&a=1&b=2", true },
        { "a=1&b=2", true },
        { "a=1&client_assertion=x&client_assertion=y&b=2", true },
        { "a=1&client_assertion_type=x&b=2", false },
        { "a=1&client_assertio=x&b=2", false },
        { "a=1&client%5assertion=x&b=2", false },
        { "a=1&client%ZZassertion=x&b=2", false },
        { "a=1&b=3&client_assertion=xxx", false },
        { "b=2&a=1", false },
    };
    struct dep_idempotency_request request = payment;
    struct dep_idempotency_names first, names;

    request.content_type = DEP_STR("application/x-www-form-urlencoded");
    request.body = DEP_STR("a=1&b=2");
    first = names_of(t, &request, DEP_STR(""));
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        request.body = dep_str_c(rows[i].body);
        names = names_of(t, &request, DEP_STR(""));
        dep_test_check(t, SAME(first.fingerprint, names.fingerprint) == rows[i].is_same, __FILE__, __LINE__, "%s",
                       rows[i].body);
    }
    /* only in forms */
    request.content_type = DEP_STR("text/plain");
    request.body = DEP_STR("client_assertion=1");
    first = names_of(t, &request, DEP_STR(""));
    request.body = DEP_STR("client_assertion=2");
    names = names_of(t, &request, DEP_STR(""));
    DEP_CHECK(t, !SAME(first.fingerprint, names.fingerprint));
}

DEP_TEST(a_form_of_nothing_but_assertions)
{
    static const char more[] =
        "client_assertion=1&client_assertion=2&client_assertion=3&client_assertion=4&client_assertion=5&"
        "client_assertion=6&client_assertion=7&client_assertion=8";
    struct dep_idempotency_request request = payment;
    struct dep_idempotency_names none, eight, nine, other;
    char text[256];

    request.content_type = DEP_STR("application/x-www-form-urlencoded");
    request.body = DEP_STR("");
    none = names_of(t, &request, DEP_STR(""));
    request.body = dep_str_c(more);
    eight = names_of(t, &request, DEP_STR(""));
    DEP_CHECK(t, SAME(none.fingerprint, eight.fingerprint));
    (void)snprintf(text, sizeof(text), "%s&client_assertion=9", more);
    request.body = dep_str_c(text);
    nine = names_of(t, &request, DEP_STR(""));
    text[strlen(text) - 1] = 'X';
    other = names_of(t, &request, DEP_STR(""));
    DEP_CHECK(t, !SAME(nine.fingerprint, eight.fingerprint) && !SAME(nine.fingerprint, other.fingerprint));
}

DEP_TEST(decisions)
{
    static const struct {
        const char *name;
        enum dep_idempotency_state state;
        bool is_same, is_alive, has_answer;
        int64_t age;
        enum dep_idempotency_verdict verdict;
        enum dep_err reason;
    } rows[] = {
        { "nothing there", DEP_IDEMPOTENCY_NEW, true, true, false, 0, DEP_IDEMPOTENCY_RUN, DEP_ERR_NONE },
        { "N03 running", DEP_IDEMPOTENCY_BEGUN, true, true, false, 900, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_IN_FLIGHT },
        { "running for too long", DEP_IDEMPOTENCY_BEGUN, true, true, false, 901, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_UNKNOWN },
        { "its process died", DEP_IDEMPOTENCY_BEGUN, true, false, false, 0, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_UNKNOWN },
        { "the clock was set back", DEP_IDEMPOTENCY_BEGUN, true, true, false, -5000, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_IN_FLIGHT },
        { "lost", DEP_IDEMPOTENCY_LOST, true, true, false, 0, DEP_IDEMPOTENCY_REFUSE, DEP_ERR_IDEMPOTENCY_UNKNOWN },
        { "done", DEP_IDEMPOTENCY_DONE, true, false, true, 5000, DEP_IDEMPOTENCY_REPLAY, DEP_ERR_NONE },
        { "done, not kept", DEP_IDEMPOTENCY_DONE, true, false, false, 0, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_NOT_KEPT },
        { "N02 other, running", DEP_IDEMPOTENCY_BEGUN, false, true, false, 0, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_REUSED },
        { "N02 other, lost", DEP_IDEMPOTENCY_LOST, false, false, false, 0, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_REUSED },
        { "N02 other, done", DEP_IDEMPOTENCY_DONE, false, false, true, 0, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_REUSED },
        { "N02 other, not kept", DEP_IDEMPOTENCY_DONE, false, false, false, 0, DEP_IDEMPOTENCY_REFUSE,
          DEP_ERR_IDEMPOTENCY_REUSED },
    };
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();
    struct dep_idempotency_names names = names_of(t, &payment, DEP_STR(""));

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_idempotency_entry entry = { .state = rows[i].state,
                                               .begun = 5000,
                                               .is_owner_alive = rows[i].is_alive };
        struct dep_idempotency_decision decision;

        memcpy(entry.fingerprint, names.fingerprint, sizeof(entry.fingerprint));
        if (!rows[i].is_same)
            entry.fingerprint[31] ^= 1;
        if (rows[i].has_answer)
            entry.answer = DEP_STR("");
        decision = dep_idempotency_decide(&policy, &names, &entry, 5000 + rows[i].age);
        dep_test_check(t, decision.verdict == rows[i].verdict && decision.reason == rows[i].reason, __FILE__, __LINE__,
                       "%s: %s", rows[i].name, dep_err_name(decision.reason));
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(keys_as_they_come),
        DEP_ROW(N05_missing_malformed_too_long_empty_or_repeated_keys),
        DEP_ROW(N04_a_key_is_its_callers_alone),
        DEP_ROW(texts_do_not_run_into_each_other),
        DEP_ROW(blank_is_nobody),
        DEP_ROW(the_seal_needs_key_and_secret),
        DEP_ROW(N02_another_method_path_query_type_or_body_is_another_request),
        DEP_ROW(a_retry_signs_a_new_assertion),
        DEP_ROW(a_form_of_nothing_but_assertions),
        DEP_ROW(decisions),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Answers at rest. */
#include "proto/idempotency_answer.h"

#include "test/unit.h"

static struct dep_idempotency_names some_names(void)
{
    struct dep_idempotency_names names;

    memset(&names, 7, sizeof(names));
    memset(names.seal, 9, sizeof(names.seal));
    return names;
}

static struct dep_idempotency_answer some_answer(void)
{
    struct dep_idempotency_answer answer = { .status = 201, .body = DEP_STR("{\"access_token\":\"secret-token\"}") };

    DEP_ASSERT(dep_idempotency_answer_header(&answer, DEP_STR("Content-Type"), DEP_STR("application/json")));
    DEP_ASSERT(dep_idempotency_answer_header(&answer, DEP_STR("Set-Cookie"), DEP_STR("a=b")));
    DEP_ASSERT(dep_idempotency_answer_header(&answer, DEP_STR("LOCATION"), DEP_STR("/payments/1")));
    return answer;
}

DEP_TEST(what_goes_in_comes_out)
{
    struct dep_idempotency_names names = some_names();
    struct dep_idempotency_answer answer = some_answer(), got;
    struct dep_arena arena;
    struct dep_str sealed;

    dep_arena_init_debug(&arena, 8192);
    DEP_CHECK_OK(t, dep_idempotency_answer_seal(&arena, &names, &answer, &sealed));
    DEP_CHECK_OK(t, dep_idempotency_answer_open(&arena, &names, sealed, &got));
    DEP_CHECK(t, got.status == 201 && got.headers_count == 2);
    DEP_CHECK_STR(t, got.headers[0].name, "Content-Type");
    DEP_CHECK_STR(t, got.headers[1].value, "/payments/1");
    DEP_CHECK_STR(t, got.body, "{\"access_token\":\"secret-token\"}");

    answer = (struct dep_idempotency_answer){ .status = 204, .body = DEP_STR("") };
    DEP_CHECK_OK(t, dep_idempotency_answer_seal(&arena, &names, &answer, &sealed));
    DEP_CHECK_OK(t, dep_idempotency_answer_open(&arena, &names, sealed, &got));
    DEP_CHECK(t, got.status == 204 && got.headers_count == 0 && got.body.len == 0);
    dep_arena_reset(&arena);
}

DEP_TEST(N08_a_token_in_an_answer_is_not_readable_at_rest)
{
    struct dep_idempotency_names names = some_names(), other = names;
    struct dep_idempotency_answer answer = some_answer(), got;
    struct dep_arena arena;
    struct dep_str sealed, changed;

    dep_arena_init_debug(&arena, 16384);
    DEP_CHECK_OK(t, dep_idempotency_answer_seal(&arena, &names, &answer, &sealed));
    DEP_CHECK(t, memmem(sealed.ptr, sealed.len, "secret-token", 12) == NULL &&
                     memmem(sealed.ptr, sealed.len, "json", 4) == NULL);
    DEP_CHECK_OK(t, dep_idempotency_answer_open(&arena, &names, sealed, &got));
    other.seal[0] ^= 1;
    DEP_CHECK_FAIL(t, dep_idempotency_answer_open(&arena, &other, sealed, &got), CRYPTO_SEAL);
    other = names;
    other.scope[0] ^= 1; /* moved to another entry */
    DEP_CHECK_FAIL(t, dep_idempotency_answer_open(&arena, &other, sealed, &got), CRYPTO_SEAL);
    changed = dep_arena_dup(&arena, sealed);
    ((char *)(uintptr_t)changed.ptr)[30] ^= 1;
    DEP_CHECK_FAIL(t, dep_idempotency_answer_open(&arena, &names, changed, &got), CRYPTO_SEAL);
    DEP_CHECK_FAIL(t, dep_idempotency_answer_open(&arena, &names, dep_str_sub(sealed, 0, 20), &got), CRYPTO_SEAL);
    DEP_CHECK_FAIL(t, dep_idempotency_answer_open(&arena, &names, DEP_STR(""), &got), CRYPTO_SEAL);
    dep_arena_reset(&arena);
}

/* Sealed by whoever has the key, but no answer. */
DEP_TEST(what_is_no_answer_is_not_opened)
{
    static const struct dep_str rows[] = {
        DEP_STR_INIT(""),
        DEP_STR_INIT("\0"),
        DEP_STR_INIT("\0\xc8"),
        DEP_STR_INIT("\0\0\0"),
        DEP_STR_INIT("\xff\xff\0"),
        DEP_STR_INIT("\0\xc8\x01"),
        DEP_STR_INIT("\0\xc8\x01\0\0\0\x01"),
        DEP_STR_INIT("\0\xc8\x01\0\0\0\x01x\0\0\0\x09y"),
        DEP_STR_INIT("\0\xc8\x11"),
        DEP_STR_INIT("\0\xc8\x01\xff\xff\xff\xffx"),
    };
    struct dep_idempotency_names names = some_names();
    struct dep_secret key = dep_secret(names.seal, sizeof(names.seal));
    struct dep_str context = dep_str((const char *)names.scope, sizeof(names.scope)), sealed;
    struct dep_idempotency_answer got;
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 8192);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        DEP_CHECK_OK(t, dep_seal(key, context, dep_secret_of(rows[i]), &arena, &sealed));
        DEP_CHECK_FAIL(t, dep_idempotency_answer_open(&arena, &names, sealed, &got), CRYPTO_SEAL);
    }
    DEP_CHECK_OK(
        t, dep_seal(key, context, dep_secret_of(DEP_STR("\0\xc8\x01\0\0\0\x01x\0\0\0\x01yBODY")), &arena, &sealed));
    DEP_CHECK_OK(t, dep_idempotency_answer_open(&arena, &names, sealed, &got));
    DEP_CHECK_STR(t, got.body, "BODY");
    dep_arena_reset(&arena);
}

DEP_TEST(headers_that_are_kept)
{
    static const char *const kept[] = {
        "content-type", "ETag", "Location", "Content-Language", "Cache-Control", "Link"
    };
    static const char *const dropped[] = { "Set-Cookie",
                                           "set-cookie2",
                                           "Connection",
                                           "Transfer-Encoding",
                                           "Content-Length",
                                           "Date",
                                           "WWW-Authenticate",
                                           "DPoP-Nonce",
                                           "Authorization",
                                           "Server",
                                           "Keep-Alive",
                                           "Trailer",
                                           "Upgrade",
                                           "Proxy-Authenticate",
                                           "Deputy-Decision",
                                           "Idempotency-Replayed",
                                           "",
                                           "X-Other" };
    struct dep_idempotency_answer answer = { .status = 200 };

    for (size_t i = 0; i < DEP_COUNT(kept); i++)
        DEP_CHECK(t, dep_idempotency_keeps(dep_str_c(kept[i])));
    for (size_t i = 0; i < DEP_COUNT(dropped); i++)
        DEP_CHECK(t, !dep_idempotency_keeps(dep_str_c(dropped[i])));
    for (size_t i = 0; i < DEP_IDEMPOTENCY_HEADERS_MAX; i++)
        DEP_CHECK(t, dep_idempotency_answer_header(&answer, DEP_STR("Link"), DEP_STR("<a>")));
    DEP_CHECK(t, !dep_idempotency_answer_header(&answer, DEP_STR("Link"), DEP_STR("<a>")));
    DEP_CHECK(t, dep_idempotency_answer_header(&answer, DEP_STR("Date"), DEP_STR("now")));
}

DEP_TEST(an_arena_that_is_too_small)
{
    struct dep_idempotency_names names = some_names();
    struct dep_idempotency_answer answer = some_answer();
    size_t limit = 0;
    struct dep_res res;

    do {
        struct dep_arena arena;
        struct dep_str sealed;

        dep_arena_init_debug(&arena, limit);
        res = dep_idempotency_answer_seal(&arena, &names, &answer, &sealed);
        if (dep_is_ok(res))
            res = dep_idempotency_answer_open(&arena, &names, sealed, &answer);
        DEP_CHECK(t, dep_is_ok(res) || res.err == DEP_ERR_ARENA_FULL);
        dep_arena_reset(&arena);
        limit += 16;
    } while (!dep_is_ok(res) && limit < 65536);
    DEP_CHECK_OK(t, res);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(what_goes_in_comes_out),          DEP_ROW(N08_a_token_in_an_answer_is_not_readable_at_rest),
        DEP_ROW(what_is_no_answer_is_not_opened), DEP_ROW(headers_that_are_kept),
        DEP_ROW(an_arena_that_is_too_small),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

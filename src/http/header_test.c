/* Header values: credentials, Basic, media types, challenges. */
#include "http/header.h"

#include "base/b64.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[65536];

DEP_TEST(one_value_of_a_header)
{
    static const struct dep_header headers[] = { { DEP_STR_INIT("Authorization"), DEP_STR_INIT("Bearer x") },
                                                 { DEP_STR_INIT("DPoP"), DEP_STR_INIT("a") },
                                                 { DEP_STR_INIT("dpop"), DEP_STR_INIT("b") },
                                                 { DEP_STR_INIT("X-Empty"), DEP_STR_INIT("") } };
    struct dep_str value = DEP_STR("untouched");

    DEP_CHECK_OK(t, dep_header_one(headers, 4, DEP_STR("AUTHORIZATION"), &value));
    DEP_CHECK_STR(t, value, "Bearer x");
    DEP_CHECK_FAIL(t, dep_header_one(headers, 4, DEP_STR("DPoP"), &value), HTTP_HEADER_DUPLICATE);
    DEP_CHECK_STR(t, value, "Bearer x");
    DEP_CHECK_OK(t, dep_header_one(headers, 4, DEP_STR("x-empty"), &value));
    DEP_CHECK(t, !dep_str_is_absent(value) && value.len == 0);
    DEP_CHECK_OK(t, dep_header_one(headers, 4, DEP_STR("Host"), &value));
    DEP_CHECK(t, dep_str_is_absent(value));
    DEP_CHECK(t,
              dep_header_count(headers, 4, DEP_STR("DPOP")) == 2 && dep_header_count(headers, 4, DEP_STR("DPo")) == 0);
}

static void check_credentials(struct dep_test *t, struct dep_str text, const char *scheme, const char *token)
{
    struct dep_credentials credentials;
    struct dep_res res = dep_credentials_parse(text, &credentials);

    if (scheme == NULL) {
        dep_test_check(t, res.err == DEP_ERR_HTTP_AUTHORIZATION, __FILE__, __LINE__, "\"%.*s\" is taken",
                       DEP_STR_ARG(text));
        return;
    }
    DEP_CHECK_OK(t, res);
    if (!dep_is_ok(res))
        return;
    DEP_CHECK_STR(t, credentials.scheme, scheme);
    DEP_CHECK_STR(t, credentials.token, token);
}

DEP_TEST(A59_credentials)
{
    check_credentials(t, DEP_STR("Bearer x"), "Bearer", "x");
    check_credentials(t, DEP_STR("bearer x"), "bearer", "x");
    check_credentials(t, DEP_STR("BEARER x"), "BEARER", "x");
    check_credentials(t, DEP_STR("Bearer  x"), "Bearer", "x");
    check_credentials(t, DEP_STR("Basic YTpi"), "Basic", "YTpi");
    check_credentials(t, DEP_STR("DPoP ey.J_-~+/x=="), "DPoP", "ey.J_-~+/x==");
    check_credentials(t, DEP_STR_ABSENT, NULL, NULL);
    check_credentials(t, DEP_STR(""), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer "), NULL, NULL);
    check_credentials(t, DEP_STR(" Bearer x"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer x y"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer \tx"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer\tx"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer x "), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer x,y"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer x, Bearer y"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer =x"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer x=y"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer \"x\""), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer x\0"), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer\0 x"), NULL, NULL);
    check_credentials(t, DEP_STR("Bea:rer x"), NULL, NULL);
    check_credentials(t, DEP_STR("Digest a=\"b\""), NULL, NULL);
    check_credentials(t, DEP_STR("Bearer \xc3\xa4"), NULL, NULL);
}

/* Encodes `pair` and parses it; `user` NULL: refused. */
static void check_basic(struct dep_test *t, struct dep_str pair, const char *user, const char *password)
{
    struct dep_arena arena;
    char text[1024];
    struct dep_buf buf;
    struct dep_str got_user;
    struct dep_secret got_password;

    dep_arena_init(&arena, memory, sizeof(memory));
    dep_buf_init(&buf, text, sizeof(text));
    dep_b64_put(&buf, pair.ptr, pair.len);

    struct dep_res res = dep_basic_parse(&arena, dep_buf_str(&buf), &got_user, &got_password);

    if (user == NULL) {
        dep_test_check(t, res.err == DEP_ERR_CLIENT_BASIC, __FILE__, __LINE__, "\"%.*s\" gives %s", DEP_STR_ARG(pair),
                       dep_err_name(res.err));
        return;
    }
    DEP_CHECK_OK(t, res);
    if (!dep_is_ok(res))
        return;
    DEP_CHECK_STR(t, got_user, user);
    DEP_CHECK_STR(t, dep_str((const char *)got_password.bytes, got_password.len), password);
}

/* Every byte at every place of a long token. */
DEP_TEST(A59_characters_of_a_token)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
    char value[80] = "Bearer ";
    struct dep_credentials got;

    for (size_t at = 7; at < sizeof(value); at++)
        for (unsigned c = 0; c < 256; c++) {
            bool is_good = (c != 0 && strchr(good, (int)c) != NULL) || (c == '=' && at == sizeof(value) - 1) ||
                           (c == ' ' && at == 7); /* one more before the token */

            memset(value + 7, 'x', sizeof(value) - 7);
            value[at] = (char)c;
            if (dep_is_ok(dep_credentials_parse(dep_str(value, sizeof(value)), &got)) != is_good)
                dep_test_check(t, false, __FILE__, __LINE__, "byte %u at %zu", c, at);
        }
    DEP_CHECK_OK(t, dep_credentials_parse(DEP_STR("Bearer x=="), &got));
    DEP_CHECK(t, !dep_is_ok(dep_credentials_parse(DEP_STR("Bearer =="), &got)));
    DEP_CHECK(t, !dep_is_ok(dep_credentials_parse(DEP_STR("Bearer x=x="), &got)));
}

DEP_TEST(basic_credentials)
{
    check_basic(t, DEP_STR("id:secret"), "id", "secret");
    check_basic(t, DEP_STR("id:"), "id", "");
    check_basic(t, DEP_STR(":secret"), "", "secret");
    check_basic(t, DEP_STR("id:a:b"), "id", "a:b");
    check_basic(t, DEP_STR("https%3A%2F%2Fc%2F:se%2Bcret+x"), "https://c/", "se+cret x");
    /* Clients that do not encode. */
    check_basic(t, DEP_STR("id:100%"), "id", "100%");
    check_basic(t, DEP_STR("id:%zz+"), "id", "%zz+");
    check_basic(t, DEP_STR("i%d:x"), "i%d", "x");
    check_basic(t, DEP_STR("\xc3\xa4:\xc3\xb6"), "\xc3\xa4", "\xc3\xb6");
    check_basic(t, DEP_STR("id"), NULL, NULL);
    check_basic(t, DEP_STR(""), NULL, NULL);
    check_basic(t, DEP_STR("id:a\0b"), NULL, NULL);
    check_basic(t, DEP_STR("i\nd:x"), NULL, NULL);
    check_basic(t, DEP_STR("id%0a:x"), NULL, NULL);
    check_basic(t, DEP_STR("id:\x7f"), NULL, NULL);
    check_basic(t, DEP_STR("\xff:x"), NULL, NULL);
}

DEP_TEST(C22_odd_client_ids_stay_text)
{
    check_basic(t, DEP_STR("' OR 1=1 --:x"), "' OR 1=1 --", "x");
    check_basic(t, DEP_STR("a\";_*()\\%:x"), "a\";_*()\\%", "x");
}

DEP_TEST(basic_is_strict_base64)
{
    static const char *const rows[] = { "",         "a",        "aWQ6eA",    "aWQ6eA=", "aWQ6eA===",
                                        "aWQ6e_==", "aWQ6eB==", "aWQ6 eA==", "====" };
    struct dep_arena arena;
    struct dep_str user;
    struct dep_secret password;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_OK(t, dep_basic_parse(&arena, DEP_STR("aWQ6eA=="), &user, &password));
    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        dep_test_check(t, dep_basic_parse(&arena, dep_str_c(rows[i]), &user, &password).err == DEP_ERR_CLIENT_BASIC,
                       __FILE__, __LINE__, "\"%s\" is taken", rows[i]);
}

#define FORM "application/x-www-form-urlencoded"

DEP_TEST(K21_media_types)
{
    static const struct {
        const char *text;
        bool is_form;
    } rows[] = {
        { FORM, true },
        { "Application/X-WWW-Form-URLEncoded", true },
        { FORM "; charset=utf-8", true },
        { FORM ";charset=UTF-8", true },
        { FORM " ; Charset=\"utf-8\"", true },
        { FORM "; charset=", false },
        { FORM "; charset=utf-16", false },
        { FORM "; charset=utf-7", false },
        { FORM "; charset=iso-8859-1", false },
        { FORM "; charset=utf-8; charset=utf-7", false },
        { FORM "; boundary=x", false },
        { FORM ";", false },
        { FORM ", " FORM, false },
        { FORM "x", false },
        { "application/x-www-form-urlencode", false },
        { "text/plain", false },
        { "multipart/form-data; boundary=x", false },
        { "application/json", false },
        { "", false },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        dep_test_check(t, dep_media_type_is(dep_str_c(rows[i].text), DEP_STR(FORM)) == rows[i].is_form, __FILE__,
                       __LINE__, "\"%s\"", rows[i].text);
    DEP_CHECK(t, !dep_media_type_is(DEP_STR_ABSENT, DEP_STR(FORM)));
    DEP_CHECK(t, !dep_media_type_is(DEP_STR(FORM "\0"), DEP_STR(FORM)));
}

DEP_TEST(challenges_on_one_line)
{
    struct dep_buf buf;
    char text[512];

    dep_buf_init(&buf, text, sizeof(text));
    dep_challenge_put(&buf, &(struct dep_challenge){ .scheme = "Bearer",
                                                     .error = DEP_STR("invalid_token"),
                                                     .error_description = DEP_STR("a \"quoted\"\r\n\\ text \xc3\xa4"),
                                                     .scope = DEP_STR("read write"),
                                                     .resource_metadata = DEP_STR("https://api/.well-known/x") });
    dep_challenge_put(&buf, &(struct dep_challenge){ .scheme = "DPoP", .algs = DEP_STR("ES256 EdDSA") });
    dep_challenge_put(&buf, &(struct dep_challenge){ .scheme = "Basic" });
    DEP_CHECK_STR(t, dep_buf_str(&buf),
                  "Bearer error=\"invalid_token\", error_description=\"a ?quoted????"
                  " text ??\", scope=\"read write\", resource_metadata=\"https://api/.well-known/x\", DPoP "
                  "algs=\"ES256 EdDSA\", Basic");
}

DEP_TEST(error_text_keeps_to_its_characters)
{
    struct dep_buf buf;
    char text[300];
    char all[256];

    for (unsigned i = 0; i < 256; i++)
        all[i] = (char)i;
    dep_buf_init(&buf, text, sizeof(text));
    dep_put_error_text(&buf, dep_str(all, sizeof(all)));
    for (unsigned i = 0; i < 256; i++) {
        bool may_stay = i >= 0x20 && i <= 0x7e && i != '"' && i != '\\';

        DEP_CHECK(t, text[i] == (may_stay ? (char)i : '?'));
    }
}

DEP_TEST(a_full_buffer_fails)
{
    struct dep_buf buf;
    char text[8];

    dep_buf_init(&buf, text, sizeof(text));
    dep_challenge_put(&buf, &(struct dep_challenge){ .scheme = "Bearer", .error = DEP_STR("x") });
    DEP_CHECK(t, dep_str_is_absent(dep_buf_str(&buf)));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(one_value_of_a_header),
        DEP_ROW(A59_credentials),
        DEP_ROW(A59_characters_of_a_token),
        DEP_ROW(basic_credentials),
        DEP_ROW(C22_odd_client_ids_stay_text),
        DEP_ROW(basic_is_strict_base64),
        DEP_ROW(K21_media_types),
        DEP_ROW(challenges_on_one_line),
        DEP_ROW(error_text_keeps_to_its_characters),
        DEP_ROW(a_full_buffer_fails),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

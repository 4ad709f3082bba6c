/* Claims: their form, their times and their audience. */
#include <pthread.h>
#include <stdlib.h>

#include "jose/door.h"

#define CLAIMS_EXP(exp) "{\"exp\":" exp ",\"aud\":\"https://rs1/\",\"sub\":\"agent:1\"}"
#define CLAIMS_AUD(aud) "{\"exp\":1700000300,\"aud\":" aud ",\"sub\":\"agent:1\"}"
#define CLAIMS_SUB(sub) "{\"exp\":1700000300,\"aud\":\"https://rs1/\",\"sub\":" sub "}"
#define CLAIMS_WITH(more) "{\"exp\":1700000300,\"aud\":\"https://rs1/\",\"sub\":\"agent:1\"," more "}"

DEP_TEST(A41_duplicate_members)
{
    static const struct door_row headers[] = {
        { "{\"alg\":\"ES256\",\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", DEP_ERR_JSON_DUPLICATE },
        { "{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"alg\":\"ES256\"}", DEP_ERR_JSON_DUPLICATE },
        { "{\"alg\":\"ES256\",\"a\\u006cg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", DEP_ERR_JSON_DUPLICATE },
        { "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"kid\":\"k2\"}", DEP_ERR_JSON_DUPLICATE },
    };
    static const struct door_row claims[] = {
        { CLAIMS_WITH("\"exp\":1700000300"), DEP_ERR_JSON_DUPLICATE },
        { CLAIMS_WITH("\"aud\":\"https://rs1/\""), DEP_ERR_JSON_DUPLICATE },
        { CLAIMS_WITH("\"\\u0061ud\":\"https://rs2/\""), DEP_ERR_JSON_DUPLICATE },
        { CLAIMS_WITH("\"sub\":\"agent:2\""), DEP_ERR_JSON_DUPLICATE },
        { CLAIMS_WITH("\"scope\":\"a\",\"scope\":\"b\""), DEP_ERR_JSON_DUPLICATE },
        { CLAIMS_WITH("\"act\":{\"sub\":\"a\",\"sub\":\"b\"}"), DEP_ERR_JSON_DUPLICATE },
        { CLAIMS_WITH("\"act\":{\"sub\":\"a\"}"), DEP_ERR_NONE },
    };

    door_headers(t, headers, DEP_COUNT(headers));
    door_claims(t, claims, DEP_COUNT(claims));
}

DEP_TEST(A42_members_in_another_case)
{
    static const struct door_row rows[] = {
        { "{\"Exp\":1700000300,\"aud\":\"https://rs1/\",\"sub\":\"agent:1\"}", DEP_ERR_JWT_MISSING },
        { "{\"exp\":1700000300,\"AUD\":\"https://rs1/\",\"sub\":\"agent:1\"}", DEP_ERR_JWT_MISSING },
        { "{\"exp\":1700000300,\"aud\":\"https://rs1/\",\"Sub\":\"agent:1\"}", DEP_ERR_JSON_MISSING },
        { "{}", DEP_ERR_JWT_MISSING },
    };

    door_claims(t, rows, DEP_COUNT(rows));
}

DEP_TEST(A43_payloads_that_are_not_utf8)
{
    static const struct door_row rows[] = {
        { "\xEF\xBB\xBF" DOOR_CLAIMS, DEP_ERR_JSON_SYNTAX },
        { CLAIMS_WITH("\"x\":\"\xC0\x80\""), DEP_ERR_JSON_UTF8 },
        { CLAIMS_WITH("\"x\":\"\xED\xA0\x80\""), DEP_ERR_JSON_UTF8 },
        { CLAIMS_WITH("\"x\":\"\xF5\x80\x80\x80\""), DEP_ERR_JSON_UTF8 },
        { CLAIMS_WITH("\"x\":\"\xE2\x82\""), DEP_ERR_JSON_UTF8 },
        { CLAIMS_WITH("\"x\":\"\x80\""), DEP_ERR_JSON_UTF8 },
        { CLAIMS_WITH("\"x\":\"\\ud800\""), DEP_ERR_JSON_UTF8 },
        { CLAIMS_WITH("\"x\":\"\\udc00\\ud800\""), DEP_ERR_JSON_UTF8 },
        { CLAIMS_WITH("\"x\":\"\\ud83e\\udd16 \xE2\x82\xAC\""), DEP_ERR_NONE },
    };
    struct door d;

    door_claims(t, rows, DEP_COUNT(rows));
    door_open(&d, DEP_ALG_ES256);
    for (size_t width = 2; width <= 4; width += 2) { /* UTF-16LE and UTF-32LE, with and without mark */
        static char wide[4 * sizeof(DOOR_CLAIMS) + 4];

        memset(wide, 0, sizeof(wide));
        wide[0] = '\xFF';
        wide[1] = '\xFE';
        for (size_t i = 0; i < sizeof(DOOR_CLAIMS) - 1; i++)
            wide[width * (i + 1)] = DOOR_CLAIMS[i];
        for (size_t skip = 0; skip <= width; skip += width) {
            struct dep_str text = dep_str(wide + skip, width * sizeof(DOOR_CLAIMS) - skip);

            DEP_CHECK(t, !dep_is_ok(door_pass(&d, door_sign(&d, d.key, DEP_STR(DOOR_HEADER), text))));
        }
    }
    door_close(&d);
}

DEP_TEST(A44_nul_in_claims)
{
    static const struct door_row rows[] = {
        { CLAIMS_SUB("\"admin\""), DEP_ERR_NONE },
        { CLAIMS_SUB("\"admin\\u0000evil\""), DEP_ERR_JSON_NUL },
        { CLAIMS_SUB("\"\\u0000\""), DEP_ERR_JSON_NUL },
        { CLAIMS_AUD("\"https://rs1/\\u0000x\""), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("[\"https://rs1/\",\"\\u0000\"]"), DEP_ERR_JWT_MISSING },
    };

    door_claims(t, rows, DEP_COUNT(rows));
}

DEP_TEST(A46_exp_of_a_wrong_type)
{
    static const struct door_row rows[] = {
        { CLAIMS_EXP("1700000300"), DEP_ERR_NONE },
        { CLAIMS_EXP("null"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("\"1999999999\""), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("true"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("[]"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("{}"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("-1"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("1e10"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("9223372036854775808"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("253402300800"), DEP_ERR_JWT_MISSING },
        { CLAIMS_EXP("253402300799"), DEP_ERR_NONE },
        { "{\"aud\":\"https://rs1/\",\"sub\":\"agent:1\"}", DEP_ERR_JWT_MISSING },
        { CLAIMS_WITH("\"nbf\":null"), DEP_ERR_JWT_MISSING },
        { CLAIMS_WITH("\"nbf\":\"1\""), DEP_ERR_JWT_MISSING },
        { CLAIMS_WITH("\"iat\":false"), DEP_ERR_JWT_MISSING },
    };

    door_claims(t, rows, DEP_COUNT(rows));
}

/* The boundaries, with now = 1700000000 and a skew of 30: good while now < exp + skew; nbf and iat at most skew
 * ahead. */
DEP_TEST(A47_boundaries)
{
    static const struct door_row rows[] = {
        { CLAIMS_EXP("1699999969"), DEP_ERR_JWT_EXPIRED },
        { CLAIMS_EXP("1699999970"), DEP_ERR_JWT_EXPIRED },
        { CLAIMS_EXP("1699999970.999"), DEP_ERR_JWT_EXPIRED },
        { CLAIMS_EXP("1699999971"), DEP_ERR_NONE },
        { CLAIMS_EXP("1700000000"), DEP_ERR_NONE },
        { CLAIMS_EXP("1700000001"), DEP_ERR_NONE },
        { CLAIMS_EXP("1700000000.5"), DEP_ERR_NONE },
        { CLAIMS_WITH("\"nbf\":1700000030"), DEP_ERR_NONE },
        { CLAIMS_WITH("\"nbf\":1700000030.9"), DEP_ERR_NONE },
        { CLAIMS_WITH("\"nbf\":1700000031"), DEP_ERR_JWT_NOT_YET },
        { CLAIMS_WITH("\"iat\":1700000030"), DEP_ERR_NONE },
        { CLAIMS_WITH("\"iat\":1700000031"), DEP_ERR_JWT_NOT_YET },
        { CLAIMS_WITH("\"iat\":0"), DEP_ERR_NONE },
    };

    door_claims(t, rows, DEP_COUNT(rows));
}

static struct dep_res times_of(const char *text, int64_t lifetime_max_s, bool needs_iat,
                               struct dep_jwt_times *ret_times)
{
    struct dep_arena arena;
    struct dep_json *claims;
    struct dep_res res;

    dep_arena_init_debug(&arena, 4096);
    DEP_ASSERT(dep_is_ok(dep_json_parse(&arena, dep_str_c(text), 8, &claims)));
    res = dep_jwt_times(claims, DOOR_NOW, DOOR_SKEW, lifetime_max_s, needs_iat, ret_times);
    dep_arena_reset(&arena);
    return res;
}

DEP_TEST(lifetime_and_iat)
{
    struct dep_jwt_times times = { 0 };

    DEP_CHECK_OK(t, times_of("{\"exp\":1700000300.7}", 300, false, &times));
    DEP_CHECK(t, times.exp == 1700000300 && times.iat == -1);
    DEP_CHECK_OK(t, times_of("{\"exp\":1700000300,\"iat\":1699999999.9}", 300, true, &times));
    DEP_CHECK(t, times.iat == 1699999999);
    DEP_CHECK_FAIL(t, times_of("{\"exp\":1700000301}", 300, false, &times), JWT_LIFETIME);
    DEP_CHECK_OK(t, times_of("{\"exp\":1700000301}", 0, false, &times));
    DEP_CHECK_FAIL(t, times_of("{\"exp\":1700000300}", 300, true, &times), JWT_MISSING);
    DEP_CHECK_FAIL(t, times_of("{\"exp\":1700000300,\"iat\":null}", 300, true, &times), JWT_MISSING);
}

DEP_TEST(A48_aud_of_a_wrong_form)
{
    static const struct door_row rows[] = {
        { CLAIMS_AUD("[\"https://rs1/\"]"), DEP_ERR_NONE },
        { CLAIMS_AUD("[\"https://rs0/\",\"https://rs1/\"]"), DEP_ERR_NONE },
        { "{\"exp\":1700000300,\"sub\":\"agent:1\"}", DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("\"\""), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("[]"), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("5"), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("null"), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("[\"https://rs1/\",7]"), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("[\"https://rs1/\",\"\"]"), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("[[\"https://rs1/\"]]"), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("{\"a\":1}"), DEP_ERR_JWT_MISSING },
        { CLAIMS_AUD("{\"https://rs1/\":\"https://rs1/\"}"), DEP_ERR_JWT_MISSING },
    };

    door_claims(t, rows, DEP_COUNT(rows));
}

DEP_TEST(A49_aud_that_is_nearly_ours)
{
    static const struct door_row rows[] = {
        { CLAIMS_AUD("\"https://rs1/\""), DEP_ERR_NONE },
        { CLAIMS_AUD("\"https://rs1\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"https://rs1/x\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"https://RS1/\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"https://rs1.evil/\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"https://rs1/ \""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"xhttps://rs1/\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"https://rs%31/\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"https://rs1:443/\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("\"http://rs1/\""), DEP_ERR_JWT_AUD },
        { CLAIMS_AUD("[\"https://rs1\",\"https://rs1//\"]"), DEP_ERR_JWT_AUD },
    };

    door_claims(t, rows, DEP_COUNT(rows));
}

/* rfc7523bis#4: the audience of a client assertion is one value. */
DEP_TEST(aud_is_one_value)
{
    static const struct door_row rows[] = {
        { "{\"aud\":\"https://as/\"}", DEP_ERR_NONE },
        { "{\"aud\":[\"https://as/\"]}", DEP_ERR_NONE },
        { "{\"aud\":[\"https://as/\",\"https://as/\"]}", DEP_ERR_JWT_AUD },
        { "{\"aud\":[\"https://as/\",\"https://as/token\"]}", DEP_ERR_JWT_AUD },
        { "{\"aud\":\"https://as/token\"}", DEP_ERR_JWT_AUD },
        { "{\"aud\":[]}", DEP_ERR_JWT_MISSING },
        { "{}", DEP_ERR_JWT_MISSING },
    };
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 65536);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_json *claims;

        DEP_CHECK_OK(t, dep_json_parse(&arena, dep_str_c(rows[i].text), 8, &claims));
        door_check(t, dep_jwt_aud_is(claims, DEP_STR("https://as/")), rows[i].err, rows[i].text);
        /* No audience of our own matches nothing, whatever the token says. */
        DEP_CHECK(t, !dep_is_ok(dep_jwt_aud_is(claims, DEP_STR(""))));
        DEP_CHECK(t, !dep_is_ok(dep_jwt_aud_has(claims, DEP_STR_ABSENT)));
    }
    dep_arena_reset(&arena);
}

DEP_TEST(payloads_that_are_no_claims)
{
    static const struct door_row rows[] = {
        { "[]", DEP_ERR_JWT_CLAIMS },
        { "null", DEP_ERR_JWT_CLAIMS },
        { "\"text\"", DEP_ERR_JWT_CLAIMS },
        { "1", DEP_ERR_JWT_CLAIMS },
        { DOOR_CLAIMS "x", DEP_ERR_JSON_SYNTAX },
        { DOOR_CLAIMS DOOR_CLAIMS, DEP_ERR_JSON_SYNTAX },
        { " " DOOR_CLAIMS "\n", DEP_ERR_NONE },
    };

    door_claims(t, rows, DEP_COUNT(rows));
}

/* Runs A53 on a stack of 256 KiB. */
static void *nest(void *argument)
{
    static const char opens[] = { '[', '{' };
    static const size_t depths[] = { 17, 1000, 12000, 100000 };
    struct dep_test *t = argument;
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, CLAIMS_WITH("\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]"))));
    for (size_t i = 0; i < DEP_COUNT(depths); i++)
        for (size_t k = 0; k < 2; k++) {
            struct dep_buf buf;
            enum dep_err err = depths[i] > 12000 ? DEP_ERR_JWS_SIZE : DEP_ERR_JSON_DEPTH;

            dep_buf_init_arena(&buf, &d.arena, 6 * depths[i]);
            for (size_t n = 0; n < (opens[k] == '{' && depths[i] == 12000 ? 2000 : depths[i]); n++)
                dep_buf_put_c(&buf, opens[k] == '[' ? "[" : "{\"a\":");
            door_check(t, door_pass(&d, door_sign(&d, d.key, DEP_STR(DOOR_HEADER), dep_buf_str(&buf))), err,
                       "nested claims");
            door_check(t, door_pass(&d, door_sign(&d, d.key, dep_buf_str(&buf), DEP_STR(DOOR_CLAIMS))), err,
                       "nested header");
        }
    door_close(&d);
    return NULL;
}

DEP_TEST(A53_deep_nesting_on_a_small_stack)
{
    pthread_attr_t attributes;
    pthread_t thread;

    DEP_CHECK(t, pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 256 * 1024) == 0);
    DEP_CHECK(t, pthread_create(&thread, &attributes, nest, t) == 0 && pthread_join(thread, NULL) == 0);
    (void)pthread_attr_destroy(&attributes);
}

static struct dep_str claims_around(struct door *d, const char *start, const char *filling, size_t times,
                                    const char *end)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &d->arena, strlen(start) + times * strlen(filling) + strlen(end));
    dep_buf_put_c(&buf, start);
    for (size_t i = 0; i < times; i++)
        dep_buf_put_c(&buf, filling);
    dep_buf_put_c(&buf, end);
    return dep_buf_str(&buf);
}

DEP_TEST(A55_large_values)
{
    static const struct {
        const char *start, *filling, *end;
        size_t size;
        enum dep_err err;
    } rows[] = {
        { "{\"exp\":", "9", ",\"aud\":\"https://rs1/\",\"sub\":\"a\"}", 1, DEP_ERR_JWT_MISSING },
        { "{\"exp\":1700000300.", "9", ",\"aud\":\"https://rs1/\",\"sub\":\"a\"}", 1, DEP_ERR_NONE },
        { "{\"exp\":1700000300,\"aud\":\"https://rs1/\",\"sub\":\"", "s", "\"}", 1, DEP_ERR_NONE },
        { "{\"exp\":1700000300,\"aud\":\"https://rs1/\",\"sub\":\"", "\\u0041", "\"}", 6, DEP_ERR_NONE },
        { "{", " ", "\"exp\":1700000300,\"aud\":\"https://rs1/\",\"sub\":\"a\"}", 1, DEP_ERR_NONE },
    };
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str within = claims_around(&d, rows[i].start, rows[i].filling, 11000 / rows[i].size, rows[i].end);
        struct dep_str beyond = claims_around(&d, rows[i].start, rows[i].filling, 1000000 / rows[i].size, rows[i].end);

        door_check(t, door_pass(&d, door_sign(&d, d.key, DEP_STR(DOOR_HEADER), within)), rows[i].err, rows[i].start);
        DEP_CHECK_FAIL(t, door_pass(&d, door_sign(&d, d.key, DEP_STR(DOOR_HEADER), beyond)), JWS_SIZE);
    }
    door_close(&d);
}

DEP_TEST(arena_limits_are_results)
{
    struct dep_res res = DEP_FAIL(ARENA_FULL);
    size_t limit;
    struct door d;

    door_open(&d, DEP_ALG_ES256);

    struct dep_str token = door_token(&d, DOOR_HEADER, DOOR_CLAIMS);
    struct dep_arena whole = d.arena;

    for (limit = 0; limit < 65536 && !dep_is_ok(res); limit += 16) {
        dep_arena_init_debug(&d.arena, limit);
        res = door_pass(&d, token);
        DEP_CHECK(t, dep_is_ok(res) || res.err == DEP_ERR_ARENA_FULL);
        dep_arena_reset(&d.arena);
    }
    DEP_CHECK(t, limit > 16 && limit < 65536);
    d.arena = whole;
    door_close(&d);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(A41_duplicate_members),
        DEP_ROW(A42_members_in_another_case),
        DEP_ROW(A43_payloads_that_are_not_utf8),
        DEP_ROW(A44_nul_in_claims),
        DEP_ROW(A46_exp_of_a_wrong_type),
        DEP_ROW(A47_boundaries),
        DEP_ROW(lifetime_and_iat),
        DEP_ROW(A48_aud_of_a_wrong_form),
        DEP_ROW(A49_aud_that_is_nearly_ours),
        DEP_ROW(aud_is_one_value),
        DEP_ROW(payloads_that_are_no_claims),
        DEP_ROW(A53_deep_nesting_on_a_small_stack),
        DEP_ROW(A55_large_values),
        DEP_ROW(arena_limits_are_results),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

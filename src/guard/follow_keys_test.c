/* Following keys: which fetch comes when, and what each answer changes. Time is a number here. */
#include "guard/follow_keys.h"

#include "guard/guard_fixture.h"

#define ISSUER "https://as.example/t1"
#define METADATA_URL "https://as.example/.well-known/oauth-authorization-server/t1"
#define JWKS_URL "https://keys.example/set"
#define METADATA "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" JWKS_URL "\"}"
#define EMPTY "{\"keys\":[]}"

static const struct dep_follow_policy policy = { .issuer = DEP_STR_INIT(ISSUER),
                                                 .keys_refresh_s = 300,
                                                 .keys_throttle_s = 10,
                                                 .keys_stale_max_s = 3600,
                                                 .feed_silence_max_s = 5 };

struct run {
    struct dep_test *t;
    struct dep_crypto *crypto;
    struct dep_follow_keys keys;
    int64_t now_ms;
};

static void start(struct run *run, struct dep_test *t)
{
    run->t = t;
    run->now_ms = 1000000;
    run->crypto = dep_crypto_new();
    DEP_CHECK_OK(t, dep_follow_keys_init(&run->keys, &policy));
}

static void finish(struct run *run)
{
    dep_follow_keys_done(&run->keys);
    dep_crypto_free(run->crypto);
}

/* The fetch that is due must be `url`; it is answered with `status` and `body`, status 0: not at all. */
static enum dep_err step(struct run *run, const char *url, int status, const char *body)
{
    const struct dep_follow_answer answer = { status == 0 ? DEP_FAIL(NET_FETCH) : DEP_OK, status, dep_str_c(body) };
    struct dep_follow_keys_news news;
    struct dep_follow_fetch fetch;

    DEP_CHECK(run->t, dep_follow_keys_due(&run->keys) <= run->now_ms);
    dep_follow_keys_next(&run->keys, &fetch);
    DEP_CHECK_STR(run->t, fetch.url, url);
    DEP_CHECK(run->t, dep_str_is_absent(fetch.authorization));
    DEP_CHECK(run->t, dep_follow_keys_due(&run->keys) == INT64_MAX);
    dep_follow_keys_read(&policy, run->crypto, fetch.kind, &answer, &news);
    return dep_follow_keys_settle(&run->keys, &news, run->now_ms).err;
}

static void load(struct run *run)
{
    DEP_CHECK(run->t, step(run, METADATA_URL, 200, METADATA) == DEP_ERR_NONE && run->keys.is_round);
    DEP_CHECK(run->t, step(run, JWKS_URL, 200, EMPTY) == DEP_ERR_NONE && !run->keys.is_round);
}

DEP_TEST(metadata_then_keys_then_refresh)
{
    struct run run;

    start(&run, t);
    DEP_CHECK(t, !dep_follow_keys_are_usable(&run.keys, run.now_ms));
    load(&run);
    DEP_CHECK(t, dep_follow_keys_are_usable(&run.keys, run.now_ms) && run.keys.slot.version == 1);
    DEP_CHECK(t, dep_follow_keys_due(&run.keys) == run.now_ms + 300000);
    run.now_ms += 300000;
    DEP_CHECK(t, step(&run, JWKS_URL, 200, EMPTY) == DEP_ERR_NONE);
    DEP_CHECK(t, run.keys.slot.version == 1); /* the same text keeps the set */
    run.now_ms += 300000;
    DEP_CHECK(t, step(&run, JWKS_URL, 200, "{\"keys\": []}") == DEP_ERR_NONE);
    DEP_CHECK(t, run.keys.slot.version == 2);
    finish(&run);
}

DEP_TEST(a_failure_starts_over_with_the_metadata)
{
    struct run run;

    start(&run, t);
    DEP_CHECK(t, step(&run, METADATA_URL, 0, "") == DEP_ERR_NET_FETCH);
    DEP_CHECK(t, !run.keys.is_round && dep_follow_keys_due(&run.keys) == run.now_ms + 1000);
    run.now_ms += 1000;
    load(&run);
    run.now_ms += 300000;
    DEP_CHECK(t, step(&run, JWKS_URL, 500, "") == DEP_ERR_NET_FETCH_STATUS);
    DEP_CHECK(t, dep_follow_keys_are_usable(&run.keys, run.now_ms)); /* the old ones */
    run.now_ms += 1000;
    load(&run);
    finish(&run);
}

DEP_TEST(A32_metadata_of_another_issuer_leads_nowhere)
{
    static const char *const bad[] = {
        "{\"issuer\":\"" ISSUER "/\",\"jwks_uri\":\"" JWKS_URL "\"}",
        "{\"issuer\":\"https://as.example\",\"jwks_uri\":\"" JWKS_URL "\"}",
        "{\"issuer\":\"" ISSUER "\"}",
        "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"\"}",
        "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":7}",
        "[]",
        "",
    };
    struct run run;

    start(&run, t);
    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        DEP_CHECK(t, step(&run, METADATA_URL, 200, bad[i]) == DEP_ERR_METADATA_SYNTAX);
        run.now_ms += 1000;
    }
    load(&run); /* and the right one does */
    finish(&run);
}

DEP_TEST(A35_a_set_that_cannot_be_used_changes_nothing)
{
    struct run run;

    start(&run, t);
    load(&run);
    run.now_ms += 300000;
    DEP_CHECK(t, step(&run, JWKS_URL, 200, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}") != DEP_ERR_NONE);
    DEP_CHECK(t, run.keys.slot.version == 1 && dep_follow_keys_are_usable(&run.keys, run.now_ms));
    finish(&run);
}

DEP_TEST(A34_old_keys_are_used_for_a_while)
{
    struct run run;

    start(&run, t);
    load(&run);
    DEP_CHECK(t, dep_follow_keys_are_usable(&run.keys, run.now_ms + 3600000));
    DEP_CHECK(t, !dep_follow_keys_are_usable(&run.keys, run.now_ms + 3600001));
    finish(&run);
}

DEP_TEST(A33_unknown_kids_ask_once_in_the_throttle_time)
{
    struct run run;

    start(&run, t);
    load(&run);
    DEP_CHECK(t, dep_follow_keys_may_want(&run.keys, run.now_ms));
    dep_follow_keys_want(&run.keys, run.now_ms);
    dep_follow_keys_want(&run.keys, run.now_ms); /* joins */
    DEP_CHECK(t, dep_follow_keys_may_want(&run.keys, run.now_ms));
    DEP_CHECK(t, step(&run, JWKS_URL, 200, EMPTY) == DEP_ERR_NONE);
    DEP_CHECK(t, !dep_follow_keys_may_want(&run.keys, run.now_ms + 9999));
    DEP_CHECK(t, dep_follow_keys_due(&run.keys) == run.now_ms + 300000);
    DEP_CHECK(t, dep_follow_keys_may_want(&run.keys, run.now_ms + 10000));
    finish(&run);
}

DEP_TEST(A65_hinted_keys_are_fetched_at_once_and_old_ones_end)
{
    struct run run;
    struct dep_follow_fetch fetch;
    const struct dep_follow_answer good = { DEP_OK, 200, DEP_STR(EMPTY) };
    struct dep_follow_keys_news news;

    start(&run, t);
    load(&run);
    dep_follow_keys_hint(&run.keys, run.now_ms);
    DEP_CHECK(t, dep_follow_keys_are_usable(&run.keys, run.now_ms + 5000));
    DEP_CHECK(t, !dep_follow_keys_are_usable(&run.keys, run.now_ms + 5001));
    run.now_ms += 6000;
    dep_follow_keys_next(&run.keys, &fetch);
    dep_follow_keys_hint(&run.keys, run.now_ms); /* while a round is out: its answer may be older than the hint */
    dep_follow_keys_read(&policy, run.crypto, fetch.kind, &good, &news);
    DEP_CHECK_OK(t, dep_follow_keys_settle(&run.keys, &news, run.now_ms));
    DEP_CHECK(t, !dep_follow_keys_are_usable(&run.keys, run.now_ms));
    DEP_CHECK(t, step(&run, JWKS_URL, 200, EMPTY) == DEP_ERR_NONE);
    DEP_CHECK(t, dep_follow_keys_are_usable(&run.keys, run.now_ms));
    finish(&run);
}

DEP_TEST(issuers_that_cannot_be_asked)
{
    static const char *const bad[] = { "", "as.example", "https://as.example/?a=b", "https://as.example/#f",
                                       "https://u@as.example" };
    char text[DEP_FOLLOW_URL_MAX + 64] = "https://as.example/";
    struct dep_follow_keys keys;

    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        const struct dep_follow_policy one = { .issuer = dep_str_c(bad[i]) };

        DEP_CHECK(t, !dep_is_ok(dep_follow_keys_init(&keys, &one)));
        dep_follow_keys_done(&keys);
    }
    memset(text + 19, 'a', sizeof(text) - 20);

    const struct dep_follow_policy fat = { .issuer = dep_str_c(text) };

    DEP_CHECK(t, !dep_is_ok(dep_follow_keys_init(&keys, &fat)));
    dep_follow_keys_done(&keys);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(metadata_then_keys_then_refresh),
        DEP_ROW(a_failure_starts_over_with_the_metadata),
        DEP_ROW(A32_metadata_of_another_issuer_leads_nowhere),
        DEP_ROW(A35_a_set_that_cannot_be_used_changes_nothing),
        DEP_ROW(A34_old_keys_are_used_for_a_while),
        DEP_ROW(A33_unknown_kids_ask_once_in_the_throttle_time),
        DEP_ROW(A65_hinted_keys_are_fetched_at_once_and_old_ones_end),
        DEP_ROW(issuers_that_cannot_be_asked),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Answers of the revocation feed: what is applied, and what is refused as a whole. */
#include "guard/follow_feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "test/unit.h"

#define NOW INT64_C(1800000000)
#define ENTRY(id) "{\"kind\":\"jti\",\"id\":\"" id "\",\"before\":1800000000,\"expires\":1800000600}"

static struct dep_res apply(const char *text, const struct dep_revocations *old, int64_t version,
                            struct dep_guard_feed_answer *ret_answer)
{
    static _Alignas(16) unsigned char memory[65536];
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_guard_feed_apply(&arena, dep_str_c(text), old, version, NOW, ret_answer);
}

static bool covers(const struct dep_revocations *set, const char *jti)
{
    const struct dep_token token = { .iat = NOW - 5, .jti = dep_str_c(jti) };

    return dep_revocations_cover(set, &token);
}

DEP_TEST(deltas_add_and_full_sets_replace)
{
    struct dep_guard_feed_answer first = { 0 }, second = { 0 }, third = { 0 }, none = { 0 };

    DEP_CHECK_OK(t, apply("{\"version\":1,\"full\":true,\"entries\":[" ENTRY("a") "]}", NULL, -1, &first));
    DEP_CHECK(t, first.set != NULL && first.version == 1 && covers(first.set, "a") && !covers(first.set, "b"));
    DEP_CHECK_OK(t, apply("{\"version\":2,\"full\":false,\"entries\":[" ENTRY("b") "]}", first.set, 1, &second));
    DEP_CHECK(t, second.set != NULL && covers(second.set, "a") && covers(second.set, "b"));
    DEP_CHECK(t, !covers(first.set, "b")); /* readers of the old set see no change */
    DEP_CHECK_OK(t, apply("{\"version\":2,\"full\":false,\"entries\":[],\"jwks\":\"k\"}", second.set, 2, &none));
    DEP_CHECK(t, none.set == NULL && dep_str_eq_c(none.jwks, "k"));
    DEP_CHECK_OK(t, apply("{\"version\":1,\"full\":true,\"entries\":[" ENTRY("c") "]}", second.set, 2, &third));
    DEP_CHECK(t, third.set != NULL && covers(third.set, "c") && !covers(third.set, "a"));
    dep_revocations_free(first.set);
    dep_revocations_free(second.set);
    dep_revocations_free(third.set);
}

DEP_TEST(an_empty_first_answer_is_a_set)
{
    struct dep_guard_feed_answer answer = { 0 };

    DEP_CHECK_OK(t, apply("{\"version\":0,\"full\":true,\"entries\":[]}", NULL, -1, &answer));
    DEP_CHECK(t, answer.set != NULL && dep_revocations_count(answer.set) == 0);
    dep_revocations_free(answer.set);
}

DEP_TEST(bad_answers_change_nothing)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"version\":1,\"full\":true}",
        "{\"version\":1,\"entries\":[]}",
        "{\"full\":true,\"entries\":[]}",
        "{\"version\":\"1\",\"full\":true,\"entries\":[]}",
        "{\"version\":-1,\"full\":true,\"entries\":[]}",
        "{\"version\":1,\"full\":1,\"entries\":[]}",
        "{\"version\":1,\"full\":true,\"entries\":{}}",
        "{\"version\":1,\"full\":true,\"entries\":[1]}",
        "{\"version\":1,\"full\":true,\"entries\":[{}]}",
        "{\"version\":1,\"full\":true,\"entries\":[],\"jwks\":1}",
        "{\"version\":1,\"full\":true,\"entries\":[" ENTRY("") "]}",
        "{\"version\":1,\"full\":true,\"entries\":[" ENTRY(
            "a") ",{\"kind\":\"x\",\"id\":\"a\",\"before\":1,\"expires\":2}]}",
        "{\"version\":1,\"full\":true,\"full\":true,\"entries\":[]}",
        "{\"version\":4,\"full\":false,\"entries\":[]}", /* behind what is known */
    };
    struct dep_guard_feed_answer answer = { 0 };

    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        struct dep_res res = apply(bad[i], NULL, 5, &answer);

        dep_test_check(t, res.err == DEP_ERR_FEED_SYNTAX, __FILE__, __LINE__, "%s: %s", bad[i], dep_err_name(res.err));
        DEP_CHECK(t, answer.set == NULL);
    }
}

/* More entries than any other document may have values. */
DEP_TEST(many_entries)
{
    enum { ENTRIES = 20000, ROOM = ENTRIES * 100 };
    struct dep_guard_feed_answer answer = { 0 };
    char *text = malloc(ROOM);
    void *memory = malloc(ROOM * 8);
    struct dep_arena arena;
    size_t len = (size_t)snprintf(text, ROOM, "{\"version\":1,\"full\":true,\"entries\":[");

    for (unsigned i = 0; i < ENTRIES; i++)
        len += (size_t)snprintf(text + len, ROOM - len,
                                "%s{\"kind\":\"jti\",\"id\":\"j%u\",\"before\":1,\"expires\":1800000600}",
                                i > 0 ? "," : "", i);
    len += (size_t)snprintf(text + len, ROOM - len, "]}");
    dep_arena_init(&arena, memory, ROOM * 8);
    DEP_CHECK_OK(t, dep_guard_feed_apply(&arena, dep_str(text, len), NULL, -1, NOW, &answer));
    DEP_CHECK(t, answer.set != NULL && dep_revocations_count(answer.set) == ENTRIES && covers(answer.set, "j19999"));
    dep_revocations_free(answer.set);
    free(memory);
    free(text);
}

static const struct dep_follow_policy policy = { .issuer = DEP_STR_INIT("https://as.example") };

/* The poll that is due must be `url`; it is answered after `took_ms`. */
static enum dep_err poll_feed(struct dep_test *t, struct dep_follow_feed *feed, const char *url, int64_t *now_ms,
                              int64_t took_ms, int status, const char *body, bool *ret_has_keys_news)
{
    const struct dep_follow_answer answer = { DEP_OK, status, dep_str_c(body) };
    struct dep_follow_fetch fetch;

    DEP_CHECK(t, dep_follow_feed_due(feed) <= *now_ms);
    dep_follow_feed_next(feed, *now_ms, &fetch);
    DEP_CHECK_STR(t, fetch.url, url);
    DEP_CHECK_STR(t, fetch.authorization, "Basic cnMxOnMlM0ErdA=="); /* rs1:s%3A+t */
    DEP_CHECK(t, dep_follow_feed_due(feed) == INT64_MAX);
    *now_ms += took_ms;
    return dep_follow_feed_settle(feed, &answer, *now_ms, NOW, ret_has_keys_news).err;
}

DEP_TEST(polls_follow_the_version)
{
    const struct dep_secret secret = dep_secret("s: t", 4);
    struct dep_follow_feed feed;
    int64_t now_ms = 1000000;
    bool has_keys_news = true;

    DEP_CHECK_OK(t, dep_follow_feed_init(&feed, &policy, DEP_STR("rs1"), secret));
    DEP_CHECK(t, dep_follow_feed_silence_s(&feed, now_ms) == INT64_MAX);
    DEP_CHECK(t, poll_feed(t, &feed, "https://as.example/revocations?after=0", &now_ms, 1, 200,
                           "{\"version\":7,\"full\":true,\"entries\":[" ENTRY("a") "],\"jwks\":\"k1\"}",
                           &has_keys_news) == DEP_ERR_NONE);
    DEP_CHECK(t, !has_keys_news); /* the first name is no change */
    DEP_CHECK(t, covers(((const struct dep_guard_feed_set *)feed.slot.current)->entries, "a"));
    DEP_CHECK(t, dep_follow_feed_silence_s(&feed, now_ms) == 0 && dep_follow_feed_silence_s(&feed, now_ms + 1) == 1);
    /* News came: the next poll is due now. Nothing at once: it waits, so that nobody spins. */
    DEP_CHECK(t, poll_feed(t, &feed, "https://as.example/revocations?after=7", &now_ms, 1, 200,
                           "{\"version\":7,\"full\":false,\"entries\":[],\"jwks\":\"k2\"}",
                           &has_keys_news) == DEP_ERR_NONE);
    DEP_CHECK(t, has_keys_news && feed.slot.version == 1);
    DEP_CHECK(t, dep_follow_feed_due(&feed) == now_ms + 250);
    now_ms += 250;
    /* Nothing after a long poll: the next one at once. */
    DEP_CHECK(t, poll_feed(t, &feed, "https://as.example/revocations?after=7", &now_ms, 2000, 200,
                           "{\"version\":7,\"full\":false,\"entries\":[],\"jwks\":\"k2\"}",
                           &has_keys_news) == DEP_ERR_NONE);
    DEP_CHECK(t, !has_keys_news && dep_follow_feed_due(&feed) <= now_ms);
    dep_follow_feed_done(&feed);
}

DEP_TEST(what_cannot_be_read_is_silence_and_starts_over)
{
    const struct dep_secret secret = dep_secret("s: t", 4);
    struct dep_follow_feed feed;
    int64_t now_ms = 1000000, heard_ms;
    bool news = false;

    DEP_CHECK_OK(t, dep_follow_feed_init(&feed, &policy, DEP_STR("rs1"), secret));
    DEP_CHECK(t, poll_feed(t, &feed, "https://as.example/revocations?after=0", &now_ms, 1, 200,
                           "{\"version\":7,\"full\":true,\"entries\":[]}", &news) == DEP_ERR_NONE);
    heard_ms = now_ms;
    DEP_CHECK(t, poll_feed(t, &feed, "https://as.example/revocations?after=7", &now_ms, 1, 401, "{}", &news) ==
                     DEP_ERR_NET_FETCH_STATUS);
    now_ms += 250;
    DEP_CHECK(t, poll_feed(t, &feed, "https://as.example/revocations?after=7", &now_ms, 1, 200, "{}", &news) ==
                     DEP_ERR_FEED_SYNTAX);
    now_ms += 250;
    DEP_CHECK(t, dep_follow_feed_silence_s(&feed, heard_ms + 3000) == 3);
    DEP_CHECK(t, poll_feed(t, &feed, "https://as.example/revocations?after=0", &now_ms, 1, 200,
                           "{\"version\":8,\"full\":true,\"entries\":[]}", &news) == DEP_ERR_NONE);
    DEP_CHECK(t, dep_follow_feed_silence_s(&feed, now_ms) == 0);
    dep_follow_feed_done(&feed);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(deltas_add_and_full_sets_replace), DEP_ROW(an_empty_first_answer_is_a_set),
        DEP_ROW(bad_answers_change_nothing),       DEP_ROW(many_entries),
        DEP_ROW(polls_follow_the_version),         DEP_ROW(what_cannot_be_read_is_silence_and_starts_over),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

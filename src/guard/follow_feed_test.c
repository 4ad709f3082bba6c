/* Answers of the revocation feed: what is applied, and what is refused as a whole. */
#include "guard/follow_feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "guard/guard_fixture.h"

#define FRAME "\"iss\":\"https://as.example\",\"iat\":1800000000,"
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

    DEP_CHECK_OK(t, apply("{" FRAME "\"version\":1,\"full\":true,\"entries\":[" ENTRY("a") "]}", NULL, -1, &first));
    DEP_CHECK(t, first.set != NULL && first.version == 1 && covers(first.set, "a") && !covers(first.set, "b"));
    DEP_CHECK_OK(t,
                 apply("{" FRAME "\"version\":2,\"full\":false,\"entries\":[" ENTRY("b") "]}", first.set, 1, &second));
    DEP_CHECK(t, second.set != NULL && covers(second.set, "a") && covers(second.set, "b"));
    DEP_CHECK(t, !covers(first.set, "b")); /* readers of the old set see no change */
    DEP_CHECK_OK(t,
                 apply("{" FRAME "\"version\":2,\"full\":false,\"entries\":[],\"jwks\":\"k\"}", second.set, 2, &none));
    DEP_CHECK(t, none.set == NULL && dep_str_eq_c(none.jwks, "k"));
    DEP_CHECK_OK(t,
                 apply("{" FRAME "\"version\":1,\"full\":true,\"entries\":[" ENTRY("c") "]}", second.set, 2, &third));
    DEP_CHECK(t, third.set != NULL && covers(third.set, "c") && !covers(third.set, "a"));
    dep_revocations_free(first.set);
    dep_revocations_free(second.set);
    dep_revocations_free(third.set);
}

DEP_TEST(an_empty_first_answer_is_a_set)
{
    struct dep_guard_feed_answer answer = { 0 };

    DEP_CHECK_OK(t, apply("{" FRAME "\"version\":0,\"full\":true,\"entries\":[]}", NULL, -1, &answer));
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
        "{" FRAME "\"version\":1,\"full\":true}",
        "{" FRAME "\"version\":1,\"entries\":[]}",
        "{" FRAME "\"full\":true,\"entries\":[]}",
        "{" FRAME "\"version\":\"1\",\"full\":true,\"entries\":[]}",
        "{" FRAME "\"version\":-1,\"full\":true,\"entries\":[]}",
        "{" FRAME "\"version\":1,\"full\":1,\"entries\":[]}",
        "{" FRAME "\"version\":1,\"full\":true,\"entries\":{}}",
        "{" FRAME "\"version\":1,\"full\":true,\"entries\":[1]}",
        "{" FRAME "\"version\":1,\"full\":true,\"entries\":[{}]}",
        "{" FRAME "\"version\":1,\"full\":true,\"entries\":[],\"jwks\":1}",
        "{" FRAME "\"version\":1,\"full\":true,\"entries\":[" ENTRY("") "]}",
        "{" FRAME "\"version\":1,\"full\":true,\"entries\":[" ENTRY(
            "a") ",{\"kind\":\"x\",\"id\":\"a\",\"before\":1,\"expires\":2}]}",
        "{" FRAME "\"version\":1,\"full\":true,\"full\":true,\"entries\":[]}",
        "{" FRAME "\"version\":4,\"full\":false,\"entries\":[]}", /* behind what is known */
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
    size_t len = (size_t)snprintf(text, ROOM, "{" FRAME "\"version\":1,\"full\":true,\"entries\":[");

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

static const struct dep_follow_policy policy = { .issuer = DEP_STR_INIT("https://as.example"),
                                                 .skew_s = 10,
                                                 .feed_silence_max_s = 10 };

struct speaker {
    struct fixture f;
    struct dep_follow_feed feed;
    int64_t now_ms;
    bool has_keys_news;
};

static void speaker_open(struct dep_test *t, struct speaker *s)
{
    set_up(&s->f);
    s->now_ms = 1000000;
    s->has_keys_news = true;
    DEP_CHECK_OK(t, dep_follow_feed_init(&s->feed, &policy, DEP_STR("rs1"), dep_secret("s: t", 4)));
}

static void speaker_close(struct speaker *s)
{
    dep_follow_feed_done(&s->feed);
    tear_down(&s->f);
}

/* The poll that is due must be `url`; it is answered after `took_ms`, by somebody who has `jwks`. */
static enum dep_err poll_raw(struct dep_test *t, struct speaker *s, const char *url, int64_t took_ms, int status,
                             struct dep_str body, const struct dep_jwks *jwks)
{
    const struct dep_follow_answer answer = { DEP_OK, status, body };
    struct dep_follow_fetch fetch;

    DEP_CHECK(t, dep_follow_feed_due(&s->feed) <= s->now_ms);
    dep_follow_feed_next(&s->feed, s->now_ms, &fetch);
    DEP_CHECK_STR(t, fetch.url, url);
    DEP_CHECK_STR(t, fetch.authorization, "Basic cnMxOnMlM0ErdA=="); /* rs1:s%3A+t */
    DEP_CHECK_STR(t, fetch.accept, "application/revocations+jwt");
    DEP_CHECK(t, dep_follow_feed_due(&s->feed) == INT64_MAX);
    s->now_ms += took_ms;
    return dep_follow_feed_settle(&s->feed, s->f.crypto, jwks, &answer, s->now_ms, s->f.now, &s->has_keys_news).err;
}

static enum dep_err poll_feed(struct dep_test *t, struct speaker *s, const char *url, int64_t took_ms,
                              const char *payload)
{
    return poll_raw(t, s, url, took_ms, 200, sign_feed(&s->f, s->f.issuer, "k1", dep_str_c(payload)), s->f.jwks);
}

#define URL(after) "https://as.example/revocations?after=" after
#define NOTHING "{" FRAME "\"version\":7,\"full\":false,\"entries\":[],\"jwks\":\"k2\"}"

DEP_TEST(polls_follow_the_version)
{
    struct speaker s;

    speaker_open(t, &s);
    DEP_CHECK(t, dep_follow_feed_silence_s(&s.feed, s.now_ms) == INT64_MAX);
    DEP_CHECK(t, poll_feed(t, &s, URL("0"), 1,
                           "{" FRAME "\"version\":7,\"full\":true,\"entries\":[" ENTRY("a") "],\"jwks\":\"k1\"}") ==
                     DEP_ERR_NONE);
    DEP_CHECK(t, !s.has_keys_news); /* the first name is no change */
    DEP_CHECK(t, covers(((const struct dep_guard_feed_set *)s.feed.slot.current)->entries, "a"));
    DEP_CHECK(t, dep_follow_feed_silence_s(&s.feed, s.now_ms) == 0);
    DEP_CHECK(t, dep_follow_feed_silence_s(&s.feed, s.now_ms + 1) == 1);
    /* News came: the next poll is due now. Nothing at once: it waits, so that nobody spins. */
    DEP_CHECK(t, poll_feed(t, &s, URL("7"), 1, NOTHING) == DEP_ERR_NONE);
    DEP_CHECK(t, s.has_keys_news && s.feed.slot.version == 1);
    DEP_CHECK(t, dep_follow_feed_due(&s.feed) == s.now_ms + 250);
    s.now_ms += 250;
    /* Nothing after a long poll: the next one at once. */
    DEP_CHECK(t, poll_feed(t, &s, URL("7"), 2000, NOTHING) == DEP_ERR_NONE);
    DEP_CHECK(t, !s.has_keys_news && dep_follow_feed_due(&s.feed) <= s.now_ms);
    speaker_close(&s);
}

DEP_TEST(what_cannot_be_read_is_silence_and_starts_over)
{
    struct speaker s;
    int64_t heard_ms;

    speaker_open(t, &s);
    DEP_CHECK(t,
              poll_feed(t, &s, URL("0"), 1, "{" FRAME "\"version\":7,\"full\":true,\"entries\":[]}") == DEP_ERR_NONE);
    heard_ms = s.now_ms;
    DEP_CHECK(t, poll_raw(t, &s, URL("7"), 1, 401, DEP_STR("{}"), s.f.jwks) == DEP_ERR_NET_FETCH_STATUS);
    s.now_ms += 250;
    DEP_CHECK(t, poll_feed(t, &s, URL("7"), 1, "{}") == DEP_ERR_FEED_SYNTAX);
    s.now_ms += 250;
    DEP_CHECK(t, dep_follow_feed_silence_s(&s.feed, heard_ms + 3000) == 3);
    DEP_CHECK(t,
              poll_feed(t, &s, URL("0"), 1, "{" FRAME "\"version\":8,\"full\":true,\"entries\":[]}") == DEP_ERR_NONE);
    DEP_CHECK(t, dep_follow_feed_silence_s(&s.feed, s.now_ms) == 0);
    speaker_close(&s);
}

/* Whoever stands between may read, delay and cut, but say nothing: each of these is silence, and the set stays. */
DEP_TEST(only_the_issuer_is_heard)
{
    static const char good[] = "{" FRAME "\"version\":7,\"full\":true,\"entries\":[]}";
    struct speaker s;
    struct fixture *f = &s.f;

    speaker_open(t, &s);
    DEP_CHECK(t, poll_feed(t, &s, URL("0"), 1, "{" FRAME "\"version\":7,\"full\":true,\"entries\":[" ENTRY("a") "]}") ==
                     DEP_ERR_NONE);

    const struct dep_str payload = dep_str_c(good);
    const struct dep_str signed_by_us = sign_feed(f, f->issuer, "k1", payload);
    const struct {
        const char *what;
        struct dep_str body;
        enum dep_err err;
    } rows[] = {
        { "not signed", payload, DEP_ERR_FEED_SYNTAX },
        { "signed by another key under our kid", sign_feed(f, f->stranger, "k1", payload), DEP_ERR_FEED_SIGNATURE },
        { "an access token's typ",
          sign_raw(f, f->issuer, DEP_STR("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}"), payload),
          DEP_ERR_FEED_SYNTAX },
        { "no typ", sign_raw(f, f->issuer, DEP_STR("{\"alg\":\"ES256\",\"kid\":\"k1\"}"), payload),
          DEP_ERR_FEED_SYNTAX },
        { "alg none", fmt(f, "eyJhbGciOiJub25lIiwidHlwIjoicmV2b2NhdGlvbnMrand0In0.%s.", "e30"), DEP_ERR_FEED_SYNTAX },
        { "cut short", dep_str_sub(signed_by_us, 0, signed_by_us.len - 2), DEP_ERR_FEED_SIGNATURE },
        { "another issuer",
          sign_feed(f, f->issuer, "k1",
                    DEP_STR("{\"iss\":\"https://as.example/\",\"iat\":1800000000,\"version\":8,\"full\":true,"
                            "\"entries\":[]}")),
          DEP_ERR_FEED_SIGNATURE },
        { "kept for 21 s",
          sign_feed(f, f->issuer, "k1",
                    DEP_STR("{\"iss\":\"https://as.example\",\"iat\":1799999979,\"version\":8,\"full\":true,"
                            "\"entries\":[]}")),
          DEP_ERR_FEED_TIME },
        { "older than the last one by more than the skew",
          sign_feed(f, f->issuer, "k1",
                    DEP_STR("{\"iss\":\"https://as.example\",\"iat\":1799999989,\"version\":8,\"full\":true,"
                            "\"entries\":[]}")),
          DEP_ERR_FEED_TIME },
        { "of the time to come",
          sign_feed(f, f->issuer, "k1",
                    DEP_STR("{\"iss\":\"https://as.example\",\"iat\":1800000011,\"version\":8,\"full\":true,"
                            "\"entries\":[]}")),
          DEP_ERR_FEED_TIME },
        { "no issuer and no time",
          sign_feed(f, f->issuer, "k1", DEP_STR("{\"version\":8,\"full\":true,\"entries\":[]}")), DEP_ERR_FEED_SYNTAX },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        char url[64];
        enum dep_err err;

        (void)snprintf(url, sizeof(url), URL("%d"), s.feed.version < 0 ? 0 : 7);
        s.now_ms += 250;
        err = poll_raw(t, &s, url, 1, 200, rows[i].body, f->jwks);
        dep_test_check(t, err == rows[i].err, __FILE__, __LINE__, "%s: %s", rows[i].what, dep_err_name(err));
        DEP_CHECK(t, !s.has_keys_news && dep_follow_feed_silence_s(&s.feed, s.now_ms) > 0);
        DEP_CHECK(t, covers(((const struct dep_guard_feed_set *)s.feed.slot.current)->entries, "a"));
    }
    s.now_ms += 250;
    DEP_CHECK(t, poll_raw(t, &s, URL("0"), 1, 200, signed_by_us, f->jwks) == DEP_ERR_NONE);
    DEP_CHECK(t, dep_follow_feed_silence_s(&s.feed, s.now_ms) == 0);
    speaker_close(&s);
}

/* A key that is not known yet: the issuer has others now. Before there is any key, they are on their way, and the poll is repeated soon. */
DEP_TEST(an_unknown_key_is_news_of_the_keys)
{
    static const struct dep_str payload = DEP_STR_INIT("{" FRAME "\"version\":7,\"full\":true,\"entries\":[]}");
    struct speaker s;

    speaker_open(t, &s);
    DEP_CHECK(t, poll_raw(t, &s, URL("0"), 1, 200, sign_feed(&s.f, s.f.issuer, "k1", payload), NULL) ==
                     DEP_ERR_KEYS_MISSING);
    DEP_CHECK(t, !s.has_keys_news && dep_follow_feed_due(&s.feed) < s.now_ms + 250);
    s.now_ms += 250;
    DEP_CHECK(t, poll_raw(t, &s, URL("0"), 1, 200, sign_feed(&s.f, s.f.stranger, "k2", payload), s.f.jwks) ==
                     DEP_ERR_FEED_KEY);
    DEP_CHECK(t, s.has_keys_news && dep_follow_feed_silence_s(&s.feed, s.now_ms) == INT64_MAX);
    s.now_ms += 250;
    DEP_CHECK(t, poll_feed(t, &s, URL("0"), 1, payload.ptr) == DEP_ERR_NONE);
    speaker_close(&s);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(deltas_add_and_full_sets_replace), DEP_ROW(an_empty_first_answer_is_a_set),
        DEP_ROW(bad_answers_change_nothing),       DEP_ROW(many_entries),
        DEP_ROW(polls_follow_the_version),         DEP_ROW(what_cannot_be_read_is_silence_and_starts_over),
        DEP_ROW(only_the_issuer_is_heard),         DEP_ROW(an_unknown_key_is_news_of_the_keys),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

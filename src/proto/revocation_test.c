/* Revocations: every way to name a token, and the table under it (attack group H; D27). */
#include "proto/revocation.h"
#include "test/unit.h"

#define IAT INT64_C(1700000000)

static const struct dep_token token = {
    .iss = DEP_STR_INIT("https://as.example"),
    .sub = DEP_STR_INIT("agent:root"),
    .client_id = DEP_STR_INIT("the-client"),
    .jti = DEP_STR_INIT("jti-3"),
    .iat = IAT,
    .exp = IAT + 300,
    .actors = { DEP_STR_INIT("agent:worker"), DEP_STR_INIT("agent:orchestrator") },
    .actors_count = 2,
    .lineage = { DEP_STR_INIT("jti-2"), DEP_STR_INIT("jti-1") },
    .lineage_count = 2,
    .task_id = DEP_STR_INIT("T2"),
    .parent_task_id = DEP_STR_INIT("T1"),
    .org_id = DEP_STR_INIT("acme"),
};

static bool covers(enum dep_revoked_kind kind, const char *id, int64_t before)
{
    struct dep_revocations *set = dep_revocations_new(0);
    const struct dep_revocation entry = { kind, dep_str_c(id), before, IAT + 3600 };
    bool is_covered;

    DEP_ASSERT(set != NULL && dep_is_ok(dep_revocations_add(set, &entry)));
    is_covered = dep_revocations_cover(set, &token);
    dep_revocations_free(set);
    return is_covered;
}

DEP_TEST(names_a_token_in_every_way)
{
    static const struct {
        enum dep_revoked_kind kind;
        const char *id;
    } rows[] = {
        { DEP_REVOKED_JTI, "jti-3" },
        { DEP_REVOKED_JTI, "jti-2" },
        { DEP_REVOKED_JTI, "jti-1" },
        { DEP_REVOKED_AGENT, "agent:root" },
        { DEP_REVOKED_AGENT, "agent:worker" },
        { DEP_REVOKED_AGENT, "agent:orchestrator" },
        { DEP_REVOKED_CLIENT, "the-client" },
        { DEP_REVOKED_ORG, "acme" },
        { DEP_REVOKED_TASK, "T2" },
        { DEP_REVOKED_TASK, "T1" },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        bool is_jti = rows[i].kind == DEP_REVOKED_JTI;

        dep_test_check(t, covers(rows[i].kind, rows[i].id, IAT), __FILE__, __LINE__, "%s is not covered", rows[i].id);
        dep_test_check(t, covers(rows[i].kind, rows[i].id, IAT - 1) == is_jti, __FILE__, __LINE__,
                       "%s, issued afterwards", rows[i].id);
        for (int kind = 0; kind < DEP_REVOKED_KINDS; kind++)
            if (kind != (int)rows[i].kind)
                dep_test_check(t, !covers((enum dep_revoked_kind)kind, rows[i].id, IAT), __FILE__, __LINE__,
                               "%s as another kind", rows[i].id);
    }
}

DEP_TEST(names_no_other_token)
{
    DEP_CHECK(t, !covers(DEP_REVOKED_AGENT, "agent:roo", IAT));
    DEP_CHECK(t, !covers(DEP_REVOKED_AGENT, "agent:root2", IAT));
    DEP_CHECK(t, !covers(DEP_REVOKED_AGENT, "AGENT:ROOT", IAT));
    DEP_CHECK(t, !covers(DEP_REVOKED_JTI, "jti-4", IAT));
    DEP_CHECK(t, covers(DEP_REVOKED_AGENT, "agent:root", IAT));
}

DEP_TEST(H14_blank_is_never_any)
{
    struct dep_revocations *set = dep_revocations_new(0);
    struct dep_token bare = { .iat = IAT };
    const struct dep_revocation blank = { DEP_REVOKED_ORG, DEP_STR_INIT(""), IAT, 0 };
    const struct dep_revocation good = { DEP_REVOKED_ORG, DEP_STR_INIT("acme"), IAT, 0 };

    DEP_CHECK_FAIL(t, dep_revocations_add(set, &blank), ADMIN_INPUT);
    DEP_CHECK(t, dep_revocations_count(set) == 0);
    DEP_CHECK_OK(t, dep_revocations_add(set, &good));
    DEP_CHECK(t, !dep_revocations_cover(set, &bare));
    DEP_CHECK(t, dep_revocations_cover(set, &token));
    dep_revocations_free(set);
}

static struct dep_revocation numbered(char *text, size_t size, unsigned i, int64_t expires)
{
    return (struct dep_revocation){ (enum dep_revoked_kind)(i % DEP_REVOKED_KINDS),
                                    dep_str(text, (size_t)snprintf(text, size, "id-%u", i)), IAT - 100, expires };
}

static bool has(const struct dep_revocations *set, const struct dep_revocation *wanted)
{
    struct dep_revocation entry;

    for (size_t i = 0; i < dep_revocations_count(set); i++)
        if (dep_revocations_at(set, i, &entry) && entry.kind == wanted->kind && dep_str_eq(entry.id, wanted->id))
            return entry.before == wanted->before && entry.expires == wanted->expires;
    return false;
}

DEP_TEST(grows_and_forgets_nothing)
{
    struct dep_revocations *set = dep_revocations_new(0);
    unsigned missing = 0;
    char text[24];

    for (unsigned i = 0; i < 2000; i++) {
        struct dep_revocation entry = numbered(text, sizeof(text), i, IAT + i);

        DEP_ASSERT(dep_is_ok(dep_revocations_add(set, &entry)));
    }
    memset(text, 'x', sizeof(text)); /* ids are the table's own */
    DEP_CHECK(t, dep_revocations_count(set) == 2000);
    for (unsigned i = 0; i < 2000; i++) {
        struct dep_revocation entry = numbered(text, sizeof(text), i, IAT + i);

        missing += !has(set, &entry);
    }
    DEP_CHECK(t, missing == 0);
    dep_revocations_free(set);
}

DEP_TEST(adding_again_only_raises)
{
    struct dep_revocations *set = dep_revocations_new(0);
    struct dep_revocation entry = { DEP_REVOKED_TASK, DEP_STR_INIT("T2"), IAT, IAT + 100 };
    const struct dep_revocation lower = { DEP_REVOKED_TASK, DEP_STR_INIT("T2"), IAT - 50, IAT + 50 };

    DEP_CHECK_OK(t, dep_revocations_add(set, &entry));
    DEP_CHECK_OK(t, dep_revocations_add(set, &lower));
    DEP_CHECK(t, dep_revocations_count(set) == 1);
    DEP_CHECK(t, has(set, &entry));
    entry.before = IAT + 50;
    entry.expires = IAT + 200;
    DEP_CHECK_OK(t, dep_revocations_add(set, &entry));
    DEP_CHECK(t, has(set, &entry));
    dep_revocations_free(set);
}

DEP_TEST(a_copy_drops_what_expired)
{
    static const struct {
        const char *name;
        int64_t expires;
        bool stays;
    } rows[] = {
        { "a second ago", IAT - 1, false }, { "now", IAT, true }, { "later", IAT + 1, true }, { "never", 0, true }
    };
    struct dep_revocations *set = dep_revocations_new(0), *copy;
    char text[24];

    for (unsigned i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_revocation entry = numbered(text, sizeof(text), i, rows[i].expires);

        DEP_ASSERT(dep_is_ok(dep_revocations_add(set, &entry)));
    }
    copy = dep_revocations_copy(set, IAT);
    DEP_CHECK(t, copy != NULL && dep_revocations_count(copy) == 3);
    DEP_CHECK(t, dep_revocations_count(set) == 4);
    dep_revocations_free(set);
    for (unsigned i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_revocation entry = numbered(text, sizeof(text), i, rows[i].expires);

        dep_test_check(t, has(copy, &entry) == rows[i].stays, __FILE__, __LINE__, "expires %s", rows[i].name);
    }
    dep_revocations_free(copy);
}

/* A few dead entries stay in a copy, and cover nothing that could be alive; never is any live one lost. */
DEP_TEST(a_copy_of_many_keeps_all_that_live)
{
    struct dep_revocations *set = dep_revocations_new(0), *copy;
    unsigned missing = 0;
    char text[24];

    for (unsigned i = 0; i < 1000; i++) {
        struct dep_revocation entry = numbered(text, sizeof(text), i, i % 10 == 0 ? IAT - 1 : IAT + 1);

        DEP_ASSERT(dep_is_ok(dep_revocations_add(set, &entry)));
    }
    copy = dep_revocations_copy(set, IAT);
    DEP_ASSERT(copy != NULL);
    dep_revocations_free(set);
    for (unsigned i = 0; i < 1000; i++) {
        struct dep_revocation entry = numbered(text, sizeof(text), i, i % 10 == 0 ? IAT - 1 : IAT + 1);

        missing += i % 10 != 0 && !has(copy, &entry);
    }
    DEP_CHECK(t, missing == 0);
    /* It is a set of its own: it grows. */
    for (unsigned i = 1000; i < 3000; i++) {
        struct dep_revocation entry = numbered(text, sizeof(text), i, IAT + 1);

        DEP_ASSERT(dep_is_ok(dep_revocations_add(copy, &entry)));
        missing += !has(copy, &entry);
    }
    DEP_CHECK(t, missing == 0 && dep_revocations_count(copy) == 3000);
    dep_revocations_free(copy);
}

/* 100,000 entries with ids as long as those of agents: the budget of a guard's memory. */
DEP_TEST(an_entry_takes_at_most_64_bytes)
{
    const unsigned count = 100000;
    struct dep_revocations *set = dep_revocations_new(count), *grown = dep_revocations_new(0), *copy;
    char text[48];

    for (unsigned i = 0; i < count; i++) {
        struct dep_revocation entry = { DEP_REVOKED_AGENT, DEP_STR_ABSENT, IAT, IAT + 3600 };

        entry.id = dep_str(text, (size_t)snprintf(text, sizeof(text), "agent:%026u", i));
        DEP_ASSERT(dep_is_ok(dep_revocations_add(set, &entry)) && dep_is_ok(dep_revocations_add(grown, &entry)));
    }
    copy = dep_revocations_copy(grown, IAT);
    DEP_ASSERT(copy != NULL);
    DEP_CHECK(t, dep_revocations_bytes(copy) <= (size_t)count * 64);
    DEP_CHECK(t, dep_revocations_bytes(set) <= (size_t)count * 68); /* texts are not known ahead: room of an eighth */
    DEP_CHECK(t, dep_revocations_bytes(grown) <= (size_t)count * 72);
    dep_revocations_free(set);
    dep_revocations_free(grown);
    dep_revocations_free(copy);
}

/* What the compact form cannot say exactly, it says so that the entry stays longer. */
DEP_TEST(odd_times_keep_the_entry)
{
    static const struct {
        const char *name;
        int64_t before, expires, want;
    } rows[] = {
        { "no end", IAT, 0, 0 },
        { "an end before the beginning", IAT, IAT - 5, IAT },
        { "an end after more than a century", IAT, IAT + (INT64_C(1) << 33), 0 },
        { "before 1970", -5, 100, 0 },
        { "the usual", IAT, IAT + 3600, IAT + 3600 },
    };

    for (unsigned i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_revocations *set = dep_revocations_new(0);
        const struct dep_revocation entry = { DEP_REVOKED_ORG, DEP_STR_INIT("acme"), rows[i].before, rows[i].expires };
        struct dep_revocation got = { 0 };

        DEP_ASSERT(dep_is_ok(dep_revocations_add(set, &entry)) && dep_revocations_at(set, 0, &got));
        dep_test_check(t, got.before == rows[i].before && got.expires == rows[i].want, __FILE__, __LINE__, "%s",
                       rows[i].name);
        DEP_CHECK(t, !dep_revocations_at(set, 1, &got));
        dep_revocations_free(set);
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(names_a_token_in_every_way),
        DEP_ROW(names_no_other_token),
        DEP_ROW(H14_blank_is_never_any),
        DEP_ROW(grows_and_forgets_nothing),
        DEP_ROW(adding_again_only_raises),
        DEP_ROW(a_copy_drops_what_expired),
        DEP_ROW(a_copy_of_many_keeps_all_that_live),
        DEP_ROW(an_entry_takes_at_most_64_bytes),
        DEP_ROW(odd_times_keep_the_entry),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* The failure counter: who is locked, who is not, and for how long (attack cases C23, C24). */
#include "server/limiter.h"

#include <stdio.h>

#include "test/unit.h"

#define NOW INT64_C(1700000000)

static void fail(struct dep_limiter *limiter, const char *client, const char *peer, unsigned times, int64_t now)
{
    for (unsigned i = 0; i < times; i++)
        dep_limiter_count(limiter, dep_str_c(client), dep_str_c(peer), now);
}

static int64_t until(struct dep_limiter *limiter, const char *client, const char *peer, int64_t now)
{
    return dep_limiter_locked_until(limiter, dep_str_c(client), dep_str_c(peer), now);
}

DEP_TEST(C23_locks_the_pair_and_nobody_else)
{
    struct dep_limiter *limiter = dep_limiter_new();

    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW) == 0);
    fail(limiter, "c", "192.0.2.1", DEP_LIMITER_FAILURES_MAX - 1, NOW);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW) == 0);
    fail(limiter, "c", "192.0.2.1", 1, NOW);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW) == NOW + DEP_LIMITER_LOCK_S);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.2", NOW) == 0);
    DEP_CHECK(t, until(limiter, "d", "192.0.2.1", NOW) == 0);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW + DEP_LIMITER_LOCK_S - 1) > 0);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW + DEP_LIMITER_LOCK_S) == 0);
    dep_limiter_free(limiter);
}

DEP_TEST(a_new_window_begins_at_zero)
{
    struct dep_limiter *limiter = dep_limiter_new();

    fail(limiter, "c", "192.0.2.1", DEP_LIMITER_FAILURES_MAX - 1, NOW);
    fail(limiter, "c", "192.0.2.1", 1, NOW + DEP_LIMITER_WINDOW_S);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW + DEP_LIMITER_WINDOW_S) == 0);
    fail(limiter, "c", "192.0.2.1", DEP_LIMITER_FAILURES_MAX - 1, NOW + DEP_LIMITER_WINDOW_S + 1);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW + DEP_LIMITER_WINDOW_S + 1) > 0);
    dep_limiter_free(limiter);
}

DEP_TEST(C24_an_IPv6_host_is_its_network)
{
    static const struct {
        const char *failing, *other;
        bool is_same;
    } rows[] = {
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", true },
        { "2001:db8:1:2::1", "2001:db8:1:3::1", false },
        /* The short form leaves groups out, also of the network. */
        { "2001:db8::1", "2001:db8::2", true },
        { "2001:db8::1:2:3:4", "2001:db8::9", true },
        { "2001:db8:0:1::1", "2001:db8::1", false },
        { "::1", "::2", true },
        { "fe80::1", "fe80::ffff:1", true },
        { "192.0.2.1", "192.0.2.10", false },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_limiter *limiter = dep_limiter_new();

        fail(limiter, "c", rows[i].failing, DEP_LIMITER_FAILURES_MAX, NOW);
        DEP_CHECK(t, until(limiter, "c", rows[i].failing, NOW) > 0);
        dep_test_check(t, (until(limiter, "c", rows[i].other, NOW) > 0) == rows[i].is_same, __FILE__, __LINE__,
                       "%s and %s", rows[i].failing, rows[i].other);
        dep_limiter_free(limiter);
    }
}

/* The table is bounded: a flood of others may push a count out, and must do no more. */
DEP_TEST(survives_a_flood)
{
    struct dep_limiter *limiter = dep_limiter_new();
    char peer[32];

    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(peer, sizeof(peer), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        fail(limiter, "c", peer, 1, NOW);
    }
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW) == 0);
    fail(limiter, "c", "192.0.2.1", DEP_LIMITER_FAILURES_MAX, NOW + 1);
    DEP_CHECK(t, until(limiter, "c", "192.0.2.1", NOW + 1) > 0);
    dep_limiter_free(limiter);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(C23_locks_the_pair_and_nobody_else),
        DEP_ROW(a_new_window_begins_at_zero),
        DEP_ROW(C24_an_IPv6_host_is_its_network),
        DEP_ROW(survives_a_flood),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

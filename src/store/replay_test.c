/* The replay store: single use, lives, bounds, clocks, and many threads at once. */
#include "store/replay.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "test/unit.h"

#define LIFE 60
#define NOW INT64_C(1700000000)

static void key_of(uint64_t number, unsigned char ret_key[DEP_REPLAY_KEY_LEN])
{
    memset(ret_key, 0, DEP_REPLAY_KEY_LEN);
    memcpy(ret_key, &number, sizeof(number));
}

static struct dep_res insert(struct dep_replay *replay, uint64_t number, int64_t expires, int64_t now)
{
    unsigned char key[DEP_REPLAY_KEY_LEN];

    key_of(number, key);
    return dep_replay_insert(replay, key, expires, now);
}

DEP_TEST(takes_each_key_once)
{
    struct dep_replay *replay = dep_replay_new(100000, LIFE);

    for (uint64_t i = 0; i < 50000; i++)
        DEP_CHECK_OK(t, insert(replay, i, NOW + (int64_t)(i % LIFE), NOW));
    for (uint64_t i = 0; i < 50000; i++)
        DEP_CHECK_FAIL(t, insert(replay, i, NOW + (int64_t)(i % LIFE), NOW), REPLAY_SEEN);
    DEP_CHECK(t, dep_replay_count(replay) == 50000);
    for (uint64_t i = 0; i < 100000; i++) {
        unsigned char key[DEP_REPLAY_KEY_LEN];

        key_of(i, key);
        DEP_CHECK(t, dep_replay_has(replay, key, NOW + (int64_t)(i % LIFE)) == (i < 50000));
    }
    dep_replay_free(replay);
}

/* Keys that differ in one bit only, the key of zeros among them. */
DEP_TEST(tells_near_keys_apart)
{
    struct dep_replay *replay = dep_replay_new(1000, LIFE);
    unsigned char key[DEP_REPLAY_KEY_LEN] = { 0 };

    for (int pass = 0; pass < 2; pass++) {
        struct dep_res res = dep_replay_insert(replay, key, NOW + 5, NOW);

        DEP_CHECK(t, pass == 0 ? dep_is_ok(res) : res.err == DEP_ERR_REPLAY_SEEN);
        for (size_t bit = 1; bit < 8 * DEP_REPLAY_KEY_LEN; bit++) {
            key[bit / 8] = (unsigned char)(1u << bit % 8);
            res = dep_replay_insert(replay, key, NOW + 5, NOW);
            DEP_CHECK(t, pass == 0 ? dep_is_ok(res) : res.err == DEP_ERR_REPLAY_SEEN);
            key[bit / 8] = 0;
        }
    }
    dep_replay_free(replay);
}

/* For every life and every second of it: seen until the last second, that one included. */
DEP_TEST(remembers_until_it_expires)
{
    static const int64_t lives[] = { 1, 2, 9, 10, 11, 59, 60, 61, 300, 3600 };

    for (size_t i = 0; i < DEP_COUNT(lives); i++) {
        struct dep_replay *replay = dep_replay_new(100000, lives[i]);
        int64_t step = lives[i] > 100 ? 7 : 1;

        for (int64_t life = 0; life <= lives[i]; life += step)
            DEP_CHECK_OK(t, insert(replay, (uint64_t)life, NOW + life, NOW));
        for (int64_t now = NOW; now <= NOW + lives[i]; now += step)
            for (int64_t life = now - NOW; life <= lives[i]; life++)
                if (life % step == 0)
                    DEP_CHECK_FAIL(t, insert(replay, (uint64_t)life, NOW + life, now), REPLAY_SEEN);
        dep_replay_free(replay);
    }
}

DEP_TEST(lets_go_of_what_expired)
{
    struct dep_replay *replay = dep_replay_new(100000, LIFE);
    size_t empty = dep_replay_bytes(replay);

    for (int64_t now = NOW; now < NOW + 100 * LIFE; now++) {
        for (uint64_t i = 0; i < 20; i++)
            DEP_CHECK_OK(t, insert(replay, (uint64_t)now * 100 + i, now + LIFE, now));
        /* At most one generation more than what is live. */
        DEP_CHECK(t, dep_replay_count(replay) <= 20 * (LIFE + LIFE / 10 + 2));
    }
    DEP_CHECK(t, dep_replay_bytes(replay) > empty);
    for (uint64_t i = 0; i < 1000; i++)
        DEP_CHECK_OK(t, insert(replay, i, NOW + 1000 * LIFE, NOW + 1000 * LIFE));
    DEP_CHECK(t, dep_replay_count(replay) <= 1000 + 20 * 62);
    dep_replay_free(replay);
}

DEP_TEST(a_full_store_refuses_and_keeps_what_it_has)
{
    struct dep_replay *replay = dep_replay_new(1000, LIFE);

    for (uint64_t i = 0; i < 1000; i++)
        DEP_CHECK_OK(t, insert(replay, i, NOW + (int64_t)i % 50, NOW));
    for (uint64_t i = 0; i < 100; i++)
        DEP_CHECK_FAIL(t, insert(replay, 1000 + i, NOW + (int64_t)i % LIFE, NOW), REPLAY_FULL);
    for (uint64_t i = 0; i < 1000; i++)
        DEP_CHECK_FAIL(t, insert(replay, i, NOW + (int64_t)i % 50, NOW), REPLAY_SEEN);
    /* When its entries have expired there is room again. */
    DEP_CHECK_OK(t, insert(replay, 5000, NOW + 2 * LIFE, NOW + LIFE + 10));
    dep_replay_free(replay);
}

/* The bound of a store with many shards is about what was asked for. */
DEP_TEST(bounds_the_shards_together)
{
    struct dep_replay *replay = dep_replay_new(1000000, LIFE);
    size_t taken = 0;

    for (uint64_t i = 0; i < 1200000; i++)
        taken += dep_is_ok(insert(replay, i * 0x9e3779b97f4a7c15u, NOW + 30, NOW));
    DEP_CHECK(t, taken >= 1000000 && taken <= 1063000);
    DEP_CHECK(t, dep_replay_count(replay) == taken);
    DEP_CHECK(t, dep_replay_bytes(replay) <= 32 * taken);
    dep_replay_free(replay);
}

DEP_TEST(P08_a_clock_set_back_opens_nothing)
{
    struct dep_replay *replay = dep_replay_new(10000, LIFE);

    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_OK(t, insert(replay, i, NOW + (int64_t)i, NOW));
    /* Two seconds back: everything that was seen is still seen, new things go in once. */
    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_FAIL(t, insert(replay, i, NOW + (int64_t)i, NOW - 2), REPLAY_SEEN);
    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_OK(t, insert(replay, 1000 + i, NOW - 2 + (int64_t)i, NOW - 2));
    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_FAIL(t, insert(replay, 1000 + i, NOW - 2 + (int64_t)i, NOW - 2), REPLAY_SEEN);
    /* An hour back: what was seen is still seen, and nothing is taken twice. */
    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_FAIL(t, insert(replay, i, NOW + (int64_t)i, NOW - 3600), REPLAY_SEEN);
    for (uint64_t i = 0; i < LIFE; i++) {
        bool is_taken = dep_is_ok(insert(replay, 3000 + i, NOW - 3600 + (int64_t)i, NOW - 3600));

        DEP_CHECK(t, !(is_taken && dep_is_ok(insert(replay, 3000 + i, NOW - 3600 + (int64_t)i, NOW - 3600))));
    }
    /* Forward until some was dropped, and back: what was dropped is not taken again. */
    DEP_CHECK_OK(t, insert(replay, 2000, NOW + LIFE + 30, NOW + 30));
    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_FAIL(t, insert(replay, i, NOW + (int64_t)i, NOW), REPLAY_SEEN);
    dep_replay_free(replay);
}

DEP_TEST(P08_a_clock_ten_years_ahead_and_back_opens_nothing)
{
    struct dep_replay *replay = dep_replay_new(10000, LIFE);
    int64_t ahead = NOW + INT64_C(10) * 365 * 86400;

    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_OK(t, insert(replay, i, NOW + (int64_t)i, NOW));
    DEP_CHECK_OK(t, insert(replay, 1, ahead + 5, ahead));
    for (uint64_t i = 0; i < LIFE; i++)
        DEP_CHECK_FAIL(t, insert(replay, i, NOW + (int64_t)i, NOW), REPLAY_SEEN);
    /* Later things, which cannot have been dropped, find room again. */
    size_t taken = 0;

    for (uint64_t i = 0; i < 10 * LIFE; i++)
        taken += dep_is_ok(insert(replay, 5000 + i, NOW + LIFE + 10 + (int64_t)i, NOW + 10 + (int64_t)i));
    DEP_CHECK(t, taken >= 8 * LIFE);
    for (uint64_t i = 0; i < 10 * LIFE; i++)
        DEP_CHECK(t, !dep_is_ok(insert(replay, 5000 + i, NOW + LIFE + 10 + (int64_t)i, NOW + 10 + (int64_t)i)));
    dep_replay_free(replay);
}

DEP_TEST(refuses_times_it_cannot_keep)
{
    struct dep_replay *replay = dep_replay_new(1000, LIFE);

    DEP_CHECK_OK(t, insert(replay, 1, NOW + LIFE, NOW));
    DEP_CHECK_FAIL(t, insert(replay, 2, NOW + LIFE + 1, NOW), REPLAY_FULL);
    DEP_CHECK_FAIL(t, insert(replay, 2, INT64_MAX, NOW), REPLAY_FULL);
    DEP_CHECK_FAIL(t, insert(replay, 2, -1, NOW), REPLAY_FULL);
    DEP_CHECK_FAIL(t, insert(replay, 2, NOW, -1), REPLAY_FULL);
    DEP_CHECK_FAIL(t, insert(replay, 2, NOW, INT64_MAX), REPLAY_FULL);
    DEP_CHECK_OK(t, insert(replay, 2, NOW + LIFE, NOW));
    DEP_CHECK_OK(t, insert(replay, 3, NOW + LIFE + 100, NOW + 100));
    dep_replay_free(replay);
}

/* Against a list: random keys, lives and steps of the clock, a little back now and then. */
DEP_TEST(agrees_with_a_list)
{
    static struct {
        uint64_t key;
        int64_t expires;
    } list[4000];
    struct dep_replay *replay = dep_replay_new(100000, LIFE);
    size_t count = 0;
    int64_t now = NOW, latest = NOW;

    srand(30);
    while (count < DEP_COUNT(list)) {
        bool is_old = count > 0 && rand() % 3 == 0;
        size_t at = count == 0 ? 0 : (size_t)rand() % count;
        uint64_t key = is_old ? list[at].key : (uint64_t)count + 1;
        int64_t expires = is_old ? list[at].expires : now + rand() % (LIFE + 1);
        struct dep_res res = insert(replay, key, expires, now);

        if (!is_old) {
            DEP_CHECK(t, dep_is_ok(res) || expires < latest);
            list[count].key = key;
            list[count++].expires = dep_is_ok(res) ? expires : -1;
        } else if (expires >= latest) {
            DEP_CHECK(t, res.err == DEP_ERR_REPLAY_SEEN);
        }
        now += rand() % 20 == 0 ? rand() % 9 - 2 : 0;
        latest = now > latest ? now : latest;
    }
    dep_replay_free(replay);
}

#define THREADS 8
#define ROUNDS 20000

struct race {
    struct dep_replay *replay;
    pthread_barrier_t start;
    atomic_uint *wins; /* of each round */
    atomic_uint others;
};

static void *race_run(void *context)
{
    struct race *race = context;

    pthread_barrier_wait(&race->start);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        /* The clock rises while they run, so that generations are dropped under the feet of the others. */
        int64_t now = NOW + (int64_t)(i / 1000);
        struct dep_res res = insert(race->replay, i, NOW + (int64_t)(i / 1000) + LIFE, now);

        if (dep_is_ok(res))
            atomic_fetch_add(&race->wins[i], 1);
        else if (res.err != DEP_ERR_REPLAY_SEEN)
            atomic_fetch_add(&race->others, 1);
    }
    return NULL;
}

DEP_TEST(B30_eight_threads_one_success)
{
    struct race race = { .replay = dep_replay_new(100000, LIFE) };
    pthread_t threads[THREADS];
    size_t good = 0;

    race.wins = calloc(ROUNDS, sizeof(*race.wins));
    DEP_ASSERT(race.wins != NULL);
    pthread_barrier_init(&race.start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        DEP_ASSERT(pthread_create(&threads[i], NULL, race_run, &race) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&race.start);
    for (size_t i = 0; i < ROUNDS; i++)
        good += atomic_load(&race.wins[i]) == 1;
    DEP_CHECK(t, good == ROUNDS);
    DEP_CHECK(t, atomic_load(&race.others) == 0);
    free(race.wins);
    dep_replay_free(race.replay);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(takes_each_key_once),
        DEP_ROW(tells_near_keys_apart),
        DEP_ROW(remembers_until_it_expires),
        DEP_ROW(lets_go_of_what_expired),
        DEP_ROW(a_full_store_refuses_and_keeps_what_it_has),
        DEP_ROW(bounds_the_shards_together),
        DEP_ROW(P08_a_clock_set_back_opens_nothing),
        DEP_ROW(P08_a_clock_ten_years_ahead_and_back_opens_nothing),
        DEP_ROW(refuses_times_it_cannot_keep),
        DEP_ROW(agrees_with_a_list),
        DEP_ROW(B30_eight_threads_one_success),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

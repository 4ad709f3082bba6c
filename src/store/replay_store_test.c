/* One contract for every replay store: memory, SQLite, and PostgreSQL when DEPUTY_TEST_POSTGRES says where there is one (the
 * suite replay-contract starts it). Then what only the durable ones promise. */
#include "store/replay_store.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "test/unit.h"

#define LIFE 70
#define ROOM 20000
#define TIMEOUT_MS 5000

enum kind { MEMORY, SQLITE, POSTGRES, KINDS };

struct place {
    enum kind kind;
    char folder[64], path[96];
    int64_t now;
};

/* Waits for what was taken. */
struct probe {
    struct dep_replay_entry entry; /* first */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_done;
};

static void probe_done(struct dep_replay_entry *entry)
{
    struct probe *probe = (struct probe *)entry;

    pthread_mutex_lock(&probe->lock);
    probe->is_done = true;
    pthread_cond_signal(&probe->wake);
    pthread_mutex_unlock(&probe->lock);
}

static struct dep_res insert_key(struct dep_replay_store *store, const unsigned char key[DEP_REPLAY_KEY_LEN],
                                 int64_t anchor, int64_t expires, int64_t now)
{
    struct probe probe = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

    probe.entry = (struct dep_replay_entry){ .anchor = anchor, .expires = expires, .now = now, .done = probe_done };
    memcpy(probe.entry.key, key, DEP_REPLAY_KEY_LEN);
    if (!dep_replay_store_insert(store, &probe.entry)) {
        pthread_mutex_lock(&probe.lock);
        while (!probe.is_done)
            pthread_cond_wait(&probe.wake, &probe.lock);
        pthread_mutex_unlock(&probe.lock);
    }
    return probe.entry.res;
}

/* Each run has its own keys: the PostgreSQL one stays. */
static void key_of(uint64_t number, unsigned char ret_key[DEP_REPLAY_KEY_LEN])
{
    static uint64_t salt;

    if (salt == 0)
        dep_random(&salt, sizeof(salt));
    memcpy(ret_key, &number, sizeof(number));
    memcpy(ret_key + 8, &salt, sizeof(salt));
}

static struct dep_res insert(struct dep_replay_store *store, uint64_t number, int64_t anchor, int64_t now)
{
    unsigned char key[DEP_REPLAY_KEY_LEN];

    key_of(number, key);
    return insert_key(store, key, anchor, anchor + LIFE - 10, now);
}

static bool is_unavailable(struct dep_res res)
{
    return dep_err_class(res.err) == DEP_CLASS_UNAVAILABLE;
}

static struct dep_replay_store *open_kind(struct dep_test *t, const struct place *place)
{
    const char *conninfo = getenv("DEPUTY_TEST_POSTGRES");
    struct dep_replay_postgres_config config = { .life_max_s = LIFE, .skew_s = 10, .timeout_ms = TIMEOUT_MS };
    struct dep_replay_store *store = NULL;
    struct timespec moment = { 0, 5000000 };

    if (place->kind == MEMORY)
        return dep_replay_memory_new(ROOM, LIFE);
    if (place->kind == SQLITE)
        DEP_CHECK_OK(t, dep_replay_sqlite_new(place->path, ROOM, LIFE, &store));
    else {
        config.conninfo = dep_secret(conninfo, strlen(conninfo));
        DEP_CHECK_OK(t, dep_replay_postgres_new(&config, &store));
    }
    DEP_ASSERT(store != NULL);
    for (int tries = 0; !dep_replay_store_is_usable(store) && tries < 4000; tries++)
        nanosleep(&moment, NULL);
    DEP_CHECK(t, dep_replay_store_is_usable(store));
    return store;
}

static void for_each_kind(struct dep_test *t, enum kind first,
                          void (*check)(struct dep_test *t, struct place *place, struct dep_replay_store *store))
{
    for (enum kind kind = first; kind < KINDS; kind++) {
        struct place place = { .kind = kind, .folder = "/tmp/deputy-replay-XXXXXX", .now = (int64_t)time(NULL) };
        static const char *const suffixes[] = { "", "-wal", "-shm" };

        if (kind == POSTGRES && getenv("DEPUTY_TEST_POSTGRES") == NULL)
            continue;
        DEP_ASSERT(mkdtemp(place.folder) != NULL);
        (void)snprintf(place.path, sizeof(place.path), "%s/replay.db", place.folder);
        check(t, &place, open_kind(t, &place));
        for (size_t i = 0; i < DEP_COUNT(suffixes); i++) {
            char path[128];

            (void)snprintf(path, sizeof(path), "%s%s", place.path, suffixes[i]);
            (void)unlink(path);
        }
        DEP_CHECK(t, rmdir(place.folder) == 0);
    }
}

static void once(struct dep_test *t, struct place *place, struct dep_replay_store *store)
{
    for (uint64_t i = 0; i < 300; i++)
        DEP_CHECK_OK(t, insert(store, i, place->now - (int64_t)(i % 50), place->now));
    for (uint64_t i = 0; i < 300; i++)
        DEP_CHECK_FAIL(t, insert(store, i, place->now - (int64_t)(i % 50), place->now), REPLAY_SEEN);
    DEP_CHECK_OK(t, insert(store, 300, place->now + 10, place->now));
    dep_replay_store_free(store);
}

/* Keys that differ in one bit only. */
static void near_keys(struct dep_test *t, struct place *place, struct dep_replay_store *store)
{
    unsigned char key[DEP_REPLAY_KEY_LEN];

    key_of(UINT64_MAX, key);
    for (int pass = 0; pass < 2; pass++)
        for (size_t bit = 0; bit < 8 * DEP_REPLAY_KEY_LEN; bit++) {
            struct dep_res res;

            key[bit / 8] ^= (unsigned char)(1u << bit % 8);
            res = insert_key(store, key, place->now, place->now + 60, place->now);
            DEP_CHECK(t, pass == 0 ? dep_is_ok(res) : res.err == DEP_ERR_REPLAY_SEEN);
            key[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
    DEP_CHECK_OK(t, insert_key(store, key, place->now, place->now + 60, place->now));
    dep_replay_store_free(store);
}

/* Times that no store keeps: never taken twice, and those that live too long never at all. */
static void odd_times(struct dep_test *t, struct place *place, struct dep_replay_store *store)
{
    static const int64_t ages[] = { 100, 1000, 100000, INT64_C(1000000000) };
    unsigned char key[DEP_REPLAY_KEY_LEN];

    for (size_t i = 0; i < DEP_COUNT(ages); i++) {
        int taken = 0;

        for (int pass = 0; pass < 3; pass++)
            taken += dep_is_ok(insert(store, 1000 + i, place->now - ages[i], place->now));
        DEP_CHECK(t, taken <= 1);
    }
    key_of(2000, key);
    for (size_t i = 0; i < DEP_COUNT(ages); i++)
        DEP_CHECK(t, is_unavailable(
                         insert_key(store, key, place->now + ages[i] + 900, place->now + ages[i] + 960, place->now)));
    DEP_CHECK(t, is_unavailable(insert_key(store, key, place->now, place->now + LIFE + 1, place->now)));
    DEP_CHECK(t, is_unavailable(insert_key(store, key, place->now, INT64_MAX, place->now)));
    DEP_CHECK_OK(t, insert_key(store, key, place->now, place->now + LIFE, place->now));
    dep_replay_store_free(store);
}

#define THREADS 8
#define RACES 400

struct race {
    struct dep_replay_store *store;
    pthread_barrier_t start;
    int64_t now;
    uint64_t first;
    unsigned thread;
    atomic_uint *wins, *others;
};

/* Every thread with all keys at once, each in an order of its own, so that batches hold the same key twice and two stores hold the same
 * keys in other orders. */
static void *race_run(void *context)
{
    struct race *race = context;
    struct probe *probes = calloc(RACES, sizeof(*probes));

    DEP_ASSERT(probes != NULL);
    pthread_barrier_wait(&race->start);
    for (uint64_t i = 0; i < RACES; i++) {
        struct probe *probe = &probes[i];
        uint64_t number = (i * (race->thread % 2 == 0 ? 7 : 393) + race->thread * 31) % RACES;

        pthread_mutex_init(&probe->lock, NULL);
        pthread_cond_init(&probe->wake, NULL);
        probe->entry = (struct dep_replay_entry){
            .anchor = race->now, .expires = race->now + 60, .now = race->now, .done = probe_done
        };
        key_of(race->first + number, probe->entry.key);
        if (dep_replay_store_insert(race->store, &probe->entry))
            probe->is_done = true; /* else it is the store's until it is done */
    }
    for (uint64_t i = 0; i < RACES; i++) {
        struct probe *probe = &probes[i];
        uint64_t number = (i * (race->thread % 2 == 0 ? 7 : 393) + race->thread * 31) % RACES;

        pthread_mutex_lock(&probe->lock);
        while (!probe->is_done)
            pthread_cond_wait(&probe->wake, &probe->lock);
        pthread_mutex_unlock(&probe->lock);
        if (dep_is_ok(probe->entry.res))
            atomic_fetch_add(&race->wins[number], 1);
        else if (probe->entry.res.err != DEP_ERR_REPLAY_SEEN)
            atomic_fetch_add(race->others, 1);
        pthread_cond_destroy(&probe->wake);
        pthread_mutex_destroy(&probe->lock);
    }
    free(probes);
    return NULL;
}

/* `second` may be the same store, or another node's. */
static void race_on(struct dep_test *t, struct dep_replay_store *store, struct dep_replay_store *second, int64_t now,
                    uint64_t first)
{
    static atomic_uint wins[RACES], others;
    struct race races[THREADS];
    pthread_t threads[THREADS];
    size_t good = 0;

    for (size_t i = 0; i < RACES; i++)
        atomic_store(&wins[i], 0);
    atomic_store(&others, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        races[i] = (struct race){ .store = i % 2 == 0 ? store : second,
                                  .now = now,
                                  .first = first,
                                  .thread = i,
                                  .wins = wins,
                                  .others = &others };
        pthread_barrier_init(&races[i].start, NULL, 1);
        DEP_ASSERT(pthread_create(&threads[i], NULL, race_run, &races[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&races[i].start);
    }
    for (size_t i = 0; i < RACES; i++)
        good += atomic_load(&wins[i]) == 1;
    DEP_CHECK(t, good == RACES);
    DEP_CHECK(t, atomic_load(&others) == 0);
}

static void races(struct dep_test *t, struct place *place, struct dep_replay_store *store)
{
    race_on(t, store, store, place->now, 10000);
    dep_replay_store_free(store);
}

static void stopped(struct dep_test *t, struct place *place, struct dep_replay_store *store)
{
    DEP_CHECK_OK(t, insert(store, 20000, place->now, place->now));
    dep_replay_store_stop(store);
    if (place->kind != MEMORY) {
        DEP_CHECK(t, !dep_replay_store_is_usable(store));
        DEP_CHECK_FAIL(t, insert(store, 20001, place->now, place->now), REPLAY_GONE);
        DEP_CHECK_FAIL(t, insert(store, 20000, place->now, place->now), REPLAY_GONE);
    }
    dep_replay_store_free(store);
}

static void reopened(struct dep_test *t, struct place *place, struct dep_replay_store *store)
{
    for (int round = 0; round < 3; round++) {
        DEP_CHECK(t, store->is_durable);
        for (uint64_t i = 0; i < 50; i++)
            DEP_CHECK_OK(t, insert(store, 30000 + 100 * (uint64_t)round + i, place->now, place->now));
        dep_replay_store_free(store);
        store = open_kind(t, place);
        for (uint64_t i = 0; i < 50; i++)
            DEP_CHECK_FAIL(t, insert(store, 30000 + 100 * (uint64_t)round + i, place->now, place->now), REPLAY_SEEN);
    }
    dep_replay_store_free(store);
}

static void two_nodes(struct dep_test *t, struct place *place, struct dep_replay_store *store)
{
    struct dep_replay_store *second;

    if (place->kind == POSTGRES) {
        second = open_kind(t, place);
        for (uint64_t round = 0; round < 5; round++)
            race_on(t, store, second, place->now, 40000 + 1000 * round);
        DEP_CHECK_OK(t, insert(store, 50000, place->now, place->now));
        DEP_CHECK_FAIL(t, insert(second, 50000, place->now, place->now), REPLAY_SEEN);
        dep_replay_store_free(second);
    } else {
        /* A file is for one. */
        DEP_CHECK_FAIL(t, dep_replay_sqlite_new(place->path, ROOM, LIFE, &second), STORE_IO);
    }
    dep_replay_store_free(store);
}

DEP_TEST(takes_each_key_once)
{
    for_each_kind(t, MEMORY, once);
}
DEP_TEST(tells_near_keys_apart)
{
    for_each_kind(t, MEMORY, near_keys);
}
DEP_TEST(P08_times_it_cannot_keep_are_never_taken_twice)
{
    for_each_kind(t, MEMORY, odd_times);
}
DEP_TEST(B30_eight_threads_one_success)
{
    for_each_kind(t, MEMORY, races);
}
DEP_TEST(B36_a_stopped_store_refuses)
{
    for_each_kind(t, MEMORY, stopped);
}
DEP_TEST(durable_ones_remember_across_a_restart)
{
    for_each_kind(t, SQLITE, reopened);
}
DEP_TEST(B30_two_nodes_one_success)
{
    for_each_kind(t, SQLITE, two_nodes);
}

/* In memory and in SQLite the bound is ours. */
DEP_TEST(M05_a_full_store_refuses_and_keeps_what_it_has)
{
    struct place place = { .kind = SQLITE, .folder = "/tmp/deputy-replay-XXXXXX", .now = (int64_t)time(NULL) };
    struct dep_replay_store *store = NULL;

    DEP_ASSERT(mkdtemp(place.folder) != NULL);
    (void)snprintf(place.path, sizeof(place.path), "%s/replay.db", place.folder);
    for (int kind = MEMORY; kind <= SQLITE; kind++) {
        if (kind == MEMORY)
            store = dep_replay_memory_new(100, LIFE);
        else
            DEP_CHECK_OK(t, dep_replay_sqlite_new(place.path, 100, LIFE, &store));
        while (!dep_replay_store_is_usable(store))
            sched_yield();
        for (uint64_t i = 0; i < 100; i++)
            DEP_CHECK_OK(t, insert(store, i, place.now, place.now));
        for (uint64_t i = 100; i < 150; i++)
            DEP_CHECK_FAIL(t, insert(store, i, place.now, place.now), REPLAY_FULL);
        for (uint64_t i = 0; i < 100; i++)
            DEP_CHECK(t, !dep_is_ok(insert(store, i, place.now, place.now)));
        dep_replay_store_free(store);
    }
    DEP_CHECK(t, unlink(place.path) == 0 && rmdir(place.folder) == 0);
}

/* A path that is none, a second process's file, and a text that is no connection string, with the password in it. */
DEP_TEST(refuses_what_is_no_store)
{
    static const char *const bad[] = { "", "host", "postgresql://[", "password=geheim geheim", "nosuchoption=1" };
    struct dep_replay_store *store = NULL;

    DEP_CHECK_FAIL(t, dep_replay_sqlite_new("/nowhere/at/all.db", 100, LIFE, &store), STORE_IO);
    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        const struct dep_replay_postgres_config config = { .conninfo = dep_secret(bad[i], strlen(bad[i])),
                                                           .life_max_s = LIFE,
                                                           .timeout_ms = 1000 };

        DEP_CHECK_FAIL(t, dep_replay_postgres_new(&config, &store), CONFIG_SYNTAX);
    }
    DEP_CHECK(t, store == NULL);
}

/* Nobody listens there. */
DEP_TEST(B36_a_server_that_is_not_there_refuses)
{
    static const char nowhere[] = "host=127.0.0.1 port=1 user=x dbname=x sslmode=disable";
    const struct dep_replay_postgres_config config = { .conninfo = dep_secret(nowhere, strlen(nowhere)),
                                                       .life_max_s = LIFE,
                                                       .timeout_ms = 1000 };
    struct dep_replay_store *store = NULL;

    DEP_CHECK_OK(t, dep_replay_postgres_new(&config, &store));
    for (uint64_t i = 0; i < 100; i++)
        DEP_CHECK_FAIL(t, insert(store, i, 1000, 1000), REPLAY_GONE);
    DEP_CHECK(t, !dep_replay_store_is_usable(store));
    dep_replay_store_free(store);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(takes_each_key_once),
        DEP_ROW(tells_near_keys_apart),
        DEP_ROW(P08_times_it_cannot_keep_are_never_taken_twice),
        DEP_ROW(B30_eight_threads_one_success),
        DEP_ROW(B36_a_stopped_store_refuses),
        DEP_ROW(durable_ones_remember_across_a_restart),
        DEP_ROW(B30_two_nodes_one_success),
        DEP_ROW(M05_a_full_store_refuses_and_keeps_what_it_has),
        DEP_ROW(refuses_what_is_no_store),
        DEP_ROW(B36_a_server_that_is_not_there_refuses),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* The shared replay store: single use, lives, bounds, clocks, many processes, and one that is killed. */
#include "store/replay_region.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit.h"

#define LIFE 60
#define NOW INT64_C(1700000000)
#define BYTES (4u * 1024u * 1024u)

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    DEP_ASSERT(memory != MAP_FAILED);
    return memory;
}

static struct dep_res insert(struct dep_replay_region *region, uint64_t number, int64_t expires, int64_t now)
{
    unsigned char key[16] = { 0 };

    memcpy(key, &number, sizeof(number));
    return dep_replay_region_insert(region, key, expires, now);
}

DEP_TEST(takes_each_key_once)
{
    void *memory = map(BYTES);
    struct dep_replay_region *region = dep_replay_region_init(memory, BYTES, LIFE);

    for (uint64_t i = 0; i < 50000; i++)
        DEP_CHECK_OK(t, insert(region, i, NOW + (int64_t)(i % LIFE), NOW));
    for (uint64_t i = 0; i < 50000; i++)
        DEP_CHECK_FAIL(t, insert(region, i, NOW + (int64_t)(i % LIFE), NOW), REPLAY_SEEN);
    DEP_CHECK(t, dep_replay_region_count(region) == 50000);
    munmap(memory, BYTES);
}

DEP_TEST(too_little_memory_is_no_store)
{
    _Alignas(64) static unsigned char memory[16384];

    DEP_CHECK(t, dep_replay_region_init(memory, 64, LIFE) == NULL);
    DEP_CHECK(t, dep_replay_region_init(memory, 2048, LIFE) == NULL);
    DEP_CHECK(t, dep_replay_region_init(memory, sizeof(memory), LIFE) != NULL);
}

DEP_TEST(remembers_until_it_expires)
{
    static const int64_t lives[] = { 1, 2, 9, 10, 11, 59, 60, 61, 300 };
    void *memory = map(BYTES);

    for (size_t i = 0; i < DEP_COUNT(lives); i++) {
        struct dep_replay_region *region = dep_replay_region_init(memory, BYTES, lives[i]);

        for (int64_t life = 0; life <= lives[i]; life++)
            DEP_CHECK_OK(t, insert(region, (uint64_t)life, NOW + life, NOW));
        for (int64_t now = NOW; now <= NOW + lives[i]; now++)
            for (int64_t life = now - NOW; life <= lives[i]; life++)
                DEP_CHECK_FAIL(t, insert(region, (uint64_t)life, NOW + life, now), REPLAY_SEEN);
    }
    munmap(memory, BYTES);
}

/* Tables are used again and again; what they held before is not seen in them. */
DEP_TEST(lets_go_of_what_expired)
{
    void *memory = map(BYTES);
    struct dep_replay_region *region = dep_replay_region_init(memory, BYTES, LIFE);

    for (int64_t now = NOW; now < NOW + 100 * LIFE; now++)
        for (uint64_t i = 0; i < 20; i++)
            DEP_CHECK_OK(t, insert(region, (uint64_t)now % 7 * 100 + i, now + LIFE, now));
    DEP_CHECK(t, dep_replay_region_count(region) <= 20 * (LIFE + 2 * LIFE / 10 + 2));
    munmap(memory, BYTES);
}

DEP_TEST(full_refuses_and_keeps_what_it_has)
{
    void *memory = map(65536);
    struct dep_replay_region *region = dep_replay_region_init(memory, 65536, LIFE);
    size_t max = dep_replay_region_generation_max(region), taken = 0;

    for (uint64_t i = 0; i < 2 * max; i++)
        taken += dep_is_ok(insert(region, i, NOW + 30, NOW));
    DEP_CHECK(t, taken == max);
    for (uint64_t i = 0; i < max; i++)
        DEP_CHECK_FAIL(t, insert(region, i, NOW + 30, NOW), REPLAY_SEEN);
    DEP_CHECK_FAIL(t, insert(region, 2 * max, NOW + 30, NOW), REPLAY_FULL);
    /* Another generation has room, and this one when it is over. */
    DEP_CHECK_OK(t, insert(region, 2 * max, NOW + 45, NOW));
    DEP_CHECK_OK(t, insert(region, 1, NOW + LIFE + 30, NOW + LIFE));
    munmap(memory, 65536);
}

DEP_TEST(B37_a_clock_set_back_reopens_nothing)
{
    void *memory = map(BYTES);
    struct dep_replay_region *region = dep_replay_region_init(memory, BYTES, LIFE);

    DEP_CHECK_OK(t, insert(region, 1, NOW + 10, NOW));
    DEP_CHECK_OK(t, insert(region, 2, NOW + 1000, NOW + 1000 - LIFE));
    DEP_CHECK_FAIL(t, insert(region, 1, NOW + 10, NOW), REPLAY_SEEN);
    DEP_CHECK_FAIL(t, insert(region, 3, NOW + LIFE + 1001, NOW), REPLAY_FULL);
    DEP_CHECK_FAIL(t, insert(region, 3, -1, NOW), REPLAY_FULL);
    DEP_CHECK_FAIL(t, insert(region, 3, 1, -1), REPLAY_FULL);
    DEP_CHECK_OK(t, insert(region, 3, NOW + 1001, NOW + 1000));
    munmap(memory, BYTES);
}

#define CHILDREN 4
#define KEYS 20000

/* Several processes insert the same keys at once: each key is new exactly once. */
DEP_TEST(processes_share_it)
{
    void *memory = map(BYTES);
    struct dep_replay_region *region = dep_replay_region_init(memory, BYTES, LIFE);
    atomic_uint *taken = map(4096);
    int status;

    for (unsigned child = 0; child < CHILDREN; child++)
        if (fork() == 0) {
            for (uint64_t i = 0; i < KEYS; i++)
                if (dep_is_ok(insert(region, i, NOW + (int64_t)(i % LIFE), NOW)))
                    atomic_fetch_add(taken, 1);
            _exit(0);
        }
    for (unsigned child = 0; child < CHILDREN; child++)
        DEP_CHECK(t, wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    DEP_CHECK(t, atomic_load(taken) == KEYS);
    munmap(taken, 4096);
    munmap(memory, BYTES);
}

/* A process is killed while it does nothing but insert, again and again: the others go on, and whatever it was told is new is
 * remembered. */
DEP_TEST(a_killed_process_blocks_nobody_and_loses_nothing)
{
    void *memory = map(BYTES);
    struct dep_replay_region *region = dep_replay_region_init(memory, BYTES, LIFE);
    _Atomic uint64_t *done = map(4096);
    uint64_t first = 0;

    for (unsigned round = 0; round < 50; round++) {
        uint64_t start = first;
        pid_t child = fork();
        int status;

        if (child == 0)
            for (uint64_t i = start;; i++) {
                /* A full store is as good: the lock is taken all the same. */
                (void)dep_is_ok(insert(region, i % 100000, NOW + (int64_t)(round % 10) * 6, NOW));
                atomic_store(done, i + 1);
            }
        while (atomic_load(done) < start + 500)
            sched_yield();
        kill(child, SIGKILL);
        DEP_CHECK(t, waitpid(child, &status, 0) == child);
        first = atomic_load(done);
        for (uint64_t i = start; i < start + 500; i++)
            DEP_CHECK(t, !dep_is_ok(insert(region, i % 100000, NOW + (int64_t)(round % 10) * 6, NOW)));
    }
    DEP_CHECK(t, dep_replay_region_count(region) > 0);
    munmap(done, 4096);
    munmap(memory, BYTES);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(takes_each_key_once),
        DEP_ROW(too_little_memory_is_no_store),
        DEP_ROW(remembers_until_it_expires),
        DEP_ROW(lets_go_of_what_expired),
        DEP_ROW(full_refuses_and_keeps_what_it_has),
        DEP_ROW(B37_a_clock_set_back_reopens_nothing),
        DEP_ROW(processes_share_it),
        DEP_ROW(a_killed_process_blocks_nobody_and_loses_nothing),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* The replay store alone: inserts of different keys at a steady rate of expiry, memory at a million live entries, and what two
 * threads reach together. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/replay.h"

#define LIFE 300
#define LIVE 1000000u
#define NOW INT64_C(1700000000)
#define ROUNDS 6u /* times the store is filled */

struct job {
    struct dep_replay *replay;
    uint64_t first, step;
    uint64_t failed;
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The real ones are hashes. */
static uint64_t scramble(uint64_t n)
{
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

static void *insert_all(void *context)
{
    struct job *job = context;

    for (uint64_t i = job->first; i < ROUNDS * (uint64_t)LIVE; i += job->step) {
        uint64_t key[2] = { scramble(i), scramble(~i) };
        int64_t now = NOW + (int64_t)(i * LIFE / LIVE);

        job->failed += !dep_is_ok(dep_replay_insert(job->replay, (const unsigned char *)key, now + LIFE, now));
    }
    return NULL;
}

static void run_threads(unsigned threads)
{
    struct dep_replay *replay = dep_replay_new(4 * LIVE, LIFE);
    struct job jobs[2];
    pthread_t handles[2];
    double start = seconds();
    double took;

    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = (struct job){ .replay = replay, .first = i, .step = threads };
        pthread_create(&handles[i], NULL, insert_all, &jobs[i]);
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    took = seconds() - start;
    printf("replay insert, %u thread%s: %.1f M/s, %zu live, %.1f bytes an entry, %llu refused\n", threads,
           threads > 1 ? "s" : "", ROUNDS * (double)LIVE / took / 1e6, dep_replay_count(replay),
           (double)dep_replay_bytes(replay) / (double)dep_replay_count(replay),
           (unsigned long long)(jobs[0].failed + (threads > 1 ? jobs[1].failed : 0)));
    dep_replay_free(replay);
}

int main(void)
{
    run_threads(1);
    run_threads(2);
    return 0;
}

/* The replay table alone: inserts of different keys with a million live at any time, 36 million in a row, in windows of six, so that a
 * decay shows; the memory of an entry; and what two threads reach together. Prints name=figure. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/replay.h"

#define LIFE 300
#define LIVE 1000000u
#define NOW INT64_C(1700000000)
#define WINDOWS 6u
#define PACE 50000u
#define WINDOW (6u * (uint64_t)LIVE)

struct job {
    struct dep_replay *replay;
    uint64_t first, end, step;
    pthread_barrier_t *pace; /* so that the clocks of two threads stay together; NULL: alone */
    uint64_t failed;
};

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
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

    for (uint64_t i = job->first; i < job->end; i += job->step) {
        uint64_t key[2] = { scramble(i), scramble(~i) };
        int64_t now = NOW + (int64_t)(i * LIFE / LIVE);

        if (job->pace != NULL && i / job->step % PACE == 0)
            pthread_barrier_wait(job->pace);
        job->failed += !dep_is_ok(dep_replay_insert(job->replay, (const unsigned char *)key, now + LIFE, now));
    }
    return NULL;
}

/* One core, in the CPU time of this thread: the rate of each window. */
static uint64_t run_windows(struct dep_replay *replay)
{
    struct job job = { .replay = replay, .step = 1 };

    for (unsigned window = 0; window < WINDOWS; window++) {
        double start = seconds(CLOCK_THREAD_CPUTIME_ID);

        job.first = job.end;
        job.end += WINDOW;
        (void)insert_all(&job);
        printf("replay_window_%u=%.1f\n", window + 1,
               (double)WINDOW / (seconds(CLOCK_THREAD_CPUTIME_ID) - start) / 1e6);
    }
    return job.failed;
}

static uint64_t run_pair(struct dep_replay *replay)
{
    struct job jobs[2];
    pthread_barrier_t pace;
    pthread_t threads[2];
    double start = seconds(CLOCK_MONOTONIC);

    pthread_barrier_init(&pace, NULL, 2);
    for (unsigned i = 0; i < 2; i++) {
        jobs[i] = (struct job){ .replay = replay, .first = i, .end = WINDOW, .step = 2, .pace = &pace };
        if (pthread_create(&threads[i], NULL, insert_all, &jobs[i]) != 0)
            return 1;
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&pace);
    printf("replay_two_threads=%.1f\n", (double)WINDOW / (seconds(CLOCK_MONOTONIC) - start) / 1e6);
    return jobs[0].failed + jobs[1].failed;
}

int main(void)
{
    struct dep_replay *replay = dep_replay_new(4 * LIVE, LIFE);
    uint64_t failed;

    if (replay == NULL)
        return 1;
    failed = run_windows(replay);
    printf("replay_live=%zu\nreplay_bytes_per_entry=%.1f\n", dep_replay_count(replay),
           (double)dep_replay_bytes(replay) / (double)dep_replay_count(replay));
    dep_replay_free(replay);
    replay = dep_replay_new(4 * LIVE, LIFE);
    if (replay == NULL)
        return 1;
    failed += run_pair(replay);
    dep_replay_free(replay);
    printf("replay_refused=%llu\n", (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}

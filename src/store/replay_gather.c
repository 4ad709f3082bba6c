/* Gathers inserts and hands them to a backend in batches. See replay_gather.h for the invariants. */
#include "store/replay_gather.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct gather {
    struct dep_replay_store base;
    struct dep_gather_backend *backend;
    pthread_t thread;
    pthread_mutex_t lock;
    struct dep_replay_entry *first, **last; /* what waits */
    size_t count;
    bool is_open, is_stopping, is_asleep;
    bool has_thread;
    int wake_fd, stop_fd;
    int64_t tended_ms;
    struct dep_replay_entry *batch[DEP_GATHER_BATCH_MAX], *unique[DEP_GATHER_BATCH_MAX]; /* the thread's */
};

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void signal_fd(int fd)
{
    uint64_t one = 1;

    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static bool gather_insert(struct dep_replay_store *store, struct dep_replay_entry *entry)
{
    struct gather *gather = (struct gather *)store;
    bool is_taken, must_wake;

    entry->next = NULL;
    pthread_mutex_lock(&gather->lock);
    is_taken = gather->is_open && !gather->is_stopping && gather->count < DEP_GATHER_WAITING_MAX;
    entry->res = gather->is_open && !gather->is_stopping ? DEP_FAIL(OVERLOADED) : DEP_FAIL(REPLAY_GONE);
    must_wake = is_taken && gather->is_asleep;
    if (is_taken) {
        *gather->last = entry;
        gather->last = &entry->next;
        gather->count++;
        gather->is_asleep = false;
    }
    pthread_mutex_unlock(&gather->lock);
    if (must_wake)
        signal_fd(gather->wake_fd);
    return !is_taken;
}

static bool gather_is_usable(struct dep_replay_store *store)
{
    struct gather *gather = (struct gather *)store;
    bool is_usable;

    pthread_mutex_lock(&gather->lock);
    is_usable = gather->is_open && !gather->is_stopping;
    pthread_mutex_unlock(&gather->lock);
    return is_usable;
}

/* Answers a list that cannot be asked any more. */
static void refuse(struct dep_replay_entry *entry)
{
    while (entry != NULL) {
        struct dep_replay_entry *next = entry->next;

        entry->res = DEP_FAIL(REPLAY_GONE);
        entry->done(entry);
        entry = next;
    }
}

static void set_open(struct gather *gather, bool is_open)
{
    struct dep_replay_entry *waiting = NULL;

    pthread_mutex_lock(&gather->lock);
    gather->is_open = is_open;
    if (!is_open) {
        waiting = gather->first;
        gather->first = NULL;
        gather->last = &gather->first;
        gather->count = 0;
    }
    pthread_mutex_unlock(&gather->lock);
    refuse(waiting);
}

static bool is_stopping(struct gather *gather)
{
    bool is;

    pthread_mutex_lock(&gather->lock);
    is = gather->is_stopping;
    pthread_mutex_unlock(&gather->lock);
    return is;
}

/* Up to a batch of what waits. When nothing does, the thread is marked as asleep: the next insert wakes it. */
static size_t take_batch(struct gather *gather)
{
    size_t count = 0;

    pthread_mutex_lock(&gather->lock);
    while (gather->first != NULL && count < DEP_GATHER_BATCH_MAX) {
        gather->batch[count++] = gather->first;
        gather->first = gather->first->next;
    }
    if (gather->first == NULL)
        gather->last = &gather->first;
    gather->count -= count;
    gather->is_asleep = count == 0;
    pthread_mutex_unlock(&gather->lock);
    return count;
}

static int compare(const void *left, const void *right)
{
    const struct dep_replay_entry *a = *(struct dep_replay_entry *const *)left;
    const struct dep_replay_entry *b = *(struct dep_replay_entry *const *)right;

    if (a->anchor != b->anchor)
        return a->anchor < b->anchor ? -1 : 1;
    return memcmp(a->key, b->key, DEP_REPLAY_KEY_LEN);
}

static bool run_batch(struct gather *gather, size_t count)
{
    size_t unique = 0;
    bool goes_on;

    qsort(gather->batch, count, sizeof(struct dep_replay_entry *), compare);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare(&gather->batch[i - 1], &gather->batch[i]) != 0)
            gather->unique[unique++] = gather->batch[i];
    goes_on = gather->backend->ops->insert(gather->backend, gather->unique, unique);
    for (size_t i = 1; i < count; i++)
        if (compare(&gather->batch[i - 1], &gather->batch[i]) == 0)
            gather->batch[i]->res =
                dep_is_ok(gather->batch[i - 1]->res) ? DEP_FAIL(REPLAY_SEEN) : gather->batch[i - 1]->res;
    for (size_t i = 0; i < count; i++)
        gather->batch[i]->done(gather->batch[i]);
    return goes_on;
}

/* Sleeps until there is something to do. True when the backend has something to say. */
static bool wait_for_more(struct gather *gather, int fd, int limit_ms)
{
    struct pollfd wait[3] = { { .fd = gather->stop_fd, .events = POLLIN },
                              { .fd = gather->wake_fd, .events = POLLIN },
                              { .fd = fd, .events = POLLIN } };
    uint64_t count;

    if (poll(wait, 3, limit_ms < 0 ? 0 : limit_ms) <= 0)
        return false;
    if (wait[1].revents != 0)
        (void)!read(gather->wake_fd, &count, sizeof(count));
    return wait[2].revents != 0;
}

/* Until the session cannot go on, or the store stops and nothing waits. */
static void serve(struct gather *gather)
{
    struct dep_gather_backend *backend = gather->backend;
    bool goes_on = true, has_said = false;

    gather->tended_ms = clock_ms();
    while (goes_on) {
        size_t count = take_batch(gather);

        if (count > 0)
            goes_on = run_batch(gather, count);
        else if (is_stopping(gather))
            return;
        if (goes_on && (has_said || clock_ms() - gather->tended_ms >= backend->tend_ms)) {
            goes_on = backend->ops->tend(backend);
            gather->tended_ms = clock_ms();
            has_said = false;
        } else if (count == 0) {
            has_said = wait_for_more(gather, backend->ops->fd(backend),
                                     (int)(gather->tended_ms + backend->tend_ms - clock_ms()));
        }
    }
}

static void *run(void *context)
{
    struct gather *gather = context;
    struct pollfd stop = { .fd = gather->stop_fd, .events = POLLIN };

    while (!is_stopping(gather)) {
        if (gather->backend->ops->open(gather->backend, gather->stop_fd)) {
            set_open(gather, true);
            serve(gather);
            set_open(gather, false);
        } else {
            (void)poll(&stop, 1, gather->backend->retry_ms);
        }
        gather->backend->ops->close(gather->backend);
    }
    return NULL;
}

static void gather_stop(struct dep_replay_store *store)
{
    struct gather *gather = (struct gather *)store;

    if (!gather->has_thread)
        return;
    pthread_mutex_lock(&gather->lock);
    gather->is_stopping = true;
    pthread_mutex_unlock(&gather->lock);
    signal_fd(gather->stop_fd);
    pthread_join(gather->thread, NULL);
    gather->has_thread = false;
}

static void gather_free(struct dep_replay_store *store)
{
    struct gather *gather = (struct gather *)store;

    gather->backend->ops->free(gather->backend);
    if (gather->wake_fd >= 0)
        close(gather->wake_fd);
    if (gather->stop_fd >= 0)
        close(gather->stop_fd);
    pthread_mutex_destroy(&gather->lock);
    free(gather);
}

struct dep_replay_store *dep_gather_new(struct dep_gather_backend *backend)
{
    static const struct dep_replay_store_ops ops = { gather_insert, gather_is_usable, gather_stop, gather_free };
    struct gather *gather = calloc(1, sizeof(*gather));

    if (gather == NULL) {
        backend->ops->free(backend);
        return NULL;
    }
    gather->base = (struct dep_replay_store){ &ops, true };
    gather->backend = backend;
    gather->last = &gather->first;
    gather->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    gather->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&gather->lock, NULL);
    gather->has_thread =
        gather->wake_fd >= 0 && gather->stop_fd >= 0 && pthread_create(&gather->thread, NULL, run, gather) == 0;
    if (!gather->has_thread) {
        gather_free(&gather->base);
        return NULL;
    }
    return &gather->base;
}

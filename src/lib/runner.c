/* Threads that fetch by themselves: one for metadata and keys, one for the feed, which is a long poll. */
#include <unistd.h>

#include "lib/handle.h"
#include "net/fetch.h"

/* Takes the fetch that is due; false when stopping. */
static bool wait_for_work(struct dep_lib_runner *runner, struct dep_follow_fetch *ret_fetch)
{
    struct deputy_guard *guard = runner->guard;
    bool is_feed = runner->kind == DEP_FOLLOW_FEED;
    bool goes_on;

    pthread_mutex_lock(&guard->lock);
    while (!guard->is_stopping) {
        int64_t due_ms = is_feed ? dep_lib_feed_due(guard) : dep_follow_keys_due(&guard->keys);

        if (due_ms <= dep_clock_ms())
            break;
        if (due_ms == INT64_MAX)
            pthread_cond_wait(&guard->wake, &guard->lock);
        else
            dep_lib_wait_until(guard, due_ms);
    }
    goes_on = !guard->is_stopping;
    if (goes_on)
        dep_lib_fetch_begin(guard, is_feed, dep_clock_ms(), ret_fetch);
    pthread_mutex_unlock(&guard->lock);
    return goes_on;
}

static void fetch_one(struct dep_lib_runner *runner, const struct dep_follow_fetch *fetch)
{
    const struct deputy_config *config = runner->guard->config;
    const struct dep_fetch_policy policy = {
        .may_loopback = config->numbers[DEP_SETTING_ALLOW_LOOPBACK] != 0,
        .may_private = config->numbers[DEP_SETTING_ALLOW_PRIVATE] != 0,
        .body_bytes_max = fetch->body_bytes_max,
        .timeout_ms = fetch->timeout_ms,
    };
    const struct dep_header headers[] = { { DEP_STR("Accept"), fetch->accept },
                                          { DEP_STR("Authorization"), fetch->authorization } };
    const struct dep_fetch_request request = { .url = fetch->url,
                                               .headers = headers,
                                               .headers_count = dep_str_is_absent(fetch->authorization) ? 1 : 2 };
    struct dep_fetch_answer got = { 0 };
    struct dep_res res = dep_fetch(runner->fetcher, &policy, &request, &got);
    const struct dep_follow_answer answer = { res, got.status, got.body };

    /* What it says goes into the state, and shows in deputy_guard_trouble(). */
    (void)dep_is_ok(dep_lib_fetch_end(runner->guard, fetch->kind, &answer));
    dep_fetch_answer_done(&got);
}

static void *run(void *context)
{
    struct dep_lib_runner *runner = context;
    struct dep_follow_fetch fetch;

    while (wait_for_work(runner, &fetch))
        fetch_one(runner, &fetch);
    return NULL;
}

static bool start_one(struct deputy_guard *guard, struct dep_lib_runner *runner, enum dep_follow_kind kind)
{
    *runner = (struct dep_lib_runner){ .guard = guard, .kind = kind, .fetcher = dep_fetcher_new(guard->stop_fd) };
    runner->is_running = runner->fetcher != NULL && pthread_create(&runner->thread, NULL, run, runner) == 0;
    return runner->is_running;
}

enum deputy_result deputy_guard_start(struct deputy_guard *guard)
{
    bool was_started;

    pthread_mutex_lock(&guard->lock);
    was_started = guard->is_started;
    guard->is_started = true;
    pthread_mutex_unlock(&guard->lock);
    if (was_started)
        return DEPUTY_ERR_ARGUMENT;
    if (start_one(guard, &guard->runners[0], DEP_FOLLOW_KEYS) && start_one(guard, &guard->runners[1], DEP_FOLLOW_FEED))
        return DEPUTY_OK;
    return DEPUTY_ERR_SYSTEM; /* what has started ends with the guard */
}

void dep_lib_runners_stop(struct deputy_guard *guard)
{
    uint64_t one = 1;

    pthread_mutex_lock(&guard->lock);
    guard->is_stopping = true;
    pthread_cond_broadcast(&guard->wake);
    pthread_mutex_unlock(&guard->lock);
    /* Ends a fetch that is out; without the descriptor it ends with its timeout. */
    (void)!write(guard->stop_fd, &one, sizeof(one));
    for (size_t i = 0; i < DEP_LIB_RUNNERS; i++) {
        if (guard->runners[i].is_running)
            pthread_join(guard->runners[i].thread, NULL);
        if (guard->runners[i].fetcher != NULL)
            dep_fetcher_free(guard->runners[i].fetcher);
    }
}

enum deputy_result deputy_guard_wait_ready(struct deputy_guard *guard, int64_t timeout_ms)
{
    int64_t until_ms = dep_clock_ms() + timeout_ms;
    bool is_ready;

    pthread_mutex_lock(&guard->lock);
    while (!(is_ready = deputy_guard_trouble(guard) == NULL) && dep_clock_ms() < until_ms)
        dep_lib_wait_until(guard, until_ms);
    pthread_mutex_unlock(&guard->lock);
    return is_ready ? DEPUTY_OK : DEPUTY_ERR_TIMEOUT;
}

/* The audit writer of the guard. See journal.h for the invariants. */
#include "audit/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/note_key.h"

#define LINES_MAX 65536u
#define RETRY_MS 100
#define CHECKPOINT_S 5
#define SEGMENT_BYTES (64 * 1024 * 1024)

/* What one append writes. Lines lie one after the other in `text`. */
struct batch {
    char *text;
    size_t bytes, bytes_max;
    size_t *lens;
    size_t count, count_max;
    struct dep_journal_waiter *first, **last;
};

struct dep_journal {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    struct batch filling, writing; /* `writing` is the thread's own */
    bool is_stopping;
    atomic_bool is_broken;
    struct dep_audit_log *log;
    struct dep_private_key *key;
    struct dep_crypto *crypto;    /* the thread's */
    struct dep_audit_line *lines; /* the thread's, LINES_MAX */
    int64_t last_time;
};

static void batch_reset(struct batch *batch)
{
    batch->bytes = 0;
    batch->count = 0;
    batch->first = NULL;
    batch->last = &batch->first;
}

static bool reserve(struct batch *batch, size_t bytes)
{
    while (batch->bytes + bytes > batch->bytes_max) {
        size_t max = batch->bytes_max == 0 ? 65536 : batch->bytes_max * 2;
        char *text = realloc(batch->text, max);

        if (text == NULL)
            return false;
        batch->text = text;
        batch->bytes_max = max;
    }
    if (batch->count == batch->count_max) {
        size_t max = batch->count_max == 0 ? 256 : batch->count_max * 2;
        size_t *lens = realloc(batch->lens, max * sizeof(*lens));

        if (lens == NULL)
            return false;
        batch->lens = lens;
        batch->count_max = max;
    }
    return true;
}

struct dep_res dep_journal_add(struct dep_journal *journal, struct dep_str line, struct dep_journal_waiter *waiter)
{
    struct batch *batch = &journal->filling;
    struct dep_res res = DEP_OK;

    pthread_mutex_lock(&journal->lock);
    if (atomic_load(&journal->is_broken) || journal->is_stopping) {
        res = DEP_FAIL(AUDIT_IO);
    } else if (batch->count >= LINES_MAX || batch->bytes + line.len > DEP_JOURNAL_BYTES_MAX ||
               !reserve(batch, line.len)) {
        res = DEP_FAIL(OVERLOADED);
    } else {
        bool was_idle = batch->count == 0 || (waiter != NULL && batch->first == NULL);

        memcpy(batch->text + batch->bytes, line.ptr, line.len);
        batch->bytes += line.len;
        batch->lens[batch->count++] = line.len;
        if (waiter != NULL) {
            waiter->next = NULL;
            *batch->last = waiter;
            batch->last = &waiter->next;
        }
        if (was_idle)
            pthread_cond_signal(&journal->wake);
    }
    pthread_mutex_unlock(&journal->lock);
    return res;
}

bool dep_journal_is_broken(struct dep_journal *journal)
{
    return atomic_load(&journal->is_broken);
}

int64_t dep_journal_last_time(const struct dep_journal *journal)
{
    return journal->last_time;
}

/* Waits on the condition for at most `ms`; false when the time is over. Under the lock. */
static bool wait_ms(struct dep_journal *journal, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_cond_timedwait(&journal->wake, &journal->lock, &until) != ETIMEDOUT;
}

/* The next batch into `writing`; false when stopping and nothing is left. Allows alone may gather for a moment. */
static bool next_batch(struct dep_journal *journal, bool *ret_is_idle)
{
    struct batch empty = journal->writing;
    bool has_more;

    *ret_is_idle = false;
    batch_reset(&empty);
    pthread_mutex_lock(&journal->lock);
    while (journal->filling.count == 0 && !journal->is_stopping)
        if (!wait_ms(journal, CHECKPOINT_S * 1000)) {
            *ret_is_idle = true;
            break;
        }
    while (journal->filling.count > 0 && journal->filling.first == NULL && !journal->is_stopping)
        if (!wait_ms(journal, DEP_JOURNAL_DELAY_MS))
            break;
    has_more = journal->filling.count > 0 || !journal->is_stopping;
    journal->writing = journal->filling;
    if (journal->writing.first == NULL)
        journal->writing.last = &journal->writing.first;
    journal->filling = empty;
    batch_reset(&journal->filling);
    pthread_mutex_unlock(&journal->lock);
    return has_more;
}

static struct dep_res append(struct dep_journal *journal)
{
    const struct batch *batch = &journal->writing;
    const char *at = batch->text;
    uint64_t first = 0;

    for (size_t i = 0; i < batch->count; i++) {
        journal->lines[i].json = dep_str(at, batch->lens[i]);
        dep_merkle_leaf(journal->crypto, journal->lines[i].json, journal->lines[i].leaf);
        at += batch->lens[i];
    }
    return dep_audit_append(journal->log, journal->lines, batch->count, &first);
}

static struct dep_journal_waiter *take_waiters(struct batch *batch)
{
    struct dep_journal_waiter *first = batch->first;

    batch->first = NULL;
    batch->last = &batch->first;
    return first;
}

static void answer(struct dep_journal_waiter *waiter, bool is_written)
{
    while (waiter != NULL) {
        struct dep_journal_waiter *next = waiter->next;

        waiter->done(waiter, is_written);
        waiter = next;
    }
}

/* Nobody waits for a broken log: neither for this batch nor for the one that has gathered behind it. Their lines stay.
 * */
static void fail_waiters(struct dep_journal *journal, bool *ret_is_stopping)
{
    struct dep_journal_waiter *behind;

    pthread_mutex_lock(&journal->lock);
    atomic_store(&journal->is_broken, true);
    behind = take_waiters(&journal->filling);
    *ret_is_stopping = journal->is_stopping;
    pthread_mutex_unlock(&journal->lock);
    answer(take_waiters(&journal->writing), false);
    answer(behind, false);
}

/* Writes the batch, again and again if need be: allows in it were answered already. Gives up only when the guard stops.
 * */
static void write_batch(struct dep_journal *journal)
{
    struct timespec pause = { 0, RETRY_MS * 1000000 };
    bool is_stopping = false;

    if (journal->writing.count == 0)
        return;
    while (!dep_is_ok(append(journal))) {
        fail_waiters(journal, &is_stopping);
        if (is_stopping)
            break;
        nanosleep(&pause, NULL);
    }
    atomic_store(&journal->is_broken, is_stopping);
    answer(take_waiters(&journal->writing), true);
    batch_reset(&journal->writing);
}

static void *run(void *context)
{
    struct dep_journal *journal = context;
    int64_t signed_at = 0;
    bool is_idle = false;
    struct timespec now;

    while (next_batch(journal, &is_idle)) {
        write_batch(journal);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (is_idle || now.tv_sec >= signed_at + CHECKPOINT_S) {
            signed_at = now.tv_sec;
            /* A checkpoint that cannot be written now is written with the next one; the records are safe. */
            (void)dep_is_ok(dep_audit_checkpoint(journal->log));
        }
    }
    return NULL;
}

static struct dep_res start(struct dep_journal *journal)
{
    pthread_condattr_t attributes;
    int failed;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    failed = pthread_create(&journal->thread, NULL, run, journal);
    if (failed == 0)
        return DEP_OK;
    pthread_cond_destroy(&journal->wake);
    pthread_mutex_destroy(&journal->lock);
    return DEP_FAIL(AUDIT_IO);
}

static void release(struct dep_journal *journal)
{
    if (journal->log != NULL)
        dep_audit_close(journal->log);
    dep_private_key_free(journal->key);
    dep_crypto_free(journal->crypto);
    free(journal->lines);
    free(journal->filling.text);
    free(journal->filling.lens);
    free(journal->writing.text);
    free(journal->writing.lens);
    free(journal);
}

static struct dep_res open_log(struct dep_journal *journal, const char *directory, struct dep_str origin)
{
    struct dep_audit_config config = { .directory = directory, .origin = origin, .segment_bytes_max = SEGMENT_BYTES };

    if (journal->crypto == NULL || journal->lines == NULL)
        return DEP_FAIL(AUDIT_IO);
    DEP_TRY(dep_note_key(directory, &journal->key));
    config.key = journal->key;
    DEP_TRY(dep_audit_open(&config, &journal->log));
    journal->last_time = dep_audit_last_time(journal->log);
    return DEP_OK;
}

struct dep_res dep_journal_new(const char *directory, struct dep_str origin, struct dep_journal **ret_journal)
{
    struct dep_journal *journal = calloc(1, sizeof(*journal));
    struct dep_res res;

    if (journal == NULL)
        return DEP_FAIL(AUDIT_IO);
    batch_reset(&journal->filling);
    batch_reset(&journal->writing);
    atomic_init(&journal->is_broken, false);
    journal->crypto = dep_crypto_new();
    journal->lines = calloc(LINES_MAX, sizeof(*journal->lines));
    res = open_log(journal, directory, origin);
    if (dep_is_ok(res))
        res = start(journal);
    if (!dep_is_ok(res)) {
        release(journal);
        return res;
    }
    *ret_journal = journal;
    return DEP_OK;
}

void dep_journal_free(struct dep_journal *journal)
{
    if (journal == NULL)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->is_stopping = true;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->thread, NULL);
    pthread_cond_destroy(&journal->wake);
    pthread_mutex_destroy(&journal->lock);
    release(journal);
}

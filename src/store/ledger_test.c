/* One contract for every ledger: SQLite, memory, and memory behind the wrapper that can fail. Then what only SQLite promises:
 * several processes, and that the death of one is known. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/ledger.h"
#include "test/unit.h"

#define KINDS 3 /* of ledgers */
#define NOW 1000000

struct place {
    char folder[64];
    char path[96];
};

static void place_init(struct place *place)
{
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/deputy-ledger-XXXXXX");
    DEP_ASSERT(mkdtemp(place->folder) != NULL);
    (void)snprintf(place->path, sizeof(place->path), "%s/ledger.db", place->folder);
}

static void place_done(struct place *place)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".owners" };
    char path[128];

    for (size_t i = 0; i < DEP_COUNT(ends); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", place->path, ends[i]);
        (void)unlink(path);
    }
    DEP_ASSERT(rmdir(place->folder) == 0);
}

static struct dep_ledger_limits small_limits(void)
{
    return (struct dep_ledger_limits){ .entries_max = 6, .caller_entries_max = 4, .bytes_max = 20, .retention_s = 100 };
}

static struct dep_ledger *open_sqlite(const struct place *place)
{
    struct dep_ledger_limits limits = small_limits();
    struct dep_ledger *ledger = NULL;
    struct dep_res res = dep_ledger_sqlite_new(place->path, &limits, &ledger);

    DEP_ASSERT(dep_is_ok(res) && ledger != NULL);
    return ledger;
}

static struct dep_ledger *open_kind(struct dep_test *t, int kind, const struct place *place)
{
    struct dep_ledger_limits limits = small_limits();
    struct dep_ledger *ledger = NULL;

    if (kind == 0)
        return open_sqlite(place);
    DEP_CHECK_OK(t, dep_ledger_memory_new(&limits, &ledger));
    if (kind == 2)
        DEP_CHECK_OK(t, dep_ledger_faulty_new(ledger, &ledger));
    return ledger;
}

static void for_each_ledger(struct dep_test *t, void (*check)(struct dep_test *t, struct dep_ledger *ledger))
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct place place;
        struct dep_ledger *ledger;

        place_init(&place);
        ledger = open_kind(t, kind, &place);
        check(t, ledger);
        dep_ledger_free(ledger);
        place_done(&place);
    }
}

static struct dep_idempotency_names names_of(char scope, char caller, char fingerprint)
{
    struct dep_idempotency_names names;

    memset(&names, 0, sizeof(names));
    names.scope[0] = (unsigned char)scope;
    names.caller[0] = (unsigned char)caller;
    names.fingerprint[0] = (unsigned char)fingerprint;
    return names;
}

/* What a begin said, with its answer as text. */
struct begun {
    struct dep_res res;
    struct dep_idempotency_entry entry;
    char answer[64];
};

static struct begun begin(struct dep_ledger *ledger, char scope, char caller, int64_t now)
{
    struct dep_idempotency_names names = names_of(scope, caller, 'f');
    _Alignas(16) unsigned char memory[256];
    struct dep_arena arena;
    struct begun begun = { .answer = "" };

    dep_arena_init(&arena, memory, sizeof(memory));
    begun.res = dep_ledger_begin(ledger, &names, now, &arena, &begun.entry);
    if (dep_is_ok(begun.res))
        (void)snprintf(begun.answer, sizeof(begun.answer), "%.*s", DEP_STR_ARG(begun.entry.answer));
    return begun;
}

static const unsigned char *scope_of(char scope)
{
    static unsigned char names[256][DEP_IDEMPOTENCY_NAME_LEN];

    names[(unsigned char)scope][0] = (unsigned char)scope;
    return names[(unsigned char)scope];
}

static void check_count(struct dep_test *t, struct dep_ledger *ledger, int64_t entries, int64_t bytes)
{
    int64_t got_entries = -1, got_bytes = -1;

    DEP_CHECK_OK(t, dep_ledger_count(ledger, &got_entries, &got_bytes));
    DEP_CHECK(t, got_entries == entries && got_bytes == bytes);
}

static void check_state(struct dep_test *t, struct begun begun, enum dep_idempotency_state wanted, int line)
{
    dep_test_check(t, dep_is_ok(begun.res) && begun.entry.state == wanted, __FILE__, line, "%s, state %d, not %d",
                   dep_err_name(begun.res.err), (int)begun.entry.state, (int)wanted);
}

#define CHECK_STATE(t, begun, wanted) check_state((t), (begun), DEP_IDEMPOTENCY_##wanted, __LINE__)

static void run_and_replay(struct dep_test *t, struct dep_ledger *ledger)
{
    struct begun first = begin(ledger, 'a', 'x', NOW), again;

    CHECK_STATE(t, first, NEW);
    DEP_CHECK(t, first.entry.fingerprint[0] == 'f' && first.entry.begun == NOW);
    again = begin(ledger, 'a', 'x', NOW + 1);
    CHECK_STATE(t, again, BEGUN);
    DEP_CHECK(t, again.entry.is_owner_alive && again.entry.begun == NOW && again.entry.fingerprint[0] == 'f');
    check_count(t, ledger, 1, 0);

    DEP_CHECK_FAIL(t, dep_ledger_complete(ledger, scope_of('a'), first.entry.ticket + 1, 200, DEP_STR("no")),
                   LEDGER_GONE);
    DEP_CHECK_FAIL(t, dep_ledger_complete(ledger, scope_of('b'), first.entry.ticket, 200, DEP_STR("no")), LEDGER_GONE);
    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('a'), first.entry.ticket, 201, DEP_STR("made")));
    again = begin(ledger, 'a', 'x', NOW + 2);
    CHECK_STATE(t, again, DONE);
    DEP_CHECK(t, again.entry.status == 201 && strcmp(again.answer, "made") == 0);
    check_count(t, ledger, 1, 4);
    /* what has ended stays as it is */
    DEP_CHECK_FAIL(t, dep_ledger_complete(ledger, scope_of('a'), first.entry.ticket, 500, DEP_STR("no")), LEDGER_GONE);
    DEP_CHECK_FAIL(t, dep_ledger_abandon(ledger, scope_of('a'), first.entry.ticket), LEDGER_GONE);
    DEP_CHECK_FAIL(t, dep_ledger_lose(ledger, scope_of('a'), first.entry.ticket), LEDGER_GONE);
    again = begin(ledger, 'a', 'x', NOW + 3);
    CHECK_STATE(t, again, DONE);
    DEP_CHECK(t, strcmp(again.answer, "made") == 0);
    CHECK_STATE(t, begin(ledger, 'b', 'x', NOW), NEW);
}

DEP_TEST(what_was_run_is_told)
{
    for_each_ledger(t, run_and_replay);
}

static void ends(struct dep_test *t, struct dep_ledger *ledger)
{
    struct begun one = begin(ledger, 'a', 'x', NOW), two;

    CHECK_STATE(t, one, NEW);
    DEP_CHECK_OK(t, dep_ledger_abandon(ledger, scope_of('a'), one.entry.ticket));
    check_count(t, ledger, 0, 0);
    two = begin(ledger, 'a', 'x', NOW);
    CHECK_STATE(t, two, NEW);
    DEP_CHECK(t, two.entry.ticket != one.entry.ticket);
    /* whoever abandoned it has no say in the next beginning */
    DEP_CHECK_FAIL(t, dep_ledger_complete(ledger, scope_of('a'), one.entry.ticket, 200, DEP_STR("x")), LEDGER_GONE);
    DEP_CHECK_FAIL(t, dep_ledger_abandon(ledger, scope_of('a'), one.entry.ticket), LEDGER_GONE);

    DEP_CHECK_OK(t, dep_ledger_lose(ledger, scope_of('a'), two.entry.ticket));
    CHECK_STATE(t, begin(ledger, 'a', 'x', NOW), LOST);
    DEP_CHECK_FAIL(t, dep_ledger_lose(ledger, scope_of('a'), two.entry.ticket), LEDGER_GONE);
    DEP_CHECK_FAIL(t, dep_ledger_abandon(ledger, scope_of('a'), two.entry.ticket), LEDGER_GONE);
    /* the answer came after all */
    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('a'), two.entry.ticket, 200, DEP_STR("late")));
    two = begin(ledger, 'a', 'x', NOW);
    CHECK_STATE(t, two, DONE);
    DEP_CHECK(t, strcmp(two.answer, "late") == 0);
}

DEP_TEST(abandoned_and_lost)
{
    for_each_ledger(t, ends);
}

static void kept_or_not(struct dep_test *t, struct dep_ledger *ledger)
{
    struct begun one = begin(ledger, 'a', 'x', NOW), two = begin(ledger, 'b', 'x', NOW),
                 three = begin(ledger, 'c', 'x', NOW);

    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('a'), one.entry.ticket, 200, DEP_STR_ABSENT));
    one = begin(ledger, 'a', 'x', NOW);
    CHECK_STATE(t, one, DONE);
    DEP_CHECK(t, dep_str_is_absent(one.entry.answer) && one.entry.status == 200);
    /* 15 of 20 bytes, then no room for 6 */
    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('b'), two.entry.ticket, 200, DEP_STR("123456789012345")));
    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('c'), three.entry.ticket, 500, DEP_STR("123456")));
    check_count(t, ledger, 3, 15);
    two = begin(ledger, 'b', 'x', NOW);
    CHECK_STATE(t, two, DONE);
    DEP_CHECK(t, strcmp(two.answer, "123456789012345") == 0);
    three = begin(ledger, 'c', 'x', NOW);
    CHECK_STATE(t, three, DONE);
    DEP_CHECK(t, dep_str_is_absent(three.entry.answer) && three.entry.status == 500);
    /* an empty answer is an answer */
    one = begin(ledger, 'd', 'x', NOW);
    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('d'), one.entry.ticket, 204, DEP_STR("")));
    one = begin(ledger, 'd', 'x', NOW);
    DEP_CHECK(t, dep_is_ok(one.res) && !dep_str_is_absent(one.entry.answer) && one.entry.answer.len == 0);
}

DEP_TEST(answers_within_the_bound_are_kept)
{
    for_each_ledger(t, kept_or_not);
}

static void full(struct dep_test *t, struct dep_ledger *ledger)
{
    struct begun first = begin(ledger, 'a', 'x', NOW);
    int count = -1;

    for (char scope = 'b'; scope <= 'd'; scope++)
        CHECK_STATE(t, begin(ledger, scope, 'x', NOW), NEW);
    DEP_CHECK_FAIL(t, begin(ledger, 'e', 'x', NOW).res, LEDGER_QUOTA);
    CHECK_STATE(t, begin(ledger, 'd', 'x', NOW), BEGUN);
    CHECK_STATE(t, begin(ledger, 'e', 'y', NOW), NEW);
    CHECK_STATE(t, begin(ledger, 'f', 'y', NOW), NEW);
    DEP_CHECK_FAIL(t, begin(ledger, 'g', 'z', NOW).res, LEDGER_FULL);
    check_count(t, ledger, 6, 0);
    /* full or not, what is there is told */
    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('a'), first.entry.ticket, 200, DEP_STR("ok")));
    CHECK_STATE(t, begin(ledger, 'a', 'x', NOW), DONE);
    /* nothing alive is evicted: the ended one goes when its time is over, the begun ones stay */
    DEP_CHECK_FAIL(t, begin(ledger, 'g', 'z', NOW + 99).res, LEDGER_FULL);
    CHECK_STATE(t, begin(ledger, 'g', 'z', NOW + 100), NEW);
    check_count(t, ledger, 6, 0);
    DEP_CHECK_OK(t, dep_ledger_expire(ledger, NOW + 500, 100, &count));
    check_count(t, ledger, 6, 0);
}

DEP_TEST(M05_a_full_ledger_refuses_and_evicts_nothing)
{
    for_each_ledger(t, full);
}

/* N11: the quota is per caller; one caller's keys leave the others alone. */
static void quota(struct dep_test *t, struct dep_ledger *ledger)
{
    struct begun one;
    int refused = 0;

    for (int i = 0; i < 200; i++) {
        one = begin(ledger, (char)(i + 1), 'x', NOW);
        refused += one.res.err == DEP_ERR_LEDGER_QUOTA;
    }
    DEP_CHECK(t, refused == 196);
    CHECK_STATE(t, begin(ledger, (char)250, 'y', NOW), NEW);
    check_count(t, ledger, 5, 0);
}

DEP_TEST(N11_many_keys_of_one_caller_meet_its_quota)
{
    for_each_ledger(t, quota);
}

static void retention(struct dep_test *t, struct dep_ledger *ledger)
{
    struct begun one = begin(ledger, 'a', 'x', NOW), two = begin(ledger, 'b', 'x', NOW + 50);
    int count = -1;

    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('a'), one.entry.ticket, 200, DEP_STR("a")));
    DEP_CHECK_OK(t, dep_ledger_lose(ledger, scope_of('b'), two.entry.ticket));
    DEP_CHECK_OK(t, dep_ledger_expire(ledger, NOW + 99, 100, &count));
    DEP_CHECK(t, count == 0);
    CHECK_STATE(t, begin(ledger, 'a', 'x', NOW + 99), DONE);
    /* gone for begin without any expire */
    one = begin(ledger, 'a', 'x', NOW + 100);
    CHECK_STATE(t, one, NEW);
    CHECK_STATE(t, begin(ledger, 'b', 'x', NOW + 100), LOST);
    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('a'), one.entry.ticket, 200, DEP_STR("a")));
    DEP_CHECK_OK(t, dep_ledger_expire(ledger, NOW + 200, 1, &count));
    DEP_CHECK(t, count == 1);
    DEP_CHECK_OK(t, dep_ledger_expire(ledger, NOW + 200, 100, &count));
    DEP_CHECK(t, count == 1);
    check_count(t, ledger, 0, 0);
}

DEP_TEST(entries_live_as_long_as_is_published)
{
    for_each_ledger(t, retention);
}

static void too_small(struct dep_test *t, struct dep_ledger *ledger)
{
    struct dep_idempotency_names names = names_of('a', 'x', 'f');
    struct dep_idempotency_entry entry = { .status = 77 };
    struct begun one = begin(ledger, 'a', 'x', NOW);
    struct dep_arena arena;

    DEP_CHECK_OK(t, dep_ledger_complete(ledger, scope_of('a'), one.entry.ticket, 200, DEP_STR("1234567890")));
    dep_arena_init_debug(&arena, 4);
    DEP_CHECK_FAIL(t, dep_ledger_begin(ledger, &names, NOW, &arena, &entry), ARENA_FULL);
    DEP_CHECK(t, entry.status == 77);
    dep_arena_reset(&arena);
    CHECK_STATE(t, begin(ledger, 'a', 'x', NOW), DONE);
    CHECK_STATE(t, begin(ledger, 'b', 'x', NOW), NEW);
}

DEP_TEST(an_answer_that_the_arena_cannot_hold)
{
    for_each_ledger(t, too_small);
}

#define THREADS 4
#define KEYS 4

struct racer {
    struct dep_ledger *ledger;
    int wins[KEYS];
};

static void *race(void *context)
{
    struct racer *racer = context;

    for (int i = 0; i < KEYS; i++)
        racer->wins[i] = begin(racer->ledger, (char)('a' + i), 'x', NOW).entry.state == DEP_IDEMPOTENCY_NEW;
    return NULL;
}

static void races(struct dep_test *t, struct dep_ledger *ledger)
{
    struct racer racers[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){ .ledger = ledger };
        DEP_ASSERT(pthread_create(&threads[i], NULL, race, &racers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        DEP_ASSERT(pthread_join(threads[i], NULL) == 0);
    for (int k = 0; k < KEYS; k++) {
        int wins = 0;

        for (int i = 0; i < THREADS; i++)
            wins += racers[i].wins[k];
        DEP_CHECK(t, wins == 1);
    }
}

DEP_TEST(N03_of_several_threads_one_runs_each_write)
{
    struct place place;
    struct dep_ledger *ledger;

    place_init(&place);
    for (int kind = 0; kind < 2; kind++) {
        ledger = open_kind(t, kind, &place);
        races(t, ledger);
        dep_ledger_free(ledger);
    }
    place_done(&place);
}

/* ---- the wrapper ---- */

DEP_TEST(faults_come_when_asked_for)
{
    struct dep_ledger *ledger = open_kind(t, 2, NULL);
    struct begun one;

    dep_ledger_faulty_arm(ledger, 1, false, false);
    DEP_CHECK_FAIL(t, begin(ledger, 'a', 'x', NOW).res, STORE_IO);
    check_count(t, ledger, 0, 0);
    /* written, but the word of it is lost: nobody may run it, and nobody ever will */
    dep_ledger_faulty_arm(ledger, 1, true, false);
    DEP_CHECK_FAIL(t, begin(ledger, 'a', 'x', NOW).res, STORE_IO);
    CHECK_STATE(t, begin(ledger, 'a', 'x', NOW), BEGUN);
    one = begin(ledger, 'b', 'x', NOW);
    dep_ledger_faulty_arm(ledger, 1, false, true);
    DEP_CHECK_FAIL(t, dep_ledger_complete(ledger, scope_of('b'), one.entry.ticket, 200, DEP_STR("x")), STORE_IO);
    DEP_CHECK_FAIL(t, dep_ledger_lose(ledger, scope_of('b'), one.entry.ticket), STORE_IO);
    DEP_CHECK_FAIL(t, dep_ledger_abandon(ledger, scope_of('b'), one.entry.ticket), STORE_IO);
    dep_ledger_faulty_arm(ledger, 0, false, false);
    CHECK_STATE(t, begin(ledger, 'b', 'x', NOW), BEGUN);
    dep_ledger_free(ledger);
}

/* ---- several handles, several processes ---- */

DEP_TEST(N03_two_handles_see_one_ledger)
{
    struct place place;
    struct dep_ledger *one, *two;
    struct begun first, again;

    place_init(&place);
    one = open_sqlite(&place);
    two = open_sqlite(&place);
    first = begin(one, 'a', 'x', NOW);
    CHECK_STATE(t, first, NEW);
    again = begin(two, 'a', 'x', NOW);
    CHECK_STATE(t, again, BEGUN);
    DEP_CHECK(t, again.entry.is_owner_alive);
    DEP_CHECK_OK(t, dep_ledger_complete(one, scope_of('a'), first.entry.ticket, 200, DEP_STR("ok")));
    CHECK_STATE(t, begin(two, 'a', 'x', NOW), DONE);

    first = begin(one, 'b', 'x', NOW);
    CHECK_STATE(t, first, NEW);
    dep_ledger_free(one);
    again = begin(two, 'b', 'x', NOW);
    CHECK_STATE(t, again, BEGUN);
    DEP_CHECK(t, !again.entry.is_owner_alive);
    dep_ledger_free(two);
    place_done(&place);
}

/* Begins `a`, says so, and waits to be killed. */
static void child_begins(const struct place *place, int tell)
{
    struct dep_ledger *ledger = open_sqlite(place);
    struct begun one = begin(ledger, 'a', 'x', NOW);
    char is_new = dep_is_ok(one.res) && one.entry.state == DEP_IDEMPOTENCY_NEW;

    (void)!write(tell, &is_new, 1);
    for (;;)
        (void)pause();
}

static void kill_and_look(struct dep_test *t, const struct place *place)
{
    struct dep_ledger *ledger;
    struct begun again;
    char is_new = 0;
    int pipes[2], count;
    pid_t child;

    DEP_ASSERT(pipe(pipes) == 0);
    child = fork();
    if (child == 0)
        child_begins(place, pipes[1]);
    DEP_ASSERT(child > 0 && read(pipes[0], &is_new, 1) == 1);
    DEP_CHECK(t, is_new == 1);
    ledger = open_sqlite(place);
    again = begin(ledger, 'a', 'x', NOW);
    CHECK_STATE(t, again, BEGUN);
    DEP_CHECK(t, again.entry.is_owner_alive);
    /* not even when its time is over, while it runs */
    DEP_CHECK_OK(t, dep_ledger_expire(ledger, NOW + 1000, 10, &count));
    CHECK_STATE(t, begin(ledger, 'a', 'x', NOW + 1000), BEGUN);

    DEP_ASSERT(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    again = begin(ledger, 'a', 'x', NOW);
    CHECK_STATE(t, again, BEGUN);
    DEP_CHECK(t, !again.entry.is_owner_alive);
    DEP_CHECK_OK(t, dep_ledger_expire(ledger, NOW + 5000, 10, &count));
    check_count(t, ledger, 0, 0);
    dep_ledger_free(ledger);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

DEP_TEST(the_death_of_a_process_is_known)
{
    struct place place;

    place_init(&place);
    kill_and_look(t, &place);
    place_done(&place);
}

/* Several processes begin the same keys and count how many they got. */
static int child_races(const struct place *place)
{
    struct dep_ledger_limits limits = dep_ledger_limits_default();
    struct dep_ledger *ledger = NULL;
    int wins = 0;

    if (!dep_is_ok(dep_ledger_sqlite_new(place->path, &limits, &ledger)))
        return 255;
    for (int i = 0; i < 40; i++)
        wins += begin(ledger, (char)(i + 1), 'x', NOW).entry.state == DEP_IDEMPOTENCY_NEW;
    dep_ledger_free(ledger);
    return wins;
}

DEP_TEST(N03_of_several_processes_one_runs_each_write)
{
    struct place place;
    pid_t children[4];
    int wins = 0;

    place_init(&place);
    for (size_t i = 0; i < DEP_COUNT(children); i++) {
        children[i] = fork();
        DEP_ASSERT(children[i] >= 0);
        if (children[i] == 0)
            _exit(child_races(&place));
    }
    for (size_t i = 0; i < DEP_COUNT(children); i++) {
        int status = 0;

        DEP_ASSERT(waitpid(children[i], &status, 0) == children[i]);
        DEP_CHECK(t, WIFEXITED(status) && WEXITSTATUS(status) <= 40);
        wins += WEXITSTATUS(status);
    }
    DEP_CHECK(t, wins == 40);
    place_done(&place);
}

DEP_TEST(files_are_the_owners_alone_and_others_are_refused)
{
    struct dep_ledger_limits limits = small_limits();
    struct dep_ledger *ledger = NULL;
    struct place place;
    struct stat about;
    char path[128];

    place_init(&place);
    dep_ledger_free(open_sqlite(&place));
    DEP_CHECK(t, stat(place.path, &about) == 0 && (about.st_mode & 0777) == 0600);
    (void)snprintf(path, sizeof(path), "%s.owners", place.path);
    DEP_CHECK(t, stat(path, &about) == 0 && (about.st_mode & 0777) == 0600);
    DEP_ASSERT(unlink(path) == 0 && symlink("/dev/null", path) == 0);
    DEP_CHECK_FAIL(t, dep_ledger_sqlite_new(place.path, &limits, &ledger), STORE_IO);
    DEP_ASSERT(unlink(path) == 0 && unlink(place.path) == 0 && symlink("elsewhere", place.path) == 0);
    DEP_CHECK_FAIL(t, dep_ledger_sqlite_new(place.path, &limits, &ledger), STORE_IO);
    DEP_CHECK_FAIL(t, dep_ledger_sqlite_new("/nowhere/at/all/ledger.db", &limits, &ledger), STORE_IO);
    DEP_CHECK(t, ledger == NULL);
    place_done(&place);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(what_was_run_is_told),
        DEP_ROW(abandoned_and_lost),
        DEP_ROW(answers_within_the_bound_are_kept),
        DEP_ROW(M05_a_full_ledger_refuses_and_evicts_nothing),
        DEP_ROW(N11_many_keys_of_one_caller_meet_its_quota),
        DEP_ROW(entries_live_as_long_as_is_published),
        DEP_ROW(an_answer_that_the_arena_cannot_hold),
        DEP_ROW(N03_of_several_threads_one_runs_each_write),
        DEP_ROW(faults_come_when_asked_for),
        DEP_ROW(N03_two_handles_see_one_ledger),
        DEP_ROW(the_death_of_a_process_is_known),
        DEP_ROW(N03_of_several_processes_one_runs_each_write),
        DEP_ROW(files_are_the_owners_alone_and_others_are_refused),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

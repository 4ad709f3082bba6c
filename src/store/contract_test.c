/* One contract for every store: SQLite, memory, and both behind the wrapper that can fail. Then what only SQLite promises. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "test/unit.h"

#define KINDS 3 /* of stores */

struct place {
    char folder[64];
    char path[96];
};

static void place_init(struct place *place)
{
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/deputy-store-XXXXXX");
    DEP_ASSERT(mkdtemp(place->folder) != NULL);
    (void)snprintf(place->path, sizeof(place->path), "%s/deputy.db", place->folder);
}

static void place_done(struct place *place)
{
    char path[128];

    (void)unlink(place->path);
    (void)snprintf(path, sizeof(path), "%s-wal", place->path);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s-shm", place->path);
    (void)unlink(path);
    DEP_ASSERT(rmdir(place->folder) == 0);
}

static struct dep_store *open_sqlite(struct dep_test *t, const struct place *place)
{
    struct dep_store *store = NULL;

    DEP_CHECK_OK(t, dep_store_sqlite_new(place->path, &store));
    DEP_ASSERT(store != NULL);
    return store;
}

static struct dep_store *open_kind(struct dep_test *t, int kind, const struct place *place)
{
    struct dep_store *store = NULL;

    if (kind == 0)
        return open_sqlite(t, place);
    DEP_CHECK_OK(t, dep_store_memory_new(&store));
    if (kind == 2)
        DEP_CHECK_OK(t, dep_store_faulty_new(store, &store));
    return store;
}

static struct dep_change change(enum dep_change_op op, const char *id, int64_t version, const char *body)
{
    return (struct dep_change){ op, { DEP_RECORD_AGENT, dep_str_c(id), version, 0, dep_str_c(body) } };
}

static struct dep_res commit(struct dep_store *store, struct dep_change one)
{
    size_t failed = 99;

    return dep_store_commit(store, &one, 1, &failed);
}

struct got {
    int64_t version, expires;
    char body[64];
};

static struct dep_res get(struct dep_store *store, enum dep_record_kind kind, const char *id, struct got *ret_got)
{
    _Alignas(16) unsigned char memory[1024];
    struct dep_arena arena;
    struct dep_record record;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_TRY(dep_store_get(store, kind, dep_str_c(id), &arena, &record));
    ret_got->version = record.version;
    ret_got->expires = record.expires;
    (void)snprintf(ret_got->body, sizeof(ret_got->body), "%.*s", DEP_STR_ARG(record.body));
    return DEP_OK;
}

struct walked {
    char text[256]; /* "id=body@version " for each */
    size_t stop_after;
    size_t count;
};

static bool note(void *context, const struct dep_record *record)
{
    struct walked *walked = context;
    size_t len = strlen(walked->text);

    (void)snprintf(walked->text + len, sizeof(walked->text) - len, "%.*s=%.*s@%d ", DEP_STR_ARG(record->id),
                   DEP_STR_ARG(record->body), (int)record->version);
    return ++walked->count != walked->stop_after;
}

static void check_walk(struct dep_test *t, struct dep_store *store, enum dep_record_kind kind, const char *wanted)
{
    struct walked walked = { .stop_after = 0 };

    DEP_CHECK_OK(t, dep_store_walk(store, kind, note, &walked));
    DEP_CHECK_STR(t, dep_str_c(walked.text), wanted);
}

static void for_each_store(struct dep_test *t, void (*check)(struct dep_test *t, struct dep_store *store))
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct place place;
        struct dep_store *store;

        place_init(&place);
        store = open_kind(t, kind, &place);
        check(t, store);
        dep_store_free(store);
        place_done(&place);
    }
}

static void versions(struct dep_test *t, struct dep_store *store)
{
    struct got got;

    DEP_CHECK_FAIL(t, get(store, DEP_RECORD_AGENT, "a", &got), STORE_MISSING);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "a", 77, "one")));
    DEP_CHECK_FAIL(t, commit(store, change(DEP_CHANGE_ADD, "a", 1, "other")), STORE_EXISTS);
    DEP_CHECK_OK(t, get(store, DEP_RECORD_AGENT, "a", &got));
    DEP_CHECK(t, got.version == 1 && strcmp(got.body, "one") == 0);
    DEP_CHECK_FAIL(t, get(store, DEP_RECORD_CLIENT, "a", &got), STORE_MISSING);

    DEP_CHECK_FAIL(t, commit(store, change(DEP_CHANGE_REPLACE, "a", 2, "x")), STORE_CONFLICT);
    DEP_CHECK_FAIL(t, commit(store, change(DEP_CHANGE_REPLACE, "b", 1, "x")), STORE_MISSING);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_REPLACE, "a", 1, "two")));
    DEP_CHECK_FAIL(t, commit(store, change(DEP_CHANGE_REPLACE, "a", 1, "late")), STORE_CONFLICT);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_PUT, "a", 0, "three")));
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_PUT, "b", 0, "")));
    DEP_CHECK_OK(t, get(store, DEP_RECORD_AGENT, "a", &got));
    DEP_CHECK(t, got.version == 3 && strcmp(got.body, "three") == 0);

    DEP_CHECK_FAIL(t, commit(store, change(DEP_CHANGE_REMOVE, "a", 2, "")), STORE_CONFLICT);
    DEP_CHECK_FAIL(t, commit(store, change(DEP_CHANGE_REMOVE, "c", 1, "")), STORE_MISSING);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_REMOVE, "a", 3, "")));
    check_walk(t, store, DEP_RECORD_AGENT, "b=@1 ");
}

static void order(struct dep_test *t, struct dep_store *store)
{
    static const char *const ids[] = { "b", "aa", "B", "a", "\xC3\xA4", "a.b", "c" };
    struct dep_change other = change(DEP_CHANGE_ADD, "a", 0, "client");
    struct walked walked = { .stop_after = 2 };

    for (size_t i = 0; i < DEP_COUNT(ids); i++)
        DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, ids[i], 0, "x")));
    other.record.kind = DEP_RECORD_CLIENT;
    DEP_CHECK_OK(t, commit(store, other));
    check_walk(t, store, DEP_RECORD_AGENT, "B=x@1 a=x@1 a.b=x@1 aa=x@1 b=x@1 c=x@1 \xC3\xA4=x@1 ");
    check_walk(t, store, DEP_RECORD_CLIENT, "a=client@1 ");
    check_walk(t, store, DEP_RECORD_KEY, "");
    DEP_CHECK_OK(t, dep_store_walk(store, DEP_RECORD_AGENT, note, &walked));
    DEP_CHECK(t, walked.count == 2);
}

/* Each kind of precondition that can fail, at each place of a batch of five, leaves nothing of the others. */
static void batches(struct dep_test *t, struct dep_store *store)
{
    static const struct {
        enum dep_change_op op;
        const char *id;
        int64_t version;
        enum dep_err err;
    } bad[] = {
        { DEP_CHANGE_ADD, "here", 0, DEP_ERR_STORE_EXISTS },
        { DEP_CHANGE_REPLACE, "here", 9, DEP_ERR_STORE_CONFLICT },
        { DEP_CHANGE_REPLACE, "absent", 1, DEP_ERR_STORE_MISSING },
        { DEP_CHANGE_REMOVE, "here", 9, DEP_ERR_STORE_CONFLICT },
        { DEP_CHANGE_REMOVE, "absent", 1, DEP_ERR_STORE_MISSING },
        { DEP_CHANGE_ADD, "new", 0, DEP_ERR_STORE_EXISTS },
    };
    const char *const before = "gone=g@1 here=h@1 put=p@1 ";
    size_t failed;

    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "here", 0, "h")));
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "gone", 0, "g")));
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "put", 0, "p")));
    for (size_t i = 0; i < DEP_COUNT(bad); i++)
        for (size_t at = 0; at <= 4; at++) {
            struct dep_change batch[5] = { change(DEP_CHANGE_ADD, "new", 0, "n"),
                                           change(DEP_CHANGE_REMOVE, "gone", 1, ""),
                                           change(DEP_CHANGE_PUT, "put", 0, "changed"),
                                           change(DEP_CHANGE_REPLACE, "here", 1, "changed") };

            if (strcmp(bad[i].id, "new") == 0 && at == 0)
                continue; /* then it would be the first, and good */
            memmove(batch + at + 1, batch + at, (4 - at) * sizeof(batch[0]));
            batch[at] = change(bad[i].op, bad[i].id, bad[i].version, "bad");
            failed = 99;
            DEP_CHECK(t, dep_store_commit(store, batch, 5, &failed).err == bad[i].err);
            DEP_CHECK(t, failed == at);
            check_walk(t, store, DEP_RECORD_AGENT, before);
        }

    struct dep_change good[] = {
        change(DEP_CHANGE_ADD, "new", 0, "n"),          change(DEP_CHANGE_REMOVE, "gone", 1, ""),
        change(DEP_CHANGE_PUT, "put", 0, "changed"),    change(DEP_CHANGE_REPLACE, "here", 1, "changed"),
        change(DEP_CHANGE_REPLACE, "here", 2, "again"), change(DEP_CHANGE_REMOVE, "new", 1, "")
    };

    DEP_CHECK_OK(t, dep_store_commit(store, good, DEP_COUNT(good), &failed));
    check_walk(t, store, DEP_RECORD_AGENT, "here=again@3 put=changed@2 ");
    DEP_CHECK_OK(t, dep_store_commit(store, NULL, 0, &failed));
}

static void expiry(struct dep_test *t, struct dep_store *store)
{
    struct dep_change batch[] = { change(DEP_CHANGE_ADD, "never", 0, "n"), change(DEP_CHANGE_ADD, "at100", 0, "x"),
                                  change(DEP_CHANGE_ADD, "at101", 0, "y") };
    struct got got;
    size_t failed;

    batch[1].record.expires = 100;
    batch[2].record.expires = 101;
    DEP_CHECK_OK(t, dep_store_commit(store, batch, 3, &failed));
    DEP_CHECK_OK(t, dep_store_expire(store, 100));
    check_walk(t, store, DEP_RECORD_AGENT, "at100=x@1 at101=y@1 never=n@1 ");
    DEP_CHECK_OK(t, get(store, DEP_RECORD_AGENT, "at101", &got));
    DEP_CHECK(t, got.expires == 101);
    DEP_CHECK_OK(t, dep_store_expire(store, 101));
    check_walk(t, store, DEP_RECORD_AGENT, "at101=y@1 never=n@1 ");
    DEP_CHECK_OK(t, dep_store_expire(store, INT64_MAX));
    check_walk(t, store, DEP_RECORD_AGENT, "never=n@1 ");
}

static void small_arenas(struct dep_test *t, struct dep_store *store)
{
    struct dep_record record = { .version = 42 };
    struct dep_arena arena;
    struct dep_res res = DEP_OK;
    size_t size = 0;

    DEP_CHECK_OK(t,
                 commit(store, change(DEP_CHANGE_ADD, "identifier", 0, "a body that needs more than sixteen bytes")));
    do {
        dep_arena_init_debug(&arena, size);
        res = dep_store_get(store, DEP_RECORD_AGENT, DEP_STR("identifier"), &arena, &record);
        DEP_CHECK(t, dep_is_ok(res) || (res.err == DEP_ERR_ARENA_FULL && record.version == 42));
        if (dep_is_ok(res))
            DEP_CHECK_STR(t, record.body, "a body that needs more than sixteen bytes");
        dep_arena_reset(&arena);
        size += 16;
    } while (!dep_is_ok(res) && size < 4096);
    DEP_CHECK(t, dep_is_ok(res) && size > 16);
}

struct nested {
    struct dep_store *store;
    size_t found;
};

static bool look_again(void *context, const struct dep_record *record)
{
    struct nested *nested = context;
    struct walked walked = { .stop_after = 1 };
    struct got got;

    if (dep_is_ok(get(nested->store, record->kind, record->body.len == 1 ? "b" : "a", &got)) &&
        dep_is_ok(dep_store_walk(nested->store, record->kind, note, &walked)) && walked.count == 1)
        nested->found++;
    return true;
}

static void nesting(struct dep_test *t, struct dep_store *store)
{
    struct nested nested = { store, 0 };

    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "a", 0, "1")));
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "b", 0, "22")));
    DEP_CHECK_OK(t, dep_store_walk(store, DEP_RECORD_AGENT, look_again, &nested));
    DEP_CHECK(t, nested.found == 2);
}

DEP_TEST(counts_versions_and_checks_them)
{
    for_each_store(t, versions);
}
DEP_TEST(walks_in_order_of_id)
{
    for_each_store(t, order);
}
DEP_TEST(a_batch_is_all_or_nothing)
{
    for_each_store(t, batches);
}
DEP_TEST(expires_what_is_set_to)
{
    for_each_store(t, expiry);
}
DEP_TEST(a_full_arena_is_a_result)
{
    for_each_store(t, small_arenas);
}
DEP_TEST(a_walk_may_use_the_store)
{
    for_each_store(t, nesting);
}

DEP_TEST(the_faulty_one_fails_when_it_is_told)
{
    struct dep_store *store = NULL;
    struct got got;

    DEP_CHECK_OK(t, dep_store_memory_new(&store));
    DEP_CHECK_OK(t, dep_store_faulty_new(store, &store));
    dep_store_faulty_arm(store, 2, false);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "a", 0, "x")));
    DEP_CHECK_FAIL(t, commit(store, change(DEP_CHANGE_ADD, "b", 0, "x")), STORE_IO);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "b", 0, "y")));
    dep_store_faulty_arm(store, 1, true);
    DEP_CHECK_FAIL(t, get(store, DEP_RECORD_AGENT, "a", &got), STORE_IO);
    DEP_CHECK_FAIL(t, dep_store_expire(store, 1), STORE_IO);
    DEP_CHECK_FAIL(t, dep_store_walk(store, DEP_RECORD_AGENT, note, NULL), STORE_IO);
    dep_store_faulty_arm(store, 0, false);
    check_walk(t, store, DEP_RECORD_AGENT, "a=x@1 b=y@1 ");
    dep_store_free(store);
}

DEP_TEST(sqlite_keeps_what_was_committed)
{
    struct place place;
    struct dep_store *store;
    struct dep_change batch[] = { change(DEP_CHANGE_ADD, "a", 0, "x"), change(DEP_CHANGE_ADD, "a", 0, "again") };
    struct stat about;
    size_t failed;

    place_init(&place);
    store = open_sqlite(t, &place);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "b", 0, "kept")));
    DEP_CHECK_FAIL(t, dep_store_commit(store, batch, 2, &failed), STORE_EXISTS);
    dep_store_free(store);
    DEP_CHECK(t, stat(place.path, &about) == 0 && (about.st_mode & 0777) == 0600);
    store = open_sqlite(t, &place);
    check_walk(t, store, DEP_RECORD_AGENT, "b=kept@1 ");
    dep_store_free(store);
    place_done(&place);
}

DEP_TEST(sqlite_files_are_private)
{
    static const char *const suffixes[] = { "", "-wal" };
    struct place place;
    struct dep_store *store;
    mode_t mask;

    place_init(&place);
    mask = umask(0);
    store = open_sqlite(t, &place);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "b", 0, "kept")));
    umask(mask);
    for (size_t i = 0; i < DEP_COUNT(suffixes); i++) {
        char path[128];
        struct stat about;

        (void)snprintf(path, sizeof(path), "%s%s", place.path, suffixes[i]);
        DEP_CHECK(t, stat(path, &about) == 0 && (about.st_mode & 0777) == 0600);
    }
    dep_store_free(store);
    DEP_CHECK(t, chmod(place.path, 0644) == 0);
    store = open_sqlite(t, &place);
    {
        struct stat about;

        DEP_CHECK(t, stat(place.path, &about) == 0 && (about.st_mode & 0777) == 0600);
    }
    dep_store_free(store);
    place_done(&place);
}

DEP_TEST(sqlite_refuses_what_is_no_store)
{
    struct place place;
    struct dep_store *store = NULL;
    int fd;

    place_init(&place);
    DEP_CHECK_FAIL(t, dep_store_sqlite_new("/nowhere/at/all/deputy.db", &store), STORE_IO);
    DEP_CHECK_FAIL(t, dep_store_sqlite_new(place.folder, &store), STORE_IO);
    fd = open(place.path, O_WRONLY | O_CREAT, 0600);
    DEP_CHECK(t, fd >= 0 && write(fd, "this is no database, but it is long enough to be read as one", 60) == 60);
    close(fd);
    DEP_CHECK_FAIL(t, dep_store_sqlite_new(place.path, &store), STORE_IO);
    DEP_CHECK(t, store == NULL);
    place_done(&place);
}

/* In a child: the exit status says whether the store could be opened. */
static int try_in_child(const struct place *place)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        struct dep_store *store = NULL;

        _exit(dep_is_ok(dep_store_sqlite_new(place->path, &store)) ? 0 : 1);
    }
    DEP_ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

DEP_TEST(P12_a_second_process_is_refused)
{
    struct place place;
    struct dep_store *store;

    place_init(&place);
    store = open_sqlite(t, &place);
    DEP_CHECK(t, try_in_child(&place) == 1);
    DEP_CHECK_OK(t, commit(store, change(DEP_CHANGE_ADD, "a", 0, "x")));
    dep_store_free(store);
    DEP_CHECK(t, try_in_child(&place) == 0);
    place_done(&place);
}

/* Commits pairs without end and says so after each. */
__attribute__((noreturn)) static void commit_for_ever(const struct place *place, int out)
{
    struct dep_store *store = NULL;

    if (!dep_is_ok(dep_store_sqlite_new(place->path, &store)))
        _exit(1);
    for (uint32_t n = 0;; n++) {
        char ids[2][16];
        struct dep_change batch[2];
        size_t failed;

        for (size_t i = 0; i < 2; i++) {
            (void)snprintf(ids[i], sizeof(ids[i]), "%08u-%zu", n, i);
            batch[i] = change(DEP_CHANGE_ADD, ids[i], 0, "x");
        }
        if (!dep_is_ok(dep_store_commit(store, batch, 2, &failed)) || write(out, &n, sizeof(n)) != sizeof(n))
            _exit(1);
    }
}

static bool count_one(void *context, const struct dep_record *record)
{
    (void)record;
    ++*(size_t *)context;
    return true;
}

DEP_TEST(J05_what_was_acknowledged_survives_kill_9)
{
    srand(5);
    for (int round = 0; round < 12; round++) {
        uint32_t until = (uint32_t)rand() % 60;
        struct place place;
        struct dep_store *store;
        uint32_t told = 0, n;
        size_t count = 0;
        int pipes[2];
        pid_t child;

        place_init(&place);
        DEP_ASSERT(pipe(pipes) == 0);
        child = fork();
        if (child == 0)
            commit_for_ever(&place, pipes[1]);
        close(pipes[1]);
        while (told < until && read(pipes[0], &n, sizeof(n)) == sizeof(n))
            told = n + 1;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(pipes[0], &n, sizeof(n)) == sizeof(n))
            told = n + 1;
        close(pipes[0]);
        store = open_sqlite(t, &place);
        DEP_CHECK_OK(t, dep_store_walk(store, DEP_RECORD_AGENT, count_one, &count));
        DEP_CHECK(t, told >= until && count >= 2 * told && count % 2 == 0);
        dep_store_free(store);
        place_done(&place);
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(counts_versions_and_checks_them),
        DEP_ROW(walks_in_order_of_id),
        DEP_ROW(a_batch_is_all_or_nothing),
        DEP_ROW(expires_what_is_set_to),
        DEP_ROW(a_full_arena_is_a_result),
        DEP_ROW(a_walk_may_use_the_store),
        DEP_ROW(the_faulty_one_fails_when_it_is_told),
        DEP_ROW(sqlite_keeps_what_was_committed),
        DEP_ROW(sqlite_files_are_private),
        DEP_ROW(sqlite_refuses_what_is_no_store),
        DEP_ROW(P12_a_second_process_is_refused),
        DEP_ROW(J05_what_was_acknowledged_survives_kill_9),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* The log as a file: appending, opening again, tails, full disks, locks, crashes. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "audit/fixture.h"

#define FIRST "log/0000000000.jsonl"

DEP_TEST(keeps_what_was_appended)
{
    struct fixture f;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK(t, dep_audit_size(f.log) == 0 && dep_audit_last_time(f.log) == 0);
    for (size_t i = 0; i < 20; i++)
        DEP_CHECK_OK(t, fixture_append(&f, 1 + i % 4));
    DEP_CHECK_OK(t, fixture_append(&f, 0));
    DEP_CHECK(t, dep_audit_size(f.log) == 50 && fixture_count(&f) == 50);
    fixture_close(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK(t, dep_audit_size(f.log) == 50 && dep_audit_last_time(f.log) == 1700000049);
    DEP_CHECK_OK(t, fixture_append(&f, 2000)); /* more than one writev takes */
    fixture_close(&f);
    DEP_CHECK(t, fixture_count(&f) == 2050);
    DEP_CHECK(t, fixture_verify(&f).is_intact && fixture_verify(&f).records_signed == 2050);
    fixture_done(&f);
}

DEP_TEST(begins_a_segment_when_one_is_full)
{
    struct fixture f;
    char path[64];
    size_t len;
    char *bytes;
    uint64_t lines = 0;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    for (size_t i = 0; i < 30; i++)
        DEP_CHECK_OK(t, fixture_append(&f, 1));
    bytes = fixture_read(&f, FIRST, &len);
    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    free(bytes);
    DEP_CHECK(t, len >= 1000 && len < 1200 && lines > 5 && lines < 30);
    (void)snprintf(path, sizeof(path), "log/%010llu.jsonl", (unsigned long long)lines);
    DEP_CHECK(t, fixture_has(&f, path));
    DEP_CHECK(t, fixture_count(&f) == 30);
    fixture_done(&f);
}

DEP_TEST(its_files_are_private)
{
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = { { "", 0700 },           { "log", 0700 },         { FIRST, 0640 },
                  { "checkpoint", 0640 }, { "checkpoints", 0640 }, { "key.pub", 0644 },
                  { "state", 0600 },      { "leaves", 0640 } };
    mode_t mask = umask(0);
    struct fixture f;

    fixture_init(&f);
    DEP_CHECK(t, rmdir(f.directory) == 0); /* the log makes it */
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 3));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    umask(mask);
    for (size_t i = 0; i < DEP_COUNT(files); i++) {
        struct stat about;
        char path[256];

        fixture_path(&f, files[i].name, path);
        DEP_CHECK(t, stat(path, &about) == 0 && (about.st_mode & 0777) == files[i].mode);
    }
    fixture_done(&f);
}

DEP_TEST(signs_only_when_there_is_something_new)
{
    struct fixture f;
    size_t before, after;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    DEP_CHECK(t, !fixture_has(&f, "checkpoints"));
    DEP_CHECK_OK(t, fixture_append(&f, 3));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    free(fixture_read(&f, "checkpoints", &before));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    fixture_close(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    fixture_close(&f);
    free(fixture_read(&f, "checkpoints", &after));
    DEP_CHECK(t, before == after && before > 100);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 1));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    free(fixture_read(&f, "checkpoints", &after));
    DEP_CHECK(t, after > before);
    fixture_done(&f);
}

/* What the checkpoint looks like, line by line. */
DEP_TEST(writes_checkpoints_as_signed_notes)
{
    struct fixture f;
    struct dep_str rest, line;
    size_t len;
    char *bytes;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 12));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    bytes = fixture_read(&f, "checkpoint", &len);
    rest = dep_str(bytes, len);
    DEP_CHECK(t, dep_str_cut(&rest, '\n', &line) && dep_str_eq_c(line, "deputy/as.example.org"));
    DEP_CHECK(t, dep_str_cut(&rest, '\n', &line) && dep_str_eq_c(line, "12"));
    DEP_CHECK(t, dep_str_cut(&rest, '\n', &line) && line.len == 44 && line.ptr[43] == '=');
    DEP_CHECK(t, dep_str_cut(&rest, '\n', &line) && line.len == 0);
    DEP_CHECK(t,
              dep_str_cut(&rest, '\n', &line) && dep_str_starts(line, DEP_STR("\xE2\x80\x94 deputy/as.example.org ")));
    DEP_CHECK(t, line.len == 4 + 22 + 92); /* 4 + 64 bytes in base64 */
    free(bytes);
    fixture_done(&f);
}

DEP_TEST(refuses_lines_that_could_not_be_read_back)
{
    static char large[DEP_JSON_BYTES_MAX + 1];
    struct dep_audit_line line = { .json = DEP_STR("{\"ts\":1}\n{\"ts\":2}") };
    struct fixture f;
    uint64_t first = 42;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_FAIL(t, dep_audit_append(f.log, &line, 1, &first), AUDIT_SYNTAX);
    line.json = DEP_STR("");
    DEP_CHECK_FAIL(t, dep_audit_append(f.log, &line, 1, &first), AUDIT_SYNTAX);
    line.json = DEP_STR("{\0}");
    DEP_CHECK_FAIL(t, dep_audit_append(f.log, &line, 1, &first), AUDIT_SYNTAX);
    memset(large, '1', sizeof(large));
    line.json = dep_str(large, sizeof(large));
    DEP_CHECK_FAIL(t, dep_audit_append(f.log, &line, 1, &first), AUDIT_SYNTAX);
    DEP_CHECK(t, first == 42 && dep_audit_size(f.log) == 0);
    line.json = dep_str(large, DEP_JSON_BYTES_MAX);
    dep_merkle_leaf(f.crypto, line.json, line.leaf);
    DEP_CHECK_OK(t, dep_audit_append(f.log, &line, 1, &first));
    fixture_close(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK(t, dep_audit_size(f.log) == 1);
    fixture_done(&f);
}

/* A line cut off at every possible place, with and without the state file. */
DEP_TEST(P02_a_torn_tail_is_cut_off)
{
    char line[128];

    record_text(7, line);
    for (size_t cut = 1; cut <= strlen(line); cut += 5)
        for (int with_state = 0; with_state < 2; with_state++) {
            struct fixture f;
            size_t len, after;
            char *bytes;

            fixture_init(&f);
            DEP_CHECK_OK(t, fixture_open(&f));
            DEP_CHECK_OK(t, fixture_append(&f, 7));
            fixture_close(&f);
            bytes = fixture_read(&f, FIRST, &len);
            memcpy(bytes + len, line, cut);
            fixture_write(&f, FIRST, bytes, len + cut);
            free(bytes);
            if (!with_state) {
                char path[256];

                fixture_path(&f, "state", path);
                DEP_CHECK(t, unlink(path) == 0);
            }
            DEP_CHECK(t, fixture_count(&f) == 7); /* readers pass over it */
            DEP_CHECK_OK(t, fixture_open(&f));
            free(fixture_read(&f, FIRST, &after));
            DEP_CHECK(t, dep_audit_size(f.log) == 7 && after == len);
            DEP_CHECK_OK(t, fixture_append(&f, 3));
            fixture_close(&f);
            DEP_CHECK(t, fixture_count(&f) == 10 && fixture_verify(&f).is_intact);
            fixture_done(&f);
        }
}

/* Blocks that a power cut left allocated and unwritten: zeros, and whole lines behind them that were never answered. */
DEP_TEST(P02_zeros_in_the_tail_are_cut_off)
{
    struct fixture f;
    size_t len;
    char *bytes;

    fixture_init(&f);
    f.segment_bytes_max = 1 << 20;
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 7));
    fixture_close(&f);
    bytes = fixture_read(&f, FIRST, &len);
    memcpy(bytes + len + 300, "tail\n{\"ts\":1}\n", 14);
    fixture_write(&f, FIRST, bytes, len + 314);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK(t, dep_audit_size(f.log) == 7);
    fixture_close(&f);
    fixture_write(&f, FIRST, bytes, len + 200);
    free(bytes);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 1));
    fixture_close(&f);
    DEP_CHECK(t, fixture_count(&f) == 8 && fixture_verify(&f).is_intact);
    fixture_done(&f);
}

/* Whole lines behind the newest checkpoint were appended by a process that died before it answered or signed: they count. */
DEP_TEST(counts_lines_behind_the_checkpoint)
{
    struct fixture f;
    pid_t child;

    fixture_init(&f);
    child = fork();
    if (child == 0) {
        if (!dep_is_ok(fixture_open(&f)) || !dep_is_ok(fixture_append(&f, 5)) ||
            !dep_is_ok(dep_audit_checkpoint(f.log)) || !dep_is_ok(fixture_append(&f, 40)))
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    DEP_CHECK(t, fixture_verify(&f).records_signed == 5 && fixture_verify(&f).records == 45);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK(t, dep_audit_size(f.log) == 45 && dep_audit_last_time(f.log) == 1700000044);
    DEP_CHECK(t, fixture_verify(&f).is_intact && fixture_verify(&f).records_signed == 45);
    fixture_done(&f);
}

/* Whatever the state file says, the log opens as it is: the state only saves time. */
DEP_TEST(does_not_trust_the_state_file)
{
    static const char *const bad[] = {
        "", "{", "{}", "null", "{\"size\":1,\"segment\":0,\"before\":0,\"offset\":9,\"last\":\"\",\"heads\":[]}"
    };
    struct fixture f;
    size_t len;
    char *state;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 25));
    fixture_close(&f);
    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        fixture_write(&f, "state", bad[i], strlen(bad[i]));
        DEP_CHECK_OK(t, fixture_open(&f));
        DEP_CHECK(t, dep_audit_size(f.log) == 25);
        fixture_close(&f);
    }
    state = fixture_read(&f, "state", &len);
    for (size_t i = 0; i < len; i++)
        for (char flip = 1; flip <= 4; flip = (char)(flip * 2)) {
            state[i] ^= flip;
            fixture_write(&f, "state", state, len);
            state[i] ^= flip;
            DEP_CHECK_OK(t, fixture_open(&f));
            DEP_CHECK(t, dep_audit_size(f.log) == 25 && dep_audit_last_time(f.log) == 1700000024);
            fixture_close(&f);
        }
    free(state);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 1));
    fixture_close(&f);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    fixture_done(&f);
}

DEP_TEST(an_old_state_is_read_on_from)
{
    struct fixture f;
    size_t len;
    char *state;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 25));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    state = fixture_read(&f, "state", &len);
    DEP_CHECK_OK(t, fixture_append(&f, 25));
    fixture_close(&f);
    fixture_write(&f, "state", state, len);
    free(state);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK(t, dep_audit_size(f.log) == 50 && dep_audit_last_time(f.log) == 1700000049);
    fixture_close(&f);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    fixture_done(&f);
}

DEP_TEST(refuses_a_log_that_does_not_fit_its_checkpoint)
{
    struct fixture f;
    size_t len;
    char *bytes, *cut;
    char path[256];

    fixture_init(&f);
    f.segment_bytes_max = 1 << 20;
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 25));
    fixture_close(&f);
    bytes = fixture_read(&f, FIRST, &len);

    /* One record less. */
    cut = memrchr(bytes, '\n', len - 1);
    fixture_write(&f, FIRST, bytes, (size_t)(cut - bytes) + 1);
    DEP_CHECK_FAIL(t, fixture_open(&f), AUDIT_CORRUPT);
    /* Half a record less: it is not taken for a torn tail, and nothing is cut. */
    fixture_write(&f, FIRST, bytes, len - 10);
    DEP_CHECK_FAIL(t, fixture_open(&f), AUDIT_CORRUPT);
    free(fixture_read(&f, FIRST, &len));
    DEP_CHECK(t, len > (size_t)(cut - bytes) + 1);
    len += 10;
    /* A changed record, once the state is gone. */
    bytes[10] ^= 1;
    fixture_write(&f, FIRST, bytes, len);
    fixture_path(&f, "state", path);
    DEP_CHECK(t, unlink(path) == 0);
    DEP_CHECK_FAIL(t, fixture_open(&f), AUDIT_CORRUPT);
    /* All of it. */
    fixture_path(&f, FIRST, path);
    DEP_CHECK(t, unlink(path) == 0);
    DEP_CHECK_FAIL(t, fixture_open(&f), AUDIT_CORRUPT);
    bytes[10] ^= 1;
    fixture_write(&f, FIRST, bytes, len);
    free(bytes);
    DEP_CHECK_OK(t, fixture_open(&f));
    fixture_done(&f);
}

DEP_TEST(refuses_another_key_and_another_origin)
{
    struct fixture f;
    struct dep_private_key *key = NULL;
    struct dep_audit_config config;
    struct dep_audit_log *log = NULL;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 5));
    fixture_close(&f);
    config = fixture_config(&f);
    config.origin = DEP_STR("deputy/elsewhere.example.org");
    DEP_CHECK_FAIL(t, dep_audit_open(&config, &log), AUDIT_CORRUPT);
    config.origin = DEP_STR("with blank");
    DEP_CHECK_FAIL(t, dep_audit_open(&config, &log), AUDIT_SYNTAX);
    DEP_CHECK_OK(t, dep_private_key_new(DEP_ALG_ED25519, &key));
    config = fixture_config(&f);
    config.key = key;
    DEP_CHECK_FAIL(t, dep_audit_open(&config, &log), AUDIT_CORRUPT);
    dep_private_key_free(key);
    DEP_CHECK_OK(t, fixture_open(&f));
    fixture_done(&f);
}

DEP_TEST(P12_a_second_writer_is_refused)
{
    struct fixture f;
    struct dep_audit_config config;
    struct dep_audit_log *log = NULL;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    config = fixture_config(&f);
    DEP_CHECK_FAIL(t, dep_audit_open(&config, &log), AUDIT_IO);
    fixture_close(&f);
    DEP_CHECK_OK(t, dep_audit_open(&config, &log));
    dep_audit_close(log);
    fixture_done(&f);
}

/* The disk is full at every byte of a batch in turn; then there is room again, without a restart. */
static void fill_up_at(struct dep_test *t, uint64_t bytes_left)
{
    struct rlimit before, full;
    struct fixture f;
    size_t len, after;

    fixture_init(&f);
    f.segment_bytes_max = 1 << 20;
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 4));
    free(fixture_read(&f, FIRST, &len));
    DEP_ASSERT(getrlimit(RLIMIT_FSIZE, &before) == 0);
    full = before;
    full.rlim_cur = len + bytes_left;
    DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &full) == 0);
    DEP_CHECK_FAIL(t, fixture_append(&f, 3), AUDIT_IO);
    DEP_CHECK_FAIL(t, fixture_append(&f, 3), AUDIT_IO);
    free(fixture_read(&f, FIRST, &after));
    DEP_CHECK(t, after == len && dep_audit_size(f.log) == 4 && fixture_count(&f) == 4);
    DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &before) == 0);
    DEP_CHECK_OK(t, fixture_append(&f, 3));
    fixture_close(&f);
    DEP_CHECK(t, fixture_count(&f) == 7 && fixture_verify(&f).is_intact);
    fixture_done(&f);
}

DEP_TEST(P03_a_full_disk_is_refused_and_recovered_from)
{
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

    for (uint64_t left = 0; left < 200; left += 9)
        fill_up_at(t, left);
    (void)signal(SIGXFSZ, handler);
}

/* Also when there is no room for a new segment or a checkpoint. */
DEP_TEST(P03_a_full_disk_at_a_checkpoint)
{
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, full;
    struct fixture f;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    DEP_CHECK_OK(t, fixture_append(&f, 4));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    DEP_CHECK_OK(t, fixture_append(&f, 40));
    DEP_ASSERT(getrlimit(RLIMIT_FSIZE, &before) == 0);
    full = before;
    for (rlim_t limit = 0; limit < 380; limit += 60) {
        full.rlim_cur = limit;
        DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &full) == 0);
        if (limit < 200)
            DEP_CHECK(t, !dep_is_ok(dep_audit_checkpoint(f.log)));
        else
            (void)dep_is_ok(dep_audit_checkpoint(f.log));
        if (limit < 60)
            DEP_CHECK_FAIL(t, fixture_append(&f, 1), AUDIT_IO);
        DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &before) == 0);
        DEP_CHECK(t, fixture_verify(&f).is_intact);
    }
    DEP_CHECK_OK(t, fixture_append(&f, 1));
    DEP_CHECK_OK(t, dep_audit_checkpoint(f.log));
    fixture_close(&f);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    DEP_CHECK(t, fixture_verify(&f).records_signed == fixture_count(&f));
    DEP_CHECK_OK(t, fixture_open(&f));
    fixture_done(&f);
    (void)signal(SIGXFSZ, handler);
}

/* Appends for ever in batches of all sizes, and says after each how many are safe. */
__attribute__((noreturn)) static void append_for_ever(struct fixture *f, int out)
{
    if (!dep_is_ok(fixture_open(f)))
        _exit(1);
    for (size_t i = 0;; i++) {
        uint64_t size;

        if (!dep_is_ok(fixture_append(f, 1 + i % 5)))
            _exit(1);
        if (i % 7 == 3 && !dep_is_ok(dep_audit_checkpoint(f->log)))
            _exit(1);
        size = dep_audit_size(f->log);
        if (write(out, &size, sizeof(size)) != sizeof(size))
            _exit(1);
    }
}

DEP_TEST(J05_every_acknowledged_record_survives_kill_9)
{
    uint64_t told = 0;
    struct fixture f;

    fixture_init(&f);
    srand(9);
    for (int round = 0; round < 40; round++) {
        uint64_t until = told + 1 + (uint64_t)rand() % 40;
        uint64_t size;
        int pipes[2];
        pid_t child;

        DEP_ASSERT(pipe(pipes) == 0);
        child = fork();
        if (child == 0)
            append_for_ever(&f, pipes[1]);
        close(pipes[1]);
        while (told < until && read(pipes[0], &size, sizeof(size)) == sizeof(size))
            told = size;
        for (volatile int spin = rand() % 200000; spin > 0; spin--)
            ;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(pipes[0], &size, sizeof(size)) == sizeof(size))
            told = size;
        close(pipes[0]);
        DEP_CHECK(t, told >= until);
        size = fixture_count(&f);
        DEP_CHECK(t, size != UINT64_MAX && size >= told && fixture_verify(&f).is_intact);
        DEP_CHECK_OK(t, fixture_open(&f));
        DEP_CHECK(t, dep_audit_size(f.log) == size);
        if (round % 2 == 0) /* every other time the next one finds what the killed one left */
            DEP_CHECK_OK(t, fixture_append(&f, 1));
        fixture_close(&f);
        told = fixture_count(&f);
    }
    fixture_done(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(keeps_what_was_appended),
        DEP_ROW(begins_a_segment_when_one_is_full),
        DEP_ROW(its_files_are_private),
        DEP_ROW(signs_only_when_there_is_something_new),
        DEP_ROW(writes_checkpoints_as_signed_notes),
        DEP_ROW(refuses_lines_that_could_not_be_read_back),
        DEP_ROW(P02_a_torn_tail_is_cut_off),
        DEP_ROW(P02_zeros_in_the_tail_are_cut_off),
        DEP_ROW(counts_lines_behind_the_checkpoint),
        DEP_ROW(does_not_trust_the_state_file),
        DEP_ROW(an_old_state_is_read_on_from),
        DEP_ROW(refuses_a_log_that_does_not_fit_its_checkpoint),
        DEP_ROW(refuses_another_key_and_another_origin),
        DEP_ROW(P12_a_second_writer_is_refused),
        DEP_ROW(P03_a_full_disk_is_refused_and_recovered_from),
        DEP_ROW(P03_a_full_disk_at_a_checkpoint),
        DEP_ROW(J05_every_acknowledged_record_survives_kill_9),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

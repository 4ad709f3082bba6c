/* What verification finds: every way to change a log, each with its positive twin. */
#include "audit/fixture.h"

#define FIRST "log/0000000000.jsonl"
#define RECORDS 60u
#define BATCH 20u

/* 60 records in one segment, checkpoints at 20, 40 and 60. */
static void make_log(struct dep_test *t, struct fixture *f)
{
    struct dep_audit_report report;

    fixture_init(f);
    f->segment_bytes_max = 1 << 20;
    DEP_CHECK_OK(t, fixture_open(f));
    for (unsigned i = 0; i < RECORDS / BATCH; i++) {
        DEP_CHECK_OK(t, fixture_append(f, BATCH));
        DEP_CHECK_OK(t, dep_audit_checkpoint(f->log));
    }
    fixture_close(f);
    report = fixture_verify(f);
    DEP_CHECK(t, report.is_intact && report.records == RECORDS && report.records_signed == RECORDS &&
                     report.checkpoints == 3);
}

static void remove_file(struct dep_test *t, const struct fixture *f, const char *name)
{
    char path[256];

    fixture_path(f, name, path);
    DEP_CHECK(t, unlink(path) == 0);
}

/* Where record `index` begins; `len` for the end. */
static size_t start_of(const char *bytes, size_t len, uint64_t index)
{
    const char *at = bytes;

    for (; index > 0; index--)
        at = (const char *)memchr(at, '\n', len - (size_t)(at - bytes)) + 1;
    return (size_t)(at - bytes);
}

static void check_blamed(struct dep_test *t, const struct fixture *f, const char *wanted)
{
    struct dep_audit_report report = fixture_verify(f);

    DEP_CHECK(t, !report.is_intact);
    DEP_CHECK_STR(t, dep_str_c(report.detail), wanted);
}

struct tamper {
    struct fixture f;
    char *good, *bad;
    size_t len;
};

static void tamper_init(struct dep_test *t, struct tamper *x)
{
    make_log(t, &x->f);
    x->good = fixture_read(&x->f, FIRST, &x->len);
    x->bad = calloc(1, x->len + 1024);
    DEP_ASSERT(x->bad != NULL);
    memcpy(x->bad, x->good, x->len);
}

/* What was changed is found; what is put back is good again. */
static void tamper_check(struct dep_test *t, struct tamper *x, size_t len, const char *wanted)
{
    fixture_write(&x->f, FIRST, x->bad, len);
    check_blamed(t, &x->f, wanted);
    fixture_write(&x->f, FIRST, x->good, x->len);
    DEP_CHECK(t, fixture_verify(&x->f).is_intact);
    memcpy(x->bad, x->good, x->len);
}

static void tamper_done(struct tamper *x)
{
    free(x->good);
    free(x->bad);
    fixture_done(&x->f);
}

DEP_TEST(J06_any_bit_of_any_record)
{
    struct tamper x;
    uint64_t index = 0;

    tamper_init(t, &x);
    for (size_t i = 0; i < x.len; i += 3) {
        char wanted[64];
        struct dep_audit_report report;

        index = 0;
        for (size_t k = 0; k < i; k++)
            index += x.good[k] == '\n';
        (void)snprintf(wanted, sizeof(wanted), "record %llu ", (unsigned long long)index);
        x.bad[i] = (char)(x.bad[i] ^ 1 << i % 8);
        fixture_write(&x.f, FIRST, x.bad, x.len);
        report = fixture_verify(&x.f);
        DEP_CHECK(t, !report.is_intact && dep_str_starts(dep_str_c(report.detail), dep_str_c(wanted)));
        x.bad[i] = x.good[i];
    }
    DEP_CHECK(t, index == RECORDS - 1);
    fixture_write(&x.f, FIRST, x.good, x.len);
    DEP_CHECK(t, fixture_verify(&x.f).is_intact);
    tamper_done(&x);
}

DEP_TEST(J06_records_removed)
{
    struct tamper x;
    size_t from, to;

    tamper_init(t, &x);
    from = start_of(x.good, x.len, 25);
    to = start_of(x.good, x.len, 26);
    memmove(x.bad + from, x.bad + to, x.len - to);
    tamper_check(t, &x, x.len - (to - from), "record 25 was removed");
    to = start_of(x.good, x.len, 28);
    memmove(x.bad + from, x.bad + to, x.len - to);
    tamper_check(t, &x, x.len - (to - from), "record 25 is missing: a later record stands in its place");
    to = start_of(x.good, x.len, 1);
    memmove(x.bad, x.bad + to, x.len - to);
    tamper_check(t, &x, x.len - to, "record 0 was removed");
    tamper_done(&x);
}

DEP_TEST(J06_records_cut_off_at_the_end)
{
    struct tamper x;

    tamper_init(t, &x);
    tamper_check(t, &x, start_of(x.good, x.len, 59), "record 59 is missing: the log ends before it");
    tamper_check(t, &x, start_of(x.good, x.len, 30), "record 30 is missing: the log ends before it");
    tamper_check(t, &x, 0, "record 0 is missing: the log ends before it");
    tamper_check(t, &x, x.len - 10, "record 59 was damaged or cut off");
    /* The newline alone. */
    tamper_check(t, &x, x.len - 1, "record 59 was damaged or cut off");
    tamper_done(&x);
}

DEP_TEST(J06_records_exchanged)
{
    struct tamper x;
    size_t a, b, end;

    tamper_init(t, &x);
    a = start_of(x.good, x.len, 41);
    b = start_of(x.good, x.len, 42);
    end = start_of(x.good, x.len, 43);
    memcpy(x.bad + a, x.good + b, end - b);
    memcpy(x.bad + a + (end - b), x.good + a, b - a);
    tamper_check(t, &x, x.len, "record 41 and the one after it were exchanged");
    tamper_done(&x);
}

DEP_TEST(J06_records_doubled_and_put_in)
{
    struct tamper x;
    size_t a, b;

    tamper_init(t, &x);
    a = start_of(x.good, x.len, 7);
    b = start_of(x.good, x.len, 8);
    memcpy(x.bad + b, x.good + a, b - a);
    memcpy(x.bad + b + (b - a), x.good + b, x.len - b);
    tamper_check(t, &x, x.len + (b - a), "record 8 is a second copy of the one before it");
    memcpy(x.bad + b, "{\"ts\":5}\n", 9);
    memcpy(x.bad + b + 9, x.good + b, x.len - b);
    tamper_check(t, &x, x.len + 9, "record 8 was put in: it does not belong to the log");
    tamper_done(&x);
}

DEP_TEST(J06_two_logs_spliced)
{
    struct dep_audit_report report;
    struct tamper x, y;
    size_t len;
    char *notes;

    tamper_init(t, &x);
    tamper_init(t, &y);
    /* The same records under another key: every checkpoint is foreign. */
    notes = fixture_read(&y.f, "checkpoints", &len);
    fixture_write(&x.f, "checkpoints", notes, len);
    free(notes);
    report = fixture_verify(&x.f);
    DEP_CHECK(t, !report.is_intact && strstr(report.detail, "not signed by the key") != NULL);
    tamper_done(&y);
    tamper_done(&x);
}

/* Without the file of leaves the checkpoints still tell between which records it is. */
DEP_TEST(J06_without_the_leaves)
{
    struct tamper x;

    tamper_init(t, &x);
    remove_file(t, &x.f, "leaves");
    x.bad[start_of(x.good, x.len, 33) + 5] ^= 1;
    tamper_check(t, &x, x.len,
                 "a record from 20 to 39 was changed: the tree does not have the root signed for size 40");
    /* The same when the leaves were made to fit the changed records. */
    x.bad[start_of(x.good, x.len, 33) + 5] ^= 1;
    fixture_write(&x.f, "leaves", x.bad, x.len);
    tamper_check(t, &x, x.len,
                 "a record from 20 to 39 was changed: the tree does not have the root signed for size 40");
    tamper_done(&x);
}

DEP_TEST(J08_a_forged_checkpoint)
{
    struct fixture f;
    size_t len;
    char *notes, *size;
    char number[8];

    make_log(t, &f);
    notes = fixture_read(&f, "checkpoints", &len);
    size = strstr(notes, "\n40\n");
    DEP_ASSERT(size != NULL);
    size[2] = '1';
    fixture_write(&f, "checkpoints", notes, len);
    check_blamed(t, &f, "the checkpoint of size 41 in checkpoints is not signed by the key deputy/as.example.org");
    size[2] = '0';
    fixture_write(&f, "checkpoints", notes, len);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    /* The newest one, in the file of its own. */
    free(notes);
    notes = fixture_read(&f, "checkpoint", &len);
    (void)snprintf(number, sizeof(number), "\n%u\n", RECORDS);
    size = strstr(notes, number);
    DEP_ASSERT(size != NULL);
    size[1] = '5';
    fixture_write(&f, "checkpoint", notes, len);
    check_blamed(t, &f, "the checkpoint of size 50 is not signed by the key deputy/as.example.org");
    size[1] = '6';
    fixture_write(&f, "checkpoint", notes, len);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    free(notes);
    fixture_done(&f);
}

/* Records after the newest checkpoint are not signed; the report says how far the signature reaches. */
DEP_TEST(J08_a_suffix_is_not_covered)
{
    struct fixture f;
    struct dep_audit_report report;
    size_t len;
    char *bytes;

    make_log(t, &f);
    bytes = fixture_read(&f, FIRST, &len);
    memcpy(bytes + len, "{\"ts\":1,\"event\":\"forged\"}\n", 26);
    fixture_write(&f, FIRST, bytes, len + 26);
    free(bytes);
    report = fixture_verify(&f);
    DEP_CHECK(t, report.is_intact && report.records == RECORDS + 1 && report.records_signed == RECORDS);
    fixture_done(&f);
}

DEP_TEST(J07_the_tree_shrank)
{
    struct fixture f;
    size_t len, first;
    char *notes;

    make_log(t, &f);
    notes = fixture_read(&f, "checkpoints", &len);
    first = (size_t)(strstr(notes + 1, "deputy/as.example.org\n40\n") - notes);
    /* The first one once more at the end. */
    memcpy(notes + len, notes, first);
    fixture_write(&f, "checkpoints", notes, len + first);
    check_blamed(t, &f, "the tree shrank: a checkpoint of size 20 follows one of size 60");
    /* The last one gone: `checkpoint` knows better. */
    fixture_write(&f, "checkpoints", notes, 2 * first);
    check_blamed(t, &f, "checkpoint is of size 60, but checkpoints ends at 40");
    /* A note cut short by a crash is not held against the log. */
    fixture_write(&f, "checkpoints", notes, len);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    memcpy(notes + len, notes, 30);
    fixture_write(&f, "checkpoints", notes, len + 30);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    free(notes);
    fixture_done(&f);
}

DEP_TEST(J06_segments_missing)
{
    struct fixture f;
    char path[256];
    uint64_t second = 0;
    size_t len;
    char *bytes;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    for (size_t i = 0; i < 40; i++)
        DEP_CHECK_OK(t, fixture_append(&f, 1));
    fixture_close(&f);
    DEP_CHECK(t, fixture_verify(&f).is_intact);
    bytes = fixture_read(&f, FIRST, &len);
    for (size_t i = 0; i < len; i++)
        second += bytes[i] == '\n';
    (void)snprintf(path, sizeof(path), "log/%010llu.jsonl", (unsigned long long)second);
    remove_file(t, &f, path);
    DEP_CHECK(t, !fixture_verify(&f).is_intact);
    DEP_CHECK_FAIL(t, fixture_open(&f), AUDIT_CORRUPT);
    remove_file(t, &f, FIRST);
    check_blamed(t, &f, "record 0 is missing: there is no first segment");
    DEP_CHECK_FAIL(t, fixture_open(&f), AUDIT_CORRUPT);
    free(bytes);
    fixture_done(&f);
}

DEP_TEST(takes_a_key_from_outside)
{
    struct fixture f, other;
    struct dep_audit_report report;
    size_t len;
    char *key, *foreign;

    make_log(t, &f);
    make_log(t, &other);
    key = fixture_read(&f, "key.pub", &len);
    DEP_CHECK_OK(t, dep_audit_verify(f.directory, dep_str(key, len), &report));
    DEP_CHECK(t, report.is_intact);
    foreign = fixture_read(&other, "key.pub", &len);
    DEP_CHECK_OK(t, dep_audit_verify(f.directory, dep_str(foreign, len), &report));
    DEP_CHECK(t, !report.is_intact);
    DEP_CHECK_FAIL(t, dep_audit_verify(f.directory, DEP_STR("no key"), &report), AUDIT_SYNTAX);
    DEP_CHECK_FAIL(t, dep_audit_verify("/nowhere/at/all", DEP_STR_ABSENT, &report), AUDIT_IO);
    free(key);
    free(foreign);
    fixture_done(&other);
    fixture_done(&f);
}

DEP_TEST(an_empty_log_is_intact)
{
    struct fixture f;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    fixture_close(&f);
    DEP_CHECK(t, fixture_verify(&f).is_intact && fixture_verify(&f).records == 0);
    DEP_CHECK(t, fixture_count(&f) == 0);
    fixture_done(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(J06_any_bit_of_any_record),      DEP_ROW(J06_records_removed),
        DEP_ROW(J06_records_cut_off_at_the_end), DEP_ROW(J06_records_exchanged),
        DEP_ROW(J06_records_doubled_and_put_in), DEP_ROW(J06_two_logs_spliced),
        DEP_ROW(J06_without_the_leaves),         DEP_ROW(J08_a_forged_checkpoint),
        DEP_ROW(J08_a_suffix_is_not_covered),    DEP_ROW(J07_the_tree_shrank),
        DEP_ROW(J06_segments_missing),           DEP_ROW(takes_a_key_from_outside),
        DEP_ROW(an_empty_log_is_intact),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

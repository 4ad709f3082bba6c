/* Opening a log that is there: the newest signed checkpoint, the tree, the end.
 *
 * Nothing is changed before everything has been found to fit. Then the tail that was never answered is cut off: a line without its
 * newline, or blocks that were allocated and never written. A tree smaller than the newest checkpoint, or with another root at its
 * size, is DEP_ERR_AUDIT_CORRUPT. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/file.h"
#include "audit/internal.h"
#include "base/json.h"
#include "base/num.h"

#define RECORD_ARENA (1024u * 1024)

/* A note that is ours and newer than what was found before. */
static struct dep_res take_note(struct dep_audit_log *log, const struct dep_note *note)
{
    DEP_TRY(dep_note_verify(log->crypto, &log->signer, note));
    if (log->has_checkpoint && note->size == log->signed_size &&
        memcmp(note->root, log->signed_root, DEP_SHA256_LEN) != 0)
        return DEP_FAIL(AUDIT_CORRUPT);
    if (!log->has_checkpoint || note->size > log->signed_size) {
        log->has_checkpoint = true;
        log->signed_size = note->size;
        memcpy(log->signed_root, note->root, DEP_SHA256_LEN);
    }
    return DEP_OK;
}

/* The last whole note in the tail of `checkpoints`. Behind it may be the beginning of one that was never finished. */
static bool find_last_note(struct dep_str text, struct dep_str name, struct dep_note *ret_note, size_t *ret_end)
{
    bool has_note = false;

    for (size_t at = 0; at < text.len;) {
        struct dep_str rest = dep_str_sub(text, at, text.len);
        struct dep_note note;

        if (dep_str_starts(rest, name) && dep_is_ok(dep_note_read(rest, &note))) {
            *ret_note = note;
            at += note.bytes;
            *ret_end = at;
            has_note = true;
        } else {
            at += dep_str_find(rest, '\n') + 1;
        }
    }
    return has_note;
}

static struct dep_res read_checkpoints(struct dep_audit_log *log)
{
    struct dep_res res = DEP_OK;
    struct dep_note note;
    struct dep_str text;
    uint64_t from = 0;
    size_t end = 0;

    DEP_TRY(dep_file_read(log->directory_fd, "checkpoints", 4 * DEP_NOTE_MAX, &text, &from));
    if (find_last_note(text, dep_str(log->signer.name, log->signer.name_len), &note, &end))
        res = take_note(log, &note);
    else if (text.len >= DEP_NOTE_MAX)
        res = DEP_FAIL(AUDIT_CORRUPT);
    log->checkpoints_bytes = from + end;
    dep_file_release(&text);
    return res;
}

static struct dep_res read_checkpoint(struct dep_audit_log *log)
{
    struct dep_res res = DEP_OK;
    struct dep_note note;
    struct dep_str text;

    DEP_TRY(dep_file_read(log->directory_fd, "checkpoint", DEP_NOTE_MAX, &text, NULL));
    /* Empty: a rename that reached the disk before the bytes did. `checkpoints` has it. */
    if (text.len > 0) {
        res = dep_is_ok(dep_note_read(text, &note)) ? take_note(log, &note) : DEP_FAIL(AUDIT_CORRUPT);
    }
    dep_file_release(&text);
    return res;
}

static struct dep_res check_root(const struct dep_audit_log *log)
{
    unsigned char root[DEP_SHA256_LEN];

    if (!log->has_checkpoint || log->tree.size != log->signed_size)
        return DEP_OK;
    dep_merkle_root(&log->tree, log->crypto, root);
    return memcmp(root, log->signed_root, sizeof(root)) == 0 ? DEP_OK : DEP_FAIL(AUDIT_CORRUPT);
}

/* Adds every record behind `last` to the tree. */
static struct dep_res replay(struct dep_audit_log *log, const struct dep_segments *segments, struct dep_lines *lines)
{
    unsigned char leaf[DEP_SHA256_LEN];
    struct dep_str line;
    size_t segment = 0;

    while (segment < segments->count && segments->first[segment] != log->last.segment)
        segment++;
    if (segment == segments->count && segments->count > 0)
        return DEP_FAIL(AUDIT_CORRUPT);
    DEP_TRY(dep_lines_init(lines, log->log_fd, segments, segment, log->last.offset, log->tree.size));
    DEP_TRY(check_root(log));
    for (;;) {
        DEP_TRY(dep_lines_next(lines, &line));
        if (line.ptr == NULL)
            break;
        dep_merkle_leaf(log->crypto, line, leaf);
        dep_audit_grow(log, leaf);
        log->last.segment = segments->first[lines->segment];
        log->last.offset = lines->offset;
        DEP_TRY(check_root(log));
    }
    if (log->has_checkpoint && log->tree.size < log->signed_size)
        return DEP_FAIL(AUDIT_CORRUPT);
    return dep_segments_bytes(log->log_fd, segments, log->last.segment, &log->last.before);
}

/* "ts" of the newest record; a record without one counts as 0. */
static int64_t read_time(const struct dep_audit_log *log)
{
    struct dep_str line = DEP_STR_ABSENT;
    void *memory = malloc(RECORD_ARENA);
    struct dep_arena arena;
    struct dep_json *record;
    int64_t time = 0;

    if (memory != NULL && log->tree.size > 0 && dep_is_ok(dep_audit_read_before(log, log->last, &line))) {
        dep_arena_init(&arena, memory, RECORD_ARENA);
        if (!dep_is_ok(dep_json_parse(&arena, line, DEP_JSON_DEPTH_MAX, &record)) ||
            !dep_is_ok(dep_json_time(DEP_JSON_GET(record, "ts"), &time)))
            time = 0;
        dep_file_release(&line);
    }
    free(memory);
    return time;
}

#define TAIL_BYTES (256u * 1024)

/* The latest time among the last records. Threads stamp a record when its request begins, so the last one is not always the latest. */
static int64_t latest_time(const struct dep_audit_log *log, const struct dep_segments *segments)
{
    char name[DEP_SEGMENT_NAME_MAX], *memory = malloc(TAIL_BYTES);
    int64_t latest = read_time(log), time = 0;
    struct stat info;
    ssize_t len = 0;
    int fd = -1;

    if (memory != NULL && segments->count > 0) {
        dep_segment_name(name, segments->first[segments->count - 1]);
        fd = openat(log->log_fd, name, O_RDONLY | O_CLOEXEC);
    }
    if (fd >= 0 && fstat(fd, &info) == 0)
        len = pread(fd, memory, TAIL_BYTES, info.st_size > (off_t)TAIL_BYTES ? info.st_size - (off_t)TAIL_BYTES : 0);
    if (fd >= 0)
        (void)close(fd);

    struct dep_str rest = dep_str(memory, len > 0 ? (size_t)len : 0), line;

    while (dep_str_cut(&rest, '\n', &line)) {
        struct dep_str digits = dep_str_sub(line, strlen("{\"ts\":"), line.len);

        if (!dep_str_starts(line, DEP_STR("{\"ts\":")))
            continue;
        if (dep_is_ok(dep_num_parse(dep_str_sub(digits, 0, dep_str_find(digits, ',')), 0, DEP_JSON_TIME_MAX, &time)) &&
            time > latest)
            latest = time;
    }
    free(memory);
    return latest;
}

/* Opens the last segment for writing and cuts its tail. */
static struct dep_res take_end(struct dep_audit_log *log, const struct dep_segments *segments,
                               const struct dep_lines *lines)
{
    char name[DEP_SEGMENT_NAME_MAX];

    if (segments->count == 0)
        return DEP_OK;
    log->end.segment = segments->first[segments->count - 1];
    log->end.offset = lines->offset;
    DEP_TRY(dep_segments_bytes(log->log_fd, segments, log->end.segment, &log->end.before));
    dep_segment_name(name, log->end.segment);
    log->segment_fd = openat(log->log_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (log->segment_fd < 0)
        return DEP_FAIL(AUDIT_IO);
    if (lines->tail != DEP_TAIL_NONE &&
        (ftruncate(log->segment_fd, (off_t)log->end.offset) != 0 || fsync(log->segment_fd) != 0))
        return DEP_FAIL(AUDIT_IO);
    return DEP_OK;
}

static void forget_tree(struct dep_audit_log *log)
{
    dep_merkle_init(&log->tree);
    log->last = (struct dep_audit_place){ .offset = 0 };
    log->leaves_count = 0;
}

static struct dep_res recover(struct dep_audit_log *log, const struct dep_segments *segments, struct dep_lines *lines)
{
    struct dep_res res = DEP_FAIL(AUDIT_CORRUPT);

    forget_tree(log);
    if (dep_audit_state_read(log, segments))
        res = replay(log, segments, lines);
    if (!dep_is_ok(res)) {
        dep_lines_done(lines);
        forget_tree(log);
        res = replay(log, segments, lines);
    }
    DEP_TRY(res);
    log->last_time = latest_time(log, segments);
    return take_end(log, segments, lines);
}

struct dep_res dep_audit_recover(struct dep_audit_log *log)
{
    struct dep_lines lines = { .fd = -1 };
    struct dep_segments segments;
    struct dep_res res;

    DEP_TRY(read_checkpoints(log));
    DEP_TRY(read_checkpoint(log));
    DEP_TRY(dep_segments_read(log->log_fd, &segments));
    res = recover(log, &segments, &lines);
    dep_lines_done(&lines);
    dep_segments_done(&segments);
    DEP_TRY(res);
    /* Derived: what a larger tree left behind goes. */
    (void)dep_is_ok(dep_audit_flush_leaves(log));
    return ftruncate(log->leaves_fd, (off_t)((log->tree.size - log->leaves_count) * DEP_SHA256_LEN)) == 0
               ? DEP_OK
               : DEP_FAIL(AUDIT_IO);
}

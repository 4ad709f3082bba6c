/* Writing the audit log.
 *
 * Invariants:
 *  (1) `tree` has exactly the records that are safe: a leaf is added only after the fdatasync of its line.
 *  (2) `end` is behind the last safe record of the open segment. Whatever lies behind it was never answered and is cut off before
 *      anything else is written.
 *  (3) After a failed sync the kernel may have forgotten that pages were dirty, so that segment is never written again: it is cut,
 *      the cut is synced, and the log goes on in a new segment.
 *  (4) A checkpoint covers only safe records. It is in `checkpoints`, synced, before it is in `checkpoint`.
 *  (5) One process writes: the directory is locked. */
#include "audit/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/file.h"
#include "audit/internal.h"

#define PIECES_MAX 1024u /* IOV_MAX of Linux; two for each line */

static int open_folder(int at_fd, const char *path)
{
    if (mkdirat(at_fd, path, 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static struct dep_res open_files(struct dep_audit_log *log, const char *directory)
{
    log->directory_fd = open_folder(AT_FDCWD, directory);
    if (log->directory_fd < 0 || flock(log->directory_fd, LOCK_EX | LOCK_NB) != 0)
        return DEP_FAIL(AUDIT_IO);
    log->log_fd = open_folder(log->directory_fd, "log");
    log->leaves_fd =
        openat(log->directory_fd, "leaves", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, DEP_AUDIT_FILE_MODE);
    return log->log_fd < 0 || log->leaves_fd < 0 ? DEP_FAIL(AUDIT_IO) : DEP_OK;
}

static struct dep_res write_key(struct dep_audit_log *log)
{
    char line[DEP_NOTE_MAX];
    struct dep_buf buf;

    dep_buf_init(&buf, line, sizeof(line));
    dep_note_signer_write(&buf, &log->signer);
    dep_buf_put_char(&buf, '\n');
    return dep_file_replace(log->directory_fd, "key.pub", 0644, dep_buf_str(&buf));
}

static void release(struct dep_audit_log *log)
{
    const int fds[] = { log->segment_fd, log->leaves_fd, log->log_fd, log->directory_fd };

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    dep_crypto_free(log->crypto);
    free(log->leaves);
    free(log->pieces);
    free(log);
}

static struct dep_res open_log(struct dep_audit_log *log, const struct dep_audit_config *config)
{
    log->crypto = dep_crypto_new();
    log->leaves = malloc(DEP_AUDIT_LEAVES_MAX * sizeof(*log->leaves));
    log->pieces = malloc(PIECES_MAX * sizeof(*log->pieces));
    if (log->crypto == NULL || log->leaves == NULL || log->pieces == NULL)
        return DEP_FAIL(AUDIT_IO);
    DEP_TRY(dep_note_signer_of(log->crypto, config->origin, config->key, &log->signer));
    DEP_TRY(open_files(log, config->directory));
    DEP_TRY(dep_audit_recover(log));
    DEP_TRY(write_key(log));
    /* What was found behind the newest checkpoint is signed at once. With a full disk that waits; the log can still be read. */
    (void)dep_is_ok(dep_audit_checkpoint(log));
    if (log->tree.size > 0)
        (void)dep_is_ok(dep_audit_state_write(log));
    return DEP_OK;
}

struct dep_res dep_audit_open(const struct dep_audit_config *config, struct dep_audit_log **ret_log)
{
    struct dep_audit_log *log = calloc(1, sizeof(*log));
    struct dep_res res;

    if (log == NULL)
        return DEP_FAIL(AUDIT_IO);
    log->directory_fd = log->log_fd = log->segment_fd = log->leaves_fd = -1;
    log->key = config->key;
    log->segment_bytes_max = config->segment_bytes_max;
    res = open_log(log, config);
    if (!dep_is_ok(res)) {
        release(log);
        return res;
    }
    *ret_log = log;
    return DEP_OK;
}

void dep_audit_grow(struct dep_audit_log *log, const unsigned char leaf[DEP_SHA256_LEN])
{
    /* The file of leaves is derived and only helps readers: when it cannot be written, it has a hole until it is made anew. */
    if (log->leaves_count == DEP_AUDIT_LEAVES_MAX && !dep_is_ok(dep_audit_flush_leaves(log)))
        log->leaves_count = 0;
    dep_merkle_add(&log->tree, log->crypto, leaf);
    memcpy(log->last_leaf, leaf, DEP_SHA256_LEN);
    memcpy(log->leaves[log->leaves_count++], leaf, DEP_SHA256_LEN);
}

struct dep_res dep_audit_flush_leaves(struct dep_audit_log *log)
{
    uint64_t first = log->tree.size - log->leaves_count;

    DEP_TRY(dep_file_write_at(log->leaves_fd, log->leaves, log->leaves_count * DEP_SHA256_LEN, first * DEP_SHA256_LEN));
    log->leaves_count = 0;
    return DEP_OK;
}

static struct dep_res cut_tail(struct dep_audit_log *log)
{
    if (!log->has_dirty_tail)
        return DEP_OK;
    if (ftruncate(log->segment_fd, (off_t)log->end.offset) != 0)
        return DEP_FAIL(AUDIT_IO);
    if (log->must_sync_cut && fsync(log->segment_fd) != 0)
        return DEP_FAIL(AUDIT_IO);
    log->has_dirty_tail = log->must_sync_cut = false;
    return DEP_OK;
}

static struct dep_res next_segment(struct dep_audit_log *log)
{
    char name[DEP_SEGMENT_NAME_MAX];
    int fd;

    if (log->segment_fd >= 0 && log->end.segment == log->tree.size) {
        /* Nothing in it: no other name would be right, and there is nothing to lose. */
        log->needs_segment = false;
        return DEP_OK;
    }
    dep_segment_name(name, log->tree.size);
    fd = openat(log->log_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, DEP_AUDIT_FILE_MODE);
    if (fd < 0)
        return DEP_FAIL(AUDIT_IO);
    if (fsync(log->log_fd) != 0) {
        close(fd);
        return DEP_FAIL(AUDIT_IO);
    }
    if (log->segment_fd >= 0)
        close(log->segment_fd);
    log->segment_fd = fd;
    log->end = (struct dep_audit_place){ .segment = log->tree.size, .before = log->end.before + log->end.offset };
    log->needs_segment = false;
    return DEP_OK;
}

static struct dep_res prepare(struct dep_audit_log *log)
{
    DEP_TRY(cut_tail(log));
    if (log->segment_fd < 0 || log->needs_segment || log->end.offset >= (uint64_t)log->segment_bytes_max)
        DEP_TRY(next_segment(log));
    return DEP_OK;
}

/* All pieces, through short writes and interruptions. */
static struct dep_res write_pieces(int fd, struct iovec *pieces, size_t count, uint64_t offset)
{
    while (count > 0) {
        ssize_t put = pwritev(fd, pieces, (int)count, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return DEP_FAIL(AUDIT_IO);
        offset += (uint64_t)put;
        while (count > 0 && (size_t)put >= pieces->iov_len) {
            put -= (ssize_t)pieces->iov_len;
            pieces++;
            count--;
        }
        if (count > 0) {
            pieces->iov_base = (char *)pieces->iov_base + put;
            pieces->iov_len -= (size_t)put;
        }
    }
    return DEP_OK;
}

static struct iovec piece(struct dep_str text)
{
    return (struct iovec){ .iov_base = (void *)(uintptr_t)text.ptr, .iov_len = text.len };
}

static struct dep_res write_lines(struct dep_audit_log *log, const struct dep_audit_line *lines, size_t count,
                                  uint64_t *ret_bytes)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count;) {
        uint64_t start = bytes;
        size_t used = 0;

        for (; i < count && used + 2 <= PIECES_MAX; i++) {
            log->pieces[used++] = piece(lines[i].json);
            log->pieces[used++] = piece(DEP_STR("\n"));
            bytes += lines[i].json.len + 1;
        }
        DEP_TRY(write_pieces(log->segment_fd, log->pieces, used, log->end.offset + start));
    }
    *ret_bytes = bytes;
    return DEP_OK;
}

/* What a reader could not take back as one line. */
static struct dep_res check_lines(const struct dep_audit_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct dep_str json = lines[i].json;

        if (json.len == 0 || json.len > DEP_AUDIT_LINE_MAX || dep_str_has(json, '\n') || dep_str_has(json, '\0'))
            return DEP_FAIL(AUDIT_SYNTAX);
    }
    return DEP_OK;
}

struct dep_res dep_audit_append(struct dep_audit_log *log, const struct dep_audit_line *lines, size_t count,
                                uint64_t *ret_first)
{
    uint64_t first = log->tree.size;
    uint64_t bytes = 0;
    struct dep_res res;

    DEP_TRY(check_lines(lines, count));
    if (count > 0) {
        DEP_TRY(prepare(log));
        res = write_lines(log, lines, count, &bytes);
        if (dep_is_ok(res) && fdatasync(log->segment_fd) != 0) {
            log->must_sync_cut = log->needs_segment = true;
            res = DEP_FAIL(AUDIT_IO);
        }
        if (!dep_is_ok(res)) {
            log->has_dirty_tail = true;
            /* At once, so that a reader does not see it; if that fails now, the next append tries again. */
            (void)dep_is_ok(cut_tail(log));
            return res;
        }
        log->end.offset += bytes;
        log->last = log->end;
        for (size_t i = 0; i < count; i++)
            dep_audit_grow(log, lines[i].leaf);
    }
    *ret_first = first;
    return DEP_OK;
}

/* Behind the notes that count; a note cut short by a full disk is overwritten by the next one. */
static struct dep_res append_note(struct dep_audit_log *log, struct dep_str note)
{
    int fd = openat(log->directory_fd, "checkpoints", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, DEP_AUDIT_FILE_MODE);
    struct dep_res res;

    if (fd < 0)
        return DEP_FAIL(AUDIT_IO);
    res = dep_file_write_at(fd, note.ptr, note.len, log->checkpoints_bytes);
    if (dep_is_ok(res) && fdatasync(fd) != 0)
        res = DEP_FAIL(AUDIT_IO);
    if (!dep_is_ok(res) && ftruncate(fd, (off_t)log->checkpoints_bytes) != 0)
        res = DEP_FAIL(AUDIT_IO);
    close(fd);
    return res;
}

struct dep_res dep_audit_checkpoint(struct dep_audit_log *log)
{
    unsigned char root[DEP_SHA256_LEN];
    char text[DEP_NOTE_MAX];
    struct dep_buf buf;

    if (log->tree.size == log->signed_size)
        return DEP_OK;
    dep_merkle_root(&log->tree, log->crypto, root);
    dep_buf_init(&buf, text, sizeof(text));
    DEP_TRY(dep_note_sign(log->crypto, &log->signer, log->key, log->tree.size, root, &buf));
    DEP_TRY(append_note(log, dep_buf_str(&buf)));
    log->checkpoints_bytes += buf.len;
    log->signed_size = log->tree.size;
    memcpy(log->signed_root, root, sizeof(root));
    log->has_checkpoint = true;
    DEP_TRY(dep_file_replace(log->directory_fd, "checkpoint", DEP_AUDIT_FILE_MODE, dep_buf_str(&buf)));
    DEP_TRY(dep_audit_flush_leaves(log));
    return dep_audit_state_write(log);
}

void dep_audit_close(struct dep_audit_log *log)
{
    if (log == NULL)
        return;
    (void)dep_is_ok(cut_tail(log));
    /* The records are safe without it; the next opening signs them. */
    (void)dep_is_ok(dep_audit_checkpoint(log));
    release(log);
}

uint64_t dep_audit_size(const struct dep_audit_log *log)
{
    return log->tree.size;
}

int64_t dep_audit_last_time(const struct dep_audit_log *log)
{
    return log->last_time;
}

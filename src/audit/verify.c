/* Verifying a log offline: every record is hashed, every checkpoint's signature and root are checked, and tree heads must grow.
 *
 * A checkpoint says that something before it is wrong, but not what. The file of leaf hashes, if the newest good checkpoint vouches
 * for it, tells the record and what was done to it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/blame.h"
#include "audit/file.h"
#include "audit/merkle.h"
#include "audit/note.h"
#include "audit/read.h"
#include "audit/segment.h"

#define CHECKPOINTS_MAX ((size_t)1 << 31)

/* One signed head. */
struct head {
    uint64_t size;
    unsigned char root[DEP_SHA256_LEN];
};

struct verification {
    struct dep_crypto *crypto;
    struct dep_note_signer signer;
    int directory_fd, log_fd;
    struct dep_segments segments;
    struct head *heads;
    size_t heads_count, heads_max;
    struct dep_merkle tree;
    struct dep_audit_report *report;
};

__attribute__((format(printf, 2, 3))) static void blame(struct dep_audit_report *report, const char *format, ...)
{
    va_list arguments;

    /* The first thing found is the one to tell. */
    if (!report->is_intact)
        return;
    report->is_intact = false;
    va_start(arguments, format);
    (void)vsnprintf(report->detail, sizeof(report->detail), format, arguments);
    va_end(arguments);
}

static struct dep_res keep_head(struct verification *v, const struct dep_note *note)
{
    if (v->heads_count == v->heads_max) {
        size_t room = v->heads_max == 0 ? 64 : v->heads_max * 2;
        struct head *larger = realloc(v->heads, room * sizeof(*larger));

        if (larger == NULL)
            return DEP_FAIL(AUDIT_IO);
        v->heads = larger;
        v->heads_max = room;
    }
    v->heads[v->heads_count].size = note->size;
    memcpy(v->heads[v->heads_count].root, note->root, DEP_SHA256_LEN);
    v->heads_count++;
    return DEP_OK;
}

/* One note: its signature, and that it is not behind the one before. */
static struct dep_res check_note(struct verification *v, const struct dep_note *note, const char *file)
{
    uint64_t before = v->heads_count == 0 ? 0 : v->heads[v->heads_count - 1].size;

    if (!dep_is_ok(dep_note_verify(v->crypto, &v->signer, note))) {
        blame(v->report, "the checkpoint of size %" PRIu64 " in %s is not signed by the key %s", note->size, file,
              v->signer.name);
        return DEP_OK;
    }
    if (note->size < before)
        blame(v->report, "the tree shrank: a checkpoint of size %" PRIu64 " follows one of size %" PRIu64, note->size,
              before);
    if (v->heads_count > 0 && note->size == before &&
        memcmp(note->root, v->heads[v->heads_count - 1].root, DEP_SHA256_LEN) != 0)
        blame(v->report, "two checkpoints of size %" PRIu64 " have different roots", note->size);
    return note->size > before || v->heads_count == 0 ? keep_head(v, note) : DEP_OK;
}

static struct dep_res check_notes(struct verification *v, struct dep_str text)
{
    while (text.len > 0) {
        struct dep_note note;

        if (!dep_is_ok(dep_note_read(text, &note))) {
            /* The end of a note that a crash cut short is not a note; anything longer is something else. */
            if (text.len >= DEP_NOTE_MAX || memmem(text.ptr, text.len, "\n\n\xE2\x80\x94 ", 6) != NULL)
                blame(v->report, "checkpoint %zu in checkpoints cannot be read", v->heads_count);
            break;
        }
        DEP_TRY(check_note(v, &note, "checkpoints"));
        text = dep_str_sub(text, note.bytes, text.len);
    }
    return DEP_OK;
}

/* `checkpoint` says what `checkpoints` ends with. */
static struct dep_res check_newest(struct verification *v, struct dep_str text)
{
    uint64_t newest = v->heads_count == 0 ? 0 : v->heads[v->heads_count - 1].size;
    struct dep_note note;

    if (text.len == 0)
        return DEP_OK;
    if (!dep_is_ok(dep_note_read(text, &note))) {
        blame(v->report, "checkpoint cannot be read");
        return DEP_OK;
    }
    /* An older one is left by a crash between the two files. */
    if (note.size > newest)
        blame(v->report, "checkpoint is of size %" PRIu64 ", but checkpoints ends at %" PRIu64, note.size, newest);
    if (!dep_is_ok(dep_note_verify(v->crypto, &v->signer, &note)))
        blame(v->report, "the checkpoint of size %" PRIu64 " is not signed by the key %s", note.size, v->signer.name);
    return note.size > newest ? keep_head(v, &note) : DEP_OK;
}

static struct dep_res read_checkpoints(struct verification *v)
{
    struct dep_str text;
    struct dep_res res;

    DEP_TRY(dep_file_read(v->directory_fd, "checkpoints", CHECKPOINTS_MAX, &text, NULL));
    res = check_notes(v, text);
    dep_file_release(&text);
    DEP_TRY(res);
    DEP_TRY(dep_file_read(v->directory_fd, "checkpoint", DEP_NOTE_MAX, &text, NULL));
    res = check_newest(v, text);
    dep_file_release(&text);
    v->report->checkpoints = v->heads_count;
    v->report->records_signed = v->heads_count == 0 ? 0 : v->heads[v->heads_count - 1].size;
    return res;
}

/* The records between two checkpoints do not give the signed root: which one, and why. */
static void blame_range(struct verification *v, uint64_t from, uint64_t size)
{
    struct dep_blame found;
    const struct head *newest = &v->heads[v->heads_count - 1];

    if (dep_blame_find(v->crypto, v->directory_fd, v->log_fd, &v->segments, newest->size, newest->root, from, &found))
        blame(v->report, "record %" PRIu64 " %s", found.index, found.what);
    else
        blame(v->report,
              "a record from %" PRIu64 " to %" PRIu64
              " was changed: the tree does not have the root signed for size %" PRIu64,
              from, size - 1, size);
}

static void check_heads(struct verification *v, size_t *at)
{
    unsigned char root[DEP_SHA256_LEN];

    if (*at >= v->heads_count || v->heads[*at].size != v->tree.size)
        return;
    dep_merkle_root(&v->tree, v->crypto, root);
    if (memcmp(root, v->heads[*at].root, sizeof(root)) != 0 && v->report->is_intact)
        blame_range(v, *at == 0 ? 0 : v->heads[*at - 1].size, v->tree.size);
    (*at)++;
}

static struct dep_res check_records(struct verification *v, struct dep_lines *lines)
{
    unsigned char leaf[DEP_SHA256_LEN];
    struct dep_str line;
    size_t at = 0;

    check_heads(v, &at);
    for (;;) {
        struct dep_res res = dep_lines_next(lines, &line);

        if (res.err == DEP_ERR_AUDIT_IO)
            return res;
        if (!dep_is_ok(res)) {
            blame(v->report, "the log breaks off after record %" PRIu64 ": %s", lines->index, dep_err_text(res.err));
            break;
        }
        if (line.ptr == NULL)
            break;
        dep_merkle_leaf(v->crypto, line, leaf);
        dep_merkle_add(&v->tree, v->crypto, leaf);
        check_heads(v, &at);
    }
    v->report->records = v->tree.size;
    return DEP_OK;
}

static struct dep_res check_log(struct verification *v)
{
    struct dep_lines lines = { .fd = -1 };
    struct dep_res res = dep_segments_read(v->log_fd, &v->segments);

    if (res.err == DEP_ERR_AUDIT_CORRUPT) {
        blame(v->report, "record 0 is missing: there is no first segment");
        return DEP_OK;
    }
    DEP_TRY(res);
    res = dep_lines_init(&lines, v->log_fd, &v->segments, 0, 0, 0);
    if (dep_is_ok(res))
        res = check_records(v, &lines);
    if (dep_is_ok(res) && v->tree.size < v->report->records_signed) {
        uint64_t from = 0;

        for (size_t i = 0; i < v->heads_count && v->heads[i].size <= v->tree.size; i++)
            from = v->heads[i].size;
        blame_range(v, from, v->report->records_signed);
    }
    dep_lines_done(&lines);
    return res;
}

static struct dep_res read_signer(struct verification *v, struct dep_str public_key)
{
    struct dep_str text = DEP_STR_ABSENT;
    struct dep_res res;

    if (!dep_str_is_absent(public_key))
        return dep_note_signer_read(v->crypto, public_key, &v->signer);
    DEP_TRY(dep_file_read(v->directory_fd, "key.pub", DEP_NOTE_MAX, &text, NULL));
    res = dep_note_signer_read(v->crypto, text, &v->signer);
    dep_file_release(&text);
    return res;
}

static struct dep_res verify(struct verification *v, const char *directory, struct dep_str public_key)
{
    v->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    v->crypto = dep_crypto_new();
    if (v->directory_fd < 0 || v->crypto == NULL)
        return DEP_FAIL(AUDIT_IO);
    DEP_TRY(read_signer(v, public_key));
    DEP_TRY(dep_segments_open(directory, &v->log_fd));
    /* Checkpoints before records: what a running server signs meanwhile is not missed. */
    DEP_TRY(read_checkpoints(v));
    return check_log(v);
}

struct dep_res dep_audit_verify(const char *directory, struct dep_str public_key, struct dep_audit_report *ret_report)
{
    struct dep_audit_report report = { .is_intact = true };
    struct verification v = { .directory_fd = -1, .log_fd = -1, .report = &report };
    struct dep_res res;

    dep_merkle_init(&v.tree);
    res = verify(&v, directory, public_key);
    if (v.directory_fd >= 0)
        close(v.directory_fd);
    if (v.log_fd >= 0)
        close(v.log_fd);
    dep_segments_done(&v.segments);
    dep_crypto_free(v.crypto);
    free(v.heads);
    DEP_TRY(res);
    *ret_report = report;
    return DEP_OK;
}

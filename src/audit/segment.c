/* Segment files and their lines.
 *
 * Invariants:
 *  (1) `buffer[begin, end)` are the bytes of the file from `offset` on.
 *  (2) Only the last segment may have a tail; in any other it is corruption. */
#include "audit/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"

#define BUFFER_SIZE (1024u * 1024)
#define SUFFIX ".jsonl"
#define DIGITS_MIN 10u

struct dep_res dep_segments_open(const char *directory, int *ret_log_fd)
{
    char path[4096];
    int fd;

    if (snprintf(path, sizeof(path), "%s/log", directory) >= (int)sizeof(path))
        return DEP_FAIL(AUDIT_IO);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return DEP_FAIL(AUDIT_IO);
    *ret_log_fd = fd;
    return DEP_OK;
}

void dep_segment_name(char name[DEP_SEGMENT_NAME_MAX], uint64_t first)
{
    (void)snprintf(name, DEP_SEGMENT_NAME_MAX, "%010llu" SUFFIX, (unsigned long long)first);
}

/* "0000000042.jsonl"; ten digits or more. */
static bool name_index(const char *name, uint64_t *ret_first)
{
    struct dep_str text = dep_str_c(name);
    int64_t first;

    if (text.len < DIGITS_MIN + sizeof(SUFFIX) - 1 || !dep_str_ends(text, DEP_STR(SUFFIX)))
        return false;
    text.len -= sizeof(SUFFIX) - 1;
    while (text.len > 1 && text.ptr[0] == '0')
        text = dep_str_sub(text, 1, text.len);
    if (!dep_is_ok(dep_num_parse(text, 0, INT64_MAX, &first)))
        return false;
    *ret_first = (uint64_t)first;
    return true;
}

static int by_index(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static bool add(struct dep_segments *segments, uint64_t first)
{
    if ((segments->count & (segments->count - 1)) == 0) {
        size_t room = segments->count == 0 ? 1 : segments->count * 2;
        uint64_t *larger = realloc(segments->first, room * sizeof(*larger));

        if (larger == NULL)
            return false;
        segments->first = larger;
    }
    segments->first[segments->count++] = first;
    return true;
}

struct dep_res dep_segments_read(int log_fd, struct dep_segments *ret_segments)
{
    struct dep_segments segments = { NULL, 0 };
    int fd = openat(log_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    bool is_good = folder != NULL;
    struct dirent *file;
    uint64_t first;

    if (folder == NULL && fd >= 0)
        close(fd);
    while (is_good && (errno = 0, file = readdir(folder)) != NULL)
        if (name_index(file->d_name, &first))
            is_good = add(&segments, first);
    is_good = is_good && errno == 0;
    if (folder != NULL)
        closedir(folder);
    if (!is_good) {
        dep_segments_done(&segments);
        return DEP_FAIL(AUDIT_IO);
    }
    if (segments.count > 1)
        qsort(segments.first, segments.count, sizeof(*segments.first), by_index);
    if (segments.count > 0 && segments.first[0] != 0) {
        dep_segments_done(&segments);
        return DEP_FAIL(AUDIT_CORRUPT);
    }
    *ret_segments = segments;
    return DEP_OK;
}

void dep_segments_done(struct dep_segments *segments)
{
    free(segments->first);
    *segments = (struct dep_segments){ NULL, 0 };
}

struct dep_res dep_segments_bytes(int log_fd, const struct dep_segments *segments, uint64_t first, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < segments->count && segments->first[i] < first; i++) {
        char name[DEP_SEGMENT_NAME_MAX];
        struct stat about;

        dep_segment_name(name, segments->first[i]);
        if (fstatat(log_fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
            return DEP_FAIL(AUDIT_IO);
        bytes += (uint64_t)about.st_size;
    }
    *ret_bytes = bytes;
    return DEP_OK;
}

static struct dep_res open_segment(struct dep_lines *lines)
{
    char name[DEP_SEGMENT_NAME_MAX];

    if (lines->fd >= 0)
        close(lines->fd);
    dep_segment_name(name, lines->segments->first[lines->segment]);
    lines->fd = openat(lines->log_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return lines->fd < 0 ? DEP_FAIL(AUDIT_IO) : DEP_OK;
}

struct dep_res dep_lines_init(struct dep_lines *lines, int log_fd, const struct dep_segments *segments, size_t segment,
                              uint64_t offset, uint64_t index)
{
    *lines = (struct dep_lines){ .log_fd = log_fd, .fd = -1, .segments = segments, .segment = segment, .index = index };
    lines->offset = offset;
    lines->buffer = malloc(BUFFER_SIZE);
    if (lines->buffer == NULL)
        return DEP_FAIL(AUDIT_IO);
    return segment < segments->count ? open_segment(lines) : DEP_OK;
}

void dep_lines_done(struct dep_lines *lines)
{
    free(lines->buffer);
    lines->buffer = NULL;
    if (lines->fd >= 0)
        close(lines->fd);
    lines->fd = -1;
}

/* Moves what is left to the front and reads on behind it. */
static struct dep_res fill(struct dep_lines *lines, size_t *ret_got)
{
    size_t left = lines->end - lines->begin;
    ssize_t got;

    memmove(lines->buffer, lines->buffer + lines->begin, left);
    lines->begin = 0;
    lines->end = left;
    do {
        got = pread(lines->fd, lines->buffer + left, BUFFER_SIZE - left, (off_t)(lines->offset + left));
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return DEP_FAIL(AUDIT_IO);
    lines->end += (size_t)got;
    *ret_got = (size_t)got;
    return DEP_OK;
}

/* The line of this segment, or absent at its end. */
static struct dep_res next_here(struct dep_lines *lines, struct dep_str *ret_line)
{
    size_t looked = 0;
    size_t got = 0;

    for (;;) {
        char *start = lines->buffer + lines->begin;
        size_t have = lines->end - lines->begin;
        const char *newline = memchr(start + looked, '\n', have - looked);

        if (newline != NULL) {
            *ret_line = dep_str(start, (size_t)(newline - start));
            return DEP_OK;
        }
        looked = have;
        if (have == BUFFER_SIZE)
            break;
        DEP_TRY(fill(lines, &got));
        if (got == 0)
            break;
    }
    lines->tail = looked == 0 ? DEP_TAIL_NONE : DEP_TAIL_TORN;
    if (looked > 0 && memchr(lines->buffer + lines->begin, 0, looked) != NULL)
        lines->tail = DEP_TAIL_ZEROS;
    if (looked == BUFFER_SIZE && lines->tail == DEP_TAIL_TORN)
        return DEP_FAIL(AUDIT_SYNTAX);
    *ret_line = DEP_STR_ABSENT;
    return DEP_OK;
}

struct dep_res dep_lines_next(struct dep_lines *lines, struct dep_str *ret_line)
{
    struct dep_str line;

    if (lines->segment >= lines->segments->count || lines->tail != DEP_TAIL_NONE) {
        *ret_line = DEP_STR_ABSENT;
        return DEP_OK;
    }
    DEP_TRY(next_here(lines, &line));
    while (line.ptr == NULL && lines->segment + 1 < lines->segments->count) {
        if (lines->tail != DEP_TAIL_NONE || lines->segments->first[lines->segment + 1] != lines->index)
            return DEP_FAIL(AUDIT_CORRUPT);
        lines->segment++;
        lines->offset = 0;
        lines->begin = lines->end = 0;
        DEP_TRY(open_segment(lines));
        DEP_TRY(next_here(lines, &line));
    }
    if (line.ptr != NULL && line.len > DEP_AUDIT_LINE_MAX)
        return DEP_FAIL(AUDIT_SYNTAX);
    if (line.ptr != NULL && memchr(line.ptr, 0, line.len) != NULL) {
        lines->tail = DEP_TAIL_ZEROS;
        if (lines->segment + 1 < lines->segments->count)
            return DEP_FAIL(AUDIT_CORRUPT);
        line = DEP_STR_ABSENT;
    }
    if (line.ptr != NULL) {
        lines->begin += line.len + 1;
        lines->offset += line.len + 1;
        lines->index++;
    }
    *ret_line = line;
    return DEP_OK;
}

/* The segment files of a log and the lines in them, read in big pieces. */
#ifndef DEP_AUDIT_SEGMENT_H
#define DEP_AUDIT_SEGMENT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "base/res.h"

/* A record is read as JSON, so it may be as long as JSON may be. */
#define DEP_AUDIT_LINE_MAX DEP_JSON_BYTES_MAX
#define DEP_SEGMENT_NAME_MAX 32u

/* The index of the first leaf of every segment, in order; the first is 0. */
struct dep_segments {
    uint64_t *first;
    size_t count;
};

/* Opens the folder of the segments, `<directory>/log`: DEP_ERR_AUDIT_IO. */
DEP_MUST struct dep_res dep_segments_open(const char *directory, int *ret_log_fd);
/* DEP_ERR_AUDIT_IO; DEP_ERR_AUDIT_CORRUPT when the first segment is missing. Other files are passed over. */
DEP_MUST struct dep_res dep_segments_read(int log_fd, struct dep_segments *ret_segments);
void dep_segments_done(struct dep_segments *segments);
/* Bytes of the segments before the one that begins with leaf `first`. */
DEP_MUST struct dep_res dep_segments_bytes(int log_fd, const struct dep_segments *segments, uint64_t first,
                                           uint64_t *ret_bytes);
void dep_segment_name(char name[DEP_SEGMENT_NAME_MAX], uint64_t first);

/* Why the last segment ends before its file does. */
enum dep_tail {
    DEP_TAIL_NONE,
    DEP_TAIL_TORN, /* a line without its newline */
    DEP_TAIL_ZEROS /* a line with NUL in it: blocks that were never written */
};

struct dep_lines {
    int log_fd, fd;
    const struct dep_segments *segments;
    size_t segment;    /* the one that is read */
    uint64_t index;    /* of the next line */
    uint64_t offset;   /* in the file, of the next line */
    size_t begin, end; /* what is in the buffer */
    char *buffer;
    enum dep_tail tail;
};

/* Starts at a line's beginning: in `segment`, `offset` bytes in, leaf `index`. */
DEP_MUST struct dep_res dep_lines_init(struct dep_lines *lines, int log_fd, const struct dep_segments *segments,
                                       size_t segment, uint64_t offset, uint64_t index);
void dep_lines_done(struct dep_lines *lines);
/* The next line without its newline, valid until the next call; absent at the end, which `tail` describes.
 * DEP_ERR_AUDIT_IO; DEP_ERR_AUDIT_CORRUPT when a segment does not begin where the one before it ends; DEP_ERR_AUDIT_SYNTAX for a
 * line that is too long. */
DEP_MUST struct dep_res dep_lines_next(struct dep_lines *lines, struct dep_str *ret_line);

#endif

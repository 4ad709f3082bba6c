/* Small files of a log's directory. */
#include "audit/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dep_res read_open(int fd, size_t len_max, struct dep_str *ret_bytes, uint64_t *ret_from)
{
    struct stat about;

    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return DEP_FAIL(AUDIT_IO);

    uint64_t size = (uint64_t)about.st_size;
    uint64_t from = size > len_max ? size - len_max : 0;
    size_t len = (size_t)(size - from);
    size_t have = 0;
    char *bytes = malloc(len + 1);

    if (bytes == NULL)
        return DEP_FAIL(AUDIT_IO);
    while (have < len) {
        ssize_t got = pread(fd, bytes + have, len - have, (off_t)(from + have));

        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        have += got > 0 ? (size_t)got : 0;
    }
    if (have < len) {
        free(bytes);
        return DEP_FAIL(AUDIT_IO);
    }
    *ret_bytes = dep_str(bytes, len);
    if (ret_from != NULL)
        *ret_from = from;
    return DEP_OK;
}

struct dep_res dep_file_read(int directory_fd, const char *name, size_t len_max, struct dep_str *ret_bytes,
                             uint64_t *ret_from)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct dep_res res;

    if (fd < 0 && errno == ENOENT) {
        *ret_bytes = DEP_STR_ABSENT;
        return DEP_OK;
    }
    if (fd < 0)
        return DEP_FAIL(AUDIT_IO);
    res = read_open(fd, len_max, ret_bytes, ret_from);
    close(fd);
    return res;
}

void dep_file_release(struct dep_str *bytes)
{
    free((void *)(uintptr_t)bytes->ptr);
    *bytes = DEP_STR_ABSENT;
}

struct dep_res dep_file_write_at(int fd, const void *bytes, size_t len, uint64_t offset)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t put = pwrite(fd, at, len, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return DEP_FAIL(AUDIT_IO);
        at += put;
        len -= (size_t)put;
        offset += (uint64_t)put;
    }
    return DEP_OK;
}

struct dep_res dep_file_replace(int directory_fd, const char *name, mode_t mode, struct dep_str bytes)
{
    char draft[64];
    struct dep_res res;
    int fd;

    if (snprintf(draft, sizeof(draft), "%s.new", name) >= (int)sizeof(draft))
        return DEP_FAIL(AUDIT_IO);
    fd = openat(directory_fd, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return DEP_FAIL(AUDIT_IO);
    res = dep_file_write_at(fd, bytes.ptr, bytes.len, 0);
    if (close(fd) != 0 || !dep_is_ok(res) || renameat(directory_fd, draft, directory_fd, name) != 0)
        return DEP_FAIL(AUDIT_IO);
    return DEP_OK;
}

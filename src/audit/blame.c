/* Finding the record that was changed. */
#include "audit/blame.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/merkle.h"

typedef const unsigned char (*leaves)[DEP_SHA256_LEN];

static bool are_signed(struct dep_crypto *crypto, leaves hashes, uint64_t size,
                       const unsigned char root[DEP_SHA256_LEN])
{
    unsigned char computed[DEP_SHA256_LEN];
    struct dep_merkle tree;

    dep_merkle_init(&tree);
    for (uint64_t i = 0; i < size; i++)
        dep_merkle_add(&tree, crypto, hashes[i]);
    dep_merkle_root(&tree, crypto, computed);
    return memcmp(computed, root, sizeof(computed)) == 0;
}

static bool is_at(leaves hashes, uint64_t size, uint64_t index, const unsigned char leaf[DEP_SHA256_LEN])
{
    return index < size && memcmp(hashes[index], leaf, DEP_SHA256_LEN) == 0;
}

/* The record at `index` has hash `got` instead of its own; the one behind it has `next`, if there is one. */
static const char *describe(leaves hashes, uint64_t size, uint64_t index, const unsigned char *got,
                            const unsigned char *next)
{
    if (next != NULL && is_at(hashes, size, index + 1, got) && is_at(hashes, size, index, next))
        return "and the one after it were exchanged";
    if (is_at(hashes, size, index + 1, got))
        return "was removed";
    if (index > 0 && is_at(hashes, size, index - 1, got))
        return "is a second copy of the one before it";
    if (next != NULL && is_at(hashes, size, index, next))
        return "was put in: it does not belong to the log";
    for (uint64_t i = index + 2; i < size; i++)
        if (is_at(hashes, size, i, got))
            return "is missing: a later record stands in its place";
    return "was changed";
}

static bool compare(struct dep_crypto *crypto, struct dep_lines *lines, leaves hashes, uint64_t size, uint64_t from,
                    struct dep_blame *ret_blame)
{
    unsigned char got[DEP_SHA256_LEN], next[DEP_SHA256_LEN];
    struct dep_str line;

    for (uint64_t index = 0; index < size; index++) {
        if (!dep_is_ok(dep_lines_next(lines, &line)) || line.ptr == NULL) {
            bool is_damaged = lines->tail != DEP_TAIL_NONE;

            *ret_blame = (struct dep_blame){ index, is_damaged ? "was damaged or cut off"
                                                               : "is missing: the log ends before it" };
            return true;
        }
        if (index < from)
            continue;
        dep_merkle_leaf(crypto, line, got);
        if (is_at(hashes, size, index, got))
            continue;

        bool has_next = dep_is_ok(dep_lines_next(lines, &line)) && line.ptr != NULL;

        if (has_next)
            dep_merkle_leaf(crypto, line, next);
        *ret_blame = (struct dep_blame){ index, describe(hashes, size, index, got, has_next ? next : NULL) };
        return true;
    }
    return false;
}

bool dep_blame_find(struct dep_crypto *crypto, int directory_fd, int log_fd, const struct dep_segments *segments,
                    uint64_t size, const unsigned char root[DEP_SHA256_LEN], uint64_t from, struct dep_blame *ret_blame)
{
    size_t bytes = (size_t)size * DEP_SHA256_LEN;
    struct dep_lines lines = { .fd = -1 };
    void *map = MAP_FAILED;
    bool has_found = false;
    struct stat about;
    int fd = openat(directory_fd, "leaves", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0 && size > 0 && fstat(fd, &about) == 0 && (uint64_t)about.st_size >= bytes)
        map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (map == MAP_FAILED)
        return false;
    if (are_signed(crypto, map, size, root) && dep_is_ok(dep_lines_init(&lines, log_fd, segments, 0, 0, 0)))
        has_found = compare(crypto, &lines, map, size, from, ret_blame);
    dep_lines_done(&lines);
    munmap(map, bytes);
    return has_found;
}

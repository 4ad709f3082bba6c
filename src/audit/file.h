/* Small files of a log's directory: read whole, written whole or not at all. */
#ifndef DEP_AUDIT_FILE_H
#define DEP_AUDIT_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/res.h"
#include "base/str.h"

/* The last `len_max` bytes of a file, on the heap; absent when there is no such file, empty for an empty one. `*ret_from` is where
 * they begin. The caller frees `ret_bytes->ptr`. */
DEP_MUST struct dep_res dep_file_read(int directory_fd, const char *name, size_t len_max, struct dep_str *ret_bytes,
                                      uint64_t *ret_from);
void dep_file_release(struct dep_str *bytes);
/* All bytes at `offset`, through short writes and interruptions. */
DEP_MUST struct dep_res dep_file_write_at(int fd, const void *bytes, size_t len, uint64_t offset);
/* Writes beside the name and renames over it. */
DEP_MUST struct dep_res dep_file_replace(int directory_fd, const char *name, mode_t mode, struct dep_str bytes);

#endif

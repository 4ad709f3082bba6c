/* Files that the configuration names. Messages are for people. */
#ifndef DEP_SERVER_FILES_H
#define DEP_SERVER_FILES_H

#include "base/res.h"
#include "server/config.h"

/* The text of a file, less than `max` bytes; `*ret_text` is on the heap. `key` stands before the path in messages: the key of the
 * configuration that names it, with a blank behind, or "". DEP_ERR_CONFIG_FILE. */
DEP_MUST struct dep_res dep_public_file_read(const char *key, const char *path, size_t max, char **ret_text,
                                             size_t *ret_len, char message[DEP_CONFIG_MESSAGE_MAX]);
/* The text of a file that nobody but its owner may read, without the line ends after it; `*ret_text` is on the heap:
 * DEP_ERR_KEY_FILE with a message. */
DEP_MUST struct dep_res dep_private_file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
                                              char message[DEP_CONFIG_MESSAGE_MAX]);
/* A file with exactly 32 bytes, raw or base64url, that nobody but its owner may read: DEP_ERR_KEY_FILE with a message. */
DEP_MUST struct dep_res dep_key_file_read(const char *path, unsigned char ret_key[32],
                                          char message[DEP_CONFIG_MESSAGE_MAX]);

#endif

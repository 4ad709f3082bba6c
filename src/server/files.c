/* Reading files whole. */
#include "server/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/b64.h"
#include "base/secret.h"

struct dep_res dep_public_file_read(const char *key, const char *path, size_t max, char **ret_text, size_t *ret_len,
                                    char message[DEP_CONFIG_MESSAGE_MAX])
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(max);
    size_t len = text == NULL ? 0 : fread(text, 1, max, file);
    bool is_good = text != NULL && ferror(file) == 0 && len < max;

    if (file == NULL)
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s%.300s: %s", key, path, strerror(errno));
    else if (!is_good)
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s%.300s: it cannot be read, or is larger than %zu KiB", key,
                       path, max / 1024);
    if (file != NULL)
        (void)fclose(file);
    if (!is_good) {
        free(text);
        return DEP_FAIL(CONFIG_FILE);
    }
    *ret_text = text;
    *ret_len = len;
    return DEP_OK;
}

/* Opens a file that only its owner may read. */
static int open_private(const char *path, char message[DEP_CONFIG_MESSAGE_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: %s", path, strerror(errno));
    } else if (info.st_mode & 077) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX,
                       "%s: permissions %04o are too open: this file must not be accessible by others; run chmod 600",
                       path, (unsigned)(info.st_mode & 07777));
    } else {
        return fd;
    }
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static size_t without_line_ends(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    return len;
}

struct dep_res dep_private_file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
                                     char message[DEP_CONFIG_MESSAGE_MAX])
{
    int fd = open_private(path, message);
    char *text = fd < 0 ? NULL : calloc(1, max + 1);
    ssize_t len = text == NULL ? -1 : read(fd, text, max + 1);

    if (fd < 0)
        return DEP_FAIL(KEY_FILE);
    (void)close(fd);
    if (len > 0 && (size_t)len <= max) {
        *ret_text = text;
        *ret_len = without_line_ends(text, (size_t)len);
        return DEP_OK;
    }
    (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: cannot be read, is empty, or is longer than %zu bytes", path,
                   max);
    if (text != NULL)
        dep_wipe(text, max + 1);
    free(text);
    return DEP_FAIL(KEY_FILE);
}

struct dep_res dep_key_file_read(const char *path, unsigned char ret_key[32], char message[DEP_CONFIG_MESSAGE_MAX])
{
    int fd = open_private(path, message);
    struct dep_res res = DEP_FAIL(KEY_FILE);
    char text[64];
    ssize_t len;

    if (fd < 0)
        return res;
    len = read(fd, text, sizeof(text));
    (void)close(fd);
    if (len == 32) {
        memcpy(ret_key, text, 32);
        res = DEP_OK;
    } else if (len > 0 &&
               dep_is_ok(dep_b64url_decode_exact(dep_str(text, without_line_ends(text, (size_t)len)), ret_key, 32))) {
        res = DEP_OK;
    } else {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: needs exactly 32 bytes, raw or as base64url", path);
    }
    dep_wipe(text, sizeof(text));
    return res;
}

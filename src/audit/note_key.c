/* Reading and making the checkpoint key. */
#include "audit/note_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DER_MAX 4096

static struct dep_res read_key(int fd, struct dep_private_key **ret_key)
{
    unsigned char der[DER_MAX];
    struct stat about;
    struct dep_res res;
    ssize_t got;

    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || (about.st_mode & 077) != 0)
        return DEP_FAIL(KEY_FILE);
    got = read(fd, der, sizeof(der));
    if (got <= 0 || got == DER_MAX)
        return DEP_FAIL(KEY_FILE);
    res = dep_private_key_read(DEP_ALG_ED25519, dep_secret(der, (size_t)got), ret_key);
    dep_wipe(der, sizeof(der));
    return dep_is_ok(res) ? DEP_OK : DEP_FAIL(KEY_FILE);
}

/* Written beside its place and renamed, so that a crash leaves no half key. */
static struct dep_res write_key(const char *path, struct dep_secret der)
{
    char draft[4100];
    bool is_written;
    int fd;

    if (snprintf(draft, sizeof(draft), "%s.new", path) >= (int)sizeof(draft))
        return DEP_FAIL(AUDIT_IO);
    (void)unlink(draft);
    fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return DEP_FAIL(AUDIT_IO);
    is_written = write(fd, der.bytes, der.len) == (ssize_t)der.len && fsync(fd) == 0;
    close(fd);
    return is_written && rename(draft, path) == 0 ? DEP_OK : DEP_FAIL(AUDIT_IO);
}

static struct dep_res make_key(const char *path, struct dep_private_key **ret_key)
{
    struct dep_private_key *key = NULL;
    struct dep_arena arena;
    struct dep_secret der;
    _Alignas(16) unsigned char memory[2 * DER_MAX];
    struct dep_res res;

    DEP_TRY(dep_private_key_new(DEP_ALG_ED25519, &key));
    dep_arena_init(&arena, memory, sizeof(memory));
    res = dep_private_key_der(key, &arena, &der);
    if (dep_is_ok(res))
        res = write_key(path, der);
    dep_wipe(memory, sizeof(memory));
    if (!dep_is_ok(res)) {
        dep_private_key_free(key);
        return res;
    }
    *ret_key = key;
    return DEP_OK;
}

struct dep_res dep_note_key(const char *directory, struct dep_private_key **ret_key)
{
    char path[4096];
    struct dep_res res;
    int fd;

    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return DEP_FAIL(AUDIT_IO);
    if (snprintf(path, sizeof(path), "%s/checkpoint.key", directory) >= (int)sizeof(path))
        return DEP_FAIL(AUDIT_IO);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? make_key(path, ret_key) : DEP_FAIL(KEY_FILE);
    res = read_key(fd, ret_key);
    close(fd);
    return res;
}

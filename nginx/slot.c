/* A lock file beside each folder says that a process has it. */
#include "slot.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS_MAX 1024u

static void name_slot(const struct dep_nginx_guard *guard, unsigned slot, const char *more, char *ret_path)
{
    (void)ngx_snprintf((u_char *)ret_path, sizeof(guard->directory), "%V/%ud%s%Z", &guard->audit, slot, more);
}

bool dep_nginx_slot_take(struct dep_nginx_guard *guard)
{
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        name_slot(guard, slot, ".lock", guard->directory);
        guard->slot_fd = open(guard->directory, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (guard->slot_fd < 0)
            return false;
        name_slot(guard, slot, "", guard->directory);
        if (flock(guard->slot_fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        dep_nginx_slot_give_back(guard);
    }
    return false;
}

void dep_nginx_slot_give_back(struct dep_nginx_guard *guard)
{
    if (guard->slot_fd >= 0)
        close(guard->slot_fd);
    guard->slot_fd = -1;
}

static int64_t newest_in(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int64_t newest = 0;
    struct stat status;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
            newest = ngx_max(newest, (int64_t)status.st_mtime);
    if (directory != NULL)
        closedir(directory);
    return newest;
}

int64_t dep_nginx_slot_newest(const struct dep_nginx_guard *guard)
{
    char path[sizeof(guard->directory)];
    int64_t newest = 0;
    struct stat status;

    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        name_slot(guard, slot, ".lock", path);
        if (lstat(path, &status) != 0)
            break;
        name_slot(guard, slot, "/log", path);
        newest = ngx_max(newest, newest_in(path));
    }
    return newest;
}

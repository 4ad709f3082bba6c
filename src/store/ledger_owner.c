/* Owners of entries, by open file description locks (fcntl(2), F_OFD_SETLK). Unlike classic POSIX locks these belong to one open
 * file: two ledgers in one process see each other, and closing some other descriptor of the file lets go of nothing. */
#include "store/ledger_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"

static struct flock byte_at(int64_t number)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = number, .l_len = 1 };
}

static struct dep_res take_number(struct dep_ledger_owner *owner)
{
    uint64_t random;
    struct flock lock;

    dep_random(&random, sizeof(random));
    owner->number = (int64_t)(random >> 2) + 1; /* 62 bits: an offset, and never zero */
    lock = byte_at(owner->number);
    return fcntl(owner->fd, F_OFD_SETLK, &lock) == 0 ? DEP_OK : DEP_FAIL(STORE_IO);
}

struct dep_res dep_ledger_owner_init(struct dep_ledger_owner *owner, const char *path)
{
    struct dep_res res = DEP_FAIL(STORE_IO);
    struct stat about;

    owner->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (owner->fd < 0)
        return DEP_FAIL(STORE_IO);
    if (fstat(owner->fd, &about) == 0 && S_ISREG(about.st_mode))
        res = take_number(owner);
    if (!dep_is_ok(res))
        dep_ledger_owner_done(owner);
    return res;
}

/* Byte 0 is nobody's number. */
struct dep_res dep_ledger_owner_alone(const struct dep_ledger_owner *owner, bool is_alone)
{
    struct flock lock = byte_at(0);
    int result;

    lock.l_type = is_alone ? F_WRLCK : F_UNLCK;
    do
        result = fcntl(owner->fd, F_OFD_SETLKW, &lock);
    while (result != 0 && errno == EINTR);
    return result == 0 ? DEP_OK : DEP_FAIL(STORE_IO);
}

void dep_ledger_owner_done(struct dep_ledger_owner *owner)
{
    if (owner->fd >= 0)
        (void)close(owner->fd);
    owner->fd = -1;
}

struct dep_res dep_ledger_owner_lives(const struct dep_ledger_owner *self, int64_t number, bool *ret_lives)
{
    struct flock lock = byte_at(number);

    if (number == self->number) {
        *ret_lives = true;
        return DEP_OK;
    }
    if (number <= 0 || fcntl(self->fd, F_OFD_GETLK, &lock) != 0)
        return DEP_FAIL(STORE_IO);
    *ret_lives = lock.l_type != F_UNLCK;
    return DEP_OK;
}

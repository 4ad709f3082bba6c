/* A clock under a test's control, loaded before the C library: wall-clock time is the real one plus an offset, or stands still. The
 * state is a file of two 64-bit integers (offset in seconds; time that stands still, 0 for none), named by TEST_CLOCK and mapped, so
 * that a test changes it while the program runs. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int clock_gettime_fn(clockid_t clock, struct timespec *time);

static volatile const int64_t *state;
static clock_gettime_fn *real;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("TEST_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    real = (clock_gettime_fn *)dlsym(RTLD_NEXT, "clock_gettime");
    if (fd < 0)
        return;
    void *at = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        state = at;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    if (real == NULL)
        start();

    int rc = real(clock, ret_time);

    if (rc != 0 || state == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return rc;
    if (state[1] != 0) {
        ret_time->tv_sec = state[1];
        ret_time->tv_nsec = 0;
    } else {
        ret_time->tv_sec += state[0];
    }
    return rc;
}

time_t time(time_t *ret_time)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    ret_time->tv_sec = now.tv_sec;
    ret_time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

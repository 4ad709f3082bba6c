/* How much of the machine others took while we measured: all busy time less the server's and our own. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/num.h"
#include "load.h"

/* The `count` numbers of a line of /proc from field `first` on, added; fields are separated by blanks. */
static uint64_t sum_fields(struct dep_str line, unsigned first, unsigned count)
{
    struct dep_str field;
    uint64_t sum = 0;
    int64_t value;
    unsigned at = 0;

    while (dep_str_cut(&line, ' ', &field)) {
        if (field.len == 0)
            continue;
        if (at >= first && at < first + count && dep_is_ok(dep_num_parse(field, 0, INT64_MAX, &value)))
            sum += (uint64_t)value;
        at++;
    }
    return sum;
}

static struct dep_str first_line(const char *path, char *buffer, size_t size)
{
    FILE *file = fopen(path, "re");
    struct dep_str line = DEP_STR("");

    if (file == NULL)
        return line;
    if (fgets(buffer, (int)size, file) != NULL)
        line = dep_str_c(buffer);
    (void)fclose(file);
    if (dep_str_ends(line, DEP_STR("\n")))
        line.len--;
    return line;
}

/* user nice system irq softirq steal: everything but idle and iowait (proc(5)). */
static uint64_t busy_ticks(void)
{
    char buffer[512];
    struct dep_str line = first_line("/proc/stat", buffer, sizeof(buffer));

    return sum_fields(line, 1, 3) + sum_fields(line, 6, 3);
}

static uint64_t server_ticks(unsigned pid)
{
    char path[64], buffer[1024];
    struct dep_str line;

    if (pid == 0)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    line = first_line(path, buffer, sizeof(buffer));

    /* The name in parentheses may hold anything; utime and stime are fields 14 and 15 of the whole line. */
    const char *end = line.len == 0 ? NULL : strrchr(buffer, ')');

    if (end == NULL)
        return 0;
    line = dep_str_sub(line, (size_t)(end + 1 - buffer), line.len);
    return sum_fields(line, 11, 2);
}

static uint64_t own_ticks(void)
{
    struct rusage usage;
    double seconds;

    (void)getrusage(RUSAGE_SELF, &usage);
    seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    return (uint64_t)(seconds * (double)sysconf(_SC_CLK_TCK));
}

void load_ticks_read(unsigned pid, struct load_ticks *ret_ticks)
{
    ret_ticks->busy = busy_ticks();
    ret_ticks->ours = server_ticks(pid) + own_ticks();
}

double load_others_percent(const struct load_ticks *before, const struct load_ticks *after, double seconds)
{
    double busy = (double)(after->busy - before->busy), ours = (double)(after->ours - before->ours);
    double others = (busy - ours) / (double)sysconf(_SC_CLK_TCK);

    return seconds <= 0 || others <= 0 ? 0 : others / seconds * 100;
}

/* The replay way: every file of the folders and files named, or stdin when none is; TAP on stdout. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)

/* Exactly as large as the input, so that a sanitizer sees a read beyond it. Also every half and all but the last byte:
 * truncation is where parsers fail. */
static void run_input(const uint8_t *bytes, size_t len)
{
    const size_t lens[] = { len, len / 2, len > 0 ? len - 1 : 0 };

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t *copy = malloc(lens[i] > 0 ? lens[i] : 1);

        DEP_FUZZ_CHECK(copy != NULL);
        memcpy(copy, bytes, lens[i]);
        dep_fuzz_one(copy, lens[i]);
        free(copy);
    }
}

static void run_stream(FILE *stream)
{
    uint8_t *bytes = malloc(INPUT_MAX);

    DEP_FUZZ_CHECK(bytes != NULL);
    run_input(bytes, fread(bytes, 1, INPUT_MAX, stream));
    free(bytes);
}

static bool run_file(const char *path)
{
    FILE *stream = fopen(path, "rb");

    if (stream == NULL)
        return false;
    run_stream(stream);
    (void)fclose(stream);
    return true;
}

/* The number of files that ran. */
static unsigned run_path(const char *path)
{
    DIR *folder = opendir(path);
    unsigned count = 0;

    if (folder == NULL)
        return run_file(path) ? 1 : 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[4096];

        if (entry->d_name[0] != '.' && snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) < (int)sizeof(name))
            count += run_file(name) ? 1 : 0;
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    bool has_failed = false;

    if (argc < 2) {
        run_stream(stdin);
        return 0;
    }
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        unsigned count = run_path(argv[i]);

        printf("%s %d - %u inputs of %s\n", count > 0 ? "ok" : "not ok", i, count, argv[i]);
        has_failed = has_failed || count == 0;
    }
    return has_failed;
}

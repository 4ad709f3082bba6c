/* Secret sources. */
#include "cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"

#define FD_MAX 1048576

static const char *after(const char *source, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(source, prefix, len) == 0 && source[len] != '\0' ? source + len : NULL;
}

int dep_secret_source_check(struct dep_cli *cli, const char *source, const char *what)
{
    if (strcmp(source, "-") == 0 || after(source, "file:") != NULL || after(source, "env:") != NULL ||
        after(source, "fd:") != NULL || after(source, "cred:") != NULL)
        return DEP_EXIT_OK;
    dep_cli_fail(
        cli, DEP_EXIT_USAGE, "secret_on_command_line",
        "%s: secrets are never given on the command line, where every process can read them; say where to find it",
        what);
    dep_cli_suggest(cli, "file:PATH, env:NAME, fd:N, cred:NAME or - for standard input");
    return DEP_EXIT_USAGE;
}

static int read_all(struct dep_cli *cli, int fd, const char *what, struct dep_secret *ret_secret)
{
    unsigned char *bytes = dep_arena_alloc(&cli->arena, DEP_SECRET_BYTES_MAX + 1);
    size_t len = 0;
    ssize_t got = 1;

    if (bytes == NULL)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, DEP_FAIL(ARENA_FULL), what);
    while (got > 0 && len <= DEP_SECRET_BYTES_MAX) {
        got = read(fd, bytes + len, DEP_SECRET_BYTES_MAX + 1 - len);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        if (got < 0)
            return dep_cli_fail(cli, DEP_EXIT_USAGE, "secret_unreadable", "%s: %s", what, strerror(errno));
        len += (size_t)got;
    }
    if (len > DEP_SECRET_BYTES_MAX)
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "secret_too_long", "%s: longer than %u bytes", what,
                            DEP_SECRET_BYTES_MAX);
    if (len > 0 && bytes[len - 1] == '\n')
        len--;
    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    if (len == 0)
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "secret_empty", "%s: there is nothing in it", what);
    *ret_secret = dep_secret(bytes, len);
    return DEP_EXIT_OK;
}

static int read_file(struct dep_cli *cli, const char *path, const char *what, bool checks_mode,
                     struct dep_secret *ret_secret)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int code;

    if (fd < 0) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "secret_unreadable", "%s: %s: %s", what, path, strerror(errno));
        dep_cli_suggest(cli, "check the path; %s is read from the folder the command runs in", path);
        return DEP_EXIT_USAGE;
    }
    if (checks_mode && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0077) != 0) {
        close(fd);
        dep_cli_fail(cli, DEP_EXIT_USAGE, "secret_file_mode",
                     "%s: permissions %04o for %s are too open: others may read it, so it is not used", what,
                     (unsigned)status.st_mode & 07777u, path);
        dep_cli_suggest(cli, "chmod 600 %s, and think about who has read it", path);
        return DEP_EXIT_USAGE;
    }
    code = read_all(cli, fd, what, ret_secret);
    close(fd);
    return code;
}

static int read_env(struct dep_cli *cli, const char *name, const char *what, struct dep_secret *ret_secret)
{
    const char *value = getenv(name);

    if (value == NULL || value[0] == '\0')
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "secret_empty", "%s: the variable %s is not set", what, name);
    *ret_secret = dep_secret(value, strlen(value));
    return DEP_EXIT_OK;
}

static int read_fd(struct dep_cli *cli, const char *number, const char *what, struct dep_secret *ret_secret)
{
    int64_t fd;

    if (!dep_is_ok(dep_num_parse(dep_str_c(number), 0, FD_MAX, &fd)))
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "%s: fd: takes a number", what);
    return read_all(cli, (int)fd, what, ret_secret);
}

static int read_credential(struct dep_cli *cli, const char *name, const char *what, struct dep_secret *ret_secret)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");

    if (directory == NULL)
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "secret_unreadable",
                            "%s: cred: needs $CREDENTIALS_DIRECTORY, which systemd sets for a unit with LoadCredential",
                            what);
    if (strchr(name, '/') != NULL || name[0] == '.')
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "%s: the name of a credential has no path in it", what);
    return read_file(cli, dep_cli_text(cli, "%s/%s", directory, name), what, false, ret_secret);
}

int dep_secret_load(struct dep_cli *cli, const char *source, const char *what, struct dep_secret *ret_secret)
{
    int code = dep_secret_source_check(cli, source, what);

    if (code != DEP_EXIT_OK)
        return code;
    if (strcmp(source, "-") == 0)
        return read_all(cli, STDIN_FILENO, what, ret_secret);
    if (after(source, "file:") != NULL)
        return read_file(cli, after(source, "file:"), what, true, ret_secret);
    if (after(source, "env:") != NULL)
        return read_env(cli, after(source, "env:"), what, ret_secret);
    if (after(source, "fd:") != NULL)
        return read_fd(cli, after(source, "fd:"), what, ret_secret);
    return read_credential(cli, after(source, "cred:"), what, ret_secret);
}

int dep_secret_load_text(struct dep_cli *cli, const char *source, const char *what, struct dep_str *ret_text)
{
    struct dep_secret secret;
    int code = dep_secret_load(cli, source, what, &secret);

    if (code == DEP_EXIT_OK)
        *ret_text = dep_str((const char *)secret.bytes, secret.len);
    return code;
}

int dep_text_load(struct dep_cli *cli, const char *text, const char *what, struct dep_str *ret_text)
{
    struct dep_secret content;
    int code;

    if (after(text, "file:") == NULL) {
        *ret_text = dep_str_c(text);
        return DEP_EXIT_OK;
    }
    code = read_file(cli, after(text, "file:"), what, false, &content);
    if (code == DEP_EXIT_OK)
        *ret_text = dep_str((const char *)content.bytes, content.len);
    return code;
}

int dep_secret_save(struct dep_cli *cli, const char *path, struct dep_secret secret, bool may_replace)
{
    const char *name = may_replace ? dep_cli_text(cli, "%s.new", path) : path;
    int fd;
    bool is_written;

    if (may_replace)
        unlink(name);
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        dep_cli_fail(cli, errno == EEXIST ? DEP_EXIT_CONFLICT : DEP_EXIT_GENERAL, "file_not_written", "%s: %s", path,
                     strerror(errno));
        if (errno == EEXIST)
            dep_cli_suggest(cli, "give another name; files with secrets are never overwritten");
        return (int)cli->fault.exit;
    }
    is_written =
        write(fd, secret.bytes, secret.len) == (ssize_t)secret.len && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    is_written = close(fd) == 0 && is_written;
    if (is_written && may_replace)
        is_written = rename(name, path) == 0;
    if (!is_written) {
        unlink(name);
        return dep_cli_fail(cli, DEP_EXIT_GENERAL, "file_not_written", "%s could not be written", path);
    }
    return DEP_EXIT_OK;
}

/* Secret sources and key files: where secrets come from, and where they must not. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fixture.h"
#include "test/unit.h"

/* Claims {"iss":"x"} under a header {"alg":"none"}: decoding shows them and believes nothing. */
#define TOKEN "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."

static char folder[] = "/tmp/deputy-secret-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) != 0)
        abort();
    close(fd);
}

static void check(struct dep_test *t, const char *source, int code, const char *said)
{
    char line[512];
    struct dep_cli_run run;

    snprintf(line, sizeof(line), "token decode %s", source);
    run = dep_cli_run(line);
    dep_test_check(t, run.code == code, __FILE__, __LINE__, "%s: code %d, not %d: %s", source, run.code, code, run.err);
    dep_test_check(t, strstr(code == 0 ? run.out : run.err, said) != NULL, __FILE__, __LINE__, "%s: %s%s", source,
                   run.out, run.err);
    dep_cli_run_done(&run);
}

static void check_file(struct dep_test *t, const char *name, int code, const char *said)
{
    char source[300];

    snprintf(source, sizeof(source), "file:%s", path_of(name));
    check(t, source, code, said);
}

DEP_TEST(a_file_of_the_owner_alone_is_read)
{
    put_file("good", TOKEN "\n", 0600);
    check_file(t, "good", 0, "\"iss\": \"x\"");
    check_file(t, "good", 0, "\"verified\": false");
    put_file("readonly", TOKEN "\r\n", 0400);
    check_file(t, "readonly", 0, "\"iss\": \"x\"");
}

DEP_TEST(a_file_that_others_may_read_is_refused)
{
    put_file("open", TOKEN, 0644);
    check_file(t, "open", 2, "secret_file_mode");
    put_file("group", TOKEN, 0640);
    check_file(t, "group", 2, "chmod 600");
}

DEP_TEST(an_absent_or_empty_file_is_refused)
{
    check_file(t, "absent", 2, "secret_unreadable");
    put_file("empty", "\n", 0600);
    check_file(t, "empty", 2, "secret_empty");
}

DEP_TEST(a_variable_is_read)
{
    setenv("DEPUTY_TEST_TOKEN", TOKEN, 1);
    check(t, "env:DEPUTY_TEST_TOKEN", 0, "\"iss\": \"x\"");
    unsetenv("DEPUTY_TEST_TOKEN");
    check(t, "env:DEPUTY_TEST_TOKEN", 2, "is not set");
}

DEP_TEST(a_descriptor_is_read)
{
    char source[32];
    int ends[2];

    if (pipe(ends) != 0 || write(ends[1], TOKEN "\n", strlen(TOKEN) + 1) < 0)
        abort();
    close(ends[1]);
    snprintf(source, sizeof(source), "fd:%d", ends[0]);
    check(t, source, 0, "\"iss\": \"x\"");
    close(ends[0]);
    check(t, source, 2, "secret_unreadable");
    check(t, "fd:one", 2, "takes a number");
}

DEP_TEST(a_credential_of_systemd_is_read)
{
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    put_file("token", TOKEN, 0440);
    check(t, "cred:token", 0, "\"iss\": \"x\"");
    check(t, "cred:../token", 2, "has no path in it");
    unsetenv("CREDENTIALS_DIRECTORY");
    check(t, "cred:token", 2, "LoadCredential");
}

DEP_TEST(a_secret_on_the_command_line_is_refused_and_not_repeated)
{
    struct dep_cli_run run = dep_cli_run("token get --client c --secret hunter2hunter2");

    DEP_CHECK(t, run.code == 2);
    DEP_CHECK(t, strstr(run.err, "secret_on_command_line") != NULL);
    DEP_CHECK(t, strstr(run.err, "file:PATH, env:NAME, fd:N, cred:NAME or -") != NULL);
    DEP_CHECK(t, strstr(run.err, "hunter2") == NULL && strstr(run.out, "hunter2") == NULL);
    dep_cli_run_done(&run);
    check(t, TOKEN, 2, "secret_on_command_line");
    check(t, "file:", 2, "secret_on_command_line");
}

DEP_TEST(what_is_no_token_is_refused)
{
    put_file("text", "hello", 0600);
    check_file(t, "text", 2, "JWS_SEGMENTS");
    put_file("dots", "a.b.c", 0600);
    check_file(t, "dots", 2, "JWT_CLAIMS");
}

DEP_TEST(a_key_file_is_made_once_and_read_again)
{
    static const char *const algs[] = { "ES256", "EdDSA", "RS256" };

    for (size_t i = 0; i < DEP_COUNT(algs); i++) {
        char line[512], made[128], read_again[128];
        struct dep_cli_run run;
        struct stat status;

        snprintf(line, sizeof(line), "token key --alg %s --out %s", algs[i], path_of(algs[i]));
        run = dep_cli_run(line);
        DEP_CHECK(t, run.code == 0 && strstr(run.out, "\"d\"") == NULL);
        dep_cli_member(run.out, "jkt", made, sizeof(made));
        dep_cli_run_done(&run);
        DEP_CHECK(t, stat(path_of(algs[i]), &status) == 0 && (status.st_mode & 0777) == 0600);
        run = dep_cli_run(line);
        DEP_CHECK(t, run.code == 5 && strstr(run.err, "file_not_written") != NULL);
        dep_cli_run_done(&run);
        snprintf(line, sizeof(line), "token key --key file:%s", path_of(algs[i]));
        run = dep_cli_run(line);
        dep_cli_member(run.out, "jkt", read_again, sizeof(read_again));
        DEP_CHECK(t, run.code == 0 && strlen(made) == 43 && strcmp(made, read_again) == 0);
        dep_cli_run_done(&run);
    }
}

DEP_TEST(a_private_key_is_never_registered)
{
    char line[512];
    struct dep_cli_run run;

    put_file("private.json", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"a\",\"y\":\"b\",\"d\":\"c\"}", 0644);
    snprintf(line, sizeof(line), "client create --agent agent:1 --jwks %s --dry-run", path_of("private.json"));
    run = dep_cli_run(line);
    DEP_CHECK(t, run.code == 2 && strstr(run.err, "private_key") != NULL && strstr(run.out, "\"d\"") == NULL);
    dep_cli_run_done(&run);
    put_file("public.json", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"a\",\"y\":\"b\"}", 0644);
    snprintf(line, sizeof(line), "client create --agent agent:1 --jwks %s --dry-run", path_of("public.json"));
    run = dep_cli_run(line);
    DEP_CHECK(t, run.code == 0 && strstr(run.out, "\"keys\"") != NULL);
    dep_cli_run_done(&run);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_file_of_the_owner_alone_is_read),
        DEP_ROW(a_file_that_others_may_read_is_refused),
        DEP_ROW(an_absent_or_empty_file_is_refused),
        DEP_ROW(a_variable_is_read),
        DEP_ROW(a_descriptor_is_read),
        DEP_ROW(a_credential_of_systemd_is_read),
        DEP_ROW(a_secret_on_the_command_line_is_refused_and_not_repeated),
        DEP_ROW(what_is_no_token_is_refused),
        DEP_ROW(a_key_file_is_made_once_and_read_again),
        DEP_ROW(a_private_key_is_never_registered),
    };
    static const char *const names[] = { "good", "readonly", "open",  "group", "empty",        "token",      "text",
                                         "dots", "ES256",    "EdDSA", "RS256", "private.json", "public.json" };
    int code;

    if (mkdtemp(folder) == NULL)
        abort();
    code = dep_test_main(rows, DEP_COUNT(rows));
    for (size_t i = 0; i < DEP_COUNT(names); i++)
        unlink(path_of(names[i]));
    rmdir(folder);
    return code;
}

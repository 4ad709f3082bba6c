/* deputyd: arguments, signals, one line when ready. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/server.h"

static const char usage[] = "usage: deputyd [--config FILE | --dev] [--check]\n"
                            "  --config FILE  read the configuration (YAML); see deputyd(8)\n"
                            "  --dev          no configuration: data in ./deputy-data, issuer http://127.0.0.1:8693\n"
                            "  --check        check the configuration and exit\n";

static struct dep_res load_config(const char *path, struct dep_config **ret_config,
                                  char message[DEP_CONFIG_MESSAGE_MAX])
{
    return path == NULL ? dep_config_dev(ret_config) : dep_config_load(path, ret_config, message);
}

static void complain(const char *message)
{
    (void)fprintf(stderr, "deputyd: %s\n", message);
}

/* A bad new file keeps the old one, and says so. */
static void reload(struct dep_server *server, const char *path)
{
    char message[DEP_CONFIG_MESSAGE_MAX] = "";
    struct dep_config *config = NULL;
    struct dep_res res = load_config(path, &config, message);

    if (dep_is_ok(res))
        res = dep_server_reload(server, config, message);
    if (dep_is_ok(res))
        (void)printf("deputyd reloaded\n");
    else
        (void)printf("deputyd kept its configuration: %s\n", message);
    (void)fflush(stdout);
}

static void serve(struct dep_server *server, const char *path, const sigset_t *signals)
{
    int signal = 0;

    while (sigwait(signals, &signal) == 0)
        if (signal == SIGHUP)
            reload(server, path);
        else
            break;
    (void)printf("deputyd stopping\n");
    (void)fflush(stdout);
    dep_server_stop(server);
}

/* Keys live in this process: no core dump, no debugger of another user. */
static void protect(void)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)umask(077);
}

static int run(const char *path, bool is_check)
{
    char message[DEP_CONFIG_MESSAGE_MAX] = "";
    struct dep_config *config = NULL;
    struct dep_server *server = NULL;
    sigset_t signals;

    if (!dep_is_ok(load_config(path, &config, message))) {
        complain(message);
        return 2;
    }
    if (is_check) {
        dep_config_free(config);
        return 0;
    }
    /* Before any thread starts, so that all of them inherit it. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    char issuer[1024];
    int length = snprintf(issuer, sizeof(issuer), "%s", config->issuer);

    (void)length;
    if (!dep_is_ok(dep_server_start(config, &server, message))) {
        complain(message);
        return 1;
    }
    (void)printf("deputyd ready: issuer %s, port %u\n", issuer, dep_server_port(server));
    (void)fflush(stdout);
    serve(server, path, &signals);
    return 0;
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    bool is_dev = false, is_check = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dev") == 0) {
            is_dev = true;
        } else if (strcmp(argv[i], "--check") == 0) {
            is_check = true;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            path = argv[++i];
        } else if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            return 0;
        } else {
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    if (is_dev == (path != NULL)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    protect();
    return run(path, is_check);
}

/* The guard process: starts its parts in order, waits, stops them in the opposite order.
 *
 * Order of the end: no new connections; the background threads go (exchanges that wait for keys are answered by then);
 * the audit writer answers what waits for a record; the servers go last. */
#include "sidecar/sidecar.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sidecar/process.h"

#define EXIT_USAGE 2
#define EXIT_UNAVAILABLE 6
#define DRAIN_MS 5000
#define IDLE_S 75
#define BODY_MAX 65536
#define LISTEN_MAX 8u

struct listener {
    struct dep_sidecar *sidecar;
    struct dep_engine_worker *workers; /* of this listener */
    struct dep_net_server *server;
};

static void handle(void *context, struct dep_net_exchange *exchange)
{
    const struct listener *listener = context;

    dep_sidecar_handle(listener->sidecar, &listener->workers[exchange->worker], exchange);
}

static int unavailable(const char *what, struct dep_str name)
{
    fprintf(stderr, "deputy guard: %s%s%.*s\n", what, name.len > 0 ? ": " : "", DEP_STR_ARG(name));
    return EXIT_UNAVAILABLE;
}

static bool make_workers(struct dep_sidecar *sidecar)
{
    size_t count = sidecar->engine.config.workers * sidecar->engine.config.listen_count + 2;
    bool is_good = true;

    sidecar->workers = calloc(count, sizeof(*sidecar->workers));
    if (sidecar->workers == NULL)
        return false;
    sidecar->workers_count = count;
    for (size_t i = 0; i < count; i++)
        is_good &= dep_engine_worker_init(&sidecar->workers[i], sidecar->engine.config.tokens_max);
    sidecar->late = &sidecar->workers[count - 2];
    sidecar->settler = &sidecar->workers[count - 1];
    return is_good;
}

static int start_parts(struct dep_sidecar *sidecar)
{
    int failed = dep_engine_start(&sidecar->engine);

    if (failed != 0)
        return failed;
    sidecar->denied = dep_denied_new();
    if (sidecar->denied == NULL || !make_workers(sidecar))
        return unavailable("out of memory", DEP_STR_ABSENT);
    return 0;
}

static int start_listener(struct dep_sidecar *sidecar, struct listener *listener, size_t index)
{
    const struct dep_sidecar_config *config = &sidecar->engine.config;
    const struct dep_net_config net = {
        .address = config->listen[index],
        .workers = config->workers,
        .connections_max = config->connections_max,
        .body_bytes_max = BODY_MAX,
        .idle_timeout_s = IDLE_S,
        .handle = handle,
        .context = listener,
    };

    *listener = (struct listener){ sidecar, &sidecar->workers[index * config->workers], NULL };
    if (!dep_is_ok(dep_net_server_start(&net, &listener->server))) {
        fprintf(stderr, "deputy guard: cannot listen on %.*s: %s\n", DEP_STR_ARG(config->listen[index]),
                strerror(errno));
        return EXIT_UNAVAILABLE;
    }
    fprintf(stderr, "deputy guard: %.*s listens on %.*s", DEP_STR_ARG(config->resource),
            DEP_STR_ARG(config->listen[index]));
    if (dep_net_server_port(listener->server) != 0)
        fprintf(stderr, " (port %u)", dep_net_server_port(listener->server));
    fprintf(stderr, "\n");
    return 0;
}

static void tell_ports(const struct dep_sidecar *sidecar, const struct listener *listeners)
{
    unsigned ports[LISTEN_MAX];

    if (sidecar->engine.config.on_listen == NULL)
        return;
    for (size_t i = 0; i < sidecar->engine.config.listen_count; i++)
        ports[i] = dep_net_server_port(listeners[i].server);
    sidecar->engine.config.on_listen(sidecar->engine.config.context, ports, sidecar->engine.config.listen_count);
}

/* Waits for the configured descriptor, or for TERM and INT, which every thread blocks. */
static void wait_for_end(int fd)
{
    struct pollfd stop = { .fd = fd, .events = POLLIN };

    while (poll(&stop, 1, -1) < 0 && errno == EINTR)
        ;
}

static void stop_parts(struct dep_sidecar *sidecar, struct listener *listeners, size_t listeners_count)
{
    for (size_t i = 0; i < listeners_count; i++)
        dep_net_server_quiesce(listeners[i].server);
    dep_engine_quiesce(&sidecar->engine);
    for (size_t i = 0; i < listeners_count; i++)
        dep_net_server_stop(listeners[i].server, DRAIN_MS);
    dep_engine_done(&sidecar->engine);
    for (size_t i = 0; i < sidecar->workers_count; i++)
        dep_engine_worker_done(&sidecar->workers[i]);
    dep_denied_free(sidecar->denied);
    free(sidecar->workers);
}

static int serve(struct dep_sidecar *sidecar, int wait_fd)
{
    struct listener listeners[LISTEN_MAX];
    size_t count = 0;
    int failed = start_parts(sidecar);

    while (failed == 0 && count < sidecar->engine.config.listen_count) {
        failed = start_listener(sidecar, &listeners[count], count);
        count += failed == 0;
    }
    if (failed == 0) {
        tell_ports(sidecar, listeners);
        wait_for_end(wait_fd);
    }
    stop_parts(sidecar, listeners, count);
    return failed;
}

/* TERM and INT as a descriptor; blocked before any thread starts, so that all threads inherit that. */
static int signals_fd(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

int dep_sidecar_run(const struct dep_sidecar_config *config)
{
    struct dep_sidecar sidecar = { 0 };
    int wait_fd = config->stop_fd;
    int code = dep_engine_prepare(&sidecar.engine, config);

    if (code == 0 && (config->listen_count == 0 || config->listen_count > LISTEN_MAX)) {
        fprintf(stderr, "deputy guard: --listen: between 1 and %u addresses are needed\n", LISTEN_MAX);
        code = EXIT_USAGE;
    }
    if (code == 0) {
        (void)signal(SIGPIPE, SIG_IGN);
        if (wait_fd < 0)
            wait_fd = signals_fd();
        if (wait_fd < 0)
            code = unavailable("no more descriptors", DEP_STR_ABSENT);
    }
    if (code == 0)
        code = serve(&sidecar, wait_fd);
    else
        dep_engine_done(&sidecar.engine);
    if (config->stop_fd < 0 && wait_fd >= 0)
        close(wait_fd);
    return code;
}

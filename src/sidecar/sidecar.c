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
#include <sys/eventfd.h>
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
    struct dep_sidecar_worker *workers; /* of this listener */
    struct dep_net_server *server;
};

static void handle(void *context, struct dep_net_exchange *exchange)
{
    const struct listener *listener = context;

    dep_sidecar_handle(listener->sidecar, &listener->workers[exchange->worker], exchange);
}

static void resume(void *context, struct dep_net_exchange *exchange, enum dep_guard_adapter adapter)
{
    struct dep_sidecar *sidecar = context;

    dep_sidecar_guard(sidecar, &sidecar->workers[sidecar->workers_count - 1], exchange, adapter, true);
}

static void keys_changed(void *context)
{
    const struct dep_sidecar *sidecar = context;

    dep_keys_hint(sidecar->keys);
}

static int unavailable(const char *what, struct dep_str name)
{
    fprintf(stderr, "deputy guard: %s%s%.*s\n", what, name.len > 0 ? ": " : "", DEP_STR_ARG(name));
    return EXIT_UNAVAILABLE;
}

static bool make_workers(struct dep_sidecar *sidecar)
{
    size_t count = sidecar->config.workers * sidecar->config.listen_count + 1;
    bool is_good = true;

    sidecar->workers = calloc(count, sizeof(*sidecar->workers));
    if (sidecar->workers == NULL)
        return false;
    sidecar->workers_count = count;
    for (size_t i = 0; i < count; i++)
        is_good &= dep_sidecar_worker_init(&sidecar->workers[i], sidecar->config.tokens_max);
    return is_good;
}

/* The log's origin: "deputy/guard/" and the resource without its scheme. */
static struct dep_res open_journal(struct dep_sidecar *sidecar)
{
    struct dep_str resource = sidecar->config.resource;
    struct dep_buf origin;
    char text[1024];

    dep_buf_init(&origin, text, sizeof(text));
    dep_buf_put_c(&origin, "deputy/guard/");
    dep_buf_put(&origin, dep_str_sub(resource, dep_str_find(resource, '/') + 2, resource.len));
    if (origin.has_failed)
        return DEP_FAIL(BUF_FULL);
    return dep_journal_new(sidecar->config.audit_directory, dep_buf_str(&origin), &sidecar->journal);
}

static int start_parts(struct dep_sidecar *sidecar)
{
    struct dep_res res = open_journal(sidecar);
    int64_t last;

    if (!dep_is_ok(res)) {
        fprintf(stderr, "deputy guard: audit log %s: %s\n", sidecar->config.audit_directory, dep_err_text(res.err));
        return EXIT_UNAVAILABLE;
    }
    /* A clock that was set back must not reopen the past (attack case B37). */
    last = dep_journal_last_time(sidecar->journal);
    if (last > sidecar->policy.dpop.fence)
        sidecar->policy.dpop.fence = last;
    sidecar->denied = dep_denied_new();
    sidecar->replay =
        dep_replay_new(sidecar->config.proofs_max, sidecar->config.proof_age_max_s + 2 * sidecar->config.skew_s);
    if (sidecar->denied == NULL || sidecar->replay == NULL || !make_workers(sidecar))
        return unavailable("out of memory", DEP_STR_ABSENT);
    sidecar->keys = dep_keys_new(&sidecar->config, sidecar->stop_fd, resume, sidecar);
    if (sidecar->keys == NULL)
        return unavailable("the threads cannot be started", DEP_STR_ABSENT);
    sidecar->feed = dep_guard_feed_new(&sidecar->config, sidecar->stop_fd, keys_changed, sidecar);
    return sidecar->feed == NULL ? unavailable("the threads cannot be started", DEP_STR_ABSENT) : 0;
}

static int start_listener(struct dep_sidecar *sidecar, struct listener *listener, size_t index)
{
    const struct dep_sidecar_config *config = &sidecar->config;
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

    if (sidecar->config.on_listen == NULL)
        return;
    for (size_t i = 0; i < sidecar->config.listen_count; i++)
        ports[i] = dep_net_server_port(listeners[i].server);
    sidecar->config.on_listen(sidecar->config.context, ports, sidecar->config.listen_count);
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
    uint64_t one = 1;

    for (size_t i = 0; i < listeners_count; i++)
        dep_net_server_quiesce(listeners[i].server);
    if (write(sidecar->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        fprintf(stderr, "deputy guard: the end cannot be signalled\n");
    if (sidecar->keys != NULL)
        dep_keys_stop(sidecar->keys);
    for (size_t i = 0; i < listeners_count; i++)
        dep_net_server_stop(listeners[i].server, DRAIN_MS);
    dep_journal_free(sidecar->journal);
    for (size_t i = 0; i < sidecar->workers_count; i++)
        dep_sidecar_worker_done(&sidecar->workers[i]);
    dep_guard_feed_free(sidecar->feed);
    dep_keys_free(sidecar->keys);
    dep_denied_free(sidecar->denied);
    if (sidecar->replay != NULL)
        dep_replay_free(sidecar->replay);
    free(sidecar->workers);
}

static int serve(struct dep_sidecar *sidecar, int wait_fd)
{
    struct listener listeners[LISTEN_MAX];
    size_t count = 0;
    int failed = start_parts(sidecar);

    while (failed == 0 && count < sidecar->config.listen_count) {
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
    struct dep_sidecar sidecar = { .stop_fd = -1 };
    int wait_fd = config->stop_fd;
    int code = dep_sidecar_prepare(&sidecar, config);

    if (code == 0 && config->listen_count > LISTEN_MAX) {
        fprintf(stderr, "deputy guard: --listen: too many addresses\n");
        code = EXIT_USAGE;
    }
    if (code == 0) {
        (void)signal(SIGPIPE, SIG_IGN);
        if (wait_fd < 0)
            wait_fd = signals_fd();
        sidecar.stop_fd = eventfd(0, EFD_CLOEXEC);
        code = wait_fd < 0 || sidecar.stop_fd < 0 ? unavailable("no more descriptors", DEP_STR_ABSENT)
                                                  : serve(&sidecar, wait_fd);
    }
    if (sidecar.stop_fd >= 0)
        close(sidecar.stop_fd);
    if (config->stop_fd < 0 && wait_fd >= 0)
        close(wait_fd);
    dep_wipe(sidecar.nonce_key, sizeof(sidecar.nonce_key));
    free(sidecar.memory);
    return code;
}

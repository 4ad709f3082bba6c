/* The HTTP server's life: start, watch over deadlines, quiesce, stop.
 *
 * The library closes a connection after a time without any byte. A client that drips one byte at a time would stay for
 * ever, so a watch thread also bounds the whole reading of a request and the whole sending of an answer. */
#include "net/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/exchange.h"
#include "net/layout.h"

/* Room for the largest head the checks allow, and for what the library keeps beside it. It clears all of it after each
 * request, so more would cost. */
#define MEMORY_PER_CONNECTION (80u * 1024u)

/* How long the last answers may take to go out. */
#define LAST_WORD_MS 1000

/* Deadlines of the stages as multiples of the idle timeout; 0: none. Waiting has a longer one because its first bytes
 * are not seen here, only the end of the request line. */
static const int64_t stage_factors[] = {
    [DEP_NET_WAITS] = 2, [DEP_NET_READS] = 1, [DEP_NET_WORKS] = 0, [DEP_NET_SENDS] = 2
};

/* The library may miss an end of input that came together with the last bytes: it takes a short read for an empty
 * socket and waits for an event that was already there. Over TLS it reads on until there is nothing left, so an unread
 * goodbye is no end that it missed. */
static bool has_ended(const struct dep_net_connection *connection)
{
    char byte;

    return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void close_overdue(struct dep_net_server *server)
{
    int64_t now_ms = dep_net_now_ms();

    pthread_mutex_lock(&server->connections_lock);
    for (struct dep_net_connection *c = server->connections; c != NULL; c = c->next) {
        int stage = atomic_load_explicit(&c->stage, memory_order_relaxed);
        int64_t limit_ms = stage_factors[stage] * (int64_t)server->config.idle_timeout_s * 1000;
        int64_t age_ms = now_ms - atomic_load_explicit(&c->since_ms, memory_order_relaxed);
        bool is_over = limit_ms > 0 && age_ms > limit_ms;

        if (!is_over && (stage == DEP_NET_WAITS || stage == DEP_NET_READS) && age_ms > 1000)
            is_over = has_ended(c);
        if (is_over)
            (void)shutdown(c->fd, SHUT_RDWR); /* the library sees the end and closes */
    }
    pthread_mutex_unlock(&server->connections_lock);
}

static void *watch(void *closure)
{
    struct dep_net_server *server = closure;

    pthread_mutex_lock(&server->lock);
    while (server->has_watch) {
        struct timespec until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        (void)pthread_cond_timedwait(&server->ended, &server->lock, &until);
        pthread_mutex_unlock(&server->lock);
        close_overdue(server);
        pthread_mutex_lock(&server->lock);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* The path must stay as it was sent: a decoded slash or NUL would change what it names. */
static size_t no_unescape(void *closure, struct MHD_Connection *mhd, char *text)
{
    (void)closure;
    (void)mhd;
    return strlen(text);
}

/* Who comes once the server is quiet is turned away at once. MHD_quiesce_daemon() would take the socket away from workers that may be
 * accepting from it, which ends the process when both take it out of the same epoll set (libmicrohttpd 0.9.75). */
static enum MHD_Result take_connection(void *closure, const struct sockaddr *address, socklen_t length)
{
    const struct dep_net_server *server = closure;

    (void)address;
    (void)length;
    return atomic_load_explicit(&server->is_quiet, memory_order_relaxed) ? MHD_NO : MHD_YES;
}

/* Options that only some servers have, into `items`: the pool, TLS. */
static void choose_options(const struct dep_net_config *config, struct MHD_OptionItem items[4])
{
    size_t count = 0;

    if (config->workers > 1)
        items[count++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)config->workers, NULL };
    if (config->tls != NULL) {
        items[count++] =
            (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)DEP_NET_TLS_PRIORITIES };
        items[count++] =
            (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)&dep_net_tls_retrieve };
    }
    items[count] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
}

static struct MHD_Daemon *start_daemon(struct dep_net_server *server)
{
    const struct dep_net_config *config = &server->config;
    struct MHD_OptionItem items[4];
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;

    choose_options(config, items);
    if (config->tls != NULL) {
        flags |= MHD_USE_TLS;
        if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES ||
            MHD_is_feature_supported(MHD_FEATURE_HTTPS_CERT_CALLBACK) != MHD_YES) {
            errno = EPROTONOSUPPORT;
            return NULL;
        }
    }
    return MHD_start_daemon(
        flags, 0, take_connection, server, dep_net_on_request, server, MHD_OPTION_LISTEN_SOCKET, server->listen.fd,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_CONNECTION_LIMIT,
        config->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, config->idle_timeout_s,
#if MHD_VERSION >= 0x01000000
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
        MHD_OPTION_URI_LOG_CALLBACK, dep_net_on_target, server, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, server,
        MHD_OPTION_NOTIFY_COMPLETED, dep_net_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, dep_net_on_connection,
        server, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

/* What start and stop take down in common; the daemon is gone already. */
static void done(struct dep_net_server *server)
{
    int error = errno;

    if (server->has_watch) {
        pthread_mutex_lock(&server->lock);
        server->has_watch = false;
        pthread_cond_broadcast(&server->ended);
        pthread_mutex_unlock(&server->lock);
        (void)pthread_join(server->watch, NULL);
    }
    dep_net_listen_close(&server->listen);
    if (server->stopping != NULL)
        MHD_destroy_response(server->stopping);
    (void)pthread_key_delete(server->worker_key);
    (void)pthread_cond_destroy(&server->ended);
    (void)pthread_mutex_destroy(&server->connections_lock);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
    errno = error;
}

static bool init_locks(struct dep_net_server *server)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_mutex_init(&server->connections_lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return pthread_key_create(&server->worker_key, NULL) == 0;
}

/* Like every refusal of this folder: `error` for an OAuth client (rfc6749#5.2), and the members of rfc9457 for others. */
static struct MHD_Response *stopping_answer(void)
{
    static const struct dep_header headers[] = { { DEP_STR_INIT("Content-Type"), DEP_STR_INIT("application/json") },
                                                 { DEP_STR_INIT("Cache-Control"), DEP_STR_INIT("no-store") },
                                                 { DEP_STR_INIT("Retry-After"), DEP_STR_INIT("1") } };

    return dep_net_response(&(struct dep_net_answer){
        .status = 503,
        .headers = headers,
        .headers_count = 3,
        .body = DEP_STR(
            "{\"error\":\"temporarily_unavailable\",\"error_description\":\"the server is shutting down; try again\","
            "\"type\":\"about:blank\",\"title\":\"The server is shutting down\",\"status\":503,"
            "\"is_retriable\":true,\"retry_after_ms\":1000}\n"),
        .close = true });
}

struct dep_res dep_net_server_start(const struct dep_net_config *config, struct dep_net_server **ret_server)
{
    struct dep_net_server *server = calloc(1, sizeof(*server));

    if (server == NULL || config->workers == 0 || config->handle == NULL) {
        free(server);
        errno = EINVAL;
        return DEP_FAIL(NET_LISTEN);
    }
    server->config = *config;
    server->needs_layout = dep_net_layout_is_needed();
    if (server->config.connections_max < config->workers)
        server->config.connections_max = config->workers;
    server->listen.fd = -1;
    if (!init_locks(server)) {
        free(server);
        return DEP_FAIL(NET_LISTEN);
    }
    if (!dep_is_ok(dep_net_listen_open(config->address, config->connections_max, &server->listen))) {
        done(server);
        return DEP_FAIL(NET_LISTEN);
    }
    server->stopping = stopping_answer();
    server->has_watch = true;
    if (pthread_create(&server->watch, NULL, watch, server) != 0)
        server->has_watch = false;
    if (server->has_watch && server->stopping != NULL)
        server->daemon = start_daemon(server);
    if (server->daemon == NULL) {
        done(server);
        return DEP_FAIL(NET_LISTEN);
    }
    *ret_server = server;
    return DEP_OK;
}

unsigned dep_net_server_port(const struct dep_net_server *server)
{
    return server->listen.port;
}

void dep_net_server_quiesce(struct dep_net_server *server)
{
    atomic_store(&server->is_quiet, true);
}

/* Waits until every exchange has ended, at most so long. The lock is held. */
static void wait_for_active(struct dep_net_server *server, int64_t limit_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += limit_ms / 1000;
    until.tv_nsec += limit_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (atomic_load(&server->active) > 0)
        if (pthread_cond_timedwait(&server->ended, &server->lock, &until) == ETIMEDOUT)
            break;
}

void dep_net_server_stop(struct dep_net_server *server, int64_t drain_ms)
{
    dep_net_server_quiesce(server);
    atomic_store(&server->is_stopping, true);
    pthread_mutex_lock(&server->lock);
    wait_for_active(server, drain_ms);
    dep_net_abandon_all(server);
    /* The library must not be stopped while a connection is suspended; each one has been woken by now. */
    while (server->deferred != NULL)
        (void)pthread_cond_wait(&server->ended, &server->lock);
    wait_for_active(server, LAST_WORD_MS);
    pthread_mutex_unlock(&server->lock);
    MHD_stop_daemon(server->daemon);
    done(server);
}

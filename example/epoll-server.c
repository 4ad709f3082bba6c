/* An API on one thread and one epoll, guarded by libdeputy: nothing in it ever waits.
 *
 *     epoll-server PORT RESOURCE ISSUER CLIENT AUDIT-DIRECTORY      (the client's secret in DEPUTY_SECRET)
 *
 * What is under the resource's path is guarded; POST and PUT need the scope "write" besides. An answer tells who called.
 * The three moments at which a guarded request may have to wait are all here: for keys (DEPUTY_NEEDS), for the record of a
 * refusal (DEPUTY_RECORDING), and for room in the socket. Meanwhile the loop serves the others. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fetch.h"
#include "http.h"

#define EVENTS 64
#define CONNECTIONS_MAX 512
#define OUT_MAX 16384
#define IN_MAX (HEAD_MAX + 65536)

enum state { READING, NEEDING, RECORDING, WRITING };

struct connection {
    int fd; /* -1: gone, but a verdict is still to come */
    enum state state;
    struct http_request request; /* in `in`, while it is being answered */
    size_t in_len, out_len, out_at;
    char in[IN_MAX], out[OUT_MAX];
};

struct server {
    int epoll_fd, listen_fd, signal_fd;
    struct deputy_guard *guard;
    struct fetcher *fetcher;
    bool has_rules;                                  /* they say what is needed, and everything is guarded */
    const char *path;                                /* of the resource */
    size_t verdicts;                                 /* still to come */
    struct connection *connections[CONNECTIONS_MAX]; /* by descriptor */
};

static bool watch(const struct server *server, int fd, uint32_t events, int how)
{
    struct epoll_event event = { .events = events, .data.fd = fd };

    return epoll_ctl(server->epoll_fd, how, fd, &event) == 0;
}

static void drop(struct server *server, struct connection *connection)
{
    server->connections[connection->fd] = NULL;
    close(connection->fd);
    connection->fd = -1;
    if (connection->state != RECORDING) /* else the verdict frees it */
        free(connection);
}

/* ------------------------------------------------------------------------------------------------- answering */

static void flush(struct server *server, struct connection *connection)
{
    while (connection->out_at < connection->out_len) {
        ssize_t sent = send(connection->fd, connection->out + connection->out_at,
                            connection->out_len - connection->out_at, MSG_NOSIGNAL);

        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            (void)watch(server, connection->fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (sent < 0) {
            drop(server, connection);
            return;
        }
        connection->out_at += (size_t)sent;
    }
    if (connection->request.is_last) {
        drop(server, connection);
        return;
    }
    /* The next request may be in the buffer already. */
    connection->in_len -= connection->request.bytes;
    memmove(connection->in, connection->in + connection->request.bytes, connection->in_len);
    connection->state = READING;
    (void)watch(server, connection->fd, EPOLLIN, EPOLL_CTL_MOD);
}

static void answer(struct server *server, struct connection *connection, int status,
                   const struct deputy_header *headers, size_t count, struct deputy_text body)
{
    connection->state = WRITING;
    connection->out_at = 0;
    connection->out_len =
        http_write(connection->out, sizeof(connection->out), status, headers, count, body, connection->request.is_last);
    if (connection->out_len == 0)
        drop(server, connection);
    else
        flush(server, connection);
}

static void answer_plain(struct server *server, struct connection *connection, int status, const char *type,
                         struct deputy_text body)
{
    const struct deputy_header header = { { "Content-Type", 12 }, { type, strlen(type) } };

    answer(server, connection, status, &header, 1, body);
}

/* What the API does, now that it is known who calls. A real one would look into its data here. */
static void serve_allowed(struct server *server, struct connection *connection, const struct deputy_verdict *verdict)
{
    struct deputy_header headers[8] = { { { "Content-Type", 12 }, { "text/plain", 10 } } };
    size_t count, actors_count, total = 1;
    const struct deputy_header *more = deputy_verdict_answer(verdict, &count);
    const struct deputy_text *actors = deputy_verdict_actors(verdict, &actors_count);
    struct deputy_text subject = deputy_verdict_claim(verdict, DEPUTY_SUBJECT);
    struct deputy_text scope = deputy_verdict_claim(verdict, DEPUTY_SCOPE);
    char text[4096];
    int len = snprintf(text, sizeof(text), "subject %s\nscope %s\n", subject.ptr, scope.ptr == NULL ? "" : scope.ptr);

    for (size_t i = 0; i < actors_count && (size_t)len < sizeof(text); i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "actor %s\n", actors[i].ptr);
    for (size_t i = 0; i < count && total < 8; i++)
        headers[total++] = more[i];
    answer(server, connection, 200, headers, total,
           (struct deputy_text){ text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1 });
}

static void answer_verdict(struct server *server, struct connection *connection, struct deputy_verdict *verdict)
{
    size_t count;
    const struct deputy_header *headers = deputy_verdict_answer(verdict, &count);

    if (deputy_verdict_is_allowed(verdict))
        serve_allowed(server, connection, verdict);
    else
        answer(server, connection, deputy_verdict_status(verdict), headers, count, deputy_verdict_body(verdict));
    deputy_verdict_free(verdict);
}

/* ------------------------------------------------------------------------------------------------- guarding */

static bool is_text(struct deputy_text text, const char *other)
{
    return strlen(other) == text.len && memcmp(text.ptr, other, text.len) == 0;
}

static void guard(struct server *server, struct connection *connection, bool is_final)
{
    const struct http_request *in = &connection->request;
    bool is_write = is_text(in->method, "POST") || is_text(in->method, "PUT");
    struct deputy_request request = {
        .size = sizeof(request),
        .method = in->method,
        .target = in->target,
        .headers = in->headers,
        .headers_count = in->headers_count,
        .body = in->body,
        .user = connection,
        .flags = DEPUTY_CHECK_NO_WAIT | (is_final ? DEPUTY_CHECK_FINAL : 0u),
    };
    struct deputy_verdict *verdict = NULL;

    if (is_write && !server->has_rules) /* they say it themselves */
        request.scopes = (struct deputy_text){ "read write", 10 };
    switch (deputy_guard_check(server->guard, &request, &verdict)) {
    case DEPUTY_NEEDS:
        connection->state = NEEDING;
        return;
    case DEPUTY_RECORDING:
        connection->state = RECORDING;
        server->verdicts++;
        return;
    case DEPUTY_ALLOW:
    case DEPUTY_REFUSE:
        answer_verdict(server, connection, verdict);
        return;
    }
}

/* The path of the resource itself, and what is below it. */
static bool is_guarded(const struct server *server, struct deputy_text target)
{
    size_t len = strlen(server->path);

    if (server->has_rules)
        return true;
    return target.len >= len && memcmp(target.ptr, server->path, len) == 0 &&
           (target.len == len || server->path[len - 1] == '/' || memchr("/?", target.ptr[len], 2) != NULL);
}

/* Begins with the request in the buffer; false when there is none yet. */
static bool begin(struct server *server, struct connection *connection)
{
    struct deputy_text metadata_path = deputy_guard_metadata_path(server->guard);
    int what = http_read(connection->in, connection->in_len, &connection->request);

    if (what < 0) {
        connection->request.is_last = true;
        answer_plain(server, connection, 400, "text/plain", (struct deputy_text){ "what?\n", 6 });
    } else if (what == 0) {
        return false;
    } else if (is_text(connection->request.target, metadata_path.ptr)) {
        answer_plain(server, connection, 200, "application/json", deputy_guard_metadata(server->guard));
    } else if (is_guarded(server, connection->request.target)) {
        guard(server, connection, false);
    } else {
        answer_plain(server, connection, 404, "text/plain", (struct deputy_text){ "not here\n", 9 });
    }
    return true;
}

/* All requests that are in the buffer, one after the other, until one has to wait. */
static void work(struct server *server, int fd)
{
    struct connection *connection;

    while ((connection = server->connections[fd]) != NULL && connection->state == READING)
        if (!begin(server, connection))
            return;
}

/* Verdicts whose records are safe now, and requests whose keys are here. */
static void go_on(struct server *server)
{
    struct deputy_verdict *verdict;

    while ((verdict = deputy_guard_recorded(server->guard)) != NULL) {
        struct connection *connection = deputy_verdict_user(verdict);
        int fd = connection->fd;

        server->verdicts--;
        if (fd < 0) {
            free(connection);
            deputy_verdict_free(verdict);
        } else {
            answer_verdict(server, connection, verdict);
            work(server, fd);
        }
    }
    if (deputy_guard_is_waiting(server->guard))
        return;
    for (int fd = 0; fd < CONNECTIONS_MAX; fd++)
        if (server->connections[fd] != NULL && server->connections[fd]->state == NEEDING) {
            guard(server, server->connections[fd], true);
            work(server, fd);
        }
}

/* ------------------------------------------------------------------------------------------------- the loop */

static void accept_all(struct server *server)
{
    int fd;

    while ((fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = fd < CONNECTIONS_MAX ? calloc(1, sizeof(*connection)) : NULL;

        if (connection == NULL || !watch(server, fd, EPOLLIN, EPOLL_CTL_ADD)) {
            free(connection);
            close(fd);
            continue;
        }
        connection->fd = fd;
        server->connections[fd] = connection;
    }
}

static void read_more(struct server *server, struct connection *connection)
{
    ssize_t got;

    if (connection->in_len == IN_MAX) { /* more than one request ahead: it can wait in the socket */
        (void)watch(server, connection->fd, 0, EPOLL_CTL_MOD);
        return;
    }
    got = recv(connection->fd, connection->in + connection->in_len, IN_MAX - connection->in_len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (got <= 0) {
        drop(server, connection);
        return;
    }
    connection->in_len += (size_t)got;
    work(server, connection->fd);
}

static void ready(struct server *server, int fd, uint32_t events)
{
    struct connection *connection = fd < CONNECTIONS_MAX ? server->connections[fd] : NULL;

    if (fd == server->listen_fd)
        accept_all(server);
    else if (fd == deputy_guard_fd(server->guard) || fd == server->signal_fd)
        return; /* looked at after each round */
    else if (connection == NULL)
        fetcher_ready(server->fetcher, fd, events);
    else if (connection->state == WRITING && (events & EPOLLOUT) != 0) {
        flush(server, connection);
        work(server, fd);
    } else
        read_more(server, connection);
}

static bool has_ended(const struct server *server)
{
    struct signalfd_siginfo info;

    return read(server->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info);
}

static void loop(struct server *server)
{
    struct epoll_event events[EVENTS];

    while (!has_ended(server)) {
        int64_t wait_ms = fetcher_drive(server->fetcher, server->guard);
        int count;

        go_on(server);
        count = epoll_wait(server->epoll_fd, events, EVENTS, wait_ms < 0 || wait_ms > 60000 ? 60000 : (int)wait_ms);
        for (int i = 0; i < count; i++)
            ready(server, events[i].data.fd, events[i].events);
    }
}

/* ------------------------------------------------------------------------------------------------- setting up */

/* `rules`: a file of them, or NULL. */
static struct deputy_guard *make_guard(char **argv, const char *rules)
{
    struct deputy_config *config = deputy_config_new();
    const char *secret = getenv("DEPUTY_SECRET");
    struct deputy_guard *made = NULL;
    const char *const settings[][2] = { { "resource", argv[2] },      { "issuer", argv[3] },
                                        { "client", argv[4] },        { "audit", argv[5] },
                                        { "scope", "read" },          { "scopes-offered", "read write" },
                                        { "allow-loopback", "true" }, { "feed-silence-max-s", "3" } };
    enum deputy_result result = deputy_config_set_secret(config, "secret", secret, secret == NULL ? 0 : strlen(secret));

    for (size_t i = 0; result == DEPUTY_OK && i < sizeof(settings) / sizeof(settings[0]); i++)
        result = deputy_config_set(config, settings[i][0], settings[i][1]);
    if (result == DEPUTY_OK && rules != NULL)
        result = deputy_config_set(config, "rules", rules);
    if (result == DEPUTY_OK)
        result = deputy_guard_new(config, &made);
    if (result != DEPUTY_OK) {
        fprintf(stderr, "%s; %s\n", deputy_result_text(result), deputy_config_fault(config));
        exit(2);
    }
    deputy_config_free(config);
    return made;
}

static int end_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Where the path begins in "https://host/path". */
static const char *path_of(const char *url)
{
    const char *authority = strstr(url, "://");
    const char *path = authority == NULL ? NULL : strchr(authority + 3, '/');

    return path == NULL ? "/" : path;
}

static void free_all(struct server *server)
{
    struct pollfd recorded = { .fd = deputy_guard_fd(server->guard), .events = POLLIN };

    fetcher_free(server->fetcher);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (server->connections[i] != NULL)
            drop(server, server->connections[i]);
    while (server->verdicts > 0 && poll(&recorded, 1, 5000) == 1)
        go_on(server); /* they free their connections */
    deputy_guard_free(server->guard);
    close(server->listen_fd);
    close(server->signal_fd);
    close(server->epoll_fd);
    free(server);
}

int main(int argc, char **argv)
{
    struct server *server = calloc(1, sizeof(*server));

    if (argc != 6 || server == NULL) {
        fprintf(stderr, "epoll-server PORT RESOURCE ISSUER CLIENT AUDIT-DIRECTORY\n");
        return 2;
    }
    server->signal_fd = end_signals();
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->has_rules = getenv("DEPUTY_RULES") != NULL;
    server->guard = make_guard(argv, getenv("DEPUTY_RULES"));
    server->fetcher = fetcher_new(server->epoll_fd, true);
    server->path = path_of(argv[2]);
    server->listen_fd = http_listen(argv[1], SOCK_NONBLOCK);
    if (server->fetcher == NULL || !watch(server, server->listen_fd, EPOLLIN, EPOLL_CTL_ADD) ||
        !watch(server, server->signal_fd, EPOLLIN, EPOLL_CTL_ADD) ||
        !watch(server, deputy_guard_fd(server->guard), EPOLLIN, EPOLL_CTL_ADD)) {
        perror("epoll");
        return 1;
    }
    loop(server);
    free_all(server);
    return 0;
}

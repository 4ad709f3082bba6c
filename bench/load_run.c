/* The loop: every connection has one request in flight; an answer is read, judged, and the next request goes out at once. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define ANSWER_BYTES_MAX 65536u

struct connection {
    int fd;
    bool is_busy;
    bool is_counted; /* sent after the clock had started */
    int64_t sent_ns;
    size_t received;
    char *buffer;
};

struct run {
    const struct load_options *options;
    const struct load_messages *messages;
    struct load_result *result;
    struct connection *connections;
    int epoll;
    FILE *save;
    uint64_t sent, done, busy; /* requests, warm-up included */
    uint64_t total;            /* 0: until `end_ns` */
    int64_t start_ns, end_ns, last_ns;
    struct load_ticks before;
};

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int connect_to(const struct load_options *options)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_un local;
    } address = { 0 };
    socklen_t size = sizeof(address.v4);
    char host[64];
    int fd, one = 1;

    if (!dep_str_is_absent(options->unix_path)) {
        if (options->unix_path.len >= sizeof(address.local.sun_path))
            return -1;
        address.local.sun_family = AF_UNIX;
        memcpy(address.local.sun_path, options->unix_path.ptr, options->unix_path.len);
        size = sizeof(address.local);
    } else {
        (void)snprintf(host, sizeof(host), "%.*s", DEP_STR_ARG(options->tcp_host));
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)options->tcp_port);
        if (inet_pton(AF_INET, host, &address.v4.sin_addr) != 1)
            return -1;
    }
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &address.any, size) != 0) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0 && address.any.sa_family == AF_INET)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

int load_connect(const struct load_options *options)
{
    int fd = connect_to(options);

    if (fd < 0)
        (void)fprintf(stderr, "load: cannot connect: %s\n", strerror(errno));
    return fd;
}

static void note_bad(struct load_result *result, struct dep_str text)
{
    size_t len = text.len < sizeof(result->first_bad) - 1 ? text.len : sizeof(result->first_bad) - 1;

    if (result->first_bad[0] != '\0' || len == 0)
        return;
    memcpy(result->first_bad, text.ptr, len);
    result->first_bad[len] = '\0';
}

/* Messages are small and the socket is idle, so one call takes the whole of each. */
static void send_next(struct run *run, struct connection *connection)
{
    const struct load_messages *messages = run->messages;
    const struct load_message *message;

    if (run->total > 0 ? run->sent >= run->total : run->end_ns > 0 && now_ns() >= run->end_ns)
        return;
    message = &messages->items[run->sent % messages->count];
    connection->is_counted = run->sent >= run->options->warmup;
    run->sent++;
    connection->received = 0;
    connection->is_busy = true;
    run->busy++;
    connection->sent_ns = now_ns();
    if (connection->is_counted && run->start_ns == 0) {
        run->start_ns = connection->sent_ns;
        load_ticks_read(run->options->server_pid, &run->before);
        if (run->total == 0)
            run->end_ns = run->start_ns + (int64_t)run->options->seconds * 1000000000;
    }
    if (send(connection->fd, message->bytes, message->len, MSG_NOSIGNAL) != (ssize_t)message->len)
        (void)shutdown(connection->fd, SHUT_RDWR); /* the reading side then sees the end */
}

static void finish(struct run *run, struct connection *connection)
{
    connection->is_busy = false;
    run->busy--;
    run->done++;
}

static bool reopen(struct run *run, struct connection *connection)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };

    if (connection->fd >= 0)
        (void)close(connection->fd);
    connection->fd = load_connect(run->options);
    return connection->fd >= 0 && epoll_ctl(run->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0;
}

static void keep_token(struct run *run, const struct load_answer *answer)
{
    struct load_result *result = run->result;
    struct dep_str token = load_answer_token(answer->body);

    if (run->save != NULL && !dep_str_is_absent(token))
        (void)fprintf(run->save, "%.*s\n", DEP_STR_ARG(token));
    if (result->jtis == NULL || result->jtis_count >= result->jtis_max)
        return;
    if (dep_str_is_absent(token) || !load_token_jti(token, result->jtis[result->jtis_count]))
        result->lost_jtis++;
    else
        result->jtis_count++;
}

static void judge(struct run *run, struct connection *connection, const struct load_answer *answer, int64_t now)
{
    struct load_result *result = run->result;
    bool is_good = !answer->is_broken && (answer->status == 200 || answer->status == 204);
    int64_t us = (now - connection->sent_ns) / 1000;

    if (!is_good)
        note_bad(result, answer->is_broken ? DEP_STR("an answer without Content-Length")
                                           : dep_str(connection->buffer, answer->bytes));
    if (is_good && (run->save != NULL || result->jtis != NULL))
        keep_token(run, answer);
    if (!is_good) {
        result->bad++; /* those of the warm-up too: a run with any is void */
    } else if (connection->is_counted) {
        result->good++;
        run->last_ns = now;
        result->latency_us[us < (int64_t)LOAD_BUCKETS ? us : (int64_t)LOAD_BUCKETS - 1]++;
    }
    if (answer->status < 600)
        result->statuses[answer->status]++;
}

/* False when the run cannot go on. */
static bool receive(struct run *run, struct connection *connection)
{
    struct load_answer answer;
    ssize_t got =
        recv(connection->fd, connection->buffer + connection->received, ANSWER_BYTES_MAX - connection->received, 0);

    if (got <= 0) {
        if (connection->is_busy) {
            note_bad(run->result, DEP_STR("the connection ended before an answer"));
            run->result->broken++;
            run->result->bad++;
            finish(run, connection);
        }
        if (!reopen(run, connection))
            return false;
        send_next(run, connection);
        return run->result->broken < 10000;
    }
    connection->received += (size_t)got;
    load_answer_read(dep_str(connection->buffer, connection->received), &answer);
    if (answer.bytes == 0)
        return connection->received < ANSWER_BYTES_MAX;
    judge(run, connection, &answer, now_ns());
    finish(run, connection);
    if ((answer.closes || answer.is_broken) && !reopen(run, connection))
        return false;
    send_next(run, connection);
    return true;
}

static bool open_all(struct run *run)
{
    for (unsigned i = 0; i < run->options->connections; i++) {
        struct connection *connection = &run->connections[i];

        connection->fd = -1;
        connection->buffer = malloc(ANSWER_BYTES_MAX);
        if (connection->buffer == NULL || !reopen(run, connection))
            return false;
    }
    return true;
}

/* A load with a core of its own does not sleep: waking it would be the server's work, and costs a virtual machine more than the
 * answer itself. None for 30 s: 0. */
static int wait_for_answers(const struct run *run, struct epoll_event *ret_events, int max)
{
    bool spins = run->options->cpu >= 0;
    int64_t end = now_ns() + 30000000000;
    int count;

    do
        count = epoll_wait(run->epoll, ret_events, max, spins ? 0 : 30000);
    while (spins && count == 0 && now_ns() < end);
    return count;
}

static bool loop(struct run *run)
{
    struct epoll_event events[64];

    for (unsigned i = 0; i < run->options->connections; i++)
        send_next(run, &run->connections[i]);
    while (run->busy > 0) {
        int count = wait_for_answers(run, events, 64);

        if (count == 0) {
            (void)fprintf(stderr, "load: no answer for 30 s; %llu in flight\n", (unsigned long long)run->busy);
            return false;
        }
        for (int i = 0; i < count; i++)
            if (!receive(run, events[i].data.ptr))
                return false;
    }
    return true;
}

bool load_run(const struct load_options *options, const struct load_messages *messages, struct load_result *ret_result)
{
    struct run run = { .options = options, .messages = messages, .result = ret_result };
    bool is_good;

    run.total = options->requests > 0 ? options->warmup + options->requests : 0;
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.connections = calloc(options->connections, sizeof(*run.connections));
    ret_result->latency_us = calloc(LOAD_BUCKETS, sizeof(uint32_t));
    if (options->is_distinct) {
        ret_result->jtis_max = run.total;
        ret_result->jtis = calloc(run.total, sizeof(*ret_result->jtis));
    }
    if (options->save_file != NULL)
        run.save = fopen(options->save_file, "w");
    is_good = run.epoll >= 0 && run.connections != NULL && ret_result->latency_us != NULL &&
              (!options->is_distinct || ret_result->jtis != NULL) && (options->save_file == NULL || run.save != NULL) &&
              open_all(&run) && loop(&run);
    ret_result->seconds = (double)(run.last_ns - run.start_ns) / 1e9;

    struct load_ticks after;

    load_ticks_read(options->server_pid, &after);
    ret_result->others_percent = load_others_percent(&run.before, &after, ret_result->seconds);
    for (unsigned i = 0; run.connections != NULL && i < options->connections; i++) {
        if (run.connections[i].fd > 0)
            (void)close(run.connections[i].fd);
        free(run.connections[i].buffer);
    }
    free(run.connections);
    if (run.save != NULL && fclose(run.save) != 0)
        is_good = false;
    if (run.epoll >= 0)
        (void)close(run.epoll);
    return is_good;
}

bool load_once(const struct load_options *options, const struct load_message *message, char *buffer, size_t size,
               struct load_answer *ret_answer)
{
    int fd = load_connect(options);
    size_t received = 0;
    ssize_t got = -1;

    ret_answer->bytes = 0;
    if (fd >= 0)
        got = send(fd, message->bytes, message->len, MSG_NOSIGNAL);
    while (got > 0 && ret_answer->bytes == 0 && received < size) {
        got = recv(fd, buffer + received, size - received, 0);
        if (got > 0) {
            received += (size_t)got;
            load_answer_read(dep_str(buffer, received), ret_answer);
        }
    }
    if (fd >= 0)
        (void)close(fd);
    return ret_answer->bytes > 0;
}

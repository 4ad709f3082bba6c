/* A server with a few test paths, and a client that speaks bytes. For the tests of this folder. */
#ifndef DEP_NET_SERVER_FIXTURE_H
#define DEP_NET_SERVER_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/server.h"
#include "test/unit.h"

/* The handler */

#define LATER_MAX 4096

struct fixture {
    struct dep_net_server *server;
    unsigned port;
    atomic_uint handled; /* all requests that reached the handler */
    atomic_uint second;  /* those for /second */
    atomic_uint freed;   /* user_free calls */
    atomic_uint workers; /* bit mask of worker indexes seen */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct dep_net_exchange *later[LATER_MAX];
    unsigned later_count;
    struct dep_net_exchange *held[64];
    unsigned held_count;
    bool is_over;
    pthread_t thread;
};

static inline void count_free(void *user)
{
    atomic_fetch_add((atomic_uint *)user, 1);
}

static inline void answer_text(struct dep_net_exchange *exchange, int status, struct dep_str body)
{
    static const struct dep_header headers[] = { { DEP_STR_INIT("Content-Type"), DEP_STR_INIT("text/plain") } };

    dep_net_reply(exchange,
                  &(struct dep_net_answer){ .status = status, .headers = headers, .headers_count = 1, .body = body });
}

static inline void answer_echo(struct dep_net_exchange *exchange)
{
    const size_t max = 1u << 18;
    char *memory = malloc(max);
    struct dep_buf buf;

    dep_buf_init(&buf, memory, max);
    dep_buf_put(&buf, exchange->method);
    dep_buf_put_c(&buf, " [");
    dep_buf_put(&buf, exchange->path);
    dep_buf_put_c(&buf, "] [");
    dep_buf_put(&buf, dep_str_is_absent(exchange->query) ? DEP_STR("-") : exchange->query);
    dep_buf_put_c(&buf, "] peer=");
    dep_buf_put(&buf, exchange->peer);
    dep_buf_put_c(&buf, " uid=");
    dep_buf_put_int(&buf, exchange->peer_uid);
    if (!dep_str_is_absent(exchange->certificate)) {
        dep_buf_put_c(&buf, " certificate=");
        dep_buf_put_hex(&buf, exchange->certificate.ptr, exchange->certificate.len);
    }
    for (size_t i = 0; i < exchange->headers_count; i++) {
        dep_buf_put_c(&buf, "\n");
        dep_buf_put(&buf, exchange->headers[i].name);
        dep_buf_put_c(&buf, "=");
        dep_buf_put(&buf, exchange->headers[i].value);
    }
    dep_buf_put_c(&buf, "\n\n");
    dep_buf_put(&buf, exchange->body);
    answer_text(exchange, 200, dep_buf_str(&buf));
    free(memory);
}

static inline void push(struct fixture *f, struct dep_net_exchange *exchange)
{
    pthread_mutex_lock(&f->lock);
    f->later[f->later_count++] = exchange;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static inline void handle(void *context, struct dep_net_exchange *exchange)
{
    struct fixture *f = context;

    atomic_fetch_add(&f->handled, 1);
    atomic_fetch_or(&f->workers, 1u << exchange->worker);
    exchange->user = &f->freed;
    exchange->user_free = count_free;
    if (dep_str_eq_c(exchange->path, "/second"))
        atomic_fetch_add(&f->second, 1);
    if (dep_str_eq_c(exchange->path, "/later")) {
        dep_net_defer(exchange);
        push(f, exchange);
    } else if (dep_str_eq_c(exchange->path, "/hold")) {
        dep_net_defer(exchange);
        pthread_mutex_lock(&f->lock);
        f->held[f->held_count++] = exchange;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
    } else if (dep_str_eq_c(exchange->path, "/early")) {
        answer_text(exchange, 200, DEP_STR("early")); /* the reply comes before the word that it comes later */
        dep_net_defer(exchange);
    } else if (dep_str_eq_c(exchange->path, "/self")) {
        dep_net_defer(exchange);
        answer_text(exchange, 200, DEP_STR("self"));
    } else {
        answer_echo(exchange);
    }
}

/* Answers what was put off. */
static inline void *answer_later(void *closure)
{
    struct fixture *f = closure;

    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (f->later_count == 0 && !f->is_over)
            pthread_cond_wait(&f->changed, &f->lock);
        if (f->later_count == 0)
            break;

        struct dep_net_exchange *batch[LATER_MAX];
        unsigned count = f->later_count;

        memcpy(batch, f->later, count * sizeof(batch[0]));
        f->later_count = 0;
        pthread_mutex_unlock(&f->lock);
        for (unsigned i = 0; i < count; i++)
            answer_text(batch[i], 200, DEP_STR("later"));
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static inline bool start_config(struct fixture *f, struct dep_net_config config)
{
    memset(f, 0, sizeof(*f));
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    config.connections_max = 1000;
    config.body_bytes_max = 65536;
    config.handle = handle;
    config.context = f;
    if (!dep_is_ok(dep_net_server_start(&config, &f->server)))
        return false;
    f->port = dep_net_server_port(f->server);
    return pthread_create(&f->thread, NULL, answer_later, f) == 0;
}

static inline bool start_at(struct fixture *f, struct dep_str address, unsigned workers, unsigned idle_s)
{
    return start_config(f, (struct dep_net_config){ .address = address, .workers = workers, .idle_timeout_s = idle_s });
}

static inline bool start(struct fixture *f, unsigned workers, unsigned idle_s)
{
    return start_at(f, DEP_STR("127.0.0.1:0"), workers, idle_s);
}

static inline void stop(struct fixture *f, int64_t drain_ms)
{
    dep_net_server_stop(f->server, drain_ms);
    pthread_mutex_lock(&f->lock);
    f->is_over = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
}

/* The client */

static inline int connect_to(const struct fixture *f)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&name, sizeof(name)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void send_all(int fd, struct dep_str data)
{
    while (data.len > 0) {
        ssize_t count = send(fd, data.ptr, data.len, MSG_NOSIGNAL);

        if (count <= 0)
            return; /* the server may close early; what it said is read anyway */
        data = dep_str_sub(data, (size_t)count, data.len);
    }
}

/* Reads until the server closes, `enough` stands in the text, or 20 s have passed without a byte. The text lives in
 * `memory`. */
static inline struct dep_str read_until(int fd, char *memory, size_t max, const char *enough, bool *ret_is_closed)
{
    size_t len = 0;

    *ret_is_closed = false;
    while (len < max - 1) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };

        if (poll(&wait, 1, 20000) != 1)
            break;

        ssize_t count = recv(fd, memory + len, max - 1 - len, 0);

        if (count <= 0) {
            *ret_is_closed = true;
            break;
        }
        len += (size_t)count;
        memory[len] = '\0';
        if (enough != NULL && strstr(memory, enough) != NULL)
            break;
    }
    memory[len] = '\0';
    return dep_str(memory, len);
}

static inline int status_of(struct dep_str answer)
{
    if (answer.len < 12 || memcmp(answer.ptr, "HTTP/1.", 7) != 0)
        return 0;
    return (answer.ptr[9] - '0') * 100 + (answer.ptr[10] - '0') * 10 + (answer.ptr[11] - '0');
}

static inline bool has(struct dep_str text, const char *part)
{
    return text.len > 0 && strstr(text.ptr, part) != NULL;
}

/* Sends one request on a new connection and reads to the end of the connection. */
static inline struct dep_str talk(const struct fixture *f, struct dep_str request, char *memory, size_t max,
                                  bool *ret_is_closed)
{
    int fd = connect_to(f);

    if (fd < 0) {
        *ret_is_closed = true;
        return DEP_STR("");
    }
    send_all(fd, request);

    struct dep_str answer = read_until(fd, memory, max, NULL, ret_is_closed);

    close(fd);
    return answer;
}

#endif

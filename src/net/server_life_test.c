/* The life of the server: replies from other threads, many requests, deadlines, broken clients, draining, listening
 * sockets. */
#include <sys/stat.h>
#include <sys/un.h>

#include "net/server_fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_LAST(path) "GET " path " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

DEP_TEST(replies_from_another_thread)
{
    static const char *const requests[] = {
        GET_LAST("/later"), GET_LAST("/early"), GET_LAST("/self"),
        "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    };
    static const char *const answers[] = { "\r\n\r\nlater", "\r\n\r\nearly", "\r\n\r\nself", "\r\n\r\nlater" };
    struct fixture f;
    char memory[4096];
    bool is_closed;

    DEP_CHECK(t, start(&f, 2, 30));
    for (unsigned round = 0; round < 50; round++)
        for (size_t i = 0; i < DEP_COUNT(requests); i++) {
            struct dep_str answer = talk(&f, dep_str_c(requests[i]), memory, sizeof(memory), &is_closed);

            DEP_CHECK(t, status_of(answer) == 200 && has(answer, answers[i]) && is_closed);
        }
    stop(&f, 1000);
    DEP_CHECK(t, atomic_load(&f.freed) == 200 && atomic_load(&f.handled) == 200);
}

struct load {
    struct fixture *f;
    unsigned good;
};

#define LOAD_REQUESTS 2000

/* One connection, one request after the other, every second one answered later. */
static void *run_load(void *closure)
{
    struct load *load = closure;
    int fd = connect_to(load->f);
    char memory[4096];
    bool is_closed = false;

    for (unsigned i = 0; i < LOAD_REQUESTS && fd >= 0 && !is_closed; i++) {
        send_all(fd, i % 2 == 0 ? DEP_STR(GET("/later"))
                                : DEP_STR("POST /now HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n<ok>"));

        struct dep_str answer =
            read_until(fd, memory, sizeof(memory), i % 2 == 0 ? "\r\n\r\nlater" : "<ok>", &is_closed);

        load->good += status_of(answer) == 200;
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

DEP_TEST(K32_many_requests_on_kept_connections)
{
    struct fixture f;
    struct load loads[16] = { 0 };
    pthread_t threads[16];

    DEP_CHECK(t, start(&f, 2, 30));
    for (size_t i = 0; i < DEP_COUNT(loads); i++) {
        loads[i].f = &f;
        DEP_CHECK(t, pthread_create(&threads[i], NULL, run_load, &loads[i]) == 0);
    }
    for (size_t i = 0; i < DEP_COUNT(loads); i++) {
        pthread_join(threads[i], NULL);
        DEP_CHECK(t, loads[i].good == LOAD_REQUESTS);
    }
    stop(&f, 1000);
    DEP_CHECK(t, atomic_load(&f.handled) == 16 * LOAD_REQUESTS && atomic_load(&f.freed) == 16 * LOAD_REQUESTS);
    DEP_CHECK(t, atomic_load(&f.workers) <= 3); /* indexes 0 and 1 */
}

static void *send_pipeline(void *closure)
{
    int fd = *(int *)closure;
    static const size_t count = 10000;
    char *text = malloc(count * 64);
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, 64, "GET /%05zu HTTP/1.1\r\nHost: h\r\n\r\n", i);
    len += (size_t)snprintf(text + len, 64, "%s", "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    send_all(fd, dep_str(text, len));
    free(text);
    return NULL;
}

DEP_TEST(K32_pipeline_of_10000_is_answered_in_order)
{
    struct fixture f;
    pthread_t thread;
    size_t max = 8u << 20;
    char *memory = malloc(max);
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));

    int fd = connect_to(&f);

    DEP_CHECK(t, pthread_create(&thread, NULL, send_pipeline, &fd) == 0);

    struct dep_str answer = read_until(fd, memory, max, NULL, &is_closed);
    unsigned next = 0;

    pthread_join(thread, NULL);
    for (const char *at = strstr(answer.ptr, "GET [/"); at != NULL && next < 10000;
         at = strstr(at + 1, "GET [/"), next++) {
        char want[16];

        (void)snprintf(want, sizeof(want), "GET [/%05u]", next);
        if (strncmp(at, want, 12) != 0)
            break;
    }
    DEP_CHECK(t, next == 10000 && is_closed);
    close(fd);
    free(memory);
    stop(&f, 1000);
    DEP_CHECK(t, atomic_load(&f.handled) == 10001);
}

/* Heads arrive in pieces, byte by byte as well: the checks must not depend on how they were cut. */
DEP_TEST(heads_in_pieces)
{
    static const size_t pieces[] = { 1, 2, 7, 1000, 4096, 30000 };
    struct fixture f;
    char *text = malloc(70000);
    char *memory = malloc(200000);
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));
    for (size_t size = 0; size < 2; size++) {
        size_t len = (size_t)snprintf(text, 70000, "POST /x HTTP/1.1\r\nHost: h\r\n");
        unsigned count = size == 0 ? 3 : 60;

        for (unsigned i = 0; i < count; i++)
            len += (size_t)snprintf(text + len, 70000 - len, "X-%u: %0*u\r\n", i, size == 0 ? 5 : 1000, i);
        len += (size_t)snprintf(text + len, 70000 - len, "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
        for (size_t p = 0; p < DEP_COUNT(pieces); p++) {
            int fd = connect_to(&f);

            if (size == 1 && pieces[p] < 7)
                continue; /* 60,000 segments show no more than the small head does */
            for (size_t at = 0; at < len; at += pieces[p])
                send_all(fd, dep_str_sub(dep_str(text, len), at, pieces[p]));

            struct dep_str answer = read_until(fd, memory, 200000, NULL, &is_closed);

            dep_test_check(t, status_of(answer) == 200 && has(answer, "\n\nhello"), __FILE__, __LINE__,
                           "pieces of %zu: %.200s", pieces[p], memory);
            close(fd);
        }
    }
    free(text);
    free(memory);
    stop(&f, 1000);
}

static size_t put_headers(char *text, size_t max, unsigned count, unsigned size)
{
    size_t len = (size_t)snprintf(text, max, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");

    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, max - len, "X-%u: %0*u\r\n", i, (int)size, i);
    len += (size_t)snprintf(text + len, max - len, "\r\n");
    return len;
}

DEP_TEST(K28_header_floods)
{
    static const struct {
        unsigned count;
        unsigned size;
        int status;
    } rows[] = { { 98, 5, 200 },    { 99, 5, 431 },     { 200, 5, 431 },   { 10000, 5, 431 }, { 1, 60000, 200 },
                 { 1, 65536, 431 }, { 1, 200000, 431 }, { 50, 5000, 431 }, { 60, 1000, 200 } };
    struct fixture f;
    char *text = malloc(300000);
    char *memory = malloc(300000);
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        size_t len = put_headers(text, 300000, rows[i].count, rows[i].size);
        struct dep_str answer = talk(&f, dep_str(text, len), memory, 300000, &is_closed);

        dep_test_check(t, status_of(answer) == rows[i].status && is_closed, __FILE__, __LINE__,
                       "%u headers of %u bytes: %.100s", rows[i].count, rows[i].size, memory);
    }
    free(text);
    free(memory);
    stop(&f, 1000);
}

DEP_TEST(K29_body_sizes)
{
    struct fixture f;
    size_t max = 200000;
    char *text = malloc(max);
    char *memory = malloc(max);
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));
    for (unsigned size = 65535; size <= 65537; size++) {
        size_t len = (size_t)snprintf(
            text, max, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %u\r\nConnection: close\r\n\r\n%0*u", size,
            (int)size, 7u);
        struct dep_str answer = talk(&f, dep_str(text, len), memory, max, &is_closed);

        DEP_CHECK(t, status_of(answer) == (size <= 65536 ? 200 : 413));
        DEP_CHECK(t, size > 65536 || (answer.len > 65536 && answer.ptr[answer.len - 1] == '7'));
    }

    /* Announced only: the answer comes at once. */
    struct dep_str answer = talk(&f, DEP_STR("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10737418240\r\n\r\n"),
                                 memory, max, &is_closed);

    DEP_CHECK(t, status_of(answer) == 413 && is_closed);
    answer = talk(&f, DEP_STR("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n"), memory,
                  max, &is_closed);
    DEP_CHECK(t, status_of(answer) == 413 && is_closed);
    answer = talk(&f, DEP_STR("GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), memory, max, &is_closed);
    DEP_CHECK(t, status_of(answer) == 400 && is_closed);
    answer = talk(&f, DEP_STR("DELETE /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
                  memory, max, &is_closed);
    DEP_CHECK(t, status_of(answer) == 200 && is_closed);
    DEP_CHECK(t, atomic_load(&f.handled) == 3);
    free(text);
    free(memory);
    stop(&f, 1000);
}

DEP_TEST(expect_100_continue)
{
    struct fixture f;
    char memory[4096];
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));

    int fd = connect_to(&f);

    send_all(
        fd,
        DEP_STR(
            "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"));
    DEP_CHECK(t, status_of(read_until(fd, memory, sizeof(memory), "\r\n\r\n", &is_closed)) == 100);
    send_all(fd, DEP_STR("hello"));
    DEP_CHECK(t, has(read_until(fd, memory, sizeof(memory), NULL, &is_closed), "HTTP/1.1 200 OK"));
    close(fd);

    struct dep_str answer = talk(&f, DEP_STR("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: tea\r\n\r\n"),
                                 memory, sizeof(memory), &is_closed);

    DEP_CHECK(t, status_of(answer) == 417 && is_closed);
    stop(&f, 1000);
}

DEP_TEST(answers_are_complete)
{
    struct fixture f;
    char memory[4096];
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));

    struct dep_str answer = talk(&f, DEP_STR(GET_LAST("/x")), memory, sizeof(memory), &is_closed);

    DEP_CHECK(t, has(answer, "\r\nDate: ") && has(answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
    DEP_CHECK(t, has(answer, "\r\nContent-Length: ") && !has(answer, "Server"));
    answer = talk(&f, DEP_STR("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), memory, sizeof(memory),
                  &is_closed);
    DEP_CHECK(t, status_of(answer) == 200 && dep_str_ends(answer, DEP_STR("\r\n\r\n")) &&
                     has(answer, "\r\nContent-Length: "));
    answer = talk(&f, DEP_STR("GET /x HTTP/1.0\r\n\r\n"), memory, sizeof(memory), &is_closed);
    DEP_CHECK(t, status_of(answer) == 200 && is_closed);
    stop(&f, 1000);
}

/* One byte at a time, for ever: the watch closes. `status` 0 expected, nothing was handled. */
static bool drips_until_closed(const struct fixture *f, const char *start, unsigned pause_ms)
{
    int fd = connect_to(f);
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    bool is_closed = false;

    send_all(fd, dep_str_c(start));
    for (unsigned i = 0; i < 10000 / pause_ms && !is_closed; i++) {
        char byte;

        /* The pause is the attack; the close ends it. */
        if (poll(&wait, 1, (int)pause_ms) == 1)
            is_closed = recv(fd, &byte, 1, 0) <= 0;
        else
            send_all(fd, DEP_STR("a"));
    }
    close(fd);
    return is_closed;
}

DEP_TEST(K31_slow_heads_and_bodies_are_closed)
{
    struct fixture f;

    DEP_CHECK(t, start(&f, 1, 1));
    DEP_CHECK(t, drips_until_closed(&f, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n", 200));
    DEP_CHECK(t, drips_until_closed(&f, "POST /x HTTP/1.1\r\nHost: h\r\nX-A: ", 200));
    DEP_CHECK(t, drips_until_closed(&f, "GET /", 200));
    DEP_CHECK(t, atomic_load(&f.handled) == 0);
    stop(&f, 1000);
}

DEP_TEST(K31_slow_readers_are_closed_and_block_nobody)
{
    struct fixture f;
    char memory[4096];
    bool is_closed = false;
    int small = 1024;

    DEP_CHECK(t, start(&f, 1, 1));

    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f.port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    DEP_CHECK(t, connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0);

    /* Ask for far more than the socket buffers hold and read nothing. */
    static const char request[] = GET("/x?0123456789012345678901234567890123456789");
    struct pollfd wait = { .fd = fd, .events = POLLOUT };

    for (unsigned i = 0; i < 200000 && !is_closed; i++) {
        if (poll(&wait, 1, 5000) != 1)
            break;
        is_closed = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN;
        if (i == 100)
            DEP_CHECK(t, status_of(talk(&f, DEP_STR(GET_LAST("/other")), memory, sizeof(memory), &is_closed)) == 200);
        if (i == 100)
            is_closed = false;
    }
    DEP_CHECK(t, is_closed || (wait.revents & (POLLHUP | POLLERR)) != 0);
    close(fd);
    stop(&f, 1000);
}

DEP_TEST(K34_silent_connections_are_closed)
{
    struct fixture f;
    int fds[200];
    unsigned closed = 0;

    DEP_CHECK(t, start(&f, 2, 1));
    for (size_t i = 0; i < DEP_COUNT(fds); i++)
        fds[i] = connect_to(&f);
    for (size_t i = 0; i < DEP_COUNT(fds); i++) {
        char memory[64];
        bool is_closed;

        read_until(fds[i], memory, sizeof(memory), NULL, &is_closed);
        closed += is_closed;
        close(fds[i]);
    }
    DEP_CHECK(t, closed == DEP_COUNT(fds) && atomic_load(&f.handled) == 0);
    stop(&f, 1000);
}

static void leave(const struct fixture *f, struct dep_str request, bool has_reset)
{
    int fd = connect_to(f);
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    send_all(fd, request);
    if (has_reset)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

/* Sends and says that no more comes; the server must close the other half, with an answer or without. */
static int leave_half(const struct fixture *f, struct dep_str request)
{
    int fd = connect_to(f);

    send_all(fd, request);
    (void)shutdown(fd, SHUT_WR);
    return fd;
}

DEP_TEST(K33_clients_that_leave)
{
    static const struct dep_str requests[] = {
        DEP_STR_INIT("GET /x HTTP/1.1\r\n"),
        DEP_STR_INIT("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"),
        DEP_STR_INIT("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"),
        DEP_STR_INIT("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\nhalf"),
        DEP_STR_INIT(GET("/x")),
        DEP_STR_INIT(GET("/later")),
        DEP_STR_INIT("GET /x HTTP/1.1\r\nHost"),
    };
    struct fixture f;
    char memory[4096];
    bool is_closed;

    /* The idle timeout is longer than read_until() waits: only the end of input can close these. */
    DEP_CHECK(t, start(&f, 2, 300));
    for (unsigned i = 0; i < 30 * DEP_COUNT(requests); i++)
        leave(&f, requests[i % DEP_COUNT(requests)], i % 2 == 0);

    int fds[5 * DEP_COUNT(requests)];

    for (unsigned i = 0; i < DEP_COUNT(fds); i++)
        fds[i] = leave_half(&f, requests[i % DEP_COUNT(requests)]);
    for (unsigned i = 0; i < DEP_COUNT(fds); i++) {
        (void)read_until(fds[i], memory, sizeof(memory), NULL, &is_closed);
        DEP_CHECK(t, is_closed);
        close(fds[i]);
    }
    DEP_CHECK(t, status_of(talk(&f, DEP_STR(GET_LAST("/x")), memory, sizeof(memory), &is_closed)) == 200);
    stop(&f, 2000);
    DEP_CHECK(t, atomic_load(&f.freed) == atomic_load(&f.handled));
}

DEP_TEST(draining_answers_what_is_held)
{
    struct fixture f;
    int fds[20];
    char memory[4096];
    bool is_closed;
    unsigned refused = 0;

    DEP_CHECK(t, start(&f, 2, 30));
    for (size_t i = 0; i < DEP_COUNT(fds); i++) {
        fds[i] = connect_to(&f);
        send_all(fds[i], DEP_STR(GET("/hold")));
    }
    pthread_mutex_lock(&f.lock);
    while (f.held_count < DEP_COUNT(fds))
        pthread_cond_wait(&f.changed, &f.lock);
    pthread_mutex_unlock(&f.lock);
    stop(&f, 50);
    for (size_t i = 0; i < DEP_COUNT(fds); i++) {
        struct dep_str answer = read_until(fds[i], memory, sizeof(memory), NULL, &is_closed);

        refused += status_of(answer) == 503 && has(answer, "Retry-After: 1") && is_closed &&
                   has(answer, "Content-Type: application/json\r\n") &&
                   has(answer, "{\"error\":\"temporarily_unavailable\",") && has(answer, "\"status\":503,");
        close(fds[i]);
    }
    DEP_CHECK(t, refused == DEP_COUNT(fds));
    /* Whoever still holds an exchange does not find it gone. */
    DEP_CHECK(t, atomic_load(&f.freed) == 0);
    for (unsigned i = 0; i < f.held_count; i++)
        answer_text(f.held[i], 200, DEP_STR("too late"));
    DEP_CHECK(t, atomic_load(&f.freed) == DEP_COUNT(fds));
}

DEP_TEST(quiet_server_takes_no_new_connections)
{
    struct fixture f;
    char memory[4096];
    bool is_closed;

    DEP_CHECK(t, start(&f, 2, 30));

    int fd = connect_to(&f);

    send_all(fd, DEP_STR(GET("/later")));
    DEP_CHECK(t, status_of(read_until(fd, memory, sizeof(memory), "later", &is_closed)) == 200 && !is_closed);
    dep_net_server_quiesce(f.server);
    send_all(fd, DEP_STR(GET("/later")));

    struct dep_str answer = read_until(fd, memory, sizeof(memory), NULL, &is_closed);

    DEP_CHECK(t, status_of(answer) == 200 && has(answer, "Connection: close") && is_closed);
    close(fd);
    stop(&f, 1000);
    DEP_CHECK(t, connect_to(&f) < 0);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&name, sizeof(name)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

DEP_TEST(unix_sockets)
{
    char folder[] = "/tmp/deputy-net-XXXXXX";
    char path[64];
    char address[80];
    char memory[4096];
    char want[64];
    bool is_closed;
    struct fixture f;
    struct fixture other;
    struct stat status;

    DEP_CHECK(t, mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    DEP_CHECK(t, start_at(&f, dep_str_c(address), 1, 30));
    DEP_CHECK(t, stat(path, &status) == 0 && S_ISSOCK(status.st_mode) && (status.st_mode & 0777) == 0660);
    DEP_CHECK(t, f.port == 0);

    int fd = connect_unix(path);

    send_all(fd, DEP_STR(GET_LAST("/x")));
    (void)snprintf(want, sizeof(want), "peer=unix uid=%d", (int)getuid());
    DEP_CHECK(t, has(read_until(fd, memory, sizeof(memory), NULL, &is_closed), want));
    close(fd);

    /* Somebody listens there: not replaced. */
    DEP_CHECK(t, !start_at(&other, dep_str_c(address), 1, 30) && errno == EADDRINUSE);
    stop(&f, 1000);
    DEP_CHECK(t, stat(path, &status) != 0);

    /* A dead socket is replaced, a file is not. */
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    DEP_CHECK(t, bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    close(fd);
    DEP_CHECK(t, start_at(&f, dep_str_c(address), 1, 30));
    stop(&f, 1000);

    FILE *file = fopen(path, "w");

    fclose(file);
    DEP_CHECK(t, !start_at(&other, dep_str_c(address), 1, 30) && errno == EEXIST);
    unlink(path);
    rmdir(folder);
}

DEP_TEST(bad_addresses)
{
    static const char *const rows[] = {
        "",       "127.0.0.1", "127.0.0.1:",    "127.0.0.1:x", "127.0.0.1:65536",        ":80",          "localhost:0",
        "[::1:0", "::1:0",     "127.0.0.1:-0a", "unix:",       "unix:/nowhere/at/all/s", "[127.0.0.1]:0"
    };
    struct fixture f;

    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        dep_test_check(t, !start_at(&f, dep_str_c(rows[i]), 1, 30), __FILE__, __LINE__, "address \"%s\"", rows[i]);
    DEP_CHECK(t, start_at(&f, DEP_STR("127.0.0.1:0"), 1, 30));

    char taken[64];
    struct fixture other;

    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", f.port);
    DEP_CHECK(t, !start_at(&other, dep_str_c(taken), 1, 30) && errno == EADDRINUSE);
    stop(&f, 1000);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(replies_from_another_thread),
        DEP_ROW(K32_many_requests_on_kept_connections),
        DEP_ROW(K32_pipeline_of_10000_is_answered_in_order),
        DEP_ROW(heads_in_pieces),
        DEP_ROW(K28_header_floods),
        DEP_ROW(K29_body_sizes),
        DEP_ROW(expect_100_continue),
        DEP_ROW(answers_are_complete),
        DEP_ROW(K31_slow_heads_and_bodies_are_closed),
        DEP_ROW(K31_slow_readers_are_closed_and_block_nobody),
        DEP_ROW(K34_silent_connections_are_closed),
        DEP_ROW(K33_clients_that_leave),
        DEP_ROW(draining_answers_what_is_held),
        DEP_ROW(quiet_server_takes_no_new_connections),
        DEP_ROW(unix_sockets),
        DEP_ROW(bad_addresses),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Fetching, against the server of this folder and against servers that lie. */
#include "net/fetch.h"

#include <sys/un.h>
#include <time.h>

#include "net/server_fixture.h"

static const struct dep_fetch_policy local = { .may_loopback = true, .body_bytes_max = 65536, .timeout_ms = 10000 };
static const struct dep_fetch_policy strict = { .body_bytes_max = 65536, .timeout_ms = 10000 };

static struct dep_str url_of(char text[static 256], const char *format, unsigned port)
{
    size_t at = 0;

    /* "{}" stands for the port. */
    for (; *format != '\0' && at < 240; format++) {
        if (format[0] == '{') {
            at += (size_t)snprintf(text + at, 256 - at, "%u", port);
            format++;
        } else {
            text[at++] = *format;
        }
    }
    text[at] = '\0';
    return dep_str(text, at);
}

DEP_TEST(gets_and_posts)
{
    static const struct dep_header headers[] = { { DEP_STR_INIT("Authorization"), DEP_STR_INIT("Bearer x") },
                                                 { DEP_STR_INIT("X-Empty"), DEP_STR_INIT("") } };
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);
    struct dep_fetch_answer answer;
    struct fixture f;
    struct dep_str type;
    char url[256];

    DEP_CHECK(t, start(&f, 1, 30));
    for (unsigned i = 0; i < 3; i++) {
        DEP_CHECK_OK(
            t, dep_fetch(fetcher, &local,
                         &(struct dep_fetch_request){ .url = url_of(url, "http://127.0.0.1:{}/a/../b?c=d", f.port),
                                                      .headers = headers,
                                                      .headers_count = 2 },
                         &answer));
        DEP_CHECK(t,
                  answer.status == 200 && has(answer.body, "GET [/a/../b] [c=d]") && has(answer.body, "\nX-Empty=\n"));
        DEP_CHECK(t, has(answer.body, "\nAuthorization=Bearer x\n"));
        DEP_CHECK_OK(t, dep_header_one(answer.headers, answer.headers_count, DEP_STR("content-type"), &type));
        DEP_CHECK_STR(t, type, "text/plain");
        dep_fetch_answer_done(&answer);
        DEP_CHECK_OK(t, dep_fetch(fetcher, &local,
                                  &(struct dep_fetch_request){ .method = DEP_STR("POST"),
                                                               .url = url_of(url, "http://127.0.0.1:{}/p", f.port),
                                                               .body = DEP_STR("a=b\0c") },
                                  &answer));
        DEP_CHECK(t, answer.status == 200 && has(answer.body, "POST [/p]") && has(answer.body, "\nContent-Length=5\n"));
        DEP_CHECK(t, dep_str_ends(answer.body, DEP_STR("\n\na=b\0c")) && !has(answer.body, "Content-Type"));
        dep_fetch_answer_done(&answer);
    }
    DEP_CHECK_OK(t, dep_fetch(fetcher, &local,
                              &(struct dep_fetch_request){ .method = DEP_STR("DELETE"),
                                                           .url = url_of(url, "http://127.0.0.1:{}/d", f.port) },
                              &answer));
    DEP_CHECK(t, has(answer.body, "DELETE [/d]"));
    dep_fetch_answer_done(&answer);
    DEP_CHECK_OK(t, dep_fetch(fetcher, &local,
                              &(struct dep_fetch_request){ .method = DEP_STR("HEAD"),
                                                           .url = url_of(url, "http://127.0.0.1:{}/h", f.port) },
                              &answer));
    DEP_CHECK(t, answer.status == 200 && answer.body.len == 0);
    dep_fetch_answer_done(&answer);
    DEP_CHECK_OK(t, dep_fetch(fetcher, &local,
                              &(struct dep_fetch_request){ .method = DEP_STR("POST"),
                                                           .url = url_of(url, "http://127.0.0.1:{}/e", f.port) },
                              &answer));
    DEP_CHECK(t, has(answer.body, "POST [/e]") && has(answer.body, "\nContent-Length=0\n"));
    dep_fetch_answer_done(&answer);
    dep_fetcher_free(fetcher);
    stop(&f, 1000);
}

DEP_TEST(unix_sockets)
{
    char folder[] = "/tmp/deputy-net-XXXXXX";
    char path[64];
    char address[80];
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);
    struct dep_fetch_answer answer;
    struct fixture f;

    DEP_CHECK(t, mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    DEP_CHECK(t, start_at(&f, dep_str_c(address), 1, 30));
    DEP_CHECK_OK(t, dep_fetch(fetcher, &strict,
                              &(struct dep_fetch_request){ .url = DEP_STR("http://deputy/admin"),
                                                           .unix_socket = dep_str_c(path) },
                              &answer));
    DEP_CHECK(t, answer.status == 200 && has(answer.body, "GET [/admin]") && has(answer.body, "peer=unix"));
    dep_fetch_answer_done(&answer);
    stop(&f, 1000);
    DEP_CHECK_FAIL(
        t,
        dep_fetch(fetcher, &strict,
                  &(struct dep_fetch_request){ .url = DEP_STR("http://deputy/admin"), .unix_socket = dep_str_c(path) },
                  &answer),
        NET_FETCH);
    dep_fetcher_free(fetcher);
    rmdir(folder);
}

DEP_TEST(F04_loopback_in_every_spelling_is_refused)
{
    static const char *const urls[] = {
        "http://127.0.0.1:{}/",   "https://127.0.0.1:{}/",    "https://2130706433:{}/",      "https://0x7f000001:{}/",
        "https://0177.0.0.1:{}/", "https://127.1:{}/",        "https://[::ffff:7f00:1]:{}/", "https://[::1]:{}/",
        "https://localhost:{}/",  "https://LOCALHOST:{}/",    "https://0.0.0.0:{}/",         "https://[::]:{}/",
        "https://10.0.0.1:{}/",   "https://169.254.169.254/", "HTTP://127.0.0.1:{}/",
    };
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);
    struct dep_fetch_answer answer;
    struct fixture f;
    char url[256];

    DEP_CHECK(t, start(&f, 1, 30));
    for (size_t i = 0; i < DEP_COUNT(urls); i++) {
        struct dep_res res =
            dep_fetch(fetcher, &strict, &(struct dep_fetch_request){ .url = url_of(url, urls[i], f.port) }, &answer);

        dep_test_check(t, res.err == DEP_ERR_NET_FETCH_ADDRESS, __FILE__, __LINE__, "%s gives %s", url,
                       dep_err_name(res.err));
    }
    /* A name with a final dot may not resolve at all; what matters is that nothing is reached. */
    DEP_CHECK(t, !dep_is_ok(dep_fetch(
                     fetcher, &strict,
                     &(struct dep_fetch_request){ .url = url_of(url, "https://localhost.:{}/", f.port) }, &answer)));
    DEP_CHECK(t, atomic_load(&f.handled) == 0);
    DEP_CHECK_OK(t, dep_fetch(fetcher, &local,
                              &(struct dep_fetch_request){ .url = url_of(url, "http://127.1:{}/", f.port) }, &answer));
    dep_fetch_answer_done(&answer);
    DEP_CHECK(t, atomic_load(&f.handled) == 1);

    /* The connection is kept now; the stricter policy must not ride on it. */
    DEP_CHECK_FAIL(t,
                   dep_fetch(fetcher, &strict,
                             &(struct dep_fetch_request){ .url = url_of(url, "http://127.1:{}/", f.port) }, &answer),
                   NET_FETCH_ADDRESS);

    struct dep_fetch_policy private_only = { .may_private = true, .body_bytes_max = 65536, .timeout_ms = 5000 };

    DEP_CHECK_FAIL(t,
                   dep_fetch(fetcher, &private_only,
                             &(struct dep_fetch_request){ .url = url_of(url, "http://127.1:{}/", f.port) }, &answer),
                   NET_FETCH_ADDRESS);
    DEP_CHECK(t, atomic_load(&f.handled) == 1);
    dep_fetcher_free(fetcher);
    stop(&f, 1000);
}

DEP_TEST(F01_bad_urls)
{
    static const char *const urls[] = { "",
                                        "x",
                                        "/x",
                                        "ftp://127.0.0.1/",
                                        "file:///etc/passwd",
                                        "http://u:p@127.0.0.1/",
                                        "http:///x",
                                        "http:h/x",
                                        "https://h /",
                                        "http://127.0.0.1:/",
                                        "http://1.1.1.1/",
                                        "gopher://127.0.0.1/",
                                        "http://127.0.0.1:99999/" };
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);
    struct dep_fetch_answer answer;

    for (size_t i = 0; i < DEP_COUNT(urls); i++) {
        struct dep_res res =
            dep_fetch(fetcher, &local, &(struct dep_fetch_request){ .url = dep_str_c(urls[i]) }, &answer);

        dep_test_check(t, res.err == DEP_ERR_NET_FETCH_ADDRESS, __FILE__, __LINE__, "%s gives %s", urls[i],
                       dep_err_name(res.err));
    }
    dep_fetcher_free(fetcher);
}

DEP_TEST(headers_cannot_smuggle_lines)
{
    static const struct dep_header rows[] = { { DEP_STR_INIT("X-A"), DEP_STR_INIT("a\r\nX-B: b") },
                                              { DEP_STR_INIT("X-A\nX"), DEP_STR_INIT("a") },
                                              { DEP_STR_INIT("X-A"), DEP_STR_INIT("a\0b") },
                                              { DEP_STR_INIT(""), DEP_STR_INIT("a") } };
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);
    struct dep_fetch_answer answer;
    struct fixture f;
    char url[256];

    DEP_CHECK(t, start(&f, 1, 30));
    for (size_t i = 0; i < DEP_COUNT(rows); i++)
        DEP_CHECK_FAIL(t,
                       dep_fetch(fetcher, &local,
                                 &(struct dep_fetch_request){ .url = url_of(url, "http://127.0.0.1:{}/", f.port),
                                                              .headers = &rows[i],
                                                              .headers_count = 1 },
                                 &answer),
                       NET_FETCH);
    DEP_CHECK(t, atomic_load(&f.handled) == 0);
    dep_fetcher_free(fetcher);
    stop(&f, 1000);
}

/* A server that says what it is told to, to every connection, until it is closed. */
struct liar {
    int fd;
    unsigned port;
    struct dep_str says;
    bool has_endless_body; /* goes on for ever after it */
    bool holds;            /* keeps the connection open in silence */
    atomic_uint connections;
    pthread_t thread;
};

static void *lie(void *closure)
{
    struct liar *liar = closure;
    int fd;

    while ((fd = accept(liar->fd, NULL, NULL)) >= 0) {
        char memory[4096];
        bool is_closed;

        atomic_fetch_add(&liar->connections, 1);
        if (liar->says.len > 0) {
            (void)read_until(fd, memory, sizeof(memory), "\r\n\r\n", &is_closed);
            send_all(fd, liar->says);
        }
        while (liar->has_endless_body && send(fd, "5\r\nhello\r\n", 10, MSG_NOSIGNAL) > 0)
            continue;
        if (liar->holds)
            (void)read_until(fd, memory, sizeof(memory), NULL, &is_closed);
        close(fd);
    }
    return NULL;
}

static bool start_liar(struct liar *liar)
{
    struct sockaddr_in name = { .sin_family = AF_INET };
    socklen_t size = sizeof(name);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    liar->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(liar->fd, (struct sockaddr *)&name, size) != 0 || listen(liar->fd, 10) != 0 ||
        getsockname(liar->fd, (struct sockaddr *)&name, &size) != 0)
        return false;
    liar->port = ntohs(name.sin_port);
    return pthread_create(&liar->thread, NULL, lie, liar) == 0;
}

static void stop_liar(struct liar *liar)
{
    (void)shutdown(liar->fd, SHUT_RDWR);
    pthread_join(liar->thread, NULL);
    close(liar->fd);
}

static struct dep_res fetch_from(struct liar *liar, const struct dep_fetch_policy *policy, int stop_fd,
                                 struct dep_fetch_answer *ret_answer)
{
    struct dep_fetcher *fetcher = dep_fetcher_new(stop_fd);
    char url[256];
    struct dep_res res =
        dep_fetch(fetcher, policy,
                  &(struct dep_fetch_request){ .url = url_of(url, "http://127.0.0.1:{}/", liar->port) }, ret_answer);

    dep_fetcher_free(fetcher);
    return res;
}

static void check_liar(struct dep_test *t, struct liar liar, enum dep_err want, int status)
{
    struct dep_fetch_policy policy = { .may_loopback = true, .body_bytes_max = 1000, .timeout_ms = 5000 };
    struct dep_fetch_answer answer = { 0 };

    DEP_CHECK(t, start_liar(&liar));

    struct dep_res res = fetch_from(&liar, &policy, -1, &answer);

    dep_test_check(t, res.err == want && answer.status == status, __FILE__, __LINE__, "%.*s gives %s and %d",
                   DEP_STR_ARG(liar.says), dep_err_name(res.err), answer.status);
    dep_fetch_answer_done(&answer);
    stop_liar(&liar);
}

#define OK200 "HTTP/1.1 200 OK\r\nConnection: close\r\n"

DEP_TEST(F10_sizes_and_lies)
{
    char text[2000];
    int len = snprintf(text, sizeof(text), OK200 "Content-Length: 1000\r\n\r\n%01000d", 1);

    check_liar(t, (struct liar){ .says = dep_str(text, (size_t)len) }, DEP_ERR_NONE, 200);
    len = snprintf(text, sizeof(text), OK200 "Content-Length: 1001\r\n\r\n%01001d", 1);
    check_liar(t, (struct liar){ .says = dep_str(text, (size_t)len) }, DEP_ERR_NET_FETCH_SIZE, 0);
    check_liar(t, (struct liar){ .says = DEP_STR(OK200 "Content-Length: 50\r\n\r\nshort") }, DEP_ERR_NET_FETCH, 0);
    check_liar(t,
               (struct liar){ .says = DEP_STR(OK200 "Transfer-Encoding: chunked\r\n\r\n"), .has_endless_body = true },
               DEP_ERR_NET_FETCH_SIZE, 0);
    check_liar(t, (struct liar){ .says = DEP_STR(OK200 "Transfer-Encoding: chunked\r\n\r\nzz\r\n") }, DEP_ERR_NET_FETCH,
               0);
    check_liar(t, (struct liar){ .says = DEP_STR(OK200 "Content-Length: 2\r\nContent-Length: 5\r\n\r\nshort") },
               DEP_ERR_NET_FETCH, 0);
    check_liar(t, (struct liar){ .says = DEP_STR("hello\r\n\r\n") }, DEP_ERR_NET_FETCH, 0);
    check_liar(t, (struct liar){ .says = DEP_STR(" ") }, DEP_ERR_NET_FETCH, 0);
}

DEP_TEST(F08_redirects_are_not_followed)
{
    struct liar target = { .says = DEP_STR(OK200 "\r\n") };
    char text[256];

    DEP_CHECK(t, start_liar(&target));
    for (int status = 301; status <= 308; status++) {
        int len = snprintf(
            text, sizeof(text),
            "HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:%u/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status,
            target.port);

        if (status < 304 || status > 306)
            check_liar(t, (struct liar){ .says = dep_str(text, (size_t)len) }, DEP_ERR_NONE, status);
    }
    DEP_CHECK(t, atomic_load(&target.connections) == 0);
    stop_liar(&target);
}

DEP_TEST(F10_encoded_bodies_stay_encoded)
{
    struct liar liar = { .says = DEP_STR(OK200 "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08z") };
    struct dep_fetch_answer answer = { 0 };

    DEP_CHECK(t, start_liar(&liar));
    DEP_CHECK_OK(t, fetch_from(&liar, &local, -1, &answer));
    DEP_CHECK_STR(t, answer.body, "\x1f\x8b\x08z");
    dep_fetch_answer_done(&answer);
    stop_liar(&liar);
}

DEP_TEST(trailers_and_interim_answers_are_not_headers)
{
    struct liar liar = { .says = DEP_STR(
                             "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\n" OK200
                             "X-Real: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Late: 1\r\n\r\n") };
    struct dep_fetch_answer answer = { 0 };

    DEP_CHECK(t, start_liar(&liar));
    DEP_CHECK_OK(t, fetch_from(&liar, &local, -1, &answer));
    DEP_CHECK(t, answer.status == 200 && dep_str_eq_c(answer.body, "hi"));
    DEP_CHECK(t, dep_header_count(answer.headers, answer.headers_count, DEP_STR("X-Real")) == 1);
    DEP_CHECK(t, dep_header_count(answer.headers, answer.headers_count, DEP_STR("X-Early")) == 0);
    DEP_CHECK(t, dep_header_count(answer.headers, answer.headers_count, DEP_STR("X-Late")) == 0);
    dep_fetch_answer_done(&answer);
    stop_liar(&liar);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

DEP_TEST(F11_silence_ends_at_the_timeout)
{
    struct dep_fetch_policy policy = { .may_loopback = true, .body_bytes_max = 1000, .timeout_ms = 300 };
    static const struct dep_str rows[] = { DEP_STR_INIT(" "), DEP_STR_INIT("HTTP/1.1 200 OK\r\nX-"),
                                           DEP_STR_INIT(OK200 "Content-Length: 5\r\n\r\nhel") };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct liar liar = { .says = rows[i], .holds = true };
        struct dep_fetch_answer answer = { 0 };
        int64_t before_ms = now_ms();

        DEP_CHECK(t, start_liar(&liar));
        DEP_CHECK_FAIL(t, fetch_from(&liar, &policy, -1, &answer), NET_FETCH);
        DEP_CHECK(t, now_ms() - before_ms < 5000);
        stop_liar(&liar);
    }
}

static void *write_byte(void *closure)
{
    struct {
        int fd;
        struct liar *liar;
    } *both = closure;

    while (atomic_load(&both->liar->connections) == 0)
        (void)poll(NULL, 0, 5);
    return write(both->fd, "x", 1) == 1 ? closure : NULL;
}

DEP_TEST(the_stop_descriptor_ends_a_long_poll)
{
    struct dep_fetch_policy policy = { .may_loopback = true, .body_bytes_max = 1000, .timeout_ms = 60000 };
    struct liar liar = { .holds = true };
    struct dep_fetch_answer answer = { 0 };
    int64_t before_ms = now_ms();
    int ends[2];
    pthread_t thread;

    DEP_CHECK(t, pipe(ends) == 0 && start_liar(&liar));

    struct {
        int fd;
        struct liar *liar;
    } both = { ends[1], &liar };

    DEP_CHECK(t, pthread_create(&thread, NULL, write_byte, &both) == 0);
    DEP_CHECK_FAIL(t, fetch_from(&liar, &policy, ends[0], &answer), NET_FETCH);
    DEP_CHECK(t, now_ms() - before_ms < 20000);
    pthread_join(thread, NULL);
    /* It stays readable: the next fetch ends at once as well. */
    DEP_CHECK_FAIL(t, fetch_from(&liar, &policy, ends[0], &answer), NET_FETCH);
    stop_liar(&liar);
    close(ends[0]);
    close(ends[1]);
}

/* Begins to fetch from a liar; the URL's text need not stay. */
static struct dep_fetch_transfer *begin_from(struct dep_fetcher *fetcher, const struct liar *liar, int64_t timeout_ms)
{
    const struct dep_fetch_policy policy = { .may_loopback = true, .body_bytes_max = 1000, .timeout_ms = timeout_ms };
    struct dep_fetch_transfer *transfer = NULL;
    char url[256];

    if (!dep_is_ok(dep_fetch_begin(
            fetcher, &policy, &(struct dep_fetch_request){ .url = url_of(url, "http://127.0.0.1:{}/", liar->port) },
            &transfer)))
        return NULL;
    memset(url, 'x', sizeof(url));
    return transfer;
}

DEP_TEST(F11_one_that_stalls_keeps_no_other)
{
    static const struct dep_str silences[] = { DEP_STR_INIT(""), DEP_STR_INIT("HTTP/1.1 200 OK\r\nX-"),
                                               DEP_STR_INIT(OK200 "Content-Length: 5\r\n\r\nhel") };
    struct liar slow[DEP_COUNT(silences)], good = { .says = DEP_STR(OK200 "Content-Length: 4\r\n\r\nkeys") };
    struct dep_fetch_transfer *stalled[DEP_COUNT(silences)], *transfer;
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);
    struct dep_fetch_answer answer = { 0 };

    DEP_CHECK(t, start_liar(&good));
    for (size_t i = 0; i < DEP_COUNT(silences); i++) {
        slow[i] = (struct liar){ .says = silences[i], .holds = true };
        DEP_CHECK(t, start_liar(&slow[i]));
        stalled[i] = begin_from(fetcher, &slow[i], i == 0 ? 400 : 60000);
        DEP_CHECK(t, stalled[i] != NULL);
    }
    for (unsigned round = 0; round < 3; round++) {
        transfer = begin_from(fetcher, &good, 10000);
        DEP_CHECK(t, transfer != NULL);
        while (!dep_fetch_has_ended(transfer) && dep_fetch_wait(fetcher, -1, 1000))
            continue;
        DEP_CHECK_OK(t, dep_fetch_end(transfer, &answer));
        DEP_CHECK_STR(t, answer.body, "keys");
        dep_fetch_answer_done(&answer);
        DEP_CHECK(t, !dep_fetch_has_ended(stalled[1]) && !dep_fetch_has_ended(stalled[2]));
    }
    /* The first has its own, shorter time. */
    while (!dep_fetch_has_ended(stalled[0]) && dep_fetch_wait(fetcher, -1, 1000))
        continue;
    DEP_CHECK_FAIL(t, dep_fetch_end(stalled[0], &answer), NET_FETCH);
    DEP_CHECK(t, !dep_fetch_has_ended(stalled[1]) && !dep_fetch_has_ended(stalled[2]));
    /* What has not ended is given up. */
    DEP_CHECK_FAIL(t, dep_fetch_end(stalled[1], &answer), NET_FETCH);
    DEP_CHECK_FAIL(t, dep_fetch_end(stalled[2], &answer), NET_FETCH);
    for (size_t i = 0; i < DEP_COUNT(silences); i++)
        stop_liar(&slow[i]);
    stop_liar(&good);
    dep_fetcher_free(fetcher);
}

DEP_TEST(a_waiting_fetcher_is_woken)
{
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);
    int64_t before_ms = now_ms();
    int ends[2];

    DEP_CHECK(t, pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    for (unsigned i = 0; i < 50; i++)
        DEP_CHECK(t, dep_fetch_wait(fetcher, ends[0], 1000));
    DEP_CHECK(t, now_ms() - before_ms < 20000);
    close(ends[0]);
    close(ends[1]);
    dep_fetcher_free(fetcher);
}

DEP_TEST(F26_proxies_of_the_environment_are_ignored)
{
    struct liar proxy = { .says = DEP_STR(OK200 "\r\n") };
    struct dep_fetch_answer answer = { 0 };
    struct fixture f;
    char url[256];
    char text[64];

    DEP_CHECK(t, start_liar(&proxy) && start(&f, 1, 30));
    (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u", proxy.port);
    setenv("http_proxy", text, 1);
    setenv("HTTP_PROXY", text, 1);
    setenv("all_proxy", text, 1);

    struct dep_fetcher *fetcher = dep_fetcher_new(-1);

    DEP_CHECK_OK(t, dep_fetch(fetcher, &local,
                              &(struct dep_fetch_request){ .url = url_of(url, "http://127.0.0.1:{}/x", f.port) },
                              &answer));
    DEP_CHECK(t, has(answer.body, "GET [/x]") && atomic_load(&proxy.connections) == 0);
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
    unsetenv("all_proxy");
    dep_fetch_answer_done(&answer);
    dep_fetcher_free(fetcher);
    stop(&f, 1000);
    stop_liar(&proxy);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(gets_and_posts),
        DEP_ROW(unix_sockets),
        DEP_ROW(F04_loopback_in_every_spelling_is_refused),
        DEP_ROW(F01_bad_urls),
        DEP_ROW(headers_cannot_smuggle_lines),
        DEP_ROW(F10_sizes_and_lies),
        DEP_ROW(F08_redirects_are_not_followed),
        DEP_ROW(F10_encoded_bodies_stay_encoded),
        DEP_ROW(trailers_and_interim_answers_are_not_headers),
        DEP_ROW(F11_silence_ends_at_the_timeout),
        DEP_ROW(the_stop_descriptor_ends_a_long_poll),
        DEP_ROW(F11_one_that_stalls_keeps_no_other),
        DEP_ROW(a_waiting_fetcher_is_woken),
        DEP_ROW(F26_proxies_of_the_environment_are_ignored),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

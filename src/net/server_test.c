/* Hostile requests over raw sockets. The rows carry their case ids; each is followed by its good twin on a new
 * connection, and the request pipelined behind a hostile one must never run. */
#include "net/server_fixture.h"

#define GOOD "POST /good HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
#define SECOND "GET /second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static void check_twin(struct dep_test *t, const struct fixture *f)
{
    char memory[4096];
    bool is_closed;
    struct dep_str answer = talk(f, DEP_STR(GOOD), memory, sizeof(memory), &is_closed);

    DEP_CHECK(t, status_of(answer) == 200 && has(answer, "hello") && is_closed);
}

/* A hostile request: refused or cut off, connection closed, neither it nor what follows it is executed. */
struct hostile {
    struct dep_str request;
    int status; /* 0: any of 400-505, or closed without a word */
};
#define BAD(text, status)          \
    {                              \
        DEP_STR_INIT(text), status \
    }

static void check_hostile(struct dep_test *t, struct fixture *f, const struct hostile *row)
{
    char memory[8192];
    bool is_closed;
    unsigned before = atomic_load(&f->handled);
    struct dep_str answer = talk(f, row->request, memory, sizeof(memory), &is_closed);
    int status = status_of(answer);
    bool is_good = is_closed && atomic_load(&f->handled) == before && !has(answer, "HTTP/1.1 200") &&
                   (row->status != 0 ? status == row->status : status == 0 || (status >= 400 && status <= 505)) &&
                   (status == 0 || has(answer, "Connection: close"));

    dep_test_check(t, is_good, __FILE__, __LINE__, "request %.*s: status %d, closed %d, handled %u, answer %s",
                   (int)(row->request.len < 160 ? row->request.len : 160), row->request.ptr, status, is_closed,
                   atomic_load(&f->handled) - before, memory);
    check_twin(t, f);
}

static void check_all(struct dep_test *t, const struct hostile *rows, size_t count)
{
    struct fixture f;

    DEP_CHECK(t, start(&f, 1, 30));
    check_twin(t, &f);
    for (size_t i = 0; i < count; i++)
        check_hostile(t, &f, &rows[i]);
    DEP_CHECK(t, atomic_load(&f.second) == 0);
    stop(&f, 1000);
    DEP_CHECK(t, atomic_load(&f.freed) == atomic_load(&f.handled));
}

#define POST "POST /first HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

DEP_TEST(K01_length_with_transfer_encoding)
{
    static const struct hostile rows[] = {
        BAD(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND, 400),
        BAD(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SECOND, 400),
        BAD(POST "content-length: 5\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n" SECOND, 400),
        BAD(POST "transfer-encoding: Chunked\r\nCONTENT-LENGTH: 5\r\n\r\n0\r\n\r\n" SECOND, 400),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K02_two_lengths)
{
    static const struct hostile rows[] = {
        BAD(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" SECOND, 400),
        BAD(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" SECOND, 400),
        BAD(POST "Content-Length: 6\r\ncontent-length: 5\r\n\r\nhello" SECOND, 400),
        BAD(POST "Content-Length: 0\r\nContent-Length: 52\r\n\r\n" SECOND, 400),
        BAD(POST "Content-Length: 5, 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 5,6\r\n\r\nhello" SECOND, 0),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K03_odd_lengths)
{
    static const struct hostile rows[] = {
        BAD(POST "Content-Length: \r\n\r\n" SECOND, 0),
        BAD(POST "Content-Length:\r\n\r\n" SECOND, 0),
        BAD(POST "Content-Length: +5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: -5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: -0\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 0x5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 1_0\r\n\r\nhellohello" SECOND, 0),
        BAD(POST "Content-Length: 010\r\n\r\nhellohello" SECOND, 400),
        BAD(POST "Content-Length: 05\r\n\r\nhello" SECOND, 400),
        BAD(POST "Content-Length: 00\r\n\r\n" SECOND, 400),
        BAD(POST "Content-Length: 1Z\r\n\r\nh" SECOND, 0),
        BAD(POST "Content-Length: 5 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 18446744073709551621\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 18446744073709551615\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: -48\r\n\r\n" SECOND, 0),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K04_blanks_around_the_colon)
{
    static const struct hostile rows[] = {
        BAD(POST "Content-Length\t: 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length : 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length\x85: 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length\x0b: 5\r\n\r\nhello" SECOND, 0),
        BAD(POST " Content-Length: 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SECOND, 0),
        BAD("POST /first HTTP/1.1\r\nHost : h\r\nContent-Length: 5\r\n\r\nhello" SECOND, 0),
        BAD("POST /first HTTP/1.1\r\n Host: h\r\nContent-Length: 5\r\n\r\nhello" SECOND, 0),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K06_empty_names)
{
    static const struct hostile rows[] = {
        BAD(POST ": x\r\nContent-Length: 5\r\n\r\nhello" SECOND, 0),
        BAD(POST ":\r\nContent-Length: 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 5\r\n: x\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 5\r\n:\r\n\r\nhello" SECOND, 0),
        BAD(POST ":\r\n" SECOND "\r\n\r\n", 0),
        BAD(POST ": \r\n\r\n" SECOND, 0),
        BAD(POST "no colon here\r\nContent-Length: 5\r\n\r\nhello" SECOND, 0),
        BAD(POST "Content-Length: 5\r\nnocolon\r\n\r\nhello" SECOND, 0),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

#define VALUE(bytes) BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A: a" bytes "b\r\n\r\n" SECOND, 0)

DEP_TEST(K07_control_characters_and_line_ends)
{
    static const struct hostile rows[] = {
        VALUE("\0"),
        VALUE("\r"),
        VALUE("\x01"),
        VALUE("\x02"),
        VALUE("\x03"),
        VALUE("\x04"),
        VALUE("\x05"),
        VALUE("\x06"),
        VALUE("\x07"),
        VALUE("\x08"),
        VALUE("\x0b"),
        VALUE("\x0c"),
        VALUE("\x0e"),
        VALUE("\x0f"),
        VALUE("\x10"),
        VALUE("\x11"),
        VALUE("\x12"),
        VALUE("\x13"),
        VALUE("\x14"),
        VALUE("\x15"),
        VALUE("\x16"),
        VALUE("\x17"),
        VALUE("\x18"),
        VALUE("\x19"),
        VALUE("\x1a"),
        VALUE("\x1b"),
        VALUE("\x1c"),
        VALUE("\x1d"),
        VALUE("\x1e"),
        VALUE("\x1f"),
        VALUE("\x7f"),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A: a\nX-B: b\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A: a\rX-B: b\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\nHost: h\n\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\n\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\n\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\rHost: h\r\r" SECOND, 0),
        BAD("GET /first HTTP/1.1\nHost: h\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A: a\r\n folded\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A: a\r\n\tfolded\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A: a\0\r\nX-B: b\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A: \0a\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX\0-A: a\r\n\r\n" SECOND, 0),
        BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-A\0: a\r\n\r\n" SECOND, 0),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K07_high_bytes_and_tabs_in_values_are_fine)
{
    struct fixture f;
    char memory[4096];
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));

    struct dep_str answer = talk(&f,
                                 DEP_STR("GET /x HTTP/1.1\r\nHost: h\r\nX-A: \t \xc3\xa4 a\tb \t \r\nX-E:\r\nX-F: \r\n"
                                         "Connection: close\r\n\r\n"),
                                 memory, sizeof(memory), &is_closed);

    DEP_CHECK(t, status_of(answer) == 200 && has(answer, "\nX-A=\xc3\xa4 a\tb\n"));
    DEP_CHECK(t, has(answer, "\nX-E=\nX-F=\n"));
    stop(&f, 1000);
}

DEP_TEST(K08_names_are_tokens)
{
    struct fixture f;

    DEP_CHECK(t, start(&f, 1, 30));
    for (unsigned c = 1; c < 256; c++) {
        bool is_token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c < 128 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL);
        char text[256];
        int len = snprintf(text, sizeof(text), "GET /first HTTP/1.1\r\nHost: h\r\nX%cY: a\r\nConnection: close\r\n\r\n",
                           (int)c);
        char memory[4096];
        bool is_closed;
        unsigned before = atomic_load(&f.handled);

        if (c == ':')
            continue; /* "X: Y: a" is a good header */

        struct dep_str answer = talk(&f, dep_str(text, (size_t)len), memory, sizeof(memory), &is_closed);

        dep_test_check(
            t, is_closed && (status_of(answer) == 200) == is_token && atomic_load(&f.handled) == before + is_token,
            __FILE__, __LINE__, "name with byte %u: %s", c, memory);
    }

    static const struct hostile rows[] = { BAD("GET /first HTTP/1.1\r\nHost: h\r\nX-Invalid[]: a\r\n\r\n" SECOND,
                                               400) };

    check_hostile(t, &f, &rows[0]);
    stop(&f, 1000);
}

DEP_TEST(K10_transfer_encodings)
{
    static const struct hostile rows[] = {
        BAD(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND, 400),
        /* 501 of ours, or 400 where libmicrohttpd refuses it first (1.0 and later). */
        BAD(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SECOND, 0),
        BAD(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SECOND, 0),
        BAD(POST "Transfer-Encoding: blegh\r\n\r\n" SECOND, 0),
        BAD(POST "Transfer-Encoding: identity\r\n\r\n" SECOND, 0),
        BAD(POST "Transfer-Encoding:\r\n\r\n" SECOND, 0),
        BAD(POST "Transfer-Encoding: \x0b"
                 "chunked\r\n\r\n0\r\n\r\n" SECOND,
            400),
        BAD("POST /first HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND, 400),
        BAD(CHUNKED "5\r\nhello\r\n0\r\n\r\n" SECOND, 411),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K11_K13_K14_chunks_are_never_read)
{
    static const struct hostile rows[] = {
        BAD(CHUNKED "\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED " 5\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "5 \r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "+5\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "-0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "5_\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "0_2e\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "00000000000000000005\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "5;ext=\"\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "5\r\nhello there\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "20\r\nhello\r\n0\r\n\r\n" SECOND, 411),
        BAD(CHUNKED "5\r\nhello\r\n0\r\n\r\nX" SECOND, 411),
        BAD(CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 5\r\nAuthorization: Bearer x\r\nHost: evil\r\n\r\n" SECOND,
            411),
        BAD(CHUNKED "zz\r\n" SECOND, 411),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

#define LINE(text) BAD(text "\r\nHost: h\r\n\r\n" SECOND, 0)

DEP_TEST(K16_request_lines)
{
    static const struct hostile rows[] = {
        LINE("GET  / HTTP/1.1"),
        LINE("GET /  HTTP/1.1"),
        LINE("GET\t/\tHTTP/1.1"),
        LINE("GET\t/ HTTP/1.1"),
        LINE("get / HTTP/1.1"),
        LINE("G=\":<> / HTTP/1.1"),
        LINE("GET / HTTP/1.32"),
        LINE("GET / HTTP/9.9"),
        LINE("GET / HTTP/1.1 "),
        LINE("GET / HTTP/4294967295.255"),
        LINE("GET / HTTP/\r\r1.1"),
        LINE("GET /"),
        LINE("GET"),
        LINE("GET / http/1.1"),
        LINE("GET / HTTP/1.2"),
        LINE("GET / HTTP/2.0"),
        LINE("GET / HTTP/0.9"),
        LINE("GET / HTTPS/1.1"),
        LINE("GET / a HTTP/1.1"),
        LINE(" GET / HTTP/1.1"),
        LINE("TRACE / HTTP/1.1"),
        LINE("CONNECT h:1 HTTP/1.1"),
        LINE("BREW / HTTP/1.1"),
        LINE("GET / HTTP/1.1\0"),
        LINE("GET /\x0b HTTP/1.1"),
        LINE("GET /\xc3\xa4 HTTP/1.1"),
        BAD("GET /\r\n\r\n", 0),
        BAD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
        BAD("\x16\x03\x01\x02\x00\x01\r\n\r\n", 0),
        BAD("GET /first HTTP/1.1\r\n\r\n" SECOND, 400),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K16_method_of_10_kB)
{
    struct fixture f;
    char *text = malloc(12000);

    DEP_CHECK(t, start(&f, 1, 30));
    memset(text, 'A', 10240);
    strncpy(text + 10240, " / HTTP/1.1\r\nHost: h\r\n\r\n" SECOND, 1000);
    check_hostile(t, &f, &(struct hostile){ dep_str_c(text), 0 });
    DEP_CHECK(t, atomic_load(&f.second) == 0);
    free(text);
    stop(&f, 1000);
}

#define TARGET(text) BAD("GET " text " HTTP/1.1\r\nHost: h\r\n\r\n" SECOND, 0)

DEP_TEST(K17_targets)
{
    static const struct hostile rows[] = {
        TARGET("*"),        TARGET("!"),        TARGET("x"),     TARGET("//h/p"),    TARGET("http://evil/token"),
        TARGET("/token#f"), TARGET("/to\0ken"), TARGET("/%00"),  TARGET("/a%00b"),   TARGET("/%zz"),
        TARGET("/%2"),      TARGET("/%"),       TARGET("/a\\b"), TARGET("/a\"b"),    TARGET("/<x>"),
        TARGET("/a?b=%00"), TARGET("/a?b#c"),   TARGET("?a"),    TARGET("/a|b"),     TARGET("/{a}"),
        TARGET("\x80"),     TARGET("/\x7f"),    TARGET("h:443"), TARGET("HTTP/1.1"), TARGET("/a?b=%g1"),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K17_targets_stay_as_sent)
{
    struct fixture f;
    char memory[16384];
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));

    struct dep_str answer = talk(
        &f, DEP_STR("GET /a%2fb/../c;d=%41?x=1&y==2&&z%26=+%20?&w HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        memory, sizeof(memory), &is_closed);

    DEP_CHECK(t, has(answer, "GET [/a%2fb/../c;d=%41] [x=1&y==2&&z%26=+%20?&w] "));
    answer = talk(&f, DEP_STR("GET /? HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), memory, sizeof(memory),
                  &is_closed);
    DEP_CHECK(t, has(answer, "GET [/] [] "));

    char *text = malloc(80000);
    size_t len = (size_t)snprintf(text, 80000, "GET /%08000d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 1);

    answer = talk(&f, dep_str(text, len), memory, sizeof(memory), &is_closed);
    DEP_CHECK(t, status_of(answer) == 200);
    len = (size_t)snprintf(text, 80000, "GET /%065000d HTTP/1.1\r\nHost: h\r\n\r\n" SECOND, 1);
    check_hostile(t, &f, &(struct hostile){ dep_str(text, len), 414 });
    len = (size_t)snprintf(text, 80000, "GET /%09000d HTTP/1.1\r\nHost: h\r\n\r\n" SECOND, 1);
    check_hostile(t, &f, &(struct hostile){ dep_str(text, len), 414 });
    free(text);
    stop(&f, 1000);
}

#define HOST(text) BAD("GET /first HTTP/1.1\r\n" text "\r\n" SECOND, 400)

DEP_TEST(K18_hosts)
{
    static const struct hostile rows[] = {
        HOST(""),
        HOST("Host: a\r\nHost: a\r\n"),
        HOST("Host: a\r\nhost: b\r\n"),
        HOST("Host: a,b\r\n"),
        HOST("Host: a\0b\r\n"),
        HOST("Host: a b\r\n"),
        HOST("Host: u@h\r\n"),
        HOST("Host: u:p@h\r\n"),
        HOST("Host: h:99999\r\n"),
        HOST("Host: h:\r\n"),
        HOST("Host: h:-1\r\n"),
        HOST("Host: h:x\r\n"),
        HOST("Host: \r\n"),
        HOST("Host: h/p\r\n"),
        HOST("Host: [::1\r\n"),
        HOST("Host: [::1]x\r\n"),
        BAD("GET http://a/x HTTP/1.1\r\nHost: b\r\n\r\n" SECOND, 400),
    };

    check_all(t, rows, DEP_COUNT(rows));
}

DEP_TEST(K18_good_hosts)
{
    static const char *const hosts[] = { "h",           "as.example", "AS.example:443",
                                         "127.0.0.1:1", "[::1]",      "[::ffff:1.2.3.4]:8693",
                                         "h_1" };
    struct fixture f;

    DEP_CHECK(t, start(&f, 1, 30));
    for (size_t i = 0; i < DEP_COUNT(hosts); i++) {
        char text[256];
        char memory[4096];
        bool is_closed;
        int len = snprintf(text, sizeof(text), "GET /x HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", hosts[i]);

        DEP_CHECK(t, status_of(talk(&f, dep_str(text, (size_t)len), memory, sizeof(memory), &is_closed)) == 200);
    }
    stop(&f, 1000);
}

DEP_TEST(blank_lines_before_the_request_line_are_fine)
{
    struct fixture f;
    char memory[4096];
    bool is_closed;

    DEP_CHECK(t, start(&f, 1, 30));
    DEP_CHECK(t, status_of(talk(&f, DEP_STR("\r\n" SECOND), memory, sizeof(memory), &is_closed)) == 200);
    stop(&f, 1000);
}

/* Clients that come and come again while the server goes. */
struct crowd {
    struct fixture *f;
    pthread_t thread;
    unsigned good, bad;
    atomic_bool is_quiet; /* the server is */
};

static void *run_crowd(void *closure)
{
    static const char request[] = "GET /now HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    struct crowd *crowd = closure;
    char memory[4096];
    bool is_closed;

    while (!atomic_load(&crowd->is_quiet)) {
        int fd = connect_to(crowd->f);

        if (fd < 0)
            break;
        if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0) {
            struct dep_str answer = read_until(fd, memory, sizeof(memory), NULL, &is_closed);

            /* Answered as a whole, or not at all. */
            crowd->good += status_of(answer) == 200 && has(answer, "Connection: close");
            crowd->bad += answer.len > 0 && status_of(answer) != 200 && status_of(answer) != 503;
        }
        close(fd);
    }
    return NULL;
}

/* The moment in which accepting ends must not meet a worker that accepts. */
DEP_TEST(quiet_in_the_middle_of_a_crowd)
{
    for (unsigned round = 0; round < 100; round++) {
        struct crowd crowds[4] = { 0 };
        struct timespec pause = { .tv_nsec = (round % 10 + 1) * 200000 };
        struct fixture f;

        DEP_CHECK(t, start(&f, 2, 30));
        for (size_t i = 0; i < DEP_COUNT(crowds); i++) {
            crowds[i].f = &f;
            atomic_init(&crowds[i].is_quiet, false);
            DEP_CHECK(t, pthread_create(&crowds[i].thread, NULL, run_crowd, &crowds[i]) == 0);
        }
        (void)nanosleep(&pause, NULL); /* another moment in each round */
        dep_net_server_quiesce(f.server);
        for (size_t i = 0; i < DEP_COUNT(crowds); i++)
            atomic_store(&crowds[i].is_quiet, true);
        stop(&f, 1000);
        for (size_t i = 0; i < DEP_COUNT(crowds); i++) {
            pthread_join(crowds[i].thread, NULL);
            DEP_CHECK(t, crowds[i].bad == 0);
        }
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(K01_length_with_transfer_encoding),
        DEP_ROW(K02_two_lengths),
        DEP_ROW(K03_odd_lengths),
        DEP_ROW(K04_blanks_around_the_colon),
        DEP_ROW(K06_empty_names),
        DEP_ROW(K07_control_characters_and_line_ends),
        DEP_ROW(K07_high_bytes_and_tabs_in_values_are_fine),
        DEP_ROW(K08_names_are_tokens),
        DEP_ROW(K10_transfer_encodings),
        DEP_ROW(K11_K13_K14_chunks_are_never_read),
        DEP_ROW(K16_request_lines),
        DEP_ROW(K16_method_of_10_kB),
        DEP_ROW(K17_targets),
        DEP_ROW(K17_targets_stay_as_sent),
        DEP_ROW(K18_hosts),
        DEP_ROW(K18_good_hosts),
        DEP_ROW(blank_lines_before_the_request_line_are_fine),
        DEP_ROW(quiet_in_the_middle_of_a_crowd),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

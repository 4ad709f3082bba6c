/* The server over TLS, with real handshakes: what is spoken, whose certificate is shown, which certificate a client showed, and that the checks of the
 * plain server hold. */
#include "net/tls.h"

#include <gnutls/gnutls.h>

#include "net/server_fixture.h"
#include "test/certificates.h"

#define GET "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define NORMAL "NORMAL"

struct material {
    struct dep_arena arena;
    struct issued first, second, client; /* certificates of their own */
};

static void make_material(struct material *m)
{
    const struct issue server = { .subject = "CN=server", .usage = "serverAuth" }, client = { .subject = "CN=client" };

    dep_arena_init_debug(&m->arena, 1 << 22);
    m->first = fixture_issue(NULL, EVP_EC_gen("P-256"), &server);
    m->second = fixture_issue(NULL, EVP_RSA_gen(2048), &server);
    m->client = fixture_issue(NULL, EVP_EC_gen("P-256"), &client);
}

static void free_material(struct material *m)
{
    fixture_free(&m->first);
    fixture_free(&m->second);
    fixture_free(&m->client);
    dep_arena_reset(&m->arena);
}

static struct dep_str certificate_of(struct material *m, const struct issued *one)
{
    return fixture_pem(&m->arena, one, 1);
}

static struct dep_secret key_of(struct material *m, const struct issued *one)
{
    return dep_secret_of(fixture_key_pem(&m->arena, one->key));
}

/* ---- a client ---- */

struct client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    bool is_open; /* the handshake is done */
};

static void client_close(struct client *c)
{
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    if (c->fd >= 0)
        (void)close(c->fd);
}

static void handshake(struct client *c)
{
    int res;

    do
        res = gnutls_handshake(c->session);
    while (res == GNUTLS_E_INTERRUPTED || res == GNUTLS_E_AGAIN);
    c->is_open = res == 0;
}

/* Before the handshake. `own` may be NULL: no certificate is shown. */
static struct client client_begin(struct material *m, const struct fixture *f, const char *priorities,
                                  const struct issued *own)
{
    struct client c = { .fd = connect_to(f) };

    gnutls_init(&c.session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
    gnutls_certificate_allocate_credentials(&c.credentials);
    if (own != NULL) {
        struct dep_str certificate = certificate_of(m, own);
        struct dep_secret key = key_of(m, own);
        gnutls_datum_t chain = { (unsigned char *)(uintptr_t)certificate.ptr, (unsigned)certificate.len };
        gnutls_datum_t secret = { (unsigned char *)(uintptr_t)key.bytes, (unsigned)key.len };

        DEP_ASSERT(gnutls_certificate_set_x509_key_mem(c.credentials, &chain, &secret, GNUTLS_X509_FMT_PEM) == 0);
    }
    DEP_ASSERT(gnutls_priority_set_direct(c.session, priorities, NULL) == 0);
    gnutls_credentials_set(c.session, GNUTLS_CRD_CERTIFICATE, c.credentials);
    gnutls_transport_set_int(c.session, c.fd);
    gnutls_handshake_set_timeout(c.session, 20000);
    return c;
}

static struct client client_open(struct material *m, const struct fixture *f, const char *priorities,
                                 const struct issued *own)
{
    struct client c = client_begin(m, f, priorities, own);

    handshake(&c);
    return c;
}

/* Sends the text and reads until the server closes, or `enough` stands in the answer. */
static struct dep_str say(struct client *c, const char *text, char *memory, size_t max, const char *enough)
{
    size_t len = 0;
    ssize_t count = 0;

    if (!c->is_open || gnutls_record_send(c->session, text, strlen(text)) < 0)
        return DEP_STR("");
    while (len < max - 1) {
        gnutls_record_set_timeout(c->session, 20000);
        count = gnutls_record_recv(c->session, memory + len, max - 1 - len);
        if (count == GNUTLS_E_INTERRUPTED || count == GNUTLS_E_AGAIN)
            continue;
        if (count <= 0)
            break;
        len += (size_t)count;
        memory[len] = '\0';
        if (enough != NULL && strstr(memory, enough) != NULL)
            break;
    }
    memory[len] = '\0';
    return dep_str(memory, len);
}

static bool shows(const struct client *c, struct material *m, const struct issued *one)
{
    struct dep_str der = fixture_der(&m->arena, one);
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(c->session, &count);

    return c->is_open && chain != NULL && count == 1 && dep_str_eq(dep_str((char *)chain[0].data, chain[0].size), der);
}

static bool start_tls(struct fixture *f, struct dep_net_tls *tls, bool asks, unsigned idle_s)
{
    return start_config(f, (struct dep_net_config){ .address = DEP_STR("127.0.0.1:0"),
                                                    .workers = 2,
                                                    .idle_timeout_s = idle_s,
                                                    .tls = tls,
                                                    .asks_certificate = asks });
}

/* Whether the server lets go of the connection within the limit. */
static bool is_let_go(int fd, int limit_ms)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    char bytes[4096];
    ssize_t count;

    while (poll(&wait, 1, limit_ms) == 1) {
        count = recv(fd, bytes, sizeof(bytes), 0);
        if (count <= 0)
            return true;
    }
    return false;
}

/* ---- the tests ---- */

static char memory[65536];

DEP_TEST(K35_what_is_spoken)
{
    static const struct {
        const char *priorities;
        bool is_spoken;
    } rows[] = {
        { NORMAL, true },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.3", true },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2", true },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.1:+SHA1", false },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.0:+SHA1", false },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC", false },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", false },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM", true },
    };
    struct material m;
    struct dep_net_tls *tls = NULL;
    struct fixture f;

    make_material(&m);
    DEP_CHECK_OK(t, dep_net_tls_new(certificate_of(&m, &m.second), key_of(&m, &m.second), &tls));
    DEP_CHECK(t, start_tls(&f, tls, false, 30));
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct client c = client_open(&m, &f, rows[i].priorities, NULL);
        struct dep_str answer = say(&c, LAST, memory, sizeof(memory), NULL);

        dep_test_check(t, (status_of(answer) == 200) == rows[i].is_spoken, __FILE__, __LINE__, "%s: %.*s",
                       rows[i].priorities, DEP_STR_ARG(answer));
        client_close(&c);
    }
    /* Plain HTTP to a TLS port is nobody's request. */
    {
        bool is_closed = false;
        struct dep_str answer = talk(&f, DEP_STR(GET), memory, sizeof(memory), &is_closed);

        DEP_CHECK(t, is_closed && status_of(answer) == 0);
    }
    stop(&f, 1000);
    dep_net_tls_free(tls);
    free_material(&m);
}

DEP_TEST(certificates_of_clients)
{
    char want[20000];
    struct material m;
    struct dep_net_tls *tls = NULL;
    struct fixture f;
    struct client c;
    struct dep_str der, answer;
    struct dep_buf hex;

    make_material(&m);
    der = fixture_der(&m.arena, &m.client);
    dep_buf_init(&hex, want, sizeof(want) - 1);
    dep_buf_put_c(&hex, " certificate=");
    dep_buf_put_hex(&hex, der.ptr, der.len);
    want[hex.len] = '\0';
    DEP_CHECK_OK(t, dep_net_tls_new(certificate_of(&m, &m.first), key_of(&m, &m.first), &tls));
    DEP_CHECK(t, start_tls(&f, tls, true, 30));
    for (unsigned version = 0; version < 2; version++) {
        const char *priorities = version == 0 ? "NORMAL:-VERS-ALL:+VERS-TLS1.2" : "NORMAL:-VERS-ALL:+VERS-TLS1.3";

        c = client_open(&m, &f, priorities, &m.client);
        DEP_CHECK(t, has(say(&c, GET, memory, sizeof(memory), "Host=a\n\n"), want));
        DEP_CHECK(t, has(say(&c, LAST, memory, sizeof(memory), NULL), want)); /* each request of the connection */
        client_close(&c);
        c = client_open(&m, &f, priorities, NULL);
        answer = say(&c, LAST, memory, sizeof(memory), NULL);
        DEP_CHECK(t, status_of(answer) == 200 && !has(answer, "certificate="));
        client_close(&c);
    }
    /* An answer that comes later, from another thread. */
    c = client_open(&m, &f, NORMAL, &m.client);
    DEP_CHECK(t, has(say(&c, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n", memory, sizeof(memory), "later"), "later"));
    client_close(&c);
    stop(&f, 1000);
    /* A server that does not ask is shown none. */
    DEP_CHECK(t, start_tls(&f, tls, false, 30));
    c = client_open(&m, &f, NORMAL, &m.client);
    answer = say(&c, LAST, memory, sizeof(memory), NULL);
    DEP_CHECK(t, status_of(answer) == 200 && !has(answer, "certificate="));
    client_close(&c);
    stop(&f, 1000);
    dep_net_tls_free(tls);
    free_material(&m);
}

/* K35: what cannot be read in two ways over TCP cannot over TLS. */
DEP_TEST(K35_the_checks_of_requests_hold)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        { "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200 },
        { "GET /x HTTP/1.1\nHost: a\r\n\r\n", 400 },
        { "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET /x HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
        { "GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", 400 },
        { "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400 },
        { "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400 },
        { "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 413 },
        { "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", 200 },
    };
    struct material m;
    struct dep_net_tls *tls = NULL;
    struct fixture f;

    make_material(&m);
    DEP_CHECK_OK(t, dep_net_tls_new(certificate_of(&m, &m.first), key_of(&m, &m.first), &tls));
    DEP_CHECK(t, start_tls(&f, tls, true, 30));
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct client c = client_open(&m, &f, NORMAL, &m.client);
        struct dep_str answer = say(&c, rows[i].request, memory, sizeof(memory), NULL);

        dep_test_check(t, status_of(answer) == rows[i].status, __FILE__, __LINE__, "row %zu: %.*s", i,
                       DEP_STR_ARG(answer));
        client_close(&c);
    }
    stop(&f, 1000);
    dep_net_tls_free(tls);
    free_material(&m);
}

/* A byte at a time, each in a packet of its own. */
static ssize_t push_slowly(gnutls_transport_ptr_t closure, const void *data, size_t len)
{
    int fd = (int)(intptr_t)closure;

    return send(fd, data, len > 0 ? 1 : 0, MSG_NOSIGNAL);
}

static ssize_t pull(gnutls_transport_ptr_t closure, void *data, size_t len)
{
    return recv((int)(intptr_t)closure, data, len, 0);
}

static int pull_wait(gnutls_transport_ptr_t closure, unsigned limit_ms)
{
    struct pollfd wait = { .fd = (int)(intptr_t)closure, .events = POLLIN };

    return poll(&wait, 1, (int)limit_ms);
}

DEP_TEST(K35_odd_handshakes)
{
    static const char *const names[] = { "nobody.example", "a", "127.0.0.1", "x\0y" };
    static const gnutls_datum_t odd[] = { { (unsigned char *)(uintptr_t) "\0\xff junk", 7 },
                                          { (unsigned char *)(uintptr_t) "h2", 2 } };
    static unsigned char record[16384 + 5] = { 0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc };
    char longest[255];
    struct material m;
    struct dep_net_tls *tls = NULL;
    struct fixture f;
    struct client c;
    int fd;

    make_material(&m);
    DEP_CHECK_OK(t, dep_net_tls_new(certificate_of(&m, &m.first), key_of(&m, &m.first), &tls));
    DEP_CHECK(t, start_tls(&f, tls, true, 30));
    /* No name is known here, so none is looked at. */
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 0; i <= DEP_COUNT(names); i++) {
        const char *name = i < DEP_COUNT(names) ? names[i] : longest;

        c = client_begin(&m, &f, NORMAL, NULL);
        (void)gnutls_server_name_set(c.session, GNUTLS_NAME_DNS, name,
                                     i == 3  ? 3
                                     : i < 3 ? strlen(name)
                                             : sizeof(longest));
        handshake(&c);
        DEP_CHECK(t, !c.is_open || status_of(say(&c, LAST, memory, sizeof(memory), NULL)) == 200);
        client_close(&c);
    }
    c = client_begin(&m, &f, NORMAL, NULL);
    (void)gnutls_alpn_set_protocols(c.session, odd, DEP_COUNT(odd), 0);
    handshake(&c);
    DEP_CHECK(t, status_of(say(&c, LAST, memory, sizeof(memory), NULL)) == 200);
    client_close(&c);
    c = client_begin(&m, &f, NORMAL, &m.client);
    gnutls_transport_set_ptr(c.session, (gnutls_transport_ptr_t)(intptr_t)c.fd);
    gnutls_transport_set_push_function(c.session, push_slowly);
    gnutls_transport_set_pull_function(c.session, pull);
    gnutls_transport_set_pull_timeout_function(c.session, pull_wait);
    handshake(&c);
    DEP_CHECK(t, has(say(&c, LAST, memory, sizeof(memory), NULL), " certificate="));
    client_close(&c);
    /* A handshake of 16 kB that says nothing. */
    fd = connect_to(&f);
    send_all(fd, dep_str((const char *)record, sizeof(record)));
    DEP_CHECK(t, is_let_go(fd, 15000));
    close(fd);
    /* Another handshake on a connection that has one: another certificate cannot slip in. */
    c = client_open(&m, &f, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL);
    DEP_CHECK(t, status_of(say(&c, GET, memory, sizeof(memory), "Host=a\n\n")) == 200);
    handshake(&c);
    DEP_CHECK(t, !c.is_open);
    client_close(&c);
    c = client_open(&m, &f, NORMAL, NULL);
    DEP_CHECK(t, status_of(say(&c, LAST, memory, sizeof(memory), NULL)) == 200); /* the next one is served */
    client_close(&c);
    stop(&f, 1000);
    dep_net_tls_free(tls);
    free_material(&m);
}

DEP_TEST(a_new_certificate_while_it_serves)
{
    struct material m;
    struct dep_net_tls *tls = NULL;
    struct fixture f;
    struct client before, after;

    make_material(&m);
    DEP_CHECK_OK(t, dep_net_tls_new(certificate_of(&m, &m.first), key_of(&m, &m.first), &tls));
    DEP_CHECK(t, start_tls(&f, tls, false, 30));
    before = client_open(&m, &f, NORMAL, NULL);
    DEP_CHECK(t, shows(&before, &m, &m.first));
    DEP_CHECK_FAIL(t, dep_net_tls_replace(tls, certificate_of(&m, &m.second), key_of(&m, &m.first)), NET_TLS);
    after = client_open(&m, &f, NORMAL, NULL);
    DEP_CHECK(t, shows(&after, &m, &m.first)); /* nothing has changed */
    client_close(&after);
    DEP_CHECK_OK(t, dep_net_tls_replace(tls, certificate_of(&m, &m.second), key_of(&m, &m.second)));
    after = client_open(&m, &f, NORMAL, NULL);
    DEP_CHECK(t, shows(&after, &m, &m.second));
    DEP_CHECK(t, status_of(say(&after, LAST, memory, sizeof(memory), NULL)) == 200);
    DEP_CHECK(t, status_of(say(&before, LAST, memory, sizeof(memory), NULL)) == 200);
    client_close(&before);
    client_close(&after);
    stop(&f, 1000);
    dep_net_tls_free(tls);
    free_material(&m);
}

DEP_TEST(what_is_no_certificate_and_key)
{
    struct dep_net_tls *tls = NULL;
    struct dep_str certificate;
    struct dep_secret key;
    struct material m;

    make_material(&m);
    certificate = certificate_of(&m, &m.first);
    key = key_of(&m, &m.first);
    DEP_CHECK_FAIL(t, dep_net_tls_new(DEP_STR(""), key, &tls), NET_TLS);
    DEP_CHECK_FAIL(t, dep_net_tls_new(DEP_STR("certificate"), key, &tls), NET_TLS);
    DEP_CHECK_FAIL(t, dep_net_tls_new(certificate, dep_secret_of(DEP_STR("key")), &tls), NET_TLS);
    DEP_CHECK_FAIL(t, dep_net_tls_new(certificate, key_of(&m, &m.second), &tls), NET_TLS);
    DEP_CHECK_FAIL(t, dep_net_tls_new(certificate, dep_secret_of(certificate), &tls), NET_TLS);
    DEP_CHECK(t, tls == NULL);
    DEP_CHECK_OK(t, dep_net_tls_new(certificate, key, &tls));
    dep_net_tls_free(tls);
    free_material(&m);
}

/* A handshake that never comes, or stops, is bounded like a request that never comes; an end that came is seen. */
DEP_TEST(K35_ends_and_silence)
{
    struct material m;
    struct dep_net_tls *tls = NULL;
    struct fixture f;
    struct client c;
    int silent, half;

    make_material(&m);
    DEP_CHECK_OK(t, dep_net_tls_new(certificate_of(&m, &m.first), key_of(&m, &m.first), &tls));
    DEP_CHECK(t, start_tls(&f, tls, true, 2));
    silent = connect_to(&f);
    half = connect_to(&f);
    send_all(half, dep_str("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
    DEP_CHECK(t, is_let_go(silent, 15000));
    DEP_CHECK(t, is_let_go(half, 15000));
    close(silent);
    close(half);
    stop(&f, 1000);
    DEP_CHECK(t, start_tls(&f, tls, true, 60)); /* its deadlines are far away */
    c = client_open(&m, &f, NORMAL, &m.client);
    DEP_CHECK(t, status_of(say(&c, GET, memory, sizeof(memory), "Host=a\n\n")) == 200);
    gnutls_bye(c.session, GNUTLS_SHUT_WR);
    (void)shutdown(c.fd, SHUT_WR);
    DEP_CHECK(t, is_let_go(c.fd, 15000));
    client_close(&c);
    c = client_open(&m, &f, NORMAL, &m.client);
    DEP_CHECK(t, c.is_open);
    (void)shutdown(c.fd, SHUT_WR); /* without a word */
    DEP_CHECK(t, is_let_go(c.fd, 15000));
    client_close(&c);
    /* Goodbye and end in one packet with a request, or with half of one. */
    for (unsigned i = 0; i < 4; i++) {
        int on = 1;

        c = client_open(&m, &f, i < 2 ? "NORMAL:-VERS-ALL:+VERS-TLS1.2" : "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
        (void)setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
        DEP_CHECK(t, gnutls_record_send(c.session, GET, i % 2 == 0 ? sizeof(GET) - 1 : 9) > 0);
        gnutls_bye(c.session, GNUTLS_SHUT_WR);
        (void)shutdown(c.fd, SHUT_WR);
        DEP_CHECK(t, is_let_go(c.fd, 15000));
        client_close(&c);
    }
    c = client_open(&m, &f, NORMAL, NULL);
    DEP_CHECK(t, status_of(say(&c, LAST, memory, sizeof(memory), NULL)) == 200); /* the next one is served */
    client_close(&c);
    stop(&f, 1000);
    dep_net_tls_free(tls);
    free_material(&m);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(K35_what_is_spoken),
        DEP_ROW(certificates_of_clients),
        DEP_ROW(K35_the_checks_of_requests_hold),
        DEP_ROW(K35_odd_handshakes),
        DEP_ROW(a_new_certificate_while_it_serves),
        DEP_ROW(what_is_no_certificate_and_key),
        DEP_ROW(K35_ends_and_silence),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

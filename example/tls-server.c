/* An API that ends TLS itself, guarded by libdeputy: tokens that are bound to a client certificate (RFC 8705) count with the
 * certificate of the connection they come over, and with no other.
 *
 *     tls-server PORT RESOURCE ISSUER CLIENT AUDIT-DIRECTORY PEM      (the client's secret in DEPUTY_SECRET; PEM: certificate and key)
 *
 * A few threads wait in accept(), each serves one connection with one request. libdeputy fetches by itself. An answer tells who
 * called. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "http.h"

#define THREADS 4
#define IN_MAX (HEAD_MAX + 65536)
#define OUT_MAX 16384
#define SILENCE_S 10

struct server {
    int listen_fd;
    SSL_CTX *tls;
    struct deputy_guard *guard;
};

/* In DER, to be freed by OPENSSL_free(); NULL and 0 when the client came without one. */
static unsigned char *certificate_of(const SSL *connection, size_t *ret_len)
{
    X509 *certificate = SSL_get1_peer_certificate(connection);
    unsigned char *der = NULL;
    int len = certificate == NULL ? 0 : i2d_X509(certificate, &der);

    X509_free(certificate);
    *ret_len = len > 0 ? (size_t)len : 0;
    return der;
}

static size_t write_allowed(char *out, const struct deputy_verdict *verdict)
{
    struct deputy_text subject = deputy_verdict_claim(verdict, DEPUTY_SUBJECT);
    struct deputy_text scope = deputy_verdict_claim(verdict, DEPUTY_SCOPE);
    struct deputy_text bound = deputy_verdict_claim(verdict, DEPUTY_CERTIFICATE);
    const struct deputy_header type = { { "Content-Type", 12 }, { "text/plain", 10 } };
    char text[4096];
    int len = snprintf(text, sizeof(text), "subject %s\nscope %s\ncertificate %s\n", subject.ptr,
                       scope.ptr == NULL ? "" : scope.ptr, bound.ptr == NULL ? "none" : bound.ptr);

    return http_write(out, OUT_MAX, 200, &type, 1,
                      (struct deputy_text){ text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1 }, true);
}

/* The answer; its length. */
static size_t answer(struct server *server, const SSL *connection, const struct http_request *in, char *out)
{
    size_t der_len, count;
    unsigned char *der = certificate_of(connection, &der_len);
    const struct deputy_request request = {
        .size = sizeof(request),
        .method = in->method,
        .target = in->target,
        .headers = in->headers,
        .headers_count = in->headers_count,
        .body = in->body,
        .certificate = { (const char *)der, der_len },
    };
    struct deputy_verdict *verdict = NULL;
    size_t len = 0;

    switch (deputy_guard_check(server->guard, &request, &verdict)) {
    case DEPUTY_ALLOW:
        len = write_allowed(out, verdict);
        break;
    case DEPUTY_REFUSE: {
        const struct deputy_header *headers = deputy_verdict_answer(verdict, &count);

        len = http_write(out, OUT_MAX, deputy_verdict_status(verdict), headers, count, deputy_verdict_body(verdict),
                         true);
        break;
    }
    case DEPUTY_NEEDS: /* neither is said to a program that lets the library fetch and wait */
    case DEPUTY_RECORDING:
        break;
    }
    deputy_verdict_free(verdict);
    OPENSSL_free(der);
    return len;
}

/* One request, one answer, and the end. */
static void serve(struct server *server, SSL *connection, char *in, char *out)
{
    struct deputy_text path = deputy_guard_metadata_path(server->guard);
    const struct deputy_header type = { { "Content-Type", 12 }, { "application/json", 16 } };
    struct http_request request;
    size_t len = 0, out_len;
    int got = 0;

    if (SSL_accept(connection) != 1)
        return;
    while (got == 0 && len < IN_MAX) {
        int read = SSL_read(connection, in + len, (int)(IN_MAX - len));

        if (read <= 0)
            return;
        len += (size_t)read;
        got = http_read(in, len, &request);
    }
    if (got != 1)
        return;
    if (request.target.len == path.len && memcmp(request.target.ptr, path.ptr, path.len) == 0)
        out_len = http_write(out, OUT_MAX, 200, &type, 1, deputy_guard_metadata(server->guard), true);
    else
        out_len = answer(server, connection, &request, out);
    if (out_len > 0 && SSL_write(connection, out, (int)out_len) > 0)
        (void)SSL_shutdown(connection);
}

static void *run(void *context)
{
    const struct timeval silence = { .tv_sec = SILENCE_S };
    struct server *server = context;
    char *in = malloc(IN_MAX), *out = malloc(OUT_MAX);
    int fd;

    while (in != NULL && out != NULL && ((fd = accept(server->listen_fd, NULL, NULL)) >= 0 || errno == ECONNABORTED)) {
        SSL *connection = fd < 0 ? NULL : SSL_new(server->tls);

        if (connection != NULL && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence)) == 0 && SSL_set_fd(connection, fd) == 1)
            serve(server, connection, in, out);
        ERR_clear_error();
        SSL_free(connection);
        if (fd >= 0)
            close(fd);
    }
    free(in);
    free(out);
    return NULL;
}

/* Whatever certificate a client has: the token says which one counts, and the handshake shows that the client has its key. Whose it is,
 * is asked of nobody. */
static int take_any(int is_verified, X509_STORE_CTX *store)
{
    (void)is_verified;
    (void)store;
    return 1;
}

static SSL_CTX *make_tls(const char *pem)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(tls, pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, pem, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_session_id_context(tls, (const unsigned char *)"api", 3) != 1) {
        fprintf(stderr, "%s: no certificate and key\n", pem);
        exit(2);
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, take_any);
    return tls;
}

static struct deputy_guard *make_guard(char **argv)
{
    struct deputy_config *config = deputy_config_new();
    const char *secret = getenv("DEPUTY_SECRET");
    struct deputy_guard *guard = NULL;
    const char *const settings[][2] = { { "resource", argv[2] },       { "issuer", argv[3] },
                                        { "client", argv[4] },         { "audit", argv[5] },
                                        { "scope", "read" },           { "allow-loopback", "true" },
                                        { "feed-silence-max-s", "3" }, { "client-cert", "tls" } };
    enum deputy_result result = deputy_config_set_secret(config, "secret", secret, secret == NULL ? 0 : strlen(secret));

    for (size_t i = 0; result == DEPUTY_OK && i < sizeof(settings) / sizeof(settings[0]); i++)
        result = deputy_config_set(config, settings[i][0], settings[i][1]);
    if (result == DEPUTY_OK)
        result = deputy_guard_new(config, &guard);
    if (result == DEPUTY_OK)
        result = deputy_guard_start(guard);
    if (result != DEPUTY_OK) {
        fprintf(stderr, "%s; %s\n", deputy_result_text(result), deputy_config_fault(config));
        exit(2);
    }
    deputy_config_free(config);
    return guard;
}

int main(int argc, char **argv)
{
    struct server server;
    pthread_t threads[THREADS];
    sigset_t signals;
    size_t count = 0;
    int signal;

    if (argc != 7) {
        fprintf(stderr, "tls-server PORT RESOURCE ISSUER CLIENT AUDIT-DIRECTORY PEM\n");
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* of the threads too */
    sigdelset(&signals, SIGPIPE);
    server = (struct server){ http_listen(argv[1], 0), make_tls(argv[6]), make_guard(argv) };
    while (count < THREADS && pthread_create(&threads[count], NULL, run, &server) == 0)
        count++;
    (void)sigwait(&signals, &signal);
    shutdown(server.listen_fd, SHUT_RD); /* accept() ends in all of them */
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    deputy_guard_free(server.guard);
    SSL_CTX_free(server.tls);
    close(server.listen_fd);
    return 0;
}

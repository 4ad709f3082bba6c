/* From a revocation to the refusal at the guard: revokes one token after the other (RFC 7009) and asks the guard until it refuses.
 * The clock starts before the revocation is sent. Prints "name=microseconds".
 *
 *   bench_revoke HOST:PORT GUARD-SOCKET TOKENS-FILE 'Authorization: ...' */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "load.h"

#define TOKENS_MAX 100000u
#define GIVE_UP_US 10000000
#define ANSWER_BYTES 16384u

struct bench {
    struct load_options server, guard;
    const char *authorization;
    int64_t *took_us;
    size_t count;
};

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The status of one request; -1 when there is no answer. */
static int send_one(const struct load_options *to, const char *text, int len, char *buffer)
{
    struct load_message message = { (char *)(uintptr_t)text, (size_t)len };
    struct load_answer answer;

    return load_once(to, &message, buffer, ANSWER_BYTES, &answer) ? answer.status : -1;
}

static bool is_status(int status, int wanted, const char *what)
{
    if (status != wanted)
        (void)fprintf(stderr, "bench_revoke: %s: status %d\n", what, status);
    return status == wanted;
}

static bool revoke_one(struct bench *bench, const char *token)
{
    static char ask[32768], revoke[32768], buffer[ANSWER_BYTES];
    int ask_len = snprintf(ask, sizeof(ask),
                           "GET /authz/auth-request HTTP/1.1\r\nHost: localhost\r\nX-Original-Method: GET\r\n"
                           "X-Original-URL: https://api.example/bench\r\nAuthorization: Bearer %s\r\n\r\n",
                           token);
    int revoke_len = snprintf(revoke, sizeof(revoke),
                              "POST /oauth/revoke HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
                              "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\ntoken=%s",
                              bench->authorization, strlen(token) + 6, token);
    int64_t start;
    int status;

    if (ask_len >= (int)sizeof(ask) || revoke_len >= (int)sizeof(revoke))
        return false;
    if (!is_status(send_one(&bench->guard, ask, ask_len, buffer), 200, "the guard, before"))
        return false;
    start = now_us();
    if (!is_status(send_one(&bench->server, revoke, revoke_len, buffer), 200, "the revocation"))
        return false;
    do {
        status = send_one(&bench->guard, ask, ask_len, buffer);
        bench->took_us[bench->count] = now_us() - start;
    } while (status == 200 && bench->took_us[bench->count] < GIVE_UP_US);
    bench->count++;
    return is_status(status, 401, "the guard, after");
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void report(struct bench *bench)
{
    qsort(bench->took_us, bench->count, sizeof(*bench->took_us), compare);
    (void)printf("revocations=%zu\np50_us=%lld\np99_us=%lld\nmax_us=%lld\n", bench->count,
                 (long long)bench->took_us[bench->count / 2], (long long)bench->took_us[bench->count * 99 / 100],
                 (long long)bench->took_us[bench->count - 1]);
}

int main(int argc, char **argv)
{
    struct bench bench = { 0 };
    struct dep_str address;
    bool is_good = argc == 5;
    char *line = NULL;
    size_t size = 0;
    int64_t port = 0;
    FILE *tokens;
    ssize_t len;

    if (!is_good) {
        (void)fprintf(stderr, "usage: bench_revoke HOST:PORT GUARD-SOCKET TOKENS-FILE 'Authorization: ...'\n");
        return 2;
    }
    address = dep_str_c(argv[1]);
    bench.server.tcp_host = dep_str_sub(address, 0, dep_str_find(address, ':'));
    is_good =
        dep_is_ok(dep_num_parse(dep_str_sub(address, bench.server.tcp_host.len + 1, address.len), 1, 65535, &port));
    bench.server.tcp_port = (unsigned)port;
    bench.guard.unix_path = dep_str_c(argv[2]);
    bench.authorization = argv[4];
    bench.took_us = calloc(TOKENS_MAX, sizeof(*bench.took_us));
    tokens = fopen(argv[3], "re");
    is_good = is_good && tokens != NULL && bench.took_us != NULL;
    while (is_good && bench.count < TOKENS_MAX && (len = getline(&line, &size, tokens)) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        is_good = revoke_one(&bench, line);
    }
    free(line);
    if (tokens != NULL)
        (void)fclose(tokens);
    is_good = is_good && bench.count > 0;
    if (is_good)
        report(&bench);
    free(bench.took_us);
    return is_good ? 0 : 1;
}

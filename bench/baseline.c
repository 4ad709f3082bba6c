/* The baseline server: what the machine and the libraries allow. libmicrohttpd as deputyd configures it, one ES256 signature over
 * a claims set of the same size and one durable record of the same size for each request, and nothing else: the body is not read, no
 * client is looked up, no rule runs. The writer is deputyd's own, so both pay the same for durability.
 *
 * --verify adds one ES256 verification by OpenSSL alone (bare.h); --none leaves out signature and record: the plain answer that the
 * guard is compared with, and with --headers the answer has headers like the guard's. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/log.h"
#include "bare.h"
#include "base/num.h"
#include "jose/jws.h"
#include "net/server.h"
#include "server/writer.h"

#define WORKERS_MAX 16u
#define TEXT_MAX 8192u

struct worker {
    struct dep_crypto *crypto;
    struct bare *bare;
    uint64_t count;
    char payload[TEXT_MAX], record[TEXT_MAX], body[TEXT_MAX];
};

struct baseline {
    struct dep_str listen;
    const char *directory;
    bool is_plain, verifies, has_headers;
    size_t payload_bytes, record_bytes;
    unsigned workers_count;
    struct worker workers[WORKERS_MAX];
    struct dep_private_key *key, *log_key;
    unsigned char sample_memory[4096] __attribute__((aligned(16)));
    struct dep_str sample; /* what --verify verifies */
    unsigned char sample_der[BARE_DER_MAX];
    size_t sample_der_len;
    struct dep_audit_log *log;
    struct dep_writer *writer;
    struct dep_net_server *server;
};

/* `bytes` of JSON with a counter in it, so that no two are equal. */
static struct dep_str filled(char memory[TEXT_MAX], unsigned worker, uint64_t count, size_t bytes)
{
    static const char filler[] = "https://api.example/bench agent:01JD0000000000000000000000 bench:read ";
    struct dep_buf buf;

    dep_buf_init(&buf, memory, TEXT_MAX);
    dep_buf_put_c(&buf, "{\"worker\":");
    dep_buf_put_int(&buf, (int64_t)worker);
    dep_buf_put_c(&buf, ",\"jti\":\"");
    dep_buf_put_int(&buf, (int64_t)(count + UINT64_C(1000000000000)));
    dep_buf_put_c(&buf, "\",\"fill\":\"");
    while (buf.len + 2 < bytes) {
        size_t room = bytes - 2 - buf.len;

        dep_buf_put(&buf, dep_str(filler, room < sizeof(filler) - 1 ? room : sizeof(filler) - 1));
    }
    dep_buf_put_c(&buf, "\"}");
    DEP_ASSERT(!buf.has_failed);
    return dep_buf_str(&buf);
}

static void verify_sample(const struct baseline *baseline, struct worker *worker)
{
    unsigned char digest[DEP_SHA256_LEN];

    dep_sha256(worker->crypto, baseline->sample, digest);
    DEP_ASSERT(bare_verify(worker->bare, digest, baseline->sample_der, baseline->sample_der_len));
}

/* An allow of the guard: what its headers are like, always the same. */
static const struct dep_header identity[] = {
    { DEP_STR_INIT("Cache-Control"), DEP_STR_INIT("no-store") },
    { DEP_STR_INIT("Deputy-Subject"), DEP_STR_INIT("agent:01JD0000000000000000000000") },
    { DEP_STR_INIT("Deputy-Client"), DEP_STR_INIT("01JD0000000000000000000001") },
    { DEP_STR_INIT("Deputy-Actor"), DEP_STR_INIT(" ") },
    { DEP_STR_INIT("Deputy-Actor-Chain"), DEP_STR_INIT(" ") },
    { DEP_STR_INIT("Deputy-Scope"), DEP_STR_INIT("bench:read") },
    { DEP_STR_INIT("Deputy-Audience"), DEP_STR_INIT("https://api.example/bench") },
    { DEP_STR_INIT("Deputy-Task"), DEP_STR_INIT(" ") },
    { DEP_STR_INIT("Deputy-Token-Id"), DEP_STR_INIT("01JD0000000000000000000002") },
    { DEP_STR_INIT("Deputy-Decision"), DEP_STR_INIT("01JD0000000000000000000003") },
};

static void answer_plain(const struct baseline *baseline, struct dep_net_exchange *exchange)
{
    struct dep_net_answer answer = { .status = 200, .body = DEP_STR("") };

    if (baseline->has_headers) {
        answer.headers = identity;
        answer.headers_count = sizeof(identity) / sizeof(identity[0]);
    }
    dep_net_reply(exchange, &answer);
}

static void answer_signed(struct baseline *baseline, struct dep_net_exchange *exchange, struct worker *worker)
{
    static const struct dep_header headers[] = { { DEP_STR_INIT("Content-Type"), DEP_STR_INIT("application/json") },
                                                 { DEP_STR_INIT("Cache-Control"), DEP_STR_INIT("no-store") } };
    uint64_t count = worker->count++;
    struct dep_str payload, record;
    struct dep_job *job;
    struct dep_buf body;

    payload = filled(worker->payload, exchange->worker, count, baseline->payload_bytes);
    record = filled(worker->record, exchange->worker, count, baseline->record_bytes);
    dep_buf_init(&body, worker->body, TEXT_MAX);
    dep_buf_put_c(&body, "{\"access_token\":\"");
    DEP_ASSERT(dep_is_ok(dep_jws_sign(worker->crypto, baseline->key, DEP_STR("at+jwt"), DEP_STR("bench"),
                                      DEP_STR_ABSENT, payload, &body)));
    dep_buf_put_c(&body, "\",\"token_type\":\"Bearer\",\"expires_in\":300}");
    DEP_ASSERT(!body.has_failed);
    job = dep_job_new(NULL, 0, record.len + body.len);
    DEP_ASSERT(job != NULL);
    job->exchange = exchange;
    job->line.json = dep_job_text(job, record);
    dep_merkle_leaf(worker->crypto, job->line.json, job->line.leaf);
    job->status = 200;
    memcpy(job->headers, headers, sizeof(headers));
    job->headers_count = 2;
    job->body = dep_job_text(job, dep_buf_str(&body));
    job->id = DEP_STR("00000000000000000000000000");
    dep_net_defer(exchange);
    DEP_ASSERT(dep_is_ok(dep_writer_push(baseline->writer, job)));
}

static void handle(void *context, struct dep_net_exchange *exchange)
{
    struct baseline *baseline = context;
    struct worker *worker = &baseline->workers[exchange->worker];

    if (baseline->verifies)
        verify_sample(baseline, worker);
    if (baseline->is_plain)
        answer_plain(baseline, exchange);
    else
        answer_signed(baseline, exchange, worker);
}

/* A proof-sized text and its signature. */
static bool make_sample(struct baseline *baseline, struct dep_arena *arena)
{
    struct dep_buf buf;
    struct dep_str x, y;
    unsigned char signature[DEP_SIGNATURE_MAX];
    size_t len = 0;

    dep_buf_init_arena(&buf, arena, 1024);
    for (unsigned i = 0; i < 420; i++)
        dep_buf_put_char(&buf, (char)('a' + i % 26));
    baseline->sample = dep_buf_str(&buf);
    if (!dep_is_ok(dep_sign(baseline->workers[0].crypto, baseline->key, baseline->sample, signature, &len)) ||
        !dep_is_ok(dep_private_key_parts(baseline->key, arena, &x, &y)))
        return false;
    baseline->sample_der_len = bare_der(dep_str((const char *)signature, len), baseline->sample_der);
    for (unsigned i = 0; i < baseline->workers_count; i++) {
        baseline->workers[i].bare = bare_new(x, y);
        if (baseline->workers[i].bare == NULL)
            return false;
    }
    return true;
}

static bool open_log(struct baseline *baseline)
{
    struct dep_audit_config audit = { .directory = baseline->directory,
                                      .origin = DEP_STR("deputy/baseline"),
                                      .segment_bytes_max = INT64_C(64) << 20 };
    struct dep_writer_config config = { .waiting_max = 65536 };

    if (!dep_is_ok(dep_private_key_new(DEP_ALG_ED25519, &baseline->log_key)))
        return false;
    audit.key = baseline->log_key;
    if (!dep_is_ok(dep_audit_open(&audit, &baseline->log)))
        return false;
    config.log = baseline->log;
    return dep_is_ok(dep_writer_start(&config, &baseline->writer));
}

static bool start(struct baseline *baseline)
{
    struct dep_net_config config = { .address = baseline->listen,
                                     .workers = baseline->workers_count,
                                     .connections_max = 1024,
                                     .body_bytes_max = 65536,
                                     .idle_timeout_s = 60,
                                     .handle = handle,
                                     .context = baseline };
    struct dep_arena arena;

    for (unsigned i = 0; i < baseline->workers_count; i++) {
        baseline->workers[i].crypto = dep_crypto_new();
        if (baseline->workers[i].crypto == NULL)
            return false;
    }
    dep_arena_init(&arena, baseline->sample_memory, sizeof(baseline->sample_memory));
    return dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &baseline->key)) && make_sample(baseline, &arena) &&
           (baseline->is_plain || open_log(baseline)) && dep_is_ok(dep_net_server_start(&config, &baseline->server));
}

static void stop(struct baseline *baseline)
{
    if (baseline->server != NULL)
        dep_net_server_stop(baseline->server, 1000);
    dep_writer_stop(baseline->writer);
    dep_audit_close(baseline->log);
    for (unsigned i = 0; i < baseline->workers_count; i++) {
        dep_crypto_free(baseline->workers[i].crypto);
        bare_free(baseline->workers[i].bare);
    }
    dep_private_key_free(baseline->key);
    dep_private_key_free(baseline->log_key);
}

static bool read_options(struct baseline *baseline, int argc, char **argv)
{
    static const struct option options[] = {
        { "listen", required_argument, NULL, 'l' },
        { "data", required_argument, NULL, 'd' },
        { "none", no_argument, NULL, 'n' },
        { "verify", no_argument, NULL, 'v' },
        { "headers", no_argument, NULL, 'h' },
        { "payload", required_argument, NULL, 'p' },
        { "record", required_argument, NULL, 'r' },
        { "workers", required_argument, NULL, 'w' },
        { NULL, 0, NULL, 0 },
    };
    int64_t number = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p' || option == 'r' || option == 'w')
            if (!dep_is_ok(dep_num_parse(dep_str_c(optarg), 1, option == 'w' ? WORKERS_MAX : 4096, &number)))
                return false;
        switch (option) {
        case 'l':
            baseline->listen = dep_str_c(optarg);
            break;
        case 'd':
            baseline->directory = optarg;
            break;
        case 'n':
            baseline->is_plain = true;
            break;
        case 'v':
            baseline->verifies = true;
            break;
        case 'h':
            baseline->has_headers = true;
            break;
        case 'p':
            baseline->payload_bytes = (size_t)number;
            break;
        case 'r':
            baseline->record_bytes = (size_t)number;
            break;
        case 'w':
            baseline->workers_count = (unsigned)number;
            break;
        default:
            return false;
        }
    }
    return optind == argc && (baseline->is_plain || baseline->directory != NULL);
}

int main(int argc, char **argv)
{
    static struct baseline baseline = { .payload_bytes = 420, .record_bytes = 700, .workers_count = 1 };
    sigset_t signals;
    int got;

    baseline.listen = DEP_STR("127.0.0.1:0");
    if (!read_options(&baseline, argc, argv)) {
        (void)fputs("usage: baseline [--listen ADDRESS] [--workers 1] [--verify] (--none [--headers] | --data "
                    "DIRECTORY [--payload BYTES] "
                    "[--record BYTES])\n",
                    stderr);
        return 2;
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (!start(&baseline)) {
        (void)fputs("baseline: cannot start\n", stderr);
        return 1;
    }
    (void)printf("ready %u\n", dep_net_server_port(baseline.server));
    (void)fflush(stdout);
    (void)sigwait(&signals, &got);
    stop(&baseline);
    return 0;
}

/* For tests: a small issuer on loopback (metadata, JWKS, revocation feed) whose parts can be broken, and a guard
 * process in a thread that follows it. Requests go over real sockets. */
#ifndef DEP_SIDECAR_SIDECAR_FIXTURE_H
#define DEP_SIDECAR_SIDECAR_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "guard/guard_fixture.h"
#include "base/num.h"
#include "net/fetch.h"
#include "net/server.h"
#include "sidecar/sidecar.h"

#define WAIT_S 10

struct world {
    struct fixture feed; /* arena and crypto of who signs the feed, under the lock; the rest is not used */
    struct fixture keys; /* issuer, client and stranger keys; the rest is not used */
    /* the issuer */
    struct dep_net_server *server;
    char issuer[64];
    pthread_mutex_t lock;
    char jwks[8192];
    char entries[4096]; /* of the feed, JSON objects with commas between */
    int64_t version, keys_version;
    atomic_bool is_feed_down, is_jwks_down, is_metadata_wrong;
    atomic_uint jwks_fetches, feed_polls;
    /* the guard */
    struct dep_sidecar_config config;
    struct dep_str listen;
    char directory[64];
    pthread_t thread;
    pthread_mutex_t started_lock;
    pthread_cond_t started;
    unsigned port;
    int code;
    bool is_over;
    struct dep_fetcher *fetcher;
};

static inline void reply_json(struct dep_net_exchange *exchange, int status, struct dep_str body)
{
    const struct dep_header type = { DEP_STR("Content-Type"), DEP_STR("application/json") };
    const struct dep_net_answer answer = { .status = status, .headers = &type, .headers_count = 1, .body = body };

    dep_net_reply(exchange, &answer);
}

static inline void issuer_feed(struct world *w, struct dep_net_exchange *exchange)
{
    int64_t after = 0;
    struct dep_str body;

    atomic_fetch_add(&w->feed_polls, 1);
    (void)dep_is_ok(dep_num_parse(dep_str_sub(exchange->query, 6, 20), 0, INT64_MAX, &after));
    pthread_mutex_lock(&w->lock);
    body = sign_feed(
        &w->feed, w->keys.issuer, "k1",
        fmt(&w->feed, "{\"iss\":\"%s\",\"iat\":%lld,\"version\":%lld,\"full\":%s,\"jwks\":\"%llx\",\"entries\":[%s]}",
            w->issuer, (long long)time(NULL), (long long)w->version, after == 0 ? "true" : "false",
            (long long)w->keys_version, after < w->version ? w->entries : ""));
    reply_json(exchange, atomic_load(&w->is_feed_down) ? 500 : 200, body);
    dep_arena_reset(&w->feed.arena);
    pthread_mutex_unlock(&w->lock);
}

static inline void issuer_handle(void *context, struct dep_net_exchange *exchange)
{
    struct world *w = context;
    char body[8192];
    int len = 0;

    if (dep_str_eq(exchange->path, DEP_STR("/revocations"))) {
        issuer_feed(w, exchange);
    } else if (dep_str_eq(exchange->path, DEP_STR("/.well-known/oauth-authorization-server"))) {
        len = snprintf(body, sizeof(body), "{\"issuer\":\"%s%s\",\"jwks_uri\":\"%s/jwks\"}", w->issuer,
                       atomic_load(&w->is_metadata_wrong) ? "/" : "", w->issuer);
        reply_json(exchange, 200, dep_str(body, (size_t)len));
    } else if (dep_str_eq(exchange->path, DEP_STR("/jwks"))) {
        atomic_fetch_add(&w->jwks_fetches, 1);
        pthread_mutex_lock(&w->lock);
        len = snprintf(body, sizeof(body), "%s", w->jwks);
        pthread_mutex_unlock(&w->lock);
        reply_json(exchange, atomic_load(&w->is_jwks_down) ? 500 : 200, dep_str(body, (size_t)len));
    } else {
        reply_json(exchange, 404, DEP_STR("{}"));
    }
}

/* {"keys":[...]} with the public half of `key` under `kid`, and `more` behind it. */
static inline void publish(struct world *w, const struct dep_private_key *key, const char *kid, const char *more)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    pthread_mutex_lock(&w->lock);
    dep_buf_init(&buf, w->jwks, sizeof(w->jwks) - 1);
    dep_buf_put_c(&buf, "{\"keys\":[");
    dep_json_begin(&writer, &buf);
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, &w->keys.arena, key, dep_str_c(kid))));
    dep_buf_put_c(&buf, more);
    dep_buf_put_c(&buf, "]}");
    DEP_ASSERT(!buf.has_failed);
    w->jwks[buf.len] = '\0';
    pthread_mutex_unlock(&w->lock);
}

static inline void tell_revoked(struct world *w, const char *kind, const char *id)
{
    pthread_mutex_lock(&w->lock);
    (void)snprintf(w->entries, sizeof(w->entries), "{\"kind\":\"%s\",\"id\":\"%s\",\"before\":%lld,\"expires\":%lld}",
                   kind, id, (long long)time(NULL), (long long)time(NULL) + 600);
    w->version++;
    pthread_mutex_unlock(&w->lock);
}

static inline void start_issuer(struct world *w)
{
    const struct dep_net_config net = { .address = DEP_STR("127.0.0.1:0"),
                                        .workers = 2,
                                        .connections_max = 64,
                                        .body_bytes_max = 4096,
                                        .idle_timeout_s = 30,
                                        .handle = issuer_handle,
                                        .context = w };

    *w = (struct world){ .version = 1 };
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->started_lock, NULL);
    pthread_cond_init(&w->started, NULL);
    set_up(&w->keys);
    dep_arena_init_debug(&w->feed.arena, 1u << 20);
    w->feed.crypto = dep_crypto_new();
    DEP_ASSERT(w->feed.crypto != NULL);
    DEP_ASSERT(dep_is_ok(dep_net_server_start(&net, &w->server)));
    (void)snprintf(w->issuer, sizeof(w->issuer), "http://127.0.0.1:%u", dep_net_server_port(w->server));
    publish(w, w->keys.issuer, "k1", "");
    (void)snprintf(w->directory, sizeof(w->directory), "/tmp/deputy-guard-test-XXXXXX");
    DEP_ASSERT(mkdtemp(w->directory) != NULL);
    w->fetcher = dep_fetcher_new(-1);
    w->listen = DEP_STR("127.0.0.1:0");
    dep_sidecar_config_init(&w->config);
    w->config.resource = DEP_STR(RESOURCE);
    w->config.issuer = dep_str_c(w->issuer);
    w->config.listen = &w->listen;
    w->config.listen_count = 1;
    w->config.scopes = DEP_STR("read");
    w->config.client_id = DEP_STR("guard");
    w->config.client_secret = dep_secret("se:cret", 7);
    w->config.audit_directory = w->directory;
    w->config.may_loopback = true;
    w->config.workers = 2;
    w->config.stop_fd = eventfd(0, EFD_CLOEXEC);
}

static inline void on_listen(void *context, const unsigned *ports, size_t count)
{
    struct world *w = context;

    (void)count;
    pthread_mutex_lock(&w->started_lock);
    w->port = ports[0];
    pthread_cond_signal(&w->started);
    pthread_mutex_unlock(&w->started_lock);
}

static inline void *run_guard(void *context)
{
    struct world *w = context;
    int code = dep_sidecar_run(&w->config);

    pthread_mutex_lock(&w->started_lock);
    w->code = code;
    w->is_over = true;
    pthread_cond_signal(&w->started);
    pthread_mutex_unlock(&w->started_lock);
    return NULL;
}

/* Starts the guard and waits until it listens, or is over. */
static inline void start_guard(struct world *w)
{
    w->config.on_listen = on_listen;
    w->config.context = w;
    w->port = 0;
    w->is_over = false;
    DEP_ASSERT(pthread_create(&w->thread, NULL, run_guard, w) == 0);
    pthread_mutex_lock(&w->started_lock);
    while (w->port == 0 && !w->is_over)
        pthread_cond_wait(&w->started, &w->started_lock);
    pthread_mutex_unlock(&w->started_lock);
}

static inline int stop_guard(struct world *w)
{
    uint64_t one = 1;

    DEP_ASSERT(write(w->config.stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
    pthread_join(w->thread, NULL);
    DEP_ASSERT(read(w->config.stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
    return w->code;
}

static inline void stop_issuer(struct world *w)
{
    char command[128];

    dep_net_server_stop(w->server, 2000);
    dep_fetcher_free(w->fetcher);
    close(w->config.stop_fd);
    tear_down(&w->keys);
    dep_crypto_free(w->feed.crypto);
    dep_arena_reset(&w->feed.arena);
    (void)snprintf(command, sizeof(command), "rm -r %s", w->directory);

    FILE *pipe = popen(command, "r");

    if (pipe != NULL)
        pclose(pipe);
}

/* A token of now, by `key` under `kid`. */
static inline struct dep_str mint(struct world *w, const struct dep_private_key *key, const char *kid, const char *jti,
                                  const char *more)
{
    return sign_raw(&w->keys, key, fmt(&w->keys, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid),
                    fmt(&w->keys,
                        "{\"iss\":\"%s\",\"sub\":\"agent:A\",\"aud\":\"" RESOURCE
                        "\",\"client_id\":\"C\",\"iat\":%lld,\"exp\":%lld,"
                        "\"jti\":\"%s\",\"scope\":\"read\"%s}",
                        w->issuer, (long long)time(NULL), (long long)time(NULL) + 300, jti, more));
}

static inline struct dep_str mint_bound(struct world *w, const char *jti)
{
    return mint(w, w->keys.issuer, "k1", jti,
                fmt(&w->keys, ",\"cnf\":{\"jkt\":\"%.*s\"}", DEP_STR_ARG(w->keys.jkt)).ptr);
}

/* One request to the guard. The answer's slices live until dep_fetch_answer_done(). */
static inline struct dep_fetch_answer call(struct world *w, struct dep_fetcher *fetcher, const char *path,
                                           const struct dep_header *headers, size_t count)
{
    const struct dep_fetch_policy policy = { .may_loopback = true,
                                             .body_bytes_max = 65536,
                                             .timeout_ms = WAIT_S * 1000 };
    struct dep_fetch_request request = { .headers = headers, .headers_count = count };
    struct dep_fetch_answer answer = { 0 };
    char url[256];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", w->port, path);
    request.url = dep_str_c(url);
    if (!dep_is_ok(dep_fetch(fetcher, &policy, &request, &answer)))
        answer.status = -1;
    return answer;
}

static inline struct dep_str header_of(const struct dep_fetch_answer *answer, const char *name)
{
    struct dep_str value = DEP_STR_ABSENT;

    (void)dep_is_ok(dep_header_one(answer->headers, answer->headers_count, dep_str_c(name), &value));
    return value;
}

/* Asks about POST /mcp as nginx does; the headers' values may be absent. */
static inline struct dep_fetch_answer ask_guard(struct world *w, struct dep_fetcher *fetcher,
                                                struct dep_str authorization, struct dep_str proof)
{
    struct dep_header headers[4] = { { DEP_STR("X-Original-Method"), DEP_STR("POST") },
                                     { DEP_STR("X-Original-URL"), DEP_STR("http://evil.example/mcp?q=1") } };
    size_t count = 2;

    if (!dep_str_is_absent(authorization))
        headers[count++] = (struct dep_header){ DEP_STR("Authorization"), authorization };
    if (!dep_str_is_absent(proof))
        headers[count++] = (struct dep_header){ DEP_STR("DPoP"), proof };
    return call(w, fetcher, "/authz/auth-request", headers, count);
}

static inline int status_for(struct world *w, struct dep_str token)
{
    struct dep_fetch_answer answer =
        ask_guard(w, w->fetcher, fmt(&w->keys, "Bearer %.*s", DEP_STR_ARG(token)), DEP_STR_ABSENT);
    int status = answer.status;

    dep_fetch_answer_done(&answer);
    return status;
}

/* Asks again and again until the status is the wanted one; the milliseconds it took, or -1. */
static inline int64_t wait_for_status(struct world *w, struct dep_str token, int status)
{
    struct timespec start, now, pause = { 0, 10 * 1000000 };
    int64_t ms = 0;

    clock_gettime(CLOCK_MONOTONIC, &start);
    while (status_for(w, token) != status) {
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        ms = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
        if (ms > WAIT_S * 1000)
            return -1;
    }
    return ms;
}

#endif

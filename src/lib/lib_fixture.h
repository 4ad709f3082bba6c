/* For tests: a small issuer in memory whose parts can be broken, a guard that follows it through deputy_guard_fetch_next(), and
 * requests. The clock is the real one. */
#ifndef DEP_LIB_LIB_FIXTURE_H
#define DEP_LIB_LIB_FIXTURE_H

#include <pthread.h>
#include <time.h>

#include <deputy/deputy.h>

#include "base/num.h"
#include "guard/guard_fixture.h"

#define ISSUER "https://as.example"
#define RECORDS_MAX 65536u

struct world {
    struct fixture keys; /* issuer, client and stranger keys; the rest is not used */
    struct fixture
        desk; /* where answers are signed, perhaps by another thread: arena and crypto, the rest is not used */
    char issuer[64];
    char jwks[8192];
    char entries[4096]; /* of the feed, JSON objects with commas between */
    int64_t version, keys_version;
    bool is_feed_down, is_jwks_down;
    unsigned fetches[3]; /* by kind */
    struct deputy_config *config;
    struct deputy_guard *guard;
    pthread_mutex_t lock; /* of the records */
    char records[RECORDS_MAX];
    size_t records_len, records_count;
    bool is_record_broken;
};

/* {"keys":[...]} with the public half of `key` under `kid`. */
static inline void publish(struct world *w, const struct dep_private_key *key, const char *kid)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init(&buf, w->jwks, sizeof(w->jwks) - 1);
    dep_buf_put_c(&buf, "{\"keys\":[");
    dep_json_begin(&writer, &buf);
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, &w->keys.arena, key, dep_str_c(kid))));
    dep_buf_put_c(&buf, "]}");
    DEP_ASSERT(!buf.has_failed);
    w->jwks[buf.len] = '\0';
    w->keys_version++;
}

static inline void tell_revoked(struct world *w, const char *kind, const char *id)
{
    (void)snprintf(w->entries, sizeof(w->entries), "{\"kind\":\"%s\",\"id\":\"%s\",\"before\":%lld,\"expires\":%lld}",
                   kind, id, (long long)time(NULL), (long long)time(NULL) + 600);
    w->version++;
}

static inline int keep_record(void *context, const char *line, size_t len)
{
    struct world *w = context;
    bool is_kept;

    pthread_mutex_lock(&w->lock);
    is_kept = !w->is_record_broken && w->records_len + len + 1 < RECORDS_MAX;
    if (is_kept) {
        memcpy(w->records + w->records_len, line, len);
        w->records_len += len;
        w->records[w->records_len++] = '\n';
        w->records_count++;
    }
    pthread_mutex_unlock(&w->lock);
    return is_kept ? 0 : -1;
}

static inline void set(struct world *w, const char *name, const char *value)
{
    DEP_ASSERT(deputy_config_set(w->config, name, value) == DEPUTY_OK);
}

/* An issuer and a good configuration; no guard yet. */
static inline void set_up_world(struct world *w)
{
    memset(w, 0, sizeof(*w));
    pthread_mutex_init(&w->lock, NULL);
    set_up(&w->keys);
    dep_arena_init_debug(&w->desk.arena, 1u << 20);
    w->desk.crypto = dep_crypto_new();
    DEP_ASSERT(w->desk.crypto != NULL);
    w->version = 1;
    (void)snprintf(w->issuer, sizeof(w->issuer), ISSUER);
    publish(w, w->keys.issuer, "k1");
    w->config = deputy_config_new();
    set(w, "resource", RESOURCE);
    set(w, "issuer", ISSUER);
    set(w, "client", "guard");
    set(w, "scope", "read");
    DEP_ASSERT(deputy_config_set_secret(w->config, "secret", "se:cret", 7) == DEPUTY_OK);
    deputy_config_set_record(w->config, keep_record, w);
}

static inline void tear_down_world(struct world *w)
{
    deputy_guard_free(w->guard);
    deputy_config_free(w->config);
    tear_down(&w->keys);
    dep_crypto_free(w->desk.crypto);
    dep_arena_reset(&w->desk.arena);
    pthread_mutex_destroy(&w->lock);
}

/* The issuer's answer to a path with query. The status. */
static inline int issuer_says(struct world *w, struct dep_str path, char *body, size_t size)
{
    static const char feed[] = "/revocations?after=";
    int64_t after = 0;

    body[0] = '\0';
    if (dep_str_starts(path, dep_str_c(feed))) {
        DEP_ASSERT(dep_is_ok(dep_num_parse(dep_str_sub(path, sizeof(feed) - 1, path.len), 0, INT64_MAX, &after)));
        (void)snprintf(
            body, size, "%.*s",
            DEP_STR_ARG(sign_feed(
                &w->desk, w->keys.issuer, "k1",
                fmt(&w->desk,
                    "{\"iss\":\"%s\",\"iat\":%lld,\"version\":%lld,\"full\":%s,\"jwks\":\"%llx\",\"entries\":[%s]}",
                    w->issuer, (long long)time(NULL), (long long)w->version, after == 0 ? "true" : "false",
                    (long long)w->keys_version, after < w->version ? w->entries : ""))));
        dep_arena_reset(&w->desk.arena);
        return w->is_feed_down ? 500 : 200;
    }
    if (dep_str_eq_c(path, "/.well-known/oauth-authorization-server")) {
        (void)snprintf(body, size, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/jwks\"}", w->issuer, w->issuer);
        return 200;
    }
    if (!dep_str_eq_c(path, "/jwks"))
        return 404;
    (void)snprintf(body, size, "%s", w->jwks);
    return w->is_jwks_down ? 500 : 200;
}

/* Answers every fetch that is due now. */
static inline void serve(struct world *w)
{
    struct deputy_fetch *fetch;
    char body[16384];
    int64_t wait_ms;

    while ((fetch = deputy_guard_fetch_next(w->guard, &wait_ms)) != NULL) {
        struct dep_str url = dep_str_c(deputy_fetch_url(fetch));
        int status = issuer_says(w, dep_str_sub(url, strlen(w->issuer), url.len), body, sizeof(body));

        DEP_ASSERT(dep_str_starts(url, dep_str_c(w->issuer)) && strcmp(deputy_fetch_method(fetch), "GET") == 0);
        w->fetches[deputy_fetch_kind(fetch)]++;
        (void)deputy_fetch_answer(fetch, status, body, strlen(body));
    }
}

static inline void start_guard(struct world *w)
{
    enum deputy_result result = deputy_guard_new(w->config, &w->guard);

    if (result != DEPUTY_OK)
        printf("# %s: %s\n", deputy_result_text(result), deputy_config_fault(w->config));
    DEP_ASSERT(result == DEPUTY_OK);
}

/* A guard that knows keys and revocations. */
static inline void start_ready(struct world *w)
{
    start_guard(w);
    serve(w);
    DEP_ASSERT(deputy_guard_trouble(w->guard) == NULL);
}

/* A token of now, by `key` under `kid`. */
static inline struct dep_str mint(struct world *w, const struct dep_private_key *key, const char *kid, const char *jti,
                                  const char *more)
{
    return sign_raw(&w->keys, key, fmt(&w->keys, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid),
                    fmt(&w->keys,
                        "{\"iss\":\"%s\",\"sub\":\"agent:A\",\"aud\":\"" RESOURCE
                        "\",\"client_id\":\"C\",\"iat\":%lld,\"exp\":%lld,\"jti\":\"%s\",\"scope\":\"read list\"%s}",
                        w->issuer, (long long)time(NULL), (long long)time(NULL) + 300, jti, more));
}

static inline struct dep_str mint_good(struct world *w)
{
    return mint(w, w->keys.issuer, "k1", "J1", "");
}

static inline struct dep_str mint_bound(struct world *w)
{
    return mint(w, w->keys.issuer, "k1", "J2",
                fmt(&w->keys, ",\"cnf\":{\"jkt\":\"%.*s\"}", DEP_STR_ARG(w->keys.jkt)).ptr);
}

static inline struct deputy_text text_of(struct dep_str text)
{
    return (struct deputy_text){ text.ptr, text.len };
}

/* A POST to the resource; absent values are headers that are not sent. */
static inline enum deputy_outcome ask_as(struct world *w, struct dep_str authorization, struct dep_str proof,
                                         const char *scopes, unsigned flags, struct deputy_verdict **ret_verdict)
{
    struct deputy_header headers[3] = { { { "Host", 4 }, { "evil.example", 12 } } };
    struct deputy_request request = { .size = sizeof(request),
                                      .method = { "POST", 4 },
                                      .target = { "/mcp?x=1", 8 },
                                      .headers = headers,
                                      .headers_count = 1,
                                      .peer = { "192.0.2.1", 9 },
                                      .scopes = text_of(dep_str_c(scopes)),
                                      .user = w,
                                      .flags = flags };

    if (!dep_str_is_absent(authorization))
        headers[request.headers_count++] = (struct deputy_header){ { "authorization", 13 }, text_of(authorization) };
    if (!dep_str_is_absent(proof))
        headers[request.headers_count++] = (struct deputy_header){ { "DPoP", 4 }, text_of(proof) };
    return deputy_guard_check(w->guard, &request, ret_verdict);
}

static inline enum deputy_outcome ask_bearer_token(struct world *w, struct dep_str token,
                                                   struct deputy_verdict **ret_verdict)
{
    return ask_as(w, fmt(&w->keys, "Bearer %.*s", DEP_STR_ARG(token)), DEP_STR_ABSENT, NULL, 0, ret_verdict);
}

static inline enum deputy_outcome ask_with_proof(struct world *w, struct dep_str token, struct dep_str proof,
                                                 struct deputy_verdict **ret_verdict)
{
    return ask_as(w, fmt(&w->keys, "DPoP %.*s", DEP_STR_ARG(token)), proof, NULL, 0, ret_verdict);
}

/* A proof with a nonce of the guard, so that the restart fence lets it pass. */
static inline struct dep_str proof_of_now(struct world *w, struct dep_str token, struct dep_str nonce)
{
    return proof_for(&w->keys, w->keys.client, "POST", RESOURCE, token, nonce, (int64_t)time(NULL));
}

static inline struct dep_str answer_header(const struct deputy_verdict *verdict, const char *name)
{
    size_t count;
    const struct deputy_header *headers = deputy_verdict_answer(verdict, &count);

    for (size_t i = 0; i < count; i++)
        if (dep_str_eq_c(dep_str(headers[i].name.ptr, headers[i].name.len), name))
            return dep_str(headers[i].value.ptr, headers[i].value.len);
    return DEP_STR_ABSENT;
}

static inline struct dep_str claim_of(const struct deputy_verdict *verdict, enum deputy_claim claim)
{
    struct deputy_text text = deputy_verdict_claim(verdict, claim);

    return dep_str(text.ptr, text.len);
}

#endif

/* From configuration to policy: defaults, checks, and the documents that never change while the guard runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "guard/metadata.h"
#include "proto/scope.h"
#include "sidecar/clock.h"
#include "sidecar/engine.h"

#define TEXTS_MAX 32768u
#define DOCUMENT_MAX 8192u
#define URL_MAX 4096u
#define EXIT_USAGE 2

void dep_sidecar_config_init(struct dep_sidecar_config *config)
{
    *config = (struct dep_sidecar_config){ .stop_fd = -1 };
}

static void or_default(int64_t *value, int64_t otherwise)
{
    if (*value <= 0)
        *value = otherwise;
}

static void fill_defaults(struct dep_sidecar_config *config)
{
    or_default(&config->skew_s, 10);
    or_default(&config->proof_age_max_s, 60);
    or_default(&config->feed_silence_max_s, 10);
    or_default(&config->keys_refresh_s, 300);
    or_default(&config->keys_throttle_s, 10);
    or_default(&config->keys_stale_max_s, 3600);
    config->algs = config->algs == 0 ? DEP_ALGS_ALL : config->algs;
    config->workers = config->workers == 0 ? 1 : config->workers;
    config->connections_max = config->connections_max == 0 ? 1024 : config->connections_max;
    config->tokens_max = config->tokens_max == 0 ? 8192 : config->tokens_max;
    config->proofs_max = config->proofs_max == 0 ? 2000000 : config->proofs_max;
    if (dep_str_is_absent(config->scopes_offered))
        config->scopes_offered = config->scopes;
}

static int unusable(const char *what)
{
    fprintf(stderr, "deputy guard: %s\n", what);
    return EXIT_USAGE;
}

static bool is_base_url(struct dep_str text, bool may_have_path)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(text, &url)) && dep_str_is_absent(url.query) && dep_str_is_absent(url.fragment) &&
           dep_str_is_absent(url.userinfo) &&
           (may_have_path || url.path.len == 0 || dep_str_eq(url.path, DEP_STR("/"))) &&
           (dep_str_eq_nocase(url.scheme, DEP_STR("https")) || dep_str_eq_nocase(url.scheme, DEP_STR("http")));
}

/* A guard that does not know what it guards, for whom, or where to ask, does not start (attack case O09). */
static int check(const struct dep_sidecar_config *config)
{
    struct dep_url issuer;

    if (dep_str_is_blank(config->resource) || !is_base_url(config->resource, true))
        return unusable("--resource: an absolute http(s) URL without query and fragment is needed");
    if (dep_str_is_blank(config->issuer) || !is_base_url(config->issuer, true))
        return unusable("--issuer: the authorization server's issuer URL is needed");
    if (!dep_is_ok(dep_url_parse(config->issuer, &issuer)) || (!dep_str_eq_nocase(issuer.scheme, DEP_STR("https")) &&
                                                               !(config->may_loopback && dep_url_is_loopback(&issuer))))
        return unusable("--issuer: https is needed; plain http goes over loopback only, and only when that is allowed");
    if (!dep_str_is_blank(config->public_url) && !is_base_url(config->public_url, false))
        return unusable("--public-url: a scheme and an authority are needed, as in https://api.example");
    if (!dep_str_is_blank(config->scopes) && !dep_is_ok(dep_scope_check(config->scopes)))
        return unusable("--scope: not a list of scopes");
    if (dep_str_is_blank(config->client_id) || config->client_secret.len == 0)
        return unusable("the revocation feed needs the resource's client: an id and a secret");
    if (config->audit_directory == NULL || config->audit_directory[0] == '\0')
        return unusable("a directory for the audit log is needed");
    return 0;
}

static struct dep_res origin_of(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_origin)
{
    struct dep_str url;

    DEP_TRY(dep_url_normalise(arena, text, &url)); /* "https://host[:port]/path" */

    size_t authority = dep_str_find(url, '/') + 2;

    *ret_origin = dep_str_sub(url, 0, authority + dep_str_find(dep_str_sub(url, authority, url.len), '/'));
    return DEP_OK;
}

static struct dep_res make_texts(struct dep_engine *engine)
{
    const struct dep_sidecar_config *config = &engine->config;
    const struct dep_guard_metadata metadata = { config->resource, config->resource_name, config->issuer,
                                                 config->scopes_offered, config->needs_dpop };
    struct dep_buf document, url, node;

    DEP_TRY(origin_of(&engine->arena, dep_str_is_blank(config->public_url) ? config->resource : config->public_url,
                      &engine->policy.origin));
    dep_buf_init_arena(&url, &engine->arena, URL_MAX);
    DEP_TRY(dep_guard_metadata_url(&url, engine->policy.origin, config->resource));
    engine->policy.resource_metadata = dep_buf_str(&url);
    engine->metadata_path = dep_str_sub(dep_buf_str(&url), engine->policy.origin.len, url.len);
    dep_buf_init_arena(&document, &engine->arena, DOCUMENT_MAX);
    dep_guard_metadata_put(&document, &metadata);
    engine->metadata = dep_buf_str(&document);
    dep_buf_init_arena(&node, &engine->arena, URL_MAX);
    dep_buf_put_c(&node, "guard ");
    dep_buf_put(&node, config->resource);
    engine->node = dep_buf_str(&node);
    return document.has_failed || node.has_failed ? DEP_FAIL(BUF_FULL) : DEP_OK;
}

static void make_policy(struct dep_engine *engine)
{
    const struct dep_sidecar_config *config = &engine->config;

    dep_random(engine->nonce_key, sizeof(engine->nonce_key));
    engine->nonce =
        (struct dep_nonce_policy){ dep_secret(engine->nonce_key, sizeof(engine->nonce_key)), config->resource, 60 };
    engine->policy.scopes = config->scopes;
    engine->policy.token = (struct dep_token_policy){ config->issuer, config->resource, config->algs, config->skew_s };
    engine->policy.dpop = (struct dep_dpop_policy){ .age_max_s = config->proof_age_max_s,
                                                    .skew_s = config->skew_s,
                                                    .fence = dep_clock_unix(),
                                                    .needs_nonce = config->needs_nonce,
                                                    .nonce = &engine->nonce };
    engine->policy.needs_dpop = config->needs_dpop;
    engine->policy.feed_silence_max_s = config->feed_silence_max_s;
}

int dep_engine_prepare(struct dep_engine *engine, const struct dep_sidecar_config *config)
{
    int failed;

    engine->stop_fd = -1;
    engine->config = *config;
    fill_defaults(&engine->config);
    failed = check(&engine->config);
    if (failed != 0)
        return failed;
    engine->memory = malloc(TEXTS_MAX);
    if (engine->memory == NULL)
        return unusable("out of memory");
    dep_arena_init(&engine->arena, engine->memory, TEXTS_MAX);
    if (!dep_is_ok(make_texts(engine)))
        return unusable("--resource or --public-url: too long");
    make_policy(engine);
    return 0;
}

bool dep_engine_worker_init(struct dep_engine_worker *worker, size_t tokens_max)
{
    *worker = (struct dep_engine_worker){ .random_at = DEP_WORKER_RANDOM };
    worker->crypto = dep_crypto_new();
    worker->memory = calloc(1, DEP_WORKER_ARENA_BYTES);
    worker->seen = dep_guard_seen_new(tokens_max);
    dep_arena_init_zero(&worker->arena, worker->memory, worker->memory == NULL ? 0 : DEP_WORKER_ARENA_BYTES);
    return worker->crypto != NULL && worker->memory != NULL && worker->seen != NULL;
}

void dep_engine_worker_done(struct dep_engine_worker *worker)
{
    if (worker->crypto != NULL)
        dep_crypto_free(worker->crypto);
    dep_guard_seen_free(worker->seen);
    dep_hold_done(&worker->keys);
    dep_hold_done(&worker->feed);
    free(worker->memory);
}

/* From configuration to policy: defaults, checks, and the documents that never change while the guard runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/setup.h"
#include "net/clock.h"
#include "sidecar/engine.h"

#define TEXTS_MAX 32768u
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
    or_default(&config->replay_timeout_ms, 2000);
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

static struct dep_guard_setup setup_of(const struct dep_sidecar_config *config)
{
    return (struct dep_guard_setup){ config->resource,    config->resource_name, config->issuer,
                                     config->public_url,  config->scopes,        config->scopes_offered,
                                     config->needs_dpop,  config->may_loopback,  config->has_rsa_proofs,
                                     config->certificates };
}

static int check(const struct dep_sidecar_config *config)
{
    const struct dep_guard_setup setup = setup_of(config);
    struct dep_guard_fault fault = dep_guard_setup_check(&setup);

    if (fault.text != NULL) {
        fprintf(stderr, "deputy guard: --%s: %s\n", fault.setting, fault.text);
        return EXIT_USAGE;
    }
    if (config->nonce_key.len != 0 && config->nonce_key.len != DEP_SHA256_LEN)
        return unusable("--nonce-key: 32 bytes are needed");
    if (config->rules != NULL && config->rules->has_mcp && !config->rules->mcp_headers_count)
        return unusable(
            "rules about MCP messages: this guard sees no bodies, so the server behind must compare the "
            "Mcp-* headers with them, as version 2026-07-28 demands; if it does, say mcp_headers: compared");
    if (dep_str_is_blank(config->client_id) || config->client_secret.len == 0)
        return unusable("the revocation feed needs the resource's client: an id and a secret");
    if (config->audit_directory == NULL || config->audit_directory[0] == '\0')
        return unusable("a directory for the audit log is needed");
    return 0;
}

static struct dep_res make_texts(struct dep_engine *engine)
{
    const struct dep_guard_setup setup = setup_of(&engine->config);
    struct dep_guard_texts texts;

    DEP_TRY(dep_guard_texts(&engine->arena, &setup, &texts));
    engine->policy.origin = texts.origin;
    engine->policy.resource_metadata = texts.metadata_url;
    engine->metadata_path = texts.metadata_path;
    engine->metadata = texts.metadata;
    engine->node = texts.node;
    engine->log_origin = texts.log_origin;
    return DEP_OK;
}

static void make_policy(struct dep_engine *engine)
{
    const struct dep_sidecar_config *config = &engine->config;

    if (config->nonce_key.len > 0)
        memcpy(engine->nonce_key, config->nonce_key.bytes, sizeof(engine->nonce_key));
    else
        dep_random(engine->nonce_key, sizeof(engine->nonce_key));
    /* Guards of one resource understand each other's nonces; those of another resource, and the server, do not. */
    engine->nonce =
        (struct dep_nonce_policy){ dep_secret(engine->nonce_key, sizeof(engine->nonce_key)), engine->node, 60 };
    engine->policy.scopes = config->scopes;
    engine->policy.rules = config->rules;
    engine->policy.token = (struct dep_token_policy){ config->issuer, config->resource, config->algs, config->skew_s };
    engine->policy.dpop = (struct dep_dpop_policy){ .age_max_s = config->proof_age_max_s,
                                                    .skew_s = config->skew_s,
                                                    .fence = dep_clock_unix(),
                                                    .needs_nonce = config->needs_nonce,
                                                    .algs = config->has_rsa_proofs ? DEP_ALGS_DPOP_RSA : DEP_ALGS_DPOP,
                                                    .nonce = &engine->nonce };
    engine->policy.needs_dpop = config->needs_dpop;
    engine->policy.certificates = config->certificates;
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

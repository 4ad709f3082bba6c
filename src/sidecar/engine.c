/* The parts of the engine: started in order, stopped in the opposite one. */
#include "sidecar/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/clock.h"

#define EXIT_USAGE 2
#define EXIT_UNAVAILABLE 6

static int unavailable(const char *what)
{
    fprintf(stderr, "deputy guard: %s\n", what);
    return EXIT_UNAVAILABLE;
}

static void keys_changed(void *context)
{
    const struct dep_engine *engine = context;

    dep_keys_hint(engine->keys);
}

int64_t dep_engine_proof_life_s(const struct dep_engine *engine)
{
    return engine->config.proof_age_max_s + 2 * engine->config.skew_s;
}

/* What was used before the store was empty must not be used again; the log says until when, so that a clock that was set
 * back does not reopen the past (attack case B37). A shared store is older than this process and knows what was used since; only
 * a clock that runs behind the log says that it may not. Where the store is durable, only what this guard may have accepted
 * before it had that store is fenced. */
static void raise_fence(struct dep_engine *engine, int64_t last)
{
    int64_t known = engine->shared_replay == NULL ? engine->policy.dpop.fence : dep_clock_unix();

    if (last > known || (engine->replay != NULL && engine->replay->is_durable))
        engine->policy.dpop.fence = last;
}

static void tell(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "deputy guard: replay store: %s\n", text);
}

static int open_replay(struct dep_engine *engine)
{
    const struct dep_sidecar_config *config = &engine->config;
    int64_t life_s = config->proof_age_max_s + config->skew_s; /* of a proof from its iat on */
    const struct dep_replay_postgres_config postgres = {
        .conninfo = config->replay_conninfo,
        .life_max_s = life_s,
        .skew_s = config->skew_s,
        .timeout_ms = config->replay_timeout_ms,
        .is_alone = config->replay_is_alone,
        .tell = tell,
    };
    struct dep_res res = DEP_OK;

    if (engine->shared_replay != NULL)
        return 0;
    if (config->replay_conninfo.len > 0)
        res = dep_replay_postgres_new(&postgres, &engine->replay);
    else if (config->replay_file != NULL)
        res = dep_replay_sqlite_new(config->replay_file, config->proofs_max, dep_engine_proof_life_s(engine),
                                    &engine->replay);
    else
        engine->replay = dep_replay_memory_new(config->proofs_max, dep_engine_proof_life_s(engine));
    if (res.err == DEP_ERR_CONFIG_SYNTAX) {
        fprintf(stderr, "deputy guard: --replay: that is no connection string of PostgreSQL\n");
        return EXIT_USAGE;
    }
    if (!dep_is_ok(res) && config->replay_file != NULL) {
        fprintf(stderr, "deputy guard: --replay: %s: %s\n", config->replay_file, dep_err_text(res.err));
        return EXIT_UNAVAILABLE;
    }
    return engine->replay == NULL ? unavailable("out of memory") : 0;
}

int dep_engine_start(struct dep_engine *engine)
{
    struct dep_res res;
    int64_t last;
    int failed;

    engine->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (engine->stop_fd < 0)
        return unavailable("no more descriptors");
    res = dep_journal_new(engine->config.audit_directory, engine->log_origin, &engine->journal);
    if (!dep_is_ok(res)) {
        fprintf(stderr, "deputy guard: audit log %s: %s\n", engine->config.audit_directory, dep_err_text(res.err));
        return EXIT_UNAVAILABLE;
    }
    failed = open_replay(engine);
    if (failed != 0)
        return failed;
    last = dep_journal_last_time(engine->journal);
    raise_fence(engine, last);
    engine->keys = dep_keys_new(&engine->config, engine->stop_fd);
    if (engine->keys == NULL)
        return unavailable("the threads cannot be started");
    engine->feed =
        dep_guard_feed_new(&engine->config, engine->stop_fd, dep_keys_slot(engine->keys), keys_changed, engine);
    return engine->feed == NULL ? unavailable("the threads cannot be started") : 0;
}

void dep_engine_quiesce(struct dep_engine *engine)
{
    uint64_t one = 1;

    if (engine->stop_fd >= 0 && write(engine->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        fprintf(stderr, "deputy guard: the end cannot be signalled\n");
    if (engine->keys != NULL)
        dep_keys_stop(engine->keys);
    if (engine->replay != NULL)
        dep_replay_store_stop(engine->replay);
}

void dep_engine_done(struct dep_engine *engine)
{
    dep_journal_free(engine->journal);
    dep_guard_feed_free(engine->feed);
    dep_keys_free(engine->keys);
    dep_replay_store_free(engine->replay);
    if (engine->stop_fd >= 0)
        close(engine->stop_fd);
    dep_wipe(engine->nonce_key, sizeof(engine->nonce_key));
    free(engine->memory);
}

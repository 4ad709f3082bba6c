/* The parts of the engine: started in order, stopped in the opposite one. */
#include "sidecar/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sidecar/clock.h"

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

/* What was used before the store was empty must not be used again. A shared store is older than this process and knows
 * what was used since; only a clock that runs behind the log says that it may not. */
static void raise_fence(struct dep_engine *engine, int64_t last)
{
    int64_t known = engine->shared_replay == NULL ? engine->policy.dpop.fence : dep_clock_unix();

    if (last > known)
        engine->policy.dpop.fence = last;
}

int dep_engine_start(struct dep_engine *engine)
{
    struct dep_res res;
    int64_t last;

    engine->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (engine->stop_fd < 0)
        return unavailable("no more descriptors");
    res = dep_journal_new(engine->config.audit_directory, engine->log_origin, &engine->journal);
    if (!dep_is_ok(res)) {
        fprintf(stderr, "deputy guard: audit log %s: %s\n", engine->config.audit_directory, dep_err_text(res.err));
        return EXIT_UNAVAILABLE;
    }
    /* A clock that was set back must not reopen the past (attack case B37). */
    last = dep_journal_last_time(engine->journal);
    raise_fence(engine, last);
    if (engine->shared_replay == NULL)
        engine->replay = dep_replay_new(engine->config.proofs_max, dep_engine_proof_life_s(engine));
    if (engine->shared_replay == NULL && engine->replay == NULL)
        return unavailable("out of memory");
    engine->keys = dep_keys_new(&engine->config, engine->stop_fd);
    if (engine->keys == NULL)
        return unavailable("the threads cannot be started");
    engine->feed = dep_guard_feed_new(&engine->config, engine->stop_fd, keys_changed, engine);
    return engine->feed == NULL ? unavailable("the threads cannot be started") : 0;
}

void dep_engine_quiesce(struct dep_engine *engine)
{
    uint64_t one = 1;

    if (engine->stop_fd >= 0 && write(engine->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        fprintf(stderr, "deputy guard: the end cannot be signalled\n");
    if (engine->keys != NULL)
        dep_keys_stop(engine->keys);
}

void dep_engine_done(struct dep_engine *engine)
{
    dep_journal_free(engine->journal);
    dep_guard_feed_free(engine->feed);
    dep_keys_free(engine->keys);
    if (engine->replay != NULL)
        dep_replay_free(engine->replay);
    if (engine->stop_fd >= 0)
        close(engine->stop_fd);
    dep_wipe(engine->nonce_key, sizeof(engine->nonce_key));
    free(engine->memory);
}

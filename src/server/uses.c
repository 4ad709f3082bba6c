/* What a decision uses up, and who waits for the replay store. See uses.h. */
#include "server/uses.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "net/clock.h"

/* What was decided longer ago is decided again. */
#define STALE_MS 500

struct asking;

struct item {
    struct dep_replay_entry entry; /* first */
    struct asking *asking;
};

/* A request that waits. Whoever decides the last of its items has it. */
struct asking {
    struct dep_server *server;
    struct dep_net_exchange *exchange;
    struct dep_uses uses;
    struct dep_snapshot *snapshot;
    struct dep_settings *settings;
    struct dep_job *job;
    bool is_token;
    int64_t since_ms;
    char id[DEP_ULID_LEN];
    size_t id_len;
    size_t count;
    _Atomic size_t left;
    struct item items[DEP_EFFECTS_MAX];
};

static bool is_among(const unsigned char (*keys)[DEP_REPLAY_KEY_BYTES], size_t count,
                     const unsigned char key[DEP_REPLAY_KEY_BYTES])
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(keys[i], key, DEP_REPLAY_KEY_BYTES) == 0)
            return true;
    return false;
}

static void add(unsigned char (*keys)[DEP_REPLAY_KEY_BYTES], size_t *count,
                const unsigned char key[DEP_REPLAY_KEY_BYTES])
{
    DEP_ASSERT(*count < DEP_EFFECTS_MAX);
    memcpy(keys[(*count)++], key, DEP_REPLAY_KEY_BYTES);
}

static bool is_owed(const struct dep_uses *uses, const struct dep_effect *effect)
{
    return effect->kind == DEP_EFFECT_REMEMBER && !is_among(uses->own, uses->own_count, effect->key);
}

static struct dep_replay_entry entry_of(const struct dep_effect *effect, int64_t now)
{
    struct dep_replay_entry entry = { .anchor = effect->made, .expires = effect->expires, .now = now };

    memcpy(entry.key, effect->key, sizeof(entry.key));
    return entry;
}

struct dep_res dep_uses_settle(struct dep_server *server, struct dep_uses *uses, const struct dep_decision *decision,
                               int64_t now, bool *ret_owes, const unsigned char **ret_seen)
{
    for (size_t i = 0; i < decision->effects_count; i++) {
        const struct dep_effect *effect = &decision->effects[i];
        struct dep_replay_entry entry = entry_of(effect, now);
        bool is_decided;

        if (!is_owed(uses, effect))
            continue;
        *ret_seen = effect->key;
        if (server->kept != NULL && dep_replay_has(server->kept, effect->key, effect->expires))
            return DEP_FAIL(REPLAY_SEEN);
        if (!dep_replay_store_is_usable(server->replay))
            return DEP_FAIL(REPLAY_GONE);
        if (server->replay->is_durable) {
            *ret_owes = true;
            continue;
        }
        is_decided = dep_replay_store_insert(server->replay, &entry);
        DEP_ASSERT(is_decided);
        DEP_TRY(entry.res);
        add(uses->own, &uses->own_count, effect->key);
    }
    return DEP_OK;
}

static void asking_free(struct asking *asking)
{
    if (asking->job != NULL)
        dep_job_free(asking->job);
    dep_snapshot_unref(asking->snapshot);
    dep_settings_unref(asking->settings);
    free(asking);
}

/* Sorts the answers. Not DEP_OK: one of them is not known. */
static struct dep_res read_answers(struct asking *asking)
{
    struct dep_res res = DEP_OK;

    for (size_t i = 0; i < asking->count; i++) {
        const struct dep_replay_entry *entry = &asking->items[i].entry;

        if (dep_is_ok(entry->res))
            add(asking->uses.own, &asking->uses.own_count, entry->key);
        else if (entry->res.err == DEP_ERR_REPLAY_SEEN)
            add(asking->uses.seen, &asking->uses.seen_count, entry->key);
        else
            res = entry->res;
    }
    return res;
}

static bool is_current(const struct asking *asking)
{
    struct dep_server *server = asking->server;
    bool is;

    (void)pthread_mutex_lock(&server->mutex);
    is = server->snapshot == asking->snapshot && server->settings == asking->settings;
    (void)pthread_mutex_unlock(&server->mutex);
    return is && dep_clock_ms() - asking->since_ms <= STALE_MS;
}

/* All are decided: the prepared answer, or another decision. On the store's thread; or, when nothing could be asked, on the
 * asking one, and then there is only a refusal to give. */
static void finish(struct asking *asking)
{
    struct dep_str id = dep_str(asking->id, asking->id_len);
    struct dep_res res = read_answers(asking);
    bool is_new = asking->uses.seen_count == 0;

    if (dep_is_ok(res) && is_new && is_current(asking)) {
        if (asking->is_token)
            asking->server->replay_worker.tokens++;
        res = dep_writer_push(asking->server->writer, asking->job);
        if (dep_is_ok(res))
            asking->job = NULL;
        else
            dep_server_refuse(asking->exchange, id, res.err);
    } else if (dep_is_ok(res)) {
        dep_server_handle_used(asking->server, asking->exchange, &asking->uses);
    } else {
        dep_server_refuse(asking->exchange, id, res.err);
    }
    asking_free(asking);
}

static void entry_done(struct dep_replay_entry *entry)
{
    struct asking *asking = ((struct item *)entry)->asking;

    if (atomic_fetch_sub(&asking->left, 1) == 1)
        finish(asking);
}

static struct asking *asking_new(struct dep_server *server, const struct dep_uses *uses,
                                 const struct dep_decision *decision, int64_t now)
{
    struct asking *asking = calloc(1, sizeof(*asking));

    if (asking == NULL)
        return NULL;
    asking->server = server;
    asking->uses = *uses;
    asking->since_ms = dep_clock_ms();
    asking->id_len = decision->id.len < sizeof(asking->id) ? decision->id.len : sizeof(asking->id);
    memcpy(asking->id, decision->id.ptr, asking->id_len);
    asking->is_token = decision->answer == DEP_ANSWER_TOKEN;
    for (size_t i = 0; i < decision->effects_count; i++) {
        if (!is_owed(uses, &decision->effects[i]))
            continue;
        asking->items[asking->count].asking = asking;
        asking->items[asking->count].entry = entry_of(&decision->effects[i], now);
        asking->items[asking->count++].entry.done = entry_done;
    }
    atomic_init(&asking->left, asking->count);
    return asking;
}

void dep_uses_ask(struct dep_server *server, struct dep_net_exchange *exchange, const struct dep_uses *uses,
                  const struct dep_decision *decision, struct dep_snapshot *snapshot, struct dep_settings *settings,
                  struct dep_job *job, int64_t now)
{
    struct asking *asking = asking_new(server, uses, decision, now);
    size_t count;

    if (asking == NULL) {
        dep_job_free(job);
        dep_server_refuse(exchange, decision->id, DEP_ERR_OVERLOADED);
        return;
    }
    asking->exchange = exchange;
    asking->job = job;
    asking->snapshot = dep_snapshot_ref(snapshot);
    asking->settings = dep_settings_ref(settings);
    count = asking->count;
    DEP_ASSERT(count > 0);
    dep_net_defer(exchange);
    /* After the last of them it may be gone: an item is looked at by nobody but the store until it is decided. */
    for (size_t i = 0; i < count; i++)
        if (dep_replay_store_insert(server->replay, &asking->items[i].entry))
            entry_done(&asking->items[i].entry);
}

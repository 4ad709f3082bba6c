/* From the store to the first snapshot, and from committed changes to the next one. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/b64.h"
#include "server/server.h"

#define KEPT_MAX 4000000u

struct dep_secret dep_server_unseal_key(const struct dep_server *server)
{
    return server->has_unseal_key ? dep_secret(server->unseal_key, sizeof(server->unseal_key)) : dep_secret(NULL, 0);
}

int64_t dep_server_now(void)
{
    return (int64_t)time(NULL);
}

struct load {
    struct dep_server *server;
    struct dep_snapshot *snapshot;
    struct dep_revocations *revocations;
    struct dep_res res;
    char *message;
};

static bool load_cell(void *context, const struct dep_record *record)
{
    struct load *load = context;
    struct dep_cell *cell = NULL;

    load->res = dep_cell_new(load->server->writer_crypto, dep_server_unseal_key(load->server), record, &cell);
    if (dep_is_ok(load->res))
        load->res = dep_snapshot_put(load->snapshot, cell);
    if (!dep_is_ok(load->res))
        (void)snprintf(load->message, DEP_CONFIG_MESSAGE_MAX, "the record '%.*s' cannot be read: %s",
                       DEP_STR_ARG(record->id),
                       record->kind == DEP_RECORD_KEY ? "is key_encryption_key_file the one it was sealed with?"
                                                      : dep_err_text(load->res.err));
    return dep_is_ok(load->res);
}

static struct dep_res read_revocation(struct dep_str body, struct dep_arena *arena, struct dep_revocation *ret_entry)
{
    struct dep_json *json;

    DEP_TRY(dep_json_parse(arena, body, 4, &json));
    return dep_revocation_read(arena, json, ret_entry);
}

static bool load_revocation(void *context, const struct dep_record *record)
{
    _Alignas(16) unsigned char memory[8192];
    struct load *load = context;
    struct dep_revocation entry;
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    load->res = read_revocation(record->body, &arena, &entry);
    if (dep_is_ok(load->res))
        load->res = dep_revocations_add(load->revocations, &entry);
    return dep_is_ok(load->res);
}

/* What had to survive: uses that the fence would not catch. They are kept apart: the replay store may not be there yet. */
static bool load_replay(void *context, const struct dep_record *record)
{
    struct load *load = context;
    unsigned char key[DEP_REPLAY_KEY_LEN];

    if (load->server->kept == NULL)
        load->server->kept = dep_replay_new(KEPT_MAX, DEP_USE_LIFE_S);
    if (load->server->kept == NULL)
        load->res = DEP_FAIL(ARENA_FULL);
    else if (dep_is_ok(dep_b64url_decode_exact(record->id, key, sizeof(key))))
        load->res = dep_replay_insert(load->server->kept, key, record->expires, dep_server_now());
    if (load->res.err == DEP_ERR_REPLAY_SEEN)
        load->res = DEP_OK;
    return dep_is_ok(load->res);
}

struct dep_res dep_server_load(struct dep_server *server, char message[DEP_CONFIG_MESSAGE_MAX])
{
    static const enum dep_record_kind kinds[] = { DEP_RECORD_AGENT, DEP_RECORD_CLIENT, DEP_RECORD_RESOURCE,
                                                  DEP_RECORD_KEY,   DEP_RECORD_ISSUER, DEP_RECORD_CONSENT };
    struct load load = { .server = server, .message = message };

    DEP_TRY(dep_store_expire(server->store, dep_server_now()));
    load.snapshot = dep_snapshot_new();
    load.revocations = dep_revocations_new(0);
    if (load.snapshot == NULL || load.revocations == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && dep_is_ok(load.res); i++) {
        struct dep_res res = dep_store_walk(server->store, kinds[i], load_cell, &load);

        if (dep_is_ok(load.res))
            load.res = res;
    }
    if (dep_is_ok(load.res))
        load.res = dep_store_walk(server->store, DEP_RECORD_REVOCATION, load_revocation, &load);
    if (dep_is_ok(load.res))
        load.res = dep_store_walk(server->store, DEP_RECORD_REPLAY, load_replay, &load);
    dep_snapshot_set_revocations(load.snapshot, load.revocations);
    if (dep_is_ok(load.res))
        load.res = dep_snapshot_publish(load.snapshot, dep_server_now(), server->key_grace_s);
    if (!dep_is_ok(load.res)) {
        dep_snapshot_unref(load.snapshot);
        return load.res;
    }
    server->snapshot = load.snapshot;
    return DEP_OK;
}

static struct dep_res apply_revocation(struct dep_snapshot *next, const struct dep_record *record)
{
    _Alignas(16) unsigned char memory[8192];
    struct dep_revocation entry;
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_TRY(read_revocation(record->body, &arena, &entry));
    return dep_snapshot_revoke(next, &entry);
}

static struct dep_res apply(struct dep_server *server, struct dep_snapshot *next, const struct dep_change *change)
{
    struct dep_record record = change->record;
    struct dep_cell *cell = NULL;

    if (record.kind == DEP_RECORD_REVOCATION)
        return apply_revocation(next, &record);
    if (change->op == DEP_CHANGE_REMOVE) {
        dep_snapshot_remove(next, record.kind, record.id);
        return DEP_OK;
    }
    record.version = change->op == DEP_CHANGE_ADD ? 1 : record.version + 1;
    DEP_TRY(dep_cell_new(server->writer_crypto, dep_server_unseal_key(server), &record, &cell));
    return dep_snapshot_put(next, cell);
}

static bool is_of_snapshot(enum dep_record_kind kind)
{
    return kind <= DEP_RECORD_REVOCATION || kind == DEP_RECORD_ISSUER || kind == DEP_RECORD_CONSENT;
}

struct dep_feed_signer dep_server_feed_signer(struct dep_crypto *crypto, const struct dep_snapshot *snapshot,
                                              const struct dep_settings *settings)
{
    const struct dep_cell *signer = dep_snapshot_signer(snapshot);

    return (struct dep_feed_signer){
        .crypto = crypto,
        .key = signer == NULL ? NULL : signer->private_key,
        .kid = signer == NULL ? DEP_STR_ABSENT : signer->key.kid,
        .issuer = settings == NULL ? DEP_STR_ABSENT : dep_str_c(settings->config->issuer),
    };
}

/* After the swap: whoever reads the feed's version first and the snapshot then has everything up to that version. */
static void tell_feed(struct dep_server *server, const struct dep_change *changes, size_t count)
{
    struct dep_settings *settings = dep_server_settings(server);
    const struct dep_feed_signer signer = dep_server_feed_signer(server->writer_crypto, server->snapshot, settings);
    _Alignas(16) unsigned char memory[8192];
    struct dep_revocation entry;
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    for (size_t i = 0; i < count; i++) {
        if (changes[i].record.kind == DEP_RECORD_REVOCATION &&
            dep_is_ok(read_revocation(changes[i].record.body, &arena, &entry)))
            dep_feed_add(server->feed, &signer, &entry);
        dep_arena_reset(&arena);
    }
    dep_feed_set_jwks(server->feed, &signer, dep_str_hash(dep_snapshot_jwks(server->snapshot), 0));
    dep_settings_unref(settings);
}

/* Readies the next snapshot and puts it in the place of the last. */
static void swap(struct dep_server *server, struct dep_snapshot *next)
{
    struct dep_res res = dep_snapshot_publish(next, dep_server_now(), server->key_grace_s);
    struct dep_snapshot *last;

    DEP_ASSERT(dep_is_ok(res));
    (void)pthread_mutex_lock(&server->mutex);
    last = server->snapshot;
    server->snapshot = next;
    (void)pthread_mutex_unlock(&server->mutex);
    dep_snapshot_unref(last);
}

void dep_server_publish(void *context, const struct dep_change *changes, size_t count)
{
    struct dep_server *server = context;
    struct dep_snapshot *next = NULL;
    struct dep_res res = DEP_OK;

    for (size_t i = 0; i < count && dep_is_ok(res); i++) {
        if (!is_of_snapshot(changes[i].record.kind))
            continue;
        if (next == NULL)
            next = dep_snapshot_copy(server->snapshot, dep_server_now());
        /* The store has it, memory must have it too: a server that would go on with the old state could keep a banned agent alive. */
        DEP_ASSERT(next != NULL);
        res = apply(server, next, &changes[i]);
    }
    if (next == NULL)
        return;
    DEP_ASSERT(dep_is_ok(res));
    swap(server, next);
    tell_feed(server, changes, count);
}

#define LEDGER_SWEEP_S 60
#define LEDGER_SWEEP_MAX 256
#define CONSENTS_SWEEP_S 60

/* Answers do not stay longer than is published, also when nobody writes. */
static void sweep_ledger(struct dep_server *server)
{
    int count;

    if (dep_server_now() < server->ledger_swept + LEDGER_SWEEP_S)
        return;
    server->ledger_swept = dep_server_now();
    (void)dep_is_ok(dep_ledger_expire(server->ledger, server->ledger_swept, LEDGER_SWEEP_MAX, &count));
}

struct sweep {
    struct dep_snapshot *next; /* NULL until there is something to take out */
    const struct dep_snapshot *last;
    int64_t now;
};

static bool sweep_one(void *context, const struct dep_cell *cell)
{
    struct sweep *sweep = context;

    if (cell->consent.expires > sweep->now)
        return true;
    if (sweep->next == NULL)
        sweep->next = dep_snapshot_copy(sweep->last, sweep->now);
    if (sweep->next != NULL)
        dep_snapshot_remove(sweep->next, DEP_RECORD_CONSENT, cell->id);
    return sweep->next != NULL;
}

/* Consents that have ended leave memory as they leave the store. */
static void sweep_consents(struct dep_server *server)
{
    struct sweep sweep = { .last = server->snapshot, .now = dep_server_now() };

    if (server->consents_swept == 0) /* what was there at the start was looked at when it was loaded */
        server->consents_swept = sweep.now;
    if (sweep.now < server->consents_swept + CONSENTS_SWEEP_S)
        return;
    server->consents_swept = sweep.now;
    (void)dep_is_ok(dep_store_expire(server->store, sweep.now));
    dep_snapshot_walk(server->snapshot, DEP_RECORD_CONSENT, sweep_one, &sweep);
    if (sweep.next != NULL)
        swap(server, sweep.next);
}

void dep_server_tick(void *context)
{
    struct dep_server *server = context;
    struct dep_settings *settings;
    struct dep_feed_signer signer;

    sweep_ledger(server);
    sweep_consents(server);
    if (dep_server_now() >= dep_snapshot_due(server->snapshot)) {
        struct dep_snapshot *next = dep_snapshot_copy(server->snapshot, dep_server_now());

        if (next != NULL) {
            swap(server, next);
            tell_feed(server, NULL, 0);
        }
    }
    settings = dep_server_settings(server);
    signer = dep_server_feed_signer(server->writer_crypto, server->snapshot, settings);
    dep_feed_tick(server->feed, &signer);
    dep_settings_unref(settings);
}

struct dep_res dep_revocation_change(struct dep_arena *arena, const struct dep_revocation *entry,
                                     struct dep_change *ret_change)
{
    struct dep_json_writer writer;
    struct dep_buf id, body;

    dep_buf_init_arena(&id, arena, entry->id.len + 16);
    dep_buf_put_c(&id, dep_revoked_kind_name(entry->kind));
    dep_buf_put_char(&id, ' ');
    dep_buf_put(&id, entry->id);
    dep_buf_init_arena(&body, arena, 6 * entry->id.len + 256);
    dep_json_begin(&writer, &body);
    dep_revocation_write(&writer, entry);
    if (id.has_failed || body.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_change = (struct dep_change){
        .op = DEP_CHANGE_PUT,
        .record = { .kind = DEP_RECORD_REVOCATION,
                    .id = dep_buf_str(&id),
                    .expires = entry->expires,
                    .body = dep_buf_str(&body) },
    };
    return DEP_OK;
}

static struct dep_res put_der(struct dep_arena *arena, struct dep_secret unseal_key, const struct dep_private_key *key,
                              struct dep_key *record)
{
    struct dep_secret der;
    struct dep_str bytes;
    struct dep_buf text;

    DEP_TRY(dep_private_key_der(key, arena, &der));
    bytes = dep_str((const char *)der.bytes, der.len);
    record->is_sealed = unseal_key.len > 0;
    if (record->is_sealed)
        DEP_TRY(dep_seal(unseal_key, record->kid, der, arena, &bytes));
    dep_buf_init_arena(&text, arena, DEP_B64_ENCODED(bytes.len));
    dep_b64url_put(&text, bytes.ptr, bytes.len);
    if (text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    record->der = dep_buf_str(&text);
    return DEP_OK;
}

struct dep_res dep_signing_key_change(struct dep_arena *arena, struct dep_crypto *crypto, struct dep_secret unseal_key,
                                      enum dep_alg alg, enum dep_key_state state, int64_t now,
                                      struct dep_change *ret_change)
{
    struct dep_key record = { .alg = alg, .state = state, .created = now };
    struct dep_private_key *key = NULL;
    struct dep_json_writer writer;
    struct dep_buf body;
    struct dep_res res;

    DEP_TRY(dep_private_key_new(alg, &key));
    res = dep_jwk_jkt_of(arena, crypto, key, &record.kid);
    if (dep_is_ok(res))
        res = put_der(arena, unseal_key, key, &record);
    dep_private_key_free(key);
    DEP_TRY(res);
    dep_buf_init_arena(&body, arena, record.der.len + 1024);
    dep_json_begin(&writer, &body);
    dep_key_write(&writer, &record, true);
    if (body.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_change = (struct dep_change){
        .op = DEP_CHANGE_ADD,
        .record = { .kind = DEP_RECORD_KEY, .id = record.kid, .version = 1, .body = dep_buf_str(&body) },
    };
    return DEP_OK;
}

/* The daemon: opening, serving, reloading, stopping. */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/b64.h"
#include "base/url.h"
#include "net/tls.h"
#include "server/files.h"

#define BODY_BYTES_MAX 65536u
#define IDLE_TIMEOUT_S 30u
#define WAITING_MAX 16384u
#define CONNINFO_MAX 4096u
#define ANCHOR_SKEW_S 60 /* how far ahead of the clock a proof or an assertion may be dated */

struct dep_snapshot *dep_server_snapshot(struct dep_server *server)
{
    struct dep_snapshot *snapshot;

    (void)pthread_mutex_lock(&server->mutex);
    snapshot = dep_snapshot_ref(server->snapshot);
    (void)pthread_mutex_unlock(&server->mutex);
    return snapshot;
}

struct dep_settings *dep_server_settings(struct dep_server *server)
{
    struct dep_settings *settings;

    (void)pthread_mutex_lock(&server->mutex);
    settings = dep_settings_ref(server->settings);
    (void)pthread_mutex_unlock(&server->mutex);
    return settings;
}

static bool open_worker(struct dep_worker *worker)
{
    worker->crypto = dep_crypto_new();
    worker->memory = aligned_alloc(16, DEP_WORKER_ARENA_BYTES);
    if (worker->crypto == NULL || worker->memory == NULL)
        return false;
    dep_arena_init(&worker->arena, worker->memory, DEP_WORKER_ARENA_BYTES);
    return true;
}

static void close_worker(struct dep_worker *worker)
{
    if (worker->memory != NULL)
        dep_arena_reset(&worker->arena);
    dep_crypto_free(worker->crypto);
    free(worker->memory);
}

static struct dep_res make_directory(const char *path, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct stat info;

    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%.300s: cannot create the directory: %s", path,
                       strerror(errno));
        return DEP_FAIL(CONFIG_FILE);
    }
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%.300s: is not a directory", path);
        return DEP_FAIL(CONFIG_FILE);
    }
    if (info.st_mode & 027) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX,
                       "%.300s: permissions %04o are too open: it holds signing keys and the audit log; run chmod 700",
                       path, (unsigned)(info.st_mode & 07777));
        return DEP_FAIL(CONFIG_FILE);
    }
    return DEP_OK;
}

/* A store that others may read would give away keys that are not sealed. */
static struct dep_res check_store_file(const char *path, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct stat info;

    if (stat(path, &info) != 0 || !(info.st_mode & 077))
        return DEP_OK;
    (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX,
                   "%.300s: permissions %04o are too open: it holds signing keys; run chmod 600", path,
                   (unsigned)(info.st_mode & 07777));
    return DEP_FAIL(KEY_FILE);
}

/* Secrets that live in the store's META records, sealed where a key for that is configured. DEP_ERR_STORE_MISSING: not made yet. */
static struct dep_res read_meta(struct dep_server *server, struct dep_arena *arena, struct dep_str id,
                                struct dep_secret *ret_secret)
{
    struct dep_record record;
    struct dep_str bytes;

    DEP_TRY(dep_store_get(server->store, DEP_RECORD_META, id, arena, &record));
    DEP_TRY(dep_b64url_decode(arena, record.body, &bytes));
    *ret_secret = dep_secret_of(bytes);
    return server->has_unseal_key ? dep_unseal(dep_server_unseal_key(server), id, bytes, arena, ret_secret) : DEP_OK;
}

static struct dep_res add_meta(struct dep_server *server, struct dep_arena *arena, struct dep_str id,
                               struct dep_secret secret)
{
    struct dep_str bytes = dep_str((const char *)secret.bytes, secret.len);
    struct dep_buf body;
    size_t failed;

    if (server->has_unseal_key)
        DEP_TRY(dep_seal(dep_server_unseal_key(server), id, secret, arena, &bytes));
    dep_buf_init_arena(&body, arena, DEP_B64_ENCODED(bytes.len));
    dep_b64url_put(&body, bytes.ptr, bytes.len);
    if (body.has_failed)
        return DEP_FAIL(ARENA_FULL);

    const struct dep_change change = {
        .op = DEP_CHANGE_ADD,
        .record = { .kind = DEP_RECORD_META, .id = id, .version = 1, .body = dep_buf_str(&body) },
    };

    return dep_store_commit(server->store, &change, 1, &failed);
}

/* The log's key, which signs checkpoints. */
static struct dep_res load_log_key(struct dep_server *server, struct dep_arena *arena)
{
    struct dep_str id = DEP_STR("audit-key");
    struct dep_secret der;
    struct dep_res res = read_meta(server, arena, id, &der);

    if (dep_is_ok(res))
        return dep_private_key_read(DEP_ALG_ED25519, der, &server->log_key);
    if (res.err != DEP_ERR_STORE_MISSING)
        return res;
    DEP_TRY(dep_private_key_new(DEP_ALG_ED25519, &server->log_key));
    DEP_TRY(dep_private_key_der(server->log_key, arena, &der));
    return add_meta(server, arena, id, der);
}

/* The key of codes and refresh tokens, which outlive a restart. */
static struct dep_res load_ticket_key(struct dep_server *server, struct dep_arena *arena)
{
    struct dep_str id = DEP_STR("ticket-key");
    struct dep_secret key;
    struct dep_res res = read_meta(server, arena, id, &key);

    if (dep_is_ok(res) && key.len != sizeof(server->ticket_key))
        return DEP_FAIL(KEY_FILE);
    if (dep_is_ok(res))
        memcpy(server->ticket_key, key.bytes, key.len);
    if (res.err != DEP_ERR_STORE_MISSING)
        return res;
    dep_random(server->ticket_key, sizeof(server->ticket_key));
    return add_meta(server, arena, id, dep_secret(server->ticket_key, sizeof(server->ticket_key)));
}

/* A server without a key signs nothing: the first start makes one. */
static struct dep_res make_first_key(struct dep_server *server, struct dep_arena *arena,
                                     const struct dep_config *config, char message[DEP_CONFIG_MESSAGE_MAX])
{
    enum dep_alg alg = dep_alg_by_name(dep_str_c(config->signing_alg));
    struct dep_change change;
    size_t failed;

    if (alg == DEP_ALG_NONE) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "signing_alg is '%s'; it may be ES256, EdDSA, RS256 or PS256",
                       config->signing_alg);
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    if (dep_snapshot_signer(server->snapshot) != NULL)
        return DEP_OK;
    DEP_TRY(dep_signing_key_change(arena, server->writer_crypto, dep_server_unseal_key(server), alg, DEP_KEY_ACTIVE,
                                   dep_server_now(), &change));
    DEP_TRY(dep_store_commit(server->store, &change, 1, &failed));
    dep_server_publish(server, &change, 1);
    return DEP_OK;
}

static struct dep_res open_log(struct dep_server *server, const struct dep_config *config, struct dep_arena *arena,
                               char message[DEP_CONFIG_MESSAGE_MAX])
{
    char origin[1200];
    const char *host = strstr(config->issuer, "://");
    struct dep_audit_config log = {
        .directory = server->audit_dir,
        .segment_bytes_max = INT64_C(256) * 1024 * 1024,
    };
    struct dep_res res;

    (void)snprintf(origin, sizeof(origin), "deputy/%s", host == NULL ? config->issuer : host + 3);
    DEP_TRY(load_log_key(server, arena));
    log.origin = dep_str_c(origin);
    log.key = server->log_key;
    res = dep_audit_open(&log, &server->log);
    if (!dep_is_ok(res))
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%.300s: %s; run deputy audit verify", server->audit_dir,
                       dep_err_text(res.err));
    return res;
}

static struct dep_res open_ledger(struct dep_server *server, const struct dep_config *config)
{
    const struct dep_ledger_limits limits = dep_ledger_limits_default();
    char path[1200];

    (void)snprintf(path, sizeof(path), "%s/ledger.db", config->data_dir);
    return dep_ledger_sqlite_new(path, &limits, &server->ledger);
}

static void tell_replay(void *context, const char *text)
{
    (void)context;
    (void)fprintf(stderr, "deputyd: replay store: %s\n", text);
}

static struct dep_res open_replay_postgres(struct dep_server *server, const struct dep_config *config,
                                           char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_replay_postgres_config postgres = {
        .life_max_s = DEP_USE_LIFE_S,
        .skew_s = ANCHOR_SKEW_S,
        .timeout_ms = config->replay_timeout_ms,
        .is_alone = config->replay_alone,
        .tell = tell_replay,
    };
    const char *path = dep_config_replay_postgres(config);
    struct dep_res res;
    char *text = NULL;
    size_t len = 0;

    DEP_TRY(dep_private_file_read(path, CONNINFO_MAX, &text, &len, message));
    postgres.conninfo = dep_secret(text, len);
    res = dep_replay_postgres_new(&postgres, &server->replay);
    dep_wipe(text, len);
    free(text);
    if (res.err == DEP_ERR_CONFIG_SYNTAX)
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%.300s: that is no connection string of PostgreSQL", path);
    return res;
}

static struct dep_res open_replay(struct dep_server *server, const struct dep_config *config,
                                  char message[DEP_CONFIG_MESSAGE_MAX])
{
    size_t entries = (size_t)config->replay_entries_max;
    const char *path = dep_config_replay_sqlite(config);
    struct dep_res res;

    if (dep_config_replay_postgres(config) != NULL)
        return open_replay_postgres(server, config, message);
    if (path == NULL) {
        server->replay = dep_replay_memory_new(entries, DEP_USE_LIFE_S);
        return server->replay == NULL ? DEP_FAIL(ARENA_FULL) : DEP_OK;
    }
    res = dep_replay_sqlite_new(path, entries, DEP_USE_LIFE_S, &server->replay);
    if (!dep_is_ok(res))
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%.300s: the replay store cannot be opened: %s", path,
                       dep_err_text(res.err));
    return res;
}

static struct dep_res open_store(struct dep_server *server, const char *path, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_res res = dep_store_sqlite_new(path, &server->store);

    if (!dep_is_ok(res))
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX,
                       "%.300s: %s; if another deputyd uses this data_dir, stop it or name another", path,
                       dep_err_text(res.err));
    return res;
}

static struct dep_res open_state(struct dep_server *server, const struct dep_config *config, struct dep_arena *arena,
                                 char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_feed_signer signer;
    char path[1200];

    if (config->key_encryption_key_file != NULL) {
        DEP_TRY(dep_key_file_read(config->key_encryption_key_file, server->unseal_key, message));
        server->has_unseal_key = true;
    }
    DEP_TRY(make_directory(config->data_dir, message));
    (void)snprintf(path, sizeof(path), "%s/deputy.db", config->data_dir);
    (void)snprintf(server->audit_dir, sizeof(server->audit_dir), "%s/audit", config->data_dir);
    DEP_TRY(check_store_file(path, message));
    server->writer_crypto = dep_crypto_new();
    server->limiter = dep_limiter_new();
    /* Milliseconds since 1970: a later process always starts higher than an earlier one ended. */
    server->feed = dep_feed_new((uint64_t)dep_server_now() * 1000);
    if (server->writer_crypto == NULL || server->limiter == NULL || server->feed == NULL)
        return DEP_FAIL(ARENA_FULL);
    DEP_TRY(open_store(server, path, message));
    DEP_TRY(open_ledger(server, config));
    DEP_TRY(open_replay(server, config, message));
    DEP_TRY(open_log(server, config, arena, message));
    DEP_TRY(load_ticket_key(server, arena));
    server->fence = dep_audit_last_time(server->log);
    DEP_TRY(dep_server_load(server, message));
    DEP_TRY(make_first_key(server, arena, config, message));
    signer = dep_server_feed_signer(server->writer_crypto, server->snapshot, server->settings);
    dep_feed_set_jwks(server->feed, &signer, dep_str_hash(dep_snapshot_jwks(server->snapshot), 0));
    return DEP_OK;
}

static struct dep_res open_workers(struct dep_server *server, const struct dep_config *config)
{
    for (int64_t i = 0; i < config->workers; i++)
        if (!open_worker(&server->workers[i]))
            return DEP_FAIL(ARENA_FULL);
    return open_worker(&server->admin_worker) && open_worker(&server->fetch_worker) &&
                   open_worker(&server->replay_worker)
               ? DEP_OK
               : DEP_FAIL(ARENA_FULL);
}

static struct dep_res listen_at(const struct dep_net_config *config, struct dep_net_server **ret_server,
                                char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_res res = dep_net_server_start(config, ret_server);

    if (!dep_is_ok(res))
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%.*s: cannot listen: %s", DEP_STR_ARG(config->address),
                       strerror(errno));
    return res;
}

static struct dep_res open_sockets(struct dep_server *server, const struct dep_config *config,
                                   char message[DEP_CONFIG_MESSAGE_MAX])
{
    char admin[1200];
    struct dep_net_config http = {
        .address = dep_str_c(config->listen),
        .workers = (unsigned)config->workers,
        .connections_max = (unsigned)config->connections_max,
        .body_bytes_max = BODY_BYTES_MAX,
        .idle_timeout_s = IDLE_TIMEOUT_S,
        .handle = dep_server_handle,
        .context = server,
    };
    struct dep_net_config control = http;

    http.tls = server->tls;
    http.asks_certificate = dep_config_asks_certificates(config);

    (void)snprintf(admin, sizeof(admin), "unix:%s", config->admin_socket);
    control.address = dep_str_c(admin);
    control.workers = 1;
    control.connections_max = 64;
    control.handle = dep_server_handle_admin;
    DEP_TRY(listen_at(&control, &server->admin, message));
    return listen_at(&http, &server->http, message);
}

/* Development: an issuer on loopback may trust others on loopback, over http. */
static bool is_loopback(const char *issuer)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(dep_str_c(issuer), &url)) && dep_url_is_loopback(&url);
}

/* A file that is not there would look like issuers that are all down. */
static struct dep_res take_ca_file(struct dep_server *server, const struct dep_config *config,
                                   char message[DEP_CONFIG_MESSAGE_MAX])
{
    if (config->issuers_ca_file == NULL)
        return DEP_OK;
    if (access(config->issuers_ca_file, R_OK) != 0) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "issuers_ca_file %.300s: %s", config->issuers_ca_file,
                       strerror(errno));
        return DEP_FAIL(CONFIG_FILE);
    }
    server->issuers_ca_file = strdup(config->issuers_ca_file);
    return server->issuers_ca_file == NULL ? DEP_FAIL(ARENA_FULL) : DEP_OK;
}

static struct dep_res start_issuers(struct dep_server *server, const struct dep_config *config)
{
    const struct dep_issuers_config issuers = {
        .may_loopback = is_loopback(config->issuer),
        .ca_file = server->issuers_ca_file,
        .again = dep_server_handle_again,
        .context = server,
    };

    return dep_issuers_start(&issuers, &server->issuers);
}

static struct dep_res start(struct dep_server *server, struct dep_config *config, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_writer_config writer = {
        .publish = dep_server_publish, .tick = dep_server_tick, .context = server, .waiting_max = WAITING_MAX
    };

    server->key_grace_s = config->access_token_lifetime_s + 30;
    DEP_TRY(take_ca_file(server, config, message));
    DEP_TRY(dep_server_take_tls(server, config, message));
    DEP_TRY(open_workers(server, config));
    DEP_TRY(open_state(server, config, &server->admin_worker.arena, message));
    dep_arena_reset(&server->admin_worker.arena);
    DEP_TRY(dep_settings_new(config, server->ticket_key, server->fence, &server->settings, message));
    writer.store = server->store;
    writer.log = server->log;
    DEP_TRY(dep_writer_start(&writer, &server->writer));
    DEP_TRY(start_issuers(server, config));
    return open_sockets(server, config, message);
}

struct dep_res dep_server_start(struct dep_config *config, struct dep_server **ret_server,
                                char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_server *server = calloc(1, sizeof(*server));
    struct dep_res res;

    if (server == NULL)
        return DEP_FAIL(ARENA_FULL);
    (void)pthread_mutex_init(&server->mutex, NULL);
    server->started = dep_server_now();
    res = start(server, config, message);
    if (!dep_is_ok(res)) {
        if (message[0] == '\0')
            (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "cannot start: %s", dep_err_text(res.err));
        if (server->settings == NULL)
            dep_config_free(config);
        dep_server_stop(server);
        return res;
    }
    *ret_server = server;
    return DEP_OK;
}

/* The writer is still at work, with a crypto of its own. */
static void stop_feed(struct dep_server *server)
{
    struct dep_snapshot *snapshot = server->snapshot == NULL ? NULL : dep_server_snapshot(server);
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_feed_signer signer = { .key = NULL };

    if (crypto != NULL && snapshot != NULL)
        signer = dep_server_feed_signer(crypto, snapshot, server->settings);
    dep_feed_stop(server->feed, &signer);
    dep_snapshot_unref(snapshot);
    dep_crypto_free(crypto);
}

void dep_server_stop(struct dep_server *server)
{
    if (server == NULL)
        return;
    if (server->http != NULL)
        dep_net_server_quiesce(server->http);
    if (server->feed != NULL)
        stop_feed(server);
    /* Parked requests are answered before the sockets go. */
    dep_issuers_stop(server->issuers);
    if (server->replay != NULL)
        dep_replay_store_stop(server->replay);
    if (server->http != NULL)
        dep_net_server_stop(server->http, 30000);
    dep_net_tls_free(server->tls);
    if (server->admin != NULL)
        dep_net_server_stop(server->admin, 1000);
    dep_writer_stop(server->writer);
    if (server->log != NULL)
        dep_audit_close(server->log);
    dep_ledger_free(server->ledger);
    if (server->store != NULL)
        dep_store_free(server->store);
    dep_issuers_free(server->issuers);
    free(server->issuers_ca_file);
    dep_feed_free(server->feed);
    dep_limiter_free(server->limiter);
    dep_replay_store_free(server->replay);
    dep_replay_free(server->kept);
    dep_snapshot_unref(server->snapshot);
    dep_settings_unref(server->settings);
    dep_private_key_free(server->log_key);
    dep_crypto_free(server->writer_crypto);
    for (unsigned i = 0; i < DEP_WORKERS_MAX; i++)
        close_worker(&server->workers[i]);
    close_worker(&server->admin_worker);
    close_worker(&server->fetch_worker);
    close_worker(&server->replay_worker);
    dep_wipe(server->unseal_key, sizeof(server->unseal_key));
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}

static bool is_same(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

struct dep_res dep_server_reload(struct dep_server *server, struct dep_config *config,
                                 char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_settings *next = NULL, *last;
    const struct dep_config *old = server->settings->config;

    if (!is_same(old->issuer, config->issuer) || !is_same(old->listen, config->listen) ||
        !is_same(old->data_dir, config->data_dir) || !is_same(old->admin_socket, config->admin_socket) ||
        !is_same(old->key_encryption_key_file, config->key_encryption_key_file) ||
        !is_same(old->issuers_ca_file, config->issuers_ca_file) || old->workers != config->workers ||
        old->connections_max != config->connections_max || old->replay_entries_max != config->replay_entries_max ||
        !is_same(old->replay, config->replay) || old->replay_alone != config->replay_alone ||
        old->replay_timeout_ms != config->replay_timeout_ms ||
        (old->tls_certificate_file == NULL) != (config->tls_certificate_file == NULL) ||
        dep_config_asks_certificates(old) != dep_config_asks_certificates(config)) {
        (void)snprintf(
            message, DEP_CONFIG_MESSAGE_MAX,
            "issuer, listen, data_dir, admin_socket, key_encryption_key_file, issuers_ca_file, workers, "
            "connections_max, whatever begins with replay, and whether TLS is spoken and asks for certificates need "
            "a restart");
        dep_config_free(config);
        return DEP_FAIL(CONFIG_SYNTAX);
    }

    struct dep_res res = dep_settings_new(config, server->ticket_key, server->fence, &next, message);

    if (!dep_is_ok(res)) {
        dep_config_free(config);
        return res;
    }
    res = dep_server_take_tls(server, config, message);
    if (!dep_is_ok(res)) {
        dep_settings_unref(next);
        return res;
    }
    /* Tokens of the longer life may still be around. */
    if (config->access_token_lifetime_s + 30 > server->key_grace_s)
        server->key_grace_s = config->access_token_lifetime_s + 30;
    /* A nonce that is not from a file lives as long as the process. */
    if (config->nonce_key_file == NULL)
        memcpy(next->nonce_key, server->settings->nonce_key, sizeof(next->nonce_key));
    (void)pthread_mutex_lock(&server->mutex);
    last = server->settings;
    server->settings = next;
    (void)pthread_mutex_unlock(&server->mutex);
    dep_settings_unref(last);
    return DEP_OK;
}

unsigned dep_server_port(const struct dep_server *server)
{
    return dep_net_server_port(server->http);
}

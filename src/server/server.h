/* The daemon's parts and how they hold together. */
#ifndef DEP_SERVER_SERVER_H
#define DEP_SERVER_SERVER_H

#include <pthread.h>

#include "server/client_certificates.h"
#include "server/config.h"
#include "server/feed.h"
#include "server/issuers.h"
#include "server/limiter.h"
#include "server/snapshot.h"
#include "server/writer.h"
#include "store/replay_store.h"

#define DEP_WORKERS_MAX 64u
#define DEP_WORKER_ARENA_BYTES (1024u * 1024u)
#define DEP_USE_LIFE_S \
    700 /* the longest time from when a thing was made, or comes, until it cannot be accepted any more */

/* What a worker thread owns. */
struct dep_worker {
    struct dep_crypto *crypto;
    struct dep_arena arena;
    void *memory;
    unsigned char random[4096]; /* taken from the system in bulk; what is used is wiped */
    size_t random_left;
    _Atomic uint64_t requests, refusals, tokens;
};

/* What a reload may change, as one immutable block. */
struct dep_settings {
    _Atomic unsigned references;
    struct dep_config *config;
    struct dep_policy policy;
    struct dep_nonce_policy nonce;
    unsigned char nonce_key[32], ticket_key[DEP_TICKET_KEY_LEN];
    struct dep_client_certificates certificates;
    char token_url[1200], agents_url[1200], par_url[1200];
    char *metadata;
    size_t metadata_len;
};

struct dep_server {
    pthread_mutex_t mutex; /* guards the two pointers below, for as long as it takes to count a reference */
    struct dep_snapshot *snapshot;
    struct dep_settings *settings;

    struct dep_worker workers[DEP_WORKERS_MAX];
    struct dep_worker admin_worker;
    struct dep_worker fetch_worker;  /* runs requests that waited for an issuer's keys */
    struct dep_worker replay_worker; /* and those that waited for the replay store */
    struct dep_issuers *issuers;
    char *issuers_ca_file; /* NULL: the system's authorities */
    struct dep_crypto *writer_crypto;
    struct dep_store *store;
    struct dep_ledger *ledger; /* of the admin API's writes */
    int64_t ledger_swept;      /* the writer's: when old entries were last taken out */
    int64_t consents_swept;    /* the same of consents and of whatever else in the store has an end */
    struct dep_audit_log *log;
    struct dep_private_key *log_key;
    struct dep_replay_store *replay;
    struct dep_replay *kept; /* uses that the store's records told of at the start; NULL: none */
    struct dep_writer *writer;
    struct dep_feed *feed;
    struct dep_limiter *limiter;
    struct dep_net_server *http, *admin;
    struct dep_net_tls *tls; /* NULL: `http` is plain, or a proxy ends TLS */
    unsigned char unseal_key[32], ticket_key[DEP_TICKET_KEY_LEN];
    bool has_unseal_key;
    int64_t fence;
    int64_t started;
    _Atomic int64_t key_grace_s; /* how long a retired key verifies: the longest life of a token, and skew */
    char audit_dir[1200];
};

/* Opens everything and starts to serve. On failure a message for people. */
DEP_MUST struct dep_res dep_server_start(struct dep_config *config, struct dep_server **ret_server,
                                         char message[DEP_CONFIG_MESSAGE_MAX]);
void dep_server_stop(struct dep_server *server);
/* Takes the configuration. What cannot change while running (issuer, listen, data_dir, workers) is refused with a message. */
DEP_MUST struct dep_res dep_server_reload(struct dep_server *server, struct dep_config *config,
                                          char message[DEP_CONFIG_MESSAGE_MAX]);
unsigned dep_server_port(const struct dep_server *server);

/* References for the length of one request. */
struct dep_snapshot *dep_server_snapshot(struct dep_server *server);
/* NULL only while the server is opened. */
struct dep_settings *dep_server_settings(struct dep_server *server);
/* Who signs the feed under this snapshot; its slices live as long as snapshot and settings. `crypto` is the calling thread's. */
struct dep_feed_signer dep_server_feed_signer(struct dep_crypto *crypto, const struct dep_snapshot *snapshot,
                                              const struct dep_settings *settings);
struct dep_settings *dep_settings_ref(struct dep_settings *settings);
void dep_settings_unref(struct dep_settings *settings);
struct dep_secret dep_server_unseal_key(const struct dep_server *server);
int64_t dep_server_now(void);

/* settings.c. `ticket_key` is for a configuration that names no file with one. */
DEP_MUST struct dep_res dep_settings_new(struct dep_config *config, const unsigned char ticket_key[DEP_TICKET_KEY_LEN],
                                         int64_t fence, struct dep_settings **ret_settings,
                                         char message[DEP_CONFIG_MESSAGE_MAX]);

/* server_tls.c: certificate and key of the configuration, at start and again at each reload; nothing when there is none. DEP_ERR_CONFIG_FILE,
 * DEP_ERR_KEY_FILE, DEP_ERR_NET_TLS with a message: what was before stays. */
DEP_MUST struct dep_res dep_server_take_tls(struct dep_server *server, const struct dep_config *config,
                                            char message[DEP_CONFIG_MESSAGE_MAX]);

/* public.c: the OAuth endpoints. */
void dep_server_handle(void *server, struct dep_net_exchange *exchange);
/* The same for a request that waited for keys; on the fetching thread. */
void dep_server_handle_again(void *server, struct dep_net_exchange *exchange);
/* The same for one about whose uses the replay store has spoken; on its thread. */
struct dep_uses;
void dep_server_handle_used(struct dep_server *server, struct dep_net_exchange *exchange, const struct dep_uses *uses);
/* Answers with a refusal that is no decision's. */
void dep_server_refuse(struct dep_net_exchange *exchange, struct dep_str id, enum dep_err reason);
/* admin.c: /admin/v1/…, /livez, /readyz, /metrics. */
void dep_server_handle_admin(void *server, struct dep_net_exchange *exchange);
/* state.c: from the store to the first snapshot, and from changes to the next one. */
DEP_MUST struct dep_res dep_server_load(struct dep_server *server, char message[DEP_CONFIG_MESSAGE_MAX]);
void dep_server_publish(void *server, const struct dep_change *changes, size_t count);
/* On the writer thread, now and then: what time alone changes. */
void dep_server_tick(void *server);
/* The change that stores an entry; its texts go into the arena. */
DEP_MUST struct dep_res dep_revocation_change(struct dep_arena *arena, const struct dep_revocation *entry,
                                              struct dep_change *ret_change);
/* Makes a signing key and the change that stores it, sealed when a key is configured. */
DEP_MUST struct dep_res dep_signing_key_change(struct dep_arena *arena, struct dep_crypto *crypto,
                                               struct dep_secret unseal_key, enum dep_alg alg, enum dep_key_state state,
                                               int64_t now, struct dep_change *ret_change);

#endif

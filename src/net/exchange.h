/* Inside of the HTTP server: connections, exchanges, and the callbacks that libmicrohttpd runs. Not for other
 * folders. */
#ifndef DEP_NET_EXCHANGE_H
#define DEP_NET_EXCHANGE_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/listen.h"
#include "net/request.h"
#include "net/server.h"
#include "net/tls_session.h"

/* Bodies up to this size live in the exchange's own allocation. */
#define DEP_NET_BODY_INLINE 2048u

/* What a connection is doing, for the deadlines. */
enum dep_net_stage {
    DEP_NET_WAITS, /* nothing of a request line is known yet */
    DEP_NET_READS, /* a request is coming in */
    DEP_NET_WORKS, /* the handler has it: no deadline here */
    DEP_NET_SENDS, /* the answer goes out */
};

struct dep_net_connection {
    struct dep_net_connection *next;
    struct dep_net_connection *previous;
    int fd;
    atomic_int stage;
    _Atomic int64_t since_ms;
    int64_t uid;
    int64_t gid;
    size_t peer_len;
    char peer[INET6_ADDRSTRLEN];
};

/* Who answers. OPEN -> ANSWERED in the handler; OPEN -> DEFERRED -> ANSWERED later; DEFERRED -> ABANDONED when the
 * server stops first. */
enum dep_net_state { DEP_NET_OPEN, DEP_NET_DEFERRED, DEP_NET_ANSWERED, DEP_NET_ABANDONED };

struct dep_net_entry {
    struct dep_net_exchange exchange; /* first: the one is cast to the other */
    struct dep_net_server *server;
    struct dep_net_connection *connection;
    struct MHD_Connection *mhd;
    struct dep_net_entry *next; /* among the deferred ones */
    struct dep_net_entry *previous;
    atomic_int state;
    atomic_uint references; /* the connection, and once abandoned whoever still owes the reply */
    struct MHD_Response *response;
    int status;
    bool is_closing;
    const char *raw_target; /* where the target stood in the library's buffer; for the layout check */
    bool is_begun;
    bool is_handed;
    bool is_deferred; /* the worker's own note */
    size_t body_bytes;
    size_t body_read;
    char *body;
    char *body_heap; /* when it is too large for `text` */
    size_t target_len;
    size_t headers_count;
    struct dep_header headers[DEP_NET_HEADERS_MAX + 1];
    char text[]; /* the target with its NUL, then room for a small body */
};

struct dep_net_server {
    struct MHD_Daemon *daemon;
    struct dep_net_listen listen;
    struct dep_net_config config;
    struct MHD_Response *stopping; /* 503 */
    bool needs_layout;             /* the library is lenient: see layout.h */
    pthread_key_t worker_key;      /* index + 1 of the thread */
    atomic_uint workers_seen;
    atomic_uint active; /* exchanges handed over and not ended */
    atomic_bool is_quiet;
    atomic_bool is_stopping;
    pthread_mutex_t lock; /* `deferred`, `ended` */
    pthread_cond_t ended;
    struct dep_net_entry *deferred;
    pthread_mutex_t connections_lock;
    struct dep_net_connection *connections;
    pthread_t watch; /* closes connections beyond their deadline */
    bool has_watch;
};

int64_t dep_net_now_ms(void);
void dep_net_stage(struct dep_net_connection *connection, enum dep_net_stage stage);

/* Callbacks of the daemon; the closure is the server. */
void dep_net_on_connection(void *closure, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);
void *dep_net_on_target(void *closure, const char *target, struct MHD_Connection *mhd);
enum MHD_Result dep_net_on_request(void *closure, struct MHD_Connection *mhd, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_len, void **request_context);
void dep_net_on_completed(void *closure, struct MHD_Connection *mhd, void **request_context,
                          enum MHD_RequestTerminationCode code);

/* A response with the headers that every answer has; NULL when memory is out. */
struct MHD_Response *dep_net_response(const struct dep_net_answer *answer);

/* Ends what is still deferred with 503. The lock is held. */
void dep_net_abandon_all(struct dep_net_server *server);

#endif

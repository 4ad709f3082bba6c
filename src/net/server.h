/* The HTTP server: libmicrohttpd behind one narrow file, so that it can be replaced.
 *
 * A request is handed over when its body is complete. The handler answers at once with dep_net_reply(), or keeps the
 * exchange and answers later from any thread (the connection is suspended meanwhile). Whatever is ambiguous in its
 * framing is refused here with 400 and the connection closed: Content-Length with Transfer-Encoding, repeated
 * Content-Length, Host or Transfer-Encoding, blanks or control characters in names and values, a body on a method that
 * has none, bad targets. Transfer-Encoding alone is refused too, with 411 or 501. */
#ifndef DEP_NET_SERVER_H
#define DEP_NET_SERVER_H

#include "base/res.h"
#include "http/header.h"

struct dep_net_server;
struct dep_net_tls;

/* One request and its answer. Slices live until the answer has been sent. */
struct dep_net_exchange {
    struct dep_str method;
    struct dep_str path;  /* as sent, never decoded, without the query */
    struct dep_str query; /* absent when there is no '?' */
    struct dep_str body;
    const struct dep_header *headers;
    size_t headers_count;
    struct dep_str peer; /* "127.0.0.1", "::1", or "unix" */
    int64_t peer_uid;    /* Unix sockets: the peer's user id (SO_PEERCRED); -1 on TCP */
    int64_t peer_gid;
    struct dep_str certificate;    /* of the client, in DER, when the server asks for one; absent: it showed none */
    unsigned worker;               /* index of the worker thread that runs the handler: 0 .. workers-1 */
    void *user;                    /* the handler's own, for the life of the exchange */
    void (*user_free)(void *user); /* called when the exchange ends; may be NULL */
};

struct dep_net_config {
    struct dep_str address; /* "127.0.0.1:8693", "[::1]:0" or "unix:/path" (mode 0660) */
    unsigned workers;
    unsigned connections_max;
    size_t body_bytes_max; /* beyond: 413 */
    unsigned idle_timeout_s;
    struct dep_net_tls *tls; /* NULL: plain HTTP; else it outlives the server */
    bool asks_certificate;   /* TLS: of clients, who may leave it out; whose it is, nobody has looked at */
    /* Runs on a worker thread. Must lead to exactly one dep_net_reply(). */
    void (*handle)(void *context, struct dep_net_exchange *exchange);
    void *context;
};

/* Starts to listen and serve. DEP_ERR_NET_LISTEN, with errno set. The caller stops it. */
DEP_MUST struct dep_res dep_net_server_start(const struct dep_net_config *config, struct dep_net_server **ret_server);
/* The port actually bound (0 for Unix sockets). */
unsigned dep_net_server_port(const struct dep_net_server *server);
/* New connections are closed unheard from here on. */
void dep_net_server_quiesce(struct dep_net_server *server);
/* Stops and frees. Requests that still arrive get 503; answers under way are waited for up to `drain_ms`. What is still
 * deferred then is answered 503: its exchange takes one late dep_net_reply() without effect, but its slices are
 * gone. */
void dep_net_server_stop(struct dep_net_server *server, int64_t drain_ms);

/* Answers. Copies headers and body before it returns. Called in the handler, or later from any thread after
 * dep_net_defer(). Content-Length, Date and X-Content-Type-Options: nosniff are added. `close` ends the connection. */
struct dep_net_answer {
    int status;
    const struct dep_header *headers;
    size_t headers_count;
    struct dep_str body;
    bool close;
};
void dep_net_reply(struct dep_net_exchange *exchange, const struct dep_net_answer *answer);
/* Says, in the handler, that the reply comes later. The exchange stays valid until then. Once it is said, it may be said again from
 * whatever thread has the exchange. */
void dep_net_defer(struct dep_net_exchange *exchange);

#endif

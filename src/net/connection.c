/* Connections: who is at the other end, and what the connection is doing, for the deadlines. */
#include "net/exchange.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

int64_t dep_net_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void dep_net_stage(struct dep_net_connection *connection, enum dep_net_stage stage)
{
    if (connection == NULL)
        return;
    atomic_store_explicit(&connection->since_ms, dep_net_now_ms(), memory_order_relaxed);
    atomic_store_explicit(&connection->stage, (int)stage, memory_order_relaxed);
}

static void name_peer(struct dep_net_connection *connection)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } name = { 0 };
    socklen_t size = sizeof(name);
    struct ucred peer;
    socklen_t peer_size = sizeof(peer);

    if (getpeername(connection->fd, &name.any, &size) != 0)
        return;
    if (name.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &name.v4.sin_addr, connection->peer, sizeof(connection->peer));
    } else if (name.any.sa_family == AF_INET6) {
        if (IN6_IS_ADDR_V4MAPPED(&name.v6.sin6_addr))
            (void)inet_ntop(AF_INET, &name.v6.sin6_addr.s6_addr[12], connection->peer, sizeof(connection->peer));
        else
            (void)inet_ntop(AF_INET6, &name.v6.sin6_addr, connection->peer, sizeof(connection->peer));
    } else if (name.any.sa_family == AF_UNIX) {
        memcpy(connection->peer, "unix", 5);
        if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0) {
            connection->uid = (int64_t)peer.uid;
            connection->gid = (int64_t)peer.gid;
        }
    }
    connection->peer_len = strlen(connection->peer);
}

static void begin_tls(const struct dep_net_server *server, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    if (server->config.tls != NULL && info != NULL && info->tls_session != NULL)
        dep_net_tls_begin(server->config.tls, info->tls_session, server->config.asks_certificate);
}

static void open_connection(struct dep_net_server *server, struct MHD_Connection *mhd, void **socket_context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct dep_net_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL || info == NULL) {
        free(connection);
        return;
    }
    connection->fd = info->connect_fd;
    connection->uid = -1;
    connection->gid = -1;
    name_peer(connection);
    dep_net_stage(connection, DEP_NET_WAITS);
    pthread_mutex_lock(&server->connections_lock);
    connection->next = server->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    server->connections = connection;
    pthread_mutex_unlock(&server->connections_lock);
    *socket_context = connection;
}

/* Runs before the library closes the descriptor, so the watch can never touch a foreign one. */
static void close_connection(struct dep_net_server *server, void **socket_context)
{
    struct dep_net_connection *connection = *socket_context;

    if (connection == NULL)
        return;
    pthread_mutex_lock(&server->connections_lock);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    pthread_mutex_unlock(&server->connections_lock);
    free(connection);
    *socket_context = NULL;
}

void dep_net_on_connection(void *closure, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code)
{
    struct dep_net_server *server = closure;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin_tls(server, mhd);
        open_connection(server, mhd, socket_context);
    } else {
        close_connection(server, socket_context);
    }
}

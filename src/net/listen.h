/* Listening sockets: "127.0.0.1:8693", "[::1]:0", "unix:/path". */
#ifndef DEP_NET_LISTEN_H
#define DEP_NET_LISTEN_H

#include <sys/types.h>

#include "base/res.h"
#include "base/str.h"

struct dep_net_listen {
    int fd;
    unsigned port;  /* as bound; 0 for Unix sockets */
    char path[108]; /* Unix sockets: to be removed at the end; empty otherwise */
    dev_t path_dev;
    ino_t path_ino;
};

/* Binds and listens. The socket does not block and is closed on exec. A Unix socket gets mode 0660; a file left behind
 * is replaced only when it is a socket that nobody listens on. DEP_ERR_NET_LISTEN, with errno set. */
DEP_MUST struct dep_res dep_net_listen_open(struct dep_str address, unsigned backlog,
                                            struct dep_net_listen *ret_listen);
/* Closes, and removes the file of a Unix socket when it is still ours. */
void dep_net_listen_close(struct dep_net_listen *listen);

#endif

/* Listening sockets.
 *
 * A Unix socket gets its mode between bind() and listen(): until the latter nobody can connect, so no umask is needed,
 * which would be shared by all threads. */
#include "net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/num.h"

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

/* DEP_ERR_NET_LISTEN, with the socket closed and errno kept. */
static struct dep_res fail(int fd, int error)
{
    if (fd >= 0)
        (void)close(fd);
    errno = error;
    return DEP_FAIL(NET_LISTEN);
}

/* The host without brackets into `host`, the port; false when the text is neither v4:port nor [v6]:port. */
static bool split(struct dep_str address, char host[static 64], bool *ret_is_v6, uint16_t *ret_port)
{
    size_t at = address.len;

    while (at > 0 && address.ptr[at - 1] != ':')
        at--;
    if (at < 2)
        return false;

    struct dep_str name = dep_str_sub(address, 0, at - 1);
    bool is_v6 = name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
    int64_t port;

    if (is_v6)
        name = dep_str_sub(name, 1, name.len - 2);
    if (name.len == 0 || name.len > 63 || dep_str_has(name, '\0'))
        return false;
    if (!dep_is_ok(dep_num_parse(dep_str_sub(address, at, address.len), 0, 65535, &port)))
        return false;
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    *ret_is_v6 = is_v6;
    *ret_port = (uint16_t)port;
    return true;
}

static struct dep_res open_tcp(struct dep_str address, unsigned backlog, struct dep_net_listen *ret_listen)
{
    char host[64];
    bool is_v6;
    uint16_t port;
    union any_address name = { 0 };
    socklen_t size;

    if (!split(address, host, &is_v6, &port))
        return fail(-1, EINVAL);
    if (is_v6) {
        name.v6.sin6_family = AF_INET6;
        name.v6.sin6_port = htons(port);
        size = sizeof(name.v6);
    } else {
        name.v4.sin_family = AF_INET;
        name.v4.sin_port = htons(port);
        size = sizeof(name.v4);
    }
    if (inet_pton(name.any.sa_family, host, is_v6 ? (void *)&name.v6.sin6_addr : (void *)&name.v4.sin_addr) != 1)
        return fail(-1, EINVAL);

    int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 || bind(fd, &name.any, size) != 0 ||
        listen(fd, (int)backlog) != 0 || getsockname(fd, &name.any, &size) != 0)
        return fail(fd, errno);
    ret_listen->fd = fd;
    ret_listen->port = ntohs(is_v6 ? name.v6.sin6_port : name.v4.sin_port);
    return DEP_OK;
}

/* Removes what a dead process left behind. False, with errno, when the place is taken. */
static bool clear_stale(const union any_address *name)
{
    struct stat status;

    if (lstat(name->local.sun_path, &status) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(status.st_mode)) {
        errno = EEXIST;
        return false;
    }

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;

    bool is_dead = connect(fd, &name->any, sizeof(name->local)) != 0 && errno == ECONNREFUSED;

    (void)close(fd);
    if (!is_dead) {
        errno = EADDRINUSE;
        return false;
    }
    return unlink(name->local.sun_path) == 0 || errno == ENOENT;
}

static struct dep_res open_unix(struct dep_str path, unsigned backlog, struct dep_net_listen *ret_listen)
{
    union any_address name = { 0 };
    struct stat status;

    if (path.len == 0 || path.len >= sizeof(name.local.sun_path) || dep_str_has(path, '\0'))
        return fail(-1, ENAMETOOLONG);
    name.local.sun_family = AF_UNIX;
    memcpy(name.local.sun_path, path.ptr, path.len);
    if (!clear_stale(&name))
        return fail(-1, errno);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, &name.any, sizeof(name.local)) != 0)
        return fail(fd, errno);
    if (chmod(name.local.sun_path, 0660) != 0 || lstat(name.local.sun_path, &status) != 0 ||
        listen(fd, (int)backlog) != 0) {
        int error = errno;

        (void)unlink(name.local.sun_path);
        return fail(fd, error);
    }
    memcpy(ret_listen->path, name.local.sun_path, path.len + 1);
    ret_listen->path_dev = status.st_dev;
    ret_listen->path_ino = status.st_ino;
    ret_listen->fd = fd;
    ret_listen->port = 0;
    return DEP_OK;
}

struct dep_res dep_net_listen_open(struct dep_str address, unsigned backlog, struct dep_net_listen *ret_listen)
{
    struct dep_net_listen result = { .fd = -1 };

    if (backlog > 4096)
        backlog = 4096;
    if (dep_str_starts(address, DEP_STR("unix:")))
        DEP_TRY(open_unix(dep_str_sub(address, 5, address.len), backlog, &result));
    else
        DEP_TRY(open_tcp(address, backlog, &result));
    *ret_listen = result;
    return DEP_OK;
}

void dep_net_listen_close(struct dep_net_listen *listen)
{
    struct stat status;

    if (listen->fd >= 0)
        (void)close(listen->fd);
    listen->fd = -1;
    if (listen->path[0] != '\0' && lstat(listen->path, &status) == 0 && status.st_dev == listen->path_dev &&
        status.st_ino == listen->path_ino)
        (void)unlink(listen->path);
    listen->path[0] = '\0';
}

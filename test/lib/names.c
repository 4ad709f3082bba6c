/* Names and connections under a test's control, loaded before the C library. TEST_NAMES is a file of lines "name address…|address…": the
 * first question for the name is answered by the first set, the next by the next, the last set stays; "<path" is a question that is
 * not answered before somebody opens that FIFO for writing. Connections to anything but loopback fail, and every attempt is a line of the
 * file TEST_CONNECTS. The address TEST_PUBLIC is played by 127.0.0.1: who connects to it gets there, and believes the peer to be it. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int connect_fn(int, const struct sockaddr *, socklen_t);
typedef int getpeername_fn(int, struct sockaddr *, socklen_t *);

static in_port_t played[1024]; /* by descriptor: the port of TEST_PUBLIC that it is connected to, as it seems */

static char asked[64][128];
static unsigned asked_count;

/* The set of addresses for this question, in `line`; NULL for a name that is not ours. */
static char *find(const char *name, char *line, int size)
{
    const char *path = getenv("TEST_NAMES");
    FILE *file = path == NULL || name == NULL ? NULL : fopen(path, "r");
    size_t length = name == NULL ? 0 : strlen(name);
    char *set = NULL;

    while (file != NULL && set == NULL && fgets(line, size, file) != NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            set = line + length + 1;
    if (file != NULL)
        (void)fclose(file);
    if (set == NULL)
        return NULL;
    for (unsigned i = 0; i < asked_count; i++)
        if (strcmp(asked[i], name) == 0 && strchr(set, '|') != NULL)
            set = strchr(set, '|') + 1;
    if (asked_count < 64)
        (void)snprintf(asked[asked_count++], sizeof(asked[0]), "%s", name);
    set[strcspn(set, "|\n")] = '\0';
    return set;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
    getaddrinfo_fn *real = (getaddrinfo_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
    char line[1024], *set = find(node, line, sizeof(line));
    struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST };

    if (set == NULL)
        return real(node, service, hints, ret_list);
    if (hints != NULL) {
        numeric.ai_socktype = hints->ai_socktype;
        numeric.ai_protocol = hints->ai_protocol;
    }
    *ret_list = NULL;
    if (*set == '<') {
        int fd = open(set + 1, O_RDONLY);

        if (fd >= 0)
            (void)close(fd);
        return EAI_AGAIN;
    }
    while (*set != '\0') {
        struct addrinfo *one, **tail = ret_list;
        char *word = set;

        set += strcspn(set, " ");
        if (*set != '\0')
            *set++ = '\0';

        if (real(word, service, &numeric, &one) != 0)
            return EAI_FAIL;
        while (*tail != NULL)
            tail = &(*tail)->ai_next;
        *tail = one;
    }
    return *ret_list == NULL ? EAI_NONAME : 0;
}

static int play(int fd, const struct sockaddr_in *address, connect_fn *real)
{
    struct sockaddr_in here = *address;

    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || fd >= 1024) {
        errno = ENETUNREACH;
        return -1;
    }
    played[fd] = address->sin_port;
    return real(fd, (const struct sockaddr *)&here, sizeof(here));
}

int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    getpeername_fn *real = (getpeername_fn *)dlsym(RTLD_NEXT, "getpeername");
    struct sockaddr_in *peer = (struct sockaddr_in *)address;
    const char *public = getenv("TEST_PUBLIC");
    int result = real(fd, address, length);

    if (result == 0 && public != NULL && fd >= 0 && fd < 1024 && address->sa_family == AF_INET && played[fd] != 0 &&
        peer->sin_port == played[fd])
        (void)inet_pton(AF_INET, public, &peer->sin_addr);
    return result;
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    connect_fn *real = (connect_fn *)dlsym(RTLD_NEXT, "connect");
    char host[64], port[16];
    const char *path = getenv("TEST_CONNECTS");
    FILE *file;

    if (path == NULL || (address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        getnameinfo(address, length, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return real(fd, address, length);
    file = fopen(path, "a");
    if (file != NULL) {
        (void)fprintf(file, "%s %s\n", host, port);
        (void)fclose(file);
    }
    if (getenv("TEST_PUBLIC") != NULL && strcmp(host, getenv("TEST_PUBLIC")) == 0)
        return play(fd, (const struct sockaddr_in *)address, real);
    if (fd >= 0 && fd < 1024)
        played[fd] = 0;
    if (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0)
        return real(fd, address, length);
    errno = ENETUNREACH;
    return -1;
}

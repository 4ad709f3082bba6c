/* One request at a time to a server of this process: for tests of what the daemon answers. */
#ifndef DEP_SERVER_HTTP_FIXTURE_H
#define DEP_SERVER_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/server.h"
#include "test/unit.h"

/* Sends GET `target`; the caller reads the answer with http_read() and closes. */
static inline int http_get(unsigned port, const char *target)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), len;
    char text[512];

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    DEP_ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target);
    DEP_ASSERT(send(fd, text, (size_t)len, MSG_NOSIGNAL) == len);
    return fd;
}

/* Reads to the end of the connection, at most 20 s without a byte; closes. The text ends with NUL. Returns the status, 0 for none. */
static inline int http_read(int fd, char *text, size_t size)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    size_t len = 0;
    ssize_t got;

    while (len < size - 1 && poll(&wait, 1, 20000) == 1 && (got = recv(fd, text + len, size - 1 - len, 0)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    (void)close(fd);
    return len < 12 ? 0 : (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
}

#endif

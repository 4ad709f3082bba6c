/* Strict where it matters: what could be read in two ways is no request. */
#include "http.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define BODY_MAX 65536

static bool is_name(struct deputy_text text, const char *name)
{
    return strlen(name) == text.len && strncasecmp(text.ptr, name, text.len) == 0;
}

/* Cuts the text up to `end` from the rest; false when it is not there. */
static bool cut(struct deputy_text *rest, const char *end, struct deputy_text *ret_piece)
{
    const char *at = memmem(rest->ptr, rest->len, end, strlen(end));

    if (at == NULL)
        return false;
    *ret_piece = (struct deputy_text){ rest->ptr, (size_t)(at - rest->ptr) };
    rest->len -= ret_piece->len + strlen(end);
    rest->ptr = at + strlen(end);
    return true;
}

static bool read_length(struct deputy_text text, size_t *ret_length)
{
    size_t length = 0;

    if (text.len == 0 || text.len > 6)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        length = length * 10 + (size_t)(text.ptr[i] - '0');
    }
    *ret_length = length;
    return length <= BODY_MAX;
}

static bool read_header(struct deputy_text line, struct http_request *request, bool *has_length, size_t *length)
{
    struct deputy_header *header = &request->headers[request->headers_count];

    if (request->headers_count == HEADERS_MAX || !cut(&line, ":", &header->name) || header->name.len == 0 ||
        memchr(header->name.ptr, ' ', header->name.len) != NULL)
        return false;
    while (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
        line.ptr++;
        line.len--;
    }
    while (line.len > 0 && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\t'))
        line.len--;
    if (memchr(line.ptr, '\n', line.len) != NULL || memchr(line.ptr, '\r', line.len) != NULL)
        return false;
    header->value = line;
    request->headers_count++;
    if (is_name(header->name, "transfer-encoding"))
        return false; /* this example does not read chunks */
    if (is_name(header->name, "connection") && is_name(line, "close"))
        request->is_last = true;
    if (!is_name(header->name, "content-length"))
        return true;
    if (*has_length || !read_length(line, length))
        return false;
    *has_length = true;
    return true;
}

int http_read(const char *buffer, size_t len, struct http_request *ret_request)
{
    struct deputy_text rest = { buffer, len }, head, line, version;
    struct http_request request = { .headers_count = 0 };
    bool has_length = false;
    size_t length = 0;

    if (!cut(&rest, "\r\n\r\n", &head))
        return len < HEAD_MAX ? 0 : -1;
    if (memchr(head.ptr, '\0', head.len) != NULL)
        return -1;
    head.len += 2; /* each line ends with CRLF */
    request.bytes = head.len + 2;
    if (!cut(&head, "\r\n", &line) || !cut(&line, " ", &request.method) || !cut(&line, " ", &request.target))
        return -1;
    version = line;
    if (!is_name(version, "HTTP/1.1") || request.target.len == 0 || request.target.ptr[0] != '/')
        return -1;
    while (cut(&head, "\r\n", &line))
        if (!read_header(line, &request, &has_length, &length))
            return -1;
    request.body = (struct deputy_text){ length == 0 ? NULL : buffer + request.bytes, length };
    request.bytes += length;
    if (request.bytes > len)
        return request.bytes <= HEAD_MAX + BODY_MAX ? 0 : -1;
    *ret_request = request;
    return 1;
}

size_t http_write(char *buffer, size_t size, int status, const struct deputy_header *headers, size_t count,
                  struct deputy_text body, bool is_last)
{
    int len = snprintf(buffer, size, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n%s", status, status == 200 ? "OK" : "No",
                       body.len, is_last ? "Connection: close\r\n" : "");

    for (size_t i = 0; i < count && (size_t)len < size; i++)
        len += snprintf(buffer + len, size - (size_t)len, "%.*s: %.*s\r\n", (int)headers[i].name.len,
                        headers[i].name.ptr, (int)headers[i].value.len, headers[i].value.ptr);
    if ((size_t)len < size)
        len += snprintf(buffer + len, size - (size_t)len, "\r\n%.*s", (int)body.len, body.len > 0 ? body.ptr : "");
    return (size_t)len < size ? (size_t)len : 0;
}

int http_listen(const char *port, int flags)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), on = 1;
    socklen_t len = sizeof(address);

    for (const char *digit = port; *digit >= '0' && *digit <= '9'; digit++)
        address.sin_port = (in_port_t)(address.sin_port * 10 + (*digit - '0'));
    address.sin_port = htons(address.sin_port);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("listen");
        exit(1);
    }
    printf("listens on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* As much HTTP/1.1 as an example needs: requests, answers with a length. */
#ifndef EXAMPLE_HTTP_H
#define EXAMPLE_HTTP_H

#include <stdbool.h>

#include <deputy/guard.h>

#define HEADERS_MAX 64
#define HEAD_MAX 16384

struct http_request {
    struct deputy_text method, target;
    struct deputy_header headers[HEADERS_MAX];
    size_t headers_count;
    struct deputy_text body; /* absent: none */
    size_t bytes;            /* of head and body together */
    bool is_last;            /* the client wants the connection closed */
};

/* A socket that listens on 127.0.0.1, which it says on standard output; `flags` beside SOCK_CLOEXEC. Ends the program when it cannot. */
int http_listen(const char *port, int flags);
/* Reads a request at the start of the buffer. 1: there it is; 0: not all of it is there yet; -1: it is none. */
int http_read(const char *buffer, size_t len, struct http_request *ret_request);
/* Writes an answer; the number of bytes, 0 when there is not enough room. Content-Length is added. */
size_t http_write(char *buffer, size_t size, int status, const struct deputy_header *headers, size_t count,
                  struct deputy_text body, bool is_last);

#endif

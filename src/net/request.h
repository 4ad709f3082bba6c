/* What a request head must look like before anybody acts on it (RFC 9112, RFC 3986). Pure checks over slices.
 *
 * Whatever two parsers could read in two ways is refused: framing that is given twice or in two forms, blanks and
 * control characters where none belong, targets other than a plain path. */
#ifndef DEP_NET_REQUEST_H
#define DEP_NET_REQUEST_H

#include "base/str.h"
#include "http/header.h"

#define DEP_NET_TARGET_MAX 8192u
#define DEP_NET_HEADERS_MAX 100u
#define DEP_NET_HEADER_BYTES_MAX 65535u

struct dep_net_refusal {
    int status;
    const char *detail; /* for the answer's body; plain ASCII without quotes */
};

/* The request line. NULL when it is good. */
const struct dep_net_refusal *dep_net_check_line(struct dep_str method, struct dep_str target, struct dep_str version);

/* The headers of a request with this method; `is_1_1`: HTTP/1.1. NULL when they are good; then `ret_body_bytes` is the
 * length of the body. */
const struct dep_net_refusal *dep_net_check_headers(const struct dep_header *headers, size_t count,
                                                    struct dep_str method, bool is_1_1, size_t body_bytes_max,
                                                    size_t *ret_body_bytes);

#endif

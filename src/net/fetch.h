/* Outgoing HTTP: one function for every document (libcurl). No redirects, no proxy from the environment, size and time
 * caps, address rules checked on the address that is really connected to (RFC 6890 special-use addresses). */
#ifndef DEP_NET_FETCH_H
#define DEP_NET_FETCH_H

#include "base/res.h"
#include "base/secret.h"
#include "http/header.h"

struct dep_fetch_policy {
    bool may_loopback; /* http and loopback addresses (development, side-cars) */
    bool may_private;  /* other special-use addresses; never by default */
    size_t body_bytes_max;
    int64_t timeout_ms;
};

struct dep_fetch_request {
    struct dep_str method;      /* absent: GET */
    struct dep_str url;         /* https, or http where the policy allows; with `unix_socket` any http URL */
    struct dep_str unix_socket; /* a path: connect there; absent: by the URL */
    const struct dep_header *headers;
    size_t headers_count;
    struct dep_str body; /* absent: none */
};

struct dep_fetch_answer {
    int status;
    struct dep_header *headers; /* heap, with the bytes behind them */
    size_t headers_count;
    struct dep_str body; /* heap */
    void *memory;
};

struct dep_fetcher;
/* One easy handle with its own connection cache; one thread at a time. `stop_fd` >= 0 ends a running fetch when
 * readable. */
struct dep_fetcher *dep_fetcher_new(int stop_fd);
void dep_fetcher_free(struct dep_fetcher *fetcher);
/* Any HTTP status is DEP_OK; DEP_ERR_NET_FETCH, _ADDRESS, _SIZE otherwise. dep_fetch_answer_done() releases. */
DEP_MUST struct dep_res dep_fetch(struct dep_fetcher *fetcher, const struct dep_fetch_policy *policy,
                                  const struct dep_fetch_request *request, struct dep_fetch_answer *ret_answer);
void dep_fetch_answer_done(struct dep_fetch_answer *answer);

#endif

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
    int64_t timeout_ms;  /* for the whole fetch, names and handshake included */
    const char *ca_file; /* PEM: the authorities in place of the system's; NULL: those */
};

struct dep_fetch_request {
    struct dep_str method;      /* absent: GET */
    struct dep_str url;         /* https, or http where the policy allows; with `unix_socket` any http URL */
    struct dep_str unix_socket; /* a path: connect there; absent: by the URL */
    const struct dep_header *headers;
    size_t headers_count;
    struct dep_str body; /* absent: none */
    /* The certificate to be shown where the server asks for one, with those above it behind it, and its key, both PEM; absent: none. */
    struct dep_str certificate;
    struct dep_secret certificate_key;
};

struct dep_fetch_answer {
    int status;
    struct dep_header *headers; /* heap, with the bytes behind them */
    size_t headers_count;
    struct dep_str body; /* heap */
    void *memory;
};

struct dep_fetcher;
/* With its own connection cache; one thread at a time. `stop_fd` >= 0 ends a running fetch when readable. */
struct dep_fetcher *dep_fetcher_new(int stop_fd);
void dep_fetcher_free(struct dep_fetcher *fetcher);
/* Any HTTP status is DEP_OK; DEP_ERR_NET_FETCH, _ADDRESS, _SIZE, _CERTIFICATE otherwise. dep_fetch_answer_done() releases. */
DEP_MUST struct dep_res dep_fetch(struct dep_fetcher *fetcher, const struct dep_fetch_policy *policy,
                                  const struct dep_fetch_request *request, struct dep_fetch_answer *ret_answer);
/* Several at once, on the thread that owns the fetcher. `body`, `certificate` and its key must live until dep_fetch_end(); all else is copied. */
struct dep_fetch_transfer;
DEP_MUST struct dep_res dep_fetch_begin(struct dep_fetcher *fetcher, const struct dep_fetch_policy *policy,
                                        const struct dep_fetch_request *request,
                                        struct dep_fetch_transfer **ret_transfer);
/* Moves all transfers on: until one has ended, `wake_fd` (-1: none) is readable, something arrived, or a time (at most a second) is
 * over. False: the stop descriptor is readable, or nothing can be moved. */
bool dep_fetch_wait(struct dep_fetcher *fetcher, int wake_fd, int64_t timeout_ms);
bool dep_fetch_has_ended(const struct dep_fetch_transfer *transfer);
/* Frees it, ended or not; results as those of dep_fetch(). */
DEP_MUST struct dep_res dep_fetch_end(struct dep_fetch_transfer *transfer, struct dep_fetch_answer *ret_answer);
void dep_fetch_answer_done(struct dep_fetch_answer *answer);

#endif

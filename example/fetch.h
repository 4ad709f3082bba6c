/* Fetching for libdeputy with libcurl's multi interface on the server's own epoll: nothing waits. */
#ifndef EXAMPLE_FETCH_H
#define EXAMPLE_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include <deputy/guard.h>

struct fetcher;

/* `may_http`: plain http too, for an issuer on loopback. NULL when libcurl cannot be had. */
struct fetcher *fetcher_new(int epoll_fd, bool may_http);
void fetcher_free(struct fetcher *fetcher);
/* Starts what the guard wants fetched. Milliseconds until there is something to do here; -1: until something happens. */
int64_t fetcher_drive(struct fetcher *fetcher, struct deputy_guard *guard);
/* A descriptor that is none of the server's own is ready. */
void fetcher_ready(struct fetcher *fetcher, int fd, uint32_t events);

#endif

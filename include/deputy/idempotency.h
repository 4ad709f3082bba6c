/* libdeputy: writes that happen once.
 *
 * A caller names a write with an Idempotency-Key of its own choice and repeats the request when it hears nothing. The first one is run and its
 * answer is kept; every later one gets that answer, success or error. When the process dies in between, the next one is told that nobody knows
 * the outcome; it is never run a second time.
 *
 *     deputy_write_begin() -> RUN     run the request, then deputy_write_complete() with its answer, and answer
 *                          -> ANSWER  answer what the write has: kept from the first time, or a refusal (400, 409, 422, 429, 503)
 *                          -> NO_KEY  the request has no key: run it as ever
 *
 * Threads: a ledger may be used by any number of threads at once; a write belongs to one at a time. Several processes may open one file. These
 * functions wait for the disk: a loop that may not be blocked calls them on a thread of its own. Open the file after fork(). */
#ifndef DEPUTY_IDEMPOTENCY_H
#define DEPUTY_IDEMPOTENCY_H

#include <deputy/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

struct deputy_ledger;
struct deputy_write;

/* Opens or makes the ledger, a SQLite file with mode 0600; beside it "<path>.owners" tells who lives. Remembers for 24 hours a million
 * writes, 100,000 of one caller. `secret` (NULL: none) is mixed into what seals answers at rest; all who share the file have the same.
 * DEPUTY_ERR_MEMORY; DEPUTY_ERR_SYSTEM: the file cannot be used. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_ledger_open(const char *path, const void *secret, size_t secret_len,
                                                             struct deputy_ledger **ret_ledger);
/* What a ledger holds at most. Set `size`; 0: as deputy_ledger_open() has it. All who share a file have the same. */
struct deputy_ledger_limits {
    size_t size;                /* sizeof(struct deputy_ledger_limits) */
    int64_t entries_max;        /* writes in all: beyond, 503 */
    int64_t caller_entries_max; /* of one caller: beyond, 429 */
    int64_t bytes_max;          /* of kept answers in all: beyond, only that there was one is kept */
    int64_t retention_s;        /* how long a write is remembered, from its beginning */
};
/* The same with limits. DEPUTY_ERR_ARGUMENT too: one of them is below zero. */
DEPUTY_API DEPUTY_MUST enum deputy_result deputy_ledger_open_limited(const char *path, const void *secret,
                                                                     size_t secret_len,
                                                                     const struct deputy_ledger_limits *limits,
                                                                     struct deputy_ledger **ret_ledger);
/* Every write must have been freed. */
DEPUTY_API void deputy_ledger_close(struct deputy_ledger *ledger);

enum deputy_write_outcome { DEPUTY_WRITE_RUN = 1, DEPUTY_WRITE_ANSWER = 2, DEPUTY_WRITE_NO_KEY = 3 };

/* Why the outcome is ANSWER. */
enum deputy_write_reason {
    DEPUTY_WRITE_NONE = 0,      /* it is RUN */
    DEPUTY_WRITE_REPLAYED = 1,  /* the answer of the first time */
    DEPUTY_WRITE_IN_FLIGHT = 2, /* 409: the first one is still running; Retry-After */
    DEPUTY_WRITE_MISMATCH = 3,  /* 422: the key was used for another request */
    DEPUTY_WRITE_UNKNOWN = 4,   /* 409: the outcome of the first one is not known, or its answer was not kept */
    DEPUTY_WRITE_REFUSED = 5    /* no key where one is required, a malformed one, a full ledger, no disk */
};

#define DEPUTY_WRITE_KEY_REQUIRED (1u << 0) /* a request without a key is refused with 400 */
#define DEPUTY_WRITE_KEY_BARE (1u << 1)     /* a key without quotes is taken too */

/* The request, after it was allowed. Set `size`. */
struct deputy_write_request {
    size_t size;                          /* sizeof(struct deputy_write_request) */
    const struct deputy_verdict *verdict; /* the allow: whose key it is */
    struct deputy_text method;
    struct deputy_text target;           /* path and query, as sent */
    const struct deputy_header *headers; /* every line; Idempotency-Key and Content-Type are read */
    size_t headers_count;
    struct deputy_text body; /* all of it */
    unsigned flags;
};

/* For RUN the entry is on the disk when this returns. `*ret_write` is the caller's: NULL for NO_KEY only. */
DEPUTY_API DEPUTY_MUST enum deputy_write_outcome deputy_write_begin(struct deputy_ledger *ledger,
                                                                    const struct deputy_write_request *request,
                                                                    struct deputy_write **ret_write);
DEPUTY_API enum deputy_write_reason deputy_write_reason(const struct deputy_write *write);
/* ANSWER: what to answer. 0 for RUN. */
DEPUTY_API int deputy_write_status(const struct deputy_write *write);
/* ANSWER: all headers of the answer. RUN: those to be added to yours. */
DEPUTY_API const struct deputy_header *deputy_write_headers(const struct deputy_write *write, size_t *ret_count);
DEPUTY_API struct deputy_text deputy_write_body(const struct deputy_write *write);

/* RUN: it was run, and this is its answer. Keep it before it is sent: then send it. Kept are status, the headers that describe the body or name
 * what was made, and a body of at most 64 KiB; of a larger one only that it was given. Frees the write. DEPUTY_ERR_SYSTEM: it could not be kept, and
 * later requests are told that the outcome is not known; answer all the same. */
DEPUTY_API enum deputy_result deputy_write_complete(struct deputy_write *write, int status,
                                                    const struct deputy_header *headers, size_t headers_count,
                                                    struct deputy_text body);
/* RUN: it was surely not run; the key may be used again. Frees the write. */
DEPUTY_API void deputy_write_abandon(struct deputy_write *write);
/* ANSWER: frees. RUN without an end: the outcome is not known from here on. */
DEPUTY_API void deputy_write_free(struct deputy_write *write);

#ifdef __cplusplus
}
#endif

#endif

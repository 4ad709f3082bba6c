/* Following an issuer: which document to fetch, when, and what an answer changes. No sockets, no threads and no clocks
 * here: shells drive it, such as the sidecar's threads and the callers of libdeputy. */
#ifndef DEP_GUARD_FOLLOW_H
#define DEP_GUARD_FOLLOW_H

#include "base/arena.h"
#include "base/res.h"
#include "base/str.h"

#define DEP_FOLLOW_URL_MAX 2048u
#define DEP_FOLLOW_DOCUMENT_MAX 65536u

/* Immutable; outlives those that follow. */
struct dep_follow_policy {
    struct dep_str issuer;      /* exactly as in its metadata */
    int64_t keys_refresh_s;     /* a good key set is fetched again after that time */
    int64_t keys_throttle_s;    /* unknown kids cause at most one fetch in that time (attack case A33) */
    int64_t keys_stale_max_s;   /* older keys are not used (A34) */
    int64_t skew_s;             /* between the issuer's clock and ours */
    int64_t feed_silence_max_s; /* how long old keys are used after the issuer said that it has others (A65) */
};

enum dep_follow_kind { DEP_FOLLOW_METADATA, DEP_FOLLOW_KEYS, DEP_FOLLOW_FEED };

/* A GET. Slices live until the answer is settled. */
struct dep_follow_fetch {
    enum dep_follow_kind kind;
    struct dep_str url;
    struct dep_str accept, authorization; /* header values; absent: not sent */
    size_t body_bytes_max;
    int64_t timeout_ms;
};

/* What came of it. */
struct dep_follow_answer {
    struct dep_res res; /* why there is no answer; DEP_OK: there is one */
    int status;
    struct dep_str body;
};

/* DEP_OK for a 200. */
DEP_MUST static inline struct dep_res dep_follow_answered(const struct dep_follow_answer *answer)
{
    if (!dep_is_ok(answer->res))
        return answer->res;
    return answer->status == 200 ? DEP_OK : DEP_FAIL(NET_FETCH_STATUS);
}

/* Where the metadata is: the well-known name goes between authority and path (rfc8414#3.1). Into the arena.
 * DEP_ERR_URL_SYNTAX for an issuer with query, fragment or user. */
DEP_MUST struct dep_res dep_follow_metadata_url(struct dep_arena *arena, struct dep_str issuer,
                                                struct dep_str *ret_url);
/* The jwks_uri of metadata whose issuer is the expected one character by character (rfc8414#3.3), in the arena.
 * DEP_ERR_METADATA_SYNTAX. */
DEP_MUST struct dep_res dep_follow_metadata_read(struct dep_arena *arena, struct dep_str issuer, struct dep_str text,
                                                 struct dep_str *ret_jwks_uri);

#endif

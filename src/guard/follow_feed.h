/* Following the revocation feed by long poll.
 *
 * Invariants:
 *  (1) A set that readers hold is never changed: each answer with entries makes a copy.
 *  (2) Only a good answer, signed by the issuer and of now, counts as hearing. What cannot be read as a whole changes nothing, and the silence grows.
 *
 * Threads: the slot and dep_follow_feed_silence_s() are for everybody; _due and _next need the shell's lock; settling
 * is for the one whose fetch is out. */
#ifndef DEP_GUARD_FOLLOW_FEED_H
#define DEP_GUARD_FOLLOW_FEED_H

#include "base/secret.h"
#include "guard/follow.h"
#include "guard/share.h"
#include "jose/jws.h"
#include "proto/revocation.h"

#define DEP_FOLLOW_JWKS_NAME_MAX 64u

/* What the slot holds. */
struct dep_guard_feed_set {
    struct dep_shared shared;
    struct dep_revocations *entries;
};

struct dep_follow_feed {
    const struct dep_follow_policy *policy;
    struct dep_slot slot;
    atomic_int_fast64_t heard_ms; /* the last good answer; 0: none yet */
    atomic_bool is_asked;
    int64_t due_ms, sent_ms;
    int64_t version; /* -1: not known */
    int64_t iat;     /* of the last good answer, 0: none */
    char jwks[DEP_FOLLOW_JWKS_NAME_MAX];
    size_t jwks_len; /* 0: not known */
    char url[DEP_FOLLOW_URL_MAX];
    struct dep_str authorization; /* "Basic …", in `secrets` */
    char *secrets;
    size_t secrets_bytes;
};

/* Client id and secret are copied. DEP_ERR_BUF_FULL for an issuer that is too long, DEP_ERR_ARENA_FULL;
 * dep_follow_feed_done() is due in any case, and wipes. */
DEP_MUST struct dep_res dep_follow_feed_init(struct dep_follow_feed *feed, const struct dep_follow_policy *policy,
                                             struct dep_str client_id, struct dep_secret client_secret);
void dep_follow_feed_done(struct dep_follow_feed *feed);

/* When dep_follow_feed_next() has a fetch; INT64_MAX while one is out. */
int64_t dep_follow_feed_due(const struct dep_follow_feed *feed);
/* The poll that is due. Every one must be settled, also without an answer. */
void dep_follow_feed_next(struct dep_follow_feed *feed, int64_t now_ms, struct dep_follow_fetch *ret_fetch);
/* Applies the answer, which a key of `keys` must have signed (NULL: none is known yet). The reason why it was of no use. `*ret_has_keys_news`:
 * the issuer names another key set than before, or signs with a key that is not known. */
DEP_MUST struct dep_res dep_follow_feed_settle(struct dep_follow_feed *feed, struct dep_crypto *crypto,
                                               const struct dep_jwks *keys, const struct dep_follow_answer *answer,
                                               int64_t now_ms, int64_t now, bool *ret_has_keys_news);

/* Whole seconds since the last good answer, rounded up; INT64_MAX before the first. */
int64_t dep_follow_feed_silence_s(const struct dep_follow_feed *feed, int64_t now_ms);

/* The payload of an answer that is a JWT of "typ": "revocations+jwt", by a key of `keys`: into the arena. DEP_ERR_FEED_SYNTAX,
 * DEP_ERR_KEYS_MISSING without any key, DEP_ERR_FEED_KEY, DEP_ERR_FEED_SIGNATURE. */
DEP_MUST struct dep_res dep_guard_feed_open(struct dep_arena *arena, struct dep_crypto *crypto,
                                            const struct dep_jwks *keys, struct dep_str token,
                                            struct dep_str *ret_payload);

/* One payload, applied to `old` (NULL: nothing known yet): {"iss","iat","version":N,"full":bool,"entries":[...],"jwks":"hash"?}. A
 * new set, or NULL when the answer changes nothing. DEP_ERR_FEED_SYNTAX. The caller frees. */
struct dep_guard_feed_answer {
    int64_t version, iat;
    struct dep_str iss;
    struct dep_str jwks; /* names the issuer's key set; absent: not said */
    bool is_full;
    size_t entries;
    struct dep_revocations *set;
};
DEP_MUST struct dep_res dep_guard_feed_apply(struct dep_arena *arena, struct dep_str text,
                                             const struct dep_revocations *old, int64_t version, int64_t now,
                                             struct dep_guard_feed_answer *ret_answer);

#endif

/* Following the issuer's keys: metadata, then the JWK Set it names.
 *
 * Invariants:
 *  (1) One round in flight, of one or two fetches. Unknown kids cause at most one in keys_throttle_s (attack case A33).
 *  (2) When the issuer says that its keys changed, the old ones are used for feed_silence_max_s at most (A65).
 *  (3) A set that cannot be used as a whole changes nothing: the old one stays (A35), until keys_stale_max_s (A34).
 *
 * Threads: the slot and dep_follow_keys_are_usable() are for everybody. All else needs the shell's lock, but
 * dep_follow_keys_read(), which does the work of an answer and touches nothing. */
#ifndef DEP_GUARD_FOLLOW_KEYS_H
#define DEP_GUARD_FOLLOW_KEYS_H

#include "guard/follow.h"
#include "guard/share.h"
#include "jose/jwk.h"

/* What the slot holds. */
struct dep_key_set {
    struct dep_shared shared;
    struct dep_jwks *jwks;
    unsigned char digest[DEP_SHA256_LEN]; /* of the document */
};

struct dep_follow_keys {
    const struct dep_follow_policy *policy;
    struct dep_slot slot;
    atomic_int_fast64_t until_ms;  /* the keys may be used until then, inclusive; INT64_MIN: there are none */
    bool is_wanted;                /* a round should begin now */
    bool is_round, is_asked;       /* a round is under way; a fetch of it is out */
    int64_t due_ms;                /* of the next round */
    int64_t asked_ms;              /* when an unknown kid last led to a round */
    int64_t fetched_ms, hinted_ms; /* 0: never; since when the issuer has said that it has other keys, 0: these are */
    char urls[2][DEP_FOLLOW_URL_MAX]; /* metadata; jwks_uri, empty when not known */
    unsigned char digest[DEP_SHA256_LEN];
};

/* DEP_ERR_URL_SYNTAX or DEP_ERR_BUF_FULL for an issuer that cannot be asked; dep_follow_keys_done() is due in any case. */
DEP_MUST struct dep_res dep_follow_keys_init(struct dep_follow_keys *keys, const struct dep_follow_policy *policy);
void dep_follow_keys_done(struct dep_follow_keys *keys);

/* When dep_follow_keys_next() has a fetch; INT64_MAX while one is out. */
int64_t dep_follow_keys_due(const struct dep_follow_keys *keys);
/* The fetch that is due. Every one must be settled, also without an answer. */
void dep_follow_keys_next(struct dep_follow_keys *keys, struct dep_follow_fetch *ret_fetch);

/* What an answer says. */
struct dep_follow_keys_news {
    enum dep_follow_kind kind;
    struct dep_res res;           /* why it says nothing */
    char url[DEP_FOLLOW_URL_MAX]; /* of metadata: the jwks_uri */
    struct dep_key_set *set;      /* of a key set; dep_follow_keys_settle() takes it */
    unsigned char digest[DEP_SHA256_LEN];
};
void dep_follow_keys_read(const struct dep_follow_policy *policy, struct dep_crypto *crypto, enum dep_follow_kind kind,
                          const struct dep_follow_answer *answer, struct dep_follow_keys_news *ret_news);
/* Applies it. The news' reason again. */
DEP_MUST struct dep_res dep_follow_keys_settle(struct dep_follow_keys *keys, struct dep_follow_keys_news *news,
                                               int64_t now_ms);

/* True when there are keys, not older than keys_stale_max_s, and the issuer has not been saying for longer than
 * feed_silence_max_s that there are others. */
bool dep_follow_keys_are_usable(const struct dep_follow_keys *keys, int64_t now_ms);
/* True when an unknown kid may be waited for: a round is under way or may begin. */
bool dep_follow_keys_may_want(const struct dep_follow_keys *keys, int64_t now_ms);
/* An unknown kid was seen, and may be waited for: asks for a round if none is under way. */
void dep_follow_keys_want(struct dep_follow_keys *keys, int64_t now_ms);
/* The issuer says that its keys changed: asks for a round now. */
void dep_follow_keys_hint(struct dep_follow_keys *keys, int64_t now_ms);

#endif

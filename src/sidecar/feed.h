/* The revocation feed: one background thread long-polls the issuer and swaps the set.
 *
 * Invariants:
 *  (1) A set that readers hold is never changed: each answer with entries makes a copy.
 *  (2) Only a good answer counts as hearing. What cannot be read as a whole changes nothing, and the silence grows. */
#ifndef DEP_SIDECAR_FEED_H
#define DEP_SIDECAR_FEED_H

#include "proto/revocation.h"
#include "guard/share.h"
#include "sidecar/sidecar.h"

/* What the slot holds. */
struct dep_guard_feed_set {
    struct dep_shared shared;
    struct dep_revocations *entries;
};

struct dep_guard_feed;

/* `on_keys` is called on the feed's thread when the answer's "jwks" member changes: the issuer has other keys now. */
struct dep_guard_feed *dep_guard_feed_new(const struct dep_sidecar_config *config, int stop_fd,
                                          void (*on_keys)(void *context), void *context);
/* Ends the thread and frees; `stop_fd` must be readable by now. */
void dep_guard_feed_free(struct dep_guard_feed *feed);
struct dep_slot *dep_guard_feed_slot(struct dep_guard_feed *feed);
/* Since the last good answer; INT64_MAX before the first. */
int64_t dep_guard_feed_silence_ms(struct dep_guard_feed *feed, int64_t now_ms);

/* One answer, applied to `old` (NULL: nothing known yet): {"version":N,"full":bool,"entries":[...],"jwks":"hash"?}. A
 * new set, or NULL when the answer changes nothing. DEP_ERR_FEED_SYNTAX. The caller frees. */
struct dep_guard_feed_answer {
    int64_t version;
    struct dep_str jwks; /* names the issuer's key set; absent: not said */
    bool is_full;
    size_t entries;
    struct dep_revocations *set;
};
DEP_MUST struct dep_res dep_guard_feed_apply(struct dep_arena *arena, struct dep_str text,
                                             const struct dep_revocations *old, int64_t version, int64_t now,
                                             struct dep_guard_feed_answer *ret_answer);

#endif

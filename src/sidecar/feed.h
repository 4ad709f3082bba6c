/* The revocation feed, followed by one background thread (guard/follow_feed.h has the rules). */
#ifndef DEP_SIDECAR_FEED_H
#define DEP_SIDECAR_FEED_H

#include "guard/follow_feed.h"
#include "sidecar/sidecar.h"

struct dep_guard_feed;

/* `on_keys` is called on the feed's thread when the answer's "jwks" member changes: the issuer has other keys now. */
struct dep_guard_feed *dep_guard_feed_new(const struct dep_sidecar_config *config, int stop_fd, struct dep_slot *keys,
                                          void (*on_keys)(void *context), void *context);
/* Ends the thread and frees; `stop_fd` must be readable by now. */
void dep_guard_feed_free(struct dep_guard_feed *feed);
/* Holds a dep_guard_feed_set. */
struct dep_slot *dep_guard_feed_slot(struct dep_guard_feed *feed);
/* Since the last good answer, rounded up; INT64_MAX before the first. */
int64_t dep_guard_feed_silence_s(struct dep_guard_feed *feed, int64_t now_ms);

#endif

/* The issuer's keys, kept fresh by one background thread (guard/follow_keys.h has the rules). A second one sees to it that nobody waits
 * for them longer than DEP_KEYS_WAIT_MAX_MS: a proxy has little patience, and 503 is better than its own words (integrations#3.4 G12). */
#ifndef DEP_SIDECAR_KEYS_H
#define DEP_SIDECAR_KEYS_H

#include "guard/follow_keys.h"
#include "sidecar/sidecar.h"

struct dep_keys;
#define DEP_KEYS_WAIT_MAX_MS 150

/* Something that waits for a fetch; the first member of whatever carries it. `resume` is called once, on one of the threads
 * of the keys, never on both at a time. */
struct dep_keys_waiter {
    struct dep_keys_waiter *next;
    void (*resume)(struct dep_keys_waiter *waiter);
    int64_t until_ms; /* the keys' own */
};

/* Starts the thread, which fetches at once. NULL when out of memory or threads. */
struct dep_keys *dep_keys_new(const struct dep_sidecar_config *config, int stop_fd);
/* Ends the thread; `stop_fd` must be readable by now. Those that wait are resumed. */
void dep_keys_stop(struct dep_keys *keys);
void dep_keys_free(struct dep_keys *keys);
/* Holds a dep_key_set. */
struct dep_slot *dep_keys_slot(struct dep_keys *keys);
/* True when there are keys, not older than keys_stale_max_s, and the feed has not been saying for longer than
 * feed_silence_max_s that there are others. */
bool dep_keys_are_usable(struct dep_keys *keys, int64_t now_ms);
/* True when an unknown kid may be waited for. */
bool dep_keys_may_refresh(struct dep_keys *keys, int64_t now_ms);
/* True while a fetch is under way, or due at once: what is not known now may be known in a moment. */
bool dep_keys_are_underway(struct dep_keys *keys);
/* Asks for a fetch and takes the waiter. False: not now, decide with what there is. */
bool dep_keys_wait(struct dep_keys *keys, struct dep_keys_waiter *waiter, int64_t now_ms);
/* The feed says that the issuer's keys changed: fetch now. */
void dep_keys_hint(struct dep_keys *keys);

#endif

/* The in-memory replay store: what was used must not be used again while it could still be accepted.
 *
 * Shards by key, generations by the entry's own expiry, so that one probe suffices and a whole generation is dropped at once.
 * Bounded: a full generation refuses (DEP_ERR_REPLAY_FULL), nothing live is ever evicted. Thread-safe. */
#ifndef DEP_STORE_REPLAY_H
#define DEP_STORE_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/res.h"

#define DEP_REPLAY_KEY_LEN 16u /* truncated keyed hash of purpose, issuer or jkt, htu and jti: proto/replay.h */

struct dep_replay;

/* Room for about `entries_max` live entries, each living at most `life_max_s` seconds from now. Memory grows with use. */
struct dep_replay *dep_replay_new(size_t entries_max, int64_t life_max_s);
void dep_replay_free(struct dep_replay *replay);
/* Inserts if absent, atomically: DEP_OK, DEP_ERR_REPLAY_SEEN or DEP_ERR_REPLAY_FULL. The entry lives until `expires` inclusive
 * (Unix seconds). The same thing must always come with the same `expires`. One that would live longer than life_max_s is refused
 * as DEP_ERR_REPLAY_FULL, one whose time the store has already dropped as DEP_ERR_REPLAY_SEEN. */
DEP_MUST struct dep_res dep_replay_insert(struct dep_replay *replay, const unsigned char key[DEP_REPLAY_KEY_LEN],
                                          int64_t expires, int64_t now);
/* Whether dep_replay_insert() would find it there. */
bool dep_replay_has(struct dep_replay *replay, const unsigned char key[DEP_REPLAY_KEY_LEN], int64_t expires);
size_t dep_replay_count(struct dep_replay *replay);
size_t dep_replay_bytes(struct dep_replay *replay);

#endif

/* The replay store over memory that several processes share: as replay.h, but of a fixed size.
 *
 * Shards by key, generations by the entry's own expiry. A generation whose table is full refuses; nothing live is ever
 * evicted. Processes may be killed at any moment: nobody waits for a dead one, and nothing that was inserted is lost.
 * The memory is mapped at the same address in all of them. */
#ifndef DEP_STORE_REPLAY_REGION_H
#define DEP_STORE_REPLAY_REGION_H

#include <stddef.h>
#include <stdint.h>

#include "base/res.h"

struct dep_replay_region;

/* Makes a store of all the memory, which is aligned to 64 bytes. `life_max_s` as for dep_replay_new(). NULL: too small, or
 * no lock can be had. */
struct dep_replay_region *dep_replay_region_init(void *memory, size_t bytes, int64_t life_max_s);
int64_t dep_replay_region_life_max_s(const struct dep_replay_region *region);
/* Entries that one of the ten generations of a life has room for. */
size_t dep_replay_region_generation_max(const struct dep_replay_region *region);
/* As dep_replay_insert(). */
DEP_MUST struct dep_res dep_replay_region_insert(struct dep_replay_region *region, const unsigned char key[16],
                                                 int64_t expires, int64_t now);
size_t dep_replay_region_count(struct dep_replay_region *region);

#endif

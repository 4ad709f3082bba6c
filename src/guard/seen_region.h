/* Tokens verified before, over memory that several processes share: what one worker of nginx has verified, none of the others
 * needs to. A second level behind each worker's own cache (seen.h).
 *
 * Invariants:
 *  (1) An entry says what seen.h says, and under what: `tag` names issuer, audience, algorithms and the very key set, since
 *      processes of different configurations share the memory for a while.
 *  (2) A process that is killed inside a lock takes the entries of that set with it, and blocks nobody.
 *  (3) What is found is copied out: nobody reads memory that another process may write. */
#ifndef DEP_GUARD_SEEN_REGION_H
#define DEP_GUARD_SEEN_REGION_H

#include "base/arena.h"
#include "proto/token.h"

struct dep_seen_region;

/* Makes a cache of all the memory, which is aligned to 64 bytes and mapped at one address everywhere. NULL: too small, or no
 * lock can be had. */
struct dep_seen_region *dep_seen_region_init(void *memory, size_t bytes);
/* A copy in the arena, or NULL. */
struct dep_token *dep_seen_region_find(struct dep_seen_region *region, const unsigned char digest[DEP_SHA256_LEN],
                                       const unsigned char tag[DEP_SHA256_LEN], int64_t now, struct dep_arena *arena);
/* False: it is not kept, as one that is too large for its place. */
bool dep_seen_region_put(struct dep_seen_region *region, const unsigned char digest[DEP_SHA256_LEN],
                         const unsigned char tag[DEP_SHA256_LEN], int64_t now, const struct dep_token *token);

#endif

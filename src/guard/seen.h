/* Tokens verified before: a bounded cache of one worker thread, keyed by SHA-256 of the whole token.
 *
 * Invariants:
 *  (1) An entry says that the signature and the constant claims were good under one version of the issuer's keys, and
 *      nothing else.
 *  (2) It dies at the token's exp, or when the keys have changed. The cache is a hint: any entry may be dropped at any
 *      time.
 *  (3) Entries own their memory; what dep_guard_seen_find() gives lives until the next call on the cache. */
#ifndef DEP_GUARD_SEEN_H
#define DEP_GUARD_SEEN_H

#include "proto/token.h"

struct dep_guard_seen;

/* Room for `tokens_max` tokens, rounded up to sets of eight. NULL when out of memory. */
struct dep_guard_seen *dep_guard_seen_new(size_t tokens_max);
void dep_guard_seen_free(struct dep_guard_seen *seen);
/* The token, or NULL. */
const struct dep_token *dep_guard_seen_find(struct dep_guard_seen *seen, const unsigned char digest[DEP_SHA256_LEN],
                                            uint64_t keys_version, int64_t now);
/* Copies the token in; in a full set the expired or least recently used one makes room. Out of memory: nothing is kept.
 * */
void dep_guard_seen_put(struct dep_guard_seen *seen, const unsigned char digest[DEP_SHA256_LEN], uint64_t keys_version,
                        int64_t now, const struct dep_token *token);
size_t dep_guard_seen_count(const struct dep_guard_seen *seen);

#endif

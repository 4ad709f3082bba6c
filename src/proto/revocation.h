/* What is revoked, and whether it covers a token: one function for introspection, exchange and the guard. */
#ifndef DEP_PROTO_REVOCATION_H
#define DEP_PROTO_REVOCATION_H

#include "proto/records.h"
#include "proto/token.h"

/* The "typ" of the signed revocation feed (server/feed.h, guard/follow_feed.h). */
#define DEP_FEED_TYP "revocations+jwt"

/* A set of entries. Immutable once shared; built by adding. On the heap, because it outlives requests. */
struct dep_revocations;

struct dep_revocations *dep_revocations_new(size_t expected);
void dep_revocations_free(struct dep_revocations *set);
/* Adds or raises `before` and `expires` of the entry. DEP_ERR_ARENA_FULL when out of memory. */
DEP_MUST struct dep_res dep_revocations_add(struct dep_revocations *set, const struct dep_revocation *entry);
size_t dep_revocations_count(const struct dep_revocations *set);
/* True when an entry names the token's jti or one of its lineage, its client, its subject or any actor, its organisation, or its
 * task or parent task, and the token was not issued after the entry's time. */
bool dep_revocations_cover(const struct dep_revocations *set, const struct dep_token *token);
/* A copy. Entries that expired before `now` are left out once they are more than an eighth of all. NULL when out of memory. */
struct dep_revocations *dep_revocations_copy(const struct dep_revocations *set, int64_t now);
/* What the set occupies, in bytes. */
size_t dep_revocations_bytes(const struct dep_revocations *set);
/* The i-th entry, in the order they came; false when there are not so many. For writing snapshots of the feed. */
bool dep_revocations_at(const struct dep_revocations *set, size_t i, struct dep_revocation *ret_entry);

#endif

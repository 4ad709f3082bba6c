/* The revocation feed: what was revoked since a version, for guards that follow it by long poll.
 *
 * Versions count changes since this process started, from a base that a later process exceeds; a guard that names a version of
 * another life gets everything ("full").
 *
 * An answer is a JWT in compact form, "typ": "revocations+jwt", by the key that signs tokens: {"iss","iat","jwks","version","full",
 * "entries":[{"kind","id","before","expires"}]} (ADR 28). What carries it, a proxy or a cache, can neither add nor take away. */
#ifndef DEP_SERVER_FEED_H
#define DEP_SERVER_FEED_H

#include "crypto/crypto.h"
#include "net/server.h"
#include "proto/revocation.h"

#define DEP_FEED_POLL_MS 2000

/* Who signs what is told now. `key` NULL: nobody, the answer is 503. The crypto is the calling thread's. */
struct dep_feed_signer {
    struct dep_crypto *crypto;
    const struct dep_private_key *key;
    struct dep_str kid, issuer;
};

struct dep_feed;
struct dep_feed *dep_feed_new(uint64_t base);
void dep_feed_free(struct dep_feed *feed);
/* A new entry: wakes those who wait. */
void dep_feed_add(struct dep_feed *feed, const struct dep_feed_signer *signer, const struct dep_revocation *entry);
/* Answers now when there is news after `after`, else when there is or after DEP_FEED_POLL_MS. Takes the exchange. `all` holds every
 * entry up to `all_version`. */
void dep_feed_poll(struct dep_feed *feed, const struct dep_feed_signer *signer, struct dep_net_exchange *exchange,
                   uint64_t after, const struct dep_revocations *all, uint64_t all_version, struct dep_str decision_id);
/* To be read before the snapshot is taken whose entries go out as `all`: then `all` has everything up to it. */
uint64_t dep_feed_version(struct dep_feed *feed);
/* The JWK Set changed: guards see a new "jwks" and fetch it at once, which is what takes a tainted key out of use. */
void dep_feed_set_jwks(struct dep_feed *feed, const struct dep_feed_signer *signer, uint64_t hash);
/* Answers those who have waited long enough: to be called a few times a second. */
void dep_feed_tick(struct dep_feed *feed, const struct dep_feed_signer *signer);
/* Answers everybody who waits; new polls are answered at once from here on. */
void dep_feed_stop(struct dep_feed *feed, const struct dep_feed_signer *signer);

#endif

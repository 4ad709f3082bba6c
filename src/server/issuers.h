/* Keys of trusted foreign issuers: fetched by one thread, cached, and requests that wait for them.
 *
 * A worker never waits for a network. A request whose key is not here is parked; the thread fetches the issuer's keys, at most once in
 * DEP_ISSUERS_THROTTLE_S seconds each (attack case A33), and runs the request again. Old keys stay when new ones cannot be had, up
 * to DEP_ISSUERS_STALE_S; a set is taken as a whole or not at all (A35). */
#ifndef DEP_SERVER_ISSUERS_H
#define DEP_SERVER_ISSUERS_H

#include "jose/jwk.h"
#include "net/server.h"

#define DEP_ISSUERS_MAX 64u
#define DEP_ISSUERS_PARKED_MAX 256u
#define DEP_ISSUERS_FRESH_S 600
#define DEP_ISSUERS_STALE_S 86400
#define DEP_ISSUERS_THROTTLE_S 10

struct dep_issuers;
struct dep_issuer_keys; /* a key set with a count of its users */

/* `may_loopback` for development. `find_url` gives an issuer's jwks_uri, or absent for discovery. `again` runs a parked request. */
DEP_MUST struct dep_res dep_issuers_start(
    bool may_loopback, struct dep_str (*find_url)(void *context, struct dep_str issuer, struct dep_arena *arena),
    void (*again)(void *context, struct dep_net_exchange *exchange), void *context, struct dep_issuers **ret_issuers);
/* Ends a running fetch; parked requests are run with what there is. */
void dep_issuers_stop(struct dep_issuers *issuers);
void dep_issuers_free(struct dep_issuers *issuers);

/* The issuer's keys, referenced, or NULL. `*ret_must_fetch` when fetching could help: there are none, they are old, or none has this kid
 * and alg, and the throttle allows it. */
struct dep_issuer_keys *dep_issuers_get(struct dep_issuers *issuers, struct dep_str issuer, struct dep_str kid,
                                        enum dep_alg alg, int64_t now, bool *ret_must_fetch);
const struct dep_jwks *dep_issuer_keys_set(const struct dep_issuer_keys *keys);
void dep_issuer_keys_unref(struct dep_issuer_keys *keys);
/* Takes the (deferred) exchange until its issuer's keys have been tried: DEP_ERR_OVERLOADED, DEP_ERR_SHUTTING_DOWN. */
DEP_MUST struct dep_res dep_issuers_park(struct dep_issuers *issuers, struct dep_net_exchange *exchange,
                                         struct dep_str issuer);

#endif

/* Keys of trusted foreign issuers: fetched by one thread, cached, and requests that wait for them.
 *
 * A worker never waits for a network. A request whose key is not here is parked at its issuer; the thread looks the issuer's keys up, and
 * runs the request again. It waits for all issuers at once: one that stalls keeps nobody but its own requests, and of those a bounded
 * number (F11). For each issuer one lookup is under way (F18), and no other begins within DEP_ISSUERS_THROTTLE_S seconds after one
 * that failed or that an unknown kid brought about (A33). Old keys stay when new ones cannot be had, up to DEP_ISSUERS_STALE_S; a set is
 * taken as a whole or not at all (A35). Keys belong to the issuer and to the place that its record names: a record that is made anew
 * inherits none. */
#ifndef DEP_SERVER_ISSUERS_H
#define DEP_SERVER_ISSUERS_H

#include "jose/jwk.h"
#include "net/server.h"

#define DEP_ISSUERS_MAX 64u
#define DEP_ISSUERS_PARKED_MAX 128u /* of one issuer */
#define DEP_ISSUERS_FRESH_S 600
#define DEP_ISSUERS_STALE_S 86400
#define DEP_ISSUERS_THROTTLE_S 10
/* A lookup that failed ends at a whole multiple of this: how long it took does not tell whether a port is open (F24). */
#define DEP_ISSUERS_BUCKET_MS 1000

struct dep_issuers;
struct dep_issuer_keys; /* a key set with a count of its users */

/* Whose keys, and whence: `jwks_uri` absent for discovery. */
struct dep_issuer_place {
    struct dep_str issuer, jwks_uri;
};

struct dep_issuers_config {
    bool may_loopback;   /* development */
    const char *ca_file; /* PEM, outlives this; NULL: the system's authorities */
    void (*again)(void *context, struct dep_net_exchange *exchange); /* runs a parked request */
    void *context;
};

DEP_MUST struct dep_res dep_issuers_start(const struct dep_issuers_config *config, struct dep_issuers **ret_issuers);
/* Ends running lookups; parked requests are run with what there is. */
void dep_issuers_stop(struct dep_issuers *issuers);
void dep_issuers_free(struct dep_issuers *issuers);

/* The issuer's keys, referenced, or NULL. `*ret_must_fetch` when fetching could help: there are none, they are old, or none has this kid
 * and alg, and the throttle allows it. `*ret_lookups` is for dep_issuers_park(). */
struct dep_issuer_keys *dep_issuers_get(struct dep_issuers *issuers, struct dep_issuer_place place, struct dep_str kid,
                                        enum dep_alg alg, int64_t now, bool *ret_must_fetch, uint64_t *ret_lookups);
const struct dep_jwks *dep_issuer_keys_set(const struct dep_issuer_keys *keys);
void dep_issuer_keys_unref(struct dep_issuer_keys *keys);
/* Takes the (deferred) exchange until its issuer's keys have been tried: DEP_ERR_OVERLOADED, DEP_ERR_SHUTTING_DOWN. `lookups` is what
 * dep_issuers_get() saw: when one has ended since, the request is run again at once. */
DEP_MUST struct dep_res dep_issuers_park(struct dep_issuers *issuers, struct dep_net_exchange *exchange,
                                         struct dep_issuer_place place, uint64_t lookups);

#endif

/* The keys of a thread that verify so often that a table of their multiples pays (p256_table.c, ADR 0029).
 *
 * A key is known by its bytes, so a key set that is fetched again, or a key that the cache imports again, finds its
 * table. Time is counted in good ES256 signatures of this thread. Bad ones count nowhere: who has no good signature of
 * a key can neither have its table made nor keep or take a place.
 *
 * Invariants:
 *  (1) At most `limits.places` tables; the first `count` places are taken, each by another key.
 *  (2) A key gets a table only after about `limits.uses` good signatures without one.
 *  (3) Whether a key has a table changes how fast it verifies and nothing else. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/internal.h"

#define COUNTERS 4096u

struct dep_hot_key {
    unsigned char point[DEP_P256_POINT_LEN];
    EC_GROUP *table;
    unsigned worth; /* uses, `limits.uses` at most; halved when a period ends */
};

struct dep_hot_keys {
    struct dep_hot_limits limits;
    bool is_able; /* the library makes tables */
    unsigned char secret[crypto_shorthash_KEYBYTES];
    struct dep_p256 *p256;
    uint32_t seen; /* good signatures of this period */
    unsigned count;
    uint64_t names[DEP_HOT_PLACES_MAX]; /* together, since each verification looks through them */
    struct dep_hot_key places[DEP_HOT_PLACES_MAX];
    /* Good signatures of the keys that have no table, by keyed hash. Keys that share a counter may get a table early;
     * with a period of 256 signatures to each counter that is little, and nobody can choose it. */
    uint16_t counters[COUNTERS];
};

struct dep_hot_keys *dep_hot_keys_new(struct dep_hot_limits limits)
{
    struct dep_hot_keys *hot = calloc(1, sizeof(*hot));

    DEP_ASSERT(limits.places > 0 && limits.places <= DEP_HOT_PLACES_MAX && limits.uses > 0 && limits.period > 0);
    if (hot == NULL)
        return NULL;
    hot->limits = limits;
    hot->p256 = dep_p256_new();
    if (hot->p256 == NULL) {
        free(hot);
        return NULL;
    }
    hot->is_able = dep_p256_has_tables(hot->p256);
    dep_random(hot->secret, sizeof(hot->secret));
    return hot;
}

void dep_hot_keys_free(struct dep_hot_keys *hot)
{
    if (hot == NULL)
        return;
    for (unsigned i = 0; i < hot->count; i++)
        dep_p256_table_free(hot->places[i].table);
    dep_p256_free(hot->p256);
    free(hot);
}

static uint64_t name_of(const struct dep_hot_keys *hot, const struct dep_public_key *key)
{
    uint64_t name;

    _Static_assert(sizeof(name) == crypto_shorthash_BYTES, "SipHash gives 64 bits");
    (void)crypto_shorthash((unsigned char *)&name, key->p256, sizeof(key->p256), hot->secret);
    return name;
}

struct dep_hot_key *dep_hot_keys_find(struct dep_hot_keys *hot, const struct dep_public_key *key)
{
    if (hot->count == 0)
        return NULL;

    uint64_t name = name_of(hot, key);

    for (unsigned i = 0; i < hot->count; i++)
        if (hot->names[i] == name && memcmp(hot->places[i].point, key->p256, sizeof(key->p256)) == 0)
            return &hot->places[i];
    return NULL;
}

bool dep_hot_key_verify(struct dep_hot_keys *hot, const struct dep_hot_key *place,
                        const unsigned char digest[DEP_SHA256_LEN],
                        const unsigned char signature[DEP_P256_SIGNATURE_LEN])
{
    return dep_p256_verify(hot->p256, place->table, digest, signature);
}

/* Halves everything, so that what was long ago weighs little. */
static void end_period(struct dep_hot_keys *hot)
{
    hot->seen = 0;
    for (unsigned i = 0; i < hot->count; i++)
        hot->places[i].worth /= 2;
    for (unsigned i = 0; i < COUNTERS; i++)
        hot->counters[i] /= 2;
}

/* A free place, else the one that is worth least if it is worth little; `limits.places` if there is none. A place that
 * pays is never taken: keys that are equally busy would take turns in paying for tables. */
static unsigned find_place(const struct dep_hot_keys *hot)
{
    unsigned least = 0;

    if (hot->count < hot->limits.places)
        return hot->count;
    for (unsigned i = 1; i < hot->count; i++)
        if (hot->places[i].worth < hot->places[least].worth)
            least = i;
    return hot->places[least].worth < hot->limits.uses / 4 ? least : hot->limits.places;
}

static void make_hot(struct dep_hot_keys *hot, const struct dep_public_key *key, uint64_t name)
{
    unsigned at = find_place(hot);

    if (at == hot->limits.places)
        return;

    EC_GROUP *table = dep_p256_table_new(hot->p256, key->p256);

    if (table == NULL) {
        /* Out of memory, or a library that says it makes tables and does not: it would fail again. */
        hot->is_able = false;
        return;
    }

    struct dep_hot_key *place = &hot->places[at];

    if (at == hot->count)
        hot->count++;
    else
        dep_p256_table_free(place->table);
    memcpy(place->point, key->p256, sizeof(place->point));
    place->table = table;
    place->worth = hot->limits.uses; /* it has paid that */
    hot->names[at] = name;
}

void dep_hot_keys_note(struct dep_hot_keys *hot, const struct dep_public_key *key, struct dep_hot_key *place)
{
    if (!hot->is_able && hot->count == 0)
        return;
    if (place != NULL) {
        if (place->worth < hot->limits.uses)
            place->worth++;
    } else if (hot->is_able) {
        uint64_t name = name_of(hot, key);
        uint16_t *counter = &hot->counters[name % COUNTERS];

        if (++*counter >= hot->limits.uses) {
            *counter = 0;
            make_hot(hot, key, name);
        }
    }
    if (++hot->seen >= hot->limits.period)
        end_period(hot);
}

unsigned dep_hot_keys_count(const struct dep_hot_keys *hot)
{
    return hot->count;
}

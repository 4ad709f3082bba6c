/* What the files of this folder share. Nobody else includes it. */
#ifndef DEP_CRYPTO_INTERNAL_H
#define DEP_CRYPTO_INTERNAL_H

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto/crypto.h"

#define DEP_ED25519_PUBLIC_LEN 32u
#define DEP_ED25519_SEED_LEN 32u
#define DEP_ED25519_SECRET_LEN 64u /* libsodium's form: seed, then public key */
#define DEP_P256_COORDINATE_LEN 32u
#define DEP_P256_POINT_LEN 64u     /* x, then y */
#define DEP_P256_SIGNATURE_LEN 64u /* r, then s */

struct dep_public_key {
    enum dep_kty kty;
    uint64_t serial; /* random: tells a key from a later one at the same address */
    size_t rsa_len;  /* bytes of the modulus, so of every signature */
    EVP_PKEY *pkey;  /* NULL for Ed25519 */
    unsigned char ed25519[DEP_ED25519_PUBLIC_LEN];
    unsigned char p256[DEP_P256_POINT_LEN];
};

struct dep_private_key {
    enum dep_alg alg;
    uint64_t serial;
    EVP_PKEY *pkey; /* NULL for Ed25519 */
    unsigned char ed25519[DEP_ED25519_SECRET_LEN];
};

/* A prepared operation of one key. The context holds its own reference to the EVP_PKEY. */
struct dep_crypto_slot {
    const void *key;
    uint64_t serial;
    enum dep_alg alg;
    EVP_PKEY_CTX *context;
};

#define DEP_CRYPTO_SIGN_SLOTS 16u
#define DEP_CRYPTO_VERIFY_SLOTS 256u

struct dep_key_cache;
struct dep_hot_keys;

struct dep_crypto {
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    struct dep_key_cache *keys;
    struct dep_hot_keys *hot;
    struct dep_crypto_slot sign_slots[DEP_CRYPTO_SIGN_SLOTS]; /* searched; taken in turn */
    unsigned sign_turn;
    struct dep_crypto_slot verify_slots[DEP_CRYPTO_VERIFY_SLOTS]; /* by serial number */
};

struct dep_key_cache *dep_key_cache_new(void);
void dep_key_cache_free(struct dep_key_cache *cache);

/* P-256 with room to compute in, of one thread. NULL when the library fails. */
struct dep_p256;

struct dep_p256 *dep_p256_new(void);
void dep_p256_free(struct dep_p256 *p256);
/* Whether this build of the library makes tables that it uses, and is not bound to a FIPS provider. */
bool dep_p256_has_tables(const struct dep_p256 *p256);
/* A table of the multiples of a key: 148 KiB (37 windows of 64 points), some 25 ms. It is a group with the key as its
 * generator, good for dep_p256_verify() alone. NULL when the library fails or makes none. */
EC_GROUP *dep_p256_table_new(struct dep_p256 *p256, const unsigned char key[DEP_P256_POINT_LEN]);
void dep_p256_table_free(EC_GROUP *table);
/* False as well when the library fails. */
bool dep_p256_verify(struct dep_p256 *p256, const EC_GROUP *table, const unsigned char digest[DEP_SHA256_LEN],
                     const unsigned char signature[DEP_P256_SIGNATURE_LEN]);

/* When a key gets a table.
 *
 * uses: a table takes as long to make as some 400 verifications take, or as some 1,000 save by it (25 ms; 60 us and 25
 * to 30 us each, bench_micro: es256_verify_make_table, es256_verify, es256_verify_hot). A key that has verified 8,192
 * times without one gets it: then whatever comes, all tables together are less than a sixteenth of the work, also for 64
 * agents that become hot at once; and a key that goes on has the cost back after another eighth of that.
 * places: 64 tables are 10 MB for each thread.
 * period: in good signatures, of all keys. A key with a 256th of them reaches `uses` (counts are halved when a period
 * ends); a place that serves less than a 512th of them may be taken, an idle one after three periods. */
struct dep_hot_limits {
    unsigned places; /* DEP_HOT_PLACES_MAX at most */
    uint16_t uses;
    uint32_t period;
};

#define DEP_HOT_PLACES_MAX 64u
#define DEP_HOT_LIMITS ((struct dep_hot_limits){ .places = DEP_HOT_PLACES_MAX, .uses = 8192, .period = 1048576 })

struct dep_hot_key;

struct dep_hot_keys *dep_hot_keys_new(struct dep_hot_limits limits);
void dep_hot_keys_free(struct dep_hot_keys *hot);
/* The place of a P-256 key that has a table, else NULL. Good until the next dep_hot_keys_note(). */
struct dep_hot_key *dep_hot_keys_find(struct dep_hot_keys *hot, const struct dep_public_key *key);
bool dep_hot_key_verify(struct dep_hot_keys *hot, const struct dep_hot_key *place,
                        const unsigned char digest[DEP_SHA256_LEN],
                        const unsigned char signature[DEP_P256_SIGNATURE_LEN]);
/* The key has verified a good signature, at `place` or without one. May make its table. */
void dep_hot_keys_note(struct dep_hot_keys *hot, const struct dep_public_key *key, struct dep_hot_key *place);
unsigned dep_hot_keys_count(const struct dep_hot_keys *hot);

uint64_t dep_crypto_serial(void);
/* Takes the reasons off OpenSSL's per-thread queue, where they would be blamed on the next TLS call (attack case
 * A60). */
void dep_crypto_forget_errors(void);

#endif

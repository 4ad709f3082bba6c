/* What the files of this folder share. Nobody else includes it. */
#ifndef DEP_CRYPTO_INTERNAL_H
#define DEP_CRYPTO_INTERNAL_H

#include <openssl/evp.h>

#include "crypto/crypto.h"

#define DEP_ED25519_PUBLIC_LEN 32u
#define DEP_ED25519_SEED_LEN 32u
#define DEP_ED25519_SECRET_LEN 64u /* libsodium's form: seed, then public key */
#define DEP_P256_COORDINATE_LEN 32u

struct dep_public_key {
    enum dep_kty kty;
    uint64_t serial; /* random: tells a key from a later one at the same address */
    size_t rsa_len;  /* bytes of the modulus, so of every signature */
    EVP_PKEY *pkey;  /* NULL for Ed25519 */
    unsigned char ed25519[DEP_ED25519_PUBLIC_LEN];
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

struct dep_crypto {
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    struct dep_key_cache *keys;
    struct dep_crypto_slot sign_slots[DEP_CRYPTO_SIGN_SLOTS]; /* searched; taken in turn */
    unsigned sign_turn;
    struct dep_crypto_slot verify_slots[DEP_CRYPTO_VERIFY_SLOTS]; /* by serial number */
};

struct dep_key_cache *dep_key_cache_new(void);
void dep_key_cache_free(struct dep_key_cache *cache);

uint64_t dep_crypto_serial(void);
/* Takes the reasons off OpenSSL's per-thread queue, where they would be blamed on the next TLS call (attack case
 * A60). */
void dep_crypto_forget_errors(void);

#endif

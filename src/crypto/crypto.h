/* Hashes, keys, signatures, randomness: the only folder that sees OpenSSL and libsodium.
 *
 * `struct dep_crypto` holds prefetched algorithms, reusable contexts and a bounded cache of imported keys. It
 * belongs to one thread. Keys are immutable after creation and may be shared by threads. Nothing here depends on
 * time, and verification depends on nothing but its arguments, so the rules stay pure. */
#ifndef DEP_CRYPTO_CRYPTO_H
#define DEP_CRYPTO_CRYPTO_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/res.h"
#include "base/secret.h"
#include "crypto/alg.h"

#define DEP_SHA256_LEN 32u
#define DEP_SIGNATURE_MAX 512u
#define DEP_KEY_RSA_BITS_MIN 2048u
#define DEP_KEY_RSA_BITS_MAX 4096u

struct dep_crypto;
struct dep_public_key;
struct dep_private_key;

/* NULL when the libraries cannot be initialised. */
struct dep_crypto *dep_crypto_new(void);
void dep_crypto_free(struct dep_crypto *crypto);

/* Hash of the parts one after the other. Aborts only if the library itself is broken. */
void dep_sha256(struct dep_crypto *crypto, struct dep_str data, unsigned char ret_digest[DEP_SHA256_LEN]);
void dep_sha256_parts(struct dep_crypto *crypto, const struct dep_str *parts, size_t count,
                      unsigned char ret_digest[DEP_SHA256_LEN]);
void dep_hmac_sha256(struct dep_crypto *crypto, struct dep_secret key, struct dep_str data,
                     unsigned char ret_mac[DEP_SHA256_LEN]);

/* Bytes of the system's generator; never fails on a running Linux (aborts if it does). */
void dep_random(void *ret_bytes, size_t len);

/* Public keys from their raw parts. DEP_ERR_CRYPTO_KEY: wrong length, off the curve, identity, one of the low-order
 * or non-canonical Ed25519 encodings, RSA outside 2048..4096 bits or with leading zeros;
 * DEP_ERR_CRYPTO_KEY_EXPONENT: e != 65537. The caller frees. */
DEP_MUST struct dep_res dep_public_key_new_p256(struct dep_str x, struct dep_str y, struct dep_public_key **ret_key);
DEP_MUST struct dep_res dep_public_key_new_ed25519(struct dep_str x, struct dep_public_key **ret_key);
DEP_MUST struct dep_res dep_public_key_new_rsa(struct dep_str n, struct dep_str e, struct dep_public_key **ret_key);
void dep_public_key_free(struct dep_public_key *key);
enum dep_kty dep_public_key_kty(const struct dep_public_key *key);

/* A key of the thread's cache: found by `name` (a digest of the key's own bytes, so equal names mean equal keys), or
 * made by `import` and kept. At most 4,096 keys, least recently used out first. Valid until the next call on
 * `crypto`. */
typedef struct dep_res dep_key_import(const void *source, struct dep_public_key **ret_key);
DEP_MUST struct dep_res dep_crypto_cached_key(struct dep_crypto *crypto, const unsigned char name[DEP_SHA256_LEN],
                                              dep_key_import *import, const void *source,
                                              const struct dep_public_key **ret_key);

/* Verifies a JOSE signature (raw R||S for ES256, RFC 7518 section 3.4; salt length 32 for PS256).
 * DEP_ERR_CRYPTO_ALG when the key's type does not fit; DEP_ERR_CRYPTO_SIGNATURE_SIZE; DEP_ERR_CRYPTO_SIGNATURE. */
DEP_MUST struct dep_res dep_verify(struct dep_crypto *crypto, enum dep_alg alg, const struct dep_public_key *key,
                                   struct dep_str data, struct dep_str signature);

/* A new private key for `alg` (RSA: 3072 bits). The caller frees; freeing wipes. */
DEP_MUST struct dep_res dep_private_key_new(enum dep_alg alg, struct dep_private_key **ret_key);
/* From PKCS#8 DER, as dep_private_key_der() writes it, or from PEM. */
DEP_MUST struct dep_res dep_private_key_read(enum dep_alg alg, struct dep_secret der_or_pem,
                                             struct dep_private_key **ret_key);
/* PKCS#8 DER into the arena. */
DEP_MUST struct dep_res dep_private_key_der(const struct dep_private_key *key, struct dep_arena *arena,
                                            struct dep_secret *ret_der);
void dep_private_key_free(struct dep_private_key *key);
enum dep_alg dep_private_key_alg(const struct dep_private_key *key);
/* The public half as raw parts: P-256 x and y of 32 bytes; Ed25519 x of 32 bytes, y absent; RSA n in `x`, e in `y`. */
DEP_MUST struct dep_res dep_private_key_parts(const struct dep_private_key *key, struct dep_arena *arena,
                                              struct dep_str *ret_x, struct dep_str *ret_y);
/* Signs; `ret_signature` has room for DEP_SIGNATURE_MAX bytes. */
DEP_MUST struct dep_res dep_sign(struct dep_crypto *crypto, const struct dep_private_key *key, struct dep_str data,
                                 unsigned char *ret_signature, size_t *ret_len);

/* Sealing at rest: XChaCha20-Poly1305, random nonce in front; `context` is authenticated. `key` has 32 bytes. */
DEP_MUST struct dep_res dep_seal(struct dep_secret key, struct dep_str context, struct dep_secret plain,
                                 struct dep_arena *arena, struct dep_str *ret_sealed);
DEP_MUST struct dep_res dep_unseal(struct dep_secret key, struct dep_str context, struct dep_str sealed,
                                   struct dep_arena *arena, struct dep_secret *ret_plain);

#endif

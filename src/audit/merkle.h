/* The Merkle tree of RFC 9162 section 2.1: leaf and node hashes, an incremental head, inclusion proofs. Pure. */
#ifndef DEP_AUDIT_MERKLE_H
#define DEP_AUDIT_MERKLE_H

#include "base/arena.h"
#include "base/res.h"
#include "crypto/crypto.h"

/* SHA-256(0x00 || line); the line without its newline. */
void dep_merkle_leaf(struct dep_crypto *crypto, struct dep_str line, unsigned char ret_hash[DEP_SHA256_LEN]);

/* The heads of the perfect subtrees of a growing tree, largest first. */
struct dep_merkle {
    uint64_t size;
    unsigned count;
    unsigned char heads[64][DEP_SHA256_LEN];
};

void dep_merkle_init(struct dep_merkle *tree);
void dep_merkle_add(struct dep_merkle *tree, struct dep_crypto *crypto, const unsigned char leaf[DEP_SHA256_LEN]);
/* The root; of an empty tree SHA-256 of nothing. */
void dep_merkle_root(const struct dep_merkle *tree, struct dep_crypto *crypto, unsigned char ret_root[DEP_SHA256_LEN]);

/* A way from a leaf to the root of a tree of `size` leaves: what has to be hashed in, from the leaf up (rfc9162#2.1.3). */
struct dep_merkle_proof {
    uint64_t index, size;
    unsigned count;
    unsigned char path[64][DEP_SHA256_LEN];
};

/* The proof for leaf `index` of `leaves[0 .. size)`. Hashes the whole tree once. */
void dep_merkle_prove(struct dep_crypto *crypto, const unsigned char (*leaves)[DEP_SHA256_LEN], uint64_t size,
                      uint64_t index, struct dep_merkle_proof *ret_proof);
bool dep_merkle_is_included(struct dep_crypto *crypto, const unsigned char leaf[DEP_SHA256_LEN],
                            const struct dep_merkle_proof *proof, const unsigned char root[DEP_SHA256_LEN]);

#endif

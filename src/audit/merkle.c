/* The Merkle tree: leaf and node hashes, the growing head (rfc9162#2.1.1), inclusion proofs (rfc9162#2.1.3). */
#include "audit/merkle.h"

#include <string.h>

static struct dep_str hash_str(const unsigned char hash[DEP_SHA256_LEN])
{
    return dep_str((const char *)hash, DEP_SHA256_LEN);
}

void dep_merkle_leaf(struct dep_crypto *crypto, struct dep_str line, unsigned char ret_hash[DEP_SHA256_LEN])
{
    struct dep_str parts[] = { dep_str("\x00", 1), line };

    dep_sha256_parts(crypto, parts, 2, ret_hash);
}

/* `ret_hash` may be one of the children. */
static void node(struct dep_crypto *crypto, const unsigned char left[DEP_SHA256_LEN],
                 const unsigned char right[DEP_SHA256_LEN], unsigned char ret_hash[DEP_SHA256_LEN])
{
    struct dep_str parts[] = { dep_str("\x01", 1), hash_str(left), hash_str(right) };

    dep_sha256_parts(crypto, parts, 3, ret_hash);
}

void dep_merkle_init(struct dep_merkle *tree)
{
    tree->size = 0;
    tree->count = 0;
}

void dep_merkle_add(struct dep_merkle *tree, struct dep_crypto *crypto, const unsigned char leaf[DEP_SHA256_LEN])
{
    DEP_ASSERT(tree->count < 64 && tree->size < UINT64_MAX);
    memcpy(tree->heads[tree->count++], leaf, DEP_SHA256_LEN);
    /* Two subtrees of one size become one: as often as the size so far ends in ones. */
    for (uint64_t size = tree->size; (size & 1) != 0; size >>= 1) {
        tree->count--;
        node(crypto, tree->heads[tree->count - 1], tree->heads[tree->count], tree->heads[tree->count - 1]);
    }
    tree->size++;
}

void dep_merkle_root(const struct dep_merkle *tree, struct dep_crypto *crypto, unsigned char ret_root[DEP_SHA256_LEN])
{
    if (tree->count == 0) {
        dep_sha256(crypto, DEP_STR(""), ret_root);
        return;
    }
    memmove(ret_root, tree->heads[tree->count - 1], DEP_SHA256_LEN);
    for (unsigned i = tree->count - 1; i > 0; i--)
        node(crypto, tree->heads[i - 1], ret_root, ret_root);
}

/* The largest power of two below `size`, which is at least 2. */
static uint64_t split(uint64_t size)
{
    return UINT64_C(1) << (63 - __builtin_clzll(size - 1));
}

static void range_root(struct dep_crypto *crypto, const unsigned char (*leaves)[DEP_SHA256_LEN], uint64_t count,
                       unsigned char ret_root[DEP_SHA256_LEN])
{
    struct dep_merkle tree;

    dep_merkle_init(&tree);
    for (uint64_t i = 0; i < count; i++)
        dep_merkle_add(&tree, crypto, leaves[i]);
    dep_merkle_root(&tree, crypto, ret_root);
}

void dep_merkle_prove(struct dep_crypto *crypto, const unsigned char (*leaves)[DEP_SHA256_LEN], uint64_t size,
                      uint64_t index, struct dep_merkle_proof *ret_proof)
{
    unsigned depth = 0;

    DEP_ASSERT(index < size);
    ret_proof->index = index;
    ret_proof->size = size;
    /* From the root down; the path is written from the leaf up, so it is turned round at the end. */
    while (size > 1) {
        uint64_t left = split(size);

        if (index < left) {
            range_root(crypto, leaves + left, size - left, ret_proof->path[depth++]);
            size = left;
        } else {
            range_root(crypto, leaves, left, ret_proof->path[depth++]);
            leaves += left;
            index -= left;
            size -= left;
        }
    }
    ret_proof->count = depth;
    for (unsigned i = 0; i < depth / 2; i++) {
        unsigned char swap[DEP_SHA256_LEN];

        memcpy(swap, ret_proof->path[i], DEP_SHA256_LEN);
        memcpy(ret_proof->path[i], ret_proof->path[depth - 1 - i], DEP_SHA256_LEN);
        memcpy(ret_proof->path[depth - 1 - i], swap, DEP_SHA256_LEN);
    }
}

/* rfc9162#2.1.3.2, step by step. */
bool dep_merkle_is_included(struct dep_crypto *crypto, const unsigned char leaf[DEP_SHA256_LEN],
                            const struct dep_merkle_proof *proof, const unsigned char root[DEP_SHA256_LEN])
{
    unsigned char hash[DEP_SHA256_LEN];
    uint64_t at = proof->index;
    uint64_t last = proof->size - 1;

    if (proof->index >= proof->size || proof->count > 64)
        return false;
    memcpy(hash, leaf, DEP_SHA256_LEN);
    for (unsigned i = 0; i < proof->count; i++) {
        if (last == 0)
            return false;
        if ((at & 1) != 0 || at == last) {
            node(crypto, proof->path[i], hash, hash);
            while ((at & 1) == 0 && at != 0) {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node(crypto, hash, proof->path[i], hash);
        }
        at >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(hash, root, DEP_SHA256_LEN) == 0;
}

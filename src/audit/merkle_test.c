/* The tree against the roots that Certificate Transparency has published for its test leaves, and against the definition. */
#include "audit/merkle.h"

#include <stdlib.h>
#include <string.h>

#include "test/unit.h"

#define LEAVES 8

static const struct dep_str leaf_data[LEAVES] = {
    DEP_STR_INIT(""),
    DEP_STR_INIT("\x00"),
    DEP_STR_INIT("\x10"),
    DEP_STR_INIT("\x20\x21"),
    DEP_STR_INIT("\x30\x31"),
    DEP_STR_INIT("\x40\x41\x42\x43"),
    DEP_STR_INIT("\x50\x51\x52\x53\x54\x55\x56\x57"),
    DEP_STR_INIT("\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"),
};

static const char *const roots[LEAVES + 1] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static void check_hex(struct dep_test *t, const unsigned char hash[DEP_SHA256_LEN], const char *wanted)
{
    char text[2 * DEP_SHA256_LEN];
    struct dep_buf buf;

    dep_buf_init(&buf, text, sizeof(text));
    dep_buf_put_hex(&buf, hash, DEP_SHA256_LEN);
    DEP_CHECK_STR(t, dep_buf_str(&buf), wanted);
}

DEP_TEST(has_the_known_roots)
{
    struct dep_crypto *crypto = dep_crypto_new();
    unsigned char hash[DEP_SHA256_LEN];
    struct dep_merkle tree;

    dep_merkle_init(&tree);
    for (size_t i = 0; i <= LEAVES; i++) {
        dep_merkle_root(&tree, crypto, hash);
        check_hex(t, hash, roots[i]);
        DEP_CHECK(t, tree.size == i && tree.count == (unsigned)__builtin_popcountll(i));
        if (i == LEAVES)
            break;
        dep_merkle_leaf(crypto, leaf_data[i], hash);
        dep_merkle_add(&tree, crypto, hash);
    }
    dep_crypto_free(crypto);
}

/* The definition, word for word: MTH(D[n]) = H(0x01 || MTH(D[0:k]) || MTH(D[k:n])). */
static void naive(struct dep_crypto *crypto, unsigned char (*leaves)[DEP_SHA256_LEN], size_t count,
                  unsigned char ret_root[DEP_SHA256_LEN])
{
    unsigned char joined[1 + 2 * DEP_SHA256_LEN] = { 1 };
    size_t k = 1;

    if (count == 1) {
        memcpy(ret_root, leaves[0], DEP_SHA256_LEN);
        return;
    }
    while (k * 2 < count)
        k *= 2;
    naive(crypto, leaves, k, joined + 1);
    naive(crypto, leaves + k, count - k, joined + 1 + DEP_SHA256_LEN);
    dep_sha256(crypto, dep_str((const char *)joined, sizeof(joined)), ret_root);
}

#define MANY 300

static void make_leaves(struct dep_crypto *crypto, unsigned char (*leaves)[DEP_SHA256_LEN], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "leaf %zu", i);
        dep_merkle_leaf(crypto, dep_str_c(text), leaves[i]);
    }
}

DEP_TEST(agrees_with_the_definition)
{
    static unsigned char leaves[MANY][DEP_SHA256_LEN];
    struct dep_crypto *crypto = dep_crypto_new();
    unsigned char got[DEP_SHA256_LEN], wanted[DEP_SHA256_LEN];
    struct dep_merkle tree;

    make_leaves(crypto, leaves, MANY);
    dep_merkle_init(&tree);
    for (size_t size = 1; size <= MANY; size++) {
        dep_merkle_add(&tree, crypto, leaves[size - 1]);
        dep_merkle_root(&tree, crypto, got);
        naive(crypto, leaves, size, wanted);
        DEP_CHECK(t, memcmp(got, wanted, sizeof(got)) == 0);
    }
    dep_crypto_free(crypto);
}

/* Every leaf of every tree up to 70 leaves is proved; no other leaf, place, size or root is. */
DEP_TEST(proves_inclusion)
{
    static unsigned char leaves[70][DEP_SHA256_LEN];
    struct dep_crypto *crypto = dep_crypto_new();
    unsigned char root[DEP_SHA256_LEN];
    struct dep_merkle_proof proof;

    make_leaves(crypto, leaves, 70);
    for (size_t size = 1; size <= 70; size++) {
        naive(crypto, leaves, size, root);
        for (size_t index = 0; index < size; index++) {
            dep_merkle_prove(crypto, (const unsigned char(*)[DEP_SHA256_LEN])leaves, size, index, &proof);
            DEP_CHECK(t, dep_merkle_is_included(crypto, leaves[index], &proof, root));
            DEP_CHECK(t, !dep_merkle_is_included(crypto, leaves[(index + 1) % 70], &proof, root));
            DEP_CHECK(t, !dep_merkle_is_included(crypto, leaves[index], &proof, leaves[69 - index % 2]));
            if (size > 1) {
                struct dep_merkle_proof other = proof;

                other.index = (index + 1) % size;
                DEP_CHECK(t, !dep_merkle_is_included(crypto, leaves[index], &other, root));
                other = proof;
                other.count--;
                DEP_CHECK(t, !dep_merkle_is_included(crypto, leaves[index], &other, root));
                other = proof;
                other.path[other.count++][0] = 1;
                DEP_CHECK(t, !dep_merkle_is_included(crypto, leaves[index], &other, root));
                other = proof;
                other.path[size % proof.count][5] ^= 4;
                DEP_CHECK(t, !dep_merkle_is_included(crypto, leaves[index], &other, root));
                other = proof;
                other.index = size;
                DEP_CHECK(t, !dep_merkle_is_included(crypto, leaves[index], &other, root));
            }
        }
    }
    dep_crypto_free(crypto);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(has_the_known_roots),
        DEP_ROW(agrees_with_the_definition),
        DEP_ROW(proves_inclusion),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

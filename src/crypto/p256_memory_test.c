/* The verification equation when the library runs out of memory. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "crypto/p256_fixture.h"

/* Allocations of the library until one fails; none fails below zero. */
static long allocations_left = -1;

static bool may_allocate(void)
{
    if (allocations_left == 0)
        return false;
    if (allocations_left > 0)
        allocations_left--;
    return true;
}

static void *limited_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return may_allocate() ? malloc(size) : NULL;
}

static void *limited_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return may_allocate() ? realloc(old, size) : NULL;
}

static void limited_free(void *old, const char *file, int line)
{
    (void)file, (void)line;
    free(old);
}

/* The library may run out of memory anywhere: a good signature is then refused, a bad one is never good. */
DEP_TEST(without_memory_nothing_is_good)
{
    struct fixture f;

    if (begin(t, &f)) {
        bool is_good = false;

        use_key(t, &f, random_scalar(&f));
        dep_random(f.digest, sizeof(f.digest));
        sign(&f, false);
        for (long i = 0; i < 100 && !is_good; i++) {
            allocations_left = i;
            is_good = by_table(&f);
            allocations_left = -1;
            DEP_CHECK(t, i > 0 || !is_good);
            DEP_CHECK(t, ERR_peek_error() == 0);
        }
        DEP_CHECK(t, is_good);
        f.digest[0] ^= 1;
        for (long i = 0; i < 100; i++) {
            allocations_left = i;
            DEP_CHECK(t, !by_table(&f));
            allocations_left = -1;
        }
    }
    end(&f);
}

DEP_TEST(without_memory_there_is_no_table)
{
    struct fixture f;

    if (begin(t, &f)) {
        struct dep_p256 *p256 = NULL;
        EC_GROUP *table = NULL;

        use_key(t, &f, random_scalar(&f));
        sign(&f, false);
        for (long i = 0; i < 10000 && p256 == NULL; i++) {
            allocations_left = i;
            p256 = dep_p256_new();
            allocations_left = -1;
            DEP_CHECK(t, i > 0 || p256 == NULL);
            DEP_CHECK(t, ERR_peek_error() == 0);
        }
        DEP_CHECK(t, p256 != NULL);
        for (long i = 0; i < 1000000 && table == NULL; i += i / 4 + 1) {
            allocations_left = i;
            table = dep_p256_table_new(p256, f.key->p256);
            allocations_left = -1;
            DEP_CHECK(t, i > 0 || table == NULL);
            DEP_CHECK(t, ERR_peek_error() == 0);
        }
        DEP_CHECK(t, table != NULL && dep_p256_verify(p256, table, f.digest, f.raw));
        dep_p256_table_free(table);
        dep_p256_free(p256);
    }
    end(&f);
}

/* A table that cannot be made: its key verifies as it did, and nobody tries again. */
DEP_TEST(without_memory_a_key_stays_as_it_is)
{
    struct fixture f;

    if (begin(t, &f)) {
        struct dep_crypto *crypto = dep_crypto_new();
        unsigned char digest[DEP_SHA256_LEN];

        dep_hot_keys_free(crypto->hot);
        crypto->hot = dep_hot_keys_new((struct dep_hot_limits){ .places = 1, .uses = 1, .period = 100 });
        use_key(t, &f, random_scalar(&f));
        dep_sha256(crypto, DEP_STR("data"), digest);
        memcpy(f.digest, digest, sizeof(digest));
        sign(&f, false);
        allocations_left = 0;
        dep_hot_keys_note(crypto->hot, f.key, NULL);
        allocations_left = -1;
        DEP_CHECK(t, ERR_peek_error() == 0);
        for (unsigned i = 0; i < 4; i++) {
            DEP_CHECK(t, dep_hot_keys_find(crypto->hot, f.key) == NULL);
            DEP_CHECK_OK(t, dep_verify(crypto, DEP_ALG_ES256, f.key, DEP_STR("data"), dep_str((char *)f.raw, 64)));
            DEP_CHECK_FAIL(t, dep_verify(crypto, DEP_ALG_ES256, f.key, DEP_STR("Data"), dep_str((char *)f.raw, 64)),
                           CRYPTO_SIGNATURE);
        }
        dep_crypto_free(crypto);
    }
    end(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(without_memory_nothing_is_good),
        DEP_ROW(without_memory_there_is_no_table),
        DEP_ROW(without_memory_a_key_stays_as_it_is),
    };

    /* Before the library allocates anything. */
    DEP_ASSERT(CRYPTO_set_mem_functions(limited_malloc, limited_realloc, limited_free) == 1);
    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Which keys get a table, how many, and that nothing but the time depends on it. */
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

#include "crypto/internal.h"
#include "test/unit.h"

#define KEYS 3u
#define USES 8u
#define PERIOD 64u

struct signer {
    struct dep_private_key *key;
    struct dep_public_key *public_key;
    unsigned char signature[DEP_SIGNATURE_MAX];
    size_t len;
};

struct fixture {
    struct dep_crypto *crypto;
    struct signer signers[KEYS];
};

static struct dep_public_key *public_of(const struct dep_private_key *key)
{
    struct dep_public_key *public_key = NULL;
    struct dep_arena arena;
    struct dep_str x, y;

    dep_arena_init_debug(&arena, 4096);
    DEP_ASSERT(dep_is_ok(dep_private_key_parts(key, &arena, &x, &y)) &&
               dep_is_ok(dep_public_key_new_p256(x, y, &public_key)));
    dep_arena_reset(&arena);
    return public_key;
}

/* A handle with limits that a test can reach. */
static struct dep_crypto *crypto_with(struct dep_hot_limits limits)
{
    struct dep_crypto *crypto = dep_crypto_new();

    DEP_ASSERT(crypto != NULL);
    dep_hot_keys_free(crypto->hot);
    crypto->hot = dep_hot_keys_new(limits);
    DEP_ASSERT(crypto->hot != NULL);
    return crypto;
}

static bool makes_tables(void)
{
    struct dep_p256 *p256 = dep_p256_new();
    bool has_tables = p256 != NULL && dep_p256_has_tables(p256);

    dep_p256_free(p256);
    return has_tables;
}

static bool begin(struct dep_test *t, struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->crypto = crypto_with((struct dep_hot_limits){ .places = 2, .uses = USES, .period = PERIOD });
    for (unsigned i = 0; i < KEYS; i++) {
        struct signer *signer = &f->signers[i];

        DEP_CHECK_OK(t, dep_private_key_new(DEP_ALG_ES256, &signer->key));
        signer->public_key = public_of(signer->key);
        DEP_CHECK_OK(t, dep_sign(f->crypto, signer->key, DEP_STR("data"), signer->signature, &signer->len));
    }
    if (!makes_tables())
        DEP_SKIP(t, "this OpenSSL makes no tables");
    return t->skipped == NULL;
}

static void end(struct fixture *f)
{
    for (unsigned i = 0; i < KEYS; i++) {
        dep_private_key_free(f->signers[i].key);
        dep_public_key_free(f->signers[i].public_key);
    }
    dep_crypto_free(f->crypto);
}

static struct dep_res verify(const struct fixture *f, unsigned key, unsigned signature)
{
    return dep_verify(f->crypto, DEP_ALG_ES256, f->signers[key].public_key, DEP_STR("data"),
                      dep_str((const char *)f->signers[signature].signature, f->signers[signature].len));
}

/* `count` good signatures of a key. */
static void use(struct dep_test *t, const struct fixture *f, unsigned key, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        DEP_CHECK_OK(t, verify(f, key, key));
}

static void misuse(struct dep_test *t, const struct fixture *f, unsigned key, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        DEP_CHECK_FAIL(t, verify(f, key, (key + 1) % KEYS), CRYPTO_SIGNATURE);
}

static bool is_hot(const struct fixture *f, unsigned key)
{
    return dep_hot_keys_find(f->crypto->hot, f->signers[key].public_key) != NULL;
}

DEP_TEST(a_key_gets_its_table_when_it_has_paid_for_it)
{
    struct fixture f;

    if (begin(t, &f)) {
        use(t, &f, 0, USES - 1);
        DEP_CHECK(t, !is_hot(&f, 0));
        use(t, &f, 0, 1);
        DEP_CHECK(t, is_hot(&f, 0) && dep_hot_keys_count(f.crypto->hot) == 1);
        /* And verifies what it did before, and refuses what it did before. */
        use(t, &f, 0, 3);
        misuse(t, &f, 0, 3);
        DEP_CHECK(t, ERR_peek_error() == 0);
        DEP_CHECK_FAIL(t,
                       dep_verify(f.crypto, DEP_ALG_ES256, f.signers[0].public_key, DEP_STR("Data"),
                                  dep_str((const char *)f.signers[0].signature, 64)),
                       CRYPTO_SIGNATURE);
        DEP_CHECK_FAIL(t,
                       dep_verify(f.crypto, DEP_ALG_ES256, f.signers[0].public_key, DEP_STR("data"),
                                  dep_str((const char *)f.signers[0].signature, 63)),
                       CRYPTO_SIGNATURE_SIZE);
        DEP_CHECK(t, !is_hot(&f, 1) && !is_hot(&f, 2));
        use(t, &f, 1, 1);
    }
    end(&f);
}

/* Who has no good signature of a key cannot make us work for it. */
DEP_TEST(bad_signatures_make_no_table)
{
    struct fixture f;

    if (begin(t, &f)) {
        use(t, &f, 0, USES - 1);
        misuse(t, &f, 0, 3 * PERIOD);
        DEP_CHECK(t, dep_hot_keys_count(f.crypto->hot) == 0);
        use(t, &f, 0, 1);
        DEP_CHECK(t, is_hot(&f, 0));
    }
    end(&f);
}

DEP_TEST(keys_that_stay_busy_keep_their_places)
{
    struct fixture f;

    if (begin(t, &f)) {
        use(t, &f, 0, USES);
        use(t, &f, 1, USES);
        DEP_CHECK(t, is_hot(&f, 0) && is_hot(&f, 1));
        /* A third one, as busy: it verifies without a table. */
        for (unsigned i = 0; i < 5 * PERIOD; i++) {
            use(t, &f, i % KEYS, 1);
            DEP_CHECK(t, is_hot(&f, 0) && is_hot(&f, 1) && !is_hot(&f, 2));
        }
        misuse(t, &f, 2, 1);
        DEP_CHECK(t, dep_hot_keys_count(f.crypto->hot) == 2);
    }
    end(&f);
}

/* Bad signatures do not keep a place either. */
DEP_TEST(an_idle_keys_place_is_taken)
{
    struct fixture f;

    if (begin(t, &f)) {
        use(t, &f, 0, USES);
        use(t, &f, 1, USES);
        for (unsigned i = 0; i < 4 * PERIOD; i++) {
            use(t, &f, 1, 1);
            misuse(t, &f, 0, 1);
        }
        DEP_CHECK(t, is_hot(&f, 0) && is_hot(&f, 1)); /* nobody has asked for it */
        use(t, &f, 2, USES);
        DEP_CHECK(t, !is_hot(&f, 0) && is_hot(&f, 1) && is_hot(&f, 2));
        DEP_CHECK(t, dep_hot_keys_count(f.crypto->hot) == 2);
        for (unsigned i = 0; i < KEYS; i++) {
            use(t, &f, i, 1);
            misuse(t, &f, i, 1);
        }
    }
    end(&f);
}

/* A key that is used now and then never gets one: what it has counted is halved with each period. */
DEP_TEST(a_key_that_is_used_now_and_then)
{
    struct fixture f;

    if (begin(t, &f)) {
        use(t, &f, 0, USES);
        for (unsigned i = 0; i < 16; i++) {
            use(t, &f, 0, PERIOD - 2);
            use(t, &f, 2, 2);
        }
        DEP_CHECK(t, is_hot(&f, 0) && !is_hot(&f, 2));
        use(t, &f, 2, USES);
        DEP_CHECK(t, is_hot(&f, 2));
    }
    end(&f);
}

/* The same bytes are the same key, wherever they are; other bytes at the same address are not. */
DEP_TEST(a_key_that_is_imported_again)
{
    struct fixture f;

    if (begin(t, &f)) {
        use(t, &f, 0, USES);
        dep_public_key_free(f.signers[0].public_key);
        f.signers[0].public_key = public_of(f.signers[1].key);
        DEP_CHECK(t, !is_hot(&f, 0));
        DEP_CHECK_FAIL(t, verify(&f, 0, 0), CRYPTO_SIGNATURE);
        DEP_CHECK_OK(t, verify(&f, 0, 1));
        dep_public_key_free(f.signers[0].public_key);
        f.signers[0].public_key = public_of(f.signers[0].key);
        DEP_CHECK(t, is_hot(&f, 0));
        use(t, &f, 0, 1);
        misuse(t, &f, 0, 1);
    }
    end(&f);
}

/* The limits as they are: the 8,192nd good signature brings the table. */
DEP_TEST(the_limits_of_a_new_handle)
{
    struct fixture f;

    if (begin(t, &f)) {
        dep_crypto_free(f.crypto);
        f.crypto = dep_crypto_new();
        use(t, &f, 0, DEP_HOT_LIMITS.uses - 1);
        DEP_CHECK(t, !is_hot(&f, 0));
        use(t, &f, 0, 1);
        DEP_CHECK(t, is_hot(&f, 0));
        use(t, &f, 0, 1);
        misuse(t, &f, 0, 1);
    }
    end(&f);
}

struct shared {
    const struct fixture *f;
    bool is_good;
};

static void *use_in_a_thread(void *argument)
{
    struct shared *shared = argument;
    struct fixture own = *shared->f;
    bool is_good = true;

    own.crypto = crypto_with((struct dep_hot_limits){ .places = 2, .uses = USES, .period = PERIOD });
    for (unsigned i = 0; i < 5 * USES; i++)
        is_good = is_good && dep_is_ok(verify(&own, i % 2, i % 2)) && !dep_is_ok(verify(&own, i % 2, (i + 1) % 2));
    shared->is_good = is_good && is_hot(&own, 0) && is_hot(&own, 1);
    dep_crypto_free(own.crypto);
    return NULL;
}

/* A key belongs to all threads, its tables to one each: TSan sees what they share. */
DEP_TEST(each_thread_has_tables_of_its_own)
{
    struct fixture f;

    if (begin(t, &f)) {
        pthread_t threads[4];
        struct shared shared[4];

        for (size_t i = 0; i < DEP_COUNT(threads); i++) {
            shared[i] = (struct shared){ .f = &f };
            DEP_CHECK(t, pthread_create(&threads[i], NULL, use_in_a_thread, &shared[i]) == 0);
        }
        for (size_t i = 0; i < DEP_COUNT(threads); i++)
            DEP_CHECK(t, pthread_join(threads[i], NULL) == 0 && shared[i].is_good);
        DEP_CHECK(t, !is_hot(&f, 0));
    }
    end(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_key_gets_its_table_when_it_has_paid_for_it),
        DEP_ROW(bad_signatures_make_no_table),
        DEP_ROW(keys_that_stay_busy_keep_their_places),
        DEP_ROW(an_idle_keys_place_is_taken),
        DEP_ROW(a_key_that_is_used_now_and_then),
        DEP_ROW(a_key_that_is_imported_again),
        DEP_ROW(the_limits_of_a_new_handle),
        DEP_ROW(each_thread_has_tables_of_its_own),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

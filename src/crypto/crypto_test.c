/* Hashes, randomness, the key cache and sealing. */
#include "crypto/crypto.h"

#include <stdlib.h>
#include <string.h>

#include "test/unit.h"

static struct dep_str hex_of(struct dep_arena *arena, const void *bytes, size_t len)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 2 * len);
    dep_buf_put_hex(&buf, bytes, len);
    return dep_buf_str(&buf);
}

DEP_TEST(sha256_of_parts_is_of_the_whole)
{
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_str parts[] = { DEP_STR("a"), DEP_STR_ABSENT, DEP_STR(""), DEP_STR("bc") };
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    dep_sha256(crypto, DEP_STR("abc"), digest);
    DEP_CHECK_STR(t, hex_of(&arena, digest, sizeof(digest)),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    dep_sha256_parts(crypto, parts, DEP_COUNT(parts), digest);
    DEP_CHECK_STR(t, hex_of(&arena, digest, sizeof(digest)),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    dep_sha256(crypto, DEP_STR_ABSENT, digest);
    DEP_CHECK_STR(t, hex_of(&arena, digest, sizeof(digest)),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    dep_arena_reset(&arena);
    dep_crypto_free(crypto);
}

/* rfc4231#4.3 and rfc4231#4.7: a short key, and one longer than the block. */
DEP_TEST(hmac_sha256_of_rfc4231)
{
    struct dep_crypto *crypto = dep_crypto_new();
    unsigned char mac[DEP_SHA256_LEN], key[131];
    struct dep_arena arena;

    dep_arena_init_debug(&arena, 4096);
    dep_hmac_sha256(crypto, dep_secret("Jefe", 4), DEP_STR("what do ya want for nothing?"), mac);
    DEP_CHECK_STR(t, hex_of(&arena, mac, sizeof(mac)),
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xAA, sizeof(key));
    dep_hmac_sha256(crypto, dep_secret(key, sizeof(key)),
                    DEP_STR("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    DEP_CHECK_STR(t, hex_of(&arena, mac, sizeof(mac)),
                  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    dep_arena_reset(&arena);
    dep_crypto_free(crypto);
}

DEP_TEST(random_fills_all_and_never_repeats)
{
    unsigned char a[1024] = { 0 }, b[1024] = { 0 };
    unsigned zeros = 0;

    dep_random(a, sizeof(a));
    dep_random(b, sizeof(b));
    dep_random(b, 0);
    DEP_CHECK(t, memcmp(a, b, sizeof(a)) != 0);
    for (size_t i = 0; i < sizeof(a); i++)
        zeros += a[i] == 0;
    DEP_CHECK(t, zeros < 40);
    DEP_CHECK(t, memcmp(a + 512, a, 512) != 0);
}

DEP_TEST(alg_names_are_exact)
{
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("ES256")) == DEP_ALG_ES256);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("EdDSA")) == DEP_ALG_ED25519);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("Ed25519")) == DEP_ALG_ED25519);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("es256")) == DEP_ALG_NONE);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("ES256 ")) == DEP_ALG_NONE);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("none")) == DEP_ALG_NONE);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("HS256")) == DEP_ALG_NONE);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR("")) == DEP_ALG_NONE);
    DEP_CHECK(t, dep_alg_by_name(DEP_STR_ABSENT) == DEP_ALG_NONE);
    for (enum dep_alg alg = DEP_ALG_ES256; alg < DEP_ALG_COUNT; alg++)
        DEP_CHECK(t, dep_alg_by_name(dep_str_c(dep_alg_name(alg))) == alg);
    DEP_CHECK(t, dep_alg_by_name(dep_str_c(dep_alg_name(DEP_ALG_NONE))) == DEP_ALG_NONE);
}

struct source {
    struct dep_str x;
    unsigned imports;
};

static struct dep_res import_counted(const void *source, struct dep_public_key **ret_key)
{
    struct source *counted;

    memcpy(&counted, source, sizeof(counted));
    counted->imports++;
    return dep_public_key_new_ed25519(counted->x, ret_key);
}

static bool look_up(struct dep_crypto *crypto, struct source *source, unsigned number,
                    const struct dep_public_key **ret_key)
{
    unsigned char name[DEP_SHA256_LEN] = { (unsigned char)number, (unsigned char)(number >> 8) };
    unsigned before = source->imports;

    DEP_ASSERT(dep_is_ok(dep_crypto_cached_key(crypto, name, import_counted, &source, ret_key)));
    return source->imports == before;
}

DEP_TEST(cache_keeps_4096_keys_and_drops_the_least_recently_used)
{
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_private_key *private_key = NULL;
    const struct dep_public_key *first, *again;
    struct source source = { .x = DEP_STR_ABSENT };
    struct dep_arena arena;
    struct dep_str y;

    dep_arena_init_debug(&arena, 4096);
    DEP_CHECK_OK(t, dep_private_key_new(DEP_ALG_ED25519, &private_key));
    DEP_CHECK_OK(t, dep_private_key_parts(private_key, &arena, &source.x, &y));
    DEP_CHECK(t, !look_up(crypto, &source, 0, &first));
    DEP_CHECK(t, look_up(crypto, &source, 0, &again));
    DEP_CHECK(t, first == again);
    for (unsigned i = 1; i < 4096; i++)
        (void)look_up(crypto, &source, i, &again);
    DEP_CHECK(t, source.imports == 4096);
    DEP_CHECK(t, look_up(crypto, &source, 0, &again)); /* now 1 is the oldest */
    DEP_CHECK(t, !look_up(crypto, &source, 4096, &again));
    DEP_CHECK(t, look_up(crypto, &source, 0, &again));
    DEP_CHECK(t, look_up(crypto, &source, 2, &again));
    DEP_CHECK(t, !look_up(crypto, &source, 1, &again));
    for (unsigned i = 0; i < 20000; i++)
        (void)look_up(crypto, &source, i % 5000, &again);
    DEP_CHECK(t, look_up(crypto, &source, 4999, &again));
    dep_private_key_free(private_key);
    dep_arena_reset(&arena);
    dep_crypto_free(crypto);
}

static struct dep_res import_bad(const void *source, struct dep_public_key **ret_key)
{
    (void)source;
    return dep_public_key_new_ed25519(DEP_STR("short"), ret_key);
}

DEP_TEST(cache_keeps_no_failure)
{
    struct dep_crypto *crypto = dep_crypto_new();
    struct dep_private_key *private_key = NULL;
    const struct dep_public_key *key = NULL;
    const unsigned char name[DEP_SHA256_LEN] = { 0 };
    struct source source = { .x = DEP_STR_ABSENT };
    struct dep_arena arena;
    struct dep_str y;

    dep_arena_init_debug(&arena, 4096);
    DEP_CHECK_FAIL(t, dep_crypto_cached_key(crypto, name, import_bad, NULL, &key), CRYPTO_KEY);
    DEP_CHECK(t, key == NULL);
    DEP_CHECK_OK(t, dep_private_key_new(DEP_ALG_ED25519, &private_key));
    DEP_CHECK_OK(t, dep_private_key_parts(private_key, &arena, &source.x, &y));
    DEP_CHECK(t, !look_up(crypto, &source, 0, &key));
    dep_private_key_free(private_key);
    dep_arena_reset(&arena);
    dep_crypto_free(crypto);
}

DEP_TEST(seal_opens_only_unchanged_with_its_key_and_context)
{
    unsigned char key[32], other[32];
    struct dep_arena arena;
    struct dep_str sealed, again;
    struct dep_secret plain;

    dep_random(key, sizeof(key));
    dep_random(other, sizeof(other));
    dep_arena_init_debug(&arena, 65536);
    DEP_CHECK_OK(t, dep_seal(dep_secret(key, 32), DEP_STR("key:1"), dep_secret("private", 7), &arena, &sealed));
    DEP_CHECK_OK(t, dep_seal(dep_secret(key, 32), DEP_STR("key:1"), dep_secret("private", 7), &arena, &again));
    DEP_CHECK(t, sealed.len == 24 + 7 + 16);
    DEP_CHECK(t, !dep_str_eq(sealed, again));
    DEP_CHECK_OK(t, dep_unseal(dep_secret(key, 32), DEP_STR("key:1"), sealed, &arena, &plain));
    DEP_CHECK(t, dep_secret_eq(plain, dep_secret("private", 7)));
    DEP_CHECK_FAIL(t, dep_unseal(dep_secret(other, 32), DEP_STR("key:1"), sealed, &arena, &plain), CRYPTO_SEAL);
    DEP_CHECK_FAIL(t, dep_unseal(dep_secret(key, 31), DEP_STR("key:1"), sealed, &arena, &plain), CRYPTO_SEAL);
    DEP_CHECK_FAIL(t, dep_unseal(dep_secret(key, 32), DEP_STR("key:2"), sealed, &arena, &plain), CRYPTO_SEAL);
    DEP_CHECK_FAIL(t, dep_unseal(dep_secret(key, 32), DEP_STR("key:1"), DEP_STR(""), &arena, &plain), CRYPTO_SEAL);
    for (size_t i = 0; i < sealed.len; i++) {
        char changed[64];

        memcpy(changed, sealed.ptr, sealed.len);
        changed[i] ^= 1;
        DEP_CHECK_FAIL(t,
                       dep_unseal(dep_secret(key, 32), DEP_STR("key:1"), dep_str(changed, sealed.len), &arena, &plain),
                       CRYPTO_SEAL);
        DEP_CHECK_FAIL(t, dep_unseal(dep_secret(key, 32), DEP_STR("key:1"), dep_str_sub(sealed, 0, i), &arena, &plain),
                       CRYPTO_SEAL);
    }
    dep_arena_reset(&arena);
    dep_arena_init_debug(&arena, 16);
    DEP_CHECK_FAIL(t, dep_seal(dep_secret(key, 32), DEP_STR("key:1"), dep_secret("private", 7), &arena, &sealed),
                   ARENA_FULL);
    DEP_CHECK_FAIL(t, dep_seal(dep_secret(key, 16), DEP_STR("key:1"), dep_secret("private", 7), &arena, &sealed),
                   CRYPTO_SEAL);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(sha256_of_parts_is_of_the_whole),
        DEP_ROW(hmac_sha256_of_rfc4231),
        DEP_ROW(random_fills_all_and_never_repeats),
        DEP_ROW(alg_names_are_exact),
        DEP_ROW(cache_keeps_4096_keys_and_drops_the_least_recently_used),
        DEP_ROW(cache_keeps_no_failure),
        DEP_ROW(seal_opens_only_unchanged_with_its_key_and_context),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

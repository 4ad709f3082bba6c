/* DPoP nonces: whose they are and how long they live (RFC 9449 section 8; attack case B38). */
#include "proto/nonce.h"
#include "test/unit.h"

#define NOW INT64_C(1700000000)

static _Alignas(16) unsigned char memory[4096];
static struct dep_arena arena;
static struct dep_crypto *crypto;

static struct dep_nonce_policy policy_of(const char *key, const char *purpose)
{
    return (struct dep_nonce_policy){ dep_secret(key, 32), dep_str_c(purpose), 60 };
}

#define KEY "0123456789abcdef0123456789abcdef"
#define OTHER_KEY "0123456789abcdef0123456789abcdeF"

DEP_TEST(lives_two_windows)
{
    struct dep_nonce_policy policy = policy_of(KEY, "as");
    struct dep_str nonce;
    int64_t minted = 0;

    dep_arena_reset(&arena);
    nonce = dep_nonce_make(&arena, crypto, &policy, NOW);
    DEP_CHECK(t, nonce.len == DEP_NONCE_LEN);
    DEP_CHECK_OK(t, dep_nonce_check(crypto, &policy, nonce, NOW, &minted));
    DEP_CHECK(t, minted == NOW);
    DEP_CHECK_OK(t, dep_nonce_check(crypto, &policy, nonce, NOW + 119, &minted));
    DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &policy, nonce, NOW + 120, &minted), DPOP_NONCE);
    DEP_CHECK_OK(t, dep_nonce_check(crypto, &policy, nonce, NOW - 2, &minted));
    DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &policy, nonce, NOW - 3, &minted), DPOP_NONCE);
}

DEP_TEST(is_of_one_key_and_one_purpose)
{
    struct dep_nonce_policy policy = policy_of(KEY, "as"), other_key = policy_of(OTHER_KEY, "as");
    struct dep_nonce_policy guard = policy_of(KEY, "https://api.example");
    struct dep_str nonce;
    int64_t minted = -1;

    dep_arena_reset(&arena);
    nonce = dep_nonce_make(&arena, crypto, &policy, NOW);
    DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &other_key, nonce, NOW, &minted), DPOP_NONCE);
    DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &guard, nonce, NOW, &minted), DPOP_NONCE);
    DEP_CHECK(t, minted == -1);
    DEP_CHECK_OK(t, dep_nonce_check(crypto, &policy, nonce, NOW, &minted));
}

DEP_TEST(no_byte_can_be_changed)
{
    struct dep_nonce_policy policy = policy_of(KEY, "as");
    char text[DEP_NONCE_LEN + 1];
    struct dep_str nonce;
    int64_t minted;

    dep_arena_reset(&arena);
    nonce = dep_nonce_make(&arena, crypto, &policy, NOW);
    for (size_t i = 0; i < nonce.len; i++) {
        memcpy(text, nonce.ptr, nonce.len);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &policy, dep_str(text, nonce.len), NOW, &minted), DPOP_NONCE);
    }
    memcpy(text, nonce.ptr, nonce.len);
    text[nonce.len] = 'A';
    DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &policy, dep_str(text, nonce.len + 1), NOW, &minted), DPOP_NONCE);
    DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &policy, dep_str(text, nonce.len - 1), NOW, &minted), DPOP_NONCE);
    DEP_CHECK_FAIL(t, dep_nonce_check(crypto, &policy, DEP_STR(""), NOW, &minted), DPOP_NONCE);
    DEP_CHECK_OK(t, dep_nonce_check(crypto, &policy, dep_str(text, nonce.len), NOW, &minted));
}

DEP_TEST(a_full_arena_gives_no_nonce)
{
    struct dep_nonce_policy policy = policy_of(KEY, "as");
    struct dep_arena small;

    dep_arena_init_debug(&small, 16);
    DEP_CHECK(t, dep_str_is_absent(dep_nonce_make(&small, crypto, &policy, NOW)));
    dep_arena_reset(&small);
    dep_arena_init_debug(&small, 64);
    DEP_CHECK(t, !dep_str_is_absent(dep_nonce_make(&small, crypto, &policy, NOW)));
    dep_arena_reset(&small);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(lives_two_windows),
        DEP_ROW(is_of_one_key_and_one_purpose),
        DEP_ROW(no_byte_can_be_changed),
        DEP_ROW(a_full_arena_gives_no_nonce),
    };
    int failed;

    dep_arena_init(&arena, memory, sizeof(memory));
    crypto = dep_crypto_new();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_crypto_free(crypto);
    return failed;
}

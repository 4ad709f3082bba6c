/* The verified-token cache. */
#include "guard/seen.h"

#include "test/unit.h"

#define NOW INT64_C(1800000000)

static void digest_of(unsigned number, unsigned char ret_digest[DEP_SHA256_LEN])
{
    memset(ret_digest, 0, DEP_SHA256_LEN);
    ret_digest[0] = (unsigned char)number; /* chooses the set */
    memcpy(ret_digest + 16, &number, sizeof(number));
}

static struct dep_token token_of(int64_t exp)
{
    struct dep_token token = { .iss = DEP_STR("https://as.example"),
                               .sub = DEP_STR("agent:A"),
                               .client_id = DEP_STR("C"),
                               .jti = DEP_STR("J"),
                               .aud = { DEP_STR("https://api.example") },
                               .aud_count = 1,
                               .scope = DEP_STR(""),
                               .actors = { DEP_STR("agent:S"), DEP_STR("agent:O") },
                               .actors_count = 2,
                               .lineage = { DEP_STR("J0") },
                               .lineage_count = 1,
                               .exp = exp };

    return token;
}

DEP_TEST(keeps_a_copy)
{
    struct dep_guard_seen *seen = dep_guard_seen_new(8);
    unsigned char digest[DEP_SHA256_LEN];
    char sub[] = "agent:A", x5t[] = "thumb";
    struct dep_token token = token_of(NOW + 1);

    token.sub = dep_str(sub, 7);
    token.x5t = dep_str(x5t, 5);
    digest_of(1, digest);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW) == NULL);
    dep_guard_seen_put(seen, digest, 1, NOW, &token);
    memset(sub, 'x', sizeof(sub) - 1);
    memset(x5t, 'x', sizeof(x5t) - 1);

    const struct dep_token *found = dep_guard_seen_find(seen, digest, 1, NOW);

    DEP_CHECK(t, found != NULL && found->actors_count == 2 && found->exp == NOW + 1);
    if (found != NULL) {
        DEP_CHECK_STR(t, found->sub, "agent:A");
        DEP_CHECK_STR(t, found->actors[1], "agent:O");
        DEP_CHECK_STR(t, found->lineage[0], "J0");
        DEP_CHECK(t, !dep_str_is_absent(found->scope) && dep_str_is_absent(found->jkt));
        DEP_CHECK_STR(t, found->x5t, "thumb");
    }
    dep_guard_seen_free(seen);
}

DEP_TEST(A68_dies_at_exp_and_with_its_keys)
{
    struct dep_guard_seen *seen = dep_guard_seen_new(8);
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_token token = token_of(NOW + 10);

    digest_of(1, digest);
    dep_guard_seen_put(seen, digest, 1, NOW, &token);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW + 9) != NULL);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW + 10) == NULL);
    DEP_CHECK(t, dep_guard_seen_count(seen) == 0);
    dep_guard_seen_put(seen, digest, 1, NOW, &token);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW) != NULL);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 2, NOW) == NULL);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW) == NULL);
    dep_guard_seen_free(seen);
}

DEP_TEST(H07_entries_are_keyed_by_the_whole_digest)
{
    struct dep_guard_seen *seen = dep_guard_seen_new(8);
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_token token = token_of(NOW + 10);

    digest_of(1, digest);
    dep_guard_seen_put(seen, digest, 1, NOW, &token);
    for (size_t i = 0; i < DEP_SHA256_LEN; i++) {
        digest[i] ^= 1;
        DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW) == NULL);
        digest[i] ^= 1;
    }
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW) != NULL);
    dep_guard_seen_free(seen);
}

DEP_TEST(is_bounded_and_evicts_the_least_recent)
{
    struct dep_guard_seen *seen = dep_guard_seen_new(8); /* one set */
    unsigned char digest[DEP_SHA256_LEN], first[DEP_SHA256_LEN];
    struct dep_token token = token_of(NOW + 100);

    digest_of(0, first);
    for (unsigned i = 0; i < 8; i++) {
        digest_of(i, digest);
        dep_guard_seen_put(seen, digest, 1, NOW, &token);
    }
    DEP_CHECK(t, dep_guard_seen_find(seen, first, 1, NOW) != NULL); /* now the most recent */
    digest_of(8, digest);
    dep_guard_seen_put(seen, digest, 1, NOW, &token);
    DEP_CHECK(t, dep_guard_seen_count(seen) == 8 && dep_guard_seen_find(seen, first, 1, NOW) != NULL);
    digest_of(1, digest);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW) == NULL);
    for (unsigned i = 0; i < 10000; i++) {
        digest_of(i, digest);
        dep_guard_seen_put(seen, digest, 1, NOW, &token);
    }
    DEP_CHECK(t, dep_guard_seen_count(seen) == 8);
    dep_guard_seen_free(seen);
}

DEP_TEST(expired_entries_make_room_first)
{
    struct dep_guard_seen *seen = dep_guard_seen_new(8);
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_token early = token_of(NOW + 1), late = token_of(NOW + 100);

    for (unsigned i = 0; i < 8; i++) {
        digest_of(i, digest);
        dep_guard_seen_put(seen, digest, 1, NOW, i == 7 ? &early : &late);
    }
    digest_of(8, digest);
    dep_guard_seen_put(seen, digest, 1, NOW + 2, &late);
    for (unsigned i = 0; i < 7; i++) {
        digest_of(i, digest);
        DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW + 2) != NULL);
    }
    digest_of(7, digest);
    DEP_CHECK(t, dep_guard_seen_find(seen, digest, 1, NOW) == NULL);
    dep_guard_seen_free(seen);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(keeps_a_copy),
        DEP_ROW(A68_dies_at_exp_and_with_its_keys),
        DEP_ROW(H07_entries_are_keyed_by_the_whole_digest),
        DEP_ROW(is_bounded_and_evicts_the_least_recent),
        DEP_ROW(expired_entries_make_room_first),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

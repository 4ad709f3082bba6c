/* Replay keys: two uses have one key only when everything is the same. */
#include "proto/replay.h"
#include "test/unit.h"

static struct dep_crypto *crypto;

struct use {
    const char *name, *tenant;
    enum dep_replay_purpose purpose;
    const char *owner, *place, *jti;
};

static const struct use uses[] = {
    { "the first", "", DEP_REPLAY_DPOP, "jkt", "https://as.example/token", "j" },
    { "another tenant", "t", DEP_REPLAY_DPOP, "jkt", "https://as.example/token", "j" },
    { "another purpose", "", DEP_REPLAY_ASSERTION, "jkt", "https://as.example/token", "j" },
    { "a third purpose", "", DEP_REPLAY_GRANT, "jkt", "https://as.example/token", "j" },
    { "a fourth purpose", "", DEP_REPLAY_ACTOR, "jkt", "https://as.example/token", "j" },
    { "another owner", "", DEP_REPLAY_DPOP, "jkt2", "https://as.example/token", "j" },
    { "another place", "", DEP_REPLAY_DPOP, "jkt", "https://as.example/other", "j" },
    { "another jti", "", DEP_REPLAY_DPOP, "jkt", "https://as.example/token", "k" },
    { "a border moved left", "", DEP_REPLAY_DPOP, "jk", "thttps://as.example/token", "j" },
    { "a border moved right", "", DEP_REPLAY_DPOP, "jkt", "https://as.example/toke", "nj" },
    { "no place", "", DEP_REPLAY_DPOP, "jkt", "", "https://as.example/tokenj" },
};

static void key_of(const struct use *use, unsigned char ret_key[DEP_REPLAY_KEY_BYTES])
{
    dep_replay_key(crypto, dep_str_c(use->tenant), use->purpose, dep_str_c(use->owner), dep_str_c(use->place),
                   dep_str_c(use->jti), ret_key);
}

DEP_TEST(B28_every_part_counts)
{
    unsigned char keys[DEP_COUNT(uses)][DEP_REPLAY_KEY_BYTES];

    for (size_t i = 0; i < DEP_COUNT(uses); i++)
        key_of(&uses[i], keys[i]);
    for (size_t i = 0; i < DEP_COUNT(uses); i++)
        for (size_t k = 0; k < i; k++)
            dep_test_check(t, memcmp(keys[i], keys[k], DEP_REPLAY_KEY_BYTES) != 0, __FILE__, __LINE__,
                           "\"%s\" has the key of \"%s\"", uses[i].name, uses[k].name);
}

DEP_TEST(the_same_use_has_the_same_key)
{
    unsigned char first[DEP_REPLAY_KEY_BYTES], second[DEP_REPLAY_KEY_BYTES];
    struct dep_crypto *other = dep_crypto_new(); /* of another thread */

    key_of(&uses[0], first);
    dep_replay_key(other, DEP_STR(""), DEP_REPLAY_DPOP, DEP_STR("jkt"), DEP_STR("https://as.example/token"),
                   DEP_STR("j"), second);
    DEP_CHECK(t, memcmp(first, second, sizeof(first)) == 0);
    dep_crypto_free(other);
}

int main(void)
{
    static const struct dep_test_row rows[] = { DEP_ROW(B28_every_part_counts),
                                                DEP_ROW(the_same_use_has_the_same_key) };
    int failed;

    crypto = dep_crypto_new();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_crypto_free(crypto);
    return failed;
}

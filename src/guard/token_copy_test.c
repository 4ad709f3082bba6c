/* Copies of tokens say what the token says. */
#include "guard/token_copy.h"

#include <stddef.h>
#include <stdio.h>

#include "test/unit.h"

#define EACH 16u
#define TEXTS_MAX 128u

#define AT(name) offsetof(struct dep_token, name)
static const size_t singles[] = {
    AT(iss),           AT(sub),     AT(client_id),      AT(jti),         AT(scope),
    AT(jkt),           AT(x5t),     AT(may_act),        AT(may_act_iss), AT(agent_name),
    AT(agent_version), AT(task_id), AT(parent_task_id), AT(org_id),      AT(acr),
    AT(details),
};
static const struct {
    size_t items, count, max;
} lists[] = {
    { AT(aud), AT(aud_count), DEP_AUDIENCES_MAX },
    { AT(actors), AT(actors_count), DEP_ACT_DEPTH_MAX },
    { AT(lineage), AT(lineage_count), DEP_LINEAGE_MAX },
    { AT(origins), AT(origins_count), DEP_ORIGINS_MAX },
    { AT(resources), AT(resources_count), DEP_AUDIENCES_MAX },
};

/* Where the texts are, in an order of its own. */
static size_t all_texts(struct dep_token *token, struct dep_str *ret_texts[TEXTS_MAX])
{
    size_t number = 0;

    for (size_t i = 0; i < DEP_COUNT(singles); i++)
        ret_texts[number++] = (struct dep_str *)(void *)((char *)token + singles[i]);
    for (size_t i = 0; i < DEP_COUNT(lists); i++)
        for (size_t k = 0; k < *(size_t *)(void *)((char *)token + lists[i].count); k++)
            ret_texts[number++] = (struct dep_str *)(void *)((char *)token + lists[i].items) + k;
    return number;
}

static void check_same(struct dep_test *t, struct dep_token *got, struct dep_token *want)
{
    struct dep_str *texts[2][TEXTS_MAX];
    size_t number = all_texts(want, texts[1]);

    DEP_CHECK(t, all_texts(got, texts[0]) == number);
    for (size_t i = 0; i < number; i++) {
        DEP_CHECK(t, dep_str_is_absent(*texts[0][i]) == dep_str_is_absent(*texts[1][i]));
        DEP_CHECK(t, dep_str_eq(*texts[0][i], *texts[1][i]));
    }
    DEP_CHECK(t, got->iat == want->iat && got->nbf == want->nbf && got->exp == want->exp &&
                     got->auth_time == want->auth_time);
}

static void check_copies(struct dep_test *t, struct dep_token *token)
{
    static _Alignas(16) char memory[8192];
    static char packed[8192];
    struct dep_token unpacked;
    size_t bytes;

    DEP_ASSERT(dep_token_copy_bytes(token) <= sizeof(memory));
    check_same(t, dep_token_copy(token, memory), token);
    bytes = dep_token_pack(token, packed, sizeof(packed));
    DEP_CHECK(t, bytes > 0 && dep_token_unpack(dep_str(packed, bytes), &unpacked));
    check_same(t, &unpacked, token);
    DEP_CHECK(t, dep_token_pack(token, packed, bytes) == bytes && dep_token_pack(token, packed, bytes - 1) == 0);
}

/* The lists hold `share` of what they may. */
static void fill(struct dep_token *token, size_t share, char names[TEXTS_MAX][EACH])
{
    struct dep_str *texts[TEXTS_MAX];
    size_t number;

    *token = (struct dep_token){ .iat = 1, .nbf = -2, .exp = INT64_MAX, .auth_time = 4 };
    for (size_t i = 0; i < DEP_COUNT(lists); i++)
        *(size_t *)(void *)((char *)token + lists[i].count) = lists[i].max / share;
    number = all_texts(token, texts);
    for (size_t i = 0; i < number; i++) {
        (void)snprintf(names[i], EACH, "text %zu", i);
        *texts[i] = dep_str_c(names[i]);
    }
}

DEP_TEST(every_member_is_copied)
{
    char names[TEXTS_MAX][EACH];
    struct dep_str *texts[TEXTS_MAX];
    struct dep_token token;

    for (size_t share = 1; share <= 32; share *= 2) {
        fill(&token, share, names);
        check_copies(t, &token);
    }
    fill(&token, 1, names);
    for (size_t i = 0, number = all_texts(&token, texts); i < number; i++) {
        struct dep_str kept = *texts[i];

        *texts[i] = DEP_STR_ABSENT;
        check_copies(t, &token);
        *texts[i] = DEP_STR("");
        check_copies(t, &token);
        *texts[i] = kept;
    }
}

DEP_TEST(a_text_that_is_too_long_is_not_packed)
{
    static char text[UINT16_MAX], packed[2 * UINT16_MAX];
    struct dep_token token = { .exp = 1 };

    memset(text, 'x', sizeof(text));
    token.details = dep_str(text, UINT16_MAX - 1);
    DEP_CHECK(t, dep_token_pack(&token, packed, sizeof(packed)) > 0);
    token.details = dep_str(text, UINT16_MAX);
    DEP_CHECK(t, dep_token_pack(&token, packed, sizeof(packed)) == 0);
}

/* What another process left behind is no token unless all of it adds up. */
DEP_TEST(what_does_not_add_up_is_no_token)
{
    char names[TEXTS_MAX][EACH], packed[4096];
    struct dep_token token;
    size_t bytes;

    fill(&token, 4, names);
    bytes = dep_token_pack(&token, packed, sizeof(packed));
    DEP_CHECK(t, bytes > 0);
    for (size_t len = 0; len < bytes; len++)
        DEP_CHECK(t, !dep_token_unpack(dep_str(packed, len), &token));
    DEP_CHECK(t, !dep_token_unpack(dep_str(packed, bytes + 1), &token));
    for (size_t at = 4 * sizeof(int64_t); at < 48 + 2 * 38; at++) { /* counts, lengths of 38 texts */
        char kept = packed[at];

        packed[at] = (char)0xFF;
        DEP_CHECK(t, !dep_token_unpack(dep_str(packed, bytes), &token));
        packed[at] = kept;
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(every_member_is_copied),
        DEP_ROW(a_text_that_is_too_long_is_not_packed),
        DEP_ROW(what_does_not_add_up_is_no_token),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* What exchanges issue, and the claims of a grant. */
#include "proto/grant.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[1 << 16];
static struct dep_arena arena;

DEP_TEST(types_have_one_name_each)
{
    enum dep_issued issued = DEP_ISSUED_ACCESS_TOKEN;

    for (size_t i = 0; i < DEP_ISSUED_KINDS; i++) {
        DEP_CHECK(t, dep_issued_by_urn(dep_issued_urn((enum dep_issued)i), &issued) && issued == (enum dep_issued)i);
        DEP_CHECK(t, dep_str_ends(dep_issued_urn(issued), dep_issued_name(issued)));
    }
    DEP_CHECK_STR(t, dep_issued_typ(DEP_ISSUED_ID_JAG), "oauth-id-jag+jwt");
    DEP_CHECK_STR(t, dep_issued_typ(DEP_ISSUED_ACCESS_TOKEN), "at+jwt");
    DEP_CHECK(t, !dep_issued_by_urn(DEP_STR("urn:ietf:params:oauth:token-type:refresh_token"), &issued));
    DEP_CHECK(t, !dep_issued_by_urn(DEP_STR("urn:ietf:params:oauth:token-type:ID-JAG"), &issued));
    DEP_CHECK(t, !dep_issued_by_urn(DEP_STR("id-jag"), &issued));
    DEP_CHECK(t, !dep_issued_by_urn(DEP_STR(""), &issued));
}

static struct dep_token example(void)
{
    struct dep_token token = {
        .iss = DEP_STR("https://as.example"),
        .sub = DEP_STR("user:corp:alice"),
        .client_id = DEP_STR("there"),
        .jti = DEP_STR("j"),
        .aud = { DEP_STR("https://b.example") },
        .aud_count = 1,
        .scope = DEP_STR("read"),
        .iat = 1000,
        .exp = 1300,
        .agent_name = DEP_STR("name"),
        .task_id = DEP_STR("t"),
        .org_id = DEP_STR("acme"),
        .lineage = { DEP_STR("older") },
        .lineage_count = 1,
    };

    return token;
}

static struct dep_str written(const struct dep_token *token, const struct dep_str *resources, size_t count)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &arena, 4096);
    dep_json_begin(&writer, &buf);
    dep_grant_write(&writer, token, resources, count);
    return buf.has_failed ? DEP_STR_ABSENT : dep_buf_str(&buf);
}

#define HEAD                                                                         \
    "{\"iss\":\"https://as.example\",\"sub\":\"user:corp:alice\",\"aud\":\"https://" \
    "b.example\",\"client_id\":\"there\","                                           \
    "\"iat\":1000,\"exp\":1300,\"jti\":\"j\",\"scope\":\"read\""

DEP_TEST(a_grant_says_no_more_than_it_must)
{
    const struct dep_str two[] = { DEP_STR("https://r1.example"), DEP_STR("https://r2.example") };
    struct dep_token token = example();

    dep_arena_reset(&arena);
    DEP_CHECK_STR(t, written(&token, NULL, 0), HEAD "}");
    DEP_CHECK_STR(t, written(&token, two, 1), HEAD ",\"resource\":\"https://r1.example\"}");
    DEP_CHECK_STR(t, written(&token, two, 2), HEAD ",\"resource\":[\"https://r1.example\",\"https://r2.example\"]}");
}

DEP_TEST(actors_are_named_with_their_issuer)
{
    struct dep_token token = example();

    dep_arena_reset(&arena);
    token.actors[0] = DEP_STR("agent:new");
    token.actors[1] = DEP_STR("agent:old");
    token.actors_count = 2;
    token.jkt = DEP_STR("thumb");
    DEP_CHECK_STR(t, written(&token, NULL, 0),
                  HEAD ",\"cnf\":{\"jkt\":\"thumb\"},\"act\":{\"iss\":\"https://as.example\",\"sub\":\"agent:new\","
                       "\"act\":{\"iss\":\"https://as.example\",\"sub\":\"agent:old\"}}}");
}

DEP_TEST(a_certificate_is_named)
{
    struct dep_token token = example();

    dep_arena_reset(&arena);
    token.x5t = DEP_STR("thumb");
    DEP_CHECK_STR(t, written(&token, NULL, 0), HEAD ",\"cnf\":{\"x5t#S256\":\"thumb\"}}");
}

int main(void)
{
    static const struct dep_test_row table[] = {
        DEP_ROW(types_have_one_name_each),
        DEP_ROW(a_grant_says_no_more_than_it_must),
        DEP_ROW(actors_are_named_with_their_issuer),
        DEP_ROW(a_certificate_is_named),
    };

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_test_main(table, DEP_COUNT(table));
}

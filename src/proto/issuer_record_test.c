/* The record of a foreign issuer: what it may be trusted for (attack cases D16, D33). */
#include "proto/records.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[1 << 18];
static struct dep_arena arena;

#define RIGHTS "\"ceiling\":[{\"resource\":\"https://a.example\",\"scopes\":[\"read\"]}]"
#define CLIENT "01J00000000000000000000001"
#define RULES "\"rules\":[{\"client\":\"" CLIENT "\",\"claims\":{\"sub\":\"system:serviceaccount:a:b\"}}]"
#define SPIFFE "\"id\":\"spiffe://td.example\",\"name\":\"td\",\"org\":\"acme\","
#define TARGET "\"target\":{\"clients\":[{\"client\":\"" CLIENT "\",\"client_id\":\"x\"}],\"scopes\":[\"a\"]}"
#define GROUP "\"claims\":{\"groups\":\"payments\"}"
#define ID "\"id\":\"https://idp.example\",\"name\":\"corp\",\"org\":\"acme\","

static const struct {
    const char *name, *text;
    bool is_good;
} rows[] = {
    { "users", "{" ID "\"uses\":[\"subject\"]," RIGHTS "}", true },
    { "grants", "{" ID "\"uses\":[\"id-jag\"]," RIGHTS ",\"lifetime_max_s\":300}", true },
    { "workloads", "{" ID "\"uses\":[\"workload\"]," RULES ",\"is_single_use\":true}", true },
    { "everything",
      "{" ID "\"uses\":[\"subject\",\"id-jag\",\"workload\"]," RIGHTS "," RULES
      ",\"audiences\":[\"x\"],\"jwks_uri\":\"https://idp.example/keys\",\"is_enabled\":false}",
      true },
    { "fixed keys", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"jwks\":{\"keys\":[]}}", true },
    { "a deputy", "{" ID "\"uses\":[\"access-token\"]," RIGHTS "}", true },
    { "a deputy without a ceiling", "{" ID "\"uses\":[\"access-token\"]}", false },
    { "a rule by path",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT
      "\",\"claims\":{\"/kubernetes.io/namespace\":\"x\"}}]}",
      true },
    { "a rule by half a path",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT "\",\"claims\":{\"/kubernetes.io/\":\"x\"}}]}",
      false },
    { "a trust domain", "{" SPIFFE "\"uses\":[\"workload\"],\"jwks\":{\"keys\":[]}," RULES "}", true },
    { "a trust domain without keys", "{" SPIFFE "\"uses\":[\"workload\"]," RULES "}", false },
    { "a trust domain of users", "{" SPIFFE "\"uses\":[\"subject\"],\"jwks\":{\"keys\":[]}," RIGHTS "}", false },
    { "a workload as trust domain",
      "{\"id\":\"spiffe://td.example/"
      "x\",\"name\":\"td\",\"org\":\"acme\",\"uses\":[\"workload\"],\"jwks\":{\"keys\":[]}," RULES "}",
      false },
    { "a target", "{" ID "\"uses\":[\"target\"]," TARGET "}", true },
    { "a target with resources",
      "{" ID "\"uses\":[\"target\",\"id-jag\"]," RIGHTS ",\"target\":{\"clients\":[{\"client\":\"" CLIENT
      "\",\"client_id\":\"x\"}],\"resources\":[{\"resource\":\"https://r.example\",\"scopes\":[\"a\"]}]}}",
      true },
    { "a target without its part", "{" ID "\"uses\":[\"target\"]}", false },
    { "the part without the use", "{" ID "\"uses\":[\"subject\"]," RIGHTS "," TARGET "}", false },
    { "a target that knows nobody", "{" ID "\"uses\":[\"target\"],\"target\":{\"clients\":[],\"scopes\":[\"a\"]}}",
      true },
    { "a target whose clients are a text",
      "{" ID "\"uses\":[\"target\"],\"target\":{\"clients\":\"x\",\"scopes\":[\"a\"]}}", false },
    { "a target without scopes",
      "{" ID "\"uses\":[\"target\"],\"target\":{\"clients\":[{\"client\":\"" CLIENT "\",\"client_id\":\"x\"}]}}",
      false },
    { "a target that knows one client twice",
      "{" ID "\"uses\":[\"target\"],\"target\":{\"scopes\":[\"a\"],\"clients\":[{\"client\":\"" CLIENT
      "\",\"client_id\":\"x\"},{\"client\":\"" CLIENT "\",\"client_id\":\"y\"}]}}",
      false },
    { "a target with a nameless client",
      "{" ID "\"uses\":[\"target\"],\"target\":{\"scopes\":[\"a\"],\"clients\":[{\"client\":\"" CLIENT
      "\",\"client_id\":\"\"}]}}",
      false },
    { "a target with more",
      "{" ID "\"uses\":[\"target\"],\"target\":{\"scopes\":[\"a\"],\"any\":true,\"clients\":[{\"client\":\"" CLIENT
      "\",\"client_id\":\"x\"}]}}",
      false },
    { "no use", "{" ID "\"uses\":[]," RIGHTS "}", false },
    { "unknown use", "{" ID "\"uses\":[\"anything\"]," RIGHTS "}", false },
    { "use as text", "{" ID "\"uses\":\"subject\"," RIGHTS "}", false },
    { "users without a ceiling", "{" ID "\"uses\":[\"subject\"]}", false },
    { "grants without a ceiling", "{" ID "\"uses\":[\"id-jag\"],\"ceiling\":[]}", false },
    { "workloads without a rule", "{" ID "\"uses\":[\"workload\"]}", false },
    { "a rule without workloads", "{" ID "\"uses\":[\"subject\"]," RIGHTS "," RULES "}", false },
    { "a rule without claims is anybody",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT "\",\"claims\":{}}]}", false },
    { "a rule with a blank claim",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT "\",\"claims\":{\"sub\":\"\"}}]}", false },
    { "a rule with a nameless claim",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT "\",\"claims\":{\"\":\"x\"}}]}", false },
    { "a rule with a list",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT "\",\"claims\":{\"sub\":[\"x\"]}}]}", false },
    { "a rule without a client", "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"claims\":{\"sub\":\"x\"}}]}", false },
    { "a rule with more",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT "\",\"claims\":{\"sub\":\"x\"},\"any\":true}]}",
      false },
    { "nine claims",
      "{" ID "\"uses\":[\"workload\"],\"rules\":[{\"client\":\"" CLIENT
      "\",\"claims\":{\"a\":\"1\",\"b\":\"1\",\"c\":\"1\",\"d\":\"1\",\"e\":\"1\",\"f\":\"1\",\"g\":\"1\","
      "\"h\":\"1\",\"i\":\"1\"}}]}",
      false },
    { "D16 a colon in the name reads two ways",
      "{\"id\":\"https://idp.example\",\"name\":\"a:b\",\"org\":\"acme\",\"uses\":[\"subject\"]," RIGHTS "}", false },
    { "a blank in the name",
      "{\"id\":\"https://idp.example\",\"name\":\"a b\",\"org\":\"acme\",\"uses\":[\"subject\"]," RIGHTS "}", false },
    { "no URL", "{\"id\":\"corp\",\"name\":\"corp\",\"org\":\"acme\",\"uses\":[\"subject\"]," RIGHTS "}", false },
    { "blank organisation",
      "{\"id\":\"https://idp.example\",\"name\":\"corp\",\"org\":\"\",\"uses\":[\"subject\"]," RIGHTS "}", false },
    { "keys from two places",
      "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"jwks\":{\"keys\":[]},\"jwks_uri\":\"https://idp.example/k\"}",
      false },
    { "keys as text", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"jwks\":\"x\"}", false },
    { "keys from nowhere", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"jwks_uri\":\"keys\"}", false },
    { "blank audience", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"audiences\":[\"\"]}", false },
    { "audience as text", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"audiences\":\"x\"}", false },
    { "users named by a claim", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"subject_claim\":\"oid\"}", true },
    { "users named by a path", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"subject_claim\":\"/idp/user_id\"}", true },
    { "a blank claim names users", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"subject_claim\":\"\"}", false },
    { "half a path names users", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"subject_claim\":\"/idp/\"}", false },
    { "D16 names that move on name users", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"subject_claim\":\"email\"}",
      false },
    { "D16 the same by path", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"subject_claim\":\"/idp/upn\"}", false },
    { "a claim names workloads", "{" ID "\"uses\":[\"workload\"]," RULES ",\"subject_claim\":\"oid\"}", false },
    { "claims that users must have",
      "{" ID "\"uses\":[\"id-jag\"]," RIGHTS ",\"required_claims\":{\"tid\":\"t1\",\"email_verified\":\"true\"}}",
      true },
    { "null takes them back",
      "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"required_claims\":null,\"claim_ceilings\":null}", true },
    { "no claims that users must have", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"required_claims\":{}}", false },
    { "a blank value that users must have",
      "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"required_claims\":{\"tid\":\" \"}}", false },
    { "a number that users must have", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"required_claims\":{\"tid\":1}}",
      false },
    { "rights by group", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[{" GROUP "," RIGHTS "}]}",
      true },
    { "rights by group beyond the ceiling",
      "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[{" GROUP
      ",\"ceiling\":[{\"resource\":\"https://a.example\",\"scopes\":[\"read\",\"write\"]}]}]}",
      false },
    { "rights by group elsewhere",
      "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[{" GROUP
      ",\"ceiling\":[{\"resource\":\"https://b.example\",\"scopes\":[\"read\"]}]}]}",
      false },
    { "rights of no group", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[{\"claims\":{}," RIGHTS "}]}",
      false },
    { "rights of anybody", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[{" RIGHTS "}]}", false },
    { "a group without rights",
      "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[{" GROUP ",\"ceiling\":[]}]}", false },
    { "no groups", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[]}", false },
    { "a group with more",
      "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"claim_ceilings\":[{" GROUP ",\"any\":true," RIGHTS "}]}", false },
    { "unknown member", "{" ID "\"uses\":[\"subject\"]," RIGHTS ",\"trust\":true}", false },
};

static struct dep_res read_issuer(struct dep_str text, struct dep_trusted_issuer *ret_issuer)
{
    struct dep_json *json = NULL;

    DEP_TRY(dep_json_parse(&arena, text, 16, &json));
    return dep_trusted_issuer_read(&arena, json, ret_issuer);
}

DEP_TEST(reads_strictly)
{
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_trusted_issuer issuer;
        struct dep_res res;

        dep_arena_reset(&arena);
        res = read_issuer(dep_str_c(rows[i].text), &issuer);
        dep_test_check(t, dep_is_ok(res) == rows[i].is_good, __FILE__, __LINE__, "%s: %s", rows[i].name,
                       dep_err_name(res.err));
    }
}

static struct dep_str written(const struct dep_trusted_issuer *issuer)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &arena, 4096);
    dep_json_begin(&writer, &buf);
    dep_trusted_issuer_write(&writer, issuer);
    return dep_buf_str(&buf);
}

DEP_TEST(what_is_written_is_read)
{
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_trusted_issuer issuer, again;
        struct dep_str first;

        if (!rows[i].is_good)
            continue;
        dep_arena_reset(&arena);
        DEP_CHECK_OK(t, read_issuer(dep_str_c(rows[i].text), &issuer));
        first = written(&issuer);
        DEP_CHECK_OK(t, read_issuer(first, &again));
        dep_test_check(t, dep_str_eq(written(&again), first), __FILE__, __LINE__, "%s", rows[i].name);
        DEP_CHECK(t, again.uses == issuer.uses && again.rules_count == issuer.rules_count &&
                         again.is_enabled == issuer.is_enabled && again.is_single_use == issuer.is_single_use);
    }
}

DEP_TEST(a_rule_keeps_its_claims)
{
    struct dep_trusted_issuer issuer;

    dep_arena_reset(&arena);
    DEP_CHECK_OK(t, read_issuer(dep_str_c(rows[2].text), &issuer));
    DEP_CHECK(t, issuer.uses == DEP_ISSUER_WORKLOAD && issuer.is_single_use);
    DEP_CHECK(t, issuer.rules_count == 1 && issuer.rules[0].claims.count == 1);
    DEP_CHECK_STR(t, issuer.rules[0].client, CLIENT);
    DEP_CHECK_STR(t, issuer.rules[0].claims.names[0], "sub");
    DEP_CHECK_STR(t, issuer.rules[0].claims.values[0], "system:serviceaccount:a:b");
}

int main(void)
{
    static const struct dep_test_row table[] = {
        DEP_ROW(reads_strictly),
        DEP_ROW(what_is_written_is_read),
        DEP_ROW(a_rule_keeps_its_claims),
    };

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_test_main(table, DEP_COUNT(table));
}

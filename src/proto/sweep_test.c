/* Arena sweeps of the grants with the longest way: with every limit there is a result, a refusal gives nothing, and in the end a
 * token (decide.h, invariant 2). */
#include "proto/world_fixture.h"
#include "test/certificates.h"

static struct world w;

#define ORCHESTRATOR 1u
#define FORM "application/x-www-form-urlencoded"

struct sweep {
    bool has_issued;
    unsigned failures; /* the arena was full before there was a decision */
    unsigned refusals;
    unsigned gifts; /* effects that give, with a refusal */
    size_t limit;
};

/* One request with one limit; facts are looked up as the daemon does. */
static void run_limited(const struct dep_request *request, struct sweep *sweep)
{
    struct dep_facts facts = { .revocations = w.revocations };
    unsigned char random[DEP_RANDOM_LEN] = { 1 };
    struct dep_decision decision;
    struct dep_res res = DEP_OK;

    dep_arena_init_debug(&w.arena, sweep->limit);
    for (unsigned round = 0; round < DEP_ROUNDS_MAX; round++) {
        res = dep_decide(&w.arena, w.crypto, &w.policy, request, &facts, WORLD_NOW, random, &decision);
        if (!dep_is_ok(res) || decision.needs_count == 0)
            break;
        for (size_t i = 0; i < decision.needs_count; i++)
            facts.items[facts.count++] = (struct dep_fact){ decision.needs[i], world_load(&w, &decision.needs[i]) };
    }
    if (!dep_is_ok(res)) {
        sweep->failures++;
    } else if (decision.answer == DEP_ANSWER_TOKEN) {
        sweep->has_issued = true;
    } else {
        sweep->refusals += decision.answer == DEP_ANSWER_REFUSAL;
        for (size_t i = 0; i < decision.effects_count; i++)
            sweep->gifts += dep_effect_gives(decision.effects[i].kind);
    }
    dep_arena_reset(&w.arena);
}

static struct sweep sweep_request(const struct dep_request *request)
{
    struct sweep sweep = { .limit = 0 };
    struct dep_arena whole = w.arena;

    while (!sweep.has_issued && sweep.limit <= 1 << 20) {
        run_limited(request, &sweep);
        sweep.limit += sweep.limit < 131072 ? 16 : 4096;
    }
    w.arena = whole;
    return sweep;
}

static struct sweep sweep_form(const char *body, struct dep_str proof)
{
    struct dep_header headers[3] = {
        { DEP_STR("Content-Type"), DEP_STR(FORM) },
        { DEP_STR("Authorization"), world_basic(&w, w.client_ids[ORCHESTRATOR], WORLD_SECRET) },
        { DEP_STR("DPoP"), proof },
    };
    const struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                         .method = DEP_STR("POST"),
                                         .path = DEP_STR("/oauth/token"),
                                         .peer = DEP_STR("192.0.2.1"),
                                         .body = dep_str_c(body),
                                         .headers = headers,
                                         .headers_count = dep_str_is_absent(proof) ? 2 : 3 };

    return sweep_request(&request);
}

static void check(struct dep_test *t, struct sweep sweep)
{
    DEP_CHECK(t, sweep.has_issued);
    DEP_CHECK(t, sweep.failures + sweep.refusals > 64); /* the limits did bite */
    DEP_CHECK(t, sweep.gifts == 0);
}

DEP_TEST(sweeps_an_exchange)
{
    static char body[20000];
    struct dep_str subject =
        world_post(&w, DEP_ENDPOINT_TOKEN, 0,
                   "grant_type=client_credentials&audience=" WORLD_ORCHESTRATOR "&scope=read+write&task_id=T1",
                   DEP_STR_ABSENT)
            .token;

    (void)snprintf(body, sizeof(body),
                   "grant_type=" EXCHANGE "&subject_token_type=" ACCESS_TOKEN_TYPE
                   "&subject_token=%.*s&resource=" WORLD_API "&scope=read&task_id=T2&human_instruction=book+a+table",
                   DEP_STR_ARG(subject));
    check(t, sweep_form(body, world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT)));
}

DEP_TEST(sweeps_a_foreign_grant)
{
    static char body[20000];
    char payload[1024];
    struct dep_str assertion;

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER "\",\"client_id\":\"%s\","
                   "\"jti\":\"j1\",\"exp\":%lld,\"iat\":%lld,\"resource\":\"" WORLD_API "\",\"scope\":\"read write\"}",
                   w.client_ids[ORCHESTRATOR], (long long)WORLD_NOW + 200, (long long)WORLD_NOW - 5);
    assertion = world_sign_text(&w, w.idp_key, DEP_STR("oauth-id-jag+jwt"), DEP_STR("idp-1"), dep_str_c(payload));
    (void)snprintf(
        body, sizeof(body),
        "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=%.*s&scope=read&resource=" WORLD_API,
        DEP_STR_ARG(assertion));
    check(t, sweep_form(body, world_proof(&w, w.proof_key, WORLD_NOW, DEP_STR_ABSENT)));
}

/* The longest way of a certificate: by a proxy's header, a DN, a chain. */
DEP_TEST(sweeps_a_client_certificate)
{
    const struct issue authority = { .subject = "CN=Root", .is_authority = true };
    const struct issue client = { .subject = "CN=worker,O=Example", .san = "DNS:worker.example,URI:spiffe://x/y" };
    struct issued root = fixture_issue(NULL, EVP_EC_gen("P-256"), &authority);
    struct issued leaf = fixture_issue(&root, EVP_EC_gen("P-256"), &client);
    struct dep_str der = fixture_der(&w.texts, &leaf);
    struct dep_trust *trust = NULL;
    struct dep_buf value;
    char body[300];

    DEP_CHECK_OK(t, dep_trust_new(fixture_pem(&w.texts, &root, 1), &trust));
    w.policy.client_trust = trust;
    w.clients[ORCHESTRATOR].auth = DEP_CLIENT_AUTH_TLS;
    w.clients[ORCHESTRATOR].tls_name_kind = DEP_TLS_SUBJECT_DN;
    w.clients[ORCHESTRATOR].tls_name = w.clients[ORCHESTRATOR].tls_name_form = DEP_STR("CN=worker,O=Example");
    dep_buf_init_arena(&value, &w.texts, der.len * 2);
    dep_buf_put_char(&value, ':');
    dep_b64_put(&value, der.ptr, der.len);
    dep_buf_put_char(&value, ':');
    (void)snprintf(body, sizeof(body), "grant_type=client_credentials&resource=" WORLD_API "&scope=read&client_id=%s",
                   w.client_ids[ORCHESTRATOR]);

    struct dep_header headers[2] = { { DEP_STR("Content-Type"), DEP_STR(FORM) },
                                     { DEP_STR("Client-Cert"), dep_buf_str(&value) } };
    const struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                         .method = DEP_STR("POST"),
                                         .path = DEP_STR("/oauth/token"),
                                         .body = dep_str_c(body),
                                         .headers = headers,
                                         .headers_count = 2,
                                         .is_from_proxy = true };

    check(t, sweep_request(&request));
    w.policy.client_trust = NULL;
    w.clients[ORCHESTRATOR].auth = DEP_CLIENT_AUTH_BASIC;
    dep_trust_free(trust);
    fixture_free(&leaf);
    fixture_free(&root);
}

int main(void)
{
    static const struct dep_test_row rows[] = { DEP_ROW(sweeps_an_exchange), DEP_ROW(sweeps_a_foreign_grant),
                                                DEP_ROW(sweeps_a_client_certificate) };
    int failed;

    world_open(&w);
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

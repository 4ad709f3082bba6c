/* What single steps cost, without sockets and disk: signatures, one token, and decide() alone with all facts at hand.
 * Prints "name=nanoseconds", the best of several rounds, because anything else on the machine can only add. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bare.h"
#include "base/b64.h"
#include "guard/rules.h"
#include "proto/decide.h"

#define ROUNDS 7u
#define ROUND_NS 60000000
#define HOT_AFTER 8300u /* good signatures, some more than DEP_HOT_LIMITS.uses */
#define ARENA_BYTES (512u * 1024u)
#define RULES 32u

#define CLIENT_ID "01JD0000000000000000000001"
#define AGENT_ID "agent:01JD0000000000000000000002"
#define RESOURCE "https://api.example/bench"
#define ISSUER "http://127.0.0.1:8693"
#define SECRET "a-secret-of-thirty-two-characters"

struct world {
    struct dep_crypto *crypto;
    struct dep_private_key *key;
    struct dep_public_key *public_key;
    struct bare *bare;
    void *memory;
    struct dep_arena arena; /* of one decision */
    struct dep_arena keeps; /* of what lasts */
    void *keeps_memory;
    int64_t now;
    struct dep_nonce_policy nonce;
    struct dep_policy policy;
    struct dep_client client;
    struct dep_agent agent;
    struct dep_resource resource;
    struct dep_jwks_key jwks_key;
    struct dep_right right;
    struct dep_str scopes[2];
    struct dep_revocations *revocations;
    struct dep_header headers[3];
    struct dep_request request;
    struct dep_str text; /* what is signed and verified */
    unsigned char signature[DEP_SIGNATURE_MAX];
    size_t signature_len;
    unsigned char der[BARE_DER_MAX]; /* the same, as OpenSSL reads it */
    size_t der_len;
    struct dep_guard_rule rows[RULES];
    struct dep_guard_rules rules;
};

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void time_it(const char *name, void (*step)(struct world *world), struct world *world)
{
    double best = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t start = now_ns(), end;
        uint64_t count = 0;

        do {
            for (unsigned i = 0; i < 16; i++)
                step(world);
            count += 16;
            end = now_ns();
        } while (end - start < ROUND_NS);

        double each = (double)(end - start) / (double)count;

        if (round == 0 || each < best)
            best = each;
    }
    (void)printf("%s=%.0f\n", name, best);
}

static void must(struct dep_res res)
{
    if (dep_is_ok(res))
        return;
    (void)fprintf(stderr, "micro: %s\n", dep_err_name(res.err));
    exit(1);
}

static void step_hash(struct world *world)
{
    unsigned char digest[DEP_SHA256_LEN];

    dep_sha256(world->crypto, dep_str(world->text.ptr, 64), digest);
}

static void step_sign(struct world *world)
{
    must(dep_sign(world->crypto, world->key, world->text, world->signature, &world->signature_len));
}

static void verify_with(struct world *world, struct bare *bare)
{
    unsigned char digest[DEP_SHA256_LEN];

    dep_sha256(world->crypto, world->text, digest);
    if (bare == NULL || !bare_verify(bare, digest, world->der, world->der_len))
        exit(1);
}

static void step_verify(struct world *world)
{
    verify_with(world, world->bare);
}

static void step_import_verify(struct world *world)
{
    struct dep_str x, y;

    dep_arena_reset(&world->arena);
    must(dep_private_key_parts(world->key, &world->arena, &x, &y));

    struct bare *bare = bare_new(x, y);

    verify_with(world, bare);
    bare_free(bare);
}

/* A key that has verified so often that it has a table (ADR 0029). */
static void step_verify_hot(struct world *world)
{
    must(dep_verify(world->crypto, DEP_ALG_ES256, world->public_key, world->text,
                    dep_str((const char *)world->signature, world->signature_len)));
}

/* What the verification takes that makes the key's table: the longest of a new handle's first ones. */
static void time_table(struct world *world)
{
    int64_t best = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct dep_crypto *crypto = dep_crypto_new();
        int64_t longest = 0;

        if (crypto == NULL)
            exit(1);
        for (unsigned i = 0; i < HOT_AFTER; i++) {
            int64_t start = now_ns(), took;

            must(dep_verify(crypto, DEP_ALG_ES256, world->public_key, world->text,
                            dep_str((const char *)world->signature, world->signature_len)));
            took = now_ns() - start;
            if (took > longest)
                longest = took;
        }
        dep_crypto_free(crypto);
        if (round == 0 || longest < best)
            best = longest;
    }
    (void)printf("es256_verify_make_table=%lld\n", (long long)best);
}

static const void *find(const struct world *world, const struct dep_need *need)
{
    switch (need->kind) {
    case DEP_FACT_CLIENT:
        return &world->client;
    case DEP_FACT_AGENT:
        return &world->agent;
    case DEP_FACT_RESOURCE:
        return &world->resource;
    case DEP_FACT_KEY:
        return &world->jwks_key;
    case DEP_FACT_ISSUER:
    case DEP_FACT_ISSUER_KEY:
    case DEP_FACT_FAMILY:
    case DEP_FACT_LOCK:
    case DEP_FACT_CONSENT:
    case DEP_FACT_REPLAY:
        break;
    }
    return NULL;
}

/* The shell's loop: facts are loaded as they are named. */
static void decide(struct world *world, struct dep_decision *ret_decision)
{
    static struct dep_facts facts;
    unsigned char random[DEP_RANDOM_LEN] = { 7 };

    facts.count = 0;
    facts.revocations = world->revocations;
    dep_arena_reset(&world->arena);
    for (unsigned round = 0; round < DEP_ROUNDS_MAX; round++) {
        must(dep_decide(&world->arena, world->crypto, &world->policy, &world->request, &facts, world->now, random,
                        ret_decision));
        if (ret_decision->needs_count == 0)
            break;
        for (size_t i = 0; i < ret_decision->needs_count; i++)
            facts.items[facts.count++] =
                (struct dep_fact){ ret_decision->needs[i], find(world, &ret_decision->needs[i]) };
    }
    if (ret_decision->needs_count == 0 && ret_decision->answer == DEP_ANSWER_TOKEN)
        return;
    (void)fprintf(stderr, "micro: refused by %s: %s\n", ret_decision->check == NULL ? "?" : ret_decision->check,
                  dep_err_name(ret_decision->reason));
    exit(1);
}

static void step_decide(struct world *world)
{
    static struct dep_decision decision;

    decide(world, &decision);
}

static struct dep_str sign_token(struct world *world, const struct dep_token *token, struct dep_arena *arena)
{
    struct dep_json_writer writer;
    struct dep_buf claims, jwt;

    dep_buf_init_arena(&claims, arena, 4096);
    dep_json_begin(&writer, &claims);
    dep_token_write(&writer, token);
    dep_buf_init_arena(&jwt, arena, 8192);
    must(dep_jws_sign(world->crypto, world->key, DEP_STR("at+jwt"), world->jwks_key.kid, DEP_STR_ABSENT,
                      dep_buf_str(&claims), &jwt));
    return dep_buf_str(&jwt);
}

static void step_token(struct world *world)
{
    static struct dep_decision decision;

    decide(world, &decision);
    (void)sign_token(world, &decision.token, &world->arena);
}

static void step_record(struct world *world)
{
    static struct dep_decision decision;
    struct dep_buf line;

    if (dep_str_is_absent(decision.id))
        decide(world, &decision);
    dep_buf_init(&line, world->keeps_memory, 16384);
    dep_audit_record_write(&line, &decision.record);
}

static void set_request(struct world *world, struct dep_str body)
{
    struct dep_buf basic;

    dep_buf_init_arena(&basic, &world->keeps, 256);
    dep_buf_put_c(&basic, "Basic ");
    dep_b64_put(&basic, CLIENT_ID ":" SECRET, sizeof(CLIENT_ID ":" SECRET) - 1);
    world->headers[0] = (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    world->headers[1] = (struct dep_header){ DEP_STR("Authorization"), dep_buf_str(&basic) };
    world->request = (struct dep_request){ .endpoint = DEP_ENDPOINT_TOKEN,
                                           .method = DEP_STR("POST"),
                                           .path = DEP_STR("/oauth/token"),
                                           .query = DEP_STR_ABSENT,
                                           .body = body,
                                           .peer = DEP_STR("127.0.0.1"),
                                           .headers = world->headers,
                                           .headers_count = 2 };
}

static void add_proof(struct world *world)
{
    struct dep_private_key *key = NULL;
    unsigned char random[16];
    struct dep_str proof;

    dep_random(random, sizeof(random));
    must(dep_private_key_new(DEP_ALG_ES256, &key));
    must(dep_dpop_sign(&world->keeps, world->crypto, key, DEP_STR("POST"), world->policy.token_url, DEP_STR_ABSENT,
                       DEP_STR_ABSENT, world->now, random, &proof));
    dep_private_key_free(key);
    world->headers[2] = (struct dep_header){ DEP_STR("DPoP"), proof };
    world->request.headers_count = 3;
}

/* The body of an exchange: a token of our own, issued to the same client, narrowed to one scope. */
static struct dep_str exchange_body(struct world *world)
{
    static struct dep_decision decision;
    struct dep_buf body;

    decide(world, &decision);

    struct dep_str token = sign_token(world, &decision.token, &world->keeps);

    dep_buf_init_arena(&body, &world->keeps, token.len + 1024);
    dep_buf_put_c(&body, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=");
    dep_buf_put(&body, token);
    dep_buf_put_c(
        &body,
        "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope=bench%3Aread&resource="
        "https%3A%2F%2Fapi.example%2Fbench");
    return dep_buf_str(&body);
}

static void set_records(struct world *world)
{
    world->scopes[0] = DEP_STR("bench:read");
    world->scopes[1] = DEP_STR("bench:write");
    world->right = (struct dep_right){ DEP_STR(RESOURCE), world->scopes, 2 };
    world->agent = (struct dep_agent){ .id = DEP_STR(AGENT_ID),
                                       .name = DEP_STR("bench"),
                                       .owner = DEP_STR("bench"),
                                       .org = DEP_STR("bench"),
                                       .created = world->now - 1000,
                                       .ceiling = &world->right,
                                       .ceiling_count = 1 };
    world->client = (struct dep_client){ .id = DEP_STR(CLIENT_ID),
                                         .name = DEP_STR("bench"),
                                         .agent = world->agent.id,
                                         .auth = DEP_CLIENT_AUTH_BASIC,
                                         .grants = DEP_GRANT_CLIENT_CREDENTIALS | DEP_GRANT_TOKEN_EXCHANGE,
                                         .is_enabled = true,
                                         .secrets_count = 1,
                                         .created = world->now - 1000 };
    dep_sha256(world->crypto, DEP_STR(SECRET), world->client.secrets[0].hash);
    world->resource = (struct dep_resource){ .id = DEP_STR(RESOURCE),
                                             .name = DEP_STR("bench"),
                                             .scopes = world->scopes,
                                             .scopes_count = 2,
                                             .is_enabled = true,
                                             .created = world->now - 1000 };
    world->jwks_key = (struct dep_jwks_key){ .kid = DEP_STR("bench"), .alg = DEP_ALG_ES256, .key = world->public_key };
}

static void set_policy(struct world *world)
{
    static const unsigned char nonce_key[32] = { 1 };

    world->nonce =
        (struct dep_nonce_policy){ .key = dep_secret(nonce_key, 32), .purpose = DEP_STR("as"), .window_s = 60 };
    world->policy = (struct dep_policy){ .issuer = DEP_STR(ISSUER),
                                         .token_url = DEP_STR(ISSUER "/oauth/token"),
                                         .token_lifetime_s = 300,
                                         .assertion_lifetime_s = 300,
                                         .skew_s = 30,
                                         .dpop = { .age_max_s = 60, .skew_s = 10, .nonce = &world->nonce } };
}

/* As a real API has them: one prefix, many collections. */
static void make_rules(struct world *world)
{
    static const struct dep_str methods[] = { DEP_STR_INIT("GET"), DEP_STR_INIT("POST") };
    struct dep_guard_rules_fault fault;

    for (unsigned i = 0; i < RULES; i++) {
        struct dep_buf name, path;

        dep_buf_init_arena(&name, &world->keeps, 32);
        dep_buf_put_c(&name, "collection");
        dep_buf_put_int(&name, 10 + i);
        dep_buf_init_arena(&path, &world->keeps, 64);
        dep_buf_put_c(&path, "/api/v1/");
        dep_buf_put(&path, dep_buf_str(&name));
        dep_buf_put_c(&path, "/*");
        world->rows[i] = (struct dep_guard_rule){ .name = dep_buf_str(&name),
                                                  .methods = { &methods[i % 2], 1 },
                                                  .path = dep_buf_str(&path),
                                                  .scopes = DEP_STR("bench:read"),
                                                  .depth_max = -1,
                                                  .max_age_s = -1 };
    }
    world->rules = (struct dep_guard_rules){ .rows = world->rows, .count = RULES };
    must(dep_guard_rules_make(&world->keeps, &world->rules, DEP_STR_ABSENT, &fault));
}

static void find_rule(struct world *world, const char *method, const char *path, unsigned want)
{
    const struct dep_guard_rule *rule = NULL;

    must(dep_guard_rules_find(&world->rules, dep_str_c(method), dep_str_c(path), NULL, &rule));
    if (rule != &world->rows[want] || !dep_guard_rule_has_scopes(rule, DEP_STR("bench:write bench:read")))
        exit(1);
}

static void step_first_rule(struct world *world)
{
    find_rule(world, "GET", "/api/v1/collection10/7", 0);
}

static void step_last_rule(struct world *world)
{
    find_rule(world, "POST", "/api/v1/collection41/7", RULES - 1);
}

static void init(struct world *world)
{
    struct dep_str x, y;
    struct dep_buf text;

    world->crypto = dep_crypto_new();
    world->memory = aligned_alloc(16, ARENA_BYTES);
    world->keeps_memory = aligned_alloc(16, ARENA_BYTES);
    if (world->crypto == NULL || world->memory == NULL || world->keeps_memory == NULL)
        exit(1);
    dep_arena_init(&world->arena, world->memory, ARENA_BYTES);
    /* The first half is scratch for records. */
    dep_arena_init(&world->keeps, (unsigned char *)world->keeps_memory + ARENA_BYTES / 2, ARENA_BYTES / 2);
    world->now = (int64_t)time(NULL);
    must(dep_private_key_new(DEP_ALG_ES256, &world->key));
    must(dep_private_key_parts(world->key, &world->keeps, &x, &y));
    must(dep_public_key_new_p256(x, y, &world->public_key));
    world->bare = bare_new(x, y);
    dep_buf_init_arena(&text, &world->keeps, 420);
    while (text.len < 420)
        dep_buf_put_char(&text, 'x');
    world->text = dep_buf_str(&text);
    world->revocations = dep_revocations_new(16);
    if (world->revocations == NULL)
        exit(1);
    set_policy(world);
    set_records(world);
}

int main(void)
{
    static struct world world;

    init(&world);
    time_it("sha256_64", step_hash, &world);
    time_it("es256_sign", step_sign, &world);
    world.der_len = bare_der(dep_str((const char *)world.signature, world.signature_len), world.der);
    time_it("es256_verify", step_verify, &world);
    time_it("es256_import_verify", step_import_verify, &world);
    for (unsigned i = 0; i < HOT_AFTER; i++)
        step_verify_hot(&world);
    time_it("es256_verify_hot", step_verify_hot, &world);
    time_table(&world);
    set_request(&world,
                DEP_STR("grant_type=client_credentials&scope=bench%3Aread&resource=https%3A%2F%2Fapi.example%2Fbench"));
    time_it("decide_client_credentials", step_decide, &world);
    time_it("decide_client_credentials_and_sign", step_token, &world);
    time_it("audit_record", step_record, &world);
    add_proof(&world);
    time_it("decide_dpop", step_decide, &world);
    world.request.headers_count = 2;

    struct dep_str body = exchange_body(&world);

    set_request(&world, body);
    time_it("decide_exchange", step_decide, &world);
    make_rules(&world);
    time_it("guard_rule_first_of_32", step_first_rule, &world);
    time_it("guard_rule_last_of_32", step_last_rule, &world);
    return 0;
}

/* decide() under the fuzzer: client_credentials, exchange, jwt-bearer, introspection and revocation, with and without proofs.
 *
 * Structured: the input is cut into fields. Tokens, assertions and proofs are signed after the fuzzer has written their payloads, so that
 * it gets past the signature and meets the rules behind it. Properties checked on every input:
 *   a refusal carries only effects that reduce; the same arguments give the same decision; an issued token is within its subject, never
 *   outlives it, and names the authenticated agent as presenter; every answer can be written. */
#include "fuzz/fuzz.h"
#include "proto/scope.h"
#include "proto/world_fixture.h"

static struct world *world;
static struct dep_private_key *client_key;

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take_byte(struct input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

/* A field: a length byte pair, then that much or what is left. */
static struct dep_str take_text(struct input *in)
{
    size_t len = (size_t)take_byte(in) << 4 | (take_byte(in) & 15u);
    struct dep_str text;

    if (len > in->size)
        len = in->size;
    text = dep_fuzz_text(in->data, len);
    in->data += len;
    in->size -= len;
    return text;
}

static void open_world(void)
{
    static struct world memory;

    if (world != NULL)
        return;
    world_open(&memory);
    /* The last agent's client authenticates with the world's proof key. */
    client_key = memory.proof_key;

    struct dep_json_writer writer;
    struct dep_jwks *jwks = NULL;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &memory.texts, 2048);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_name(&writer, "keys");
    dep_json_open(&writer, '[');
    DEP_FUZZ_CHECK(dep_is_ok(dep_jwk_put_public(&writer, &memory.texts, client_key, DEP_STR("k1"))));
    dep_json_close(&writer, ']');
    dep_json_close(&writer, '}');
    DEP_FUZZ_CHECK(dep_is_ok(dep_jwks_new(memory.crypto, dep_buf_str(&buf), &jwks)));
    memory.clients[WORLD_AGENTS - 1].auth = DEP_CLIENT_AUTH_PRIVATE_KEY_JWT;
    memory.clients[WORLD_AGENTS - 1].secrets_count = 0;
    memory.clients[WORLD_AGENTS - 1].jwks = jwks;
    world = &memory;
}

/* A good token of the world, or one whose payload the fuzzer wrote. */
static struct dep_str make_token(struct input *in)
{
    uint8_t kind = take_byte(in);
    struct dep_token token = {
        .iss = DEP_STR(WORLD_ISSUER),
        .sub = world->agents[kind >> 4 & 3].id,
        .client_id = world->clients[kind >> 2 & 3].id,
        .jti = DEP_STR("a-jti"),
        .aud_count = 1,
        .scope = DEP_STR("read write"),
        .iat = WORLD_NOW - 5,
        .exp = WORLD_NOW + 100,
        .org_id = DEP_STR("acme"),
        .task_id = DEP_STR("T1"),
    };

    if ((kind & 3) == 3)
        return world_sign_text(world, world->key, DEP_STR("at+jwt"), world->kid, take_text(in));
    if ((kind & 3) == 2)
        return take_text(in);
    token.aud[0] = kind & 1 ? DEP_STR(WORLD_API) : world->agents[kind >> 6 & 3].id;
    return world_sign(world, &token);
}

static struct dep_str make_proof(struct input *in)
{
    uint8_t kind = take_byte(in);
    struct dep_json_writer writer;
    struct dep_buf jwk, proof;

    if ((kind & 3) == 0)
        return DEP_STR_ABSENT;
    if ((kind & 3) == 1)
        return world_proof(world, world->other_proof_key, WORLD_NOW + (int8_t)take_byte(in), DEP_STR_ABSENT);
    if ((kind & 3) == 2)
        return take_text(in);
    dep_buf_init_arena(&jwk, &world->texts, 512);
    dep_json_begin(&writer, &jwk);
    DEP_FUZZ_CHECK(dep_is_ok(dep_jwk_put_public(&writer, &world->texts, world->other_proof_key, DEP_STR_ABSENT)));
    dep_buf_init_arena(&proof, &world->texts, 16384);
    DEP_FUZZ_CHECK(dep_is_ok(dep_jws_sign(world->crypto, world->other_proof_key, DEP_STR("dpop+jwt"), DEP_STR_ABSENT,
                                          dep_buf_str(&jwk), take_text(in), &proof)));
    return dep_buf_str(&proof);
}

static void put_assertion(struct input *in, struct dep_buf *body)
{
    char payload[512];
    struct dep_str text;

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"" WORLD_ISSUER
                   "\",\"exp\":%lld,\"iat\":%lld,\"jti\":\"j%u\"}",
                   world->client_ids[WORLD_AGENTS - 1], world->client_ids[WORLD_AGENTS - 1], (long long)WORLD_NOW + 60,
                   (long long)WORLD_NOW, take_byte(in));
    text = take_byte(in) & 1 ? take_text(in) : dep_str_c(payload);
    dep_form_put(body, DEP_STR("client_assertion_type"),
                 DEP_STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    dep_form_put(body, DEP_STR("client_assertion"),
                 world_sign_text(world, client_key, DEP_STR("client-authentication+jwt"), DEP_STR("k1"), text));
}

/* A JWT of the trusted foreign issuer: an ID token, an ID-JAG, or what the fuzzer wrote. */
static struct dep_str make_foreign(struct input *in, const char *typ, size_t client)
{
    uint8_t kind = take_byte(in);
    char payload[512];
    struct dep_str text;

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER
                   "\",\"exp\":%lld,\"iat\":%lld,\"jti\":\"f%u\",\"client_id\":\"%s\"}",
                   (long long)WORLD_NOW + 100, (long long)WORLD_NOW - 1, kind, world->client_ids[client]);
    text = kind & 1 ? take_text(in) : dep_str_c(payload);
    return world_sign_text(world, world->idp_key, dep_str_c(typ), DEP_STR("idp-1"), text);
}

/* The subject of an exchange, or the assertion of a grant. */
static void put_subject(struct input *in, uint8_t kind, size_t client, struct dep_buf *body)
{
    uint8_t door = take_byte(in) % 4;

    if (door == 3) {
        dep_form_put(body, DEP_STR("grant_type"), DEP_STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        dep_form_put(body, DEP_STR("assertion"), make_foreign(in, "oauth-id-jag+jwt", client));
        return;
    }
    dep_form_put(body, DEP_STR("grant_type"), DEP_STR(EXCHANGE));
    if (door == 2) {
        dep_form_put(body, DEP_STR("subject_token_type"), DEP_STR("urn:ietf:params:oauth:token-type:id_token"));
        dep_form_put(body, DEP_STR("subject_token"), make_foreign(in, "JWT", client));
    } else {
        dep_form_put(body, DEP_STR("subject_token_type"), DEP_STR(ACCESS_TOKEN_TYPE));
        dep_form_put(body, DEP_STR("subject_token"), make_token(in));
    }
    if (kind & 8) {
        dep_form_put(body, DEP_STR("actor_token_type"), DEP_STR(ACCESS_TOKEN_TYPE));
        dep_form_put(body, DEP_STR("actor_token"), make_token(in));
    }
}

/* A grant for the foreign server in place of an access token. */
static void put_requested(struct input *in, struct dep_buf *body)
{
    uint8_t issued = take_byte(in) % 4;

    if (issued == DEP_ISSUED_ACCESS_TOKEN || issued == DEP_ISSUED_KINDS)
        return;
    dep_form_put(body, DEP_STR("requested_token_type"), dep_issued_urn((enum dep_issued)issued));
    dep_form_put(body, DEP_STR("audience"), DEP_STR(WORLD_SERVER));
}

static void put_form(struct input *in, enum dep_endpoint endpoint, uint8_t kind, size_t client, struct dep_buf *body)
{
    static const char *const targets[] = { WORLD_API,    WORLD_API2,   WORLD_WORKER, WORLD_ORCHESTRATOR,
                                           WORLD_ISSUER, WORLD_SERVER, WORLD_THERE };

    if (endpoint != DEP_ENDPOINT_TOKEN) {
        dep_form_put(body, DEP_STR("token"), make_token(in));
        return;
    }
    if (kind & 4)
        put_subject(in, kind, client, body);
    else
        dep_form_put(body, DEP_STR("grant_type"), DEP_STR("client_credentials"));
    if (kind & 16)
        dep_form_put(body, DEP_STR("resource"), dep_str_c(targets[take_byte(in) % 7]));
    if (kind & 32)
        dep_form_put(body, DEP_STR("scope"), take_text(in));
    if (kind & 64)
        dep_form_put(body, DEP_STR("task_id"), take_text(in));
    put_requested(in, body);
}

static void check_issued(const struct dep_decision *decision, const struct dep_agent *agent)
{
    const struct dep_token *token = &decision->token;

    DEP_FUZZ_CHECK(token->exp > WORLD_NOW && token->exp <= WORLD_NOW + 300);
    DEP_FUZZ_CHECK(token->aud_count > 0 && token->jti.len > 0 && token->sub.len > 0);
    DEP_FUZZ_CHECK(dep_str_eq(dep_token_presenter(token), agent->id));
    DEP_FUZZ_CHECK(dep_str_is_absent(token->scope) || dep_is_ok(dep_scope_check(token->scope)));
    DEP_FUZZ_CHECK(decision->issued == DEP_ISSUED_ACCESS_TOKEN ||
                   (token->aud_count == 1 && dep_str_eq(token->aud[0], DEP_STR(WORLD_SERVER)) && token->scope.len > 0 &&
                    dep_str_starts(token->client_id, DEP_STR("ours-there")) +
                            dep_str_starts(token->client_id, DEP_STR("worker-there")) ==
                        1));
    DEP_FUZZ_CHECK(!decision->is_exchange || token->lineage_count > 0 || dep_str_starts(token->sub, DEP_STR("user:")));
}

/* Runs the shell's loop once; true when a decision came out. */
static bool decide(const struct dep_request *request, struct dep_decision *ret_decision)
{
    struct dep_facts facts = { .revocations = world->revocations };
    const unsigned char random[DEP_RANDOM_LEN] = { 42 };

    dep_arena_reset(&world->arena);
    for (unsigned round = 0; round < DEP_ROUNDS_MAX; round++) {
        if (!dep_is_ok(dep_decide(&world->arena, world->crypto, &world->policy, request, &facts, WORLD_NOW, random,
                                  ret_decision)))
            return false;
        if (ret_decision->needs_count == 0)
            return true;
        for (size_t i = 0; i < ret_decision->needs_count; i++)
            facts.items[facts.count++] =
                (struct dep_fact){ ret_decision->needs[i], world_load(world, &ret_decision->needs[i]) };
    }
    DEP_FUZZ_CHECK(false && "a decision kept asking for facts");
    return false;
}

static void check_decision(const struct dep_request *request, const struct dep_agent *agent)
{
    struct dep_decision decision, again;
    struct dep_wire_answer answer;
    struct dep_buf line;

    if (!decide(request, &decision))
        return;
    if (decision.answer == DEP_ANSWER_REFUSAL)
        for (size_t i = 0; i < decision.effects_count; i++)
            DEP_FUZZ_CHECK(!dep_effect_gives(decision.effects[i].kind));
    if (decision.answer == DEP_ANSWER_TOKEN)
        check_issued(&decision, agent);
    DEP_FUZZ_CHECK(dep_is_ok(dep_wire_write(&world->arena, &decision, DEP_STR("a.b.c"), &answer)));
    dep_buf_init_arena(&line, &world->arena, 65536);
    dep_audit_record_write(&line, &decision.record);
    DEP_FUZZ_CHECK(!line.has_failed && !dep_str_has(dep_buf_str(&line), '\n'));

    enum dep_err reason = decision.reason;
    uint64_t checks = decision.checks_run;

    DEP_FUZZ_CHECK(decide(request, &again));
    DEP_FUZZ_CHECK(again.reason == reason && again.checks_run == checks);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    static char memory[131072];
    struct input in = { data, size };
    struct dep_header headers[3];
    struct dep_str proof;
    struct dep_buf body;
    size_t mark, client;

    open_world();
    mark = world->texts.used;

    uint8_t kind = take_byte(&in);
    enum dep_endpoint endpoint = (kind & 3) == 2   ? DEP_ENDPOINT_INTROSPECT
                                 : (kind & 3) == 3 ? DEP_ENDPOINT_REVOKE
                                                   : DEP_ENDPOINT_TOKEN;
    bool has_assertion = kind & 128;

    client = has_assertion ? WORLD_AGENTS - 1 : take_byte(&in) % (WORLD_AGENTS - 1);
    dep_buf_init(&body, memory, sizeof(memory));
    put_form(&in, endpoint, kind, client, &body);
    if (has_assertion)
        put_assertion(&in, &body);
    proof = make_proof(&in);
    /* What is left is appended as it is: more parameters, broken ones too. */
    if (in.size > 0) {
        dep_buf_put_char(&body, '&');
        dep_buf_put(&body, dep_fuzz_text(in.data, in.size));
    }
    headers[0] = (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    headers[1] = dep_str_is_absent(proof) ? headers[0] : (struct dep_header){ DEP_STR("DPoP"), proof };
    headers[2] =
        (struct dep_header){ DEP_STR("Authorization"), world_basic(world, world->client_ids[client], WORLD_SECRET) };

    const struct dep_request request = {
        .endpoint = endpoint,
        .method = DEP_STR("POST"),
        .path = DEP_STR("/oauth/token"),
        .peer = DEP_STR("192.0.2.1"),
        .body = body.has_failed ? DEP_STR("") : dep_buf_str(&body),
        .headers = dep_str_is_absent(proof) ? headers + 1 : headers,
        .headers_count = (dep_str_is_absent(proof) ? 2u : 3u) - (has_assertion ? 1u : 0u),
    };

    check_decision(&request, &world->agents[client]);
    dep_arena_reset(&world->arena);
    memset((char *)world->texts_memory + mark, 0, world->texts.used - mark);
    world->texts.used = mark;
}

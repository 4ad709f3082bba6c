/* decide() under the fuzzer: client_credentials, exchange, jwt-bearer (users and workloads), introspection, revocation and the registration
 * of agents, with and without proofs.
 *
 * Structured: the input is cut into fields. Tokens, assertions and proofs are signed after the fuzzer has written their payloads, so that
 * it gets past the signature and meets the rules behind it. Properties checked on every input:
 *   a refusal carries only effects that reduce; the same arguments give the same decision, and other randomness another id only; an
 *   issued token is within its subject (scope, reach, chain, binding), never outlives it, and names the authenticated agent as
 *   presenter; a registered agent is within its parent; every answer can be written. */
#include "fuzz/decide_properties.h"

/* The clients by index: the last has a key, the one before is a workload, the others have secrets. */
#define CLIENT_KEY (WORLD_AGENTS - 1)
#define CLIENT_WORKLOAD (WORLD_AGENTS - 2)

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

/* What users of the issuer may hand on, by what their tokens say. */
static void open_groups(struct world *w)
{
    static struct dep_str read_word[] = { DEP_STR_INIT("read") };
    static struct dep_right may_read[] = { { DEP_STR_INIT(WORLD_API), read_word, 1 } };
    static struct dep_claim_ceiling rows[2] = {
        { .claims = { { DEP_STR_INIT("groups") }, { DEP_STR_INIT("staff") }, 1 } },
        { { { DEP_STR_INIT("groups") }, { DEP_STR_INIT("readers") }, 1 }, may_read, 1 },
    };

    rows[0].rights = w->issuer.ceiling;
    rows[0].rights_count = w->issuer.ceiling_count;
    w->issuer.claim_ceilings = rows;
    w->issuer.claim_ceilings_count = 2;
}

/* The issuer's workloads are one client's, and the first agent may make others. */
static void open_more(struct world *w)
{
    static struct dep_workload_rule rule = { .claims = { .names = { DEP_STR_INIT("/wl/ns"), DEP_STR_INIT("sub") },
                                                         .values = { DEP_STR_INIT("prod"), DEP_STR_INIT("ci:main") },
                                                         .count = 2 } };
    static struct dep_str create_word[] = { DEP_STR_INIT(DEP_SCOPE_AGENTS) };
    static struct dep_right rights[3];

    rule.client = w->clients[CLIENT_WORKLOAD].id;
    w->issuer.uses |= DEP_ISSUER_WORKLOAD;
    w->issuer.rules = &rule;
    w->issuer.rules_count = 1;
    w->clients[CLIENT_WORKLOAD].auth = DEP_CLIENT_AUTH_WORKLOAD_JWT;
    w->clients[CLIENT_WORKLOAD].secrets_count = 0;
    rights[0] = w->agents[0].ceiling[0];
    rights[1] = w->agents[0].ceiling[1];
    rights[2] = (struct dep_right){ DEP_STR(WORLD_ISSUER), create_word, 1 };
    w->agents[0].ceiling = rights;
    w->agents[0].ceiling_count = 3;
}

static void open_world(void)
{
    static struct world memory;

    if (world != NULL)
        return;
    world_open(&memory);
    open_more(&memory);
    open_groups(&memory);
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
    memory.clients[CLIENT_KEY].auth = DEP_CLIENT_AUTH_PRIVATE_KEY_JWT;
    memory.clients[CLIENT_KEY].secrets_count = 0;
    memory.clients[CLIENT_KEY].jwks = jwks;
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
                   world->client_ids[CLIENT_KEY], world->client_ids[CLIENT_KEY], (long long)WORLD_NOW + 60,
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
    static const char *const groups[] = { "\"staff\"", "[\"x\",\"readers\"]", "[]", "[\"readers\",\"staff\"]" };
    uint8_t kind = take_byte(in);
    char payload[512];
    struct dep_str text;

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"alice\",\"aud\":\"" WORLD_ISSUER
                   "\",\"exp\":%lld,\"iat\":%lld,\"jti\":\"f%u\",\"client_id\":\"%s\",\"groups\":%s}",
                   (long long)WORLD_NOW + 100, (long long)WORLD_NOW - 1, kind, world->client_ids[client],
                   groups[kind >> 1 & 3]);
    text = kind & 1 ? take_text(in) : dep_str_c(payload);
    return world_sign_text(world, world->idp_key, dep_str_c(typ), DEP_STR("idp-1"), text);
}

/* The subject of an exchange, or the assertion of a grant. */
static struct subject put_subject(struct input *in, uint8_t kind, size_t client, struct dep_buf *body)
{
    uint8_t door = take_byte(in) % 4;
    struct subject subject = { .is_foreign = door >= 2 };

    if (door == 3) {
        subject.text = make_foreign(in, "oauth-id-jag+jwt", client);
        dep_form_put(body, DEP_STR("grant_type"), DEP_STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        dep_form_put(body, DEP_STR("assertion"), subject.text);
        return subject;
    }
    subject.text = door == 2 ? make_foreign(in, "JWT", client) : make_token(in);
    dep_form_put(body, DEP_STR("grant_type"), DEP_STR(EXCHANGE));
    dep_form_put(body, DEP_STR("subject_token_type"),
                 door == 2 ? DEP_STR("urn:ietf:params:oauth:token-type:id_token") : DEP_STR(ACCESS_TOKEN_TYPE));
    dep_form_put(body, DEP_STR("subject_token"), subject.text);
    if (kind & 8) {
        dep_form_put(body, DEP_STR("actor_token_type"), DEP_STR(ACCESS_TOKEN_TYPE));
        dep_form_put(body, DEP_STR("actor_token"), make_token(in));
    }
    return subject;
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

static struct subject put_form(struct input *in, enum dep_endpoint endpoint, uint8_t kind, size_t client,
                               struct dep_buf *body)
{
    struct subject subject = { .text = DEP_STR_ABSENT };
    static const char *const targets[] = { WORLD_API,    WORLD_API2,   WORLD_WORKER, WORLD_ORCHESTRATOR,
                                           WORLD_ISSUER, WORLD_SERVER, WORLD_THERE };

    if (endpoint != DEP_ENDPOINT_TOKEN) {
        dep_form_put(body, DEP_STR("token"), make_token(in));
        return subject;
    }
    if (kind & 4)
        subject = put_subject(in, kind, client, body);
    else
        dep_form_put(body, DEP_STR("grant_type"), DEP_STR("client_credentials"));
    if (kind & 16)
        dep_form_put(body, DEP_STR("resource"), dep_str_c(targets[take_byte(in) % 7]));
    if (kind & 32)
        dep_form_put(body, DEP_STR("scope"), take_text(in));
    if (kind & 64)
        dep_form_put(body, DEP_STR("task_id"), take_text(in));
    put_requested(in, body);
    return subject;
}

static void make_random(unsigned char random[DEP_RANDOM_LEN], const uint8_t *data, size_t size, uint8_t kind)
{
    for (size_t i = 0; i < DEP_RANDOM_LEN; i++)
        random[i] = (unsigned char)(size * 131 + kind * 7 + i * 31 + (size > 0 ? data[i % size] : 0));
}

static struct dep_header form_type(void)
{
    return (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
}

/* What is left is appended as it is: more parameters, broken ones too. */
static struct dep_str end_form(struct input *in, struct dep_buf *body)
{
    if (in->size > 0) {
        if (dep_buf_str(body).len > 0)
            dep_buf_put_char(body, '&');
        dep_buf_put(body, dep_fuzz_text(in->data, in->size));
    }
    return body->has_failed ? DEP_STR("") : dep_buf_str(body);
}

/* A platform's token: one that its rule knows, or what the fuzzer wrote. */
static struct dep_str make_workload(struct input *in)
{
    uint8_t kind = take_byte(in);
    char payload[512];
    struct dep_str text;

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"ci:main\",\"aud\":\"" WORLD_ISSUER
                   "\",\"exp\":%lld,\"iat\":%lld,\"jti\":\"w%u\",\"wl\":{\"ns\":\"%s\"}}",
                   (long long)WORLD_NOW + 100, (long long)WORLD_NOW - 1, kind, kind & 4 ? "test" : "prod");
    text = kind & 1 ? take_text(in) : dep_str_c(payload);
    return world_sign_text(world, world->idp_key, kind & 2 ? DEP_STR("JWT") : DEP_STR_ABSENT, DEP_STR("idp-1"), text);
}

/* A workload, by its platform's token as the grant or as its client authentication. */
static void run_workload(struct input *in, uint8_t kind, uint8_t door, unsigned char random[DEP_RANDOM_LEN])
{
    static char memory[131072];
    const struct subject none = { .text = DEP_STR_ABSENT };
    struct dep_header headers[2] = { form_type() };
    struct dep_buf body;

    dep_buf_init(&body, memory, sizeof(memory));
    if (door & 2) {
        dep_form_put(&body, DEP_STR("grant_type"), DEP_STR("client_credentials"));
        dep_form_put(&body, DEP_STR("client_assertion_type"),
                     DEP_STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        dep_form_put(&body, DEP_STR("client_assertion"), make_workload(in));
    } else {
        dep_form_put(&body, DEP_STR("grant_type"), DEP_STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        dep_form_put(&body, DEP_STR("assertion"), make_workload(in));
    }
    if (kind & 16)
        dep_form_put(&body, DEP_STR("resource"), DEP_STR(WORLD_API));
    if (kind & 32)
        dep_form_put(&body, DEP_STR("scope"), take_text(in));

    struct dep_str proof = make_proof(in);
    struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth/token"),
                                   .peer = DEP_STR("192.0.2.1"),
                                   .headers = headers,
                                   .headers_count = 1 };

    if (!dep_str_is_absent(proof))
        headers[request.headers_count++] = (struct dep_header){ DEP_STR("DPoP"), proof };
    request.body = end_form(in, &body);
    check_decision(&request, &world->agents[CLIENT_WORKLOAD], &none, random);
}

/* A token for this server, bound or not, of an agent that may make others or of one that may not; or what the fuzzer wrote. */
static struct dep_str make_caller(struct input *in, uint8_t door)
{
    struct dep_token token = {
        .iss = DEP_STR(WORLD_ISSUER),
        .sub = world->agents[door >> 4 & 1].id,
        .client_id = world->clients[door >> 4 & 1].id,
        .jti = DEP_STR("a-jti"),
        .aud = { DEP_STR(WORLD_ISSUER) },
        .aud_count = 1,
        .scope = door & 64 ? DEP_STR("read") : DEP_STR(DEP_SCOPE_AGENTS),
        .iat = WORLD_NOW - 5,
        .exp = WORLD_NOW + 100,
        .org_id = DEP_STR("acme"),
    };

    if (door & 32)
        return world_sign_text(world, world->key, DEP_STR("at+jwt"), world->kid, take_text(in));
    if (door & 4)
        DEP_FUZZ_CHECK(dep_is_ok(dep_jwk_jkt_of(&world->texts, world->crypto, world->other_proof_key, &token.jkt)));
    return world_sign(world, &token);
}

static struct dep_str proof_for(struct dep_str token)
{
    static const unsigned char random[16] = "a proof of agent";
    struct dep_str proof;

    DEP_FUZZ_CHECK(
        dep_is_ok(dep_dpop_sign(&world->texts, world->crypto, world->other_proof_key, DEP_STR("POST"),
                                world->policy.agents_url, token, DEP_STR_ABSENT, WORLD_NOW, random, &proof)));
    return proof;
}

/* An agent registers another below itself. */
static void run_agents(struct input *in, uint8_t kind, uint8_t door, unsigned char random[DEP_RANDOM_LEN])
{
    static char memory[131072], authorization[32768];
    static const char *const ceilings[] = {
        "[{\"resource\":\"" WORLD_API "\",\"scopes\":[\"read\"]}]",
        "[{\"resource\":\"" WORLD_API "\",\"scopes\":[\"read\",\"write\",\"delete\"]}]",
        "[{\"resource\":\"" WORLD_ISSUER "\",\"scopes\":[\"" DEP_SCOPE_AGENTS "\"]}]",
    };
    const struct subject none = { .text = DEP_STR_ABSENT };
    struct dep_header headers[3] = { form_type() };
    struct dep_str token = make_caller(in, door);
    struct dep_buf body, value;

    dep_buf_init(&value, authorization, sizeof(authorization));
    dep_buf_put_c(&value, door & 8 ? "DPoP " : "Bearer ");
    dep_buf_put(&value, token);
    headers[1] = (struct dep_header){ DEP_STR("Authorization"), dep_buf_str(&value) };
    dep_buf_init(&body, memory, sizeof(memory));
    if (kind & 4)
        dep_form_put(&body, DEP_STR("name"), kind & 8 ? take_text(in) : DEP_STR("finder"));
    if (kind & 16)
        dep_form_put(&body, DEP_STR("ceiling"), kind & 32 ? take_text(in) : dep_str_c(ceilings[take_byte(in) % 3]));
    if (kind & 64)
        dep_form_put(&body, DEP_STR("expires_in"), take_text(in));
    if (kind & 128)
        dep_form_put(&body, DEP_STR("jwks"), take_text(in));

    struct dep_request request = { .endpoint = DEP_ENDPOINT_AGENTS,
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth/agents"),
                                   .peer = DEP_STR("192.0.2.1"),
                                   .headers = headers,
                                   .headers_count = 2 };

    if (door & 8)
        headers[request.headers_count++] =
            (struct dep_header){ DEP_STR("DPoP"), door & 128 ? make_proof(in) : proof_for(token) };
    if (request.headers_count == 3 && dep_str_is_absent(headers[2].value))
        request.headers_count = 2;
    request.body = end_form(in, &body);
    check_decision(&request, &world->agents[0], &none, random);
}

/* A client that is known by its secret or its key. */
static void run_client(struct input *in, uint8_t kind, unsigned char random[DEP_RANDOM_LEN])
{
    static char memory[131072];
    struct dep_header headers[3];
    struct subject subject;
    struct dep_str proof;
    struct dep_buf body;
    size_t client;
    enum dep_endpoint endpoint = (kind & 3) == 2   ? DEP_ENDPOINT_INTROSPECT
                                 : (kind & 3) == 3 ? DEP_ENDPOINT_REVOKE
                                                   : DEP_ENDPOINT_TOKEN;
    bool has_assertion = kind & 128;

    client = has_assertion ? CLIENT_KEY : take_byte(in) % CLIENT_WORKLOAD;
    dep_buf_init(&body, memory, sizeof(memory));
    subject = put_form(in, endpoint, kind, client, &body);
    if (has_assertion)
        put_assertion(in, &body);
    proof = make_proof(in);
    headers[0] = form_type();
    headers[1] = dep_str_is_absent(proof) ? headers[0] : (struct dep_header){ DEP_STR("DPoP"), proof };
    headers[2] =
        (struct dep_header){ DEP_STR("Authorization"), world_basic(world, world->client_ids[client], WORLD_SECRET) };

    const struct dep_request request = {
        .endpoint = endpoint,
        .method = DEP_STR("POST"),
        .path = DEP_STR("/oauth/token"),
        .peer = DEP_STR("192.0.2.1"),
        .body = end_form(in, &body),
        .headers = dep_str_is_absent(proof) ? headers + 1 : headers,
        .headers_count = (dep_str_is_absent(proof) ? 2u : 3u) - (has_assertion ? 1u : 0u),
    };

    check_decision(&request, &world->agents[client], &subject, random);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    unsigned char random[DEP_RANDOM_LEN];
    uint8_t kind = take_byte(&in);
    size_t mark;

    open_world();
    mark = world->texts.used;
    make_random(random, data, size, kind);
    if ((kind & 3) == 1) {
        uint8_t door = take_byte(&in);

        if (door & 1)
            run_agents(&in, kind, door, random);
        else
            run_workload(&in, kind, door, random);
    } else {
        run_client(&in, kind, random);
    }
    dep_arena_reset(&world->arena);
    memset((char *)world->texts_memory + mark, 0, world->texts.used - mark);
    world->texts.used = mark;
}

/* decide() under the fuzzer: client_credentials, exchange, jwt-bearer, introspection and revocation, with and without proofs.
 *
 * Structured: the input is cut into fields. Tokens, assertions and proofs are signed after the fuzzer has written their payloads, so that
 * it gets past the signature and meets the rules behind it. Properties checked on every input:
 *   a refusal carries only effects that reduce; the same arguments give the same decision, and other randomness another id only; an
 *   issued token is within its subject (scope, reach, chain, binding), never outlives it, and names the authenticated agent as
 *   presenter; every answer can be written. */
#include "fuzz/fuzz.h"
#include "proto/scope.h"
#include "proto/world_fixture.h"

static struct world *world;
static struct dep_private_key *client_key;

struct input {
    const uint8_t *data;
    size_t size;
};

/* What the request stands on, to compare with what comes out: an own token, or a JWT of the foreign issuer. */
struct subject {
    struct dep_str text; /* absent: none */
    bool is_foreign;
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

/* A user's token gives nothing longer than itself, speaks of that user, and of nobody else. */
static void check_within_foreign(const struct dep_token *token, struct dep_str text)
{
    static const struct dep_str typs[] = { DEP_STR_INIT("JWT"), DEP_STR_INIT("oauth-id-jag+jwt") };
    const struct dep_jws_rules rules = { .bytes_max = 65536, .algs = DEP_ALGS_ALL, .typs = typs, .typs_count = 2 };
    const struct dep_json *claims = NULL;
    struct dep_jws jws;
    struct dep_str sub = DEP_STR_ABSENT;
    int64_t until = 0;

    DEP_FUZZ_CHECK(dep_is_ok(dep_jws_parse(&world->texts, text, &rules, &jws)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_jwt_claims(&world->texts, &jws, &claims)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_json_time(DEP_JSON_GET(claims, "exp"), &until)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_json_str(DEP_JSON_GET(claims, "sub"), &sub)));
    DEP_FUZZ_CHECK(token->exp <= until && token->lineage_count == 0 && token->actors_count == 1);
    DEP_FUZZ_CHECK(dep_str_starts(token->sub, DEP_STR("user:corp:")) && dep_str_ends(token->sub, sub));
}

/* Nobody has more, or longer, than what they brought. */
static void check_within(const struct dep_decision *decision, const struct subject *subject)
{
    const struct dep_token_policy policy = { .issuer = DEP_STR(WORLD_ISSUER), .algs = DEP_ALGS_ALL };
    const struct dep_token *token = &decision->token;
    const struct dep_json *claims = NULL;
    struct dep_token parent;
    struct dep_jws jws;

    if (dep_str_is_absent(subject->text)) {
        DEP_FUZZ_CHECK(token->actors_count == 0 && token->lineage_count == 0);
        return;
    }
    if (subject->is_foreign) {
        check_within_foreign(token, subject->text);
        return;
    }
    DEP_FUZZ_CHECK(decision->is_exchange);
    DEP_FUZZ_CHECK(dep_is_ok(dep_token_open(&world->texts, subject->text, &policy, &jws)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_jwt_claims(&world->texts, &jws, &claims)));
    DEP_FUZZ_CHECK(dep_is_ok(dep_token_read(claims, &parent)));
    /* What another server is asked for is in its words: only time and people can be compared. */
    if (decision->issued != DEP_ISSUED_ACCESS_TOKEN)
        DEP_FUZZ_CHECK(token->exp <= parent.exp && dep_str_eq(token->sub, parent.sub));
    else
        DEP_FUZZ_CHECK(world_is_within(world, token, &parent));
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
static bool decide(const struct dep_request *request, const unsigned char random[DEP_RANDOM_LEN],
                   struct dep_decision *ret_decision)
{
    struct dep_facts facts = { .revocations = world->revocations };

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

/* The same arguments decide the same; other randomness makes another id and another jti, and changes nothing else. */
static void check_again(const struct dep_request *request, const struct dep_decision *decision,
                        unsigned char random[DEP_RANDOM_LEN])
{
    static char jti[DEP_JTI_MAX], id[64];
    const struct dep_token *token = &decision->token;
    bool is_token = decision->answer == DEP_ANSWER_TOKEN;
    const struct dep_decision was = *decision;
    struct dep_decision again;

    DEP_FUZZ_CHECK(was.id.len <= sizeof(id) && (!is_token || token->jti.len <= sizeof(jti)));
    memcpy(id, was.id.ptr, was.id.len);
    if (is_token)
        memcpy(jti, token->jti.ptr, token->jti.len);
    for (unsigned round = 0; round < 2; round++) {
        /* The first decision's texts lie in the arena that this one takes over. */
        DEP_FUZZ_CHECK(decide(request, random, &again));
        DEP_FUZZ_CHECK(again.answer == was.answer && again.reason == was.reason && again.checks_run == was.checks_run &&
                       again.effects_count == was.effects_count);
        DEP_FUZZ_CHECK(dep_str_eq(again.id, dep_str(id, was.id.len)) == (round == 0));
        if (is_token)
            DEP_FUZZ_CHECK(again.token.exp == was.token.exp && again.token.scope.len == was.token.scope.len &&
                           again.token.aud_count == was.token.aud_count &&
                           dep_str_eq(again.token.jti, dep_str(jti, was.token.jti.len)) == (round == 0));
        for (size_t i = 0; i < DEP_RANDOM_LEN; i++)
            random[i] ^= 0xA5;
    }
}

static void check_decision(const struct dep_request *request, const struct dep_agent *agent,
                           const struct subject *subject, unsigned char random[DEP_RANDOM_LEN])
{
    struct dep_decision decision;
    struct dep_wire_answer answer;
    struct dep_buf line;

    if (!decide(request, random, &decision))
        return;
    if (decision.answer == DEP_ANSWER_REFUSAL)
        for (size_t i = 0; i < decision.effects_count; i++)
            DEP_FUZZ_CHECK(!dep_effect_gives(decision.effects[i].kind));
    if (decision.answer == DEP_ANSWER_TOKEN) {
        check_issued(&decision, agent);
        check_within(&decision, subject);
    }
    DEP_FUZZ_CHECK(dep_is_ok(dep_wire_write(&world->arena, &decision, DEP_STR("a.b.c"), &answer)));
    dep_buf_init_arena(&line, &world->arena, 65536);
    dep_audit_record_write(&line, &decision.record);
    DEP_FUZZ_CHECK(!line.has_failed && !dep_str_has(dep_buf_str(&line), '\n'));
    check_again(request, &decision, random);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    static char memory[131072];
    struct input in = { data, size };
    struct dep_header headers[3];
    unsigned char random[DEP_RANDOM_LEN];
    struct subject subject;
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
    subject = put_form(&in, endpoint, kind, client, &body);
    if (has_assertion)
        put_assertion(&in, &body);
    proof = make_proof(&in);
    /* What is left is appended as it is: more parameters, broken ones too. */
    if (in.size > 0) {
        dep_buf_put_char(&body, '&');
        dep_buf_put(&body, dep_fuzz_text(in.data, in.size));
    }
    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (unsigned char)(size * 131 + kind * 7 + i * 31 + (size > 0 ? data[i % size] : 0));
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

    check_decision(&request, &world->agents[client], &subject, random);
    dep_arena_reset(&world->arena);
    memset((char *)world->texts_memory + mark, 0, world->texts.used - mark);
    world->texts.used = mark;
}

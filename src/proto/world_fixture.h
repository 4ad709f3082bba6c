/* A small world for tests of the rules: records in arrays, a signer, a clock that stands still, a replay set. The shell in forty lines:
 * what the daemon does with stores and sockets, done in memory, so that the rules are driven as they are in production. */
#ifndef DEP_PROTO_WORLD_FIXTURE_H
#define DEP_PROTO_WORLD_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "http/form.h"
#include "proto/decide.h"
#include "proto/scope.h"
#include "proto/wire.h"
#include "test/unit.h"

#define WORLD_NOW INT64_C(1700000000)
#define WORLD_ISSUER "https://as.example"
#define WORLD_IDP "https://idp.example"
#define WORLD_LOGIN "X-Login-Jwt"
#define WORLD_CONSENTS 32u
#define WORLD_SERVER "https://as2.example"
#define WORLD_THERE "https://mcp.as2.example/mcp"
#define WORLD_THERE2 "https://mcp.as2.example/other"
#define WORLD_API "https://api.example/mcp"
#define WORLD_API2 "https://api2.example"
#define WORLD_ROOT "agent:01J00000000000000000000001"
#define WORLD_ORCHESTRATOR "agent:01J00000000000000000000002"
#define WORLD_WORKER "agent:01J00000000000000000000003"
#define WORLD_STRANGER "agent:01J00000000000000000000004" /* another organisation */
#define WORLD_AGENTS 12u                                  /* 5 to 12 form a long chain of delegates */
#define WORLD_SECRET "correct-horse-battery-staple-0123456789abcdefg"
#define EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"
#define ACCESS_TOKEN_TYPE "urn:ietf:params:oauth:token-type:access_token"

struct world {
    struct dep_arena arena, texts; /* one request; everything that outlives it */
    void *memory, *texts_memory;
    struct dep_crypto *crypto;
    struct dep_private_key *key, *proof_key, *other_proof_key;
    struct dep_jwks *jwks;
    struct dep_policy policy;
    struct dep_nonce_policy nonce;
    struct dep_agent agents[WORLD_AGENTS];
    struct dep_client clients[WORLD_AGENTS + 2];
    size_t clients_count;
    struct dep_resource resources[2];
    struct dep_trusted_issuer issuer; /* "https://idp.example", named corp; signs with idp_key */
    struct dep_trusted_issuer server; /* "https://as2.example": takes our grants */
    struct dep_target_client known[2];
    struct dep_right rights_there[2];
    struct dep_private_key *idp_key;
    struct dep_jwks *idp_jwks;
    struct dep_agent user;
    struct dep_revocations *revocations;
    unsigned char used[4096][DEP_REPLAY_KEY_BYTES];
    int64_t used_times[4096][2]; /* made, expires */
    size_t used_count;
    struct dep_ticket consents[WORLD_CONSENTS]; /* by id */
    size_t consents_count;
    struct dep_family family; /* of every agent */
    int64_t locked_until;     /* of every client; 0: none */
    struct dep_str kid;
    uint64_t counter; /* makes randomness */
    char agent_ids[WORLD_AGENTS][40];
    char client_ids[WORLD_AGENTS + 2][32];
    char body[40000]; /* of the last request: its decision points into it */
    struct dep_header headers[4];
    struct dep_str certificate; /* of the TLS connection by which requests come; absent: none */
};

/* What a request brought. */
struct outcome {
    struct dep_res res;
    struct dep_decision decision;
    struct dep_str token; /* signed; lives as long as the world */
    int status;
    struct dep_str body, location;
    unsigned rounds;
};

#define WORLD_RESOURCES 2u
#define WORLD_WORDS 3u
static struct dep_str world_words[] = { DEP_STR_INIT("read"), DEP_STR_INIT("write"), DEP_STR_INIT("delete") };

static inline struct dep_str world_keep(struct world *w, struct dep_str text)
{
    return dep_arena_dup(&w->texts, text);
}

static inline void world_open_keys(struct world *w)
{
    struct dep_json_writer writer;
    struct dep_buf buf;
    bool is_good = dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &w->key)) &&
                   dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &w->proof_key)) &&
                   dep_is_ok(dep_private_key_new(DEP_ALG_ED25519, &w->other_proof_key)) &&
                   dep_is_ok(dep_jwk_jkt_of(&w->texts, w->crypto, w->key, &w->kid));

    dep_buf_init_arena(&buf, &w->texts, 4096);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_name(&writer, "keys");
    dep_json_open(&writer, '[');
    is_good = is_good && dep_is_ok(dep_jwk_put_public(&writer, &w->texts, w->key, w->kid));
    dep_json_close(&writer, ']');
    dep_json_close(&writer, '}');
    is_good = is_good && dep_is_ok(dep_jwks_new(w->crypto, dep_buf_str(&buf), &w->jwks));
    is_good = is_good && dep_is_ok(dep_private_key_new(DEP_ALG_ED25519, &w->idp_key));
    dep_buf_init_arena(&buf, &w->texts, 4096);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_name(&writer, "keys");
    dep_json_open(&writer, '[');
    is_good = is_good && dep_is_ok(dep_jwk_put_public(&writer, &w->texts, w->idp_key, DEP_STR("idp-1")));
    dep_json_close(&writer, ']');
    dep_json_close(&writer, '}');
    is_good = is_good && dep_is_ok(dep_jwks_new(w->crypto, dep_buf_str(&buf), &w->idp_jwks));
    DEP_ASSERT(is_good);
}

static inline struct dep_client *world_client(struct world *w, struct dep_str agent, struct dep_str resource)
{
    size_t i = w->clients_count++;
    struct dep_client *client = &w->clients[i];

    (void)snprintf(w->client_ids[i], sizeof(w->client_ids[i]), "01C000000000000000000000%02zu", i + 1);
    *client = (struct dep_client){
        .id = dep_str_c(w->client_ids[i]),
        .name = DEP_STR("a client"),
        .agent = agent,
        .resource = resource,
        .auth = DEP_CLIENT_AUTH_BASIC,
        .grants = dep_str_is_absent(agent)
                      ? 0
                      : DEP_GRANT_CLIENT_CREDENTIALS | DEP_GRANT_TOKEN_EXCHANGE | DEP_GRANT_JWT_BEARER,
        .is_enabled = true,
        .secrets_count = 1,
    };
    dep_sha256(w->crypto, DEP_STR(WORLD_SECRET), client->secrets[0].hash);
    return client;
}

static inline void world_agent(struct world *w, size_t i)
{
    struct dep_agent *agent = &w->agents[i];
    bool is_stranger = i == 3;

    (void)snprintf(w->agent_ids[i], sizeof(w->agent_ids[i]), "agent:01J000000000000000000000%02zu", i + 1);
    *agent = (struct dep_agent){
        .id = dep_str_c(w->agent_ids[i]),
        .name = DEP_STR("an agent"),
        .owner = DEP_STR("team"),
        .org = is_stranger ? DEP_STR("elsewhere") : DEP_STR("acme"),
        .ceiling = DEP_NEW_ARRAY(&w->texts, 4, struct dep_right),
    };
    agent->ceiling[agent->ceiling_count++] = (struct dep_right){ DEP_STR(WORLD_API), world_words, i == 2 ? 2 : 3 };
    agent->ceiling[agent->ceiling_count++] = (struct dep_right){ DEP_STR(WORLD_THERE), world_words, 2 };
    agent->ceiling[agent->ceiling_count++] = (struct dep_right){ DEP_STR(WORLD_SERVER), world_words, 1 };
    if (i != 2) /* the worker has no rights at the second API */
        agent->ceiling[agent->ceiling_count++] = (struct dep_right){ DEP_STR(WORLD_API2), world_words, 1 };
    (void)world_client(w, agent->id, DEP_STR_ABSENT);
}

/* The foreign server: the orchestrator's and the worker's clients are known there. */
static inline void world_server(struct world *w)
{
    w->known[0] = (struct dep_target_client){ w->clients[1].id, DEP_STR("ours-there") };
    w->known[1] = (struct dep_target_client){ w->clients[2].id, DEP_STR("worker-there") };
    w->rights_there[0] = (struct dep_right){ DEP_STR(WORLD_THERE), world_words, 2 };
    w->rights_there[1] = (struct dep_right){ DEP_STR(WORLD_THERE2), world_words, 1 };
    w->server = (struct dep_trusted_issuer){
        .id = DEP_STR(WORLD_SERVER),
        .name = DEP_STR("partner"),
        .org = DEP_STR("acme"),
        .uses = DEP_ISSUER_TARGET,
        .is_enabled = true,
        .target_clients = w->known,
        .target_clients_count = 2,
        .target_scopes = world_words,
        .target_scopes_count = 1,
        .target_rights = w->rights_there,
        .target_rights_count = 2,
    };
}

static inline void world_open(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->memory = aligned_alloc(16, 1 << 20);
    w->texts_memory = aligned_alloc(16, 4 << 20);
    dep_arena_init(&w->arena, w->memory, 1 << 20);
    dep_arena_init(&w->texts, w->texts_memory, 4 << 20);
    w->crypto = dep_crypto_new();
    w->revocations = dep_revocations_new(0);
    DEP_ASSERT(w->crypto != NULL && w->revocations != NULL);
    world_open_keys(w);
    w->nonce = (struct dep_nonce_policy){ dep_secret("0123456789abcdef0123456789abcdef", 32), DEP_STR("as"), 60 };
    w->policy = (struct dep_policy){
        .issuer = DEP_STR(WORLD_ISSUER),
        .token_url = DEP_STR(WORLD_ISSUER "/oauth/token"),
        .agents_url = DEP_STR(WORLD_ISSUER "/oauth/agents"),
        .token_lifetime_s = 300,
        .assertion_lifetime_s = 300,
        .skew_s = 30,
        .dpop = { .age_max_s = 60, .skew_s = 10, .nonce = &w->nonce },
        .consent = { .login_header = DEP_STR(WORLD_LOGIN),
                     .key = dep_secret("fedcba9876543210fedcba9876543210", DEP_TICKET_KEY_LEN),
                     .par_url = DEP_STR(WORLD_ISSUER "/oauth/par"),
                     .code_s = 60,
                     .pushed_s = 60,
                     .page_s = 300,
                     .refresh_s = 86400 },
    };
    w->resources[0] = (struct dep_resource){
        .id = DEP_STR(WORLD_API), .name = DEP_STR("api"), .scopes = world_words, .scopes_count = 3, .is_enabled = true
    };
    w->resources[1] = (struct dep_resource){
        .id = DEP_STR(WORLD_API2), .name = DEP_STR("api2"), .scopes = world_words, .scopes_count = 2, .is_enabled = true
    };
    for (size_t i = 0; i < WORLD_AGENTS; i++)
        world_agent(w, i);
    w->issuer = (struct dep_trusted_issuer){
        .id = DEP_STR(WORLD_IDP),
        .name = DEP_STR("corp"),
        .org = DEP_STR("acme"),
        .uses = DEP_ISSUER_SUBJECT | DEP_ISSUER_ID_JAG,
        .is_enabled = true,
        .ceiling = w->agents[0].ceiling,
        .ceiling_count = 3, /* all but the second API */
    };
    world_server(w);
    (void)world_client(w, DEP_STR_ABSENT, DEP_STR(WORLD_API));
}

static inline void world_close(struct world *w)
{
    dep_arena_reset(&w->arena);
    dep_revocations_free(w->revocations);
    dep_jwks_free(w->jwks);
    dep_jwks_free(w->idp_jwks);
    dep_private_key_free(w->idp_key);
    dep_private_key_free(w->key);
    dep_private_key_free(w->proof_key);
    dep_private_key_free(w->other_proof_key);
    dep_crypto_free(w->crypto);
    free(w->memory);
    free(w->texts_memory);
}

/* A user of the foreign issuer, with the issuer's ceiling, as the daemon makes one. */
static inline const void *world_user(struct world *w, struct dep_str id)
{
    if (!dep_str_starts(id, DEP_STR("user:corp:")))
        return NULL;
    w->user = (struct dep_agent){
        .id = id,
        .name = id,
        .org = w->issuer.org,
        .effective_state = w->issuer.is_enabled ? DEP_STATE_ACTIVE : DEP_STATE_SUSPENDED,
        .ceiling = w->issuer.ceiling,
        .ceiling_count = w->issuer.ceiling_count,
        .delegates = w->issuer.agents,
        .delegates_count = w->issuer.agents_count,
        .has_delegates = w->issuer.has_agents,
    };
    return &w->user;
}

static inline const void *world_issuer_key(struct world *w, struct dep_str id)
{
    struct dep_str rest = id, issuer, alg, kid = DEP_STR_ABSENT;

    if (!dep_str_cut(&rest, '\n', &issuer) || !dep_str_cut(&rest, '\n', &alg) || !dep_str_eq(issuer, w->issuer.id))
        return NULL;
    (void)dep_str_cut(&rest, '\n', &kid);
    return dep_jwks_find(w->idp_jwks, kid, dep_alg_by_name(alg));
}

static inline const void *world_load(struct world *w, const struct dep_need *need)
{
    switch (need->kind) {
    case DEP_FACT_CLIENT:
        for (size_t i = 0; i < w->clients_count; i++)
            if (dep_str_eq(w->clients[i].id, need->id))
                return &w->clients[i];
        return NULL;
    case DEP_FACT_AGENT:
        for (size_t i = 0; i < WORLD_AGENTS; i++)
            if (dep_str_eq(w->agents[i].id, need->id))
                return &w->agents[i];
        return world_user(w, need->id);
    case DEP_FACT_RESOURCE:
        for (size_t i = 0; i < 2; i++)
            if (dep_str_eq(w->resources[i].id, need->id))
                return &w->resources[i];
        return NULL;
    case DEP_FACT_KEY:
        return dep_jwks_find(w->jwks, need->id, DEP_ALG_ES256);
    case DEP_FACT_ISSUER:
        if (dep_str_eq(w->server.id, need->id))
            return &w->server;
        return dep_str_eq(w->issuer.id, need->id) ? &w->issuer : NULL;
    case DEP_FACT_ISSUER_KEY:
        return world_issuer_key(w, need->id);
    case DEP_FACT_FAMILY:
        return &w->family;
    case DEP_FACT_LOCK:
        return w->locked_until > 0 ? &w->locked_until : NULL;
    case DEP_FACT_CONSENT:
        for (size_t i = 0; i < w->consents_count; i++)
            if (dep_str_eq(w->consents[i].id, need->id))
                return &w->consents[i];
        return NULL;
    case DEP_FACT_REPLAY:
        break;
    }
    return NULL;
}

static inline struct dep_str world_seal(struct world *w, enum dep_ticket_kind kind, const struct dep_ticket *ticket)
{
    struct dep_str text = DEP_STR_ABSENT;

    DEP_ASSERT(dep_is_ok(dep_ticket_seal(&w->texts, w->policy.consent.key, kind, ticket, &text)));
    return text;
}

/* Keeps what the store would. */
static inline void world_consent(struct world *w, const struct dep_ticket *consent)
{
    struct dep_str text = world_seal(w, DEP_TICKET_REFRESH, consent);
    size_t i = 0;

    while (i < w->consents_count && !dep_str_eq(w->consents[i].id, consent->id))
        i++;
    DEP_ASSERT(i < WORLD_CONSENTS);
    w->consents_count += i == w->consents_count;
    DEP_ASSERT(dep_is_ok(dep_ticket_open(&w->texts, w->policy.consent.key, DEP_TICKET_REFRESH, text, &w->consents[i])));
}

/* The stores want the same thing to come with the same times: some look for it under them. */
static inline bool world_use(struct world *w, const struct dep_effect *effect)
{
    size_t at = w->used_count % 4096;

    for (size_t i = 0; i < w->used_count && i < 4096; i++)
        if (memcmp(w->used[i], effect->key, DEP_REPLAY_KEY_BYTES) == 0) {
            DEP_ASSERT(w->used_times[i][0] == effect->made && w->used_times[i][1] == effect->expires);
            return false;
        }
    memcpy(w->used[at], effect->key, DEP_REPLAY_KEY_BYTES);
    w->used_times[at][0] = effect->made;
    w->used_times[at][1] = effect->expires;
    w->used_count++;
    return true;
}

/* Settles effects; names the first that was stale. */
static inline const unsigned char *world_settle(struct world *w, const struct dep_decision *decision)
{
    for (size_t i = 0; i < decision->effects_count; i++) {
        const struct dep_effect *effect = &decision->effects[i];

        if (effect->kind == DEP_EFFECT_REMEMBER && !world_use(w, effect))
            return effect->key;
        if (effect->kind == DEP_EFFECT_REVOKE)
            DEP_ASSERT(dep_is_ok(dep_revocations_add(w->revocations, &effect->revocation)));
        if (effect->kind == DEP_EFFECT_CONSENT)
            world_consent(w, &decision->consent);
    }
    return NULL;
}

static inline struct dep_str world_sign_text(struct world *w, const struct dep_private_key *key, struct dep_str typ,
                                             struct dep_str kid, struct dep_str payload)
{
    struct dep_buf jwt;

    dep_buf_init_arena(&jwt, &w->texts, 16384);
    DEP_ASSERT(dep_is_ok(dep_jws_sign(w->crypto, key, typ, kid, DEP_STR_ABSENT, payload, &jwt)));
    w->texts.used -= (16384 - jwt.len) & ~(size_t)15; /* give back the room that was not needed */
    return dep_buf_str(&jwt);
}

static inline struct dep_str world_sign(struct world *w, const struct dep_token *token)
{
    struct dep_json_writer writer;
    struct dep_buf claims;

    dep_buf_init_arena(&claims, &w->arena, 8192);
    dep_json_begin(&writer, &claims);
    dep_token_write(&writer, token);
    DEP_ASSERT(!claims.has_failed);
    return world_sign_text(w, w->key, DEP_STR("at+jwt"), w->kid, dep_buf_str(&claims));
}

static inline struct dep_str world_sign_grant(struct world *w, const struct dep_decision *decision)
{
    struct dep_json_writer writer;
    struct dep_buf claims;

    dep_buf_init_arena(&claims, &w->arena, 8192);
    dep_json_begin(&writer, &claims);
    dep_grant_write(&writer, &decision->token, decision->grant_resources, decision->grant_resources_count);
    DEP_ASSERT(!claims.has_failed);
    return world_sign_text(w, w->key, dep_issued_typ(decision->issued), w->kid, dep_buf_str(&claims));
}

/* Runs a request to its end, as the daemon does. */
static inline struct outcome world_run(struct world *w, const struct dep_request *request)
{
    struct dep_facts facts = { .revocations = w->revocations };
    unsigned char random[DEP_RANDOM_LEN];
    struct outcome outcome = { .res = DEP_OK };
    struct dep_wire_answer answer;

    dep_arena_reset(&w->arena);
    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (unsigned char)(w->counter * 131 + i * 7 + (w->counter >> 8) * 31);
    w->counter++;
    for (outcome.rounds = 1; outcome.rounds <= DEP_ROUNDS_MAX; outcome.rounds++) {
        outcome.res =
            dep_decide(&w->arena, w->crypto, &w->policy, request, &facts, WORLD_NOW, random, &outcome.decision);
        if (!dep_is_ok(outcome.res))
            return outcome;
        if (outcome.decision.needs_count > 0) {
            for (size_t i = 0; i < outcome.decision.needs_count; i++)
                facts.items[facts.count++] =
                    (struct dep_fact){ outcome.decision.needs[i], world_load(w, &outcome.decision.needs[i]) };
            continue;
        }

        const unsigned char *stale = world_settle(w, &outcome.decision);

        if (stale == NULL)
            break;

        struct dep_str key = dep_arena_dup(&w->arena, dep_str((const char *)stale, DEP_REPLAY_KEY_BYTES));

        facts.items[facts.count++] = (struct dep_fact){ { DEP_FACT_REPLAY, key }, "" };
    }
    DEP_ASSERT(outcome.rounds <= DEP_ROUNDS_MAX);
    if (outcome.decision.has_ticket)
        outcome.decision.sealed = world_seal(w, outcome.decision.ticket_kind, &outcome.decision.ticket);
    if (outcome.decision.answer == DEP_ANSWER_TOKEN)
        outcome.token = outcome.decision.issued == DEP_ISSUED_ACCESS_TOKEN ? world_sign(w, &outcome.decision.token)
                                                                           : world_sign_grant(w, &outcome.decision);
    if (outcome.decision.answer != DEP_ANSWER_DOCUMENT && outcome.decision.answer != DEP_ANSWER_FEED &&
        dep_is_ok(dep_wire_write(&w->arena, &outcome.decision, outcome.token, &answer))) {
        for (size_t i = 0; i < answer.headers_count; i++)
            if (dep_str_eq(answer.headers[i].name, DEP_STR("Location")))
                outcome.location = answer.headers[i].value;
        outcome.status = answer.status;
        outcome.body = answer.body;
    }
    return outcome;
}

static inline struct dep_str world_basic(struct world *w, const char *id, const char *secret)
{
    char text[256];
    struct dep_buf value;
    int len = snprintf(text, sizeof(text), "%s:%s", id, secret);

    dep_buf_init_arena(&value, &w->texts, 512);
    dep_buf_put_c(&value, "Basic ");
    dep_b64_put(&value, text, (size_t)len);
    w->texts.used -= (512 - value.len) & ~(size_t)15;
    return dep_buf_str(&value);
}

/* A form request of the i-th client, with an optional proof. */
static inline struct outcome world_post(struct world *w, enum dep_endpoint endpoint, size_t client, const char *body,
                                        struct dep_str proof)
{
    (void)snprintf(w->body, sizeof(w->body), "%s", body);
    w->headers[0] = (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    w->headers[1] =
        (struct dep_header){ DEP_STR("Authorization"), world_basic(w, w->client_ids[client], WORLD_SECRET) };
    w->headers[2] = (struct dep_header){ DEP_STR("DPoP"), proof };

    const struct dep_request request = {
        .endpoint = endpoint,
        .method = DEP_STR("POST"),
        .path = DEP_STR("/oauth/token"),
        .peer = DEP_STR("192.0.2.1"),
        .body = dep_str_c(w->body),
        .headers = w->headers,
        .headers_count = dep_str_is_absent(proof) ? 2 : 3,
        .certificate = w->certificate,
    };

    return world_run(w, &request);
}

static inline struct dep_str world_proof(struct world *w, const struct dep_private_key *key, int64_t iat,
                                         struct dep_str nonce)
{
    unsigned char random[16];
    struct dep_str proof;

    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (unsigned char)(w->counter * 17 + i);
    w->counter++;
    DEP_ASSERT(dep_is_ok(dep_dpop_sign(&w->texts, w->crypto, key, DEP_STR("POST"), DEP_STR(WORLD_ISSUER "/oauth/token"),
                                       DEP_STR_ABSENT, nonce, iat, random, &proof)));
    return proof;
}

/* A token by client_credentials. */
static inline struct outcome world_token(struct world *w, size_t client, const char *target, const char *scope,
                                         struct dep_str proof)
{
    char body[1024];

    (void)snprintf(body, sizeof(body), "grant_type=client_credentials&resource=%s%s%s", target,
                   scope[0] == '\0' ? "" : "&scope=", scope);
    return world_post(w, DEP_ENDPOINT_TOKEN, client, body, proof);
}

/* An exchange of `subject` by a client. `more` is appended to the form. */
static inline struct outcome world_exchange(struct world *w, size_t client, struct dep_str subject, const char *more,
                                            struct dep_str proof)
{
    static char body[40000];

    (void)snprintf(body, sizeof(body),
                   "grant_type=" EXCHANGE "&subject_token_type=" ACCESS_TOKEN_TYPE "&subject_token=%.*s%s",
                   DEP_STR_ARG(subject), more);
    return world_post(w, DEP_ENDPOINT_TOKEN, client, body, proof);
}

/* What a token can lead to, told from its claims alone: a bit for each resource and scope. */
static inline unsigned world_reach(const struct world *w, const struct dep_token *token)
{
    unsigned reach = 0;

    for (unsigned r = 0; r < WORLD_RESOURCES; r++) {
        struct dep_str resource = w->resources[r].id;
        bool is_there = dep_token_has_aud(token, resource);

        for (size_t i = 0; i < token->aud_count; i++)
            if (dep_str_starts(token->aud[i], DEP_STR("agent:")))
                is_there |= dep_token_may_lead_to(token, resource);
        for (unsigned s = 0; is_there && s < WORLD_WORDS; s++)
            if (dep_scope_has(token->scope, world_words[s]))
                reach |= 1u << (r * WORLD_WORDS + s);
    }
    return reach;
}

static inline bool world_is_bearer(const struct dep_token *token)
{
    return dep_str_is_absent(token->jkt) && dep_str_is_absent(token->x5t);
}

/* What a child may not be, whatever was asked. */
static inline bool world_is_within(const struct world *w, const struct dep_token *child, const struct dep_token *parent)
{
    bool keeps_actors = child->actors_count >= parent->actors_count && child->actors_count <= parent->actors_count + 1;
    size_t shift = child->actors_count - parent->actors_count;

    for (size_t i = 0; keeps_actors && i < parent->actors_count; i++)
        keeps_actors = dep_str_eq(child->actors[i + shift], parent->actors[i]);
    return keeps_actors && dep_scope_within(child->scope, parent->scope) && child->exp <= parent->exp &&
           (world_reach(w, child) & ~world_reach(w, parent)) == 0 && dep_str_eq(child->sub, parent->sub) &&
           dep_str_eq(child->org_id, parent->org_id) && child->lineage_count == parent->lineage_count + 1 &&
           dep_str_eq(child->lineage[0], parent->jti) && (world_is_bearer(parent) || !world_is_bearer(child));
}

static inline void world_check_issued(struct dep_test *t, struct outcome o, int line)
{
    dep_test_check(t, o.decision.answer == DEP_ANSWER_TOKEN, "the row", line, "refused: %s at %s",
                   dep_err_name(o.decision.reason), o.decision.check == NULL ? "-" : o.decision.check);
}

static inline void world_check_refused(struct dep_test *t, struct outcome o, enum dep_err reason, enum dep_class class,
                                       int line)
{
    dep_test_check(t,
                   o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == reason &&
                       o.decision.class == class && o.decision.check != NULL,
                   "the row", line, "got %s, %s at %s", dep_err_name(o.decision.reason),
                   dep_class_name(o.decision.class), o.decision.check == NULL ? "-" : o.decision.check);
}

#define DEP_CHECK_ISSUED(t, outcome) world_check_issued((t), (outcome), __LINE__)
#define DEP_CHECK_REFUSED(t, outcome, reason, class) \
    world_check_refused((t), (outcome), DEP_ERR_##reason, DEP_CLASS_##class, __LINE__)

#endif

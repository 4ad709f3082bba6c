/* Users' consent under whatever a browser or a client may send, with tickets that are good, late, another's, or of another kind. Whatever
 * comes: a token is alice's, of her consent and no wider; the browser goes to a registered address or nowhere; a refusal gives nothing. */
#include "fuzz/fuzz.h"
#include "proto/consent_fixture.h"
#include "proto/scope.h"

#define CONSENT_ID "a-consent-of-alice"

static bool is_open;

static void open_once(void)
{
    struct dep_ticket consent = { .id = DEP_STR(CONSENT_ID),
                                  .made = WORLD_NOW - 10,
                                  .expires = WORLD_NOW + 1000,
                                  .scope = DEP_STR("read"),
                                  .targets = { DEP_STR(WORLD_API) },
                                  .targets_count = 1,
                                  .user = DEP_STR("user:corp:alice"),
                                  .org = DEP_STR("acme"),
                                  .issuer = DEP_STR(WORLD_IDP),
                                  .turn = 1 };

    if (is_open)
        return;
    world_open(&w);
    add_clients();
    consent.client_id = w.clients[public_client].id;
    consent.jkt = jkt_of(w.proof_key);
    world_consent(&w, &consent);
    is_open = true;
}

static struct dep_str make_ticket(uint8_t kind, uint8_t door)
{
    struct dep_ticket ticket = { .id = DEP_STR(CONSENT_ID),
                                 .made = WORLD_NOW - 10,
                                 .expires = WORLD_NOW + (door & 4 ? 0 : 50),
                                 .client_id = w.clients[door & 8 ? ORCHESTRATOR : public_client].id,
                                 .redirect_uri = DEP_STR(CALLBACK),
                                 .challenge = DEP_STR(CHALLENGE),
                                 .scope = DEP_STR("read"),
                                 .targets = { DEP_STR(WORLD_API) },
                                 .targets_count = 1,
                                 .user = DEP_STR("user:corp:alice"),
                                 .org = DEP_STR("acme"),
                                 .issuer = DEP_STR(WORLD_IDP),
                                 .turn = kind >> 5 & 1 };

    if (door & 16)
        ticket.jkt = jkt_of(w.proof_key);
    return world_seal(&w, (enum dep_ticket_kind)(door & 3), &ticket);
}

/* The good part of a request; the fuzzer's own comes behind it. */
static void put_form(struct dep_buf *buf, unsigned shape, uint8_t door, struct dep_str ticket)
{
    static const char asked[] = "response_type=code&resource=" WORLD_API "&redirect_uri=" CALLBACK PKCE;

    if (shape == 7)
        return;
    dep_form_put(buf, DEP_STR("client_id"), w.clients[public_client].id);
    dep_buf_put_char(buf, '&');
    switch (shape) {
    case 0:
    case 2:
        dep_buf_put_c(buf, asked);
        break;
    case 1:
        dep_form_put(buf, DEP_STR("page"), ticket);
        dep_form_put(buf, DEP_STR("answer"), door & 32 ? DEP_STR("no") : DEP_STR("yes"));
        break;
    case 3:
        dep_buf_put_c(buf, "grant_type=authorization_code&code_verifier=" VERIFIER);
        dep_form_put(buf, DEP_STR("code"), ticket);
        break;
    case 4:
        dep_buf_put_c(buf, "grant_type=refresh_token");
        dep_form_put(buf, DEP_STR("refresh_token"), ticket);
        break;
    case 5:
        dep_form_put(buf, DEP_STR("token"), ticket);
        break;
    default:
        dep_buf_put_c(buf, "request_uri=" DEP_REQUEST_URI_PREFIX);
        dep_buf_put(buf, ticket);
    }
}

static struct outcome send(uint8_t kind, uint8_t door, struct dep_str more)
{
    static const enum dep_endpoint endpoints[] = { DEP_ENDPOINT_AUTHORIZE, DEP_ENDPOINT_CONSENT, DEP_ENDPOINT_PAR,
                                                   DEP_ENDPOINT_TOKEN,     DEP_ENDPOINT_TOKEN,   DEP_ENDPOINT_REVOKE,
                                                   DEP_ENDPOINT_AUTHORIZE, DEP_ENDPOINT_CONSENT };
    static char memory[200000];
    struct dep_request request = { .endpoint = endpoints[kind & 7],
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth"),
                                   .peer = DEP_STR("192.0.2.1"),
                                   .headers = w.headers,
                                   .headers_count = 2,
                                   .is_from_login = true };
    struct dep_buf text;

    dep_buf_init(&text, memory, sizeof(memory));
    put_form(&text, kind & 7, door, make_ticket(kind, door));
    dep_buf_put_char(&text, '&');
    dep_buf_put(&text, more);
    w.headers[0] = (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    w.headers[1] = (struct dep_header){ DEP_STR(WORLD_LOGIN), login_of(door & 64 ? "mallory" : "alice", WORLD_ISSUER) };
    if (request.endpoint == DEP_ENDPOINT_AUTHORIZE) {
        request.method = DEP_STR("GET");
        request.query = dep_buf_str(&text);
    } else {
        request.body = dep_buf_str(&text);
    }
    if (door & 128)
        w.headers[request.headers_count++] =
            (struct dep_header){ DEP_STR("DPoP"), proof(kind & 64 ? w.other_proof_key : w.proof_key) };
    return world_run(&w, &request);
}

static void check_token(const struct dep_token *token)
{
    DEP_FUZZ_CHECK(dep_str_eq_c(token->sub, "user:corp:alice") && token->actors_count == 1);
    DEP_FUZZ_CHECK(dep_str_eq_c(token->actors[0], WORLD_ORCHESTRATOR) && token->exp <= WORLD_NOW + 300);
    DEP_FUZZ_CHECK(token->lineage_count == 1 && dep_str_eq_c(token->lineage[0], CONSENT_ID));
    DEP_FUZZ_CHECK(token->aud_count == 1 && dep_str_eq_c(token->aud[0], WORLD_API));
    DEP_FUZZ_CHECK(dep_str_is_blank(token->scope) || dep_scope_within(token->scope, DEP_STR("read")));
}

static bool has_control(struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= 0x20)
            return true;
    return false;
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_ticket consent;
    struct outcome o;
    size_t mark;

    if (size < 2)
        return;
    open_once();
    mark = w.texts.used;
    consent = w.consents[0];
    w.used_count = 0;
    o = send(data[0], data[1], dep_fuzz_text(data + 2, size - 2));
    if (dep_is_ok(o.res)) {
        const struct dep_decision *decision = &o.decision;

        DEP_FUZZ_CHECK(o.status != 0);
        if (decision->answer == DEP_ANSWER_TOKEN)
            check_token(&decision->token);
        for (size_t i = 0; i < decision->effects_count; i++)
            DEP_FUZZ_CHECK(decision->answer != DEP_ANSWER_REFUSAL || !dep_effect_gives(decision->effects[i].kind));
        DEP_FUZZ_CHECK(decision->answer != DEP_ANSWER_CODE ||
                       (!(data[1] & 64) && dep_str_starts(o.location, DEP_STR(CALLBACK))));
        DEP_FUZZ_CHECK(dep_str_is_absent(o.location) || ((dep_str_starts(o.location, DEP_STR(CALLBACK)) ||
                                                          dep_str_starts(o.location, DEP_STR("http://127.0.0.1"))) &&
                                                         !has_control(o.location)));
    }
    /* As if nothing had been asked. */
    w.consents[0] = consent;
    w.consents_count = 1;
    dep_revocations_free(w.revocations);
    w.revocations = dep_revocations_new(0);
    DEP_FUZZ_CHECK(w.revocations != NULL);
    dep_arena_reset(&w.arena);
    memset((char *)w.texts_memory + mark, 0, w.texts.used - mark);
    w.texts.used = mark;
}

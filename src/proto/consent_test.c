/* Users' consent from the question to the last refresh token (oauth-v2-1#4.1, #4.3, rfc7636, rfc9126, rfc9207, rfc9449#10). Attack cases B47,
 * B48, E01 to E30 as far as they are about these. */
#include "proto/page.h"
#include "proto/redirect.h"
#include "proto/world_fixture.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define ORCHESTRATOR 1u
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" /* rfc7636 appendix B */
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define CALLBACK "https://app.example/cb"
#define HERE "http://127.0.0.1:4711/cb"
#define PKCE "&code_challenge=" CHALLENGE "&code_challenge_method=S256"

static size_t public_client; /* of the orchestrator, without a secret */

/* An ID token for the user `sub`, as the proxy before the server sends it. */
static struct dep_str login_of(const char *sub, const char *aud)
{
    char payload[512];

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"%s\",\"aud\":\"%s\",\"exp\":%lld,\"iat\":%lld,\"acr\":\"mfa\","
                   "\"auth_time\":%lld}",
                   sub, aud, (long long)WORLD_NOW + 600, (long long)WORLD_NOW - 5, (long long)WORLD_NOW - 9);
    return world_sign_text(&w, w.idp_key, DEP_STR("JWT"), DEP_STR("idp-1"), dep_str_c(payload));
}

static struct outcome get(const char *query, struct dep_str login)
{
    (void)snprintf(w.body, sizeof(w.body), "%s", query);
    w.headers[0] = (struct dep_header){ DEP_STR(WORLD_LOGIN), login };

    const struct dep_request request = {
        .endpoint = DEP_ENDPOINT_AUTHORIZE,
        .method = DEP_STR("GET"),
        .path = DEP_STR("/oauth/authorize"),
        .peer = DEP_STR("192.0.2.1"),
        .query = dep_str_c(w.body),
        .headers = w.headers,
        .headers_count = dep_str_is_absent(login) ? 0 : 1,
    };

    return world_run(&w, &request);
}

/* A question with what every one needs, and `more`. */
static struct outcome ask(size_t client, const char *more)
{
    char query[9000];

    (void)snprintf(query, sizeof(query), "response_type=code&client_id=%s&resource=" WORLD_API "%s%s",
                   w.client_ids[client], strstr(more, "redirect_uri") == NULL ? "&redirect_uri=" CALLBACK : "", more);
    return get(query, login_of("alice", WORLD_ISSUER));
}

static struct outcome answer(struct dep_str page, const char *word, struct dep_str login)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "page=%.*s&answer=%s", DEP_STR_ARG(page), word);
    w.headers[0] = (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    w.headers[1] = (struct dep_header){ DEP_STR(WORLD_LOGIN), login };

    const struct dep_request request = {
        .endpoint = DEP_ENDPOINT_CONSENT,
        .method = DEP_STR("POST"),
        .path = DEP_STR("/oauth/consent"),
        .peer = DEP_STR("192.0.2.1"),
        .body = dep_str_c(body),
        .headers = w.headers,
        .headers_count = 2,
    };

    return world_run(&w, &request);
}

/* A form of a client that shows nothing but its name. */
static struct outcome post_public(enum dep_endpoint endpoint, const char *more, struct dep_str proof)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "client_id=%s%s", w.client_ids[public_client], more);
    w.headers[0] = (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    w.headers[1] = (struct dep_header){ DEP_STR("DPoP"), proof };

    const struct dep_request request = {
        .endpoint = endpoint,
        .method = DEP_STR("POST"),
        .path = DEP_STR("/oauth/token"),
        .peer = DEP_STR("192.0.2.1"),
        .body = dep_str_c(body),
        .headers = w.headers,
        .headers_count = dep_str_is_absent(proof) ? 1 : 2,
    };

    return world_run(&w, &request);
}

/* The code that a user gives when asked with `more`. */
static struct dep_str code_of(struct dep_test *t, size_t client, const char *more)
{
    struct outcome o = ask(client, more);

    dep_test_check(t, o.decision.answer == DEP_ANSWER_PAGE, "the page", __LINE__, "%s",
                   dep_err_name(o.decision.reason));
    o = answer(o.decision.sealed, "yes", login_of("alice", WORLD_ISSUER));
    dep_test_check(t, o.decision.answer == DEP_ANSWER_CODE, "the code", __LINE__, "%s",
                   dep_err_name(o.decision.reason));
    return o.decision.sealed;
}

static struct outcome redeem(struct dep_str code, const char *verifier, const char *more, struct dep_str proof)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "&grant_type=authorization_code&code=%.*s&code_verifier=%s%s", DEP_STR_ARG(code),
                   verifier, more);
    return post_public(DEP_ENDPOINT_TOKEN, body, proof);
}

static struct outcome refresh(struct dep_str token, const char *more, struct dep_str proof)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "&grant_type=refresh_token&refresh_token=%.*s%s", DEP_STR_ARG(token), more);
    return post_public(DEP_ENDPOINT_TOKEN, body, proof);
}

static struct dep_str proof(const struct dep_private_key *key)
{
    return world_proof(&w, key, WORLD_NOW, DEP_STR_ABSENT);
}

static struct dep_str jkt_of(const struct dep_private_key *key)
{
    struct dep_str jkt;

    DEP_ASSERT(dep_is_ok(dep_jwk_jkt_of(&w.texts, w.crypto, key, &jkt)));
    return jkt;
}

static bool holds(struct dep_str text, const char *piece)
{
    size_t len = strlen(piece);

    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.ptr + i, piece, len) == 0)
            return true;
    return false;
}

DEP_TEST(a_user_consents_and_an_agent_acts)
{
    struct outcome page = ask(public_client, "&scope=read&state=a%20b%22&redirect_uri=" HERE PKCE);
    struct outcome code, first, second;
    struct dep_str jti;

    DEP_CHECK(t, page.decision.answer == DEP_ANSWER_PAGE && page.status == 200);
    DEP_CHECK(t, holds(page.body, "user:corp:alice") && holds(page.body, "127.0.0.1") && holds(page.body, "read"));
    code = answer(page.decision.sealed, "yes", login_of("alice", WORLD_ISSUER));
    DEP_CHECK(t, code.decision.answer == DEP_ANSWER_CODE && code.status == 303);
    DEP_CHECK(t, dep_str_starts(code.location, DEP_STR(HERE "?code=")));
    DEP_CHECK(t, holds(code.location, "&state=a+b%22&iss=https%3A%2F%2Fas.example"));
    first = redeem(code.decision.sealed, VERIFIER, "&task_id=T1", proof(w.proof_key));
    DEP_CHECK_ISSUED(t, first);
    DEP_CHECK_STR(t, first.decision.token.sub, "user:corp:alice");
    DEP_CHECK(t, first.decision.token.actors_count == 1);
    DEP_CHECK_STR(t, first.decision.token.actors[0], WORLD_ORCHESTRATOR);
    DEP_CHECK_STR(t, first.decision.token.scope, "read");
    DEP_CHECK_STR(t, first.decision.token.acr, "mfa");
    DEP_CHECK(t, first.decision.token.auth_time == WORLD_NOW - 9);
    DEP_CHECK(t, dep_str_eq(first.decision.token.jkt, jkt_of(w.proof_key)));
    DEP_CHECK(t, first.decision.token.lineage_count == 1);
    DEP_CHECK(t, dep_str_eq(first.decision.token.lineage[0], first.decision.ticket.id));
    DEP_CHECK(t, holds(first.body, "\"refresh_token\":\""));
    jti = world_keep(&w, first.decision.token.lineage[0]);
    second = refresh(first.decision.sealed, "", proof(w.proof_key));
    DEP_CHECK_ISSUED(t, second);
    DEP_CHECK(t, dep_str_eq(second.decision.token.lineage[0], jti));
    DEP_CHECK(t, second.decision.ticket.turn == 1);
}

DEP_TEST(B48_dpop_jkt_binds_the_code)
{
    struct dep_str k1 = jkt_of(w.proof_key), code;
    char more[1024];
    struct outcome o;

    (void)snprintf(more, sizeof(more), PKCE "&dpop_jkt=%.*s", DEP_STR_ARG(k1));
    code = code_of(t, public_client, more);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "", proof(w.other_proof_key)), CODE_KEY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "", NO_PROOF), DPOP_REQUIRED, INVALID_DPOP_PROOF);
    DEP_CHECK_ISSUED(t, redeem(code, VERIFIER, "", proof(w.proof_key))); /* a failure used nothing up */
    DEP_CHECK_REFUSED(t, ask(public_client, PKCE "&dpop_jkt=short"), PARAM_SYNTAX, INVALID_REQUEST);

    /* At PAR the proof says it too, and both must say the same. */
    unsigned char random[16] = { 1, (unsigned char)w.counter };
    struct dep_str at_par;

    DEP_ASSERT(dep_is_ok(dep_dpop_sign(&w.texts, w.crypto, w.other_proof_key, DEP_STR("POST"),
                                       DEP_STR(WORLD_ISSUER "/oauth/par"), DEP_STR_ABSENT, DEP_STR_ABSENT, WORLD_NOW,
                                       random, &at_par)));
    (void)snprintf(more, sizeof(more),
                   "&response_type=code&resource=" WORLD_API "&redirect_uri=" CALLBACK PKCE "&dpop_jkt=%.*s",
                   DEP_STR_ARG(k1));
    DEP_CHECK_REFUSED(t, post_public(DEP_ENDPOINT_PAR, more, at_par), DPOP_KEY, INVALID_DPOP_PROOF);
    o = post_public(DEP_ENDPOINT_PAR, "&response_type=code&resource=" WORLD_API "&redirect_uri=" CALLBACK PKCE, at_par);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_PUSHED && o.status == 201);
    DEP_CHECK(t, dep_str_eq(o.decision.ticket.jkt, jkt_of(w.other_proof_key)));
    DEP_CHECK_REFUSED(t,
                      post_public(DEP_ENDPOINT_PAR,
                                  "&response_type=code&resource=" WORLD_API "&redirect_uri=" CALLBACK PKCE,
                                  proof(w.proof_key)),
                      DPOP_HTU, INVALID_DPOP_PROOF);
    DEP_CHECK_REFUSED(
        t,
        post_public(DEP_ENDPOINT_PAR, "&response_type=code&resource=" WORLD_API "&redirect_uri=" CALLBACK PKCE, at_par),
        DPOP_REPLAY, INVALID_DPOP_PROOF);
}

DEP_TEST(B47_a_public_clients_refresh_token_is_bound_to_its_key)
{
    struct outcome o = redeem(code_of(t, public_client, PKCE), VERIFIER, "", proof(w.proof_key));
    struct dep_str token = o.decision.sealed;

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_REFUSED(t, refresh(token, "", NO_PROOF), DPOP_REQUIRED, INVALID_DPOP_PROOF);
    DEP_CHECK_REFUSED(t, refresh(token, "", proof(w.other_proof_key)), CODE_KEY, INVALID_GRANT);
    DEP_CHECK_ISSUED(t, refresh(token, "", proof(w.proof_key))); /* its owner was not disturbed */
    /* Without a key there is none. */
    o = redeem(code_of(t, public_client, PKCE), VERIFIER, "", NO_PROOF);
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, !o.decision.has_ticket && !holds(o.body, "refresh_token"));
}

DEP_TEST(E25_a_used_refresh_token_ends_the_consent)
{
    struct outcome first = redeem(code_of(t, public_client, PKCE "&scope=read"), VERIFIER, "", proof(w.proof_key));
    struct dep_str old = first.decision.sealed;
    struct outcome second = refresh(old, "", proof(w.proof_key));
    size_t before = dep_revocations_count(w.revocations);

    DEP_CHECK_ISSUED(t, second);
    DEP_CHECK(t, !dep_revocations_cover(w.revocations, &second.decision.token));
    /* A thief without the key disturbs nobody. */
    DEP_CHECK_REFUSED(t, refresh(old, "", proof(w.other_proof_key)), CODE_KEY, INVALID_GRANT);
    DEP_CHECK(t, dep_revocations_count(w.revocations) == before);
    DEP_CHECK_REFUSED(t, refresh(old, "", proof(w.proof_key)), REFRESH_REPLAY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, refresh(second.decision.sealed, "", proof(w.proof_key)), CONSENT_REVOKED, INVALID_GRANT);

    struct dep_token dead = { .jti = DEP_STR("x"), .lineage = { second.decision.ticket.id }, .lineage_count = 1 };

    DEP_CHECK(t, dep_revocations_cover(w.revocations, &dead)); /* and every token that came of it */
}

DEP_TEST(E01_a_used_code_ends_what_came_of_it)
{
    struct dep_str code = code_of(t, public_client, PKCE);
    struct outcome o = redeem(code, VERIFIER, "", proof(w.proof_key));
    struct dep_str token = o.decision.sealed;
    size_t before = dep_revocations_count(w.revocations);

    DEP_CHECK_ISSUED(t, o);
    /* Whoever could not have redeemed it revokes nothing (oauth-v2-1#7.5.2). */
    DEP_CHECK_REFUSED(t, redeem(code, CHALLENGE, "", NO_PROOF), CODE_VERIFIER, INVALID_GRANT);
    DEP_CHECK(t, dep_revocations_count(w.revocations) == before);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "", NO_PROOF), CODE_REPLAY, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, refresh(token, "", proof(w.proof_key)), CONSENT_REVOKED, INVALID_GRANT);
}

DEP_TEST(E05_E08_codes_are_short_and_want_their_verifier)
{
    struct dep_ticket late = { .id = DEP_STR("x"),
                               .made = WORLD_NOW - 60,
                               .expires = WORLD_NOW,
                               .client_id = w.clients[public_client].id,
                               .challenge = DEP_STR(CHALLENGE),
                               .user = DEP_STR("user:corp:alice"),
                               .org = DEP_STR("acme") };
    struct dep_str code = world_seal(&w, DEP_TICKET_CODE, &late);

    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "", NO_PROOF), CODE_UNKNOWN, INVALID_GRANT);
    code = code_of(t, public_client, PKCE);
    DEP_CHECK_REFUSED(t, redeem(code, "", "", NO_PROOF), PARAM_MISSING, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, redeem(code, "0123456789012345678901234567890123456789ab", "", NO_PROOF), PARAM_SYNTAX,
                      INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER "%20", "", NO_PROOF), PARAM_SYNTAX, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, redeem(code, "0123456789012345678901234567890123456789012", "", NO_PROOF), CODE_VERIFIER,
                      INVALID_GRANT);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "&code_verifier=" VERIFIER, NO_PROOF), PARAM_DUPLICATE,
                      INVALID_REQUEST);
    DEP_CHECK_ISSUED(t, redeem(code, VERIFIER, "", NO_PROOF));
}

DEP_TEST(E06_the_redirect_uri_counts_when_it_is_repeated)
{
    struct dep_str code = code_of(t, public_client, PKCE "&redirect_uri=" HERE);

    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "&redirect_uri=" CALLBACK, NO_PROOF), CODE_REDIRECT_URI, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "&redirect_uri=" HERE "?x=1", NO_PROOF), CODE_REDIRECT_URI,
                      INVALID_GRANT);
    DEP_CHECK_ISSUED(t, redeem(code, VERIFIER, "&redirect_uri=" HERE, NO_PROOF));
}

DEP_TEST(E24_a_ticket_opens_as_its_own_kind_only)
{
    struct outcome o = redeem(code_of(t, public_client, PKCE), VERIFIER, "", proof(w.proof_key));
    struct dep_ticket ticket = { .id = world_keep(&w, o.decision.ticket.id),
                                 .client_id = w.clients[public_client].id,
                                 .made = WORLD_NOW,
                                 .expires = WORLD_NOW + 60 };
    struct dep_str text;

    DEP_CHECK_ISSUED(t, o);
    for (int kind = 0; kind < DEP_TICKET_KINDS; kind++) {
        text = world_seal(&w, (enum dep_ticket_kind)kind, &ticket);
        if (kind != DEP_TICKET_CODE)
            DEP_CHECK_REFUSED(t, redeem(text, VERIFIER, "", NO_PROOF), CODE_UNKNOWN, INVALID_GRANT);
        if (kind != DEP_TICKET_REFRESH)
            DEP_CHECK_REFUSED(t, refresh(text, "", proof(w.proof_key)), CODE_UNKNOWN, INVALID_GRANT);
        if (kind != DEP_TICKET_ASKED)
            DEP_CHECK_REFUSED(t, answer(text, "yes", login_of("alice", WORLD_ISSUER)), CONSENT_FORM, INVALID_REQUEST);
    }
    /* One bit elsewhere. */
    text = world_keep(&w, o.decision.sealed);
    ((char *)(uintptr_t)text.ptr)[text.len / 2] ^= 1;
    DEP_CHECK_REFUSED(t, refresh(text, "", proof(w.proof_key)), CODE_UNKNOWN, INVALID_GRANT);
}

DEP_TEST(E27_refresh_tokens_are_their_clients_own)
{
    struct outcome o = redeem(code_of(t, public_client, PKCE), VERIFIER, "", proof(w.proof_key));
    char body[20000];

    DEP_CHECK_ISSUED(t, o);
    (void)snprintf(body, sizeof(body), "grant_type=refresh_token&refresh_token=%.*s", DEP_STR_ARG(o.decision.sealed));
    DEP_CHECK_REFUSED(t, world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, proof(w.proof_key)), CODE_CLIENT,
                      INVALID_GRANT);
    /* Nor may anybody end another's consent; its client may, and the old turns of it are good enough for that. */
    (void)snprintf(body, sizeof(body), "token=%.*s", DEP_STR_ARG(o.decision.sealed));
    DEP_CHECK_REFUSED(t, world_post(&w, DEP_ENDPOINT_REVOKE, ORCHESTRATOR, body, NO_PROOF), TOKEN_NOT_YOURS,
                      UNAUTHORIZED_CLIENT);
    (void)snprintf(body, sizeof(body), "&token=%.*s&token_type_hint=access_token", DEP_STR_ARG(o.decision.sealed));
    DEP_CHECK(t, post_public(DEP_ENDPOINT_REVOKE, body, NO_PROOF).status == 200);
    DEP_CHECK_REFUSED(t, refresh(o.decision.sealed, "", proof(w.proof_key)), CONSENT_REVOKED, INVALID_GRANT);
}

DEP_TEST(E31_a_client_with_a_secret_keeps_its_refresh_token)
{
    struct dep_str code = code_of(t, ORCHESTRATOR, PKCE);
    char body[20000];
    struct outcome o;

    (void)snprintf(body, sizeof(body), "grant_type=authorization_code&code=%.*s&code_verifier=" VERIFIER,
                   DEP_STR_ARG(code));
    o = world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body, proof(w.proof_key));
    DEP_CHECK_ISSUED(t, o);
    (void)snprintf(body, sizeof(body), "grant_type=refresh_token&refresh_token=%.*s", DEP_STR_ARG(o.decision.sealed));
    for (int i = 0; i < 3; i++) /* with any key, or none (rfc9449#5) */
        DEP_CHECK_ISSUED(t, world_post(&w, DEP_ENDPOINT_TOKEN, ORCHESTRATOR, body,
                                       i == 0   ? proof(w.other_proof_key)
                                       : i == 1 ? proof(w.proof_key)
                                                : NO_PROOF));
}

DEP_TEST(E29_E30_a_refresh_is_measured_by_the_records_of_now)
{
    struct outcome o = redeem(code_of(t, public_client, PKCE "&scope=read+write"), VERIFIER, "", proof(w.proof_key));
    struct dep_str token = o.decision.sealed;

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_REFUSED(t, refresh(token, "&scope=read+write+delete", proof(w.proof_key)), SCOPE_CEILING, INVALID_SCOPE);
    DEP_CHECK_REFUSED(t, refresh(token, "&resource=" WORLD_API2, proof(w.proof_key)), TARGET_FORBIDDEN, INVALID_TARGET);
    w.agents[ORCHESTRATOR].effective_state = DEP_STATE_SUSPENDED;
    DEP_CHECK_REFUSED(t, refresh(token, "", proof(w.proof_key)), CLIENT_AGENT_STATE, INVALID_CLIENT);
    w.agents[ORCHESTRATOR].effective_state = DEP_STATE_ACTIVE;
    w.issuer.is_enabled = false;
    DEP_CHECK_REFUSED(t, refresh(token, "", proof(w.proof_key)), EXCHANGE_PRINCIPAL, INVALID_GRANT);
    w.issuer.is_enabled = true;
    w.issuer.has_agents = true; /* and the list is empty: the user may hand over to nobody any more */
    DEP_CHECK_REFUSED(t, refresh(token, "", proof(w.proof_key)), EXCHANGE_EDGE, INVALID_GRANT);
    w.issuer.has_agents = false;
    o = refresh(token, "&scope=read", proof(w.proof_key));
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.scope, "read");
    /* Less was asked for once; the consent is what it was. */
    o = refresh(o.decision.sealed, "", proof(w.proof_key));
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK_STR(t, o.decision.token.scope, "read write");
}

static const struct {
    const char *name, *more;
    enum dep_err reason;
    enum dep_class class;
    bool is_redirected;
} questions[] = {
    { "E10 another case", PKCE "&redirect_uri=https://app.example/CB", DEP_ERR_REDIRECT_URI, DEP_CLASS_INVALID_REQUEST,
      false },
    { "E10 a slash more", PKCE "&redirect_uri=https://app.example/cb/", DEP_ERR_REDIRECT_URI, DEP_CLASS_INVALID_REQUEST,
      false },
    { "E10 a query more", PKCE "&redirect_uri=https://app.example/cb?x=1", DEP_ERR_REDIRECT_URI,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E10 a fragment", PKCE "&redirect_uri=https://app.example/cb%23f", DEP_ERR_REDIRECT_URI,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E10 dot segments", PKCE "&redirect_uri=https://app.example/cb/../x", DEP_ERR_REDIRECT_URI,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E10 another port", PKCE "&redirect_uri=https://app.example:444/cb", DEP_ERR_REDIRECT_URI,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E10 plain http", PKCE "&redirect_uri=http://app.example/cb", DEP_ERR_REDIRECT_URI, DEP_CLASS_INVALID_REQUEST,
      false },
    { "E10 a dot after the host", PKCE "&redirect_uri=https://app.example./cb", DEP_ERR_REDIRECT_URI,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E13 a name like loopback's", PKCE "&redirect_uri=http://127.0.0.1.evil.test/cb", DEP_ERR_REDIRECT_URI,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E13 a short form", PKCE "&redirect_uri=http://127.1/cb", DEP_ERR_REDIRECT_URI, DEP_CLASS_INVALID_REQUEST,
      false },
    { "E13 another loopback", PKCE "&redirect_uri=http://[::1]:9/cb", DEP_ERR_REDIRECT_URI, DEP_CLASS_INVALID_REQUEST,
      false },
    { "E13 userinfo", PKCE "&redirect_uri=http://127.0.0.1:1@evil.test/cb", DEP_ERR_REDIRECT_URI,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E14 token", PKCE "&redirect_uri=" HERE "&response_type=token", DEP_ERR_PARAM_DUPLICATE,
      DEP_CLASS_INVALID_REQUEST, false },
    { "E15 client_id twice", PKCE "&client_id=x", DEP_ERR_PARAM_DUPLICATE, DEP_CLASS_INVALID_REQUEST, false },
    { "O5 no challenge", "&redirect_uri=" HERE, DEP_ERR_PKCE_MISSING, DEP_CLASS_INVALID_REQUEST, true },
    { "O6 no method, which is plain", "&code_challenge=" CHALLENGE, DEP_ERR_PKCE_METHOD, DEP_CLASS_INVALID_REQUEST,
      true },
    { "O6 plain", "&code_challenge_method=plain&code_challenge=" CHALLENGE, DEP_ERR_PKCE_METHOD,
      DEP_CLASS_INVALID_REQUEST, true },
    { "O6 a short challenge", "&code_challenge_method=S256&code_challenge=abc", DEP_ERR_PKCE_MISSING,
      DEP_CLASS_INVALID_REQUEST, true },
    { "a scope that nobody has", PKCE "&scope=admin", DEP_ERR_SCOPE_CEILING, DEP_CLASS_INVALID_SCOPE, true },
    { "a resource that nobody knows", PKCE "&resource=https://nowhere.example", DEP_ERR_TARGET_UNKNOWN,
      DEP_CLASS_INVALID_TARGET, true },
    { "E18 a request_uri of a stranger", "&request_uri=urn:x:y", DEP_ERR_REQUEST_URI, DEP_CLASS_INVALID_REQUEST,
      false },
    { "E18 a guessed one",
      "&request_uri=" DEP_REQUEST_URI_PREFIX "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      DEP_ERR_REQUEST_URI, DEP_CLASS_INVALID_REQUEST, false },
};

DEP_TEST(E10_E13_E14_E15_E17_bad_questions)
{
    for (size_t i = 0; i < DEP_COUNT(questions); i++) {
        struct outcome o = ask(public_client, questions[i].more);

        dep_test_check(t,
                       o.decision.answer == DEP_ANSWER_REFUSAL && o.decision.reason == questions[i].reason &&
                           o.decision.class == questions[i].class,
                       questions[i].name, __LINE__, "got %s, %s", dep_err_name(o.decision.reason),
                       dep_class_name(o.decision.class));
        dep_test_check(t, (o.status == 303) == questions[i].is_redirected, questions[i].name, __LINE__, "status %d",
                       o.status);
        if (questions[i].is_redirected)
            dep_test_check(t, holds(o.location, "error=") && holds(o.location, "&iss=https%3A%2F%2Fas.example"),
                           questions[i].name, __LINE__, "%.*s", DEP_STR_ARG(o.location));
        else
            dep_test_check(t, dep_str_is_absent(o.location) && holds(o.body, "<h1>"), questions[i].name, __LINE__,
                           "%.*s", DEP_STR_ARG(o.body));
    }
    char query[512];

    (void)snprintf(query, sizeof(query), "client_id=%s&response_type=token&redirect_uri=" CALLBACK PKCE,
                   w.client_ids[public_client]);
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), RESPONSE_TYPE, UNSUPPORTED_RESPONSE_TYPE);
    (void)snprintf(query, sizeof(query), "client_id=nobody&response_type=code" PKCE);
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), CLIENT_UNKNOWN, INVALID_CLIENT);
    (void)snprintf(query, sizeof(query), "client_id=%s&response_type=code" PKCE, w.client_ids[0]);
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), REDIRECT_URI, INVALID_REQUEST);
}

DEP_TEST(E16_state_comes_back_as_it_was)
{
    static const struct {
        const char *sent, *back;
    } states[] = {
        { "%0D%0ALocation%3A%20x", "&state=%0D%0ALocation%3A+x&" },
        { "%3C%3E%22'%E2%80%AE", "&state=%3C%3E%22%27%E2%80%AE&" },
    };

    for (size_t i = 0; i < DEP_COUNT(states); i++) {
        char more[512];
        struct outcome o;

        (void)snprintf(more, sizeof(more), "%s&scope=admin&state=%s", PKCE, states[i].sent);
        o = ask(public_client, more);
        DEP_CHECK(t, o.status == 303 && holds(o.location, states[i].back));
    }
    static char large[4800], back[4800];
    size_t len = strlen(PKCE "&scope=admin&state=");

    (void)snprintf(large, sizeof(large), PKCE "&scope=admin&state=%04000d", 0);
    (void)snprintf(back, sizeof(back), "&state=%s&", large + len);
    DEP_CHECK(t, holds(ask(public_client, large).location, back));
}

DEP_TEST(E18_a_pushed_request_is_used_once)
{
    struct outcome o = post_public(DEP_ENDPOINT_PAR,
                                   "&response_type=code&state=s1&resource=" WORLD_API "&scope=read"
                                   "&redirect_uri=" HERE PKCE,
                                   NO_PROOF);
    struct dep_str uri = o.decision.sealed, first, second;
    char query[9000];

    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_PUSHED && o.decision.ticket.expires == WORLD_NOW + 60);
    (void)snprintf(query, sizeof(query),
                   "client_id=%s&scope=delete&state=other&request_uri=" DEP_REQUEST_URI_PREFIX "%.*s",
                   w.client_ids[public_client], DEP_STR_ARG(uri));
    /* A page may be loaded twice, and is answered once. What stands beside request_uri counts for nothing. */
    first = get(query, login_of("alice", WORLD_ISSUER)).decision.sealed;
    second = get(query, login_of("alice", WORLD_ISSUER)).decision.sealed;
    o = answer(first, "yes", login_of("alice", WORLD_ISSUER));
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_CODE && holds(o.location, "&state=s1&"));
    DEP_CHECK_STR(t, o.decision.ticket.scope, "read");
    DEP_CHECK_REFUSED(t, answer(second, "yes", login_of("alice", WORLD_ISSUER)), CONSENT_ANSWERED, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, answer(first, "yes", login_of("alice", WORLD_ISSUER)), CONSENT_ANSWERED, INVALID_REQUEST);
    (void)snprintf(query, sizeof(query), "client_id=%s&request_uri=" DEP_REQUEST_URI_PREFIX "%.*s",
                   w.client_ids[ORCHESTRATOR], DEP_STR_ARG(uri));
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), REQUEST_URI, INVALID_REQUEST);
    DEP_CHECK_REFUSED(
        t,
        post_public(DEP_ENDPOINT_PAR, "&response_type=code&redirect_uri=" CALLBACK "&request_uri=urn:x" PKCE, NO_PROOF),
        REQUEST_URI, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, post_public(DEP_ENDPOINT_PAR, "&response_type=code&redirect_uri=" CALLBACK, NO_PROOF),
                      PKCE_MISSING, INVALID_REQUEST);
    /* C19: a client that has a secret shows it here too. */
    (void)snprintf(query, sizeof(query), "&response_type=code&resource=" WORLD_API "&redirect_uri=" CALLBACK PKCE);
    w.clients[public_client].auth = DEP_CLIENT_AUTH_BASIC;
    DEP_CHECK_REFUSED(t, post_public(DEP_ENDPOINT_PAR, query, NO_PROOF), CLIENT_METHOD, INVALID_CLIENT);
    w.clients[public_client].auth = DEP_CLIENT_AUTH_NONE;
}

DEP_TEST(E22_E23_a_page_is_for_one_user)
{
    struct dep_str page = ask(public_client, PKCE "&state=s").decision.sealed;
    struct outcome o;

    DEP_CHECK_REFUSED(t, answer(page, "yes", login_of("mallory", WORLD_ISSUER)), LOGIN_OTHER, LOGIN);
    DEP_CHECK_REFUSED(t, answer(page, "yes", DEP_STR("")), LOGIN_MISSING, LOGIN);
    DEP_CHECK_REFUSED(t, answer(page, "perhaps", login_of("alice", WORLD_ISSUER)), PARAM_SYNTAX, INVALID_REQUEST);
    o = answer(page, "no", login_of("alice", WORLD_ISSUER));
    DEP_CHECK_REFUSED(t, o, CONSENT_DENIED, FORBIDDEN);
    DEP_CHECK(t, o.status == 303 && holds(o.location, "error=access_denied") && holds(o.location, "&state=s&iss="));
    DEP_CHECK(t, answer(page, "yes", login_of("alice", WORLD_ISSUER)).decision.answer == DEP_ANSWER_CODE);
}

DEP_TEST(logins_are_of_issuers_that_are_trusted_for_them)
{
    char query[1024];

    (void)snprintf(query, sizeof(query),
                   "response_type=code&client_id=%s&redirect_uri=" CALLBACK "&resource=" WORLD_API PKCE,
                   w.client_ids[public_client]);
    DEP_CHECK_REFUSED(t, get(query, DEP_STR_ABSENT), LOGIN_MISSING, LOGIN);
    DEP_CHECK_REFUSED(t, get(query, DEP_STR("not a token")), JWS_SEGMENTS, LOGIN);
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", "https://other.example")), JWT_AUD, LOGIN);
    DEP_CHECK(t, get(query, login_of("alice", "https://other.example")).status == 401);
    w.issuer.uses &= ~DEP_ISSUER_LOGIN;
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), JWT_ISS, LOGIN);
    w.issuer.uses |= DEP_ISSUER_LOGIN;
    w.policy.consent.login_header = DEP_STR_ABSENT; /* no user logs in here */
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), HTTP_PATH, NOT_FOUND);
    DEP_CHECK_REFUSED(t, redeem(DEP_STR("x"), VERIFIER, "", NO_PROOF), GRANT_UNSUPPORTED, UNSUPPORTED_GRANT_TYPE);
    w.policy.consent.login_header = DEP_STR(WORLD_LOGIN);
    DEP_CHECK(t, get(query, login_of("alice", WORLD_ISSUER)).decision.answer == DEP_ANSWER_PAGE);
}

DEP_TEST(pages_escape_what_they_show)
{
    char memory[256];
    struct dep_buf buf;
    struct outcome o;
    unsigned char hash[DEP_SHA256_LEN];

    dep_buf_init(&buf, memory, sizeof(memory));
    dep_page_put_text(&buf, DEP_STR("<a href=\"x\">'&\n"));
    DEP_CHECK_STR(t, dep_buf_str(&buf), "&lt;a href=&quot;x&quot;&gt;&#39;&amp; ");
    w.agents[ORCHESTRATOR].name = DEP_STR("<script>");
    o = ask(public_client, PKCE);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_PAGE && !holds(o.body, "<script>") && holds(o.body, "&lt;script&gt;"));
    w.agents[ORCHESTRATOR].name = DEP_STR("an agent");
    /* The policy lets this style in, and no other. */
    dep_sha256(w.crypto, dep_str_c(dep_page_style), hash);
    dep_buf_init(&buf, memory, sizeof(memory));
    dep_b64_put(&buf, hash, sizeof(hash));
    DEP_CHECK_STR(t, dep_buf_str(&buf), dep_page_style_hash);
}

DEP_TEST(redirect_uris_that_may_be_registered)
{
    static const struct {
        const char *uri;
        bool is_good;
    } uris[] = {
        { "https://app.example/cb", true },
        { "https://app.example/cb?a=b", true },
        { "http://127.0.0.1/cb", true },
        { "http://[::1]:9/cb", true },
        { "http://localhost:8080/cb", true },
        { "com.example.app:/cb", true },
        { "http://app.example/cb", false },
        { "https://app.example/cb#f", false },
        { "myapp:/cb", false },
        { "javascript:alert(1)", false },
        { "https://user@app.example/cb", false },
        { "https://app.example;x/cb", false },
        { "/cb", false },
        { "", false },
    };

    for (size_t i = 0; i < DEP_COUNT(uris); i++)
        dep_test_check(t, dep_redirect_uri_is_good(dep_str_c(uris[i].uri)) == uris[i].is_good, uris[i].uri, __LINE__,
                       "is good: %d", uris[i].is_good);
    DEP_CHECK(t, dep_redirect_uri_matches(DEP_STR("http://127.0.0.1/cb"), DEP_STR(HERE)));
    DEP_CHECK(t, dep_redirect_uri_matches(DEP_STR("http://[::1]:1/cb"), DEP_STR("http://[::1]/cb")));
    DEP_CHECK(t, !dep_redirect_uri_matches(DEP_STR("http://localhost/cb"), DEP_STR("http://localhost:9/cb")));
    DEP_CHECK(t, !dep_redirect_uri_matches(DEP_STR("http://127.0.0.1/cb"), DEP_STR("http://127.0.0.1/other")));
    DEP_CHECK(t, !dep_redirect_uri_matches(DEP_STR("http://127.0.0.1/cb"), DEP_STR("https://127.0.0.1/cb")));
}

/* Two clients of the orchestrator's for users: one without a secret, and its own. */
static void add_clients(void)
{
    struct dep_client *client;

    w.issuer.uses |= DEP_ISSUER_LOGIN;
    public_client = w.clients_count;
    client = world_client(&w, w.agents[ORCHESTRATOR].id, DEP_STR_ABSENT);
    client->auth = DEP_CLIENT_AUTH_NONE;
    client->secrets_count = 0;
    for (size_t i = 0; i < 2; i++) {
        client->grants = DEP_GRANT_AUTHORIZATION_CODE | DEP_GRANT_REFRESH_TOKEN;
        client->redirect_uris[client->redirect_uris_count++] = DEP_STR(CALLBACK);
        if (i == 0)
            client->redirect_uris[client->redirect_uris_count++] = DEP_STR("http://127.0.0.1/cb");
        client = &w.clients[ORCHESTRATOR];
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_user_consents_and_an_agent_acts),
        DEP_ROW(B48_dpop_jkt_binds_the_code),
        DEP_ROW(B47_a_public_clients_refresh_token_is_bound_to_its_key),
        DEP_ROW(E25_a_used_refresh_token_ends_the_consent),
        DEP_ROW(E01_a_used_code_ends_what_came_of_it),
        DEP_ROW(E05_E08_codes_are_short_and_want_their_verifier),
        DEP_ROW(E06_the_redirect_uri_counts_when_it_is_repeated),
        DEP_ROW(E24_a_ticket_opens_as_its_own_kind_only),
        DEP_ROW(E27_refresh_tokens_are_their_clients_own),
        DEP_ROW(E31_a_client_with_a_secret_keeps_its_refresh_token),
        DEP_ROW(E29_E30_a_refresh_is_measured_by_the_records_of_now),
        DEP_ROW(E10_E13_E14_E15_E17_bad_questions),
        DEP_ROW(E16_state_comes_back_as_it_was),
        DEP_ROW(E18_a_pushed_request_is_used_once),
        DEP_ROW(E22_E23_a_page_is_for_one_user),
        DEP_ROW(logins_are_of_issuers_that_are_trusted_for_them),
        DEP_ROW(pages_escape_what_they_show),
        DEP_ROW(redirect_uris_that_may_be_registered),
    };
    int failed;

    world_open(&w);
    add_clients();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

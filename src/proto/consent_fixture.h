/* Users who consent, for tests: two clients of the orchestrator's, a user's browser behind a proxy that logs users in. */
#ifndef DEP_PROTO_CONSENT_FIXTURE_H
#define DEP_PROTO_CONSENT_FIXTURE_H

#include "proto/world_fixture.h"

static struct world w;
#define NO_PROOF DEP_STR_ABSENT
#define ORCHESTRATOR 1u
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" /* rfc7636 appendix B */
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define CALLBACK "https://app.example/cb"
#define HERE "http://127.0.0.1:4711/cb"
#define PKCE "&code_challenge=" CHALLENGE "&code_challenge_method=S256"

static bool is_by_proxy = true; /* requests of the browser come by the proxy that logs users in */
static size_t public_client;    /* of the orchestrator, without a secret */

/* An ID token for the user `sub`, as the proxy before the server sends it. */
static inline struct dep_str login_of(const char *sub, const char *aud)
{
    char payload[512];

    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"" WORLD_IDP "\",\"sub\":\"%s\",\"aud\":\"%s\",\"exp\":%lld,\"iat\":%lld,\"acr\":\"mfa\","
                   "\"auth_time\":%lld}",
                   sub, aud, (long long)WORLD_NOW + 600, (long long)WORLD_NOW - 5, (long long)WORLD_NOW - 9);
    return world_sign_text(&w, w.idp_key, DEP_STR("JWT"), DEP_STR("idp-1"), dep_str_c(payload));
}

static inline struct outcome get(const char *query, struct dep_str login)
{
    (void)snprintf(w.body, sizeof(w.body), "%s", query);
    w.headers[0] = (struct dep_header){ DEP_STR(WORLD_LOGIN), login };

    const struct dep_request request = {
        .endpoint = DEP_ENDPOINT_AUTHORIZE,
        .method = DEP_STR("GET"),
        .path = DEP_STR("/oauth/authorize"),
        .peer = DEP_STR("192.0.2.1"),
        .is_from_login = is_by_proxy,
        .query = dep_str_c(w.body),
        .headers = w.headers,
        .headers_count = dep_str_is_absent(login) ? 0 : 1,
    };

    return world_run(&w, &request);
}

/* A question with what every one needs, and `more`. */
static inline struct outcome ask(size_t client, const char *more)
{
    char query[9000];

    (void)snprintf(query, sizeof(query), "response_type=code&client_id=%s&resource=" WORLD_API "%s%s",
                   w.client_ids[client], strstr(more, "redirect_uri") == NULL ? "&redirect_uri=" CALLBACK : "", more);
    return get(query, login_of("alice", WORLD_ISSUER));
}

static inline struct outcome answer(struct dep_str page, const char *word, struct dep_str login)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "page=%.*s&answer=%s", DEP_STR_ARG(page), word);
    w.headers[0] = (struct dep_header){ DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    w.headers[1] = (struct dep_header){ DEP_STR(WORLD_LOGIN), login };

    const struct dep_request request = {
        .endpoint = DEP_ENDPOINT_CONSENT,
        .method = DEP_STR("POST"),
        .path = DEP_STR("/oauth/consent"),
        .is_from_login = is_by_proxy,
        .peer = DEP_STR("192.0.2.1"),
        .body = dep_str_c(body),
        .headers = w.headers,
        .headers_count = 2,
    };

    return world_run(&w, &request);
}

/* A form of a client that shows nothing but its name. */
static inline struct outcome post_public(enum dep_endpoint endpoint, const char *more, struct dep_str proof)
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
static inline struct dep_str code_of(struct dep_test *t, size_t client, const char *more)
{
    struct outcome o = ask(client, more);

    dep_test_check(t, o.decision.answer == DEP_ANSWER_PAGE, "the page", __LINE__, "%s",
                   dep_err_name(o.decision.reason));
    o = answer(o.decision.sealed, "yes", login_of("alice", WORLD_ISSUER));
    dep_test_check(t, o.decision.answer == DEP_ANSWER_CODE, "the code", __LINE__, "%s",
                   dep_err_name(o.decision.reason));
    return o.decision.sealed;
}

static inline struct outcome redeem(struct dep_str code, const char *verifier, const char *more, struct dep_str proof)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "&grant_type=authorization_code&code=%.*s&code_verifier=%s%s", DEP_STR_ARG(code),
                   verifier, more);
    return post_public(DEP_ENDPOINT_TOKEN, body, proof);
}

static inline struct outcome refresh(struct dep_str token, const char *more, struct dep_str proof)
{
    static char body[20000];

    (void)snprintf(body, sizeof(body), "&grant_type=refresh_token&refresh_token=%.*s%s", DEP_STR_ARG(token), more);
    return post_public(DEP_ENDPOINT_TOKEN, body, proof);
}

static inline struct dep_str proof(const struct dep_private_key *key)
{
    return world_proof(&w, key, WORLD_NOW, DEP_STR_ABSENT);
}

static inline struct dep_str jkt_of(const struct dep_private_key *key)
{
    struct dep_str jkt;

    DEP_ASSERT(dep_is_ok(dep_jwk_jkt_of(&w.texts, w.crypto, key, &jkt)));
    return jkt;
}

static inline bool holds(struct dep_str text, const char *piece)
{
    size_t len = strlen(piece);

    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.ptr + i, piece, len) == 0)
            return true;
    return false;
}

/* Two clients of the orchestrator's for users: one without a secret, and its own. */
static inline void add_clients(void)
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

#endif

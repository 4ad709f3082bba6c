/* Users are asked for consent (oauth-v2-1#4.1.1, rfc7636, rfc9126, rfc9207): from the question to the code. Attack cases E10 to E23. */
#include "proto/consent_fixture.h"
#include "proto/page.h"

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
    { "response_type twice", PKCE "&redirect_uri=" HERE "&response_type=token", DEP_ERR_PARAM_DUPLICATE,
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
    { "a scope that is none", PKCE "&scope=a%22b", DEP_ERR_SCOPE_SYNTAX, DEP_CLASS_INVALID_SCOPE, true },
    { "a resource that is none", PKCE "&resource=x", DEP_ERR_TARGET_SYNTAX, DEP_CLASS_INVALID_TARGET, true },
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
    DEP_CHECK_REFUSED(t, ask(public_client, PKCE "&response_mode=fragment"), RESPONSE_MODE, INVALID_REQUEST);
    DEP_CHECK(t, ask(public_client, PKCE "&response_mode=query").decision.answer == DEP_ANSWER_PAGE);
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
    /* Nor by somebody else, on a page that was loaded at the end of its minute: it is the same thing to the store (the world looks). */
    o = get(query, login_of("carol", WORLD_ISSUER));
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_PAGE);
    o.decision.ticket.expires += 59;
    second = world_seal(&w, DEP_TICKET_ASKED, &o.decision.ticket);
    DEP_CHECK_REFUSED(t, answer(second, "yes", login_of("carol", WORLD_ISSUER)), CONSENT_ANSWERED, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, answer(second, "no", login_of("carol", WORLD_ISSUER)), CONSENT_ANSWERED, INVALID_REQUEST);
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
    o = answer(page, "no", login_of("alice", WORLD_ISSUER));
    DEP_CHECK_REFUSED(t, o, CONSENT_DENIED, FORBIDDEN);
    DEP_CHECK(t, o.status == 303 && holds(o.location, "error=access_denied") && holds(o.location, "&state=s&iss="));
    /* That was the answer. */
    DEP_CHECK_REFUSED(t, answer(page, "yes", login_of("alice", WORLD_ISSUER)), CONSENT_ANSWERED, INVALID_REQUEST);
    page = ask(public_client, PKCE).decision.sealed;
    DEP_CHECK_REFUSED(t, answer(page, "perhaps", login_of("alice", WORLD_ISSUER)), PARAM_SYNTAX, INVALID_REQUEST);
    page = ask(public_client, PKCE).decision.sealed;
    DEP_CHECK(t, answer(page, "yes", login_of("alice", WORLD_ISSUER)).decision.answer == DEP_ANSWER_CODE);
}

DEP_TEST(logins_are_of_issuers_that_are_trusted_for_them)
{
    char query[1024];

    (void)snprintf(query, sizeof(query),
                   "response_type=code&client_id=%s&redirect_uri=" CALLBACK "&resource=" WORLD_API PKCE,
                   w.client_ids[public_client]);
    DEP_CHECK_REFUSED(t, get(query, DEP_STR_ABSENT), LOGIN_MISSING, LOGIN);
    is_by_proxy = false; /* a token of the user's in somebody's hands is no user */
    DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), LOGIN_PEER, LOGIN);
    is_by_proxy = true;
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

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_user_consents_and_an_agent_acts), DEP_ROW(E10_E13_E14_E15_E17_bad_questions),
        DEP_ROW(E16_state_comes_back_as_it_was),    DEP_ROW(E18_a_pushed_request_is_used_once),
        DEP_ROW(E22_E23_a_page_is_for_one_user),    DEP_ROW(logins_are_of_issuers_that_are_trusted_for_them),
        DEP_ROW(pages_escape_what_they_show),
    };
    int failed;

    world_open(&w);
    add_clients();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

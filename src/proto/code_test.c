/* Consent is redeemed (oauth-v2-1#4.1.3, #4.3, rfc9449#5, #10): codes and refresh tokens. Attack cases B47, B48, E01 to E31. */
#include "proto/consent_fixture.h"

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
                                 .expires = WORLD_NOW + 60,
                                 .challenge = DEP_STR(CHALLENGE),
                                 .scope = DEP_STR("read"),
                                 .targets = { DEP_STR(WORLD_API) },
                                 .targets_count = 1,
                                 .user = DEP_STR("user:corp:alice"),
                                 .org = DEP_STR("acme"),
                                 .issuer = DEP_STR(WORLD_IDP) };
    struct dep_str text;
    char query[9000];

    DEP_CHECK_ISSUED(t, o);
    for (int kind = 0; kind < DEP_TICKET_KINDS; kind++) {
        text = world_seal(&w, (enum dep_ticket_kind)kind, &ticket);
        if (kind != DEP_TICKET_CODE)
            DEP_CHECK_REFUSED(t, redeem(text, VERIFIER, "", NO_PROOF), CODE_UNKNOWN, INVALID_GRANT);
        if (kind != DEP_TICKET_REFRESH)
            DEP_CHECK_REFUSED(t, refresh(text, "", proof(w.proof_key)), CODE_UNKNOWN, INVALID_GRANT);
        if (kind != DEP_TICKET_ASKED)
            DEP_CHECK_REFUSED(t, answer(text, "yes", login_of("alice", WORLD_ISSUER)), CONSENT_FORM, INVALID_REQUEST);
        (void)snprintf(query, sizeof(query), "client_id=%s&request_uri=" DEP_REQUEST_URI_PREFIX "%.*s",
                       w.client_ids[public_client], DEP_STR_ARG(text));
        if (kind != DEP_TICKET_PUSHED)
            DEP_CHECK_REFUSED(t, get(query, login_of("alice", WORLD_ISSUER)), REQUEST_URI, INVALID_REQUEST);
    }
    ticket.id = DEP_STR("another"); /* as its own kind it is good */
    DEP_CHECK_ISSUED(t, redeem(world_seal(&w, DEP_TICKET_CODE, &ticket), VERIFIER, "", NO_PROOF));
    /* One bit elsewhere. */
    text = world_keep(&w, o.decision.sealed);
    ((char *)(uintptr_t)text.ptr)[text.len / 2] ^= 1;
    DEP_CHECK_REFUSED(t, refresh(text, "", proof(w.proof_key)), CODE_UNKNOWN, INVALID_GRANT);
}

/* A consent that names an agent and a resource: less of it is not more (what may follow stays bound). */
DEP_TEST(a_part_of_a_consent_is_no_wider)
{
    struct outcome o = redeem(code_of(t, public_client, PKCE "&resource=" WORLD_WORKER "&scope=read"), VERIFIER, "",
                              proof(w.proof_key));

    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t,
              o.decision.token.resources_count == 1 && dep_str_eq(o.decision.token.resources[0], DEP_STR(WORLD_API)));
    o = refresh(o.decision.sealed, "&resource=" WORLD_WORKER, proof(w.proof_key));
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, o.decision.token.aud_count == 1 && dep_str_eq(o.decision.token.aud[0], DEP_STR(WORLD_WORKER)));
    DEP_CHECK(t,
              o.decision.token.resources_count == 1 && dep_str_eq(o.decision.token.resources[0], DEP_STR(WORLD_API)));
}

/* Whoever it was given to, and whoever said who the user is. */
DEP_TEST(E29_a_consent_ends_with_its_agent_and_its_issuer)
{
    struct outcome o = redeem(code_of(t, public_client, PKCE), VERIFIER, "", proof(w.proof_key));
    struct dep_str token = o.decision.sealed, code = code_of(t, public_client, PKCE);
    const struct dep_revocation entry = { DEP_REVOKED_AGENT, DEP_STR(WORLD_ORCHESTRATOR), WORLD_NOW, WORLD_NOW + 3600 };
    struct dep_revocations *before = w.revocations;

    DEP_CHECK_ISSUED(t, o);
    w.issuer.uses &= ~DEP_ISSUER_LOGIN;
    DEP_CHECK_REFUSED(t, refresh(token, "", proof(w.proof_key)), CONSENT_REVOKED, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "", NO_PROOF), CONSENT_REVOKED, INVALID_GRANT);
    w.issuer.uses |= DEP_ISSUER_LOGIN;
    w.revocations = dep_revocations_copy(before, WORLD_NOW);
    DEP_CHECK(t, w.revocations != NULL && dep_is_ok(dep_revocations_add(w.revocations, &entry)));
    DEP_CHECK_REFUSED(t, refresh(token, "", proof(w.proof_key)), CONSENT_REVOKED, INVALID_GRANT);
    DEP_CHECK_REFUSED(t, redeem(code, VERIFIER, "", NO_PROOF), CONSENT_REVOKED, INVALID_GRANT);
    dep_revocations_free(w.revocations);
    w.revocations = before;
    DEP_CHECK_ISSUED(t, redeem(code, VERIFIER, "", NO_PROOF));
    DEP_CHECK_ISSUED(t, refresh(token, "", proof(w.proof_key)));
}

DEP_TEST(what_is_pushed_fits_into_a_url)
{
    static char more[9000];
    size_t len = (size_t)snprintf(more, sizeof(more),
                                  "&response_type=code&resource=" WORLD_API "&redirect_uri=" CALLBACK PKCE "&state=");
    struct outcome o;

    memset(more + len, 'a', 4000);
    o = post_public(DEP_ENDPOINT_PAR, more, NO_PROOF);
    DEP_CHECK(t, o.decision.answer == DEP_ANSWER_PUSHED && o.decision.sealed.len < 7500);
    for (size_t i = 0; i < 4000; i += 4)
        memcpy(more + len + i, "%22a", 4);
    DEP_CHECK_REFUSED(t, post_public(DEP_ENDPOINT_PAR, more, NO_PROOF), PARAM_SIZE, INVALID_REQUEST);
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

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(B48_dpop_jkt_binds_the_code),
        DEP_ROW(B47_a_public_clients_refresh_token_is_bound_to_its_key),
        DEP_ROW(E25_a_used_refresh_token_ends_the_consent),
        DEP_ROW(E01_a_used_code_ends_what_came_of_it),
        DEP_ROW(E05_E08_codes_are_short_and_want_their_verifier),
        DEP_ROW(E06_the_redirect_uri_counts_when_it_is_repeated),
        DEP_ROW(E24_a_ticket_opens_as_its_own_kind_only),
        DEP_ROW(a_part_of_a_consent_is_no_wider),
        DEP_ROW(E29_a_consent_ends_with_its_agent_and_its_issuer),
        DEP_ROW(what_is_pushed_fits_into_a_url),
        DEP_ROW(E27_refresh_tokens_are_their_clients_own),
        DEP_ROW(E31_a_client_with_a_secret_keeps_its_refresh_token),
        DEP_ROW(E29_E30_a_refresh_is_measured_by_the_records_of_now),
    };
    int failed;

    world_open(&w);
    add_clients();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    world_close(&w);
    return failed;
}

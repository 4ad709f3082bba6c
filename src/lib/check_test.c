/* Checks through the C API, with the issuer's documents handed over by the caller: nothing waits here. */
#include <stddef.h>

#include "lib/lib_fixture.h"

/* Asks with the token as Bearer; the status, 0 for NEEDS. */
static int status_of(struct world *w, struct dep_str token)
{
    struct deputy_verdict *verdict = NULL;
    enum deputy_outcome outcome = ask_bearer_token(w, token, &verdict);
    int status = outcome == DEPUTY_NEEDS ? 0 : deputy_verdict_status(verdict);

    DEP_ASSERT((verdict == NULL) == (outcome == DEPUTY_NEEDS));
    deputy_verdict_free(verdict);
    return status;
}

DEP_TEST(needs_then_allows)
{
    struct deputy_verdict *verdict = NULL;
    struct world w;
    size_t count;

    set_up_world(&w);
    start_guard(&w);
    DEP_CHECK(t, deputy_guard_is_waiting(w.guard) && deputy_guard_trouble(w.guard) != NULL);
    DEP_CHECK(t, ask_bearer_token(&w, mint_good(&w), &verdict) == DEPUTY_NEEDS && verdict == NULL);
    DEP_CHECK(t, w.records_count == 0); /* nothing is decided yet */
    serve(&w);
    DEP_CHECK(t, !deputy_guard_is_waiting(w.guard) && deputy_guard_trouble(w.guard) == NULL);
    DEP_CHECK(t, w.fetches[0] == 1 && w.fetches[1] == 1 && w.fetches[2] >= 1);
    DEP_CHECK(t, ask_bearer_token(&w, mint_good(&w), &verdict) == DEPUTY_ALLOW);
    DEP_CHECK(t, deputy_verdict_is_allowed(verdict) && deputy_verdict_status(verdict) == 200);
    DEP_CHECK_STR(t, claim_of(verdict, DEPUTY_SUBJECT), "agent:A");
    DEP_CHECK_STR(t, claim_of(verdict, DEPUTY_CLIENT), "C");
    DEP_CHECK_STR(t, claim_of(verdict, DEPUTY_TOKEN_ID), "J1");
    DEP_CHECK_STR(t, claim_of(verdict, DEPUTY_ISSUER), ISSUER);
    DEP_CHECK_STR(t, claim_of(verdict, DEPUTY_SCOPE), "read list");
    DEP_CHECK(t,
              dep_str_is_absent(claim_of(verdict, DEPUTY_ACTOR)) && dep_str_is_absent(claim_of(verdict, DEPUTY_KEY)));
    DEP_CHECK(t, dep_str_is_absent(claim_of(verdict, (enum deputy_claim)99)));
    DEP_CHECK(t, deputy_verdict_has_scope(verdict, "list") && !deputy_verdict_has_scope(verdict, "lis"));
    DEP_CHECK(t, !deputy_verdict_has_scope(verdict, "") && !deputy_verdict_has_scope(verdict, "read  list"));
    DEP_CHECK(t, deputy_verdict_expires(verdict) > time(NULL));
    DEP_CHECK(t, deputy_verdict_body(verdict).ptr == NULL && deputy_verdict_user(verdict) == &w);
    DEP_CHECK(t, deputy_verdict_claim(verdict, DEPUTY_SUBJECT).ptr[7] == '\0'); /* as promised */
    (void)deputy_verdict_identity(verdict, &count);
    DEP_CHECK(t, count == 9);
    DEP_CHECK(t, w.records_count == 1 && str_has(dep_str(w.records, w.records_len), "\"guard.allowed\""));
    DEP_CHECK(t, str_has(dep_str(w.records, w.records_len), deputy_verdict_id(verdict).ptr));
    DEP_CHECK(t, str_has(dep_str(w.records, w.records_len), "192.0.2.1"));
    deputy_verdict_free(verdict);
    tear_down_world(&w);
}

DEP_TEST(a_delegated_token_names_its_actors)
{
    struct deputy_verdict *verdict = NULL;
    const struct deputy_text *actors;
    struct world w;
    size_t count;

    set_up_world(&w);
    start_ready(&w);
    DEP_CHECK(
        t, ask_bearer_token(&w,
                            mint(&w, w.keys.issuer, "k1", "J9",
                                 ",\"task_id\":\"trip\",\"act\":{\"sub\":\"agent:B\",\"act\":{\"sub\":\"agent:C\"}}"),
                            &verdict) == DEPUTY_ALLOW);
    actors = deputy_verdict_actors(verdict, &count);
    DEP_CHECK(t, count == 2 && strcmp(actors[0].ptr, "agent:B") == 0 && strcmp(actors[1].ptr, "agent:C") == 0);
    DEP_CHECK_STR(t, claim_of(verdict, DEPUTY_ACTOR), "agent:B");
    DEP_CHECK_STR(t, claim_of(verdict, DEPUTY_TASK), "trip");
    deputy_verdict_free(verdict);
    tear_down_world(&w);
}

DEP_TEST(refusals_are_whole_answers)
{
    struct deputy_verdict *verdict = NULL;
    struct world w;
    size_t count;

    set_up_world(&w);
    start_ready(&w);
    DEP_CHECK(t, ask_as(&w, DEP_STR_ABSENT, DEP_STR_ABSENT, NULL, 0, &verdict) == DEPUTY_REFUSE);
    DEP_CHECK(t, deputy_verdict_status(verdict) == 401 && strcmp(deputy_verdict_reason(verdict), "TOKEN_ABSENT") == 0);
    DEP_CHECK(t, str_has(answer_header(verdict, "WWW-Authenticate"),
                         "resource_metadata=\"https://api.example/.well-known/oauth-protected-resource/mcp\""));
    DEP_CHECK_STR(t, answer_header(verdict, "Cache-Control"), "no-store");
    DEP_CHECK_STR(t, answer_header(verdict, "Content-Type"), "application/problem+json");
    DEP_CHECK_STR(t, answer_header(verdict, "Deputy-Decision"), deputy_verdict_id(verdict).ptr);
    DEP_CHECK(t, str_has(dep_str_c(deputy_verdict_body(verdict).ptr), "\"status\":401"));
    DEP_CHECK(t, str_has(dep_str(w.records, w.records_len), "\"guard.refused\""));
    (void)deputy_verdict_identity(verdict, &count);
    DEP_CHECK(t, count == 0 && dep_str_is_absent(claim_of(verdict, DEPUTY_SUBJECT)));
    deputy_verdict_free(verdict);
    DEP_CHECK(t, status_of(&w, DEP_STR("x.y.z")) == 401);
    DEP_CHECK(t, status_of(&w, mint(&w, w.keys.stranger, "k1", "J3", "")) == 401);
    DEP_CHECK(t, status_of(&w, mint_bound(&w)) == 401); /* bound, as Bearer */
    DEP_CHECK(t, status_of(&w, mint_good(&w)) == 200);
    tear_down_world(&w);
}

DEP_TEST(scopes_of_a_request)
{
    struct deputy_verdict *verdict = NULL;
    struct dep_str bearer;
    struct world w;

    set_up_world(&w);
    start_ready(&w);
    bearer = fmt(&w.keys, "Bearer %.*s", DEP_STR_ARG(mint_good(&w)));
    DEP_CHECK(t, ask_as(&w, bearer, DEP_STR_ABSENT, "write", 0, &verdict) == DEPUTY_REFUSE);
    DEP_CHECK(t, deputy_verdict_status(verdict) == 403);
    DEP_CHECK(t, str_has(answer_header(verdict, "WWW-Authenticate"), "scope=\"write\""));
    deputy_verdict_free(verdict);
    DEP_CHECK(t, ask_as(&w, bearer, DEP_STR_ABSENT, "list read", 0, &verdict) == DEPUTY_ALLOW);
    deputy_verdict_free(verdict);
    /* What is no list of scopes is a fault of the program, and allows nothing; blank neither. */
    DEP_CHECK(t, ask_as(&w, bearer, DEP_STR_ABSENT, "a\"b", 0, &verdict) == DEPUTY_REFUSE);
    DEP_CHECK(t, deputy_verdict_status(verdict) == 503 && strcmp(deputy_verdict_reason(verdict), "GUARD_CALLER") == 0);
    deputy_verdict_free(verdict);
    DEP_CHECK(t, ask_as(&w, bearer, DEP_STR_ABSENT, "", 0, &verdict) == DEPUTY_REFUSE);
    DEP_CHECK(t, deputy_verdict_status(verdict) == 503);
    deputy_verdict_free(verdict);
    tear_down_world(&w);
}

/* The first proof is fenced: the nonce of its refusal is what the next ones carry. */
static struct dep_str nonce_for(struct dep_test *t, struct world *w, struct dep_str token)
{
    struct deputy_verdict *verdict = NULL;
    struct dep_str nonce;

    DEP_CHECK(t, ask_with_proof(w, token, proof_of_now(w, token, DEP_STR_ABSENT), &verdict) == DEPUTY_REFUSE);
    DEP_CHECK(t, deputy_verdict_status(verdict) == 401);
    nonce = dep_arena_dup(&w->keys.arena, answer_header(verdict, "DPoP-Nonce"));
    DEP_CHECK(t, !dep_str_is_blank(nonce));
    deputy_verdict_free(verdict);
    return nonce;
}

static const char *proof_verdict(struct world *w, struct dep_str token, struct dep_str proof)
{
    struct deputy_verdict *verdict = NULL;
    const char *reason;

    DEP_ASSERT(ask_with_proof(w, token, proof, &verdict) != DEPUTY_NEEDS);
    reason = deputy_verdict_reason(verdict);
    deputy_verdict_free(verdict);
    return reason;
}

DEP_TEST(B25_a_proof_is_good_once)
{
    struct dep_str token, nonce, proof;
    struct world w;

    set_up_world(&w);
    start_ready(&w);
    token = mint_bound(&w);
    nonce = nonce_for(t, &w, token);
    proof = proof_of_now(&w, token, nonce);
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof), "NONE") == 0);
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof), "DPOP_REPLAY") == 0);
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof_of_now(&w, token, nonce)), "NONE") == 0);
    DEP_CHECK(t, strcmp(proof_verdict(&w, token,
                                      proof_for(&w.keys, w.keys.stranger, "POST", RESOURCE, token, nonce, time(NULL))),
                        "TOKEN_BINDING") == 0);
    tear_down_world(&w);
}

/* A store that several nodes share. */
struct store {
    unsigned char keys[16][DEPUTY_REPLAY_KEY_BYTES];
    unsigned count;
    bool is_broken;
};

static enum deputy_replay remember(void *context, const unsigned char key[DEPUTY_REPLAY_KEY_BYTES], int64_t expires,
                                   int64_t now)
{
    struct store *store = context;

    if (store->is_broken || expires < now || store->count == 16)
        return DEPUTY_REPLAY_FAILED;
    for (unsigned i = 0; i < store->count; i++)
        if (memcmp(store->keys[i], key, DEPUTY_REPLAY_KEY_BYTES) == 0)
            return DEPUTY_REPLAY_SEEN;
    memcpy(store->keys[store->count++], key, DEPUTY_REPLAY_KEY_BYTES);
    return DEPUTY_REPLAY_NEW;
}

DEP_TEST(B30_two_nodes_share_what_was_used)
{
    struct store store = { .count = 0 };
    struct dep_str token, nonce, proof;
    struct deputy_guard *first;
    unsigned char key[32];
    struct world w;

    set_up_world(&w);
    memset(key, 7, sizeof(key));
    DEP_CHECK(t, deputy_config_set_secret(w.config, "nonce-key", key, sizeof(key)) == DEPUTY_OK);
    deputy_config_set_replay(w.config, remember, &store);
    start_ready(&w);
    first = w.guard;
    start_ready(&w); /* the second node */
    token = mint_bound(&w);
    nonce = nonce_for(t, &w, token);
    proof = proof_of_now(&w, token, nonce);
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof), "NONE") == 0);

    struct deputy_guard *second = w.guard;

    w.guard = first;
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof), "DPOP_REPLAY") == 0);
    /* A nonce of one node is understood by the other. */
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof_of_now(&w, token, nonce)), "NONE") == 0);
    store.is_broken = true;
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof_of_now(&w, token, nonce)), "STORE_IO") == 0);
    store.is_broken = false;
    DEP_CHECK(t, strcmp(proof_verdict(&w, token, proof_of_now(&w, token, nonce)), "NONE") == 0);
    deputy_guard_free(second);
    tear_down_world(&w);
}

/* Lets the poll's pause pass, then serves until the guard has heard of `version`. */
static void serve_until_status(struct dep_test *t, struct world *w, struct dep_str token, int status)
{
    int64_t wait_ms = 0, waited_ms = 0;

    while (status_of(w, token) != status && waited_ms < 10000) {
        struct timespec pause = { 0, 0 };
        struct deputy_fetch *fetch = deputy_guard_fetch_next(w->guard, &wait_ms);

        DEP_CHECK(t, fetch == NULL || wait_ms == 0);
        if (fetch != NULL)
            deputy_fetch_fail(fetch);
        DEP_CHECK(t, wait_ms >= 0);
        pause.tv_nsec = (wait_ms % 1000) * 1000000;
        pause.tv_sec = wait_ms / 1000;
        nanosleep(&pause, NULL);
        waited_ms += wait_ms + 1;
        serve(w);
    }
    DEP_CHECK(t, status_of(w, token) == status);
}

DEP_TEST(a_revoked_token_is_refused)
{
    struct dep_str token;
    struct world w;

    set_up_world(&w);
    start_ready(&w);
    token = mint_good(&w);
    DEP_CHECK(t, status_of(&w, token) == 200);
    tell_revoked(&w, "agent", "agent:A");
    serve_until_status(t, &w, token, 401);
    tear_down_world(&w);
}

DEP_TEST(a_new_key_is_needed_once)
{
    struct dep_str token, wrong;
    struct world w;

    set_up_world(&w);
    start_ready(&w);
    publish(&w, w.keys.stranger, "k2");
    w.keys_version = 1; /* the feed has not said so yet */
    token = mint(&w, w.keys.stranger, "k2", "J5", "");
    wrong = mint(&w, w.keys.stranger, "k3", "J6", "");
    DEP_CHECK(t, status_of(&w, token) == 0 && deputy_guard_is_waiting(w.guard));
    DEP_CHECK(t, status_of(&w, token) == 0); /* joins */
    serve(&w);
    DEP_CHECK(t, !deputy_guard_is_waiting(w.guard) && status_of(&w, token) == 200);
    DEP_CHECK(t, w.fetches[DEPUTY_FETCH_KEYS] == 2);
    /* A33: another unknown one within ten seconds is decided with what there is. */
    DEP_CHECK(t, status_of(&w, wrong) == 401 && !deputy_guard_is_waiting(w.guard));
    tear_down_world(&w);
}

DEP_TEST(fails_closed)
{
    struct deputy_verdict *verdict = NULL;
    struct world w;

    set_up_world(&w);
    w.is_jwks_down = true;
    start_guard(&w);
    DEP_CHECK(t, ask_as(&w, fmt(&w.keys, "Bearer %.*s", DEP_STR_ARG(mint_good(&w))), DEP_STR_ABSENT, NULL,
                        DEPUTY_CHECK_FINAL, &verdict) == DEPUTY_REFUSE);
    DEP_CHECK(t, deputy_verdict_status(verdict) == 503 && !dep_str_is_absent(answer_header(verdict, "Retry-After")));
    deputy_verdict_free(verdict);
    serve(&w);
    DEP_CHECK(t, status_of(&w, mint_good(&w)) == 503 && deputy_guard_trouble(w.guard) != NULL);
    w.is_jwks_down = false;
    serve_until_status(t, &w, mint_good(&w), 200); /* and recovers by itself */
    w.is_record_broken = true;
    DEP_CHECK(t, status_of(&w, mint_good(&w)) == 503);
    DEP_CHECK(t, status_of(&w, DEP_STR("x")) == 503);
    w.is_record_broken = false;
    DEP_CHECK(t, status_of(&w, mint_good(&w)) == 200);
    tear_down_world(&w);
}

DEP_TEST(a_silent_feed_is_503)
{
    struct timespec pause = { 0, 20000000 };
    struct world w;

    set_up_world(&w);
    set(&w, "feed-silence-max-s", "1");
    start_ready(&w);
    DEP_CHECK(t, status_of(&w, mint_good(&w)) == 200);
    w.is_feed_down = true;
    for (unsigned i = 0; i < 500 && status_of(&w, mint_good(&w)) == 200; i++) {
        serve(&w);
        nanosleep(&pause, NULL);
    }
    DEP_CHECK(t, status_of(&w, mint_good(&w)) == 503 && deputy_guard_trouble(w.guard) != NULL);
    w.is_feed_down = false;
    serve_until_status(t, &w, mint_good(&w), 200);
    tear_down_world(&w);
}

DEP_TEST(two_tokens_are_refused)
{
    struct deputy_header headers[8];
    struct deputy_request request = { .size = sizeof(request),
                                      .method = { "POST", 4 },
                                      .target = { "/mcp", 4 },
                                      .headers = headers,
                                      .headers_count = 2 };
    struct deputy_verdict *verdict = NULL;
    struct world w;

    set_up_world(&w);
    start_ready(&w);
    headers[0] = headers[1] =
        (struct deputy_header){ { "Authorization", 13 },
                                text_of(fmt(&w.keys, "Bearer %.*s", DEP_STR_ARG(mint_good(&w)))) };
    DEP_CHECK(t, deputy_guard_check(w.guard, &request, &verdict) == DEPUTY_REFUSE &&
                     deputy_verdict_status(verdict) == 400);
    deputy_verdict_free(verdict);
    request.headers_count = 1;
    DEP_CHECK(t, deputy_guard_check(w.guard, &request, &verdict) == DEPUTY_ALLOW);
    deputy_verdict_free(verdict);
    /* A struct of another shape is not read. */
    request.size = offsetof(struct deputy_request, body) - 1;
    DEP_CHECK(t, deputy_guard_check(w.guard, &request, &verdict) == DEPUTY_REFUSE &&
                     deputy_verdict_status(verdict) == 503);
    deputy_verdict_free(verdict);
    request = (struct deputy_request){ .size = sizeof(request) };
    DEP_CHECK(t, deputy_guard_check(w.guard, &request, &verdict) == DEPUTY_REFUSE &&
                     deputy_verdict_status(verdict) == 400);
    deputy_verdict_free(verdict);
    tear_down_world(&w);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(needs_then_allows),
        DEP_ROW(a_delegated_token_names_its_actors),
        DEP_ROW(refusals_are_whole_answers),
        DEP_ROW(scopes_of_a_request),
        DEP_ROW(B25_a_proof_is_good_once),
        DEP_ROW(B30_two_nodes_share_what_was_used),
        DEP_ROW(a_revoked_token_is_refused),
        DEP_ROW(a_new_key_is_needed_once),
        DEP_ROW(fails_closed),
        DEP_ROW(a_silent_feed_is_503),
        DEP_ROW(two_tokens_are_refused),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

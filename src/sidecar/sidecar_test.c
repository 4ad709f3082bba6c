/* The guard process over loopback, with an issuer whose parts fail. */
#include "sidecar/sidecar_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "audit/log.h"
#include "base/num.h"

DEP_TEST(O09_refuses_to_start_without_what_it_needs)
{
    struct world w;

    start_issuer(&w);
    for (unsigned i = 0; i < 9; i++) {
        struct dep_sidecar_config config = w.config;

        switch (i) {
        case 0:
            config.resource = DEP_STR_ABSENT;
            break;
        case 1:
            config.resource = DEP_STR("api");
            break;
        case 2:
            config.issuer = DEP_STR("");
            break;
        case 3:
            config.client_id = DEP_STR("");
            break;
        case 4:
            config.client_secret = dep_secret("", 0);
            break;
        case 5:
            config.listen_count = 0;
            break;
        case 6:
            config.audit_directory = NULL;
            break;
        case 7:
            config.may_loopback = false; /* plain http */
            break;
        default:
            config.public_url = DEP_STR("https://api.example/path");
            break;
        }
        DEP_CHECK(t, dep_sidecar_run(&config) == 2);
    }
    stop_issuer(&w);
}

DEP_TEST(answers)
{
    static const char *const identity[] = { "Deputy-Subject",     "Deputy-Client",   "Deputy-Actor",
                                            "Deputy-Actor-Chain", "Deputy-Scope",    "Deputy-Audience",
                                            "Deputy-Task",        "Deputy-Token-Id", "Deputy-Decision" };
    struct world w;

    start_issuer(&w);
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");

    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);

    struct dep_fetch_answer answer =
        ask_guard(&w, w.fetcher, fmt(&w.keys, "Bearer %.*s", DEP_STR_ARG(token)), DEP_STR_ABSENT);

    DEP_CHECK(t, answer.status == 200);
    for (size_t i = 0; i < DEP_COUNT(identity); i++)
        DEP_CHECK(t, dep_header_count(answer.headers, answer.headers_count, dep_str_c(identity[i])) == 1);
    DEP_CHECK_STR(t, header_of(&answer, "Deputy-Subject"), "agent:A");
    DEP_CHECK_STR(t, header_of(&answer, "Deputy-Actor"), "");
    DEP_CHECK_STR(t, header_of(&answer, "Cache-Control"), "no-store");
    dep_fetch_answer_done(&answer);

    answer = ask_guard(&w, w.fetcher, DEP_STR_ABSENT, DEP_STR_ABSENT);
    DEP_CHECK(t, answer.status == 401 && dep_ulid_is_valid(header_of(&answer, "Deputy-Decision")));
    DEP_CHECK(t, dep_header_count(answer.headers, answer.headers_count, DEP_STR("WWW-Authenticate")) == 1);
    DEP_CHECK_STR(t, header_of(&answer, "Cache-Control"), "no-store");
    DEP_CHECK_STR(t, header_of(&answer, "Content-Type"), "application/problem+json");
    dep_fetch_answer_done(&answer);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(other_paths)
{
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        { "/.well-known/oauth-protected-resource", 200 },
        { "/.well-known/oauth-protected-resource/mcp", 200 },
        { "/.well-known/oauth-protected-resource/other", 404 },
        { "/livez", 200 },
        { "/", 404 },
        { "/authz", 404 },
        { "/authz/auth-request/", 404 },
        { "/authz/decision", 503 },
        { "/authz/auth-request", 400 },
        { "/authz/forward-auth", 400 },
    };
    struct world w;

    start_issuer(&w);
    start_guard(&w);
    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_fetch_answer answer = call(&w, w.fetcher, cases[i].path, NULL, 0);

        dep_test_check(t, answer.status == cases[i].status, __FILE__, __LINE__, "%s: %d", cases[i].path, answer.status);
        if (cases[i].status == 200 && cases[i].path[1] == '.')
            DEP_CHECK(t, dep_str_starts(answer.body, DEP_STR("{\"resource\":\"" RESOURCE "\"")));
        dep_fetch_answer_done(&answer);
    }
    DEP_CHECK(t, wait_for_status(&w, mint(&w, w.keys.issuer, "k1", "J1", ""), 200) >= 0);

    struct dep_fetch_answer ready = call(&w, w.fetcher, "/readyz", NULL, 0);

    DEP_CHECK(t, ready.status == 200);
    dep_fetch_answer_done(&ready);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(A68_revoked_at_the_issuer_refused_here_within_a_second)
{
    struct world w;

    start_issuer(&w);
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", ""), other = mint(&w, w.keys.issuer, "k1", "J2", "");

    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    tell_revoked(&w, "jti", "J1");

    int64_t ms = wait_for_status(&w, token, 401);

    dep_test_check(t, ms >= 0 && ms <= 1000, __FILE__, __LINE__, "refused after %lld ms", (long long)ms);
    DEP_CHECK(t, status_for(&w, other) == 200);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(O08_silent_feed_is_503_and_recovers)
{
    struct world w;

    start_issuer(&w);
    w.config.feed_silence_max_s = 1;
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");

    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    atomic_store(&w.is_feed_down, true);

    int64_t ms = wait_for_status(&w, token, 503);

    dep_test_check(t, ms >= 0 && ms <= 3000, __FILE__, __LINE__, "refused after %lld ms", (long long)ms);
    atomic_store(&w.is_feed_down, false);
    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(O08_without_keys_or_feed_503_from_the_start)
{
    struct world w;

    start_issuer(&w);
    atomic_store(&w.is_jwks_down, true);
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");
    struct dep_fetch_answer answer =
        ask_guard(&w, w.fetcher, fmt(&w.keys, "Bearer %.*s", DEP_STR_ARG(token)), DEP_STR_ABSENT);

    DEP_CHECK(t, answer.status == 503 && !dep_str_is_blank(header_of(&answer, "Retry-After")));
    DEP_CHECK(t, dep_str_is_absent(header_of(&answer, "WWW-Authenticate")));
    dep_fetch_answer_done(&answer);
    atomic_store(&w.is_jwks_down, false);
    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(metadata_of_another_issuer_gives_no_keys)
{
    struct world w;

    start_issuer(&w);
    atomic_store(&w.is_metadata_wrong, true);
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");

    while (atomic_load(&w.feed_polls) < 2)
        DEP_CHECK(t, status_for(&w, token) == 503);
    DEP_CHECK(t, atomic_load(&w.jwks_fetches) == 0);
    atomic_store(&w.is_metadata_wrong, false);
    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(A33_random_kids_fetch_once)
{
    struct world w;

    start_issuer(&w);
    start_guard(&w);
    DEP_CHECK(t, wait_for_status(&w, mint(&w, w.keys.issuer, "k1", "J1", ""), 200) >= 0);

    unsigned before = atomic_load(&w.jwks_fetches);

    for (unsigned i = 0; i < 300; i++)
        DEP_CHECK(t, status_for(&w, mint(&w, w.keys.issuer, fmt(&w.keys, "x%u", i).ptr, "J1", "")) == 401);
    DEP_CHECK(t, atomic_load(&w.jwks_fetches) <= before + 1);
    DEP_CHECK(t, status_for(&w, mint(&w, w.keys.issuer, "k1", "J1", "")) == 200);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

/* A token under a new key is good at first sight: the request waits for the fetch. */
DEP_TEST(A64_rotation_is_followed_at_once)
{
    struct world w;

    start_issuer(&w);
    start_guard(&w);
    DEP_CHECK(t, wait_for_status(&w, mint(&w, w.keys.issuer, "k1", "J1", ""), 200) >= 0);
    publish(&w, w.keys.stranger, "k2", "");
    DEP_CHECK(t, status_for(&w, mint(&w, w.keys.stranger, "k2", "J2", "")) == 200);
    DEP_CHECK(t, status_for(&w, mint(&w, w.keys.issuer, "k1", "J3", "")) == 401);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

/* A cached token dies with its key, as soon as the feed says that the keys changed. */
DEP_TEST(A65_tainted_key_kills_cached_tokens)
{
    struct world w;

    start_issuer(&w);
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");

    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    publish(&w, w.keys.stranger, "k2", "");
    pthread_mutex_lock(&w.lock);
    w.keys_version++;
    pthread_mutex_unlock(&w.lock);

    int64_t ms = wait_for_status(&w, token, 401);

    dep_test_check(t, ms >= 0 && ms <= 1000, __FILE__, __LINE__, "refused after %lld ms", (long long)ms);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

/* Told of other keys, and unable to fetch them: the old ones are not trusted for longer than the bound. */
DEP_TEST(A65_other_keys_that_cannot_be_fetched_are_503)
{
    struct world w;

    start_issuer(&w);
    w.config.feed_silence_max_s = 1;
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");

    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    atomic_store(&w.is_jwks_down, true);
    pthread_mutex_lock(&w.lock);
    w.keys_version++;
    pthread_mutex_unlock(&w.lock);
    DEP_CHECK(t, wait_for_status(&w, token, 503) >= 0);
    atomic_store(&w.is_jwks_down, false);
    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(A34_A35_bad_sets_keep_the_old_keys)
{
    static const char *const more[] = {
        ",{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"s\"}",
        ",{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"d\":\"AA\",\"kid\":\"p\"}",
        ",5",
        ",",
    };
    struct world w;

    start_issuer(&w);
    w.config.keys_throttle_s = 1;
    start_guard(&w);
    DEP_CHECK(t, wait_for_status(&w, mint(&w, w.keys.issuer, "k1", "J1", ""), 200) >= 0);
    for (size_t i = 0; i <= DEP_COUNT(more); i++) {
        unsigned before = atomic_load(&w.jwks_fetches);

        if (i < DEP_COUNT(more))
            publish(&w, w.keys.stranger, "k2", more[i]);
        atomic_store(&w.is_jwks_down, i == DEP_COUNT(more));
        while (atomic_load(&w.jwks_fetches) == before) /* the throttle opens */
            DEP_CHECK(t, status_for(&w, mint(&w, w.keys.stranger, "k2", "J2", "")) == 401);
        DEP_CHECK(t, status_for(&w, mint(&w, w.keys.issuer, "k1", "J1", "")) == 200);
    }
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

static struct dep_str fresh_proof(struct world *w, struct dep_str token, struct dep_str nonce)
{
    return proof_for(&w->keys, w->keys.client, "POST", RESOURCE, token, nonce, time(NULL));
}

/* The nonce that a proof from before the start is asked for. */
static struct dep_str fetch_nonce(struct dep_test *t, struct world *w, struct dep_str token)
{
    struct dep_fetch_answer answer =
        ask_guard(w, w->fetcher, fmt(&w->keys, "DPoP %.*s", DEP_STR_ARG(token)), fresh_proof(w, token, DEP_STR_ABSENT));
    struct dep_str nonce = dep_arena_dup(&w->keys.arena, header_of(&answer, "DPoP-Nonce"));

    DEP_CHECK(t, answer.status == 401 && !dep_str_is_blank(nonce));
    DEP_CHECK(t, dep_str_starts(header_of(&answer, "WWW-Authenticate"), DEP_STR("DPoP error=\"use_dpop_nonce\"")));
    dep_fetch_answer_done(&answer);
    return nonce;
}

static int status_dpop(struct world *w, struct dep_fetcher *fetcher, struct dep_str authorization, struct dep_str proof)
{
    struct dep_fetch_answer answer = ask_guard(w, fetcher, authorization, proof);
    int status = answer.status;

    dep_fetch_answer_done(&answer);
    return status;
}

DEP_TEST(B25_B27_B38_proofs_once_and_fenced)
{
    struct world w;

    start_issuer(&w);
    start_guard(&w);
    DEP_CHECK(t, wait_for_status(&w, mint(&w, w.keys.issuer, "k1", "J0", ""), 200) >= 0);

    struct dep_str token = mint_bound(&w, "J1"), authorization = fmt(&w.keys, "DPoP %.*s", DEP_STR_ARG(token));
    struct dep_str proof = fresh_proof(&w, token, fetch_nonce(t, &w, token));

    DEP_CHECK(t, status_dpop(&w, w.fetcher, authorization, proof) == 200);
    DEP_CHECK(t, status_dpop(&w, w.fetcher, authorization, proof) == 401);
    DEP_CHECK(t, status_for(&w, token) == 401); /* B43 */
    /* A restart forgets the store; the fence does not let the proof in again. */
    DEP_CHECK(t, stop_guard(&w) == 0);
    start_guard(&w);
    DEP_CHECK(t, wait_for_status(&w, mint(&w, w.keys.issuer, "k1", "J0", ""), 200) >= 0);
    DEP_CHECK(t, status_dpop(&w, w.fetcher, authorization, proof) == 401);
    DEP_CHECK(t, status_dpop(&w, w.fetcher, authorization, fresh_proof(&w, token, fetch_nonce(t, &w, token))) == 200);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

struct racer {
    struct world *w;
    struct dep_str authorization, proof;
    pthread_barrier_t *barrier;
    int status;
};

static void *race(void *context)
{
    struct racer *racer = context;
    struct dep_fetcher *fetcher = dep_fetcher_new(-1);

    pthread_barrier_wait(racer->barrier);
    racer->status = status_dpop(racer->w, fetcher, racer->authorization, racer->proof);
    dep_fetcher_free(fetcher);
    return NULL;
}

DEP_TEST(B30_one_proof_at_the_same_instant)
{
    enum { RACERS = 16 };
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    pthread_barrier_t barrier;
    struct world w;

    start_issuer(&w);
    start_guard(&w);
    DEP_CHECK(t, wait_for_status(&w, mint(&w, w.keys.issuer, "k1", "J0", ""), 200) >= 0);

    struct dep_str token = mint_bound(&w, "J1"), authorization = fmt(&w.keys, "DPoP %.*s", DEP_STR_ARG(token));
    struct dep_str nonce = fetch_nonce(t, &w, token);

    for (unsigned round = 0; round < 5; round++) {
        struct dep_str proof = fresh_proof(&w, token, nonce);
        unsigned allowed = 0, refused = 0;

        pthread_barrier_init(&barrier, NULL, RACERS);
        for (unsigned i = 0; i < RACERS; i++) {
            racers[i] = (struct racer){ &w, authorization, proof, &barrier, 0 };
            DEP_ASSERT(pthread_create(&threads[i], NULL, race, &racers[i]) == 0);
        }
        for (unsigned i = 0; i < RACERS; i++) {
            pthread_join(threads[i], NULL);
            allowed += racers[i].status == 200;
            refused += racers[i].status == 401;
        }
        pthread_barrier_destroy(&barrier);
        DEP_CHECK(t, allowed == 1 && refused == RACERS - 1);
    }
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

DEP_TEST(refusals_are_repeated_for_nginx)
{
    struct world w;

    start_issuer(&w);
    w.config.scopes = DEP_STR("admin");
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");

    DEP_CHECK(t, wait_for_status(&w, token, 403) >= 0);

    const struct {
        struct dep_str authorization;
        int status;
        bool has_challenge;
    } cases[] = { { fmt(&w.keys, "Bearer %.*s", DEP_STR_ARG(token)), 403, true },
                  { DEP_STR("Bearer x"), 401, false }, /* nginx has put the challenge in already */
                  { DEP_STR("Bearer x y"), 400, true } };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_fetch_answer first = ask_guard(&w, w.fetcher, cases[i].authorization, DEP_STR_ABSENT);
        struct dep_header id = { DEP_STR("Deputy-Decision"), header_of(&first, "Deputy-Decision") };
        struct dep_fetch_answer again = call(&w, w.fetcher, "/authz/decision", &id, 1);

        DEP_CHECK(t, first.status == cases[i].status && again.status == cases[i].status);
        DEP_CHECK(t, dep_str_eq(first.body, again.body) && dep_str_eq(id.value, header_of(&again, "Deputy-Decision")));
        DEP_CHECK(t, dep_str_is_absent(header_of(&again, "WWW-Authenticate")) != cases[i].has_challenge);
        dep_fetch_answer_done(&again);
        dep_fetch_answer_done(&first);
    }

    struct dep_header unknown = { DEP_STR("Deputy-Decision"), DEP_STR("01ARZ3NDEKTSV4RRFFQ69G5FAV") };
    struct dep_fetch_answer answer = call(&w, w.fetcher, "/authz/decision", &unknown, 1);

    DEP_CHECK(t, answer.status == 503);
    dep_fetch_answer_done(&answer);
    DEP_CHECK(t, stop_guard(&w) == 0);
    stop_issuer(&w);
}

/* Lines of the log that hold `part`. */
static unsigned count_lines(const struct world *w, const char *part)
{
    char path[128], line[16384];
    unsigned count = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/log/0000000000.jsonl", w->directory);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, part) != NULL;
    if (file != NULL)
        fclose(file);
    return count;
}

DEP_TEST(every_decision_is_recorded)
{
    struct world w;
    struct stat about;
    char path[128];

    start_issuer(&w);
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");
    unsigned waits = 0;

    while (status_for(&w, token) != 200)
        waits++;
    for (unsigned i = 0; i < 20; i++)
        DEP_CHECK(t, status_for(&w, token) == 200);
    for (unsigned i = 0; i < 20; i++) {
        DEP_CHECK(t, status_for(&w, DEP_STR("marker-secret")) == 401);
        DEP_CHECK(t, count_lines(&w, "guard.refused") == waits + i + 1); /* safe before the answer */
    }
    DEP_CHECK(t, stop_guard(&w) == 0);
    DEP_CHECK(t, count_lines(&w, "guard.allowed") == 21 && count_lines(&w, "guard.refused") == waits + 20);
    DEP_CHECK(t, count_lines(&w, "marker-secret") == 0 &&
                     count_lines(&w, "\"node\":\"guard " RESOURCE "\"") == waits + 41);
    DEP_CHECK(t, count_lines(&w, "\"jti\":\"J1\"") >= 21);
    (void)snprintf(path, sizeof(path), "%s/checkpoint.key", w.directory);
    DEP_CHECK(t, stat(path, &about) == 0 && (about.st_mode & 0777) == 0600);
    /* A key that others may read is refused. */
    DEP_CHECK(t, chmod(path, 0644) == 0);
    start_guard(&w);
    pthread_join(w.thread, NULL);
    DEP_CHECK(t, w.code == 6);
    stop_issuer(&w);
}

/* A log that cannot grow: nothing is allowed, and the guard recovers by itself. Allows that had been answered are not
 * lost. */
DEP_TEST(B36_log_that_cannot_be_written_is_503)
{
    struct rlimit limit, small;
    struct world w;

    start_issuer(&w);
    start_guard(&w);

    struct dep_str token = mint(&w, w.keys.issuer, "k1", "J1", "");

    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    DEP_CHECK(t, getrlimit(RLIMIT_FSIZE, &limit) == 0);
    small = limit;
    small.rlim_cur = 1;
    DEP_CHECK(t, setrlimit(RLIMIT_FSIZE, &small) == 0);
    DEP_CHECK(t, wait_for_status(&w, token, 503) >= 0);
    DEP_CHECK(t, status_for(&w, DEP_STR("x")) == 503);
    DEP_CHECK(t, setrlimit(RLIMIT_FSIZE, &limit) == 0);
    DEP_CHECK(t, wait_for_status(&w, token, 200) >= 0);
    DEP_CHECK(t, stop_guard(&w) == 0);
    DEP_CHECK(t, count_lines(&w, "guard.allowed") >= 2);
    stop_issuer(&w);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(O09_refuses_to_start_without_what_it_needs),
        DEP_ROW(answers),
        DEP_ROW(other_paths),
        DEP_ROW(A68_revoked_at_the_issuer_refused_here_within_a_second),
        DEP_ROW(O08_silent_feed_is_503_and_recovers),
        DEP_ROW(O08_without_keys_or_feed_503_from_the_start),
        DEP_ROW(metadata_of_another_issuer_gives_no_keys),
        DEP_ROW(A33_random_kids_fetch_once),
        DEP_ROW(A64_rotation_is_followed_at_once),
        DEP_ROW(A65_tainted_key_kills_cached_tokens),
        DEP_ROW(A65_other_keys_that_cannot_be_fetched_are_503),
        DEP_ROW(A34_A35_bad_sets_keep_the_old_keys),
        DEP_ROW(B25_B27_B38_proofs_once_and_fenced),
        DEP_ROW(B30_one_proof_at_the_same_instant),
        DEP_ROW(refusals_are_repeated_for_nginx),
        DEP_ROW(every_decision_is_recorded),
        DEP_ROW(B36_log_that_cannot_be_written_is_503),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

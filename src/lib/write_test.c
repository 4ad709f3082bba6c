/* Writes that happen once, through the C API: what each state of the first request means for the second. */
#include <deputy/idempotency.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/lib_fixture.h"

struct desk {
    struct world w;
    struct deputy_verdict *verdict; /* of the caller */
    char directory[64], path[96];
    struct deputy_ledger *ledger;
};

static void open_ledger(struct desk *desk)
{
    DEP_ASSERT(deputy_ledger_open(desk->path, "of this node", 12, &desk->ledger) == DEPUTY_OK);
}

static void set_up_desk(struct desk *desk)
{
    set_up_world(&desk->w);
    start_ready(&desk->w);
    DEP_ASSERT(ask_bearer_token(&desk->w, mint_good(&desk->w), &desk->verdict) == DEPUTY_ALLOW);
    (void)snprintf(desk->directory, sizeof(desk->directory), "/tmp/deputy-lib-test-XXXXXX");
    DEP_ASSERT(mkdtemp(desk->directory) != NULL);
    (void)snprintf(desk->path, sizeof(desk->path), "%s/ledger.db", desk->directory);
    open_ledger(desk);
}

static void tear_down_desk(struct desk *desk)
{
    char command[128];
    FILE *pipe;

    deputy_ledger_close(desk->ledger);
    deputy_verdict_free(desk->verdict);
    tear_down_world(&desk->w);
    (void)snprintf(command, sizeof(command), "rm -r %s", desk->directory);
    pipe = popen(command, "r");
    if (pipe != NULL)
        pclose(pipe);
}

/* POST /pay with this key (NULL: none) and body. */
static enum deputy_write_outcome begin(struct desk *desk, const char *key, const char *body, unsigned flags,
                                       struct deputy_write **ret_write)
{
    struct deputy_header headers[2] = { { { "content-type", 12 }, { "application/json", 16 } } };
    struct deputy_write_request request = { .size = sizeof(request),
                                            .verdict = desk->verdict,
                                            .method = { "POST", 4 },
                                            .target = { "/pay", 4 },
                                            .headers = headers,
                                            .headers_count = 1,
                                            .body = { body, strlen(body) },
                                            .flags = flags };

    if (key != NULL)
        headers[request.headers_count++] = (struct deputy_header){ { "idempotency-key", 15 }, { key, strlen(key) } };
    return deputy_write_begin(desk->ledger, &request, ret_write);
}

static enum deputy_result complete(struct deputy_write *write, int status, const char *body)
{
    const struct deputy_header headers[] = { { { "Content-Type", 12 }, { "text/plain", 10 } },
                                             { { "Set-Cookie", 10 }, { "a=b", 3 } },
                                             { { "Location", 8 }, { "/pay/7", 6 } } };

    return deputy_write_complete(write, status, headers, DEP_COUNT(headers),
                                 (struct deputy_text){ body, strlen(body) });
}

static struct dep_str write_header(const struct deputy_write *write, const char *name)
{
    size_t count;
    const struct deputy_header *headers = deputy_write_headers(write, &count);

    for (size_t i = 0; i < count; i++)
        if (dep_str_eq_nocase(dep_str(headers[i].name.ptr, headers[i].name.len), dep_str_c(name)))
            return dep_str(headers[i].value.ptr, headers[i].value.len);
    return DEP_STR_ABSENT;
}

static void check_not_run(struct dep_test *t, struct desk *desk, const char *key, const char *body,
                          enum deputy_write_reason reason, int status)
{
    struct deputy_write *write = NULL;

    DEP_CHECK(t, begin(desk, key, body, DEPUTY_WRITE_KEY_REQUIRED, &write) == DEPUTY_WRITE_ANSWER);
    dep_test_check(t, deputy_write_reason(write) == reason && deputy_write_status(write) == status, __FILE__, __LINE__,
                   "%s: reason %d, status %d", key == NULL ? "no key" : key, deputy_write_reason(write),
                   deputy_write_status(write));
    DEP_CHECK(t, deputy_write_body(write).len > 0 && !dep_str_is_absent(write_header(write, "content-type")));
    deputy_write_free(write);
}

DEP_TEST(N06_the_answer_of_the_first_is_given_again)
{
    static const int statuses[] = { 201, 500 };
    struct deputy_write *write = NULL;
    struct desk desk;

    set_up_desk(&desk);
    for (size_t i = 0; i < DEP_COUNT(statuses); i++) {
        const char *key = i == 0 ? "\"k-1\"" : "\"k-2\"";

        DEP_CHECK(t, begin(&desk, key, "{}", 0, &write) == DEPUTY_WRITE_RUN);
        DEP_CHECK(t, deputy_write_reason(write) == DEPUTY_WRITE_NONE && deputy_write_status(write) == 0);
        DEP_CHECK_STR(t, write_header(write, "Idempotency-Retention"), "86400");
        DEP_CHECK(t, complete(write, statuses[i], "paid") == DEPUTY_OK);
        for (unsigned again = 0; again < 2; again++) {
            DEP_CHECK(t, begin(&desk, key, "{}", 0, &write) == DEPUTY_WRITE_ANSWER);
            DEP_CHECK(t, deputy_write_reason(write) == DEPUTY_WRITE_REPLAYED);
            DEP_CHECK(t, deputy_write_status(write) == statuses[i]);
            DEP_CHECK_STR(t, dep_str(deputy_write_body(write).ptr, deputy_write_body(write).len), "paid");
            DEP_CHECK_STR(t, write_header(write, "location"), "/pay/7");
            DEP_CHECK_STR(t, write_header(write, "idempotency-replayed"), "true");
            DEP_CHECK(t, dep_str_is_absent(write_header(write, "set-cookie")));
            /* A kept answer cannot be completed once more. */
            DEP_CHECK(t, complete(write, 200, "other") == DEPUTY_ERR_ARGUMENT);
        }
        deputy_ledger_close(desk.ledger); /* and it outlives the process */
        open_ledger(&desk);
    }
    tear_down_desk(&desk);
}

DEP_TEST(N02_N03_N05_in_flight_mismatch_and_bad_keys)
{
    struct deputy_write *write = NULL, *none = NULL;
    struct desk desk;

    set_up_desk(&desk);
    DEP_CHECK(t, begin(&desk, "\"k\"", "{}", 0, &write) == DEPUTY_WRITE_RUN);
    check_not_run(t, &desk, "\"k\"", "{}", DEPUTY_WRITE_IN_FLIGHT, 409);
    check_not_run(t, &desk, "\"k\"", "{\"more\":1}", DEPUTY_WRITE_MISMATCH, 422);
    DEP_CHECK(t, complete(write, 200, "") == DEPUTY_OK);
    check_not_run(t, &desk, "\"k\"", "{\"more\":1}", DEPUTY_WRITE_MISMATCH, 422);
    check_not_run(t, &desk, NULL, "{}", DEPUTY_WRITE_REFUSED, 400);
    check_not_run(t, &desk, "bare", "{}", DEPUTY_WRITE_REFUSED, 400);
    check_not_run(t, &desk, "\"\"", "{}", DEPUTY_WRITE_REFUSED, 400);
    DEP_CHECK(t, begin(&desk, NULL, "{}", 0, &none) == DEPUTY_WRITE_NO_KEY && none == NULL);
    DEP_CHECK(t, begin(&desk, "bare", "{}", DEPUTY_WRITE_KEY_BARE, &write) == DEPUTY_WRITE_RUN);
    deputy_write_abandon(write);
    tear_down_desk(&desk);
}

DEP_TEST(abandoned_runs_again_and_lost_does_not)
{
    struct deputy_write *write = NULL;
    struct desk desk;

    set_up_desk(&desk);
    DEP_CHECK(t, begin(&desk, "\"k\"", "{}", 0, &write) == DEPUTY_WRITE_RUN);
    deputy_write_abandon(write);
    DEP_CHECK(t, begin(&desk, "\"k\"", "{}", 0, &write) == DEPUTY_WRITE_RUN);
    deputy_write_free(write); /* nobody knows how it ended */
    check_not_run(t, &desk, "\"k\"", "{}", DEPUTY_WRITE_UNKNOWN, 409);
    tear_down_desk(&desk);
}

DEP_TEST(an_answer_that_is_too_large_is_remembered_as_given)
{
    struct deputy_write *write = NULL;
    char *large = malloc(65538);
    struct desk desk;

    set_up_desk(&desk);
    memset(large, 'x', 65537);
    large[65537] = '\0';
    DEP_CHECK(t, begin(&desk, "\"k\"", "{}", 0, &write) == DEPUTY_WRITE_RUN);
    DEP_CHECK(t, complete(write, 200, large) == DEPUTY_OK);
    check_not_run(t, &desk, "\"k\"", "{}", DEPUTY_WRITE_UNKNOWN, 409);
    large[65536] = '\0';
    DEP_CHECK(t, begin(&desk, "\"twin\"", "{}", 0, &write) == DEPUTY_WRITE_RUN);
    DEP_CHECK(t, complete(write, 200, large) == DEPUTY_OK);
    DEP_CHECK(t, begin(&desk, "\"twin\"", "{}", 0, &write) == DEPUTY_WRITE_ANSWER);
    DEP_CHECK(t, deputy_write_body(write).len == 65536);
    deputy_write_free(write);
    free(large);
    tear_down_desk(&desk);
}

/* The process dies between the run and the answer. */
DEP_TEST(a_killed_process_leaves_an_unknown_outcome)
{
    struct desk desk;
    pid_t child;
    int status;

    set_up_desk(&desk);
    deputy_ledger_close(desk.ledger);
    child = fork();
    if (child == 0) {
        struct deputy_write *write = NULL;

        open_ledger(&desk);
        (void)begin(&desk, "\"k\"", "{}", 0, &write);
        (void)kill(getpid(), SIGKILL);
    }
    DEP_CHECK(t, child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    open_ledger(&desk);
    check_not_run(t, &desk, "\"k\"", "{}", DEPUTY_WRITE_UNKNOWN, 409);
    tear_down_desk(&desk);
}

DEP_TEST(N04_a_key_belongs_to_its_caller)
{
    struct deputy_verdict *mine, *refused = NULL;
    struct deputy_write *write = NULL;
    struct desk desk;

    set_up_desk(&desk);
    mine = desk.verdict;
    DEP_CHECK(t, begin(&desk, "\"k\"", "{}", 0, &write) == DEPUTY_WRITE_RUN);
    DEP_CHECK(t, complete(write, 200, "mine") == DEPUTY_OK);
    DEP_CHECK(t,
              ask_bearer_token(&desk.w, mint(&desk.w, desk.w.keys.issuer, "k1", "J7", ",\"act\":{\"sub\":\"agent:B\"}"),
                               &desk.verdict) == DEPUTY_ALLOW);
    DEP_CHECK(t, begin(&desk, "\"k\"", "{}", 0, &write) == DEPUTY_WRITE_RUN); /* another chain, another key */
    deputy_write_abandon(write);
    deputy_verdict_free(desk.verdict);
    /* Whoever is not known has no keys. */
    DEP_CHECK(t, ask_bearer_token(&desk.w, DEP_STR("x"), &refused) == DEPUTY_REFUSE);
    desk.verdict = refused;
    check_not_run(t, &desk, "\"k\"", "{}", DEPUTY_WRITE_REFUSED, 403);
    desk.verdict = NULL;
    check_not_run(t, &desk, "\"k\"", "{}", DEPUTY_WRITE_REFUSED, 403);
    deputy_verdict_free(refused);
    desk.verdict = mine;
    tear_down_desk(&desk);
}

DEP_TEST(ledgers_that_cannot_be_had)
{
    struct deputy_ledger *ledger = NULL;

    DEP_CHECK(t, deputy_ledger_open("/nonexistent/ledger.db", NULL, 0, &ledger) == DEPUTY_ERR_SYSTEM && ledger == NULL);
    DEP_CHECK(t, deputy_ledger_open(NULL, NULL, 0, &ledger) == DEPUTY_ERR_ARGUMENT);
    ledger = (struct deputy_ledger *)&ledger; /* O10 */
    DEP_CHECK(t, deputy_ledger_open("/tmp/x", NULL, 3, &ledger) == DEPUTY_ERR_ARGUMENT && ledger == NULL);
    deputy_ledger_close(NULL);
    deputy_write_free(NULL);
}

DEP_TEST(a_ledger_with_limits_is_full_sooner)
{
    struct deputy_ledger_limits limits = { .size = sizeof(limits), .entries_max = 2, .caller_entries_max = 1 };
    struct deputy_write *write = NULL;
    struct desk desk;

    set_up_desk(&desk);
    deputy_ledger_close(desk.ledger);
    desk.ledger = NULL;
    limits.retention_s = -1;
    DEP_CHECK(t, deputy_ledger_open_limited(desk.path, NULL, 0, &limits, &desk.ledger) == DEPUTY_ERR_ARGUMENT);
    limits.retention_s = 3600;
    limits.size--;
    DEP_CHECK(t, deputy_ledger_open_limited(desk.path, NULL, 0, &limits, &desk.ledger) == DEPUTY_ERR_ARGUMENT);
    limits.size++;
    DEP_CHECK(t, deputy_ledger_open_limited(desk.path, "of this node", 12, &limits, &desk.ledger) == DEPUTY_OK);
    DEP_CHECK(t, begin(&desk, "\"one\"", "x", 0, &write) == DEPUTY_WRITE_RUN);
    DEP_CHECK(t, complete(write, 200, "done") == DEPUTY_OK);
    check_not_run(t, &desk, "\"two\"", "x", DEPUTY_WRITE_REFUSED, 429);
    check_not_run(t, &desk, "\"one\"", "x", DEPUTY_WRITE_REPLAYED, 200);
    tear_down_desk(&desk);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(N06_the_answer_of_the_first_is_given_again),
        DEP_ROW(N02_N03_N05_in_flight_mismatch_and_bad_keys),
        DEP_ROW(abandoned_runs_again_and_lost_does_not),
        DEP_ROW(an_answer_that_is_too_large_is_remembered_as_given),
        DEP_ROW(a_killed_process_leaves_an_unknown_outcome),
        DEP_ROW(N04_a_key_belongs_to_its_caller),
        DEP_ROW(ledgers_that_cannot_be_had),
        DEP_ROW(a_ledger_with_limits_is_full_sooner),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

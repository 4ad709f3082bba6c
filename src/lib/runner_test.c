/* A guard that fetches by itself, from an issuer on loopback; one handle used by many threads; and the audit log. */
#include "lib/lib_fixture.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/server.h"

#define THREADS 8u
#define PROOFS 24u

struct site {
    struct world w;
    struct dep_net_server *server;
    pthread_mutex_t lock; /* of what the issuer says */
    char directory[64];
};

static void handle(void *context, struct dep_net_exchange *exchange)
{
    struct site *site = context;
    const struct dep_header type = { DEP_STR("Content-Type"), DEP_STR("application/json") };
    struct dep_net_answer answer = { .headers = &type, .headers_count = 1 };
    char path[512], body[16384];

    (void)snprintf(path, sizeof(path), "%.*s%s%.*s", DEP_STR_ARG(exchange->path),
                   dep_str_is_blank(exchange->query) ? "" : "?", DEP_STR_ARG(exchange->query));
    pthread_mutex_lock(&site->lock);
    answer.status = issuer_says(&site->w, dep_str_c(path), body, sizeof(body));
    pthread_mutex_unlock(&site->lock);
    answer.body = dep_str_c(body);
    dep_net_reply(exchange, &answer);
}

static void set_up_site(struct site *site)
{
    const struct dep_net_config net = { .address = DEP_STR("127.0.0.1:0"),
                                        .workers = 2,
                                        .connections_max = 64,
                                        .body_bytes_max = 4096,
                                        .idle_timeout_s = 30,
                                        .handle = handle,
                                        .context = site };

    set_up_world(&site->w);
    pthread_mutex_init(&site->lock, NULL);
    DEP_ASSERT(dep_is_ok(dep_net_server_start(&net, &site->server)));
    (void)snprintf(site->w.issuer, sizeof(site->w.issuer), "http://127.0.0.1:%u", dep_net_server_port(site->server));
    set(&site->w, "issuer", site->w.issuer);
    set(&site->w, "allow-loopback", "true");
    (void)snprintf(site->directory, sizeof(site->directory), "/tmp/deputy-lib-test-XXXXXX");
    DEP_ASSERT(mkdtemp(site->directory) != NULL);
}

static void tear_down_site(struct site *site)
{
    char command[128];
    FILE *pipe;

    /* The server answers until it is stopped: it goes after who asks it, and before what its answers are made of. */
    deputy_guard_free(site->w.guard);
    site->w.guard = NULL;
    dep_net_server_stop(site->server, 2000);
    tear_down_world(&site->w);
    pthread_mutex_destroy(&site->lock);
    (void)snprintf(command, sizeof(command), "rm -r %s", site->directory);
    pipe = popen(command, "r");
    if (pipe != NULL)
        pclose(pipe);
}

static void start_site(struct dep_test *t, struct site *site)
{
    start_guard(&site->w);
    DEP_CHECK(t, deputy_guard_start(site->w.guard) == DEPUTY_OK);
    DEP_CHECK(t, deputy_guard_wait_ready(site->w.guard, 10000) == DEPUTY_OK);
}

static int bearer_status(struct world *w, struct dep_str token, unsigned flags)
{
    struct deputy_verdict *verdict = NULL;
    char value[2048];
    enum deputy_outcome outcome;
    int status;

    (void)snprintf(value, sizeof(value), "Bearer %.*s", DEP_STR_ARG(token));
    outcome = ask_as(w, dep_str_c(value), DEP_STR_ABSENT, NULL, flags, &verdict);
    status = verdict == NULL ? -(int)outcome : deputy_verdict_status(verdict);
    deputy_verdict_free(verdict);
    return status;
}

DEP_TEST(the_first_check_waits_for_keys_and_feed)
{
    struct site site;

    set_up_site(&site);
    start_guard(&site.w);
    DEP_CHECK(t, deputy_guard_start(site.w.guard) == DEPUTY_OK);
    DEP_CHECK(t, deputy_guard_start(site.w.guard) == DEPUTY_ERR_ARGUMENT);
    DEP_CHECK(t, bearer_status(&site.w, mint_good(&site.w), 0) == 200);
    tear_down_site(&site);
}

DEP_TEST(new_keys_are_waited_for)
{
    struct dep_str token;
    struct site site;

    set_up_site(&site);
    start_site(t, &site);
    pthread_mutex_lock(&site.lock);
    publish(&site.w, site.w.keys.stranger, "k2");
    site.w.keys_version = 1;
    pthread_mutex_unlock(&site.lock);
    token = mint(&site.w, site.w.keys.stranger, "k2", "J5", "");
    DEP_CHECK(t, bearer_status(&site.w, token, DEPUTY_CHECK_NO_WAIT) == -DEPUTY_NEEDS);
    DEP_CHECK(t, bearer_status(&site.w, token, 0) == 200);
    tear_down_site(&site);
}

DEP_TEST(revocations_arrive_by_themselves)
{
    struct timespec pause = { 0, 10000000 };
    struct dep_str token;
    struct site site;
    int status = 200;

    set_up_site(&site);
    start_site(t, &site);
    token = mint_good(&site.w);
    DEP_CHECK(t, bearer_status(&site.w, token, 0) == 200);
    pthread_mutex_lock(&site.lock);
    tell_revoked(&site.w, "agent", "agent:A");
    pthread_mutex_unlock(&site.lock);
    for (unsigned i = 0; i < 1000 && status == 200; i++) {
        status = bearer_status(&site.w, token, 0);
        nanosleep(&pause, NULL);
    }
    DEP_CHECK(t, status == 401);
    tear_down_site(&site);
}

/* Without leave, http on loopback is not even asked. */
DEP_TEST(addresses_have_rules)
{
    struct site site;

    set_up_site(&site);
    set(&site.w, "issuer", "https://127.0.0.1:1");
    set(&site.w, "allow-loopback", "false");
    set(&site.w, "wait-max-ms", "10000");
    start_guard(&site.w);
    DEP_CHECK(t, deputy_guard_start(site.w.guard) == DEPUTY_OK);
    DEP_CHECK(t, bearer_status(&site.w, mint_good(&site.w), 0) == 503);
    DEP_CHECK(t, deputy_guard_wait_ready(site.w.guard, 1) == DEPUTY_ERR_TIMEOUT);
    DEP_CHECK(t, site.w.fetches[0] == 0);
    tear_down_site(&site);
}

static size_t log_has(const struct site *site, const char *part)
{
    char name[128], text[RECORDS_MAX];
    size_t len = 0, count = 0;
    FILE *file;

    (void)snprintf(name, sizeof(name), "%s/audit/log/0000000000.jsonl", site->directory);
    file = fopen(name, "r");
    if (file != NULL) {
        len = fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
    }
    text[len] = '\0';
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void use_log(struct site *site)
{
    char name[128];

    (void)snprintf(name, sizeof(name), "%s/audit", site->directory);
    deputy_config_set_record(site->w.config, NULL, NULL);
    set(&site->w, "audit", name);
}

DEP_TEST(a_refusal_is_on_the_disk_before_it_is_answered)
{
    struct site site;

    set_up_site(&site);
    use_log(&site);
    start_site(t, &site);
    DEP_CHECK(t, bearer_status(&site.w, DEP_STR("x.y.z"), 0) == 401);
    DEP_CHECK(t, log_has(&site, "\"guard.refused\"") == 1);
    DEP_CHECK(t, bearer_status(&site.w, mint_good(&site.w), 0) == 200);
    deputy_guard_free(site.w.guard);
    site.w.guard = NULL;
    DEP_CHECK(t, log_has(&site, "\"guard.allowed\"") == 1);
    tear_down_site(&site);
}

DEP_TEST(who_may_not_wait_gets_the_verdict_later)
{
    struct deputy_verdict *verdict = NULL;
    struct pollfd readable;
    struct site site;

    set_up_site(&site);
    use_log(&site);
    start_site(t, &site);
    while (deputy_guard_recorded(site.w.guard) != NULL) /* quiet until then */
        ;
    DEP_CHECK(t, ask_as(&site.w, DEP_STR("Bearer x"), DEP_STR_ABSENT, NULL, DEPUTY_CHECK_NO_WAIT, &verdict) ==
                     DEPUTY_RECORDING);
    DEP_CHECK(t, verdict == NULL);
    readable = (struct pollfd){ .fd = deputy_guard_fd(site.w.guard), .events = POLLIN };
    while ((verdict = deputy_guard_recorded(site.w.guard)) == NULL && poll(&readable, 1, 10000) == 1)
        ;
    DEP_CHECK(t, verdict != NULL && deputy_verdict_status(verdict) == 401 && deputy_verdict_user(verdict) == &site.w);
    DEP_CHECK(t, log_has(&site, "\"guard.refused\"") == 1);
    deputy_verdict_free(verdict);
    DEP_CHECK(t, deputy_guard_recorded(site.w.guard) == NULL && poll(&readable, 1, 0) == 0);
    /* One that nobody asks for is freed with the guard. */
    DEP_CHECK(t, ask_as(&site.w, DEP_STR("Bearer x"), DEP_STR_ABSENT, NULL, DEPUTY_CHECK_NO_WAIT, &verdict) ==
                     DEPUTY_RECORDING);
    tear_down_site(&site);
}

/* Many threads, one handle: every proof is sent by two of them at once. */
struct crowd {
    struct world *w;
    struct dep_str token, proofs[PROOFS];
    pthread_barrier_t together;
    atomic_uint allowed[PROOFS], replayed, others;
};

static void *rush(void *context)
{
    struct crowd *crowd = context;
    char value[2048];

    (void)snprintf(value, sizeof(value), "DPoP %.*s", DEP_STR_ARG(crowd->token));
    for (size_t i = 0; i < PROOFS; i++) {
        struct deputy_verdict *verdict = NULL;

        pthread_barrier_wait(&crowd->together);
        (void)ask_as(crowd->w, dep_str_c(value), crowd->proofs[i], NULL, 0, &verdict);
        if (deputy_verdict_is_allowed(verdict))
            atomic_fetch_add(&crowd->allowed[i], 1);
        else
            atomic_fetch_add(
                strcmp(deputy_verdict_reason(verdict), "DPOP_REPLAY") == 0 ? &crowd->replayed : &crowd->others, 1);
        deputy_verdict_free(verdict);
    }
    return NULL;
}

DEP_TEST(B30_one_proof_at_the_same_instant)
{
    struct deputy_verdict *verdict = NULL;
    struct crowd crowd = { .replayed = 0 };
    pthread_t threads[THREADS];
    struct dep_str nonce;
    struct site site;
    bool is_once = true;

    set_up_site(&site);
    use_log(&site);
    start_site(t, &site);
    crowd.w = &site.w;
    crowd.token = mint_bound(&site.w);
    DEP_CHECK(t, ask_with_proof(&site.w, crowd.token, proof_of_now(&site.w, crowd.token, DEP_STR_ABSENT), &verdict) ==
                     DEPUTY_REFUSE);
    nonce = dep_arena_dup(&site.w.keys.arena, answer_header(verdict, "DPoP-Nonce"));
    deputy_verdict_free(verdict);
    for (size_t i = 0; i < PROOFS; i++)
        crowd.proofs[i] = proof_of_now(&site.w, crowd.token, nonce);
    pthread_barrier_init(&crowd.together, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        DEP_ASSERT(pthread_create(&threads[i], NULL, rush, &crowd) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&crowd.together);
    for (size_t i = 0; i < PROOFS; i++)
        is_once &= atomic_load(&crowd.allowed[i]) == 1;
    DEP_CHECK(t, is_once);
    DEP_CHECK(t, atomic_load(&crowd.replayed) == PROOFS * (THREADS - 1) && atomic_load(&crowd.others) == 0);
    tear_down_site(&site);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(the_first_check_waits_for_keys_and_feed),
        DEP_ROW(new_keys_are_waited_for),
        DEP_ROW(revocations_arrive_by_themselves),
        DEP_ROW(addresses_have_rules),
        DEP_ROW(a_refusal_is_on_the_disk_before_it_is_answered),
        DEP_ROW(who_may_not_wait_gets_the_verdict_later),
        DEP_ROW(B30_one_proof_at_the_same_instant),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* The writer: nothing is answered that is not recorded, and everything that was taken is answered (invariants in writer.h). */
#include "server/writer.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "server/http_fixture.h"

#define WAITING_MAX 8

struct place {
    struct dep_ledger *ledger; /* of jobs whose path begins with /once */
    struct dep_store *store;   /* faulty, over memory */
    struct dep_audit_log *log;
    struct dep_private_key *key;
    struct dep_crypto *crypto;
    struct dep_writer *writer;
    struct dep_net_server *server;
    unsigned port;
    char folder[64];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_held; /* the writer waits in publish() */
    bool is_inside;
    unsigned pushed, refused;
};

/* Runs on the writer thread, between the store and the answer. */
static void publish(void *context, const struct dep_change *changes, size_t count)
{
    struct place *place = context;

    (void)changes;
    (void)count;
    (void)pthread_mutex_lock(&place->mutex);
    place->is_inside = true;
    (void)pthread_cond_broadcast(&place->changed);
    while (place->is_held)
        (void)pthread_cond_wait(&place->changed, &place->mutex);
    place->is_inside = false;
    (void)pthread_mutex_unlock(&place->mutex);
}

/* The scope is the path. */
static struct dep_idempotency_names names_of(struct dep_str path)
{
    struct dep_idempotency_names names;

    memset(&names, 0, sizeof(names));
    memcpy(names.scope, path.ptr, path.len < sizeof(names.scope) ? path.len : sizeof(names.scope));
    return names;
}

static struct dep_idempotency_entry begin(struct place *place, struct dep_str path)
{
    struct dep_idempotency_names names = names_of(path);
    _Alignas(16) unsigned char memory[256];
    struct dep_idempotency_entry entry;
    struct dep_arena arena;
    struct dep_res res;

    dep_arena_init(&arena, memory, sizeof(memory));
    res = dep_ledger_begin(place->ledger, &names, 1700000000, &arena, &entry);
    DEP_ASSERT(dep_is_ok(res));
    return entry;
}

/* The path is the id of a record that is added; the query, when there is one, makes it a job of the admin API. */
static void handle(void *context, struct dep_net_exchange *exchange)
{
    struct place *place = context;
    const struct dep_change change = {
        .op = DEP_CHANGE_ADD,
        .record = { .kind = DEP_RECORD_META, .id = exchange->path, .version = 1, .body = DEP_STR("{}") },
    };
    char line[128];
    struct dep_str json = dep_str(
        line, (size_t)snprintf(line, sizeof(line), "{\"ts\":1700000000,\"id\":\"%.*s\"}", DEP_STR_ARG(exchange->path)));
    struct dep_job *job = dep_job_new(&change, 1, json.len + 16);
    struct dep_res res;

    job->exchange = exchange;
    job->is_problem = !dep_str_is_absent(exchange->query);
    job->line.json = dep_job_text(job, json);
    dep_merkle_leaf(place->crypto, json, job->line.leaf);
    job->status = 201;
    job->body = dep_job_text(job, DEP_STR("done"));
    job->id = dep_job_text(job, DEP_STR("01J0"));
    if (dep_str_starts(exchange->path, DEP_STR("/once"))) {
        struct dep_idempotency_names names = names_of(exchange->path);

        job->once.ledger = place->ledger;
        job->once.ticket = begin(place, exchange->path).ticket;
        job->once.answer = DEP_STR("kept");
        memcpy(job->once.scope, names.scope, sizeof(job->once.scope));
    }
    dep_net_defer(exchange);
    (void)pthread_mutex_lock(&place->mutex);
    res = dep_writer_push(place->writer, job);
    place->pushed += dep_is_ok(res);
    place->refused += !dep_is_ok(res);
    (void)pthread_cond_broadcast(&place->changed);
    (void)pthread_mutex_unlock(&place->mutex);
    if (dep_is_ok(res))
        return;
    dep_job_free(job);
    dep_net_reply(exchange,
                  &(struct dep_net_answer){ .status = res.err == DEP_ERR_OVERLOADED ? 429 : 410, .body = DEP_STR("") });
}

static void place_open(struct place *place)
{
    memset(place, 0, sizeof(*place));
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/deputy-writer-XXXXXX");
    DEP_ASSERT(mkdtemp(place->folder) != NULL);
    (void)pthread_mutex_init(&place->mutex, NULL);
    (void)pthread_cond_init(&place->changed, NULL);
    place->crypto = dep_crypto_new();
    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ED25519, &place->key)));
    const struct dep_ledger_limits limits = dep_ledger_limits_default();

    DEP_ASSERT(dep_is_ok(dep_ledger_memory_new(&limits, &place->ledger)));
    DEP_ASSERT(dep_is_ok(dep_ledger_faulty_new(place->ledger, &place->ledger)));
    DEP_ASSERT(dep_is_ok(dep_store_memory_new(&place->store)));
    DEP_ASSERT(dep_is_ok(dep_store_faulty_new(place->store, &place->store)));

    const struct dep_audit_config log = { .directory = place->folder,
                                          .origin = DEP_STR("deputy/as.example"),
                                          .key = place->key,
                                          .segment_bytes_max = 1 << 20 };

    DEP_ASSERT(dep_is_ok(dep_audit_open(&log, &place->log)));

    const struct dep_writer_config writer = {
        .store = place->store, .log = place->log, .publish = publish, .context = place, .waiting_max = WAITING_MAX
    };
    const struct dep_net_config net = { .address = DEP_STR("127.0.0.1:0"),
                                        .workers = 1,
                                        .connections_max = 64,
                                        .body_bytes_max = 1024,
                                        .idle_timeout_s = 30,
                                        .handle = handle,
                                        .context = place };

    DEP_ASSERT(dep_is_ok(dep_writer_start(&writer, &place->writer)));
    DEP_ASSERT(dep_is_ok(dep_net_server_start(&net, &place->server)));
    place->port = dep_net_server_port(place->server);
}

static void remove_tree(const char *folder)
{
    DIR *list = opendir(folder);
    struct dirent *file;
    char path[512];

    while (list != NULL && (file = readdir(list)) != NULL) {
        if (file->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%.200s/%.255s", folder, file->d_name);
        if (unlink(path) != 0)
            remove_tree(path);
    }
    if (list != NULL)
        (void)closedir(list);
    (void)rmdir(folder);
}

/* The writer may have been stopped by the row. */
static void place_close(struct place *place)
{
    dep_net_server_stop(place->server, 5000);
    dep_writer_stop(place->writer);
    dep_audit_close(place->log);
    dep_ledger_free(place->ledger);
    dep_store_free(place->store);
    dep_private_key_free(place->key);
    dep_crypto_free(place->crypto);
    remove_tree(place->folder);
    (void)pthread_cond_destroy(&place->changed);
    (void)pthread_mutex_destroy(&place->mutex);
}

static void hold(struct place *place, bool is_held)
{
    (void)pthread_mutex_lock(&place->mutex);
    place->is_held = is_held;
    (void)pthread_cond_broadcast(&place->changed);
    (void)pthread_mutex_unlock(&place->mutex);
}

static void await(struct place *place, bool is_inside, unsigned pushed, unsigned refused)
{
    (void)pthread_mutex_lock(&place->mutex);
    while (place->is_inside != is_inside || place->pushed < pushed || place->refused < refused)
        (void)pthread_cond_wait(&place->changed, &place->mutex);
    (void)pthread_mutex_unlock(&place->mutex);
}

static int add(struct place *place, const char *target, char text[4096])
{
    return http_read(http_get(place->port, target), text, 4096);
}

DEP_TEST(records_and_answers)
{
    struct place place;
    char text[4096];

    place_open(&place);
    DEP_CHECK(t, add(&place, "/a", text) == 201);
    DEP_CHECK(t, strstr(text, "\r\n\r\ndone") != NULL);
    DEP_CHECK(t, dep_audit_size(place.log) == 1);
    DEP_CHECK(t, add(&place, "/a", text) == 409); /* it exists: nothing is recorded */
    DEP_CHECK(t, dep_audit_size(place.log) == 1);
    DEP_CHECK(t, dep_writer_records(place.writer) == 1);
    place_close(&place);
}

DEP_TEST(a_store_that_fails_answers_503)
{
    struct place place;
    char text[4096];

    place_open(&place);
    dep_store_faulty_arm(place.store, 1, false);
    DEP_CHECK(t, add(&place, "/a", text) == 503);
    DEP_CHECK(t, strstr(text, "done") == NULL && strstr(text, "temporarily_unavailable") != NULL);
    DEP_CHECK(t, dep_audit_size(place.log) == 0);
    dep_store_faulty_arm(place.store, 1, false);
    DEP_CHECK(t, add(&place, "/a?problem", text) == 503);
    DEP_CHECK(t, strstr(text, "application/problem+json") != NULL && strstr(text, "done") == NULL);
    DEP_CHECK(t, add(&place, "/a", text) == 201);
    DEP_CHECK(t, dep_audit_size(place.log) == 1);
    place_close(&place);
}

/* A full disk: no file of this process may grow any more. */
DEP_TEST(a_log_that_fails_answers_503)
{
    struct rlimit whole, none;
    struct place place;
    char text[4096];

    place_open(&place);
    DEP_ASSERT(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &whole) == 0);
    none = whole;
    none.rlim_cur = 0;
    DEP_CHECK(t, add(&place, "/a", text) == 201);
    DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &none) == 0);
    DEP_CHECK(t, add(&place, "/b", text) == 503);
    DEP_CHECK(t, strstr(text, "done") == NULL);
    DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &whole) == 0);
    DEP_CHECK(t, dep_audit_size(place.log) == 1);
    DEP_CHECK(t, add(&place, "/c", text) == 201);
    DEP_CHECK(t, dep_audit_size(place.log) == 2);
    place_close(&place);
}

/* Kept when it stands, forgotten when it does not, lost when it stands and nobody was told. */
DEP_TEST(the_ledger_is_told_how_a_write_ended)
{
    struct rlimit whole, none;
    struct place place;
    char text[4096];

    place_open(&place);
    DEP_CHECK(t, add(&place, "/once", text) == 201);
    DEP_CHECK(t, begin(&place, DEP_STR("/once")).state == DEP_IDEMPOTENCY_DONE);
    dep_store_faulty_arm(place.store, 1, false);
    DEP_CHECK(t, add(&place, "/once-failed", text) == 503);
    DEP_CHECK(t, begin(&place, DEP_STR("/once-failed")).state == DEP_IDEMPOTENCY_NEW);

    DEP_ASSERT(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && getrlimit(RLIMIT_FSIZE, &whole) == 0);
    none = whole;
    none.rlim_cur = 0;
    DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &none) == 0);
    DEP_CHECK(t, add(&place, "/once-unrecorded", text) == 503);
    DEP_ASSERT(setrlimit(RLIMIT_FSIZE, &whole) == 0);
    DEP_CHECK(t, begin(&place, DEP_STR("/once-unrecorded")).state == DEP_IDEMPOTENCY_LOST);

    /* the ledger's own trouble: begin works, complete fails, lose works */
    dep_ledger_faulty_arm(place.ledger, 2, false, false);
    DEP_CHECK(t, add(&place, "/once-untold", text) == 201);
    DEP_CHECK(t, begin(&place, DEP_STR("/once-untold")).state == DEP_IDEMPOTENCY_LOST);
    place_close(&place);
}

/* What gathers while the writer is busy is one commit; what does not fit is refused and stays its owner's. */
DEP_TEST(gathers_up_to_its_bound)
{
    struct place place;
    char target[16], text[4096];
    int fds[WAITING_MAX + 1];
    unsigned good = 0;

    place_open(&place);
    hold(&place, true);
    fds[0] = http_get(place.port, "/first");
    await(&place, true, 1, 0);
    for (unsigned i = 1; i <= WAITING_MAX; i++) {
        (void)snprintf(target, sizeof(target), "/n%u", i);
        fds[i] = http_get(place.port, target);
    }
    await(&place, true, WAITING_MAX + 1, 0);
    DEP_CHECK(t, add(&place, "/over", text) == 429);
    DEP_CHECK(t, dep_audit_size(place.log) == 0); /* nobody has been answered */
    hold(&place, false);
    for (unsigned i = 0; i <= WAITING_MAX; i++)
        good += http_read(fds[i], text, sizeof(text)) == 201;
    DEP_CHECK(t, good == WAITING_MAX + 1);
    DEP_CHECK(t, dep_writer_commits(place.writer) == 2);
    DEP_CHECK(t, dep_audit_size(place.log) == WAITING_MAX + 1);
    DEP_CHECK(t, add(&place, "/over", text) == 201);
    place_close(&place);
}

static void *stop_writer(void *context)
{
    struct place *place = context;

    dep_writer_stop(place->writer);
    return NULL;
}

DEP_TEST(stopping_drains)
{
    struct place place;
    pthread_t thread;
    char text[4096];
    int first, second;

    place_open(&place);
    hold(&place, true);
    first = http_get(place.port, "/a");
    await(&place, true, 1, 0);
    second = http_get(place.port, "/b");
    await(&place, true, 2, 0);
    DEP_ASSERT(pthread_create(&thread, NULL, stop_writer, &place) == 0);
    hold(&place, false);
    DEP_CHECK(t, http_read(first, text, sizeof(text)) == 201);
    DEP_CHECK(t, http_read(second, text, sizeof(text)) == 201);
    (void)pthread_join(thread, NULL);
    DEP_CHECK(t, dep_audit_size(place.log) == 2);
    place.writer = NULL;
    place_close(&place);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(records_and_answers),          DEP_ROW(a_store_that_fails_answers_503),
        DEP_ROW(a_log_that_fails_answers_503), DEP_ROW(the_ledger_is_told_how_a_write_ended),
        DEP_ROW(gathers_up_to_its_bound),      DEP_ROW(stopping_drains),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* The revocation feed over loopback: everything, what is new, the long poll, and who wakes it (attack case A65, group H). */
#include "server/feed.h"

#include <pthread.h>
#include <time.h>

#include "base/json.h"
#include "base/num.h"
#include "jose/jws.h"
#include "server/http_fixture.h"

#define BASE 1000
#define IAT INT64_C(1700000000)

struct place {
    struct dep_feed *feed;
    struct dep_private_key *key;
    struct dep_crypto *cryptos[3]; /* of the two workers, and of the test */
    struct dep_revocations *all;
    struct dep_net_server *server;
    unsigned port;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned polls; /* that reached the feed */
    char text[65536];
};

static _Alignas(16) unsigned char memory[1 << 20];

static struct dep_feed_signer signer_of(const struct place *place, size_t i)
{
    return (struct dep_feed_signer){ place->cryptos[i], place->key, DEP_STR("k1"), DEP_STR("https://as.example") };
}

/* The query is the version that the guard knows. */
static void handle(void *context, struct dep_net_exchange *exchange)
{
    struct place *place = context;
    const struct dep_feed_signer signer = signer_of(place, exchange->worker);
    int64_t after = 0;

    DEP_ASSERT(dep_is_ok(dep_num_parse(exchange->query, 0, INT64_MAX, &after)));
    dep_feed_poll(place->feed, &signer, exchange, (uint64_t)after, place->all, dep_feed_version(place->feed),
                  DEP_STR("01J0"));
    (void)pthread_mutex_lock(&place->mutex);
    place->polls++;
    (void)pthread_cond_broadcast(&place->changed);
    (void)pthread_mutex_unlock(&place->mutex);
}

static void await_polls(struct place *place, unsigned count)
{
    (void)pthread_mutex_lock(&place->mutex);
    while (place->polls < count)
        (void)pthread_cond_wait(&place->changed, &place->mutex);
    (void)pthread_mutex_unlock(&place->mutex);
}

static void place_open(struct place *place)
{
    memset(place, 0, sizeof(*place));
    (void)pthread_mutex_init(&place->mutex, NULL);
    (void)pthread_cond_init(&place->changed, NULL);
    place->feed = dep_feed_new(BASE);
    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &place->key)));
    for (size_t i = 0; i < 3; i++) {
        place->cryptos[i] = dep_crypto_new();
        DEP_ASSERT(place->cryptos[i] != NULL);
    }
    place->all = dep_revocations_new(0);

    const struct dep_net_config config = { .address = DEP_STR("127.0.0.1:0"),
                                           .workers = 2,
                                           .connections_max = 64,
                                           .body_bytes_max = 1024,
                                           .idle_timeout_s = 30,
                                           .handle = handle,
                                           .context = place };

    DEP_ASSERT(dep_is_ok(dep_net_server_start(&config, &place->server)));
    place->port = dep_net_server_port(place->server);
}

static void stop_feed(struct place *place)
{
    const struct dep_feed_signer signer = signer_of(place, 2);

    dep_feed_stop(place->feed, &signer);
}

static void set_jwks(struct place *place, uint64_t hash)
{
    const struct dep_feed_signer signer = signer_of(place, 2);

    dep_feed_set_jwks(place->feed, &signer, hash);
}

static void tick(struct place *place)
{
    const struct dep_feed_signer signer = signer_of(place, 2);

    dep_feed_tick(place->feed, &signer);
}

static void place_close(struct place *place)
{
    stop_feed(place);
    dep_net_server_stop(place->server, 5000);
    dep_feed_free(place->feed);
    for (size_t i = 0; i < 3; i++)
        dep_crypto_free(place->cryptos[i]);
    dep_private_key_free(place->key);
    dep_revocations_free(place->all);
    (void)pthread_cond_destroy(&place->changed);
    (void)pthread_mutex_destroy(&place->mutex);
}

static void add_entry(struct place *place, const char *id)
{
    const struct dep_feed_signer signer = signer_of(place, 2);
    const struct dep_revocation entry = { DEP_REVOKED_JTI, dep_str_c(id), IAT, IAT + 3600 };

    DEP_ASSERT(dep_is_ok(dep_revocations_add(place->all, &entry)));
    dep_feed_add(place->feed, &signer, &entry);
}

struct told {
    int status;
    int64_t version;
    bool is_full;
    size_t entries;
    struct dep_str jwks, first; /* the first entry's id */
};

static int ask(const struct place *place, int64_t after)
{
    char target[64];

    (void)snprintf(target, sizeof(target), "/revocations?%lld", (long long)after);
    return http_get(place->port, target);
}

static struct dep_jwks *keys_of(const struct place *place, struct dep_arena *arena)
{
    struct dep_json_writer writer;
    struct dep_jwks *jwks = NULL;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 4096);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_name(&writer, "keys");
    dep_json_open(&writer, '[');
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, arena, place->key, DEP_STR("k1"))));
    dep_json_close(&writer, ']');
    dep_json_close(&writer, '}');
    DEP_ASSERT(dep_is_ok(dep_jwks_new(place->cryptos[2], dep_buf_str(&buf), &jwks)));
    return jwks;
}

/* What a signed answer says. */
static bool open_answer(const struct place *place, struct dep_arena *arena, struct dep_str token,
                        const struct dep_json **ret_payload)
{
    static const struct dep_str typ = DEP_STR_INIT(DEP_FEED_TYP);
    const struct dep_jws_rules rules = {
        .bytes_max = sizeof(place->text), .algs = DEP_ALGS_ALL, .typs = &typ, .typs_count = 1
    };
    struct dep_jwks *jwks = keys_of(place, arena);
    struct dep_str iss;
    struct dep_jws jws;
    bool is_good = dep_is_ok(dep_jws_parse(arena, token, &rules, &jws)) &&
                   dep_is_ok(dep_jws_verify(place->cryptos[2], &jws, jwks->keys[0].alg, jwks->keys[0].key)) &&
                   dep_is_ok(dep_jwt_claims(arena, &jws, ret_payload)) && dep_str_eq_c(jws.kid, "k1") &&
                   dep_is_ok(dep_json_str(DEP_JSON_GET(*ret_payload, "iss"), &iss)) &&
                   dep_str_eq_c(iss, "https://as.example");

    dep_jwks_free(jwks);
    return is_good;
}

static struct told hear(struct place *place, int fd)
{
    struct told told = { .status = http_read(fd, place->text, sizeof(place->text)) };
    const char *body = strstr(place->text, "\r\n\r\n");
    const struct dep_json *entries;
    const struct dep_json *json = NULL;
    struct dep_arena arena;

    dep_arena_init(&arena, memory, sizeof(memory));
    if (told.status != 200 || body == NULL || !open_answer(place, &arena, dep_str_c(body + 4), &json) ||
        !dep_is_ok(dep_json_int(DEP_JSON_GET(json, "version"), 0, INT64_MAX, &told.version)) ||
        !dep_is_ok(dep_json_bool(DEP_JSON_GET(json, "full"), &told.is_full)) ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(json, "jwks"), &told.jwks)) ||
        (entries = DEP_JSON_GET(json, "entries")) == NULL)
        return (struct told){ .status = -1 };
    told.entries = entries->count;
    if (entries->child != NULL && !dep_is_ok(dep_json_str(DEP_JSON_GET(entries->child, "id"), &told.first)))
        return (struct told){ .status = -1 };
    return told;
}

DEP_TEST(who_knows_nothing_gets_everything)
{
    static const int64_t unknown[] = { 0, BASE - 1, BASE + 3, INT64_MAX };
    struct place place;

    place_open(&place);
    add_entry(&place, "j1");
    add_entry(&place, "j2");
    for (size_t i = 0; i < DEP_COUNT(unknown); i++) {
        struct told told = hear(&place, ask(&place, unknown[i]));

        DEP_CHECK(t, told.status == 200 && told.is_full && told.entries == 2 && told.version == BASE + 2);
    }
    place_close(&place);
}

DEP_TEST(who_knows_something_gets_the_rest)
{
    struct place place;
    struct told told;

    place_open(&place);
    add_entry(&place, "j1");
    add_entry(&place, "j2");
    told = hear(&place, ask(&place, BASE));
    DEP_CHECK(t, !told.is_full && told.entries == 2 && told.version == BASE + 2);
    DEP_CHECK_STR(t, told.first, "j1");
    told = hear(&place, ask(&place, BASE + 1));
    DEP_CHECK(t, !told.is_full && told.entries == 1);
    DEP_CHECK_STR(t, told.first, "j2");
    place_close(&place);
}

DEP_TEST(a_poll_waits_for_news)
{
    struct place place;
    struct told told;
    int fds[3];

    place_open(&place);
    for (unsigned i = 0; i < 3; i++)
        fds[i] = ask(&place, BASE);
    await_polls(&place, 3);
    add_entry(&place, "j1");
    for (unsigned i = 0; i < 3; i++) {
        told = hear(&place, fds[i]);
        DEP_CHECK(t, told.status == 200 && !told.is_full && told.entries == 1 && told.version == BASE + 1);
        DEP_CHECK_STR(t, told.first, "j1");
    }
    place_close(&place);
}

DEP_TEST(A65_other_keys_wake_and_are_heard_later)
{
    struct place place;
    struct told before, woken, later;
    int fd;

    place_open(&place);
    before = hear(&place, ask(&place, 0));
    fd = ask(&place, BASE);
    await_polls(&place, 2);
    set_jwks(&place, 7);
    woken = hear(&place, fd);
    DEP_CHECK(t, woken.status == 200 && woken.entries == 0 && woken.version == BASE + 1);
    DEP_CHECK(t, before.jwks.len == 16 && woken.jwks.len == 16);
    DEP_CHECK_STR(t, woken.jwks, "0700000000000000");
    later = hear(&place, ask(&place, BASE)); /* who did not wait hears it with the next poll, at once */
    DEP_CHECK(t, later.entries == 0 && later.version == BASE + 1);
    set_jwks(&place, 7); /* the same again is no news */
    DEP_CHECK(t, dep_feed_version(place.feed) == BASE + 1);
    place_close(&place);
}

DEP_TEST(a_heartbeat_when_there_is_nothing)
{
    struct timespec pause = { .tv_nsec = 20000000 }, start, end;
    struct pollfd ready = { .events = POLLIN };
    struct place place;
    struct told told;

    place_open(&place);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    ready.fd = ask(&place, BASE);
    await_polls(&place, 1);
    tick(&place);
    DEP_CHECK(t, poll(&ready, 1, 0) == 0);                          /* a tick alone answers nobody */
    for (unsigned i = 0; i < 500 && poll(&ready, 1, 0) == 0; i++) { /* the writer's clock */
        (void)nanosleep(&pause, NULL);
        tick(&place);
    }
    told = hear(&place, ready.fd);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    DEP_CHECK(t, told.status == 200 && !told.is_full && told.entries == 0 && told.version == BASE);
    DEP_CHECK(t, (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 >= DEP_FEED_POLL_MS);
    place_close(&place);
}

DEP_TEST(stopping_answers_who_waits)
{
    struct place place;
    struct told told;
    int fd;

    place_open(&place);
    fd = ask(&place, BASE);
    await_polls(&place, 1);
    stop_feed(&place);
    told = hear(&place, fd);
    DEP_CHECK(t, told.status == 200 && told.entries == 0);
    told = hear(&place, ask(&place, BASE)); /* and nobody waits from here on */
    DEP_CHECK(t, told.status == 200 && told.version == BASE);
    place_close(&place);
}

/* An entry that is long, and longer when it is escaped, must not take the feed away from everybody. */
DEP_TEST(long_ids_are_told_too)
{
    struct place place;
    struct told told;
    char id[513];

    memset(id, 1, sizeof(id) - 1);
    id[512] = '\0';
    place_open(&place);
    add_entry(&place, id);
    told = hear(&place, ask(&place, BASE));
    DEP_CHECK(t, told.status == 200 && told.entries == 1 && told.first.len == 512);
    told = hear(&place, ask(&place, 0));
    DEP_CHECK(t, told.status == 200 && told.is_full && told.entries == 1 && told.first.len == 512);
    place_close(&place);
}

/* Without a key nothing can be said that anybody would believe. */
DEP_TEST(without_a_key_the_answer_is_503)
{
    struct place place;
    struct dep_private_key *key;

    place_open(&place);
    key = place.key;
    place.key = NULL;
    DEP_CHECK(t, http_read(ask(&place, 0), place.text, sizeof(place.text)) == 503);
    place.key = key;
    DEP_CHECK(t, hear(&place, ask(&place, 0)).status == 200);
    place_close(&place);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(who_knows_nothing_gets_everything),
        DEP_ROW(who_knows_something_gets_the_rest),
        DEP_ROW(a_poll_waits_for_news),
        DEP_ROW(A65_other_keys_wake_and_are_heard_later),
        DEP_ROW(a_heartbeat_when_there_is_nothing),
        DEP_ROW(stopping_answers_who_waits),
        DEP_ROW(long_ids_are_told_too),
        DEP_ROW(without_a_key_the_answer_is_503),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

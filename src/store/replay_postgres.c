/* The replay store in PostgreSQL, for several nodes: one INSERT ... ON CONFLICT DO NOTHING RETURNING for what has gathered.
 *
 * Invariants:
 *  (1) "New" is said after the sync of the round was answered, by a server that in the same round named a synchronous
 *      standby (or the operator vouches for it), with synchronous_commit on. Everything else is not known.
 *  (2) Nothing is inserted where the partition is gone (replay_schema.c), and what is not younger than the floor is not new,
 *      as the state says in the same round.
 *  (3) `witness` is the last thing this node was told was kept. A server that does not have it, after a failover to a
 *      standby that lagged or a restore, makes everybody refuse what may have been forgotten. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "store/replay_gather.h"
#include "store/replay_session.h"

#define TEND_MS 10000
#define RETRY_MS 50
#define ANCHOR_TEXT 21u
#define KEY_TEXT 33u
#define NUMBER_TEXT 24u

struct postgres {
    struct dep_gather_backend base;
    struct dep_session session;
    struct dep_replay_postgres_config config;
    int64_t first, end, floor;
    bool has_witness;
    int64_t witness_anchor;
    unsigned char witness_key[DEP_REPLAY_KEY_LEN];
    char said[DEP_SESSION_TEXT_MAX]; /* what the operator was told last */
    struct dep_replay_entry *asked[DEP_GATHER_BATCH_MAX];
    char anchors[DEP_GATHER_BATCH_MAX * ANCHOR_TEXT + 3], keys[DEP_GATHER_BATCH_MAX * KEY_TEXT + 3];
};

static const char insert_text[] =
    "INSERT INTO deputy.replay (anchor, key) SELECT a, k FROM unnest($1::bigint[], $2::uuid[])"
    " AS t (a, k) ON CONFLICT DO NOTHING RETURNING anchor, key";
static const char state_text[] =
    "SELECT first_anchor, end_anchor, floor_anchor, btrim(current_setting('synchronous_standby_names')) <> '',"
    " current_setting('synchronous_commit') IN ('on', 'remote_apply') FROM deputy.replay_state";
static const char open_text[] =
    "SELECT trouble, ret_first, ret_end, ret_floor, is_drop_due FROM"
    " deputy.replay_open($1::boolean, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::uuid)";

/* Tells each trouble once, until it is another one or over. */
static void tell(struct postgres *postgres, const char *text)
{
    if (strcmp(postgres->said, text) == 0)
        return;
    (void)snprintf(postgres->said, sizeof(postgres->said), "%s", text);
    if (postgres->config.tell != NULL && text[0] != '\0')
        postgres->config.tell(postgres->config.context, text);
}

static bool number_at(const PGresult *result, int column, int64_t *ret_value)
{
    return PQgetisnull(result, 0, column) == 0 &&
           dep_is_ok(dep_num_parse(dep_str(PQgetvalue(result, 0, column), (size_t)PQgetlength(result, 0, column)), 0,
                                   INT64_MAX, ret_value));
}

/* first, end and floor, in three columns from `column` on. They only rise. */
static bool read_marks(struct postgres *postgres, const PGresult *result, int column)
{
    int64_t first, end, floor;

    if (PQntuples(result) != 1 || !number_at(result, column, &first) || !number_at(result, column + 1, &end) ||
        !number_at(result, column + 2, &floor))
        return false;
    postgres->first = first;
    postgres->end = end;
    postgres->floor = floor;
    return true;
}

static void put_key(char text[KEY_TEXT], const unsigned char key[DEP_REPLAY_KEY_LEN])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DEP_REPLAY_KEY_LEN; i++) {
        text[2 * i] = digits[key[i] >> 4];
        text[2 * i + 1] = digits[key[i] & 15];
    }
    text[2 * DEP_REPLAY_KEY_LEN] = '\0';
}

static bool ask_open(struct postgres *postgres)
{
    char numbers[4][NUMBER_TEXT], key[KEY_TEXT];
    const char *values[6] = { postgres->config.is_alone ? "t" : "f", numbers[0], numbers[1], numbers[2] };

    (void)snprintf(numbers[0], NUMBER_TEXT, "%" PRId64, (int64_t)time(NULL));
    (void)snprintf(numbers[1], NUMBER_TEXT, "%" PRId64, postgres->config.life_max_s);
    (void)snprintf(numbers[2], NUMBER_TEXT, "%" PRId64, postgres->config.skew_s);
    if (postgres->has_witness) {
        (void)snprintf(numbers[3], NUMBER_TEXT, "%" PRId64, postgres->witness_anchor);
        put_key(key, postgres->witness_key);
        values[4] = numbers[3];
        values[5] = key;
    }
    return dep_session_ask(&postgres->session, NULL, open_text, values, 6, false);
}

/* What replay_open() said. */
static bool read_open(struct postgres *postgres, const PGresult *result, bool *ret_is_drop_due)
{
    if (PQntuples(result) == 1 && PQgetisnull(result, 0, 0) == 0) {
        tell(postgres, PQgetvalue(result, 0, 0));
        return false;
    }
    if (!read_marks(postgres, result, 1)) {
        tell(postgres, "replay_open() gave something else");
        return false;
    }
    *ret_is_drop_due = PQgetvalue(result, 0, 4)[0] == 't';
    return true;
}

static bool open_session(struct dep_gather_backend *backend, int stop_fd)
{
    struct postgres *postgres = (struct postgres *)backend;
    struct dep_session *session = &postgres->session;
    bool is_drop_due;

    (void)stop_fd;
    if (!dep_session_connect(session)) {
        tell(postgres, session->trouble);
        return false;
    }
    /* Whatever the role is set to: "on" waits for the standby's disk, and no timeout may cut that wait. */
    if (!dep_session_ask(session, NULL, "SET synchronous_commit = 'on'", NULL, 0, false) ||
        !dep_session_ask(session, NULL, "SET statement_timeout = 0", NULL, 0, false) || !ask_open(postgres) ||
        dep_session_round(session) != DEP_ROUND_DONE) {
        tell(postgres, session->trouble);
        return false;
    }
    if (!read_open(postgres, session->results[2], &is_drop_due))
        return false;
    if (!dep_session_prepare(session, "take", insert_text) || !dep_session_prepare(session, "state", state_text) ||
        dep_session_round(session) != DEP_ROUND_DONE) {
        tell(postgres, session->trouble);
        return false;
    }
    tell(postgres, "");
    return true;
}

/* What needs no question: where there is no partition there is nothing to insert into. */
static bool is_askable(const struct postgres *postgres, struct dep_replay_entry *entry)
{
    if (entry->expires < entry->anchor || entry->expires - entry->anchor > postgres->config.life_max_s ||
        entry->anchor >= postgres->end)
        entry->res = DEP_FAIL(REPLAY_FULL);
    else if (entry->anchor <= postgres->floor)
        entry->res = DEP_FAIL(REPLAY_FENCE);
    else if (entry->anchor < postgres->first)
        entry->res = DEP_FAIL(REPLAY_SEEN);
    else
        return true;
    return false;
}

/* As two array literals. */
static void put_arrays(struct postgres *postgres, size_t count)
{
    char *anchor = postgres->anchors, *key = postgres->keys;

    for (size_t i = 0; i < count; i++) {
        int len = snprintf(anchor, ANCHOR_TEXT + 1, "%c%" PRId64, i == 0 ? '{' : ',', postgres->asked[i]->anchor);

        DEP_ASSERT(len > 0 && (size_t)len <= ANCHOR_TEXT);
        anchor += len;
        *key = i == 0 ? '{' : ',';
        put_key(key + 1, postgres->asked[i]->key);
        key += KEY_TEXT;
    }
    *anchor = *key = '}';
    anchor[1] = key[1] = '\0';
}

static bool is_row(const PGresult *result, int row, const struct dep_replay_entry *entry)
{
    uint64_t anchor = 0;

    if (row >= PQntuples(result) || PQgetlength(result, row, 0) != 8 ||
        PQgetlength(result, row, 1) != DEP_REPLAY_KEY_LEN)
        return false;
    for (size_t i = 0; i < 8; i++)
        anchor = anchor << 8 | (unsigned char)PQgetvalue(result, row, 0)[i];
    return anchor == (uint64_t)entry->anchor && memcmp(PQgetvalue(result, row, 1), entry->key, DEP_REPLAY_KEY_LEN) == 0;
}

/* The rows that came back are the new ones, in the order of the batch. False: they are something else. */
static bool read_rows(struct postgres *postgres, const PGresult *result, size_t count)
{
    int row = 0;

    for (size_t i = 0; i < count; i++) {
        struct dep_replay_entry *entry = postgres->asked[i];

        if (!is_row(result, row, entry)) {
            entry->res = DEP_FAIL(REPLAY_SEEN);
            continue;
        }
        row++;
        entry->res = entry->anchor > postgres->floor ? DEP_OK : DEP_FAIL(REPLAY_FENCE);
        postgres->has_witness = true;
        postgres->witness_anchor = entry->anchor;
        memcpy(postgres->witness_key, entry->key, DEP_REPLAY_KEY_LEN);
    }
    return row == PQntuples(result);
}

static bool run_round(struct postgres *postgres, size_t count)
{
    const char *const values[2] = { postgres->anchors, postgres->keys };
    struct dep_session *session = &postgres->session;
    const PGresult *state;

    put_arrays(postgres, count);
    if (!dep_session_ask(session, "take", NULL, values, 2, true) ||
        !dep_session_ask(session, "state", NULL, NULL, 0, false) || dep_session_round(session) != DEP_ROUND_DONE) {
        tell(postgres, session->trouble);
        return false;
    }
    state = session->results[1];
    if (!read_marks(postgres, state, 0) || PQgetvalue(state, 0, 4)[0] != 't' ||
        (!postgres->config.is_alone && PQgetvalue(state, 0, 3)[0] != 't')) {
        tell(postgres, "the server does not wait for a synchronous standby any more");
        return false;
    }
    return read_rows(postgres, session->results[0], count);
}

static bool insert(struct dep_gather_backend *backend, struct dep_replay_entry **entries, size_t count)
{
    struct postgres *postgres = (struct postgres *)backend;
    size_t asked = 0;

    for (size_t i = 0; i < count; i++)
        if (is_askable(postgres, entries[i]))
            postgres->asked[asked++] = entries[i];
    if (asked == 0 || run_round(postgres, asked))
        return true;
    for (size_t i = 0; i < asked; i++)
        postgres->asked[i]->res = DEP_FAIL(REPLAY_UNKNOWN);
    return false;
}

static bool tend(struct dep_gather_backend *backend)
{
    struct postgres *postgres = (struct postgres *)backend;
    struct dep_session *session = &postgres->session;
    enum dep_round round;
    bool is_drop_due = false;

    if (!dep_session_listen(session) || !ask_open(postgres))
        return false;
    round = dep_session_round(session);
    if (round == DEP_ROUND_DONE && !read_open(postgres, session->results[0], &is_drop_due))
        return false;
    if (round == DEP_ROUND_DONE && is_drop_due)
        round = dep_session_ask(session, NULL, "SELECT deputy.replay_drop()", NULL, 0, false)
                    ? dep_session_round(session)
                    : DEP_ROUND_LOST;
    /* A lock that was not to be had is tried again next time. */
    if (round == DEP_ROUND_LOST)
        tell(postgres, session->trouble);
    return round != DEP_ROUND_LOST;
}

static int session_fd(struct dep_gather_backend *backend)
{
    return dep_session_fd(&((struct postgres *)backend)->session);
}

static void close_session(struct dep_gather_backend *backend)
{
    dep_session_close(&((struct postgres *)backend)->session);
}

static void free_postgres(struct dep_gather_backend *backend)
{
    dep_session_done(&((struct postgres *)backend)->session);
    free(backend);
}

struct dep_res dep_replay_postgres_new(const struct dep_replay_postgres_config *config,
                                       struct dep_replay_store **ret_store)
{
    static const struct dep_gather_ops ops = { open_session, insert, tend, session_fd, close_session, free_postgres };
    struct postgres *postgres = calloc(1, sizeof(*postgres));
    struct dep_replay_store *store;
    struct dep_res res;

    DEP_ASSERT(config->life_max_s > 0 && config->timeout_ms > 0 && config->timeout_ms <= INT32_MAX);
    if (postgres == NULL)
        return DEP_FAIL(ARENA_FULL);
    postgres->base = (struct dep_gather_backend){ &ops, TEND_MS, RETRY_MS };
    postgres->config = *config;
    postgres->config.conninfo = (struct dep_secret){ 0 };
    res = dep_session_init(&postgres->session, config->conninfo, config->timeout_ms);
    if (!dep_is_ok(res)) {
        free_postgres(&postgres->base);
        return res;
    }
    store = dep_gather_new(&postgres->base);
    if (store == NULL)
        return DEP_FAIL(ARENA_FULL);
    *ret_store = store;
    return DEP_OK;
}

/* The snapshot: sharing, removal, states that come from above, keys that leave. */
#include "server/snapshot.h"

#include <stdio.h>

#include "base/b64.h"
#include "server/server.h"
#include "test/unit.h"

#define NOW INT64_C(1700000000)
#define GRACE 330

static _Alignas(16) unsigned char memory[1 << 16];
static struct dep_arena arena;
static struct dep_crypto *crypto;

static void put(struct dep_snapshot *snapshot, enum dep_record_kind kind, const char *id, const char *body)
{
    const struct dep_record record = { .kind = kind, .id = dep_str_c(id), .version = 1, .body = dep_str_c(body) };
    struct dep_cell *cell = NULL;

    DEP_ASSERT(dep_is_ok(dep_cell_new(crypto, dep_secret(NULL, 0), &record, &cell)));
    DEP_ASSERT(dep_is_ok(dep_snapshot_put(snapshot, cell)));
}

static const char *agent_id(unsigned i)
{
    static char ids[4][40];
    char *id = ids[i % 4];

    (void)snprintf(id, sizeof(ids[0]), "agent:01J000000000000000000%05u", i);
    return id;
}

static void put_agent(struct dep_snapshot *snapshot, unsigned i, unsigned parent, const char *state)
{
    char body[512], above[80] = "";

    if (parent > 0)
        (void)snprintf(above, sizeof(above), ",\"parent\":\"%s\"", agent_id(parent));
    (void)snprintf(body, sizeof(body),
                   "{\"id\":\"%s\",\"name\":\"n\",\"owner\":\"o\",\"org\":\"acme\",\"state\":\"%s\",\"ceiling\":[]%s}",
                   agent_id(i), state, above);
    put(snapshot, DEP_RECORD_AGENT, agent_id(i), body);
}

static const struct dep_cell *find_agent(const struct dep_snapshot *snapshot, unsigned i)
{
    return dep_snapshot_find(snapshot, DEP_RECORD_AGENT, dep_str_c(agent_id(i)));
}

static enum dep_state state_of(const struct dep_snapshot *snapshot, unsigned i)
{
    struct dep_agent agent;

    dep_arena_reset(&arena);
    DEP_ASSERT(dep_is_ok(dep_snapshot_agent(snapshot, find_agent(snapshot, i), &arena, &agent)));
    return agent.effective_state;
}

DEP_TEST(a_copy_is_another_and_shares_the_cells)
{
    struct dep_snapshot *first = dep_snapshot_new(), *second;

    put_agent(first, 1, 0, "active");
    put_agent(first, 2, 0, "active");
    second = dep_snapshot_copy(first, NOW);
    DEP_CHECK(t, find_agent(first, 1) == find_agent(second, 1));
    put_agent(second, 1, 0, "banned");
    dep_snapshot_remove(second, DEP_RECORD_AGENT, dep_str_c(agent_id(2)));
    DEP_CHECK(t, state_of(first, 1) == DEP_STATE_ACTIVE && find_agent(first, 2) != NULL);
    DEP_CHECK(t, state_of(second, 1) == DEP_STATE_BANNED && find_agent(second, 2) == NULL);
    dep_snapshot_unref(first); /* what the second still has stays */
    DEP_CHECK(t, state_of(second, 1) == DEP_STATE_BANNED);
    dep_snapshot_unref(second);
}

DEP_TEST(the_last_reference_frees)
{
    struct dep_snapshot *snapshot = dep_snapshot_new();

    put_agent(snapshot, 1, 0, "active");
    DEP_CHECK(t, dep_snapshot_ref(snapshot) == snapshot);
    dep_snapshot_unref(snapshot);
    DEP_CHECK(t, state_of(snapshot, 1) == DEP_STATE_ACTIVE); /* the sanitizer sees it when it is gone */
    dep_snapshot_unref(snapshot);
    dep_snapshot_unref(NULL);
}

/* Open addressing: after any removal everything else is still found. */
DEP_TEST(removal_leaves_no_gap)
{
    struct dep_snapshot *snapshot = dep_snapshot_new();
    unsigned wrong = 0;

    for (unsigned i = 1; i <= 300; i++)
        put_agent(snapshot, i, 0, "active");
    for (unsigned i = 1; i <= 300; i++) {
        dep_snapshot_remove(snapshot, DEP_RECORD_AGENT, dep_str_c(agent_id(i)));
        for (unsigned k = 1; k <= 300; k++)
            wrong += (find_agent(snapshot, k) != NULL) != (k > i);
    }
    DEP_CHECK(t, wrong == 0);
    dep_snapshot_remove(snapshot, DEP_RECORD_AGENT, dep_str_c(agent_id(1))); /* again: nothing */
    put_agent(snapshot, 7, 0, "active");
    DEP_CHECK(t, find_agent(snapshot, 7) != NULL);
    DEP_CHECK(t, dep_snapshot_find(snapshot, DEP_RECORD_CLIENT, dep_str_c(agent_id(7))) == NULL);
    dep_snapshot_unref(snapshot);
}

DEP_TEST(the_worst_state_above_counts)
{
    static const struct {
        const char *name, *top, *middle, *own;
        enum dep_state state;
    } rows[] = {
        { "all well", "active", "active", "active", DEP_STATE_ACTIVE },
        { "own", "active", "active", "suspended", DEP_STATE_SUSPENDED },
        { "one above", "active", "suspended", "active", DEP_STATE_SUSPENDED },
        { "two above", "banned", "active", "active", DEP_STATE_BANNED },
        { "the worst, not the nearest", "banned", "suspended", "active", DEP_STATE_BANNED },
        { "own is worse", "suspended", "active", "banned", DEP_STATE_BANNED },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_snapshot *snapshot = dep_snapshot_new();

        put_agent(snapshot, 1, 0, rows[i].top);
        put_agent(snapshot, 2, 1, rows[i].middle);
        put_agent(snapshot, 3, 2, rows[i].own);
        dep_test_check(t, state_of(snapshot, 3) == rows[i].state, __FILE__, __LINE__, "%s", rows[i].name);
        dep_snapshot_unref(snapshot);
    }
}

DEP_TEST(a_parent_that_is_missing_or_a_circle_bans)
{
    struct dep_snapshot *snapshot = dep_snapshot_new();

    put_agent(snapshot, 1, 0, "active");
    put_agent(snapshot, 2, 1, "active");
    DEP_CHECK(t, state_of(snapshot, 2) == DEP_STATE_ACTIVE);
    dep_snapshot_remove(snapshot, DEP_RECORD_AGENT, dep_str_c(agent_id(1)));
    DEP_CHECK(t, state_of(snapshot, 2) == DEP_STATE_BANNED);
    put_agent(snapshot, 1, 2, "active");
    DEP_CHECK(t, state_of(snapshot, 1) == DEP_STATE_BANNED);
    DEP_CHECK(t, state_of(snapshot, 2) == DEP_STATE_BANNED);
    dep_snapshot_unref(snapshot);
}

struct key_row {
    const char *name;
    enum dep_key_state state;
    int64_t retired;
    bool verifies;
};

static const struct key_row key_rows[] = {
    { "prepared", DEP_KEY_PREPARED, 0, true },
    { "active", DEP_KEY_ACTIVE, 0, true },
    { "retired just now", DEP_KEY_RETIRED, NOW, true },
    { "retired, in the last second", DEP_KEY_RETIRED, NOW - GRACE + 1, true },
    { "A64 retired long ago", DEP_KEY_RETIRED, NOW - GRACE, false },
    { "A65 tainted", DEP_KEY_TAINTED, 0, false },
    { "A65 tainted after it was retired", DEP_KEY_TAINTED, NOW, false },
};

/* A snapshot with one key of the row, and an active one, published. Their kids go into the arena. */
static struct dep_snapshot *with_key(const struct key_row *row, struct dep_str *ret_kid)
{
    struct dep_snapshot *snapshot = dep_snapshot_new();
    struct dep_private_key *key = NULL;
    struct dep_key record = { .alg = DEP_ALG_ED25519, .state = row->state, .created = 1, .retired = row->retired };
    char der[256], body[1024];
    struct dep_json_writer writer;
    struct dep_secret bytes;
    struct dep_buf buf;

    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ED25519, &key)));
    DEP_ASSERT(dep_is_ok(dep_jwk_jkt_of(&arena, crypto, key, &record.kid)));
    DEP_ASSERT(dep_is_ok(dep_private_key_der(key, &arena, &bytes)));
    dep_private_key_free(key);
    dep_buf_init(&buf, der, sizeof(der));
    dep_b64url_put(&buf, bytes.bytes, bytes.len);
    record.der = dep_buf_str(&buf);
    dep_buf_init(&buf, body, sizeof(body) - 1);
    dep_json_begin(&writer, &buf);
    dep_key_write(&writer, &record, true);
    body[buf.len] = '\0';

    char kid[64];

    (void)snprintf(kid, sizeof(kid), "%.*s", DEP_STR_ARG(record.kid));
    put(snapshot, DEP_RECORD_KEY, kid, body);
    DEP_ASSERT(dep_is_ok(dep_snapshot_publish(snapshot, NOW, GRACE)));
    *ret_kid = record.kid;
    return snapshot;
}

static bool has_text(struct dep_str whole, struct dep_str part)
{
    for (size_t i = 0; i + part.len <= whole.len; i++)
        if (dep_str_eq(dep_str_sub(whole, i, part.len), part))
            return true;
    return false;
}

DEP_TEST(keys_leave_when_they_must)
{
    for (size_t i = 0; i < DEP_COUNT(key_rows); i++) {
        const struct key_row *row = &key_rows[i];
        struct dep_snapshot *snapshot;
        const struct dep_cell *cell;
        struct dep_str kid;

        dep_arena_reset(&arena);
        snapshot = with_key(row, &kid);
        cell = dep_snapshot_find(snapshot, DEP_RECORD_KEY, kid);
        dep_test_check(t, dep_key_verifies(&cell->key, NOW, GRACE) == row->verifies, __FILE__, __LINE__, "%s",
                       row->name);
        dep_test_check(t, has_text(dep_snapshot_jwks(snapshot), kid) == row->verifies, __FILE__, __LINE__,
                       "%s, in the set", row->name);
        DEP_CHECK(t, (dep_snapshot_signer(snapshot) == cell) == (row->state == DEP_KEY_ACTIVE));
        DEP_CHECK(t, dep_snapshot_due(snapshot) ==
                         (row->state == DEP_KEY_RETIRED && row->verifies ? row->retired + GRACE : INT64_MAX));
        /* Never the private half. */
        DEP_CHECK(t, !has_text(dep_snapshot_jwks(snapshot), DEP_STR("\"d\":")));
        dep_snapshot_unref(snapshot);
    }
}

DEP_TEST(cells_of_bad_records_are_refused)
{
    static const struct {
        enum dep_record_kind kind;
        const char *body;
    } rows[] = {
        { DEP_RECORD_AGENT, "{" },
        { DEP_RECORD_AGENT, "{}" },
        { DEP_RECORD_CLIENT, "{\"id\":\"x\"}" },
        { DEP_RECORD_KEY, "{\"kid\":\"k\",\"alg\":\"ES256\",\"state\":\"active\",\"der\":\"AAAA\"}" },
        { DEP_RECORD_KEY,
          "{\"kid\":\"k\",\"alg\":\"ES256\",\"state\":\"active\",\"der\":\"AAAA\",\"is_sealed\":true}" },
        { DEP_RECORD_META, "{}" },
    };
    struct dep_cell *cell = NULL;

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        const struct dep_record record = { .kind = rows[i].kind, .id = DEP_STR("x"), .body = dep_str_c(rows[i].body) };

        DEP_CHECK(t, !dep_is_ok(dep_cell_new(crypto, dep_secret(NULL, 0), &record, &cell)));
        DEP_CHECK(t, cell == NULL);
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(a_copy_is_another_and_shares_the_cells),
        DEP_ROW(the_last_reference_frees),
        DEP_ROW(removal_leaves_no_gap),
        DEP_ROW(the_worst_state_above_counts),
        DEP_ROW(a_parent_that_is_missing_or_a_circle_bans),
        DEP_ROW(keys_leave_when_they_must),
        DEP_ROW(cells_of_bad_records_are_refused),
    };
    int failed;

    dep_arena_init(&arena, memory, sizeof(memory));
    crypto = dep_crypto_new();
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_crypto_free(crypto);
    return failed;
}

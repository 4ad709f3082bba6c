/* The ledger in SQLite: WAL, synchronous=FULL, a file that several processes share.
 *
 * Invariants:
 *  (1) begin is one IMMEDIATE transaction: whoever inserted the scope has it, and it is on the disk before anything is run.
 *  (2) An entry that has begun ends only by its ticket, once; DONE and LOST never change but by DONE in the place of LOST.
 *  (3) Nothing that is alive is evicted: a full ledger refuses. A begun entry is not forgotten while its owner lives.
 *  (4) The tally is kept by triggers, in the transaction of the change: count and quota can not drift from the entries.
 *  (5) One thread at a time uses the connection: the mutex. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/ledger.h"
#include "store/ledger_owner.h"
#include "store/sqlite_file.h"

#define SCHEMA_VERSION 1
#define PATH_MAX_BYTES 4096u
#define EXPIRE_AT_BEGIN 8 /* each begin takes away more than it adds */

enum statement { BEGIN, COMMIT, ROLLBACK, FIND, TALLY, ADD, COMPLETE, REMOVE, LOSE, FIND_OLD, KEEP, DROP, STATEMENTS };

/* States in the file. */
enum { STATE_BEGUN = 1, STATE_LOST = 2, STATE_DONE = 3 };

static const char *const statement_text[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [FIND] = "SELECT id, state, fingerprint, owner, begun, ticket, expires, status, answer FROM entry WHERE scope = ?1",
    [TALLY] = "SELECT entries, bytes FROM tally WHERE caller = ?1",
    [ADD] = ("INSERT INTO entry (scope, caller, fingerprint, owner, ticket, state, begun, expires) "
             "VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7)"),
    [COMPLETE] = "UPDATE entry SET state = 3, status = ?3, answer = ?4 WHERE scope = ?1 AND ticket = ?2 AND state < 3",
    [REMOVE] = "DELETE FROM entry WHERE scope = ?1 AND ticket = ?2 AND state = 1",
    [LOSE] = "UPDATE entry SET state = 2 WHERE scope = ?1 AND ticket = ?2 AND state = 1",
    [FIND_OLD] = "SELECT id, state, owner FROM entry WHERE expires <= ?1 ORDER BY expires LIMIT ?2",
    [KEEP] = "UPDATE entry SET expires = ?2 WHERE id = ?1",
    [DROP] = "DELETE FROM entry WHERE id = ?1",
};

static const char schema[] =
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, scope BLOB NOT NULL UNIQUE, caller BLOB NOT NULL,"
    " fingerprint BLOB NOT NULL, owner INTEGER NOT NULL, ticket INTEGER NOT NULL, state INTEGER NOT NULL,"
    " begun INTEGER NOT NULL, expires INTEGER NOT NULL, status INTEGER NOT NULL DEFAULT 0, answer BLOB) STRICT;"
    "CREATE INDEX entry_expires ON entry (expires);"
    "CREATE TABLE tally (caller BLOB PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID, "
    "STRICT;"
    "INSERT INTO tally VALUES (x'', 0, 0);" /* the sum */
    "CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN"
    " UPDATE tally SET entries = entries + 1 WHERE caller = x'';"
    " INSERT INTO tally VALUES (new.caller, 1, 0) ON CONFLICT DO UPDATE SET entries = entries + 1; END;"
    "CREATE TRIGGER entry_answered AFTER UPDATE OF answer ON entry BEGIN"
    " UPDATE tally SET bytes = bytes + ifnull(length(new.answer), 0) - ifnull(length(old.answer), 0)"
    " WHERE caller = x''; END;"
    "CREATE TRIGGER entry_removed AFTER DELETE ON entry BEGIN"
    " UPDATE tally SET entries = entries - 1, bytes = bytes - ifnull(length(old.answer), 0) WHERE caller = x'';"
    " UPDATE tally SET entries = entries - 1 WHERE caller = old.caller;"
    " DELETE FROM tally WHERE caller = old.caller AND entries = 0; END;"
    "PRAGMA user_version = 1;";

struct ledger {
    struct dep_ledger base;
    struct dep_ledger_limits limits;
    struct dep_ledger_owner owner;
    pthread_mutex_t mutex;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
};

static struct ledger *ledger_of(struct dep_ledger *ledger)
{
    return (struct ledger *)ledger;
}

/* ---- statements ---- */

static bool bind_name(sqlite3_stmt *statement, int at, const unsigned char *name)
{
    return sqlite3_bind_blob(statement, at, name, DEP_IDEMPOTENCY_NAME_LEN, SQLITE_STATIC) == SQLITE_OK;
}

static bool bind_int(sqlite3_stmt *statement, int at, int64_t value)
{
    return sqlite3_bind_int64(statement, at, value) == SQLITE_OK;
}

static void clear(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

/* Runs a statement that gives no rows, if it could be bound. */
static struct dep_res run(sqlite3_stmt *statement, bool is_bound)
{
    int result = is_bound ? sqlite3_step(statement) : SQLITE_ERROR;

    clear(statement);
    return result == SQLITE_DONE ? DEP_OK : DEP_FAIL(STORE_IO);
}

static struct dep_res transaction_begin(struct ledger *ledger)
{
    (void)pthread_mutex_lock(&ledger->mutex);
    struct dep_res res = run(ledger->statements[BEGIN], true);

    if (!dep_is_ok(res))
        (void)pthread_mutex_unlock(&ledger->mutex);
    return res;
}

/* Commits when `res` is good; rolls back otherwise. */
static struct dep_res transaction_end(struct ledger *ledger, struct dep_res res)
{
    if (dep_is_ok(res))
        res = run(ledger->statements[COMMIT], true);
    /* An error may have ended the transaction by itself. */
    if (!dep_is_ok(res) && sqlite3_get_autocommit(ledger->database) == 0)
        (void)dep_is_ok(run(ledger->statements[ROLLBACK], true));
    (void)pthread_mutex_unlock(&ledger->mutex);
    return res;
}

/* ---- old entries ---- */

#define OLD_MAX 256

struct old {
    int64_t id;
    bool is_begun;
    int64_t owner;
};

static struct dep_res find_old(struct ledger *ledger, int64_t now, int max, struct old *old, int *ret_count)
{
    sqlite3_stmt *statement = ledger->statements[FIND_OLD];
    bool is_bound = bind_int(statement, 1, now) && bind_int(statement, 2, max);
    int result = SQLITE_ERROR, count = 0;

    while (is_bound && (result = sqlite3_step(statement)) == SQLITE_ROW && count < max) {
        old[count].id = sqlite3_column_int64(statement, 0);
        old[count].is_begun = sqlite3_column_int(statement, 1) == STATE_BEGUN;
        old[count++].owner = sqlite3_column_int64(statement, 2);
    }
    clear(statement);
    *ret_count = count;
    return result == SQLITE_DONE ? DEP_OK : DEP_FAIL(STORE_IO);
}

static struct dep_res drop_old(struct ledger *ledger, const struct old *old, int64_t now)
{
    bool lives = false;

    if (old->is_begun)
        DEP_TRY(dep_ledger_owner_lives(&ledger->owner, old->owner, &lives));
    if (lives)
        return run(ledger->statements[KEEP],
                   bind_int(ledger->statements[KEEP], 1, old->id) &&
                       bind_int(ledger->statements[KEEP], 2, now + ledger->limits.retention_s));
    return run(ledger->statements[DROP], bind_int(ledger->statements[DROP], 1, old->id));
}

/* In a transaction. */
static struct dep_res expire_some(struct ledger *ledger, int64_t now, int max, int *ret_count)
{
    struct old old[OLD_MAX];
    int count;

    DEP_TRY(find_old(ledger, now, max < OLD_MAX ? max : OLD_MAX, old, &count));
    for (int i = 0; i < count; i++)
        DEP_TRY(drop_old(ledger, &old[i], now));
    *ret_count = count;
    return DEP_OK;
}

static struct dep_res sqlite_expire(struct dep_ledger *base, int64_t now, int max, int *ret_count)
{
    struct ledger *ledger = ledger_of(base);
    int total = 0, count = OLD_MAX;

    /* In transactions of their own: nobody waits for long. */
    while (total < max && count == OLD_MAX) {
        DEP_TRY(transaction_begin(ledger));
        DEP_TRY(transaction_end(ledger, expire_some(ledger, now, max - total, &count)));
        total += count;
    }
    *ret_count = total;
    return DEP_OK;
}

/* ---- begin ---- */

static struct dep_res read_entry(struct ledger *ledger, sqlite3_stmt *statement, struct dep_arena *arena,
                                 struct dep_idempotency_entry *entry)
{
    static const enum dep_idempotency_state states[] = {
        [STATE_BEGUN] = DEP_IDEMPOTENCY_BEGUN, [STATE_LOST] = DEP_IDEMPOTENCY_LOST, [STATE_DONE] = DEP_IDEMPOTENCY_DONE
    };
    int state = sqlite3_column_int(statement, 1);
    const void *fingerprint = sqlite3_column_blob(statement, 2);

    if (state < STATE_BEGUN || state > STATE_DONE || fingerprint == NULL ||
        sqlite3_column_bytes(statement, 2) != (int)sizeof(entry->fingerprint))
        return DEP_FAIL(STORE_IO);
    memcpy(entry->fingerprint, fingerprint, sizeof(entry->fingerprint));
    entry->state = states[state];
    entry->begun = sqlite3_column_int64(statement, 4);
    entry->ticket = sqlite3_column_int64(statement, 5);
    entry->status = sqlite3_column_int(statement, 7);
    if (state == STATE_BEGUN)
        DEP_TRY(dep_ledger_owner_lives(&ledger->owner, sqlite3_column_int64(statement, 3), &entry->is_owner_alive));
    if (sqlite3_column_type(statement, 8) != SQLITE_NULL) {
        const char *answer = sqlite3_column_blob(statement, 8);

        entry->answer = dep_arena_dup(
            arena, answer == NULL ? DEP_STR("") : dep_str(answer, (size_t)sqlite3_column_bytes(statement, 8)));
        if (dep_str_is_absent(entry->answer))
            return DEP_FAIL(ARENA_FULL);
    }
    return DEP_OK;
}

/* NEW when there is none, or only one whose time is over. */
static struct dep_res find(struct ledger *ledger, const unsigned char *scope, int64_t now, struct dep_arena *arena,
                           struct dep_idempotency_entry *entry)
{
    sqlite3_stmt *statement = ledger->statements[FIND];
    int result = bind_name(statement, 1, scope) ? sqlite3_step(statement) : SQLITE_ERROR;
    struct dep_res res = DEP_FAIL(STORE_IO);
    int64_t old = 0;

    *entry = (struct dep_idempotency_entry){ .state = DEP_IDEMPOTENCY_NEW };
    if (result == SQLITE_DONE) {
        res = DEP_OK;
    } else if (result == SQLITE_ROW) {
        res = read_entry(ledger, statement, arena, entry);
        if (dep_is_ok(res) && sqlite3_column_int64(statement, 6) <= now && !entry->is_owner_alive)
            old = sqlite3_column_int64(statement, 0);
    }
    clear(statement);
    if (dep_is_ok(res) && old != 0) {
        *entry = (struct dep_idempotency_entry){ .state = DEP_IDEMPOTENCY_NEW };
        res = run(ledger->statements[DROP], bind_int(ledger->statements[DROP], 1, old));
    }
    return res;
}

static struct dep_res tally_of(struct ledger *ledger, const void *caller, int len, int64_t *ret_entries,
                               int64_t *ret_bytes)
{
    sqlite3_stmt *statement = ledger->statements[TALLY];
    int result = SQLITE_ERROR;

    *ret_entries = 0;
    *ret_bytes = 0;
    if (sqlite3_bind_blob(statement, 1, caller, len, SQLITE_STATIC) == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *ret_entries = sqlite3_column_int64(statement, 0);
        *ret_bytes = sqlite3_column_int64(statement, 1);
    }
    clear(statement);
    return result == SQLITE_ROW || (result == SQLITE_DONE && len > 0) ? DEP_OK : DEP_FAIL(STORE_IO);
}

static struct dep_res check_room(struct ledger *ledger, const unsigned char *caller)
{
    int64_t entries, bytes;

    DEP_TRY(tally_of(ledger, "", 0, &entries, &bytes));
    if (entries >= ledger->limits.entries_max)
        return DEP_FAIL(LEDGER_FULL);
    DEP_TRY(tally_of(ledger, caller, DEP_IDEMPOTENCY_NAME_LEN, &entries, &bytes));
    return entries >= ledger->limits.caller_entries_max ? DEP_FAIL(LEDGER_QUOTA) : DEP_OK;
}

static struct dep_res add(struct ledger *ledger, const struct dep_idempotency_names *names, int64_t now,
                          struct dep_idempotency_entry *entry)
{
    sqlite3_stmt *statement = ledger->statements[ADD];
    uint64_t random;
    bool is_bound;

    DEP_TRY(check_room(ledger, names->caller));
    dep_random(&random, sizeof(random));
    entry->ticket = (int64_t)(random >> 1);
    entry->begun = now;
    entry->is_owner_alive = true;
    memcpy(entry->fingerprint, names->fingerprint, sizeof(entry->fingerprint));
    is_bound = bind_name(statement, 1, names->scope) && bind_name(statement, 2, names->caller) &&
               bind_name(statement, 3, names->fingerprint) && bind_int(statement, 4, ledger->owner.number) &&
               bind_int(statement, 5, entry->ticket) && bind_int(statement, 6, now) &&
               bind_int(statement, 7, now + ledger->limits.retention_s);
    return run(statement, is_bound);
}

static struct dep_res find_or_add(struct ledger *ledger, const struct dep_idempotency_names *names, int64_t now,
                                  struct dep_arena *arena, struct dep_idempotency_entry *entry)
{
    int count;

    DEP_TRY(find(ledger, names->scope, now, arena, entry));
    if (entry->state != DEP_IDEMPOTENCY_NEW)
        return DEP_OK;
    DEP_TRY(expire_some(ledger, now, EXPIRE_AT_BEGIN, &count));
    return add(ledger, names, now, entry);
}

static struct dep_res sqlite_begin(struct dep_ledger *base, const struct dep_idempotency_names *names, int64_t now,
                                   struct dep_arena *arena, struct dep_idempotency_entry *ret_entry)
{
    struct ledger *ledger = ledger_of(base);
    struct dep_idempotency_entry entry;

    DEP_TRY(transaction_begin(ledger));
    DEP_TRY(transaction_end(ledger, find_or_add(ledger, names, now, arena, &entry)));
    *ret_entry = entry;
    return DEP_OK;
}

/* ---- the ends ---- */

/* In a transaction; the statement must change the one entry. */
static struct dep_res change(struct ledger *ledger, sqlite3_stmt *statement, bool is_bound)
{
    DEP_TRY(run(statement, is_bound));
    return sqlite3_changes(ledger->database) == 1 ? DEP_OK : DEP_FAIL(LEDGER_GONE);
}

static struct dep_res complete(struct ledger *ledger, const unsigned char *scope, int64_t ticket, int status,
                               struct dep_str answer)
{
    sqlite3_stmt *statement = ledger->statements[COMPLETE];
    int64_t entries, bytes;
    bool is_bound;

    DEP_TRY(tally_of(ledger, "", 0, &entries, &bytes));
    is_bound = bind_name(statement, 1, scope) && bind_int(statement, 2, ticket) && bind_int(statement, 3, status);
    if (!dep_str_is_absent(answer) && (int64_t)answer.len <= ledger->limits.bytes_max - bytes)
        is_bound = is_bound && sqlite3_bind_blob64(statement, 4, answer.len > 0 ? answer.ptr : "", answer.len,
                                                   SQLITE_STATIC) == SQLITE_OK;
    return change(ledger, statement, is_bound);
}

static struct dep_res sqlite_complete(struct dep_ledger *base, const unsigned char *scope, int64_t ticket, int status,
                                      struct dep_str answer)
{
    struct ledger *ledger = ledger_of(base);

    DEP_TRY(transaction_begin(ledger));
    return transaction_end(ledger, complete(ledger, scope, ticket, status, answer));
}

static struct dep_res end(struct dep_ledger *base, enum statement which, const unsigned char *scope, int64_t ticket)
{
    struct ledger *ledger = ledger_of(base);
    sqlite3_stmt *statement = ledger->statements[which];

    DEP_TRY(transaction_begin(ledger));
    return transaction_end(ledger,
                           change(ledger, statement, bind_name(statement, 1, scope) && bind_int(statement, 2, ticket)));
}

static struct dep_res sqlite_abandon(struct dep_ledger *base, const unsigned char *scope, int64_t ticket)
{
    return end(base, REMOVE, scope, ticket);
}

static struct dep_res sqlite_lose(struct dep_ledger *base, const unsigned char *scope, int64_t ticket)
{
    return end(base, LOSE, scope, ticket);
}

static struct dep_res sqlite_count(struct dep_ledger *base, int64_t *ret_entries, int64_t *ret_bytes)
{
    struct ledger *ledger = ledger_of(base);
    struct dep_res res;

    (void)pthread_mutex_lock(&ledger->mutex);
    res = tally_of(ledger, "", 0, ret_entries, ret_bytes);
    (void)pthread_mutex_unlock(&ledger->mutex);
    return res;
}

/* ---- open and close ---- */

static void sqlite_free(struct dep_ledger *base)
{
    struct ledger *ledger = ledger_of(base);

    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(ledger->statements[i]);
    sqlite3_close(ledger->database);
    dep_ledger_owner_done(&ledger->owner);
    (void)pthread_mutex_destroy(&ledger->mutex);
    free(ledger);
}

static struct dep_res open_database(struct ledger *ledger, const char *path)
{
    DEP_TRY(dep_sqlite_open(path, DEP_SQLITE_SHARED, &ledger->database));
    if (!dep_sqlite_execute(ledger->database, "BEGIN IMMEDIATE"))
        return DEP_FAIL(STORE_IO);
    DEP_TRY(dep_sqlite_schema(ledger->database, SCHEMA_VERSION, schema));
    if (!dep_sqlite_execute(ledger->database, "COMMIT"))
        return DEP_FAIL(STORE_IO);
    for (size_t i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(ledger->database, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &ledger->statements[i], NULL) != SQLITE_OK)
            return DEP_FAIL(STORE_IO);
    return DEP_OK;
}

static struct dep_res open_all(struct ledger *ledger, const char *path)
{
    char owners[PATH_MAX_BYTES];
    int len = snprintf(owners, sizeof(owners), "%s.owners", path);
    struct dep_res res;

    if (len < 0 || (size_t)len >= sizeof(owners))
        return DEP_FAIL(STORE_IO);
    DEP_TRY(dep_ledger_owner_init(&ledger->owner, owners));
    /* Switching to WAL does not wait for others; so one after the other. */
    DEP_TRY(dep_ledger_owner_alone(&ledger->owner, true));
    res = open_database(ledger, path);
    DEP_TRY(dep_ledger_owner_alone(&ledger->owner, false));
    return res;
}

struct dep_res dep_ledger_sqlite_new(const char *path, const struct dep_ledger_limits *limits,
                                     struct dep_ledger **ret_ledger)
{
    static const struct dep_ledger_ops ops = { sqlite_begin,  sqlite_complete, sqlite_abandon, sqlite_lose,
                                               sqlite_expire, sqlite_count,    sqlite_free };
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    struct dep_res res;

    if (ledger == NULL)
        return DEP_FAIL(STORE_IO);
    ledger->base.ops = &ops;
    ledger->limits = *limits;
    ledger->owner.fd = -1;
    (void)pthread_mutex_init(&ledger->mutex, NULL);
    res = open_all(ledger, path);
    if (!dep_is_ok(res)) {
        sqlite_free(&ledger->base);
        return res;
    }
    *ret_ledger = &ledger->base;
    return DEP_OK;
}

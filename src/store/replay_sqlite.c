/* The replay store in SQLite: for one node whose restart may not forget. One transaction for what has gathered.
 *
 * Invariants:
 *  (1) "New" is said after the commit, which is durable (sqlite_file.c). A failed commit is an unknown outcome.
 *  (2) `now` only rises. What expired before it is deleted, and `dropped` is the latest expiry of what was deleted: an insert at or
 *      before it is refused as seen, since what was deleted can not be told from what was never there.
 *  (3) Nothing live is evicted: at its bound the store refuses. */
#include <stdlib.h>
#include <string.h>

#include "store/replay_gather.h"
#include "store/sqlite_file.h"

#define SCHEMA_VERSION 1
#define TEND_MS 5000
#define RETRY_MS 500

enum statement { BEGIN, COMMIT, INSERT, MARK, FORGET, STATEMENTS };

static const char *const statement_text[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [INSERT] = "INSERT INTO replay (key, expires) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [MARK] = ("UPDATE mark SET dropped = max(dropped, ifnull((SELECT max(expires) FROM replay WHERE expires < ?1), "
              "-1))"),
    [FORGET] = "DELETE FROM replay WHERE expires < ?1",
};

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE replay (key BLOB NOT NULL PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE INDEX replay_expires ON replay (expires);"
    "CREATE TABLE mark (dropped INTEGER NOT NULL) STRICT;"
    "INSERT INTO mark VALUES (-1);"
    "PRAGMA user_version = 1;"
    "COMMIT";

struct database {
    struct dep_gather_backend base;
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    int64_t now, dropped, life_max_s;
    int64_t count, count_max;
    char path[];
};

static int64_t number(struct database *database, const char *query, int64_t otherwise)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = otherwise;

    if (sqlite3_prepare_v2(database->handle, query, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static void close_database(struct dep_gather_backend *backend)
{
    struct database *database = (struct database *)backend;

    for (size_t i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(database->statements[i]);
        database->statements[i] = NULL;
    }
    sqlite3_close(database->handle);
    database->handle = NULL;
}

static struct dep_res open_all(struct database *database)
{
    DEP_TRY(dep_sqlite_open(database->path, DEP_SQLITE_ALONE, &database->handle));
    DEP_TRY(dep_sqlite_schema(database->handle, SCHEMA_VERSION, schema));
    for (size_t i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(database->handle, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &database->statements[i], NULL) != SQLITE_OK)
            return DEP_FAIL(STORE_IO);
    database->count = number(database, "SELECT count(*) FROM replay", -1);
    database->dropped = number(database, "SELECT dropped FROM mark", INT64_MAX);
    return database->count < 0 || database->dropped == INT64_MAX ? DEP_FAIL(STORE_IO) : DEP_OK;
}

/* The first time it is open already: dep_replay_sqlite_new() has seen that it can be. */
static bool open_database(struct dep_gather_backend *backend, int stop_fd)
{
    struct database *database = (struct database *)backend;

    (void)stop_fd;
    return database->handle != NULL || dep_is_ok(open_all(database));
}

/* Into entry->res; the failure of the environment is the result. */
static struct dep_res insert_one(struct database *database, struct dep_replay_entry *entry)
{
    sqlite3_stmt *statement = database->statements[INSERT];

    if (entry->now > database->now)
        database->now = entry->now;
    entry->res = DEP_OK;
    if (entry->expires < 0 || database->now < 0 || database->now > INT64_MAX - database->life_max_s ||
        entry->expires > database->now + database->life_max_s)
        entry->res = DEP_FAIL(REPLAY_FULL);
    else if (entry->expires <= database->dropped)
        entry->res = DEP_FAIL(REPLAY_SEEN);
    else if (database->count >= database->count_max)
        entry->res = DEP_FAIL(REPLAY_FULL);
    if (!dep_is_ok(entry->res))
        return DEP_OK;
    if (sqlite3_bind_blob(statement, 1, entry->key, DEP_REPLAY_KEY_LEN, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 2, entry->expires) != SQLITE_OK)
        return DEP_FAIL(STORE_IO);
    DEP_TRY(dep_sqlite_run(statement));
    if (sqlite3_changes(database->handle) == 0)
        entry->res = DEP_FAIL(REPLAY_SEEN);
    else
        database->count++;
    return DEP_OK;
}

static struct dep_res insert_all(struct database *database, struct dep_replay_entry **entries, size_t count)
{
    DEP_TRY(dep_sqlite_run(database->statements[BEGIN]));
    for (size_t i = 0; i < count; i++)
        DEP_TRY(insert_one(database, entries[i]));
    return dep_sqlite_run(database->statements[COMMIT]);
}

static bool insert(struct dep_gather_backend *backend, struct dep_replay_entry **entries, size_t count)
{
    struct database *database = (struct database *)backend;

    if (dep_is_ok(insert_all(database, entries, count)))
        return true;
    for (size_t i = 0; i < count; i++)
        entries[i]->res = DEP_FAIL(REPLAY_UNKNOWN);
    return false;
}

static struct dep_res forget(struct database *database)
{
    int64_t gone;

    for (enum statement which = MARK; which <= FORGET; which++)
        if (sqlite3_bind_int64(database->statements[which], 1, database->now) != SQLITE_OK)
            return DEP_FAIL(STORE_IO);
    DEP_TRY(dep_sqlite_run(database->statements[BEGIN]));
    DEP_TRY(dep_sqlite_run(database->statements[MARK]));
    DEP_TRY(dep_sqlite_run(database->statements[FORGET]));
    gone = sqlite3_changes64(database->handle);
    DEP_TRY(dep_sqlite_run(database->statements[COMMIT]));
    database->count -= gone;
    database->dropped = number(database, "SELECT dropped FROM mark", INT64_MAX);
    return database->dropped == INT64_MAX ? DEP_FAIL(STORE_IO) : DEP_OK;
}

/* A failed one leaves the transaction open; the session ends with it. */
static bool tend(struct dep_gather_backend *backend)
{
    return dep_is_ok(forget((struct database *)backend));
}

static int no_fd(struct dep_gather_backend *backend)
{
    (void)backend;
    return -1;
}

static void free_database(struct dep_gather_backend *backend)
{
    close_database(backend);
    free(backend);
}

struct dep_res dep_replay_sqlite_new(const char *path, size_t entries_max, int64_t life_max_s,
                                     struct dep_replay_store **ret_store)
{
    static const struct dep_gather_ops ops = { open_database, insert, tend, no_fd, close_database, free_database };
    size_t len = strlen(path);
    struct database *database = calloc(1, sizeof(*database) + len + 1);
    struct dep_replay_store *store;
    struct dep_res res;

    DEP_ASSERT(entries_max > 0 && life_max_s > 0 && life_max_s <= INT32_MAX);
    if (database == NULL)
        return DEP_FAIL(STORE_IO);
    database->base = (struct dep_gather_backend){ &ops, TEND_MS, RETRY_MS };
    database->life_max_s = life_max_s;
    database->count_max = (int64_t)entries_max;
    memcpy(database->path, path, len + 1);
    res = open_all(database);
    if (!dep_is_ok(res)) {
        free_database(&database->base);
        return res;
    }
    store = dep_gather_new(&database->base);
    if (store == NULL)
        return DEP_FAIL(STORE_IO);
    *ret_store = store;
    return DEP_OK;
}

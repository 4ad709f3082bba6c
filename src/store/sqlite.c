/* The store in SQLite: one table, WAL, synchronous=FULL, so that a commit that was answered survives a power cut.
 *
 * Invariants:
 *  (1) A batch is one transaction, begun as IMMEDIATE; any failure rolls all of it back.
 *  (2) Statements are reset after every use, so no read transaction stays open between calls.
 *  (3) One process: the lock is exclusive and kept until the store is freed. */
#include <sqlite3.h>
#include <stdlib.h>

#include "store/sqlite_file.h"
#include "store/store.h"

#define SCHEMA_VERSION 1

enum statement { BEGIN, COMMIT, ROLLBACK, GET, ADD, REPLACE, PUT, REMOVE, EXPIRE, STATEMENTS };

static const char *const statement_text[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [GET] = "SELECT version, expires, body FROM record WHERE kind = ?1 AND id = ?2",
    [ADD] = "INSERT INTO record (kind, id, version, expires, body) VALUES (?1, ?2, 1, ?4, ?5) ON CONFLICT DO NOTHING",
    [REPLACE] =
        "UPDATE record SET version = version + 1, expires = ?4, body = ?5 WHERE kind = ?1 AND id = ?2 AND version = ?3",
    [PUT] =
        ("INSERT INTO record (kind, id, version, expires, body) VALUES (?1, ?2, 1, ?4, ?5) ON CONFLICT DO UPDATE SET "
         "version = version + 1, expires = excluded.expires, body = excluded.body"),
    [REMOVE] = "DELETE FROM record WHERE kind = ?1 AND id = ?2 AND version = ?3",
    [EXPIRE] = "DELETE FROM record WHERE expires <> 0 AND expires < ?1",
};

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE record (kind INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID, STRICT;"
    "CREATE INDEX record_expires ON record (expires) WHERE expires <> 0;"
    "PRAGMA user_version = 1;"
    "COMMIT";

struct store {
    struct dep_store base;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
};

static struct store *store_of(struct dep_store *store)
{
    return (struct store *)store;
}

static bool bind_text(sqlite3_stmt *statement, int at, struct dep_str text)
{
    return sqlite3_bind_text64(statement, at, text.len > 0 ? text.ptr : "", text.len, SQLITE_STATIC, SQLITE_UTF8) ==
           SQLITE_OK;
}

static struct dep_str column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    int len = sqlite3_column_bytes(statement, column);

    return text == NULL ? DEP_STR("") : dep_str((const char *)text, (size_t)len);
}

static struct dep_res visit_rows(sqlite3_stmt *statement, enum dep_record_kind kind, dep_record_visit *visit,
                                 void *context)
{
    int result;

    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        struct dep_record record = { .kind = kind };

        record.id = column_text(statement, 0);
        record.version = sqlite3_column_int64(statement, 1);
        record.expires = sqlite3_column_int64(statement, 2);
        record.body = column_text(statement, 3);
        if (!visit(context, &record))
            return DEP_OK;
    }
    return result == SQLITE_DONE ? DEP_OK : DEP_FAIL(STORE_IO);
}

/* With a statement of its own, so that `visit` may use the store. */
static struct dep_res sqlite_walk(struct dep_store *store, enum dep_record_kind kind, dep_record_visit *visit,
                                  void *context)
{
    sqlite3_stmt *statement = NULL;
    struct dep_res res = DEP_FAIL(STORE_IO);

    if (sqlite3_prepare_v2(store_of(store)->database,
                           "SELECT id, version, expires, body FROM record WHERE kind = ?1 ORDER BY id", -1, &statement,
                           NULL) == SQLITE_OK &&
        sqlite3_bind_int(statement, 1, (int)kind) == SQLITE_OK)
        res = visit_rows(statement, kind, visit, context);
    sqlite3_finalize(statement);
    return res;
}

static struct dep_res copy_row(sqlite3_stmt *statement, struct dep_arena *arena, struct dep_record *ret_record)
{
    int result = sqlite3_step(statement);

    if (result == SQLITE_DONE)
        return DEP_FAIL(STORE_MISSING);
    if (result != SQLITE_ROW)
        return DEP_FAIL(STORE_IO);
    ret_record->version = sqlite3_column_int64(statement, 0);
    ret_record->expires = sqlite3_column_int64(statement, 1);
    ret_record->body = dep_arena_dup(arena, column_text(statement, 2));
    return ret_record->body.ptr == NULL ? DEP_FAIL(ARENA_FULL) : DEP_OK;
}

static struct dep_res sqlite_get(struct dep_store *store, enum dep_record_kind kind, struct dep_str id,
                                 struct dep_arena *arena, struct dep_record *ret_record)
{
    sqlite3_stmt *statement = store_of(store)->statements[GET];
    struct dep_record record = { .kind = kind, .id = dep_arena_dup(arena, id) };
    struct dep_res res = DEP_FAIL(STORE_IO);

    if (record.id.ptr == NULL)
        return DEP_FAIL(ARENA_FULL);
    if (sqlite3_bind_int(statement, 1, (int)kind) == SQLITE_OK && bind_text(statement, 2, id))
        res = copy_row(statement, arena, &record);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    DEP_TRY(res);
    *ret_record = record;
    return DEP_OK;
}

/* A change touched nothing: is there no such record, or one of another version? */
static struct dep_res why_nothing(struct store *store, const struct dep_record *record)
{
    sqlite3_stmt *statement = store->statements[GET];
    struct dep_res res = DEP_FAIL(STORE_IO);

    if (sqlite3_bind_int(statement, 1, (int)record->kind) == SQLITE_OK && bind_text(statement, 2, record->id)) {
        int result = sqlite3_step(statement);

        if (result == SQLITE_ROW)
            res = DEP_FAIL(STORE_CONFLICT);
        else if (result == SQLITE_DONE)
            res = DEP_FAIL(STORE_MISSING);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return res;
}

static struct dep_res apply(struct store *store, const struct dep_change *change)
{
    static const enum statement statement_of[] = {
        [DEP_CHANGE_ADD] = ADD, [DEP_CHANGE_REPLACE] = REPLACE, [DEP_CHANGE_PUT] = PUT, [DEP_CHANGE_REMOVE] = REMOVE
    };
    sqlite3_stmt *statement = store->statements[statement_of[change->op]];
    const struct dep_record *record = &change->record;
    bool has_version = change->op == DEP_CHANGE_REPLACE || change->op == DEP_CHANGE_REMOVE;
    bool has_body = change->op != DEP_CHANGE_REMOVE;
    bool is_bound =
        sqlite3_bind_int(statement, 1, (int)record->kind) == SQLITE_OK && bind_text(statement, 2, record->id);

    if (has_version)
        is_bound = is_bound && sqlite3_bind_int64(statement, 3, record->version) == SQLITE_OK;
    if (has_body)
        is_bound = is_bound && sqlite3_bind_int64(statement, 4, record->expires) == SQLITE_OK &&
                   bind_text(statement, 5, record->body);
    if (!is_bound)
        return DEP_FAIL(STORE_IO);
    DEP_TRY(dep_sqlite_run(statement));
    if (sqlite3_changes(store->database) == 1)
        return DEP_OK;
    return change->op == DEP_CHANGE_ADD ? DEP_FAIL(STORE_EXISTS) : why_nothing(store, record);
}

static struct dep_res apply_all(struct store *store, const struct dep_change *changes, size_t count, size_t *ret_failed)
{
    for (size_t i = 0; i < count; i++) {
        struct dep_res res = apply(store, &changes[i]);

        if (!dep_is_ok(res)) {
            if (ret_failed != NULL)
                *ret_failed = i;
            return res;
        }
    }
    return dep_sqlite_run(store->statements[COMMIT]);
}

static struct dep_res sqlite_commit(struct dep_store *store, const struct dep_change *changes, size_t count,
                                    size_t *ret_failed)
{
    struct store *self = store_of(store);
    struct dep_res res;

    if (count == 0)
        return DEP_OK;
    DEP_TRY(dep_sqlite_run(self->statements[BEGIN]));
    res = apply_all(self, changes, count, ret_failed);
    /* An error may have ended the transaction by itself. */
    if (!dep_is_ok(res) && sqlite3_get_autocommit(self->database) == 0)
        (void)dep_is_ok(dep_sqlite_run(self->statements[ROLLBACK]));
    return res;
}

static struct dep_res sqlite_expire(struct dep_store *store, int64_t now)
{
    sqlite3_stmt *statement = store_of(store)->statements[EXPIRE];

    if (sqlite3_bind_int64(statement, 1, now) != SQLITE_OK)
        return DEP_FAIL(STORE_IO);
    return dep_sqlite_run(statement);
}

static void sqlite_free(struct dep_store *store)
{
    struct store *self = store_of(store);

    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(self->statements[i]);
    sqlite3_close(self->database);
    free(self);
}

static struct dep_res prepare_all(struct store *store)
{
    for (size_t i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(store->database, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i],
                               NULL) != SQLITE_OK)
            return DEP_FAIL(STORE_IO);
    return DEP_OK;
}

static struct dep_res open_database(struct store *store, const char *path)
{
    DEP_TRY(dep_sqlite_open(path, DEP_SQLITE_ALONE, &store->database));
    DEP_TRY(dep_sqlite_schema(store->database, SCHEMA_VERSION, schema));
    return prepare_all(store);
}

struct dep_res dep_store_sqlite_new(const char *path, struct dep_store **ret_store)
{
    static const struct dep_store_ops ops = { sqlite_walk, sqlite_get, sqlite_commit, sqlite_expire, sqlite_free };
    struct store *store = calloc(1, sizeof(*store));
    struct dep_res res;

    if (store == NULL)
        return DEP_FAIL(STORE_IO);
    store->base.ops = &ops;
    res = open_database(store, path);
    if (!dep_is_ok(res)) {
        sqlite_free(&store->base);
        return res;
    }
    *ret_store = &store->base;
    return DEP_OK;
}

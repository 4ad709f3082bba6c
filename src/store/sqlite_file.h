/* A SQLite file as this server wants it: private and durable. For the stores of this folder. */
#ifndef DEP_STORE_SQLITE_FILE_H
#define DEP_STORE_SQLITE_FILE_H

#include <sqlite3.h>

#include "base/res.h"

/* ALONE: an exclusive lock, and a file that others may read is closed to them. SHARED: several processes have it open, perhaps of several
 * users; whoever opens it lets nobody else open it meanwhile, since switching to WAL does not wait. */
enum dep_sqlite_use { DEP_SQLITE_ALONE, DEP_SQLITE_SHARED };

/* WAL with synchronous=FULL; created with mode 0600. DEP_ERR_STORE_IO. `*ret_database` is to be closed also when
 * it fails. */
DEP_MUST struct dep_res dep_sqlite_open(const char *path, enum dep_sqlite_use use, sqlite3 **ret_database);
/* Makes the schema in a new file. A file of another version is not touched: DEP_ERR_STORE_IO. */
DEP_MUST struct dep_res dep_sqlite_schema(sqlite3 *database, int version, const char *schema);
DEP_MUST bool dep_sqlite_execute(sqlite3 *database, const char *text);
/* Runs a statement that gives no rows; binds nothing that outlives the call. */
DEP_MUST struct dep_res dep_sqlite_run(sqlite3_stmt *statement);

#endif

/* Opening SQLite files. */
#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_ALONE_MS 1000  /* the one before may still be closing */
#define BUSY_SHARED_MS 4000 /* longer, and the caller gets 503 */

bool dep_sqlite_execute(sqlite3 *database, const char *text)
{
    return sqlite3_exec(database, text, NULL, NULL, NULL) == SQLITE_OK;
}

struct dep_res dep_sqlite_run(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result == SQLITE_DONE ? DEP_OK : DEP_FAIL(STORE_IO);
}

static int user_version(sqlite3 *database)
{
    sqlite3_stmt *statement = NULL;
    int version = -1;

    if (sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return version;
}

struct dep_res dep_sqlite_schema(sqlite3 *database, int version, const char *schema)
{
    int found = user_version(database);

    if (found == 0 && !dep_sqlite_execute(database, schema))
        return DEP_FAIL(STORE_IO);
    return found == 0 || found == version ? DEP_OK : DEP_FAIL(STORE_IO);
}

/* SQLite gives its other files the mode of this one. */
static struct dep_res make_file(const char *path, enum dep_sqlite_use use)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat about;

    if (fd >= 0) {
        close(fd);
        return DEP_OK;
    }
    /* Not opened and closed again: that would let go of the locks this process may hold on it. */
    if (errno != EEXIST || lstat(path, &about) != 0 || !S_ISREG(about.st_mode))
        return DEP_FAIL(STORE_IO);
    return use == DEP_SQLITE_SHARED || (about.st_mode & 077) == 0 || chmod(path, 0600) == 0 ? DEP_OK
                                                                                            : DEP_FAIL(STORE_IO);
}

struct dep_res dep_sqlite_open(const char *path, enum dep_sqlite_use use, sqlite3 **ret_database)
{
    static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
                                   "PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON";
    bool is_alone = use == DEP_SQLITE_ALONE;

    DEP_TRY(make_file(path, use));
    if (sqlite3_open_v2(path, ret_database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(*ret_database, is_alone ? BUSY_ALONE_MS : BUSY_SHARED_MS) != SQLITE_OK ||
        (is_alone && !dep_sqlite_execute(*ret_database, "PRAGMA locking_mode = EXCLUSIVE")) ||
        !dep_sqlite_execute(*ret_database, settings))
        return DEP_FAIL(STORE_IO);
    return DEP_OK;
}

/* A connection of the replay store to PostgreSQL, always in pipeline mode. Not for other folders.
 *
 * A round is some statements and a sync: one transaction. It is over when the sync was answered: then it is committed. */
#ifndef DEP_STORE_REPLAY_SESSION_H
#define DEP_STORE_REPLAY_SESSION_H

#include <libpq-fe.h>

#include "store/replay_store.h"

#define DEP_SESSION_STATEMENTS_MAX 4u
#define DEP_SESSION_TEXT_MAX 256u

struct dep_session {
    PGconn *connection;
    PQconninfoOption *options;
    int timeout_ms;
    bool has_warned;                    /* the server said something of the level WARNING in this round */
    char trouble[DEP_SESSION_TEXT_MAX]; /* what went wrong last, one line */
    PGresult *results[DEP_SESSION_STATEMENTS_MAX];
    size_t asked;
};

/* DEP_ERR_CONFIG_SYNTAX. To be done in any case. */
DEP_MUST struct dep_res dep_session_init(struct dep_session *session, struct dep_secret conninfo, int64_t timeout_ms);
void dep_session_done(struct dep_session *session);

/* Connects to the host that can be written to; blocks for as long as libpq tries. */
bool dep_session_connect(struct dep_session *session);
void dep_session_close(struct dep_session *session);
int dep_session_fd(const struct dep_session *session);
/* Reads what the server said unasked. False: the connection is lost. */
bool dep_session_listen(struct dep_session *session);

/* Parameters are texts; NULL is null. `name` is a prepared statement, or NULL when `text` is the statement. */
bool dep_session_ask(struct dep_session *session, const char *name, const char *text, const char *const *values,
                     int values_count, bool is_binary);
bool dep_session_prepare(struct dep_session *session, const char *name, const char *text);

enum dep_round {
    DEP_ROUND_DONE,   /* committed; results[] has one of each statement */
    DEP_ROUND_FAILED, /* rolled back; the session goes on */
    DEP_ROUND_LOST    /* not known, the session is of no more use */
};
/* Ends the round and waits for it. Results live until the next round begins. */
enum dep_round dep_session_round(struct dep_session *session);

#endif

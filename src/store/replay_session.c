/* Rounds over libpq's pipeline mode. The deadline is ours and not the server's: a statement that is cancelled while it waits for its
 * standby is committed all the same, and says so in a warning. */
#include "store/replay_session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_S "2"
#define OPTIONS_MAX 64u

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The first line. */
static void keep_trouble(struct dep_session *session, const char *text)
{
    size_t len = strcspn(text, "\r\n");

    if (len >= sizeof(session->trouble))
        len = sizeof(session->trouble) - 1;
    memcpy(session->trouble, text, len);
    session->trouble[len] = '\0';
}

static void hear(void *context, const PGresult *notice)
{
    struct dep_session *session = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (severity == NULL || strcmp(severity, "WARNING") != 0)
        return;
    session->has_warned = true;
    keep_trouble(session, PQresultErrorMessage(notice));
}

struct dep_res dep_session_init(struct dep_session *session, struct dep_secret conninfo, int64_t timeout_ms)
{
    char *text = calloc(1, conninfo.len + 1), *why = NULL;

    *session = (struct dep_session){ .timeout_ms = (int)timeout_ms };
    if (text == NULL)
        return DEP_FAIL(ARENA_FULL);
    memcpy(text, conninfo.bytes, conninfo.len);
    if (strlen(text) == conninfo.len && conninfo.len > 0)
        session->options = PQconninfoParse(text, &why);
    dep_wipe(text, conninfo.len);
    free(text);
    PQfreemem(why); /* it may repeat a part of the password */
    return session->options == NULL ? DEP_FAIL(CONFIG_SYNTAX) : DEP_OK;
}

void dep_session_done(struct dep_session *session)
{
    dep_session_close(session);
    for (PQconninfoOption *option = session->options; option != NULL && option->keyword != NULL; option++)
        if (option->val != NULL)
            dep_wipe(option->val, strlen(option->val));
    PQconninfoFree(session->options);
    session->options = NULL;
}

static void drop_results(struct dep_session *session)
{
    for (size_t i = 0; i < DEP_SESSION_STATEMENTS_MAX; i++) {
        PQclear(session->results[i]);
        session->results[i] = NULL;
    }
}

void dep_session_close(struct dep_session *session)
{
    drop_results(session);
    PQfinish(session->connection);
    session->connection = NULL;
    session->asked = 0;
}

/* What the operator left open, then what is not for him to choose: the later one counts. */
static size_t gather_options(const struct dep_session *session, const char **keywords, const char **values)
{
    static const char *const ours[][2] = { { "connect_timeout", CONNECT_S },
                                           { "application_name", "deputy" },
                                           { "sslmode", "verify-full" } };
    size_t count = 0;

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        keywords[count] = ours[i][0];
        values[count++] = ours[i][1];
    }
    for (const PQconninfoOption *option = session->options; option->keyword != NULL; option++)
        if (option->val != NULL && count < OPTIONS_MAX - 2) {
            keywords[count] = option->keyword;
            values[count++] = option->val;
        }
    keywords[count] = "target_session_attrs";
    values[count++] = "read-write";
    keywords[count] = values[count] = NULL;
    return count;
}

bool dep_session_connect(struct dep_session *session)
{
    const char *keywords[OPTIONS_MAX], *values[OPTIONS_MAX];

    (void)gather_options(session, keywords, values);
    session->connection = PQconnectdbParams(keywords, values, 0);
    if (PQstatus(session->connection) != CONNECTION_OK) {
        keep_trouble(session, session->connection == NULL ? "out of memory" : PQerrorMessage(session->connection));
        return false;
    }
    PQsetNoticeReceiver(session->connection, hear, session);
    return PQsetnonblocking(session->connection, 1) == 0 && PQenterPipelineMode(session->connection) == 1;
}

int dep_session_fd(const struct dep_session *session)
{
    return PQsocket(session->connection);
}

bool dep_session_listen(struct dep_session *session)
{
    if (PQconsumeInput(session->connection) == 1 && PQstatus(session->connection) == CONNECTION_OK)
        return true;
    keep_trouble(session, PQerrorMessage(session->connection));
    return false;
}

/* Before the first statement of a round. */
static void begin(struct dep_session *session)
{
    if (session->asked > 0)
        return;
    drop_results(session);
    session->has_warned = false;
}

bool dep_session_ask(struct dep_session *session, const char *name, const char *text, const char *const *values,
                     int values_count, bool is_binary)
{
    int sent;

    DEP_ASSERT(session->asked < DEP_SESSION_STATEMENTS_MAX);
    begin(session);
    session->asked++;
    sent = name != NULL
               ? PQsendQueryPrepared(session->connection, name, values_count, values, NULL, NULL, is_binary)
               : PQsendQueryParams(session->connection, text, values_count, NULL, values, NULL, NULL, is_binary);
    return sent == 1;
}

bool dep_session_prepare(struct dep_session *session, const char *name, const char *text)
{
    DEP_ASSERT(session->asked < DEP_SESSION_STATEMENTS_MAX);
    begin(session);
    session->asked++;
    return PQsendPrepare(session->connection, name, text, 0, NULL) == 1;
}

/* Sends what is left and waits until a result can be taken without blocking. */
static bool wait_for_result(struct dep_session *session, int64_t until_ms)
{
    for (;;) {
        int unsent = PQflush(session->connection);
        struct pollfd wait = { .fd = PQsocket(session->connection),
                               .events = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN) };
        int64_t left_ms = until_ms - clock_ms();

        if (unsent < 0)
            return dep_session_listen(session) && false;
        if (unsent == 0 && PQisBusy(session->connection) == 0)
            return true;
        if (left_ms <= 0) {
            keep_trouble(session, "no answer in time");
            return false;
        }
        if (poll(&wait, 1, (int)left_ms) > 0 && !dep_session_listen(session))
            return false;
    }
}

/* One statement's result, and the NULL after it. */
static bool take_result(struct dep_session *session, int64_t until_ms, PGresult **ret_result)
{
    PGresult *result, *end;

    if (!wait_for_result(session, until_ms))
        return false;
    result = PQgetResult(session->connection);
    *ret_result = result;
    if (result == NULL || PQresultStatus(result) == PGRES_PIPELINE_SYNC)
        return false;
    if (!wait_for_result(session, until_ms))
        return false;
    end = PQgetResult(session->connection);
    PQclear(end);
    return end == NULL;
}

static bool take_sync(struct dep_session *session, int64_t until_ms)
{
    PGresult *result;
    bool is_sync;

    if (!wait_for_result(session, until_ms))
        return false;
    result = PQgetResult(session->connection);
    is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    if (!is_sync)
        keep_trouble(session, PQresultErrorMessage(result));
    PQclear(result);
    return is_sync;
}

enum dep_round dep_session_round(struct dep_session *session)
{
    int64_t until_ms = clock_ms() + session->timeout_ms;
    size_t count = session->asked;
    bool is_good = true;

    session->asked = 0;
    if (PQpipelineSync(session->connection) != 1)
        return DEP_ROUND_LOST;
    for (size_t i = 0; i < count; i++) {
        ExecStatusType status;

        if (!take_result(session, until_ms, &session->results[i]))
            return DEP_ROUND_LOST;
        status = PQresultStatus(session->results[i]);
        if (is_good && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            keep_trouble(session, PQresultErrorMessage(session->results[i]));
            is_good = false;
        }
    }
    if (!take_sync(session, until_ms))
        return DEP_ROUND_LOST;
    if (session->has_warned) /* the server waited for its standby and gave up, among others */
        return DEP_ROUND_LOST;
    return is_good ? DEP_ROUND_DONE : DEP_ROUND_FAILED;
}

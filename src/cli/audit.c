/* deputy audit tail, search, verify: the log, read offline. */
#include "cli/audit.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "cli/nouns.h"
#include "cli/out.h"
#include "cli/secret.h"
#include "base/num.h"

#define LOG_FLAG                                                                                 \
    {                                                                                            \
        "log", DEP_FLAG_TEXT, "DIR", DEP_FLAG_REPEATED, "a guard's audit directory, read too", 0 \
    }
#define TAIL_LINES 20

static const struct dep_flag log_flags[] = { LOG_FLAG };

static const struct dep_flag verify_flags[] = {
    LOG_FLAG,
    { "public-key", DEP_FLAG_TEXT, "TEXT|file:PATH", 0,
      "the log's key as you know it; default the key.pub beside the log", 0 },
};

static const struct dep_flag tail_flags[] = {
    LOG_FLAG,
    { "lines", DEP_FLAG_NUMBER, "N", 0, "how many of the newest; default 20", 'n' },
    { "follow", DEP_FLAG_SWITCH, NULL, 0, "go on as records come", 'f' },
};

static const struct dep_flag search_flags[] = {
    LOG_FLAG,
    { "principal", DEP_FLAG_TEXT, "ID", 0, "subject, client or any actor", 0 },
    { "actor", DEP_FLAG_TEXT, "ID", 0, "anywhere in the chain", 0 },
    { "task", DEP_FLAG_TEXT, "ID", 0, "task or parent task", 0 },
    { "jti", DEP_FLAG_TEXT, "JTI", 0, "the token itself or what grew from it", 0 },
    { "resource", DEP_FLAG_TEXT, "URI", 0, "one of the audiences", 0 },
    { "event", DEP_FLAG_TEXT, "EVENT", 0, "such as token.issued, guard.refused", 0 },
    { "outcome", DEP_FLAG_CHOICE, "allow|deny", 0, "how it ended", 0 },
    { "since", DEP_FLAG_TEXT, "WHEN", 0, "24h, 30m, 7d, Unix seconds or 2026-11-24T08:00:00Z", 0 },
    { "until", DEP_FLAG_TEXT, "WHEN", 0, "the same", 0 },
    { "limit", DEP_FLAG_NUMBER, "N", 0, "at most so many; default 1000", 0 },
};

static const struct dep_column_spec columns[] = {
    { "TIME", "ts" },     { "EVENT", "event" }, { "OUTCOME", "outcome" }, { "REASON", "reason" }, { "SUBJECT", "sub" },
    { "CHAIN", "chain" }, { "TASK", "task" },   { "AUDIENCE", "aud" },    { "SCOPE", "scope" },   { "ID", "id" },
};

const char *dep_audit_directory(struct dep_cli *cli, size_t i)
{
    bool reads_data = dep_cli_has(cli, "data") || !dep_cli_has(cli, "log");

    if (reads_data && i == 0)
        return dep_cli_text(cli, "%s/audit", cli->data);
    return dep_cli_get_nth(cli, "log", reads_data ? i - 1 : i);
}

json_t *dep_audit_json(const struct dep_audit_entry *entry)
{
    return json_loadb(entry->line.ptr, entry->line.len, JSON_REJECT_DUPLICATES, NULL);
}

static int unreadable(struct dep_cli *cli, const char *directory, struct dep_res res)
{
    int code = dep_cli_fail(cli, access(directory, R_OK | X_OK) == 0 ? DEP_EXIT_GENERAL : DEP_EXIT_NOT_FOUND,
                            dep_err_name(res.err), "the log in %s: %s", directory,
                            access(directory, R_OK | X_OK) == 0 ? dep_err_text(res.err) : strerror(errno));

    dep_cli_suggest(cli, "name the daemon's data directory with --data, or a guard's audit directory with --log");
    return code;
}

void dep_audit_put_line(const struct dep_cli *cli, json_t *record)
{
    static const char *const names[] = { "event", "outcome", "reason", "sub", "task", "scope", "target", "id" };
    char text[32];

    dep_out_time(json_integer_value(json_object_get(record, "ts")), text);
    fputs(text, cli->out);
    for (size_t i = 0; i < DEP_CLI_COUNT(names); i++) {
        const char *value = json_string_value(json_object_get(record, names[i]));

        if (value == NULL)
            continue;
        fputs("  ", cli->out);
        if (i >= 4)
            fprintf(cli->out, "%s=", names[i]);
        dep_out_clean(cli->out, value);
    }
    fputc('\n', cli->out);
}

static void put_record(const struct dep_cli *cli, json_t *record)
{
    if (cli->format == DEP_FORMAT_TABLE)
        dep_audit_put_line(cli, record);
    else
        dep_out_json_line(cli->out, record);
}

struct search {
    struct dep_audit_filter filter;
    json_t *items;
    size_t limit;
};

static bool collect(void *context, const struct dep_audit_entry *entry)
{
    struct search *search = context;
    json_t *record;

    if (!dep_audit_matches(&search->filter, entry->record))
        return true;
    record = dep_audit_json(entry);
    if (record != NULL)
        json_array_append_new(search->items, record);
    /* The newest count, so the oldest give way. */
    if (json_array_size(search->items) > search->limit)
        json_array_remove(search->items, 0);
    return true;
}

static int read_time(struct dep_cli *cli, const char *flag, int64_t *ret_time)
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = { 1, 60, 3600, 86400 };
    const char *text = dep_cli_get(cli, flag);
    struct dep_str number = dep_str_c(text);
    const char *unit = text != NULL && number.len > 1 ? strchr(units, text[number.len - 1]) : NULL;
    struct tm parts = { 0 };
    int64_t value;

    *ret_time = 0;
    if (text == NULL)
        return DEP_EXIT_OK;
    if (unit != NULL && *unit != '\0')
        number.len--;
    if (dep_is_ok(dep_num_parse(number, 0, INT64_C(253402300799), &value))) {
        *ret_time = unit != NULL && *unit != '\0' ? (int64_t)time(NULL) - value * seconds[unit - units] : value;
        return DEP_EXIT_OK;
    }
    if (strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) != NULL || strptime(text, "%Y-%m-%d", &parts) != NULL) {
        *ret_time = (int64_t)timegm(&parts);
        return DEP_EXIT_OK;
    }
    dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--%s: '%s' is no time", flag, text);
    dep_cli_suggest(cli, "24h, 30m, 7d, Unix seconds, 2026-11-24 or 2026-11-24T08:00:00Z");
    return DEP_EXIT_USAGE;
}

static int read_filter(struct dep_cli *cli, struct dep_audit_filter *ret_filter)
{
    struct dep_audit_filter filter = {
        .principal = dep_str_c(dep_cli_get(cli, "principal")),
        .actor = dep_str_c(dep_cli_get(cli, "actor")),
        .task = dep_str_c(dep_cli_get(cli, "task")),
        .jti = dep_str_c(dep_cli_get(cli, "jti")),
        .resource = dep_str_c(dep_cli_get(cli, "resource")),
        .event = dep_str_c(dep_cli_get(cli, "event")),
        .outcome = dep_str_c(dep_cli_get(cli, "outcome")),
    };
    int code = read_time(cli, "since", &filter.since);

    if (code == DEP_EXIT_OK)
        code = read_time(cli, "until", &filter.until);
    if (code == DEP_EXIT_OK)
        *ret_filter = filter;
    return code;
}

static int search(struct dep_cli *cli)
{
    struct search search = { .limit = (size_t)dep_cli_number(cli, "limit", 1000) };
    int code = read_filter(cli, &search.filter);

    if (code != DEP_EXIT_OK)
        return code;
    search.items = json_array();
    for (size_t i = 0; dep_audit_directory(cli, i) != NULL; i++) {
        struct dep_res res = dep_audit_walk(dep_audit_directory(cli, i), 0, collect, &search);

        if (!dep_is_ok(res)) {
            json_decref(search.items);
            return unreadable(cli, dep_audit_directory(cli, i), res);
        }
    }
    dep_out_list(cli, search.items, columns, DEP_CLI_COUNT(columns));
    json_decref(search.items);
    return DEP_EXIT_OK;
}

/* --- tail --- */

struct follow {
    const struct dep_cli *cli;
    uint64_t next;
};

static bool print_next(void *context, const struct dep_audit_entry *entry)
{
    struct follow *follow = context;
    json_t *record = dep_audit_json(entry);

    follow->next = entry->index + 1;
    put_record(follow->cli, record);
    json_decref(record);
    return true;
}

static bool count_next(void *context, const struct dep_audit_entry *entry)
{
    struct follow *follow = context;

    follow->next = entry->index + 1;
    return true;
}

static int go_on(struct dep_cli *cli, const char *directory, struct follow *follow)
{
    int fd = inotify_init1(IN_CLOEXEC);
    char events[4096];

    if (fd < 0 || inotify_add_watch(fd, dep_cli_text(cli, "%s/log", directory), IN_MODIFY | IN_CREATE) < 0) {
        if (fd >= 0)
            close(fd);
        return dep_cli_fail(cli, DEP_EXIT_GENERAL, "follow", "cannot watch %s/log: %s", directory, strerror(errno));
    }
    for (;;) {
        struct dep_res res = dep_audit_walk(directory, follow->next, print_next, follow);

        if (!dep_is_ok(res)) {
            close(fd);
            return unreadable(cli, directory, res);
        }
        if (fflush(cli->out) != 0 || read(fd, events, sizeof(events)) < 0)
            break;
    }
    close(fd);
    return DEP_EXIT_OK;
}

static int tail(struct dep_cli *cli)
{
    uint64_t lines = (uint64_t)dep_cli_number(cli, "lines", TAIL_LINES);
    int code = DEP_EXIT_OK;

    for (size_t i = 0; code == DEP_EXIT_OK && dep_audit_directory(cli, i) != NULL; i++) {
        const char *directory = dep_audit_directory(cli, i);
        bool follows = dep_cli_is_on(cli, "follow") && dep_audit_directory(cli, i + 1) == NULL;
        struct follow follow = { cli, 0 };
        struct dep_res res = dep_audit_walk(directory, 0, count_next, &follow);

        if (!dep_is_ok(res))
            return unreadable(cli, directory, res);
        follow.next = follow.next > lines ? follow.next - lines : 0;
        if (follows)
            return go_on(cli, directory, &follow);
        res = dep_audit_walk(directory, follow.next, print_next, &follow);
        if (!dep_is_ok(res))
            code = unreadable(cli, directory, res);
    }
    return code;
}

/* One log: its row, and what is wrong with it. */
static int verify_one(struct dep_cli *cli, const char *directory, struct dep_str public_key, json_t *items,
                      const char **ret_damage)
{
    struct dep_audit_report report = { 0 };
    struct dep_res res = dep_audit_verify(directory, public_key, &report);
    bool is_intact = dep_is_ok(res) && report.is_intact;

    if (!dep_is_ok(res) && res.err != DEP_ERR_AUDIT_CORRUPT && res.err != DEP_ERR_AUDIT_SYNTAX)
        return unreadable(cli, directory, res);
    if (!is_intact)
        *ret_damage = dep_cli_text(cli, "%s: %s", directory,
                                   report.detail[0] != '\0' ? report.detail : dep_err_text(DEP_ERR_AUDIT_CORRUPT));
    json_array_append_new(items,
                          json_pack("{s:s,s:b,s:I,s:I,s:I,s:s}", "log", directory, "intact", is_intact, "records",
                                    (json_int_t)report.records, "signed", (json_int_t)report.records_signed,
                                    "checkpoints", (json_int_t)report.checkpoints, "detail", report.detail));
    return DEP_EXIT_OK;
}

static int verify(struct dep_cli *cli)
{
    static const struct dep_column_spec found[] = {
        { "LOG", "log" },       { "INTACT", "intact" },           { "RECORDS", "records" },
        { "SIGNED", "signed" }, { "CHECKPOINTS", "checkpoints" }, { "DETAIL", "detail" },
    };
    struct dep_str public_key = DEP_STR_ABSENT;
    json_t *items = json_array();
    const char *damage = NULL;
    int code = DEP_EXIT_OK;

    if (dep_cli_has(cli, "public-key"))
        code = dep_text_load(cli, dep_cli_get(cli, "public-key"), "--public-key", &public_key);
    for (size_t i = 0; code == DEP_EXIT_OK && dep_audit_directory(cli, i) != NULL; i++)
        code = verify_one(cli, dep_audit_directory(cli, i), public_key, items, &damage);
    if (code == DEP_EXIT_OK)
        dep_out_list(cli, items, found, DEP_CLI_COUNT(found));
    json_decref(items);
    if (code != DEP_EXIT_OK || damage == NULL)
        return code;
    dep_cli_fail(cli, DEP_EXIT_FINDINGS, "AUDIT_CORRUPT", "the log was changed after it was written: %s", damage);
    dep_cli_suggest(cli, "keep this directory as evidence, and compare its checkpoint with copies that others took");
    return DEP_EXIT_FINDINGS;
}

static const struct dep_verb verbs[] = {
    { "tail", NULL, 0, 0, "the newest records; -f goes on", DEP_CLI_FLAGS(tail_flags), tail, false },
    { "search", NULL, 0, 0, "records by principal, actor, task, token, resource, outcome, time",
      DEP_CLI_FLAGS(search_flags), search, false },
    { "trace", "DECISION|JTI|TASK", 1, 1, "who did it, for whom: the chain as a tree, with what each link did",
      DEP_CLI_FLAGS(log_flags), dep_audit_verb_trace, false },
    { "verify", NULL, 0, 0, "check every record and checkpoint offline; 7 when one was changed",
      DEP_CLI_FLAGS(verify_flags), verify, false },
};

const struct dep_noun dep_noun_audit = { "audit", "the audit log: follow, search, trace a chain, verify",
                                         DEP_CLI_FLAGS(verbs) };

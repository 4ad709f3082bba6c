/* deputy audit trace: who did it, for whom. From one decision, token or task the log gives the tokens it hangs on (a token's record names
 * the tokens it descends from), and those make a tree: root, orchestrator, sub-agent, each with what happened to its token. */
#include <string.h>

#include "cli/audit.h"
#include "cli/out.h"

#define JTIS_MAX 4096u
#define RECORDS_MAX 20000u
#define DEPTH_MAX 32u

struct trace {
    struct dep_cli *cli;
    const char *target;
    json_t *jtis;    /* set: member names are token ids */
    json_t *grown;   /* the same: tokens whose descendants belong to the tree too */
    json_t *records; /* what was found, in the order of the logs */
    json_t *names;   /* principal -> agent name */
    bool is_found;
    bool is_too_large;
};

static const char *text_of(const json_t *record, const char *name)
{
    return json_string_value(json_object_get(record, name));
}

static bool is_text(const json_t *record, const char *name, const char *want)
{
    const char *text = text_of(record, name);

    return text != NULL && strcmp(text, want) == 0;
}

static const char *first_of(const json_t *record, const char *name)
{
    return json_string_value(json_array_get(json_object_get(record, name), 0));
}

static bool is_issued(const json_t *record)
{
    return is_text(record, "event", "token.issued") || is_text(record, "event", "token.exchanged") ||
           is_text(record, "event", "grant.issued");
}

static void add_jtis(struct trace *trace, const json_t *record)
{
    const json_t *item;
    size_t i;

    if (text_of(record, "jti") != NULL)
        json_object_set_new(trace->jtis, text_of(record, "jti"), json_true());
    json_array_foreach(json_object_get(record, "lineage"), i, item)
    {
        if (json_is_string(item))
            json_object_set_new(trace->jtis, json_string_value(item), json_true());
    }
    trace->is_too_large = trace->is_too_large || json_object_size(trace->jtis) > JTIS_MAX;
}

static struct dep_str slice_of(const struct dep_json *record, struct dep_str name)
{
    struct dep_str text;

    return dep_is_ok(dep_json_str(dep_json_get(record, name), &text)) ? text : DEP_STR_ABSENT;
}

/* A task is done by the tokens that name it and by all that grew from them. */
static bool is_grown(const struct trace *trace, const struct dep_json *record)
{
    const struct dep_json *lineage = DEP_JSON_GET(record, "lineage");

    for (const struct dep_json *item = lineage != NULL ? lineage->child : NULL; item != NULL; item = item->next) {
        if (item->type == DEP_JSON_STRING && json_object_getn(trace->grown, item->text.ptr, item->text.len) != NULL)
            return true;
    }
    return false;
}

/* First walk: the tokens the target hangs on. */
static bool find_tokens(void *context, const struct dep_audit_entry *entry)
{
    struct trace *trace = context;
    struct dep_str target = dep_str_c(trace->target);
    struct dep_str id = slice_of(entry->record, DEP_STR("id")), task = slice_of(entry->record, DEP_STR("task"));
    struct dep_str parent = slice_of(entry->record, DEP_STR("parent_task")),
                   jti = slice_of(entry->record, DEP_STR("jti"));
    struct dep_audit_filter by_jti = { .jti = target };
    bool is_decision;
    json_t *record;

    is_decision = dep_str_eq(id, target);
    if (!is_decision && !dep_str_eq(task, target) && !dep_str_eq(parent, target) &&
        !dep_audit_matches(&by_jti, entry->record) && !is_grown(trace, entry->record))
        return true;
    record = dep_audit_json(entry);
    trace->is_found = true;
    add_jtis(trace, record);
    if (!is_decision && !dep_str_is_absent(jti))
        json_object_setn_new(trace->grown, jti.ptr, jti.len, json_true());
    json_decref(record);
    return !is_decision && !trace->is_too_large;
}

/* Second walk: everything that happened to those tokens. */
static bool take_records(void *context, const struct dep_audit_entry *entry)
{
    struct trace *trace = context;
    struct dep_str jti = slice_of(entry->record, DEP_STR("jti")), id = slice_of(entry->record, DEP_STR("id"));
    json_t *record;

    if (!dep_str_eq_c(id, trace->target) &&
        (dep_str_is_absent(jti) || json_object_getn(trace->jtis, jti.ptr, jti.len) == NULL))
        return true;
    record = dep_audit_json(entry);
    if (record == NULL)
        return true;
    if (is_issued(record) && first_of(record, "chain") != NULL && text_of(record, "agent_name") != NULL)
        json_object_set(trace->names, first_of(record, "chain"), json_object_get(record, "agent_name"));
    json_array_append_new(trace->records, record);
    trace->is_too_large = trace->is_too_large || json_array_size(trace->records) > RECORDS_MAX;
    return !trace->is_too_large;
}

static int walk_all(struct trace *trace, dep_audit_visit *visit)
{
    struct dep_cli *cli = trace->cli;

    for (size_t i = 0; dep_audit_directory(cli, i) != NULL; i++) {
        struct dep_res res = dep_audit_walk(dep_audit_directory(cli, i), 0, visit, trace);

        if (!dep_is_ok(res)) {
            int code = dep_cli_fail_res(cli, DEP_EXIT_NOT_FOUND, res, dep_audit_directory(cli, i));

            dep_cli_suggest(cli, "name the daemon's data directory with --data, a guard's audit directory with --log");
            return code;
        }
    }
    if (trace->is_too_large) {
        dep_cli_fail(cli, DEP_EXIT_GENERAL, "too_much", "more hangs on %s than one tree can show", trace->target);
        dep_cli_suggest(cli, "deputy audit search --task %s", trace->target);
        return DEP_EXIT_GENERAL;
    }
    return DEP_EXIT_OK;
}

static const char *name_of(const struct trace *trace, const char *principal)
{
    const char *name = principal != NULL ? text_of(trace->names, principal) : NULL;

    return name != NULL ? name : principal != NULL ? principal : "?";
}

/* --- for people --- */

static void put_lead(const struct trace *trace, size_t depth, bool is_head)
{
    fprintf(trace->cli->out, "%*s%s", (int)(depth > 0 ? (depth - 1) * 3 : 0), "",
            depth == 0 ? ""
            : is_head  ? "└─ "
                       : "   ");
}

static void put_pair(const struct trace *trace, const char *before, const char *text, const char *after)
{
    if (text == NULL)
        return;
    fputs(before, trace->cli->out);
    dep_out_clean(trace->cli->out, text);
    fputs(after, trace->cli->out);
}

static void put_event(const struct trace *trace, const json_t *record, size_t depth)
{
    const char *event = text_of(record, "event");
    char time[32];

    dep_out_time(json_integer_value(json_object_get(record, "ts")), time);
    put_lead(trace, depth, false);
    fprintf(trace->cli->out, "   %s  ", time);
    if (is_issued(record)) {
        fputs(is_text(record, "event", "token.exchanged") ? "exchanged" : "issued", trace->cli->out);
        put_pair(trace, " ", text_of(record, "issued"), "");
        put_pair(trace, " for ", first_of(record, "aud") != NULL ? name_of(trace, first_of(record, "aud")) : NULL, "");
        put_pair(trace, ", scope \"", text_of(record, "scope"), "\"");
        put_pair(trace, ", token ", text_of(record, "jti"), "");
    } else {
        put_pair(trace, "", event, "");
        put_pair(trace, " ", text_of(record, "method"), "");
        put_pair(trace, " ", text_of(record, "path"), "");
        put_pair(trace, ", ", text_of(record, "reason"), "");
    }
    put_pair(trace, ", decision ", text_of(record, "id"), "");
    fputs(is_text(record, "id", trace->target) ? "  <== asked for\n" : "\n", trace->cli->out);
}

static void put_head(const struct trace *trace, const json_t *record, size_t depth)
{
    const char *principal = first_of(record, "chain");
    const char *name = name_of(trace, principal);

    put_lead(trace, depth, true);
    put_pair(trace, "", name, "");
    if (principal != NULL && strcmp(name, principal) != 0)
        put_pair(trace, "  ", principal, "");
    put_pair(trace, "  task ", text_of(record, "task"), "");
    put_pair(trace, " (part of ", text_of(record, "parent_task"), ")");
    fputc('\n', trace->cli->out);
    if (text_of(record, "instruction") != NULL) {
        put_lead(trace, depth, false);
        put_pair(trace, "   on the instruction with SHA-256 ", text_of(record, "instruction"), "\n");
    }
}

/* One token: its holder, its issue, what happened to it, and the tokens that grew from it. */
static void put_token(const struct trace *trace, const json_t *issued, size_t depth)
{
    const char *jti = text_of(issued, "jti");
    const json_t *record;
    size_t i;

    put_head(trace, issued, depth);
    put_event(trace, issued, depth);
    json_array_foreach(trace->records, i, record)
    {
        if (!is_issued(record) && is_text(record, "jti", jti))
            put_event(trace, record, depth);
    }
    json_array_foreach(trace->records, i, record)
    {
        const char *parent = first_of(record, "lineage");

        if (is_issued(record) && parent != NULL && strcmp(parent, jti) == 0 && depth < DEPTH_MAX)
            put_token(trace, record, depth + 1);
    }
}

static const json_t *issue_of(const struct trace *trace, const char *jti)
{
    const json_t *record;
    size_t i;

    json_array_foreach(trace->records, i, record)
    {
        if (jti != NULL && is_issued(record) && is_text(record, "jti", jti))
            return record;
    }
    return NULL;
}

static void put_tree(const struct trace *trace)
{
    const json_t *record;
    size_t i;

    json_array_foreach(trace->records, i, record)
    {
        if (is_issued(record) && issue_of(trace, first_of(record, "lineage")) == NULL)
            put_token(trace, record, 0);
    }
    /* What hangs on no issued token of these logs: a refusal without a token, or a guard's log read alone. */
    json_array_foreach(trace->records, i, record)
    {
        if (!is_issued(record) && issue_of(trace, text_of(record, "jti")) == NULL) {
            if (json_object_get(record, "chain") != NULL)
                put_head(trace, record, 0);
            put_event(trace, record, 0);
        }
    }
}

/* --- for programs --- */

/* The chain of the target, root first: {"principal","name"} each. */
static json_t *chain_json(const struct trace *trace)
{
    json_t *links = json_array();
    const json_t *record, *longest = NULL;
    size_t i;

    json_array_foreach(trace->records, i, record)
    {
        const json_t *chain = json_object_get(record, "chain");

        if (is_text(record, "id", trace->target) && chain != NULL) {
            longest = chain;
            break;
        }
        if (json_array_size(chain) > json_array_size(longest))
            longest = chain;
    }
    for (i = json_array_size(longest); i > 0; i--) {
        const char *principal = json_string_value(json_array_get(longest, i - 1));

        if (principal != NULL)
            json_array_append_new(links,
                                  json_pack("{s:s,s:s}", "principal", principal, "name", name_of(trace, principal)));
    }
    return links;
}

static void put_json(const struct trace *trace)
{
    json_t *object = json_object();

    json_object_set_new(object, "target", json_string(trace->target));
    json_object_set_new(object, "chain", chain_json(trace));
    json_object_set(object, "records", trace->records);
    dep_out_object(trace->cli, object);
    json_decref(object);
}

int dep_audit_verb_trace(struct dep_cli *cli)
{
    struct trace trace = { .cli = cli,
                           .target = cli->args[0],
                           .jtis = json_object(),
                           .grown = json_object(),
                           .records = json_array(),
                           .names = json_object() };
    int code = walk_all(&trace, find_tokens);

    if (code == DEP_EXIT_OK && !trace.is_found) {
        code = dep_cli_fail(cli, DEP_EXIT_NOT_FOUND, "not_found", "no record names %s as decision, token or task",
                            trace.target);
        dep_cli_suggest(cli, "give the guard's log too, with --log DIR, when the decision was a guard's");
        dep_cli_suggest(cli, "deputy audit tail");
    }
    if (code == DEP_EXIT_OK)
        code = walk_all(&trace, take_records);
    if (code == DEP_EXIT_OK && cli->format == DEP_FORMAT_TABLE)
        put_tree(&trace);
    else if (code == DEP_EXIT_OK)
        put_json(&trace);
    json_decref(trace.jtis);
    json_decref(trace.grown);
    json_decref(trace.records);
    json_decref(trace.names);
    return code;
}

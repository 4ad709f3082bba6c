/* Reading the records of a log, and the filter over them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/read.h"
#include "audit/segment.h"

#define RECORD_ARENA (1024u * 1024)

/* The segment that holds leaf `from`. */
static size_t segment_of(const struct dep_segments *segments, uint64_t from)
{
    size_t at = 0;

    while (at + 1 < segments->count && segments->first[at + 1] <= from)
        at++;
    return at;
}

static struct dep_res walk_lines(struct dep_lines *lines, struct dep_arena *arena, uint64_t from,
                                 dep_audit_visit *visit, void *context)
{
    struct dep_audit_entry entry;
    struct dep_json *record;

    for (;;) {
        DEP_TRY(dep_lines_next(lines, &entry.line));
        if (entry.line.ptr == NULL)
            return DEP_OK;
        entry.index = lines->index - 1;
        if (entry.index < from)
            continue;
        dep_arena_reset(arena);
        if (!dep_is_ok(dep_json_parse(arena, entry.line, DEP_JSON_DEPTH_MAX, &record)))
            return DEP_FAIL(AUDIT_SYNTAX);
        entry.record = record;
        if (!visit(context, &entry))
            return DEP_OK;
    }
}

static struct dep_res walk_segments(int log_fd, const struct dep_segments *segments, uint64_t from,
                                    dep_audit_visit *visit, void *context)
{
    void *memory = malloc(RECORD_ARENA);
    struct dep_lines lines = { .fd = -1 };
    struct dep_arena arena;
    struct dep_res res;
    size_t at = segment_of(segments, from);

    if (memory == NULL)
        return DEP_FAIL(AUDIT_IO);
    dep_arena_init(&arena, memory, RECORD_ARENA);
    res = dep_lines_init(&lines, log_fd, segments, at, 0, segments->count > 0 ? segments->first[at] : 0);
    if (dep_is_ok(res))
        res = walk_lines(&lines, &arena, from, visit, context);
    dep_lines_done(&lines);
    free(memory);
    return res;
}

struct dep_res dep_audit_walk(const char *directory, uint64_t from, dep_audit_visit *visit, void *context)
{
    struct dep_segments segments = { NULL, 0 };
    struct dep_res res;
    int log_fd;

    DEP_TRY(dep_segments_open(directory, &log_fd));
    res = dep_segments_read(log_fd, &segments);
    if (dep_is_ok(res))
        res = walk_segments(log_fd, &segments, from, visit, context);
    dep_segments_done(&segments);
    close(log_fd);
    return res;
}

static bool is_text(const struct dep_json *record, struct dep_str name, struct dep_str wanted)
{
    struct dep_str text;

    return dep_is_ok(dep_json_str(dep_json_get(record, name), &text)) && dep_str_eq(text, wanted);
}

static bool is_listed(const struct dep_json *record, struct dep_str name, struct dep_str wanted)
{
    const struct dep_json *list = dep_json_get(record, name);
    struct dep_str text;

    if (list == NULL || list->type != DEP_JSON_ARRAY)
        return false;
    for (const struct dep_json *item = list->child; item != NULL; item = item->next)
        if (dep_is_ok(dep_json_str(item, &text)) && dep_str_eq(text, wanted))
            return true;
    return false;
}

static bool is_principal(const struct dep_json *record, struct dep_str wanted)
{
    return is_text(record, DEP_STR("principal"), wanted) || is_text(record, DEP_STR("sub"), wanted) ||
           is_text(record, DEP_STR("client"), wanted) || is_text(record, DEP_STR("token_client"), wanted) ||
           is_listed(record, DEP_STR("chain"), wanted);
}

static bool is_in_time(const struct dep_json *record, int64_t since, int64_t until)
{
    int64_t time;

    if (since == 0 && until == 0)
        return true;
    if (!dep_is_ok(dep_json_time(DEP_JSON_GET(record, "ts"), &time)))
        return false;
    return (since == 0 || time >= since) && (until == 0 || time <= until);
}

#define WANTS(field) (!dep_str_is_absent(filter->field))

bool dep_audit_matches(const struct dep_audit_filter *filter, const struct dep_json *record)
{
    if (WANTS(event) && !is_text(record, DEP_STR("event"), filter->event))
        return false;
    if (WANTS(outcome) && !is_text(record, DEP_STR("outcome"), filter->outcome))
        return false;
    if (WANTS(decision) && !is_text(record, DEP_STR("id"), filter->decision))
        return false;
    if (WANTS(task) && !is_text(record, DEP_STR("task"), filter->task) &&
        !is_text(record, DEP_STR("parent_task"), filter->task))
        return false;
    if (WANTS(jti) && !is_text(record, DEP_STR("jti"), filter->jti) &&
        !is_listed(record, DEP_STR("lineage"), filter->jti))
        return false;
    if (WANTS(resource) && !is_listed(record, DEP_STR("aud"), filter->resource) &&
        !is_listed(record, DEP_STR("asked_targets"), filter->resource))
        return false;
    if (WANTS(actor) && !is_listed(record, DEP_STR("chain"), filter->actor))
        return false;
    if (WANTS(principal) && !is_principal(record, filter->principal))
        return false;
    return is_in_time(record, filter->since, filter->until);
}

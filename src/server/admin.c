/* The admin API's engine: routes, who may call, JSON in, record and answer out. */
#include "server/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "http/form.h"
#include "proto/scope.h"

#define OUT_BYTES_MAX (384u * 1024u)
#define LINE_BYTES_MAX 8192u

static const struct {
    const char *method;
    const char *noun; /* NULL: a path of its own in `verb` */
    bool has_id;
    const char *verb;
    dep_admin_route *run;
} routes[] = {
    { "GET", "agents", false, NULL, dep_admin_agents_list },
    { "POST", "agents", false, NULL, dep_admin_agents_create },
    { "GET", "agents", true, NULL, dep_admin_agents_get },
    { "PATCH", "agents", true, NULL, dep_admin_agents_update },
    { "POST", "agents", true, "suspend", dep_admin_agents_suspend },
    { "POST", "agents", true, "resume", dep_admin_agents_resume },
    { "POST", "agents", true, "ban", dep_admin_agents_ban },
    { "GET", "clients", false, NULL, dep_admin_clients_list },
    { "POST", "clients", false, NULL, dep_admin_clients_create },
    { "GET", "clients", true, NULL, dep_admin_clients_get },
    { "PATCH", "clients", true, NULL, dep_admin_clients_update },
    { "DELETE", "clients", true, NULL, dep_admin_clients_delete },
    { "POST", "clients", true, "rotate-secret", dep_admin_clients_rotate },
    { "GET", "resources", false, NULL, dep_admin_resources_list },
    { "POST", "resources", false, NULL, dep_admin_resources_create },
    { "GET", "resources", true, NULL, dep_admin_resources_get },
    { "PATCH", "resources", true, NULL, dep_admin_resources_update },
    { "DELETE", "resources", true, NULL, dep_admin_resources_delete },
    { "GET", "issuers", false, NULL, dep_admin_issuers_list },
    { "POST", "issuers", false, NULL, dep_admin_issuers_create },
    { "GET", "issuers", true, NULL, dep_admin_issuers_get },
    { "PATCH", "issuers", true, NULL, dep_admin_issuers_update },
    { "DELETE", "issuers", true, NULL, dep_admin_issuers_delete },
    { "GET", "grants", false, NULL, dep_admin_grants_list },
    { "GET", "grants", true, NULL, dep_admin_grants_get },
    { "POST", "grants", true, "revoke", dep_admin_grants_revoke },
    { "GET", "keys", false, NULL, dep_admin_keys_list },
    { "POST", "keys", false, NULL, dep_admin_keys_prepare },
    { "POST", "keys", true, "activate", dep_admin_keys_activate },
    { "POST", "keys", true, "retire", dep_admin_keys_retire },
    { "POST", "keys", true, "taint", dep_admin_keys_taint },
    { "GET", "revocations", false, NULL, dep_admin_revocations_list },
    { "POST", "revocations", false, NULL, dep_admin_revocations_create },
    { "POST", "preview", false, NULL, dep_admin_preview },
    { "GET", "decisions", true, NULL, dep_admin_decisions_get },
    { "GET", "config", false, NULL, dep_admin_config },
    { "GET", NULL, false, "/livez", dep_admin_livez },
    { "GET", NULL, false, "/readyz", dep_admin_readyz },
    { "GET", NULL, false, "/metrics", dep_admin_metrics },
};

struct dep_res dep_admin_refuse(struct dep_admin *a, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(a->detail, sizeof(a->detail), format, arguments);
    va_end(arguments);
    return DEP_FAIL(ADMIN_INPUT);
}

void dep_admin_change(struct dep_admin *a, enum dep_change_op op, enum dep_record_kind kind, struct dep_str id,
                      int64_t version, struct dep_str body)
{
    DEP_ASSERT(a->changes_count < a->changes_max);
    a->changes[a->changes_count++] = (struct dep_change){
        .op = op,
        .record = { .kind = kind, .id = id, .version = version, .body = body },
    };
}

/* An entry's texts: id and body, each in its escaped form. */
#define REVOCATION_BYTES 1024u

struct dep_res dep_admin_reserve(struct dep_admin *a, size_t count)
{
    size_t max = a->changes_count + count + DEP_ADMIN_CHANGES_MAX, bytes = count * REVOCATION_BYTES;
    struct dep_change *changes = calloc(max, sizeof(*changes));

    free(a->changes_memory);
    a->changes_memory = aligned_alloc(16, bytes > 0 ? bytes : 16);
    if (changes == NULL || a->changes_memory == NULL) {
        free(changes);
        return DEP_FAIL(OVERLOADED);
    }
    dep_arena_init(&a->changes_arena, a->changes_memory, bytes);
    for (size_t i = 0; i < a->changes_count; i++)
        changes[i] = a->changes[i];
    free(a->changes);
    a->changes = changes;
    a->changes_max = max;
    return DEP_OK;
}

static bool find_last(void *context, const struct dep_cell *cell)
{
    int64_t *last = context;

    if (cell->consent.expires > *last)
        *last = cell->consent.expires;
    return true;
}

struct dep_res dep_admin_revoke(struct dep_admin *a, enum dep_revoked_kind kind, struct dep_str id)
{
    /* Two seconds ahead: what is being issued while this commits is covered too. What ends for good may reach further, for disks that
     * stall. */
    int64_t before = a->now + (a->is_for_good ? 60 : 2);
    /* What users gave lives longer than any token. */
    int64_t last = before;

    dep_snapshot_walk(a->snapshot, DEP_RECORD_CONSENT, find_last, &last);

    const struct dep_revocation entry = { kind, id, before, last + 3600 };
    struct dep_arena *arena = a->changes_memory != NULL ? &a->changes_arena : a->arena;

    DEP_ASSERT(a->changes_count < a->changes_max);
    return dep_revocation_change(arena, &entry, &a->changes[a->changes_count++]);
}

struct dep_res dep_admin_find(struct dep_admin *a, enum dep_record_kind kind, const struct dep_cell **ret_cell)
{
    *ret_cell = dep_snapshot_find(a->snapshot, kind, a->id);
    return *ret_cell == NULL ? DEP_FAIL(STORE_MISSING) : DEP_OK;
}

struct dep_res dep_admin_merge(struct dep_admin *a, const struct dep_json *base, const struct dep_json *patch,
                               const char *allowed, struct dep_str *ret_text)
{
    size_t max = 256 + 6 * ((base == NULL ? 0 : base->raw.len) + (patch == NULL ? 0 : patch->raw.len));
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, a->arena, max);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    for (const struct dep_json *m = base == NULL ? NULL : base->child; m != NULL; m = m->next) {
        if (dep_json_get(patch, m->name) != NULL)
            continue;
        dep_json_name_str(&writer, m->name);
        dep_json_put_value(&writer, m);
    }
    for (const struct dep_json *m = patch == NULL ? NULL : patch->child; m != NULL; m = m->next) {
        if (!dep_scope_has(dep_str_c(allowed), m->name))
            return dep_admin_refuse(a, "unknown member '%.*s'; allowed here: %s",
                                    (int)(m->name.len < 40 ? m->name.len : 40), m->name.ptr, allowed);
        if (m->type == DEP_JSON_NULL)
            continue;
        dep_json_name_str(&writer, m->name);
        dep_json_put_value(&writer, m);
    }
    dep_json_close(&writer, '}');
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_text = dep_buf_str(&buf);
    return DEP_OK;
}

/* The socket's mode decides who can connect, and a group or a folder may be wider than was meant: so the peer must also be root, the daemon's
 * own user or one that the configuration names. What connects without credentials is not a Unix peer at all. */
static struct dep_res check_peer(const struct dep_admin *a)
{
    const struct dep_config *config = a->settings->config;
    int64_t uid = a->exchange->peer_uid;

    if (uid < 0)
        return DEP_FAIL(ADMIN_FORBIDDEN);
    if (uid == 0 || uid == (int64_t)geteuid())
        return DEP_OK;
    for (size_t i = 0; i < config->admin_uids_count; i++)
        if (config->admin_uids[i] == uid)
            return DEP_OK;
    return DEP_FAIL(ADMIN_FORBIDDEN);
}

static struct dep_res split_path(struct dep_admin *a)
{
    struct dep_str prefix = DEP_STR("/admin/v1/"), rest, id = DEP_STR_ABSENT;

    a->verb = a->exchange->path;
    if (!dep_str_starts(a->exchange->path, prefix))
        return DEP_OK;
    rest = dep_str_sub(a->exchange->path, prefix.len, a->exchange->path.len);
    a->verb = DEP_STR_ABSENT;
    if (!dep_str_cut(&rest, '/', &a->noun))
        return DEP_FAIL(HTTP_PATH);
    if (dep_str_cut(&rest, '/', &id))
        DEP_TRY(dep_percent_decode(a->arena, id, false, &a->id));
    if (!dep_str_is_absent(id) && dep_str_is_blank(a->id)) /* blank is never "all" */
        return DEP_FAIL(HTTP_PATH);
    if (!dep_str_is_absent(rest))
        a->verb = rest;
    return DEP_OK;
}

static bool is_route(const struct dep_admin *a, size_t i)
{
    if (routes[i].noun == NULL)
        return dep_str_is_absent(a->noun) && dep_str_eq_c(a->verb, routes[i].verb);
    return dep_str_eq_c(a->noun, routes[i].noun) && routes[i].has_id == !dep_str_is_absent(a->id) &&
           (routes[i].verb == NULL ? dep_str_is_absent(a->verb) : dep_str_eq_c(a->verb, routes[i].verb));
}

static struct dep_res find_route(struct dep_admin *a, dep_admin_route **ret_run)
{
    bool is_path = false;

    DEP_TRY(split_path(a));
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!is_route(a, i))
            continue;
        is_path = true;
        if (dep_str_eq_c(a->exchange->method, routes[i].method)) {
            *ret_run = routes[i].run;
            return DEP_OK;
        }
    }
    return is_path ? DEP_FAIL(HTTP_METHOD) : DEP_FAIL(HTTP_PATH);
}

static struct dep_res read_body(struct dep_admin *a)
{
    struct dep_json *json;
    struct dep_str type;

    if (dep_str_is_blank(a->exchange->body))
        return DEP_OK;
    DEP_TRY(dep_header_one(a->exchange->headers, a->exchange->headers_count, DEP_STR("Content-Type"), &type));
    if (!dep_media_type_is(type, DEP_STR("application/json")))
        return dep_admin_refuse(a, "the body must be application/json");
    DEP_TRY(dep_json_parse(a->arena, a->exchange->body, 8, &json));
    if (json->type != DEP_JSON_OBJECT)
        return dep_admin_refuse(a, "the body must be a JSON object");
    a->body = json;
    return DEP_OK;
}

static struct dep_res run_route(struct dep_admin *a)
{
    dep_admin_route *run = NULL;

    DEP_TRY(check_peer(a));
    DEP_TRY(find_route(a, &run));
    DEP_TRY(read_body(a));
    dep_buf_init_arena(&a->out, a->arena, OUT_BYTES_MAX);
    a->changes = calloc(DEP_ADMIN_CHANGES_MAX, sizeof(*a->changes));
    a->changes_max = DEP_ADMIN_CHANGES_MAX;
    if (a->changes == NULL || a->out.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_json_begin(&a->writer, &a->out);
    DEP_TRY(dep_admin_once_begin(a));
    if (a->is_replay)
        return DEP_OK;
    DEP_TRY(run(a));
    return a->out.has_failed ? DEP_FAIL(BUF_FULL) : DEP_OK;
}

/* ---- record and answer ---- */

static struct dep_str record_line(struct dep_admin *a, bool is_allowed, enum dep_err reason)
{
    const struct dep_audit_record record = {
        .ts = a->now,
        .id = a->decision_id,
        .node = DEP_STR("as"),
        .event = a->event == NULL ? DEP_STR("admin.refused") : dep_str_c(a->event),
        .is_allowed = is_allowed,
        .reason = reason,
        .principal = dep_str_c(a->principal),
        .method = a->exchange->method,
        .path = a->exchange->path,
        .peer = a->exchange->peer,
        .target = a->target,
    };
    struct dep_buf line;

    dep_buf_init_arena(&line, a->arena, LINE_BYTES_MAX);
    dep_audit_record_write(&line, &record);
    return dep_buf_str(&line);
}

static void reply_now(struct dep_admin *a, const struct dep_wire_answer *answer)
{
    const struct dep_net_answer net = {
        .status = answer->status,
        .headers = answer->headers,
        .headers_count = answer->headers_count,
        .body = answer->body,
    };

    dep_net_reply(a->exchange, &net);
}

/* Hands the answer to the writer, with the record and the changes that it stands on. */
static void reply_recorded(struct dep_admin *a, const struct dep_wire_answer *answer, struct dep_str line)
{
    struct dep_str kept = dep_admin_once_seal(a, answer);
    size_t bytes = line.len + answer->body.len + a->decision_id.len + kept.len;
    struct dep_wire_answer refusal;
    struct dep_job *job;
    struct dep_res res;

    for (size_t i = 0; i < answer->headers_count; i++)
        bytes += answer->headers[i].value.len;
    job = dep_job_new(a->changes, a->changes_count, bytes);
    if (job != NULL) {
        job->exchange = a->exchange;
        job->is_problem = true;
        job->line.json = dep_job_text(job, line);
        dep_merkle_leaf(a->crypto, line, job->line.leaf);
        job->status = answer->status;
        for (size_t i = 0; i < answer->headers_count; i++)
            job->headers[job->headers_count++] =
                (struct dep_header){ answer->headers[i].name, dep_job_text(job, answer->headers[i].value) };
        job->body = dep_job_text(job, answer->body);
        job->id = dep_job_text(job, a->decision_id);
        job->once = a->once;
        job->once.answer = dep_job_text(job, kept);
        dep_net_defer(a->exchange);
        if (dep_is_ok(dep_writer_push(a->server->writer, job)))
            return;
        dep_job_free(job);
    }
    dep_admin_once_abandon(a);
    res = dep_wire_problem(a->arena, DEP_ERR_OVERLOADED, DEP_STR_ABSENT, a->decision_id, &refusal);
    DEP_ASSERT(dep_is_ok(res));
    reply_now(a, &refusal);
}

static void finish(struct dep_admin *a, struct dep_res res)
{
    struct dep_wire_answer answer = { .status = a->status };
    bool is_read = dep_str_eq(a->exchange->method, DEP_STR("GET"));
    struct dep_str line;

    if (dep_is_ok(res)) {
        dep_wire_header(&answer, "Content-Type", dep_str_c(a->content_type));
        dep_wire_header(&answer, "Cache-Control", DEP_STR("no-store"));
        dep_wire_header(&answer, "Deputy-Decision", a->decision_id);
        answer.body = dep_buf_str(&a->out);
    } else {
        struct dep_str detail = a->detail[0] == '\0' ? DEP_STR_ABSENT : dep_str_c(a->detail);
        struct dep_res wire = dep_wire_problem(a->arena, res.err, detail, a->decision_id, &answer);

        a->changes_count = 0;
        a->event = NULL;
        dep_admin_once_abandon(a);
        if (!dep_is_ok(wire)) {
            dep_arena_reset(a->arena);
            wire = dep_wire_problem(a->arena, res.err, DEP_STR_ABSENT, DEP_STR_ABSENT, &answer);
            DEP_ASSERT(dep_is_ok(wire));
            reply_now(a, &answer);
            return;
        }
    }
    dep_admin_once_headers(a, &answer);
    /* Reads are not recorded, but who tried the socket without a right to it is. */
    line = is_read && res.err != DEP_ERR_ADMIN_FORBIDDEN ? DEP_STR_ABSENT : record_line(a, dep_is_ok(res), res.err);
    if (dep_str_is_absent(line))
        reply_now(a, &answer);
    else
        reply_recorded(a, &answer, line);
}

void dep_server_handle_admin(void *context, struct dep_net_exchange *exchange)
{
    struct dep_server *server = context;
    struct dep_settings *settings = dep_server_settings(server);
    struct dep_admin a = {
        .server = server,
        .exchange = exchange,
        .arena = &server->admin_worker.arena,
        .crypto = server->admin_worker.crypto,
        .snapshot = dep_server_snapshot(server),
        .settings = settings,
        .now = dep_server_now(),
        .status = 200,
        .content_type = "application/json",
    };
    unsigned char random[DEP_ULID_RANDOM];
    struct dep_buf id;

    dep_random(random, sizeof(random));
    dep_buf_init_arena(&id, a.arena, DEP_ULID_LEN);
    dep_ulid_put(&id, a.now * 1000, random);
    a.decision_id = dep_buf_str(&id);
    (void)snprintf(a.principal, sizeof(a.principal), "uid:%lld", (long long)exchange->peer_uid);
    finish(&a, run_route(&a));
    free(a.changes);
    free(a.changes_memory);
    dep_snapshot_unref(a.snapshot);
    dep_settings_unref(settings);
    dep_arena_reset(a.arena);
}

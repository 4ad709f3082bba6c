/* The admin API for looking: decisions, health, metrics, configuration. */
#include <stdatomic.h>
#include <stdio.h>

#include "audit/read.h"
#include "server/admin.h"

/* ---- decisions ---- */

struct search {
    struct dep_admin *a;
    struct dep_str line; /* of the record, in the arena; absent while not found */
};

static bool find_decision(void *context, const struct dep_audit_entry *entry)
{
    struct search *search = context;
    struct dep_str id;

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(entry->record, "id"), &id)) || !dep_str_eq(id, search->a->id))
        return true;
    search->line = dep_arena_dup(search->a->arena, entry->line);
    return false;
}

/* The rows that ran, by name and citation; the one that refused is the last of them. */
void dep_admin_put_checks(struct dep_json_writer *writer, struct dep_str trace, struct dep_str refused)
{
    dep_json_name(writer, "checks");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < dep_check_count(); i++) {
        struct dep_check_info info = dep_check_info(i);

        if (!dep_trace_has(trace, i))
            continue;
        dep_json_open(writer, '{');
        dep_json_member(writer, "check", dep_str_c(info.name));
        dep_json_member(writer, "cite", dep_str_c(info.cite));
        dep_json_member(writer, "means", dep_str_c(info.text));
        dep_json_member(writer, "verdict", dep_str_eq_c(refused, info.name) ? DEP_STR("refused") : DEP_STR("passed"));
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
}

struct dep_res dep_admin_decisions_get(struct dep_admin *a)
{
    struct search search = { .a = a };
    struct dep_str trace = DEP_STR_ABSENT, refused = DEP_STR_ABSENT, reason = DEP_STR_ABSENT;
    struct dep_json *record;
    char name[64];

    DEP_TRY(dep_audit_walk(a->server->audit_dir, 0, find_decision, &search));
    if (dep_str_is_absent(search.line))
        return DEP_FAIL(STORE_MISSING);
    DEP_TRY(dep_json_parse(a->arena, search.line, 8, &record));
    dep_json_open(&a->writer, '{');
    dep_json_name(&a->writer, "record");
    dep_json_put_raw(&a->writer, search.line);
    (void)dep_is_ok(dep_json_str(DEP_JSON_GET(record, "check"), &refused));
    if (dep_is_ok(dep_json_str(DEP_JSON_GET(record, "reason"), &reason)) && reason.len < sizeof(name)) {
        (void)snprintf(name, sizeof(name), "%.*s", DEP_STR_ARG(reason));

        enum dep_err err = dep_err_by_name(name);

        if (err != DEP_ERR_COUNT)
            dep_json_member(&a->writer, "explanation", dep_str_c(dep_err_text(err)));
    }
    if (dep_is_ok(dep_json_str(DEP_JSON_GET(record, "trace"), &trace)))
        dep_admin_put_checks(&a->writer, trace, refused);
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

/* ---- health ---- */

struct dep_res dep_admin_livez(struct dep_admin *a)
{
    a->content_type = "text/plain; charset=utf-8";
    dep_buf_put(&a->out, DEP_STR("ok\n"));
    return DEP_OK;
}

struct dep_res dep_admin_readyz(struct dep_admin *a)
{
    if (dep_snapshot_signer(a->snapshot) == NULL)
        return DEP_FAIL(KEY_NONE);
    if (!dep_replay_store_is_usable(a->server->replay))
        return DEP_FAIL(REPLAY_GONE);
    return dep_admin_livez(a);
}

static void metric(struct dep_admin *a, const char *name, const char *type, const char *help, uint64_t value)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
                   (unsigned long long)value);
    dep_buf_put_c(&a->out, text);
}

struct dep_res dep_admin_metrics(struct dep_admin *a)
{
    uint64_t requests = 0, refusals = 0, tokens = 0;
    struct dep_server *server = a->server;
    size_t entries, bytes;

    tokens = server->replay_worker.tokens;
    for (unsigned i = 0; i < DEP_WORKERS_MAX; i++) {
        requests += server->workers[i].requests;
        refusals += server->workers[i].refusals;
        tokens += server->workers[i].tokens;
    }
    a->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metric(a, "deputy_requests_total", "counter", "Requests that reached the OAuth endpoints.", requests);
    metric(a, "deputy_refusals_total", "counter", "Requests that a check refused.", refusals);
    metric(a, "deputy_tokens_issued_total", "counter", "Access tokens signed.", tokens);
    metric(a, "deputy_audit_records_total", "counter", "Audit records made durable.",
           dep_writer_records(server->writer));
    metric(a, "deputy_audit_commits_total", "counter", "Commits that made them durable.",
           dep_writer_commits(server->writer));
    if (dep_replay_store_size(server->replay, &entries, &bytes)) {
        metric(a, "deputy_replay_entries", "gauge", "Live entries of the replay store.", entries);
        metric(a, "deputy_replay_bytes", "gauge", "Memory of the replay store.", bytes);
    }
    metric(a, "deputy_replay_usable", "gauge", "1 while the replay store can say what was used.",
           dep_replay_store_is_usable(server->replay));
    metric(a, "deputy_revocations", "gauge", "Live revocation entries.",
           dep_revocations_count(dep_snapshot_revocations(a->snapshot)));
    metric(a, "deputy_start_time_seconds", "gauge", "When this process started.", (uint64_t)server->started);
    return DEP_OK;
}

/* What is in force, without secrets: files are named, never read out. */
struct dep_res dep_admin_config(struct dep_admin *a)
{
    const struct dep_config *config = a->settings->config;

    dep_json_open(&a->writer, '{');
    dep_json_member(&a->writer, "issuer", dep_str_c(config->issuer));
    dep_json_member(&a->writer, "listen", dep_str_c(config->listen));
    dep_json_member(&a->writer, "tls_certificate_file", dep_str_c(config->tls_certificate_file));
    dep_json_member(&a->writer, "tls_key_file", dep_str_c(config->tls_key_file));
    dep_json_member(&a->writer, "data_dir", dep_str_c(config->data_dir));
    dep_json_member(&a->writer, "admin_socket", dep_str_c(config->admin_socket));
    dep_json_name(&a->writer, "admin_uids");
    dep_json_open(&a->writer, '[');
    for (size_t i = 0; i < config->admin_uids_count; i++)
        dep_json_put_int(&a->writer, config->admin_uids[i]);
    dep_json_close(&a->writer, ']');
    dep_json_member(&a->writer, "key_encryption_key_file", dep_str_c(config->key_encryption_key_file));
    dep_json_member(&a->writer, "nonce_key_file", dep_str_c(config->nonce_key_file));
    dep_json_member(&a->writer, "client_certificates", dep_str_c(config->client_certificates));
    dep_json_name(&a->writer, "client_certificates_from");
    dep_json_open(&a->writer, '[');
    for (size_t i = 0; i < config->client_certificates_from_count; i++)
        dep_json_put_str(&a->writer, dep_str_c(config->client_certificates_from[i]));
    dep_json_close(&a->writer, ']');
    dep_json_member(&a->writer, "client_ca_file", dep_str_c(config->client_ca_file));
    dep_json_member(&a->writer, "signing_alg", dep_str_c(config->signing_alg));
    dep_json_member_int(&a->writer, "workers", config->workers);
    dep_json_member_int(&a->writer, "connections_max", config->connections_max);
    dep_json_member_int(&a->writer, "access_token_lifetime_s", config->access_token_lifetime_s);
    dep_json_member_int(&a->writer, "dpop_age_max_s", config->dpop_age_max_s);
    dep_json_member_int(&a->writer, "dpop_skew_s", config->dpop_skew_s);
    dep_json_member(&a->writer, "replay", dep_str_c(config->replay));
    dep_json_member_bool(&a->writer, "replay_alone", config->replay_alone);
    dep_json_member_int(&a->writer, "replay_timeout_ms", config->replay_timeout_ms);
    dep_json_member_int(&a->writer, "replay_entries_max", config->replay_entries_max);
    dep_json_member(&a->writer, "login_header", dep_str_c(config->login_header));
    dep_json_name(&a->writer, "login_from");
    dep_json_open(&a->writer, '[');
    for (unsigned i = 0; i < config->login_from_count; i++)
        dep_json_put_str(&a->writer, dep_str_c(config->login_from[i]));
    dep_json_close(&a->writer, ']');
    dep_json_member(&a->writer, "ticket_key_file", dep_str_c(config->ticket_key_file));
    dep_json_member_int(&a->writer, "refresh_lifetime_s", config->refresh_lifetime_s);
    dep_json_member_bool(&a->writer, "dpop_needs_nonce", config->dpop_needs_nonce);
    dep_json_member_bool(&a->writer, "dpop_rsa", config->dpop_rsa);
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

/* The admin API for agents and clients: what is asked is merged into a record, and the record's own strict reader decides. */
#include <stdio.h>
#include <string.h>

#include "base/b64.h"
#include "base/id.h"
#include "server/admin.h"
#include "server/register.h"

#define OVERLAP_STANDARD_S 3600
#define TLS_NAMES                                                                                        \
    "tls_client_auth_subject_dn tls_client_auth_san_dns tls_client_auth_san_uri tls_client_auth_san_ip " \
    "tls_client_auth_san_email"

/* ---- shared ---- */

static struct dep_str new_ulid(struct dep_admin *a, const char *prefix)
{
    unsigned char random[DEP_ULID_RANDOM];
    struct dep_buf id;

    dep_random(random, sizeof(random));
    dep_buf_init_arena(&id, a->arena, DEP_ULID_LEN + 16);
    dep_buf_put_c(&id, prefix);
    dep_ulid_put(&id, a->now * 1000, random);
    return dep_buf_str(&id);
}

struct dep_res dep_admin_parse(struct dep_admin *a, struct dep_str text, const struct dep_json **ret_json)
{
    struct dep_json *json;

    DEP_TRY(dep_json_parse(a->arena, text, 10, &json));
    *ret_json = json;
    return DEP_OK;
}

/* The record as the snapshot will have it: everything that a cell refuses is refused here, before anything is written. */
static struct dep_res check_record(struct dep_admin *a, enum dep_record_kind kind, struct dep_str id,
                                   struct dep_str body)
{
    const struct dep_record record = { .kind = kind, .id = id, .version = 1, .body = body };
    struct dep_snapshot *trial = dep_snapshot_new();
    struct dep_cell *cell = NULL;
    struct dep_res res;

    if (trial == NULL)
        return DEP_FAIL(ARENA_FULL);
    res = dep_cell_new(a->crypto, dep_server_unseal_key(a->server), &record, &cell);
    if (dep_is_ok(res))
        res = dep_snapshot_put(trial, cell);
    dep_snapshot_unref(trial);
    if (!dep_is_ok(res) && a->detail[0] == '\0')
        return dep_admin_refuse(a, "the %.*s cannot be stored: %s; required members must be there and not be blank",
                                (int)(a->noun.len - 1), a->noun.ptr, dep_err_text(res.err));
    return res;
}

struct list {
    struct dep_admin *a;
    void (*write)(struct dep_json_writer *writer, const struct dep_cell *cell);
};

static bool list_one(void *context, const struct dep_cell *cell)
{
    struct list *list = context;

    list->write(&list->a->writer, cell);
    return !list->a->out.has_failed;
}

struct dep_res dep_admin_list(struct dep_admin *a, enum dep_record_kind kind,
                              void (*write)(struct dep_json_writer *writer, const struct dep_cell *cell))
{
    struct list list = { a, write };

    dep_json_open(&a->writer, '{');
    dep_json_name(&a->writer, "items");
    dep_json_open(&a->writer, '[');
    dep_snapshot_walk(a->snapshot, kind, list_one, &list);
    dep_json_close(&a->writer, ']');
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

/* The record as JSON, as it is stored. */
static struct dep_str stored(struct dep_admin *a, const struct dep_cell *cell)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, a->arena, 65536);
    dep_json_begin(&writer, &buf);
    if (cell->kind == DEP_RECORD_AGENT)
        dep_agent_write(&writer, &cell->agent);
    else if (cell->kind == DEP_RECORD_CLIENT)
        dep_client_write(&writer, &cell->client, true);
    else if (cell->kind == DEP_RECORD_ISSUER)
        dep_trusted_issuer_write(&writer, &cell->issuer);
    else
        dep_resource_write(&writer, &cell->resource);
    return dep_buf_str(&buf);
}

/* Merges the request's body into a stored record; the new text is checked and becomes a change. */
struct dep_res dep_admin_update_record(struct dep_admin *a, enum dep_record_kind kind, const char *allowed,
                                       struct dep_str *ret_text)
{
    const struct dep_cell *cell;
    const struct dep_json *base = NULL;

    DEP_TRY(dep_admin_find(a, kind, &cell));
    DEP_TRY(dep_admin_parse(a, stored(a, cell), &base));
    DEP_TRY(dep_admin_merge(a, base, a->body, allowed, ret_text));
    DEP_TRY(check_record(a, kind, cell->id, *ret_text));
    dep_admin_change(a, DEP_CHANGE_REPLACE, kind, cell->id, cell->version, *ret_text);
    a->target = cell->id;
    return DEP_OK;
}

struct dep_res dep_admin_create_record(struct dep_admin *a, enum dep_record_kind kind, struct dep_str id,
                                       struct dep_str generated, const char *allowed, struct dep_str *ret_text)
{
    const struct dep_json *base = NULL;

    if (a->body == NULL)
        return dep_admin_refuse(a, "the body is missing; members: %s", allowed);
    DEP_TRY(dep_admin_parse(a, generated, &base));
    DEP_TRY(dep_admin_merge(a, base, a->body, allowed, ret_text));
    DEP_TRY(check_record(a, kind, id, *ret_text));
    dep_admin_change(a, DEP_CHANGE_ADD, kind, id, 1, *ret_text);
    a->target = id;
    a->status = 201;
    return DEP_OK;
}

/* ---- agents ---- */

static void write_agent(struct dep_json_writer *writer, const struct dep_cell *cell)
{
    dep_agent_write(writer, &cell->agent);
}

struct dep_res dep_admin_agents_list(struct dep_admin *a)
{
    return dep_admin_list(a, DEP_RECORD_AGENT, write_agent);
}

struct dep_res dep_admin_agents_get(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_AGENT, &cell));
    write_agent(&a->writer, cell);
    return DEP_OK;
}

static unsigned ancestors_of(const struct dep_admin *a, struct dep_str parent)
{
    unsigned count = 0;

    while (!dep_str_is_absent(parent) && count <= DEP_ANCESTORS_MAX) {
        const struct dep_cell *above = dep_snapshot_find(a->snapshot, DEP_RECORD_AGENT, parent);

        count++;
        parent = above == NULL ? DEP_STR_ABSENT : above->agent.parent;
    }
    return count;
}

/* Rights name resources and scopes that exist, and a sub-agent's stay within its parent's. */
static struct dep_res check_ceiling(struct dep_admin *a, const struct dep_agent *agent)
{
    const struct dep_cell *parent = NULL;

    if (!dep_str_is_absent(agent->parent)) {
        struct dep_agent above = { .effective_state = DEP_STATE_BANNED };

        parent = dep_snapshot_find(a->snapshot, DEP_RECORD_AGENT, agent->parent);
        if (parent != NULL)
            DEP_TRY(dep_snapshot_agent(a->snapshot, parent, a->arena, &above));
        if (parent == NULL || above.effective_state == DEP_STATE_BANNED)
            return dep_admin_refuse(a, "no such parent, or it is banned");
        if (ancestors_of(a, agent->parent) > DEP_ANCESTORS_MAX)
            return dep_admin_refuse(a, "too deep: an agent has at most %u agents above it", DEP_ANCESTORS_MAX);
        if (!dep_str_eq(parent->agent.org, agent->org))
            return dep_admin_refuse(a, "a sub-agent belongs to its parent's organisation");
    }
    for (size_t i = 0; i < agent->ceiling_count; i++) {
        const struct dep_right *right = &agent->ceiling[i];
        const struct dep_cell *resource = dep_snapshot_find(a->snapshot, DEP_RECORD_RESOURCE, right->resource);
        const struct dep_right *above = parent == NULL ? NULL : dep_agent_right(&parent->agent, right->resource);

        if (dep_str_eq(right->resource, a->settings->policy.issuer)) {
            if (right->scopes_count != 1 || !dep_str_eq(right->scopes[0], DEP_STR(DEP_SCOPE_AGENTS)))
                return dep_admin_refuse(a, "at the issuer itself there is one right: " DEP_SCOPE_AGENTS);
        } else if (resource == NULL && !dep_admin_is_abroad(a, right->resource))
            return dep_admin_refuse(a, "the ceiling names a resource that is not registered: %.*s",
                                    (int)(right->resource.len < 100 ? right->resource.len : 100), right->resource.ptr);
        for (size_t k = 0; k < right->scopes_count; k++)
            if (parent != NULL && (above == NULL || !dep_right_has(above, right->scopes[k])))
                return dep_admin_refuse(a, "the ceiling is wider than the parent's: %.*s",
                                        (int)(right->scopes[k].len < 60 ? right->scopes[k].len : 60),
                                        right->scopes[k].ptr);
    }
    return DEP_OK;
}

static struct dep_res check_agent_text(struct dep_admin *a, struct dep_str text)
{
    const struct dep_json *json = NULL;
    struct dep_agent agent;

    DEP_TRY(dep_admin_parse(a, text, &json));
    DEP_TRY(dep_agent_read(a->arena, json, &agent));
    return check_ceiling(a, &agent);
}

struct dep_res dep_admin_agents_create(struct dep_admin *a)
{
    struct dep_str id = new_ulid(a, "agent:"), text, parent = DEP_STR_ABSENT, org = DEP_STR("default");
    struct dep_json_writer writer;
    struct dep_buf generated;

    if (dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "parent"), &parent))) {
        const struct dep_cell *cell = dep_snapshot_find(a->snapshot, DEP_RECORD_AGENT, parent);

        if (cell != NULL)
            org = cell->agent.org;
    }
    dep_buf_init_arena(&generated, a->arena, 1024);
    dep_json_begin(&writer, &generated);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "id", id);
    dep_json_member(&writer, "state", DEP_STR("active"));
    dep_json_member(&writer, "org", org);
    dep_json_member_int(&writer, "created", a->now);
    dep_json_close(&writer, '}');
    DEP_TRY(dep_admin_create_record(a, DEP_RECORD_AGENT, id, dep_buf_str(&generated),
                                    "name owner org agent_version purpose parent ceiling delegation", &text));
    DEP_TRY(check_agent_text(a, text));
    a->event = "agent.created";
    dep_json_put_raw(&a->writer, text);
    return DEP_OK;
}

struct dep_res dep_admin_agents_update(struct dep_admin *a)
{
    struct dep_str text;

    DEP_TRY(dep_admin_update_record(a, DEP_RECORD_AGENT, "name owner agent_version purpose ceiling delegation", &text));
    DEP_TRY(check_agent_text(a, text));
    a->event = "agent.updated";
    dep_json_put_raw(&a->writer, text);
    return DEP_OK;
}

/* ---- clients ---- */

static void write_client(struct dep_json_writer *writer, const struct dep_cell *cell)
{
    dep_client_write(writer, &cell->client, false);
}

struct dep_res dep_admin_clients_list(struct dep_admin *a)
{
    return dep_admin_list(a, DEP_RECORD_CLIENT, write_client);
}

struct dep_res dep_admin_clients_get(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_CLIENT, &cell));
    write_client(&a->writer, cell);
    return DEP_OK;
}

static void put_hash(struct dep_json_writer *writer, const struct dep_client_secret *secret)
{
    char text[DEP_B64_ENCODED(DEP_SHA256_LEN)];
    struct dep_buf hash;

    dep_buf_init(&hash, text, sizeof(text));
    dep_b64url_put(&hash, secret->hash, sizeof(secret->hash));
    dep_json_open(writer, '{');
    dep_json_member(writer, "sha256", dep_buf_str(&hash));
    dep_json_member_int(writer, "created", secret->created);
    dep_json_member_int(writer, "expires", secret->expires);
    dep_json_close(writer, '}');
}

/* The client as the caller sees it: no hashes; a fresh secret, if there is one, this once. */
static struct dep_res show_client(struct dep_admin *a, struct dep_str text, struct dep_str secret)
{
    const struct dep_json *json = NULL;

    DEP_TRY(dep_admin_parse(a, text, &json));
    dep_json_open(&a->writer, '{');
    for (const struct dep_json *m = json->child; m != NULL; m = m->next) {
        if (dep_str_eq(m->name, DEP_STR("secrets")))
            continue;
        dep_json_name_str(&a->writer, m->name);
        dep_json_put_value(&a->writer, m);
    }
    dep_json_member(&a->writer, "client_secret", secret);
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

static struct dep_res check_client_links(struct dep_admin *a)
{
    int64_t expires = 0;

    if (dep_json_has(a->body, DEP_STR("expires")) &&
        (!dep_is_ok(dep_json_int(DEP_JSON_GET(a->body, "expires"), 1, INT64_MAX, &expires)) || expires <= a->now))
        return dep_admin_refuse(a, "expires must be a time to come, in Unix seconds");
    struct dep_str link = DEP_STR_ABSENT;
    const struct dep_cell *agent;

    if (dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "agent"), &link))) {
        agent = dep_snapshot_find(a->snapshot, DEP_RECORD_AGENT, link);
        if (agent == NULL || agent->agent.state == DEP_STATE_BANNED)
            return dep_admin_refuse(a, "no such agent, or it is banned");
    }
    if (dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "resource"), &link)) &&
        dep_snapshot_find(a->snapshot, DEP_RECORD_RESOURCE, link) == NULL)
        return dep_admin_refuse(a, "no such resource");
    if (dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "default_resource"), &link)) &&
        dep_snapshot_find(a->snapshot, DEP_RECORD_RESOURCE, link) == NULL)
        return dep_admin_refuse(a, "no such default_resource");
    return DEP_OK;
}

static void put_generated_client(struct dep_admin *a, struct dep_json_writer *writer, struct dep_str id,
                                 const struct dep_client_secret *secret)
{
    struct dep_str auth = DEP_STR_ABSENT;
    bool is_public = dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "auth"), &auth)) && dep_str_eq_c(auth, "none");

    dep_json_open(writer, '{');
    dep_json_member(writer, "id", id);
    dep_json_member_bool(writer, "is_enabled", true);
    dep_json_member_int(writer, "created", a->now);
    if (dep_json_has(a->body, DEP_STR("agent"))) {
        dep_json_name(writer, "grants");
        dep_json_put_raw(writer, is_public ? DEP_STR("[\"authorization_code\",\"refresh_token\"]")
                                           : DEP_STR("[\"client_credentials\","
                                                     "\"urn:ietf:params:oauth:grant-type:token-exchange\"]"));
    }
    if (secret != NULL) {
        dep_json_name(writer, "secrets");
        dep_json_open(writer, '[');
        put_hash(writer, secret);
        dep_json_close(writer, ']');
    }
    dep_json_close(writer, '}');
}

struct dep_res dep_admin_clients_create(struct dep_admin *a)
{
    struct dep_str id = new_ulid(a, ""), auth = DEP_STR_ABSENT, secret = DEP_STR_ABSENT, text;
    struct dep_client_secret record;
    struct dep_json_writer writer;
    struct dep_buf generated;

    DEP_TRY(check_client_links(a));
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "auth"), &auth)))
        return dep_admin_refuse(
            a, "auth is missing: client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth, "
               "self_signed_tls_client_auth, workload_jwt or none");
    if (dep_str_eq(auth, DEP_STR("client_secret_basic")) || dep_str_eq(auth, DEP_STR("client_secret_post")))
        secret = dep_client_secret_make(a->crypto, a->arena, a->now, &record);
    dep_buf_init_arena(&generated, a->arena, 1024);
    dep_json_begin(&writer, &generated);
    put_generated_client(a, &writer, id, dep_str_is_absent(secret) ? NULL : &record);
    DEP_TRY(dep_admin_create_record(a, DEP_RECORD_CLIENT, id, dep_buf_str(&generated),
                                    "name agent resource auth jwks grants redirect_uris needs_dpop needs_certificate "
                                    "default_resource may_introspect_any expires " TLS_NAMES,
                                    &text));
    a->event = "client.created";
    return show_client(a, text, secret);
}

struct dep_res dep_admin_clients_update(struct dep_admin *a)
{
    bool is_enabled = true;
    struct dep_str text;

    DEP_TRY(check_client_links(a));
    DEP_TRY(dep_admin_update_record(
        a, DEP_RECORD_CLIENT,
        "name is_enabled needs_dpop needs_certificate default_resource jwks may_introspect_any " TLS_NAMES, &text));
    if (dep_is_ok(dep_json_bool(DEP_JSON_GET(a->body, "is_enabled"), &is_enabled)) && !is_enabled)
        DEP_TRY(dep_admin_revoke(a, DEP_REVOKED_CLIENT, a->target));
    a->event = "client.updated";
    return show_client(a, text, DEP_STR_ABSENT);
}

struct dep_res dep_admin_clients_delete(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_CLIENT, &cell));
    dep_admin_change(a, DEP_CHANGE_REMOVE, DEP_RECORD_CLIENT, cell->id, cell->version, DEP_STR(""));
    a->is_for_good = true;
    DEP_TRY(dep_admin_revoke(a, DEP_REVOKED_CLIENT, cell->id));
    a->event = "client.deleted";
    a->target = cell->id;
    dep_json_put_raw(&a->writer, DEP_STR("{}"));
    return DEP_OK;
}

/* Two live secrets: the newest, and the one before it for `overlap_s` more seconds. */
struct dep_res dep_admin_clients_rotate(struct dep_admin *a)
{
    int64_t overlap_s = OVERLAP_STANDARD_S;
    struct dep_client_secret fresh;
    const struct dep_cell *cell;
    struct dep_client client;
    struct dep_json_writer writer;
    struct dep_str secret;
    struct dep_buf text;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_CLIENT, &cell));
    if (cell->client.auth != DEP_CLIENT_AUTH_BASIC && cell->client.auth != DEP_CLIENT_AUTH_POST)
        return dep_admin_refuse(a, "this client has keys, not secrets; update its jwks instead");
    if (dep_json_has(a->body, DEP_STR("overlap_s")))
        DEP_TRY(dep_json_int(DEP_JSON_GET(a->body, "overlap_s"), 0, 30 * 86400, &overlap_s));
    client = cell->client;
    secret = dep_client_secret_make(a->crypto, a->arena, a->now, &fresh);
    if (client.secrets_count > 0) {
        client.secrets[1] = client.secrets[0];
        client.secrets[1].expires = a->now + overlap_s;
    }
    client.secrets[0] = fresh;
    client.secrets_count = cell->client.secrets_count > 0 ? 2 : 1;
    dep_buf_init_arena(&text, a->arena, 65536);
    dep_json_begin(&writer, &text);
    dep_client_write(&writer, &client, true);
    if (text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    DEP_TRY(check_record(a, DEP_RECORD_CLIENT, cell->id, dep_buf_str(&text)));
    dep_admin_change(a, DEP_CHANGE_REPLACE, DEP_RECORD_CLIENT, cell->id, cell->version, dep_buf_str(&text));
    a->event = "client.secret_rotated";
    a->target = cell->id;
    return show_client(a, dep_buf_str(&text), secret);
}

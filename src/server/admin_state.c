/* The admin API for what changes authority: suspending, banning, keys, revocations. */
#include <string.h>

#include "server/admin.h"

/* ---- agents ---- */

struct subtree {
    struct dep_admin *a;
    struct dep_str root;
    size_t count;
    struct dep_res res;
};

static bool is_below(const struct dep_snapshot *snapshot, const struct dep_cell *cell, struct dep_str root)
{
    unsigned steps = 0;

    while (cell != NULL && ++steps <= DEP_ANCESTORS_MAX + 2) {
        if (dep_str_eq(cell->id, root))
            return true;
        if (dep_str_is_absent(cell->agent.parent))
            return false;
        cell = dep_snapshot_find(snapshot, DEP_RECORD_AGENT, cell->agent.parent);
    }
    return false;
}

static bool count_below(void *context, const struct dep_cell *cell)
{
    struct subtree *subtree = context;

    subtree->count += is_below(subtree->a->snapshot, cell, subtree->root);
    return true;
}

static bool revoke_below(void *context, const struct dep_cell *cell)
{
    struct subtree *subtree = context;

    if (is_below(subtree->a->snapshot, cell, subtree->root))
        subtree->res = dep_admin_revoke(subtree->a, DEP_REVOKED_AGENT, cell->id);
    return dep_is_ok(subtree->res);
}

/* The state of one agent; its whole subtree's tokens die with it (mission: the kill switch takes the subtree along). */
static struct dep_res set_state(struct dep_admin *a, enum dep_state state, const char *event)
{
    struct subtree subtree = { .a = a };
    const struct dep_cell *cell;
    struct dep_agent agent;
    struct dep_json_writer writer;
    struct dep_buf text;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_AGENT, &cell));
    agent = cell->agent;
    if (agent.state == DEP_STATE_BANNED && state != DEP_STATE_BANNED)
        return DEP_FAIL(STORE_CONFLICT); /* for good */
    agent.state = state;
    dep_buf_init_arena(&text, a->arena, 65536);
    dep_json_begin(&writer, &text);
    dep_agent_write(&writer, &agent);
    if (text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_admin_change(a, DEP_CHANGE_REPLACE, DEP_RECORD_AGENT, cell->id, cell->version, dep_buf_str(&text));
    if (state != DEP_STATE_ACTIVE) {
        subtree.root = cell->id;
        a->is_for_good = state == DEP_STATE_BANNED;
        dep_snapshot_walk(a->snapshot, DEP_RECORD_AGENT, count_below, &subtree);
        DEP_TRY(dep_admin_reserve(a, subtree.count));
        dep_snapshot_walk(a->snapshot, DEP_RECORD_AGENT, revoke_below, &subtree);
        DEP_TRY(subtree.res);
    }
    a->event = event;
    a->target = cell->id;
    dep_json_put_raw(&a->writer, dep_buf_str(&text));
    return DEP_OK;
}

struct dep_res dep_admin_agents_suspend(struct dep_admin *a)
{
    return set_state(a, DEP_STATE_SUSPENDED, "agent.suspended");
}

struct dep_res dep_admin_agents_resume(struct dep_admin *a)
{
    return set_state(a, DEP_STATE_ACTIVE, "agent.resumed");
}

struct dep_res dep_admin_agents_ban(struct dep_admin *a)
{
    return set_state(a, DEP_STATE_BANNED, "agent.banned");
}

/* ---- keys ---- */

static bool write_key(void *context, const struct dep_cell *cell)
{
    struct dep_admin *a = context;

    dep_key_write(&a->writer, &cell->key, false);
    return !a->out.has_failed;
}

struct dep_res dep_admin_keys_list(struct dep_admin *a)
{
    dep_json_open(&a->writer, '{');
    dep_json_name(&a->writer, "items");
    dep_json_open(&a->writer, '[');
    dep_snapshot_walk(a->snapshot, DEP_RECORD_KEY, write_key, a);
    dep_json_close(&a->writer, ']');
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

static struct dep_res add_key(struct dep_admin *a, enum dep_alg alg, enum dep_key_state state, struct dep_str *ret_kid)
{
    struct dep_change *change;

    if (a->changes_count == a->changes_max)
        return DEP_FAIL(ARENA_FULL);
    change = &a->changes[a->changes_count];
    DEP_TRY(dep_signing_key_change(a->arena, a->crypto, dep_server_unseal_key(a->server), alg, state, a->now, change));
    a->changes_count++;
    *ret_kid = change->record.id;
    return DEP_OK;
}

#define KEYS_MAX 16u

struct live {
    struct dep_admin *a;
    size_t count;
};

static bool count_live(void *context, const struct dep_cell *cell)
{
    struct live *live = context;

    live->count += dep_key_verifies(&cell->key, live->a->now, live->a->server->key_grace_s);
    return true;
}

struct dep_res dep_admin_keys_prepare(struct dep_admin *a)
{
    struct dep_str name = DEP_STR("ES256"), kid;
    struct live live = { .a = a };
    enum dep_alg alg;

    if (dep_json_has(a->body, DEP_STR("alg")))
        DEP_TRY(dep_json_str(DEP_JSON_GET(a->body, "alg"), &name));
    alg = dep_alg_by_name(name);
    if (alg == DEP_ALG_NONE)
        return dep_admin_refuse(a, "alg may be ES256, EdDSA, RS256 or PS256");
    /* The JWK Set has a bound, and so has the patience of those who read it. */
    dep_snapshot_walk(a->snapshot, DEP_RECORD_KEY, count_live, &live);
    if (live.count >= KEYS_MAX)
        return dep_admin_refuse(a, "there are %u keys already; retire or taint some first", KEYS_MAX);
    DEP_TRY(add_key(a, alg, DEP_KEY_PREPARED, &kid));
    a->status = 201;
    a->event = "key.prepared";
    a->target = kid;
    dep_json_open(&a->writer, '{');
    dep_json_member(&a->writer, "kid", kid);
    dep_json_member(&a->writer, "alg", dep_str_c(dep_alg_name(alg)));
    dep_json_member(&a->writer, "state", DEP_STR("prepared"));
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

/* Appends the change that brings a key into a state. */
static struct dep_res change_key(struct dep_admin *a, const struct dep_cell *cell, enum dep_key_state state)
{
    struct dep_key key = cell->key;
    struct dep_json_writer writer;
    struct dep_buf text;

    key.state = state;
    if (state == DEP_KEY_ACTIVE)
        key.retired = 0;
    else if (cell->key.state == DEP_KEY_ACTIVE || key.retired == 0)
        key.retired = a->now;
    dep_buf_init_arena(&text, a->arena, key.der.len + 1024);
    dep_json_begin(&writer, &text);
    dep_key_write(&writer, &key, true);
    if (text.has_failed || a->changes_count == a->changes_max)
        return DEP_FAIL(ARENA_FULL);
    dep_admin_change(a, DEP_CHANGE_REPLACE, DEP_RECORD_KEY, cell->id, cell->version, dep_buf_str(&text));
    return DEP_OK;
}

struct others {
    struct dep_admin *a;
    const struct dep_cell *except;
    size_t active;
    bool must_retire;
    struct dep_res res;
};

static bool visit_active(void *context, const struct dep_cell *cell)
{
    struct others *others = context;

    if (cell == others->except || cell->key.state != DEP_KEY_ACTIVE)
        return true;
    others->active++;
    if (others->must_retire)
        others->res = change_key(others->a, cell, DEP_KEY_RETIRED);
    return dep_is_ok(others->res);
}

static struct dep_res set_key(struct dep_admin *a, enum dep_key_state state, const char *event)
{
    struct others others = { .a = a, .must_retire = state == DEP_KEY_ACTIVE };
    const struct dep_cell *cell;
    struct dep_str replacement = DEP_STR_ABSENT;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_KEY, &cell));
    if (cell->key.state == DEP_KEY_TAINTED && state != DEP_KEY_TAINTED)
        return DEP_FAIL(STORE_CONFLICT);
    others.except = cell;
    dep_snapshot_walk(a->snapshot, DEP_RECORD_KEY, visit_active, &others);
    DEP_TRY(others.res);
    if (state == DEP_KEY_RETIRED && others.active == 0)
        return dep_admin_refuse(a, "this is the only active key; activate another one instead");
    DEP_TRY(change_key(a, cell, state));
    /* A compromised key must go at once; a server without a key would go with it. */
    if (state == DEP_KEY_TAINTED && others.active == 0)
        DEP_TRY(add_key(a, cell->key.alg, DEP_KEY_ACTIVE, &replacement));
    a->event = event;
    a->target = cell->id;
    dep_json_open(&a->writer, '{');
    dep_json_member(&a->writer, "kid", cell->id);
    dep_json_member(&a->writer, "state", dep_str_c(dep_key_state_name(state)));
    dep_json_member(&a->writer, "replacement", replacement);
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

struct dep_res dep_admin_keys_activate(struct dep_admin *a)
{
    return set_key(a, DEP_KEY_ACTIVE, "key.activated");
}

struct dep_res dep_admin_keys_retire(struct dep_admin *a)
{
    return set_key(a, DEP_KEY_RETIRED, "key.retired");
}

struct dep_res dep_admin_keys_taint(struct dep_admin *a)
{
    return set_key(a, DEP_KEY_TAINTED, "key.tainted");
}

/* ---- revocations ---- */

struct dep_res dep_admin_revocations_list(struct dep_admin *a)
{
    const struct dep_revocations *set = dep_snapshot_revocations(a->snapshot);
    struct dep_revocation entry;

    dep_json_open(&a->writer, '{');
    dep_json_name(&a->writer, "items");
    dep_json_open(&a->writer, '[');
    for (size_t i = 0; i < dep_revocations_count(set); i++)
        if (dep_revocations_at(set, i, &entry))
            dep_revocation_write(&a->writer, &entry);
    dep_json_close(&a->writer, ']');
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

/* Printable, and short enough that every guard can read it. */
static bool is_revocable(struct dep_str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= 0x20 || id.ptr[i] >= 0x7F || id.ptr[i] == '"' || id.ptr[i] == '\\')
            return false;
    return id.len > 0 && id.len <= 200;
}

struct dep_res dep_admin_revocations_create(struct dep_admin *a)
{
    struct dep_str kind_name = DEP_STR_ABSENT, id = DEP_STR_ABSENT;
    enum dep_revoked_kind kind;

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "kind"), &kind_name)) ||
        !dep_revoked_kind_by_name(kind_name, &kind))
        return dep_admin_refuse(a, "kind is missing or unknown: agent, client, org, task or jti");
    if (kind == DEP_REVOKED_GRANT)
        return dep_admin_refuse(a,
                                "a grant is revoked by POST /admin/v1/grants/{id}/revoke, as deputy grant revoke does");
    /* Blank is never "any" (attack case H14). */
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "id"), &id)) || !is_revocable(id))
        return dep_admin_refuse(a, "id is missing or blank: what exactly is to be revoked");
    for (const struct dep_json *m = a->body->child; m != NULL; m = m->next)
        if (!dep_str_eq(m->name, DEP_STR("kind")) && !dep_str_eq(m->name, DEP_STR("id")))
            return dep_admin_refuse(a, "unknown member; allowed here: kind id");
    /* A kill switch with a typo must not look as if it had worked. */
    if ((kind == DEP_REVOKED_AGENT && !dep_str_starts(id, DEP_STR("user:")) &&
         dep_snapshot_find(a->snapshot, DEP_RECORD_AGENT, id) == NULL) ||
        (kind == DEP_REVOKED_CLIENT && dep_snapshot_find(a->snapshot, DEP_RECORD_CLIENT, id) == NULL))
        return DEP_FAIL(STORE_MISSING);
    DEP_TRY(dep_admin_revoke(a, kind, id));
    a->status = 201;
    a->event = "revocation.created";
    a->target = id;
    dep_json_open(&a->writer, '{');
    dep_json_member(&a->writer, "kind", kind_name);
    dep_json_member(&a->writer, "id", id);
    dep_json_member_int(&a->writer, "before", a->now + 2);
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

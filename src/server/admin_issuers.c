/* The admin API for foreign issuers. */
#include "server/admin.h"

static void write_issuer(struct dep_json_writer *writer, const struct dep_cell *cell)
{
    dep_trusted_issuer_write(writer, &cell->issuer);
}

struct dep_res dep_admin_issuers_list(struct dep_admin *a)
{
    return dep_admin_list(a, DEP_RECORD_ISSUER, write_issuer);
}

struct dep_res dep_admin_issuers_get(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_ISSUER, &cell));
    write_issuer(&a->writer, cell);
    return DEP_OK;
}

struct same_name {
    struct dep_str id, name;
    bool is_taken;
};

static bool find_same_name(void *context, const struct dep_cell *cell)
{
    struct same_name *same = context;

    same->is_taken |= dep_str_eq(cell->issuer.name, same->name) && !dep_str_eq(cell->id, same->id);
    return !same->is_taken;
}

/* Names make principals: two issuers with one name would share their users. */
static struct dep_res check_issuer_name(struct dep_admin *a, struct dep_str id)
{
    struct same_name same = { .id = id };

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "name"), &same.name)))
        return DEP_OK;
    dep_snapshot_walk(a->snapshot, DEP_RECORD_ISSUER, find_same_name, &same);
    return same.is_taken ? dep_admin_refuse(a, "another issuer has this name") : DEP_OK;
}

/* The store decides who has a name, and a name is given once: recycled names never inherit. */
static struct dep_res claim_name(struct dep_admin *a, struct dep_str issuer)
{
    struct dep_str name = DEP_STR_ABSENT;
    struct dep_buf id;

    DEP_TRY(dep_json_str(DEP_JSON_GET(a->body, "name"), &name));
    dep_buf_init_arena(&id, a->arena, name.len + 16);
    dep_buf_put_c(&id, "issuer-name ");
    dep_buf_put(&id, name);
    if (id.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_admin_change(a, DEP_CHANGE_ADD, DEP_RECORD_META, dep_buf_str(&id), 1, issuer);
    return DEP_OK;
}

struct abroad {
    struct dep_str uri;
    bool is_found;
};

static bool find_abroad(void *context, const struct dep_cell *cell)
{
    struct abroad *abroad = context;

    if (!(cell->issuer.uses & DEP_ISSUER_TARGET))
        return true;
    abroad->is_found |= dep_str_eq(cell->id, abroad->uri);
    for (size_t i = 0; i < cell->issuer.target_rights_count; i++)
        abroad->is_found |= dep_str_eq(cell->issuer.target_rights[i].resource, abroad->uri);
    return !abroad->is_found;
}

bool dep_admin_is_abroad(const struct dep_admin *a, struct dep_str uri)
{
    struct abroad abroad = { .uri = uri };

    dep_snapshot_walk(a->snapshot, DEP_RECORD_ISSUER, find_abroad, &abroad);
    return abroad.is_found;
}

struct dep_res dep_admin_issuers_create(struct dep_admin *a)
{
    struct dep_str id = DEP_STR_ABSENT, text;
    struct dep_json_writer writer;
    struct dep_buf generated;

    dep_buf_init_arena(&generated, a->arena, 128);
    dep_json_begin(&writer, &generated);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "org", DEP_STR("default"));
    dep_json_member_bool(&writer, "is_enabled", true);
    dep_json_member_int(&writer, "created", a->now);
    dep_json_close(&writer, '}');
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "id"), &id)) || dep_str_is_blank(id))
        return dep_admin_refuse(a, "id is missing: the issuer identifier, as it stands in iss");
    if (dep_str_eq(id, a->settings->policy.issuer))
        return dep_admin_refuse(a, "this server does not trust itself as a foreign issuer");
    DEP_TRY(check_issuer_name(a, id));
    DEP_TRY(dep_admin_create_record(
        a, DEP_RECORD_ISSUER, id, dep_buf_str(&generated),
        "id name org uses audiences jwks_uri jwks lifetime_max_s is_single_use ceiling agents rules target "
        "subject_claim required_claims claim_ceilings",
        &text));
    DEP_TRY(claim_name(a, id));
    a->event = "issuer.created";
    dep_json_put_raw(&a->writer, text);
    return DEP_OK;
}

/* What its users consented to was within what the record said: of one that says less, nobody can tell what is left. */
static bool says_other_users(const struct dep_admin *a, const struct dep_trusted_issuer *issuer)
{
    if (!(issuer->uses & DEP_ISSUER_LOGIN))
        return false;
    return dep_json_has(a->body, DEP_STR("uses")) || DEP_JSON_GET(a->body, "required_claims") != NULL ||
           DEP_JSON_GET(a->body, "claim_ceilings") != NULL;
}

/* All users of an issuer that is switched off, or that they log in at and whose record says otherwise who they are: an entry for "user:<name>:" covers them. */
static struct dep_res revoke_users(struct dep_admin *a)
{
    const struct dep_cell *cell = dep_snapshot_find(a->snapshot, DEP_RECORD_ISSUER, a->target);
    bool is_enabled = true, is_deleted = dep_str_eq(a->exchange->method, DEP_STR("DELETE"));
    struct dep_buf id;

    if (!is_deleted && !says_other_users(a, &cell->issuer) &&
        (!dep_is_ok(dep_json_bool(DEP_JSON_GET(a->body, "is_enabled"), &is_enabled)) || is_enabled))
        return DEP_OK;
    dep_buf_init_arena(&id, a->arena, 128);
    dep_buf_put_c(&id, "user:");
    dep_buf_put(&id, cell->issuer.name);
    dep_buf_put_char(&id, ':');
    return id.has_failed ? DEP_FAIL(ARENA_FULL) : dep_admin_revoke(a, DEP_REVOKED_AGENT, dep_buf_str(&id));
}

struct dep_res dep_admin_issuers_update(struct dep_admin *a)
{
    struct dep_str text;

    /* Neither name nor organisation, nor what names a user: principals that exist would become others. */
    DEP_TRY(dep_admin_update_record(
        a, DEP_RECORD_ISSUER,
        "uses audiences jwks_uri jwks lifetime_max_s is_single_use is_enabled ceiling agents rules target "
        "required_claims claim_ceilings",
        &text));
    DEP_TRY(revoke_users(a));
    a->event = "issuer.updated";
    dep_json_put_raw(&a->writer, text);
    return DEP_OK;
}

struct dep_res dep_admin_issuers_delete(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_ISSUER, &cell));
    dep_admin_change(a, DEP_CHANGE_REMOVE, DEP_RECORD_ISSUER, cell->id, cell->version, DEP_STR(""));
    a->target = cell->id;
    DEP_TRY(revoke_users(a));
    a->event = "issuer.deleted";
    dep_json_put_raw(&a->writer, DEP_STR("{}"));
    return DEP_OK;
}

/* The admin API for resources. */
#include "server/admin.h"

static void write_resource(struct dep_json_writer *writer, const struct dep_cell *cell)
{
    dep_resource_write(writer, &cell->resource);
}

struct dep_res dep_admin_resources_list(struct dep_admin *a)
{
    return dep_admin_list(a, DEP_RECORD_RESOURCE, write_resource);
}

struct dep_res dep_admin_resources_get(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_RESOURCE, &cell));
    write_resource(&a->writer, cell);
    return DEP_OK;
}

struct heirs {
    struct dep_str resource;
    size_t count;
};

static bool names(const struct dep_right *rights, size_t count, struct dep_str resource)
{
    for (size_t i = 0; i < count; i++)
        if (dep_str_eq(rights[i].resource, resource))
            return true;
    return false;
}

static bool count_agent(void *context, const struct dep_cell *cell)
{
    struct heirs *heirs = context;

    heirs->count += names(cell->agent.ceiling, cell->agent.ceiling_count, heirs->resource) ||
                    names(cell->agent.delegation_rights, cell->agent.delegation_rights_count, heirs->resource);
    return true;
}

static bool count_issuer(void *context, const struct dep_cell *cell)
{
    struct heirs *heirs = context;

    heirs->count += names(cell->issuer.ceiling, cell->issuer.ceiling_count, heirs->resource);
    return true;
}

/* Ceilings name what is registered. One that names what is not was given for a resource that is gone: it must not reach the next that
 * takes the name. */
static struct dep_res check_heirs(struct dep_admin *a, struct dep_str resource)
{
    struct heirs heirs = { .resource = resource };

    dep_snapshot_walk(a->snapshot, DEP_RECORD_AGENT, count_agent, &heirs);
    dep_snapshot_walk(a->snapshot, DEP_RECORD_ISSUER, count_issuer, &heirs);
    if (heirs.count == 0 || dep_snapshot_find(a->snapshot, DEP_RECORD_RESOURCE, resource) != NULL)
        return DEP_OK;
    return dep_admin_refuse(
        a, "%zu ceilings still name a resource of this URI that was deleted; take it out of them first", heirs.count);
}

struct dep_res dep_admin_resources_create(struct dep_admin *a)
{
    struct dep_str id = DEP_STR_ABSENT, text;
    struct dep_json_writer writer;
    struct dep_buf generated;

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "id"), &id)) || dep_str_is_blank(id))
        return dep_admin_refuse(a, "id is missing: the resource's URI, which becomes aud");
    if (dep_str_eq(id, a->settings->policy.issuer))
        return dep_admin_refuse(a, "the issuer itself cannot be a resource");
    DEP_TRY(check_heirs(a, id));
    dep_buf_init_arena(&generated, a->arena, 128);
    dep_json_begin(&writer, &generated);
    dep_json_open(&writer, '{');
    dep_json_member_int(&writer, "created", a->now);
    dep_json_close(&writer, '}');
    DEP_TRY(dep_admin_create_record(a, DEP_RECORD_RESOURCE, id, dep_buf_str(&generated),
                                    "id name scopes default_scopes needs_dpop token_lifetime_s", &text));
    a->event = "resource.created";
    dep_json_put_raw(&a->writer, text);
    return DEP_OK;
}

struct dep_res dep_admin_resources_update(struct dep_admin *a)
{
    struct dep_str text;

    DEP_TRY(dep_admin_update_record(a, DEP_RECORD_RESOURCE,
                                    "name scopes default_scopes needs_dpop token_lifetime_s is_enabled", &text));
    a->event = "resource.updated";
    dep_json_put_raw(&a->writer, text);
    return DEP_OK;
}

struct dep_res dep_admin_resources_delete(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_RESOURCE, &cell));
    dep_admin_change(a, DEP_CHANGE_REMOVE, DEP_RECORD_RESOURCE, cell->id, cell->version, DEP_STR(""));
    a->event = "resource.deleted";
    a->target = cell->id;
    dep_json_put_raw(&a->writer, DEP_STR("{}"));
    return DEP_OK;
}

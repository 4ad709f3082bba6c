/* The admin API for what users consented to: who gave what to whom, and its end. */
#include "server/admin.h"

/* Its tokens descend from it, so what revokes them revokes it. */
static bool is_live(const struct dep_admin *a, const struct dep_ticket *consent)
{
    const struct dep_cell *client = dep_snapshot_find(a->snapshot, DEP_RECORD_CLIENT, consent->client_id);
    struct dep_token root = {
        .jti = consent->id,
        .client_id = consent->client_id,
        .sub = consent->user,
        .org_id = consent->org,
        .iat = consent->made,
    };

    if (client == NULL)
        return false;
    root.actors[root.actors_count++] = client->client.agent;
    return consent->expires > a->now && !dep_revocations_cover(dep_snapshot_revocations(a->snapshot), &root);
}

static void put_grant(struct dep_admin *a, const struct dep_cell *cell)
{
    const struct dep_ticket *consent = &cell->consent;
    const struct dep_cell *client = dep_snapshot_find(a->snapshot, DEP_RECORD_CLIENT, consent->client_id);

    dep_json_open(&a->writer, '{');
    dep_json_member(&a->writer, "id", consent->id);
    dep_json_member(&a->writer, "user", consent->user);
    dep_json_member(&a->writer, "client", consent->client_id);
    dep_json_member(&a->writer, "agent", client == NULL ? DEP_STR_ABSENT : client->client.agent);
    dep_json_member(&a->writer, "scope", consent->scope);
    dep_json_name(&a->writer, "resources");
    dep_json_open(&a->writer, '[');
    for (size_t i = 0; i < consent->targets_count; i++)
        dep_json_put_str(&a->writer, consent->targets[i]);
    dep_json_close(&a->writer, ']');
    dep_json_member(&a->writer, "jkt", consent->jkt);
    dep_json_member_int(&a->writer, "created", consent->made);
    dep_json_member_int(&a->writer, "expires", consent->expires);
    dep_json_member_bool(&a->writer, "is_live", is_live(a, consent));
    dep_json_close(&a->writer, '}');
}

static bool list_live(void *context, const struct dep_cell *cell)
{
    struct dep_admin *a = context;

    if (is_live(a, &cell->consent))
        put_grant(a, cell);
    return !a->out.has_failed;
}

struct dep_res dep_admin_grants_list(struct dep_admin *a)
{
    dep_json_open(&a->writer, '{');
    dep_json_name(&a->writer, "items");
    dep_json_open(&a->writer, '[');
    dep_snapshot_walk(a->snapshot, DEP_RECORD_CONSENT, list_live, a);
    dep_json_close(&a->writer, ']');
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

struct dep_res dep_admin_grants_get(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_CONSENT, &cell));
    if (!is_live(a, &cell->consent))
        return DEP_FAIL(STORE_MISSING);
    put_grant(a, cell);
    return DEP_OK;
}

/* One entry reaches the refresh token, every access token, and what grew from them. The record stays as it is until it ends: a change of it
 * would stand against a refresh at the same moment, and a kill switch may lose to nobody. */
struct dep_res dep_admin_grants_revoke(struct dep_admin *a)
{
    const struct dep_cell *cell;

    DEP_TRY(dep_admin_find(a, DEP_RECORD_CONSENT, &cell));
    DEP_TRY(dep_admin_revoke(a, DEP_REVOKED_JTI, cell->id));
    a->event = "grant.revoked";
    a->target = cell->id;
    dep_json_open(&a->writer, '{');
    dep_json_member(&a->writer, "id", cell->id);
    dep_json_member_bool(&a->writer, "is_live", false);
    dep_json_close(&a->writer, '}');
    return DEP_OK;
}

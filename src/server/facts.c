/* Facts for decide(): records from the snapshot, locks from the limiter, keys of foreign issuers from their cache. */
#include "server/facts.h"

static const void *load_agent(struct dep_loader *loader, struct dep_str id)
{
    const struct dep_cell *cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_AGENT, id);
    struct dep_agent *agent;

    if (dep_str_starts(id, DEP_STR("user:")))
        return dep_snapshot_user(loader->snapshot, id, loader->arena);
    if (cell == NULL)
        return NULL;
    agent = DEP_NEW(loader->arena, struct dep_agent);
    if (agent == NULL || !dep_is_ok(dep_snapshot_agent(loader->snapshot, cell, loader->arena, agent)))
        return NULL;
    return agent;
}

struct children {
    struct dep_str parent;
    size_t count;
};

static bool count_child(void *context, const struct dep_cell *cell)
{
    struct children *children = context;

    children->count += dep_str_eq(cell->agent.parent, children->parent);
    return true;
}

static const void *load_family(struct dep_loader *loader, struct dep_str id)
{
    struct children children = { .parent = id };
    const struct dep_cell *cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_AGENT, id);
    struct dep_family *family = cell == NULL ? NULL : DEP_NEW(loader->arena, struct dep_family);

    if (family == NULL)
        return NULL;
    dep_snapshot_walk(loader->snapshot, DEP_RECORD_AGENT, count_child, &children);
    *family = (struct dep_family){ .children = children.count };
    while (cell != NULL && !dep_str_is_absent(cell->agent.parent) && family->ancestors <= DEP_ANCESTORS_MAX) {
        family->ancestors++;
        cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_AGENT, cell->agent.parent);
    }
    return family;
}

static const void *load_lock(struct dep_loader *loader, struct dep_str client)
{
    int64_t until = dep_limiter_locked_until(loader->server->limiter, client, loader->peer, loader->now);
    int64_t *value;

    if (until == 0)
        return NULL;
    value = DEP_NEW(loader->arena, int64_t);
    if (value != NULL)
        *value = until;
    return value;
}

/* id: issuer, newline, alg, newline, kid. */
static const void *load_issuer_key(struct dep_loader *loader, struct dep_str id)
{
    struct dep_str rest = id, issuer, alg_name, kid = DEP_STR_ABSENT;
    const struct dep_cell *cell;
    enum dep_alg alg;
    bool must_fetch = false;
    uint64_t lookups;
    struct dep_issuer_keys *keys;

    if (!dep_str_cut(&rest, '\n', &issuer) || !dep_str_cut(&rest, '\n', &alg_name))
        return NULL;
    (void)dep_str_cut(&rest, '\n', &kid);
    cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_ISSUER, issuer);
    alg = dep_alg_by_name(alg_name);
    if (cell == NULL)
        return NULL;
    if (cell->jwks != NULL)
        return dep_jwks_find(cell->jwks, kid, alg);
    keys = dep_issuers_get(loader->server->issuers, (struct dep_issuer_place){ cell->id, cell->issuer.jwks_uri }, kid,
                           alg, loader->now, &must_fetch, &lookups);
    if (must_fetch && !loader->is_parked_before) {
        loader->must_fetch = cell;
        loader->lookups = lookups;
    }
    if (keys == NULL)
        return NULL;
    DEP_ASSERT(loader->issuer_keys_count < 2);
    loader->issuer_keys[loader->issuer_keys_count++] = keys;
    return dep_jwks_find(dep_issuer_keys_set(keys), kid, alg);
}

static const void *load(struct dep_loader *loader, const struct dep_need *need)
{
    const struct dep_cell *cell;

    switch (need->kind) {
    case DEP_FACT_CLIENT:
        cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_CLIENT, need->id);
        return cell == NULL ? NULL : &cell->client;
    case DEP_FACT_AGENT:
        return load_agent(loader, need->id);
    case DEP_FACT_RESOURCE:
        cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_RESOURCE, need->id);
        return cell == NULL ? NULL : &cell->resource;
    case DEP_FACT_KEY:
        cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_KEY, need->id);
        return cell != NULL && dep_key_verifies(&cell->key, loader->now, loader->server->key_grace_s) ? &cell->jwks_key
                                                                                                      : NULL;
    case DEP_FACT_ISSUER:
        cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_ISSUER, need->id);
        return cell == NULL ? NULL : &cell->issuer;
    case DEP_FACT_ISSUER_KEY:
        return load_issuer_key(loader, need->id);
    case DEP_FACT_FAMILY:
        return load_family(loader, need->id);
    case DEP_FACT_LOCK:
        return load_lock(loader, need->id);
    case DEP_FACT_CONSENT:
        cell = dep_snapshot_find(loader->snapshot, DEP_RECORD_CONSENT, need->id);
        return cell == NULL ? NULL : &cell->consent;
    case DEP_FACT_REPLAY:
        break;
    }
    DEP_ASSERT(false && "nobody names a replay fact as a need");
    return NULL;
}

void dep_loader_add(struct dep_loader *loader, enum dep_fact_kind kind, struct dep_str id, const void *value)
{
    DEP_ASSERT(loader->facts.count < DEP_FACTS_MAX);
    loader->facts.items[loader->facts.count++] = (struct dep_fact){ { kind, id }, value };
}

/* A client brings its agent along, which saves a round. */
void dep_loader_load(struct dep_loader *loader, const struct dep_decision *decision)
{
    for (size_t i = 0; i < decision->needs_count; i++) {
        const struct dep_need *need = &decision->needs[i];
        const void *value = load(loader, need);

        dep_loader_add(loader, need->kind, need->id, value);
        if (need->kind != DEP_FACT_CLIENT || value == NULL)
            continue;

        const struct dep_client *client = value;
        bool is_known = dep_str_is_absent(client->agent);

        for (size_t k = 0; k < decision->needs_count; k++)
            is_known |= decision->needs[k].kind == DEP_FACT_AGENT && dep_str_eq(decision->needs[k].id, client->agent);
        if (!is_known)
            dep_loader_add(loader, DEP_FACT_AGENT, client->agent, load_agent(loader, client->agent));
    }
}

void dep_loader_init(struct dep_loader *loader, struct dep_server *server, struct dep_snapshot *snapshot,
                     struct dep_arena *arena, struct dep_str peer, int64_t now)
{
    *loader = (struct dep_loader){ .server = server, .snapshot = snapshot, .arena = arena, .peer = peer, .now = now };
    loader->facts.revocations = dep_snapshot_revocations(snapshot);
}

void dep_loader_done(struct dep_loader *loader)
{
    for (size_t i = 0; i < loader->issuer_keys_count; i++)
        dep_issuer_keys_unref(loader->issuer_keys[i]);
}

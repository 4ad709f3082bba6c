/* The snapshot. Invariants stand in snapshot.h. */
#include "server/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "proto/client_keys.h"

#define CELL_BYTES_MIN 2048u
#define JWKS_SCRATCH_MAX (1024u * 1024u)

struct dep_snapshot {
    _Atomic unsigned references;
    struct dep_cell **slots; /* open addressing; NULL for an empty slot */
    size_t size;             /* a power of two */
    size_t count;
    const struct dep_cell *signer;
    struct dep_revocations *revocations;
    char *jwks;
    size_t jwks_len;
    int64_t due;
};

/* ---- cells ---- */

static void cell_free(struct dep_cell *cell)
{
    dep_jwks_free(cell->jwks);
    dep_private_key_free(cell->private_key);
    dep_public_key_free(cell->public_key);
    dep_wipe(cell->memory, cell->arena.size);
    free(cell->memory);
    free(cell);
}

static void cell_unref(struct dep_cell *cell)
{
    if (cell != NULL && atomic_fetch_sub(&cell->references, 1) == 1)
        cell_free(cell);
}

static struct dep_res open_key(struct dep_secret unseal_key, struct dep_cell *cell)
{
    struct dep_str der, x, y;
    struct dep_secret plain;

    DEP_TRY(dep_b64url_decode(&cell->arena, cell->key.der, &der));
    plain = dep_secret_of(der);
    if (cell->key.is_sealed) {
        if (unseal_key.len == 0)
            return DEP_FAIL(KEY_FILE);
        DEP_TRY(dep_unseal(unseal_key, cell->key.kid, der, &cell->arena, &plain));
    }
    DEP_TRY(dep_private_key_read(cell->key.alg, plain, &cell->private_key));
    DEP_TRY(dep_private_key_parts(cell->private_key, &cell->arena, &x, &y));
    switch (dep_alg_kty(cell->key.alg)) {
    case DEP_KTY_P256:
        DEP_TRY(dep_public_key_new_p256(x, y, &cell->public_key));
        break;
    case DEP_KTY_ED25519:
        DEP_TRY(dep_public_key_new_ed25519(x, &cell->public_key));
        break;
    case DEP_KTY_RSA:
        DEP_TRY(dep_public_key_new_rsa(x, y, &cell->public_key));
        break;
    case DEP_KTY_NONE:
        return DEP_FAIL(KEY_FILE);
    }
    cell->jwks_key = (struct dep_jwks_key){ .kid = cell->key.kid, .alg = cell->key.alg, .key = cell->public_key };
    return DEP_OK;
}

/* A client that could never authenticate is none. */
static struct dep_res open_client_keys(struct dep_crypto *crypto, struct dep_cell *cell)
{
    struct dep_arena arena;
    struct dep_res res = DEP_OK;

    if (dep_str_is_absent(cell->client.jwks_json))
        return DEP_OK;
    DEP_TRY(dep_jwks_new(crypto, cell->client.jwks_json, &cell->jwks));
    cell->client.jwks = cell->jwks;
    if (cell->jwks->count == 0)
        return DEP_FAIL(JWKS_SYNTAX);
    if (cell->client.auth == DEP_CLIENT_AUTH_TLS_SELF_SIGNED) {
        dep_arena_init_debug(&arena, JWKS_SCRATCH_MAX);
        res = dep_client_keys_check(crypto, &arena, cell->client.jwks_json);
        dep_arena_reset(&arena);
    }
    return res;
}

static struct dep_res fill_cell(struct dep_crypto *crypto, struct dep_secret unseal_key, struct dep_str body,
                                struct dep_cell *cell)
{
    struct dep_json *json;

    DEP_TRY(dep_json_parse(&cell->arena, body, 8, &json));
    switch (cell->kind) {
    case DEP_RECORD_AGENT:
        return dep_agent_read(&cell->arena, json, &cell->agent);
    case DEP_RECORD_CLIENT:
        DEP_TRY(dep_client_read(&cell->arena, json, &cell->client));
        return open_client_keys(crypto, cell);
    case DEP_RECORD_RESOURCE:
        return dep_resource_read(&cell->arena, json, &cell->resource);
    case DEP_RECORD_KEY:
        DEP_TRY(dep_key_read(&cell->arena, json, &cell->key));
        return open_key(unseal_key, cell);
    case DEP_RECORD_ISSUER:
        DEP_TRY(dep_trusted_issuer_read(&cell->arena, json, &cell->issuer));
        if (!dep_str_is_absent(cell->issuer.jwks_json))
            DEP_TRY(dep_jwks_new(crypto, cell->issuer.jwks_json, &cell->jwks));
        return cell->jwks != NULL && cell->jwks->count == 0 ? DEP_FAIL(JWKS_SYNTAX) : DEP_OK;
    case DEP_RECORD_CONSENT:
        return dep_ticket_read(json, &cell->consent);
    case DEP_RECORD_REVOCATION:
    case DEP_RECORD_REPLAY:
    case DEP_RECORD_META:
    case DEP_RECORD_IDEMPOTENCY:
    case DEP_RECORD_INSTRUCTION:
    case DEP_RECORD_KINDS:
        break;
    }
    return DEP_FAIL(ADMIN_INPUT);
}

struct dep_res dep_cell_new(struct dep_crypto *crypto, struct dep_secret unseal_key, const struct dep_record *record,
                            struct dep_cell **ret_cell)
{
    struct dep_cell *cell = calloc(1, sizeof(*cell));
    /* The text, its tree (a value is about 120 bytes for every few characters), and decoded keys. */
    size_t size = CELL_BYTES_MIN + 16 * ((record->id.len + 15) / 16 + 1) + 48 * ((record->body.len + 15) / 16 * 16);
    struct dep_str body;
    struct dep_res res;

    if (cell == NULL)
        return DEP_FAIL(ARENA_FULL);
    cell->memory = malloc(size);
    if (cell->memory == NULL) {
        free(cell);
        return DEP_FAIL(ARENA_FULL);
    }
    dep_arena_init(&cell->arena, cell->memory, size);
    atomic_init(&cell->references, 1);
    cell->kind = record->kind;
    cell->version = record->version;
    cell->id = dep_arena_dup(&cell->arena, record->id);
    body = dep_arena_dup(&cell->arena, record->body);
    res = fill_cell(crypto, unseal_key, body, cell);
    if (!dep_is_ok(res)) {
        cell_unref(cell);
        return res;
    }
    *ret_cell = cell;
    return DEP_OK;
}

/* ---- the table ---- */

static size_t home_of(const struct dep_snapshot *snapshot, enum dep_record_kind kind, struct dep_str id)
{
    return (size_t)dep_str_hash(id, (uint64_t)kind + 1) & (snapshot->size - 1);
}

static bool is_cell(const struct dep_cell *cell, enum dep_record_kind kind, struct dep_str id)
{
    return cell->kind == kind && dep_str_eq(cell->id, id);
}

static size_t slot_of(const struct dep_snapshot *snapshot, enum dep_record_kind kind, struct dep_str id)
{
    size_t i = home_of(snapshot, kind, id);

    while (snapshot->slots[i] != NULL && !is_cell(snapshot->slots[i], kind, id))
        i = (i + 1) & (snapshot->size - 1);
    return i;
}

static struct dep_snapshot *make(size_t size)
{
    struct dep_snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (snapshot == NULL)
        return NULL;
    atomic_init(&snapshot->references, 1);
    snapshot->size = size;
    snapshot->slots = calloc(size, sizeof(*snapshot->slots));
    if (snapshot->slots == NULL) {
        free(snapshot);
        return NULL;
    }
    return snapshot;
}

struct dep_snapshot *dep_snapshot_new(void)
{
    struct dep_snapshot *snapshot = make(64);

    if (snapshot == NULL)
        return NULL;
    snapshot->revocations = dep_revocations_new(0);
    if (snapshot->revocations == NULL) {
        dep_snapshot_unref(snapshot);
        return NULL;
    }
    return snapshot;
}

struct dep_snapshot *dep_snapshot_ref(struct dep_snapshot *snapshot)
{
    (void)atomic_fetch_add(&snapshot->references, 1);
    return snapshot;
}

void dep_snapshot_unref(struct dep_snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->references, 1) != 1)
        return;
    for (size_t i = 0; i < snapshot->size; i++)
        cell_unref(snapshot->slots[i]);
    dep_revocations_free(snapshot->revocations);
    free(snapshot->slots);
    free(snapshot->jwks);
    free(snapshot);
}

struct dep_snapshot *dep_snapshot_copy(const struct dep_snapshot *snapshot, int64_t now)
{
    struct dep_snapshot *copy = make(snapshot->size);

    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < snapshot->size; i++) {
        copy->slots[i] = snapshot->slots[i];
        if (copy->slots[i] != NULL)
            (void)atomic_fetch_add(&copy->slots[i]->references, 1);
    }
    copy->count = snapshot->count;
    copy->revocations = dep_revocations_copy(snapshot->revocations, now);
    if (copy->revocations == NULL) {
        dep_snapshot_unref(copy);
        return NULL;
    }
    return copy;
}

static struct dep_res grow(struct dep_snapshot *snapshot)
{
    struct dep_cell **old = snapshot->slots;
    size_t old_size = snapshot->size;

    snapshot->slots = calloc(old_size * 2, sizeof(*old));
    if (snapshot->slots == NULL) {
        snapshot->slots = old;
        return DEP_FAIL(ARENA_FULL);
    }
    snapshot->size = old_size * 2;
    for (size_t i = 0; i < old_size; i++)
        if (old[i] != NULL)
            snapshot->slots[slot_of(snapshot, old[i]->kind, old[i]->id)] = old[i];
    free(old);
    return DEP_OK;
}

struct dep_res dep_snapshot_put(struct dep_snapshot *snapshot, struct dep_cell *cell)
{
    if ((snapshot->count + 1) * 2 > snapshot->size) {
        struct dep_res res = grow(snapshot);

        if (!dep_is_ok(res)) {
            cell_unref(cell);
            return res;
        }
    }

    size_t i = slot_of(snapshot, cell->kind, cell->id);

    if (snapshot->slots[i] == NULL)
        snapshot->count++;
    cell_unref(snapshot->slots[i]);
    snapshot->slots[i] = cell;
    return DEP_OK;
}

void dep_snapshot_remove(struct dep_snapshot *snapshot, enum dep_record_kind kind, struct dep_str id)
{
    size_t hole = slot_of(snapshot, kind, id);

    if (snapshot->slots[hole] == NULL)
        return;
    cell_unref(snapshot->slots[hole]);
    snapshot->slots[hole] = NULL;
    snapshot->count--;
    /* Close the gap, so that no search ends too early. */
    for (size_t i = (hole + 1) & (snapshot->size - 1); snapshot->slots[i] != NULL; i = (i + 1) & (snapshot->size - 1)) {
        struct dep_cell *cell = snapshot->slots[i];

        snapshot->slots[i] = NULL;
        snapshot->slots[slot_of(snapshot, cell->kind, cell->id)] = cell;
    }
}

const struct dep_cell *dep_snapshot_find(const struct dep_snapshot *snapshot, enum dep_record_kind kind,
                                         struct dep_str id)
{
    return snapshot->slots[slot_of(snapshot, kind, id)];
}

void dep_snapshot_walk(const struct dep_snapshot *snapshot, enum dep_record_kind kind,
                       bool (*visit)(void *context, const struct dep_cell *cell), void *context)
{
    for (size_t i = 0; i < snapshot->size; i++)
        if (snapshot->slots[i] != NULL && snapshot->slots[i]->kind == kind && !visit(context, snapshot->slots[i]))
            return;
}

/* A private copy of the ceiling, to be narrowed. */
static struct dep_res copy_ceiling(struct dep_arena *arena, struct dep_agent *agent)
{
    struct dep_right *rights = DEP_NEW_ARRAY(arena, agent->ceiling_count, struct dep_right);

    if (rights == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < agent->ceiling_count; i++) {
        rights[i] = agent->ceiling[i];
        rights[i].scopes = DEP_NEW_ARRAY(arena, rights[i].scopes_count, struct dep_str);
        if (rights[i].scopes == NULL)
            return DEP_FAIL(ARENA_FULL);
        for (size_t k = 0; k < rights[i].scopes_count; k++)
            rights[i].scopes[k] = agent->ceiling[i].scopes[k];
    }
    agent->ceiling = rights;
    return DEP_OK;
}

/* Takes out what the one above does not have. */
static void narrow(struct dep_agent *agent, const struct dep_agent *above)
{
    size_t rights = 0;

    for (size_t i = 0; i < agent->ceiling_count; i++) {
        struct dep_right right = agent->ceiling[i];
        const struct dep_right *limit = dep_agent_right(above, right.resource);
        size_t kept = 0;

        for (size_t k = 0; limit != NULL && k < right.scopes_count; k++)
            if (dep_right_has(limit, right.scopes[k]))
                right.scopes[kept++] = right.scopes[k];
        right.scopes_count = kept;
        if (kept > 0)
            agent->ceiling[rights++] = right;
    }
    agent->ceiling_count = rights;
}

struct dep_res dep_snapshot_agent(const struct dep_snapshot *snapshot, const struct dep_cell *cell,
                                  struct dep_arena *arena, struct dep_agent *ret_agent)
{
    struct dep_agent agent = cell->agent;
    struct dep_str parent = agent.parent;
    unsigned steps = 0;

    agent.effective_state = agent.state;
    if (!dep_str_is_absent(parent))
        DEP_TRY(copy_ceiling(arena, &agent));
    while (!dep_str_is_absent(parent)) {
        const struct dep_cell *above = dep_snapshot_find(snapshot, DEP_RECORD_AGENT, parent);

        if (above == NULL || ++steps > DEP_ANCESTORS_MAX) {
            agent.effective_state = DEP_STATE_BANNED;
            break;
        }
        if (above->agent.state > agent.effective_state)
            agent.effective_state = above->agent.state;
        narrow(&agent, &above->agent);
        parent = above->agent.parent;
    }
    *ret_agent = agent;
    return DEP_OK;
}

struct by_name {
    struct dep_str name;
    const struct dep_cell *found;
};

static bool has_name(void *context, const struct dep_cell *cell)
{
    struct by_name *by_name = context;

    if (dep_str_eq(cell->issuer.name, by_name->name))
        by_name->found = cell;
    return by_name->found == NULL;
}

const struct dep_agent *dep_snapshot_user(const struct dep_snapshot *snapshot, struct dep_str id,
                                          struct dep_arena *arena)
{
    struct dep_str rest = dep_str_sub(id, 5, id.len);
    struct by_name by_name = { .name = dep_str_sub(rest, 0, dep_str_find(rest, ':')) };
    struct dep_agent *user;

    dep_snapshot_walk(snapshot, DEP_RECORD_ISSUER, has_name, &by_name);
    if (by_name.found == NULL || (user = DEP_NEW(arena, struct dep_agent)) == NULL)
        return NULL;
    *user = (struct dep_agent){
        .id = id,
        .name = id,
        .owner = by_name.found->issuer.name,
        .org = by_name.found->issuer.org,
        .effective_state = by_name.found->issuer.is_enabled ? DEP_STATE_ACTIVE : DEP_STATE_SUSPENDED,
        .ceiling = by_name.found->issuer.ceiling,
        .ceiling_count = by_name.found->issuer.ceiling_count,
        .delegates = by_name.found->issuer.agents,
        .delegates_count = by_name.found->issuer.agents_count,
        .has_delegates = by_name.found->issuer.has_agents,
    };
    return user;
}

const struct dep_cell *dep_snapshot_signer(const struct dep_snapshot *snapshot)
{
    return snapshot->signer;
}

const struct dep_revocations *dep_snapshot_revocations(const struct dep_snapshot *snapshot)
{
    return snapshot->revocations;
}

struct dep_res dep_snapshot_revoke(struct dep_snapshot *snapshot, const struct dep_revocation *entry)
{
    return dep_revocations_add(snapshot->revocations, entry);
}

void dep_snapshot_set_revocations(struct dep_snapshot *snapshot, struct dep_revocations *revocations)
{
    dep_revocations_free(snapshot->revocations);
    snapshot->revocations = revocations;
}

struct dep_str dep_snapshot_jwks(const struct dep_snapshot *snapshot)
{
    return dep_str(snapshot->jwks, snapshot->jwks_len);
}

struct jwks_state {
    struct dep_snapshot *snapshot;
    struct dep_json_writer writer;
    struct dep_arena arena;
    int64_t now, grace_s;
    bool has_failed;
};

bool dep_key_verifies(const struct dep_key *key, int64_t now, int64_t grace_s)
{
    return key->state != DEP_KEY_TAINTED && (key->state != DEP_KEY_RETIRED || now < key->retired + grace_s);
}

int64_t dep_snapshot_due(const struct dep_snapshot *snapshot)
{
    return snapshot->due;
}

static bool add_key(void *context, const struct dep_cell *cell)
{
    struct jwks_state *state = context;

    /* Of several active keys the newest signs. */
    if (cell->key.state == DEP_KEY_ACTIVE &&
        (state->snapshot->signer == NULL || cell->key.created >= state->snapshot->signer->key.created))
        state->snapshot->signer = cell;
    if (!dep_key_verifies(&cell->key, state->now, state->grace_s))
        return true;
    if (cell->key.state == DEP_KEY_RETIRED && cell->key.retired + state->grace_s < state->snapshot->due)
        state->snapshot->due = cell->key.retired + state->grace_s;
    if (!dep_is_ok(dep_jwk_put_public(&state->writer, &state->arena, cell->private_key, cell->key.kid)))
        state->has_failed = true;
    return !state->has_failed;
}

struct dep_res dep_snapshot_publish(struct dep_snapshot *snapshot, int64_t now, int64_t grace_s)
{
    size_t size = DEP_JWKS_BYTES_MAX;
    char *memory = malloc(3 * size);
    struct jwks_state state = { .snapshot = snapshot, .now = now, .grace_s = grace_s };
    struct dep_buf buf;

    snapshot->due = INT64_MAX;
    if (memory == NULL)
        return DEP_FAIL(ARENA_FULL);
    dep_arena_init(&state.arena, memory + size, 2 * size);
    dep_buf_init(&buf, memory, size);
    dep_json_begin(&state.writer, &buf);
    dep_json_open(&state.writer, '{');
    dep_json_name(&state.writer, "keys");
    dep_json_open(&state.writer, '[');
    dep_snapshot_walk(snapshot, DEP_RECORD_KEY, add_key, &state);
    dep_json_close(&state.writer, ']');
    dep_json_close(&state.writer, '}');
    if (!state.has_failed && !buf.has_failed) {
        snapshot->jwks = malloc(buf.len);
        if (snapshot->jwks != NULL) {
            memcpy(snapshot->jwks, buf.ptr, buf.len);
            snapshot->jwks_len = buf.len;
        }
    }
    free(memory);
    return snapshot->jwks == NULL ? DEP_FAIL(ARENA_FULL) : DEP_OK;
}

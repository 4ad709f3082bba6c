/* What is revoked: open addressing over (kind, id); at most half full. */
#include "proto/revocation.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    char *id; /* own copy; NULL for an empty slot */
    size_t id_len;
    uint64_t hash;
    int64_t before;
    int64_t expires;
    enum dep_revoked_kind kind;
};

struct dep_revocations {
    struct slot *slots;
    size_t size; /* a power of two */
    size_t count;
};

struct dep_revocations *dep_revocations_new(size_t expected)
{
    struct dep_revocations *set = calloc(1, sizeof(*set));
    size_t size = 16;

    while (size < expected * 2 && size < SIZE_MAX / 4 / sizeof(struct slot))
        size *= 2;
    if (set == NULL)
        return NULL;
    set->slots = calloc(size, sizeof(*set->slots));
    set->size = size;
    if (set->slots == NULL) {
        free(set);
        return NULL;
    }
    return set;
}

void dep_revocations_free(struct dep_revocations *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->size; i++)
        free(set->slots[i].id);
    free(set->slots);
    free(set);
}

static uint64_t hash_of(enum dep_revoked_kind kind, struct dep_str id)
{
    return dep_str_hash(id, (uint64_t)kind * 0x9E3779B97F4A7C15u);
}

/* The slot of (kind, id), or the empty one where it belongs. */
static struct slot *slot_of(const struct dep_revocations *set, enum dep_revoked_kind kind, struct dep_str id)
{
    uint64_t hash = hash_of(kind, id);

    for (size_t i = (size_t)hash & (set->size - 1);; i = (i + 1) & (set->size - 1)) {
        struct slot *slot = &set->slots[i];

        if (slot->id == NULL ||
            (slot->hash == hash && slot->kind == kind && dep_str_eq(dep_str(slot->id, slot->id_len), id)))
            return slot;
    }
}

static struct dep_res grow(struct dep_revocations *set)
{
    struct dep_revocations larger = { .size = set->size * 2, .count = set->count };

    larger.slots = calloc(larger.size, sizeof(*larger.slots));
    if (larger.slots == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < set->size; i++)
        if (set->slots[i].id != NULL)
            *slot_of(&larger, set->slots[i].kind, dep_str(set->slots[i].id, set->slots[i].id_len)) = set->slots[i];
    free(set->slots);
    *set = larger;
    return DEP_OK;
}

struct dep_res dep_revocations_add(struct dep_revocations *set, const struct dep_revocation *entry)
{
    if (dep_str_is_blank(entry->id)) /* blank is never "any" */
        return DEP_FAIL(ADMIN_INPUT);
    if ((set->count + 1) * 2 > set->size)
        DEP_TRY(grow(set));

    struct slot *slot = slot_of(set, entry->kind, entry->id);

    if (slot->id == NULL) {
        slot->id = malloc(entry->id.len);
        if (slot->id == NULL)
            return DEP_FAIL(ARENA_FULL);
        memcpy(slot->id, entry->id.ptr, entry->id.len);
        slot->id_len = entry->id.len;
        slot->hash = hash_of(entry->kind, entry->id);
        slot->kind = entry->kind;
        set->count++;
    }
    if (entry->before > slot->before)
        slot->before = entry->before;
    if (entry->expires > slot->expires)
        slot->expires = entry->expires;
    return DEP_OK;
}

size_t dep_revocations_count(const struct dep_revocations *set)
{
    return set->count;
}

static bool covers(const struct dep_revocations *set, enum dep_revoked_kind kind, struct dep_str id, int64_t iat)
{
    if (dep_str_is_blank(id))
        return false;

    const struct slot *slot = slot_of(set, kind, id);

    /* A jti names one token: whatever descends from it is dead, also what was being issued at that moment (D27). */
    return slot->id != NULL && (kind == DEP_REVOKED_JTI || iat <= slot->before);
}

/* "user:<issuer's name>:" of "user:<issuer's name>:<sub>": an entry for it covers all users of the issuer. Absent for agents. */
static struct dep_str issuer_prefix(struct dep_str sub)
{
    size_t name_len;

    if (!dep_str_starts(sub, DEP_STR("user:")))
        return DEP_STR_ABSENT;
    name_len = dep_str_find(dep_str_sub(sub, 5, sub.len), ':');
    return dep_str_sub(sub, 0, 5 + name_len + 1);
}

/* "client:" + id or "task:" + id of something the token descends from. */
static bool covers_origin(const struct dep_revocations *set, struct dep_str origin, int64_t iat)
{
    if (dep_str_starts(origin, DEP_STR("client:")))
        return covers(set, DEP_REVOKED_CLIENT, dep_str_sub(origin, 7, origin.len), iat);
    if (dep_str_starts(origin, DEP_STR("task:")))
        return covers(set, DEP_REVOKED_TASK, dep_str_sub(origin, 5, origin.len), iat);
    return false;
}

bool dep_revocations_cover(const struct dep_revocations *set, const struct dep_token *token)
{
    if (set->count == 0)
        return false;
    for (size_t i = 0; i < token->lineage_count; i++)
        if (covers(set, DEP_REVOKED_JTI, token->lineage[i], token->iat))
            return true;
    for (size_t i = 0; i < token->origins_count; i++)
        if (covers_origin(set, token->origins[i], token->iat))
            return true;
    for (size_t i = 0; i < token->actors_count; i++)
        if (covers(set, DEP_REVOKED_AGENT, token->actors[i], token->iat))
            return true;
    return covers(set, DEP_REVOKED_JTI, token->jti, token->iat) ||
           covers(set, DEP_REVOKED_AGENT, token->sub, token->iat) ||
           covers(set, DEP_REVOKED_AGENT, issuer_prefix(token->sub), token->iat) ||
           covers(set, DEP_REVOKED_CLIENT, token->client_id, token->iat) ||
           covers(set, DEP_REVOKED_ORG, token->org_id, token->iat) ||
           covers(set, DEP_REVOKED_TASK, token->task_id, token->iat) ||
           covers(set, DEP_REVOKED_TASK, token->parent_task_id, token->iat);
}

struct dep_revocations *dep_revocations_copy(const struct dep_revocations *set, int64_t now)
{
    struct dep_revocations *copy = dep_revocations_new(set->count);
    struct dep_revocation entry;

    for (size_t i = 0; copy != NULL && i < set->size; i++) {
        if (!dep_revocations_at(set, i, &entry) || (entry.expires > 0 && entry.expires < now))
            continue;
        if (!dep_is_ok(dep_revocations_add(copy, &entry))) {
            dep_revocations_free(copy);
            return NULL;
        }
    }
    return copy;
}

size_t dep_revocations_slots(const struct dep_revocations *set)
{
    return set->size;
}

bool dep_revocations_at(const struct dep_revocations *set, size_t i, struct dep_revocation *ret_entry)
{
    const struct slot *slot = &set->slots[i];

    if (slot->id == NULL)
        return false;
    *ret_entry = (struct dep_revocation){ slot->kind, dep_str(slot->id, slot->id_len), slot->before, slot->expires };
    return true;
}

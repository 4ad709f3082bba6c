/* What is revoked: a compact set that is built, shared and copied, and asked once for each name that a token carries.
 *
 * Three blocks: entries in the order they came, their texts one behind the other, and an index of (hash, entry) by open addressing.
 * So an entry costs some 30 bytes beside its id, a copy is three block copies, and a question about something that is not revoked, the
 * usual one, ends in the index. A filter of one bit for each hash ends nine in ten of them before that. */
#include "proto/revocation.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_HEAD 3u /* kind, length in two bytes */
#define ID_MAX 0xFFFFu
#define SLOTS_MIN 16u
#define NEVER UINT32_MAX /* life_s of what never expires */
#define FILTER_PER_SLOT 8u

struct entry {
    int64_t before;
    uint32_t life_s;  /* expires, counted from `before` */
    uint32_t text_at; /* in texts */
};

struct slot {
    uint32_t hash;
    uint32_t entry; /* index + 1; 0: empty */
};

struct dep_revocations {
    struct entry *entries;
    size_t count, count_max;
    char *texts;
    size_t texts_len, texts_max;
    struct slot *slots; /* the filter's bytes follow in the same block */
    unsigned char *filter;
    size_t slots_count; /* a power of two, at most four fifths full */
};

static size_t index_bytes(size_t slots_count)
{
    return slots_count * sizeof(struct slot) + slots_count * FILTER_PER_SLOT / 8;
}

static bool make_index(struct dep_revocations *set, size_t slots_count)
{
    struct slot *slots = calloc(1, index_bytes(slots_count));

    if (slots == NULL)
        return false;
    free(set->slots);
    set->slots = slots;
    set->filter = (unsigned char *)(slots + slots_count);
    set->slots_count = slots_count;
    return true;
}

static size_t slots_for(size_t count)
{
    size_t size = SLOTS_MIN;

    while (size / 5 * 4 < count && size < SIZE_MAX / 4 / sizeof(struct slot))
        size *= 2;
    return size;
}

struct dep_revocations *dep_revocations_new(size_t expected)
{
    struct dep_revocations *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    if (expected > 0) {
        set->entries = calloc(expected, sizeof(*set->entries));
        set->count_max = set->entries == NULL ? 0 : expected;
    }
    if ((expected > 0 && set->entries == NULL) || !make_index(set, slots_for(expected))) {
        dep_revocations_free(set);
        return NULL;
    }
    return set;
}

void dep_revocations_free(struct dep_revocations *set)
{
    if (set == NULL)
        return;
    free(set->entries);
    free(set->texts);
    free(set->slots);
    free(set);
}

static uint64_t hash_of(enum dep_revoked_kind kind, struct dep_str id)
{
    return dep_str_hash(id, (uint64_t)kind * 0x9E3779B97F4A7C15u);
}

static struct dep_str text_of(const struct dep_revocations *set, const struct entry *entry,
                              enum dep_revoked_kind *ret_kind)
{
    const unsigned char *text = (const unsigned char *)set->texts + entry->text_at;

    *ret_kind = (enum dep_revoked_kind)text[0];
    return dep_str((const char *)text + TEXT_HEAD, (size_t)text[1] << 8 | text[2]);
}

static size_t filter_bit(const struct dep_revocations *set, uint64_t hash)
{
    return (size_t)(hash >> 20) & (set->slots_count * FILTER_PER_SLOT - 1);
}

static bool may_have(const struct dep_revocations *set, uint64_t hash)
{
    size_t bit = filter_bit(set, hash);

    return (set->filter[bit / 8] >> (bit % 8) & 1) != 0;
}

/* The entry's slot, or the empty one where it belongs. */
static struct slot *slot_of(const struct dep_revocations *set, uint64_t hash, enum dep_revoked_kind kind,
                            struct dep_str id)
{
    for (size_t i = (size_t)hash & (set->slots_count - 1);; i = (i + 1) & (set->slots_count - 1)) {
        struct slot *slot = &set->slots[i];
        enum dep_revoked_kind other = kind;

        if (slot->entry == 0)
            return slot;
        if (slot->hash != (uint32_t)(hash >> 32))
            continue;
        if (dep_str_eq(text_of(set, &set->entries[slot->entry - 1], &other), id) && other == kind)
            return slot;
    }
}

static void put_slot(struct dep_revocations *set, struct slot *slot, uint64_t hash, size_t entry)
{
    size_t bit = filter_bit(set, hash);

    *slot = (struct slot){ (uint32_t)(hash >> 32), (uint32_t)(entry + 1) };
    set->filter[bit / 8] |= (unsigned char)(1u << (bit % 8));
}

static struct dep_res reindex(struct dep_revocations *set, size_t slots_count)
{
    if (!make_index(set, slots_count))
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < set->count; i++) {
        enum dep_revoked_kind kind;
        struct dep_str id = text_of(set, &set->entries[i], &kind);
        uint64_t hash = hash_of(kind, id);

        put_slot(set, slot_of(set, hash, kind, id), hash, i);
    }
    return DEP_OK;
}

/* Room in steps of an eighth: these sets live long, and what is spare in them is memory of every guard. */
static bool reserve(void **block, size_t item, size_t *max, size_t wanted)
{
    size_t larger = *max + *max / 8 + 16;
    void *grown;

    if (wanted <= *max)
        return true;
    if (larger < wanted)
        larger = wanted;
    grown = realloc(*block, larger * item);
    if (grown == NULL)
        return false;
    *block = grown;
    *max = larger;
    return true;
}

static struct dep_res append(struct dep_revocations *set, const struct dep_revocation *entry, uint64_t hash)
{
    size_t text_len = TEXT_HEAD + entry->id.len;
    void *entries = set->entries, *texts = set->texts;
    bool has_room = set->texts_len + text_len < UINT32_MAX && set->count < UINT32_MAX - 1 &&
                    reserve(&entries, sizeof(*set->entries), &set->count_max, set->count + 1);

    set->entries = entries;
    has_room = has_room && reserve(&texts, 1, &set->texts_max, set->texts_len + text_len);
    set->texts = texts;
    if (!has_room || set->texts == NULL) /* the second says to analyzers what follows from the first */
        return DEP_FAIL(ARENA_FULL);
    if (slots_for(set->count + 1) > set->slots_count)
        DEP_TRY(reindex(set, slots_for(set->count + 1)));

    char *text = set->texts + set->texts_len;

    text[0] = (char)entry->kind;
    text[1] = (char)(entry->id.len >> 8);
    text[2] = (char)(entry->id.len & 0xFF);
    memcpy(text + TEXT_HEAD, entry->id.ptr, entry->id.len);
    set->entries[set->count] = (struct entry){ INT64_MIN, 0, (uint32_t)set->texts_len };
    set->texts_len += text_len;
    put_slot(set, slot_of(set, hash, entry->kind, entry->id), hash, set->count++);
    return DEP_OK;
}

static int64_t expires_of(const struct entry *entry)
{
    return entry->life_s == NEVER ? 0 : entry->before + (int64_t)entry->life_s;
}

/* An end before the beginning counts as that, one after more than a century as none: both keep the entry longer. */
static uint32_t life_from(int64_t before, int64_t expires)
{
    if (expires <= 0)
        return NEVER;
    if (expires <= before)
        return 0;
    return before < 0 || expires - before >= (int64_t)NEVER ? NEVER : (uint32_t)(expires - before);
}

struct dep_res dep_revocations_add(struct dep_revocations *set, const struct dep_revocation *entry)
{
    uint64_t hash = hash_of(entry->kind, entry->id);
    struct slot *slot;
    struct entry *kept;
    bool is_new;

    if (dep_str_is_blank(entry->id) || entry->id.len > ID_MAX) /* blank is never "any" */
        return DEP_FAIL(ADMIN_INPUT);
    is_new = slot_of(set, hash, entry->kind, entry->id)->entry == 0;
    if (is_new)
        DEP_TRY(append(set, entry, hash));
    slot = slot_of(set, hash, entry->kind, entry->id);
    kept = &set->entries[slot->entry - 1];

    int64_t expires = is_new ? entry->expires : expires_of(kept);

    if (!is_new && expires > 0 && (entry->expires <= 0 || entry->expires > expires))
        expires = entry->expires;
    if (is_new || entry->before > kept->before)
        kept->before = entry->before;
    kept->life_s = life_from(kept->before, expires);
    return DEP_OK;
}

size_t dep_revocations_count(const struct dep_revocations *set)
{
    return set->count;
}

size_t dep_revocations_bytes(const struct dep_revocations *set)
{
    return sizeof(*set) + set->count_max * sizeof(struct entry) + set->texts_max + index_bytes(set->slots_count);
}

static bool covers(const struct dep_revocations *set, enum dep_revoked_kind kind, struct dep_str id, int64_t iat)
{
    const struct slot *slot;
    uint64_t hash;

    if (dep_str_is_blank(id))
        return false;
    hash = hash_of(kind, id);
    if (!may_have(set, hash))
        return false;
    slot = slot_of(set, hash, kind, id);
    /* A jti names one token: whatever descends from it is dead, also what was being issued at that moment (D27). */
    return slot->entry != 0 && (kind == DEP_REVOKED_JTI || iat <= set->entries[slot->entry - 1].before);
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

static bool is_over(const struct entry *entry, int64_t now)
{
    int64_t expires = expires_of(entry);

    return expires > 0 && expires < now;
}

/* Entry by entry, without what is over. */
static struct dep_revocations *copy_live(const struct dep_revocations *set, size_t live, int64_t now)
{
    struct dep_revocations *copy = dep_revocations_new(live);
    struct dep_revocation entry;

    for (size_t i = 0; copy != NULL && i < set->count; i++) {
        if (is_over(&set->entries[i], now) || !dep_revocations_at(set, i, &entry))
            continue;
        if (!dep_is_ok(dep_revocations_add(copy, &entry))) {
            dep_revocations_free(copy);
            return NULL;
        }
    }
    return copy;
}

static void *block_copy(const void *block, size_t bytes)
{
    void *copy = malloc(bytes > 0 ? bytes : 1);

    if (copy != NULL && bytes > 0)
        memcpy(copy, block, bytes);
    return copy;
}

static struct dep_revocations *copy_blocks(const struct dep_revocations *set)
{
    struct dep_revocations *copy = block_copy(set, sizeof(*set));

    if (copy == NULL)
        return NULL;
    copy->entries = block_copy(set->entries, set->count * sizeof(struct entry));
    copy->texts = block_copy(set->texts, set->texts_len);
    copy->slots = block_copy(set->slots, index_bytes(set->slots_count));
    copy->count_max = set->count;
    copy->texts_max = set->texts_len;
    if (copy->entries == NULL || copy->texts == NULL || copy->slots == NULL) {
        dep_revocations_free(copy);
        return NULL;
    }
    copy->filter = (unsigned char *)(copy->slots + copy->slots_count);
    return copy;
}

struct dep_revocations *dep_revocations_copy(const struct dep_revocations *set, int64_t now)
{
    size_t over = 0;

    for (size_t i = 0; i < set->count; i++)
        over += is_over(&set->entries[i], now);
    /* A few dead entries cover nothing that lives, and cost less than building the set anew for each revocation. */
    return over > set->count / 8 ? copy_live(set, set->count - over, now) : copy_blocks(set);
}

bool dep_revocations_at(const struct dep_revocations *set, size_t i, struct dep_revocation *ret_entry)
{
    enum dep_revoked_kind kind;
    struct dep_str id;

    if (i >= set->count)
        return false;
    id = text_of(set, &set->entries[i], &kind);
    *ret_entry = (struct dep_revocation){ kind, id, set->entries[i].before, expires_of(&set->entries[i]) };
    return true;
}

/* Copies of tokens, as a struct with its texts behind it, and packed: numbers, the length of each text, the texts. */
#include "guard/token_copy.h"

#include <stddef.h>
#include <string.h>

/* Texts that stand side by side in the struct: one, several, or as many as `count` says. */
struct run {
    size_t at;    /* offset of the first */
    size_t count; /* offset of their number; 0: always `max` */
    size_t max;
};

#define FIXED(first, last)                                                                                      \
    {                                                                                                           \
        offsetof(struct dep_token, first), 0,                                                                   \
            (offsetof(struct dep_token, last) - offsetof(struct dep_token, first)) / sizeof(struct dep_str) + 1 \
    }
#define LIST(items, items_count, items_max)                                                   \
    {                                                                                         \
        offsetof(struct dep_token, items), offsetof(struct dep_token, items_count), items_max \
    }

/* Every text of the token, once. */
static const struct run runs[] = {
    FIXED(iss, jti),
    LIST(aud, aud_count, DEP_AUDIENCES_MAX),
    FIXED(scope, scope),
    FIXED(jkt, x5t),
    LIST(actors, actors_count, DEP_ACT_DEPTH_MAX),
    LIST(lineage, lineage_count, DEP_LINEAGE_MAX),
    LIST(origins, origins_count, DEP_ORIGINS_MAX),
    LIST(resources, resources_count, DEP_AUDIENCES_MAX),
    FIXED(may_act, acr),
    FIXED(details, details),
};

#define RUNS (sizeof(runs) / sizeof(runs[0]))
#define RUNS_ROOM 16u /* no padding */
#define LEN_ABSENT UINT16_MAX

/* A new member of the struct needs its place here. */
_Static_assert(sizeof(struct dep_token) ==
                   (16 + 2 * DEP_AUDIENCES_MAX + DEP_ACT_DEPTH_MAX + DEP_LINEAGE_MAX + DEP_ORIGINS_MAX) *
                           sizeof(struct dep_str) +
                       5 * sizeof(size_t) + 4 * sizeof(int64_t),
               "16 texts, 5 lists and 4 numbers");

struct packed {
    int64_t iat, nbf, exp, auth_time;
    unsigned char counts[RUNS_ROOM]; /* the rest is 0 */
};
_Static_assert(RUNS <= RUNS_ROOM, "more runs");

static size_t run_count(const struct run *run, const struct dep_token *token)
{
    size_t count = run->max;

    if (run->count != 0)
        memcpy(&count, (const char *)token + run->count, sizeof(count));
    return count;
}

static const struct dep_str *run_texts(const struct run *run, const struct dep_token *token)
{
    return (const struct dep_str *)(const void *)((const char *)token + run->at);
}

size_t dep_token_copy_bytes(const struct dep_token *token)
{
    size_t bytes = sizeof(*token);

    for (size_t i = 0; i < RUNS; i++)
        for (size_t k = 0; k < run_count(&runs[i], token); k++)
            bytes += run_texts(&runs[i], token)[k].len;
    return bytes;
}

struct dep_token *dep_token_copy(const struct dep_token *token, void *memory)
{
    struct dep_token *copy = memory;
    char *at = (char *)(copy + 1);

    *copy = *token;
    for (size_t i = 0; i < RUNS; i++) {
        struct dep_str *texts = (struct dep_str *)(void *)((char *)copy + runs[i].at);

        for (size_t k = 0; k < run_count(&runs[i], token); k++) {
            if (texts[k].ptr == NULL)
                continue;
            /* An empty text that is there keeps a pointer, which must not dangle. */
            if (texts[k].len > 0)
                memcpy(at, texts[k].ptr, texts[k].len);
            texts[k].ptr = texts[k].len > 0 ? at : "";
            at += texts[k].len;
        }
    }
    return copy;
}

static bool pack_len(struct dep_buf *buf, struct dep_str text)
{
    uint16_t len = text.ptr == NULL ? LEN_ABSENT : (uint16_t)text.len;

    dep_buf_put(buf, dep_str((const char *)&len, sizeof(len)));
    return text.len < LEN_ABSENT;
}

size_t dep_token_pack(const struct dep_token *token, void *memory, size_t max)
{
    struct packed head = { .iat = token->iat, .nbf = token->nbf, .exp = token->exp, .auth_time = token->auth_time };
    bool is_good = true;
    struct dep_buf buf;

    dep_buf_init(&buf, memory, max);
    for (size_t i = 0; i < RUNS; i++)
        head.counts[i] = (unsigned char)run_count(&runs[i], token);
    dep_buf_put(&buf, dep_str((const char *)&head, sizeof(head)));
    for (size_t i = 0; i < RUNS; i++)
        for (size_t k = 0; k < head.counts[i]; k++)
            is_good = pack_len(&buf, run_texts(&runs[i], token)[k]) && is_good;
    for (size_t i = 0; i < RUNS; i++)
        for (size_t k = 0; k < head.counts[i]; k++)
            dep_buf_put(&buf, run_texts(&runs[i], token)[k]);
    return is_good && !buf.has_failed ? dep_buf_str(&buf).len : 0;
}

/* The counts into the token, and the number of all texts. */
static bool unpack_counts(const struct packed *head, struct dep_token *token, size_t *ret_texts)
{
    size_t all = 0;

    for (size_t i = 0; i < RUNS; i++) {
        size_t count = head->counts[i];

        if (count > runs[i].max || (runs[i].count == 0 && count != runs[i].max))
            return false;
        if (runs[i].count != 0)
            memcpy((char *)token + runs[i].count, &count, sizeof(count));
        all += count;
    }
    for (size_t i = RUNS; i < RUNS_ROOM; i++)
        if (head->counts[i] != 0)
            return false;
    *ret_texts = all;
    return true;
}

bool dep_token_unpack(struct dep_str packed, struct dep_token *ret_token)
{
    struct dep_token token = { 0 };
    struct packed head;
    size_t texts, lens = sizeof(head), at;

    if (packed.len < sizeof(head))
        return false;
    memcpy(&head, packed.ptr, sizeof(head));
    token.iat = head.iat;
    token.nbf = head.nbf;
    token.exp = head.exp;
    token.auth_time = head.auth_time;
    if (!unpack_counts(&head, &token, &texts) || texts > (packed.len - lens) / sizeof(uint16_t))
        return false;
    at = lens + texts * sizeof(uint16_t);
    for (size_t i = 0; i < RUNS; i++) {
        struct dep_str *into = (struct dep_str *)(void *)((char *)&token + runs[i].at);

        for (size_t k = 0; k < head.counts[i]; k++, lens += sizeof(uint16_t)) {
            uint16_t len;

            memcpy(&len, packed.ptr + lens, sizeof(len));
            if (len == LEN_ABSENT)
                continue;
            if (len > packed.len - at)
                return false;
            into[k] = dep_str(packed.ptr + at, len);
            at += len;
        }
    }
    if (at != packed.len)
        return false;
    *ret_token = token;
    return true;
}

/* The revocation set of a guard: 100,000 live entries, and tokens that none of them names, which is what nearly every request asks.
 * Prints "name=figure", the best of several rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/revocation.h"

#define ENTRIES 100000u
#define ROUNDS 7u
#define CHECKS 1000000u
#define NOW INT64_C(1800000000)
#define JTI_LEN 22u

/* A user's token that two agents handed on. */
static const struct dep_token plain_token = {
    .sub = DEP_STR_INIT("user:idp:alice"),
    .client_id = DEP_STR_INIT("01JD0000000000000000000001"),
    .iat = NOW,
    .actors = { DEP_STR_INIT("agent:01JD0000000000000000000002"), DEP_STR_INIT("agent:01JD0000000000000000000003") },
    .actors_count = 2,
    .lineage = { DEP_STR_INIT("BBBBBBBBBBBBBBBBBBBBBB"), DEP_STR_INIT("CCCCCCCCCCCCCCCCCCCCCC") },
    .lineage_count = 2,
    .task_id = DEP_STR_INIT("trip-42.find"),
    .parent_task_id = DEP_STR_INIT("trip-42"),
    .org_id = DEP_STR_INIT("acme"),
};

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* As they come: most are tokens; some are agents, clients and tasks. */
static struct dep_revocation entry_of(unsigned i, char *id, size_t size)
{
    struct dep_revocation entry = { DEP_REVOKED_JTI, DEP_STR_ABSENT, NOW, NOW + 3600 };
    int len;

    switch (i % 8) {
    case 5:
        entry.kind = DEP_REVOKED_AGENT;
        len = snprintf(id, size, "agent:%026u", i);
        break;
    case 6:
        entry.kind = DEP_REVOKED_CLIENT;
        len = snprintf(id, size, "%026u", i);
        break;
    case 7:
        entry.kind = DEP_REVOKED_TASK;
        len = snprintf(id, size, "task-%u", i);
        break;
    default:
        len = snprintf(id, size, "%0*u", (int)JTI_LEN, i);
        break;
    }
    entry.id = dep_str(id, (size_t)len);
    return entry;
}

static struct dep_revocations *make(void)
{
    struct dep_revocations *set = dep_revocations_new(ENTRIES), *copy = NULL;
    char id[48];

    for (unsigned i = 0; set != NULL && i < ENTRIES; i++) {
        struct dep_revocation entry = entry_of(i, id, sizeof(id));

        if (!dep_is_ok(dep_revocations_add(set, &entry)))
            return NULL;
    }
    /* What a guard holds after the next delta is a copy. */
    if (set != NULL)
        copy = dep_revocations_copy(set, NOW);
    dep_revocations_free(set);
    return copy;
}

int main(void)
{
    struct dep_revocations *set = make();
    struct dep_token token = plain_token;
    char jti[JTI_LEN + 1];
    unsigned covered = 0;
    double best = 0;

    if (set == NULL)
        return 1;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t start, took = 0;

        for (unsigned i = 0; i < CHECKS; i += 1000) {
            /* Another token each time, so that the answer is not in the nearest cache; making it does not count. */
            (void)snprintf(jti, sizeof(jti), "x%0*u", (int)JTI_LEN - 1, round * CHECKS + i);
            token.jti = dep_str(jti, JTI_LEN);
            start = now_ns();
            for (unsigned k = 0; k < 1000; k++) {
                jti[1] = (char)('a' + k % 26);
                jti[2] = (char)('a' + k / 26);
                covered += dep_revocations_cover(set, &token);
            }
            took += now_ns() - start;
        }
        if (round == 0 || (double)took / CHECKS < best)
            best = (double)took / CHECKS;
    }
    if (covered > 0) {
        (void)fprintf(stderr, "micro_revocation: a token that nobody revoked counts as revoked\n");
        return 1;
    }
    (void)printf("revocation_check=%.0f\nrevocation_entry_bytes=%.1f\n", best,
                 (double)dep_revocations_bytes(set) / ENTRIES);
    dep_revocations_free(set);
    return 0;
}

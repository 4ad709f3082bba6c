/* The revocation feed's payload: what cannot be read changes nothing, what can is a set that never shrinks by a delta. */
#include "fuzz/fuzz.h"
#include "guard/follow_feed.h"

#define NOW INT64_C(1800000000)

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    static const struct dep_revocation known = { DEP_REVOKED_JTI, DEP_STR_INIT("known"), NOW, NOW + 3600 };
    const struct dep_token token = { .iat = NOW - 5, .jti = DEP_STR("known") };
    struct dep_revocations *old = dep_revocations_new(1);
    struct dep_guard_feed_answer answer = { 0 };
    struct dep_str text = dep_fuzz_text(data, size), payload;
    struct dep_arena arena;

    if (size <= 65536 && old != NULL && dep_is_ok(dep_revocations_add(old, &known))) {
        dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
        /* No key, no payload. */
        DEP_FUZZ_CHECK(!dep_is_ok(dep_guard_feed_open(&arena, NULL, NULL, text, &payload)));
        if (dep_is_ok(dep_guard_feed_apply(&arena, text, old, 7, NOW, &answer)))
            DEP_FUZZ_CHECK(answer.is_full ||
                           (answer.version >= 7 && (answer.set == NULL || dep_revocations_cover(answer.set, &token))));
        else
            DEP_FUZZ_CHECK(answer.set == NULL);
        DEP_FUZZ_CHECK(dep_revocations_cover(old, &token));
        dep_arena_reset(&arena);
    }
    dep_revocations_free(answer.set);
    dep_revocations_free(old);
}

/* Distinguished names: the form of a name is a text of the same name, and has nothing that a reader could take in two ways. */
#include "fuzz/fuzz.h"
#include "proto/dn.h"

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size), form, again;
    struct dep_arena arena;

    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_is_ok(dep_dn_normalise(&arena, text, &form))) {
        DEP_FUZZ_CHECK(form.len >= 3 && form.len <= 3 * text.len);
        DEP_FUZZ_CHECK(dep_str_is_utf8(form) && !dep_str_has(form, '\0') && !dep_str_has(form, '"'));
        DEP_FUZZ_CHECK(dep_is_ok(dep_dn_normalise(&arena, form, &again)) && dep_str_eq(form, again));
    }
    dep_arena_reset(&arena);
}

/* Names and paths of claims, and SPIFFE IDs: what is accepted is in its one form, and a path leads where its parts lead one by one. The input:
 * a name, a newline, claims as JSON. */
#include "fuzz/fuzz.h"
#include "proto/claim.h"
#include "proto/spiffe.h"

static void check_spiffe(struct dep_str id)
{
    struct dep_str domain;

    if (!dep_spiffe_domain(id, &domain))
        return;
    DEP_FUZZ_CHECK(dep_spiffe_is_domain(domain) && !dep_spiffe_is_domain(id));
    DEP_FUZZ_CHECK(dep_str_starts(id, domain) && id.len > domain.len + 1 && id.ptr[domain.len] == '/');
    for (size_t i = 0; i < id.len; i++)
        DEP_FUZZ_CHECK(id.ptr[i] > 0x20 && id.ptr[i] < 0x7F && id.ptr[i] != '%' && id.ptr[i] != '?' &&
                       id.ptr[i] != '#');
}

static void check_claim(const struct dep_json *claims, struct dep_str name)
{
    const struct dep_json *found = dep_claim_at(claims, name);
    struct dep_str text;

    if (found == NULL)
        return;
    DEP_FUZZ_CHECK(dep_claim_name_is_good(name));
    if (name.ptr[0] != '/')
        DEP_FUZZ_CHECK(found == dep_json_get(claims, name));
    if (!dep_is_ok(dep_json_str(found, &text)))
        return;
    check_spiffe(text);
    /* Exactly its own text; a pattern means what is below it, never itself. */
    bool is_pattern = dep_str_starts(text, DEP_STR("spiffe://")) && dep_str_ends(text, DEP_STR("/*"));

    DEP_FUZZ_CHECK(dep_claim_is(claims, name, text) != is_pattern);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str rest = dep_fuzz_text(data, size), name;
    struct dep_json *claims = NULL;
    struct dep_arena arena;

    if (size > 65536 || !dep_str_cut(&rest, '\n', &name))
        return;
    check_spiffe(name);
    dep_arena_init_debug(&arena, 1 << 20);
    if (dep_is_ok(dep_json_parse(&arena, rest, 16, &claims)))
        check_claim(claims, name);
    dep_arena_reset(&arena);
}

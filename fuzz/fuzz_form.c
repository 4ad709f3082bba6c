/* Forms: what is read, written and read again is the same. */
#include "fuzz/fuzz.h"
#include "http/form.h"

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size), decoded;
    struct dep_form form, again;
    struct dep_arena arena;
    struct dep_buf buf;

    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_is_ok(dep_percent_decode(&arena, text, false, &decoded)))
        DEP_FUZZ_CHECK(decoded.len <= text.len && dep_str_is_utf8(decoded));
    if (dep_is_ok(dep_form_parse(&arena, text, &form))) {
        DEP_FUZZ_CHECK(form.count <= DEP_FORM_FIELDS_MAX);
        dep_buf_init_arena(&buf, &arena, 3 * text.len + 2 * DEP_FORM_FIELDS_MAX);
        for (size_t i = 0; i < form.count; i++) {
            DEP_FUZZ_CHECK(!dep_str_is_absent(form.fields[i].value) && !dep_str_has(form.fields[i].value, '\0'));
            dep_form_put(&buf, form.fields[i].name, form.fields[i].value);
        }
        DEP_FUZZ_CHECK(!buf.has_failed && dep_is_ok(dep_form_parse(&arena, dep_buf_str(&buf), &again)));
        DEP_FUZZ_CHECK(again.count == form.count);
        for (size_t i = 0; i < form.count; i++)
            DEP_FUZZ_CHECK(dep_str_eq(form.fields[i].name, again.fields[i].name) &&
                           dep_str_eq(form.fields[i].value, again.fields[i].value));
    }
    dep_arena_reset(&arena);
}

/* The strict JSON reader against jansson, and against its own writer. */
#include <jansson.h>
#include <stdlib.h>

#include "base/json.h"
#include "fuzz/fuzz.h"

/* jansson reads numbers into machine types, and no NUL in a name; the strict reader keeps the text. */
static bool may_differ(enum json_error_code code)
{
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
}

/* Reasons that are about form alone, not about limits of our own. */
static bool is_form(struct dep_res res)
{
    return res.err == DEP_ERR_JSON_SYNTAX || res.err == DEP_ERR_JSON_UTF8 || res.err == DEP_ERR_JSON_DUPLICATE;
}

/* What we write reads back as the same text again. */
static struct dep_str rewrite(struct dep_arena *arena, const struct dep_json *value)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 6 * DEP_JSON_BYTES_MAX);
    dep_json_begin(&writer, &buf);
    dep_json_put_value(&writer, value);
    DEP_FUZZ_CHECK(!buf.has_failed);
    return dep_buf_str(&buf);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size);
    struct dep_json *ours = NULL, *again = NULL;
    struct dep_arena arena;
    json_error_t error;

    if (size > DEP_JSON_BYTES_MAX)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);

    struct dep_res res = dep_json_parse(&arena, text, DEP_JSON_DEPTH_MAX, &ours);
    json_t *theirs = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (!dep_is_ok(res)) {
        /* jansson takes a bare NUL for the end of the text. */
        DEP_FUZZ_CHECK(!is_form(res) || theirs == NULL || dep_str_has(text, '\0'));
    } else {
        struct dep_str written = rewrite(&arena, ours);

        DEP_FUZZ_CHECK(dep_is_ok(dep_json_parse_max(&arena, written, DEP_JSON_DEPTH_MAX, written.len, &again)));
        DEP_FUZZ_CHECK(dep_str_eq(written, rewrite(&arena, again)));
        DEP_FUZZ_CHECK(theirs != NULL || may_differ(json_error_code(&error)));
        if (theirs != NULL) {
            json_t *rewritten = json_loadb(written.ptr, written.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

            DEP_FUZZ_CHECK(rewritten != NULL && json_equal(theirs, rewritten));
            json_decref(rewritten);
        }
    }
    json_decref(theirs);
    dep_arena_reset(&arena);
}

/* JSONTestSuite: y_ is accepted, n_ is refused, and i_ as the table here decides. The files stand in a folder of their own; without
 * it the rows are skipped. */
#include <dirent.h>
#include <stdlib.h>

#include "base/json.h"
#include "test/unit.h"

/* Where we differ from y_: this reader never takes a member twice. */
static const struct decision {
    const char *file;
    enum dep_err want;
} decisions[] = {
    { "y_object_duplicated_key.json", DEP_ERR_JSON_DUPLICATE },
    { "y_object_duplicated_key_and_value.json", DEP_ERR_JSON_DUPLICATE },
    /* Numbers stay text; the getters refuse these. */
    { "i_number_double_huge_neg_exp.json", DEP_ERR_NONE },
    { "i_number_huge_exp.json", DEP_ERR_NONE },
    { "i_number_neg_int_huge_exp.json", DEP_ERR_NONE },
    { "i_number_pos_double_huge_exp.json", DEP_ERR_NONE },
    { "i_number_real_neg_overflow.json", DEP_ERR_NONE },
    { "i_number_real_pos_overflow.json", DEP_ERR_NONE },
    { "i_number_real_underflow.json", DEP_ERR_NONE },
    { "i_number_too_big_neg_int.json", DEP_ERR_NONE },
    { "i_number_too_big_pos_int.json", DEP_ERR_NONE },
    { "i_number_very_big_negative_int.json", DEP_ERR_NONE },
    /* Text that is not UTF-8, or would not be. */
    { "i_object_key_lone_2nd_surrogate.json", DEP_ERR_JSON_UTF8 },
    { "i_string_1st_surrogate_but_2nd_missing.json", DEP_ERR_JSON_UTF8 },
    { "i_string_1st_valid_surrogate_2nd_invalid.json", DEP_ERR_JSON_UTF8 },
    { "i_string_UTF-16LE_with_BOM.json", DEP_ERR_JSON_UTF8 },
    { "i_string_UTF-8_invalid_sequence.json", DEP_ERR_JSON_UTF8 },
    { "i_string_UTF8_surrogate_U+D800.json", DEP_ERR_JSON_UTF8 },
    { "i_string_incomplete_surrogate_and_escape_valid.json", DEP_ERR_JSON_UTF8 },
    { "i_string_incomplete_surrogate_pair.json", DEP_ERR_JSON_UTF8 },
    { "i_string_incomplete_surrogates_escape_valid.json", DEP_ERR_JSON_UTF8 },
    { "i_string_invalid_lonely_surrogate.json", DEP_ERR_JSON_UTF8 },
    { "i_string_invalid_surrogate.json", DEP_ERR_JSON_UTF8 },
    { "i_string_invalid_utf-8.json", DEP_ERR_JSON_UTF8 },
    { "i_string_inverted_surrogates_U+1D11E.json", DEP_ERR_JSON_UTF8 },
    { "i_string_iso_latin_1.json", DEP_ERR_JSON_UTF8 },
    { "i_string_lone_second_surrogate.json", DEP_ERR_JSON_UTF8 },
    { "i_string_lone_utf8_continuation_byte.json", DEP_ERR_JSON_UTF8 },
    { "i_string_not_in_unicode_range.json", DEP_ERR_JSON_UTF8 },
    { "i_string_overlong_sequence_2_bytes.json", DEP_ERR_JSON_UTF8 },
    { "i_string_overlong_sequence_6_bytes.json", DEP_ERR_JSON_UTF8 },
    { "i_string_overlong_sequence_6_bytes_null.json", DEP_ERR_JSON_UTF8 },
    { "i_string_truncated-utf-8.json", DEP_ERR_JSON_UTF8 },
    /* UTF-16: no JSON text begins with these bytes. */
    { "i_string_utf16BE_no_BOM.json", DEP_ERR_JSON_UTF8 },
    { "i_string_utf16LE_no_BOM.json", DEP_ERR_JSON_UTF8 },
    { "i_structure_500_nested_arrays.json", DEP_ERR_JSON_DEPTH },
    { "i_structure_UTF-8_BOM_empty_object.json", DEP_ERR_JSON_SYNTAX },
};

static const struct decision *decision_of(const char *file)
{
    for (size_t i = 0; i < DEP_COUNT(decisions); i++)
        if (strcmp(decisions[i].file, file) == 0)
            return &decisions[i];
    return NULL;
}

static struct dep_res parse_file(struct dep_test *t, struct dep_arena *arena, const char *folder, const char *file,
                                 struct dep_json **ret_value)
{
    static char bytes[1 << 19];
    char path[2048];
    FILE *in;
    size_t len;

    dep_test_check(t, snprintf(path, sizeof(path), "%s/%s", folder, file) < (int)sizeof(path), __FILE__, __LINE__, "%s",
                   file);
    in = fopen(path, "rb");
    dep_test_check(t, in != NULL, __FILE__, __LINE__, "cannot open %s", path);
    if (in == NULL)
        return DEP_FAIL(JSON_MISSING);
    len = fread(bytes, 1, sizeof(bytes), in);
    fclose(in);
    dep_test_check(t, len < sizeof(bytes), __FILE__, __LINE__, "%s is too large for this test", file);
    return dep_json_parse_max(arena, dep_str(bytes, len), DEP_JSON_DEPTH_MAX, sizeof(bytes), ret_value);
}

static void check_file(struct dep_test *t, const char *folder, const char *file)
{
    const struct decision *decision = decision_of(file);
    struct dep_json *value = NULL;
    struct dep_arena arena;

    dep_arena_init_debug(&arena, (size_t)1 << 24);

    struct dep_res res = parse_file(t, &arena, folder, file, &value);

    if (decision != NULL)
        dep_test_check(t, res.err == decision->want, __FILE__, __LINE__, "%s is %s, not %s", file,
                       dep_err_name(res.err), dep_err_name(decision->want));
    else if (file[0] == 'y')
        dep_test_check(t, dep_is_ok(res), __FILE__, __LINE__, "%s is %s", file, dep_err_name(res.err));
    else
        dep_test_check(t, file[0] == 'n' && !dep_is_ok(res), __FILE__, __LINE__, "%s is accepted, or undecided", file);
    /* A number beyond int64 must not come out of the getter as another one. */
    if (strncmp(file, "i_number", 8) == 0 && value != NULL) {
        int64_t got = 99;

        DEP_CHECK(t, !dep_is_ok(dep_json_int(value->child, INT64_MIN, INT64_MAX, &got)) && got == 99);
    }
    dep_arena_reset(&arena);
}

static void check_kind(struct dep_test *t, char kind, unsigned files_min)
{
    const char *shared = getenv("DEPUTY_SHARED");
    char folder[1024];
    unsigned files = 0;
    DIR *dir = NULL;

    if (shared != NULL &&
        snprintf(folder, sizeof(folder), "%s/vectors/JSONTestSuite/test_parsing", shared) < (int)sizeof(folder))
        dir = opendir(folder);
    if (dir == NULL) {
        DEP_SKIP(t, "the vectors are not here");
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != kind || entry->d_name[1] != '_')
            continue;
        files++;
        check_file(t, folder, entry->d_name);
    }
    closedir(dir);
    dep_test_check(t, files >= files_min, __FILE__, __LINE__, "only %u files", files);
}

DEP_TEST(what_must_be_accepted)
{
    check_kind(t, 'y', 95);
}

DEP_TEST(what_must_be_refused)
{
    check_kind(t, 'n', 188);
}

DEP_TEST(what_we_decide)
{
    check_kind(t, 'i', 35);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(what_must_be_accepted),
        DEP_ROW(what_must_be_refused),
        DEP_ROW(what_we_decide),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

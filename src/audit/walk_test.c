/* Walking over records, and the filter. */
#include "audit/fixture.h"

static bool stop_at_once(void *context, const struct dep_audit_entry *entry)
{
    *(uint64_t *)context = entry->index;
    return false;
}

DEP_TEST(walks_from_any_record)
{
    struct fixture f;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    for (size_t i = 0; i < 30; i++)
        DEP_CHECK_OK(t, fixture_append(&f, 1));
    for (uint64_t from = 0; from <= 31; from++) {
        struct counted counted = { .from = from, .is_good = true };
        uint64_t stopped = UINT64_MAX;

        DEP_CHECK_OK(t, dep_audit_walk(f.directory, from, count_record, &counted));
        DEP_CHECK(t, counted.is_good && counted.count == (from < 30 ? 30 - from : 0));
        DEP_CHECK_OK(t, dep_audit_walk(f.directory, from, stop_at_once, &stopped));
        DEP_CHECK(t, stopped == (from < 30 ? from : UINT64_MAX));
    }
    DEP_CHECK_FAIL(t, dep_audit_walk("/nowhere/at/all", 0, count_record, NULL), AUDIT_IO);
    fixture_done(&f);
}

DEP_TEST(refuses_what_is_not_json)
{
    struct dep_audit_line line = { .json = DEP_STR("{\"ts\":1") };
    struct counted counted = { .is_good = true };
    struct fixture f;
    uint64_t first;

    fixture_init(&f);
    DEP_CHECK_OK(t, fixture_open(&f));
    dep_merkle_leaf(f.crypto, line.json, line.leaf);
    DEP_CHECK_OK(t, fixture_append(&f, 2));
    DEP_CHECK_OK(t, dep_audit_append(f.log, &line, 1, &first));
    DEP_CHECK_FAIL(t, dep_audit_walk(f.directory, 0, count_record, &counted), AUDIT_SYNTAX);
    DEP_CHECK(t, counted.count == 2);
    fixture_done(&f);
}

static const char record_json[] = "{\"ts\":1700000000,\"id\":\"01J\",\"node\":\"as\",\"event\":\"token.issued\","
                                  "\"outcome\":\"allow\",\"client\":\"c1\","
                                  "\"principal\":\"agent:A\",\"sub\":\"agent:S\",\"chain\":[\"agent:A\",\"agent:B\","
                                  "\"agent:S\"],\"task\":\"t1\",\"parent_task\":\"t0\","
                                  "\"aud\":[\"https://api.example.org/\",\"https://two.example.org/"
                                  "\"],\"token_client\":\"c2\",\"jti\":\"j3\",\"lineage\":[\"j2\",\"j1\"],"
                                  "\"asked_targets\":[\"https://asked.example.org/\"]}";

static const struct {
    struct dep_audit_filter filter;
    bool is_match;
} filter_rows[] = {
    { { .since = 0 }, true },
    { { .principal = DEP_STR_INIT("agent:A") }, true },
    { { .principal = DEP_STR_INIT("agent:B") }, true },
    { { .principal = DEP_STR_INIT("agent:S") }, true },
    { { .principal = DEP_STR_INIT("c1") }, true },
    { { .principal = DEP_STR_INIT("c2") }, true },
    { { .principal = DEP_STR_INIT("agent:") }, false },
    { { .principal = DEP_STR_INIT("agent:a") }, false },
    { { .actor = DEP_STR_INIT("agent:B") }, true },
    { { .actor = DEP_STR_INIT("agent:S") }, true },
    { { .actor = DEP_STR_INIT("c1") }, false },
    { { .task = DEP_STR_INIT("t1") }, true },
    { { .task = DEP_STR_INIT("t0") }, true },
    { { .task = DEP_STR_INIT("t2") }, false },
    { { .jti = DEP_STR_INIT("j3") }, true },
    { { .jti = DEP_STR_INIT("j1") }, true },
    { { .jti = DEP_STR_INIT("j4") }, false },
    { { .resource = DEP_STR_INIT("https://two.example.org/") }, true },
    { { .resource = DEP_STR_INIT("https://asked.example.org/") }, true },
    { { .resource = DEP_STR_INIT("https://api.example.org") }, false },
    { { .event = DEP_STR_INIT("token.issued") }, true },
    { { .event = DEP_STR_INIT("token.refused") }, false },
    { { .event = DEP_STR_INIT("") }, false },
    { { .outcome = DEP_STR_INIT("allow") }, true },
    { { .outcome = DEP_STR_INIT("deny") }, false },
    { { .decision = DEP_STR_INIT("01J") }, true },
    { { .decision = DEP_STR_INIT("01") }, false },
    { { .since = 1700000000, .until = 1700000000 }, true },
    { { .since = 1700000001 }, false },
    { { .until = 1699999999 }, false },
    { { .principal = DEP_STR_INIT("agent:B"), .outcome = DEP_STR_INIT("deny") }, false },
    { { .principal = DEP_STR_INIT("agent:B"), .outcome = DEP_STR_INIT("allow"), .jti = DEP_STR_INIT("j2"), .since = 1 },
      true },
};

DEP_TEST(filters_by_every_field)
{
    static _Alignas(16) unsigned char memory[65536];
    struct dep_arena arena;
    struct dep_json *record, *empty;

    dep_arena_init(&arena, memory, sizeof(memory));
    DEP_CHECK_OK(t, dep_json_parse(&arena, DEP_STR("{}"), 8, &empty));
    DEP_CHECK_OK(t, dep_json_parse(&arena, dep_str_c(record_json), 8, &record));
    for (size_t i = 0; i < DEP_COUNT(filter_rows); i++) {
        bool is_match = dep_audit_matches(&filter_rows[i].filter, record);

        dep_test_check(t, is_match == filter_rows[i].is_match, __FILE__, __LINE__, "row %zu", i);
        DEP_CHECK(t, dep_audit_matches(&filter_rows[i].filter, empty) == (i == 0));
    }
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(walks_from_any_record),
        DEP_ROW(refuses_what_is_not_json),
        DEP_ROW(filters_by_every_field),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

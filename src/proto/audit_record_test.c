/* The audit record: one line whatever callers send, and every field where it belongs. */
#include "proto/audit_record.h"
#include "test/unit.h"

static _Alignas(16) unsigned char memory[65536];
static char text[8192];

static struct dep_str line_of(const struct dep_audit_record *record)
{
    struct dep_buf buf;

    dep_buf_init(&buf, text, sizeof(text));
    dep_audit_record_write(&buf, record);
    return dep_buf_str(&buf);
}

static const struct dep_json *parse(struct dep_str line)
{
    static struct dep_arena arena;
    struct dep_json *json = NULL;

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_is_ok(dep_json_parse(&arena, line, 8, &json)) ? json : NULL;
}

static struct dep_str member(const struct dep_json *json, const char *name)
{
    struct dep_str value = DEP_STR_ABSENT;

    (void)!dep_is_ok(dep_json_str(dep_json_get(json, dep_str_c(name)), &value));
    return value;
}

DEP_TEST(leaves_out_what_is_absent)
{
    const struct dep_audit_record record = { .ts = 1700000000, .event = DEP_STR_INIT("token.refused") };

    DEP_CHECK_STR(t, line_of(&record), "{\"ts\":1700000000,\"event\":\"token.refused\",\"outcome\":\"deny\"}");
}

DEP_TEST(writes_the_token_and_its_chain)
{
    const struct dep_token token = {
        .sub = DEP_STR_INIT("agent:root"),
        .client_id = DEP_STR_INIT("c"),
        .jti = DEP_STR_INIT("j3"),
        .aud = { DEP_STR_INIT("https://a.example"), DEP_STR_INIT("https://b.example") },
        .aud_count = 2,
        .actors = { DEP_STR_INIT("agent:worker"), DEP_STR_INIT("agent:orchestrator") },
        .actors_count = 2,
        .lineage = { DEP_STR_INIT("j2"), DEP_STR_INIT("j1") },
        .lineage_count = 2,
        .exp = 1700000300,
    };
    const struct dep_audit_record record = {
        .ts = 1, .event = DEP_STR_INIT("token.issued"), .is_allowed = true, .token = &token
    };
    struct dep_str line = line_of(&record);
    const struct dep_json *json = parse(line);

    DEP_CHECK(t, json != NULL);
    DEP_CHECK_STR(t, member(json, "outcome"), "allow");
    DEP_CHECK(t, DEP_JSON_GET(json, "reason") == NULL);
    DEP_CHECK_STR(t, DEP_JSON_GET(json, "chain")->raw, "[\"agent:worker\",\"agent:orchestrator\",\"agent:root\"]");
    DEP_CHECK_STR(t, DEP_JSON_GET(json, "lineage")->raw, "[\"j2\",\"j1\"]");
    DEP_CHECK_STR(t, DEP_JSON_GET(json, "aud")->raw, "[\"https://a.example\",\"https://b.example\"]");
    DEP_CHECK_STR(t, DEP_JSON_GET(json, "exp")->raw, "1700000300");
}

DEP_TEST(names_the_rule)
{
    const struct dep_audit_record record = {
        .ts = 1, .event = DEP_STR_INIT("guard.refused"), .rule = DEP_STR_INIT("orders"), .tool = DEP_STR_INIT("delete")
    };

    DEP_CHECK_STR(
        t, line_of(&record),
        "{\"ts\":1,\"event\":\"guard.refused\",\"outcome\":\"deny\",\"rule\":\"orders\",\"tool\":\"delete\"}");
}

/* Log injection: whatever a caller can put into a field stays inside it. */
DEP_TEST(stays_one_line_whatever_is_in_it)
{
    char hostile[256 + 32];
    struct dep_str value = DEP_STR_ABSENT;

    for (unsigned i = 0; i < 256; i++)
        hostile[i] = (char)i;
    memcpy(hostile + 256, "\n{\"ts\":1,\"event\":\"forged\"}\r\n\"}", 31);

    struct dep_str bad = dep_str(hostile, 256 + 31);
    const struct dep_audit_record record = {
        .ts = 1,
        .id = bad,
        .event = DEP_STR_INIT("token.refused"),
        .reason = DEP_ERR_SCOPE_SYNTAX,
        .client = bad,
        .method = bad,
        .path = bad,
        .asked_scope = bad,
        .asked_targets = &bad,
        .asked_targets_count = 1,
        .detail = bad,
    };
    struct dep_str line = line_of(&record);
    unsigned controls = 0;

    DEP_CHECK(t, !dep_str_is_absent(line));
    for (size_t i = 0; i < line.len; i++)
        controls += (unsigned char)line.ptr[i] < 0x20 || (unsigned char)line.ptr[i] > 0x7E;
    DEP_CHECK(t, controls == 0);

    const struct dep_json *json = parse(line);

    DEP_CHECK(t, json != NULL);
    DEP_CHECK_STR(t, member(json, "event"), "token.refused");
    DEP_CHECK_STR(t, member(json, "reason"), "SCOPE_SYNTAX");
    DEP_CHECK(t, dep_json_get(json, DEP_STR("asked_targets"))->count == 1);
    DEP_CHECK_FAIL(t, dep_json_str(DEP_JSON_GET(json, "path"), &value), JSON_NUL); /* the NUL is kept, as an escape */
}

DEP_TEST(keeps_harmless_text_as_it_is)
{
    const struct dep_audit_record record = { .ts = 1, .detail = DEP_STR_INIT("a \"quoted\" word\tand \xc3\xa9") };

    DEP_CHECK_STR(t, member(parse(line_of(&record)), "detail"), "a \"quoted\" word\tand \xc3\xa9");
}

DEP_TEST(a_record_that_does_not_fit_is_no_record)
{
    const struct dep_audit_record record = { .ts = 1, .detail = DEP_STR_INIT("0123456789") };
    struct dep_buf buf;

    dep_buf_init(&buf, text, 40);
    dep_audit_record_write(&buf, &record);
    DEP_CHECK(t, buf.has_failed && dep_str_is_absent(dep_buf_str(&buf)));
    DEP_CHECK(t, line_of(&record).len > 40);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(leaves_out_what_is_absent),
        DEP_ROW(writes_the_token_and_its_chain),
        DEP_ROW(names_the_rule),
        DEP_ROW(stays_one_line_whatever_is_in_it),
        DEP_ROW(keeps_harmless_text_as_it_is),
        DEP_ROW(a_record_that_does_not_fit_is_no_record),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

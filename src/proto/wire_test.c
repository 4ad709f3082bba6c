/* Answers on the wire: one row for every class, one readable answer for every reason. */
#include "proto/wire.h"
#include "test/unit.h"

#define ID "01J00000000000000000000001"

static _Alignas(16) unsigned char memory[65536];
static struct dep_arena arena;

static const struct dep_json *parse(struct dep_str body)
{
    struct dep_json *json = NULL;

    return dep_is_ok(dep_json_parse(&arena, body, 8, &json)) ? json : NULL;
}

static struct dep_str member(const struct dep_json *json, const char *name)
{
    struct dep_str value = DEP_STR_ABSENT;

    (void)!dep_is_ok(dep_json_str(dep_json_get(json, dep_str_c(name)), &value));
    return value;
}

static struct dep_str header(const struct dep_wire_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->headers_count; i++)
        if (dep_str_eq_nocase(answer->headers[i].name, dep_str_c(name)))
            return answer->headers[i].value;
    return DEP_STR_ABSENT;
}

DEP_TEST(every_class_has_a_row)
{
    for (int i = 0; i < DEP_CLASS_COUNT; i++) {
        const struct dep_wire *wire = dep_wire_of((enum dep_class)i);

        DEP_CHECK(t, wire->class == (enum dep_class)i);
        DEP_CHECK(t, wire->status >= 200 && wire->status < 600);
        DEP_CHECK(t, wire->slug != NULL && wire->slug[0] != '\0');
        /* Only what is no failure on the wire has no error code. */
        DEP_CHECK(t, (wire->error == NULL) == (wire->status == 200));
        /* rfc9110: clients repeat 429 and 503 by themselves; nothing else is worth repeating but for a nonce, and what still runs. */
        DEP_CHECK(t, wire->is_retriable == (wire->status == 429 || wire->status == 503 ||
                                            i == (int)DEP_CLASS_USE_DPOP_NONCE || i == (int)DEP_CLASS_IN_FLIGHT));
    }
}

static bool is_error_text(struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (!(c == 0x20 || c == 0x21 || (c >= 0x23 && c <= 0x5B) || (c >= 0x5D && c <= 0x7E)))
            return false;
    }
    return text.len > 0;
}

DEP_TEST(every_reason_can_be_said)
{
    for (int i = DEP_ERR_NONE + 1; i < DEP_ERR_COUNT; i++) {
        enum dep_err reason = (enum dep_err)i;
        struct dep_wire_answer answer;
        const struct dep_json *json;

        dep_arena_reset(&arena);
        DEP_CHECK_OK(t, dep_wire_refuse(&arena, reason, DEP_STR(ID), 0, &answer));
        DEP_CHECK_STR(t, header(&answer, "Cache-Control"), "no-store");
        DEP_CHECK_STR(t, header(&answer, "Deputy-Decision"), ID);
        DEP_CHECK_STR(t, header(&answer, "Content-Type"), "application/json");
        if (dep_err_class(reason) == DEP_CLASS_INACTIVE) {
            DEP_CHECK_STR(t, answer.body, "{\"active\":false}");
            continue;
        }
        json = parse(answer.body);
        dep_test_check(t, is_error_text(member(json, "error_description")) && is_error_text(member(json, "error")),
                       __FILE__, __LINE__, "%s: rfc6749#5.2 does not allow its text", dep_err_name(reason));
        DEP_CHECK_STR(t, member(json, "decision"), ID);
        dep_test_check(t, answer.status >= 400, __FILE__, __LINE__, "%s is answered %d", dep_err_name(reason),
                       answer.status);
    }
}

/* Nobody may learn from the answer what exactly was wrong with a secret or a token. */
DEP_TEST(the_secret_classes_say_one_thing)
{
    for (int i = DEP_ERR_NONE + 1; i < DEP_ERR_COUNT; i++) {
        enum dep_err reason = (enum dep_err)i;

        DEP_CHECK(t, dep_str_eq(dep_wire_description(reason, DEP_CLASS_INVALID_CLIENT),
                                dep_wire_description(DEP_ERR_CLIENT_SECRET, DEP_CLASS_INVALID_CLIENT)));
        DEP_CHECK(t, dep_str_eq(dep_wire_description(reason, DEP_CLASS_INVALID_TOKEN),
                                dep_wire_description(DEP_ERR_JWT_EXPIRED, DEP_CLASS_INVALID_TOKEN)));
    }
    DEP_CHECK(t, !dep_str_eq(dep_wire_description(DEP_ERR_SCOPE_SYNTAX, DEP_CLASS_INVALID_SCOPE),
                             dep_wire_description(DEP_ERR_SCOPE_CEILING, DEP_CLASS_INVALID_SCOPE)));
}

DEP_TEST(problems_have_their_members)
{
    static const char *const names[] = { "type", "title", "detail", "code", "trace_id" };

    for (int i = DEP_ERR_NONE + 1; i < DEP_ERR_COUNT; i++) {
        struct dep_wire_answer answer;
        const struct dep_json *json;
        int64_t status = 0;
        bool is_retriable, is_timed;

        dep_arena_reset(&arena);
        DEP_CHECK_OK(t, dep_wire_problem(&arena, (enum dep_err)i, DEP_STR_ABSENT, DEP_STR(ID), &answer));
        DEP_CHECK_STR(t, header(&answer, "Content-Type"), "application/problem+json");
        json = parse(answer.body);
        for (size_t k = 0; k < DEP_COUNT(names); k++)
            dep_test_check(t, !dep_str_is_blank(member(json, names[k])), __FILE__, __LINE__, "%s has no %s",
                           dep_err_name((enum dep_err)i), names[k]);
        DEP_CHECK(t, dep_str_starts(member(json, "type"), DEP_STR("urn:deputy:error:")));
        DEP_CHECK_STR(t, member(json, "code"), dep_err_name((enum dep_err)i));
        DEP_CHECK_OK(t, dep_json_int(DEP_JSON_GET(json, "status"), 200, 599, &status));
        DEP_CHECK(t, status == answer.status);
        DEP_CHECK_OK(t, dep_json_bool(DEP_JSON_GET(json, "is_retriable"), &is_retriable));
        is_timed = status == 429 || status == 503 || dep_err_class((enum dep_err)i) == DEP_CLASS_IN_FLIGHT;
        DEP_CHECK(t, is_timed == !dep_str_is_absent(header(&answer, "Retry-After")));
        DEP_CHECK(t, is_timed == dep_json_has(json, DEP_STR("retry_after_ms")));
    }
}

DEP_TEST(a_problem_tells_the_callers_detail)
{
    struct dep_wire_answer answer;

    dep_arena_reset(&arena);
    DEP_CHECK_OK(t,
                 dep_wire_problem(&arena, DEP_ERR_ADMIN_INPUT, DEP_STR("no \"such\" member"), DEP_STR_ABSENT, &answer));
    DEP_CHECK_STR(t, member(parse(answer.body), "detail"), "no \"such\" member");
    DEP_CHECK(t, dep_str_is_absent(header(&answer, "Deputy-Decision")));
    DEP_CHECK(t, DEP_JSON_GET(parse(answer.body), "trace_id") == NULL);
}

DEP_TEST(a_problem_says_what_to_do_next)
{
    static const struct {
        enum dep_err reason;
        int status;
        const char *type;
        bool has_suggestion;
    } rows[] = {
        { DEP_ERR_IDEMPOTENCY_MISSING, 400, "urn:deputy:error:invalid-request", false },
        { DEP_ERR_IDEMPOTENCY_IN_FLIGHT, 409, "urn:deputy:error:idempotency-in-flight", true },
        { DEP_ERR_IDEMPOTENCY_UNKNOWN, 409, "urn:deputy:error:idempotency-outcome-unknown", true },
        { DEP_ERR_IDEMPOTENCY_NOT_KEPT, 409, "urn:deputy:error:idempotency-answer-not-kept", true },
        { DEP_ERR_IDEMPOTENCY_REUSED, 422, "urn:deputy:error:idempotency-key-reused", true },
        { DEP_ERR_LEDGER_QUOTA, 429, "urn:deputy:error:rate-limited", false },
        { DEP_ERR_LEDGER_FULL, 503, "urn:deputy:error:unavailable", false },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_wire_answer answer;
        const struct dep_json *list;

        dep_arena_reset(&arena);
        DEP_CHECK_OK(t, dep_wire_problem(&arena, rows[i].reason, DEP_STR_ABSENT, DEP_STR(ID), &answer));
        DEP_CHECK(t, answer.status == rows[i].status);
        DEP_CHECK_STR(t, member(parse(answer.body), "type"), rows[i].type);
        list = DEP_JSON_GET(parse(answer.body), "suggestions");
        DEP_CHECK(t, (list != NULL && list->child != NULL) == rows[i].has_suggestion);
    }
}

DEP_TEST(retry_after_is_never_zero)
{
    struct dep_wire_answer answer;

    dep_arena_reset(&arena);
    DEP_CHECK_OK(t, dep_wire_refuse(&arena, DEP_ERR_OVERLOADED, DEP_STR(ID), 0, &answer));
    DEP_CHECK(t, answer.status == 503);
    DEP_CHECK_STR(t, header(&answer, "Retry-After"), "1");
    DEP_CHECK_OK(t, dep_wire_refuse(&arena, DEP_ERR_CLIENT_LOCKED, DEP_STR(ID), 17, &answer));
    DEP_CHECK(t, answer.status == 429);
    DEP_CHECK_STR(t, header(&answer, "Retry-After"), "17");
}

static struct dep_wire_answer refusal(enum dep_err reason, enum dep_class class, enum dep_column column, bool used)
{
    const struct dep_decision decision = { .answer = DEP_ANSWER_REFUSAL,
                                           .reason = reason,
                                           .class = class,
                                           .column = column,
                                           .used_authorization = used,
                                           .nonce = class == DEP_CLASS_USE_DPOP_NONCE ? DEP_STR("n1") : DEP_STR_ABSENT,
                                           .id = DEP_STR(ID) };
    struct dep_wire_answer answer = { .status = 0 };

    dep_arena_reset(&arena);
    DEP_ASSERT(dep_is_ok(dep_wire_write(&arena, &decision, DEP_STR_ABSENT, &answer)));
    return answer;
}

DEP_TEST(headers_that_a_class_brings)
{
    struct dep_wire_answer answer = refusal(DEP_ERR_CLIENT_SECRET, DEP_CLASS_INVALID_CLIENT, DEP_COLUMN_TOKEN, true);

    DEP_CHECK(t, answer.status == 401); /* rfc6749#5.2 */
    DEP_CHECK_STR(t, header(&answer, "WWW-Authenticate"), "Basic realm=\"deputy\"");
    answer = refusal(DEP_ERR_CLIENT_SECRET, DEP_CLASS_INVALID_CLIENT, DEP_COLUMN_TOKEN, false);
    DEP_CHECK(t, dep_str_is_absent(header(&answer, "WWW-Authenticate")));
    answer = refusal(DEP_ERR_HTTP_METHOD, DEP_CLASS_METHOD, DEP_COLUMN_TOKEN, false);
    DEP_CHECK_STR(t, header(&answer, "Allow"), "POST"); /* rfc9110#15.5.6 */
    answer = refusal(DEP_ERR_HTTP_METHOD, DEP_CLASS_METHOD, DEP_COLUMN_FEED, false);
    DEP_CHECK_STR(t, header(&answer, "Allow"), "GET");
    answer = refusal(DEP_ERR_HTTP_METHOD, DEP_CLASS_METHOD, DEP_COLUMN_JWKS, false);
    DEP_CHECK_STR(t, header(&answer, "Allow"), "GET");
    answer = refusal(DEP_ERR_DPOP_NONCE_MISSING, DEP_CLASS_USE_DPOP_NONCE, DEP_COLUMN_TOKEN, false);
    DEP_CHECK_STR(t, header(&answer, "DPoP-Nonce"), "n1"); /* rfc9449#8 */
}

DEP_TEST(the_token_answer)
{
    struct dep_decision decision = { .answer = DEP_ANSWER_TOKEN, .id = DEP_STR(ID) };
    struct dep_wire_answer answer;

    decision.token.iat = 100;
    decision.token.exp = 400;
    decision.token.scope = DEP_STR("read");
    dep_arena_reset(&arena);
    DEP_CHECK_OK(t, dep_wire_write(&arena, &decision, DEP_STR("a.b.c"), &answer));
    DEP_CHECK_STR(t, answer.body,
                  "{\"access_token\":\"a.b.c\",\"token_type\":\"Bearer\",\"expires_in\":300,\"scope\":\"read\"}");
    decision.token.jkt = DEP_STR("0123456789012345678901234567890123456789012");
    decision.is_exchange = true;
    DEP_CHECK_OK(t, dep_wire_write(&arena, &decision, DEP_STR("a.b.c"), &answer));
    DEP_CHECK_STR(t, member(parse(answer.body), "token_type"), "DPoP");
    DEP_CHECK_STR(t, member(parse(answer.body), "issued_token_type"), "urn:ietf:params:oauth:token-type:access_token");
    /* rfc8693#2.2.1: a grant is bound too, and still of no type of use */
    decision.issued = DEP_ISSUED_ID_JAG;
    DEP_CHECK_OK(t, dep_wire_write(&arena, &decision, DEP_STR("a.b.c"), &answer));
    DEP_CHECK_STR(t, member(parse(answer.body), "token_type"), "N_A");
    DEP_CHECK_STR(t, member(parse(answer.body), "issued_token_type"), "urn:ietf:params:oauth:token-type:id-jag");
}

DEP_TEST(small_arenas_fail_and_do_not_lie)
{
    struct dep_wire_answer answer;
    struct dep_arena small;
    size_t limit;

    for (limit = 0; limit < 8192; limit += 16) {
        struct dep_res res;

        dep_arena_init_debug(&small, limit);
        res = dep_wire_problem(&small, DEP_ERR_OVERLOADED, DEP_STR_ABSENT, DEP_STR(ID), &answer);
        DEP_CHECK(t, dep_is_ok(res) ? answer.body.len > 0 : res.err == DEP_ERR_ARENA_FULL);
        dep_arena_reset(&small);
        if (dep_is_ok(res))
            break;
    }
    DEP_CHECK(t, limit > 0 && limit < 8192);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(every_class_has_a_row),
        DEP_ROW(every_reason_can_be_said),
        DEP_ROW(the_secret_classes_say_one_thing),
        DEP_ROW(problems_have_their_members),
        DEP_ROW(a_problem_tells_the_callers_detail),
        DEP_ROW(a_problem_says_what_to_do_next),
        DEP_ROW(retry_after_is_never_zero),
        DEP_ROW(headers_that_a_class_brings),
        DEP_ROW(the_token_answer),
        DEP_ROW(small_arenas_fail_and_do_not_lie),
    };

    dep_arena_init(&arena, memory, sizeof(memory));
    return dep_test_main(rows, DEP_COUNT(rows));
}

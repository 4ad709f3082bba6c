/* Tokens that are bound to a client certificate, at the guard (RFC 8705 section 3; oauth.md T3, T6). */
#include "guard/guard_fixture.h"

/* Nobody parses them here. */
#define MINE DEP_STR("the certificate of this client")
#define ANOTHERS DEP_STR("the certificate of another client")

static void set_up_for(struct fixture *f, enum dep_guard_certificates certificates)
{
    set_up(f);
    f->policy.certificates = certificates;
}

static void ask_with(struct fixture *f, struct dep_str token, struct dep_str certificate)
{
    f->certificate = certificate;
    ask_bearer(f, token);
}

static struct dep_str header_of(struct fixture *f, struct dep_str der)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &f->arena, 2 * der.len + 8);
    dep_buf_put_char(&buf, ':');
    dep_b64_put(&buf, der.ptr, der.len);
    dep_buf_put_char(&buf, ':');
    return dep_buf_str(&buf);
}

/* Through Caddy or Traefik, with as many lines of Client-Cert as there are values. */
static void ask_headers(struct fixture *f, struct dep_str token, const struct dep_str *values, size_t count)
{
    struct dep_header headers[6] = { { DEP_STR("X-Forwarded-Method"), DEP_STR("POST") },
                                     { DEP_STR("X-Forwarded-Uri"), DEP_STR("/mcp") },
                                     { DEP_STR("Authorization"), fmt(f, "Bearer %.*s", DEP_STR_ARG(token)) } };

    for (size_t i = 0; i < count; i++)
        headers[3 + i] = (struct dep_header){ DEP_STR("Client-Cert"), values[i] };
    decide(f, DEP_GUARD_FORWARD_AUTH, headers, 3 + count);
}

static void ask_header(struct fixture *f, struct dep_str token, struct dep_str value)
{
    ask_headers(f, token, &value, 1);
}

static void check_reason(struct dep_test *t, const struct fixture *f, const char *what, enum dep_err reason)
{
    check_refused(t, f, what, 401, "invalid_token");
    dep_test_check(t, f->decision.reason == reason, __FILE__, __LINE__, "%s: %s", what,
                   dep_err_name(f->decision.reason));
    DEP_CHECK_STR(t, dep_str_c(f->decision.check), "token.certificate");
    DEP_CHECK(t, (f->decision.effects & DEP_GUARD_EFFECT_REMEMBER_JTI) == 0);
    /* A proof would not help. */
    DEP_CHECK(t, dep_str_starts(f->decision.www_authenticate, DEP_STR("Bearer error=\"invalid_token\"")));
    DEP_CHECK(t, str_has(f->decision.www_authenticate, "is bound to a client certificate"));
    DEP_CHECK(t, !str_has(f->decision.www_authenticate, "DPoP"));
}

DEP_TEST(T3_the_certificate_of_the_connection)
{
    struct fixture f;

    set_up_for(&f, DEP_GUARD_CERTIFICATES_TLS);

    struct dep_str token = certificate_token(&f, MINE);

    ask_with(&f, token, MINE);
    check_allowed(t, &f, "its own");
    ask_with(&f, token, DEP_STR_ABSENT);
    check_reason(t, &f, "none", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_with(&f, token, DEP_STR(""));
    check_reason(t, &f, "an empty one", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_with(&f, token, ANOTHERS);
    check_reason(t, &f, "another's", DEP_ERR_TOKEN_CERTIFICATE);
    ask_with(&f, token, dep_str_sub(MINE, 0, MINE.len - 1));
    check_reason(t, &f, "a byte less", DEP_ERR_TOKEN_CERTIFICATE);
    /* What is bound to nothing, or to a key, does not ask for one. */
    ask_with(&f, bearer_token(&f), ANOTHERS);
    check_allowed(t, &f, "unbound, with a certificate");
    token = bound_token(&f);
    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "of a key, with a certificate");
    tear_down(&f);
}

/* The cache remembers a token, not who may use it. */
DEP_TEST(A68_a_token_from_the_cache_needs_its_certificate)
{
    struct fixture f;

    set_up_for(&f, DEP_GUARD_CERTIFICATES_TLS);
    f.seen = dep_guard_seen_new(8);

    struct dep_str token = certificate_token(&f, MINE);

    ask_with(&f, token, DEP_STR_ABSENT);
    check_reason(t, &f, "none, before it is known", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_with(&f, token, MINE);
    check_allowed(t, &f, "its own");
    ask_with(&f, token, DEP_STR_ABSENT);
    DEP_CHECK(t, (f.decision.effects & DEP_GUARD_EFFECT_KEEP_TOKEN) == 0); /* it came from the cache */
    check_reason(t, &f, "none", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_with(&f, token, ANOTHERS);
    check_reason(t, &f, "another's", DEP_ERR_TOKEN_CERTIFICATE);
    ask_with(&f, token, MINE);
    check_allowed(t, &f, "its own again");
    f.policy.certificates = DEP_GUARD_CERTIFICATES_NONE;
    ask_with(&f, token, MINE);
    check_reason(t, &f, "at a guard that takes none", DEP_ERR_GUARD_CERTIFICATE);
    tear_down(&f);
}

DEP_TEST(T6_a_header_counts_where_a_proxy_writes_it)
{
    struct fixture f;

    set_up_for(&f, DEP_GUARD_CERTIFICATES_HEADER);

    struct dep_str token = certificate_token(&f, MINE), mine = header_of(&f, MINE);
    const struct dep_str twice[] = { mine, mine }, two[] = { mine, header_of(&f, ANOTHERS) };

    ask_header(&f, token, mine);
    check_allowed(t, &f, "its own");
    ask_headers(&f, token, NULL, 0);
    check_reason(t, &f, "none", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_header(&f, token, DEP_STR(""));
    check_reason(t, &f, "an empty header", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_header(&f, token, DEP_STR(" "));
    check_reason(t, &f, "a blank header", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_header(&f, token, header_of(&f, ANOTHERS));
    check_reason(t, &f, "another's", DEP_ERR_TOKEN_CERTIFICATE);
    ask_header(&f, token, DEP_STR("::"));
    check_refused(t, &f, "no certificate in it", 400, "invalid_request");
    ask_header(&f, token, MINE);
    check_refused(t, &f, "not of its form", 400, "invalid_request");
    ask_headers(&f, token, twice, 2);
    check_refused(t, &f, "twice", 400, "invalid_request");
    ask_headers(&f, token, two, 2);
    check_refused(t, &f, "two", 400, "invalid_request");
    /* What the process itself would know is not the client's: the TLS connection is the proxy's. */
    f.certificate = MINE;
    ask_headers(&f, token, NULL, 0);
    check_reason(t, &f, "the proxy's own", DEP_ERR_TOKEN_NO_CERTIFICATE);
    ask_header(&f, bearer_token(&f), DEP_STR("rubbish"));
    check_allowed(t, &f, "unbound: nobody looks at it");
    tear_down(&f);
}

DEP_TEST(T6_a_header_that_anybody_may_send_proves_nothing)
{
    static const struct {
        enum dep_guard_certificates certificates;
        enum dep_err reason;
    } cases[] = { { DEP_GUARD_CERTIFICATES_NONE, DEP_ERR_GUARD_CERTIFICATE },
                  { DEP_GUARD_CERTIFICATES_TLS, DEP_ERR_TOKEN_NO_CERTIFICATE } };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct fixture f;

        set_up_for(&f, cases[i].certificates);

        struct dep_str token = certificate_token(&f, MINE), mine = header_of(&f, MINE);
        const struct dep_str twice[] = { mine, mine };

        ask_header(&f, token, mine);
        check_reason(t, &f, "its own", cases[i].reason);
        ask_headers(&f, token, twice, 2);
        check_reason(t, &f, "twice", cases[i].reason);
        ask_headers(&f, bearer_token(&f), twice, 2);
        check_allowed(t, &f, "unbound");
        tear_down(&f);
    }
}

/* Another binding is asked for first, so that the challenge says what would help. */
DEP_TEST(a_certificate_is_no_proof)
{
    struct fixture f;

    set_up_for(&f, DEP_GUARD_CERTIFICATES_TLS);

    struct dep_str token = certificate_token(&f, MINE);

    f.certificate = MINE;
    ask_dpop(&f, token, good_proof(&f, token));
    check_refused(t, &f, "B44 with the scheme of a proof", 401, "invalid_token");
    DEP_CHECK(t, f.decision.reason == DEP_ERR_TOKEN_NOT_BOUND);
    f.policy.needs_dpop = true;
    ask_with(&f, token, MINE);
    check_refused(t, &f, "where DPoP is needed", 401, "invalid_token");
    DEP_CHECK(t, f.decision.reason == DEP_ERR_GUARD_UNBOUND);
    DEP_CHECK(t, dep_str_starts(f.decision.www_authenticate, DEP_STR("DPoP ")));
    tear_down(&f);
}

DEP_TEST(a_rule_that_needs_a_bound_token_takes_either)
{
    static const struct dep_str post[] = { DEP_STR_INIT("POST") };
    struct dep_guard_rule row = { .name = DEP_STR("one"),
                                  .methods = { post, 1 },
                                  .path = DEP_STR("/mcp"),
                                  .needs_bound = true,
                                  .depth_max = -1,
                                  .max_age_s = -1 };
    struct dep_guard_rules rules = { .rows = &row, .count = 1 };
    struct dep_guard_rules_fault fault;
    struct dep_str token;
    struct fixture f;

    set_up_for(&f, DEP_GUARD_CERTIFICATES_TLS);
    DEP_CHECK_OK(t, dep_guard_rules_make(&f.arena, &rules, DEP_STR_ABSENT, &fault));
    f.policy.rules = &rules;
    ask_with(&f, certificate_token(&f, MINE), MINE);
    check_allowed(t, &f, "a certificate");
    token = bound_token(&f);
    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "a key");
    ask_with(&f, bearer_token(&f), MINE);
    check_refused(t, &f, "neither", 401, "invalid_token");
    DEP_CHECK(t, f.decision.reason == DEP_ERR_GUARD_NEEDS_BOUND);
    ask_with(&f, certificate_token(&f, MINE), ANOTHERS);
    check_reason(t, &f, "another's", DEP_ERR_TOKEN_CERTIFICATE);
    tear_down(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(T3_the_certificate_of_the_connection),
        DEP_ROW(A68_a_token_from_the_cache_needs_its_certificate),
        DEP_ROW(T6_a_header_counts_where_a_proxy_writes_it),
        DEP_ROW(T6_a_header_that_anybody_may_send_proves_nothing),
        DEP_ROW(a_certificate_is_no_proof),
        DEP_ROW(a_rule_that_needs_a_bound_token_takes_either),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

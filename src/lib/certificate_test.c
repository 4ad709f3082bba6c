/* Tokens that are bound to a client certificate, through the C API (RFC 8705 section 3). */
#include <stddef.h>

#include "lib/lib_fixture.h"

#define MINE "the certificate of this client"
#define ANOTHERS "the certificate of another client"

static struct dep_str mint_certificate(struct world *w)
{
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_buf x5t;

    dep_sha256(w->keys.crypto, DEP_STR(MINE), digest);
    dep_buf_init_arena(&x5t, &w->keys.arena, DEP_B64_ENCODED(sizeof(digest)));
    dep_b64url_put(&x5t, digest, sizeof(digest));
    return mint(w, w->keys.issuer, "k1", "J5",
                fmt(&w->keys, ",\"cnf\":{\"x5t#S256\":\"%.*s\"}", DEP_STR_ARG(dep_buf_str(&x5t))).ptr);
}

/* The reason, with this certificate of the connection and this header; NULL: without. */
static const char *reason_of(struct world *w, struct dep_str token, const char *certificate, const char *header)
{
    struct dep_str bearer = fmt(&w->keys, "Bearer %.*s", DEP_STR_ARG(token));
    const struct deputy_header headers[] = { { { "Authorization", 13 }, text_of(bearer) },
                                             { { "Client-Cert", 11 }, text_of(dep_str_c(header)) } };
    const struct deputy_request request = { .size = sizeof(request),
                                            .method = { "GET", 3 },
                                            .target = { "/mcp", 4 },
                                            .headers = headers,
                                            .headers_count = header == NULL ? 1 : 2,
                                            .certificate = text_of(dep_str_c(certificate)) };
    struct deputy_verdict *verdict = NULL;
    const char *reason;

    DEP_ASSERT(deputy_guard_check(w->guard, &request, &verdict) != DEPUTY_NEEDS);
    reason = deputy_verdict_reason(verdict);
    deputy_verdict_free(verdict);
    return reason;
}

static void check_reason(struct dep_test *t, const char *what, const char *got, const char *want)
{
    dep_test_check(t, strcmp(got, want) == 0, __FILE__, __LINE__, "%s: %s, not %s", what, got, want);
}

static const char *header_of(struct world *w, const char *der)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &w->keys.arena, 2 * strlen(der) + 8);
    dep_b64_put(&buf, der, strlen(der));
    return fmt(&w->keys, ":%.*s:", DEP_STR_ARG(dep_buf_str(&buf))).ptr;
}

static bool has_metadata(const struct world *w)
{
    struct deputy_text text = deputy_guard_metadata(w->guard);

    return str_has(dep_str(text.ptr, text.len), "\"tls_client_certificate_bound_access_tokens\":true");
}

DEP_TEST(T3_the_program_ends_tls)
{
    struct deputy_verdict *verdict = NULL;
    struct dep_str token;
    struct world w;

    set_up_world(&w);
    set(&w, "client-cert", "tls");
    start_ready(&w);
    token = mint_certificate(&w);
    DEP_CHECK(t, has_metadata(&w));
    /* The second time the token comes from the cache (attack case A68). */
    for (unsigned time = 0; time < 2; time++) {
        check_reason(t, "none", reason_of(&w, token, NULL, NULL), "TOKEN_NO_CERTIFICATE");
        check_reason(t, "another's", reason_of(&w, token, ANOTHERS, NULL), "TOKEN_CERTIFICATE");
        check_reason(t, "its own", reason_of(&w, token, MINE, NULL), "NONE");
        check_reason(t, "the caller's word", reason_of(&w, token, NULL, header_of(&w, MINE)), "TOKEN_NO_CERTIFICATE");
    }
    check_reason(t, "unbound", reason_of(&w, mint_good(&w), ANOTHERS, NULL), "NONE");
    DEP_CHECK(t, ask_bearer_token(&w, token, &verdict) == DEPUTY_REFUSE && deputy_verdict_status(verdict) == 401);
    DEP_CHECK(t, str_has(answer_header(verdict, "WWW-Authenticate"), "error=\"invalid_token\""));
    DEP_CHECK(t, str_has(dep_str_c(deputy_verdict_body(verdict).ptr), "is bound to a client certificate"));
    deputy_verdict_free(verdict);
    tear_down_world(&w);
}

DEP_TEST(T6_a_proxy_ends_tls)
{
    struct dep_str token;
    struct world w;

    set_up_world(&w);
    set(&w, "client-cert", "header");
    start_ready(&w);
    token = mint_certificate(&w);
    DEP_CHECK(t, has_metadata(&w));
    for (unsigned time = 0; time < 2; time++) {
        check_reason(t, "none", reason_of(&w, token, NULL, NULL), "TOKEN_NO_CERTIFICATE");
        check_reason(t, "another's", reason_of(&w, token, NULL, header_of(&w, ANOTHERS)), "TOKEN_CERTIFICATE");
        check_reason(t, "its own", reason_of(&w, token, NULL, header_of(&w, MINE)), "NONE");
        check_reason(t, "malformed", reason_of(&w, token, NULL, MINE), "HTTP_CLIENT_CERT");
    }
    check_reason(t, "both", reason_of(&w, token, MINE, header_of(&w, MINE)), "GUARD_CALLER");
    tear_down_world(&w);
}

DEP_TEST(T6_nobody_knows_certificates)
{
    struct dep_str token;
    struct world w;

    set_up_world(&w);
    start_ready(&w);
    token = mint_certificate(&w);
    DEP_CHECK(t, !has_metadata(&w));
    check_reason(t, "none", reason_of(&w, token, NULL, NULL), "GUARD_CERTIFICATE");
    check_reason(t, "the caller's word", reason_of(&w, token, NULL, header_of(&w, MINE)), "GUARD_CERTIFICATE");
    check_reason(t, "unbound", reason_of(&w, mint_good(&w), NULL, header_of(&w, MINE)), "NONE");
    /* A program that gives one and has not said that it would is set up wrongly; it hears so at once. */
    check_reason(t, "given", reason_of(&w, token, MINE, NULL), "GUARD_CALLER");
    tear_down_world(&w);
}

DEP_TEST(a_verdict_names_the_certificate)
{
    struct dep_str bearer;
    struct deputy_verdict *verdict = NULL;
    struct world w;

    set_up_world(&w);
    set(&w, "client-cert", "tls");
    start_ready(&w);
    bearer = fmt(&w.keys, "Bearer %.*s", DEP_STR_ARG(mint_certificate(&w)));

    const struct deputy_header header = { { "Authorization", 13 }, text_of(bearer) };
    struct deputy_request request = { .size = sizeof(request),
                                      .method = { "GET", 3 },
                                      .target = { "/mcp", 4 },
                                      .headers = &header,
                                      .headers_count = 1,
                                      .certificate = text_of(DEP_STR(MINE)) };

    DEP_CHECK(t, deputy_guard_check(w.guard, &request, &verdict) == DEPUTY_ALLOW);
    DEP_CHECK(t, claim_of(verdict, DEPUTY_CERTIFICATE).len == 43 && dep_str_is_absent(claim_of(verdict, DEPUTY_KEY)));
    DEP_CHECK(t, str_has(dep_str(w.records, w.records_len), claim_of(verdict, DEPUTY_CERTIFICATE).ptr));
    deputy_verdict_free(verdict);
    /* A program of before there were certificates: what lies behind its struct is not read. */
    request.size = offsetof(struct deputy_request, certificate);
    DEP_CHECK(t, deputy_guard_check(w.guard, &request, &verdict) == DEPUTY_REFUSE);
    check_reason(t, "older", deputy_verdict_reason(verdict), "TOKEN_NO_CERTIFICATE");
    deputy_verdict_free(verdict);
    tear_down_world(&w);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(T3_the_program_ends_tls),
        DEP_ROW(T6_a_proxy_ends_tls),
        DEP_ROW(T6_nobody_knows_certificates),
        DEP_ROW(a_verdict_names_the_certificate),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

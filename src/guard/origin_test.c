/* Which request the proxy asks about. */
#include "guard/metadata.h"
#include "guard/origin.h"
#include "test/unit.h"

static struct dep_res read_one(enum dep_guard_adapter adapter, const char *method, const char *target,
                               struct dep_str *ret_path)
{
    const bool is_nginx = adapter == DEP_GUARD_AUTH_REQUEST;
    const struct dep_header headers[] = {
        { is_nginx ? DEP_STR("x-original-method") : DEP_STR("x-forwarded-method"), dep_str_c(method) },
        { is_nginx ? DEP_STR("X-ORIGINAL-URL") : DEP_STR("X-Forwarded-URI"), dep_str_c(target) },
    };
    const bool is_said = adapter == DEP_GUARD_IN_PROCESS || adapter == DEP_GUARD_EXT_AUTHZ;
    const struct dep_guard_request request = { .adapter = adapter,
                                               .headers = headers,
                                               .headers_count = is_said ? 0 : DEP_COUNT(headers),
                                               .method = dep_str_c(method),
                                               .target = dep_str_c(target) };
    struct dep_guard_headers read;
    struct dep_str got;

    dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_NONE, &read);
    DEP_TRY(dep_guard_headers_once(&read));
    return dep_guard_origin(&read, &got, ret_path);
}

DEP_TEST(paths)
{
    static const struct {
        const char *method, *target, *path; /* path NULL: refused */
    } cases[] = {
        { "GET", "/mcp", "/mcp" },
        { "GET", "/mcp?a=/b#c", "/mcp" },
        { "GET", "https://evil.example/mcp?x", "/mcp" },
        { "GET", "http://evil.example:81/a/b", "/a/b" },
        { "GET", "https://api.example//mcp", "//mcp" },
        { "GET", "//mcp", "//mcp" },
        { "PROPFIND", "/", "/" },
        { "get", "/", "/" }, /* another method than GET: the proof's htm decides */
        { "GET", "", NULL },
        { "GET", "mcp", NULL },
        { "GET", "https://api.example", NULL },
        { "GET", "*", NULL },
        { "GET", "/a b", NULL },
        { "GET", "/a\tb", NULL },
        { "GET", "/a\x7f", NULL },
        { "GET", "ftp://h/a", NULL },
        { "", "/mcp", NULL },
        { "GET POST", "/mcp", NULL },
        { "G\"T", "/mcp", NULL },
        { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "/mcp", NULL },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++)
        for (unsigned adapter = 0; adapter < DEP_GUARD_ADAPTERS; adapter++) {
            struct dep_str path = DEP_STR_ABSENT;

            if (cases[i].path == NULL) {
                DEP_CHECK_FAIL(t, read_one((enum dep_guard_adapter)adapter, cases[i].method, cases[i].target, &path),
                               GUARD_ORIGIN);
                continue;
            }
            DEP_CHECK_OK(t, read_one((enum dep_guard_adapter)adapter, cases[i].method, cases[i].target, &path));
            DEP_CHECK_STR(t, path, cases[i].path);
        }
}

/* A server that says the request itself believes no header about it. */
DEP_TEST(in_process_reads_no_header)
{
    static const struct dep_header headers[] = {
        { DEP_STR_INIT("X-Original-Method"), DEP_STR_INIT("GET") },
        { DEP_STR_INIT("X-Original-URL"), DEP_STR_INIT("/public") },
        { DEP_STR_INIT("X-Forwarded-Method"), DEP_STR_INIT("GET") },
        { DEP_STR_INIT("X-Forwarded-Uri"), DEP_STR_INIT("/public") },
    };
    struct dep_guard_request request = { .adapter = DEP_GUARD_IN_PROCESS,
                                         .headers = headers,
                                         .headers_count = DEP_COUNT(headers),
                                         .method = DEP_STR("POST"),
                                         .target = DEP_STR("/mcp?a=b") };
    struct dep_guard_headers read;
    struct dep_str method, path;

    dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_NONE, &read);
    DEP_CHECK_OK(t, dep_guard_origin(&read, &method, &path));
    DEP_CHECK_STR(t, method, "POST");
    DEP_CHECK_STR(t, path, "/mcp");

    request.method = request.target = DEP_STR_ABSENT;
    dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_NONE, &read);
    DEP_CHECK_FAIL(t, dep_guard_origin(&read, &method, &path), GUARD_ORIGIN);
}

/* G1: what another adapter reads is the caller's own word, and is not even counted. */
DEP_TEST(each_adapter_reads_its_own_headers_alone)
{
    static const struct dep_header twice[] = {
        { DEP_STR_INIT("X-Original-URL"), DEP_STR_INIT("/a") },
        { DEP_STR_INIT("X-Original-URL"), DEP_STR_INIT("/b") },
        { DEP_STR_INIT("X-Forwarded-Host"), DEP_STR_INIT("a") },
        { DEP_STR_INIT("X-Forwarded-Host"), DEP_STR_INIT("b") },
        { DEP_STR_INIT("Authorization"), DEP_STR_INIT("Bearer") },
        { DEP_STR_INIT("Authorization"), DEP_STR_INIT("Bearer") },
    };
    static const struct {
        enum dep_guard_adapter adapter;
        bool reads_original, reads_forwarded;
    } cases[] = {
        { DEP_GUARD_AUTH_REQUEST, true, false },
        { DEP_GUARD_FORWARD_AUTH, false, true },
        { DEP_GUARD_EXT_AUTHZ, false, false },
        { DEP_GUARD_IN_PROCESS, false, false },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        const bool is_refused[] = { cases[i].reads_original, cases[i].reads_forwarded, true };

        for (size_t pair = 0; pair < DEP_COUNT(is_refused); pair++) {
            const struct dep_guard_request request = { .adapter = cases[i].adapter,
                                                       .headers = &twice[2 * pair],
                                                       .headers_count = 2 };
            struct dep_guard_headers read;

            dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_NONE, &read);
            DEP_CHECK(t, dep_is_ok(dep_guard_headers_once(&read)) == !is_refused[pair]);
        }
    }
}

/* T6: unless the proxy in front writes it, Client-Cert is a word of the caller's, and is not even counted. */
DEP_TEST(a_certificate_is_read_where_a_proxy_writes_it)
{
    static const struct dep_header twice[] = { { DEP_STR_INIT("client-CERT"), DEP_STR_INIT(":YQ==:") },
                                               { DEP_STR_INIT("Client-Cert"), DEP_STR_INIT(":Yg==:") } };

    for (unsigned adapter = 0; adapter < DEP_GUARD_ADAPTERS; adapter++) {
        struct dep_guard_request request = { .adapter = (enum dep_guard_adapter)adapter,
                                             .headers = twice,
                                             .headers_count = 1 };
        struct dep_guard_headers read;

        dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_HEADER, &read);
        DEP_CHECK_STR(t, read.value[DEP_GUARD_CLIENT_CERT], ":YQ==:");
        DEP_CHECK_OK(t, dep_guard_headers_once(&read));
        request.headers_count = 2;
        dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_HEADER, &read);
        DEP_CHECK_FAIL(t, dep_guard_headers_once(&read), HTTP_HEADER_DUPLICATE);
        for (unsigned other = 0; other < DEP_GUARD_CERTIFICATES_HEADER; other++) {
            dep_guard_headers_read(&request, (enum dep_guard_certificates)other, &read);
            DEP_CHECK(t, dep_str_is_absent(read.value[DEP_GUARD_CLIENT_CERT]));
            DEP_CHECK_OK(t, dep_guard_headers_once(&read));
        }
    }
}

/* O07: two names in one line are two names, where the proxy joins lines. */
DEP_TEST(joined_lines_are_two_lines)
{
    static const struct dep_header named[] = { { DEP_STR_INIT("Mcp-Name"), DEP_STR_INIT("search,delete") } };
    static const struct dep_header plain[] = { { DEP_STR_INIT("Mcp-Name"), DEP_STR_INIT("search") } };
    struct dep_guard_request request = { .adapter = DEP_GUARD_EXT_AUTHZ, .headers = named, .headers_count = 1 };
    struct dep_guard_headers read;

    dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_NONE, &read);
    DEP_CHECK_FAIL(t, dep_guard_headers_once(&read), HTTP_HEADER_DUPLICATE);
    request.headers = plain;
    dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_NONE, &read);
    DEP_CHECK_OK(t, dep_guard_headers_once(&read));
    /* Elsewhere a comma is a part of the name, as of a URI. */
    request = (struct dep_guard_request){ .adapter = DEP_GUARD_FORWARD_AUTH, .headers = named, .headers_count = 1 };
    dep_guard_headers_read(&request, DEP_GUARD_CERTIFICATES_NONE, &read);
    DEP_CHECK_OK(t, dep_guard_headers_once(&read));
}

DEP_TEST(metadata_urls)
{
    static const struct {
        const char *resource, *url; /* url NULL: refused */
    } cases[] = {
        { "https://api.example/mcp", "https://api.example/.well-known/oauth-protected-resource/mcp" },
        { "https://api.example/a/b", "https://api.example/.well-known/oauth-protected-resource/a/b" },
        { "https://api.example", "https://api.example/.well-known/oauth-protected-resource" },
        { "https://api.example/", "https://api.example/.well-known/oauth-protected-resource" },
        { "https://api.example/mcp?x=1", NULL },
        { "https://api.example/mcp#x", NULL },
        { "https://u@api.example/mcp", NULL },
        { "urn:x:y", NULL },
    };

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        char memory[256];
        struct dep_buf buf;

        dep_buf_init(&buf, memory, sizeof(memory));

        struct dep_res res = dep_guard_metadata_url(&buf, DEP_STR("https://api.example"), dep_str_c(cases[i].resource));

        DEP_CHECK(t, dep_is_ok(res) == (cases[i].url != NULL));
        if (cases[i].url != NULL)
            DEP_CHECK_STR(t, dep_buf_str(&buf), cases[i].url);
    }
}

DEP_TEST(metadata_documents)
{
    struct dep_guard_metadata metadata = { .resource = DEP_STR("https://api.example/mcp"),
                                           .issuer = DEP_STR("https://as.example") };
    char memory[1024];
    struct dep_buf buf;

    dep_buf_init(&buf, memory, sizeof(memory));
    dep_guard_metadata_put(&buf, &metadata);
    DEP_CHECK_STR(
        t, dep_buf_str(&buf),
        "{\"resource\":\"https://api.example/mcp\",\"authorization_servers\":[\"https://as.example\"],"
        "\"bearer_methods_supported\":[\"header\"],\"dpop_signing_alg_values_supported\":[\"ES256\",\"EdDSA\"],"
        "\"dpop_bound_access_tokens_required\":false}");
    metadata.scopes = DEP_STR("read offline_access write");
    metadata.resource_name = DEP_STR("N");
    metadata.needs_dpop = metadata.has_certificates = true;
    dep_buf_init(&buf, memory, sizeof(memory));
    dep_guard_metadata_put(&buf, &metadata);
    DEP_CHECK_STR(
        t, dep_buf_str(&buf),
        "{\"resource\":\"https://api.example/mcp\",\"resource_name\":\"N\",\"authorization_servers\":["
        "\"https://as.example\"],\"scopes_supported\":[\"read\",\"write\"],\"bearer_methods_supported\":[\"header\"],"
        "\"dpop_signing_alg_values_supported\":[\"ES256\",\"EdDSA\"],\"tls_client_certificate_bound_access_tokens\":"
        "true,"
        "\"dpop_bound_access_tokens_required\":true}");
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(paths),
        DEP_ROW(in_process_reads_no_header),
        DEP_ROW(each_adapter_reads_its_own_headers_alone),
        DEP_ROW(a_certificate_is_read_where_a_proxy_writes_it),
        DEP_ROW(joined_lines_are_two_lines),
        DEP_ROW(metadata_urls),
        DEP_ROW(metadata_documents),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

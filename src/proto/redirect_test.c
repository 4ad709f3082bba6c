/* Redirect URIs. */
#include "proto/redirect.h"
#include "test/unit.h"

DEP_TEST(redirect_uris_that_may_be_registered)
{
    static const struct {
        const char *uri;
        bool is_good;
    } uris[] = {
        { "https://app.example/cb", true },
        { "https://app.example/cb?a=b", true },
        { "http://127.0.0.1/cb", true },
        { "http://[::1]:9/cb", true },
        { "http://localhost:8080/cb", true },
        { "com.example.app:/cb", true },
        { "http://app.example/cb", false },
        { "https://app.example/cb#f", false },
        { "myapp:/cb", false },
        { "javascript:alert(1)", false },
        { "https://user@app.example/cb", false },
        { "https://app.example;x/cb", false },
        { "/cb", false },
        { "", false },
    };

    for (size_t i = 0; i < DEP_COUNT(uris); i++)
        dep_test_check(t, dep_redirect_uri_is_good(dep_str_c(uris[i].uri)) == uris[i].is_good, uris[i].uri, __LINE__,
                       "is good: %d", uris[i].is_good);
    DEP_CHECK(t, dep_redirect_uri_matches(DEP_STR("http://127.0.0.1/cb"), DEP_STR("http://127.0.0.1:4711/cb")));
    DEP_CHECK(t, dep_redirect_uri_matches(DEP_STR("http://[::1]:1/cb"), DEP_STR("http://[::1]/cb")));
    DEP_CHECK(t, !dep_redirect_uri_matches(DEP_STR("http://localhost/cb"), DEP_STR("http://localhost:9/cb")));
    DEP_CHECK(t, !dep_redirect_uri_matches(DEP_STR("http://127.0.0.1/cb"), DEP_STR("http://127.0.0.1/other")));
    DEP_CHECK(t, !dep_redirect_uri_matches(DEP_STR("http://127.0.0.1/cb"), DEP_STR("https://127.0.0.1/cb")));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(redirect_uris_that_may_be_registered),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* SPIFFE IDs: the examples of the standard and what it forbids. */
#include "proto/spiffe.h"
#include "test/unit.h"

static const struct {
    const char *id, *domain; /* NULL: not a workload's id */
} rows[] = {
    { "spiffe://staging.acme.com/payments/mysql", "spiffe://staging.acme.com" },
    { "spiffe://k8s-west.example.com/ns/staging/sa/default", "spiffe://k8s-west.example.com" },
    { "spiffe://acme_1/9eebccd2-12bf-40a6-b262-65fe0487d453", "spiffe://acme_1" },
    { "spiffe://acme/.hidden/..x/A", "spiffe://acme" },
    { "spiffe://acme", NULL },
    { "spiffe://acme/", NULL },
    { "spiffe://acme/a/", NULL },
    { "spiffe://acme//a", NULL },
    { "spiffe://acme/./a", NULL },
    { "spiffe://acme/a/..", NULL },
    { "spiffe://acme/a%20b", NULL },
    { "spiffe://acme/a?x", NULL },
    { "spiffe://acme/a#x", NULL },
    { "spiffe://acme/*", NULL },
    { "spiffe://Acme/a", NULL },
    { "spiffe://acme:80/a", NULL },
    { "spiffe://x@acme/a", NULL },
    { "spiffe:///a", NULL },
    { "SPIFFE://acme/a", NULL },
    { "https://acme/a", NULL },
    { "", NULL },
};

DEP_TEST(ids_of_workloads)
{
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_str domain = DEP_STR_ABSENT;
        bool is_good = dep_spiffe_domain(dep_str_c(rows[i].id), &domain);

        dep_test_check(t, is_good == (rows[i].domain != NULL) && (!is_good || dep_str_eq_c(domain, rows[i].domain)),
                       __FILE__, __LINE__, "%s", rows[i].id);
    }
}

DEP_TEST(ids_of_trust_domains)
{
    DEP_CHECK(t, dep_spiffe_is_domain(DEP_STR("spiffe://acme.example")));
    DEP_CHECK(t, !dep_spiffe_is_domain(DEP_STR("spiffe://acme.example/")));
    DEP_CHECK(t, !dep_spiffe_is_domain(DEP_STR("spiffe://acme.example/a")));
    DEP_CHECK(t, !dep_spiffe_is_domain(DEP_STR("spiffe://")));
    DEP_CHECK(t, !dep_spiffe_is_domain(DEP_STR("https://acme.example")));
}

int main(void)
{
    static const struct dep_test_row table[] = {
        DEP_ROW(ids_of_workloads),
        DEP_ROW(ids_of_trust_domains),
    };

    return dep_test_main(table, DEP_COUNT(table));
}

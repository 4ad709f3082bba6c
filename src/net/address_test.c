/* Address rules, as a table. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "test/unit.h"

static enum dep_net_reach reach(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return dep_net_reach((const struct sockaddr *)&v4);
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        return dep_net_reach((const struct sockaddr *)&v6);
    return (enum dep_net_reach)99;
}

static void check_all(struct dep_test *t, const char *const *rows, size_t count, enum dep_net_reach want)
{
    for (size_t i = 0; i < count; i++)
        dep_test_check(t, reach(rows[i]) == want, __FILE__, __LINE__, "%s is %d", rows[i], (int)reach(rows[i]));
}

DEP_TEST(public_addresses)
{
    static const char *const rows[] = { "1.1.1.1",         "8.8.8.8",         "9.255.255.255",    "11.0.0.0",
                                        "100.63.255.255",  "100.128.0.0",     "126.255.255.255",  "128.0.0.0",
                                        "169.253.255.255", "169.255.0.0",     "172.15.255.255",   "172.32.0.0",
                                        "192.0.1.0",       "192.167.255.255", "192.169.0.0",      "198.17.255.255",
                                        "198.20.0.0",      "223.255.255.255", "2606:4700::1111",  "2a00:1450::1",
                                        "2001:4860::8888", "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8", "2001:200::1",
                                        "3ffe::1" };

    check_all(t, rows, DEP_COUNT(rows), DEP_NET_PUBLIC);
}

DEP_TEST(F04_loopback_addresses)
{
    static const char *const rows[] = { "127.0.0.1", "127.0.0.0",        "127.255.255.255",
                                        "::1",       "::ffff:127.0.0.1", "64:ff9b::127.0.0.1" };

    check_all(t, rows, DEP_COUNT(rows), DEP_NET_LOOPBACK);
}

DEP_TEST(F04_special_addresses)
{
    static const char *const rows[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::2",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0.0.0.0",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    };

    check_all(t, rows, DEP_COUNT(rows), DEP_NET_SPECIAL);
}

DEP_TEST(other_families_are_special)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    DEP_CHECK(t, dep_net_reach((const struct sockaddr *)&name) == DEP_NET_SPECIAL);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(public_addresses),
        DEP_ROW(F04_loopback_addresses),
        DEP_ROW(F04_special_addresses),
        DEP_ROW(other_families_are_special),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

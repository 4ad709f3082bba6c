/* Addresses from text: one address in many forms, and what is none. */
#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

#include "test/unit.h"

static const char *const good[] = {
    "192.0.2.1",
    "0.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "2001:db8::1",
    "2001:DB8:0:0::1",
    "1::",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "::ffff:192.0.2.1",
    "64:ff9b::192.0.2.33",
    "1:2:3:4:5:6:192.0.2.1",
    "fe80::a:b",
};

static const char *const bad[] = {
    "",
    ".",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.4.",
    ".1.2.3.4",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.a",
    "1..2.3",
    "1.2.3.-1",
    " 1.2.3.4",
    "1.2.3.4 ",
    ":",
    ":::",
    "1:",
    ":1",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "12345::",
    "g::",
    "[::1]",
    "fe80::1%eth0",
    "::1.2.3",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::ffff:1.2.3.4.5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "2001:db8::1/64",
};

/* The system's own reader is the witness. */
static size_t system_parse(const char *text, unsigned char bytes[16])
{
    if (inet_pton(AF_INET, text, bytes) == 1)
        return 4;
    return inet_pton(AF_INET6, text, bytes) == 1 ? 16 : 0;
}

DEP_TEST(reads_what_the_system_reads)
{
    for (size_t i = 0; i < DEP_COUNT(good); i++) {
        unsigned char got[DEP_IP_BYTES_MAX] = { 0 }, want[16] = { 0 };
        size_t len = dep_ip_parse(dep_str_c(good[i]), got), want_len = system_parse(good[i], want);

        dep_test_check(t, len > 0 && len == want_len && memcmp(got, want, len) == 0, __FILE__, __LINE__, "%s", good[i]);
    }
}

DEP_TEST(refuses_what_is_no_address)
{
    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        unsigned char got[DEP_IP_BYTES_MAX];

        dep_test_check(t, dep_ip_parse(dep_str_c(bad[i]), got) == 0, __FILE__, __LINE__, "%s", bad[i]);
    }
    DEP_CHECK(t, dep_ip_parse(DEP_STR_ABSENT, (unsigned char[16]){ 0 }) == 0);
    DEP_CHECK(t, dep_ip_parse(dep_str("1.2.3.4\0", 8), (unsigned char[16]){ 0 }) == 0);
}

/* Texts of the characters that addresses are made of: both readers agree on each. */
DEP_TEST(agrees_with_the_system_on_any_text)
{
    static const char letters[] = "01289afF::..g";
    unsigned state = 7;
    unsigned agreed = 0;

    for (unsigned n = 0; n < 200000; n++) {
        unsigned char got[DEP_IP_BYTES_MAX] = { 0 }, want[16] = { 0 };
        char text[24];
        size_t len, want_len, size = 0;

        state = state * 1103515245u + 12345u;
        size = 1 + (state >> 16) % 20;
        for (size_t i = 0; i < size; i++) {
            state = state * 1103515245u + 12345u;
            text[i] = letters[(state >> 16) % (sizeof(letters) - 1)];
        }
        text[size] = '\0';
        len = dep_ip_parse(dep_str_c(text), got);
        want_len = system_parse(text, want);
        agreed += len > 0;
        dep_test_check(t, len == want_len && (len == 0 || memcmp(got, want, len) == 0), __FILE__, __LINE__, "%s", text);
    }
    DEP_CHECK(t, agreed > 100);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(reads_what_the_system_reads),
        DEP_ROW(refuses_what_is_no_address),
        DEP_ROW(agrees_with_the_system_on_any_text),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

/* Which addresses a fetch may connect to. IPv4: a table of what is not public. IPv6: only 2000::/3 is handed out at
 * all, so the table holds the holes in it. */
#include "net/address.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const struct {
    uint32_t net;
    unsigned bits;
} special_v4[] = {
    { 0x00000000, 8 },  /* this network */
    { 0x0a000000, 8 },  /* private */
    { 0x64400000, 10 }, /* shared by carriers */
    { 0xa9fe0000, 16 }, /* link-local; the metadata services of clouds */
    { 0xac100000, 12 }, /* private */
    { 0xc0000000, 24 }, /* IETF protocol assignments */
    { 0xc0000200, 24 }, /* documentation */
    { 0xc0586300, 24 }, /* 6to4 relay anycast, deprecated */
    { 0xc0a80000, 16 }, /* private */
    { 0xc6120000, 15 }, /* benchmarking */
    { 0xc6336400, 24 }, /* documentation */
    { 0xcb007100, 24 }, /* documentation */
    { 0xe0000000, 4 },  /* multicast */
    { 0xf0000000, 4 },  /* reserved, broadcast */
};

static const struct {
    unsigned char net[16];
    unsigned bits;
} special_v6[] = {
    { { 0x20, 0x01, 0x00 }, 23 },       /* IETF protocol assignments: Teredo, ORCHID */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
    { { 0x20, 0x02 }, 16 },             /* 6to4: carries an IPv4 address of the sender's choice */
    { { 0x3f, 0xff, 0x00 }, 20 },       /* documentation */
};

static enum dep_net_reach reach_v4(uint32_t address)
{
    if (address >> 24 == 127)
        return DEP_NET_LOOPBACK;
    for (size_t i = 0; i < sizeof(special_v4) / sizeof(special_v4[0]); i++)
        if ((address ^ special_v4[i].net) >> (32 - special_v4[i].bits) == 0)
            return DEP_NET_SPECIAL;
    return DEP_NET_PUBLIC;
}

static bool has_prefix(const unsigned char *address, const unsigned char *net, unsigned bits)
{
    unsigned bytes = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(address, net, bytes) != 0)
        return false;
    return rest == 0 || (address[bytes] ^ net[bytes]) >> (8 - rest) == 0;
}

static uint32_t last_four(const unsigned char *address)
{
    return (uint32_t)address[12] << 24 | (uint32_t)address[13] << 16 | (uint32_t)address[14] << 8 | address[15];
}

static enum dep_net_reach reach_v6(const unsigned char *address)
{
    static const unsigned char zero[16] = { 0 };
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

    if (memcmp(address, mapped, 12) == 0 || memcmp(address, nat64, 12) == 0)
        return reach_v4(last_four(address));
    if (memcmp(address, zero, 15) == 0 && address[15] == 1)
        return DEP_NET_LOOPBACK;
    if (address[0] >> 5 != 1)
        return DEP_NET_SPECIAL;
    for (size_t i = 0; i < sizeof(special_v6) / sizeof(special_v6[0]); i++)
        if (has_prefix(address, special_v6[i].net, special_v6[i].bits))
            return DEP_NET_SPECIAL;
    return DEP_NET_PUBLIC;
}

enum dep_net_reach dep_net_reach(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        return reach_v4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        return reach_v6(v6.sin6_addr.s6_addr);
    }
    return DEP_NET_SPECIAL;
}

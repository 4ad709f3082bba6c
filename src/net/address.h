/* Which addresses a fetch may connect to (RFC 6890 and the IANA special-purpose registries). */
#ifndef DEP_NET_ADDRESS_H
#define DEP_NET_ADDRESS_H

#include <sys/socket.h>

enum dep_net_reach {
    DEP_NET_PUBLIC,   /* globally reachable unicast */
    DEP_NET_LOOPBACK, /* 127.0.0.0/8, ::1 */
    DEP_NET_SPECIAL,  /* everything else: private, link-local, documentation, multicast, unknown families */
};

/* IPv4 inside IPv6 (mapped, NAT64) is judged by the IPv4 address. */
enum dep_net_reach dep_net_reach(const struct sockaddr *address);

#endif

/* IP addresses as text (RFC 3986 section 3.2.2, RFC 4291 section 2.2). */
#ifndef DEP_BASE_IP_H
#define DEP_BASE_IP_H

#include "base/str.h"

#define DEP_IP_BYTES_MAX 16u

/* The 4 or 16 bytes of an address; 0 for anything else: zones, leading zeros in dotted parts and brackets included. */
size_t dep_ip_parse(struct dep_str text, unsigned char ret_bytes[DEP_IP_BYTES_MAX]);

#endif

/* Which request the proxy asks about: read from the adapter's own headers, and from nothing else (G1, G4). */
#ifndef DEP_GUARD_ORIGIN_H
#define DEP_GUARD_ORIGIN_H

#include "guard/guard.h"

enum dep_guard_slot {
    DEP_GUARD_AUTHORIZATION,
    DEP_GUARD_DPOP,
    DEP_GUARD_ORIGINAL_METHOD,
    DEP_GUARD_ORIGINAL_URL,
    DEP_GUARD_FORWARDED_METHOD,
    DEP_GUARD_FORWARDED_URI,
    DEP_GUARD_FORWARDED_HOST,
    DEP_GUARD_FORWARDED_PROTO,
    DEP_GUARD_WEB_ORIGIN,
    DEP_GUARD_MCP_VERSION,
    DEP_GUARD_MCP_METHOD,
    DEP_GUARD_MCP_NAME,
    DEP_GUARD_CLIENT_CERT, /* CERTIFICATES_HEADER only: else it is a word of the caller's */
    DEP_GUARD_SLOTS
};

/* The headers a guard reads: first value and how often each occurs. */
struct dep_guard_headers {
    struct dep_str value[DEP_GUARD_SLOTS];
    unsigned count[DEP_GUARD_SLOTS];
    struct dep_str method, target; /* of the original request, where the adapter says it */
};

void dep_guard_headers_read(const struct dep_guard_request *request, enum dep_guard_certificates certificates,
                            struct dep_guard_headers *ret_headers);
/* DEP_ERR_HTTP_HEADER_DUPLICATE when one of them occurs twice. Two proofs are the DPoP rows' business (rfc9449#4.3). */
DEP_MUST struct dep_res dep_guard_headers_once(const struct dep_guard_headers *headers);
/* Method and path of the original request: DEP_ERR_GUARD_ORIGIN. */
DEP_MUST struct dep_res dep_guard_origin(const struct dep_guard_headers *headers, struct dep_str *ret_method,
                                         struct dep_str *ret_path);

#endif

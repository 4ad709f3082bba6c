/* Protected-resource metadata (RFC 9728). */
#ifndef DEP_GUARD_METADATA_H
#define DEP_GUARD_METADATA_H

#include "base/buf.h"
#include "base/res.h"

#define DEP_GUARD_METADATA_PATH "/.well-known/oauth-protected-resource"

struct dep_guard_metadata {
    struct dep_str resource, resource_name; /* the name may be absent */
    struct dep_str issuer;
    struct dep_str scopes; /* scopes_supported; blank: left out */
    bool needs_dpop;
    bool has_rsa_proofs;   /* DPoP proofs by RSA keys too */
    bool has_certificates; /* tokens that are bound to client certificates too */
};

/* Where it is: the well-known name goes between `origin` and the resource's path (rfc9728#3.1). DEP_ERR_URL_SYNTAX when
 * the resource is not an URL with an authority, or has a query or fragment; DEP_ERR_BUF_FULL. */
DEP_MUST struct dep_res dep_guard_metadata_url(struct dep_buf *buf, struct dep_str origin, struct dep_str resource);
/* The JSON document. offline_access is never in it (MCP authorization 2026-07-28). */
void dep_guard_metadata_put(struct dep_buf *buf, const struct dep_guard_metadata *metadata);

#endif

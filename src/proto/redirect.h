/* Redirect URIs (oauth-v2-1#2.3, #4.1): which may be registered, when one is the registered one, and what is sent there. */
#ifndef DEP_PROTO_REDIRECT_H
#define DEP_PROTO_REDIRECT_H

#include "base/buf.h"
#include "base/res.h"
#include "http/form.h"

/* https; http on loopback; or a scheme of an app's own, which has a dot in it (RFC 8252 section 7.1). No fragment, no userinfo. */
bool dep_redirect_uri_is_good(struct dep_str uri);
/* Byte for byte; the port of a loopback address alone may be another one (oauth-v2-1#8.4.2). */
bool dep_redirect_uri_matches(struct dep_str registered, struct dep_str asked);
/* For people: the host, or the scheme where there is none. */
struct dep_str dep_redirect_uri_host(struct dep_str uri);
/* What a Content-Security-Policy names for forms that end there: scheme, host and port, or the scheme. */
void dep_redirect_uri_put_origin(struct dep_buf *buf, struct dep_str uri);
/* The URI with fields in its query, those without a value left out. DEP_ERR_ARENA_FULL. */
DEP_MUST struct dep_res dep_redirect_url(struct dep_arena *arena, struct dep_str uri,
                                         const struct dep_form_field *fields, size_t count, struct dep_str *ret_url);

#endif

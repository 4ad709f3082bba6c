/* The issuer's metadata (RFC 8414). Addresses come from the configuration and from metadata that names the configured
 * issuer; nothing that a token says leads to a connection (attack cases A26, A32). */
#include "guard/follow.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/url.h"

#define WELL_KNOWN "/.well-known/oauth-authorization-server"

struct dep_res dep_follow_metadata_url(struct dep_arena *arena, struct dep_str issuer, struct dep_str *ret_url)
{
    struct dep_url url;
    struct dep_buf buf;

    DEP_TRY(dep_url_parse(issuer, &url));
    if (!dep_str_is_absent(url.query) || !dep_str_is_absent(url.fragment) || !dep_str_is_absent(url.userinfo))
        return DEP_FAIL(URL_SYNTAX);
    dep_buf_init_arena(&buf, arena, issuer.len + sizeof(WELL_KNOWN));
    dep_buf_put(&buf, dep_str_sub(issuer, 0, issuer.len - url.path.len));
    dep_buf_put_c(&buf, WELL_KNOWN);
    if (!dep_str_eq(url.path, DEP_STR("/")))
        dep_buf_put(&buf, url.path);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_url = dep_buf_str(&buf);
    return DEP_OK;
}

struct dep_res dep_follow_metadata_read(struct dep_arena *arena, struct dep_str issuer, struct dep_str text,
                                        struct dep_str *ret_jwks_uri)
{
    struct dep_json *json = NULL;
    struct dep_str name, url;

    if (!dep_is_ok(dep_json_parse_max(arena, text, DEP_JSON_DEPTH_MAX, DEP_FOLLOW_DOCUMENT_MAX, &json)) ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(json, "issuer"), &name)) || !dep_str_eq(name, issuer) ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(json, "jwks_uri"), &url)))
        return DEP_FAIL(METADATA_SYNTAX);
    url = dep_arena_dup(arena, url); /* the body goes away */
    if (dep_str_is_absent(url))
        return DEP_FAIL(ARENA_FULL);
    *ret_jwks_uri = url;
    return DEP_OK;
}

/* Checks of what a guard is told, and the texts made of it. */
#include "guard/setup.h"

#include "base/buf.h"
#include "base/url.h"
#include "guard/metadata.h"
#include "proto/scope.h"

#define DOCUMENT_MAX 8192u
#define TEXT_MAX 4096u
#define ORIGIN_MAX 1024u

static bool is_base_url(struct dep_str text, bool may_have_path)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(text, &url)) && dep_str_is_absent(url.query) && dep_str_is_absent(url.fragment) &&
           dep_str_is_absent(url.userinfo) &&
           (may_have_path || url.path.len == 0 || dep_str_eq(url.path, DEP_STR("/"))) &&
           (dep_str_eq_nocase(url.scheme, DEP_STR("https")) || dep_str_eq_nocase(url.scheme, DEP_STR("http")));
}

static bool is_secure(struct dep_str issuer, bool may_loopback)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(issuer, &url)) &&
           (dep_str_eq_nocase(url.scheme, DEP_STR("https")) || (may_loopback && dep_url_is_loopback(&url)));
}

struct dep_guard_fault dep_guard_setup_check(const struct dep_guard_setup *setup)
{
    if (dep_str_is_blank(setup->resource) || !is_base_url(setup->resource, true))
        return (struct dep_guard_fault){ "resource", "an absolute http(s) URL without query and fragment is needed" };
    if (dep_str_is_blank(setup->issuer) || !is_base_url(setup->issuer, true))
        return (struct dep_guard_fault){ "issuer", "the authorization server's issuer URL is needed" };
    if (!is_secure(setup->issuer, setup->may_loopback))
        return (struct dep_guard_fault){
            "issuer", "https is needed; plain http goes over loopback only, and only when that is allowed"
        };
    if (!dep_str_is_blank(setup->public_url) && !is_base_url(setup->public_url, false))
        return (struct dep_guard_fault){ "public-url",
                                         "a scheme and an authority are needed, as in https://api.example" };
    if (!dep_str_is_blank(setup->scopes) && !dep_is_ok(dep_scope_check(setup->scopes)))
        return (struct dep_guard_fault){ "scope", "not a list of scopes" };
    if (dep_scope_has(setup->scopes, DEP_STR("offline_access")))
        return (struct dep_guard_fault){ "scope", "offline_access says nothing to a resource; leave it out" };
    return (struct dep_guard_fault){ NULL, NULL };
}

static struct dep_res origin_of(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_origin)
{
    struct dep_str url;

    DEP_TRY(dep_url_normalise(arena, text, &url)); /* "https://host[:port]/path" */

    size_t authority = dep_str_find(url, '/') + 2;

    *ret_origin = dep_str_sub(url, 0, authority + dep_str_find(dep_str_sub(url, authority, url.len), '/'));
    return DEP_OK;
}

static struct dep_str join(struct dep_arena *arena, const char *prefix, struct dep_str rest, size_t max)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, max);
    dep_buf_put_c(&buf, prefix);
    dep_buf_put(&buf, rest);
    return dep_buf_str(&buf);
}

struct dep_res dep_guard_texts(struct dep_arena *arena, const struct dep_guard_setup *setup,
                               struct dep_guard_texts *ret_texts)
{
    const struct dep_guard_metadata metadata = {
        .resource = setup->resource,
        .resource_name = setup->resource_name,
        .issuer = setup->issuer,
        .scopes = setup->scopes_offered,
        .needs_dpop = setup->needs_dpop,
        .has_rsa_proofs = setup->has_rsa_proofs,
        .has_certificates = setup->certificates != DEP_GUARD_CERTIFICATES_NONE,
    };
    size_t authority = dep_str_find(setup->resource, '/') + 2;
    struct dep_guard_texts texts;
    struct dep_buf document, url;

    DEP_TRY(origin_of(arena, dep_str_is_blank(setup->public_url) ? setup->resource : setup->public_url, &texts.origin));
    dep_buf_init_arena(&url, arena, TEXT_MAX);
    DEP_TRY(dep_guard_metadata_url(&url, texts.origin, setup->resource));
    texts.metadata_url = dep_buf_str(&url);
    texts.metadata_path = dep_str_sub(dep_buf_str(&url), texts.origin.len, url.len);
    dep_buf_init_arena(&document, arena, DOCUMENT_MAX);
    dep_guard_metadata_put(&document, &metadata);
    texts.metadata = dep_buf_str(&document);
    texts.node = join(arena, "guard ", setup->resource, TEXT_MAX);
    texts.log_origin =
        join(arena, "deputy/guard/", dep_str_sub(setup->resource, authority, setup->resource.len), ORIGIN_MAX);
    if (dep_str_is_absent(texts.metadata) || dep_str_is_absent(texts.node) || dep_str_is_absent(texts.log_origin))
        return DEP_FAIL(BUF_FULL);
    *ret_texts = texts;
    return DEP_OK;
}

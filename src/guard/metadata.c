/* Protected-resource metadata (RFC 9728 sections 2 and 3.1). */
#include "guard/metadata.h"

#include "base/json.h"
#include "base/url.h"

struct dep_res dep_guard_metadata_url(struct dep_buf *buf, struct dep_str origin, struct dep_str resource)
{
    struct dep_url url;

    DEP_TRY(dep_url_parse(resource, &url));
    if (!dep_str_is_absent(url.query) || !dep_str_is_absent(url.fragment) || !dep_str_is_absent(url.userinfo))
        return DEP_FAIL(URL_SYNTAX);
    dep_buf_put(buf, origin);
    dep_buf_put_c(buf, DEP_GUARD_METADATA_PATH);
    /* A terminating slash of a bare host is not a path (rfc9728#3.1). */
    if (!dep_str_eq(url.path, DEP_STR("/")))
        dep_buf_put(buf, url.path);
    return buf->has_failed ? DEP_FAIL(BUF_FULL) : DEP_OK;
}

static void put_list(struct dep_json_writer *writer, const char *name, struct dep_str words)
{
    struct dep_str word;

    dep_json_name(writer, name);
    dep_json_open(writer, '[');
    while (dep_str_cut(&words, ' ', &word))
        if (word.len > 0 && !dep_str_eq(word, DEP_STR("offline_access")))
            dep_json_put_str(writer, word);
    dep_json_close(writer, ']');
}

void dep_guard_metadata_put(struct dep_buf *buf, const struct dep_guard_metadata *metadata)
{
    struct dep_json_writer writer;

    dep_json_begin(&writer, buf);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "resource", metadata->resource);
    dep_json_member(&writer, "resource_name", metadata->resource_name);
    put_list(&writer, "authorization_servers", metadata->issuer);
    if (!dep_str_is_blank(metadata->scopes)) /* rfc9728#3.2: no empty arrays */
        put_list(&writer, "scopes_supported", metadata->scopes);
    put_list(&writer, "bearer_methods_supported", DEP_STR("header"));
    put_list(&writer, "dpop_signing_alg_values_supported",
             metadata->has_rsa_proofs ? DEP_STR("ES256 EdDSA PS256 RS256") : DEP_STR("ES256 EdDSA"));
    if (metadata->has_certificates)
        dep_json_member_bool(&writer, "tls_client_certificate_bound_access_tokens", true);
    dep_json_member_bool(&writer, "dpop_bound_access_tokens_required", metadata->needs_dpop);
    dep_json_close(&writer, '}');
}

/* A list of nginx cannot lose an element, so the upstream gets a new one. */
#include "headers.h"

#include "http/client_cert.h"

#define NAME(literal, lowcase)                                       \
    {                                                                \
        ngx_string("Deputy-" literal), ngx_string("deputy-" lowcase) \
    }

static const struct {
    ngx_str_t name, lowcase;
} identity_names[DEP_GUARD_IDENTITY] = {
    NAME("Subject", "subject"),   NAME("Client", "client"),
    NAME("Actor", "actor"),       NAME("Actor-Chain", "actor-chain"),
    NAME("Scope", "scope"),       NAME("Audience", "audience"),
    NAME("Task", "task"),         NAME("Token-Id", "token-id"),
    NAME("Decision", "decision"),
};

const ngx_str_t *dep_nginx_identity_name(size_t index)
{
    return &identity_names[index].name;
}

static ngx_uint_t count_of(const ngx_list_t *list)
{
    ngx_uint_t count = 0;

    for (const ngx_list_part_t *part = &list->part; part != NULL; part = part->next)
        count += part->nelts;
    return count;
}

ngx_int_t dep_nginx_headers_read(ngx_http_request_t *request, const ngx_list_t *sent, struct dep_guard_request *ret)
{
    ngx_uint_t count = count_of(sent), at = 0;
    struct dep_header *headers = ngx_palloc(request->pool, (count + 1) * sizeof(*headers));

    if (headers == NULL)
        return NGX_ERROR;
    for (const ngx_list_part_t *part = &sent->part; part != NULL; part = part->next) {
        const ngx_table_elt_t *sent_here = part->elts;

        for (ngx_uint_t i = 0; i < part->nelts; i++)
            headers[at++] =
                (struct dep_header){ dep_str((const char *)sent_here[i].key.data, sent_here[i].key.len),
                                     dep_str((const char *)sent_here[i].value.data, sent_here[i].value.len) };
    }
    *ret = (struct dep_guard_request){
        .adapter = DEP_GUARD_IN_PROCESS,
        .headers = headers,
        .headers_count = at,
        .method = dep_str((const char *)request->method_name.data, request->method_name.len),
        .target = dep_str((const char *)request->unparsed_uri.data, request->unparsed_uri.len),
    };
    return NGX_OK;
}

/* Upstreams behind CGI-like protocols read "Deputy_Subject" as the same name. */
static bool is_ours(struct dep_str name)
{
    return name.len > 6 && dep_str_eq_nocase(dep_str_sub(name, 0, 6), DEP_STR("deputy")) &&
           (name.ptr[6] == '-' || name.ptr[6] == '_');
}

static bool is_credential(const struct dep_nginx_location *location, struct dep_str name)
{
    /* nginx has ended the TLS connection: what a caller says of it is said by the caller (rfc9440#2.3). */
    if (location->policy.certificates == DEP_GUARD_CERTIFICATES_TLS && dep_str_eq_nocase(name, DEP_CLIENT_CERT_HEADER))
        return true;
    return dep_str_eq_nocase(name, DEP_STR("Authorization")) || dep_str_eq_nocase(name, DEP_STR("DPoP"));
}

static ngx_int_t put_identity(ngx_list_t *list, const struct dep_nginx_state *state)
{
    for (size_t i = 0; i < DEP_GUARD_IDENTITY; i++) {
        ngx_table_elt_t *header = ngx_list_push(list);

        if (header == NULL)
            return NGX_ERROR;
        ngx_memzero(header, sizeof(*header));
        header->key = identity_names[i].name;
        header->value = state->identity[i];
        header->lowcase_key = identity_names[i].lowcase.data;
        header->hash = ngx_hash_key(identity_names[i].lowcase.data, identity_names[i].lowcase.len);
    }
    return NGX_OK;
}

ngx_int_t dep_nginx_headers_replace(ngx_http_request_t *request, const struct dep_nginx_location *location,
                                    const struct dep_nginx_state *state)
{
    ngx_list_t *headers = &request->headers_in.headers, list;

    if (ngx_list_init(&list, request->pool, count_of(headers) + DEP_GUARD_IDENTITY, sizeof(ngx_table_elt_t)) != NGX_OK)
        return NGX_ERROR;
    for (const ngx_list_part_t *part = &headers->part; part != NULL; part = part->next) {
        const ngx_table_elt_t *here = part->elts;

        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            struct dep_str name = dep_str((const char *)here[i].key.data, here[i].key.len);
            ngx_table_elt_t *kept;

            if (is_ours(name) || (state != NULL && is_credential(location, name)))
                continue;
            kept = ngx_list_push(&list);
            if (kept == NULL)
                return NGX_ERROR;
            *kept = here[i];
        }
    }
    if (state != NULL) {
        if (put_identity(&list, state) != NGX_OK)
            return NGX_ERROR;
        request->headers_in.authorization = NULL;
    }
    *headers = list;
    /* A list that has not grown has its last part inside itself. */
    if (headers->last == &list.part)
        headers->last = &headers->part;
    return NGX_OK;
}

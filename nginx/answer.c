/* Headers and body of a refusal, and of the metadata. error_page has no say: the answer is whole. */
#include "answer.h"

#define TEXT_OF(str)                              \
    {                                             \
        (str).len, (u_char *)(uintptr_t)(str).ptr \
    }

static ngx_int_t copy_text(ngx_http_request_t *request, struct dep_str *text)
{
    char *copy = ngx_pnalloc(request->pool, text->len + 1);

    if (copy == NULL)
        return NGX_ERROR;
    ngx_memcpy(copy, text->ptr, text->len);
    text->ptr = copy;
    return NGX_OK;
}

ngx_int_t dep_nginx_answer_copy(ngx_http_request_t *request, const struct dep_net_answer *answer,
                                struct dep_net_answer *ret_copy)
{
    struct dep_header *headers = ngx_palloc(request->pool, answer->headers_count * sizeof(*headers));

    if (headers == NULL)
        return NGX_ERROR;
    *ret_copy = *answer;
    ret_copy->headers = headers;
    for (size_t i = 0; i < answer->headers_count; i++) {
        headers[i] = answer->headers[i]; /* names are constants */
        if (copy_text(request, &headers[i].value) != NGX_OK)
            return NGX_ERROR;
    }
    return ret_copy->body.len == 0 ? NGX_OK : copy_text(request, &ret_copy->body);
}

ngx_int_t dep_nginx_answer_header(ngx_http_request_t *request, struct dep_header sent)
{
    const ngx_str_t name = TEXT_OF(sent.name), value = TEXT_OF(sent.value);
    ngx_table_elt_t *header;

    if (dep_str_eq(sent.name, DEP_STR("Content-Type"))) {
        request->headers_out.content_type = value;
        request->headers_out.content_type_len = value.len;
        request->headers_out.content_type_lowcase = NULL;
        return NGX_OK;
    }
    header = ngx_list_push(&request->headers_out.headers);
    if (header == NULL)
        return NGX_ERROR;
    ngx_memzero(header, sizeof(*header));
    header->hash = 1;
    header->key = name;
    header->value = value;
    return NGX_OK;
}

/* A page of another origin may read why it was refused (mcp#7: guard 1). There is nothing secret in it. */
static ngx_int_t put_cors(ngx_http_request_t *request)
{
    static const struct dep_header headers[] = {
        { DEP_STR_INIT("Access-Control-Allow-Origin"), DEP_STR_INIT("*") },
        { DEP_STR_INIT("Access-Control-Expose-Headers"),
          DEP_STR_INIT("WWW-Authenticate, DPoP-Nonce, Deputy-Decision, MCP-Protocol-Version") },
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        if (dep_nginx_answer_header(request, headers[i]) != NGX_OK)
            return NGX_ERROR;
    return NGX_OK;
}

static ngx_int_t send_all(ngx_http_request_t *request, const struct dep_net_answer *answer)
{
    ngx_buf_t *buf = ngx_calloc_buf(request->pool);
    ngx_chain_t out = { buf, NULL };
    const ngx_str_t body = TEXT_OF(answer->body);
    ngx_int_t rc = ngx_http_discard_request_body(request);

    if (rc != NGX_OK)
        return rc;
    if (buf == NULL || put_cors(request) != NGX_OK)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    for (size_t i = 0; i < answer->headers_count; i++)
        if (dep_nginx_answer_header(request, answer->headers[i]) != NGX_OK)
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
    request->headers_out.status = (ngx_uint_t)answer->status;
    request->headers_out.content_length_n = (off_t)body.len;
    if (body.len == 0)
        request->header_only = 1;
    rc = ngx_http_send_header(request);
    if (rc == NGX_ERROR || rc > NGX_OK || request->header_only)
        return rc;
    buf->pos = body.data;
    buf->last = body.data + body.len;
    buf->memory = 1;
    buf->last_buf = 1;
    buf->last_in_chain = 1;
    return ngx_http_output_filter(request, &out);
}

ngx_int_t dep_nginx_answer_send(ngx_http_request_t *request, const struct dep_net_answer *answer)
{
    ngx_http_finalize_request(request, send_all(request, answer));
    return NGX_DONE;
}

ngx_int_t dep_nginx_answer_trouble(ngx_http_request_t *request, struct dep_str id)
{
    struct dep_answer_space space;
    struct dep_net_answer answer, copy;

    dep_shape_trouble(id, &space, &answer);
    if (dep_nginx_answer_copy(request, &answer, &copy) != NGX_OK)
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    return dep_nginx_answer_send(request, &copy);
}

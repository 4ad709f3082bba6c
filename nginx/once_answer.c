/* The answer of a write that runs: held back until the ledger has it, so that whoever hears it once can hear it again.
 *
 * An answer that is too large to be kept, or that streams, goes through at once; the ledger then knows that the write was run and
 * with what status, and no more. */
#include "once.h"

#define BUFFERED 0x08 /* of a connection; nginx's own image filter has the same bit, for responses to GET */

static ngx_http_output_header_filter_pt next_header;
static ngx_http_output_body_filter_pt next_body;

static struct dep_nginx_once *once_of(ngx_http_request_t *request)
{
    struct dep_nginx_state *state = request == request->main ? dep_nginx_state(request, false) : NULL;

    return state == NULL ? NULL : state->once;
}

static ngx_int_t put_header(ngx_http_request_t *request, const char *name, size_t name_len, u_char *value, size_t len)
{
    ngx_table_elt_t *header = ngx_list_push(&request->headers_out.headers);

    if (header == NULL)
        return NGX_ERROR;
    ngx_memzero(header, sizeof(*header));
    header->hash = 1;
    header->key.data = (u_char *)(uintptr_t)name;
    header->key.len = name_len;
    header->value.data = value;
    header->value.len = len;
    return NGX_OK;
}

ngx_int_t dep_nginx_once_retention(ngx_http_request_t *request)
{
    const struct dep_str name = DEP_IDEMPOTENCY_RETENTION;
    u_char *value = ngx_pnalloc(request->pool, NGX_INT64_LEN);

    if (value == NULL)
        return NGX_ERROR;
    return put_header(request, name.ptr, name.len, value,
                      (size_t)(ngx_sprintf(value, "%L", dep_idempotency_policy_default().retention_s) - value));
}

static struct dep_str text_of(ngx_str_t text)
{
    return dep_str(text.data == NULL ? "" : (const char *)text.data, text.len);
}

/* The upstream says that it has not run it. */
static bool says_not_executed(ngx_http_request_t *request)
{
    bool is_said = false;

    for (ngx_list_part_t *part = &request->headers_out.headers.part; part != NULL; part = part->next) {
        ngx_table_elt_t *headers = part->elts;

        for (ngx_uint_t i = 0; i < part->nelts; i++)
            if (headers[i].hash != 0 && dep_str_eq_nocase(text_of(headers[i].key), DEP_IDEMPOTENCY_OUTCOME)) {
                is_said = is_said || dep_str_eq(text_of(headers[i].value), DEP_STR("not-executed"));
                headers[i].hash = 0;
            }
    }
    return is_said;
}

/* No upstream has got a byte of it. Of methods that may be sent to the next upstream after one had it, only the last try is known. */
static bool was_not_sent(const ngx_http_request_t *request)
{
    const ngx_http_upstream_t *upstream = request->upstream;

    return upstream != NULL && !upstream->request_sent && upstream->headers_in.status_n == 0 &&
           (request->upstream_states == NULL || request->upstream_states->nelts <= 1 ||
            (request->method & (NGX_HTTP_POST | NGX_HTTP_PATCH)) != 0);
}

/* nginx's word in the place of an upstream's that never came. */
static bool is_made_here(const ngx_http_request_t *request)
{
    return request->upstream != NULL && request->upstream->headers_in.status_n != request->headers_out.status;
}

static bool take_type(ngx_http_request_t *request, struct dep_idempotency_answer *answer)
{
    const ngx_str_t *type = &request->headers_out.content_type, *charset = &request->headers_out.charset;
    u_char *text;

    if (type->len == 0)
        return true;
    if (charset->len == 0 || request->headers_out.content_type_len != type->len)
        return dep_idempotency_answer_header(answer, DEP_STR("Content-Type"), text_of(*type));
    text = ngx_pnalloc(request->pool, type->len + sizeof("; charset=") + charset->len);
    if (text == NULL)
        return false;
    return dep_idempotency_answer_header(
        answer, DEP_STR("Content-Type"),
        dep_str((const char *)text, (size_t)(ngx_sprintf(text, "%V; charset=%V", type, charset) - text)));
}

static bool take_headers(ngx_http_request_t *request, struct dep_nginx_once *once)
{
    once->answer.status = (int)request->headers_out.status;
    if (!take_type(request, &once->answer))
        return false;
    for (ngx_list_part_t *part = &request->headers_out.headers.part; part != NULL; part = part->next) {
        const ngx_table_elt_t *headers = part->elts;

        for (ngx_uint_t i = 0; i < part->nelts; i++)
            if (headers[i].hash != 0 && !dep_str_eq_nocase(text_of(headers[i].key), DEP_STR("Content-Type")) &&
                !dep_idempotency_answer_header(&once->answer, text_of(headers[i].key), text_of(headers[i].value)))
                return false;
    }
    return true;
}

static bool is_streamed(const ngx_http_request_t *request)
{
    static const char type[] = "text/event-stream";
    const ngx_str_t *has = &request->headers_out.content_type;

    return has->len >= sizeof(type) - 1 && ngx_strncasecmp(has->data, (u_char *)(uintptr_t)type, sizeof(type) - 1) == 0;
}

static ngx_int_t end(ngx_http_request_t *request, struct dep_nginx_once *once, enum dep_nginx_job_kind kind)
{
    dep_nginx_job_end(once->ledger, kind, &once->names, once->ticket, once->answer.status);
    once->step = DEP_NGINX_ONCE_IS_OVER;
    return next_header(request);
}

static ngx_int_t filter_header(ngx_http_request_t *request)
{
    struct dep_nginx_once *once = once_of(request);

    if (once == NULL || once->step != DEP_NGINX_ONCE_RUNS)
        return next_header(request);
    if (dep_nginx_once_retention(request) != NGX_OK)
        return NGX_ERROR;
    if (says_not_executed(request) || was_not_sent(request))
        return end(request, once, DEP_NGINX_ABANDON);
    if (is_made_here(request))
        return end(request, once, DEP_NGINX_LOSE);
    once->body = ngx_palloc(request->pool, DEP_IDEMPOTENCY_BODY_MAX);
    if (!take_headers(request, once) || once->body == NULL || is_streamed(request) ||
        request->headers_out.content_length_n > (off_t)DEP_IDEMPOTENCY_BODY_MAX) {
        once->step = DEP_NGINX_ONCE_PASSES;
        return next_header(request);
    }
    once->step = DEP_NGINX_ONCE_GATHERS;
    request->main_filter_need_in_memory = 1;
    return NGX_OK;
}

/* ---- the body ---- */

static ngx_chain_t *link_of(ngx_http_request_t *request, struct dep_nginx_once *once, bool is_last, ngx_chain_t *next)
{
    ngx_chain_t *link = ngx_alloc_chain_link(request->pool);
    ngx_buf_t *buf = ngx_calloc_buf(request->pool);

    if (link == NULL || buf == NULL)
        return NULL;
    buf->pos = once->body;
    buf->last = once->body + once->body_len;
    buf->memory = once->body_len > 0;
    buf->last_buf = is_last;
    buf->last_in_chain = is_last;
    buf->sync = !buf->memory && !is_last;
    link->buf = buf;
    link->next = next;
    return link;
}

static ngx_int_t pass(ngx_http_request_t *request, struct dep_nginx_once *once, ngx_chain_t *in)
{
    for (ngx_chain_t *link = in; link != NULL; link = link->next)
        if (link->buf->last_buf && once->step == DEP_NGINX_ONCE_PASSES) {
            dep_nginx_job_end(once->ledger, DEP_NGINX_COMPLETE, &once->names, once->ticket, once->answer.status);
            once->step = DEP_NGINX_ONCE_IS_OVER;
        }
    return next_body(request, in);
}

/* Too large: what was held back goes on, and the rest after it. */
static ngx_int_t give_up(ngx_http_request_t *request, struct dep_nginx_once *once, ngx_chain_t *in)
{
    ngx_int_t rc;

    once->step = DEP_NGINX_ONCE_PASSES;
    rc = next_header(request);
    if (rc == NGX_ERROR || rc > NGX_OK)
        return NGX_ERROR;
    if (once->body_len > 0) {
        in = link_of(request, once, false, in);
        if (in == NULL)
            return NGX_ERROR;
    }
    return pass(request, once, in);
}

/* The ledger has it, or will never have it: on to the client in either case, who has waited for an answer that is true. */
static void completed(struct dep_nginx_job *job)
{
    ngx_http_request_t *request = job->request;
    ngx_connection_t *connection;
    struct dep_nginx_once *once;

    dep_nginx_job_free(job);
    if (request == NULL)
        return;
    connection = request->connection;
    ngx_http_set_log_request(connection->log, request);
    once = once_of(request);
    once->job = NULL;
    once->step = DEP_NGINX_ONCE_ANSWERS;
    connection->buffered &= ~BUFFERED & 0xff;
    request->write_event_handler(request);
    ngx_http_run_posted_requests(connection);
}

static ngx_int_t hold(ngx_http_request_t *request, struct dep_nginx_once *once)
{
    struct dep_nginx_job *job = dep_nginx_job_new(once->ledger, DEP_NGINX_COMPLETE, once->body_len + 65536);
    ngx_int_t rc;

    once->answer.body = dep_str((const char *)once->body, once->body_len);
    if (job != NULL) {
        job->names = once->names;
        job->ticket = once->ticket;
        job->status = once->answer.status;
        job->answer = once->answer;
        job->is_kept = true;
        for (size_t i = 0; i < job->answer.headers_count; i++) {
            job->answer.headers[i].name = dep_arena_dup(&job->arena, once->answer.headers[i].name);
            job->answer.headers[i].value = dep_arena_dup(&job->arena, once->answer.headers[i].value);
            job->is_kept = job->is_kept && !dep_str_is_absent(job->answer.headers[i].value);
        }
        job->answer.body = dep_arena_dup(&job->arena, once->answer.body);
        job->is_kept = job->is_kept && !dep_str_is_absent(job->answer.body);
        job->done = completed;
        rc = dep_nginx_job_post(job, request);
        if (rc == NGX_OK) {
            once->job = job;
            once->step = DEP_NGINX_ONCE_HOLDS;
            request->connection->buffered |= BUFFERED;
            return NGX_AGAIN;
        }
        dep_nginx_job_free(job);
    }
    dep_nginx_job_end(once->ledger, DEP_NGINX_LOSE, &once->names, once->ticket, 0);
    return NGX_ERROR;
}

/* nginx flushes what there is when an upstream broke off in the middle of its answer. */
static bool is_broken_off(const ngx_http_request_t *request, const ngx_buf_t *buf)
{
    return buf->flush && !buf->last_buf && request->upstream != NULL && request->upstream->peer.connection == NULL;
}

static ngx_int_t gather(ngx_http_request_t *request, struct dep_nginx_once *once, ngx_chain_t *in)
{
    size_t len = once->body_len;

    for (ngx_chain_t *link = in; link != NULL; link = link->next)
        len += (size_t)ngx_buf_size(link->buf);
    if (len > DEP_IDEMPOTENCY_BODY_MAX)
        return give_up(request, once, in);
    for (ngx_chain_t *link = in; link != NULL; link = link->next) {
        ngx_buf_t *buf = link->buf;

        if (is_broken_off(request, buf))
            return NGX_ERROR;
        if (ngx_buf_in_memory(buf)) {
            len = (size_t)(buf->last - buf->pos);
            ngx_memcpy(once->body + once->body_len, buf->pos, len);
            once->body_len += len;
            buf->pos = buf->last;
        }
        if (buf->last_buf)
            return hold(request, once);
    }
    return NGX_OK;
}

/* The answer that was held back, once. */
static ngx_int_t release(ngx_http_request_t *request, struct dep_nginx_once *once)
{
    ngx_int_t rc = next_header(request);
    ngx_chain_t *out;

    if (rc == NGX_ERROR || rc > NGX_OK)
        return NGX_ERROR;
    out = link_of(request, once, true, NULL);
    return out == NULL ? NGX_ERROR : next_body(request, out);
}

static ngx_int_t filter_body(ngx_http_request_t *request, ngx_chain_t *in)
{
    struct dep_nginx_once *once = once_of(request);

    if (once == NULL)
        return next_body(request, in);
    switch (once->step) {
    case DEP_NGINX_ONCE_GATHERS:
        return gather(request, once, in);
    case DEP_NGINX_ONCE_HOLDS:
        return NGX_AGAIN;
    case DEP_NGINX_ONCE_PASSES:
        return pass(request, once, in);
    case DEP_NGINX_ONCE_ANSWERS:
        once->step = DEP_NGINX_ONCE_IS_OVER;
        return release(request, once);
    case DEP_NGINX_ONCE_IS_OVER:
    case DEP_NGINX_ONCE_READS:
    case DEP_NGINX_ONCE_WAITS:
    case DEP_NGINX_ONCE_KNOWS:
    case DEP_NGINX_ONCE_RUNS:
        break;
    }
    return next_body(request, in);
}

void dep_nginx_once_filters(void)
{
    next_header = ngx_http_top_header_filter;
    ngx_http_top_header_filter = filter_header;
    next_body = ngx_http_top_body_filter;
    ngx_http_top_body_filter = filter_body;
}

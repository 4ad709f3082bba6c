/* From a write with a key to the ledger's word on it. The guard has allowed it before, so the caller is known; what the guard
 * refuses never comes here (attack case N09).
 *
 * Invariants:
 *  (1) A request with a key goes upstream only after the ledger said RUN; with trouble of any kind it is answered with 503.
 *  (2) What was begun ends: complete, abandon or lose, at the latest when the request ends. */
#include "once.h"

#include <unistd.h>

#include "answer.h"
#include "headers.h"
#include "proto/wire.h"

#define SCRATCH 16384u

char *dep_nginx_set_once(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    struct dep_nginx_location *location = conf;
    const ngx_str_t *words = cf->args->elts;

    (void)command;
    if (location->once_mode != NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_idempotency is given twice");
        return NGX_CONF_ERROR;
    }
    if (ngx_strcmp(words[1].data, "off") == 0 && cf->args->nelts == 2)
        location->once_mode = DEP_NGINX_ONCE_OFF;
    else if (ngx_strcmp(words[1].data, "on") == 0)
        location->once_mode = DEP_NGINX_ONCE_ON;
    else if (ngx_strcmp(words[1].data, "required") == 0)
        location->once_mode = DEP_NGINX_ONCE_REQUIRED;
    location->once_lenient = cf->args->nelts == 3;
    if (location->once_mode == NGX_CONF_UNSET_UINT ||
        (cf->args->nelts == 3 && ngx_strcmp(words[2].data, "bare") != 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_idempotency: say off, on or required, and perhaps \"bare\"");
        return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}

char *dep_nginx_once_merge(ngx_conf_t *cf, struct dep_nginx_location *location, const struct dep_nginx_location *above)
{
    struct dep_nginx_main *all = ngx_http_conf_get_module_main_conf(cf, ngx_http_deputy_module);

    ngx_conf_merge_uint_value(location->once_mode, above->once_mode, DEP_NGINX_ONCE_OFF);
    ngx_conf_merge_value(location->once_lenient, above->once_lenient, 0);
    ngx_conf_merge_str_value(location->once_path, above->once_path, "");
    if (location->once_mode == DEP_NGINX_ONCE_OFF)
        return NGX_CONF_OK;
    if (location->guard == NULL || location->once_path.len == 0) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "deputy_idempotency: a deputy_resource and a deputy_idempotency_ledger are needed here or above");
        return NGX_CONF_ERROR;
    }
    location->once_ledger = dep_nginx_ledger_claim(cf, &all->ledgers, location->once_path);
    return location->once_ledger == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}

static struct dep_str text_of(ngx_str_t text)
{
    return dep_str(text.data == NULL ? "" : (const char *)text.data, text.len);
}

static bool scratch(ngx_http_request_t *request, struct dep_arena *arena)
{
    void *memory = ngx_pmemalign(request->pool, SCRATCH, 16);

    if (memory == NULL)
        return false;
    dep_arena_init(arena, memory, SCRATCH);
    return true;
}

static ngx_int_t refuse(ngx_http_request_t *request, const struct dep_nginx_state *state, enum dep_err reason)
{
    struct dep_net_answer answer = { .status = 0 }, copy;
    struct dep_wire_answer wire;
    struct dep_arena arena;

    if (!scratch(request, &arena) ||
        !dep_is_ok(dep_wire_problem(&arena, reason, DEP_STR_ABSENT, text_of(state->id), &wire)))
        return dep_nginx_answer_trouble(request, text_of(state->id));
    answer.status = wire.status;
    answer.headers = wire.headers;
    answer.headers_count = wire.headers_count;
    answer.body = wire.body;
    if (dep_nginx_answer_copy(request, &answer, &copy) != NGX_OK || dep_nginx_once_retention(request) != NGX_OK)
        return dep_nginx_answer_trouble(request, text_of(state->id));
    return dep_nginx_answer_send(request, &copy);
}

static bool is_safe(const ngx_http_request_t *request)
{
    return (request->method & (NGX_HTTP_GET | NGX_HTTP_HEAD | NGX_HTTP_OPTIONS | NGX_HTTP_TRACE)) != 0;
}

/* ---- the body ---- */

static void body_is_read(ngx_http_request_t *request)
{
    request->preserve_body = 1;
    request->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(request);
}

static ngx_int_t start(ngx_http_request_t *request, const struct dep_nginx_location *location,
                       struct dep_nginx_state *state)
{
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();
    struct dep_guard_request sent;
    struct dep_str key;
    struct dep_arena arena;
    struct dep_res res;
    ngx_int_t rc;

    if (!scratch(request, &arena) || dep_nginx_headers_read(request, &state->sent, &sent) != NGX_OK)
        return dep_nginx_answer_trouble(request, text_of(state->id));
    policy.is_required = location->once_mode == DEP_NGINX_ONCE_REQUIRED;
    policy.is_lenient = location->once_lenient != 0;
    res = dep_idempotency_key(&arena, &policy, sent.headers, sent.headers_count, &key);
    if (!dep_is_ok(res))
        return refuse(request, state, res.err);
    if (dep_str_is_absent(key))
        return NGX_DECLINED;
    state->once = ngx_pcalloc(request->pool, sizeof(*state->once));
    if (state->once == NULL)
        return dep_nginx_answer_trouble(request, text_of(state->id));
    state->once->key = key;
    state->once->ledger = location->once_ledger;
    state->once->step = DEP_NGINX_ONCE_READS;
    rc = ngx_http_read_client_request_body(request, body_is_read);
    if (rc >= NGX_HTTP_SPECIAL_RESPONSE)
        return rc;
    ngx_http_finalize_request(request, NGX_DONE);
    return NGX_DONE;
}

static struct dep_str keep(struct dep_nginx_job *job, struct dep_str text)
{
    return dep_arena_dup(&job->arena, text);
}

/* Copies what is in memory; of what is in a file, takes a descriptor. Both at once do not come. */
static bool take_body(ngx_http_request_t *request, struct dep_nginx_job *job, size_t len)
{
    char *at = dep_arena_alloc(&job->arena, len);
    ngx_chain_t *link = request->request_body == NULL ? NULL : request->request_body->bufs;

    if (at == NULL)
        return false;
    job->what.body = dep_str(at, len);
    for (; link != NULL; link = link->next) {
        const ngx_buf_t *buf = link->buf;

        if (ngx_buf_in_memory(buf)) {
            at = (char *)ngx_cpymem(at, buf->pos, (size_t)(buf->last - buf->pos));
        } else if (buf->in_file && buf->file_last > buf->file_pos) {
            if (len > 0 || job->body_fd >= 0)
                return false;
            job->body_fd = dup(buf->file->fd);
            job->body_at = buf->file_pos;
            job->body_len = (size_t)(buf->file_last - buf->file_pos);
            if (job->body_fd < 0)
                return false;
        }
    }
    return true;
}

static size_t body_in_memory(const ngx_http_request_t *request)
{
    size_t len = 0;

    for (ngx_chain_t *link = request->request_body == NULL ? NULL : request->request_body->bufs; link != NULL;
         link = link->next)
        if (ngx_buf_in_memory(link->buf))
            len += (size_t)(link->buf->last - link->buf->pos);
    return len;
}

/* ---- the ledger's word ---- */

static void begun(struct dep_nginx_job *job)
{
    ngx_http_request_t *request = job->request;
    struct dep_nginx_state *state;

    if (request == NULL) { /* it has ended, and was not run */
        if (dep_is_ok(job->res) && job->decision.verdict == DEP_IDEMPOTENCY_RUN)
            dep_nginx_job_end(job->ledger, DEP_NGINX_ABANDON, &job->names, job->ticket, 0);
        dep_nginx_job_free(job);
        return;
    }
    ngx_http_set_log_request(request->connection->log, request);
    state = dep_nginx_state(request, false);
    state->once->step = DEP_NGINX_ONCE_KNOWS;
    ngx_connection_t *connection = request->connection;

    ngx_http_core_run_phases(request);
    ngx_http_run_posted_requests(connection);
}

static bool describe(ngx_http_request_t *request, const struct dep_nginx_location *location,
                     const struct dep_nginx_state *state, struct dep_nginx_job *job, size_t body_len)
{
    const struct dep_sidecar_config *config = &location->guard->config;
    const ngx_table_elt_t *type = request->headers_in.content_type;
    struct dep_idempotency_request *what = &job->what;

    what->realm = keep(job, config->resource);
    what->tenant = keep(job, config->issuer);
    what->principal = keep(job, text_of(state->identity[0]));
    what->client = keep(job, text_of(state->identity[1]));
    what->chain = keep(job, text_of(state->identity[3]));
    what->key = keep(job, state->once->key);
    what->method = keep(job, text_of(request->method_name));
    what->target = keep(job, text_of(request->unparsed_uri));
    what->content_type = type == NULL ? DEP_STR_ABSENT : keep(job, text_of(type->value));
    return !dep_str_is_absent(what->realm) && !dep_str_is_absent(what->target) && take_body(request, job, body_len);
}

static ngx_int_t begin(ngx_http_request_t *request, const struct dep_nginx_location *location,
                       struct dep_nginx_state *state)
{
    struct dep_nginx_once *once = state->once;
    size_t body_len = body_in_memory(request);
    struct dep_nginx_job *job = dep_nginx_job_new(
        once->ledger, DEP_NGINX_BEGIN,
        body_len + request->unparsed_uri.len + 16384 +
            (request->headers_in.content_type == NULL ? 0 : request->headers_in.content_type->value.len));

    if (job == NULL)
        return dep_nginx_answer_trouble(request, text_of(state->id));
    job->done = begun;
    if (!describe(request, location, state, job, body_len) || dep_nginx_job_post(job, request) != NGX_OK) {
        dep_nginx_job_free(job);
        once->step = DEP_NGINX_ONCE_IS_OVER;
        return refuse(request, state, DEP_ERR_STORE_IO);
    }
    once->job = job;
    once->step = DEP_NGINX_ONCE_WAITS;
    return NGX_AGAIN;
}

static ngx_int_t replay(ngx_http_request_t *request, const struct dep_nginx_state *state, struct dep_nginx_job *job)
{
    struct dep_header headers[DEP_IDEMPOTENCY_HEADERS_MAX + 2];
    struct dep_net_answer answer = { .status = job->answer.status, .headers = headers, .body = job->answer.body }, copy;
    struct dep_header *names;

    for (size_t i = 0; i < job->answer.headers_count; i++)
        headers[answer.headers_count++] = job->answer.headers[i];
    headers[answer.headers_count++] = (struct dep_header){ DEP_IDEMPOTENCY_REPLAYED, DEP_STR("true") };
    headers[answer.headers_count++] = (struct dep_header){ DEP_STR("Deputy-Decision"), text_of(state->id) };
    if (dep_nginx_answer_copy(request, &answer, &copy) != NGX_OK || dep_nginx_once_retention(request) != NGX_OK)
        return dep_nginx_answer_trouble(request, text_of(state->id));
    /* Names that are no constants: they live in the job. */
    names = (struct dep_header *)(uintptr_t)copy.headers;
    for (size_t i = 0; i < job->answer.headers_count; i++) {
        char *name = ngx_pnalloc(request->pool, names[i].name.len);

        if (name == NULL)
            return dep_nginx_answer_trouble(request, text_of(state->id));
        ngx_memcpy(name, names[i].name.ptr, names[i].name.len);
        names[i].name.ptr = name;
    }
    return dep_nginx_answer_send(request, &copy);
}

static ngx_int_t go_on(ngx_http_request_t *request, struct dep_nginx_state *state)
{
    struct dep_nginx_once *once = state->once;
    struct dep_nginx_job *job = once->job;
    ngx_int_t rc;

    once->job = NULL;
    if (dep_is_ok(job->res) && job->decision.verdict == DEP_IDEMPOTENCY_RUN) {
        once->names = job->names;
        once->ticket = job->ticket;
        once->step = DEP_NGINX_ONCE_RUNS;
        dep_nginx_job_free(job);
        return NGX_DECLINED; /* on to the upstream */
    }
    once->step = DEP_NGINX_ONCE_IS_OVER;
    if (!dep_is_ok(job->res))
        rc = refuse(request, state, job->res.err);
    else if (job->decision.verdict == DEP_IDEMPOTENCY_REPLAY)
        rc = replay(request, state, job);
    else
        rc = refuse(request, state, job->decision.reason);
    dep_nginx_job_free(job);
    return rc;
}

ngx_int_t dep_nginx_once(ngx_http_request_t *request)
{
    const struct dep_nginx_location *location = ngx_http_get_module_loc_conf(request, ngx_http_deputy_module);
    struct dep_nginx_state *state;

    if (location->once_mode == DEP_NGINX_ONCE_OFF || request != request->main || is_safe(request))
        return NGX_DECLINED;
    state = dep_nginx_state(request, false);
    if (state == NULL || state->step != DEP_NGINX_ALLOWED) /* deputy off: nobody is known here */
        return dep_nginx_answer_trouble(request, DEP_STR_ABSENT);
    if (state->once == NULL)
        return start(request, location, state);
    switch (state->once->step) {
    case DEP_NGINX_ONCE_READS:
        return begin(request, location, state);
    case DEP_NGINX_ONCE_WAITS:
        return NGX_AGAIN;
    case DEP_NGINX_ONCE_KNOWS:
        return go_on(request, state);
    case DEP_NGINX_ONCE_RUNS:
    case DEP_NGINX_ONCE_GATHERS:
    case DEP_NGINX_ONCE_HOLDS:
    case DEP_NGINX_ONCE_ANSWERS:
    case DEP_NGINX_ONCE_PASSES:
    case DEP_NGINX_ONCE_IS_OVER:
        break;
    }
    return NGX_DECLINED; /* an internal redirect of a request that runs */
}

void dep_nginx_once_forget(struct dep_nginx_once *once)
{
    if (once->job != NULL && once->step == DEP_NGINX_ONCE_KNOWS) {
        once->job->request = NULL;
        once->job->done(once->job);
    } else if (once->job != NULL) {
        once->job->request = NULL; /* its end frees it */
    } else if (once->step == DEP_NGINX_ONCE_RUNS || once->step == DEP_NGINX_ONCE_GATHERS ||
               once->step == DEP_NGINX_ONCE_PASSES) {
        dep_nginx_job_end(once->ledger, DEP_NGINX_LOSE, &once->names, once->ticket, 0);
    }
}

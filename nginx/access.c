/* From a request of nginx to the engine's decision and back.
 *
 * Invariants:
 *  (1) A request goes on only with a decision about the very location it is in, whose record was handed over.
 *  (2) A refusal leaves when its record is safe; when it is not, the answer is 503 (docs/adr/0010).
 *  (3) What goes upstream of a guarded location has the identity headers of that decision, no other Deputy-* header and
 *      no credential. */
#include "access.h"

#include "answer.h"
#include "certificate.h"
#include "headers.h"
#include "net/clock.h"

static ngx_int_t keep_text(ngx_http_request_t *request, struct dep_str text, ngx_str_t *ret_text)
{
    ret_text->data = ngx_pnalloc(request->pool, text.len + 1);
    if (ret_text->data == NULL)
        return NGX_ERROR;
    ngx_memcpy(ret_text->data, text.len > 0 ? text.ptr : "", text.len);
    ret_text->len = text.len;
    return NGX_OK;
}

/* A newer nonce goes to the client with the answer of whoever answers (rfc9449#8.2). */
static ngx_int_t put_nonce(ngx_http_request_t *request, struct dep_nginx_state *state, struct dep_str nonce)
{
    ngx_str_t kept;

    if (dep_str_is_blank(nonce) || state->has_nonce)
        return NGX_OK;
    state->has_nonce = true;
    if (keep_text(request, nonce, &kept) != NGX_OK)
        return NGX_ERROR;
    return dep_nginx_answer_header(
        request, (struct dep_header){ DEP_STR("DPoP-Nonce"), dep_str((const char *)kept.data, kept.len) });
}

static ngx_int_t allow(ngx_http_request_t *request, const struct dep_nginx_location *location,
                       struct dep_nginx_state *state, const struct dep_guard_decision *decision)
{
    for (size_t i = 0; i < DEP_GUARD_IDENTITY; i++)
        if (keep_text(request, decision->identity[i].value, &state->identity[i]) != NGX_OK)
            return NGX_ERROR;
    if ((decision->effects & DEP_GUARD_EFFECT_REMEMBER_JTI) != 0) {
        state->has_burnt = true;
        ngx_memcpy(state->burnt, decision->replay_key, sizeof(state->burnt));
    }
    if (dep_nginx_headers_replace(request, location, state) != NGX_OK ||
        put_nonce(request, state, decision->dpop_nonce) != NGX_OK)
        return NGX_ERROR;
    state->step = DEP_NGINX_ALLOWED;
    state->allowed_in = location;
    return NGX_DECLINED; /* on to what comes after */
}

static ngx_int_t refuse(ngx_http_request_t *request, struct dep_nginx_guard *guard, struct dep_nginx_state *state,
                        const struct dep_guard_decision *decision, struct dep_str line)
{
    struct dep_nginx_wait *wait = dep_nginx_wait_new(request);
    struct dep_answer_space space;
    struct dep_net_answer answer;

    dep_shape(decision, &space, &answer);
    if (wait == NULL || dep_nginx_answer_copy(request, &answer, &state->answer) != NGX_OK ||
        !dep_is_ok(dep_journal_add(guard->engine.journal, line, &wait->record))) {
        if (wait != NULL)
            dep_nginx_wait_free(wait);
        return NGX_ERROR;
    }
    state->wait = wait;
    state->step = DEP_NGINX_WAITING;
    return NGX_AGAIN;
}

/* True when the request waits for keys now. */
static bool wait_for_keys(ngx_http_request_t *request, struct dep_nginx_guard *guard, struct dep_nginx_state *state)
{
    struct dep_nginx_wait *wait = dep_nginx_wait_new(request);

    if (wait == NULL)
        return false;
    if (!dep_keys_wait(guard->engine.keys, &wait->keys, dep_clock_ms())) {
        dep_nginx_wait_free(wait);
        return false;
    }
    state->wait = wait;
    state->step = DEP_NGINX_WAITING;
    return true;
}

static ngx_int_t decide(ngx_http_request_t *request, const struct dep_nginx_location *location,
                        struct dep_nginx_state *state)
{
    struct dep_nginx_guard *guard = location->guard;
    struct dep_engine_ask ask = {
        .policy = &location->policy,
        .may_wait = state->step != DEP_NGINX_LATE,
        .burnt = state->has_burnt ? state->burnt : NULL,
        .now = dep_clock_unix(),
    };
    const ngx_str_t *peer = &request->connection->addr_text;
    struct dep_guard_decision decision;
    struct dep_str id, line;
    ngx_int_t rc = NGX_ERROR;

    state->id.len = 0;
    if (!guard->is_running || dep_nginx_headers_read(request, &state->sent, &ask.request) != NGX_OK)
        return dep_nginx_answer_trouble(request, DEP_STR_ABSENT);
    if (location->policy.certificates == DEP_GUARD_CERTIFICATES_TLS &&
        dep_nginx_certificate(request, &ask.request.certificate) != NGX_OK)
        return dep_nginx_answer_trouble(request, DEP_STR_ABSENT);
    if (!dep_engine_decide(&guard->engine, &guard->worker, &ask, &decision)) {
        if (wait_for_keys(request, guard, state))
            return NGX_AGAIN;
        ask.may_wait = false;
        (void)dep_engine_decide(&guard->engine, &guard->worker, &ask, &decision);
    }
    id = dep_str(decision.id, sizeof(decision.id));
    line = dep_engine_record(&guard->engine, &guard->worker, DEP_GUARD_IN_PROCESS,
                             dep_str((const char *)peer->data, peer->len), &decision, ask.now);
    if (!dep_str_is_absent(line) && keep_text(request, id, &state->id) == NGX_OK) {
        if (!decision.is_allowed)
            rc = refuse(request, guard, state, &decision, line);
        else if (dep_is_ok(dep_journal_add(guard->engine.journal, line, NULL)))
            rc = allow(request, location, state, &decision);
    }
    return rc == NGX_ERROR ? dep_nginx_answer_trouble(request, id) : rc;
}

ngx_int_t dep_nginx_access(ngx_http_request_t *request)
{
    const struct dep_nginx_location *location = ngx_http_get_module_loc_conf(request, ngx_http_deputy_module);
    struct dep_nginx_state *state;

    /* A subrequest is nginx's own; its main request has passed. */
    if (location->guard == NULL || request != request->main)
        return NGX_DECLINED;
    if (location->is_on == 0)
        return dep_nginx_headers_replace(request, location, NULL) == NGX_OK ? NGX_DECLINED
                                                                            : NGX_HTTP_INTERNAL_SERVER_ERROR;
    state = dep_nginx_state(request, true);
    if (state == NULL)
        return dep_nginx_answer_trouble(request, DEP_STR_ABSENT);
    switch (state->step) {
    case DEP_NGINX_WAITING:
        return NGX_AGAIN;
    case DEP_NGINX_READY:
        return dep_nginx_answer_send(request, &state->answer);
    case DEP_NGINX_ALLOWED:
        if (state->allowed_in == location)
            return NGX_DECLINED;
        state->step = DEP_NGINX_NEW; /* an internal redirect led to another location: decide about that one */
        break;
    case DEP_NGINX_NEW:
    case DEP_NGINX_LATE:
        break;
    }
    return decide(request, location, state);
}

void dep_nginx_access_resume(ngx_http_request_t *request, const struct dep_nginx_wait *wait)
{
    struct dep_nginx_state *state = dep_nginx_state(request, false);
    ngx_connection_t *connection = request->connection;

    ngx_http_set_log_request(connection->log, request);
    state->wait = NULL;
    if (state->answer.status == 0) {
        state->step = DEP_NGINX_LATE;
    } else {
        state->step = DEP_NGINX_READY;
        if (!wait->is_written) {
            (void)dep_nginx_answer_trouble(request, dep_str((const char *)state->id.data, state->id.len));
            ngx_http_run_posted_requests(connection);
            return;
        }
    }
    ngx_http_core_run_phases(request);
    ngx_http_run_posted_requests(connection);
}

/* State lives in the pool of the request and is found through its cleanup: nginx forgets the contexts of modules at each
 * internal redirect, and what was decided must outlive that. */
#include "state.h"

#include "once.h"

static void forget(void *data)
{
    struct dep_nginx_state *state = data;

    if (state->wait != NULL)
        dep_nginx_wait_orphan(state->wait);
    if (state->once != NULL)
        dep_nginx_once_forget(state->once);
}

struct dep_nginx_state *dep_nginx_state(ngx_http_request_t *request, bool makes)
{
    ngx_http_request_t *first = request->main;
    struct dep_nginx_state *state = ngx_http_get_module_ctx(first, ngx_http_deputy_module);
    ngx_pool_cleanup_t *cleanup;

    if (state != NULL)
        return state;
    for (cleanup = first->pool->cleanup; cleanup != NULL; cleanup = cleanup->next)
        if (cleanup->handler == forget) {
            ngx_http_set_ctx(first, cleanup->data, ngx_http_deputy_module);
            return cleanup->data;
        }
    if (!makes)
        return NULL;
    cleanup = ngx_pool_cleanup_add(first->pool, sizeof(*state));
    if (cleanup == NULL)
        return NULL;
    state = cleanup->data;
    ngx_memzero(state, sizeof(*state));
    state->sent = first->headers_in.headers;
    cleanup->handler = forget;
    ngx_http_set_ctx(first, state, ngx_http_deputy_module);
    return state;
}

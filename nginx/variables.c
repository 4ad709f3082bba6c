/* The identity of a request, for logs, maps and whoever does not read headers. Empty until the guard has allowed, but the
 * decision's id is there after a refusal too. */
#include "variables.h"

#include "state.h"

#define DECISION (DEP_GUARD_IDENTITY - 1)

static ngx_int_t get(ngx_http_request_t *request, ngx_http_variable_value_t *value, uintptr_t index)
{
    const struct dep_nginx_state *state = dep_nginx_state(request, false);
    const ngx_str_t *text = NULL;

    if (state != NULL && index == DECISION)
        text = &state->id;
    else if (state != NULL && state->step == DEP_NGINX_ALLOWED)
        text = &state->identity[index];
    if (text == NULL || (index == DECISION && text->len == 0)) {
        value->not_found = 1;
        return NGX_OK;
    }
    value->data = text->data;
    value->len = (unsigned)text->len & 0x0FFFFFFFu;
    value->valid = 1;
    value->no_cacheable = 1;
    value->not_found = 0;
    return NGX_OK;
}

ngx_int_t dep_nginx_variables_add(ngx_conf_t *cf)
{
    static const ngx_str_t names[DEP_GUARD_IDENTITY] = {
        ngx_string("deputy_subject"),     ngx_string("deputy_client"),   ngx_string("deputy_actor"),
        ngx_string("deputy_actor_chain"), ngx_string("deputy_scope"),    ngx_string("deputy_audience"),
        ngx_string("deputy_task"),        ngx_string("deputy_token_id"), ngx_string("deputy_decision"),
    };

    for (size_t i = 0; i < DEP_GUARD_IDENTITY; i++) {
        ngx_str_t name = names[i];
        ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);

        if (variable == NULL)
            return NGX_ERROR;
        variable->get_handler = get;
        variable->data = i;
    }
    return NGX_OK;
}

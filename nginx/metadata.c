/* Answered before a location is looked for, so that no rule of the configuration can hide what must be public. */
#include "metadata.h"

#include "answer.h"
#include "guard/metadata.h"

/* The document's own place; the bare well-known name too, where it can mean one resource only (mcp#7: guard 1). */
static const struct dep_nginx_guard *find(const struct dep_nginx_server *server, struct dep_str path)
{
    struct dep_nginx_guard *const *guards = server->guards.elts;

    for (ngx_uint_t i = 0; i < server->guards.nelts; i++)
        if (dep_str_eq(path, guards[i]->engine.metadata_path))
            return guards[i];
    return server->guards.nelts == 1 && dep_str_eq_c(path, DEP_GUARD_METADATA_PATH) ? guards[0] : NULL;
}

ngx_int_t dep_nginx_metadata(ngx_http_request_t *request)
{
    static const struct dep_header shown[] = {
        { DEP_STR_INIT("Content-Type"), DEP_STR_INIT("application/json") },
        { DEP_STR_INIT("Cache-Control"), DEP_STR_INIT("max-age=300") },
    };
    static const struct dep_header refused[] = {
        { DEP_STR_INIT("Content-Type"), DEP_STR_INIT("text/plain") },
        { DEP_STR_INIT("Cache-Control"), DEP_STR_INIT("no-store") },
        { DEP_STR_INIT("Allow"), DEP_STR_INIT("GET, HEAD, OPTIONS") },
    };
    static const struct dep_header preflight[] = {
        { DEP_STR_INIT("Access-Control-Allow-Methods"), DEP_STR_INIT("GET, HEAD") },
        { DEP_STR_INIT("Access-Control-Allow-Headers"), DEP_STR_INIT("*") },
        { DEP_STR_INIT("Cache-Control"), DEP_STR_INIT("max-age=300") },
    };
    const struct dep_nginx_server *server = ngx_http_get_module_srv_conf(request, ngx_http_deputy_module);
    struct dep_net_answer answer = { .status = 200, .headers = shown, .headers_count = 2 };
    const struct dep_nginx_guard *guard;

    if (server->guards.nelts == 0 || request != request->main)
        return NGX_DECLINED;
    guard = find(server, dep_str((const char *)request->uri.data, request->uri.len));
    if (guard == NULL)
        return NGX_DECLINED;
    answer.body = guard->engine.metadata;
    if (request->method == NGX_HTTP_OPTIONS)
        answer = (struct dep_net_answer){ .status = 204, .headers = preflight, .headers_count = 3 };
    else if ((request->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0)
        answer = (struct dep_net_answer){ 405, refused, 3, DEP_STR("GET only\n"), false };
    return dep_nginx_answer_send(request, &answer);
}

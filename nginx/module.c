/* ngx_http_deputy_module: the guard inside nginx (RFC 6750, RFC 9449, RFC 9728). Directives and hooks. */
#include "module.h"

#include "access.h"
#include "config.h"
#include "metadata.h"
#include "once.h"
#include "variables.h"
#include "worker.h"
#include "zone.h"

#define ANYWHERE (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)
#define OF_RESOURCE(member) offsetof(struct dep_nginx_location, resource.member)
#define DIRECTIVE(name, where, set, offset)                                  \
    {                                                                        \
        ngx_string(name), where, set, NGX_HTTP_LOC_CONF_OFFSET, offset, NULL \
    }

static ngx_conf_enum_t certificates[] = {
    { ngx_string("off"), DEP_GUARD_CERTIFICATES_NONE },
    { ngx_string("tls"), DEP_GUARD_CERTIFICATES_TLS },
    { ngx_string("header"), DEP_GUARD_CERTIFICATES_HEADER },
    { ngx_null_string, 0 },
};

static ngx_command_t commands[] = {
    DIRECTIVE("deputy", ANYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot, offsetof(struct dep_nginx_location, is_on)),
    DIRECTIVE("deputy_scope", ANYWHERE | NGX_CONF_1MORE, dep_nginx_set_words,
              offsetof(struct dep_nginx_location, scope)),
    DIRECTIVE("deputy_require_dpop", ANYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
              offsetof(struct dep_nginx_location, needs_dpop)),
    DIRECTIVE("deputy_resource", NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
              OF_RESOURCE(url)),
    DIRECTIVE("deputy_resource_name", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot, OF_RESOURCE(name)),
    DIRECTIVE("deputy_issuer", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot, OF_RESOURCE(issuer)),
    DIRECTIVE("deputy_public_url", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot, OF_RESOURCE(public_url)),
    DIRECTIVE("deputy_scopes_offered", ANYWHERE | NGX_CONF_1MORE, dep_nginx_set_words, OF_RESOURCE(scopes_offered)),
    DIRECTIVE("deputy_client_id", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot, OF_RESOURCE(client_id)),
    DIRECTIVE("deputy_client_secret", ANYWHERE | NGX_CONF_TAKE1, dep_nginx_set_secret, 0),
    DIRECTIVE("deputy_nonce_key", ANYWHERE | NGX_CONF_TAKE1, dep_nginx_set_nonce_key, 0),
    DIRECTIVE("deputy_audit_log", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot, OF_RESOURCE(audit)),
    DIRECTIVE("deputy_rules", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot, OF_RESOURCE(rules)),
    DIRECTIVE("deputy_require_nonce", ANYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot, OF_RESOURCE(needs_nonce)),
    { ngx_string("deputy_client_cert"), ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET,
      OF_RESOURCE(certificates), certificates },
    DIRECTIVE("deputy_loopback", ANYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot, OF_RESOURCE(may_loopback)),
    DIRECTIVE("deputy_private", ANYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot, OF_RESOURCE(may_private)),
    DIRECTIVE("deputy_proof_age", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_sec_slot, OF_RESOURCE(proof_age)),
    DIRECTIVE("deputy_skew", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_sec_slot, OF_RESOURCE(skew)),
    DIRECTIVE("deputy_feed_silence", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_sec_slot, OF_RESOURCE(feed_silence)),
    DIRECTIVE("deputy_keys_throttle", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_sec_slot, OF_RESOURCE(keys_throttle)),
    DIRECTIVE("deputy_idempotency", ANYWHERE | NGX_CONF_TAKE12, dep_nginx_set_once, 0),
    DIRECTIVE("deputy_idempotency_ledger", ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
              offsetof(struct dep_nginx_location, once_path)),
    { ngx_string("deputy_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, dep_nginx_set_zone, NGX_HTTP_MAIN_CONF_OFFSET, 0,
      NULL },
    ngx_null_command,
};

static ngx_int_t add_handler(ngx_conf_t *cf, ngx_http_phases phase, ngx_http_handler_pt handler)
{
    ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_handler_pt *place = ngx_array_push(&core->phases[phase].handlers);

    if (place == NULL)
        return NGX_ERROR;
    *place = handler;
    return NGX_OK;
}

/* PRECONTENT and not ACCESS: `satisfy any` lets one access rule stand for all others, and a token is not to be had that
 * way. What the access rules refuse costs no signature and burns no proof. */
static ngx_int_t add_handlers(ngx_conf_t *cf)
{
    if (add_handler(cf, NGX_HTTP_SERVER_REWRITE_PHASE, dep_nginx_metadata) != NGX_OK)
        return NGX_ERROR;
    dep_nginx_once_filters();
    /* Handlers of a phase run last one first: what is not allowed is no key looked up for. */
    if (add_handler(cf, NGX_HTTP_PRECONTENT_PHASE, dep_nginx_once) != NGX_OK)
        return NGX_ERROR;
    if (add_handler(cf, NGX_HTTP_PRECONTENT_PHASE, dep_nginx_access) != NGX_OK)
        return NGX_ERROR;
    return dep_nginx_zone_add(cf);
}

static ngx_http_module_t context = {
    .preconfiguration = dep_nginx_variables_add,
    .postconfiguration = add_handlers,
    .create_main_conf = dep_nginx_main_create,
    .create_srv_conf = dep_nginx_server_create,
    .create_loc_conf = dep_nginx_location_create,
    .merge_loc_conf = dep_nginx_location_merge,
};

ngx_module_t ngx_http_deputy_module = {
    NGX_MODULE_V1,          &context, commands, NGX_HTTP_MODULE,       NULL, NULL,
    dep_nginx_worker_start, NULL,     NULL,     dep_nginx_worker_stop, NULL, NGX_MODULE_V1_PADDING,
};

/* What nginx looks up in the shared object. */
extern ngx_module_t *ngx_modules[];
extern char *ngx_module_names[];
extern char *ngx_module_order[];

static char name[] = "ngx_http_deputy_module";

ngx_module_t *ngx_modules[] = { &ngx_http_deputy_module, NULL };
char *ngx_module_names[] = { name, NULL };
/* In front of the copy filter in the list, which is behind it in the run: bodies come as buffers in memory. */
static char copy_filter[] = "ngx_http_copy_filter_module";
char *ngx_module_order[] = { name, copy_filter, NULL };

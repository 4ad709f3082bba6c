/* What the files of the nginx module share. One thread runs all of it: nginx's event loop. Others only ever reach
 * wake.c. */
#ifndef DEP_NGINX_MODULE_H
#define DEP_NGINX_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "sidecar/engine.h"
#include "guard/rules_file.h"
#include "sidecar/shape.h"

extern ngx_module_t ngx_http_deputy_module;

/* A guarded resource: what one deputy_resource and the directives beside it say, and in a worker process the engine
 * that guards it. */
struct dep_nginx_guard {
    struct dep_nginx_guard *next; /* of the configuration */
    struct dep_sidecar_config config;
    ngx_str_t audit; /* the directory that holds one log for each worker */
    char directory[NGX_MAX_PATH];
    struct dep_rules_file *rules; /* NULL: none */
    int slot_fd;                  /* holds the lock on this worker's log; -1: none */
    struct dep_engine engine;
    struct dep_engine_worker worker;
    bool is_prepared, is_running;
};

/* The directives that describe a resource, before they are one. */
struct dep_nginx_resource {
    ngx_str_t url, name, issuer, public_url, scopes_offered, client_id, client_secret, nonce_key, audit, rules;
    ngx_flag_t needs_nonce, may_loopback, may_private;
    ngx_uint_t certificates; /* enum dep_guard_certificates */
    time_t proof_age, skew, feed_silence, keys_throttle;
};

/* Of a location. */
struct dep_nginx_location {
    ngx_flag_t is_on, needs_dpop;
    ngx_str_t scope;
    struct dep_nginx_resource resource;
    struct dep_nginx_guard *guard;  /* NULL: nothing is guarded here */
    struct dep_guard_policy policy; /* in a worker: the guard's, with what this location adds */
    ngx_uint_t once_mode;           /* deputy_idempotency: enum dep_nginx_once_mode */
    ngx_flag_t once_lenient;
    ngx_str_t once_path;
    struct dep_nginx_ledger *once_ledger;
    struct dep_nginx_location *next; /* of the configuration */
};

/* Of a server: the resources whose metadata it publishes. */
struct dep_nginx_server {
    ngx_array_t guards; /* of struct dep_nginx_guard * */
};

/* Of the whole configuration. */
struct dep_nginx_main {
    struct dep_nginx_guard *guards;
    struct dep_nginx_ledger *ledgers;
    struct dep_nginx_location *locations; /* those with a guard */
    ngx_str_t zone_name;
    size_t zone_size; /* 0: not said */
    struct dep_nginx_shared *shared;
};

#endif

/* Starting the engines after the fork, and stopping them before the exit. */
#include "worker.h"

#include <signal.h>

#include "access.h"
#include "ledger.h"
#include "net/clock.h"
#include "slot.h"
#include "wake.h"
#include "zone.h"

/* A clock that was set back over a restart must not reopen the past (attack case B37): whichever worker wrote last, all
 * of them know it from the logs. */
static void raise_fence(struct dep_nginx_guard *guard)
{
    int64_t newest = dep_nginx_slot_newest(guard);

    if (newest > dep_clock_unix() && newest > guard->engine.policy.dpop.fence)
        guard->engine.policy.dpop.fence = newest;
}

static bool start_guard(ngx_cycle_t *cycle, const struct dep_nginx_main *all, struct dep_nginx_guard *guard)
{
    struct dep_str resource = guard->config.resource;

    dep_nginx_zone_join(all, &guard->engine);
    raise_fence(guard);
    if (!dep_nginx_slot_take(guard)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno, "deputy: no audit log can be had in \"%V\"", &guard->audit);
    } else if (dep_engine_start(&guard->engine) == 0 &&
               dep_engine_worker_init(&guard->worker, guard->engine.config.tokens_max)) {
        return true;
    }
    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "deputy: the guard of %*s does not start; it answers 503 in this worker", resource.len, resource.ptr);
    return false;
}

static void make_policy(struct dep_nginx_location *location)
{
    location->policy = location->guard->engine.policy;
    location->policy.scopes =
        location->scope.len == 0 ? DEP_STR_ABSENT : dep_str((const char *)location->scope.data, location->scope.len);
    location->policy.needs_dpop = location->needs_dpop != 0;
}

static struct dep_nginx_main *main_of(ngx_cycle_t *cycle)
{
    /* A configuration without http{} has none. */
    return cycle->conf_ctx[ngx_http_module.index] == NULL
               ? NULL
               : ngx_http_cycle_get_module_main_conf(cycle, ngx_http_deputy_module);
}

ngx_int_t dep_nginx_worker_start(ngx_cycle_t *cycle)
{
    struct dep_nginx_main *all = main_of(cycle);
    sigset_t none, before;

    if (all == NULL || all->guards == NULL || (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE))
        return NGX_OK;
    if (dep_nginx_wake_start(cycle, dep_nginx_access_resume) != NGX_OK)
        return NGX_ERROR;
    /* Signals are for nginx's own thread: elsewhere they would be noted and nobody woken. */
    sigfillset(&none);
    pthread_sigmask(SIG_SETMASK, &none, &before);
    for (struct dep_nginx_guard *guard = all->guards; guard != NULL; guard = guard->next)
        guard->is_running = start_guard(cycle, all, guard);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    dep_nginx_ledgers_start(cycle, all->ledgers);
    for (struct dep_nginx_location *location = all->locations; location != NULL; location = location->next)
        make_policy(location);
    return NGX_OK;
}

void dep_nginx_worker_stop(ngx_cycle_t *cycle)
{
    struct dep_nginx_main *all = main_of(cycle);

    if (all == NULL || all->guards == NULL)
        return;
    for (struct dep_nginx_guard *guard = all->guards; guard != NULL; guard = guard->next)
        dep_engine_quiesce(&guard->engine);
    for (struct dep_nginx_guard *guard = all->guards; guard != NULL; guard = guard->next) {
        guard->is_running = false;
        guard->is_prepared = false;
        dep_engine_done(&guard->engine);
        dep_engine_worker_done(&guard->worker);
        dep_rules_file_free(guard->rules);
        dep_nginx_slot_give_back(guard);
    }
    dep_nginx_ledgers_stop(all->ledgers);
    dep_nginx_wake_stop();
}

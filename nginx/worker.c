/* Starting the engines after the fork, and stopping them before the exit. */
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "wake.h"

#define SLOTS_MAX 1024u

/* A log has one writer. While workers of an older configuration drain, theirs are taken: each worker takes the first log
 * that nobody has. */
static bool take_slot(struct dep_nginx_guard *guard)
{
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        (void)ngx_snprintf((u_char *)guard->directory, sizeof(guard->directory), "%V/%ud.lock%Z", &guard->audit, slot);
        guard->slot_fd = open(guard->directory, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (guard->slot_fd < 0)
            return false;
        if (flock(guard->slot_fd, LOCK_EX | LOCK_NB) == 0) {
            (void)ngx_snprintf((u_char *)guard->directory, sizeof(guard->directory), "%V/%ud%Z", &guard->audit, slot);
            return true;
        }
        close(guard->slot_fd);
        guard->slot_fd = -1;
    }
    return false;
}

static bool start_guard(ngx_cycle_t *cycle, struct dep_nginx_guard *guard)
{
    if (!take_slot(guard)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "deputy: no audit log can be had in \"%V\"; %*s answers 503 in this worker", &guard->audit,
                      guard->config.resource.len, guard->config.resource.ptr);
        return false;
    }
    if (dep_engine_start(&guard->engine) != 0 ||
        !dep_engine_worker_init(&guard->worker, guard->engine.config.tokens_max)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "deputy: the guard of %*s does not start; it answers 503 in this worker",
                      guard->config.resource.len, guard->config.resource.ptr);
        return false;
    }
    return true;
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
        guard->is_running = start_guard(cycle, guard);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
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
        if (guard->slot_fd >= 0)
            close(guard->slot_fd);
    }
    dep_nginx_wake_stop();
}

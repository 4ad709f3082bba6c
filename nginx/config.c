/* From directives to guards. What cannot be used stops nginx before it serves (attack case O09). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/b64.h"
#include "once.h"

#define SECRET_MAX 4096u

void *dep_nginx_main_create(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(struct dep_nginx_main));
}

void *dep_nginx_server_create(ngx_conf_t *cf)
{
    struct dep_nginx_server *server = ngx_pcalloc(cf->pool, sizeof(*server));

    if (server == NULL || ngx_array_init(&server->guards, cf->pool, 2, sizeof(struct dep_nginx_guard *)) != NGX_OK)
        return NULL;
    return server;
}

void *dep_nginx_location_create(ngx_conf_t *cf)
{
    struct dep_nginx_location *location = ngx_pcalloc(cf->pool, sizeof(*location));

    if (location == NULL)
        return NULL;
    location->is_on = NGX_CONF_UNSET;
    location->once_mode = NGX_CONF_UNSET_UINT;
    location->once_lenient = NGX_CONF_UNSET;
    location->needs_dpop = NGX_CONF_UNSET;
    location->resource.needs_nonce = NGX_CONF_UNSET;
    location->resource.may_loopback = NGX_CONF_UNSET;
    location->resource.may_private = NGX_CONF_UNSET;
    location->resource.certificates = NGX_CONF_UNSET_UINT;
    location->resource.proof_age = NGX_CONF_UNSET;
    location->resource.skew = NGX_CONF_UNSET;
    location->resource.feed_silence = NGX_CONF_UNSET;
    location->resource.keys_throttle = NGX_CONF_UNSET;
    return location;
}

static bool says_something(const struct dep_nginx_resource *resource)
{
    return resource->name.data != NULL || resource->issuer.data != NULL || resource->public_url.data != NULL ||
           resource->scopes_offered.data != NULL || resource->client_id.data != NULL ||
           resource->client_secret.data != NULL || resource->audit.data != NULL || resource->rules.data != NULL ||
           resource->nonce_key.data != NULL || resource->needs_nonce != NGX_CONF_UNSET ||
           resource->may_loopback != NGX_CONF_UNSET || resource->may_private != NGX_CONF_UNSET ||
           resource->certificates != NGX_CONF_UNSET_UINT || resource->proof_age != NGX_CONF_UNSET ||
           resource->skew != NGX_CONF_UNSET || resource->feed_silence != NGX_CONF_UNSET ||
           resource->keys_throttle != NGX_CONF_UNSET;
}

static void merge_resource(struct dep_nginx_resource *child, const struct dep_nginx_resource *parent)
{
    ngx_conf_merge_str_value(child->name, parent->name, "");
    ngx_conf_merge_str_value(child->issuer, parent->issuer, "");
    ngx_conf_merge_str_value(child->public_url, parent->public_url, "");
    ngx_conf_merge_str_value(child->scopes_offered, parent->scopes_offered, "");
    ngx_conf_merge_str_value(child->client_id, parent->client_id, "");
    ngx_conf_merge_str_value(child->client_secret, parent->client_secret, "");
    ngx_conf_merge_str_value(child->nonce_key, parent->nonce_key, "");
    ngx_conf_merge_str_value(child->audit, parent->audit, "");
    ngx_conf_merge_str_value(child->rules, parent->rules, "");
    ngx_conf_merge_value(child->needs_nonce, parent->needs_nonce, 0);
    ngx_conf_merge_value(child->may_loopback, parent->may_loopback, 0);
    ngx_conf_merge_value(child->may_private, parent->may_private, 0);
    ngx_conf_merge_uint_value(child->certificates, parent->certificates, DEP_GUARD_CERTIFICATES_NONE);
    ngx_conf_merge_sec_value(child->proof_age, parent->proof_age, 0);
    ngx_conf_merge_sec_value(child->skew, parent->skew, 0);
    ngx_conf_merge_sec_value(child->feed_silence, parent->feed_silence, 0);
    ngx_conf_merge_sec_value(child->keys_throttle, parent->keys_throttle, 0);
}

static struct dep_str text_of(ngx_str_t text)
{
    return text.len == 0 ? DEP_STR_ABSENT : dep_str((const char *)text.data, text.len);
}

static void fill_config(struct dep_sidecar_config *config, const struct dep_nginx_location *location)
{
    const struct dep_nginx_resource *resource = &location->resource;

    dep_sidecar_config_init(config);
    config->resource = text_of(resource->url);
    config->resource_name = text_of(resource->name);
    config->issuer = text_of(resource->issuer);
    config->public_url = text_of(resource->public_url);
    config->scopes = text_of(location->scope);
    config->scopes_offered = text_of(resource->scopes_offered);
    config->client_id = text_of(resource->client_id);
    config->client_secret = dep_secret(resource->client_secret.data, resource->client_secret.len);
    config->nonce_key = dep_secret(resource->nonce_key.data, resource->nonce_key.len);
    config->needs_dpop = location->needs_dpop != 0;
    config->needs_nonce = resource->needs_nonce != 0;
    config->may_loopback = resource->may_loopback != 0;
    config->may_private = resource->may_private != 0;
    config->certificates = (enum dep_guard_certificates)resource->certificates;
    config->proof_age_max_s = resource->proof_age;
    config->skew_s = resource->skew;
    config->feed_silence_max_s = resource->feed_silence;
    config->keys_throttle_s = resource->keys_throttle;
}

static void wipe_secret(struct dep_secret secret)
{
    union {
        const unsigned char *read;
        unsigned char *write;
    } bytes = { .read = secret.bytes };

    if (secret.len > 0)
        dep_wipe(bytes.write, secret.len);
}

static void release_guard(void *data)
{
    struct dep_nginx_guard *guard = data;

    if (!guard->is_prepared)
        return;
    guard->is_prepared = false;
    dep_engine_done(&guard->engine);
    dep_rules_file_free(guard->rules);
    wipe_secret(guard->config.client_secret);
    wipe_secret(guard->config.nonce_key);
}

/* nginx makes the directory as it makes its own, for the user of the workers. */
static ngx_int_t claim_audit(ngx_conf_t *cf, struct dep_nginx_guard *guard)
{
    ngx_path_t *path = ngx_pcalloc(cf->pool, sizeof(*path));

    if (path == NULL || ngx_conf_full_name(cf->cycle, &guard->audit, 0) != NGX_OK)
        return NGX_ERROR;
    if (guard->audit.len + 32 > sizeof(guard->directory)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_audit_log: the path is too long");
        return NGX_ERROR;
    }
    path->name = guard->audit;
    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;
    return ngx_add_path(cf, &path);
}

static char *check_audit(ngx_conf_t *cf, const struct dep_nginx_main *all, const struct dep_nginx_guard *guard)
{
    if (guard->audit.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_audit_log: a directory is needed beside deputy_resource");
        return NGX_CONF_ERROR;
    }
    for (const struct dep_nginx_guard *other = all->guards; other != NULL; other = other->next)
        if (other->audit.len == guard->audit.len &&
            ngx_memcmp(other->audit.data, guard->audit.data, guard->audit.len) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_audit_log: \"%V\" is another resource's log already",
                               &guard->audit);
            return NGX_CONF_ERROR;
        }
    return NGX_CONF_OK;
}

/* What each request needs, by method, path and tool; the location's scopes are part of every rule. */
static char *load_rules(ngx_conf_t *cf, struct dep_nginx_guard *guard, ngx_str_t path)
{
    char message[DEP_RULES_MESSAGE_MAX];

    if (path.len == 0)
        return NGX_CONF_OK;
    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK)
        return NGX_CONF_ERROR;
    if (!dep_is_ok(dep_rules_file_load((const char *)path.data, guard->config.scopes, &guard->rules, message))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_rules: %s", message);
        return NGX_CONF_ERROR;
    }
    guard->config.rules = dep_rules_file_rules(guard->rules);
    return NGX_CONF_OK;
}

static char *make_guard(ngx_conf_t *cf, struct dep_nginx_location *location)
{
    struct dep_nginx_main *all = ngx_http_conf_get_module_main_conf(cf, ngx_http_deputy_module);
    struct dep_nginx_server *server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_deputy_module);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, sizeof(struct dep_nginx_guard));
    struct dep_nginx_guard *guard, **place;

    if (cleanup == NULL)
        return NGX_CONF_ERROR;
    guard = cleanup->data;
    ngx_memzero(guard, sizeof(*guard));
    guard->slot_fd = -1;
    guard->audit = location->resource.audit;
    fill_config(&guard->config, location);
    if (check_audit(cf, all, guard) != NGX_CONF_OK || claim_audit(cf, guard) != NGX_OK)
        return NGX_CONF_ERROR;
    guard->config.audit_directory = guard->directory;
    ngx_memcpy(guard->directory, guard->audit.data, guard->audit.len); /* of a worker: dep_nginx_worker_start() */
    guard->is_prepared = true;
    cleanup->handler = release_guard;
    if (load_rules(cf, guard, location->resource.rules) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    if (dep_engine_prepare(&guard->engine, &guard->config) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_resource \"%V\" cannot be guarded as it is described",
                           &location->resource.url);
        return NGX_CONF_ERROR;
    }
    place = ngx_array_push(&server->guards);
    if (place == NULL)
        return NGX_CONF_ERROR;
    *place = guard;
    guard->next = all->guards;
    all->guards = guard;
    location->guard = guard;
    return NGX_CONF_OK;
}

char *dep_nginx_location_merge(ngx_conf_t *cf, void *parent, void *child)
{
    struct dep_nginx_main *all = ngx_http_conf_get_module_main_conf(cf, ngx_http_deputy_module);
    const struct dep_nginx_location *above = parent;
    struct dep_nginx_location *location = child;
    bool is_own = location->resource.url.data != NULL;

    if (!is_own && above->guard != NULL && says_something(&location->resource)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "this location is guarded as \"%V\"; what describes a resource stands beside its "
                           "deputy_resource",
                           &above->resource.url);
        return NGX_CONF_ERROR;
    }
    if (!is_own && above->guard != NULL && above->guard->rules != NULL && location->scope.data != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "deputy_scope: the rules of \"%V\" say what is needed here; change them instead",
                           &above->resource.url);
        return NGX_CONF_ERROR;
    }
    ngx_conf_merge_str_value(location->scope, above->scope, "");
    ngx_conf_merge_value(location->needs_dpop, above->needs_dpop, 0);
    merge_resource(&location->resource, &above->resource);
    if (is_own) {
        if (make_guard(cf, location) != NGX_CONF_OK)
            return NGX_CONF_ERROR;
    } else {
        location->resource.url = above->resource.url;
        location->guard = above->guard;
    }
    if (location->is_on == 1 && location->guard == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy on: a deputy_resource is needed here or above");
        return NGX_CONF_ERROR;
    }
    ngx_conf_merge_value(location->is_on, above->is_on, location->guard == NULL ? NGX_CONF_UNSET : 1);
    if (dep_nginx_once_merge(cf, location, above) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    if (location->guard != NULL) {
        location->next = all->locations;
        all->locations = location;
    }
    return NGX_CONF_OK;
}

static char *refuse_secret(ngx_conf_t *cf, ngx_err_t error, const char *what)
{
    const ngx_str_t *words = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, error, "%V: %s", &words[0], what);
    return NGX_CONF_ERROR;
}

static char *read_secret(ngx_conf_t *cf, int fd, ngx_str_t *ret_secret)
{
    u_char *bytes = ngx_pnalloc(cf->pool, SECRET_MAX);
    struct stat status;
    ssize_t got;

    if (bytes == NULL)
        return NGX_CONF_ERROR;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return refuse_secret(cf, 0, "not a file");
    if ((status.st_mode & 0077) != 0)
        return refuse_secret(cf, 0, "others can read the file; chmod 600 it");
    got = read(fd, bytes, SECRET_MAX);
    if (got < 0)
        return refuse_secret(cf, ngx_errno, "the file cannot be read");
    if (got == 0 || (size_t)got == SECRET_MAX)
        return refuse_secret(cf, 0, "the file is empty or too long");
    ret_secret->data = bytes;
    ret_secret->len = (size_t)got;
    return NGX_CONF_OK;
}

static char *open_secret(ngx_conf_t *cf, ngx_str_t *ret_secret)
{
    const ngx_str_t *words = cf->args->elts;
    ngx_str_t path = words[1];
    char *result;
    int fd;

    if (ret_secret->data != NULL)
        return refuse_secret(cf, 0, "given twice");
    if (path.len <= 5 || ngx_strncmp(path.data, "file:", 5) != 0)
        return refuse_secret(cf, 0, "say file:PATH; a secret does not stand in a configuration");
    path.data += 5;
    path.len -= 5;
    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK)
        return NGX_CONF_ERROR;
    fd = open((const char *)path.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse_secret(cf, ngx_errno, "the file cannot be opened");
    result = read_secret(cf, fd, ret_secret);
    close(fd);
    return result;
}

static void trim(ngx_str_t *secret)
{
    while (secret->len > 0 && (secret->data[secret->len - 1] == '\n' || secret->data[secret->len - 1] == '\r'))
        secret->len--;
}

char *dep_nginx_set_secret(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    struct dep_nginx_location *location = conf;

    (void)command;
    if (open_secret(cf, &location->resource.client_secret) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    trim(&location->resource.client_secret);
    return location->resource.client_secret.len > 0 ? NGX_CONF_OK : refuse_secret(cf, 0, "the file is empty");
}

/* A raw key may end in any byte, so nothing is taken off 32 of them. */
char *dep_nginx_set_nonce_key(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    struct dep_nginx_location *location = conf;
    ngx_str_t *key = &location->resource.nonce_key;
    u_char bytes[DEP_SHA256_LEN];
    bool is_key;

    (void)command;
    if (open_secret(cf, key) != NGX_CONF_OK)
        return NGX_CONF_ERROR;
    if (key->len == DEP_SHA256_LEN)
        return NGX_CONF_OK;
    trim(key);
    is_key = dep_is_ok(dep_b64url_decode_exact(dep_str((const char *)key->data, key->len), bytes, sizeof(bytes)));
    dep_wipe(key->data, SECRET_MAX);
    if (is_key)
        ngx_memcpy(key->data, bytes, sizeof(bytes));
    dep_wipe(bytes, sizeof(bytes));
    key->len = DEP_SHA256_LEN;
    return is_key ? NGX_CONF_OK : refuse_secret(cf, 0, "32 bytes are needed, raw or as base64url");
}

char *dep_nginx_set_words(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_str_t *text = (ngx_str_t *)(void *)((u_char *)conf + command->offset);
    const ngx_str_t *words = cf->args->elts;
    size_t len = 0;
    u_char *at;

    if (text->data != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is given twice", &command->name);
        return NGX_CONF_ERROR;
    }
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++)
        len += words[i].len + 1;
    at = ngx_pnalloc(cf->pool, len);
    if (at == NULL)
        return NGX_CONF_ERROR;
    text->data = at;
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        at = ngx_cpymem(at, words[i].data, words[i].len);
        *at++ = ' ';
    }
    text->len = len - 1;
    return NGX_CONF_OK;
}

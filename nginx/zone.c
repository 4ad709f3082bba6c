/* One zone for all resources: a proof's key and a token's tag name what they are for. */
#include "zone.h"

#include "net/clock.h"

#define SIZE_DEFAULT (32u * 1024u * 1024u)
#define SIZE_MIN (512u * 1024u)

char *dep_nginx_set_zone(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    struct dep_nginx_main *all = conf;
    const ngx_str_t *words = cf->args->elts;
    struct dep_str text = dep_str((const char *)words[1].data, words[1].len);
    size_t at = dep_str_find(text, ':');
    ngx_str_t size = { text.len - at, words[1].data + at };
    ssize_t bytes;

    if (all->zone_size != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is given twice", &command->name);
        return NGX_CONF_ERROR;
    }
    if (size.len > 0) {
        size.data++;
        size.len--;
    }
    bytes = ngx_parse_size(&size);
    if (at == 0 || bytes < (ssize_t)SIZE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "deputy_zone: NAME:SIZE is needed, as in deputy:32m, at least 512k");
        return NGX_CONF_ERROR;
    }
    all->zone_name = (ngx_str_t){ at, words[1].data };
    all->zone_size = (size_t)bytes;
    return NGX_CONF_OK;
}

static int64_t life_of(const struct dep_nginx_main *all)
{
    int64_t life_s = 1;

    for (const struct dep_nginx_guard *guard = all->guards; guard != NULL; guard = guard->next)
        life_s = ngx_max(life_s, dep_engine_proof_life_s(&guard->engine));
    return life_s;
}

/* Three quarters for what was used: what is too little of it is seen as 503. */
static bool make_shared(ngx_shm_zone_t *zone, struct dep_nginx_main *all)
{
    ngx_slab_pool_t *pool = (ngx_slab_pool_t *)(void *)zone->shm.addr;
    size_t bytes = pool->pfree * ngx_pagesize, head = (sizeof(*all->shared) + 63) / 64 * 64, replay;
    unsigned char *memory = ngx_slab_alloc(pool, bytes);

    if (memory == NULL)
        return false;
    replay = (bytes - head) / 4 * 3 / 64 * 64;
    all->shared = (struct dep_nginx_shared *)(void *)memory;
    all->shared->fence = dep_clock_unix();
    dep_random(all->shared->nonce_key, sizeof(all->shared->nonce_key));
    all->shared->replay = dep_replay_region_init(memory + head, replay, life_of(all));
    all->shared->seen = dep_seen_region_init(memory + head + replay, bytes - head - replay);
    pool->data = all->shared;
    return all->shared->replay != NULL && all->shared->seen != NULL;
}

static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *data)
{
    struct dep_nginx_main *all = zone->data;
    const struct dep_nginx_main *before = data;

    if (before == NULL) {
        if (make_shared(zone, all))
            return NGX_OK;
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0, "deputy_zone \"%V\": too small, or out of locks",
                      &zone->shm.name);
        return NGX_ERROR;
    }
    all->shared = before->shared;
    if (life_of(all) <= dep_replay_region_life_max_s(all->shared->replay))
        return NGX_OK;
    ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                  "deputy_zone \"%V\": proofs live longer than before, and what was used is kept as long as it was "
                  "made for; restart nginx, or give the zone another name",
                  &zone->shm.name);
    return NGX_ERROR;
}

ngx_int_t dep_nginx_zone_add(ngx_conf_t *cf)
{
    struct dep_nginx_main *all = ngx_http_conf_get_module_main_conf(cf, ngx_http_deputy_module);
    ngx_str_t name = all->zone_size == 0 ? (ngx_str_t)ngx_string("deputy") : all->zone_name;
    ngx_shm_zone_t *zone;

    if (all->guards == NULL)
        return NGX_OK;
    zone =
        ngx_shared_memory_add(cf, &name, all->zone_size == 0 ? SIZE_DEFAULT : all->zone_size, &ngx_http_deputy_module);
    if (zone == NULL)
        return NGX_ERROR;
    zone->init = init_zone;
    zone->data = all;
    return NGX_OK;
}

void dep_nginx_zone_join(const struct dep_nginx_main *all, struct dep_engine *engine)
{
    const struct dep_nginx_shared *shared = all->shared;

    engine->shared_replay = shared->replay;
    engine->shared_seen = shared->seen;
    if (engine->config.nonce_key.len == 0) /* else deputy_nonce_key, which siblings on other machines have too */
        ngx_memcpy(engine->nonce_key, shared->nonce_key, sizeof(engine->nonce_key));
    engine->policy.dpop.fence = shared->fence;
}

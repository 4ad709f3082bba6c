/* What all worker processes share: what was used once, tokens verified before, the key of the nonces, the restart fence.
 *
 * Invariants:
 *  (1) A reload keeps all of it. A restart makes it anew, and the fence then refuses proofs from before
 *      (docs/adr/0004).
 *  (2) It is mapped before the workers are forked, so addresses are the same in all of them. */
#ifndef DEP_NGINX_ZONE_H
#define DEP_NGINX_ZONE_H

#include "module.h"

struct dep_nginx_shared {
    unsigned char nonce_key[DEP_SHA256_LEN];
    int64_t fence;
    struct dep_replay_region *replay;
    struct dep_seen_region *seen;
};

/* deputy_zone NAME:SIZE. */
char *dep_nginx_set_zone(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/* After the configuration was read: the zone, if anything is guarded. */
ngx_int_t dep_nginx_zone_add(ngx_conf_t *cf);
/* Gives the engine its part, before it starts. */
void dep_nginx_zone_join(const struct dep_nginx_main *all, struct dep_engine *engine);

#endif

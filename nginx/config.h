/* From directives to guards. */
#ifndef DEP_NGINX_CONFIG_H
#define DEP_NGINX_CONFIG_H

#include "module.h"

void *dep_nginx_main_create(ngx_conf_t *cf);
void *dep_nginx_server_create(ngx_conf_t *cf);
void *dep_nginx_location_create(ngx_conf_t *cf);
/* A location inherits its guard unless it names a resource of its own. */
char *dep_nginx_location_merge(ngx_conf_t *cf, void *parent, void *child);

/* deputy_client_secret file:PATH. The file is read now, as the user that starts nginx; one that others may read is
 * refused. Never repeats what was given: it may be the secret itself. */
char *dep_nginx_set_secret(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/* deputy_nonce_key file:PATH, as deputy_client_secret: 32 bytes, raw or as base64url (RFC 9449 section 9: the nonces of
 * one node are understood by its siblings). */
char *dep_nginx_set_nonce_key(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/* deputy_scope WORD…: joined by blanks. */
char *dep_nginx_set_words(ngx_conf_t *cf, ngx_command_t *command, void *conf);

#endif

/* $deputy_subject, $deputy_client, $deputy_actor, $deputy_actor_chain, $deputy_scope, $deputy_audience, $deputy_task,
 * $deputy_token_id, $deputy_decision. */
#ifndef DEP_NGINX_VARIABLES_H
#define DEP_NGINX_VARIABLES_H

#include "module.h"

ngx_int_t dep_nginx_variables_add(ngx_conf_t *cf);

#endif

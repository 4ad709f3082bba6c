/* What the guard knows about one client request, over all internal redirects. */
#ifndef DEP_NGINX_STATE_H
#define DEP_NGINX_STATE_H

#include "module.h"
#include "wake.h"

enum dep_nginx_step {
    DEP_NGINX_NEW,     /* not decided, or decided for another location */
    DEP_NGINX_WAITING, /* for keys or for the record of a refusal */
    DEP_NGINX_LATE,    /* has waited for keys */
    DEP_NGINX_READY,   /* `answer` may go */
    DEP_NGINX_ALLOWED,
};

struct dep_nginx_state {
    enum dep_nginx_step step;
    struct dep_nginx_wait *wait;                 /* while WAITING */
    ngx_list_t sent;                             /* the client's headers, as sent */
    const struct dep_nginx_location *allowed_in; /* the location that was decided about */
    bool has_nonce;                              /* the client gets one */
    bool has_burnt;
    unsigned char burnt[DEP_REPLAY_KEY_BYTES]; /* the proof this request was allowed with */
    struct dep_net_answer answer;              /* of a refusal, in the request's pool */
    ngx_str_t id;                              /* of the newest decision; empty: none */
    struct dep_nginx_once *once;               /* of a write with a key; NULL: it has none, or was not looked at */
    ngx_str_t identity[DEP_GUARD_IDENTITY];    /* of an allow */
};

/* The state of the request's main request. NULL when there is none; with `makes`, when out of memory. */
struct dep_nginx_state *dep_nginx_state(ngx_http_request_t *request, bool makes);

#endif

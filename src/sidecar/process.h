/* The parts of `deputy guard run`: the engine, and what each thread that decides has for itself. */
#ifndef DEP_SIDECAR_PROCESS_H
#define DEP_SIDECAR_PROCESS_H

#include "sidecar/denied.h"
#include "sidecar/engine.h"

struct dep_sidecar {
    struct dep_engine engine;
    struct dep_denied *denied;
    struct dep_engine_worker *workers; /* the last ones are `late` and `settler` */
    size_t workers_count;
    struct dep_engine_worker *late;    /* the keys' thread's */
    struct dep_engine_worker *settler; /* the replay store's thread's */
};

/* Answers one request, on the worker's thread. */
void dep_sidecar_handle(struct dep_sidecar *sidecar, struct dep_engine_worker *worker,
                        struct dep_net_exchange *exchange);

#endif

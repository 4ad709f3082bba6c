/* Loads what a decision names as needed. One for each request that is decided. */
#ifndef DEP_SERVER_FACTS_H
#define DEP_SERVER_FACTS_H

#include "server/server.h"

struct dep_loader {
    struct dep_server *server;
    struct dep_snapshot *snapshot;
    struct dep_arena *arena;
    struct dep_str peer;
    int64_t now;
    struct dep_facts facts;
    struct dep_issuer_keys *issuer_keys[2]; /* held for the length of the decision */
    size_t issuer_keys_count;
    const struct dep_cell *must_fetch; /* an issuer whose keys are not here: the request waits for them */
    uint64_t lookups;                  /* of that issuer, for dep_issuers_park() */
    bool is_parked_before;             /* it has waited once, or will not: now it takes what there is */
};

/* All arguments outlive the loader. */
void dep_loader_init(struct dep_loader *loader, struct dep_server *server, struct dep_snapshot *snapshot,
                     struct dep_arena *arena, struct dep_str peer, int64_t now);
void dep_loader_load(struct dep_loader *loader, const struct dep_decision *decision);
void dep_loader_add(struct dep_loader *loader, enum dep_fact_kind kind, struct dep_str id, const void *value);
void dep_loader_done(struct dep_loader *loader);

#endif

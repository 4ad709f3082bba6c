/* A sub-agent that was allowed becomes two records: the agent and its first client. */
#ifndef DEP_SERVER_REGISTER_H
#define DEP_SERVER_REGISTER_H

#include "proto/wire.h"
#include "server/server.h"

#define DEP_REGISTER_CHANGES 2u

/* Makes the records and the answer's body, which shows the client's secret, if it has one, this once. Everything is in the arena.
 * DEP_ERR_ARENA_FULL, or why the client's keys cannot be used. */
DEP_MUST struct dep_res dep_register_child(struct dep_server *server, struct dep_crypto *crypto,
                                           struct dep_arena *arena, const struct dep_child *child, int64_t now,
                                           struct dep_change ret_changes[DEP_REGISTER_CHANGES],
                                           struct dep_str *ret_body);

/* A client's secret: 256 random bits as text in the arena, to be shown once; what is kept is its hash, in the record. */
struct dep_str dep_client_secret_make(struct dep_crypto *crypto, struct dep_arena *arena, int64_t now,
                                      struct dep_client_secret *ret_record);

#endif

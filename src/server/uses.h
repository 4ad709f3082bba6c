/* What a decision uses up, asked of the replay store, and the requests that wait for its answer.
 *
 * A store that answers at once (memory) is asked in place. One that does not (SQLite, PostgreSQL) gets all entries of a decision
 * together, while the answer that leaves if all of them are new lies ready. If one is not new, or what was decided under has
 * changed meanwhile, the request is decided again, on the store's thread, with what the store said. What nobody can know is 503. */
#ifndef DEP_SERVER_USES_H
#define DEP_SERVER_USES_H

#include "server/server.h"

/* What the store has said about things that this very request brought. */
struct dep_uses {
    unsigned char own[DEP_EFFECTS_MAX][DEP_REPLAY_KEY_BYTES]; /* new: used up by this request, not by another */
    size_t own_count;
    unsigned char seen[DEP_EFFECTS_MAX][DEP_REPLAY_KEY_BYTES];
    size_t seen_count;
};

/* Asks for what `effects` use up, as far as it is not known. DEP_OK: all new. DEP_ERR_REPLAY_SEEN: `*ret_seen` is the key of the
 * one that is not. Class UNAVAILABLE: not known. `*ret_owes`: the store answers later, to dep_uses_ask(). */
DEP_MUST struct dep_res dep_uses_settle(struct dep_server *server, struct dep_uses *uses,
                                        const struct dep_decision *decision, int64_t now, bool *ret_owes,
                                        const unsigned char **ret_seen);

/* Sends what is owed. The exchange is deferred, and not the caller's any more. `job` is the prepared answer, taken in any case.
 * References to snapshot and settings are taken. */
void dep_uses_ask(struct dep_server *server, struct dep_net_exchange *exchange, const struct dep_uses *uses,
                  const struct dep_decision *decision, struct dep_snapshot *snapshot, struct dep_settings *settings,
                  struct dep_job *job, int64_t now);

#endif

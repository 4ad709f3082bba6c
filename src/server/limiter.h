/* Wrong secrets, counted by client and address: a bounded table. Too many lock that client for that address only, so that nobody can
 * lock out a client from elsewhere (attack case C23). */
#ifndef DEP_SERVER_LIMITER_H
#define DEP_SERVER_LIMITER_H

#include "base/str.h"

#define DEP_LIMITER_FAILURES_MAX 20u
#define DEP_LIMITER_WINDOW_S 60
#define DEP_LIMITER_LOCK_S 60

struct dep_limiter;
struct dep_limiter *dep_limiter_new(void);
void dep_limiter_free(struct dep_limiter *limiter);
void dep_limiter_count(struct dep_limiter *limiter, struct dep_str client, struct dep_str peer, int64_t now);
/* Until when the pair is locked; 0 when it is not. */
int64_t dep_limiter_locked_until(struct dep_limiter *limiter, struct dep_str client, struct dep_str peer, int64_t now);

#endif

/* Who lives: a lock that the kernel lets go of when its holder dies, however it dies.
 *
 * An owner is a random number, and holds a lock on the byte of a shared file that has this number as its offset. Numbers are not
 * used again, so a dead owner's can not be mistaken for a new one's, as a process id could. */
#ifndef DEP_STORE_LEDGER_OWNER_H
#define DEP_STORE_LEDGER_OWNER_H

#include <stdint.h>

#include "base/res.h"

struct dep_ledger_owner {
    int fd;
    int64_t number;
};

/* Opens or creates the file (mode 0600) and takes a number: DEP_ERR_STORE_IO. Must not be carried over a fork(): the child would
 * keep the parent's lock. */
DEP_MUST struct dep_res dep_ledger_owner_init(struct dep_ledger_owner *owner, const char *path);
/* Waits until no other owner is between its true and its false: for opening what all share. */
DEP_MUST struct dep_res dep_ledger_owner_alone(const struct dep_ledger_owner *owner, bool is_alone);
void dep_ledger_owner_done(struct dep_ledger_owner *owner);
/* Whether the owner with this number lives. When the kernel does not say: DEP_ERR_STORE_IO. */
DEP_MUST struct dep_res dep_ledger_owner_lives(const struct dep_ledger_owner *self, int64_t number, bool *ret_lives);

#endif

/* Which record of a log was changed, and how, by the hashes in the file of leaves. */
#ifndef DEP_AUDIT_BLAME_H
#define DEP_AUDIT_BLAME_H

#include "audit/segment.h"
#include "crypto/crypto.h"

struct dep_blame {
    uint64_t index;
    const char *what; /* "was changed"; static */
};

/* Compares the records from leaf `from` on with the file of leaves. False when that file does not give the `root` of `size` leaves,
 * so that it says nothing, or when no record differs. */
bool dep_blame_find(struct dep_crypto *crypto, int directory_fd, int log_fd, const struct dep_segments *segments,
                    uint64_t size, const unsigned char root[DEP_SHA256_LEN], uint64_t from,
                    struct dep_blame *ret_blame);

#endif

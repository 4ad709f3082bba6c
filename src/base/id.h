/* Identifiers: ULIDs for records and decisions (26 characters of Crockford's base 32, sorted by time). */
#ifndef DEP_BASE_ID_H
#define DEP_BASE_ID_H

#include "base/buf.h"

#define DEP_ULID_LEN 26u
#define DEP_ULID_RANDOM 10u

/* Writes 26 characters: 48 bits of `time_ms`, 80 bits of `random` (DEP_ULID_RANDOM bytes). */
void dep_ulid_put(struct dep_buf *buf, int64_t time_ms, const unsigned char *random);
/* 26 characters of the alphabet, the first at most '7'. */
bool dep_ulid_is_valid(struct dep_str text);
/* Characters that ids, task ids and names of ours are made of: A-Z a-z 0-9 - . _ ~ : and at most `max` of them. */
bool dep_id_is_plain(struct dep_str text, size_t max);

#endif

/* A token with all its texts in one block of memory: as a struct, or packed. */
#ifndef DEP_GUARD_TOKEN_COPY_H
#define DEP_GUARD_TOKEN_COPY_H

#include "base/buf.h"
#include "proto/token.h"

size_t dep_token_copy_bytes(const struct dep_token *token);
/* Into memory of that many bytes, aligned as malloc() does. */
struct dep_token *dep_token_copy(const struct dep_token *token, void *memory);
/* Without pointers, for memory that processes share; a quarter of the struct's size. How many bytes; 0: they are more than `max`. */
size_t dep_token_pack(const struct dep_token *token, void *memory, size_t max);
/* Its texts point into `packed`. False: that is no packed token. */
DEP_MUST bool dep_token_unpack(struct dep_str packed, struct dep_token *ret_token);

#endif

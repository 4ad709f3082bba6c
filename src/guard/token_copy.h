/* A token with all its texts in one block of memory. */
#ifndef DEP_GUARD_TOKEN_COPY_H
#define DEP_GUARD_TOKEN_COPY_H

#include "proto/token.h"

size_t dep_token_copy_bytes(const struct dep_token *token);
/* Into memory of that many bytes, aligned as malloc() does. */
struct dep_token *dep_token_copy(const struct dep_token *token, void *memory);

#endif

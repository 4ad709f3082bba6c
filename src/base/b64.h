/* Base64url without padding, strict (RFC 7515 section 2, RFC 4648 section 5), and plain base64 for HTTP Basic. */
#ifndef DEP_BASE_B64_H
#define DEP_BASE_B64_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/res.h"

/* Bytes that `len` characters decode to, and characters that `len` bytes encode to. */
#define DEP_B64_DECODED(len) ((len) / 4 * 3 + ((len) % 4 == 0 ? 0 : (len) % 4 - 1))
#define DEP_B64_ENCODED(len) (((len)*4 + 2) / 3)

/* Decodes base64url into the arena. No padding, no other characters, no stray bits: DEP_ERR_B64_SYNTAX. */
DEP_MUST struct dep_res dep_b64url_decode(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_bytes);
/* The same into `out`, when exactly `len` bytes are expected: DEP_ERR_B64_SYNTAX, DEP_ERR_B64_LENGTH. */
DEP_MUST struct dep_res dep_b64url_decode_exact(struct dep_str text, void *out, size_t len);
void dep_b64url_put(struct dep_buf *buf, const void *bytes, size_t len);
/* Standard alphabet with padding (RFC 4648 section 4), strict. */
DEP_MUST struct dep_res dep_b64_decode(struct dep_arena *arena, struct dep_str text, struct dep_str *ret_bytes);
void dep_b64_put(struct dep_buf *buf, const void *bytes, size_t len);

#endif

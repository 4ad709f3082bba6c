/* HTTP header values: credentials, challenges, media types (RFC 9110). No sockets here. */
#ifndef DEP_HTTP_HEADER_H
#define DEP_HTTP_HEADER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/res.h"
#include "base/secret.h"

struct dep_header {
    struct dep_str name;
    struct dep_str value;
};

/* The only value of a header (name compared without case): absent when it is not there, DEP_ERR_HTTP_HEADER_DUPLICATE
 * when it is there twice. */
DEP_MUST struct dep_res dep_header_one(const struct dep_header *headers, size_t count, struct dep_str name,
                                       struct dep_str *ret_value);
size_t dep_header_count(const struct dep_header *headers, size_t count, struct dep_str name);

/* "scheme SP+ token68" (RFC 9110 section 11.4). Anything else: DEP_ERR_HTTP_AUTHORIZATION. */
struct dep_credentials {
    struct dep_str scheme;
    struct dep_str token; /* token68 */
};
DEP_MUST struct dep_res dep_credentials_parse(struct dep_str value, struct dep_credentials *ret_credentials);

/* user and password of Basic credentials (RFC 7617), each form-decoded when that is possible, raw otherwise, because
 * widespread clients do not encode (oauth-v2-1#2.4.1). DEP_ERR_CLIENT_BASIC. */
DEP_MUST struct dep_res dep_basic_parse(struct dep_arena *arena, struct dep_str token68, struct dep_str *ret_user,
                                        struct dep_secret *ret_password);

/* True for exactly this media type, without case, alone or with "charset=utf-8" as its only parameter. */
bool dep_media_type_is(struct dep_str value, struct dep_str type);

/* Writes one challenge, `, ` in front when the buffer holds one already. Parameters that are absent are left out;
 * values are filtered to what a quoted-string may hold without escapes. */
struct dep_challenge {
    const char *scheme;
    struct dep_str realm;
    struct dep_str error;
    struct dep_str error_description;
    struct dep_str scope;
    struct dep_str acr_values, max_age; /* rfc9470#3 */
    struct dep_str resource_metadata;
    struct dep_str algs;
};
void dep_challenge_put(struct dep_buf *buf, const struct dep_challenge *challenge);

/* Copies `text` with everything outside %x20-21 / %x23-5B / %x5D-7E replaced by '?' (RFC 6749 section 5.2). */
void dep_put_error_text(struct dep_buf *buf, struct dep_str text);

#endif

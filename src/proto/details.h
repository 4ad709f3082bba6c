/* The authorization_details of an access token (RFC 9396): read strictly and bounded, and asked whether they cover a
 * request. */
#ifndef DEP_PROTO_DETAILS_H
#define DEP_PROTO_DETAILS_H

#include "base/json.h"

#define DEP_DETAILS_BYTES_MAX 8192u
#define DEP_DETAILS_MAX 16u
#define DEP_DETAILS_ITEMS_MAX 32u
#define DEP_DETAILS_DEPTH_MAX 8u

/* An array of 1 to DEP_DETAILS_MAX objects, each with a `type`; the common fields (rfc9396#2.2), where they are, have
 * the types that the RFC gives them. DEP_ERR_JWT_CLAIMS. */
DEP_MUST struct dep_res dep_details_check(const struct dep_json *details);

/* What a request needs of one of them. */
struct dep_details_demand {
    struct dep_str type;
    const struct dep_str *actions; /* all of them in the same object */
    size_t actions_count;
    bool needs_location; /* an object without locations is not enough */
    struct dep_str url;  /* of the request, normalised, no query */
};

/* `details` is the JSON array as it stood in the token. False when no single object covers the request, when the text
 * is absent or malformed, and when the arena is full. An object that has locations covers what is at or below one of
 * them, and nothing else. */
bool dep_details_cover(struct dep_arena *arena, struct dep_str details, const struct dep_details_demand *demand);

#endif

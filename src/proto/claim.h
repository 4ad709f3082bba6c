/* Claims by name or by path: how rules on workloads name what a platform's token says. */
#ifndef DEP_PROTO_CLAIM_H
#define DEP_PROTO_CLAIM_H

#include "base/json.h"

/* `name` that starts with '/' is a JSON Pointer (RFC 6901) through objects: "/kubernetes.io/namespace"; any other is a member at the top,
 * dots and all. NULL: no such claim. */
const struct dep_json *dep_claim_at(const struct dep_json *claims, struct dep_str name);
/* Not blank, at most 256 bytes, and a pointer's parts are neither empty nor badly escaped. */
bool dep_claim_name_is_good(struct dep_str name);

#define DEP_CLAIM_TERMS_MAX 8u

/* Claims that a token must have, by name or path, and their texts. */
struct dep_claim_terms {
    struct dep_str names[DEP_CLAIM_TERMS_MAX], values[DEP_CLAIM_TERMS_MAX];
    size_t count;
};

/* Whether the claim is exactly `value`. A SPIFFE ID that ends with a segment of "*" stands for every id below it, which no other text
 * does (draft-ietf-oauth-spiffe-client-auth section 5.1). */
bool dep_claim_is(const struct dep_json *claims, struct dep_str name, struct dep_str value);
/* Whether every term is met in that way. */
bool dep_claims_are(const struct dep_json *claims, const struct dep_claim_terms *terms);
/* Whether every claim is the value of its term, or a list that has it; "true" and "false" are met by booleans too. What identity
 * providers say of a user: groups, roles, a tenant, email_verified. */
bool dep_claims_have(const struct dep_json *claims, const struct dep_claim_terms *terms);

#endif

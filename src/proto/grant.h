/* What an exchange issues (RFC 8693 section 2.2.1): an access token of ours, or a grant for a foreign authorization server: an ID-JAG
 * or the JWT of identity chaining. A grant is no access token: its typ says so, and it carries no more of us than the other needs. */
#ifndef DEP_PROTO_GRANT_H
#define DEP_PROTO_GRANT_H

#include "proto/token.h"

#define DEP_GRANT_LIFETIME_S 300

enum dep_issued { DEP_ISSUED_ACCESS_TOKEN, DEP_ISSUED_JWT, DEP_ISSUED_ID_JAG, DEP_ISSUED_KINDS };

/* The URN of requested_token_type and issued_token_type, the typ header, the last part of the URN for records. Static text. */
struct dep_str dep_issued_urn(enum dep_issued issued);
struct dep_str dep_issued_typ(enum dep_issued issued);
struct dep_str dep_issued_name(enum dep_issued issued);
bool dep_issued_by_urn(struct dep_str urn, enum dep_issued *ret_issued);

/* The claims of a grant: iss, sub, aud, client_id, iat, exp, jti, scope, resource, cnf, act with iss in each. Neither lineage nor task nor
 * organisation: they stand in our audit log. */
void dep_grant_write(struct dep_json_writer *writer, const struct dep_token *token, const struct dep_str *resources,
                     size_t resources_count);

#endif

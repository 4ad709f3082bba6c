/* Grants for foreign authorization servers: the claims (draft-ietf-oauth-identity-assertion-authz-grant section 6.1,
 * draft-ietf-oauth-identity-chaining section 2.3). Each kind says by its typ what it is (rfc8725#3.11): identity chaining names none, and
 * draft-ietf-oauth-rfc7523bis has one for every JWT that is an authorization grant. */
#include "proto/grant.h"

static const struct {
    struct dep_str urn, typ, name;
} kinds[DEP_ISSUED_KINDS] = {
#define KIND(name, typ)                                                                               \
    {                                                                                                 \
        DEP_STR_INIT("urn:ietf:params:oauth:token-type:" name), DEP_STR_INIT(typ), DEP_STR_INIT(name) \
    }
    [DEP_ISSUED_ACCESS_TOKEN] = KIND("access_token", "at+jwt"),
    [DEP_ISSUED_JWT] = KIND("jwt", "authorization-grant+jwt"),
    [DEP_ISSUED_ID_JAG] = KIND("id-jag", "oauth-id-jag+jwt"),
#undef KIND
};

struct dep_str dep_issued_urn(enum dep_issued issued)
{
    return kinds[issued].urn;
}

struct dep_str dep_issued_typ(enum dep_issued issued)
{
    return kinds[issued].typ;
}

struct dep_str dep_issued_name(enum dep_issued issued)
{
    return kinds[issued].name;
}

bool dep_issued_by_urn(struct dep_str urn, enum dep_issued *ret_issued)
{
    for (size_t i = 0; i < DEP_ISSUED_KINDS; i++) {
        if (!dep_str_eq(urn, kinds[i].urn))
            continue;
        *ret_issued = (enum dep_issued)i;
        return true;
    }
    return false;
}

/* Several issuers meet at the other server: each actor is named with the one that knows it (rfc8693#4.1). */
static void write_act(struct dep_json_writer *writer, const struct dep_token *token)
{
    for (size_t i = 0; i < token->actors_count; i++) {
        dep_json_name(writer, "act");
        dep_json_open(writer, '{');
        dep_json_member(writer, "iss", token->iss);
        dep_json_member(writer, "sub", token->actors[i]);
    }
    for (size_t i = 0; i < token->actors_count; i++)
        dep_json_close(writer, '}');
}

static void write_resource(struct dep_json_writer *writer, const struct dep_str *resources, size_t count)
{
    if (count == 1)
        dep_json_member(writer, "resource", resources[0]);
    if (count < 2)
        return;
    dep_json_name(writer, "resource");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < count; i++)
        dep_json_put_str(writer, resources[i]);
    dep_json_close(writer, ']');
}

void dep_grant_write(struct dep_json_writer *writer, const struct dep_token *token, const struct dep_str *resources,
                     size_t resources_count)
{
    DEP_ASSERT(token->aud_count == 1); /* one server, so that no other can take it */
    dep_json_open(writer, '{');
    dep_json_member(writer, "iss", token->iss);
    dep_json_member(writer, "sub", token->sub);
    dep_json_member(writer, "aud", token->aud[0]);
    dep_json_member(writer, "client_id", token->client_id);
    dep_json_member_int(writer, "iat", token->iat);
    dep_json_member_int(writer, "exp", token->exp);
    dep_json_member(writer, "jti", token->jti);
    dep_json_member(writer, "scope", token->scope);
    write_resource(writer, resources, resources_count);
    dep_token_write_cnf(writer, token);
    write_act(writer, token);
    dep_json_close(writer, '}');
}

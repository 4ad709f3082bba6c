/* Claims of a JWT whose signature is verified: the object, its times, its audience (RFC 7519 section 4.1). */
#include "jose/jws.h"

#define CLAIMS_DEPTH_MAX 16u

struct dep_res dep_jwt_claims(struct dep_arena *arena, const struct dep_jws *jws, const struct dep_json **ret_claims)
{
    struct dep_json *claims;

    DEP_TRY(dep_json_parse(arena, jws->payload, CLAIMS_DEPTH_MAX, &claims));
    if (claims->type != DEP_JSON_OBJECT)
        return DEP_FAIL(JWT_CLAIMS);
    *ret_claims = claims;
    return DEP_OK;
}

/* A NumericDate; `*ret_time` -1 when the member is absent. Null is not absent: it is the wrong type. */
static struct dep_res read_time(const struct dep_json *claims, struct dep_str name, bool is_needed, int64_t *ret_time)
{
    const struct dep_json *member = dep_json_get(claims, name);

    *ret_time = -1;
    if (member == NULL)
        return is_needed ? DEP_FAIL(JWT_MISSING) : DEP_OK;
    return dep_is_ok(dep_json_time(member, ret_time)) ? DEP_OK : DEP_FAIL(JWT_MISSING);
}

struct dep_res dep_jwt_times(const struct dep_json *claims, int64_t now, int64_t skew_s, int64_t lifetime_max_s,
                             bool needs_iat, struct dep_jwt_times *ret_times)
{
    struct dep_jwt_times times;
    int64_t nbf;

    DEP_TRY(read_time(claims, DEP_STR("exp"), true, &times.exp));
    DEP_TRY(read_time(claims, DEP_STR("nbf"), false, &nbf));
    DEP_TRY(read_time(claims, DEP_STR("iat"), needs_iat, &times.iat));
    if (now >= times.exp + skew_s)
        return DEP_FAIL(JWT_EXPIRED);
    if (nbf > now + skew_s || times.iat > now + skew_s)
        return DEP_FAIL(JWT_NOT_YET);
    if (lifetime_max_s > 0 && times.exp - now > lifetime_max_s)
        return DEP_FAIL(JWT_LIFETIME);
    *ret_times = times;
    return DEP_OK;
}

/* Checks the form of aud (rfc7519#4.1.3) as a whole before anything is compared, and finds the audience in it. */
static struct dep_res search_aud(const struct dep_json *claims, struct dep_str audience, bool *ret_has,
                                 size_t *ret_count)
{
    const struct dep_json *aud = DEP_JSON_GET(claims, "aud");
    struct dep_str value;

    *ret_has = false;
    *ret_count = 1;
    if (aud != NULL && aud->type == DEP_JSON_ARRAY) {
        *ret_count = aud->count;
        aud = aud->child; /* NULL when there is none */
    } else if (aud != NULL && aud->type != DEP_JSON_STRING) {
        return DEP_FAIL(JWT_MISSING);
    }
    if (aud == NULL)
        return DEP_FAIL(JWT_MISSING);
    for (size_t i = 0; i < *ret_count; i++, aud = aud->next) {
        if (!dep_is_ok(dep_json_str(aud, &value)) || value.len == 0)
            return DEP_FAIL(JWT_MISSING);
        *ret_has = *ret_has || dep_str_eq(value, audience);
    }
    return DEP_OK;
}

struct dep_res dep_jwt_aud_has(const struct dep_json *claims, struct dep_str audience)
{
    bool has;
    size_t count;

    DEP_TRY(search_aud(claims, audience, &has, &count));
    return has ? DEP_OK : DEP_FAIL(JWT_AUD);
}

struct dep_res dep_jwt_aud_is(const struct dep_json *claims, struct dep_str audience)
{
    bool has;
    size_t count;

    DEP_TRY(search_aud(claims, audience, &has, &count));
    return has && count == 1 ? DEP_OK : DEP_FAIL(JWT_AUD);
}

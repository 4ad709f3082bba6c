/* JWTs of trusted foreign issuers (RFC 7523 section 3, RFC 8693 section 2.1, ID-JAG).
 *
 * What such a token says about us is not believed: act, may_act, cnf, scope (but for a grant, whose scope is a limit), roles, tenants
 * (attack case D21). It says who the user is, and until when. What the user may hand on stands in our record of the issuer. */
#include "proto/ctx.h"

#define SUB_MAX 120u

static const struct dep_str plain_typs[] = { DEP_STR_INIT("JWT") };
static const struct dep_str grant_typs[] = { DEP_STR_INIT("JWT"), DEP_STR_INIT("oauth-id-jag+jwt") };

static struct dep_res open_claims(struct dep_ctx *c, struct dep_str text, bool may_be_id_jag,
                                  struct dep_foreign *foreign)
{
    const struct dep_jws_rules rules = {
        .bytes_max = DEP_JWS_BYTES_MAX,
        .algs = DEP_ALGS_ALL,
        .typs = may_be_id_jag ? grant_typs : plain_typs,
        .typs_count = may_be_id_jag ? 2 : 1,
        .may_lack_typ = true, /* ID tokens often have none */
    };

    DEP_TRY(dep_jws_parse(c->arena, text, &rules, &foreign->jws));
    DEP_TRY(dep_jwt_claims(c->arena, &foreign->jws, &foreign->claims));
    DEP_TRY(dep_json_str(DEP_JSON_GET(foreign->claims, "iss"), &foreign->iss));
    DEP_TRY(dep_json_str(DEP_JSON_GET(foreign->claims, "sub"), &foreign->sub));
    return dep_str_is_blank(foreign->iss) || dep_str_is_blank(foreign->sub) ? DEP_FAIL(JWT_MISSING) : DEP_OK;
}

static struct dep_str key_id(struct dep_arena *arena, const struct dep_foreign *foreign)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, foreign->iss.len + foreign->jws.kid.len + 16);
    dep_buf_put(&buf, foreign->iss);
    dep_buf_put_char(&buf, '\n');
    dep_buf_put_c(&buf, dep_alg_name(foreign->jws.alg));
    dep_buf_put_char(&buf, '\n');
    dep_buf_put(&buf, foreign->jws.kid);
    return dep_buf_str(&buf);
}

void dep_foreign_open(struct dep_ctx *c, struct dep_str text, bool may_be_id_jag, struct dep_foreign *foreign)
{
    const void *value = NULL;
    struct dep_str id;

    foreign->open_res = open_claims(c, text, may_be_id_jag, foreign);
    foreign->is_open = dep_is_ok(foreign->open_res);
    if (!foreign->is_open)
        return;
    foreign->is_id_jag = dep_str_eq_nocase(foreign->jws.typ, grant_typs[1]) ||
                         dep_str_eq_nocase(foreign->jws.typ, DEP_STR("application/oauth-id-jag+jwt"));
    /* Only for issuers that we know is a key looked up: nothing is fetched because a stranger names an address (A32). */
    if (!dep_ctx_fact(c, DEP_FACT_ISSUER, foreign->iss, &value) || value == NULL)
        return;
    foreign->issuer = value;
    id = key_id(c->arena, foreign);
    if (foreign->issuer->is_enabled && !dep_str_is_absent(id) && dep_ctx_fact(c, DEP_FACT_ISSUER_KEY, id, &value))
        foreign->key = value;
}

/* aud: our issuer identifier, or one of the values that the issuer's record names. */
static struct dep_res check_aud(const struct dep_ctx *c, const struct dep_foreign *foreign)
{
    for (size_t i = 0; i < foreign->issuer->audiences_count; i++)
        if (dep_is_ok(dep_jwt_aud_has(foreign->claims, foreign->issuer->audiences[i])))
            return DEP_OK;
    return dep_jwt_aud_has(foreign->claims, c->policy->issuer);
}

struct dep_res dep_foreign_verify(struct dep_ctx *c, struct dep_foreign *foreign, unsigned use)
{
    int64_t lifetime_s;
    struct dep_jwt_times times;

    if (!foreign->is_open)
        return foreign->open_res;
    if (foreign->issuer == NULL || !foreign->issuer->is_enabled || !(foreign->issuer->uses & use))
        return DEP_FAIL(JWT_ISS);
    if (foreign->key == NULL)
        return DEP_FAIL(JWS_KID);
    DEP_TRY(dep_jws_verify(c->crypto, &foreign->jws, foreign->key->alg, foreign->key->key));
    lifetime_s = foreign->issuer->lifetime_max_s > 0 ? foreign->issuer->lifetime_max_s : 3600;
    DEP_TRY(dep_jwt_times(foreign->claims, c->now, c->policy->skew_s, lifetime_s + c->policy->skew_s, false, &times));
    /* A grant is for this server alone; a subject token may have been made for a client that we know by another name. */
    return use == DEP_ISSUER_ID_JAG ? dep_jwt_aud_is(foreign->claims, c->policy->issuer) : check_aud(c, foreign);
}

struct dep_str dep_foreign_principal(struct dep_arena *arena, const struct dep_foreign *foreign)
{
    struct dep_buf buf;

    if (foreign->sub.len > SUB_MAX)
        return DEP_STR_ABSENT;
    for (size_t i = 0; i < foreign->sub.len; i++)
        if ((unsigned char)foreign->sub.ptr[i] <= 0x20 || (unsigned char)foreign->sub.ptr[i] >= 0x7F)
            return DEP_STR_ABSENT;
    dep_buf_init_arena(&buf, arena, foreign->sub.len + foreign->issuer->name.len + 8);
    dep_buf_put_c(&buf, "user:");
    dep_buf_put(&buf, foreign->issuer->name);
    dep_buf_put_char(&buf, ':');
    dep_buf_put(&buf, foreign->sub);
    return dep_buf_str(&buf);
}

struct dep_res dep_foreign_subject(struct dep_ctx *c, const struct dep_foreign *foreign, struct dep_token *ret_token)
{
    struct dep_token token = { .iss = foreign->iss, .iat = c->now, .org_id = foreign->issuer->org };
    const struct dep_json *jti = DEP_JSON_GET(foreign->claims, "jti"), *iat = DEP_JSON_GET(foreign->claims, "iat");

    token.sub = dep_foreign_principal(c->arena, foreign);
    if (dep_str_is_absent(token.sub))
        return DEP_FAIL(EXCHANGE_PRINCIPAL);
    DEP_TRY(dep_json_time(DEP_JSON_GET(foreign->claims, "exp"), &token.exp));
    /* Skew is for the check; what we issue ends by our clock. */
    if (token.exp <= c->now)
        return DEP_FAIL(JWT_EXPIRED);
    if (iat != NULL)
        DEP_TRY(dep_json_time(iat, &token.iat));
    if (jti != NULL)
        DEP_TRY(dep_json_str(jti, &token.jti));
    if (DEP_JSON_GET(foreign->claims, "acr") != NULL)
        DEP_TRY(dep_json_str(DEP_JSON_GET(foreign->claims, "acr"), &token.acr));
    if (token.acr.len > DEP_ACR_MAX)
        return DEP_FAIL(JWT_CLAIMS);
    if (DEP_JSON_GET(foreign->claims, "auth_time") != NULL)
        DEP_TRY(dep_json_time(DEP_JSON_GET(foreign->claims, "auth_time"), &token.auth_time));
    /* A grant's scope is a limit (oauth.md J11); an ID token's says nothing to us. */
    if (c->column == DEP_COLUMN_JWT_BEARER && DEP_JSON_GET(foreign->claims, "scope") != NULL)
        DEP_TRY(dep_json_str(DEP_JSON_GET(foreign->claims, "scope"), &token.scope));
    *ret_token = token;
    return DEP_OK;
}

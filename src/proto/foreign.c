/* JWTs of trusted foreign issuers (RFC 7523 section 3, RFC 8693 section 2.1, ID-JAG).
 *
 * What such a token says about us is not believed: act, may_act, cnf, scope (but for a grant, whose scope is a limit), roles, tenants
 * (attack case D21). It says who the user is, and until when. What the user may hand on stands in our record of the issuer, which may
 * give some of it for what the token says (foreign_user.c). */
#include "proto/ctx.h"
#include "proto/spiffe.h"

/* What each door takes; the rest of a row is what it begins with. A grant that says that it is one is no subject token. */
static const struct dep_str typs[DEP_FOREIGN_DOORS][3] = {
    [DEP_FOREIGN_ID_TOKEN] = { DEP_STR_INIT("JWT"), DEP_STR_INIT("JWT"), DEP_STR_INIT("JWT") },
    [DEP_FOREIGN_JWT] = { DEP_STR_INIT("JWT"), DEP_STR_INIT("at+jwt"), DEP_STR_INIT("JWT") },
    [DEP_FOREIGN_GRANT] = { DEP_STR_INIT("JWT"), DEP_STR_INIT("oauth-id-jag+jwt"),
                            DEP_STR_INIT("authorization-grant+jwt") }, /* rfc7523bis */
    [DEP_FOREIGN_WORKLOAD] = { DEP_STR_INIT("JWT"), DEP_STR_INIT("JOSE"),
                               DEP_STR_INIT("JWT") }, /* JWT-SVID section 2.3 */
};

static bool has_typ(const struct dep_foreign *foreign, struct dep_str typ)
{
    struct dep_str got = foreign->jws.typ, media = DEP_STR("application/");

    if (got.len > media.len && dep_str_eq_nocase(dep_str_sub(got, 0, media.len), media))
        got = dep_str_sub(got, media.len, got.len);
    return dep_str_eq_nocase(got, typ);
}

static struct dep_res open_claims(struct dep_ctx *c, struct dep_str text, enum dep_foreign_door door,
                                  struct dep_foreign *foreign)
{
    const struct dep_jws_rules rules = {
        .bytes_max = DEP_JWS_BYTES_MAX,
        .algs = DEP_ALGS_ALL,
        .typs = typs[door],
        .typs_count = 3,
        .may_lack_typ = true, /* ID tokens often have none */
        .may_have_x5t = true,
    };
    const struct dep_json *iss;
    struct dep_str domain;

    DEP_TRY(dep_jws_parse(c->arena, text, &rules, &foreign->jws));
    DEP_TRY(dep_jwt_claims(c->arena, &foreign->jws, &foreign->claims));
    DEP_TRY(dep_json_str(DEP_JSON_GET(foreign->claims, "sub"), &foreign->sub));
    iss = DEP_JSON_GET(foreign->claims, "iss");
    /* A JWT-SVID need not name an issuer: its trust domain vouches for it. */
    if (iss == NULL && door == DEP_FOREIGN_WORKLOAD && dep_spiffe_domain(foreign->sub, &domain)) {
        foreign->iss = domain;
        foreign->is_svid = true;
        return DEP_OK;
    }
    DEP_TRY(dep_json_str(iss, &foreign->iss));
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

void dep_foreign_open(struct dep_ctx *c, struct dep_str text, enum dep_foreign_door door, struct dep_foreign *foreign)
{
    const void *value = NULL;
    struct dep_str id;

    foreign->open_res = open_claims(c, text, door, foreign);
    foreign->is_open = dep_is_ok(foreign->open_res);
    if (!foreign->is_open)
        return;
    foreign->is_id_jag = has_typ(foreign, DEP_STR("oauth-id-jag+jwt"));
    foreign->is_access_token = has_typ(foreign, DEP_STR("at+jwt"));
    /* Only for issuers that we know is a key looked up: nothing is fetched because a stranger names an address (A32). */
    if (!dep_ctx_fact(c, DEP_FACT_ISSUER, foreign->iss, &value) || value == NULL)
        return;
    foreign->issuer = value;
    id = key_id(c->arena, foreign);
    if (foreign->issuer->is_enabled && !dep_str_is_absent(id) && dep_ctx_fact(c, DEP_FACT_ISSUER_KEY, id, &value))
        foreign->key = value;
}

/* aud: our issuer identifier, or one of the values that the issuer's record names; of a JWT-SVID that value alone. */
static struct dep_res check_aud(const struct dep_ctx *c, const struct dep_foreign *foreign)
{
    if (foreign->is_svid) {
        for (size_t i = 0; i < foreign->issuer->audiences_count; i++)
            if (dep_is_ok(dep_jwt_aud_is(foreign->claims, foreign->issuer->audiences[i])))
                return DEP_OK;
        return dep_jwt_aud_is(foreign->claims, c->policy->issuer);
    }
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
    if (foreign->is_access_token)
        use = DEP_ISSUER_ACCESS_TOKEN;
    if (foreign->issuer == NULL || !foreign->issuer->is_enabled || !(foreign->issuer->uses & use))
        return DEP_FAIL(JWT_ISS);
    if (foreign->key == NULL)
        return DEP_FAIL(JWS_KID);
    DEP_TRY(dep_jws_verify(c->crypto, &foreign->jws, foreign->key->alg, foreign->key->key));
    lifetime_s = foreign->issuer->lifetime_max_s > 0 ? foreign->issuer->lifetime_max_s : 3600;
    DEP_TRY(dep_jwt_times(foreign->claims, c->now, c->policy->skew_s, lifetime_s + c->policy->skew_s, false, &times));
    /* A grant is for this server alone; a subject token may have been made for a client that we know by another name. */
    DEP_TRY(use == DEP_ISSUER_ID_JAG ? dep_jwt_aud_is(foreign->claims, c->policy->issuer) : check_aud(c, foreign));
    if (use != DEP_ISSUER_WORKLOAD)
        DEP_TRY(dep_foreign_check_user(foreign));
    foreign->is_good = true;
    return DEP_OK;
}

/* What can be read of act is kept for the record; it gives nobody anything (D21). */
static void read_act(struct dep_foreign *foreign)
{
    const struct dep_json *act = DEP_JSON_GET(foreign->claims, "act");

    for (; act != NULL && foreign->actors_count < DEP_ACT_DEPTH_MAX; act = DEP_JSON_GET(act, "act")) {
        struct dep_foreign_actor actor = { DEP_STR_ABSENT, DEP_STR_ABSENT };

        if (act->raw.len > DEP_ACT_BYTES_MAX || !dep_is_ok(dep_json_str(DEP_JSON_GET(act, "sub"), &actor.sub)))
            return;
        if (DEP_JSON_GET(act, "iss") != NULL && !dep_is_ok(dep_json_str(DEP_JSON_GET(act, "iss"), &actor.iss)))
            return;
        foreign->actors[foreign->actors_count++] = actor;
    }
}

/* An access token of another deputy limits what follows from it as one of ours does: its scope (none is nothing), its key, and whom
 * may_act names (rfc8693#4.4: by iss too, when it is there). */
static struct dep_res read_access_token(const struct dep_ctx *c, const struct dep_foreign *foreign,
                                        struct dep_token *token)
{
    const struct dep_json *claims = foreign->claims;
    const struct dep_json *may_act = DEP_JSON_GET(claims, "may_act");

    if (dep_str_is_blank(token->jti) || token->jti.len > DEP_JTI_MAX || DEP_JSON_GET(claims, "iat") == NULL ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(claims, "client_id"), &token->client_id)))
        return DEP_FAIL(JWT_MISSING); /* rfc9068#2.2 */
    token->scope = DEP_STR("");
    if (DEP_JSON_GET(claims, "scope") != NULL)
        DEP_TRY(dep_json_str(DEP_JSON_GET(claims, "scope"), &token->scope));
    if (!dep_is_ok(dep_token_read_cnf(DEP_JSON_GET(claims, "cnf"), token)))
        return DEP_FAIL(JWT_CLAIMS);
    if (may_act == NULL)
        return DEP_OK;
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(may_act, "sub"), &token->may_act)))
        return DEP_FAIL(JWT_CLAIMS);
    if (DEP_JSON_GET(may_act, "iss") != NULL)
        DEP_TRY(dep_json_str(DEP_JSON_GET(may_act, "iss"), &token->may_act_iss));
    return dep_str_eq(token->may_act, c->agent->id) && dep_str_eq(token->may_act_iss, c->policy->issuer)
               ? DEP_OK
               : DEP_FAIL(EXCHANGE_MAY_ACT);
}

struct dep_res dep_foreign_subject(struct dep_ctx *c, struct dep_foreign *foreign, struct dep_token *ret_token)
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
    if (foreign->is_access_token)
        DEP_TRY(read_access_token(c, foreign, &token));
    read_act(foreign);
    *ret_token = token;
    return DEP_OK;
}

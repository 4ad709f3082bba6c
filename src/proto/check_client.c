/* Client authentication (oauth-v2-1#2.4, RFC 7523 and its revision; oauth.md O13, O14, J1-J7).
 *
 * A client registered with a secret may send it by Basic or in the body; a client registered with keys authenticates with an
 * assertion and nothing else; one registered with a certificate by that (check_certificate.c). */
#include "proto/claim.h"
#include "proto/ctx.h"
#include "proto/spiffe.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:"
#define JWT_BEARER ASSERTION_TYPE "jwt-bearer"
#define JWT_SPIFFE ASSERTION_TYPE "jwt-spiffe" /* draft-ietf-oauth-spiffe-client-auth: a JWT-SVID */

static const struct dep_str assertion_typs[] = { DEP_STR_INIT("client-authentication+jwt"), DEP_STR_INIT("JWT"),
                                                 DEP_STR_INIT("JOSE") };

static struct dep_res take_basic(struct dep_ctx *c, struct dep_str header)
{
    struct dep_credentials credentials;

    c->method = DEP_CLIENT_AUTH_BASIC;
    if (!dep_is_ok(dep_credentials_parse(header, &credentials)) ||
        !dep_str_eq_nocase(credentials.scheme, DEP_STR("Basic")))
        return DEP_FAIL(CLIENT_BASIC);
    DEP_TRY(dep_basic_parse(c->arena, credentials.token, &c->client_id, &c->secret));
    return dep_str_is_blank(c->client_id) ? DEP_FAIL(CLIENT_BASIC) : DEP_OK;
}

/* A platform's token as the grant itself (mcp.md 3.4, SEP-1933): a rule names the client, nobody else authenticates it. An ID-JAG is
 * for a client that authenticates. */
static struct dep_res take_workload_grant(struct dep_ctx *c)
{
    const struct dep_jws_rules rules = { .bytes_max = DEP_JWS_BYTES_MAX,
                                         .algs = DEP_ALGS_ALL,
                                         .typs = assertion_typs + 1,
                                         .typs_count = 2,
                                         .may_lack_typ = true,
                                         .may_have_x5t = true };
    struct dep_jws jws;

    if (c->column != DEP_COLUMN_JWT_BEARER || dep_str_is_absent(DEP_P(c, ASSERTION)) ||
        !dep_is_ok(dep_jws_parse(c->arena, DEP_P(c, ASSERTION), &rules, &jws)))
        return c->certificate == NULL ? DEP_FAIL(CLIENT_NO_AUTH) : DEP_FAIL(CLIENT_CERTIFICATE_ID);
    c->column = DEP_COLUMN_WORKLOAD;
    c->method = DEP_CLIENT_AUTH_PRIVATE_KEY_JWT;
    c->is_workload = true;
    return DEP_OK;
}

/* Where a client that cannot keep a secret names itself, and what it brings is bound to it otherwise. */
static bool is_for_public(enum dep_column column)
{
    return column == DEP_COLUMN_AUTHORIZATION_CODE || column == DEP_COLUMN_REFRESH_TOKEN || column == DEP_COLUMN_PAR ||
           column == DEP_COLUMN_REVOKE;
}

struct dep_res dep_check_client_one_method(struct dep_ctx *c)
{
    struct dep_str header;
    unsigned methods;

    if (c->request->is_preview) {
        c->client_id = DEP_P(c, CLIENT_ID);
        return DEP_OK;
    }
    DEP_TRY(dep_header_one(c->request->headers, c->request->headers_count, DEP_STR("Authorization"), &header));
    methods = (dep_str_is_absent(header) ? 0u : 1u) + (dep_str_is_absent(DEP_P(c, CLIENT_SECRET)) ? 0u : 1u) +
              (dep_str_is_absent(DEP_P(c, CLIENT_ASSERTION)) ? 0u : 1u);
    if (methods > 1)
        return DEP_FAIL(CLIENT_TWO_METHODS);
    /* rfc8705#2: beside a certificate client_id says who it is; beside anything else a certificate is no authentication. */
    if (methods == 0 && c->certificate != NULL && !dep_str_is_absent(DEP_P(c, CLIENT_ID))) {
        c->method = DEP_CLIENT_AUTH_TLS;
        c->client_id = DEP_P(c, CLIENT_ID);
        return DEP_OK;
    }
    if (methods == 0 && is_for_public(c->column) && !dep_str_is_absent(DEP_P(c, CLIENT_ID))) {
        c->client_id = DEP_P(c, CLIENT_ID); /* the record says whether that is enough */
        return DEP_OK;
    }
    if (methods == 0)
        return take_workload_grant(c);
    if (!dep_str_is_absent(header))
        return take_basic(c, header);
    if (!dep_str_is_absent(DEP_P(c, CLIENT_SECRET))) {
        c->method = DEP_CLIENT_AUTH_POST;
        c->client_id = DEP_P(c, CLIENT_ID);
        c->secret = dep_secret_of(DEP_P(c, CLIENT_SECRET));
        return DEP_OK;
    }
    c->method = DEP_CLIENT_AUTH_PRIVATE_KEY_JWT;
    return dep_str_eq_c(DEP_P(c, CLIENT_ASSERTION_TYPE), JWT_BEARER) ||
                   dep_str_eq_c(DEP_P(c, CLIENT_ASSERTION_TYPE), JWT_SPIFFE)
               ? DEP_OK
               : DEP_FAIL(CLIENT_ASSERTION_TYPE);
}

/* The subject of an assertion that nobody has verified yet: it names the client whose keys will. */
static struct dep_res open_assertion(struct dep_ctx *c)
{
    const struct dep_jws_rules rules = {
        .bytes_max = DEP_JWS_BYTES_MAX,
        .algs = DEP_ALGS_ALL,
        .typs = assertion_typs,
        .typs_count = sizeof(assertion_typs) / sizeof(assertion_typs[0]),
        .may_lack_typ = true, /* rfc7523bis#4: older clients send none */
        .may_have_x5t = true, /* a platform's token, perhaps */
    };
    struct dep_str sub = DEP_STR_ABSENT, iss = DEP_STR_ABSENT;
    const struct dep_json *claims = NULL;

    DEP_TRY(dep_jws_parse(c->arena, DEP_P(c, CLIENT_ASSERTION), &rules, &c->assertion));
    DEP_TRY(dep_jwt_claims(c->arena, &c->assertion, &claims));
    DEP_TRY(dep_json_str(DEP_JSON_GET(claims, "sub"), &sub));
    if (DEP_JSON_GET(claims, "iss") != NULL || !dep_spiffe_domain(sub, &iss))
        DEP_TRY(dep_json_str(DEP_JSON_GET(claims, "iss"), &iss));
    /* A client speaks for itself (rfc7523#3); who speaks for somebody else is an issuer of workload credentials, or nobody. Its
     * client is known when its record is. */
    c->is_workload = !dep_str_eq(iss, sub);
    if (c->is_workload)
        return DEP_OK;
    c->client_id = sub;
    return dep_str_eq_nocase(c->assertion.typ, DEP_STR("JOSE")) ? DEP_FAIL(JWS_TYP) : DEP_OK;
}

struct dep_res dep_check_client_id(struct dep_ctx *c)
{
    if (c->method == DEP_CLIENT_AUTH_PRIVATE_KEY_JWT && !c->is_workload)
        DEP_TRY(open_assertion(c));
    if (c->is_workload)
        return DEP_OK;
    if (dep_str_is_blank(c->client_id) || c->client_id.len > 512)
        return DEP_FAIL(CLIENT_UNKNOWN);
    if (!dep_str_is_absent(DEP_P(c, CLIENT_ID)) && !dep_str_eq(DEP_P(c, CLIENT_ID), c->client_id))
        return DEP_FAIL(CLIENT_ID_MISMATCH);
    return DEP_OK;
}

/* The client of a workload: the first rule of the issuer that its claims fit. */
static void load_workload(struct dep_ctx *c)
{
    dep_foreign_open(c, c->column == DEP_COLUMN_WORKLOAD ? DEP_P(c, ASSERTION) : DEP_P(c, CLIENT_ASSERTION),
                     DEP_FOREIGN_WORKLOAD, &c->workload);
    if (c->workload.issuer == NULL)
        return;
    for (size_t i = 0; i < c->workload.issuer->rules_count && dep_str_is_blank(c->client_id); i++)
        if (dep_claims_are(c->workload.claims, &c->workload.issuer->rules[i].claims))
            c->client_id = c->workload.issuer->rules[i].client;
}

struct dep_res dep_check_load_client(struct dep_ctx *c)
{
    const void *client, *agent, *lock;

    if (c->is_workload)
        load_workload(c);
    if (dep_str_is_blank(c->client_id))
        return DEP_OK;
    (void)dep_ctx_fact(c, DEP_FACT_LOCK, c->client_id, &lock);
    if (!dep_ctx_fact(c, DEP_FACT_CLIENT, c->client_id, &client) || client == NULL)
        return DEP_OK;
    c->client = client;
    if (!dep_str_is_absent(c->client->agent) && dep_ctx_fact(c, DEP_FACT_AGENT, c->client->agent, &agent))
        c->agent = agent;
    return DEP_OK;
}

struct dep_res dep_check_client_lock(struct dep_ctx *c)
{
    const void *value = NULL;

    if (!dep_ctx_peek(c, DEP_FACT_LOCK, c->client_id, &value) || value == NULL)
        return DEP_OK;

    int64_t until = *(const int64_t *)value;

    if (until <= c->now)
        return DEP_OK;
    c->decision->retry_after_s = until - c->now;
    return DEP_FAIL(CLIENT_LOCKED);
}

struct dep_res dep_check_client_known(struct dep_ctx *c)
{
    if (c->client == NULL)
        return DEP_FAIL(CLIENT_UNKNOWN);
    if (c->client->expires > 0 && c->client->expires <= c->now)
        return DEP_FAIL(CLIENT_EXPIRED);
    return c->client->is_enabled ? DEP_OK : DEP_FAIL(CLIENT_DISABLED);
}

/* Whether the method is the one the client is registered for; secrets may come either way. */
static bool is_as_registered(const struct dep_ctx *c)
{
    switch (c->client->auth) {
    case DEP_CLIENT_AUTH_BASIC:
    case DEP_CLIENT_AUTH_POST:
        return c->method == DEP_CLIENT_AUTH_BASIC || c->method == DEP_CLIENT_AUTH_POST;
    case DEP_CLIENT_AUTH_PRIVATE_KEY_JWT:
        return c->method == DEP_CLIENT_AUTH_PRIVATE_KEY_JWT && !c->is_workload;
    case DEP_CLIENT_AUTH_WORKLOAD_JWT:
        return c->method == DEP_CLIENT_AUTH_PRIVATE_KEY_JWT && c->is_workload;
    case DEP_CLIENT_AUTH_TLS:
    case DEP_CLIENT_AUTH_TLS_SELF_SIGNED:
        return c->method == DEP_CLIENT_AUTH_TLS;
    case DEP_CLIENT_AUTH_NONE:
        return c->method == DEP_CLIENT_AUTH_NONE;
    }
    return false;
}

struct dep_res dep_check_client_method(struct dep_ctx *c)
{
    if (!dep_str_is_absent(DEP_P(c, CLIENT_ID)) && !dep_str_eq(DEP_P(c, CLIENT_ID), c->client->id))
        return DEP_FAIL(CLIENT_ID_MISMATCH);
    return is_as_registered(c) ? DEP_OK : DEP_FAIL(CLIENT_METHOD);
}

struct dep_res dep_check_client_secret(struct dep_ctx *c)
{
    unsigned char hash[DEP_SHA256_LEN];
    bool is_live = false, is_expired = false;

    if (c->method != DEP_CLIENT_AUTH_BASIC && c->method != DEP_CLIENT_AUTH_POST)
        return DEP_OK;
    dep_sha256(c->crypto, dep_str((const char *)c->secret.bytes, c->secret.len), hash);
    for (size_t i = 0; i < c->client->secrets_count; i++) {
        const struct dep_client_secret *secret = &c->client->secrets[i];

        if (!dep_secret_eq(dep_secret(secret->hash, sizeof(secret->hash)), dep_secret(hash, sizeof(hash))))
            continue;
        if (secret->expires == 0 || secret->expires > c->now)
            is_live = true;
        else
            is_expired = true;
    }
    if (is_live)
        return DEP_OK;
    dep_ctx_effect(c, (struct dep_effect){ .kind = DEP_EFFECT_COUNT_FAILURE, .id = c->client->id });
    return is_expired ? DEP_FAIL(CLIENT_SECRET_EXPIRED) : DEP_FAIL(CLIENT_SECRET);
}

/* The fence: what may have been used before this start is refused. An assertion dated in the future, or not dated, could slip past
 * it after the next restart; such a one is remembered durably. */
static struct dep_res check_fence(struct dep_ctx *c, struct dep_str owner, struct dep_str jti,
                                  const struct dep_jwt_times *times)
{
    dep_use_set(c, DEP_REPLAY_ASSERTION, owner, jti, times, &c->assertion_use);
    return c->policy->fence > 0 && c->assertion_use.made <= c->policy->fence ? DEP_FAIL(CLIENT_ASSERTION_FENCE)
                                                                             : DEP_OK;
}

static struct dep_res check_assertion_claims(struct dep_ctx *c)
{
    int64_t lifetime_s = c->policy->assertion_lifetime_s + c->policy->skew_s;
    const struct dep_json *claims = NULL;
    struct dep_str iss = DEP_STR_ABSENT, jti = DEP_STR_ABSENT;
    struct dep_jwt_times times;

    DEP_TRY(dep_jwt_claims(c->arena, &c->assertion, &claims));
    DEP_TRY(dep_json_str(DEP_JSON_GET(claims, "iss"), &iss));
    if (!dep_str_eq(iss, c->client->id))
        return DEP_FAIL(CLIENT_ASSERTION_SUBJECT);
    DEP_TRY(dep_jwt_aud_is(claims, c->policy->issuer)); /* rfc7523bis#4: the issuer alone */
    DEP_TRY(dep_jwt_times(claims, c->now, c->policy->skew_s, lifetime_s, false, &times));
    if (times.iat >= 0 && times.exp - times.iat > lifetime_s)
        return DEP_FAIL(JWT_LIFETIME);
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(claims, "jti"), &jti)) || dep_str_is_blank(jti) || jti.len > DEP_JTI_MAX)
        return DEP_FAIL(CLIENT_ASSERTION_JTI);
    return check_fence(c, c->client->id, jti, &times);
}

/* A credential that the platform gave the workload: Kubernetes renews it when it pleases and lets it be used until then, GitHub makes one
 * for each call. The issuer's record says which. */
static struct dep_res check_workload(struct dep_ctx *c)
{
    struct dep_str jti = DEP_STR_ABSENT;
    struct dep_jwt_times times;

    DEP_TRY(dep_foreign_verify(c, &c->workload, DEP_ISSUER_WORKLOAD));
    if (!c->workload.issuer->is_single_use)
        return DEP_OK;
    DEP_TRY(dep_jwt_times(c->workload.claims, c->now, c->policy->skew_s, 0, true, &times));
    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(c->workload.claims, "jti"), &jti)) || dep_str_is_blank(jti) ||
        jti.len > DEP_JTI_MAX)
        return DEP_FAIL(CLIENT_ASSERTION_JTI);
    return check_fence(c, c->workload.iss, jti, &times);
}

struct dep_res dep_check_client_assertion(struct dep_ctx *c)
{
    const struct dep_jwks_key *key;

    if (c->method != DEP_CLIENT_AUTH_PRIVATE_KEY_JWT)
        return DEP_OK;
    if (c->is_workload)
        return check_workload(c);
    if (c->client->jwks == NULL)
        return DEP_FAIL(JWS_KID);
    key = dep_jwks_find(c->client->jwks, c->assertion.kid, c->assertion.alg);
    if (key == NULL)
        return DEP_FAIL(JWS_KID);
    DEP_TRY(dep_jws_verify(c->crypto, &c->assertion, key->alg, key->key));
    return check_assertion_claims(c);
}

struct dep_res dep_check_client_agent(struct dep_ctx *c)
{
    if (dep_str_is_absent(c->client->agent))
        return DEP_OK;
    return c->agent != NULL && c->agent->effective_state == DEP_STATE_ACTIVE ? DEP_OK : DEP_FAIL(CLIENT_AGENT_STATE);
}

struct dep_res dep_check_client_grant(struct dep_ctx *c)
{
    static const unsigned grants[DEP_COLUMNS] = {
#define DEP_COLUMN(id, name, endpoint, path, method, grant_type, grant) grant,
#include "proto/column.def"
#undef DEP_COLUMN
    };

    if (!(c->client->grants & grants[c->column]))
        return DEP_FAIL(CLIENT_GRANT);
    return c->agent != NULL ? DEP_OK : DEP_FAIL(CLIENT_NO_AGENT);
}

struct dep_res dep_check_client_guards(struct dep_ctx *c)
{
    return dep_str_is_absent(c->client->resource) ? DEP_FAIL(CLIENT_GRANT) : DEP_OK;
}

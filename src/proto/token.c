/* Access tokens: the claims, read and written (RFC 9068, RFC 8693 section 4.1, RFC 9449 section 6.1,
 * RFC 8705 section 3.1). */
#include "proto/token.h"

#include "base/b64.h"
#include "proto/details.h"
#include "proto/scope.h"

static const struct dep_str access_token_typs[] = { DEP_STR_INIT("at+jwt") };

struct dep_res dep_token_open(struct dep_arena *arena, struct dep_str text, const struct dep_token_policy *policy,
                              struct dep_jws *ret_jws)
{
    struct dep_jws_rules rules = {
        .bytes_max = DEP_JWS_BYTES_MAX,
        .algs = policy->algs,
        .typs = access_token_typs, /* rfc9068#4: anything else is not an access token */
        .typs_count = 1,
    };

    return dep_jws_parse(arena, text, &rules, ret_jws);
}

static struct dep_res read_aud(const struct dep_json *aud, struct dep_token *token)
{
    if (aud == NULL)
        return DEP_FAIL(JWT_MISSING);

    const struct dep_json *item = aud->type == DEP_JSON_ARRAY ? aud->child : aud;

    for (; item != NULL; item = aud->type == DEP_JSON_ARRAY ? item->next : NULL) {
        if (token->aud_count == DEP_AUDIENCES_MAX)
            return DEP_FAIL(JWT_AUD);
        DEP_TRY(dep_json_str(item, &token->aud[token->aud_count]));
        if (dep_str_is_blank(token->aud[token->aud_count++]))
            return DEP_FAIL(JWT_AUD);
    }
    return token->aud_count > 0 ? DEP_OK : DEP_FAIL(JWT_AUD);
}

static bool is_thumbprint(struct dep_str text)
{
    unsigned char digest[DEP_SHA256_LEN];

    return dep_is_ok(dep_b64url_decode_exact(text, digest, sizeof(digest)));
}

/* A second way of confirmation, or one that nobody here understands, would go unconfirmed: refused, never read as unbound. */
struct dep_res dep_token_read_cnf(const struct dep_json *cnf, struct dep_token *token)
{
    const struct dep_json *x5t = NULL;
    struct dep_str *text = &token->jkt;

    if (cnf == NULL)
        return DEP_OK;
    if (cnf->type != DEP_JSON_OBJECT || cnf->count != 1)
        return DEP_FAIL(JWT_CLAIMS);
    x5t = DEP_JSON_GET(cnf, "x5t#S256");
    if (x5t != NULL)
        text = &token->x5t;
    DEP_TRY(dep_json_str(x5t != NULL ? x5t : DEP_JSON_GET(cnf, "jkt"), text));
    return is_thumbprint(*text) ? DEP_OK : DEP_FAIL(JWT_CLAIMS);
}

static struct dep_res read_act(const struct dep_json *act, struct dep_token *token)
{
    if (act != NULL && act->raw.len > DEP_ACT_BYTES_MAX)
        return DEP_FAIL(JWT_CLAIMS);
    for (; act != NULL; act = DEP_JSON_GET(act, "act")) {
        if (token->actors_count == DEP_ACT_DEPTH_MAX)
            return DEP_FAIL(JWT_CLAIMS);
        DEP_TRY(dep_json_str(DEP_JSON_GET(act, "sub"), &token->actors[token->actors_count]));
        if (dep_str_is_blank(token->actors[token->actors_count++]))
            return DEP_FAIL(JWT_CLAIMS);
    }
    return DEP_OK;
}

static struct dep_res read_may_act(const struct dep_json *may_act, struct dep_token *token)
{
    if (may_act == NULL)
        return DEP_OK;
    DEP_TRY(dep_json_str(DEP_JSON_GET(may_act, "sub"), &token->may_act));
    if (DEP_JSON_GET(may_act, "iss") != NULL)
        DEP_TRY(dep_json_str(DEP_JSON_GET(may_act, "iss"), &token->may_act_iss));
    return dep_str_is_blank(token->may_act) ? DEP_FAIL(JWT_CLAIMS) : DEP_OK;
}

static struct dep_res read_details(const struct dep_json *details, struct dep_token *token)
{
    if (details == NULL)
        return DEP_OK;
    DEP_TRY(dep_details_check(details));
    token->details = details->raw;
    return DEP_OK;
}

/* An array of strings that are not blank, at most `max` of them. Absent: none. */
static struct dep_res read_list(const struct dep_json *array, struct dep_str *items, size_t max, size_t *ret_count)
{
    size_t count = 0;

    if (array == NULL)
        return DEP_OK;
    if (array->type != DEP_JSON_ARRAY || array->count > max)
        return DEP_FAIL(JWT_CLAIMS);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next) {
        DEP_TRY(dep_json_str(item, &items[count]));
        if (dep_str_is_blank(items[count++]))
            return DEP_FAIL(JWT_CLAIMS);
    }
    *ret_count = count;
    return DEP_OK;
}

struct dep_res dep_token_read(const struct dep_json *claims, struct dep_token *ret_token)
{
    struct dep_token token = { 0 };
    const struct {
        struct dep_str name;
        struct dep_str *value;
        bool is_required;
    } texts[] = {
        { DEP_STR_INIT("iss"), &token.iss, true },
        { DEP_STR_INIT("sub"), &token.sub, true },
        { DEP_STR_INIT("client_id"), &token.client_id, true },
        { DEP_STR_INIT("jti"), &token.jti, true },
        { DEP_STR_INIT("scope"), &token.scope, false },
        { DEP_STR_INIT("agent_name"), &token.agent_name, false },
        { DEP_STR_INIT("agent_version"), &token.agent_version, false },
        { DEP_STR_INIT("task_id"), &token.task_id, false },
        { DEP_STR_INIT("parent_task_id"), &token.parent_task_id, false },
        { DEP_STR_INIT("org_id"), &token.org_id, false },
        { DEP_STR_INIT("acr"), &token.acr, false },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct dep_json *claim = dep_json_get(claims, texts[i].name);

        if (claim == NULL && !texts[i].is_required)
            continue;
        DEP_TRY(dep_json_str(claim, texts[i].value));
        if (texts[i].is_required && dep_str_is_blank(*texts[i].value))
            return DEP_FAIL(JWT_MISSING);
    }
    if (token.jti.len > DEP_JTI_MAX || token.acr.len > DEP_ACR_MAX)
        return DEP_FAIL(JWT_CLAIMS);
    DEP_TRY(dep_json_time(DEP_JSON_GET(claims, "iat"), &token.iat));
    DEP_TRY(dep_json_time(DEP_JSON_GET(claims, "exp"), &token.exp));
    if (DEP_JSON_GET(claims, "nbf") != NULL)
        DEP_TRY(dep_json_time(DEP_JSON_GET(claims, "nbf"), &token.nbf));
    if (DEP_JSON_GET(claims, "auth_time") != NULL)
        DEP_TRY(dep_json_time(DEP_JSON_GET(claims, "auth_time"), &token.auth_time));
    DEP_TRY(read_details(DEP_JSON_GET(claims, "authorization_details"), &token));
    DEP_TRY(read_aud(DEP_JSON_GET(claims, "aud"), &token));
    DEP_TRY(dep_token_read_cnf(DEP_JSON_GET(claims, "cnf"), &token));
    DEP_TRY(read_act(DEP_JSON_GET(claims, "act"), &token));
    DEP_TRY(read_may_act(DEP_JSON_GET(claims, "may_act"), &token));
    DEP_TRY(read_list(DEP_JSON_GET(claims, "lineage"), token.lineage, DEP_LINEAGE_MAX, &token.lineage_count));
    DEP_TRY(read_list(DEP_JSON_GET(claims, "origins"), token.origins, DEP_ORIGINS_MAX, &token.origins_count));
    DEP_TRY(read_list(DEP_JSON_GET(claims, "resources"), token.resources, DEP_AUDIENCES_MAX, &token.resources_count));
    /* An empty list would read as no limit. */
    if (DEP_JSON_GET(claims, "resources") != NULL && token.resources_count == 0)
        return DEP_FAIL(JWT_CLAIMS);
    *ret_token = token;
    return DEP_OK;
}

struct dep_res dep_token_check(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_jws *jws,
                               enum dep_alg key_alg, const struct dep_public_key *key,
                               const struct dep_token_policy *policy, int64_t now, struct dep_token *ret_token)
{
    const struct dep_json *claims = NULL;
    struct dep_jwt_times times;
    struct dep_token token;

    DEP_TRY(dep_jws_verify(crypto, jws, key_alg, key));
    DEP_TRY(dep_jwt_claims(arena, jws, &claims));
    DEP_TRY(dep_jwt_times(claims, now, policy->skew_s, 0, true, &times));
    /* Skew is for clocks that run behind the issuer's; nobody's clock makes a token live longer. */
    if (now >= times.exp)
        return DEP_FAIL(JWT_EXPIRED);
    DEP_TRY(dep_token_read(claims, &token));
    if (!dep_str_eq(token.iss, policy->issuer))
        return DEP_FAIL(JWT_ISS);
    if (!dep_str_is_absent(policy->audience) && !dep_token_has_aud(&token, policy->audience))
        return DEP_FAIL(JWT_AUD);
    *ret_token = token;
    return DEP_OK;
}

static void write_aud(struct dep_json_writer *writer, const struct dep_token *token)
{
    dep_json_name(writer, "aud");
    if (token->aud_count == 1) {
        dep_json_put_str(writer, token->aud[0]);
        return;
    }
    dep_json_open(writer, '[');
    for (size_t i = 0; i < token->aud_count; i++)
        dep_json_put_str(writer, token->aud[i]);
    dep_json_close(writer, ']');
}

/* Outermost first, older ones nested inside (rfc8693#4.1). */
static void write_act(struct dep_json_writer *writer, const struct dep_token *token)
{
    for (size_t i = 0; i < token->actors_count; i++) {
        dep_json_name(writer, "act");
        dep_json_open(writer, '{');
        dep_json_member(writer, "sub", token->actors[i]);
    }
    for (size_t i = 0; i < token->actors_count; i++)
        dep_json_close(writer, '}');
}

static void write_list(struct dep_json_writer *writer, const char *name, const struct dep_str *items, size_t count)
{
    if (count == 0)
        return;
    dep_json_name(writer, name);
    dep_json_open(writer, '[');
    for (size_t i = 0; i < count; i++)
        dep_json_put_str(writer, items[i]);
    dep_json_close(writer, ']');
}

void dep_token_write_cnf(struct dep_json_writer *writer, const struct dep_token *token)
{
    if (dep_str_is_absent(token->jkt) && dep_str_is_absent(token->x5t))
        return;
    dep_json_name(writer, "cnf");
    dep_json_open(writer, '{');
    dep_json_member(writer, "jkt", token->jkt);
    dep_json_member(writer, "x5t#S256", token->x5t);
    dep_json_close(writer, '}');
}

void dep_token_write(struct dep_json_writer *writer, const struct dep_token *token)
{
    dep_json_open(writer, '{');
    dep_json_member(writer, "iss", token->iss);
    dep_json_member(writer, "sub", token->sub);
    write_aud(writer, token);
    dep_json_member(writer, "client_id", token->client_id);
    dep_json_member_int(writer, "iat", token->iat);
    if (token->nbf > 0)
        dep_json_member_int(writer, "nbf", token->nbf);
    dep_json_member_int(writer, "exp", token->exp);
    dep_json_member(writer, "jti", token->jti);
    dep_json_member(writer, "scope", token->scope);
    dep_token_write_cnf(writer, token);
    write_act(writer, token);
    if (!dep_str_is_absent(token->may_act)) {
        dep_json_name(writer, "may_act");
        dep_json_open(writer, '{');
        dep_json_member(writer, "iss", token->may_act_iss);
        dep_json_member(writer, "sub", token->may_act);
        dep_json_close(writer, '}');
    }
    dep_json_member(writer, "agent_name", token->agent_name);
    dep_json_member(writer, "agent_version", token->agent_version);
    dep_json_member(writer, "task_id", token->task_id);
    dep_json_member(writer, "parent_task_id", token->parent_task_id);
    dep_json_member(writer, "org_id", token->org_id);
    write_list(writer, "resources", token->resources, token->resources_count);
    dep_json_member(writer, "acr", token->acr);
    if (token->auth_time > 0)
        dep_json_member_int(writer, "auth_time", token->auth_time);
    if (!dep_str_is_absent(token->details)) {
        dep_json_name(writer, "authorization_details");
        dep_json_put_raw(writer, token->details);
    }
    write_list(writer, "lineage", token->lineage, token->lineage_count);
    write_list(writer, "origins", token->origins, token->origins_count);
    dep_json_close(writer, '}');
}

struct dep_str dep_token_presenter(const struct dep_token *token)
{
    return token->actors_count > 0 ? token->actors[0] : token->sub;
}

bool dep_token_may_lead_to(const struct dep_token *token, struct dep_str resource)
{
    for (size_t i = 0; i < token->resources_count; i++)
        if (dep_str_eq(token->resources[i], resource))
            return true;
    return token->resources_count == 0;
}

bool dep_token_has_aud(const struct dep_token *token, struct dep_str audience)
{
    for (size_t i = 0; i < token->aud_count; i++)
        if (dep_str_eq(token->aud[i], audience))
            return true;
    return false;
}

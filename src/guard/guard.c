/* The guard's check matrix: rows in order of execution, each with its name and source (RFC 6750, RFC 9068 section 4,
 * RFC 9449 section 7, RFC 9728). One column: every adapter runs every row.
 *
 * Invariants:
 *  (1) A token from the cache skips its signature and nothing else: times, revocation, scheme, binding, proof and scope
 *      are checked on each request (attack case A68).
 *  (2) Silence of the feed, missing keys and a log that cannot be written refuse before a token is believed.
 *  (3) No row after the proof can refuse for a reason that a second try would mend, so a proof is burnt by an allow
 *      only. */
#include "guard/guard.h"

#include <string.h>

#include "base/url.h"
#include "guard/answer.h"
#include "guard/demand.h"
#include "guard/identity.h"
#include "guard/origin.h"
#include "proto/scope.h"

struct run {
    struct dep_arena *arena;
    struct dep_crypto *crypto;
    const struct dep_guard_policy *policy;
    const struct dep_guard_request *request;
    const struct dep_guard_facts *facts;
    int64_t now;
    struct dep_guard_headers headers;
    struct dep_credentials credentials;
    bool is_dpop; /* the scheme of the credentials */
    struct dep_guard_decision *decision;
};

static struct dep_res audit_writable(struct run *run)
{
    return run->facts->is_audit_broken ? DEP_FAIL(AUDIT_IO) : DEP_OK;
}

static struct dep_res headers_once(struct run *run)
{
    return dep_guard_headers_once(&run->headers);
}

static struct dep_res origin_known(struct run *run)
{
    return dep_guard_origin(&run->headers, &run->decision->method, &run->decision->path);
}

/* Pages of other origins may not use a browser that is let in (MCP transport: DNS rebinding). */
static struct dep_res web_origin(struct run *run)
{
    const struct dep_guard_rules *rules = run->policy->rules;

    if (rules == NULL || rules->origins.count == 0 || run->headers.count[DEP_GUARD_WEB_ORIGIN] == 0)
        return DEP_OK;
    return dep_guard_list_has(rules->origins, run->headers.value[DEP_GUARD_WEB_ORIGIN]) ? DEP_OK
                                                                                        : DEP_FAIL(GUARD_WEB_ORIGIN);
}

/* Before the credentials: a challenge says what this very request needs. */
static struct dep_res rule_found(struct run *run)
{
    const struct dep_guard_rules *rules = run->policy->rules;
    struct dep_guard_decision *decision = run->decision;
    struct dep_guard_mcp_headers mcp;
    struct dep_res res;

    if (rules == NULL)
        return DEP_OK;
    res = dep_guard_rules_find(rules, decision->method, decision->path, NULL, &decision->rule);
    if (res.err != DEP_ERR_GUARD_TOOL_UNKNOWN)
        return res;
    mcp = (struct dep_guard_mcp_headers){ run->headers.value[DEP_GUARD_MCP_VERSION],
                                          run->headers.value[DEP_GUARD_MCP_METHOD],
                                          run->headers.value[DEP_GUARD_MCP_NAME] };
    DEP_TRY(dep_guard_mcp_read(run->arena, &mcp, run->request->body, rules->mcp_headers_count, &decision->mcp));
    return dep_guard_rules_find(rules, decision->method, decision->path, &decision->mcp, &decision->rule);
}

/* A token in the query or the body is not looked for: it counts as none (oauth-v2-1#5.1.1). */
static struct dep_res credentials_present(struct run *run)
{
    return run->headers.count[DEP_GUARD_AUTHORIZATION] == 0 ? DEP_FAIL(TOKEN_ABSENT) : DEP_OK;
}

static struct dep_res credentials_scheme(struct run *run)
{
    struct dep_str value = dep_str_trim(run->headers.value[DEP_GUARD_AUTHORIZATION]);
    struct dep_str scheme = dep_str_sub(value, 0, dep_str_find(value, ' '));

    run->is_dpop = dep_str_eq_nocase(scheme, DEP_STR("DPoP"));
    if (!run->is_dpop && !dep_str_eq_nocase(scheme, DEP_STR("Bearer")))
        return DEP_FAIL(TOKEN_SCHEME);
    return dep_credentials_parse(value, &run->credentials);
}

static struct dep_res proof_single(struct run *run)
{
    /* A comma cannot stand in a JWT: it joins two header lines (rfc9110#5.3). */
    if (run->headers.count[DEP_GUARD_DPOP] > 1 || dep_str_has(run->headers.value[DEP_GUARD_DPOP], ','))
        return DEP_FAIL(DPOP_TWO);
    return DEP_OK;
}

static struct dep_res keys_known(struct run *run)
{
    return run->facts->keys == NULL ? DEP_FAIL(KEYS_MISSING) : DEP_OK;
}

static struct dep_res feed_alive(struct run *run)
{
    if (run->facts->revocations == NULL || run->facts->feed_silence_s > run->policy->feed_silence_max_s)
        return DEP_FAIL(FEED_STALE);
    return DEP_OK;
}

static struct dep_res token_known(struct run *run)
{
    run->decision->presented = run->credentials.token;
    if (!dep_str_eq(run->facts->seen_for, run->credentials.token)) {
        run->decision->needs |= DEP_GUARD_NEEDS_SEEN;
        return DEP_OK;
    }
    memcpy(run->decision->token_digest, run->facts->seen_digest, DEP_SHA256_LEN);
    run->decision->token = run->facts->seen;
    return DEP_OK;
}

static struct dep_res token_verifies(struct run *run)
{
    const struct dep_token_policy *policy = &run->policy->token;
    struct dep_jws jws;

    if (run->facts->seen != NULL)
        return DEP_OK;
    DEP_TRY(dep_token_open(run->arena, run->credentials.token, policy, &jws));

    const struct dep_jwks_key *key = dep_jwks_find(run->facts->keys, jws.kid, jws.alg);

    if (key == NULL && run->facts->may_refresh_keys) {
        run->decision->needs |= DEP_GUARD_NEEDS_KEYS;
        return DEP_OK;
    }
    if (key == NULL)
        return run->facts->are_keys_underway ? DEP_FAIL(KEYS_MISSING) : DEP_FAIL(JWS_KID);

    struct dep_token *token = DEP_NEW(run->arena, struct dep_token);

    if (token == NULL)
        return DEP_FAIL(ARENA_FULL);
    DEP_TRY(dep_token_check(run->arena, run->crypto, &jws, key->alg, key->key, policy, run->now, token));
    run->decision->token = token;
    run->decision->effects |= DEP_GUARD_EFFECT_KEEP_TOKEN;
    return DEP_OK;
}

/* Also for a token that was verified a moment ago: it costs nothing and keeps the two ways the same. */
static struct dep_res token_in_time(struct run *run)
{
    const struct dep_token *token = run->decision->token;

    if (run->now >= token->exp)
        return DEP_FAIL(JWT_EXPIRED);
    if (token->iat > run->now + run->policy->token.skew_s || token->nbf > run->now + run->policy->token.skew_s)
        return DEP_FAIL(JWT_NOT_YET);
    return DEP_OK;
}

static struct dep_res token_alive(struct run *run)
{
    return dep_revocations_cover(run->facts->revocations, run->decision->token) ? DEP_FAIL(TOKEN_REVOKED) : DEP_OK;
}

static struct dep_res token_scheme(struct run *run)
{
    bool is_bound = !dep_str_is_absent(run->decision->token->jkt);

    if (is_bound && !run->is_dpop)
        return DEP_FAIL(TOKEN_BOUND_AS_BEARER);
    if (!is_bound && run->is_dpop)
        return DEP_FAIL(TOKEN_NOT_BOUND);
    return DEP_OK;
}

static struct dep_res token_bound(struct run *run)
{
    const struct dep_guard_rule *rule = run->decision->rule;

    if ((run->policy->needs_dpop || (rule != NULL && rule->needs_dpop)) && !run->is_dpop)
        return DEP_FAIL(GUARD_UNBOUND);
    if (rule != NULL && rule->needs_bound && !run->is_dpop && dep_str_is_absent(run->decision->token->x5t))
        return DEP_FAIL(GUARD_NEEDS_BOUND);
    return DEP_OK;
}

/* On each request, also for a token from the cache: the certificate is the connection's, not the token's. */
static struct dep_res token_certificate(struct run *run)
{
    struct dep_str der = run->request->certificate;

    if (dep_str_is_absent(run->decision->token->x5t))
        return DEP_OK;
    if (run->policy->certificates == DEP_GUARD_CERTIFICATES_NONE)
        return DEP_FAIL(GUARD_CERTIFICATE);
    if (run->policy->certificates == DEP_GUARD_CERTIFICATES_HEADER)
        DEP_TRY(dep_guard_certificate_read(run->arena, run->headers.value[DEP_GUARD_CLIENT_CERT], &der));
    return dep_guard_certificate_check(run->crypto, der, run->decision->token->x5t);
}

static struct dep_res token_identity(struct run *run)
{
    /* What is in the cache has passed here before. */
    if (run->facts->seen == NULL && !dep_guard_identity_is_plain(run->decision->token)) {
        run->decision->effects &= ~DEP_GUARD_EFFECT_KEEP_TOKEN;
        return DEP_FAIL(GUARD_IDENTITY);
    }
    return dep_guard_identity(run->arena, run->decision);
}

/* The request's URL: configured origin, original path. */
static struct dep_res request_url(struct run *run, struct dep_str *ret_url)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, run->arena, run->policy->origin.len + run->decision->path.len);
    dep_buf_put(&buf, run->policy->origin);
    dep_buf_put(&buf, run->decision->path);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    return dep_is_ok(dep_url_normalise(run->arena, dep_buf_str(&buf), ret_url)) ? DEP_OK : DEP_FAIL(DPOP_HTU);
}

static struct dep_res proof_valid(struct run *run)
{
    struct dep_dpop_request proof = {
        .proof = run->headers.value[DEP_GUARD_DPOP],
        .method = run->decision->method,
        .token = run->credentials.token,
        .bound_jkt = run->decision->token->jkt,
    };
    struct dep_dpop dpop;

    if (!run->is_dpop)
        return DEP_OK;
    if (run->headers.count[DEP_GUARD_DPOP] == 0)
        return DEP_FAIL(DPOP_REQUIRED);
    DEP_TRY(request_url(run, &proof.url));
    DEP_TRY(dep_dpop_check(run->arena, run->crypto, &run->policy->dpop, &proof, run->now, &dpop));
    memcpy(run->decision->replay_key, dpop.replay_key, sizeof(dpop.replay_key));
    run->decision->replay_until = dpop.replay_until;
    if (run->policy->dpop.nonce != NULL)
        run->decision->dpop_nonce = dep_dpop_next_nonce(run->arena, run->crypto, &run->policy->dpop, &dpop, run->now);
    return DEP_OK;
}

static struct dep_res rule_actor(struct run *run)
{
    const struct dep_guard_rule *rule = run->decision->rule;

    return rule == NULL ? DEP_OK : dep_guard_demand_actor(rule, run->decision->token);
}

static struct dep_res rule_details(struct run *run)
{
    const struct dep_guard_rule *rule = run->decision->rule;
    struct dep_str url;

    if (rule == NULL || dep_str_is_blank(rule->details_type))
        return DEP_OK;
    DEP_TRY(request_url(run, &url));
    return dep_guard_demand_details(run->arena, rule, run->decision->token, url);
}

/* Before the scopes: its challenge names them too, so that one new login is enough. */
static struct dep_res rule_login(struct run *run)
{
    const struct dep_guard_rule *rule = run->decision->rule;

    return rule == NULL ? DEP_OK
                        : dep_guard_demand_login(rule, run->decision->token, run->now, run->policy->token.skew_s);
}

static struct dep_res token_scope(struct run *run)
{
    if (run->decision->rule != NULL)
        return dep_guard_rule_has_scopes(run->decision->rule, run->decision->token->scope) ? DEP_OK
                                                                                           : DEP_FAIL(TOKEN_SCOPE);
    if (dep_str_is_blank(run->policy->scopes))
        return DEP_OK;
    return dep_scope_within(run->policy->scopes, run->decision->token->scope) ? DEP_OK : DEP_FAIL(TOKEN_SCOPE);
}

static struct dep_res proof_new(struct run *run)
{
    if (!run->is_dpop)
        return DEP_OK;
    if (run->facts->replay.err == DEP_ERR_REPLAY_SEEN)
        return DEP_FAIL(DPOP_REPLAY);
    DEP_TRY(run->facts->replay);
    run->decision->effects |= DEP_GUARD_EFFECT_REMEMBER_JTI;
    return DEP_OK;
}

static const struct row {
    const char *name, *citation;
    struct dep_res (*check)(struct run *run);
} rows[] = {
    { "audit.writable", "architecture: audit", audit_writable },
    { "headers.once", "rfc6750#2", headers_once },
    { "origin.known", "integrations#3.4 G1", origin_known },
    { "origin.web", "mcp: transport, security", web_origin },
    { "rule.found", "integrations#3.4 G10", rule_found },
    { "credentials.present", "rfc6750#3", credentials_present },
    { "credentials.scheme", "rfc6750#2.1", credentials_scheme },
    { "proof.single", "rfc9449#4.3", proof_single },
    { "keys.known", "rfc9068#4", keys_known },
    { "feed.alive", "architecture: revocation", feed_alive },
    { "token.known", "oauth-v2-1#5.2", token_known },
    { "token.verifies", "rfc9068#4", token_verifies },
    { "token.in-time", "rfc7519#4.1.4", token_in_time },
    { "token.alive", "rfc7009#2.2", token_alive },
    { "token.scheme", "rfc9449#7.2", token_scheme },
    { "token.bound", "rfc9728#2", token_bound },
    { "token.certificate", "rfc8705#3", token_certificate },
    { "token.identity", "integrations#3.4 G2", token_identity },
    { "proof.valid", "rfc9449#4.3", proof_valid },
    { "rule.actor", "rfc8693#4.1", rule_actor },
    { "rule.details", "rfc9396#9.1", rule_details },
    { "rule.login", "rfc9470#3", rule_login },
    { "token.scope", "rfc6750#3.1", token_scope },
    { "proof.new", "rfc9449#11.1", proof_new },
};

struct dep_str dep_guard_presented(const struct dep_guard_request *request)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        struct dep_str value = request->headers[i].value;

        if (dep_str_eq_nocase(request->headers[i].name, DEP_STR("authorization")))
            return dep_str_trim(dep_str_sub(value, dep_str_find(value, ' ') + 1, value.len));
    }
    return DEP_STR_ABSENT;
}

size_t dep_guard_row_count(void)
{
    return sizeof(rows) / sizeof(rows[0]);
}

struct dep_guard_row_info dep_guard_row(size_t index)
{
    return (struct dep_guard_row_info){ rows[index].name, rows[index].citation };
}

/* A JOSE object that is wrong in any way came in by the door of an access token here (attacks/README d1). */
static enum dep_class class_of(enum dep_err reason)
{
    enum dep_class class = dep_err_class(reason);

    return class == DEP_CLASS_DOOR ? DEP_CLASS_INVALID_TOKEN : class;
}

void dep_guard_refuse(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_guard_policy *policy,
                      int64_t now, enum dep_err reason, const char *check, struct dep_guard_decision *decision)
{
    decision->is_allowed = false;
    decision->reason = reason;
    decision->class = class_of(reason);
    decision->check = check;
    /* Only what reduces authority may stay of a refusal; keeping a verified token gives nothing. */
    decision->effects &= ~DEP_GUARD_EFFECT_REMEMBER_JTI;
    dep_guard_answer(arena, crypto, policy, now, decision);
}

static void allow(struct dep_guard_decision *decision)
{
    decision->is_allowed = true;
    decision->reason = DEP_ERR_NONE;
    decision->class = DEP_CLASS_NONE;
    decision->status = 200;
}

void dep_guard_decide(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_guard_policy *policy,
                      const struct dep_guard_request *request, const struct dep_guard_facts *facts, int64_t now,
                      const unsigned char random[DEP_ULID_RANDOM], struct dep_guard_decision *ret_decision)
{
    struct run run = { .arena = arena,
                       .crypto = crypto,
                       .policy = policy,
                       .request = request,
                       .facts = facts,
                       .now = now,
                       .decision = ret_decision };
    struct dep_buf id;

    *ret_decision = (struct dep_guard_decision){ .effects = DEP_GUARD_EFFECT_AUDIT };
    dep_buf_init(&id, ret_decision->id, sizeof(ret_decision->id));
    dep_ulid_put(&id, now * 1000, random);
    dep_guard_headers_read(request, policy->certificates, &run.headers);
    for (size_t i = 0; i < dep_guard_row_count(); i++) {
        struct dep_res res = rows[i].check(&run);

        ret_decision->rows_run = i + 1;
        if (ret_decision->needs != 0)
            return;
        if (!dep_is_ok(res)) {
            dep_guard_refuse(arena, crypto, policy, now, res.err, rows[i].name, ret_decision);
            return;
        }
    }
    allow(ret_decision);
}

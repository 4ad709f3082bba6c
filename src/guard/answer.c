/* Refusals: class -> status, code, challenge.
 *
 * Invariants:
 *  (1) Guard trouble is 503, never 401: a client that is sent to log in again cannot mend it (G11).
 *  (2) One WWW-Authenticate line (G6). Bearer first, then DPoP, with the same error, scope and metadata in both. Errors
 *      that are about a proof have a DPoP challenge alone: they mean nothing under Bearer, and clients look for a
 *      single one before they retry with the nonce.
 *  (3) The text says the class, never the row: which of several faults was found first is nobody's business (A67). */
#include "guard/answer.h"

#define CHALLENGE_MAX 2048u
#define RETRY_AFTER_S 1

enum challenge { CHALLENGE_NONE, CHALLENGE_BOTH, CHALLENGE_DPOP, CHALLENGE_BEARER };

static const struct shape {
    enum dep_class class;
    int status;
    const char *error; /* NULL: none on the wire */
    const char *title;
    enum challenge challenge;
} shapes[] = {
    { DEP_CLASS_NO_TOKEN, 401, NULL, "Unauthorized", CHALLENGE_BOTH }, /* rfc6750#3.1: no error code */
    { DEP_CLASS_INVALID_TOKEN, 401, "invalid_token", "Unauthorized", CHALLENGE_BOTH },
    /* rfc8705#3: a proof would not help. */
    { DEP_CLASS_CERTIFICATE, 401, "invalid_token", "Unauthorized", CHALLENGE_BEARER },
    { DEP_CLASS_INVALID_DPOP_PROOF, 401, "invalid_dpop_proof", "Unauthorized", CHALLENGE_DPOP },
    { DEP_CLASS_USE_DPOP_NONCE, 401, "use_dpop_nonce", "Unauthorized", CHALLENGE_DPOP },
    { DEP_CLASS_INSUFFICIENT_SCOPE, 403, "insufficient_scope", "Forbidden", CHALLENGE_BOTH },
    /* No error code: no other scope would help, and clients that see one come back with a token that helps as little. */
    { DEP_CLASS_FORBIDDEN, 403, NULL, "Forbidden", CHALLENGE_BOTH },
    { DEP_CLASS_INSUFFICIENT_LOGIN, 401, "insufficient_user_authentication", "Unauthorized", CHALLENGE_BOTH },
    { DEP_CLASS_INVALID_REQUEST, 400, "invalid_request", "Bad Request", CHALLENGE_BOTH },
    { DEP_CLASS_TOO_LARGE, 400, "invalid_request", "Bad Request", CHALLENGE_BOTH },
    { DEP_CLASS_RATE_LIMITED, 429, NULL, "Too Many Requests", CHALLENGE_NONE },
};
static const struct shape trouble = { DEP_CLASS_UNAVAILABLE, 503, NULL, "Service Unavailable", CHALLENGE_NONE };

static const struct shape *shape_of(enum dep_class class)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (shapes[i].class == class)
            return &shapes[i];
    return &trouble;
}

static struct dep_str algs_of(unsigned algs)
{
    return (algs & DEP_ALG_BIT(DEP_ALG_PS256)) != 0 ? DEP_STR("ES256 EdDSA PS256 RS256") : DEP_STR("ES256 EdDSA");
}

static void put_challenges(struct dep_buf *buf, const struct dep_guard_policy *policy, const struct shape *shape,
                           const struct dep_guard_rule *rule)
{
    struct dep_str scopes = rule != NULL ? rule->challenge : policy->scopes;
    bool needs_dpop = policy->needs_dpop || (rule != NULL && rule->needs_dpop);
    char number[24];
    struct dep_buf max_age;
    struct dep_challenge challenge = {
        .scheme = "Bearer",
        .error = dep_str_c(shape->error),
        .error_description = shape->error == NULL ? DEP_STR_ABSENT : dep_str_c(dep_class_text(shape->class)),
        .scope = dep_str_is_blank(scopes) ? DEP_STR_ABSENT : scopes,
        .resource_metadata = policy->resource_metadata,
    };

    if (shape->class == DEP_CLASS_INSUFFICIENT_LOGIN && rule != NULL) { /* rfc9470#3 */
        challenge.acr_values = dep_str_is_blank(rule->acr_values) ? DEP_STR_ABSENT : rule->acr_values;
        dep_buf_init(&max_age, number, sizeof(number));
        dep_buf_put_int(&max_age, rule->max_age_s);
        challenge.max_age = rule->max_age_s >= 0 ? dep_buf_str(&max_age) : DEP_STR_ABSENT;
    }
    if (shape->challenge == CHALLENGE_BEARER || (shape->challenge == CHALLENGE_BOTH && !needs_dpop))
        dep_challenge_put(buf, &challenge);
    if (shape->challenge == CHALLENGE_BEARER)
        return;
    challenge.scheme = "DPoP";
    challenge.algs = algs_of(policy->dpop.algs);
    dep_challenge_put(buf, &challenge);
}

void dep_guard_answer(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_guard_policy *policy,
                      int64_t now, struct dep_guard_decision *decision)
{
    const struct shape *shape = shape_of(decision->class);

    decision->status = shape->status;
    decision->error = dep_str_c(shape->error);
    decision->www_authenticate = DEP_STR_ABSENT;
    decision->dpop_nonce = DEP_STR_ABSENT;
    decision->retry_after_s = shape->status == 503 || shape->status == 429 ? RETRY_AFTER_S : 0;
    if (shape->challenge != CHALLENGE_NONE) {
        struct dep_buf buf;

        dep_buf_init_arena(&buf, arena, CHALLENGE_MAX);
        put_challenges(&buf, policy, shape, decision->rule);
        decision->www_authenticate = dep_buf_str(&buf);
    }
    if (shape->class == DEP_CLASS_USE_DPOP_NONCE)
        decision->dpop_nonce = dep_dpop_nonce(arena, crypto, &policy->dpop, now);
}

void dep_guard_put_body(struct dep_buf *buf, const struct dep_guard_decision *decision)
{
    const struct shape *shape = shape_of(decision->class);
    struct dep_json_writer writer;

    dep_json_begin(&writer, buf);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "type", DEP_STR("about:blank"));
    dep_json_member(&writer, "title", dep_str_c(shape->title));
    dep_json_member_int(&writer, "status", shape->status);
    dep_json_member(&writer, "detail", dep_str_c(dep_class_text(shape->class)));
    if (shape->error != NULL) {
        dep_json_member(&writer, "error", dep_str_c(shape->error));
        dep_json_member(&writer, "error_description", dep_str_c(dep_class_text(shape->class)));
    }
    dep_json_member(&writer, "decision", dep_str(decision->id, sizeof(decision->id)));
    dep_json_close(&writer, '}');
}

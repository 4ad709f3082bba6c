/* DPoP proofs (RFC 9449): the checks of section 4.3 in the order size, form, header, key, signature, claims. Uniqueness is the
 * caller's, and last: a broken proof must not burn the jti of an honest one (attack case B31). */
#include "proto/dpop.h"

#include "base/b64.h"
#include "base/url.h"

#define PROOF_BYTES_MAX 8192u

static const struct dep_str proof_typs[] = { DEP_STR_INIT("dpop+jwt") };

struct claims {
    struct dep_str jti, htm, htu, nonce, ath;
    int64_t iat;
};

static struct dep_res read_claims(const struct dep_json *json, struct claims *ret_claims)
{
    struct claims claims = { 0 };
    const struct dep_json *nonce = DEP_JSON_GET(json, "nonce");
    const struct dep_json *ath = DEP_JSON_GET(json, "ath");

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(json, "jti"), &claims.jti)) || dep_str_is_blank(claims.jti) ||
        claims.jti.len > 128 || !dep_is_ok(dep_json_str(DEP_JSON_GET(json, "htm"), &claims.htm)) ||
        !dep_is_ok(dep_json_str(DEP_JSON_GET(json, "htu"), &claims.htu)) ||
        !dep_is_ok(dep_json_int(DEP_JSON_GET(json, "iat"), 0, DEP_JSON_TIME_MAX, &claims.iat)))
        return DEP_FAIL(DPOP_CLAIMS);
    if (nonce != NULL && !dep_is_ok(dep_json_str(nonce, &claims.nonce)))
        return DEP_FAIL(DPOP_CLAIMS);
    if (ath != NULL && !dep_is_ok(dep_json_str(ath, &claims.ath)))
        return DEP_FAIL(DPOP_CLAIMS);
    *ret_claims = claims;
    return DEP_OK;
}

/* The proof's own key, imported once per thread and key. */
static struct dep_res verify_with_own_key(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_jws *jws,
                                          struct dep_str *ret_jkt)
{
    const struct dep_public_key *key = NULL;
    struct dep_jwk jwk;
    struct dep_buf jkt;

    if (jws->jwk == NULL || !dep_is_ok(dep_jwk_read(arena, crypto, jws->jwk, &jwk)))
        return DEP_FAIL(DPOP_JWK);
    if (dep_alg_kty(jws->alg) != jwk.kty || (jwk.alg != DEP_ALG_NONE && jwk.alg != jws->alg))
        return DEP_FAIL(DPOP_JWK);
    if (!dep_is_ok(dep_crypto_cached_key(crypto, jwk.thumbprint, dep_jwk_import, &jwk, &key)))
        return DEP_FAIL(DPOP_JWK);
    if (!dep_is_ok(dep_jws_verify(crypto, jws, jws->alg, key)))
        return DEP_FAIL(DPOP_PROOF);
    dep_buf_init_arena(&jkt, arena, DEP_JKT_LEN);
    dep_jwk_put_jkt(&jkt, &jwk);
    if (jkt.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_jkt = dep_buf_str(&jkt);
    return DEP_OK;
}

static struct dep_res check_htu(struct dep_arena *arena, struct dep_str htu, struct dep_str url)
{
    struct dep_str normal;

    if (dep_str_eq(htu, url))
        return DEP_OK;
    if (!dep_is_ok(dep_url_normalise(arena, htu, &normal)) || !dep_str_eq(normal, url))
        return DEP_FAIL(DPOP_HTU);
    return DEP_OK;
}

/* rfc9449#8: a nonce that is there must be ours; one is needed when the policy asks, or when the proof is old enough to have been
 * used before this process started. */
static struct dep_res check_nonce(struct dep_crypto *crypto, const struct dep_dpop_policy *policy,
                                  const struct claims *claims, int64_t now, int64_t *ret_minted)
{
    bool is_fenced = policy->fence > 0 && claims->iat <= policy->fence + policy->skew_s;

    if (dep_str_is_blank(claims->nonce)) {
        if (policy->needs_nonce)
            return DEP_FAIL(DPOP_NONCE_MISSING);
        return is_fenced ? DEP_FAIL(DPOP_FENCE) : DEP_OK;
    }
    DEP_TRY(dep_nonce_check(crypto, policy->nonce, claims->nonce, now, ret_minted));
    return is_fenced && *ret_minted <= policy->fence ? DEP_FAIL(DPOP_FENCE) : DEP_OK;
}

struct dep_str dep_dpop_nonce(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_dpop_policy *policy,
                              int64_t now)
{
    return dep_nonce_make(arena, crypto, policy->nonce, now > policy->fence ? now : policy->fence + 1);
}

struct dep_str dep_dpop_next_nonce(struct dep_arena *arena, struct dep_crypto *crypto,
                                   const struct dep_dpop_policy *policy, const struct dep_dpop *dpop, int64_t now)
{
    bool is_in_last_window = dpop->nonce_minted > 0 && now - dpop->nonce_minted >= policy->nonce->window_s;

    return policy->needs_nonce || is_in_last_window ? dep_dpop_nonce(arena, crypto, policy, now) : DEP_STR_ABSENT;
}

static struct dep_res check_ath(struct dep_crypto *crypto, struct dep_str ath, struct dep_str token)
{
    unsigned char want[DEP_SHA256_LEN], got[DEP_SHA256_LEN];

    dep_sha256(crypto, token, want);
    if (!dep_is_ok(dep_b64url_decode_exact(ath, got, sizeof(got))) ||
        !dep_secret_eq(dep_secret(got, sizeof(got)), dep_secret(want, sizeof(want))))
        return DEP_FAIL(DPOP_ATH);
    return DEP_OK;
}

static struct dep_res check_claims(struct dep_arena *arena, struct dep_crypto *crypto,
                                   const struct dep_dpop_policy *policy, const struct dep_dpop_request *request,
                                   const struct claims *claims, int64_t now, int64_t *ret_minted)
{
    if (!dep_str_eq(claims->htm, request->method))
        return DEP_FAIL(DPOP_HTM);
    DEP_TRY(check_htu(arena, claims->htu, request->url));
    if (claims->iat > now + policy->skew_s || claims->iat < now - policy->age_max_s)
        return DEP_FAIL(DPOP_IAT);
    DEP_TRY(check_nonce(crypto, policy, claims, now, ret_minted));
    if (!dep_str_is_absent(request->token))
        DEP_TRY(check_ath(crypto, claims->ath, request->token));
    return DEP_OK;
}

struct dep_res dep_dpop_check(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_dpop_policy *policy,
                              const struct dep_dpop_request *request, int64_t now, struct dep_dpop *ret_dpop)
{
    const struct dep_jws_rules rules = {
        .bytes_max = PROOF_BYTES_MAX,
        .algs = policy->algs != 0 ? policy->algs : DEP_ALGS_DPOP,
        .typs = proof_typs,
        .typs_count = 1,
        .takes_jwk = true,
    };
    const struct dep_json *json = NULL;
    struct dep_dpop dpop = { 0 };
    struct claims claims;
    struct dep_jws jws;

    if (!dep_is_ok(dep_jws_parse(arena, request->proof, &rules, &jws)))
        return DEP_FAIL(DPOP_PROOF);
    DEP_TRY(verify_with_own_key(arena, crypto, &jws, &dpop.jkt));
    if (!dep_is_ok(dep_jwt_claims(arena, &jws, &json)))
        return DEP_FAIL(DPOP_CLAIMS);
    DEP_TRY(read_claims(json, &claims));
    DEP_TRY(check_claims(arena, crypto, policy, request, &claims, now, &dpop.nonce_minted));
    if (!dep_str_is_absent(request->bound_jkt) && !dep_str_eq(request->bound_jkt, dpop.jkt))
        return DEP_FAIL(TOKEN_BINDING);
    dep_replay_key(crypto, DEP_STR(""), DEP_REPLAY_DPOP, dpop.jkt, request->url, claims.jti, dpop.replay_key);
    dpop.iat = claims.iat;
    dpop.replay_until = claims.iat + policy->age_max_s + policy->skew_s;
    *ret_dpop = dpop;
    return DEP_OK;
}

struct dep_res dep_dpop_sign(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_private_key *key,
                             struct dep_str method, struct dep_str url, struct dep_str token, struct dep_str nonce,
                             int64_t now, const unsigned char random[16], struct dep_str *ret_proof)
{
    struct dep_buf jwk, payload, proof, jti, ath;
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_json_writer writer;

    dep_buf_init_arena(&jwk, arena, 1024);
    dep_json_begin(&writer, &jwk);
    DEP_TRY(dep_jwk_put_public(&writer, arena, key, DEP_STR_ABSENT));
    dep_buf_init_arena(&jti, arena, DEP_B64_ENCODED(16u));
    dep_b64url_put(&jti, random, 16);
    dep_buf_init_arena(&payload, arena, url.len + nonce.len + 512);
    dep_json_begin(&writer, &payload);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "jti", dep_buf_str(&jti));
    dep_json_member(&writer, "htm", method);
    dep_json_member(&writer, "htu", url);
    dep_json_member_int(&writer, "iat", now);
    if (!dep_str_is_absent(token)) {
        dep_sha256(crypto, token, digest);
        dep_buf_init_arena(&ath, arena, DEP_B64_ENCODED(sizeof(digest)));
        dep_b64url_put(&ath, digest, sizeof(digest));
        dep_json_member(&writer, "ath", dep_buf_str(&ath));
    }
    dep_json_member(&writer, "nonce", nonce);
    dep_json_close(&writer, '}');
    dep_buf_init_arena(&proof, arena, PROOF_BYTES_MAX);
    if (jwk.has_failed || payload.has_failed || jti.has_failed || proof.has_failed)
        return DEP_FAIL(ARENA_FULL);
    DEP_TRY(dep_jws_sign(crypto, key, DEP_STR("dpop+jwt"), DEP_STR_ABSENT, dep_buf_str(&jwk), dep_buf_str(&payload),
                         &proof));
    *ret_proof = dep_buf_str(&proof);
    return DEP_OK;
}

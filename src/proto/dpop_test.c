/* DPoP proofs at a guarded resource: every check of RFC 9449 section 4.3 by itself, with proofs made by hand (attack group B). */
#include "proto/dpop.h"

#include "base/b64.h"
#include "jose/jwk.h"
#include "test/unit.h"

#define NOW INT64_C(1700000000)
#define URL "https://api.example/mcp"
#define TOKEN "header.payload.signature"

static _Alignas(16) unsigned char memory[1 << 20];
static struct dep_arena arena;
static struct dep_crypto *crypto;
static struct dep_private_key *key, *other_key;
static struct dep_nonce_policy nonce_policy;
static struct dep_dpop_policy policy;

/* A proof with this payload; `typ` and the jwk of `shown`, signed by `signer`. */
static struct dep_str signed_by(const struct dep_private_key *signer, const struct dep_private_key *shown,
                                const char *typ, const char *payload)
{
    struct dep_json_writer writer;
    struct dep_buf jwk, proof;

    dep_buf_init_arena(&jwk, &arena, 1024);
    dep_json_begin(&writer, &jwk);
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, &arena, shown, DEP_STR_ABSENT)));
    dep_buf_init_arena(&proof, &arena, 16384);
    DEP_ASSERT(dep_is_ok(
        dep_jws_sign(crypto, signer, dep_str_c(typ), DEP_STR_ABSENT, dep_buf_str(&jwk), dep_str_c(payload), &proof)));
    return dep_buf_str(&proof);
}

static struct dep_str ath_of(const char *token)
{
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_buf buf;

    dep_sha256(crypto, dep_str_c(token), digest);
    dep_buf_init_arena(&buf, &arena, 64);
    dep_b64url_put(&buf, digest, sizeof(digest));
    return dep_buf_str(&buf);
}

#define ATH "%ATH%"

/* Puts the right ath into a payload. */
static const char *with_ath(const char *text)
{
    static char payload[1024];
    const char *at = strstr(text, ATH);
    struct dep_str ath = ath_of(TOKEN);

    if (at == NULL)
        return text;
    (void)snprintf(payload, sizeof(payload), "%.*s%.*s%s", (int)(at - text), text, DEP_STR_ARG(ath), at + strlen(ATH));
    return payload;
}

static struct dep_res check(struct dep_str proof, struct dep_dpop *ret_dpop)
{
    const struct dep_dpop_request request = {
        .proof = proof, .method = DEP_STR("POST"), .url = DEP_STR(URL), .token = DEP_STR(TOKEN)
    };

    return dep_dpop_check(&arena, crypto, &policy, &request, NOW, ret_dpop);
}

#define GOOD "{\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000,\"ath\":\"" ATH "\"}"
#define HEAD "{\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\","

DEP_TEST(claims_one_by_one)
{
    static const struct {
        const char *name, *payload;
        enum dep_err reason;
    } rows[] = {
        { "good", GOOD, DEP_ERR_NONE },
        { "B08 htu that only differs in form",
          "{\"jti\":\"j\",\"htm\":\"POST\",\"htu\":\"HTTPS://API.example:443/mcp\",\"iat\":1700000000,\"ath\":\"" ATH
          "\"}",
          DEP_ERR_NONE },
        { "no jti", "{\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000,\"ath\":\"" ATH "\"}",
          DEP_ERR_DPOP_CLAIMS },
        { "blank jti", "{\"jti\":\"\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000,\"ath\":\"" ATH "\"}",
          DEP_ERR_DPOP_CLAIMS },
        { "jti a number", "{\"jti\":1,\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000,\"ath\":\"" ATH "\"}",
          DEP_ERR_DPOP_CLAIMS },
        { "no htm", "{\"jti\":\"j\",\"htu\":\"" URL "\",\"iat\":1700000000,\"ath\":\"" ATH "\"}", DEP_ERR_DPOP_CLAIMS },
        { "no iat", "{\"jti\":\"j\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"ath\":\"" ATH "\"}", DEP_ERR_DPOP_CLAIMS },
        { "iat a text", HEAD "\"iat\":\"1700000000\",\"ath\":\"" ATH "\"}", DEP_ERR_DPOP_CLAIMS },
        { "another method",
          "{\"jti\":\"j\",\"htm\":\"GET\",\"htu\":\"" URL "\",\"iat\":1700000000,\"ath\":\"" ATH "\"}",
          DEP_ERR_DPOP_HTM },
        { "method in small letters",
          "{\"jti\":\"j\",\"htm\":\"post\",\"htu\":\"" URL "\",\"iat\":1700000000,\"ath\":\"" ATH "\"}",
          DEP_ERR_DPOP_HTM },
        { "another path",
          "{\"jti\":\"j\",\"htm\":\"POST\",\"htu\":\"" URL "/x\",\"iat\":1700000000,\"ath\":\"" ATH "\"}",
          DEP_ERR_DPOP_HTU },
        { "another host",
          "{\"jti\":\"j\",\"htm\":\"POST\",\"htu\":\"https://api.example.org/mcp\",\"iat\":1700000000,\"ath\":\"" ATH
          "\"}",
          DEP_ERR_DPOP_HTU },
        { "plain http",
          "{\"jti\":\"j\",\"htm\":\"POST\",\"htu\":\"http://api.example/mcp\",\"iat\":1700000000,\"ath\":\"" ATH "\"}",
          DEP_ERR_DPOP_HTU },
        { "oldest", HEAD "\"iat\":1699999940,\"ath\":\"" ATH "\"}", DEP_ERR_NONE },
        { "B20 too old", HEAD "\"iat\":1699999939,\"ath\":\"" ATH "\"}", DEP_ERR_DPOP_IAT },
        { "most ahead", HEAD "\"iat\":1700000010,\"ath\":\"" ATH "\"}", DEP_ERR_NONE },
        { "B20 too far ahead", HEAD "\"iat\":1700000011,\"ath\":\"" ATH "\"}", DEP_ERR_DPOP_IAT },
        { "no ath", HEAD "\"iat\":1700000000}", DEP_ERR_DPOP_ATH },
        { "ath of another token", HEAD "\"iat\":1700000000,\"ath\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}",
          DEP_ERR_DPOP_ATH },
        { "ath not base64url", HEAD "\"iat\":1700000000,\"ath\":\"????\"}", DEP_ERR_DPOP_ATH },
        { "nonce of nobody", HEAD "\"iat\":1700000000,\"ath\":\"" ATH "\",\"nonce\":\"bm90IG9uZSBvZiBvdXJz\"}",
          DEP_ERR_DPOP_NONCE },
        { "twice the same member", HEAD "\"iat\":1700000000,\"jti\":\"k\",\"ath\":\"" ATH "\"}", DEP_ERR_DPOP_CLAIMS },
    };

    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct dep_dpop dpop;
        struct dep_res res;

        dep_arena_reset(&arena);
        res = check(signed_by(key, key, "dpop+jwt", with_ath(rows[i].payload)), &dpop);
        dep_test_check(t, res.err == rows[i].reason, __FILE__, __LINE__, "%s: %s", rows[i].name, dep_err_name(res.err));
    }
}

DEP_TEST(signature_key_and_type)
{
    struct dep_dpop dpop = { .replay_until = 7 };
    const char *payload;

    dep_arena_reset(&arena);
    payload = with_ath(GOOD);
    DEP_CHECK_FAIL(t, check(signed_by(other_key, key, "dpop+jwt", payload), &dpop), DPOP_PROOF); /* B05 */
    DEP_CHECK_FAIL(t, check(signed_by(key, key, "JWT", payload), &dpop), DPOP_PROOF);
    DEP_CHECK_FAIL(t, check(signed_by(key, key, "at+jwt", payload), &dpop), DPOP_PROOF);
    DEP_CHECK_FAIL(t, check(DEP_STR("a.b.c"), &dpop), DPOP_PROOF);
    DEP_CHECK_FAIL(t, check(DEP_STR(""), &dpop), DPOP_PROOF);
    DEP_CHECK(t, dpop.replay_until == 7);
    DEP_CHECK_OK(t, check(signed_by(key, key, "dpop+jwt", payload), &dpop));
    DEP_CHECK(t, dpop.jkt.len == DEP_JKT_LEN);
    DEP_CHECK(t, dpop.replay_until == NOW + 60 + 10); /* as long as the proof could be accepted */
}

static struct dep_res check_bound(struct dep_str proof, struct dep_str jkt, struct dep_dpop *ret_dpop)
{
    const struct dep_dpop_request request = {
        .proof = proof, .method = DEP_STR("POST"), .url = DEP_STR(URL), .token = DEP_STR(TOKEN), .bound_jkt = jkt
    };

    return dep_dpop_check(&arena, crypto, &policy, &request, NOW, ret_dpop);
}

DEP_TEST(the_tokens_key_is_the_proofs_key)
{
    struct dep_str own, other, proof;
    struct dep_dpop dpop;

    dep_arena_reset(&arena);
    DEP_ASSERT(dep_is_ok(dep_jwk_jkt_of(&arena, crypto, key, &own)));
    DEP_ASSERT(dep_is_ok(dep_jwk_jkt_of(&arena, crypto, other_key, &other)));
    proof = signed_by(key, key, "dpop+jwt", with_ath(GOOD));
    DEP_CHECK_FAIL(t, check_bound(proof, other, &dpop), TOKEN_BINDING);
    DEP_CHECK_OK(t, check_bound(proof, own, &dpop));
    DEP_CHECK(t, dep_str_eq(dpop.jkt, own));
}

static struct dep_str made(struct dep_str nonce, int64_t iat, unsigned char first)
{
    unsigned char random[16] = { first };
    struct dep_str proof;

    DEP_ASSERT(dep_is_ok(
        dep_dpop_sign(&arena, crypto, key, DEP_STR("POST"), DEP_STR(URL), DEP_STR(TOKEN), nonce, iat, random, &proof)));
    return proof;
}

DEP_TEST(what_is_signed_is_taken)
{
    struct dep_dpop first, second, again;

    dep_arena_reset(&arena);
    DEP_CHECK_OK(t, check(made(DEP_STR_ABSENT, NOW, 1), &first));
    DEP_CHECK_OK(t, check(made(DEP_STR_ABSENT, NOW, 2), &second));
    DEP_CHECK_OK(t, check(made(DEP_STR_ABSENT, NOW - 5, 1), &again));
    DEP_CHECK(t, memcmp(first.replay_key, second.replay_key, sizeof(first.replay_key)) != 0);
    /* B25: the jti counts, not the bytes of the proof */
    DEP_CHECK(t, memcmp(first.replay_key, again.replay_key, sizeof(first.replay_key)) == 0);
}

DEP_TEST(B38_nonces_when_they_are_asked_for)
{
    struct dep_str nonce, old;
    struct dep_dpop dpop;

    dep_arena_reset(&arena);
    nonce = dep_nonce_make(&arena, crypto, &nonce_policy, NOW);
    old = dep_nonce_make(&arena, crypto, &nonce_policy, NOW - 120);
    DEP_CHECK_OK(t, check(made(DEP_STR_ABSENT, NOW, 1), &dpop));
    policy.needs_nonce = true;
    DEP_CHECK_FAIL(t, check(made(DEP_STR_ABSENT, NOW, 1), &dpop), DPOP_NONCE_MISSING);
    DEP_CHECK_FAIL(t, check(made(DEP_STR(""), NOW, 1), &dpop), DPOP_NONCE_MISSING);
    DEP_CHECK_FAIL(t, check(made(old, NOW, 1), &dpop), DPOP_NONCE);
    DEP_CHECK_OK(t, check(made(nonce, NOW, 1), &dpop));
    policy.needs_nonce = false;
}

DEP_TEST(B27_after_a_restart)
{
    struct dep_str before, after;
    struct dep_dpop dpop;

    dep_arena_reset(&arena);
    before = dep_nonce_make(&arena, crypto, &nonce_policy, NOW - 20);
    after = dep_nonce_make(&arena, crypto, &nonce_policy, NOW - 19);
    policy.fence = NOW - 20;
    DEP_CHECK_FAIL(t, check(made(DEP_STR_ABSENT, NOW - 10, 1), &dpop), DPOP_FENCE);
    DEP_CHECK_FAIL(t, check(made(before, NOW - 10, 1), &dpop), DPOP_FENCE);
    DEP_CHECK_OK(t, check(made(after, NOW - 10, 1), &dpop));
    DEP_CHECK_OK(t, check(made(DEP_STR_ABSENT, NOW - 9, 1), &dpop));
    policy.fence = 0;
    DEP_CHECK_OK(t, check(made(DEP_STR_ABSENT, NOW - 10, 1), &dpop));
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(claims_one_by_one),
        DEP_ROW(signature_key_and_type),
        DEP_ROW(the_tokens_key_is_the_proofs_key),
        DEP_ROW(what_is_signed_is_taken),
        DEP_ROW(B38_nonces_when_they_are_asked_for),
        DEP_ROW(B27_after_a_restart),
    };
    int failed;

    dep_arena_init(&arena, memory, sizeof(memory));
    crypto = dep_crypto_new();
    DEP_ASSERT(dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &key)) &&
               dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &other_key)));
    nonce_policy =
        (struct dep_nonce_policy){ dep_secret("0123456789abcdef0123456789abcdef", 32), DEP_STR("guard"), 60 };
    policy = (struct dep_dpop_policy){ .age_max_s = 60, .skew_s = 10, .nonce = &nonce_policy };
    failed = dep_test_main(rows, DEP_COUNT(rows));
    dep_private_key_free(key);
    dep_private_key_free(other_key);
    dep_crypto_free(crypto);
    return failed;
}

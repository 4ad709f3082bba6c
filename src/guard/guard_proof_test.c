/* Hostile DPoP proofs at the guard (attack group B at a resource, RFC 9449 section 4.3 and 7): 401 invalid_dpop_proof
 * unless said otherwise, with a DPoP challenge, and the good twin is accepted afterwards. */
#include "guard/guard_fixture.h"

/* Header and payload of a good proof for `token`, of which one member is replaced; an empty value leaves it out. */
struct bent {
    const char *id, *name, *value;
};

static struct dep_str ath_of(struct fixture *f, struct dep_str token)
{
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_buf buf;

    dep_sha256(f->crypto, token, digest);
    dep_buf_init_arena(&buf, &f->arena, 64);
    dep_b64url_put(&buf, digest, sizeof(digest));
    return dep_buf_str(&buf);
}

static struct dep_str jwk_of(struct fixture *f, const struct dep_private_key *key)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &f->arena, 1024);
    dep_json_begin(&writer, &buf);
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, &f->arena, key, DEP_STR_ABSENT)));
    return dep_buf_str(&buf);
}

static void put(struct dep_buf *buf, const struct bent *bent, const char *name, struct dep_str value)
{
    if (bent != NULL && strcmp(bent->name, name) == 0)
        value = dep_str_c(bent->value);
    if (value.len == 0)
        return;
    dep_buf_put_c(buf, buf->len == 0 ? "{\"" : ",\"");
    dep_buf_put_c(buf, name);
    dep_buf_put_c(buf, "\":");
    dep_buf_put(buf, value);
}

static struct dep_str bent_proof(struct fixture *f, struct dep_str token, const struct bent *bent)
{
    static unsigned number;
    struct dep_buf header, payload;

    dep_buf_init_arena(&header, &f->arena, 8192);
    put(&header, bent, "alg", DEP_STR("\"ES256\""));
    put(&header, bent, "typ", DEP_STR("\"dpop+jwt\""));
    put(&header, bent, "jwk", jwk_of(f, f->client));
    put(&header, bent, "extra-header", DEP_STR(""));
    dep_buf_put_char(&header, '}');
    dep_buf_init_arena(&payload, &f->arena, 8192);
    put(&payload, bent, "jti", fmt(f, "\"j%u\"", number++));
    put(&payload, bent, "htm", DEP_STR("\"POST\""));
    put(&payload, bent, "htu", DEP_STR("\"" RESOURCE "\""));
    put(&payload, bent, "iat", fmt(f, "%lld", (long long)NOW));
    put(&payload, bent, "ath", fmt(f, "\"%.*s\"", DEP_STR_ARG(ath_of(f, token))));
    put(&payload, bent, "nonce", DEP_STR(""));
    put(&payload, bent, "extra", DEP_STR(""));
    dep_buf_put_char(&payload, '}');
    return sign_raw(f, f->client, dep_buf_str(&header), dep_buf_str(&payload));
}

static void check_hostile(struct dep_test *t, struct fixture *f, const char *what, struct dep_str token,
                          struct dep_str proof)
{
    ask_dpop(f, token, proof);
    check_refused(t, f, what, 401, "invalid_dpop_proof");
    DEP_CHECK(t, dep_str_starts(f->decision.www_authenticate, DEP_STR("DPoP error=\"invalid_dpop_proof\"")));
    DEP_CHECK(t, (f->decision.effects & DEP_GUARD_EFFECT_REMEMBER_JTI) == 0); /* B31: nothing is burnt */
    ask_dpop(f, token, bent_proof(f, token, NULL));
    check_allowed(t, f, what);
}

static void check_bent(struct dep_test *t, const struct bent *bent, size_t count, bool is_good)
{
    struct fixture f;

    set_up(&f);

    struct dep_str token = bound_token(&f);

    for (size_t i = 0; i < count; i++) {
        if (is_good) {
            ask_dpop(&f, token, bent_proof(&f, token, &bent[i]));
            check_allowed(t, &f, fmt(&f, "%s %s", bent[i].id, bent[i].value).ptr);
        } else {
            check_hostile(t, &f, fmt(&f, "%s %s", bent[i].id, bent[i].value).ptr, token,
                          bent_proof(&f, token, &bent[i]));
        }
    }
    tear_down(&f);
}

DEP_TEST(B05_B07_B14_B17_B18_B22_members)
{
    static const struct bent bent[] = {
        { "B05", "alg", "" },
        { "B05", "typ", "" },
        { "B05", "jwk", "" },
        { "B05", "jti", "" },
        { "B05", "htm", "" },
        { "B05", "htu", "" },
        { "B05", "iat", "" },
        { "ath", "ath", "" },
        { "ath", "ath", "\"x\"" },
        { "ath", "ath", "5" },
        { "ath", "ath", "\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"" },
        { "ath", "ath", "null" },
        { "B07", "typ", "\"JWT\"" },
        { "B07", "typ", "\"at+jwt\"" },
        { "B07", "typ", "\"dpop+JWT \"" },
        { "B07", "typ", "\"client-authentication+jwt\"" },
        { "A02", "alg", "\"none\"" },
        { "A05", "alg", "\"HS256\"" },
        { "A08", "alg", "\"RS256\"" },
        { "A08", "alg", "\"PS256\"" },
        { "A08", "alg", "\"EdDSA\"" },
        { "B14", "htm", "\"post\"" },
        { "B14", "htm", "\"Post\"" },
        { "B14", "htm", "\"GET\"" },
        { "B14", "htm", "\"POST\\u0000\"" },
        { "B14", "htm", "\"\"" },
        { "B14", "htm", "5" },
        { "B52", "htm", "\"HEAD\"" },
        { "B52", "htm", "\"OPTIONS\"" },
        { "B17", "htu", "\"http://api.example/mcp\"" },
        { "B17", "htu", "\"https://evil.example/mcp\"" },
        { "B17", "htu", "\"https://api.example:444/mcp\"" },
        { "B17", "htu", "\"https://api.example/mcp/\"" },
        { "B17", "htu", "\"https://api.example/mcp/../other\"" },
        { "B17", "htu", "\"https://api.example//mcp\"" },
        { "B17", "htu", "\"https://api.example/Mcp\"" },
        { "B17", "htu", "\"https://u@api.example/mcp\"" },
        { "B17", "htu", "\"https://api.example.evil/mcp\"" },
        { "B18", "htu", "5" },
        { "B18", "htu", "null" },
        { "B18", "htu", "[]" },
        { "B18", "htu", "\"\"" },
        { "B18", "htu", "\"/mcp\"" },
        { "B18", "htu", "\"https://\"" },
        { "B22", "iat", "\"1800000000\"" },
        { "B22", "iat", "-1" },
        { "B22", "iat", "1e308" },
        { "B22", "iat", "9223372036854775808" },
        { "B22", "iat", "1800000000.5" },
        { "B22", "iat", "true" },
        { "B21", "iat", "1799999939" },
        { "B21", "iat", "1800000011" },
        { "4.5", "iat", "1799999697" },
        { "4.5", "iat", "1800000303" },
        { "jti", "jti", "\"\"" },
        { "jti", "jti", "5" },
        { "jti", "jti",
          "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"" },
        { "A41", "extra", "1,\"htm\":\"POST\"" },
        { "A37", "extra-header", "1,\"crit\":[\"x\"]" },
        { "A26", "extra-header", "1,\"jku\":\"http://127.0.0.1:1/\"" },
    };

    check_bent(t, bent, DEP_COUNT(bent), false);
}

DEP_TEST(B16_B20_B22_B24_good_variants)
{
    static const struct bent bent[] = {
        { "B16", "htu", "\"HTTPS://API.EXAMPLE:443/mcp\"" },
        { "B16", "htu", "\"https://api.example/%6dcp\"" },
        { "B16", "htu", "\"https://api.example/x/../mcp\"" },
        { "B16", "htu", "\"https://api.example/mcp?a=b#c\"" },
        { "B20", "iat", "1799999990" },
        { "B20", "iat", "1800000010" },
        { "B20", "iat", "1799999940" },
        { "B22", "iat", "1800000000.0" },
        { "B24", "extra", "{\"a\":[1]}" },
        { "B24", "extra-header", "\"x\"" },
        { "B12", "extra-header", "1,\"kid\":\"../../etc/passwd\"" },
        { "typ", "typ", "\"DPoP+jwt\"" },
    };

    check_bent(t, bent, DEP_COUNT(bent), true);
}

DEP_TEST(B10_jwk_that_is_no_public_key)
{
    static const char *const more[] = {
        ",\"d\":\"AAAA\"",  ",\"p\":\"AAAA\"", ",\"q\":\"AAAA\"",  ",\"k\":\"AAAA\"",
        ",\"dp\":\"AAAA\"", ",\"kty\":\"EC\"", ",\"use\":\"enc\"", ",\"alg\":\"RS256\"",
    };
    static const char *const whole[] = {
        "null",
        "5",
        "[]",
        "{}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
    };
    struct fixture f;

    set_up(&f);

    struct dep_str token = bound_token(&f), jwk = jwk_of(&f, f.client);

    for (size_t i = 0; i < DEP_COUNT(more) + DEP_COUNT(whole); i++) {
        const char *value = i < DEP_COUNT(more) ? fmt(&f, "%.*s%s}", (int)jwk.len - 1, jwk.ptr, more[i]).ptr
                                                : whole[i - DEP_COUNT(more)];
        const struct bent bent = { "B10", "jwk", value };

        check_hostile(t, &f, value, token, bent_proof(&f, token, &bent));
    }
    tear_down(&f);
}

DEP_TEST(B02_B09_B31_forms)
{
    struct fixture f;

    set_up(&f);

    struct dep_str token = bound_token(&f), good = bent_proof(&f, token, NULL), other = bent_proof(&f, token, NULL);
    const struct bent foreign = { "B09", "jwk", jwk_of(&f, f.stranger).ptr };
    size_t first = dep_str_find(good, '.'), first_other = dep_str_find(other, '.');
    struct dep_str rest = dep_str_sub(other, first_other, other.len);

    check_hostile(t, &f, "B02 joined", token, fmt(&f, "%.*s,%.*s", DEP_STR_ARG(good), DEP_STR_ARG(other)));
    check_hostile(t, &f, "B02 joined with a blank", token,
                  fmt(&f, "%.*s, %.*s", DEP_STR_ARG(good), DEP_STR_ARG(other)));
    check_hostile(t, &f, "not a JWT", token, DEP_STR("x"));
    check_hostile(t, &f, "empty", token, DEP_STR(""));
    check_hostile(t, &f, "quoted", token, fmt(&f, "\"%.*s\"", DEP_STR_ARG(good)));
    check_hostile(t, &f, "no signature", token, dep_str_sub(good, 0, good.len - 86));
    check_hostile(t, &f, "the token itself", token, token);
    check_hostile(t, &f, "B09 signed by another key than jwk", token, bent_proof(&f, token, &foreign));
    check_hostile(
        t, &f, "B09 payload swapped", token,
        fmt(&f, "%.*s%.*s%.*s", (int)first, good.ptr, (int)(rest.len - 86), rest.ptr, 86, good.ptr + good.len - 86));

    const struct dep_header headers[] = { { DEP_STR("X-Original-Method"), DEP_STR("POST") },
                                          { DEP_STR("X-Original-URL"), DEP_STR("/mcp") },
                                          { DEP_STR("Authorization"), fmt(&f, "DPoP %.*s", DEP_STR_ARG(token)) },
                                          { DEP_STR("DPOP"), good },
                                          { DEP_STR("dPoP"), other } };

    decide(&f, DEP_GUARD_AUTH_REQUEST, headers, 5);
    check_refused(t, &f, "B02 two lines", 401, "invalid_dpop_proof");
    decide(&f, DEP_GUARD_AUTH_REQUEST, headers, 4);
    check_allowed(t, &f, "B03 any case");
    tear_down(&f);
}

/* The same jti under another key, or for another URL, is another proof (B33); the same proof is the same. */
DEP_TEST(B25_B33_replay_keys)
{
    struct fixture f;
    unsigned char key[DEP_REPLAY_KEY_BYTES];

    set_up(&f);

    struct dep_str token = bound_token(&f);
    const struct bent jti = { "B33", "jti", "\"the one\"" };
    struct dep_str proof = bent_proof(&f, token, &jti);

    ask_dpop(&f, token, proof);
    check_allowed(t, &f, "first");
    memcpy(key, f.decision.replay_key, sizeof(key));
    ask_dpop(&f, token, proof);
    DEP_CHECK(t, memcmp(key, f.decision.replay_key, sizeof(key)) == 0);
    f.policy.origin = DEP_STR("https://b.example");
    ask_dpop(&f, token, proof_for(&f, f.client, "POST", "https://b.example/mcp", token, DEP_STR_ABSENT, NOW));
    check_allowed(t, &f, "another place");
    DEP_CHECK(t, memcmp(key, f.decision.replay_key, sizeof(key)) != 0);
    tear_down(&f);
}

DEP_TEST(B38_B39_B42_nonces)
{
    struct fixture f;

    set_up(&f);
    f.policy.dpop.needs_nonce = true;

    struct dep_str token = bound_token(&f);
    struct dep_nonce_policy foreign_key = f.nonce, foreign_place = f.nonce;

    foreign_key.key = dep_secret("0123456789abcdef0123456789abcdeX", 32);
    foreign_place.purpose = DEP_STR("as");

    const struct dep_str bad[] = {
        DEP_STR_ABSENT,
        DEP_STR("x"),
        dep_nonce_make(&f.arena, f.crypto, &foreign_key, NOW),
        dep_nonce_make(&f.arena, f.crypto, &foreign_place, NOW),
        dep_nonce_make(&f.arena, f.crypto, &f.nonce, NOW - 120),
        dep_str_sub(dep_nonce_make(&f.arena, f.crypto, &f.nonce, NOW), 0, 31),
    };

    for (size_t i = 0; i < DEP_COUNT(bad); i++) {
        ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, token, bad[i], NOW));
        check_refused(t, &f, "nonce", 401, "use_dpop_nonce");
        DEP_CHECK(t, f.decision.dpop_nonce.len == DEP_NONCE_LEN);
        ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, token, f.decision.dpop_nonce, NOW));
        check_allowed(t, &f, "B42 the one that was given");
        DEP_CHECK(t, f.decision.dpop_nonce.len == DEP_NONCE_LEN); /* rfc9449#8.2: the next one */
    }
    ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, DEP_STR("another"), f.decision.dpop_nonce, NOW));
    check_refused(t, &f, "another fault", 401, "invalid_dpop_proof");
    DEP_CHECK(t, dep_str_is_absent(f.decision.dpop_nonce));
    tear_down(&f);
}

/* Where nonces are not demanded, an allow brings the next one when the one in use is in its last window. */
DEP_TEST(B39_nonces_are_renewed_before_they_end)
{
    static const struct {
        int64_t age_s;
        bool is_renewed;
    } cases[] = { { 0, false }, { 59, false }, { 60, true }, { 119, true } };
    struct fixture f;

    set_up(&f);

    struct dep_str token = bound_token(&f);

    for (size_t i = 0; i < DEP_COUNT(cases); i++) {
        struct dep_str nonce = dep_nonce_make(&f.arena, f.crypto, &f.nonce, NOW - cases[i].age_s);

        ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, token, nonce, NOW));
        check_allowed(t, &f, "with a nonce");
        DEP_CHECK(t, (f.decision.dpop_nonce.len == DEP_NONCE_LEN) == cases[i].is_renewed);
    }
    ask_dpop(&f, token, good_proof(&f, token));
    check_allowed(t, &f, "without one");
    DEP_CHECK(t, dep_str_is_absent(f.decision.dpop_nonce));
    tear_down(&f);
}

/* RSA proofs are for who asks for them; the size and the exponent are the key reader's business. */
DEP_TEST(B10_rsa_proofs_are_an_option)
{
    static const enum dep_alg algs[] = { DEP_ALG_PS256, DEP_ALG_RS256 };

    for (size_t i = 0; i < DEP_COUNT(algs); i++) {
        struct dep_private_key *key = NULL;
        struct fixture f;
        struct dep_str jkt, token;

        set_up(&f);
        DEP_ASSERT(dep_is_ok(dep_private_key_new(algs[i], &key)));
        DEP_ASSERT(dep_is_ok(dep_jwk_jkt_of(&f.arena, f.crypto, key, &jkt)));
        token = token_with(&f, fmt(&f, ",\"cnf\":{\"jkt\":\"%.*s\"}", DEP_STR_ARG(jkt)).ptr);
        ask_dpop(&f, token, proof_for(&f, key, "POST", RESOURCE, token, DEP_STR_ABSENT, NOW));
        check_refused(t, &f, "RSA", 401, "invalid_dpop_proof");
        DEP_CHECK(t, str_has(f.decision.www_authenticate, "algs=\"ES256 EdDSA\""));
        f.policy.dpop.algs = DEP_ALGS_DPOP_RSA;
        ask_dpop(&f, token, proof_for(&f, key, "POST", RESOURCE, token, DEP_STR_ABSENT, NOW));
        check_allowed(t, &f, "RSA, asked for");
        ask_dpop(&f, token, proof_for(&f, f.client, "POST", RESOURCE, token, DEP_STR_ABSENT, NOW));
        check_refused(t, &f, "another key", 401, "invalid_token");
        DEP_CHECK(t, str_has(f.decision.www_authenticate, "algs=\"ES256 EdDSA PS256 RS256\""));
        dep_private_key_free(key);
        tear_down(&f);
    }
}

DEP_TEST(B43_B44_scheme_and_binding)
{
    struct fixture f;

    set_up(&f);

    struct dep_str bound = bound_token(&f), free_token = bearer_token(&f);

    ask_bearer(&f, bound);
    check_refused(t, &f, "B43 without a proof", 401, "invalid_token");
    ask(&f, fmt(&f, "Bearer %.*s", DEP_STR_ARG(bound)), bent_proof(&f, bound, NULL));
    check_refused(t, &f, "B43 with a proof", 401, "invalid_token");
    ask_dpop(&f, free_token, bent_proof(&f, free_token, NULL));
    check_refused(t, &f, "B44", 401, "invalid_token");
    ask(&f, fmt(&f, "dpop %.*s", DEP_STR_ARG(bound)), bent_proof(&f, bound, NULL));
    check_allowed(t, &f, "the scheme in any case");
    tear_down(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(B05_B07_B14_B17_B18_B22_members),
        DEP_ROW(B16_B20_B22_B24_good_variants),
        DEP_ROW(B10_jwk_that_is_no_public_key),
        DEP_ROW(B02_B09_B31_forms),
        DEP_ROW(B25_B33_replay_keys),
        DEP_ROW(B38_B39_B42_nonces),
        DEP_ROW(B39_nonces_are_renewed_before_they_end),
        DEP_ROW(B10_rsa_proofs_are_an_option),
        DEP_ROW(B43_B44_scheme_and_binding),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

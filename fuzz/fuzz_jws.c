/* Tokens from anybody: taking apart, verifying and reading claims under each kind of rules. */
#include <stdlib.h>

#include "base/b64.h"
#include "fuzz/fuzz.h"
#include "jose/jws.h"

static struct dep_crypto *crypto;
static struct dep_public_key *key;

/* A key nobody has the private half of any more: the generator of P-256. */
static void prepare(void)
{
    static const unsigned char x[32] = { 0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6,
                                         0xE5, 0x63, 0xA4, 0x40, 0xF2, 0x77, 0x03, 0x7D, 0x81, 0x2D, 0xEB,
                                         0x33, 0xA0, 0xF4, 0xA1, 0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96 };
    static const unsigned char y[32] = { 0x4F, 0xE3, 0x42, 0xE2, 0xFE, 0x1A, 0x7F, 0x9B, 0x8E, 0xE7, 0xEB,
                                         0x4A, 0x7C, 0x0F, 0x9E, 0x16, 0x2B, 0xCE, 0x33, 0x57, 0x6B, 0x31,
                                         0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5 };

    if (crypto != NULL)
        return;
    crypto = dep_crypto_new();
    DEP_FUZZ_CHECK(crypto != NULL);
    DEP_FUZZ_CHECK(
        dep_is_ok(dep_public_key_new_p256(dep_str((const char *)x, 32), dep_str((const char *)y, 32), &key)));
}

/* header.payload.signature written again from what was taken apart is the token. */
static void check_whole(struct dep_arena *arena, struct dep_str token, const struct dep_jws *jws)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, token.len);
    dep_buf_put(&buf, dep_str_sub(jws->signing_input, 0, dep_str_find(jws->signing_input, '.') + 1));
    dep_b64url_put(&buf, jws->payload.ptr, jws->payload.len);
    DEP_FUZZ_CHECK(dep_str_eq(dep_buf_str(&buf), jws->signing_input));
    dep_buf_put_char(&buf, '.');
    dep_b64url_put(&buf, jws->signature.ptr, jws->signature.len);
    DEP_FUZZ_CHECK(dep_str_eq(dep_buf_str(&buf), token));
}

static void run(struct dep_str token, const struct dep_jws_rules *rules)
{
    const struct dep_json *claims;
    struct dep_jwt_times times;
    struct dep_arena arena;
    struct dep_jws jws;

    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_is_ok(dep_jws_parse(&arena, token, rules, &jws))) {
        DEP_FUZZ_CHECK((rules->algs & DEP_ALG_BIT(jws.alg)) != 0 && jws.alg != DEP_ALG_NONE);
        DEP_FUZZ_CHECK(rules->takes_jwk == (jws.jwk != NULL));
        DEP_FUZZ_CHECK(rules->may_lack_typ || !dep_str_is_absent(jws.typ));
        DEP_FUZZ_CHECK(jws.kid.len <= 256 && DEP_JSON_GET(jws.header, "crit") == NULL);
        check_whole(&arena, token, &jws);
        (void)dep_jws_verify(crypto, &jws, DEP_ALG_ES256, key).err;
        if (dep_is_ok(dep_jwt_claims(&arena, &jws, &claims))) {
            if (dep_is_ok(dep_jwt_times(claims, 1700000000, 30, 300, true, &times)))
                DEP_FUZZ_CHECK(times.exp > 1699999970 && times.exp <= 1700000300 && times.iat <= 1700000030);
            if (dep_is_ok(dep_jwt_aud_is(claims, DEP_STR("https://as.example.com"))))
                DEP_FUZZ_CHECK(dep_is_ok(dep_jwt_aud_has(claims, DEP_STR("https://as.example.com"))));
        }
    }
    dep_arena_reset(&arena);
}

/* Header, payload and signature as three lines, encoded here: so that the engine works on what is inside. */
static struct dep_str make_token(struct dep_arena *arena, struct dep_str lines)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 2 * lines.len + 8);
    for (unsigned i = 0; i < 3; i++) {
        struct dep_str line = i < 2 ? dep_str_sub(lines, 0, dep_str_find(lines, '\n')) : lines;

        dep_b64url_put(&buf, line.ptr, line.len);
        if (i < 2)
            dep_buf_put_char(&buf, '.');
        lines = dep_str_sub(lines, line.len + 1, lines.len);
    }
    DEP_FUZZ_CHECK(!buf.has_failed);
    return dep_buf_str(&buf);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    static const struct dep_str typs[] = { DEP_STR_INIT("at+jwt"), DEP_STR_INIT("dpop+jwt"), DEP_STR_INIT("JWT") };
    static const struct dep_jws_rules rules[] = {
        { .bytes_max = 16384, .algs = DEP_ALGS_ALL, .typs = typs, .typs_count = 1 },
        { .bytes_max = 4096, .algs = DEP_ALGS_DPOP, .typs = typs + 1, .typs_count = 1, .takes_jwk = true },
        { .bytes_max = 8192, .algs = DEP_ALGS_ALL, .typs = typs, .typs_count = 3, .may_lack_typ = true },
    };

    struct dep_str text = dep_fuzz_text(data, size);
    struct dep_arena arena;

    prepare();
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);

    struct dep_str made = make_token(&arena, text);

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        run(text, &rules[i]);
        run(made, &rules[i]);
    }
    dep_arena_reset(&arena);
}

/* For tests: a place where access tokens come in, with one key of its issuer, and tokens made by hand. */
#ifndef DEP_JOSE_DOOR_H
#define DEP_JOSE_DOOR_H

#include <string.h>

#include "base/b64.h"
#include "jose/jws.h"
#include "test/unit.h"

#define DOOR_NOW INT64_C(1700000000)
#define DOOR_SKEW INT64_C(30)
#define DOOR_AUD "https://rs1/"
#define DOOR_HEADER "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}"
#define DOOR_CLAIMS "{\"exp\":1700000300,\"iat\":1700000000,\"aud\":\"https://rs1/\",\"sub\":\"agent:1\"}"

struct door {
    struct dep_crypto *crypto;
    struct dep_arena arena;
    struct dep_private_key *key, *stranger; /* the issuer's and somebody's */
    struct dep_jwks *jwks;
    struct dep_jws_rules rules;
};

static const struct dep_str door_typs[] = { DEP_STR_INIT("at+jwt") };

static inline struct dep_str door_jwk(struct door *d, const struct dep_private_key *key)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    dep_buf_init_arena(&buf, &d->arena, 2048);
    dep_json_begin(&writer, &buf);
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, &d->arena, key, DEP_STR_ABSENT)));
    return dep_buf_str(&buf);
}

static inline void door_open(struct door *d, enum dep_alg alg)
{
    struct dep_json_writer writer;
    struct dep_buf buf;

    memset(d, 0, sizeof(*d));
    d->crypto = dep_crypto_new();
    d->rules = (struct dep_jws_rules){
        .bytes_max = DEP_JWS_BYTES_MAX, .algs = DEP_ALGS_ALL, .typs = door_typs, .typs_count = 1
    };
    dep_arena_init_debug(&d->arena, 16 << 20);
    DEP_ASSERT(dep_is_ok(dep_private_key_new(alg, &d->key)) &&
               dep_is_ok(dep_private_key_new(DEP_ALG_ES256, &d->stranger)));
    dep_buf_init_arena(&buf, &d->arena, 4096);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_name(&writer, "keys");
    dep_json_open(&writer, '[');
    DEP_ASSERT(dep_is_ok(dep_jwk_put_public(&writer, &d->arena, d->key, DEP_STR("k1"))));
    dep_json_close(&writer, ']');
    dep_json_close(&writer, '}');
    DEP_ASSERT(dep_is_ok(dep_jwks_new(d->crypto, dep_buf_str(&buf), &d->jwks)));
}

static inline void door_close(struct door *d)
{
    dep_jwks_free(d->jwks);
    dep_private_key_free(d->key);
    dep_private_key_free(d->stranger);
    dep_arena_reset(&d->arena);
    dep_crypto_free(d->crypto);
}

/* header.payload of any two texts. */
static inline void door_input(struct door *d, struct dep_buf *buf, struct dep_str header, struct dep_str payload)
{
    dep_buf_init_arena(buf, &d->arena, DEP_B64_ENCODED(header.len) + DEP_B64_ENCODED(payload.len) + 32768);
    dep_b64url_put(buf, header.ptr, header.len);
    dep_buf_put_char(buf, '.');
    dep_b64url_put(buf, payload.ptr, payload.len);
}

/* header.payload.signature with a signature of choice. */
static inline struct dep_str door_forge(struct door *d, struct dep_str header, struct dep_str payload,
                                        struct dep_str signature)
{
    struct dep_buf buf;

    door_input(d, &buf, header, payload);
    dep_buf_put_char(&buf, '.');
    dep_b64url_put(&buf, signature.ptr, signature.len);
    return dep_buf_str(&buf);
}

/* The same, signed by `key`, whatever the header says. */
static inline struct dep_str door_sign(struct door *d, const struct dep_private_key *key, struct dep_str header,
                                       struct dep_str payload)
{
    unsigned char signature[DEP_SIGNATURE_MAX];
    struct dep_buf buf;
    size_t len = 0;

    door_input(d, &buf, header, payload);
    DEP_ASSERT(dep_is_ok(dep_sign(d->crypto, key, dep_buf_str(&buf), signature, &len)));
    dep_buf_put_char(&buf, '.');
    dep_b64url_put(&buf, signature, len);
    return dep_buf_str(&buf);
}

static inline struct dep_str door_token(struct door *d, const char *header, const char *claims)
{
    return door_sign(d, d->key, dep_str_c(header), dep_str_c(claims));
}

/* Everything that is asked at the door, in order. */
static inline struct dep_res door_pass(struct door *d, struct dep_str token)
{
    const struct dep_json *claims;
    struct dep_jwt_times times;
    struct dep_jws jws;
    struct dep_str sub;

    DEP_TRY(dep_jws_parse(&d->arena, token, &d->rules, &jws));

    const struct dep_jwks_key *key = dep_jwks_find(d->jwks, jws.kid, jws.alg);

    if (key == NULL)
        return DEP_FAIL(JWS_KID);
    DEP_TRY(dep_jws_verify(d->crypto, &jws, key->alg, key->key));
    DEP_TRY(dep_jwt_claims(&d->arena, &jws, &claims));
    DEP_TRY(dep_jwt_times(claims, DOOR_NOW, DOOR_SKEW, 0, false, &times));
    DEP_TRY(dep_jwt_aud_has(claims, DEP_STR(DOOR_AUD)));
    return dep_json_str(DEP_JSON_GET(claims, "sub"), &sub);
}

struct door_row {
    const char *text;
    enum dep_err err;
};

static inline void door_check(struct dep_test *t, struct dep_res res, enum dep_err err, const char *what)
{
    dep_test_check(t, res.err == err, __FILE__, __LINE__, "%.200s is %s, not %s", what, dep_err_name(res.err),
                   dep_err_name(err));
}

/* Tokens that differ in the header alone; the good one first. */
static inline void door_headers(struct dep_test *t, const struct door_row *rows, size_t count)
{
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    for (size_t i = 0; i < count; i++)
        door_check(t, door_pass(&d, door_token(&d, rows[i].text, DOOR_CLAIMS)), rows[i].err, rows[i].text);
    door_close(&d);
}

/* Tokens that differ in the claims alone; the good one first. */
static inline void door_claims(struct dep_test *t, const struct door_row *rows, size_t count)
{
    struct door d;

    door_open(&d, DEP_ALG_ES256);
    DEP_CHECK_OK(t, door_pass(&d, door_token(&d, DOOR_HEADER, DOOR_CLAIMS)));
    for (size_t i = 0; i < count; i++)
        door_check(t, door_pass(&d, door_token(&d, DOOR_HEADER, rows[i].text)), rows[i].err, rows[i].text);
    door_close(&d);
}

#endif

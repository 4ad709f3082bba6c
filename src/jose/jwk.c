/* Reading, importing and writing one JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037) and its thumbprint (RFC
 * 7638). */
#include "jose/jwk.h"

#include <string.h>

#include "base/b64.h"
#include "jose/text.h"

#define COORDINATE_LEN 32u
#define KEY_OPS_MAX 8u

static struct dep_res check_public(const struct dep_json *json)
{
    static const struct dep_str private_members[] = {
        DEP_STR_INIT("d"),  DEP_STR_INIT("p"),  DEP_STR_INIT("q"),   DEP_STR_INIT("dp"),
        DEP_STR_INIT("dq"), DEP_STR_INIT("qi"), DEP_STR_INIT("oth"), DEP_STR_INIT("k"),
    };

    for (size_t i = 0; i < sizeof(private_members) / sizeof(private_members[0]); i++)
        if (dep_json_get(json, private_members[i]) != NULL)
            return DEP_FAIL(JWK_PRIVATE);
    return DEP_OK;
}

static struct dep_res read_kty(const struct dep_json *json, enum dep_kty *ret_kty)
{
    struct dep_str kty;

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(json, "kty"), &kty)))
        return DEP_FAIL(JWK_SYNTAX);
    if (dep_str_eq(kty, DEP_STR("oct")))
        return DEP_FAIL(JWK_PRIVATE);
    if (dep_str_eq(kty, DEP_STR("EC")))
        *ret_kty = DEP_KTY_P256;
    else if (dep_str_eq(kty, DEP_STR("OKP")))
        *ret_kty = DEP_KTY_ED25519;
    else if (dep_str_eq(kty, DEP_STR("RSA")))
        *ret_kty = DEP_KTY_RSA;
    else
        return DEP_FAIL(JWK_KTY);
    return DEP_OK;
}

/* rfc7517#4.3: no value twice. */
static struct dep_res check_key_ops(const struct dep_json *ops)
{
    bool may_verify = false;

    if (ops->type != DEP_JSON_ARRAY || ops->count > KEY_OPS_MAX)
        return DEP_FAIL(JWK_USE);
    for (const struct dep_json *op = ops->child; op != NULL; op = op->next) {
        if (op->type != DEP_JSON_STRING)
            return DEP_FAIL(JWK_USE);
        for (const struct dep_json *later = op->next; later != NULL; later = later->next)
            if (later->type == DEP_JSON_STRING && dep_str_eq(op->text, later->text))
                return DEP_FAIL(JWK_USE);
        may_verify = may_verify || dep_str_eq(op->text, DEP_STR("verify"));
    }
    return may_verify ? DEP_OK : DEP_FAIL(JWK_USE);
}

static struct dep_res check_use(const struct dep_json *json)
{
    const struct dep_json *use = DEP_JSON_GET(json, "use");
    const struct dep_json *ops = DEP_JSON_GET(json, "key_ops");
    struct dep_str text;

    /* "jwt-svid" marks the signing keys of JWT-SVIDs in a SPIFFE bundle. */
    if (use != NULL && (!dep_is_ok(dep_json_str(use, &text)) ||
                        (!dep_str_eq(text, DEP_STR("sig")) && !dep_str_eq(text, DEP_STR("jwt-svid")))))
        return DEP_FAIL(JWK_USE);
    return ops == NULL ? DEP_OK : check_key_ops(ops);
}

static struct dep_res read_alg(const struct dep_json *json, struct dep_jwk *jwk)
{
    const struct dep_json *member = DEP_JSON_GET(json, "alg");
    struct dep_str name;

    jwk->alg = DEP_ALG_NONE;
    if (member == NULL)
        return DEP_OK;
    if (!dep_is_ok(dep_json_str(member, &name)))
        return DEP_FAIL(JWK_ALG);
    jwk->alg = dep_alg_by_name(name);
    return jwk->alg != DEP_ALG_NONE && dep_alg_kty(jwk->alg) == jwk->kty ? DEP_OK : DEP_FAIL(JWK_ALG);
}

static struct dep_res check_curve(const struct dep_json *json, const char *curve)
{
    struct dep_str crv;

    if (!dep_is_ok(dep_json_str(DEP_JSON_GET(json, "crv"), &crv)))
        return DEP_FAIL(JWK_SYNTAX);
    return dep_str_eq_c(crv, curve) ? DEP_OK : DEP_FAIL(JWK_CRV);
}

/* A base64url member, as text and as bytes. `len` 0: any length of at least one byte, but minimal (rfc7518#6.3.1). */
static struct dep_res read_bytes(struct dep_arena *arena, const struct dep_json *json, struct dep_str name, size_t len,
                                 struct dep_str *ret_text, struct dep_str *ret_bytes)
{
    struct dep_str text, bytes;

    if (!dep_is_ok(dep_json_str(dep_json_get(json, name), &text)))
        return DEP_FAIL(JWK_SYNTAX);

    struct dep_res res = dep_b64url_decode(arena, text, &bytes);

    if (!dep_is_ok(res))
        return res.err == DEP_ERR_ARENA_FULL ? res : DEP_FAIL(JWK_SYNTAX);
    if (len > 0 ? bytes.len != len : bytes.len == 0 || bytes.ptr[0] == 0)
        return DEP_FAIL(JWK_SYNTAX);
    *ret_text = text;
    *ret_bytes = bytes;
    return DEP_OK;
}

/* The members and the order of rfc7638#3.2. The values are strict base64url, so nothing needs escaping. */
static struct dep_res read_parts(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_json *json,
                                 struct dep_jwk *jwk)
{
    struct dep_str x, y;

    switch (jwk->kty) {
    case DEP_KTY_P256: {
        DEP_TRY(check_curve(json, "P-256"));
        DEP_TRY(read_bytes(arena, json, DEP_STR("x"), COORDINATE_LEN, &x, &jwk->x));
        DEP_TRY(read_bytes(arena, json, DEP_STR("y"), COORDINATE_LEN, &y, &jwk->y));
        struct dep_str parts[] = { DEP_STR("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""), x, DEP_STR("\",\"y\":\""), y,
                                   DEP_STR("\"}") };
        dep_sha256_parts(crypto, parts, sizeof(parts) / sizeof(parts[0]), jwk->thumbprint);
        return DEP_OK;
    }
    case DEP_KTY_ED25519: {
        DEP_TRY(check_curve(json, "Ed25519"));
        DEP_TRY(read_bytes(arena, json, DEP_STR("x"), COORDINATE_LEN, &x, &jwk->x));
        struct dep_str parts[] = { DEP_STR("{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\""), x, DEP_STR("\"}") };
        dep_sha256_parts(crypto, parts, sizeof(parts) / sizeof(parts[0]), jwk->thumbprint);
        return DEP_OK;
    }
    case DEP_KTY_RSA: {
        DEP_TRY(read_bytes(arena, json, DEP_STR("n"), 0, &x, &jwk->x));
        DEP_TRY(read_bytes(arena, json, DEP_STR("e"), 0, &y, &jwk->y));
        struct dep_str parts[] = { DEP_STR("{\"e\":\""), y, DEP_STR("\",\"kty\":\"RSA\",\"n\":\""), x, DEP_STR("\"}") };
        dep_sha256_parts(crypto, parts, sizeof(parts) / sizeof(parts[0]), jwk->thumbprint);
        return DEP_OK;
    }
    case DEP_KTY_NONE:
        break;
    }
    return DEP_FAIL(JWK_KTY);
}

/* What is no array of texts says nothing: of most keys nobody asks for their certificate. */
static struct dep_str first_certificate(const struct dep_json *json)
{
    const struct dep_json *x5c = DEP_JSON_GET(json, "x5c");
    struct dep_str text;

    return x5c != NULL && x5c->type == DEP_JSON_ARRAY && dep_is_ok(dep_json_str(x5c->child, &text)) ? text
                                                                                                    : DEP_STR_ABSENT;
}

struct dep_res dep_jwk_read(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_json *json,
                            struct dep_jwk *ret_jwk)
{
    struct dep_jwk jwk = { .kty = DEP_KTY_NONE };

    if (json == NULL || json->type != DEP_JSON_OBJECT)
        return DEP_FAIL(JWK_SYNTAX);
    DEP_TRY(check_public(json));
    DEP_TRY(read_kty(json, &jwk.kty));
    DEP_TRY(check_use(json));
    DEP_TRY(read_alg(json, &jwk));
    if (!dep_jose_kid(json, &jwk.kid))
        return DEP_FAIL(JWK_SYNTAX);
    DEP_TRY(read_parts(arena, crypto, json, &jwk));
    jwk.x5c = first_certificate(json);
    *ret_jwk = jwk;
    return DEP_OK;
}

void dep_jwk_put_jkt(struct dep_buf *buf, const struct dep_jwk *jwk)
{
    dep_b64url_put(buf, jwk->thumbprint, sizeof(jwk->thumbprint));
}

struct dep_res dep_jwk_import(const void *source, struct dep_public_key **ret_key)
{
    const struct dep_jwk *jwk = source;

    switch (jwk->kty) {
    case DEP_KTY_P256:
        return dep_public_key_new_p256(jwk->x, jwk->y, ret_key);
    case DEP_KTY_ED25519:
        return dep_public_key_new_ed25519(jwk->x, ret_key);
    case DEP_KTY_RSA:
        return dep_public_key_new_rsa(jwk->x, jwk->y, ret_key);
    case DEP_KTY_NONE:
        break;
    }
    return DEP_FAIL(JWK_KTY);
}

/* The members of the public half, without the brackets, in alphabetical order within each type. */
static struct dep_res put_parts(struct dep_json_writer *writer, struct dep_arena *arena,
                                const struct dep_private_key *key)
{
    enum dep_kty kty = dep_alg_kty(dep_private_key_alg(key));
    struct dep_str x, y;
    struct dep_buf text;

    DEP_TRY(dep_private_key_parts(key, arena, &x, &y));
    dep_buf_init_arena(&text, arena, DEP_B64_ENCODED(x.len) + DEP_B64_ENCODED(y.len));
    dep_b64url_put(&text, x.ptr, x.len);
    dep_b64url_put(&text, y.ptr, y.len);
    if (text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    x = dep_str_sub(dep_buf_str(&text), 0, DEP_B64_ENCODED(x.len));
    y = dep_str_sub(dep_buf_str(&text), x.len, text.len);
    switch (kty) {
    case DEP_KTY_P256:
        dep_json_member(writer, "crv", DEP_STR("P-256"));
        dep_json_member(writer, "kty", DEP_STR("EC"));
        dep_json_member(writer, "x", x);
        dep_json_member(writer, "y", y);
        return DEP_OK;
    case DEP_KTY_ED25519:
        dep_json_member(writer, "crv", DEP_STR("Ed25519"));
        dep_json_member(writer, "kty", DEP_STR("OKP"));
        dep_json_member(writer, "x", x);
        return DEP_OK;
    case DEP_KTY_RSA:
        dep_json_member(writer, "e", y);
        dep_json_member(writer, "kty", DEP_STR("RSA"));
        dep_json_member(writer, "n", x);
        return DEP_OK;
    case DEP_KTY_NONE:
        break;
    }
    return DEP_FAIL(JWK_KTY);
}

struct dep_res dep_jwk_put_public(struct dep_json_writer *writer, struct dep_arena *arena,
                                  const struct dep_private_key *key, struct dep_str kid)
{
    dep_json_open(writer, '{');
    DEP_TRY(put_parts(writer, arena, key));
    if (!dep_str_is_absent(kid)) {
        dep_json_member(writer, "alg", dep_str_c(dep_alg_name(dep_private_key_alg(key))));
        dep_json_member(writer, "kid", kid);
        dep_json_member(writer, "use", DEP_STR("sig"));
    }
    dep_json_close(writer, '}');
    return DEP_OK;
}

struct dep_res dep_jwk_jkt_of(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_private_key *key,
                              struct dep_str *ret_jkt)
{
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_json_writer writer;
    struct dep_buf json, text;

    /* Written without kid, the JWK has just the members of rfc7638#3.2 in their order. */
    dep_buf_init_arena(&json, arena, 1024);
    dep_json_begin(&writer, &json);
    DEP_TRY(dep_jwk_put_public(&writer, arena, key, DEP_STR_ABSENT));
    dep_buf_init_arena(&text, arena, DEP_JKT_LEN);
    if (json.has_failed || text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    dep_sha256(crypto, dep_buf_str(&json), digest);
    dep_b64url_put(&text, digest, sizeof(digest));
    *ret_jkt = dep_buf_str(&text);
    return DEP_OK;
}

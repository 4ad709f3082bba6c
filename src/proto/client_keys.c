/* Registered keys against certificates. The set was checked when it was registered; here it is read again, for the few clients that
 * authenticate so. */
#include "proto/client_keys.h"

#include "base/b64.h"
#include "jose/jwk.h"

#define DEPTH_MAX 16u

static bool is_key(const struct dep_certificate *certificate, const struct dep_jwk *jwk)
{
    return certificate->has_key && certificate->kty == jwk->kty && dep_str_eq(certificate->x, jwk->x) &&
           dep_str_eq(certificate->y, jwk->y);
}

static bool is_of(struct dep_arena *arena, const struct dep_jwk *jwk, const struct dep_certificate *certificate,
                  struct dep_str der)
{
    struct dep_str registered;

    if (dep_str_is_absent(jwk->x5c))
        return is_key(certificate, jwk);
    return dep_is_ok(dep_b64_decode(arena, jwk->x5c, &registered)) && dep_str_eq(registered, der);
}

static struct dep_res read_set(struct dep_arena *arena, struct dep_str jwks, const struct dep_json **ret_keys)
{
    struct dep_json *json;

    DEP_TRY(dep_json_parse_max(arena, jwks, DEPTH_MAX, DEP_JWKS_BYTES_MAX, &json));
    *ret_keys = DEP_JSON_GET(json, "keys");
    return *ret_keys != NULL && (*ret_keys)->type == DEP_JSON_ARRAY ? DEP_OK : DEP_FAIL(JWKS_SYNTAX);
}

bool dep_client_keys_have(struct dep_crypto *crypto, struct dep_arena *arena, struct dep_str jwks,
                          const struct dep_certificate *certificate, struct dep_str der)
{
    const struct dep_json *keys = NULL;
    struct dep_jwk jwk;

    if (!dep_is_ok(read_set(arena, jwks, &keys)))
        return false;
    for (const struct dep_json *one = keys->child; one != NULL; one = one->next)
        if (dep_is_ok(dep_jwk_read(arena, crypto, one, &jwk)) && is_of(arena, &jwk, certificate, der))
            return true;
    return false;
}

struct dep_res dep_client_keys_check(struct dep_crypto *crypto, struct dep_arena *arena, struct dep_str jwks)
{
    const struct dep_json *keys = NULL;

    DEP_TRY(read_set(arena, jwks, &keys));
    for (const struct dep_json *one = keys->child; one != NULL; one = one->next) {
        struct dep_certificate certificate;
        struct dep_str der;
        struct dep_jwk jwk;

        /* What no certificate here can have is passed over, as everywhere (rfc7517#5); what is named x5c must be one. */
        if (!dep_is_ok(dep_jwk_read(arena, crypto, one, &jwk)))
            continue;
        if (DEP_JSON_GET(one, "x5c") != NULL && dep_str_is_absent(jwk.x5c))
            return DEP_FAIL(CRYPTO_CERTIFICATE);
        if (dep_str_is_absent(jwk.x5c))
            continue;
        DEP_TRY(dep_b64_decode(arena, jwk.x5c, &der));
        DEP_TRY(dep_certificate_parse(crypto, arena, der, &certificate));
        if (!is_key(&certificate, &jwk))
            return DEP_FAIL(CRYPTO_CERTIFICATE);
    }
    return DEP_OK;
}

/* JWK Sets: read as a whole or refused as a whole (RFC 7517 section 5), and choosing the key for a token. */
#include <stdlib.h>
#include <string.h>

#include "jose/jwk.h"

#define DEPTH_MAX 16u
/* The values of the largest set that is read need less. */
#define SCRATCH_MAX (1024u * 1024u)

void dep_jwks_free(struct dep_jwks *jwks)
{
    if (jwks == NULL)
        return;
    for (size_t i = 0; i < jwks->count; i++)
        dep_public_key_free(jwks->keys[i].key);
    free(jwks->kids);
    free(jwks->keys);
    free(jwks);
}

static enum dep_alg alg_of(const struct dep_jwk *jwk)
{
    if (jwk->alg != DEP_ALG_NONE)
        return jwk->alg;
    if (jwk->kty == DEP_KTY_P256)
        return DEP_ALG_ES256;
    return jwk->kty == DEP_KTY_ED25519 ? DEP_ALG_ED25519 : DEP_ALG_RS256;
}

/* Keys of kinds unknown here, and keys for encryption, may stand in a set (rfc7517#5). An alg that is known, but not
 * for this type of key, is an attack or a mistake, and refuses the set. */
static bool may_pass_over(struct dep_res res, const struct dep_json *json)
{
    struct dep_str name;

    if (res.err == DEP_ERR_JWK_KTY || res.err == DEP_ERR_JWK_CRV || res.err == DEP_ERR_JWK_USE)
        return true;
    return res.err == DEP_ERR_JWK_ALG && dep_is_ok(dep_json_str(DEP_JSON_GET(json, "alg"), &name)) &&
           dep_alg_by_name(name) == DEP_ALG_NONE && !dep_str_eq_nocase(name, DEP_STR("none"));
}

static bool has_kid(const struct dep_jwks *jwks, struct dep_str kid)
{
    for (size_t i = 0; i < jwks->count; i++)
        if (!dep_str_is_absent(kid) && dep_str_eq(jwks->keys[i].kid, kid))
            return true;
    return false;
}

/* All kids together are no longer than the text they come from. */
static struct dep_str keep_kid(struct dep_jwks *jwks, struct dep_str kid)
{
    char *at = jwks->kids + jwks->kids_len;

    if (dep_str_is_absent(kid))
        return kid;
    memcpy(at, kid.ptr, kid.len);
    jwks->kids_len += kid.len;
    return dep_str(at, kid.len);
}

static struct dep_res add_key(struct dep_jwks *jwks, const struct dep_jwk *jwk)
{
    struct dep_jwks_key *key = &jwks->keys[jwks->count];

    if (has_kid(jwks, jwk->kid))
        return DEP_FAIL(JWKS_DUPLICATE_KID);
    DEP_TRY(dep_jwk_import(jwk, &key->key));
    key->kid = keep_kid(jwks, jwk->kid);
    key->alg = alg_of(jwk);
    memcpy(key->thumbprint, jwk->thumbprint, sizeof(key->thumbprint));
    jwks->count++;
    return DEP_OK;
}

static struct dep_res add_one(struct dep_arena *arena, struct dep_crypto *crypto, const struct dep_json *json,
                              struct dep_jwks *jwks)
{
    struct dep_jwk jwk;
    struct dep_res res = dep_jwk_read(arena, crypto, json, &jwk);

    if (dep_is_ok(res))
        return add_key(jwks, &jwk);
    return may_pass_over(res, json) ? DEP_OK : res;
}

static struct dep_res read_set(struct dep_arena *arena, struct dep_crypto *crypto, struct dep_str text,
                               struct dep_jwks *jwks)
{
    struct dep_json *json;

    DEP_TRY(dep_json_parse_max(arena, text, DEPTH_MAX, DEP_JWKS_BYTES_MAX, &json));

    const struct dep_json *keys = DEP_JSON_GET(json, "keys");

    if (keys == NULL || keys->type != DEP_JSON_ARRAY)
        return DEP_FAIL(JWKS_SYNTAX);
    if (keys->count > DEP_JWKS_KEYS_MAX)
        return DEP_FAIL(JWKS_TOO_MANY);
    jwks->keys = calloc(keys->count + 1, sizeof(*jwks->keys));
    jwks->kids = malloc(text.len);
    if (jwks->keys == NULL || jwks->kids == NULL)
        return DEP_FAIL(CRYPTO_LIBRARY);
    for (const struct dep_json *one = keys->child; one != NULL; one = one->next)
        DEP_TRY(add_one(arena, crypto, one, jwks));
    return DEP_OK;
}

struct dep_res dep_jwks_new(struct dep_crypto *crypto, struct dep_str text, struct dep_jwks **ret_jwks)
{
    struct dep_jwks *jwks = calloc(1, sizeof(*jwks));
    struct dep_arena arena;

    if (jwks == NULL)
        return DEP_FAIL(CRYPTO_LIBRARY);
    dep_arena_init_debug(&arena, SCRATCH_MAX);

    struct dep_res res = read_set(&arena, crypto, text, jwks);

    dep_arena_reset(&arena);
    if (!dep_is_ok(res)) {
        dep_jwks_free(jwks);
        return res;
    }
    *ret_jwks = jwks;
    return DEP_OK;
}

const struct dep_jwks_key *dep_jwks_find(const struct dep_jwks *jwks, struct dep_str kid, enum dep_alg alg)
{
    const struct dep_jwks_key *found = NULL;

    for (size_t i = 0; i < jwks->count; i++) {
        const struct dep_jwks_key *key = &jwks->keys[i];

        /* A kid chooses alone: that the algorithm fits is checked, and named, by dep_jws_verify(). */
        if (!dep_str_is_absent(kid)) {
            if (dep_str_eq(key->kid, kid))
                return key;
        } else if (key->alg == alg) {
            if (found != NULL)
                return NULL;
            found = key;
        }
    }
    return found;
}

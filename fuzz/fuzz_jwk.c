/* Keys and sets from anybody. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "jose/jwk.h"

static struct dep_crypto *crypto;

static void run_key(struct dep_arena *arena, const struct dep_json *json)
{
    const struct dep_public_key *cached = NULL;
    struct dep_public_key *key = NULL;
    struct dep_jwk jwk;

    if (!dep_is_ok(dep_jwk_read(arena, crypto, json, &jwk)))
        return;
    DEP_FUZZ_CHECK(DEP_JSON_GET(json, "d") == NULL && DEP_JSON_GET(json, "k") == NULL);
    DEP_FUZZ_CHECK(jwk.alg == DEP_ALG_NONE || dep_alg_kty(jwk.alg) == jwk.kty);

    struct dep_res res = dep_jwk_import(&jwk, &key);

    if (dep_is_ok(res)) {
        DEP_FUZZ_CHECK(dep_public_key_kty(key) == jwk.kty);
        dep_public_key_free(key);
    }
    DEP_FUZZ_CHECK(dep_crypto_cached_key(crypto, jwk.thumbprint, dep_jwk_import, &jwk, &cached).err == res.err);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size);
    struct dep_jwks *jwks = NULL;
    struct dep_arena arena;
    struct dep_json *json;

    if (crypto == NULL)
        crypto = dep_crypto_new();
    DEP_FUZZ_CHECK(crypto != NULL);
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_is_ok(dep_json_parse(&arena, text, 8, &json))) {
        const struct dep_json *keys = DEP_JSON_GET(json, "keys");

        run_key(&arena, json);
        if (keys != NULL && keys->type == DEP_JSON_ARRAY)
            for (const struct dep_json *one = keys->child; one != NULL; one = one->next)
                run_key(&arena, one);
    }
    if (dep_is_ok(dep_jwks_new(crypto, text, &jwks))) {
        DEP_FUZZ_CHECK(jwks->count <= DEP_JWKS_KEYS_MAX);
        for (size_t i = 0; i < jwks->count; i++) {
            const struct dep_jwks_key *key = &jwks->keys[i];

            DEP_FUZZ_CHECK(dep_alg_kty(key->alg) == dep_public_key_kty(key->key));
            DEP_FUZZ_CHECK(dep_str_is_absent(key->kid) || dep_jwks_find(jwks, key->kid, key->alg) == key);
        }
    }
    dep_jwks_free(jwks);
    dep_arena_reset(&arena);
}

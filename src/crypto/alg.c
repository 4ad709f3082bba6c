/* Names of the signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2). */
#include "crypto/alg.h"

static const struct {
    struct dep_str name;
    enum dep_alg alg;
} alg_names[] = {
    { DEP_STR_INIT("ES256"), DEP_ALG_ES256 },     { DEP_STR_INIT("EdDSA"), DEP_ALG_ED25519 },
    { DEP_STR_INIT("Ed25519"), DEP_ALG_ED25519 }, { DEP_STR_INIT("RS256"), DEP_ALG_RS256 },
    { DEP_STR_INIT("PS256"), DEP_ALG_PS256 },
};

enum dep_alg dep_alg_by_name(struct dep_str name)
{
    for (size_t i = 0; i < sizeof(alg_names) / sizeof(alg_names[0]); i++)
        if (dep_str_eq(alg_names[i].name, name))
            return alg_names[i].alg;
    return DEP_ALG_NONE;
}

const char *dep_alg_name(enum dep_alg alg)
{
    switch (alg) {
    case DEP_ALG_ES256:
        return "ES256";
    case DEP_ALG_ED25519:
        return "EdDSA";
    case DEP_ALG_RS256:
        return "RS256";
    case DEP_ALG_PS256:
        return "PS256";
    case DEP_ALG_NONE:
    case DEP_ALG_COUNT:
        break;
    }
    /* Never a name that could be mistaken for an algorithm: "none" is one. */
    return "unsupported";
}

enum dep_kty dep_alg_kty(enum dep_alg alg)
{
    switch (alg) {
    case DEP_ALG_ES256:
        return DEP_KTY_P256;
    case DEP_ALG_ED25519:
        return DEP_KTY_ED25519;
    case DEP_ALG_RS256:
    case DEP_ALG_PS256:
        return DEP_KTY_RSA;
    case DEP_ALG_NONE:
    case DEP_ALG_COUNT:
        break;
    }
    return DEP_KTY_NONE;
}

/* Signature algorithms (RFC 7518, RFC 8037, RFC 9864). */
#ifndef DEP_CRYPTO_ALG_H
#define DEP_CRYPTO_ALG_H

#include "base/str.h"

enum dep_alg {
    DEP_ALG_NONE, /* unknown or unsupported; never verifies anything */
    DEP_ALG_ES256,
    DEP_ALG_ED25519, /* named "EdDSA" (RFC 8037) and "Ed25519" (RFC 9864) */
    DEP_ALG_RS256,
    DEP_ALG_PS256,
    DEP_ALG_COUNT
};

#define DEP_ALG_BIT(alg) (1u << (alg))
/* Everything this build verifies. */
#define DEP_ALGS_ALL                                                                          \
    (DEP_ALG_BIT(DEP_ALG_ES256) | DEP_ALG_BIT(DEP_ALG_ED25519) | DEP_ALG_BIT(DEP_ALG_RS256) | \
     DEP_ALG_BIT(DEP_ALG_PS256))
/* DPoP proofs: RSA only where an operator asks for it: whoever sends a proof chooses its key, and importing one costs. */
#define DEP_ALGS_DPOP (DEP_ALG_BIT(DEP_ALG_ES256) | DEP_ALG_BIT(DEP_ALG_ED25519))
#define DEP_ALGS_DPOP_RSA (DEP_ALGS_DPOP | DEP_ALG_BIT(DEP_ALG_PS256) | DEP_ALG_BIT(DEP_ALG_RS256))

enum dep_kty { DEP_KTY_NONE, DEP_KTY_P256, DEP_KTY_ED25519, DEP_KTY_RSA };

/* Exact, case-sensitive; DEP_ALG_NONE for anything else. */
enum dep_alg dep_alg_by_name(struct dep_str name);
/* The name we write: "ES256", "EdDSA", "RS256", "PS256". Static. */
const char *dep_alg_name(enum dep_alg alg);
enum dep_kty dep_alg_kty(enum dep_alg alg);

#endif

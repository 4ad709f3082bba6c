/* One ES256 verification by OpenSSL alone. */
#include "bare.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define COORDINATE_LEN 32u

struct bare {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *context;
};

static EVP_PKEY *import(struct dep_str x, struct dep_str y)
{
    unsigned char point[1 + 2 * COORDINATE_LEN] = { 4 };
    char group[] = "prime256v1";
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };

    DEP_ASSERT(x.len == COORDINATE_LEN && y.len == COORDINATE_LEN);
    memcpy(point + 1, x.ptr, x.len);
    memcpy(point + 1 + x.len, y.ptr, y.len);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(context);
    return pkey;
}

struct bare *bare_new(struct dep_str x, struct dep_str y)
{
    struct bare *bare = calloc(1, sizeof(*bare));

    if (bare == NULL)
        return NULL;
    bare->pkey = import(x, y);
    if (bare->pkey != NULL)
        bare->context = EVP_PKEY_CTX_new_from_pkey(NULL, bare->pkey, NULL);
    if (bare->context == NULL || EVP_PKEY_verify_init(bare->context) != 1) {
        bare_free(bare);
        return NULL;
    }
    return bare;
}

void bare_free(struct bare *bare)
{
    if (bare == NULL)
        return;
    EVP_PKEY_CTX_free(bare->context);
    EVP_PKEY_free(bare->pkey);
    free(bare);
}

size_t bare_der(struct dep_str signature, unsigned char ret_der[BARE_DER_MAX])
{
    const unsigned char *raw = (const unsigned char *)signature.ptr;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    unsigned char *at = ret_der;

    DEP_ASSERT(signature.len == 2 * COORDINATE_LEN && pair != NULL &&
               ECDSA_SIG_set0(pair, BN_bin2bn(raw, COORDINATE_LEN, NULL),
                              BN_bin2bn(raw + COORDINATE_LEN, COORDINATE_LEN, NULL)) == 1);

    int len = i2d_ECDSA_SIG(pair, &at);

    ECDSA_SIG_free(pair);
    DEP_ASSERT(len > 0);
    return (size_t)len;
}

bool bare_verify(struct bare *bare, const unsigned char digest[DEP_SHA256_LEN], const unsigned char *der, size_t len)
{
    return EVP_PKEY_verify(bare->context, der, len, digest, DEP_SHA256_LEN) == 1;
}

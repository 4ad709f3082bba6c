/* Chains of certificates, by OpenSSL. The time is given, nothing is fetched, no file of the system is read: the same arguments give the
 * same verdict. */
#include "crypto/trust.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "crypto/internal.h"

#define DEPTH_MAX 8
#define STRENGTH 2 /* OpenSSL's level of 112 bits: RSA of 2048 bits, no SHA-1 */

struct dep_trust {
    X509_STORE *store;
};

/* Adds what the text holds; the number of authorities, or -1. */
static int add_all(X509_STORE *store, BIO *bio)
{
    int count = 0;
    X509 *x509;

    while (count >= 0 && (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        /* 1: basicConstraints says so; the others are guesses for certificates of the last century. */
        bool is_added =
            count < (int)DEP_TRUST_AUTHORITIES_MAX && X509_check_ca(x509) == 1 && X509_STORE_add_cert(store, x509) == 1;

        X509_free(x509);
        count = is_added ? count + 1 : -1;
    }
    /* The end of the text is an error of this kind; a block that cannot be read is one of another. */
    return count > 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE ? -1 : count;
}

struct dep_res dep_trust_new(struct dep_str pem, struct dep_trust **ret_trust)
{
    struct dep_trust *trust = calloc(1, sizeof(*trust));
    BIO *bio = pem.len > 0 && pem.len < INT32_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
    int count = 0;

    if (trust != NULL)
        trust->store = X509_STORE_new();
    if (trust != NULL && trust->store != NULL && bio != NULL)
        count = add_all(trust->store, bio);
    BIO_free(bio);
    dep_crypto_forget_errors();
    if (count <= 0) {
        dep_trust_free(trust);
        return DEP_FAIL(CRYPTO_CERTIFICATE);
    }
    *ret_trust = trust;
    return DEP_OK;
}

void dep_trust_free(struct dep_trust *trust)
{
    if (trust == NULL)
        return;
    X509_STORE_free(trust->store);
    free(trust);
}

static bool verify(const struct dep_trust *trust, X509 *x509, int64_t now)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    bool is_good = false;

    if (context == NULL)
        return false;
    if (X509_STORE_CTX_init(context, trust->store, x509, NULL) == 1 &&
        X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT) == 1) {
        param = X509_STORE_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_time(param, (time_t)now);
        X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
        X509_VERIFY_PARAM_set_auth_level(param, STRENGTH);
        is_good = X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) == 1 && X509_verify_cert(context) == 1;
    }
    X509_STORE_CTX_free(context);
    return is_good;
}

struct dep_res dep_trust_check(const struct dep_trust *trust, struct dep_str der, int64_t now)
{
    const unsigned char *at = (const unsigned char *)der.ptr;
    X509 *x509 = der.len > 0 && der.len < INT32_MAX ? d2i_X509(NULL, &at, (long)der.len) : NULL;
    bool is_good = x509 != NULL && verify(trust, x509, now);
    struct dep_res res = x509 == NULL ? DEP_FAIL(CRYPTO_CERTIFICATE)
                         : is_good    ? DEP_OK
                                      : DEP_FAIL(CRYPTO_CERTIFICATE_CHAIN);

    X509_free(x509);
    dep_crypto_forget_errors();
    return res;
}

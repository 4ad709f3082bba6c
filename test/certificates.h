/* Authorities and certificates made on the spot, for tests. */
#ifndef DEP_TEST_CERTIFICATES_H
#define DEP_TEST_CERTIFICATES_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/arena.h"
#include "base/res.h"

/* What a certificate is to say. Zero: a good certificate of a TLS client with a P-256 key. */
struct issue {
    const char *subject; /* "CN=worker,O=Example": parts with commas between, without escapes; NULL: empty */
    const char *san;     /* as OpenSSL writes it: "DNS:a.example,URI:spiffe://x/y"; NULL: none */
    const char *usage;   /* extendedKeyUsage; NULL: clientAuth; "": none */
    int64_t not_before, not_after;
    const EVP_MD *digest; /* NULL: SHA-256 */
    bool is_authority;
    const char *constraints; /* nameConstraints of an authority; NULL: none */
};

struct issued {
    EVP_PKEY *key;
    X509 *x509;
};

static inline void fixture_extend(X509 *x509, const X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    DEP_ASSERT(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline void fixture_subject(X509 *x509, const char *subject)
{
    struct dep_str rest = dep_str_c(subject), part, type;

    while (dep_str_cut(&rest, ',', &part)) {
        char name[32] = "";

        DEP_ASSERT(dep_str_cut(&part, '=', &type) && type.len < sizeof(name));
        memcpy(name, type.ptr, type.len);
        /* Written first, most specific, and so last in the certificate. */
        DEP_ASSERT(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), name, MBSTRING_UTF8,
                                              (const unsigned char *)part.ptr, (int)part.len, 0, 0) == 1);
    }
}

/* Signed by `issuer`, or by itself when that is NULL. The caller frees both members. */
static inline struct issued fixture_issue(const struct issued *issuer, EVP_PKEY *key, const struct issue *what)
{
    static long serial = 1000;
    struct issued made = { .key = key, .x509 = X509_new() };
    const X509 *above = issuer == NULL ? made.x509 : issuer->x509;
    const char *usage = what->usage == NULL ? "clientAuth" : what->usage;
    EVP_PKEY *signer = issuer == NULL ? key : issuer->key;

    X509_set_version(made.x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(made.x509), what->not_before > 0 ? (time_t)what->not_before : 1600000000);
    ASN1_TIME_set(X509_getm_notAfter(made.x509), what->not_after > 0 ? (time_t)what->not_after : 1900000000);
    X509_set_pubkey(made.x509, key);
    fixture_subject(made.x509, what->subject);
    X509_set_issuer_name(made.x509, X509_get_subject_name(above));
    if (what->is_authority) {
        fixture_extend(made.x509, above, NID_basic_constraints, "critical,CA:TRUE");
        fixture_extend(made.x509, above, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else if (usage[0] != '\0') {
        fixture_extend(made.x509, above, NID_ext_key_usage, usage);
    }
    if (what->constraints != NULL)
        fixture_extend(made.x509, above, NID_name_constraints, what->constraints);
    if (what->san != NULL)
        fixture_extend(made.x509, above, NID_subject_alt_name, what->san);
    DEP_ASSERT(X509_sign(made.x509, signer,
                         EVP_PKEY_is_a(signer, "ED25519") ? NULL
                         : what->digest == NULL           ? EVP_sha256()
                                                          : what->digest) > 0);
    return made;
}

static inline void fixture_free(struct issued *made)
{
    X509_free(made->x509);
    EVP_PKEY_free(made->key);
    *made = (struct issued){ NULL, NULL };
}

static inline struct dep_str fixture_der(struct dep_arena *arena, const struct issued *made)
{
    unsigned char *der = NULL;
    int len = i2d_X509(made->x509, &der);
    struct dep_str copy = dep_arena_dup(arena, dep_str((const char *)der, len > 0 ? (size_t)len : 0));

    OPENSSL_free(der);
    DEP_ASSERT(copy.len > 0);
    return copy;
}

static inline struct dep_str fixture_key_pem(struct dep_arena *arena, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct dep_str copy;
    char *text = NULL;
    long len;

    DEP_ASSERT(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    len = BIO_get_mem_data(bio, &text);
    copy = dep_arena_dup(arena, dep_str(text, len > 0 ? (size_t)len : 0));
    BIO_free(bio);
    return copy;
}

/* The certificates one after the other, as PEM. */
static inline struct dep_str fixture_pem(struct dep_arena *arena, const struct issued *all, size_t count)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct dep_str copy;
    char *text = NULL;
    long len;

    for (size_t i = 0; i < count; i++)
        DEP_ASSERT(PEM_write_bio_X509(bio, all[i].x509) == 1);
    len = BIO_get_mem_data(bio, &text);
    copy = dep_arena_dup(arena, dep_str(text, len > 0 ? (size_t)len : 0));
    BIO_free(bio);
    return copy;
}

#endif

/* Reading certificates: OpenSSL parses, we refuse what could be read in two ways. */
#include "crypto/certificate.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "crypto/internal.h"

/* The only encoding that DER has for it: what is written anew from the parsed form is what came. */
static bool is_der(X509 *x509, struct dep_str der)
{
    unsigned char *again = NULL, *tbs = NULL;
    bool is_same;
    int len;

    /* Without this the library would give back the inner part as it came. */
    len = i2d_re_X509_tbs(x509, &tbs);
    OPENSSL_free(tbs);
    if (len <= 0)
        return false;
    len = i2d_X509(x509, &again);
    is_same = len > 0 && (size_t)len == der.len && memcmp(again, der.ptr, der.len) == 0;
    OPENSSL_free(again);
    return is_same;
}

static bool put_time(const ASN1_TIME *at, int64_t *ret_time)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(at, &tm) != 1)
        return false;
    *ret_time = (int64_t)timegm(&tm);
    return true;
}

static bool put_subject(struct dep_arena *arena, const X509 *x509, struct dep_str *ret_subject)
{
    const X509_NAME *name = X509_get_subject_name(x509);
    BIO *bio;
    char *text = NULL;
    long len;
    bool is_put = false;

    *ret_subject = DEP_STR_ABSENT;
    if (X509_NAME_entry_count(name) == 0)
        return true;
    bio = BIO_new(BIO_s_mem());
    if (bio == NULL)
        return false;
    /* UTF-8 as it is; controls and specials escaped. */
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
        len = BIO_get_mem_data(bio, &text);
        if (len > 0)
            *ret_subject = dep_arena_dup(arena, dep_str(text, (size_t)len));
        is_put = !dep_str_is_absent(*ret_subject);
    }
    BIO_free(bio);
    return is_put;
}

static bool is_plain(struct dep_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= 0x20 || s.ptr[i] >= 0x7f)
            return false;
    return s.len > 0;
}

static bool kind_of(int type, enum dep_san_kind *ret_kind)
{
    switch (type) {
    case GEN_DNS:
        *ret_kind = DEP_SAN_DNS;
        return true;
    case GEN_URI:
        *ret_kind = DEP_SAN_URI;
        return true;
    case GEN_IPADD:
        *ret_kind = DEP_SAN_IP;
        return true;
    case GEN_EMAIL:
        *ret_kind = DEP_SAN_EMAIL;
        return true;
    default:
        return false;
    }
}

static bool put_san(struct dep_arena *arena, const GENERAL_NAME *name, struct dep_certificate *ret)
{
    struct dep_san *san;
    enum dep_san_kind kind;
    const ASN1_STRING *value;
    int type;

    value = GENERAL_NAME_get0_value(name, &type);
    if (!kind_of(type, &kind))
        return true;
    if (ret->sans_count == DEP_CERTIFICATE_SANS_MAX || ASN1_STRING_length(value) <= 0)
        return false;
    san = &ret->sans[ret->sans_count++];
    san->kind = kind;
    san->value = dep_str((const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    if (kind == DEP_SAN_IP ? san->value.len != 4 && san->value.len != 16 : !is_plain(san->value))
        return false;
    san->value = dep_arena_dup(arena, san->value);
    return !dep_str_is_absent(san->value);
}

static bool put_sans(struct dep_arena *arena, const X509 *x509, struct dep_certificate *ret)
{
    int critical = -1;
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);
    bool is_good = true;

    if (names == NULL)
        return critical == -1; /* there is none; else it is malformed, or there are two */
    for (int i = 0; is_good && i < sk_GENERAL_NAME_num(names); i++)
        is_good = put_san(arena, sk_GENERAL_NAME_value(names, i), ret);
    GENERAL_NAMES_free(names);
    return is_good;
}

static bool put_octets(struct dep_arena *arena, const void *bytes, size_t len, struct dep_str *ret_part)
{
    *ret_part = dep_arena_dup(arena, dep_str(bytes, len));
    return !dep_str_is_absent(*ret_part);
}

static bool put_number(struct dep_arena *arena, const EVP_PKEY *pkey, const char *name, size_t len,
                       struct dep_str *ret_part)
{
    unsigned char bytes[DEP_KEY_RSA_BITS_MAX / 8];
    BIGNUM *number = NULL;
    bool is_put = false;

    if (EVP_PKEY_get_bn_param(pkey, name, &number) == 1) {
        size_t size = len > 0 ? len : (size_t)BN_num_bytes(number);

        is_put = size <= sizeof(bytes) && BN_bn2binpad(number, bytes, (int)size) == (int)size &&
                 put_octets(arena, bytes, size, ret_part);
    }
    BN_free(number);
    return is_put;
}

/* A key that is of no kind of ours is none: the thumbprint alone is still good for binding. */
static void put_key(struct dep_arena *arena, const X509 *x509, struct dep_certificate *ret)
{
    const EVP_PKEY *pkey = X509_get0_pubkey(x509);
    unsigned char raw[DEP_ED25519_PUBLIC_LEN];
    size_t len = sizeof(raw);
    char group[32] = "";

    if (pkey == NULL)
        return;
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        ret->kty = DEP_KTY_ED25519;
        ret->has_key = EVP_PKEY_get_raw_public_key(pkey, raw, &len) == 1 && put_octets(arena, raw, len, &ret->x);
    } else if (EVP_PKEY_is_a(pkey, "RSA")) {
        ret->kty = DEP_KTY_RSA;
        ret->has_key = put_number(arena, pkey, OSSL_PKEY_PARAM_RSA_N, 0, &ret->x) &&
                       put_number(arena, pkey, OSSL_PKEY_PARAM_RSA_E, 0, &ret->y);
    } else if (EVP_PKEY_is_a(pkey, "EC")) {
        ret->kty = DEP_KTY_P256;
        ret->has_key =
            EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) == 1 &&
            strcmp(group, "prime256v1") == 0 &&
            put_number(arena, pkey, OSSL_PKEY_PARAM_EC_PUB_X, DEP_P256_COORDINATE_LEN, &ret->x) &&
            put_number(arena, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, DEP_P256_COORDINATE_LEN, &ret->y);
    }
}

struct dep_res dep_certificate_parse(struct dep_crypto *crypto, struct dep_arena *arena, struct dep_str der,
                                     struct dep_certificate *ret_certificate)
{
    const unsigned char *at = (const unsigned char *)der.ptr;
    struct dep_certificate parsed = { 0 };
    X509 *x509;
    bool is_good;

    if (der.len == 0 || der.len > DEP_CERTIFICATE_MAX)
        return DEP_FAIL(CRYPTO_CERTIFICATE);
    x509 = d2i_X509(NULL, &at, (long)der.len);
    is_good = x509 != NULL && at == (const unsigned char *)der.ptr + der.len && is_der(x509, der) &&
              put_time(X509_get0_notBefore(x509), &parsed.not_before) &&
              put_time(X509_get0_notAfter(x509), &parsed.not_after) && put_subject(arena, x509, &parsed.subject) &&
              put_sans(arena, x509, &parsed);
    if (is_good) {
        put_key(arena, x509, &parsed);
        dep_sha256(crypto, der, parsed.thumbprint);
        *ret_certificate = parsed;
    }
    X509_free(x509);
    dep_crypto_forget_errors();
    return is_good ? DEP_OK : DEP_FAIL(CRYPTO_CERTIFICATE);
}

/* Certificates that OpenSSL makes here: what is read from them, and what is refused. */
#include "crypto/certificate.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "test/unit.h"

struct fixture {
    struct dep_crypto *crypto;
    struct dep_arena arena;
    EVP_PKEY *key;
    X509 *x509;
};

static void begin(struct dep_test *t, struct fixture *f, EVP_PKEY *key)
{
    memset(f, 0, sizeof(*f));
    f->crypto = dep_crypto_new();
    dep_arena_init_debug(&f->arena, 1 << 20);
    f->key = key;
    f->x509 = X509_new();
    DEP_CHECK(t, f->x509 != NULL && f->key != NULL);
    X509_set_version(f->x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(f->x509), 7);
    ASN1_TIME_set(X509_getm_notBefore(f->x509), 1700000000);
    ASN1_TIME_set(X509_getm_notAfter(f->x509), 1800000000);
    X509_set_pubkey(f->x509, f->key);
}

static void end(struct fixture *f)
{
    X509_free(f->x509);
    EVP_PKEY_free(f->key);
    dep_arena_reset(&f->arena);
    dep_crypto_free(f->crypto);
}

static void name(struct fixture *f, const char *field, const char *value, int len)
{
    X509_NAME_add_entry_by_txt(X509_get_subject_name(f->x509), field, MBSTRING_UTF8, (const unsigned char *)value, len,
                               -1, 0);
}

static void extension(struct fixture *f, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value);

    X509_add_ext(f->x509, ext, -1);
    X509_EXTENSION_free(ext);
}

static struct dep_str der_of(struct fixture *f)
{
    unsigned char *der = NULL;
    struct dep_str copy;
    int len;

    X509_sign(f->x509, f->key, EVP_PKEY_is_a(f->key, "ED25519") ? NULL : EVP_sha256());
    len = i2d_X509(f->x509, &der);
    copy = dep_arena_dup(&f->arena, dep_str((const char *)der, (size_t)len));
    OPENSSL_free(der);
    return copy;
}

static struct dep_res parse(struct fixture *f, struct dep_str der, struct dep_certificate *ret)
{
    return dep_certificate_parse(f->crypto, &f->arena, der, ret);
}

DEP_TEST(what_a_certificate_says)
{
    unsigned char digest[DEP_SHA256_LEN];
    struct dep_certificate c;
    struct fixture f;
    struct dep_str der;

    begin(t, &f, EVP_EC_gen("P-256"));
    name(&f, "O", "Example, Inc", -1);
    name(&f, "CN", "agent-1", -1);
    extension(&f, "DNS:*.example.com,URI:spiffe://example.com/a,IP:192.0.2.1,IP:2001:db8::1,email:a@example.com");
    der = der_of(&f);
    DEP_CHECK_OK(t, parse(&f, der, &c));
    dep_sha256(f.crypto, der, digest);
    DEP_CHECK(t, memcmp(digest, c.thumbprint, sizeof(digest)) == 0);
    DEP_CHECK_STR(t, c.subject, "CN=agent-1,O=Example\\, Inc");
    DEP_CHECK(t, c.not_before == 1700000000 && c.not_after == 1800000000);
    DEP_CHECK(t, c.sans_count == 5);
    DEP_CHECK(t, c.sans[0].kind == DEP_SAN_DNS);
    DEP_CHECK_STR(t, c.sans[0].value, "*.example.com");
    DEP_CHECK(t, c.sans[1].kind == DEP_SAN_URI);
    DEP_CHECK_STR(t, c.sans[1].value, "spiffe://example.com/a");
    DEP_CHECK(t, c.sans[2].kind == DEP_SAN_IP && c.sans[2].value.len == 4);
    DEP_CHECK(t, c.sans[3].kind == DEP_SAN_IP && c.sans[3].value.len == 16);
    DEP_CHECK(t, c.sans[4].kind == DEP_SAN_EMAIL);
    DEP_CHECK_STR(t, c.sans[4].value, "a@example.com");
    DEP_CHECK(t, c.has_key && c.kty == DEP_KTY_P256 && c.x.len == 32 && c.y.len == 32);
    end(&f);
}

DEP_TEST(keys_of_each_kind)
{
    struct dep_certificate c;
    struct fixture f;
    struct dep_public_key *key = NULL;

    begin(t, &f, EVP_RSA_gen(2048));
    DEP_CHECK_OK(t, parse(&f, der_of(&f), &c));
    DEP_CHECK(t, c.has_key && c.kty == DEP_KTY_RSA && dep_str_is_absent(c.subject));
    DEP_CHECK_OK(t, dep_public_key_new_rsa(c.x, c.y, &key));
    dep_public_key_free(key);
    end(&f);
    begin(t, &f, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    DEP_CHECK_OK(t, parse(&f, der_of(&f), &c));
    DEP_CHECK(t, c.has_key && c.kty == DEP_KTY_ED25519);
    DEP_CHECK_OK(t, dep_public_key_new_ed25519(c.x, &key));
    dep_public_key_free(key);
    end(&f);
    begin(t, &f, EVP_EC_gen("P-384"));
    DEP_CHECK_OK(t, parse(&f, der_of(&f), &c));
    DEP_CHECK(t, !c.has_key);
    end(&f);
}

DEP_TEST(nothing_but_one_certificate)
{
    struct dep_certificate c;
    struct fixture f;
    struct dep_str der;
    char *longer;

    begin(t, &f, EVP_EC_gen("P-256"));
    der = der_of(&f);
    longer = dep_arena_alloc(&f.arena, DEP_CERTIFICATE_MAX + 1);
    memset(longer, 0, DEP_CERTIFICATE_MAX + 1);
    memcpy(longer, der.ptr, der.len);
    DEP_CHECK_FAIL(t, parse(&f, dep_str(longer, der.len + 1), &c), CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, parse(&f, dep_str(longer, DEP_CERTIFICATE_MAX + 1), &c), CRYPTO_CERTIFICATE);
    for (size_t len = 0; len < der.len; len++)
        DEP_CHECK_FAIL(t, parse(&f, dep_str(longer, len), &c), CRYPTO_CERTIFICATE);
    DEP_CHECK_OK(t, parse(&f, dep_str(longer, der.len), &c));
    end(&f);
}

DEP_TEST(names_that_hide_something)
{
    static const char hidden[] = "agent\0.example.com";
    struct dep_certificate c;
    struct fixture f;

    begin(t, &f, EVP_EC_gen("P-256"));
    extension(&f, "DNS:good.example.com");
    extension(&f, "DNS:other.example.com");
    DEP_CHECK_FAIL(t, parse(&f, der_of(&f), &c), CRYPTO_CERTIFICATE);
    end(&f);
    begin(t, &f, EVP_EC_gen("P-256"));
    extension(&f, "DNS:good example.com");
    DEP_CHECK_FAIL(t, parse(&f, der_of(&f), &c), CRYPTO_CERTIFICATE);
    end(&f);
    begin(t, &f, EVP_EC_gen("P-256"));
    name(&f, "CN", hidden, (int)sizeof(hidden) - 1);
    DEP_CHECK_OK(t, parse(&f, der_of(&f), &c));
    DEP_CHECK_STR(t, c.subject, "CN=agent\\00.example.com");
    end(&f);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(what_a_certificate_says),
        DEP_ROW(keys_of_each_kind),
        DEP_ROW(nothing_but_one_certificate),
        DEP_ROW(names_that_hide_something),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

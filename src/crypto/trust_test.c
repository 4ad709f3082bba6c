/* Chains: who is vouched for and who is not; what is no file of authorities. Each refusal has a twin that differs in one thing. */
#include "crypto/trust.h"

#include <openssl/rsa.h>

#include "test/certificates.h"
#include "test/unit.h"

#define NOW INT64_C(1700000000)

struct world {
    struct dep_arena arena;
    struct issued root, between, other;
    struct dep_trust *trust; /* root */
};

static EVP_PKEY *p256(void)
{
    return EVP_EC_gen("P-256");
}

static void begin(struct world *w)
{
    const struct issue root = { .subject = "CN=Root,O=Example", .is_authority = true };
    const struct issue between = { .subject = "CN=Between,O=Example", .is_authority = true };

    dep_arena_init_debug(&w->arena, 1 << 22);
    w->root = fixture_issue(NULL, p256(), &root);
    w->other = fixture_issue(NULL, p256(), &root); /* the same name, another key */
    w->between = fixture_issue(&w->root, p256(), &between);
    DEP_ASSERT(dep_is_ok(dep_trust_new(fixture_pem(&w->arena, &w->root, 1), &w->trust)));
}

static void end(struct world *w)
{
    dep_trust_free(w->trust);
    fixture_free(&w->root);
    fixture_free(&w->between);
    fixture_free(&w->other);
    dep_arena_reset(&w->arena);
}

/* A certificate of its own, checked at NOW. */
static struct dep_res check(struct world *w, const struct issued *issuer, EVP_PKEY *key, struct issue what)
{
    struct issued leaf;
    struct dep_res res;

    if (what.subject == NULL)
        what.subject = "CN=worker";
    leaf = fixture_issue(issuer, key, &what);
    res = dep_trust_check(w->trust, fixture_der(&w->arena, &leaf), NOW);
    fixture_free(&leaf);
    return res;
}

DEP_TEST(an_authority_vouches)
{
    struct world w;

    begin(&w);
    DEP_CHECK_OK(t, check(&w, &w.root, p256(), (struct issue){ .usage = NULL }));
    DEP_CHECK_OK(t, check(&w, &w.root, p256(), (struct issue){ .usage = "" }));
    DEP_CHECK_OK(t, check(&w, &w.root, p256(), (struct issue){ .usage = "serverAuth,clientAuth" }));
    DEP_CHECK_OK(t, check(&w, &w.root, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), (struct issue){ 0 }));
    DEP_CHECK_OK(t, check(&w, &w.root, EVP_RSA_gen(2048), (struct issue){ 0 }));
    DEP_CHECK_OK(t, check(&w, &w.root, EVP_EC_gen("P-384"), (struct issue){ 0 }));
    DEP_CHECK_OK(t, check(&w, &w.root, p256(), (struct issue){ .not_after = NOW + 1 }));
    DEP_CHECK_OK(t, check(&w, &w.root, p256(), (struct issue){ .not_before = NOW - 1 }));
    end(&w);
}

DEP_TEST(nobody_vouches)
{
    struct world w;

    begin(&w);
    DEP_CHECK_FAIL(t, check(&w, NULL, p256(), (struct issue){ 0 }), CRYPTO_CERTIFICATE_CHAIN);
    DEP_CHECK_FAIL(t, check(&w, &w.other, p256(), (struct issue){ 0 }), CRYPTO_CERTIFICATE_CHAIN);
    DEP_CHECK_FAIL(t, check(&w, &w.root, p256(), (struct issue){ .usage = "serverAuth" }), CRYPTO_CERTIFICATE_CHAIN);
    DEP_CHECK_FAIL(t, check(&w, &w.root, p256(), (struct issue){ .not_after = NOW - 1 }), CRYPTO_CERTIFICATE_CHAIN);
    DEP_CHECK_FAIL(t, check(&w, &w.root, p256(), (struct issue){ .not_before = NOW + 1 }), CRYPTO_CERTIFICATE_CHAIN);
    DEP_CHECK_FAIL(t, check(&w, &w.root, p256(), (struct issue){ .digest = EVP_sha1() }), CRYPTO_CERTIFICATE_CHAIN);
    DEP_CHECK_FAIL(t, check(&w, &w.root, EVP_RSA_gen(1024), (struct issue){ 0 }), CRYPTO_CERTIFICATE_CHAIN);
    DEP_CHECK_FAIL(t, dep_trust_check(w.trust, DEP_STR("no certificate"), NOW), CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_trust_check(w.trust, DEP_STR_ABSENT, NOW), CRYPTO_CERTIFICATE);
    DEP_CHECK_OK(t, check(&w, &w.root, p256(), (struct issue){ 0 }));
    end(&w);
}

/* Who is no authority cannot make one. */
DEP_TEST(a_client_is_no_authority)
{
    const struct issue client = { .subject = "CN=client" };
    struct issued leaf;
    struct world w;

    begin(&w);
    leaf = fixture_issue(&w.root, p256(), &client);
    DEP_CHECK_FAIL(t, check(&w, &leaf, p256(), (struct issue){ 0 }), CRYPTO_CERTIFICATE_CHAIN);
    fixture_free(&leaf);
    end(&w);
}

DEP_TEST(authorities_between_stand_in_the_file)
{
    struct dep_trust *root_alone;
    struct issued both[2];
    struct world w;

    begin(&w);
    root_alone = w.trust;
    DEP_CHECK_FAIL(t, check(&w, &w.between, p256(), (struct issue){ 0 }), CRYPTO_CERTIFICATE_CHAIN);
    both[0] = w.root;
    both[1] = w.between;
    DEP_CHECK_OK(t, dep_trust_new(fixture_pem(&w.arena, both, 2), &w.trust));
    DEP_CHECK_OK(t, check(&w, &w.between, p256(), (struct issue){ 0 }));
    DEP_CHECK_OK(t, check(&w, &w.root, p256(), (struct issue){ 0 }));
    dep_trust_free(w.trust);
    /* Alone it is trusted for what it signs, and for nothing of the root's. */
    DEP_CHECK_OK(t, dep_trust_new(fixture_pem(&w.arena, &w.between, 1), &w.trust));
    DEP_CHECK_OK(t, check(&w, &w.between, p256(), (struct issue){ 0 }));
    DEP_CHECK_FAIL(t, check(&w, &w.root, p256(), (struct issue){ 0 }), CRYPTO_CERTIFICATE_CHAIN);
    dep_trust_free(w.trust);
    w.trust = root_alone;
    end(&w);
}

DEP_TEST(name_constraints_hold)
{
    const struct issue narrow = { .subject = "CN=Narrow",
                                  .is_authority = true,
                                  .constraints = "critical,permitted;DNS:in.example" };
    struct issued authority;
    struct dep_trust *trust;
    struct world w;

    begin(&w);
    trust = w.trust;
    authority = fixture_issue(&w.root, p256(), &narrow);
    DEP_CHECK_OK(t, dep_trust_new(fixture_pem(&w.arena, (struct issued[]){ w.root, authority }, 2), &w.trust));
    DEP_CHECK_OK(t, check(&w, &authority, p256(), (struct issue){ .san = "DNS:a.in.example" }));
    DEP_CHECK_FAIL(t, check(&w, &authority, p256(), (struct issue){ .san = "DNS:out.example" }),
                   CRYPTO_CERTIFICATE_CHAIN);
    dep_trust_free(w.trust);
    w.trust = trust;
    fixture_free(&authority);
    end(&w);
}

DEP_TEST(what_is_no_file_of_authorities)
{
    const struct issue client = { .subject = "CN=client" };
    struct dep_trust *trust = NULL;
    struct dep_str pem, broken;
    struct issued leaf;
    struct world w;

    begin(&w);
    leaf = fixture_issue(&w.root, p256(), &client);
    pem = fixture_pem(&w.arena, &w.root, 1);
    broken = dep_arena_dup(&w.arena, pem);
    ((char *)(uintptr_t)broken.ptr)[broken.len / 2] = '*';
    DEP_CHECK_FAIL(t, dep_trust_new(DEP_STR(""), &trust), CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_trust_new(DEP_STR("nothing of the kind\n"), &trust), CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_trust_new(broken, &trust), CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_trust_new(fixture_pem(&w.arena, &leaf, 1), &trust), CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_trust_new(fixture_pem(&w.arena, (struct issued[]){ w.root, leaf }, 2), &trust),
                   CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_trust_new(dep_str_sub(pem, 0, pem.len - 30), &trust), CRYPTO_CERTIFICATE);
    DEP_CHECK(t, trust == NULL);
    DEP_CHECK_OK(t, dep_trust_new(pem, &trust));
    dep_trust_free(trust);
    fixture_free(&leaf);
    end(&w);
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(an_authority_vouches),     DEP_ROW(nobody_vouches),
        DEP_ROW(a_client_is_no_authority), DEP_ROW(authorities_between_stand_in_the_file),
        DEP_ROW(name_constraints_hold),    DEP_ROW(what_is_no_file_of_authorities),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

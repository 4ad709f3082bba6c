/* Clients that authenticate by a certificate (RFC 8705 section 2), shown to this server or to its proxy (RFC 9440). Each refusal has a twin
 * that differs in one thing. */
#include "base/ip.h"
#include "proto/client_keys.h"
#include "proto/dn.h"
#include "proto/world_fixture.h"
#include "test/certificates.h"

#define CLIENT 1u
#define OTHER 2u
#define DN "CN=worker,OU=agents,O=Example"
#define GOOD_SANS "DNS:worker.example,URI:spiffe://example/worker,IP:192.0.2.7,IP:2001:db8::7,email:worker@Example.org"

static struct world w;
static struct issued root, other_root;
static struct dep_trust *trust;

static EVP_PKEY *p256(void)
{
    return EVP_EC_gen("P-256");
}

static void begin(void)
{
    const struct issue authority = { .subject = "CN=Root,O=Example", .is_authority = true };

    world_open(&w);
    root = fixture_issue(NULL, p256(), &authority);
    other_root = fixture_issue(NULL, p256(), &authority);
    DEP_ASSERT(dep_is_ok(dep_trust_new(fixture_pem(&w.texts, &root, 1), &trust)));
    w.policy.client_trust = trust;
}

static void end(void)
{
    dep_trust_free(trust);
    fixture_free(&root);
    fixture_free(&other_root);
    world_close(&w);
}

/* The client is known by a name of its certificate from now on. */
static void register_name(size_t client, enum dep_tls_name kind, const char *name)
{
    static unsigned char bytes[16];
    struct dep_client *c = &w.clients[client];

    c->auth = DEP_CLIENT_AUTH_TLS;
    c->secrets_count = 0;
    c->tls_name_kind = kind;
    c->tls_name = c->tls_name_form = dep_str_c(name);
    if (kind == DEP_TLS_SUBJECT_DN)
        DEP_ASSERT(dep_is_ok(dep_dn_normalise(&w.texts, c->tls_name, &c->tls_name_form)));
    if (kind == DEP_TLS_SAN_IP)
        c->tls_name_form = dep_str((const char *)bytes, dep_ip_parse(c->tls_name, bytes));
}

static struct dep_str certificate(const struct issued *issuer, struct issue what)
{
    struct issued leaf;
    struct dep_str der;

    if (what.subject == NULL)
        what.subject = DN;
    leaf = fixture_issue(issuer, p256(), &what);
    der = fixture_der(&w.texts, &leaf);
    fixture_free(&leaf);
    return der;
}

static struct dep_str good(void)
{
    return certificate(&root, (struct issue){ .san = GOOD_SANS });
}

static struct dep_str header_of(struct dep_str der)
{
    struct dep_buf value;

    dep_buf_init_arena(&value, &w.texts, der.len * 2);
    dep_buf_put_char(&value, ':');
    dep_b64_put(&value, der.ptr, der.len);
    dep_buf_put_char(&value, ':');
    return dep_buf_str(&value);
}

/* What a request brings beside its form. */
struct way {
    struct dep_str der;    /* of our own TLS connection */
    struct dep_str header; /* Client-Cert */
    struct dep_str header_again;
    bool is_from_proxy;
    struct dep_str authorization;
};

static struct outcome post(enum dep_endpoint endpoint, const char *body, struct way way)
{
    struct dep_header headers[4] = { { DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") } };
    struct dep_request request = { .endpoint = endpoint,
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth/token"),
                                   .peer = DEP_STR("192.0.2.1"),
                                   .headers = headers,
                                   .headers_count = 1,
                                   .certificate = way.der,
                                   .is_from_proxy = way.is_from_proxy };

    if (!dep_str_is_absent(way.header))
        headers[request.headers_count++] = (struct dep_header){ DEP_STR("client-cert"), way.header };
    if (!dep_str_is_absent(way.header_again))
        headers[request.headers_count++] = (struct dep_header){ DEP_STR("Client-Cert"), way.header_again };
    if (!dep_str_is_absent(way.authorization))
        headers[request.headers_count++] = (struct dep_header){ DEP_STR("Authorization"), way.authorization };
    (void)snprintf(w.body, sizeof(w.body), "%s", body);
    request.body = dep_str_c(w.body);
    return world_run(&w, &request);
}

static struct outcome token(size_t client, struct way way)
{
    char body[300];

    (void)snprintf(body, sizeof(body), "grant_type=client_credentials&resource=" WORLD_API "&scope=read&client_id=%s",
                   w.client_ids[client]);
    return post(DEP_ENDPOINT_TOKEN, body, way);
}

#define OWN(text)     \
    (struct way)      \
    {                 \
        .der = (text) \
    }
#define PROXY(text)                             \
    (struct way)                                \
    {                                           \
        .header = (text), .is_from_proxy = true \
    }

DEP_TEST(by_its_name_and_an_authority)
{
    static const struct {
        enum dep_tls_name kind;
        const char *name;
        bool is_the_clients;
    } rows[] = {
        { DEP_TLS_SUBJECT_DN, DN, true },
        { DEP_TLS_SUBJECT_DN, "cn=worker, ou=agents, o=Example", true },
        { DEP_TLS_SUBJECT_DN, "CN=Worker,OU=agents,O=Example", false },
        { DEP_TLS_SUBJECT_DN, "CN=worker", false },
        { DEP_TLS_SUBJECT_DN, "O=Example,OU=agents,CN=worker", false },
        { DEP_TLS_SUBJECT_DN, "CN=worker,OU=agents,O=Example,C=DE", false },
        { DEP_TLS_SAN_DNS, "worker.example", true },
        { DEP_TLS_SAN_DNS, "WORKER.example", true },
        { DEP_TLS_SAN_DNS, "worker", false },
        { DEP_TLS_SAN_DNS, "*.example", false },
        { DEP_TLS_SAN_DNS, "spiffe://example/worker", false },
        { DEP_TLS_SAN_URI, "spiffe://example/worker", true },
        { DEP_TLS_SAN_URI, "spiffe://Example/worker", false },
        { DEP_TLS_SAN_URI, "spiffe://example/worker/", false },
        { DEP_TLS_SAN_URI, "spiffe://example/*", false },
        { DEP_TLS_SAN_IP, "192.0.2.7", true },
        { DEP_TLS_SAN_IP, "2001:DB8:0::7", true },
        { DEP_TLS_SAN_IP, "192.0.2.70", false },
        { DEP_TLS_SAN_IP, "::ffff:192.0.2.7", false },
        { DEP_TLS_SAN_EMAIL, "worker@example.org", true },
        { DEP_TLS_SAN_EMAIL, "Worker@example.org", false },
        { DEP_TLS_SAN_EMAIL, "worker@example.com", false },
        { DEP_TLS_SAN_EMAIL, "worker", false },
    };
    struct dep_str der;

    begin();
    der = good();
    for (size_t i = 0; i < DEP_COUNT(rows); i++) {
        struct outcome o;

        register_name(CLIENT, rows[i].kind, rows[i].name);
        o = token(CLIENT, OWN(der));
        dep_test_check(t,
                       rows[i].is_the_clients ? o.decision.answer == DEP_ANSWER_TOKEN
                                              : o.decision.reason == DEP_ERR_CLIENT_CERTIFICATE_NAME && o.status == 401,
                       __FILE__, __LINE__, "%s: %s", rows[i].name, dep_err_name(o.decision.reason));
    }
    end();
}

/* A common name is no host name, a blank name is nobody's. */
DEP_TEST(no_name_stands_for_another)
{
    begin();
    register_name(CLIENT, DEP_TLS_SAN_DNS, "worker.example");
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(certificate(&root, (struct issue){ .subject = "CN=worker.example" }))),
                      CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    DEP_CHECK_ISSUED(t, token(CLIENT, OWN(certificate(&root, (struct issue){ .san = "DNS:worker.example" }))));
    register_name(CLIENT, DEP_TLS_SUBJECT_DN, DN);
    DEP_CHECK_REFUSED(t,
                      token(CLIENT, OWN(certificate(&root, (struct issue){ .subject = "", .san = "DNS:x.example" }))),
                      CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    w.clients[CLIENT].tls_name_form = DEP_STR("");
    DEP_CHECK_REFUSED(t,
                      token(CLIENT, OWN(certificate(&root, (struct issue){ .subject = "", .san = "DNS:x.example" }))),
                      CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    register_name(CLIENT, DEP_TLS_SAN_URI, "");
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(good())), CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    end();
}

DEP_TEST(of_now_and_vouched_for)
{
    begin();
    register_name(CLIENT, DEP_TLS_SUBJECT_DN, DN);
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(certificate(&root, (struct issue){ .not_after = WORLD_NOW - 1 }))),
                      CLIENT_CERTIFICATE_TIME, INVALID_CLIENT);
    DEP_CHECK_ISSUED(t, token(CLIENT, OWN(certificate(&root, (struct issue){ .not_after = WORLD_NOW + 1 }))));
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(certificate(&root, (struct issue){ .not_before = WORLD_NOW + 1 }))),
                      CLIENT_CERTIFICATE_TIME, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(certificate(&other_root, (struct issue){ 0 }))), CLIENT_CERTIFICATE_CHAIN,
                      INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(certificate(NULL, (struct issue){ 0 }))), CLIENT_CERTIFICATE_CHAIN,
                      INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(certificate(&root, (struct issue){ .usage = "serverAuth" }))),
                      CLIENT_CERTIFICATE_CHAIN, INVALID_CLIENT);
    DEP_CHECK_ISSUED(t, token(CLIENT, OWN(good())));
    w.policy.client_trust = NULL;
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(good())), CLIENT_CERTIFICATE_CHAIN, INVALID_CLIENT);
    end();
}

/* C29: the header counts from the proxy that is configured, and there only in the one form. */
DEP_TEST(c29_shown_to_the_proxy)
{
    struct dep_str value, der;

    begin();
    register_name(CLIENT, DEP_TLS_SUBJECT_DN, DN);
    der = good();
    value = header_of(der);
    DEP_CHECK_ISSUED(t, token(CLIENT, PROXY(value)));
    DEP_CHECK_REFUSED(t, token(CLIENT, ((struct way){ .header = value })), CLIENT_NO_AUTH, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(CLIENT, ((struct way){ .is_from_proxy = true })), CLIENT_NO_AUTH, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(CLIENT, ((struct way){ .header = value, .header_again = value, .is_from_proxy = true })),
                      HTTP_HEADER_DUPLICATE, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, token(CLIENT, PROXY(dep_str_sub(value, 0, value.len - 1))), HTTP_CLIENT_CERT, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, token(CLIENT, PROXY(DEP_STR(""))), HTTP_CLIENT_CERT, INVALID_REQUEST);
    DEP_CHECK_REFUSED(t, token(CLIENT, PROXY(DEP_STR(":AAAA:"))), CRYPTO_CERTIFICATE, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(CLIENT, PROXY(header_of(dep_str_sub(der, 0, der.len - 1)))), CRYPTO_CERTIFICATE,
                      INVALID_CLIENT);
    /* A bad header from the proxy is no matter of who else authenticates how. */
    DEP_CHECK_REFUSED(
        t,
        token(OTHER, ((struct way){ .header = DEP_STR("x"),
                                    .is_from_proxy = true,
                                    .authorization = world_basic(&w, w.client_ids[OTHER], WORLD_SECRET) })),
        HTTP_CLIENT_CERT, INVALID_REQUEST);
    DEP_CHECK_ISSUED(
        t, token(OTHER, ((struct way){ .header = DEP_STR("x"),
                                       .authorization = world_basic(&w, w.client_ids[OTHER], WORLD_SECRET) })));
    end();
}

/* T1: client_id says who it is; a certificate is the method of clients that are registered for it, and of no other. */
DEP_TEST(only_for_clients_that_are_registered_for_it)
{
    struct dep_str der, basic;

    begin();
    der = good();
    register_name(CLIENT, DEP_TLS_SUBJECT_DN, DN);
    DEP_CHECK_REFUSED(t, post(DEP_ENDPOINT_TOKEN, "grant_type=client_credentials", OWN(der)), CLIENT_CERTIFICATE_ID,
                      INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, post(DEP_ENDPOINT_TOKEN, "grant_type=client_credentials&client_id=", OWN(der)),
                      CLIENT_CERTIFICATE_ID, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, post(DEP_ENDPOINT_TOKEN, "grant_type=client_credentials&client_id=nobody", OWN(der)),
                      CLIENT_UNKNOWN, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(OTHER, OWN(der)), CLIENT_METHOD, INVALID_CLIENT);
    /* The certificate of one client, the name of another. */
    register_name(OTHER, DEP_TLS_SUBJECT_DN, "CN=other");
    DEP_CHECK_REFUSED(t, token(OTHER, OWN(der)), CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    DEP_CHECK_ISSUED(t, token(CLIENT, OWN(der)));
    /* Without a certificate there is nothing; a secret is not its method, whatever it shows besides. */
    DEP_CHECK_REFUSED(t, token(CLIENT, ((struct way){ .is_from_proxy = false })), CLIENT_NO_AUTH, INVALID_CLIENT);
    dep_sha256(w.crypto, DEP_STR(WORLD_SECRET), w.clients[CLIENT].secrets[0].hash);
    w.clients[CLIENT].secrets_count = 1;
    basic = world_basic(&w, w.client_ids[CLIENT], WORLD_SECRET);
    DEP_CHECK_REFUSED(t, token(CLIENT, ((struct way){ .der = der, .authorization = basic })), CLIENT_METHOD,
                      INVALID_CLIENT);
    w.clients[CLIENT].auth = DEP_CLIENT_AUTH_BASIC;
    DEP_CHECK_ISSUED(t, token(CLIENT, ((struct way){ .der = der, .authorization = basic })));
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(der)), CLIENT_METHOD, INVALID_CLIENT);
    end();
}

/* The JWK of a key as a JWK Set, with the certificate in x5c when there is one. */
static struct dep_str set_of(EVP_PKEY *key, struct dep_str x5c)
{
    unsigned char x[32], y[32];
    BIGNUM *bx = NULL, *by = NULL;
    struct dep_buf buf;

    DEP_ASSERT(EVP_PKEY_get_bn_param(key, "qx", &bx) == 1 && EVP_PKEY_get_bn_param(key, "qy", &by) == 1);
    DEP_ASSERT(BN_bn2binpad(bx, x, 32) == 32 && BN_bn2binpad(by, y, 32) == 32);
    BN_free(bx);
    BN_free(by);
    dep_buf_init_arena(&buf, &w.texts, 4096);
    dep_buf_put_c(&buf, "{\"keys\":[{\"kty\":\"RSA\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"");
    dep_b64url_put(&buf, x, 32);
    dep_buf_put_c(&buf, "\",\"y\":\"");
    dep_b64url_put(&buf, y, 32);
    dep_buf_put_c(&buf, "\"");
    if (!dep_str_is_absent(x5c)) {
        dep_buf_put_c(&buf, ",\"x5c\":[\"");
        dep_b64_put(&buf, x5c.ptr, x5c.len);
        dep_buf_put_c(&buf, "\"]");
    }
    dep_buf_put_c(&buf, "}]}");
    return dep_buf_str(&buf);
}

/* A certificate of this key; the caller keeps the key. */
static struct dep_str own_certificate(EVP_PKEY *key, struct issue what)
{
    struct issued made;
    struct dep_str der;

    what.subject = "CN=self";
    EVP_PKEY_up_ref(key);
    made = fixture_issue(NULL, key, &what);
    der = fixture_der(&w.texts, &made);
    fixture_free(&made);
    return der;
}

/* T2 */
DEP_TEST(by_a_key_of_its_own)
{
    struct dep_client *client;
    EVP_PKEY *key = p256(), *another = p256();
    struct dep_str first, second, foreign;

    begin();
    client = &w.clients[CLIENT];
    client->auth = DEP_CLIENT_AUTH_TLS_SELF_SIGNED;
    client->secrets_count = 0;
    first = own_certificate(key, (struct issue){ 0 });
    second = own_certificate(key, (struct issue){ 0 });
    foreign = own_certificate(another, (struct issue){ 0 });
    /* By public key: every certificate of it. */
    client->jwks_json = set_of(key, DEP_STR_ABSENT);
    DEP_CHECK_ISSUED(t, token(CLIENT, OWN(first)));
    DEP_CHECK_ISSUED(t, token(CLIENT, OWN(second)));
    DEP_CHECK_ISSUED(t, token(CLIENT, PROXY(header_of(first))));
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(foreign)), CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(own_certificate(key, (struct issue){ .not_after = WORLD_NOW - 1 }))),
                      CLIENT_CERTIFICATE_TIME, INVALID_CLIENT);
    /* By certificate: that one. */
    client->jwks_json = set_of(key, first);
    DEP_CHECK_ISSUED(t, token(CLIENT, OWN(first)));
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(second)), CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    /* An authority's word is nothing here, and a key of one's own is nothing to whoever is known by a name. */
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(good())), CLIENT_CERTIFICATE_NAME, INVALID_CLIENT);
    register_name(CLIENT, DEP_TLS_SUBJECT_DN, "CN=self");
    DEP_CHECK_REFUSED(t, token(CLIENT, OWN(first)), CLIENT_CERTIFICATE_CHAIN, INVALID_CLIENT);
    EVP_PKEY_free(key);
    EVP_PKEY_free(another);
    end();
}

DEP_TEST(what_may_be_registered)
{
    EVP_PKEY *key = p256(), *another = p256();
    struct dep_str der;

    begin();
    der = own_certificate(another, (struct issue){ 0 });
    DEP_CHECK_OK(t, dep_client_keys_check(w.crypto, &w.texts, set_of(another, der)));
    DEP_CHECK_OK(t, dep_client_keys_check(w.crypto, &w.texts, set_of(key, DEP_STR_ABSENT)));
    DEP_CHECK_FAIL(t, dep_client_keys_check(w.crypto, &w.texts, set_of(key, der)), CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_client_keys_check(w.crypto, &w.texts, set_of(key, DEP_STR("no certificate"))),
                   CRYPTO_CERTIFICATE);
    DEP_CHECK_FAIL(t, dep_client_keys_check(w.crypto, &w.texts, DEP_STR("{}")), JWKS_SYNTAX);
    EVP_PKEY_free(key);
    EVP_PKEY_free(another);
    end();
}

/* Introspection and revocation authenticate alike. */
DEP_TEST(at_every_endpoint)
{
    struct outcome o;
    char body[3000];

    begin();
    register_name(CLIENT, DEP_TLS_SUBJECT_DN, DN);
    o = token(CLIENT, OWN(good()));
    DEP_CHECK_ISSUED(t, o);
    DEP_CHECK(t, dep_str_starts(o.decision.record.detail, DEP_STR("client certificate ")) &&
                     o.decision.record.detail.len == 19 + DEP_JKT_LEN);
    (void)snprintf(body, sizeof(body), "token=%.*s&client_id=%s", DEP_STR_ARG(o.token), w.client_ids[CLIENT]);
    DEP_CHECK_REFUSED(t, post(DEP_ENDPOINT_REVOKE, body, OWN(certificate(&other_root, (struct issue){ 0 }))),
                      CLIENT_CERTIFICATE_CHAIN, INVALID_CLIENT);
    DEP_CHECK(t, post(DEP_ENDPOINT_REVOKE, body, OWN(good())).decision.answer == DEP_ANSWER_EMPTY);
    end();
}

int main(void)
{
    static const struct dep_test_row rows[] = {
        DEP_ROW(by_its_name_and_an_authority),
        DEP_ROW(no_name_stands_for_another),
        DEP_ROW(of_now_and_vouched_for),
        DEP_ROW(c29_shown_to_the_proxy),
        DEP_ROW(only_for_clients_that_are_registered_for_it),
        DEP_ROW(by_a_key_of_its_own),
        DEP_ROW(what_may_be_registered),
        DEP_ROW(at_every_endpoint),
    };

    return dep_test_main(rows, DEP_COUNT(rows));
}

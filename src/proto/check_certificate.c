/* Certificates of TLS clients (RFC 8705; oauth.md A9, T1, T2, T6). Whoever ended the TLS connection has seen that the caller has the key:
 * this server, or a proxy that the configuration names, which says so in Client-Cert (RFC 9440). What anybody else sends under that
 * name is not looked at. Who may vouch for a certificate is decided here, not by the proxy. */
#include "base/b64.h"
#include "http/client_cert.h"
#include "proto/client_keys.h"
#include "proto/ctx.h"
#include "proto/dn.h"

struct dep_res dep_check_certificate(struct dep_ctx *c)
{
    struct dep_str header = DEP_STR_ABSENT;
    struct dep_certificate *certificate;
    struct dep_buf x5t;

    c->certificate_der = c->request->certificate;
    if (c->request->is_from_proxy) {
        DEP_TRY(dep_header_one(c->request->headers, c->request->headers_count, DEP_CLIENT_CERT_HEADER, &header));
        if (!dep_str_is_absent(header))
            DEP_TRY(dep_client_cert_parse(c->arena, header, &c->certificate_der));
    }
    if (dep_str_is_absent(c->certificate_der))
        return DEP_OK;
    certificate = DEP_NEW(c->arena, struct dep_certificate);
    if (certificate == NULL)
        return DEP_FAIL(ARENA_FULL);
    DEP_TRY(dep_certificate_parse(c->crypto, c->arena, c->certificate_der, certificate));
    dep_buf_init_arena(&x5t, c->arena, DEP_JKT_LEN);
    dep_b64url_put(&x5t, certificate->thumbprint, sizeof(certificate->thumbprint));
    if (x5t.has_failed)
        return DEP_FAIL(ARENA_FULL);
    c->x5t = dep_buf_str(&x5t);
    c->certificate = certificate;
    return DEP_OK;
}

/* rfc5280#7.5: what stands before the @ is compared as it is, the host in any case. */
static bool is_mailbox(struct dep_str a, struct dep_str b)
{
    size_t at = a.len;

    while (at > 0 && a.ptr[at - 1] != '@')
        at--;
    return a.len == b.len && dep_str_eq(dep_str_sub(a, 0, at), dep_str_sub(b, 0, at)) &&
           dep_str_eq_nocase(dep_str_sub(a, at, a.len), dep_str_sub(b, at, b.len));
}

static bool is_name(enum dep_tls_name kind, struct dep_str registered, const struct dep_san *san)
{
    switch (kind) {
    case DEP_TLS_SAN_DNS: /* a wildcard names no host: it is a text like others */
        return san->kind == DEP_SAN_DNS && dep_str_eq_nocase(san->value, registered);
    case DEP_TLS_SAN_URI:
        return san->kind == DEP_SAN_URI && dep_str_eq(san->value, registered);
    case DEP_TLS_SAN_IP:
        return san->kind == DEP_SAN_IP && dep_str_eq(san->value, registered);
    case DEP_TLS_SAN_EMAIL:
        return san->kind == DEP_SAN_EMAIL && is_mailbox(san->value, registered);
    case DEP_TLS_SUBJECT_DN:
    case DEP_TLS_NAME_NONE:
    case DEP_TLS_NAMES:
        break;
    }
    return false;
}

/* By the one name that is registered (rfc8705#2.1.2). The common name stands for no other. */
static bool has_name(struct dep_ctx *c)
{
    const struct dep_client *client = c->client;
    struct dep_str subject;

    if (dep_str_is_blank(client->tls_name_form))
        return false;
    if (client->tls_name_kind == DEP_TLS_SUBJECT_DN)
        return dep_is_ok(dep_dn_normalise(c->arena, c->certificate->subject, &subject)) &&
               dep_str_eq(subject, client->tls_name_form);
    for (size_t i = 0; i < c->certificate->sans_count; i++)
        if (is_name(client->tls_name_kind, client->tls_name_form, &c->certificate->sans[i]))
            return true;
    return false;
}

struct dep_res dep_check_client_certificate(struct dep_ctx *c)
{
    if (c->method != DEP_CLIENT_AUTH_TLS)
        return DEP_OK;
    if (c->now < c->certificate->not_before || c->now > c->certificate->not_after)
        return DEP_FAIL(CLIENT_CERTIFICATE_TIME);
    if (c->client->auth == DEP_CLIENT_AUTH_TLS_SELF_SIGNED)
        return dep_client_keys_have(c->crypto, c->arena, c->client->jwks_json, c->certificate, c->certificate_der)
                   ? DEP_OK
                   : DEP_FAIL(CLIENT_CERTIFICATE_NAME);
    if (!has_name(c))
        return DEP_FAIL(CLIENT_CERTIFICATE_NAME);
    return c->policy->client_trust != NULL &&
                   dep_is_ok(dep_trust_check(c->policy->client_trust, c->certificate_der, c->now))
               ? DEP_OK
               : DEP_FAIL(CLIENT_CERTIFICATE_CHAIN);
}

struct dep_res dep_check_certificate_required(struct dep_ctx *c)
{
    return c->client->needs_certificate && c->certificate == NULL ? DEP_FAIL(CLIENT_CERTIFICATE_REQUIRED) : DEP_OK;
}

static bool is_bound(const struct dep_token *token)
{
    return !dep_str_is_absent(token->jkt) || !dep_str_is_absent(token->x5t);
}

/* rfc8705#3. A certificate that somebody shows without being asked binds nothing: a mesh shows one for everybody, and the token would
 * be of no use where TLS ends elsewhere. A grant is for the client that it names, who proves itself at the other server. */
struct dep_str dep_certificate_binding(const struct dep_ctx *c)
{
    bool is_asked = c->method == DEP_CLIENT_AUTH_TLS || c->client->needs_certificate || is_bound(&c->subject.token) ||
                    is_bound(&c->actor.token);

    return c->has_dpop || !is_asked || c->issued != DEP_ISSUED_ACCESS_TOKEN ? DEP_STR_ABSENT : c->x5t;
}

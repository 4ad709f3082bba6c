/* Discovery, client authentication, form posts (RFC 8414, RFC 6749, RFC 7523, RFC 9449). */
#include "cli/oauth.h"

#include <string.h>
#include <time.h>

#include "base/b64.h"
#include "base/url.h"
#include "cli/keyfile.h"
#include "cli/secret.h"
#include "http/form.h"
#include "jose/jws.h"
#include "proto/dpop.h"

#define ASSERTION_LIFETIME_S 60
#define JWT_BEARER "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define FORM_MAX 131072u

/* rfc8414#3.1: the well-known part goes between host and path. */
static int metadata_url(struct dep_cli *cli, struct dep_str *ret_url)
{
    struct dep_url url;
    struct dep_res res = dep_url_parse(dep_str_c(cli->url), &url);

    if (!dep_is_ok(res) || !dep_str_is_absent(url.query) || !dep_str_is_absent(url.fragment) ||
        !dep_str_is_absent(url.userinfo)) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_url",
                     "--url: '%s' is no issuer: a URL without query, fragment and user is needed", cli->url);
        dep_cli_suggest(cli, "for example --url http://127.0.0.1:8693");
        return DEP_EXIT_USAGE;
    }
    *ret_url = dep_str_c(
        dep_cli_text(cli, "%.*s://%.*s%s%.*s/.well-known/oauth-authorization-server%.*s", DEP_STR_ARG(url.scheme),
                     DEP_STR_ARG(url.host), dep_str_is_absent(url.port) ? "" : ":", DEP_STR_ARG(url.port),
                     dep_str_eq_c(url.path, "/") ? 0 : (int)url.path.len, url.path.len > 0 ? url.path.ptr : ""));
    return DEP_EXIT_OK;
}

static struct dep_str member(struct dep_cli *cli, const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    return json_is_string(value) ? dep_str_c(dep_cli_cstr(cli, dep_str_c(json_string_value(value)))) : DEP_STR_ABSENT;
}

/* rfc8705#5: with a certificate the alias is the address, where there is one. */
static struct dep_str endpoint(struct dep_cli *cli, const json_t *json, const char *name)
{
    const json_t *aliases = dep_cli_has(cli, "cert") ? json_object_get(json, "mtls_endpoint_aliases") : NULL;
    struct dep_str alias = member(cli, aliases, name);

    return dep_str_is_absent(alias) ? member(cli, json, name) : alias;
}

static int read_metadata(struct dep_cli *cli, const json_t *json, struct dep_issuer *ret_issuer)
{
    struct dep_issuer issuer = {
        .issuer = member(cli, json, "issuer"),
        .token_endpoint = endpoint(cli, json, "token_endpoint"),
        .introspection_endpoint = endpoint(cli, json, "introspection_endpoint"),
        .revocation_endpoint = endpoint(cli, json, "revocation_endpoint"),
        .jwks_uri = member(cli, json, "jwks_uri"),
    };

    /* rfc8414#3.3: identical, or the document is of somebody else (mix-up). */
    if (!dep_str_eq_c(issuer.issuer, cli->url)) {
        dep_cli_fail(cli, DEP_EXIT_AUTH, "METADATA_SYNTAX",
                     "the metadata names the issuer '%.*s', not '%s'; nothing was sent to it",
                     DEP_STR_ARG(issuer.issuer), cli->url);
        dep_cli_suggest(cli, "give --url exactly as the issuer writes it, without a slash at the end");
        return DEP_EXIT_AUTH;
    }
    *ret_issuer = issuer;
    return DEP_EXIT_OK;
}

int dep_issuer_discover(struct dep_cli *cli, struct dep_issuer *ret_issuer)
{
    struct dep_cli_request request = { .method = DEP_STR("GET") };
    struct dep_fetch_answer answer = { 0 };
    json_t *json = NULL;
    int code = metadata_url(cli, &request.url);

    if (code == DEP_EXIT_OK)
        code = dep_cli_send(cli, &request, &answer);
    if (code != DEP_EXIT_OK)
        return code;
    if (answer.status != 200)
        return dep_cli_answer_fault(cli, &answer);
    code = dep_cli_answer_json(cli, &answer, &json);
    if (code == DEP_EXIT_OK)
        code = read_metadata(cli, json, ret_issuer);
    json_decref(json);
    return code;
}

void dep_oauth_param(struct dep_oauth_form *form, const char *name, struct dep_str value, const char *shown)
{
    if (dep_str_is_absent(value))
        return;
    DEP_ASSERT(form->count < DEP_FORM_PARAMS_MAX);
    form->names[form->count] = dep_str_c(name);
    form->shown[form->count] = shown;
    form->values[form->count++] = value;
}

int dep_oauth_proof(struct dep_cli *cli, const struct dep_private_key *key, struct dep_str method, struct dep_str url,
                    struct dep_str token, struct dep_str nonce, struct dep_str *ret_proof)
{
    unsigned char random[16];
    struct dep_str plain;
    struct dep_res res = dep_url_normalise(&cli->arena, url, &plain);

    if (!dep_is_ok(res))
        return dep_cli_fail_res(cli, DEP_EXIT_USAGE, res, "the URL of the proof");
    dep_random(random, sizeof(random));
    res = dep_dpop_sign(&cli->arena, cli->crypto, key, method, plain, token, nonce, (int64_t)time(NULL), random,
                        ret_proof);
    if (!dep_is_ok(res))
        return dep_cli_fail_res(cli, DEP_EXIT_USAGE, res, "the DPoP proof");
    return DEP_EXIT_OK;
}

/* rfc7523#3 with the audience of its revision: the issuer and nothing else. */
static int put_assertion(struct dep_cli *cli, const struct dep_issuer *issuer, const struct dep_private_key *key,
                         struct dep_oauth_form *form)
{
    struct dep_str client = dep_str_c(dep_cli_get(cli, "client"));
    struct dep_str kid = dep_str_c(dep_cli_get(cli, "kid"));
    int64_t now = (int64_t)time(NULL);
    struct dep_json_writer writer;
    struct dep_buf claims, jti, jwt;
    unsigned char random[16];
    struct dep_res res = DEP_OK;

    dep_random(random, sizeof(random));
    dep_buf_init_arena(&jti, &cli->arena, 2 * sizeof(random));
    dep_buf_put_hex(&jti, random, sizeof(random));
    dep_buf_init_arena(&claims, &cli->arena, 4096);
    dep_json_begin(&writer, &claims);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "iss", client);
    dep_json_member(&writer, "sub", client);
    dep_json_member(&writer, "aud", issuer->issuer);
    dep_json_member(&writer, "jti", dep_buf_str(&jti));
    dep_json_member_int(&writer, "iat", now);
    dep_json_member_int(&writer, "exp", now + ASSERTION_LIFETIME_S);
    dep_json_close(&writer, '}');
    dep_buf_init_arena(&jwt, &cli->arena, 8192);
    if (dep_str_is_absent(kid))
        res = dep_jwk_jkt_of(&cli->arena, cli->crypto, key, &kid);
    if (dep_is_ok(res))
        res = dep_jws_sign(cli->crypto, key, DEP_STR("client-authentication+jwt"), kid, DEP_STR_ABSENT,
                           dep_buf_str(&claims), &jwt);
    if (!dep_is_ok(res) || jwt.has_failed)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, dep_is_ok(res) ? DEP_FAIL(BUF_FULL) : res,
                                "the client assertion");
    dep_oauth_param(form, "client_id", client, NULL);
    dep_oauth_param(form, "client_assertion_type", DEP_STR(JWT_BEARER), NULL);
    dep_oauth_param(form, "client_assertion", dep_buf_str(&jwt), "$CLIENT_ASSERTION");
    return DEP_EXIT_OK;
}

static int put_basic(struct dep_cli *cli, struct dep_cli_request *request, struct dep_str secret)
{
    struct dep_str client = dep_str_c(dep_cli_get(cli, "client"));
    struct dep_buf pair, field, value;
    size_t at;

    /* rfc6749#2.3.1: both halves form-encoded, then base64. dep_form_put writes "=" + encoded text for an empty name. */
    dep_buf_init_arena(&pair, &cli->arena, 3 * (client.len + secret.len) + 8);
    for (size_t i = 0; i < 2; i++) {
        struct dep_str half = i == 0 ? client : secret;

        dep_buf_init_arena(&field, &cli->arena, 3 * half.len + 8);
        dep_form_put(&field, DEP_STR("x"), half);
        at = dep_str_find(dep_buf_str(&field), '=') + 1;
        dep_buf_put(&pair, dep_str_sub(dep_buf_str(&field), at, field.len));
        if (i == 0)
            dep_buf_put_char(&pair, ':');
    }
    dep_buf_init_arena(&value, &cli->arena, 2 * pair.len + 16);
    dep_buf_put_c(&value, "Basic ");
    dep_b64_put(&value, pair.ptr, pair.len);
    if (value.has_failed)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, DEP_FAIL(BUF_FULL), "the client credentials");
    dep_cli_request_header(
        request, "Authorization", dep_buf_str(&value),
        dep_cli_text(cli, "Basic $(printf %%s '%.*s':$CLIENT_SECRET | base64 -w0)", DEP_STR_ARG(client)));
    return DEP_EXIT_OK;
}

static int authenticate(struct dep_cli *cli, const struct dep_issuer *issuer, struct dep_cli_request *request,
                        struct dep_oauth_form *form)
{
    const char *secret_source = dep_cli_get(cli, "secret");
    const char *key_source = dep_cli_get(cli, "key");
    const char *auth = dep_cli_get(cli, "auth");
    struct dep_private_key *key = NULL;
    struct dep_str secret;
    int code;

    /* rfc8705#2: a certificate alone is the method; beside another it is what the token is bound to. */
    if (secret_source == NULL && key_source == NULL && request->certificate_path != NULL) {
        dep_oauth_param(form, "client_id", dep_str_c(dep_cli_get(cli, "client")), NULL);
        return DEP_EXIT_OK;
    }
    if ((secret_source == NULL) == (key_source == NULL)) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value",
                     "a client proves itself by one thing: give --secret or --key, or --cert alone");
        dep_cli_suggest(cli, "--secret file:PATH, or --key file:KEY.pem for private_key_jwt, or --cert CERT.pem "
                             "--cert-key file:KEY.pem");
        return DEP_EXIT_USAGE;
    }
    if (key_source != NULL) {
        code = dep_keyfile_load(cli, key_source, "--key", &key);
        if (code == DEP_EXIT_OK)
            code = put_assertion(cli, issuer, key, form);
        dep_private_key_free(key);
        return code;
    }
    code = dep_secret_load_text(cli, secret_source, "--secret", &secret);
    if (code != DEP_EXIT_OK)
        return code;
    if (auth == NULL || strcmp(auth, "client_secret_basic") == 0)
        return put_basic(cli, request, secret);
    dep_oauth_param(form, "client_id", dep_str_c(dep_cli_get(cli, "client")), NULL);
    dep_oauth_param(form, "client_secret", secret, "$CLIENT_SECRET");
    return DEP_EXIT_OK;
}

static int put_body(struct dep_cli *cli, struct dep_cli_request *request, const struct dep_oauth_form *form)
{
    struct dep_buf body, shown;

    dep_buf_init_arena(&body, &cli->arena, FORM_MAX);
    dep_buf_init_arena(&shown, &cli->arena, FORM_MAX);
    for (size_t i = 0; i < form->count; i++) {
        dep_form_put(&body, form->names[i], form->values[i]);
        if (form->shown[i] == NULL) {
            dep_form_put(&shown, form->names[i], form->values[i]);
            continue;
        }
        dep_buf_put_c(&shown, shown.len > 0 ? "&" : "");
        dep_buf_put(&shown, form->names[i]);
        dep_buf_put_char(&shown, '=');
        dep_buf_put_c(&shown, form->shown[i]);
    }
    if (body.has_failed || shown.has_failed)
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "too_long", "the request is longer than %u bytes", FORM_MAX);
    request->body = dep_buf_str(&body);
    request->shown_body = dep_buf_str(&shown);
    return DEP_EXIT_OK;
}

/* One try: everything signed anew, because a proof and an assertion are used once. */
static int post_once(struct dep_cli *cli, const struct dep_issuer *issuer, struct dep_str url,
                     const struct dep_oauth_form *form, const struct dep_private_key *dpop_key, struct dep_str nonce,
                     struct dep_fetch_answer *ret_answer)
{
    struct dep_cli_request request = { .method = DEP_STR("POST"), .url = url };
    struct dep_oauth_form whole = *form;
    struct dep_str proof;
    int code = dep_cli_request_certificate(cli, &request);

    if (code == DEP_EXIT_OK)
        code = authenticate(cli, issuer, &request, &whole);
    if (code == DEP_EXIT_OK)
        code = put_body(cli, &request, &whole);
    if (code == DEP_EXIT_OK && dpop_key != NULL) {
        code = dep_oauth_proof(cli, dpop_key, DEP_STR("POST"), url, DEP_STR_ABSENT, nonce, &proof);
        if (code == DEP_EXIT_OK)
            dep_cli_request_header(&request, "DPoP", proof, "$DPOP_PROOF");
    }
    if (code != DEP_EXIT_OK)
        return code;
    dep_cli_request_header(&request, "Content-Type", DEP_STR("application/x-www-form-urlencoded"), NULL);
    dep_cli_request_header(&request, "Accept", DEP_STR("application/json"), NULL);
    *ret_answer = (struct dep_fetch_answer){ .body = DEP_STR("") };
    return dep_cli_request_is_shown(cli, &request) ? DEP_EXIT_OK : dep_cli_send(cli, &request, ret_answer);
}

static bool wants_nonce(const struct dep_fetch_answer *answer)
{
    json_t *json = answer->status == 400 || answer->status == 401
                       ? json_loadb(answer->body.ptr, answer->body.len, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;
    const char *error = json_string_value(json_object_get(json, "error"));
    bool is_wanted = error != NULL && strcmp(error, "use_dpop_nonce") == 0;

    json_decref(json);
    return is_wanted;
}

int dep_oauth_post(struct dep_cli *cli, const struct dep_issuer *issuer, struct dep_str url,
                   const struct dep_oauth_form *form, const struct dep_private_key *dpop_key,
                   struct dep_fetch_answer *ret_answer)
{
    struct dep_str nonce;
    int code;

    if (dep_str_is_absent(url)) {
        dep_cli_fail(cli, DEP_EXIT_NOT_FOUND, "no_endpoint", "the issuer's metadata names no such endpoint");
        dep_cli_suggest(cli, "check --url (now %s)", cli->url);
        return DEP_EXIT_NOT_FOUND;
    }
    code = post_once(cli, issuer, url, form, dpop_key, DEP_STR_ABSENT, ret_answer);
    if (code != DEP_EXIT_OK || dpop_key == NULL || ret_answer->status == 0 || !wants_nonce(ret_answer))
        return code;
    nonce = dep_cli_answer_header(ret_answer, "DPoP-Nonce");
    return dep_str_is_absent(nonce) ? DEP_EXIT_OK : post_once(cli, issuer, url, form, dpop_key, nonce, ret_answer);
}

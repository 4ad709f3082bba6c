/* deputy token decode, verify, key, dpop-proof. */
#include <string.h>
#include <time.h>

#include "base/b64.h"
#include "base/url.h"
#include "cli/keyfile.h"
#include "cli/oauth.h"
#include "cli/out.h"
#include "cli/secret.h"
#include "cli/token.h"
#include "proto/token.h"

#define SKEW_S 10

static json_t *part_json(struct dep_cli *cli, struct dep_str part)
{
    struct dep_str text;

    if (!dep_is_ok(dep_b64url_decode(&cli->arena, part, &text)))
        return NULL;
    return json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
}

int dep_token_verb_decode(struct dep_cli *cli)
{
    struct dep_str token, rest, header, payload;
    json_t *object;
    int code = dep_secret_load_text(cli, cli->args[0], "SOURCE", &token);

    if (code != DEP_EXIT_OK)
        return code;
    rest = token;
    if (!dep_str_cut(&rest, '.', &header) || !dep_str_cut(&rest, '.', &payload) || dep_str_is_absent(rest)) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "JWS_SEGMENTS", "not a JWT: three segments with dots between are needed");
        dep_cli_suggest(cli, "deputy token introspect, when the token is opaque");
        return DEP_EXIT_USAGE;
    }
    object = json_object();
    json_object_set_new(object, "verified", json_false());
    json_object_set_new(object, "header", part_json(cli, header));
    json_object_set_new(object, "claims", part_json(cli, payload));
    if (json_object_size(object) != 3) {
        json_decref(object);
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "JWT_CLAIMS", "not a JWT: header or payload is no base64url of JSON");
    }
    if (cli->format == DEP_FORMAT_TABLE) {
        dep_out_object(cli, json_object_get(object, "header"));
        fputc('\n', cli->out);
        dep_out_object(cli, json_object_get(object, "claims"));
    } else {
        dep_out_object(cli, object);
    }
    json_decref(object);
    if (!cli->is_quiet && cli->err_is_terminal)
        fputs("Nothing was verified: anybody could have written this. 'deputy token verify' checks.\n", cli->err);
    return DEP_EXIT_OK;
}

static int fetch_jwks(struct dep_cli *cli, const struct dep_issuer *issuer, struct dep_jwks **ret_jwks)
{
    struct dep_cli_request request = { .method = DEP_STR("GET"), .url = issuer->jwks_uri };
    struct dep_fetch_answer answer = { 0 };
    struct dep_res res;
    int code;

    if (dep_str_is_absent(issuer->jwks_uri))
        return dep_cli_fail(cli, DEP_EXIT_NOT_FOUND, "no_endpoint", "the issuer's metadata names no jwks_uri");
    code = dep_cli_send(cli, &request, &answer);
    if (code != DEP_EXIT_OK)
        return code;
    if (answer.status != 200)
        return dep_cli_answer_fault(cli, &answer);
    res = dep_jwks_new(cli->crypto, answer.body, ret_jwks);
    return dep_is_ok(res) ? DEP_EXIT_OK : dep_cli_fail_res(cli, DEP_EXIT_GENERAL, res, "the issuer's keys");
}

static struct dep_res check(struct dep_cli *cli, const struct dep_issuer *issuer, const struct dep_jwks *jwks,
                            struct dep_str text, struct dep_token *ret_token)
{
    struct dep_token_policy policy = {
        .issuer = issuer->issuer,
        .audience = dep_str_c(dep_cli_get(cli, "audience")),
        .algs = DEP_ALGS_ALL,
        .skew_s = SKEW_S,
    };
    const struct dep_jwks_key *key;
    struct dep_jws jws;

    DEP_TRY(dep_token_open(&cli->arena, text, &policy, &jws));
    key = dep_jwks_find(jwks, jws.kid, jws.alg);
    if (key == NULL)
        return DEP_FAIL(JWS_KID);
    return dep_token_check(&cli->arena, cli->crypto, &jws, key->alg, key->key, &policy, (int64_t)time(NULL), ret_token);
}

static int put_verified(struct dep_cli *cli, const struct dep_token *token)
{
    struct dep_json_writer writer;
    struct dep_buf buf;
    json_t *object;

    dep_buf_init_arena(&buf, &cli->arena, DEP_JSON_BYTES_MAX);
    dep_json_begin(&writer, &buf);
    dep_token_write(&writer, token);
    object =
        buf.has_failed ? NULL : json_pack("{s:b,s:o?}", "verified", 1, "claims", json_loadb(buf.ptr, buf.len, 0, NULL));
    if (object == NULL)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, DEP_FAIL(BUF_FULL), "the claims");
    dep_out_object(cli, cli->format == DEP_FORMAT_TABLE ? json_object_get(object, "claims") : object);
    json_decref(object);
    if (!cli->is_quiet && cli->err_is_terminal)
        fputs("Signature, issuer, times and form are good. Whether it was revoked only the server or a guard knows.\n",
              cli->err);
    return DEP_EXIT_OK;
}

int dep_token_verb_verify(struct dep_cli *cli)
{
    struct dep_jwks *jwks = NULL;
    struct dep_issuer issuer;
    struct dep_token token;
    struct dep_str text;
    struct dep_res res;
    int code = dep_secret_load_text(cli, cli->args[0], "SOURCE", &text);

    if (code == DEP_EXIT_OK)
        code = dep_issuer_discover(cli, &issuer);
    if (code == DEP_EXIT_OK)
        code = fetch_jwks(cli, &issuer, &jwks);
    if (code != DEP_EXIT_OK)
        return code;
    res = check(cli, &issuer, jwks, text, &token);
    dep_jwks_free(jwks);
    if (!dep_is_ok(res))
        return dep_cli_fail_res(cli, DEP_EXIT_AUTH, res, "the token is not valid");
    return put_verified(cli, &token);
}

/* The public half, as it is registered: the thumbprint for DPoP, the JWK Set for private_key_jwt. */
static int put_public(struct dep_cli *cli, const struct dep_private_key *key)
{
    struct dep_json_writer writer;
    struct dep_str jkt;
    struct dep_buf buf;
    json_t *object;
    struct dep_res res = dep_jwk_jkt_of(&cli->arena, cli->crypto, key, &jkt);

    dep_buf_init_arena(&buf, &cli->arena, 8192);
    dep_json_begin(&writer, &buf);
    if (dep_is_ok(res))
        res = dep_jwk_put_public(&writer, &cli->arena, key, jkt);
    if (!dep_is_ok(res) || buf.has_failed)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, dep_is_ok(res) ? DEP_FAIL(BUF_FULL) : res, "the key");
    object = json_pack("{s:s%,s:s,s:[o]}", "jkt", jkt.ptr, jkt.len, "alg", dep_alg_name(dep_private_key_alg(key)),
                       "keys", json_loadb(buf.ptr, buf.len, 0, NULL));
    dep_out_object(cli, object);
    json_decref(object);
    return DEP_EXIT_OK;
}

int dep_token_verb_key(struct dep_cli *cli)
{
    const char *alg = dep_cli_get(cli, "alg");
    const char *path = dep_cli_get(cli, "out");
    struct dep_private_key *key = NULL;
    int code;

    if ((path == NULL) == !dep_cli_has(cli, "key")) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value",
                     "give --out FILE for a new key, or --key SOURCE to show an old one");
        dep_cli_suggest(cli, "deputy token key --out dpop.pem");
        return DEP_EXIT_USAGE;
    }
    code = path != NULL ? dep_keyfile_create(cli, path, dep_alg_by_name(dep_str_c(alg != NULL ? alg : "ES256")), &key)
                        : dep_keyfile_load(cli, dep_cli_get(cli, "key"), "--key", &key);
    if (code == DEP_EXIT_OK)
        code = put_public(cli, key);
    dep_private_key_free(key);
    return code;
}

int dep_token_verb_proof(struct dep_cli *cli)
{
    const char *method = dep_cli_get(cli, "method");
    const char *source = dep_cli_get(cli, "token");
    struct dep_str token = DEP_STR_ABSENT;
    struct dep_private_key *key = NULL;
    struct dep_str proof;
    int code = dep_keyfile_load(cli, dep_cli_get(cli, "key"), "--key", &key);

    if (code == DEP_EXIT_OK && source != NULL)
        code = dep_secret_load_text(cli, source, "--token", &token);
    if (code == DEP_EXIT_OK)
        code = dep_oauth_proof(cli, key, dep_str_c(method != NULL ? method : "GET"), dep_str_c(dep_cli_get(cli, "url")),
                               token, dep_str_c(dep_cli_get(cli, "nonce")), &proof);
    dep_private_key_free(key);
    if (code == DEP_EXIT_OK)
        fprintf(cli->out, "%.*s\n", DEP_STR_ARG(proof));
    return code;
}

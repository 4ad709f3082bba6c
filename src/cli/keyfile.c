/* Key files. */
#include "cli/keyfile.h"

#include <string.h>

#include "base/b64.h"
#include "cli/secret.h"

#define PEM_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define PEM_END "-----END PRIVATE KEY-----"
#define PEM_LINE 64u

int dep_keyfile_load(struct dep_cli *cli, const char *source, const char *what, struct dep_private_key **ret_key)
{
    /* A key reads only as its own type; RSA means RS256, which RFC 9068 requires of everybody. */
    static const enum dep_alg algs[] = { DEP_ALG_ES256, DEP_ALG_ED25519, DEP_ALG_RS256 };
    struct dep_secret secret;
    int code = dep_secret_load(cli, source, what, &secret);

    if (code != DEP_EXIT_OK)
        return code;
    for (size_t i = 0; i < DEP_CLI_COUNT(algs); i++) {
        if (dep_is_ok(dep_private_key_read(algs[i], secret, ret_key)))
            return DEP_EXIT_OK;
    }
    dep_cli_fail(cli, DEP_EXIT_USAGE, "not_a_key",
                 "%s: not a private key in PEM or DER (PKCS#8): P-256, Ed25519 or RSA", what);
    dep_cli_suggest(cli, "deputy token key --out KEY.pem");
    return DEP_EXIT_USAGE;
}

static int put_pem(struct dep_cli *cli, struct dep_secret der, struct dep_secret *ret_pem)
{
    size_t text_max = (der.len + 2) / 3 * 4;
    struct dep_buf text, pem;

    dep_buf_init_arena(&text, &cli->arena, text_max);
    dep_b64_put(&text, der.bytes, der.len);
    dep_buf_init_arena(&pem, &cli->arena, text_max + text_max / PEM_LINE + sizeof(PEM_BEGIN) + sizeof(PEM_END) + 2);
    dep_buf_put_c(&pem, PEM_BEGIN);
    for (size_t at = 0; at < dep_buf_str(&text).len; at += PEM_LINE) {
        dep_buf_put(&pem, dep_str_sub(dep_buf_str(&text), at, PEM_LINE));
        dep_buf_put_char(&pem, '\n');
    }
    dep_buf_put_c(&pem, PEM_END);
    if (pem.has_failed)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, DEP_FAIL(ARENA_FULL), "the key");
    *ret_pem = dep_secret_of(dep_buf_str(&pem));
    return DEP_EXIT_OK;
}

int dep_keyfile_create(struct dep_cli *cli, const char *path, enum dep_alg alg, struct dep_private_key **ret_key)
{
    struct dep_private_key *key = NULL;
    struct dep_secret der, pem;
    struct dep_res res = dep_private_key_new(alg, &key);
    int code;

    if (dep_is_ok(res))
        res = dep_private_key_der(key, &cli->arena, &der);
    if (!dep_is_ok(res)) {
        dep_private_key_free(key);
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, res, "the key");
    }
    code = put_pem(cli, der, &pem);
    if (code == DEP_EXIT_OK)
        code = dep_secret_save(cli, path, pem, false);
    if (code != DEP_EXIT_OK) {
        dep_private_key_free(key);
        return code;
    }
    *ret_key = key;
    return DEP_EXIT_OK;
}

/* deputy guard: flags of the command line to the sidecar's configuration; snippets. */
#include <string.h>
#include <sys/stat.h>
#include <errno.h>

#include "base/b64.h"
#include "cli/guard_check.h"
#include "cli/nouns.h"
#include "cli/secret.h"
#include "cli/snippet.h"
#include "guard/rules_file.h"
#include "sidecar/sidecar.h"
#include "store/replay_store.h"

#define LISTEN_MAX 8u

static const struct dep_flag run_flags[] = {
    { "resource", DEP_FLAG_TEXT, "URI", DEP_FLAG_REQUIRED, "what is guarded: the only audience accepted", 0 },
    { "issuer", DEP_FLAG_TEXT, "URL", 0, "whose tokens; default --url", 0 },
    { "listen", DEP_FLAG_TEXT, "ADDRESS", DEP_FLAG_REPEATED, "127.0.0.1:8694 (default), [::1]:PORT or unix:PATH", 0 },
    { "client", DEP_FLAG_TEXT, "ID", DEP_FLAG_REQUIRED, "the resource's client at the issuer, for the revocation feed",
      0 },
    { "secret", DEP_FLAG_SECRET, "SOURCE", DEP_FLAG_REQUIRED, "its secret", 0 },
    { "audit", DEP_FLAG_TEXT, "DIR", 0, "the guard's own audit log; default ./deputy-guard/audit", 0 },
    { "public-url", DEP_FLAG_TEXT, "URL", 0, "scheme and host that callers use; default the resource's", 0 },
    { "name", DEP_FLAG_TEXT, "NAME", 0, "of the resource, for its metadata", 0 },
    { "scope", DEP_FLAG_TEXT, "\"SCOPE…\"", 0, "what every request needs", 0 },
    { "scopes-offered", DEP_FLAG_TEXT, "\"SCOPE…\"", 0, "scopes_supported of the metadata; default --scope", 0 },
    { "rules", DEP_FLAG_TEXT, "FILE", 0, "what each request needs, see deputy-guard-rules(5); default --scope alone",
      0 },
    { "needs-dpop", DEP_FLAG_SWITCH, NULL, 0, "bound tokens only", 0 },
    { "needs-nonce", DEP_FLAG_SWITCH, NULL, 0, "every proof carries a nonce of this guard", 0 },
    { "nonce-key", DEP_FLAG_SECRET, "SOURCE", 0,
      "32 bytes for nonces, shared by the guards of this resource; default random", 0 },
    { "dpop-rsa", DEP_FLAG_SWITCH, NULL, 0, "take proofs by RSA keys (PS256, RS256) too", 0 },
    { "client-cert", DEP_FLAG_SWITCH, NULL, 0,
      "the proxy in front writes the client's certificate into Client-Cert (RFC 9440), over what callers send", 0 },
    { "allow-private", DEP_FLAG_SWITCH, NULL, 0, "an issuer on a private address", 0 },
    { "replay", DEP_FLAG_TEXT, "WHERE", 0,
      "where proofs that were used are remembered: memory (default), sqlite:FILE, or postgresql: and the SOURCE of a "
      "connection string",
      0 },
    { "replay-alone", DEP_FLAG_SWITCH, NULL, 0, "a PostgreSQL server that waits for no synchronous standby will do",
      0 },
    { "replay-timeout-ms", DEP_FLAG_NUMBER, "MS", 0, "how long PostgreSQL's answer is waited for; default 2000", 0 },
    { "workers", DEP_FLAG_NUMBER, "N", 0, "threads for each address; default 1", 0 },
    { "proofs-max", DEP_FLAG_NUMBER, "N", 0, "used proofs remembered at once; more are refused (503); default 2000000",
      0 },
    { "feed-silence-max-s", DEP_FLAG_NUMBER, "SECONDS", 0,
      "refuse everything after so much silence of the issuer; default 10", 0 },
};

static const struct dep_flag snippet_flags[] = {
    { "resource", DEP_FLAG_TEXT, "URI", 0, "what is guarded, as given to guard run; default https://api.example/mcp",
      0 },
    { "guard", DEP_FLAG_TEXT, "ADDRESS", 0, "where the guard listens; default unix:/run/deputy/guard.sock", 0 },
    { "upstream", DEP_FLAG_TEXT, "ADDRESS", 0, "the API itself; default 127.0.0.1:8080", 0 },
    { "listen", DEP_FLAG_TEXT, "ADDRESS", 0, "where the proxy listens; default 127.0.0.1:8000", 0 },
    { "tls", DEP_FLAG_TEXT, "FILE", 0,
      "listen with TLS, certificate and key in this PEM file, and ask clients for a certificate; not for traefik", 0 },
    { "lua", DEP_FLAG_TEXT, "FILE", 0, "haproxy: where its script is; default /etc/haproxy/deputy.lua", 0 },
    { "issuer", DEP_FLAG_TEXT, "URL", 0, "nginx-module: whose tokens", 0 },
    { "client", DEP_FLAG_TEXT, "ID", 0, "nginx-module: the resource's client at the issuer", 0 },
    { "secret", DEP_FLAG_TEXT, "file:PATH", 0, "nginx-module: where its secret is", 0 },
    { "audit", DEP_FLAG_TEXT, "DIR", 0, "nginx-module: its audit log", 0 },
    { "ledger", DEP_FLAG_TEXT, "FILE", 0, "nginx-module: writes with an Idempotency-Key are run once, by this ledger",
      0 },
    { "scope", DEP_FLAG_TEXT, "\"SCOPE…\"", 0, "nginx-module: what every request needs", 0 },
};

/* http is for a machine's own issuer; the fetcher checks the address it really connects to. */
static bool is_on_loopback(const char *url)
{
    return strncmp(url, "http://127.0.0.1", 16) == 0 || strncmp(url, "http://[::1]", 12) == 0 ||
           strncmp(url, "http://localhost", 16) == 0;
}

static int make_directory(struct dep_cli *cli, const char *path)
{
    const char *slash = strrchr(path, '/');

    /* The log makes its own directory; the default one has a parent to make. */
    if (slash == NULL || slash == path)
        return DEP_EXIT_OK;
    if (mkdir(dep_cli_cstr(cli, dep_str(path, (size_t)(slash - path))), 0700) == 0 || errno == EEXIST ||
        errno == ENOENT)
        return DEP_EXIT_OK;
    return dep_cli_fail(cli, DEP_EXIT_UNAVAILABLE, "AUDIT_IO", "--audit: %s: %s", path, strerror(errno));
}

/* 32 bytes, raw or as base64url, as deputyd's nonce_key_file. */
static int load_nonce_key(struct dep_cli *cli, struct dep_secret *ret_key)
{
    unsigned char *key = dep_arena_alloc(&cli->arena, DEP_SHA256_LEN);
    struct dep_secret secret;
    int code;

    if (!dep_cli_has(cli, "nonce-key"))
        return DEP_EXIT_OK;
    code = dep_secret_load(cli, dep_cli_get(cli, "nonce-key"), "--nonce-key", &secret);
    if (code != DEP_EXIT_OK)
        return code;
    if (key != NULL && secret.len == DEP_SHA256_LEN)
        memcpy(key, secret.bytes, DEP_SHA256_LEN);
    else if (key == NULL ||
             !dep_is_ok(dep_b64url_decode_exact(dep_str((const char *)secret.bytes, secret.len), key, DEP_SHA256_LEN)))
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--nonce-key: 32 bytes are needed, raw or as base64url");
    *ret_key = dep_secret(key, DEP_SHA256_LEN);
    return DEP_EXIT_OK;
}

static int load_rules(struct dep_cli *cli, struct dep_rules_file **ret_file)
{
    char message[DEP_RULES_MESSAGE_MAX];
    struct dep_res res;

    if (!dep_cli_has(cli, "rules"))
        return DEP_EXIT_OK;
    res = dep_rules_file_load(dep_cli_get(cli, "rules"), dep_str_c(dep_cli_get(cli, "scope")), ret_file, message);
    return dep_is_ok(res) ? DEP_EXIT_OK
                          : dep_cli_fail(cli, DEP_EXIT_USAGE, dep_err_name(res.err), "--rules: %s", message);
}

/* --replay. */
static int read_replay(struct dep_cli *cli, struct dep_sidecar_config *config)
{
    const char *where = dep_cli_has(cli, "replay") ? dep_cli_get(cli, "replay") : "memory";

    config->replay_is_alone = dep_cli_is_on(cli, "replay-alone");
    config->replay_timeout_ms = dep_cli_number(cli, "replay-timeout-ms", 0);
    if (strncmp(where, "postgresql:", 11) == 0)
        return dep_secret_load(cli, where + 11, "--replay", &config->replay_conninfo);
    if (strncmp(where, "sqlite:", 7) == 0 && where[7] != '\0') {
        config->replay_file = where + 7;
        return DEP_EXIT_OK;
    }
    if (strcmp(where, "memory") == 0)
        return DEP_EXIT_OK;
    /* Not repeated: it may be a connection string. */
    return dep_cli_fail(cli, DEP_EXIT_USAGE, "usage",
                        "--replay: memory, sqlite:FILE, or postgresql: with file:, env: or cred: is needed");
}

static int run_with(struct dep_cli *cli, const struct dep_guard_rules *rules)
{
    const char *issuer = dep_cli_has(cli, "issuer") ? dep_cli_get(cli, "issuer") : cli->url;
    const char *audit = dep_cli_has(cli, "audit") ? dep_cli_get(cli, "audit") : "./deputy-guard/audit";
    struct dep_str listen[LISTEN_MAX] = { DEP_STR_INIT("127.0.0.1:8694") };
    struct dep_sidecar_config config;
    int code;

    dep_sidecar_config_init(&config);
    code = dep_secret_load(cli, dep_cli_get(cli, "secret"), "--secret", &config.client_secret);
    if (code == DEP_EXIT_OK)
        code = load_nonce_key(cli, &config.nonce_key);
    if (code == DEP_EXIT_OK)
        code = read_replay(cli, &config);
    if (code == DEP_EXIT_OK)
        code = make_directory(cli, audit);
    if (code != DEP_EXIT_OK)
        return code;
    while (config.listen_count < LISTEN_MAX && dep_cli_get_nth(cli, "listen", config.listen_count) != NULL) {
        listen[config.listen_count] = dep_str_c(dep_cli_get_nth(cli, "listen", config.listen_count));
        config.listen_count++;
    }
    config.listen_count = config.listen_count > 0 ? config.listen_count : 1;
    config.listen = listen;
    config.resource = dep_str_c(dep_cli_get(cli, "resource"));
    config.resource_name = dep_str_c(dep_cli_get(cli, "name"));
    config.issuer = dep_str_c(issuer);
    config.public_url = dep_str_c(dep_cli_get(cli, "public-url"));
    config.scopes = dep_str_c(dep_cli_get(cli, "scope"));
    config.scopes_offered = dep_str_c(dep_cli_get(cli, "scopes-offered"));
    config.client_id = dep_str_c(dep_cli_get(cli, "client"));
    config.audit_directory = audit;
    config.needs_dpop = dep_cli_is_on(cli, "needs-dpop");
    config.needs_nonce = dep_cli_is_on(cli, "needs-nonce");
    if (dep_cli_is_on(cli, "client-cert"))
        config.certificates = DEP_GUARD_CERTIFICATES_HEADER;
    config.may_loopback = is_on_loopback(issuer);
    config.may_private = dep_cli_is_on(cli, "allow-private");
    config.has_rsa_proofs = dep_cli_is_on(cli, "dpop-rsa");
    config.rules = rules;
    config.workers = (unsigned)dep_cli_number(cli, "workers", 0);
    config.proofs_max = (size_t)dep_cli_number(cli, "proofs-max", 0);
    config.feed_silence_max_s = dep_cli_number(cli, "feed-silence-max-s", 0);
    return dep_sidecar_run(&config);
}

static int run(struct dep_cli *cli)
{
    struct dep_rules_file *file = NULL;
    int code = load_rules(cli, &file);

    if (code == DEP_EXIT_OK)
        code = run_with(cli, file == NULL ? NULL : dep_rules_file_rules(file));
    dep_rules_file_free(file);
    return code;
}

static int show_schema(struct dep_cli *cli)
{
    return fputs(dep_replay_postgres_schema, cli->out) < 0 || fflush(cli->out) != 0 ? DEP_EXIT_GENERAL : DEP_EXIT_OK;
}

static const struct dep_verb verbs[] = {
    { "run", NULL, 0, 0, "stand beside a reverse proxy and decide its requests", DEP_CLI_FLAGS(run_flags), run, false },
    { "snippet", "PROXY", 1, 1, "print what nginx, nginx-module, caddy, haproxy, haproxy-lua, envoy or traefik needs",
      DEP_CLI_FLAGS(snippet_flags), dep_snippet_run, false },
    { "check", "[METHOD PATH]", 0, 2, "say what rules need for a request, offline; without one, list them",
      DEP_CLI_FLAGS(dep_guard_check_flags), dep_guard_check, false },
    { "replay-schema", NULL, 0, 0, "the SQL script of --replay postgresql:, for psql", NULL, 0, show_schema, false },
};

const struct dep_noun dep_noun_guard = { "guard", "the guard in front of an API: nginx, Traefik, Caddy ask it",
                                         DEP_CLI_FLAGS(verbs) };

/* deputy guard snippet: the configuration that the tests run, for one's own addresses.
 *
 * Invariants:
 *  (1) The templates are the files of adapters/ and nothing else; the tests start the real proxies with what this prints.
 *  (2) A value goes into a configuration only when no proxy could read it as anything but an address, a path or a URL. */
#include "cli/snippet.h"

#include <string.h>

#include "base/num.h"
#include "base/url.h"
#include "cli/embedded.h"

#define SNIPPET_MAX 32768u
#define VALUE_MAX 512u

/* "unix:/path", "host:port" or "[::1]:port" in its parts. */
struct address {
    bool is_unix;
    struct dep_str path, host, port;
};

typedef void put_address(struct dep_buf *buf, const struct address *address);

static void put_pair(struct dep_buf *buf, const struct address *address)
{
    dep_buf_put(buf, address->host);
    dep_buf_put_char(buf, ':');
    dep_buf_put(buf, address->port);
}

static void put_with(struct dep_buf *buf, const struct address *address, const char *prefix)
{
    if (!address->is_unix) {
        put_pair(buf, address);
        return;
    }
    dep_buf_put_c(buf, prefix);
    dep_buf_put(buf, address->path);
}

static void put_nginx(struct dep_buf *buf, const struct address *address)
{
    put_with(buf, address, "unix:");
}

static void put_caddy(struct dep_buf *buf, const struct address *address)
{
    put_with(buf, address, "unix/");
}

static void put_haproxy(struct dep_buf *buf, const struct address *address)
{
    put_with(buf, address, "unix@");
}

static void put_envoy(struct dep_buf *buf, const struct address *address)
{
    struct dep_str host = address->host;

    if (address->is_unix) {
        dep_buf_put_c(buf, "{ pipe: { path: \"");
        dep_buf_put(buf, address->path);
        dep_buf_put_c(buf, "\" } }");
        return;
    }
    if (host.ptr[0] == '[')
        host = dep_str_sub(host, 1, host.len - 2);
    dep_buf_put_c(buf, "{ socket_address: { address: \"");
    dep_buf_put(buf, host);
    dep_buf_put_c(buf, "\", port_value: ");
    dep_buf_put(buf, address->port);
    dep_buf_put_c(buf, " } }");
}

/* With --tls: each '%' is the file. Clients are asked for a certificate, of whatever authority: a token says which one counts, and the
 * handshake shows that the client has its key. */
static const char nginx_tls[] = " ssl;\n    ssl_certificate %;\n    ssl_certificate_key %;\n"
                                "    ssl_verify_client optional_no_ca; # the token says which certificate counts";
static const char haproxy_tls[] =
    " ssl crt % verify optional ca-file % no-ca-names ca-ignore-err all crt-ignore-err all"
    " # the token says which certificate counts";
static const char caddy_tls[] =
    "\n\ttls % % {\n\t\tclient_auth {\n\t\t\tmode request # the token says which certificate "
    "counts\n\t\t}\n\t}";
static const char envoy_tls[] =
    "transport_socket:\n"
    "            name: envoy.transport_sockets.tls\n"
    "            typed_config:\n"
    "              \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext\n"
    "              common_tls_context:\n"
    "                tls_certificates: [{ certificate_chain: { filename: \"%\" }, private_key: { filename: \"%\" } }]\n"
    "                validation_context: { trust_chain_verification: ACCEPT_UNTRUSTED } # the token says which one "
    "counts\n"
    "          ";

#define TAKES_UNIX (1u << 0)   /* asks over Unix sockets */
#define LISTENS_UNIX (1u << 1) /* listens on them */

static const struct proxy {
    const char *name, *file;
    put_address *put; /* NULL: the file is printed as it is */
    unsigned marks;
    const char *tls;     /* NULL: where it listens, is said elsewhere */
    const char *without; /* in its place */
} proxies[] = {
    { "nginx", "nginx.conf", put_nginx, TAKES_UNIX | LISTENS_UNIX, nginx_tls, "; # for TLS: --tls" },
    { "nginx-module", "nginx-module.conf", put_nginx, TAKES_UNIX | LISTENS_UNIX, nginx_tls, "; # for TLS: --tls" },
    { "caddy", "Caddyfile", put_caddy, TAKES_UNIX, caddy_tls, " # for TLS: --tls" },
    { "haproxy", "haproxy.cfg", put_haproxy, TAKES_UNIX | LISTENS_UNIX, haproxy_tls, " # for TLS: --tls" },
    { "haproxy-lua", "deputy.lua", NULL, TAKES_UNIX | LISTENS_UNIX, "", "" },
    { "envoy", "envoy.yaml", put_envoy, TAKES_UNIX | LISTENS_UNIX, envoy_tls, "" },
    { "traefik", "traefik.yaml", put_pair, 0, NULL, "" },
};

/* Values that are no address, and the characters they may have beside letters and digits. */
static const struct text {
    const char *flag, *otherwise, *others, *why;
} texts[] = {
    { "resource", "https://api.example/mcp", ":/._~-[]",
      "an http(s) URL without query; its path of letters, digits, '.', '_', '~', '-' and '/'" },
    { "issuer", "https://as.example", ":/._~-[]", "an http(s) URL" },
    { "client", "CLIENT-ID", "._~-", "an id" },
    { "secret", "file:/etc/deputy/guard.secret", ":/._-", "file:/ABSOLUTE/PATH" },
    { "audit", "/var/lib/deputy/guard-audit", "/._-", "a path of letters, digits, '.', '_', '-' and '/'" },
    { "lua", "/etc/haproxy/deputy.lua", "/._-", "a path of letters, digits, '.', '_', '-' and '/'" },
    { "ledger", "", "/._-", "a path of letters, digits, '.', '_', '-' and '/'" },
    { "tls", "", "/._-", "a path of letters, digits, '.', '_', '-' and '/'" },
    { "scope", "", " :/._~-", "scopes of letters, digits, ':', '/', '.', '_', '~' and '-'" },
};
enum { RESOURCE, ISSUER, CLIENT, SECRET, AUDIT, LUA, LEDGER, TLS, SCOPE, TEXTS };

struct values {
    const struct proxy *proxy;
    struct address guard, upstream, listen;
    struct dep_str text[TEXTS];
    struct dep_str path;
};

static bool is_plain(struct dep_str text, const char *others)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              dep_str_has(dep_str_c(others), c)))
            return false;
    }
    return text.len > 0 && text.len <= VALUE_MAX;
}

static int bad(struct dep_cli *cli, const char *flag, const char *why)
{
    return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--%s: %s", flag, why);
}

static int read_address(struct dep_cli *cli, const char *flag, const char *otherwise, struct address *ret_address)
{
    struct dep_str text = dep_str_c(dep_cli_has(cli, flag) ? dep_cli_get(cli, flag) : otherwise);
    struct address address = { .is_unix = dep_str_starts(text, DEP_STR("unix:")) };
    size_t colon = text.len;
    int64_t port;

    if (address.is_unix) {
        address.path = dep_str_sub(text, 5, text.len);
        if (!dep_str_starts(address.path, DEP_STR("/")) || !is_plain(address.path, "/._-"))
            return bad(cli, flag, "a socket is unix:/ABSOLUTE/PATH of letters, digits, '.', '_', '-' and '/'");
        *ret_address = address;
        return DEP_EXIT_OK;
    }
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    address.host = dep_str_sub(text, 0, colon == 0 ? 0 : colon - 1);
    address.port = dep_str_sub(text, colon, text.len);
    if (!is_plain(address.host, ".-:[]") || !dep_is_ok(dep_num_parse(address.port, 1, 65535, &port)) ||
        (dep_str_has(address.host, ':') &&
         (address.host.ptr[0] != '[' || address.host.ptr[address.host.len - 1] != ']')))
        return bad(cli, flag, "an address is HOST:PORT, [IPV6]:PORT or unix:/PATH");
    *ret_address = address;
    return DEP_EXIT_OK;
}

static bool is_web(struct dep_str text, struct dep_url *ret_url)
{
    return dep_is_ok(dep_url_parse(text, ret_url)) && (dep_str_eq_nocase(ret_url->scheme, DEP_STR("https")) ||
                                                       dep_str_eq_nocase(ret_url->scheme, DEP_STR("http")));
}

static int read_texts(struct dep_cli *cli, struct values *values)
{
    struct dep_url resource, issuer;

    for (size_t i = 0; i < TEXTS; i++) {
        bool is_given = dep_cli_has(cli, texts[i].flag);

        values->text[i] = dep_str_c(is_given ? dep_cli_get(cli, texts[i].flag) : texts[i].otherwise);
        if ((is_given || i < LEDGER) && !is_plain(values->text[i], texts[i].others))
            return bad(cli, texts[i].flag, texts[i].why);
    }
    /* The path becomes a part of regular expressions: only the dot has a meaning there, and is escaped. */
    if (!is_web(values->text[RESOURCE], &resource) || dep_str_has(resource.path, '[') ||
        dep_str_has(resource.path, ']'))
        return bad(cli, "resource", texts[RESOURCE].why);
    if (!is_web(values->text[ISSUER], &issuer))
        return bad(cli, "issuer", texts[ISSUER].why);
    values->path = resource.path;
    while (values->path.len > 0 && values->path.ptr[values->path.len - 1] == '/')
        values->path.len--;
    return DEP_EXIT_OK;
}

static void put_path(struct dep_buf *buf, struct dep_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '.')
            dep_buf_put_char(buf, '\\');
        dep_buf_put_char(buf, path.ptr[i]);
    }
}

static void put_scope(struct dep_buf *buf, struct dep_str scope)
{
    dep_buf_put_c(buf, scope.len > 0 ? "deputy_scope " : "# deputy_scope read write; what every request needs");
    dep_buf_put(buf, scope);
    dep_buf_put_c(buf, scope.len > 0 ? ";" : "");
}

/* nginx-module: writes that happen once (deputy-idempotency(7)). */
static void put_ledger(struct dep_buf *buf, struct dep_str file)
{
    if (file.len == 0) {
        dep_buf_put_c(buf, "# for writes that happen once: --ledger");
        return;
    }
    dep_buf_put_c(buf,
                  "deputy_idempotency on; # a write with an Idempotency-Key is run once, however often it is sent\n"
                  "    deputy_idempotency_ledger ");
    dep_buf_put(buf, file);
    dep_buf_put_c(buf, ";\n    proxy_next_upstream off; # else a write that one server has got is sent to the next\n"
                       "    proxy_ignore_client_abort on; # else one whose caller has gone is cut off");
}

static void put_tls(struct dep_buf *buf, const struct proxy *proxy, struct dep_str file)
{
    const char *text = file.len > 0 ? proxy->tls : proxy->without;

    for (; text != NULL && *text != '\0'; text++)
        if (*text == '%')
            dep_buf_put(buf, file);
        else
            dep_buf_put_char(buf, *text);
}

/* One @NAME@ of a template. */
static void put_value(struct dep_buf *buf, const struct values *values, struct dep_str name)
{
    static const char *const names[TEXTS] = {
        "RESOURCE", "ISSUER", "CLIENT", "SECRET", "AUDIT", "LUA", NULL, NULL, NULL
    };

    for (size_t i = 0; i < TEXTS; i++)
        if (names[i] != NULL && dep_str_eq_c(name, names[i])) {
            dep_buf_put(buf, values->text[i]);
            return;
        }
    if (dep_str_eq(name, DEP_STR("GUARD")))
        values->proxy->put(buf, &values->guard);
    else if (dep_str_eq(name, DEP_STR("UPSTREAM")))
        values->proxy->put(buf, &values->upstream);
    else if (dep_str_eq(name, DEP_STR("LISTEN")))
        values->proxy->put(buf, &values->listen);
    else if (dep_str_eq(name, DEP_STR("LISTEN_HOST")))
        dep_buf_put(buf, values->listen.host);
    else if (dep_str_eq(name, DEP_STR("LISTEN_PORT")))
        dep_buf_put(buf, values->listen.port);
    else if (dep_str_eq(name, DEP_STR("PATH")))
        put_path(buf, values->path);
    else if (dep_str_eq(name, DEP_STR("TLS")))
        put_tls(buf, values->proxy, values->text[TLS]);
    else if (dep_str_eq(name, DEP_STR("LEDGER")))
        put_ledger(buf, values->text[LEDGER]);
    else if (dep_str_eq(name, DEP_STR("SCHEME")))
        dep_buf_put_c(buf, values->text[TLS].len > 0 ? "https" : "http");
    else if (dep_str_eq(name, DEP_STR("CERTIFICATES")))
        dep_buf_put_c(buf, values->text[TLS].len > 0
                               ? "deputy_client_cert tls;"
                               : "# deputy_client_cert tls; for tokens that are bound to a client certificate");
    else if (dep_str_eq(name, DEP_STR("SCOPE")))
        put_scope(buf, values->text[SCOPE]);
    else if (dep_str_eq(name, DEP_STR("LOOPBACK")))
        dep_buf_put_c(buf, dep_str_starts(values->text[ISSUER], DEP_STR("http://"))
                               ? "deputy_loopback on; # the issuer is on this machine"
                               : "# deputy_private on; for an issuer on a private address");
    else
        DEP_ASSERT(false);
}

static struct dep_str template_of(const struct proxy *proxy)
{
    const struct dep_embedded *one = dep_embedded;

    while (one->name != NULL && strcmp(one->name, proxy->file) != 0)
        one++;
    DEP_ASSERT(one->name != NULL);
    return dep_str_c(one->text);
}

/* The length of the name at the start of "NAME@…"; 0 when that is none: '@' has other uses in these files. */
static size_t name_len(struct dep_str text)
{
    size_t len = 0;

    while (len < text.len && ((text.ptr[len] >= 'A' && text.ptr[len] <= 'Z') || text.ptr[len] == '_'))
        len++;
    return len < text.len && text.ptr[len] == '@' ? len : 0;
}

static void fill(struct dep_buf *buf, struct dep_str text, const struct values *values)
{
    size_t at;

    while (values->proxy->put != NULL && (at = dep_str_find(text, '@')) < text.len) {
        struct dep_str rest = dep_str_sub(text, at + 1, text.len);
        size_t len = name_len(rest);

        dep_buf_put(buf, dep_str_sub(text, 0, len > 0 ? at : at + 1));
        if (len > 0) {
            put_value(buf, values, dep_str_sub(rest, 0, len));
            rest = dep_str_sub(rest, len + 1, rest.len);
        }
        text = rest;
    }
    dep_buf_put(buf, text);
}

static int find_proxy(struct dep_cli *cli, const struct proxy **ret_proxy)
{
    const char *names[DEP_CLI_COUNT(proxies)];
    const char *nearest;

    for (size_t i = 0; i < DEP_CLI_COUNT(proxies); i++) {
        names[i] = proxies[i].name;
        if (strcmp(cli->args[0], proxies[i].name) == 0) {
            *ret_proxy = &proxies[i];
            return DEP_EXIT_OK;
        }
    }
    nearest = dep_nearest(cli->args[0], names, DEP_CLI_COUNT(proxies));
    dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_arguments", "there is no snippet for '%s'", cli->args[0]);
    if (nearest != NULL)
        dep_cli_suggest(cli, "did you mean deputy guard snippet %s?", nearest);
    for (size_t i = 0; i < DEP_CLI_COUNT(proxies) && nearest == NULL; i++)
        dep_cli_suggest(cli, "deputy guard snippet %s", names[i]);
    return DEP_EXIT_USAGE;
}

static int read_values(struct dep_cli *cli, struct values *values)
{
    int code = find_proxy(cli, &values->proxy);

    if (code != DEP_EXIT_OK)
        return code;

    bool takes_unix = (values->proxy->marks & TAKES_UNIX) != 0;

    code = read_texts(cli, values);
    if (code == DEP_EXIT_OK)
        code =
            read_address(cli, "guard", takes_unix ? "unix:/run/deputy/guard.sock" : "127.0.0.1:8694", &values->guard);
    if (code == DEP_EXIT_OK)
        code = read_address(cli, "upstream", "127.0.0.1:8080", &values->upstream);
    if (code == DEP_EXIT_OK)
        code = read_address(cli, "listen", "127.0.0.1:8000", &values->listen);
    if (code == DEP_EXIT_OK && values->text[TLS].len > 0 && values->proxy->tls == NULL)
        return bad(cli, "tls", "this proxy listens where its own entry points say; they end TLS too");
    if (code == DEP_EXIT_OK && values->listen.is_unix && (values->proxy->marks & LISTENS_UNIX) == 0)
        code = bad(cli, "listen", "HOST:PORT for this proxy");
    if (code == DEP_EXIT_OK && values->guard.is_unix && !takes_unix)
        code = bad(cli, "guard", "HOST:PORT for this proxy; let the guard --listen there too");
    if (code == DEP_EXIT_OK && values->upstream.is_unix && !takes_unix)
        code = bad(cli, "upstream", "HOST:PORT for this proxy");
    return code;
}

int dep_snippet_run(struct dep_cli *cli)
{
    struct values values = { 0 };
    struct dep_buf buf;
    int code = read_values(cli, &values);

    if (code != DEP_EXIT_OK)
        return code;
    dep_buf_init_arena(&buf, &cli->arena, SNIPPET_MAX);
    fill(&buf, template_of(values.proxy), &values);
    if (buf.has_failed)
        return dep_cli_fail_res(cli, DEP_EXIT_GENERAL, DEP_FAIL(BUF_FULL), "the snippet");
    fwrite(dep_buf_str(&buf).ptr, 1, buf.len, cli->out);
    return DEP_EXIT_OK;
}

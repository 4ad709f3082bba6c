/* Settings: the configuration as decisions see it, with the documents and keys that follow from it. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/b64.h"
#include "base/url.h"
#include "server/server.h"

#define METADATA_BYTES_MAX 8192u
#define NONCE_WINDOW_S 60

/* Opens a file that only its owner may read. */
static int open_private(const char *path, char message[DEP_CONFIG_MESSAGE_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: %s", path, strerror(errno));
    } else if (info.st_mode & 077) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX,
                       "%s: permissions %04o are too open: this file must not be accessible by others; run chmod 600",
                       path, (unsigned)(info.st_mode & 07777));
    } else {
        return fd;
    }
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static size_t without_line_ends(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    return len;
}

struct dep_res dep_private_file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
                                     char message[DEP_CONFIG_MESSAGE_MAX])
{
    int fd = open_private(path, message);
    char *text = fd < 0 ? NULL : calloc(1, max + 1);
    ssize_t len = text == NULL ? -1 : read(fd, text, max + 1);

    if (fd < 0)
        return DEP_FAIL(KEY_FILE);
    (void)close(fd);
    if (len > 0 && (size_t)len <= max) {
        *ret_text = text;
        *ret_len = without_line_ends(text, (size_t)len);
        return DEP_OK;
    }
    (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: cannot be read, is empty, or is longer than %zu bytes", path,
                   max);
    if (text != NULL)
        dep_wipe(text, max + 1);
    free(text);
    return DEP_FAIL(KEY_FILE);
}

struct dep_res dep_key_file_read(const char *path, unsigned char ret_key[32], char message[DEP_CONFIG_MESSAGE_MAX])
{
    int fd = open_private(path, message);
    struct dep_res res = DEP_FAIL(KEY_FILE);
    char text[64];
    ssize_t len;

    if (fd < 0)
        return res;
    len = read(fd, text, sizeof(text));
    (void)close(fd);
    if (len == 32) {
        memcpy(ret_key, text, 32);
        res = DEP_OK;
    } else if (len > 0 &&
               dep_is_ok(dep_b64url_decode_exact(dep_str(text, without_line_ends(text, (size_t)len)), ret_key, 32))) {
        res = DEP_OK;
    } else {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: needs exactly 32 bytes, raw or as base64url", path);
    }
    dep_wipe(text, sizeof(text));
    return res;
}

static void put_list(struct dep_json_writer *writer, const char *name, const char *const *items, size_t count)
{
    dep_json_name(writer, name);
    dep_json_open(writer, '[');
    for (size_t i = 0; i < count; i++)
        dep_json_put_str(writer, dep_str_c(items[i]));
    dep_json_close(writer, ']');
}
#define LIST(writer, name, ...)                                      \
    put_list((writer), (name), (const char *const[]){ __VA_ARGS__ }, \
             sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void put_url(struct dep_json_writer *writer, const char *name, const char *issuer, const char *path)
{
    char url[1200];

    (void)snprintf(url, sizeof(url), "%s%s", issuer, path);
    dep_json_member(writer, name, dep_str_c(url));
}

#define SECRETS "client_secret_basic", "client_secret_post", "private_key_jwt"

/* The methods of client authentication at one endpoint (rfc8414#2, rfc8705#2). */
static void put_methods(struct dep_json_writer *writer, const struct dep_settings *settings, const char *name,
                        bool has_spiffe)
{
    const char *methods[8] = { SECRETS };
    size_t count = 3;

    if (has_spiffe)
        methods[count++] = "spiffe_jwt";
    if (settings->certificates.trust != NULL)
        methods[count++] = "tls_client_auth";
    if (dep_config_has_client_certificates(settings->config))
        methods[count++] = "self_signed_tls_client_auth";
    put_list(writer, name, methods, count);
}

/* rfc8414#2; only what works is advertised. */
static bool write_metadata(struct dep_settings *settings)
{
    const char *issuer = settings->config->issuer;
    struct dep_json_writer writer;
    struct dep_buf buf;

    settings->metadata = malloc(METADATA_BYTES_MAX);
    if (settings->metadata == NULL)
        return false;
    dep_buf_init(&buf, settings->metadata, METADATA_BYTES_MAX);
    dep_json_begin(&writer, &buf);
    dep_json_open(&writer, '{');
    dep_json_member(&writer, "issuer", dep_str_c(issuer));
    /* rfc8414#2 lets a server without such a grant leave it out; the schema of MCP's SDK does not. Nothing is there: 404. */
    put_url(&writer, "authorization_endpoint", issuer, "/oauth/authorize");
    put_url(&writer, "token_endpoint", issuer, "/oauth/token");
    put_url(&writer, "jwks_uri", issuer, "/.well-known/jwks.json");
    put_url(&writer, "introspection_endpoint", issuer, "/oauth/introspect");
    put_url(&writer, "revocation_endpoint", issuer, "/oauth/revoke");
    dep_json_name(&writer,
                  "response_types_supported"); /* required by rfc8414#2, also of a server without such a grant */
    dep_json_open(&writer, '[');
    dep_json_close(&writer, ']');
    LIST(&writer, "grant_types_supported", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange",
         "urn:ietf:params:oauth:grant-type:jwt-bearer");
    LIST(&writer, "authorization_grant_profiles_supported", "urn:ietf:params:oauth:grant-profile:id-jag");
    LIST(&writer, "identity_chaining_requested_token_types_supported", "urn:ietf:params:oauth:token-type:id-jag",
         "urn:ietf:params:oauth:token-type:jwt");
    put_methods(&writer, settings, "token_endpoint_auth_methods_supported", true);
    LIST(&writer, "token_endpoint_auth_signing_alg_values_supported", "ES256", "EdDSA", "Ed25519", "RS256", "PS256");
    put_methods(&writer, settings, "introspection_endpoint_auth_methods_supported", false);
    LIST(&writer, "introspection_endpoint_auth_signing_alg_values_supported", "ES256", "EdDSA", "Ed25519", "RS256",
         "PS256");
    put_methods(&writer, settings, "revocation_endpoint_auth_methods_supported", false);
    LIST(&writer, "revocation_endpoint_auth_signing_alg_values_supported", "ES256", "EdDSA", "Ed25519", "RS256",
         "PS256");
    if (settings->config->dpop_rsa)
        LIST(&writer, "dpop_signing_alg_values_supported", "ES256", "EdDSA", "Ed25519", "PS256", "RS256");
    else
        LIST(&writer, "dpop_signing_alg_values_supported", "ES256", "EdDSA", "Ed25519");
    if (dep_config_has_client_certificates(settings->config))
        dep_json_member_bool(&writer, "tls_client_certificate_bound_access_tokens", true);
    dep_json_close(&writer, '}');
    settings->metadata_len = buf.len;
    return !buf.has_failed;
}

/* issuer + path, normalised, in `space`, which is as large as the settings' URLs. */
static struct dep_res make_url(const char *issuer, const char *path, char space[1200], struct dep_str *ret_url)
{
    _Alignas(16) unsigned char memory[8192];
    struct dep_arena arena;
    struct dep_str url;
    char raw[1200];

    dep_arena_init(&arena, memory, sizeof(memory));
    (void)snprintf(raw, sizeof(raw), "%s%s", issuer, path);
    DEP_TRY(dep_url_normalise(&arena, dep_str_c(raw), &url));
    DEP_ASSERT(url.len < 1200);
    memcpy(space, url.ptr, url.len);
    *ret_url = dep_str(space, url.len);
    return DEP_OK;
}

static struct dep_res fill(struct dep_crypto *crypto, int64_t fence, struct dep_settings *settings,
                           char message[DEP_CONFIG_MESSAGE_MAX])
{
    const struct dep_config *config = settings->config;
    struct dep_str token_url, agents_url;

    (void)crypto;
    if (config->nonce_key_file != NULL)
        DEP_TRY(dep_key_file_read(config->nonce_key_file, settings->nonce_key, message));
    else
        dep_random(settings->nonce_key, sizeof(settings->nonce_key));
    DEP_TRY(dep_client_certificates_open(config, &settings->certificates, message));
    DEP_TRY(make_url(config->issuer, "/oauth/token", settings->token_url, &token_url));
    DEP_TRY(make_url(config->issuer, "/oauth/agents", settings->agents_url, &agents_url));
    settings->nonce = (struct dep_nonce_policy){
        .key = dep_secret(settings->nonce_key, sizeof(settings->nonce_key)),
        .purpose = token_url,
        .window_s = NONCE_WINDOW_S,
    };
    settings->policy = (struct dep_policy){
        .issuer = dep_str_c(config->issuer),
        .token_url = token_url,
        .agents_url = agents_url,
        .token_lifetime_s = config->access_token_lifetime_s,
        .assertion_lifetime_s = 300,
        .skew_s = 30,
        .fence = fence,
        .dpop = {
            .age_max_s = config->dpop_age_max_s,
            .skew_s = config->dpop_skew_s,
            .fence = fence,
            .needs_nonce = config->dpop_needs_nonce,
            .algs = config->dpop_rsa ? DEP_ALGS_DPOP_RSA : DEP_ALGS_DPOP,
            .nonce = &settings->nonce,
        },
        .client_trust = settings->certificates.trust,
    };
    return write_metadata(settings) ? DEP_OK : DEP_FAIL(ARENA_FULL);
}

struct dep_res dep_settings_new(struct dep_crypto *crypto, struct dep_config *config, int64_t fence,
                                struct dep_settings **ret_settings, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_settings *settings = calloc(1, sizeof(*settings));
    struct dep_res res;

    if (settings == NULL)
        return DEP_FAIL(ARENA_FULL);
    atomic_init(&settings->references, 1);
    settings->config = config;
    res = fill(crypto, fence, settings, message);
    if (!dep_is_ok(res)) {
        settings->config = NULL;
        dep_settings_unref(settings);
        return res;
    }
    *ret_settings = settings;
    return DEP_OK;
}

struct dep_settings *dep_settings_ref(struct dep_settings *settings)
{
    if (settings != NULL)
        (void)atomic_fetch_add(&settings->references, 1);
    return settings;
}

void dep_settings_unref(struct dep_settings *settings)
{
    if (settings == NULL || atomic_fetch_sub(&settings->references, 1) != 1)
        return;
    dep_wipe(settings->nonce_key, sizeof(settings->nonce_key));
    dep_client_certificates_done(&settings->certificates);
    dep_config_free(settings->config);
    free(settings->metadata);
    free(settings);
}

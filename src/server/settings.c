/* Settings: the configuration as decisions see it, with the documents and keys that follow from it. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "server/files.h"
#include "server/server.h"

#define METADATA_BYTES_MAX 8192u
#define NONCE_WINDOW_S 60

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

    if (settings->config->login_header != NULL)
        methods[count++] = "none";
    if (has_spiffe)
        methods[count++] = "spiffe_jwt";
    if (settings->certificates.trust != NULL)
        methods[count++] = "tls_client_auth";
    if (dep_config_has_client_certificates(settings->config))
        methods[count++] = "self_signed_tls_client_auth";
    put_list(writer, name, methods, count);
}

#define OWN_GRANTS                                                           \
    "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", \
        "urn:ietf:params:oauth:grant-type:jwt-bearer"

/* What users' consent adds, where they log in. response_types_supported is required of every server (rfc8414#2). */
static void put_grants(struct dep_json_writer *writer, const struct dep_config *config)
{
    if (config->login_header == NULL) {
        put_list(writer, "response_types_supported", NULL, 0);
        LIST(writer, "grant_types_supported", OWN_GRANTS);
        return;
    }
    put_url(writer, "pushed_authorization_request_endpoint", config->issuer, "/oauth/par");
    LIST(writer, "response_types_supported", "code");
    LIST(writer, "response_modes_supported", "query");
    LIST(writer, "grant_types_supported", OWN_GRANTS, "authorization_code", "refresh_token");
    LIST(writer, "code_challenge_methods_supported", "S256");
    dep_json_member_bool(writer, "authorization_response_iss_parameter_supported", true);
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
    /* rfc8414#2 lets a server without such a grant leave it out; the schema of MCP's SDK does not. Without login_header nothing is there. */
    put_url(&writer, "authorization_endpoint", issuer, "/oauth/authorize");
    put_url(&writer, "token_endpoint", issuer, "/oauth/token");
    put_url(&writer, "jwks_uri", issuer, "/.well-known/jwks.json");
    put_url(&writer, "introspection_endpoint", issuer, "/oauth/introspect");
    put_url(&writer, "revocation_endpoint", issuer, "/oauth/revoke");
    put_grants(&writer, settings->config);
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

#define CODE_S 60
#define PUSHED_S 60
#define PAGE_S 300

static struct dep_res fill_consent(const unsigned char ticket_key[DEP_TICKET_KEY_LEN], struct dep_settings *settings,
                                   char message[DEP_CONFIG_MESSAGE_MAX])
{
    const struct dep_config *config = settings->config;
    struct dep_consent_policy *consent = &settings->policy.consent;

    if (config->ticket_key_file != NULL)
        DEP_TRY(dep_key_file_read(config->ticket_key_file, settings->ticket_key, message));
    else
        memcpy(settings->ticket_key, ticket_key, sizeof(settings->ticket_key));
    *consent = (struct dep_consent_policy){
        .login_header = dep_str_c(config->login_header),
        .key = dep_secret(settings->ticket_key, sizeof(settings->ticket_key)),
        .code_s = CODE_S,
        .pushed_s = PUSHED_S,
        .page_s = PAGE_S,
        .refresh_s = config->refresh_lifetime_s,
    };
    return make_url(config->issuer, "/oauth/par", settings->par_url, &consent->par_url);
}

static struct dep_res fill(const unsigned char ticket_key[DEP_TICKET_KEY_LEN], int64_t fence,
                           struct dep_settings *settings, char message[DEP_CONFIG_MESSAGE_MAX])
{
    const struct dep_config *config = settings->config;
    struct dep_str token_url, agents_url;

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
    DEP_TRY(fill_consent(ticket_key, settings, message));
    return write_metadata(settings) ? DEP_OK : DEP_FAIL(ARENA_FULL);
}

struct dep_res dep_settings_new(struct dep_config *config, const unsigned char ticket_key[DEP_TICKET_KEY_LEN],
                                int64_t fence, struct dep_settings **ret_settings, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_settings *settings = calloc(1, sizeof(*settings));
    struct dep_res res;

    if (settings == NULL)
        return DEP_FAIL(ARENA_FULL);
    atomic_init(&settings->references, 1);
    settings->config = config;
    res = fill(ticket_key, fence, settings, message);
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
    dep_wipe(settings->ticket_key, sizeof(settings->ticket_key));
    dep_client_certificates_done(&settings->certificates);
    dep_config_free(settings->config);
    free(settings->metadata);
    free(settings);
}

/* The daemon's configuration. One row per key: the schema is the table, and unknown keys are measured against it. */
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "base/url.h"
#include "server/files.h"
#include "yaml/yaml.h"

#define FILE_BYTES_MAX 65536u

#define TEXT(key) \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct dep_config, key, 1, 1024)
#define NUMBER(key) CYAML_FIELD_INT(#key, CYAML_FLAG_OPTIONAL, struct dep_config, key)
#define FLAG(key) CYAML_FIELD_BOOL(#key, CYAML_FLAG_OPTIONAL, struct dep_config, key)

static const cyaml_schema_value_t uid = { CYAML_VALUE_INT(CYAML_FLAG_DEFAULT, int64_t) };

static const cyaml_schema_value_t address = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 64) };

static const cyaml_schema_field_t fields[] = {
    TEXT(issuer),
    TEXT(listen),
    TEXT(tls_certificate_file),
    TEXT(tls_key_file),
    TEXT(data_dir),
    TEXT(admin_socket),
    CYAML_FIELD_SEQUENCE("admin_uids", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct dep_config, admin_uids, &uid, 0,
                         DEP_ADMIN_UIDS_MAX),
    TEXT(key_encryption_key_file),
    TEXT(issuers_ca_file),
    TEXT(client_certificates),
    CYAML_FIELD_SEQUENCE("client_certificates_from", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct dep_config,
                         client_certificates_from, &address, 0, DEP_CLIENT_CERTIFICATES_FROM_MAX),
    TEXT(client_ca_file),
    TEXT(nonce_key_file),
    TEXT(signing_alg),
    NUMBER(workers),
    NUMBER(connections_max),
    NUMBER(access_token_lifetime_s),
    NUMBER(dpop_age_max_s),
    NUMBER(dpop_skew_s),
    NUMBER(replay_entries_max),
    TEXT(replay),
    FLAG(replay_alone),
    NUMBER(replay_timeout_ms),
    TEXT(login_header),
    CYAML_FIELD_SEQUENCE("login_from", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct dep_config, login_from,
                         &address, 0, DEP_CLIENT_CERTIFICATES_FROM_MAX),
    TEXT(ticket_key_file),
    NUMBER(refresh_lifetime_s),
    FLAG(dpop_needs_nonce),
    FLAG(dpop_rsa),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct dep_config, fields),
};

/* Numbers that are left out, and what they may be. */
static const struct {
    const char *key;
    size_t offset;
    int64_t standard, min, max;
} numbers[] = {
    { "workers", offsetof(struct dep_config, workers), 2, 1, 64 },
    { "connections_max", offsetof(struct dep_config, connections_max), 1024, 16, 65536 },
    { "access_token_lifetime_s", offsetof(struct dep_config, access_token_lifetime_s), 300, 10, 3600 },
    { "dpop_age_max_s", offsetof(struct dep_config, dpop_age_max_s), 60, 5, 300 },
    { "dpop_skew_s", offsetof(struct dep_config, dpop_skew_s), 10, 1, 60 },
    { "replay_entries_max", offsetof(struct dep_config, replay_entries_max), 4000000, 1000, 100000000 },
    { "refresh_lifetime_s", offsetof(struct dep_config, refresh_lifetime_s), 2592000, 600, 31536000 },
    { "replay_timeout_ms", offsetof(struct dep_config, replay_timeout_ms), 2000, 100, 30000 },
};

/* A 0 that stands in the file is not left out: it stays, and is out of range. `text` is absent without a file. */
static void set_standard(struct dep_config *config, struct dep_str text)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t *value = (int64_t *)(void *)((char *)config + numbers[i].offset);

        if (dep_str_is_absent(text) || (*value == 0 && dep_yaml_line_of(text, numbers[i].key, 1, 0) == 0))
            *value = numbers[i].standard;
    }
}

/* The issuer is compared byte for byte by every client: no slash at the end, nothing after the path (rfc8414#2). */
static const char *check_issuer(const char *issuer)
{
    struct dep_url url;

    if (issuer == NULL)
        return "issuer is missing: the URL by which clients know this server";
    if (!dep_is_ok(dep_url_parse(dep_str_c(issuer), &url)) || !dep_str_is_absent(url.query) ||
        !dep_str_is_absent(url.fragment) || !dep_str_is_absent(url.userinfo))
        return "issuer is not a URL without query and fragment";
    if (dep_str_ends(dep_str_c(issuer), DEP_STR("/")))
        return "issuer ends with a slash; leave it out, clients compare byte for byte";
    if (dep_str_eq(url.scheme, DEP_STR("https")) ||
        (dep_str_eq(url.scheme, DEP_STR("http")) && dep_url_is_loopback(&url)))
        return NULL;
    return "issuer must be https, or http on 127.0.0.1, [::1] or localhost";
}

static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 && text[len] != '\0' ? text + len : NULL;
}

const char *dep_config_replay_sqlite(const struct dep_config *config)
{
    return after(config->replay, "sqlite:");
}

const char *dep_config_replay_postgres(const struct dep_config *config)
{
    return after(config->replay, "postgresql:file:");
}

bool dep_config_has_client_certificates(const struct dep_config *config)
{
    return strcmp(config->client_certificates, "none") != 0;
}

bool dep_config_is_login_peer(const struct dep_config *config, struct dep_str peer)
{
    for (unsigned i = 0; i < config->login_from_count; i++)
        if (dep_str_eq_c(peer, config->login_from[i]))
            return true;
    return false;
}

bool dep_config_asks_certificates(const struct dep_config *config)
{
    return strcmp(config->client_certificates, "tls") == 0;
}

static const char *check_tls(const struct dep_config *config)
{
    if ((config->tls_certificate_file == NULL) != (config->tls_key_file == NULL))
        return "tls_certificate_file and tls_key_file come together or not at all";
    if (config->tls_certificate_file != NULL && !dep_str_starts(dep_str_c(config->issuer), DEP_STR("https:")))
        return "issuer is plain http, and tls_certificate_file says that listen speaks TLS";
    if (dep_config_asks_certificates(config) && config->tls_certificate_file == NULL)
        return "client_certificates: tls needs tls_certificate_file and tls_key_file";
    return NULL;
}

static bool are_peers(char *const *peers, unsigned count)
{
    unsigned char bytes[DEP_IP_BYTES_MAX];

    for (unsigned i = 0; i < count; i++)
        if (strcmp(peers[i], "unix") != 0 && dep_ip_parse(dep_str_c(peers[i]), bytes) == 0)
            return false;
    return true;
}

/* A key that would be passed over in silence looks like protection and is none. */
static const char *check_client_certificates(const struct dep_config *config)
{
    bool is_proxy = strcmp(config->client_certificates, "proxy") == 0;

    if (!is_proxy && !dep_config_asks_certificates(config) && dep_config_has_client_certificates(config))
        return "client_certificates may be none, proxy or tls";
    if (!is_proxy && config->client_certificates_from != NULL)
        return "client_certificates_from is read with client_certificates: proxy only";
    if (!dep_config_has_client_certificates(config) && config->client_ca_file != NULL)
        return "client_ca_file is of no use without client_certificates";
    if (is_proxy && config->client_certificates_from_count == 0)
        return "client_certificates_from is missing: the addresses of the proxies whose Client-Cert header counts";
    if (!are_peers(config->client_certificates_from, config->client_certificates_from_count))
        return "client_certificates_from may have IP addresses, one by one, and unix";
    return NULL;
}

static const char *check_login(const struct dep_config *config)
{
    if (config->ticket_key_file != NULL && config->login_header == NULL)
        return "ticket_key_file is of no use without login_header";
    if ((config->login_header == NULL) != (config->login_from_count == 0))
        return "login_header and login_from come together: the header, and the addresses of the proxies that may send "
               "it";
    if (!are_peers(config->login_from, config->login_from_count))
        return "login_from may have IP addresses, one by one, and unix";
    for (const char *c = config->login_header; c != NULL && *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-'))
            return "login_header is the name of a header: letters, digits and hyphens";
    return NULL;
}

static struct dep_res check(const char *path, const struct dep_config *config, char *message)
{
    const char *fault = check_issuer(config->issuer);

    if (fault == NULL && config->data_dir == NULL)
        fault = "data_dir is missing: where the store and the audit log live";
    /* Not repeated: somebody may have written a connection string. */
    if (fault == NULL && strcmp(config->replay, "memory") != 0 && dep_config_replay_sqlite(config) == NULL &&
        dep_config_replay_postgres(config) == NULL)
        fault = "replay may be memory, sqlite:FILE or postgresql:file:FILE, where FILE holds the connection string";
    if (fault == NULL)
        fault = check_tls(config);
    if (fault == NULL)
        fault = check_client_certificates(config);
    if (fault == NULL)
        fault = check_login(config);
    if (fault != NULL) {
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: %s", path, fault);
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    for (size_t i = 0; i < config->admin_uids_count; i++) {
        /* The last number is the kernel's "nobody at all". */
        if (config->admin_uids[i] >= 0 && config->admin_uids[i] < UINT32_MAX)
            continue;
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: admin_uids has %lld, which is no user id", path,
                       (long long)config->admin_uids[i]);
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t value = *(const int64_t *)(const void *)((const char *)config + numbers[i].offset);

        if (value >= numbers[i].min && value <= numbers[i].max)
            continue;
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: %s is %lld; it may be %lld to %lld", path, numbers[i].key,
                       (long long)value, (long long)numbers[i].min, (long long)numbers[i].max);
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    return DEP_OK;
}

static bool fill_texts(struct dep_config *config)
{
    char socket[1200];

    if (config->listen == NULL)
        config->listen = strdup("127.0.0.1:8693");
    if (config->signing_alg == NULL)
        config->signing_alg = strdup("ES256");
    if (config->replay == NULL)
        config->replay = strdup("memory");
    if (config->client_certificates == NULL)
        config->client_certificates = strdup("none");
    if (config->admin_socket == NULL && config->data_dir != NULL) {
        (void)snprintf(socket, sizeof(socket), "%s/admin.sock", config->data_dir);
        config->admin_socket = strdup(socket);
    }
    return config->listen != NULL && config->signing_alg != NULL && config->replay != NULL &&
           config->client_certificates != NULL;
}

static struct dep_res read_config(const char *path, struct dep_str text, struct dep_config **ret_config,
                                  char message[DEP_CONFIG_MESSAGE_MAX])
{
    static const cyaml_schema_field_t *const tables[] = { fields };
    const struct dep_yaml_source source = { path, text, "deputyd(8)", tables, 1 };
    struct dep_config *config;
    void *value = NULL;
    struct dep_res res;

    DEP_TRY(dep_yaml_read(&source, &schema, &value, message));
    config = value;
    set_standard(config, text);
    res = fill_texts(config) ? check(path, config, message) : DEP_FAIL(ARENA_FULL);
    if (!dep_is_ok(res)) {
        dep_config_free(config);
        return res;
    }
    *ret_config = config;
    return DEP_OK;
}

struct dep_res dep_config_load(const char *path, struct dep_config **ret_config, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct dep_res res;
    char *text = NULL;
    size_t len = 0;

    if (!dep_is_ok(dep_public_file_read("", path, FILE_BYTES_MAX, &text, &len, message)))
        return DEP_FAIL(CONFIG_SYNTAX);
    res = read_config(path, dep_str(text, len), ret_config, message);
    free(text);
    return res;
}

struct dep_res dep_config_dev(struct dep_config **ret_config)
{
    struct dep_config *config = calloc(1, sizeof(*config));

    if (config == NULL)
        return DEP_FAIL(ARENA_FULL);
    set_standard(config, DEP_STR_ABSENT);
    config->issuer = strdup("http://127.0.0.1:8693");
    config->data_dir = strdup("./deputy-data");
    if (config->issuer == NULL || config->data_dir == NULL || !fill_texts(config)) {
        dep_config_free(config);
        return DEP_FAIL(ARENA_FULL);
    }
    *ret_config = config;
    return DEP_OK;
}

void dep_config_free(struct dep_config *config)
{
    if (config == NULL)
        return;
    free(config->issuer);
    free(config->listen);
    free(config->data_dir);
    free(config->admin_socket);
    free(config->admin_uids);
    free(config->key_encryption_key_file);
    free(config->issuers_ca_file);
    for (size_t i = 0; i < config->client_certificates_from_count; i++)
        free(config->client_certificates_from[i]);
    free(config->client_certificates_from);
    free(config->client_certificates);
    free(config->client_ca_file);
    free(config->tls_certificate_file);
    free(config->tls_key_file);
    free(config->nonce_key_file);
    free(config->login_header);
    for (unsigned i = 0; i < config->login_from_count; i++)
        free(config->login_from[i]);
    free(config->login_from);
    free(config->ticket_key_file);
    free(config->signing_alg);
    free(config->replay);
    free(config);
}

struct dep_str dep_config_issuer_path(const struct dep_config *config)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(dep_str_c(config->issuer), &url)) ? url.path : DEP_STR("");
}

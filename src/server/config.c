/* The daemon's configuration. One row per key: the schema is the table, and unknown keys are measured against it. */
#include "server/config.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/url.h"

#define TEXT(key) \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct dep_config, key, 1, 1024)
#define NUMBER(key) CYAML_FIELD_INT(#key, CYAML_FLAG_OPTIONAL, struct dep_config, key)
#define FLAG(key) CYAML_FIELD_BOOL(#key, CYAML_FLAG_OPTIONAL, struct dep_config, key)

static const cyaml_schema_value_t uid = { CYAML_VALUE_INT(CYAML_FLAG_DEFAULT, int64_t) };

static const cyaml_schema_field_t fields[] = {
    TEXT(issuer),
    TEXT(listen),
    TEXT(data_dir),
    TEXT(admin_socket),
    CYAML_FIELD_SEQUENCE("admin_uids", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct dep_config, admin_uids, &uid, 0,
                         DEP_ADMIN_UIDS_MAX),
    TEXT(key_encryption_key_file),
    TEXT(issuers_ca_file),
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
    { "replay_timeout_ms", offsetof(struct dep_config, replay_timeout_ms), 2000, 100, 30000 },
};

struct log {
    char unknown[128];
    char first[256];
    unsigned line;
};

/* libcyaml tells by log lines: the fault first, then a backtrace with the place. */
__attribute__((format(printf, 3, 0))) static void take_log(cyaml_log_t level, void *context, const char *format,
                                                           va_list arguments)
{
    struct log *log = context;
    char line[512];
    const char *at;

    (void)level;
    (void)vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    at = strstr(line, "Unexpected key: ");
    if (at != NULL)
        (void)snprintf(log->unknown, sizeof(log->unknown), "%.127s", at + strlen("Unexpected key: "));
    at = strstr(line, "line: ");
    if (at != NULL) {
        if (log->line == 0)
            for (at += strlen("line: "); *at >= '0' && *at <= '9'; at++)
                log->line = log->line * 10 + (unsigned)(*at - '0');
    } else if (log->first[0] == '\0' && strstr(line, "Backtrace") == NULL) {
        (void)snprintf(log->first, sizeof(log->first), "%.255s", line);
    }
}

static const char *closest(const char *unknown)
{
    const char *keys[sizeof(fields) / sizeof(fields[0])];
    size_t count = 0;

    for (const cyaml_schema_field_t *field = fields; field->key != NULL; field++)
        keys[count++] = field->key;
    return dep_nearest(unknown, keys, count);
}

/* libcyaml names the place of the mapping, not of the key. */
static unsigned line_of(const char *path, const char *key, unsigned otherwise)
{
    FILE *file = fopen(path, "re");
    char text[1024];
    unsigned line = 0, found = 0;

    if (file == NULL)
        return otherwise;
    while (found == 0 && fgets(text, sizeof(text), file) != NULL) {
        struct dep_str row = dep_str_trim(dep_str_c(text));

        line++;
        if (dep_str_starts(row, dep_str_c(key)) && dep_str_starts(dep_str_sub(row, strlen(key), 1), DEP_STR(":")))
            found = line;
    }
    (void)fclose(file);
    return found == 0 ? otherwise : found;
}

static void tell(char *message, const char *path, const struct log *log, const char *fault)
{
    const char *near = log->unknown[0] == '\0' ? NULL : closest(log->unknown);

    unsigned line = log->unknown[0] == '\0' ? log->line : line_of(path, log->unknown, log->line);

    if (near != NULL)
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s:%u: unknown key '%s'; did you mean '%s'?", path, line,
                       log->unknown, near);
    else if (log->unknown[0] != '\0')
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s:%u: unknown key '%s'; see deputyd(8) for all keys", path,
                       line, log->unknown);
    else if (log->line > 0)
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s:%u: %s", path, log->line,
                       log->first[0] != '\0' ? log->first : fault);
    else
        (void)snprintf(message, DEP_CONFIG_MESSAGE_MAX, "%s: %s", path, log->first[0] != '\0' ? log->first : fault);
}

/* A 0 that stands in the file is not left out: it stays, and is out of range. `path` is NULL without a file. */
static void set_standard(struct dep_config *config, const char *path)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t *value = (int64_t *)(void *)((char *)config + numbers[i].offset);

        if (path == NULL || (*value == 0 && line_of(path, numbers[i].key, 0) == 0))
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

static struct dep_res check(const char *path, const struct dep_config *config, char *message)
{
    const char *fault = check_issuer(config->issuer);

    if (fault == NULL && config->data_dir == NULL)
        fault = "data_dir is missing: where the store and the audit log live";
    /* Not repeated: somebody may have written a connection string. */
    if (fault == NULL && strcmp(config->replay, "memory") != 0 && dep_config_replay_sqlite(config) == NULL &&
        dep_config_replay_postgres(config) == NULL)
        fault = "replay may be memory, sqlite:FILE or postgresql:file:FILE, where FILE holds the connection string";
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
    if (config->admin_socket == NULL && config->data_dir != NULL) {
        (void)snprintf(socket, sizeof(socket), "%s/admin.sock", config->data_dir);
        config->admin_socket = strdup(socket);
    }
    return config->listen != NULL && config->signing_alg != NULL && config->replay != NULL;
}

struct dep_res dep_config_load(const char *path, struct dep_config **ret_config, char message[DEP_CONFIG_MESSAGE_MAX])
{
    struct log log = { 0 };
    const cyaml_config_t reader = {
        .log_fn = take_log,
        .log_ctx = &log,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_DEFAULT,
    };
    struct dep_config *config = NULL;
    cyaml_err_t err = cyaml_load_file(path, &reader, &schema, (cyaml_data_t **)(void *)&config, NULL);
    struct dep_res res;

    if (err != CYAML_OK) {
        tell(message, path, &log, cyaml_strerror(err));
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    if (config == NULL) {
        tell(message, path, &log, "the file is empty");
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    set_standard(config, path);
    res = fill_texts(config) ? check(path, config, message) : DEP_FAIL(ARENA_FULL);
    if (!dep_is_ok(res)) {
        dep_config_free(config);
        return res;
    }
    *ret_config = config;
    return DEP_OK;
}

struct dep_res dep_config_dev(struct dep_config **ret_config)
{
    struct dep_config *config = calloc(1, sizeof(*config));

    if (config == NULL)
        return DEP_FAIL(ARENA_FULL);
    set_standard(config, NULL);
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
    free(config->nonce_key_file);
    free(config->signing_alg);
    free(config->replay);
    free(config);
}

struct dep_str dep_config_issuer_path(const struct dep_config *config)
{
    struct dep_url url;

    return dep_is_ok(dep_url_parse(dep_str_c(config->issuer), &url)) ? url.path : DEP_STR("");
}

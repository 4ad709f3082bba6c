/* Settings by name, checked one by one where they come in and together before a guard is made. */
#include "lib/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "lib/rules.h"
#include "proto/scope.h"

enum kind { TEXT, NUMBER, SWITCH };

static const struct setting {
    const char *name;
    enum kind kind;
    int64_t min, max, otherwise;
} settings[DEP_SETTINGS] = {
#define DEP_SETTING(id, name, kind, min, max, otherwise) { name, kind, min, max, otherwise },
#include "lib/setting.def"
#undef DEP_SETTING
};

enum deputy_result dep_config_fault(struct deputy_config *config, const char *setting, const char *text)
{
    (void)snprintf(config->fault, sizeof(config->fault), "%s: %s", setting, text);
    return DEPUTY_ERR_SETTING;
}

struct deputy_config *deputy_config_new(void)
{
    struct deputy_config *config = calloc(1, sizeof(*config));

    for (size_t i = 0; config != NULL && i < DEP_SETTINGS; i++)
        config->numbers[i] = settings[i].otherwise;
    return config;
}

void deputy_config_free(struct deputy_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < DEP_SETTINGS; i++)
        free(config->texts[i]);
    dep_lib_rules_free(config->rules, config->rules == NULL ? 0 : config->rules_count);
    if (config->secret != NULL)
        dep_wipe(config->secret, config->secret_len);
    free(config->secret);
    dep_wipe(config->nonce_key, sizeof(config->nonce_key));
    free(config);
}

static enum deputy_result set_text(struct deputy_config *config, size_t i, const char *value)
{
    char *copy;

    if (value[0] == '\0') /* blank never means "any" */
        return dep_config_fault(config, settings[i].name, "an empty value; leave the setting out instead");
    copy = strdup(value);
    if (copy == NULL)
        return DEPUTY_ERR_MEMORY;
    free(config->texts[i]);
    config->texts[i] = copy;
    return DEPUTY_OK;
}

static enum deputy_result set_number(struct deputy_config *config, size_t i, struct dep_str value)
{
    char text[DEP_FAULT_MAX];

    if (dep_is_ok(dep_num_parse(value, settings[i].min, settings[i].max, &config->numbers[i])))
        return DEPUTY_OK;
    (void)snprintf(text, sizeof(text), "a whole number from %lld to %lld is needed", (long long)settings[i].min,
                   (long long)settings[i].max);
    return dep_config_fault(config, settings[i].name, text);
}

static enum deputy_result set_switch(struct deputy_config *config, size_t i, struct dep_str value)
{
    if (!dep_str_eq_c(value, "true") && !dep_str_eq_c(value, "false"))
        return dep_config_fault(config, settings[i].name, "\"true\" or \"false\" is needed");
    config->numbers[i] = dep_str_eq_c(value, "true");
    return DEPUTY_OK;
}

enum deputy_result deputy_config_set(struct deputy_config *config, const char *name, const char *value)
{
    if (config == NULL || name == NULL || value == NULL)
        return DEPUTY_ERR_ARGUMENT;
    config->fault[0] = '\0';
    for (size_t i = 0; i < DEP_SETTINGS; i++) {
        if (strcmp(settings[i].name, name) != 0)
            continue;
        switch (settings[i].kind) {
        case TEXT:
            return set_text(config, i, value);
        case NUMBER:
            return set_number(config, i, dep_str_c(value));
        case SWITCH:
            return set_switch(config, i, dep_str_c(value));
        }
    }
    return dep_config_fault(config, name, "there is no such setting; libdeputy(3) lists them");
}

static enum deputy_result set_secret(struct deputy_config *config, const void *bytes, size_t len)
{
    unsigned char *copy;

    if (len == 0)
        return dep_config_fault(config, "secret", "it is empty");
    copy = malloc(len);
    if (copy == NULL)
        return DEPUTY_ERR_MEMORY;
    memcpy(copy, bytes, len);
    if (config->secret != NULL)
        dep_wipe(config->secret, config->secret_len);
    free(config->secret);
    config->secret = copy;
    config->secret_len = len;
    return DEPUTY_OK;
}

enum deputy_result deputy_config_set_secret(struct deputy_config *config, const char *name, const void *bytes,
                                            size_t len)
{
    if (config == NULL || name == NULL || bytes == NULL)
        return DEPUTY_ERR_ARGUMENT;
    config->fault[0] = '\0';
    if (strcmp(name, "secret") == 0)
        return set_secret(config, bytes, len);
    if (strcmp(name, "nonce-key") != 0)
        return dep_config_fault(config, name, "there is no such secret; there are \"secret\" and \"nonce-key\"");
    if (len != DEP_NONCE_KEY_BYTES)
        return dep_config_fault(config, name, "32 bytes are needed");
    memcpy(config->nonce_key, bytes, len);
    config->has_nonce_key = true;
    return DEPUTY_OK;
}

const char *deputy_config_fault(const struct deputy_config *config)
{
    return config == NULL ? "" : config->fault;
}

void deputy_config_set_record(struct deputy_config *config, deputy_record_fn *record, void *context)
{
    config->record = record;
    config->record_context = context;
}

void deputy_config_set_replay(struct deputy_config *config, deputy_replay_fn *replay, void *context)
{
    config->replay = replay;
    config->replay_context = context;
}

static bool copy_all(struct deputy_config *copy, const struct deputy_config *config)
{
    bool is_good = true;

    for (size_t i = 0; i < DEP_SETTINGS; i++) {
        copy->texts[i] = config->texts[i] == NULL ? NULL : strdup(config->texts[i]);
        is_good &= (copy->texts[i] == NULL) == (config->texts[i] == NULL);
    }
    copy->secret = NULL;
    copy->rules = dep_lib_rules_copy(config->rules, config->rules_count);
    is_good &= config->rules_count == 0 || copy->rules != NULL;
    return is_good && (config->secret == NULL || set_secret(copy, config->secret, config->secret_len) == DEPUTY_OK);
}

struct deputy_config *dep_config_copy(const struct deputy_config *config)
{
    struct deputy_config *copy = malloc(sizeof(*copy));

    if (copy == NULL)
        return NULL;
    *copy = *config;
    if (copy_all(copy, config))
        return copy;
    deputy_config_free(copy);
    return NULL;
}

struct dep_str dep_config_text(const struct deputy_config *config, enum dep_setting setting)
{
    return dep_str_c(config->texts[setting]);
}

/* What else it may say, dep_config_check() has refused. */
static enum dep_guard_certificates certificates_of(const struct deputy_config *config)
{
    struct dep_str word = dep_config_text(config, DEP_SETTING_CLIENT_CERT);

    if (dep_str_eq_c(word, "tls"))
        return DEP_GUARD_CERTIFICATES_TLS;
    return dep_str_eq_c(word, "header") ? DEP_GUARD_CERTIFICATES_HEADER : DEP_GUARD_CERTIFICATES_NONE;
}

struct dep_guard_setup dep_config_setup(const struct deputy_config *config)
{
    struct dep_str scopes = dep_config_text(config, DEP_SETTING_SCOPE);
    struct dep_str offered = dep_config_text(config, DEP_SETTING_SCOPES_OFFERED);

    return (struct dep_guard_setup){
        .resource = dep_config_text(config, DEP_SETTING_RESOURCE),
        .resource_name = dep_config_text(config, DEP_SETTING_NAME),
        .issuer = dep_config_text(config, DEP_SETTING_ISSUER),
        .public_url = dep_config_text(config, DEP_SETTING_PUBLIC_URL),
        .scopes = scopes,
        .scopes_offered = dep_str_is_absent(offered) ? scopes : offered,
        .needs_dpop = config->numbers[DEP_SETTING_NEEDS_DPOP] != 0,
        .may_loopback = config->numbers[DEP_SETTING_ALLOW_LOOPBACK] != 0,
        .has_rsa_proofs = config->numbers[DEP_SETTING_RSA_PROOFS] != 0,
        .certificates = certificates_of(config),
    };
}

enum deputy_result dep_config_check(struct deputy_config *config)
{
    const struct dep_guard_setup setup = dep_config_setup(config);
    struct dep_guard_fault fault = dep_guard_setup_check(&setup);

    config->fault[0] = '\0';
    if (fault.text != NULL)
        return dep_config_fault(config, fault.setting, fault.text);
    if (!dep_str_is_absent(setup.scopes_offered) && !dep_is_ok(dep_scope_check(setup.scopes_offered)))
        return dep_config_fault(config, "scopes-offered", "not a list of scopes");
    if (config->texts[DEP_SETTING_CLIENT_CERT] != NULL && setup.certificates == DEP_GUARD_CERTIFICATES_NONE)
        return dep_config_fault(config, "client-cert",
                                "\"tls\" (the program ends TLS) or \"header\" (a proxy in front writes Client-Cert)");
    if (config->texts[DEP_SETTING_CLIENT] == NULL)
        return dep_config_fault(config, "client",
                                "the id of the resource's client at the issuer is needed, for the revocation feed");
    if (config->secret == NULL)
        return dep_config_fault(config, "secret", "the secret of the resource's client is needed");
    if ((config->texts[DEP_SETTING_AUDIT] == NULL) == (config->record == NULL))
        return dep_config_fault(config, "audit", "a directory, or a function that records, is needed: one of the two");
    return DEPUTY_OK;
}

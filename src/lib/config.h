/* What a guard is told through the C API. */
#ifndef DEP_LIB_CONFIG_H
#define DEP_LIB_CONFIG_H

#include <deputy/guard.h>

#include "base/secret.h"
#include "base/str.h"
#include "guard/setup.h"

enum dep_setting {
#define DEP_SETTING(id, name, kind, min, max, otherwise) DEP_SETTING_##id,
#include "lib/setting.def"
#undef DEP_SETTING
    DEP_SETTINGS
};

#define DEP_NONCE_KEY_BYTES 32u
#define DEP_FAULT_MAX 640u /* a fault of a rules file is the longest */

enum dep_lib_rule_text {
    DEP_LIB_RULE_NAME,
    DEP_LIB_RULE_METHODS,
    DEP_LIB_RULE_PATH,
    DEP_LIB_RULE_SCOPES,
    DEP_LIB_RULE_ACTORS,
    DEP_LIB_RULE_ORGS,
    DEP_LIB_RULE_ACR,
    DEP_LIB_RULE_TEXTS
};

struct dep_lib_rule {
    char *texts[DEP_LIB_RULE_TEXTS]; /* NULL: not said */
    int64_t depth_max, max_age_s;
    bool any_token, needs_dpop, needs_bound;
};

struct deputy_config {
    char *texts[DEP_SETTINGS];     /* NULL: not set */
    int64_t numbers[DEP_SETTINGS]; /* of numbers and switches */
    unsigned char *secret;
    size_t secret_len;
    unsigned char nonce_key[DEP_NONCE_KEY_BYTES];
    bool has_nonce_key;
    struct dep_lib_rule *rules;
    size_t rules_count;
    deputy_record_fn *record;
    void *record_context;
    deputy_replay_fn *replay;
    void *replay_context;
    char fault[DEP_FAULT_MAX];
};

/* A deep copy; NULL when out of memory. */
struct deputy_config *dep_config_copy(const struct deputy_config *config);
/* Absent when it is not set. */
struct dep_str dep_config_text(const struct deputy_config *config, enum dep_setting setting);
/* As the guard's rules want it. */
struct dep_guard_setup dep_config_setup(const struct deputy_config *config);
/* DEPUTY_OK when a guard can be made of it, else the fault is noted. */
enum deputy_result dep_config_check(struct deputy_config *config);
/* Notes a fault: "resource: an absolute URL is needed". Gives DEPUTY_ERR_SETTING. */
enum deputy_result dep_config_fault(struct deputy_config *config, const char *setting, const char *text);

#endif

/* Rules from YAML: libcyaml reads the file by the tables below, and dep_guard_rules_make() says what is wrong with it. */
#include "guard/rules_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "yaml/yaml.h"

#define FILE_BYTES_MAX (1u << 20)
#define MEMORY_BYTES (4u << 20)
#define TEXT_MAX 1024

/* libcyaml's own booleans take every word that is not false for true. */
enum truth { TRUTH_FALSE, TRUTH_TRUE };
static const cyaml_strval_t truths[] = { { "false", TRUTH_FALSE }, { "true", TRUTH_TRUE } };

struct yaml_rule {
    char *name, *path, *scopes, *acr_values, *details_type;
    char **methods, **mcp_methods, **mcp_names, **actors, **orgs, **details_actions;
    unsigned methods_count, mcp_methods_count, mcp_names_count, actors_count, orgs_count, details_actions_count;
    int64_t *depth_max, *max_age_s;
    enum truth any_token, needs_dpop, needs_bound, details_need_location;
};

struct yaml_implication {
    char *scope, *implies;
};

struct yaml_file {
    char *mcp_headers;
    char **origins;
    struct yaml_implication *hierarchy;
    struct yaml_rule *rules;
    unsigned origins_count, hierarchy_count, rules_count;
};

struct dep_rules_file {
    struct yaml_file *yaml;
    void *memory;
    struct dep_arena arena;
    struct dep_guard_rules rules;
};

static const cyaml_schema_value_t item = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, TEXT_MAX) };

#define TEXT(type, key, flags) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | (flags), type, key, 1, TEXT_MAX)
#define LIST(type, key, flags) \
    CYAML_FIELD_SEQUENCE(#key, CYAML_FLAG_POINTER | (flags), type, key, &item, 1, DEP_GUARD_RULE_ITEMS_MAX)
#define NUMBER(type, key) CYAML_FIELD_INT_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, key)
#define FLAG(type, key)                                                                \
    CYAML_FIELD_ENUM(#key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, type, key, truths, \
                     sizeof(truths) / sizeof(truths[0]))

static const cyaml_schema_field_t rule_fields[] = {
    TEXT(struct yaml_rule, name, 0),
    LIST(struct yaml_rule, methods, 0),
    TEXT(struct yaml_rule, path, 0),
    LIST(struct yaml_rule, mcp_methods, CYAML_FLAG_OPTIONAL),
    LIST(struct yaml_rule, mcp_names, CYAML_FLAG_OPTIONAL),
    FLAG(struct yaml_rule, any_token),
    TEXT(struct yaml_rule, scopes, CYAML_FLAG_OPTIONAL),
    LIST(struct yaml_rule, actors, CYAML_FLAG_OPTIONAL),
    LIST(struct yaml_rule, orgs, CYAML_FLAG_OPTIONAL),
    NUMBER(struct yaml_rule, depth_max),
    FLAG(struct yaml_rule, needs_dpop),
    FLAG(struct yaml_rule, needs_bound),
    TEXT(struct yaml_rule, acr_values, CYAML_FLAG_OPTIONAL),
    NUMBER(struct yaml_rule, max_age_s),
    TEXT(struct yaml_rule, details_type, CYAML_FLAG_OPTIONAL),
    LIST(struct yaml_rule, details_actions, CYAML_FLAG_OPTIONAL),
    FLAG(struct yaml_rule, details_need_location),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t implication_fields[] = {
    TEXT(struct yaml_implication, scope, 0),
    TEXT(struct yaml_implication, implies, 0),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t rule_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_rule,
                                                                      rule_fields) };
static const cyaml_schema_value_t implication_schema = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct yaml_implication, implication_fields) };

static const cyaml_schema_field_t file_fields[] = {
    TEXT(struct yaml_file, mcp_headers, CYAML_FLAG_OPTIONAL),
    LIST(struct yaml_file, origins, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_SEQUENCE("hierarchy", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_file, hierarchy,
                         &implication_schema, 1, DEP_GUARD_RULES_MAX),
    CYAML_FIELD_SEQUENCE("rules", CYAML_FLAG_POINTER, struct yaml_file, rules, &rule_schema, 1, DEP_GUARD_RULES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_file, file_fields) };

static const cyaml_schema_field_t *const tables[] = { file_fields, rule_fields, implication_fields };

/* --- what is wrong, and where --- */

/* The `index`-th "name:" begins or belongs to that rule. */
static unsigned line_of_rule(struct dep_str text, size_t index)
{
    unsigned line = 0;

    for (size_t i = 0; i <= index; i++)
        line = dep_yaml_line_of(text, "name", line + 1, 1);
    return line;
}

static void tell_rule(char *message, const char *path, struct dep_str text, const struct dep_rules_file *file,
                      const struct dep_guard_rules_fault *fault)
{
    if (fault->rule < file->rules.count)
        (void)snprintf(message, DEP_RULES_MESSAGE_MAX, "%s:%u: rule '%.*s': %s", path, line_of_rule(text, fault->rule),
                       DEP_STR_ARG(dep_str_sub(file->rules.rows[fault->rule].name, 0, 64)), fault->text);
    else
        (void)snprintf(message, DEP_RULES_MESSAGE_MAX, "%s: %s", path, fault->text);
}

/* --- from what libcyaml has read to rows --- */

static struct dep_res texts_of(struct dep_arena *arena, char *const *items, unsigned count, struct dep_guard_list *ret)
{
    struct dep_str *texts = DEP_NEW_ARRAY(arena, count, struct dep_str);

    if (texts == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (unsigned i = 0; i < count; i++)
        texts[i] = dep_str_c(items[i]);
    *ret = (struct dep_guard_list){ texts, count };
    return DEP_OK;
}

static struct dep_res rule_of(struct dep_arena *arena, const struct yaml_rule *yaml, struct dep_guard_rule *rule)
{
    *rule = (struct dep_guard_rule){
        .name = dep_str_c(yaml->name),
        .path = dep_str_c(yaml->path),
        .any_token = yaml->any_token == TRUTH_TRUE,
        .scopes = dep_str_c(yaml->scopes),
        .depth_max = yaml->depth_max != NULL ? *yaml->depth_max : -1,
        .needs_dpop = yaml->needs_dpop == TRUTH_TRUE,
        .needs_bound = yaml->needs_bound == TRUTH_TRUE,
        .acr_values = dep_str_c(yaml->acr_values),
        .max_age_s = yaml->max_age_s != NULL ? *yaml->max_age_s : -1,
        .details_type = dep_str_c(yaml->details_type),
        .details_need_location = yaml->details_need_location == TRUTH_TRUE,
    };
    DEP_TRY(texts_of(arena, yaml->methods, yaml->methods_count, &rule->methods));
    DEP_TRY(texts_of(arena, yaml->mcp_methods, yaml->mcp_methods_count, &rule->mcp_methods));
    DEP_TRY(texts_of(arena, yaml->mcp_names, yaml->mcp_names_count, &rule->mcp_names));
    DEP_TRY(texts_of(arena, yaml->actors, yaml->actors_count, &rule->actors));
    DEP_TRY(texts_of(arena, yaml->orgs, yaml->orgs_count, &rule->orgs));
    return texts_of(arena, yaml->details_actions, yaml->details_actions_count, &rule->details_actions);
}

/* A number below zero would mean "not asked" further on. */
static const char *number_fault(const struct yaml_rule *yaml)
{
    if (yaml->depth_max != NULL && *yaml->depth_max < 0)
        return "depth_max: 0 or more is needed; leave it out when the depth does not matter";
    if (yaml->max_age_s != NULL && *yaml->max_age_s < 0)
        return "max_age_s: 0 or more is needed; leave it out when the age of the login does not matter";
    return NULL;
}

static struct dep_res make(struct dep_rules_file *file, struct dep_str base, struct dep_guard_rules_fault *fault)
{
    const struct yaml_file *yaml = file->yaml;
    struct dep_guard_rule *rows = DEP_NEW_ARRAY(&file->arena, yaml->rules_count, struct dep_guard_rule);
    struct dep_guard_implication *implications =
        DEP_NEW_ARRAY(&file->arena, yaml->hierarchy_count, struct dep_guard_implication);

    if (rows == NULL || implications == NULL)
        return DEP_FAIL(ARENA_FULL);
    file->rules = (struct dep_guard_rules){ .rows = rows,
                                            .count = yaml->rules_count,
                                            .implications = implications,
                                            .implications_count = yaml->hierarchy_count };
    for (unsigned i = 0; i < yaml->hierarchy_count; i++)
        implications[i] = (struct dep_guard_implication){ dep_str_c(yaml->hierarchy[i].scope),
                                                          dep_str_c(yaml->hierarchy[i].implies) };
    DEP_TRY(texts_of(&file->arena, yaml->origins, yaml->origins_count, &file->rules.origins));
    for (unsigned i = 0; i < yaml->rules_count; i++) {
        const char *wrong = number_fault(&yaml->rules[i]);

        DEP_TRY(rule_of(&file->arena, &yaml->rules[i], &rows[i]));
        fault->rule = i;
        if (wrong == NULL)
            continue;
        (void)snprintf(fault->text, sizeof(fault->text), "%s", wrong);
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    fault->rule = file->rules.count;
    file->rules.mcp_headers_count = yaml->mcp_headers != NULL;
    if (yaml->mcp_headers != NULL && strcmp(yaml->mcp_headers, "compared") != 0) {
        (void)snprintf(fault->text, sizeof(fault->text),
                       "mcp_headers: 'compared' is the only value: the server behind compares them with the body");
        return DEP_FAIL(CONFIG_SYNTAX);
    }
    return dep_guard_rules_make(&file->arena, &file->rules, base, fault);
}

void dep_rules_file_free(struct dep_rules_file *file)
{
    if (file == NULL)
        return;
    dep_yaml_free(&schema, file->yaml);
    free(file->memory);
    free(file);
}

struct dep_res dep_rules_file_read(const char *path, struct dep_str text, struct dep_str base,
                                   struct dep_rules_file **ret_file, char message[DEP_RULES_MESSAGE_MAX])
{
    const struct dep_yaml_source source = { path, text, "deputy-guard-rules(5)", tables,
                                            sizeof(tables) / sizeof(tables[0]) };
    struct dep_rules_file *file = calloc(1, sizeof(*file));
    struct dep_guard_rules_fault fault = { 0 };
    void *yaml = NULL;
    struct dep_res res;

    (void)snprintf(message, DEP_RULES_MESSAGE_MAX, "%s: out of memory", path);
    if (file == NULL)
        return DEP_FAIL(ARENA_FULL);
    file->memory = malloc(MEMORY_BYTES);
    dep_arena_init(&file->arena, file->memory, file->memory == NULL ? 0 : MEMORY_BYTES);
    res = dep_yaml_read(&source, &schema, &yaml, message);
    file->yaml = yaml;
    if (dep_is_ok(res)) {
        res = make(file, base, &fault);
        if (res.err == DEP_ERR_CONFIG_SYNTAX)
            tell_rule(message, path, text, file, &fault);
    }
    if (!dep_is_ok(res)) {
        dep_rules_file_free(file);
        return res;
    }
    *ret_file = file;
    return DEP_OK;
}

struct dep_res dep_rules_file_load(const char *path, struct dep_str base, struct dep_rules_file **ret_file,
                                   char message[DEP_RULES_MESSAGE_MAX])
{
    FILE *stream = fopen(path, "re");
    char *text = stream == NULL ? NULL : malloc(FILE_BYTES_MAX);
    struct dep_res res = DEP_FAIL(CONFIG_FILE);
    size_t len = 0;

    (void)snprintf(message, DEP_RULES_MESSAGE_MAX, "%s: %s", path, strerror(errno));
    if (text != NULL) {
        len = fread(text, 1, FILE_BYTES_MAX, stream);
        if (len == FILE_BYTES_MAX || ferror(stream) != 0)
            (void)snprintf(message, DEP_RULES_MESSAGE_MAX, "%s: it cannot be read, or is larger than 1 MiB", path);
        else
            res = dep_rules_file_read(path, dep_str(text, len), base, ret_file, message);
    }
    if (stream != NULL)
        (void)fclose(stream);
    free(text);
    return res;
}

const struct dep_guard_rules *dep_rules_file_rules(const struct dep_rules_file *file)
{
    return &file->rules;
}

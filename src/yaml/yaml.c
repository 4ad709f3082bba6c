/* What libcyaml says, made into a sentence for people. */
#include "yaml/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

#define KEYS_MAX 64u

struct log {
    char unknown[128], first[256];
    unsigned line;
};

/* libcyaml tells by log lines: the fault first, then a backtrace with the places, the innermost first. */
__attribute__((format(printf, 3, 0))) static void take_log(cyaml_log_t level, void *context, const char *format,
                                                           va_list arguments)
{
    static const char unknown[] = "Unexpected key: ";
    struct log *log = context;
    char line[512];
    const char *at;

    (void)level;
    (void)vsnprintf(line, sizeof(line), format, arguments);
    line[strcspn(line, "\n")] = '\0';
    at = strstr(line, unknown);
    if (at != NULL)
        (void)snprintf(log->unknown, sizeof(log->unknown), "%.127s", at + sizeof(unknown) - 1);
    at = strstr(line, "line: ");
    if (at != NULL) {
        if (log->line == 0)
            for (at += strlen("line: "); *at >= '0' && *at <= '9'; at++)
                log->line = log->line * 10 + (unsigned)(*at - '0');
    } else if (log->first[0] == '\0' && strstr(line, "Backtrace") == NULL) {
        (void)snprintf(log->first, sizeof(log->first), "%.255s", line);
    }
}

static const char *nearest_key(const struct dep_yaml_source *source, const char *unknown)
{
    const char *keys[KEYS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < source->tables_count; i++)
        for (const cyaml_schema_field_t *field = source->tables[i]; field->key != NULL && count < KEYS_MAX; field++)
            keys[count++] = field->key;
    return dep_nearest(unknown, keys, count);
}

/* Without blanks and the dash of a list. */
static struct dep_str plain_line(struct dep_str line)
{
    line = dep_str_trim(line);
    return dep_str_starts(line, DEP_STR("- ")) ? dep_str_trim(dep_str_sub(line, 2, line.len)) : line;
}

unsigned dep_yaml_line_of(struct dep_str text, const char *key, unsigned from, unsigned otherwise)
{
    struct dep_str rest = text, line, name = dep_str_c(key);

    for (unsigned number = 1; dep_str_cut(&rest, '\n', &line); number++) {
        line = plain_line(line);
        if (number >= from && dep_str_starts(line, name) &&
            dep_str_starts(dep_str_sub(line, name.len, 1), DEP_STR(":")))
            return number;
    }
    return otherwise;
}

static void tell(const struct dep_yaml_source *source, const struct log *log, const char *fault, char *message)
{
    const char *near = log->unknown[0] == '\0' ? NULL : nearest_key(source, log->unknown);
    unsigned line = log->line;

    /* libcyaml names the place of the mapping, not of the key. */
    if (log->unknown[0] != '\0')
        line = dep_yaml_line_of(source->text, log->unknown, log->line, log->line);
    if (near != NULL)
        (void)snprintf(message, DEP_YAML_MESSAGE_MAX, "%s:%u: unknown key '%s'; did you mean '%s'?", source->path, line,
                       log->unknown, near);
    else if (log->unknown[0] != '\0')
        (void)snprintf(message, DEP_YAML_MESSAGE_MAX, "%s:%u: unknown key '%s'; see %s for all keys", source->path,
                       line, log->unknown, source->manual);
    else if (line > 0)
        (void)snprintf(message, DEP_YAML_MESSAGE_MAX, "%s:%u: %s", source->path, line,
                       log->first[0] != '\0' ? log->first : fault);
    else
        (void)snprintf(message, DEP_YAML_MESSAGE_MAX, "%s: %s", source->path,
                       log->first[0] != '\0' ? log->first : fault);
}

struct dep_res dep_yaml_read(const struct dep_yaml_source *source, const cyaml_schema_value_t *schema, void **ret_value,
                             char message[DEP_YAML_MESSAGE_MAX])
{
    struct log log = { 0 };
    const cyaml_config_t config = {
        .log_fn = take_log,
        .log_ctx = &log,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_DEFAULT,
    };
    cyaml_data_t *value = NULL;
    cyaml_err_t err =
        cyaml_load_data((const uint8_t *)source->text.ptr, source->text.len, &config, schema, &value, NULL);

    if (err == CYAML_OK && value != NULL) {
        *ret_value = value;
        return DEP_OK;
    }
    tell(source, &log, err != CYAML_OK ? cyaml_strerror(err) : "the file is empty", message);
    return DEP_FAIL(CONFIG_SYNTAX);
}

void dep_yaml_free(const cyaml_schema_value_t *schema, void *value)
{
    const cyaml_config_t config = { .mem_fn = cyaml_mem, .flags = CYAML_CFG_DEFAULT };

    if (value != NULL)
        (void)cyaml_free(&config, schema, value, 0);
}

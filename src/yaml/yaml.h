/* YAML by libcyaml's tables, with faults that name file, line and, where one is near, the key that was meant. */
#ifndef DEP_YAML_YAML_H
#define DEP_YAML_YAML_H

#include <cyaml/cyaml.h>

#include "base/res.h"
#include "base/str.h"

#define DEP_YAML_MESSAGE_MAX 512u

/* Where a text comes from, and what is said of keys that it must not have. */
struct dep_yaml_source {
    const char *path; /* stands in messages */
    struct dep_str text;
    const char *manual;                        /* "deputyd(8)": lists the keys */
    const cyaml_schema_field_t *const *tables; /* whose keys an unknown one is compared with */
    size_t tables_count;
};

/* Reads `text` by `schema`, a pointer to a mapping: DEP_ERR_CONFIG_SYNTAX with a message, also for an empty text. What was read is
 * libcyaml's: dep_yaml_free(). */
DEP_MUST struct dep_res dep_yaml_read(const struct dep_yaml_source *source, const cyaml_schema_value_t *schema,
                                      void **ret_value, char message[DEP_YAML_MESSAGE_MAX]);
/* `value` may be NULL. */
void dep_yaml_free(const cyaml_schema_value_t *schema, void *value);

/* The line of the first "key:" from line `from` on, in a list or not; `otherwise` when there is none. */
unsigned dep_yaml_line_of(struct dep_str text, const char *key, unsigned from, unsigned otherwise);

#endif

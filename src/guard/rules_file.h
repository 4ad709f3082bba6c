/* The guard's rules as a YAML file (deputy-guard-rules(5)). An unknown key, a wrong type, a key that stands twice, or a rule
 * that cannot be is an error with file, line and, where one is near, a suggestion. */
#ifndef DEP_GUARD_RULES_FILE_H
#define DEP_GUARD_RULES_FILE_H

#include "guard/rules.h"

#define DEP_RULES_MESSAGE_MAX 512u

struct dep_rules_file;

/* Reads and makes them; `base` scopes are needed by every rule and must outlive the file; may be absent.
 * DEP_ERR_CONFIG_SYNTAX with a message: "rules.yaml:7: rule 'orders': scopes: …". */
DEP_MUST struct dep_res dep_rules_file_load(const char *path, struct dep_str base, struct dep_rules_file **ret_file,
                                            char message[DEP_RULES_MESSAGE_MAX]);
/* The same from text; `path` stands in messages. */
DEP_MUST struct dep_res dep_rules_file_read(const char *path, struct dep_str text, struct dep_str base,
                                            struct dep_rules_file **ret_file, char message[DEP_RULES_MESSAGE_MAX]);
const struct dep_guard_rules *dep_rules_file_rules(const struct dep_rules_file *file);
void dep_rules_file_free(struct dep_rules_file *file);

#endif

/* Rules by method and path, as they are told through the C API. */
#ifndef DEP_LIB_RULES_H
#define DEP_LIB_RULES_H

#include "guard/rules.h"
#include "lib/config.h"

void dep_lib_rules_free(struct dep_lib_rule *rules, size_t count);
/* A deep copy; NULL when out of memory, or when there are none. */
struct dep_lib_rule *dep_lib_rules_copy(const struct dep_lib_rule *rules, size_t count);
/* Into the arena; the texts stay the configuration's. DEPUTY_ERR_MEMORY, or DEPUTY_ERR_SETTING with the fault noted. */
enum deputy_result dep_lib_rules_make(struct deputy_config *config, struct dep_arena *arena,
                                      struct dep_guard_rules *ret_rules);

#endif

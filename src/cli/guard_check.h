/* deputy guard check: what the rules of a guard say, without a guard. */
#ifndef DEP_CLI_GUARD_CHECK_H
#define DEP_CLI_GUARD_CHECK_H

#include "cli/cli.h"

#define DEP_GUARD_CHECK_FLAGS 5u
extern const struct dep_flag dep_guard_check_flags[DEP_GUARD_CHECK_FLAGS];
/* The verb. Without a request it checks the file and lists its rules. */
int dep_guard_check(struct dep_cli *cli);

#endif

/* The log directories a command reads, and the verbs of `deputy audit`. */
#ifndef DEP_CLI_AUDIT_H
#define DEP_CLI_AUDIT_H

#include <jansson.h>

#include "audit/read.h"
#include "cli/cli.h"

/* The daemon's log (<data>/audit), or the directories given with --log: the i-th, NULL after the last. With --log beside --data both
 * are read; --log alone reads only those. */
const char *dep_audit_directory(struct dep_cli *cli, size_t i);
/* The record as jansson sees it. NULL when it is none. The caller decrefs. */
json_t *dep_audit_json(const struct dep_audit_entry *entry);
/* One line for people about a record. */
void dep_audit_put_line(const struct dep_cli *cli, json_t *record);

int dep_audit_verb_trace(struct dep_cli *cli);

#endif

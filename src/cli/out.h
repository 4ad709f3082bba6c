/* Results on standard output: a table for people, JSON or JSON lines for programs. Text of others never reaches a terminal raw. */
#ifndef DEP_CLI_OUT_H
#define DEP_CLI_OUT_H

#include <jansson.h>

#include "cli/cli.h"

/* One column of a table: its title and the member it shows. Lists are joined by blanks. */
struct dep_column_spec {
    const char *title;
    const char *member;
};

/* Writes text with control characters, invisible direction marks and bytes that are not UTF-8 escaped. */
void dep_out_clean(FILE *file, const char *text);
/* One object on one line, pure ASCII. */
void dep_out_json_line(FILE *file, const json_t *value);
/* A list: `items` is an array of objects. JSON gives {"items":[…]}. */
void dep_out_list(const struct dep_cli *cli, json_t *items, const struct dep_column_spec *columns, size_t count);
/* One object: "name  value" lines for people. */
void dep_out_object(const struct dep_cli *cli, json_t *object);
/* A time as people read it, "2026-11-24 01:40:00Z"; `text` has room for 32 bytes. */
void dep_out_time(int64_t time, char *text);

#endif

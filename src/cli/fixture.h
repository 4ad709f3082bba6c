/* For tests: one run of the command, with what it wrote. */
#ifndef DEP_CLI_FIXTURE_H
#define DEP_CLI_FIXTURE_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

struct dep_cli_run {
    int code;
    char *out, *err;
    size_t out_len, err_len;
};

/* Blank-separated words; `'` keeps blanks together. */
static inline struct dep_cli_run dep_cli_run_on(const char *line, bool is_terminal)
{
    struct dep_cli_run run = { .code = -1 };
    const char *argv[64] = { "deputy" };
    char words[2048];
    bool is_quoted = false, is_inside = false;
    int argc = 1;
    FILE *out = open_memstream(&run.out, &run.out_len);
    FILE *err = open_memstream(&run.err, &run.err_len);
    size_t at = 0;

    for (const char *c = line; *c != '\0'; c++) {
        if (*c == '\'') {
            is_quoted = !is_quoted;
            if (!is_inside)
                argv[argc++] = words + at;
            is_inside = true;
        } else if (*c == ' ' && !is_quoted) {
            if (is_inside)
                words[at++] = '\0';
            is_inside = false;
        } else {
            if (!is_inside)
                argv[argc++] = words + at;
            is_inside = true;
            words[at++] = *c;
        }
    }
    words[at] = '\0';
    run.code = dep_cli_main(argc, argv, out, err, is_terminal, is_terminal);
    fclose(out);
    fclose(err);
    return run;
}

static inline struct dep_cli_run dep_cli_run(const char *line)
{
    return dep_cli_run_on(line, false);
}

static inline void dep_cli_run_done(struct dep_cli_run *run)
{
    free(run->out);
    free(run->err);
}

/* The text of a member of the JSON that was written, "" when there is none; kept until the next call. */
static inline const char *dep_cli_member(const char *text, const char *name, char *value, size_t max)
{
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *found = json_string_value(json_object_get(json, name));

    snprintf(value, max, "%s", found != NULL ? found : "");
    json_decref(json);
    return value;
}

#endif

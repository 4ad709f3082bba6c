/* The command `deputy`: tables of nouns, verbs and flags, and what every verb gets to work with.
 *
 * A verb is one table row and one function. Parsing, help, usage errors and "did you mean" come from the tables. A verb writes its
 * result to `out` and returns an exit code; when it fails it says why with dep_cli_fail(), and the fault is rendered once, at the
 * end, for people or for programs. */
#ifndef DEP_CLI_CLI_H
#define DEP_CLI_CLI_H

#include <stdio.h>

#include "base/arena.h"
#include "base/nearest.h"
#include "cli/exit.h"
#include "crypto/crypto.h"

enum dep_flag_kind {
    DEP_FLAG_SWITCH, /* --name, --name=true, --name=false */
    DEP_FLAG_TEXT,
    DEP_FLAG_NUMBER, /* 0 to 2^53 */
    DEP_FLAG_CHOICE, /* `value` lists the choices: "a|b|c" */
    DEP_FLAG_SECRET  /* a source of secret.h, never the secret itself */
};

#define DEP_FLAG_REQUIRED (1u << 0)
#define DEP_FLAG_REPEATED (1u << 1)

struct dep_flag {
    const char *name; /* without the dashes */
    enum dep_flag_kind kind;
    const char *value; /* what stands for the value in help; NULL for a switch */
    unsigned marks;
    const char *help;
    char letter; /* one-letter form, or 0 */
};

struct dep_cli;

struct dep_verb {
    const char *name; /* NULL: the noun is a command of its own */
    const char *args; /* "ID", "URL [FILE]"; NULL for none */
    unsigned args_min, args_max;
    const char *help; /* one line */
    const struct dep_flag *flags;
    size_t flags_count;
    int (*run)(struct dep_cli *cli);
    bool takes_secret; /* the argument is a secret source */
};

struct dep_noun {
    const char *name;
    const char *help;
    const struct dep_verb *verbs;
    size_t verbs_count;
};

#define DEP_CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DEP_CLI_FLAGS(array) (array), DEP_CLI_COUNT(array)

enum dep_format { DEP_FORMAT_TABLE, DEP_FORMAT_JSON, DEP_FORMAT_NDJSON };

struct dep_cli_value {
    const struct dep_flag *flag;
    const char *text;
};

#define DEP_FAULT_SUGGESTIONS 4u

/* Why the command failed: what was wrong, whose fault it is (in the words), what to do next. */
struct dep_fault {
    enum dep_exit exit;
    const char *error;
    const char *message;
    const char *suggestions[DEP_FAULT_SUGGESTIONS];
    size_t suggestions_count;
    const char *doc_uri;
};

struct dep_cli {
    FILE *out, *err;
    bool out_is_terminal, err_is_terminal;
    const struct dep_noun *noun;
    const struct dep_verb *verb;
    struct dep_cli_value *values;
    size_t values_count;
    const char **args;
    size_t args_count;
    enum dep_format format;
    const char *url, *socket, *data;
    bool is_dry, prints_curl, is_quiet, is_verbose, wants_help, wants_version;
    struct dep_fault fault;
    struct dep_arena arena; /* everything of this run; given back at its end */
    struct dep_crypto *crypto;
};

/* Every noun, in the order of the help. */
extern const struct dep_noun *const dep_nouns[];
extern const size_t dep_nouns_count;
/* Flags that every verb takes. */
extern const struct dep_flag dep_global_flags[];
extern const size_t dep_global_flags_count;

/* Parses, runs, renders a fault. The exit code. `out_is_terminal` decides --format auto, `err_is_terminal` the form of faults. */
int dep_cli_main(int argc, const char *const *argv, FILE *out, FILE *err, bool out_is_terminal, bool err_is_terminal);

/* args.c: fills noun, verb, values, args and the globals. DEP_EXIT_OK, or the fault's code. */
int dep_cli_parse(struct dep_cli *cli, int argc, const char *const *argv);
/* The last value of a flag of this verb, or NULL. */
const char *dep_cli_get(const struct dep_cli *cli, const char *name);
/* The i-th value of a repeated flag, or NULL after the last. */
const char *dep_cli_get_nth(const struct dep_cli *cli, const char *name, size_t i);
bool dep_cli_has(const struct dep_cli *cli, const char *name);
/* A switch: false when absent. */
bool dep_cli_is_on(const struct dep_cli *cli, const char *name);
int64_t dep_cli_number(const struct dep_cli *cli, const char *name, int64_t otherwise);

/* help.c */
void dep_cli_help(const struct dep_cli *cli);

/* fault.c. Both return / keep texts in the arena. */
int dep_cli_fail(struct dep_cli *cli, enum dep_exit exit, const char *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void dep_cli_suggest(struct dep_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A failure of a library function as a fault: "<what>: <text of the reason>". */
int dep_cli_fail_res(struct dep_cli *cli, enum dep_exit exit, struct dep_res res, const char *what);
void dep_cli_render_fault(const struct dep_cli *cli);
/* printf into the arena; "" when the arena is full. */
const char *dep_cli_text(struct dep_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *dep_cli_cstr(struct dep_cli *cli, struct dep_str text);

#endif

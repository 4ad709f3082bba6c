/* The command line, read by the tables. Flags may stand anywhere; `--` ends them. A word such as `-Zx9…` with more than one letter
 * is an argument, because token ids may start with a dash. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "cli/cli.h"
#include "cli/secret.h"

#define NUMBER_MAX (INT64_C(1) << 53)
#define WORDS_MAX 64

const struct dep_flag dep_global_flags[] = {
    { "format", DEP_FLAG_CHOICE, "auto|table|json|ndjson", 0,
      "form of the output; auto: a table on a terminal, JSON otherwise; default $DEPUTY_FORMAT", 0 },
    { "url", DEP_FLAG_TEXT, "URL", 0, "the issuer; default $DEPUTY_URL, then http://127.0.0.1:8693", 0 },
    { "socket", DEP_FLAG_TEXT, "PATH", 0,
      "the admin socket; default $DEPUTY_ADMIN_SOCKET, then ./deputy-data/admin.sock", 0 },
    { "data", DEP_FLAG_TEXT, "DIR", 0,
      "the daemon's data directory, for reading its log offline; default ./deputy-data", 0 },
    { "dry-run", DEP_FLAG_SWITCH, NULL, 0, "show what would be sent, send nothing", 0 },
    { "print-curl", DEP_FLAG_SWITCH, NULL, 0, "print the curl command instead, without secrets", 0 },
    { "quiet", DEP_FLAG_SWITCH, NULL, 0, "no output but results and errors", 'q' },
    { "verbose", DEP_FLAG_SWITCH, NULL, 0, "tell each request on standard error", 'v' },
    { "help", DEP_FLAG_SWITCH, NULL, 0, "help for this command", 'h' },
};
const size_t dep_global_flags_count = DEP_CLI_COUNT(dep_global_flags);

const char *dep_cli_get_nth(const struct dep_cli *cli, const char *name, size_t i)
{
    for (size_t v = 0; v < cli->values_count; v++) {
        if (strcmp(cli->values[v].flag->name, name) == 0 && i-- == 0)
            return cli->values[v].text;
    }
    return NULL;
}

const char *dep_cli_get(const struct dep_cli *cli, const char *name)
{
    return dep_cli_get_nth(cli, name, 0);
}

bool dep_cli_has(const struct dep_cli *cli, const char *name)
{
    return dep_cli_get(cli, name) != NULL;
}

bool dep_cli_is_on(const struct dep_cli *cli, const char *name)
{
    const char *text = dep_cli_get(cli, name);

    return text != NULL && strcmp(text, "true") == 0;
}

int64_t dep_cli_number(const struct dep_cli *cli, const char *name, int64_t otherwise)
{
    const char *text = dep_cli_get(cli, name);
    int64_t value = otherwise;

    /* The range was checked while parsing. */
    if (text != NULL && !dep_is_ok(dep_num_parse(dep_str_c(text), 0, NUMBER_MAX, &value)))
        return otherwise;
    return value;
}

static const struct dep_flag *find_in(const struct dep_flag *flags, size_t count, struct dep_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (dep_str_eq_c(name, flags[i].name) || (name.len == 1 && flags[i].letter == name.ptr[0]))
            return &flags[i];
    }
    return NULL;
}

static const struct dep_flag *find_flag(const struct dep_cli *cli, struct dep_str name)
{
    const struct dep_flag *flag = NULL;

    if (cli->verb != NULL)
        flag = find_in(cli->verb->flags, cli->verb->flags_count, name);
    return flag != NULL ? flag : find_in(dep_global_flags, dep_global_flags_count, name);
}

static const char *command_name(struct dep_cli *cli)
{
    if (cli->noun == NULL)
        return "deputy";
    if (cli->verb == NULL || cli->verb->name == NULL)
        return dep_cli_text(cli, "deputy %s", cli->noun->name);
    return dep_cli_text(cli, "deputy %s %s", cli->noun->name, cli->verb->name);
}

static int unknown_flag(struct dep_cli *cli, struct dep_str name)
{
    const char *word = dep_cli_cstr(cli, name);
    const char *words[WORDS_MAX];
    const char *nearest;
    size_t count = 0;

    for (size_t i = 0; cli->verb != NULL && i < cli->verb->flags_count && count < WORDS_MAX; i++)
        words[count++] = cli->verb->flags[i].name;
    for (size_t i = 0; i < dep_global_flags_count && count < WORDS_MAX; i++)
        words[count++] = dep_global_flags[i].name;
    nearest = dep_nearest(word, words, count);
    dep_cli_fail(cli, DEP_EXIT_USAGE, "unknown_flag", "'%s' has no flag --%s", command_name(cli), word);
    if (nearest != NULL)
        dep_cli_suggest(cli, "did you mean --%s?", nearest);
    dep_cli_suggest(cli, "%s --help", command_name(cli));
    return DEP_EXIT_USAGE;
}

static bool is_choice(const char *choices, struct dep_str text)
{
    struct dep_str rest = dep_str_c(choices);
    struct dep_str choice;

    while (dep_str_cut(&rest, '|', &choice)) {
        if (dep_str_eq(choice, text))
            return true;
    }
    return false;
}

static int bad_value(struct dep_cli *cli, const struct dep_flag *flag, const char *why)
{
    dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_value", "--%s: %s", flag->name, why);
    dep_cli_suggest(cli, "%s --help", command_name(cli));
    return DEP_EXIT_USAGE;
}

static int check_value(struct dep_cli *cli, const struct dep_flag *flag, const char *text)
{
    int64_t number;

    switch (flag->kind) {
    case DEP_FLAG_SWITCH:
        return is_choice("true|false", dep_str_c(text)) ? DEP_EXIT_OK
                                                        : bad_value(cli, flag, "a switch is =true or =false");
    case DEP_FLAG_TEXT:
        return DEP_EXIT_OK;
    case DEP_FLAG_NUMBER:
        return dep_is_ok(dep_num_parse(dep_str_c(text), 0, NUMBER_MAX, &number))
                   ? DEP_EXIT_OK
                   : bad_value(cli, flag, "a number is needed");
    case DEP_FLAG_CHOICE:
        return is_choice(flag->value, dep_str_c(text))
                   ? DEP_EXIT_OK
                   : bad_value(cli, flag, dep_cli_text(cli, "'%s' is none of %s", text, flag->value));
    case DEP_FLAG_SECRET:
        return dep_secret_source_check(cli, text, dep_cli_text(cli, "--%s", flag->name));
    }
    return DEP_EXIT_OK;
}

static int keep_value(struct dep_cli *cli, const struct dep_flag *flag, const char *text)
{
    int code = check_value(cli, flag, text);

    if (code != DEP_EXIT_OK)
        return code;
    if (dep_cli_has(cli, flag->name) && (flag->marks & DEP_FLAG_REPEATED) == 0)
        return bad_value(cli, flag, "given twice");
    cli->values[cli->values_count++] = (struct dep_cli_value){ flag, text };
    return DEP_EXIT_OK;
}

/* One word that is a flag; `*at` moves past its value. */
static int take_flag(struct dep_cli *cli, int argc, const char *const *argv, int *at)
{
    const char *word = argv[*at];
    struct dep_str name = dep_str_c(word + (word[1] == '-' ? 2 : 1));
    size_t equals = dep_str_find(name, '=');
    const char *value = equals < name.len ? name.ptr + equals + 1 : NULL;
    const struct dep_flag *flag;

    name.len = equals;
    flag = find_flag(cli, name);
    if (flag == NULL)
        return unknown_flag(cli, name);
    if (value == NULL && flag->kind == DEP_FLAG_SWITCH)
        value = "true";
    if (value == NULL) {
        if (*at + 1 == argc)
            return bad_value(cli, flag, "its value is missing");
        value = argv[++*at];
    }
    return keep_value(cli, flag, value);
}

static int unknown_word(struct dep_cli *cli, const char *kind, const char *word, const char *const *words, size_t count)
{
    const char *nearest = dep_nearest(word, words, count);

    dep_cli_fail(cli, DEP_EXIT_USAGE, dep_cli_text(cli, "unknown_%s", kind), "'%s' has no %s '%s'", command_name(cli),
                 kind, word);
    if (nearest != NULL)
        dep_cli_suggest(cli, "did you mean %s %s?", command_name(cli), nearest);
    dep_cli_suggest(cli, "%s --help", command_name(cli));
    return DEP_EXIT_USAGE;
}

static int take_noun(struct dep_cli *cli, const char *word)
{
    const char *words[WORDS_MAX];

    for (size_t i = 0; i < dep_nouns_count; i++) {
        words[i] = dep_nouns[i]->name;
        if (strcmp(word, words[i]) == 0) {
            cli->noun = dep_nouns[i];
            cli->verb = cli->noun->verbs[0].name == NULL ? &cli->noun->verbs[0] : NULL;
            return DEP_EXIT_OK;
        }
    }
    return unknown_word(cli, "command", word, words, dep_nouns_count);
}

static int take_verb(struct dep_cli *cli, const char *word)
{
    const char *words[WORDS_MAX];

    for (size_t i = 0; i < cli->noun->verbs_count; i++) {
        words[i] = cli->noun->verbs[i].name;
        if (strcmp(word, words[i]) == 0) {
            cli->verb = &cli->noun->verbs[i];
            return DEP_EXIT_OK;
        }
    }
    return unknown_word(cli, "verb", word, words, cli->noun->verbs_count);
}

static int take_word(struct dep_cli *cli, const char *word)
{
    if (cli->noun == NULL && strcmp(word, "help") == 0) {
        cli->wants_help = true;
        return DEP_EXIT_OK;
    }
    if (cli->noun == NULL)
        return take_noun(cli, word);
    if (cli->verb == NULL)
        return take_verb(cli, word);
    cli->args[cli->args_count++] = word;
    return DEP_EXIT_OK;
}

static int read_globals(struct dep_cli *cli)
{
    const char *format = dep_cli_has(cli, "format") ? dep_cli_get(cli, "format") : getenv("DEPUTY_FORMAT");
    const char *url = getenv("DEPUTY_URL");
    const char *socket = getenv("DEPUTY_ADMIN_SOCKET");

    cli->format = cli->out_is_terminal ? DEP_FORMAT_TABLE : DEP_FORMAT_JSON;
    if (format != NULL && is_choice("table|json|ndjson", dep_str_c(format)))
        cli->format = strcmp(format, "table") == 0  ? DEP_FORMAT_TABLE
                      : strcmp(format, "json") == 0 ? DEP_FORMAT_JSON
                                                    : DEP_FORMAT_NDJSON;
    cli->url = dep_cli_get(cli, "url");
    if (cli->url == NULL)
        cli->url = url != NULL && url[0] != '\0' ? url : "http://127.0.0.1:8693";
    cli->socket = dep_cli_get(cli, "socket");
    if (cli->socket == NULL)
        cli->socket = socket != NULL && socket[0] != '\0' ? socket : "./deputy-data/admin.sock";
    cli->data = dep_cli_has(cli, "data") ? dep_cli_get(cli, "data") : "./deputy-data";
    cli->is_dry = dep_cli_is_on(cli, "dry-run");
    cli->prints_curl = dep_cli_is_on(cli, "print-curl");
    cli->is_quiet = dep_cli_is_on(cli, "quiet");
    cli->is_verbose = dep_cli_is_on(cli, "verbose");
    cli->wants_help = cli->wants_help || dep_cli_is_on(cli, "help");
    return DEP_EXIT_OK;
}

/* What is missing or too much, once everything has been read. */
static int check_whole(struct dep_cli *cli)
{
    const struct dep_verb *verb = cli->verb;

    if (cli->noun == NULL || verb == NULL) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, cli->noun == NULL ? "no_command" : "no_verb", "%s: what to do?",
                     command_name(cli));
        dep_cli_suggest(cli, "%s --help", command_name(cli));
        return DEP_EXIT_USAGE;
    }
    for (size_t i = 0; i < verb->flags_count; i++) {
        if ((verb->flags[i].marks & DEP_FLAG_REQUIRED) != 0 && !dep_cli_has(cli, verb->flags[i].name))
            return bad_value(cli, &verb->flags[i], "this flag is required");
    }
    if (cli->args_count < verb->args_min || cli->args_count > verb->args_max) {
        dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_arguments", "'%s' takes %s", command_name(cli),
                     verb->args != NULL ? verb->args : "no arguments");
        dep_cli_suggest(cli, "%s --help", command_name(cli));
        return DEP_EXIT_USAGE;
    }
    for (size_t i = 0; i < cli->args_count; i++) {
        /* They go into paths: an empty segment or a dot segment would name something else. */
        if (cli->args[i][0] == '\0' || strcmp(cli->args[i], ".") == 0 || strcmp(cli->args[i], "..") == 0)
            return dep_cli_fail(cli, DEP_EXIT_USAGE, "bad_arguments", "'%s' is no %s", cli->args[i], verb->args);
    }
    for (size_t i = 0; verb->takes_secret && i < cli->args_count; i++) {
        int code = dep_secret_source_check(cli, cli->args[i], verb->args);

        if (code != DEP_EXIT_OK)
            return code;
    }
    return DEP_EXIT_OK;
}

int dep_cli_parse(struct dep_cli *cli, int argc, const char *const *argv)
{
    bool are_flags_over = false;

    cli->values = DEP_NEW_ARRAY(&cli->arena, (size_t)argc + 1, struct dep_cli_value);
    cli->args = DEP_NEW_ARRAY(&cli->arena, (size_t)argc + 1, const char *);
    if (cli->values == NULL || cli->args == NULL)
        return dep_cli_fail(cli, DEP_EXIT_USAGE, "too_long", "the command line is too long");
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        bool is_flag = !are_flags_over && word[0] == '-' && (word[1] == '-' || (word[1] != '\0' && word[2] == '\0'));
        int code;

        if (is_flag && strcmp(word, "--") == 0) {
            are_flags_over = true;
            continue;
        }
        if (is_flag && cli->noun == NULL && strcmp(word, "--version") == 0) {
            cli->wants_version = true;
            return DEP_EXIT_OK;
        }
        code = is_flag ? take_flag(cli, argc, argv, &i) : take_word(cli, word);
        if (code != DEP_EXIT_OK) {
            read_globals(cli);
            return code;
        }
    }
    read_globals(cli);
    return cli->wants_help ? DEP_EXIT_OK : check_whole(cli);
}

/* Help at each level, from the tables. */
#include <string.h>

#include "cli/cli.h"

static void put_flags(FILE *out, const struct dep_flag *flags, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct dep_flag *flag = &flags[i];
        char letter[8] = "    ";
        char left[80];

        if (flag->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name, flag->value != NULL ? " " : "",
                 flag->value != NULL ? flag->value : "");
        fprintf(out, "  %-36s %s%s%s\n", left, flag->help, (flag->marks & DEP_FLAG_REQUIRED) != 0 ? " (required)" : "",
                (flag->marks & DEP_FLAG_REPEATED) != 0 ? " (may be repeated)" : "");
    }
}

static void put_verb_help(const struct dep_cli *cli)
{
    const struct dep_verb *verb = cli->verb;

    fprintf(cli->out, "deputy %s%s%s - %s\n\nusage: deputy %s%s%s%s%s%s\n", cli->noun->name,
            verb->name != NULL ? " " : "", verb->name != NULL ? verb->name : "", verb->help, cli->noun->name,
            verb->name != NULL ? " " : "", verb->name != NULL ? verb->name : "", verb->args != NULL ? " " : "",
            verb->args != NULL ? verb->args : "", verb->flags_count > 0 ? " [flags]" : "");
    if (verb->flags_count > 0) {
        fputs("\nflags:\n", cli->out);
        put_flags(cli->out, verb->flags, verb->flags_count);
    }
    fputs("\nflags of every command:\n", cli->out);
    put_flags(cli->out, dep_global_flags, dep_global_flags_count);
    for (size_t i = 0; i < verb->flags_count; i++) {
        if (verb->flags[i].kind == DEP_FLAG_SECRET) {
            fputs(
                "\nA SOURCE is file:PATH, env:NAME, fd:N, cred:NAME or - (standard input), never the secret itself.\n",
                cli->out);
            break;
        }
    }
}

static void put_noun_help(const struct dep_cli *cli)
{
    const struct dep_noun *noun = cli->noun;

    fprintf(cli->out, "deputy %s - %s\n\nusage: deputy %s VERB\n\nverbs:\n", noun->name, noun->help, noun->name);
    for (size_t i = 0; i < noun->verbs_count; i++)
        fprintf(cli->out, "  %-16s %s\n", noun->verbs[i].name, noun->verbs[i].help);
    fprintf(cli->out, "\nmore: deputy %s VERB --help\n", noun->name);
}

static void put_names(FILE *out, const struct dep_noun *noun)
{
    for (size_t i = 0; i < noun->verbs_count; i++) {
        if (noun->verbs[i].name != NULL)
            fprintf(out, "%s%s", i > 0 ? "|" : "", noun->verbs[i].name);
        else
            fputs(noun->verbs[i].args, out);
    }
    fputc('\n', out);
}

void dep_cli_help(const struct dep_cli *cli)
{
    if (cli->noun != NULL && cli->verb != NULL) {
        put_verb_help(cli);
        return;
    }
    if (cli->noun != NULL) {
        put_noun_help(cli);
        return;
    }
    fputs("deputy - credentials, delegation and audit for agents\n\nusage: deputy NOUN VERB [flags]\n\n", cli->out);
    for (size_t i = 0; i < dep_nouns_count; i++) {
        fprintf(cli->out, "  %-10s %s\n             ", dep_nouns[i]->name, dep_nouns[i]->help);
        put_names(cli->out, dep_nouns[i]);
    }
    fputs("\nflags of every command:\n", cli->out);
    put_flags(cli->out, dep_global_flags, dep_global_flags_count);
    fputs("\nmore: deputy NOUN --help, deputy NOUN VERB --help, man deputy, man deputy-exit-codes\n", cli->out);
}

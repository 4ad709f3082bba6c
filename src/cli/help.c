/* Help at each level, and the nearest word; both from the tables. */
#include <string.h>

#include "cli/cli.h"

#define WORD_MAX 48

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Edit distance with neighbours swapped counted as one. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *twice = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && twice[j - 2] + 1 < row[j])
                row[j] = twice[j - 2] + 1;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *dep_cli_nearest(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t least = strlen(word) < 4 ? 2 : strlen(word) / 3 + 1;

    for (size_t i = 0; i < count; i++) {
        size_t far = distance(word, words[i]);

        if (far < least || (far == least && nearest == NULL && strncmp(word, words[i], 2) == 0)) {
            least = far;
            nearest = words[i];
        }
    }
    return nearest;
}

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

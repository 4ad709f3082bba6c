/* One run of the command: memory, parsing, the verb, the fault. And the table of nouns. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "cli/nouns.h"

/* Untouched pages cost nothing. */
#define ARENA_BYTES ((size_t)64 << 20)

#ifndef DEP_VERSION
#define DEP_VERSION "0.1.0"
#endif

const struct dep_noun *const dep_nouns[] = {
#define DEP_NOUN(name) &dep_noun_##name,
#include "cli/noun.def"
#undef DEP_NOUN
};
const size_t dep_nouns_count = DEP_CLI_COUNT(dep_nouns);

static int run(struct dep_cli *cli, int argc, const char *const *argv)
{
    int code = dep_cli_parse(cli, argc, argv);

    if (code != DEP_EXIT_OK)
        return code;
    if (cli->wants_version) {
        fputs("deputy " DEP_VERSION "\n", cli->out);
        return DEP_EXIT_OK;
    }
    if (cli->wants_help) {
        dep_cli_help(cli);
        return DEP_EXIT_OK;
    }
    cli->crypto = dep_crypto_new();
    if (cli->crypto == NULL)
        return dep_cli_fail(cli, DEP_EXIT_GENERAL, "crypto", "the cryptographic library cannot be initialised");
    return cli->verb->run(cli);
}

int dep_cli_main(int argc, const char *const *argv, FILE *out, FILE *err, bool out_is_terminal, bool err_is_terminal)
{
    struct dep_cli cli = {
        .out = out, .err = err, .out_is_terminal = out_is_terminal, .err_is_terminal = err_is_terminal
    };
    void *memory = calloc(1, ARENA_BYTES); /* only what is used is ever touched */
    int code;

    if (memory == NULL) {
        fputs("deputy: out of memory\n", err);
        return DEP_EXIT_GENERAL;
    }
    dep_arena_init_zero(&cli.arena, memory, ARENA_BYTES);
    code = run(&cli, argc, argv);
    fflush(out); /* results first, then why there are no more */
    if (code != DEP_EXIT_OK)
        dep_cli_render_fault(&cli);
    dep_crypto_free(cli.crypto);
    dep_wipe(memory, cli.arena.used);
    free(memory);
    return code;
}

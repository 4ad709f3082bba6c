/* The nouns, each defined by its own file. */
#ifndef DEP_CLI_NOUNS_H
#define DEP_CLI_NOUNS_H

#include "cli/cli.h"

#define DEP_NOUN(name) extern const struct dep_noun dep_noun_##name;
#include "cli/noun.def"
#undef DEP_NOUN

#endif

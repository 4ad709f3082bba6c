/* Configuration of a reverse proxy that asks the guard: the template of adapters/ with this installation's values. */
#ifndef DEP_CLI_SNIPPET_H
#define DEP_CLI_SNIPPET_H

#include "cli/cli.h"

/* The verb: reads the proxy's name and --resource, --guard, --upstream, --listen, --lua. */
int dep_snippet_run(struct dep_cli *cli);

#endif

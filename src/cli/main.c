/* deputy: the entry. */
#include <signal.h>
#include <unistd.h>

#include "cli/cli.h"

int main(int argc, char **argv)
{
    int code;

    /* A reader that went away is told by the write, not by a signal. */
    signal(SIGPIPE, SIG_IGN);
    code = dep_cli_main(argc, (const char *const *)argv, stdout, stderr, isatty(STDOUT_FILENO) == 1,
                        isatty(STDERR_FILENO) == 1);
    /* An earlier flush may have met the fault already: the stream remembers. */
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == DEP_EXIT_OK)
        code = DEP_EXIT_GENERAL;
    return code;
}

/* The files of adapters/, as tools/embed puts them into the program. */
#ifndef DEP_CLI_EMBEDDED_H
#define DEP_CLI_EMBEDDED_H

struct dep_embedded {
    const char *name; /* of the file; NULL ends the list */
    const char *text;
};

extern const struct dep_embedded dep_embedded[];

#endif

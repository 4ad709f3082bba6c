/* The true form of a request head, read from the buffer of a library that tolerates too much.
 *
 * Before 1.0 libmicrohttpd ends every part of a head with NULs in place: blank and CR LF of the request line, the colon
 * of a header, CR LF behind its value. So where each part starts says what stood between them. A bare CR or LF, a
 * folded line, a NUL, blanks before the colon, two blanks in the request line all leave another layout. (One odd form
 * leaves none: a line of a lone colon ended by a bare LF or CR looks like the empty line, and ends the head for the
 * library as well.) From 1.0 on the library is strict itself, and nothing is checked here. */
#ifndef DEP_NET_LAYOUT_H
#define DEP_NET_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

struct dep_net_layout {
    bool is_checked;
    const char *method; /* where the head starts */
    const char *at;     /* where the next line must start */
};

/* Whether the library that runs now needs these checks; not the one that was compiled against. */
bool dep_net_layout_is_needed(void);
/* METHOD SP target SP version CR LF; `target_len` as it was sent. */
bool dep_net_layout_line(struct dep_net_layout *layout, bool is_checked, const char *method, const char *target,
                         size_t target_len, const char *version);
/* name ":" OWS value CR LF. */
bool dep_net_layout_header(struct dep_net_layout *layout, const char *name, size_t name_len, const char *value,
                           size_t value_len);
/* CR LF, and the head is `head_len` bytes long in all. */
bool dep_net_layout_end(const struct dep_net_layout *layout, size_t head_len);

#endif

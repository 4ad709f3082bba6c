/* The clocks of what runs: servers, guards, the library. */
#ifndef DEP_NET_CLOCK_H
#define DEP_NET_CLOCK_H

#include <stdint.h>

/* Milliseconds that only grow: for ages and timeouts. */
int64_t dep_clock_ms(void);
/* Unix seconds: for tokens, proofs and records. */
int64_t dep_clock_unix(void);

#endif

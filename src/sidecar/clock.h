/* The clocks of the guard process. */
#ifndef DEP_SIDECAR_CLOCK_H
#define DEP_SIDECAR_CLOCK_H

#include <stdint.h>

/* Milliseconds that only grow: for ages and timeouts. */
int64_t dep_clock_ms(void);
/* Unix seconds: for tokens, proofs and records. */
int64_t dep_clock_unix(void);

#endif

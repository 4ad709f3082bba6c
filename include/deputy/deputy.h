/* libdeputy: all of it. */
#ifndef DEPUTY_DEPUTY_H
#define DEPUTY_DEPUTY_H

#include <deputy/guard.h>
#include <deputy/idempotency.h>
#include <deputy/result.h>

#endif

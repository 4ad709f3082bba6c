/* What the files of this folder share. Nobody else includes it. */
#ifndef DEP_JOSE_TEXT_H
#define DEP_JOSE_TEXT_H

#include "base/json.h"

#define DEP_KID_BYTES_MAX 256u

/* Reads a kid: absent when there is none (true); false when it is no string, empty, longer than DEP_KID_BYTES_MAX,
 * or has control or bidirectional characters (attack case A30). */
bool dep_jose_kid(const struct dep_json *object, struct dep_str *ret_kid);

#endif

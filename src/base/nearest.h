/* "Did you mean": the nearest word. */
#ifndef DEP_BASE_NEAREST_H
#define DEP_BASE_NEAREST_H

#include <stddef.h>

/* The word of `words` nearest to `word`, or NULL when none is near. */
const char *dep_nearest(const char *word, const char *const *words, size_t count);

#endif

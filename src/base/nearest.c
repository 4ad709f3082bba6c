/* Edit distance, for short words. */
#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

#define WORD_MAX 48

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Edit distance with neighbours swapped counted as one. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *twice = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && twice[j - 2] + 1 < row[j])
                row[j] = twice[j - 2] + 1;
        }
    }
    return rows[a_len % 3][b_len];
}

static bool starts_alike(const char *a, const char *b)
{
    return a[0] != '\0' && a[0] == b[0] && a[1] == b[1];
}

const char *dep_nearest(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t least = strlen(word) < 4 ? 2 : strlen(word) / 3 + 1;

    for (size_t i = 0; i < count; i++) {
        size_t far = distance(word, words[i]);

        if (far < least || (far == least && nearest == NULL && starts_alike(word, words[i]))) {
            least = far;
            nearest = words[i];
        }
    }
    return nearest;
}

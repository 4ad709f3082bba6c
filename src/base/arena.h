/* The request arena: all memory of one decision, given back at once.
 *
 * Invariants:
 *  (1) Nothing is freed alone; dep_arena_reset() gives everything back.
 *  (2) The limit is a result, never an abort: dep_arena_alloc() returns NULL beyond it, and every caller passes that
 *      up as DEP_ERR_ARENA_FULL. So running out of memory is tested by sweeping one number.
 *  (3) In debug mode every object is its own malloc, so that sanitizers see overruns and use after reset. */
#ifndef DEP_BASE_ARENA_H
#define DEP_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct dep_arena {
    unsigned char *memory; /* caller's, `size` bytes; NULL in debug mode */
    size_t size;           /* the limit, in both modes */
    size_t used;
    size_t peak;                      /* most ever used: to set the limit by measurement */
    struct dep_arena_object *objects; /* debug mode */
    bool is_debug;
};

/* On the caller's memory, which must be aligned to 16 bytes and outlive the arena. */
void dep_arena_init(struct dep_arena *arena, void *memory, size_t size);
/* The same on memory that is zero already (calloc): pages that are never used stay untouched. */
void dep_arena_init_zero(struct dep_arena *arena, void *memory, size_t size);
/* Debug mode: own malloc per object, `limit` bytes in all. dep_arena_reset() frees. */
void dep_arena_init_debug(struct dep_arena *arena, size_t limit);
void dep_arena_reset(struct dep_arena *arena);

/* `size` zeroed bytes, aligned to 16; NULL when the limit is reached. A size of 0 gives a valid pointer. */
void *dep_arena_alloc(struct dep_arena *arena, size_t size);
/* Array of `count` zeroed objects; NULL also on overflow. */
void *dep_arena_array(struct dep_arena *arena, size_t count, size_t size);
/* A copy of the slice; absent on exhaustion or when `s` is absent. */
struct dep_str dep_arena_dup(struct dep_arena *arena, struct dep_str s);

#define DEP_NEW(arena, type) ((type *)dep_arena_alloc((arena), sizeof(type)))
#define DEP_NEW_ARRAY(arena, count, type) ((type *)dep_arena_array((arena), (count), sizeof(type)))

#endif

/* The request arena: a bump allocator with a limit. Invariants stand in arena.h. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define ALIGN 16u

struct dep_arena_object {
    struct dep_arena_object *next;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

void dep_arena_init_zero(struct dep_arena *arena, void *memory, size_t size)
{
    *arena = (struct dep_arena){ .memory = memory, .size = size };
}

void dep_arena_init(struct dep_arena *arena, void *memory, size_t size)
{
    dep_arena_init_zero(arena, memory, size);
    if (size > 0)
        memset(memory, 0, size);
}

void dep_arena_init_debug(struct dep_arena *arena, size_t limit)
{
    *arena = (struct dep_arena){ .size = limit, .is_debug = true };
}

void dep_arena_reset(struct dep_arena *arena)
{
    while (arena->objects != NULL) {
        struct dep_arena_object *object = arena->objects;

        arena->objects = object->next;
        dep_wipe(object->bytes, object->size);
        free(object);
    }
    /* Requests carry secrets; what the next one finds is zero. */
    if (arena->memory != NULL)
        memset(arena->memory, 0, arena->used);
    arena->used = 0;
}

void *dep_arena_alloc(struct dep_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGN)
        return NULL;

    size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);

    if (rounded > arena->size - arena->used)
        return NULL;

    size_t at = arena->used;

    arena->used += rounded;
    if (arena->used > arena->peak)
        arena->peak = arena->used;
    if (!arena->is_debug)
        return arena->memory + at; /* zero since init or reset */

    struct dep_arena_object *object = calloc(1, sizeof(*object) + size);

    if (object == NULL)
        return NULL;
    object->next = arena->objects;
    object->size = size;
    arena->objects = object;
    return object->bytes;
}

void *dep_arena_array(struct dep_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return dep_arena_alloc(arena, count * size);
}

struct dep_str dep_arena_dup(struct dep_arena *arena, struct dep_str s)
{
    if (s.ptr == NULL)
        return s;

    char *copy = dep_arena_alloc(arena, s.len);

    if (copy == NULL)
        return DEP_STR_ABSENT;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return dep_str(copy, s.len);
}

/* The shared replay store: the rules of replay.c, over tables that are there from the start.
 *
 * Invariants:
 *  (1) A shard's `now` only rises; a generation that it has passed is dropped. `dropped` is the latest generation dropped
 *      with entries in it; what expires at or before it is refused as seen.
 *  (2) A process that is killed inside a lock leaves the shard whole: a cell is written before it is counted, and a table
 *      belongs to no generation from before its cells are wiped until after. Only the compiler could reorder that, for
 *      a process dies between two instructions, so fences for signals do. The next to lock counts the cells again.
 *  (3) There is always an empty cell, so a probe ends.
 *  (4) A shard that cannot be locked refuses. */
#include "store/replay_region.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "crypto/crypto.h"

#define SHARDS_MAX 64u
#define SHARD_CELLS_MIN 256u /* of a table: fewer shards before that */
#define CELLS_MIN 16u
#define SPANS 10
#define TABLES 12u /* SPANS + 2: live generations never want one place */

struct cell {
    uint64_t low, high; /* both zero: empty */
};

struct table {
    int64_t generation; /* -1: none; the cells are anything */
    uint64_t count;
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    int64_t now;
    int64_t dropped; /* -1: none */
    struct table tables[TABLES];
};

struct dep_replay_region {
    size_t shards_count; /* a power of two */
    size_t cells_count;  /* of each table */
    int64_t life_max_s, span_s;
    uint64_t seed[2];
    struct cell *cells; /* shard after shard, table after table */
    struct shard shards[];
};

static bool init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    bool is_good = pthread_mutexattr_init(&attributes) == 0;

    if (!is_good)
        return false;
    is_good = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
              pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
              pthread_mutex_init(lock, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    return is_good;
}

struct dep_replay_region *dep_replay_region_init(void *memory, size_t bytes, int64_t life_max_s)
{
    struct dep_replay_region *region = memory;
    size_t shards = SHARDS_MAX, head, cells;

    DEP_ASSERT(life_max_s > 0 && life_max_s <= INT32_MAX);
    while (shards > 1 && bytes / sizeof(struct cell) / (shards * TABLES) < SHARD_CELLS_MIN)
        shards /= 2;
    head = (sizeof(*region) + shards * sizeof(struct shard) + 63) / 64 * 64;
    if (bytes < head)
        return NULL;
    cells = (bytes - head) / sizeof(struct cell) / (shards * TABLES);
    if (cells < CELLS_MIN)
        return NULL;
    memset(memory, 0, head);
    region->shards_count = shards;
    region->cells_count = cells;
    region->life_max_s = life_max_s;
    region->span_s = (life_max_s + SPANS - 1) / SPANS;
    region->cells = (struct cell *)(void *)((char *)memory + head);
    dep_random(region->seed, sizeof(region->seed));
    for (size_t i = 0; i < shards; i++) {
        if (!init_lock(&region->shards[i].lock))
            return NULL;
        region->shards[i].dropped = -1;
        for (size_t k = 0; k < TABLES; k++)
            region->shards[i].tables[k].generation = -1;
    }
    return region;
}

int64_t dep_replay_region_life_max_s(const struct dep_replay_region *region)
{
    return region->life_max_s;
}

/* Four fifths of the cells, so that probes stay short. */
static size_t count_max(const struct dep_replay_region *region)
{
    return region->cells_count / 5 * 4;
}

size_t dep_replay_region_generation_max(const struct dep_replay_region *region)
{
    return region->shards_count * count_max(region);
}

static struct cell *cells_of(const struct dep_replay_region *region, const struct shard *shard,
                             const struct table *table)
{
    size_t index = (size_t)(shard - region->shards) * TABLES + (size_t)(table - shard->tables);

    return region->cells + index * region->cells_count;
}

static bool is_empty(const struct cell *cell)
{
    return (cell->low | cell->high) == 0;
}

/* What the dead one was at is not known: everything else is as it was. */
static void recover(const struct dep_replay_region *region, struct shard *shard)
{
    for (size_t k = 0; k < TABLES; k++) {
        struct table *table = &shard->tables[k];
        const struct cell *cells = cells_of(region, shard, table);

        table->count = 0;
        for (size_t i = 0; table->generation >= 0 && i < region->cells_count; i++)
            table->count += !is_empty(&cells[i]);
    }
}

static bool lock(const struct dep_replay_region *region, struct shard *shard)
{
    int error = pthread_mutex_lock(&shard->lock);

    if (error == EOWNERDEAD) {
        recover(region, shard);
        error = pthread_mutex_consistent(&shard->lock);
    }
    return error == 0;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct dep_replay_region *region, struct cell key)
{
    return mix(mix(key.low ^ region->seed[0], UINT64_C(0x9e3779b97f4a7c15)) ^ key.high, region->seed[1] | 1);
}

/* The key's cell, or the empty one where it belongs. */
static struct cell *find(const struct dep_replay_region *region, struct cell *cells, struct cell key, uint64_t hash)
{
    size_t at = (size_t)((unsigned __int128)hash * region->cells_count >> 64);

    for (;;) {
        struct cell *cell = &cells[at];

        if ((cell->low == key.low && cell->high == key.high) || is_empty(cell))
            return cell;
        if (++at == region->cells_count)
            at = 0;
    }
}

static void drop(struct shard *shard, struct table *table)
{
    if (table->count > 0 && table->generation > shard->dropped)
        shard->dropped = table->generation;
    atomic_signal_fence(memory_order_seq_cst);
    table->generation = -1;
}

static void advance(const struct dep_replay_region *region, struct shard *shard, int64_t now)
{
    int64_t current = now / region->span_s;

    if (now <= shard->now)
        return;
    shard->now = now;
    for (size_t i = 0; i < TABLES; i++)
        if (shard->tables[i].generation >= 0 && shard->tables[i].generation < current)
            drop(shard, &shard->tables[i]);
}

static struct dep_res take_place(const struct dep_replay_region *region, struct shard *shard, struct table *table,
                                 int64_t generation)
{
    if (generation <= shard->dropped || generation < table->generation)
        return DEP_FAIL(REPLAY_SEEN);
    if (table->generation >= 0)
        return DEP_FAIL(REPLAY_FULL);
    memset(cells_of(region, shard, table), 0, region->cells_count * sizeof(struct cell));
    table->count = 0;
    atomic_signal_fence(memory_order_seq_cst);
    table->generation = generation;
    return DEP_OK;
}

static struct dep_res insert(const struct dep_replay_region *region, struct shard *shard, struct cell key,
                             uint64_t hash, int64_t expires)
{
    int64_t generation = expires / region->span_s;
    struct table *table = &shard->tables[generation % TABLES];
    struct cell *cell;

    if (expires > shard->now + region->life_max_s)
        return DEP_FAIL(REPLAY_FULL);
    if (table->generation != generation)
        DEP_TRY(take_place(region, shard, table, generation));
    cell = find(region, cells_of(region, shard, table), key, hash);
    if (!is_empty(cell))
        return DEP_FAIL(REPLAY_SEEN);
    if (table->count >= count_max(region))
        return DEP_FAIL(REPLAY_FULL);
    *cell = key;
    atomic_signal_fence(memory_order_seq_cst);
    table->count++;
    return DEP_OK;
}

struct dep_res dep_replay_region_insert(struct dep_replay_region *region, const unsigned char key[16], int64_t expires,
                                        int64_t now)
{
    struct cell cell;
    struct dep_res res;

    if (expires < 0 || now < 0 || now > INT64_MAX - region->life_max_s)
        return DEP_FAIL(REPLAY_FULL);
    memcpy(&cell, key, sizeof(cell));
    if (is_empty(&cell))
        cell = (struct cell){ region->seed[0] | 1, region->seed[1] };

    uint64_t hash = hash_of(region, cell);
    struct shard *shard = &region->shards[hash & (region->shards_count - 1)];

    if (!lock(region, shard))
        return DEP_FAIL(REPLAY_FULL);
    advance(region, shard, now);
    res = insert(region, shard, cell, hash, expires);
    pthread_mutex_unlock(&shard->lock);
    return res;
}

size_t dep_replay_region_count(struct dep_replay_region *region)
{
    size_t total = 0;

    for (size_t i = 0; i < region->shards_count; i++) {
        struct shard *shard = &region->shards[i];

        if (!lock(region, shard))
            continue;
        for (size_t k = 0; k < TABLES; k++)
            total += shard->tables[k].generation >= 0 ? (size_t)shard->tables[k].count : 0;
        pthread_mutex_unlock(&shard->lock);
    }
    return total;
}

/* The in-memory replay store (rfc9449#11.1): shards by key, generations by the entry's expiry.
 *
 * Generation g holds the entries that expire in [g * span, (g + 1) * span). A thing that was seen keeps its expiry, so a second
 * insert looks into the same generation: one probe. When the clock has passed the end of g, its whole table is freed.
 *
 * Invariants:
 *  (1) A shard's `now` only rises, so a clock set back drops nothing. A table is freed only when `now` is past its end: as a whole
 *      when `now` enters another generation, or when a later generation wants its place.
 *  (2) `dropped` is the latest generation freed with entries in it. An insert at or before it whose table is gone is refused as
 *      seen: what was dropped can not be told from what was never there. So after a clock was set back by more than a life, things
 *      are refused until it has caught up.
 *  (3) Live generations are at most life_max_s / span + 2, the number of tables, so two of them never want one place.
 *  (4) Nothing live is evicted: a shard at its bound, or out of memory, refuses.
 *  (5) Cells are found by a hash under a seed of this store, so no choice of keys makes probes long. */
#include "store/replay.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

#define SHARDS_MAX 256u
#define SHARD_ENTRIES_MIN 4096u /* below that, one lock is enough */
#define SPANS 10                /* generations that a life is cut into */
#define TABLES 12u              /* SPANS + 2 */
#define CELLS_MIN 16u

struct cell {
    uint64_t low, high; /* both zero: empty */
};

struct table {
    int64_t generation; /* -1: none */
    uint32_t count, cells_count;
    struct cell *cells;
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    int64_t now;
    int64_t dropped; /* -1: none */
    size_t count, count_max;
    size_t bytes;
    struct table tables[TABLES];
};

struct dep_replay {
    size_t shards_count; /* a power of two */
    int64_t life_max_s;
    int64_t span_s;
    uint64_t seed[2];
    struct shard shards[];
};

static size_t shards_for(size_t entries_max)
{
    size_t shards = 1;

    while (shards < SHARDS_MAX && entries_max / (shards * 2) >= SHARD_ENTRIES_MIN)
        shards *= 2;
    return shards;
}

static void shard_init(struct shard *shard, size_t count_max)
{
    DEP_ASSERT(pthread_mutex_init(&shard->lock, NULL) == 0);
    shard->dropped = -1;
    shard->count_max = count_max;
    for (size_t i = 0; i < TABLES; i++)
        shard->tables[i].generation = -1;
}

struct dep_replay *dep_replay_new(size_t entries_max, int64_t life_max_s)
{
    DEP_ASSERT(entries_max > 0 && life_max_s > 0 && life_max_s <= INT32_MAX);

    size_t shards = shards_for(entries_max);
    size_t mean = (entries_max + shards - 1) / shards;
    size_t size = sizeof(struct dep_replay) + shards * sizeof(struct shard);
    struct dep_replay *replay = aligned_alloc(64, (size + 63) / 64 * 64);

    if (replay == NULL)
        return NULL;
    memset(replay, 0, size);
    replay->shards_count = shards;
    replay->life_max_s = life_max_s;
    replay->span_s = (life_max_s + SPANS - 1) / SPANS;
    dep_random(replay->seed, sizeof(replay->seed));
    /* A sixteenth more than the mean: four standard deviations of the smallest shard. */
    for (size_t i = 0; i < shards; i++)
        shard_init(&replay->shards[i], shards == 1 ? mean : mean + mean / 16);
    return replay;
}

void dep_replay_free(struct dep_replay *replay)
{
    if (replay == NULL)
        return;
    for (size_t i = 0; i < replay->shards_count; i++) {
        for (size_t k = 0; k < TABLES; k++)
            free(replay->shards[i].tables[k].cells);
        pthread_mutex_destroy(&replay->shards[i].lock);
    }
    free(replay);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct dep_replay *replay, struct cell key)
{
    return mix(mix(key.low ^ replay->seed[0], UINT64_C(0x9e3779b97f4a7c15)) ^ key.high, replay->seed[1] | 1);
}

/* The place of a hash among `count` cells: the high half of a product, so `count` need not be a power of two. */
static uint32_t place_of(uint64_t hash, uint32_t count)
{
    return (uint32_t)((unsigned __int128)hash * count >> 64);
}

/* The key's cell, or the empty one where it belongs. There is always an empty one. */
static struct cell *find(const struct table *table, struct cell key, uint64_t hash)
{
    uint32_t at = place_of(hash, table->cells_count);

    for (;;) {
        struct cell *cell = &table->cells[at];

        if ((cell->low == key.low && cell->high == key.high) || (cell->low | cell->high) == 0)
            return cell;
        if (++at == table->cells_count)
            at = 0;
    }
}

/* Half as large again; with tables at most four fifths full an entry takes 20 to 30 bytes. */
static bool grow(const struct dep_replay *replay, struct shard *shard, struct table *table)
{
    struct table larger = *table;

    if (table->cells_count > UINT32_MAX / 2)
        return false;
    larger.cells_count = table->cells_count == 0 ? CELLS_MIN : table->cells_count + table->cells_count / 2;
    larger.cells = calloc(larger.cells_count, sizeof(struct cell));
    if (larger.cells == NULL)
        return false;
    for (uint32_t i = 0; i < table->cells_count; i++) {
        struct cell key = table->cells[i];

        if ((key.low | key.high) != 0)
            *find(&larger, key, hash_of(replay, key)) = key;
    }
    shard->bytes += (larger.cells_count - table->cells_count) * sizeof(struct cell);
    free(table->cells);
    *table = larger;
    return true;
}

static void drop(struct shard *shard, struct table *table)
{
    if (table->count > 0 && table->generation > shard->dropped)
        shard->dropped = table->generation;
    shard->count -= table->count;
    shard->bytes -= table->cells_count * sizeof(struct cell);
    free(table->cells);
    *table = (struct table){ .generation = -1 };
}

/* Lets the shard's clock rise, and drops what it has passed. */
static void advance(const struct dep_replay *replay, struct shard *shard, int64_t now)
{
    if (now <= shard->now)
        return;

    int64_t before = shard->now / replay->span_s;
    int64_t current = now / replay->span_s;

    shard->now = now;
    if (current == before)
        return;
    for (size_t i = 0; i < TABLES; i++)
        if (shard->tables[i].generation >= 0 && shard->tables[i].generation < current)
            drop(shard, &shard->tables[i]);
}

/* Gives the place to `generation`, if nothing live stands there and nothing of `generation` was ever dropped. */
static struct dep_res take_place(const struct dep_replay *replay, struct shard *shard, struct table *table,
                                 int64_t generation)
{
    if (generation <= shard->dropped || generation < table->generation)
        return DEP_FAIL(REPLAY_SEEN);
    if (table->generation >= shard->now / replay->span_s)
        return DEP_FAIL(REPLAY_FULL);
    drop(shard, table);
    table->generation = generation;
    return DEP_OK;
}

static struct dep_res insert(const struct dep_replay *replay, struct shard *shard, struct cell key, uint64_t hash,
                             int64_t expires)
{
    int64_t generation = expires / replay->span_s;
    struct table *table = &shard->tables[generation % TABLES];

    if (expires > shard->now + replay->life_max_s)
        return DEP_FAIL(REPLAY_FULL);
    if (table->generation != generation)
        DEP_TRY(take_place(replay, shard, table, generation));

    struct cell *cell = table->cells_count == 0 ? NULL : find(table, key, hash);

    if (cell != NULL && (cell->low | cell->high) != 0)
        return DEP_FAIL(REPLAY_SEEN);
    if (shard->count >= shard->count_max)
        return DEP_FAIL(REPLAY_FULL);
    if ((uint64_t)(table->count + 1) * 5 > (uint64_t)table->cells_count * 4) {
        if (!grow(replay, shard, table))
            return DEP_FAIL(REPLAY_FULL);
        cell = find(table, key, hash);
    }
    *cell = key;
    table->count++;
    shard->count++;
    return DEP_OK;
}

/* Its cell and its shard. */
static struct shard *locate(struct dep_replay *replay, const unsigned char key[DEP_REPLAY_KEY_LEN],
                            struct cell *ret_cell, uint64_t *ret_hash)
{
    memcpy(ret_cell, key, sizeof(*ret_cell));
    if ((ret_cell->low | ret_cell->high) == 0)
        *ret_cell = (struct cell){ replay->seed[0] | 1, replay->seed[1] };
    *ret_hash = hash_of(replay, *ret_cell);
    return &replay->shards[*ret_hash & (replay->shards_count - 1)];
}

struct dep_res dep_replay_insert(struct dep_replay *replay, const unsigned char key[DEP_REPLAY_KEY_LEN],
                                 int64_t expires, int64_t now)
{
    struct shard *shard;
    struct cell cell;
    struct dep_res res;
    uint64_t hash;

    /* Times before 1970 are nobody's: nothing that expired then can be accepted. */
    if (expires < 0 || now < 0 || now > INT64_MAX - replay->life_max_s)
        return DEP_FAIL(REPLAY_FULL);
    shard = locate(replay, key, &cell, &hash);
    pthread_mutex_lock(&shard->lock);
    advance(replay, shard, now);
    res = insert(replay, shard, cell, hash, expires);
    pthread_mutex_unlock(&shard->lock);
    return res;
}

bool dep_replay_has(struct dep_replay *replay, const unsigned char key[DEP_REPLAY_KEY_LEN], int64_t expires)
{
    int64_t generation = expires / replay->span_s;
    const struct table *table;
    struct shard *shard;
    struct cell cell;
    uint64_t hash;
    bool has;

    if (expires < 0)
        return false;
    shard = locate(replay, key, &cell, &hash);
    table = &shard->tables[generation % TABLES];
    pthread_mutex_lock(&shard->lock);
    has = table->generation == generation && table->cells_count > 0;
    if (has) {
        const struct cell *found = find(table, cell, hash);

        has = (found->low | found->high) != 0;
    }
    pthread_mutex_unlock(&shard->lock);
    return has;
}

static size_t sum(struct dep_replay *replay, bool is_bytes)
{
    size_t total = 0;

    for (size_t i = 0; i < replay->shards_count; i++) {
        struct shard *shard = &replay->shards[i];

        pthread_mutex_lock(&shard->lock);
        total += is_bytes ? shard->bytes : shard->count;
        pthread_mutex_unlock(&shard->lock);
    }
    return total;
}

size_t dep_replay_count(struct dep_replay *replay)
{
    return sum(replay, false);
}

size_t dep_replay_bytes(struct dep_replay *replay)
{
    return sizeof(*replay) + replay->shards_count * sizeof(struct shard) + sum(replay, true);
}

/* A ledger that fails on purpose: the n-th call from the arming fails, before the inner ledger hears of it, or after it has done
 * its work, as when the disk is written and the word of it is lost. */
#include <stdlib.h>

#include "store/ledger.h"

struct faulty {
    struct dep_ledger base;
    struct dep_ledger *inner;
    unsigned left; /* calls until the one that fails; 0: none will */
    bool is_after, is_forever;
};

enum fault { NONE, BEFORE, AFTER };

static enum fault next(struct dep_ledger *ledger, struct dep_ledger **ret_inner)
{
    struct faulty *faulty = (struct faulty *)ledger;

    *ret_inner = faulty->inner;
    if (faulty->left == 0)
        return NONE;
    if (faulty->left > 1) {
        faulty->left--;
        return NONE;
    }
    if (!faulty->is_forever)
        faulty->left = 0;
    return faulty->is_after ? AFTER : BEFORE;
}

static struct dep_res end(enum fault fault, struct dep_res res)
{
    return fault == AFTER ? DEP_FAIL(STORE_IO) : res;
}

static struct dep_res faulty_begin(struct dep_ledger *ledger, const struct dep_idempotency_names *names, int64_t now,
                                   struct dep_arena *arena, struct dep_idempotency_entry *ret_entry)
{
    struct dep_idempotency_entry entry;
    struct dep_ledger *inner;
    enum fault fault = next(ledger, &inner);
    struct dep_res res;

    if (fault == BEFORE)
        return DEP_FAIL(STORE_IO);
    res = end(fault, dep_ledger_begin(inner, names, now, arena, &entry));
    if (dep_is_ok(res))
        *ret_entry = entry;
    return res;
}

static struct dep_res faulty_complete(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket, int status,
                                      struct dep_str answer)
{
    struct dep_ledger *inner;
    enum fault fault = next(ledger, &inner);

    if (fault == BEFORE)
        return DEP_FAIL(STORE_IO);
    return end(fault, dep_ledger_complete(inner, scope, ticket, status, answer));
}

static struct dep_res faulty_abandon(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket)
{
    struct dep_ledger *inner;
    enum fault fault = next(ledger, &inner);

    return fault == BEFORE ? DEP_FAIL(STORE_IO) : end(fault, dep_ledger_abandon(inner, scope, ticket));
}

static struct dep_res faulty_lose(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket)
{
    struct dep_ledger *inner;
    enum fault fault = next(ledger, &inner);

    return fault == BEFORE ? DEP_FAIL(STORE_IO) : end(fault, dep_ledger_lose(inner, scope, ticket));
}

static struct dep_res faulty_expire(struct dep_ledger *ledger, int64_t now, int max, int *ret_count)
{
    struct dep_ledger *inner;
    enum fault fault = next(ledger, &inner);

    return fault == BEFORE ? DEP_FAIL(STORE_IO) : end(fault, dep_ledger_expire(inner, now, max, ret_count));
}

static struct dep_res faulty_count(struct dep_ledger *ledger, int64_t *ret_entries, int64_t *ret_bytes)
{
    struct dep_ledger *inner;
    enum fault fault = next(ledger, &inner);

    return fault == BEFORE ? DEP_FAIL(STORE_IO) : end(fault, dep_ledger_count(inner, ret_entries, ret_bytes));
}

static void faulty_free(struct dep_ledger *ledger)
{
    dep_ledger_free(((struct faulty *)ledger)->inner);
    free(ledger);
}

struct dep_res dep_ledger_faulty_new(struct dep_ledger *inner, struct dep_ledger **ret_ledger)
{
    static const struct dep_ledger_ops ops = { faulty_begin,  faulty_complete, faulty_abandon, faulty_lose,
                                               faulty_expire, faulty_count,    faulty_free };
    struct faulty *faulty = calloc(1, sizeof(*faulty));

    if (faulty == NULL)
        return DEP_FAIL(STORE_IO);
    faulty->base.ops = &ops;
    faulty->inner = inner;
    *ret_ledger = &faulty->base;
    return DEP_OK;
}

void dep_ledger_faulty_arm(struct dep_ledger *ledger, unsigned nth, bool is_after, bool is_forever)
{
    struct faulty *faulty = (struct faulty *)ledger;

    faulty->left = nth;
    faulty->is_after = is_after;
    faulty->is_forever = is_forever;
}

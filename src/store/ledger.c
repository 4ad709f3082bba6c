/* The ledger's interface: one line for each operation. */
#include "store/ledger.h"

struct dep_ledger_limits dep_ledger_limits_default(void)
{
    return (struct dep_ledger_limits){
        .entries_max = 1000000,
        .caller_entries_max = 100000,
        .bytes_max = INT64_C(1) << 30,
        .retention_s = 86400,
    };
}

struct dep_res dep_ledger_begin(struct dep_ledger *ledger, const struct dep_idempotency_names *names, int64_t now,
                                struct dep_arena *arena, struct dep_idempotency_entry *ret_entry)
{
    return ledger->ops->begin(ledger, names, now, arena, ret_entry);
}

struct dep_res dep_ledger_complete(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket, int status,
                                   struct dep_str answer)
{
    return ledger->ops->complete(ledger, scope, ticket, status, answer);
}

struct dep_res dep_ledger_abandon(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket)
{
    return ledger->ops->abandon(ledger, scope, ticket);
}

struct dep_res dep_ledger_lose(struct dep_ledger *ledger, const unsigned char *scope, int64_t ticket)
{
    return ledger->ops->lose(ledger, scope, ticket);
}

struct dep_res dep_ledger_expire(struct dep_ledger *ledger, int64_t now, int max, int *ret_count)
{
    return ledger->ops->expire(ledger, now, max, ret_count);
}

struct dep_res dep_ledger_count(struct dep_ledger *ledger, int64_t *ret_entries, int64_t *ret_bytes)
{
    return ledger->ops->count(ledger, ret_entries, ret_bytes);
}

void dep_ledger_free(struct dep_ledger *ledger)
{
    if (ledger != NULL)
        ledger->ops->free(ledger);
}

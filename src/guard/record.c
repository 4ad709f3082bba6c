/* What the record of a decision says. */
#include "guard/record.h"

#include "proto/audit_record.h"

/* "guard 12/18 auth-request": how many rows ran; dep_guard_row() names them. */
static struct dep_str trace(struct dep_arena *arena, const struct dep_guard_decision *decision,
                            enum dep_guard_adapter adapter)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, 64);
    dep_buf_put_c(&buf, "guard ");
    dep_buf_put_int(&buf, (int64_t)decision->rows_run);
    dep_buf_put_char(&buf, '/');
    dep_buf_put_int(&buf, (int64_t)dep_guard_row_count());
    dep_buf_put_char(&buf, ' ');
    dep_buf_put_c(&buf, dep_guard_adapter_name(adapter));
    return dep_buf_str(&buf);
}

struct dep_str dep_guard_record(struct dep_arena *arena, const struct dep_guard_decision *decision,
                                enum dep_guard_adapter adapter, struct dep_str node, struct dep_str peer, int64_t now,
                                void *memory, size_t memory_bytes)
{
    const struct dep_audit_record record = {
        .ts = now,
        .id = dep_str(decision->id, sizeof(decision->id)),
        .node = node,
        .event = decision->is_allowed ? DEP_STR("guard.allowed") : DEP_STR("guard.refused"),
        .is_allowed = decision->is_allowed,
        .reason = decision->reason,
        .check = dep_str_c(decision->check),
        .trace = trace(arena, decision, adapter),
        .client = decision->token == NULL ? DEP_STR_ABSENT : decision->token->client_id,
        .principal = decision->token == NULL ? DEP_STR_ABSENT : dep_token_presenter(decision->token),
        .rule = decision->rule == NULL ? DEP_STR_ABSENT : decision->rule->name,
        .tool = decision->mcp.name,
        .method = decision->method,
        .path = decision->path,
        .peer = peer,
        .token = decision->token,
    };
    struct dep_buf line;

    dep_buf_init(&line, memory, memory_bytes);
    dep_audit_record_write(&line, &record);
    if (!line.has_failed)
        return dep_buf_str(&line);

    /* Too long, by its path: the record without what the caller chose. */
    struct dep_audit_record shorter = record;

    shorter.path = shorter.method = shorter.tool = DEP_STR_ABSENT;
    shorter.detail = DEP_STR("path left out: too long");
    dep_buf_init(&line, memory, memory_bytes);
    dep_audit_record_write(&line, &shorter);
    return dep_buf_str(&line);
}

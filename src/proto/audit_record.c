/* The audit record as one JSON line. */
#include "proto/audit_record.h"

static void member(struct dep_json_writer *writer, const char *name, struct dep_str text)
{
    if (!dep_str_is_blank(text))
        dep_json_member(writer, name, text);
}

static void list(struct dep_json_writer *writer, const char *name, const struct dep_str *items, size_t count)
{
    if (count == 0)
        return;
    dep_json_name(writer, name);
    dep_json_open(writer, '[');
    for (size_t i = 0; i < count; i++)
        dep_json_put_str(writer, items[i]);
    dep_json_close(writer, ']');
}

static void foreign_chain(struct dep_json_writer *writer, const struct dep_audit_record *record)
{
    if (record->foreign_chain_count == 0)
        return;
    dep_json_name(writer, "foreign_chain");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < record->foreign_chain_count; i++) {
        dep_json_open(writer, '{');
        member(writer, "iss", record->foreign_chain[i].iss);
        member(writer, "sub", record->foreign_chain[i].sub);
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
}

static void write_token(struct dep_json_writer *writer, const struct dep_token *token)
{
    member(writer, "sub", token->sub);
    dep_json_name(writer, "chain");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < token->actors_count; i++)
        dep_json_put_str(writer, token->actors[i]);
    dep_json_put_str(writer, token->sub);
    dep_json_close(writer, ']');
    member(writer, "agent_name", token->agent_name);
    member(writer, "org", token->org_id);
    member(writer, "task", token->task_id);
    member(writer, "parent_task", token->parent_task_id);
    member(writer, "scope", token->scope);
    list(writer, "aud", token->aud, token->aud_count);
    list(writer, "resources", token->resources, token->resources_count);
    member(writer, "token_client", token->client_id);
    member(writer, "jti", token->jti);
    list(writer, "lineage", token->lineage, token->lineage_count);
    member(writer, "jkt", token->jkt);
    member(writer, "x5t", token->x5t);
    member(writer, "acr", token->acr);
    dep_json_member_int(writer, "exp", token->exp);
}

void dep_audit_record_write(struct dep_buf *buf, const struct dep_audit_record *record)
{
    struct dep_json_writer writer;

    dep_json_begin(&writer, buf);
    dep_json_open(&writer, '{');
    dep_json_member_int(&writer, "ts", record->ts);
    member(&writer, "id", record->id);
    member(&writer, "node", record->node);
    member(&writer, "event", record->event);
    dep_json_member(&writer, "outcome", record->is_allowed ? DEP_STR("allow") : DEP_STR("deny"));
    if (record->reason != DEP_ERR_NONE)
        dep_json_member(&writer, "reason", dep_str_c(dep_err_name(record->reason)));
    member(&writer, "check", record->check);
    member(&writer, "trace", record->trace);
    member(&writer, "rule", record->rule);
    member(&writer, "tool", record->tool);
    member(&writer, "client", record->client);
    member(&writer, "principal", record->principal);
    member(&writer, "method", record->method);
    member(&writer, "path", record->path);
    member(&writer, "peer", record->peer);
    if (record->token != NULL)
        write_token(&writer, record->token);
    member(&writer, "issued", record->issued);
    member(&writer, "asked_scope", record->asked_scope);
    list(&writer, "asked_targets", record->asked_targets, record->asked_targets_count);
    if (!dep_str_is_absent(record->allowed_scope)) /* an empty one says that nothing would have been */
        dep_json_member(&writer, "allowed_scope", record->allowed_scope);
    member(&writer, "limits", record->limits);
    member(&writer, "instruction", record->instruction);
    member(&writer, "target", record->target);
    foreign_chain(&writer, record);
    member(&writer, "detail", record->detail);
    dep_json_close(&writer, '}');
}

/* Writes of the admin API that happen once: the Idempotency-Key of any POST, PATCH or DELETE, by the rules that the guard has for
 * everybody else's (proto/idempotency.h).
 *
 * A write that is refused has changed nothing, since all of a write is one transaction: the ledger forgets it, and the same key may
 * run again. What stands in the ledger is what took effect. */
#include "server/admin.h"

#include <string.h>

static struct dep_idempotency_policy policy_of(const struct dep_server *server)
{
    struct dep_idempotency_policy policy = dep_idempotency_policy_default();

    policy.secret = dep_server_unseal_key(server);
    return policy;
}

static bool is_write(const struct dep_admin *a)
{
    return !dep_str_eq(a->exchange->method, DEP_STR("GET")) && !dep_str_eq(a->exchange->method, DEP_STR("HEAD"));
}

static struct dep_res name_request(struct dep_admin *a, const struct dep_idempotency_policy *policy, struct dep_str key)
{
    const struct dep_net_exchange *exchange = a->exchange;
    struct dep_idempotency_request request = {
        .realm = DEP_STR("admin"),
        .tenant = a->settings->policy.issuer,
        .principal = dep_str_c(a->principal),
        .key = key,
        .method = exchange->method,
        .body = exchange->body,
    };
    struct dep_buf target;

    DEP_TRY(dep_header_one(exchange->headers, exchange->headers_count, DEP_STR("Content-Type"), &request.content_type));
    dep_buf_init_arena(&target, a->arena, exchange->path.len + 1 + exchange->query.len);
    dep_buf_put(&target, exchange->path);
    if (!dep_str_is_absent(exchange->query)) {
        dep_buf_put_char(&target, '?');
        dep_buf_put(&target, exchange->query);
    }
    if (target.has_failed)
        return DEP_FAIL(ARENA_FULL);
    request.target = dep_buf_str(&target);
    return dep_idempotency_name(a->crypto, policy, &request, &a->names);
}

static struct dep_res replay(struct dep_admin *a, struct dep_str sealed)
{
    struct dep_idempotency_answer answer;

    DEP_TRY(dep_idempotency_answer_open(a->arena, &a->names, sealed, &answer));
    dep_buf_put(&a->out, answer.body);
    a->status = answer.status;
    a->event = "admin.replayed";
    a->is_replay = true;
    return DEP_OK;
}

struct dep_res dep_admin_once_begin(struct dep_admin *a)
{
    struct dep_idempotency_policy policy = policy_of(a->server);
    struct dep_idempotency_decision decision;
    struct dep_idempotency_entry entry;
    struct dep_str key;

    if (!is_write(a))
        return DEP_OK;
    DEP_TRY(dep_idempotency_key(a->arena, &policy, a->exchange->headers, a->exchange->headers_count, &key));
    if (dep_str_is_absent(key))
        return DEP_OK;
    a->has_key = true;
    DEP_TRY(name_request(a, &policy, key));
    DEP_TRY(dep_ledger_begin(a->server->ledger, &a->names, a->now, a->arena, &entry));
    decision = dep_idempotency_decide(&policy, &a->names, &entry, a->now);
    switch (decision.verdict) {
    case DEP_IDEMPOTENCY_RUN:
        a->once.ledger = a->server->ledger;
        a->once.ticket = entry.ticket;
        memcpy(a->once.scope, a->names.scope, sizeof(a->once.scope));
        return DEP_OK;
    case DEP_IDEMPOTENCY_REPLAY:
        return replay(a, entry.answer);
    case DEP_IDEMPOTENCY_REFUSE:
        break;
    }
    return (struct dep_res){ decision.reason };
}

void dep_admin_once_abandon(struct dep_admin *a)
{
    if (a->once.ledger != NULL)
        (void)dep_is_ok(dep_ledger_abandon(a->once.ledger, a->once.scope, a->once.ticket));
    a->once.ledger = NULL;
}

struct dep_str dep_admin_once_seal(struct dep_admin *a, const struct dep_wire_answer *answer)
{
    struct dep_idempotency_answer kept = { .status = answer->status, .body = answer->body };
    struct dep_str sealed = DEP_STR_ABSENT;

    if (a->once.ledger == NULL || answer->body.len > DEP_IDEMPOTENCY_BODY_MAX ||
        !dep_is_ok(dep_idempotency_answer_seal(a->arena, &a->names, &kept, &sealed)))
        return DEP_STR_ABSENT;
    return sealed;
}

void dep_admin_once_headers(struct dep_admin *a, struct dep_wire_answer *answer)
{
    struct dep_buf buf;

    if (!a->has_key)
        return;
    dep_buf_init_arena(&buf, a->arena, 24);
    dep_buf_put_int(&buf, dep_idempotency_policy_default().retention_s);
    if (!buf.has_failed)
        dep_wire_header(answer, "Idempotency-Retention", dep_buf_str(&buf));
    if (a->is_replay)
        dep_wire_header(answer, "Idempotency-Replayed", DEP_STR("true"));
}

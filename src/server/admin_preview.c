/* The admin API's preview: what would be issued to a client, and what allows or forbids each scope. decide() says it; nobody proves
 * anything and nothing is issued. */
#include "http/form.h"
#include "proto/wire.h"
#include "server/admin.h"
#include "server/facts.h"

#define BODY_MAX 49152u

#define EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"
#define ACCESS_TOKEN "urn:ietf:params:oauth:token-type:access_token"

/* A member of the request, and the parameter of the token endpoint that it stands for. */
static const struct {
    const char *member, *param;
    bool may_repeat;
} members[] = {
    { "client", "client_id", false },
    { "scope", "scope", false },
    { "resource", "resource", true },
    { "audience", "audience", true },
    { "subject_token", "subject_token", false },
    { "may_act", "may_act", false },
    { "task_id", "task_id", false },
    { "parent_task_id", "parent_task_id", false },
};

static struct dep_res put_member(struct dep_admin *a, struct dep_buf *form, const struct dep_json *member)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const struct dep_json *item = member;
        struct dep_str text = DEP_STR_ABSENT;

        if (!dep_str_eq_c(member->name, members[i].member))
            continue;
        if (members[i].may_repeat && member->type == DEP_JSON_ARRAY)
            item = member->child;
        for (; item != NULL; item = item == member ? NULL : item->next) {
            if (!dep_is_ok(dep_json_str(item, &text)) || dep_str_is_blank(text))
                return dep_admin_refuse(a, "%s must be text that is not blank", members[i].member);
            dep_form_put(form, dep_str_c(members[i].param), text);
        }
        return DEP_OK;
    }
    return dep_admin_refuse(a,
                            "unknown member '%.*s'; allowed here: client scope resource audience subject_token may_act "
                            "task_id parent_task_id",
                            (int)(member->name.len < 40 ? member->name.len : 40), member->name.ptr);
}

/* The request that the client would send. */
static struct dep_res make_form(struct dep_admin *a, struct dep_str *ret_form)
{
    bool is_exchange = dep_json_has(a->body, DEP_STR("subject_token"));
    struct dep_buf form;

    if (!dep_json_has(a->body, DEP_STR("client")))
        return dep_admin_refuse(a, "client is missing: whose token it would be");
    dep_buf_init_arena(&form, a->arena, BODY_MAX);
    dep_form_put(&form, DEP_STR("grant_type"), dep_str_c(is_exchange ? EXCHANGE : "client_credentials"));
    if (is_exchange)
        dep_form_put(&form, DEP_STR("subject_token_type"), DEP_STR(ACCESS_TOKEN));
    for (const struct dep_json *m = a->body->child; m != NULL; m = m->next)
        DEP_TRY(put_member(a, &form, m));
    if (form.has_failed)
        return dep_admin_refuse(a, "the request is too long");
    dep_buf_fit(&form, a->arena);
    *ret_form = dep_buf_str(&form);
    return DEP_OK;
}

static struct dep_res decide(struct dep_admin *a, const struct dep_request *request, struct dep_decision *ret_decision)
{
    unsigned char random[DEP_RANDOM_LEN];
    struct dep_loader loader;
    struct dep_res res = DEP_FAIL(BUG_NEEDS);

    dep_random(random, sizeof(random));
    dep_loader_init(&loader, a->server, a->snapshot, a->arena, DEP_STR("preview"), a->now);
    loader.is_parked_before = true; /* it takes the keys that are here */
    for (unsigned round = 0; round < DEP_ROUNDS_MAX; round++) {
        res =
            dep_decide(a->arena, a->crypto, &a->settings->policy, request, &loader.facts, a->now, random, ret_decision);
        if (!dep_is_ok(res) || ret_decision->needs_count == 0)
            break;
        dep_loader_load(&loader, ret_decision);
        res = DEP_FAIL(BUG_NEEDS);
    }
    dep_loader_done(&loader);
    return res;
}

static void write_scopes(struct dep_json_writer *writer, const struct dep_decision *decision)
{
    dep_json_name(writer, "scopes");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < decision->scopes_count; i++) {
        const struct dep_scope_verdict *verdict = &decision->scopes[i];

        dep_json_open(writer, '{');
        dep_json_member(writer, "scope", verdict->scope);
        dep_json_member_bool(writer, "is_allowed", verdict->limit == DEP_LIMIT_NONE);
        dep_json_member(writer, "by",
                        verdict->limit == DEP_LIMIT_NONE ? DEP_STR_ABSENT : dep_str_c(dep_limit_name(verdict->limit)));
        dep_json_member(writer, "who", verdict->who);
        dep_json_member(writer, "where", verdict->where);
        dep_json_close(writer, '}');
    }
    dep_json_close(writer, ']');
}

static void write_preview(struct dep_json_writer *writer, const struct dep_decision *decision)
{
    bool is_issued = decision->answer == DEP_ANSWER_TOKEN;
    struct dep_token token = decision->token;

    dep_json_open(writer, '{');
    dep_json_member_bool(writer, "would_issue", is_issued);
    if (!is_issued) {
        const struct dep_wire *wire = dep_wire_of(decision->class);

        dep_json_member(writer, "reason", dep_str_c(dep_err_name(decision->reason)));
        dep_json_member(writer, "detail", dep_str_c(dep_err_text(decision->reason)));
        dep_json_member(writer, "check", dep_str_c(decision->check));
        dep_json_member(writer, "error", dep_str_c(wire->error));
    }
    write_scopes(writer, decision);
    if (is_issued) {
        token.jti = DEP_STR_ABSENT; /* there is no such token */
        dep_json_name(writer, "token");
        dep_token_write(writer, &token);
    }
    dep_admin_put_checks(writer, decision->record.trace, dep_str_c(decision->check));
    dep_json_close(writer, '}');
}

struct dep_res dep_admin_preview(struct dep_admin *a)
{
    const struct dep_header header = { DEP_STR("Content-Type"), DEP_STR("application/x-www-form-urlencoded") };
    struct dep_request request = { .endpoint = DEP_ENDPOINT_TOKEN,
                                   .is_preview = true,
                                   .method = DEP_STR("POST"),
                                   .path = DEP_STR("/oauth/token"),
                                   .headers = &header,
                                   .headers_count = 1 };
    struct dep_decision *decision = DEP_NEW(a->arena, struct dep_decision);

    if (decision == NULL)
        return DEP_FAIL(ARENA_FULL);
    if (a->body == NULL)
        return dep_admin_refuse(a, "client is missing: whose token it would be");
    DEP_TRY(make_form(a, &request.body));
    DEP_TRY(decide(a, &request, decision));
    write_preview(&a->writer, decision);
    a->event = "token.previewed";
    (void)dep_is_ok(dep_json_str(DEP_JSON_GET(a->body, "client"), &a->target));
    return DEP_OK;
}

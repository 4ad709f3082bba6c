/* Checks of the request's form: method, media type, parameters (oauth.md W1-W12). */
#include "base/id.h"
#include "base/num.h"
#include "proto/ctx.h"

static const struct {
    const char *name;
    bool may_repeat;
    size_t bytes_max;
} params[DEP_PARAMS] = {
#define DEP_PARAM(id, name, may_repeat, bytes_max) { name, may_repeat, bytes_max },
#include "proto/params.def"
#undef DEP_PARAM
};

static const struct {
    const char *method;
    const char *grant_type;
} columns[DEP_COLUMNS] = {
#define DEP_COLUMN(id, name, endpoint, path, method, grant_type, grant) { method, grant_type },
#include "proto/column.def"
#undef DEP_COLUMN
};

struct dep_res dep_check_method(struct dep_ctx *c)
{
    return dep_str_eq_c(c->request->method, columns[c->column].method) ? DEP_OK : DEP_FAIL(HTTP_METHOD);
}

struct dep_res dep_check_query(struct dep_ctx *c)
{
    static const enum dep_param secrets[] = { DEP_PARAM_CLIENT_SECRET, DEP_PARAM_CLIENT_ASSERTION,
                                              DEP_PARAM_ASSERTION,     DEP_PARAM_SUBJECT_TOKEN,
                                              DEP_PARAM_ACTOR_TOKEN,   DEP_PARAM_TOKEN,
                                              DEP_PARAM_CODE,          DEP_PARAM_REFRESH_TOKEN,
                                              DEP_PARAM_CODE_VERIFIER };
    struct dep_form form;

    if (dep_str_is_blank(c->request->query))
        return DEP_OK;
    if (!dep_is_ok(dep_form_parse(c->arena, c->request->query, &form)))
        return DEP_FAIL(HTTP_FORM);
    for (size_t i = 0; i < form.count; i++)
        for (size_t k = 0; k < sizeof(secrets) / sizeof(secrets[0]); k++)
            if (dep_str_eq_c(form.fields[i].name, params[secrets[k]].name))
                return DEP_FAIL(HTTP_QUERY_CREDENTIALS);
    return DEP_OK;
}

struct dep_res dep_check_media_type(struct dep_ctx *c)
{
    struct dep_str type;

    DEP_TRY(dep_header_one(c->request->headers, c->request->headers_count, DEP_STR("Content-Type"), &type));
    return dep_media_type_is(type, DEP_STR("application/x-www-form-urlencoded")) ? DEP_OK : DEP_FAIL(HTTP_MEDIA_TYPE);
}

struct dep_res dep_check_content_coding(struct dep_ctx *c)
{
    struct dep_str coding;

    DEP_TRY(dep_header_one(c->request->headers, c->request->headers_count, DEP_STR("Content-Encoding"), &coding));
    return dep_str_is_blank(coding) || dep_str_eq_nocase(coding, DEP_STR("identity")) ? DEP_OK : DEP_FAIL(HTTP_CODING);
}

static struct dep_res take_param(struct dep_ctx *c, size_t i, struct dep_str value)
{
    bool is_target = i == DEP_PARAM_RESOURCE || i == DEP_PARAM_AUDIENCE;

    if (value.len > params[i].bytes_max)
        return is_target ? DEP_FAIL(TARGET_SYNTAX) : DEP_FAIL(PARAM_SIZE);
    if (is_target) {
        if (c->targets_asked_count == DEP_TARGETS_MAX)
            return DEP_FAIL(PARAM_TOO_MANY);
        if (value.len > 0)
            c->targets_asked[c->targets_asked_count++] = value;
    }
    /* An empty parameter is an absent one, but twice is twice. */
    if (!params[i].may_repeat && c->param[i].ptr != NULL)
        return DEP_FAIL(PARAM_DUPLICATE);
    c->param[i] = value;
    return DEP_OK;
}

struct dep_res dep_check_form(struct dep_ctx *c)
{
    struct dep_form form;

    DEP_TRY(dep_form_parse(c->arena, c->column == DEP_COLUMN_AUTHORIZE ? c->request->query : c->request->body, &form));
    for (size_t f = 0; f < form.count; f++)
        for (size_t i = 0; i < DEP_PARAMS; i++)
            if (dep_str_eq_c(form.fields[f].name, params[i].name)) {
                DEP_TRY(take_param(c, i, form.fields[f].value));
                break;
            }
    for (size_t i = 0; i < DEP_PARAMS; i++)
        if (dep_str_is_blank(c->param[i]))
            c->param[i] = DEP_STR_ABSENT;
    return DEP_OK;
}

static bool is_of_users(enum dep_column column)
{
    return column == DEP_COLUMN_AUTHORIZATION_CODE || column == DEP_COLUMN_REFRESH_TOKEN;
}

struct dep_res dep_check_grant_known(struct dep_ctx *c)
{
    if (dep_str_is_absent(DEP_P(c, GRANT_TYPE)))
        return DEP_FAIL(PARAM_MISSING);
    for (size_t i = 0; i < DEP_COLUMNS; i++)
        if (columns[i].grant_type != NULL && dep_str_eq_c(DEP_P(c, GRANT_TYPE), columns[i].grant_type)) {
            c->column = (enum dep_column)i;
            return is_of_users(c->column) && dep_str_is_absent(c->policy->consent.login_header)
                       ? DEP_FAIL(GRANT_UNSUPPORTED)
                       : DEP_OK;
        }
    return DEP_FAIL(GRANT_UNSUPPORTED);
}

struct dep_res dep_check_task(struct dep_ctx *c)
{
    if (!dep_str_is_absent(DEP_P(c, TASK_ID)) && !dep_id_is_plain(DEP_P(c, TASK_ID), DEP_TASK_MAX))
        return DEP_FAIL(TASK_SYNTAX);
    if (!dep_str_is_absent(DEP_P(c, PARENT_TASK_ID)) && !dep_id_is_plain(DEP_P(c, PARENT_TASK_ID), DEP_TASK_MAX))
        return DEP_FAIL(TASK_SYNTAX);
    return DEP_OK;
}

struct dep_res dep_check_feed_query(struct dep_ctx *c)
{
    struct dep_form form;
    int64_t after = 0;

    DEP_TRY(dep_form_parse(c->arena, c->request->query, &form));
    for (size_t i = 0; i < form.count; i++) {
        if (!dep_str_eq(form.fields[i].name, DEP_STR("after")))
            continue;
        if (c->decision->feed_after != 0)
            return DEP_FAIL(PARAM_DUPLICATE);
        if (!dep_is_ok(dep_num_parse(form.fields[i].value, 0, INT64_MAX, &after)))
            return DEP_FAIL(PARAM_SYNTAX);
        c->decision->feed_after = (uint64_t)after;
    }
    return DEP_OK;
}

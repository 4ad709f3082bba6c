/* The identity headers.
 *
 * Lists are joined by one separator that may not stand in their items: actors by ", ", audiences by a blank. */
#include "guard/identity.h"

#include "proto/scope.h"

/* Printable ASCII without blank and comma: the item stays one item in every list, and no line can be broken. */
static bool is_item(struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7F || text.ptr[i] == ',')
            return false;
    return true;
}

static bool are_items(const struct dep_str *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_item(items[i]))
            return false;
    return true;
}

static struct dep_str join(struct dep_arena *arena, const struct dep_str *items, size_t count, const char *separator)
{
    struct dep_buf buf;
    size_t len = 0;

    if (count == 0)
        return DEP_STR("");
    if (count == 1)
        return items[0];
    for (size_t i = 0; i < count; i++)
        len += items[i].len + 2;
    dep_buf_init_arena(&buf, arena, len);
    for (size_t i = 0; i < count; i++) {
        dep_buf_put_c(&buf, i > 0 ? separator : "");
        dep_buf_put(&buf, items[i]);
    }
    return dep_buf_str(&buf);
}

static struct dep_str or_empty(struct dep_str text)
{
    return dep_str_is_absent(text) ? DEP_STR("") : text;
}

bool dep_guard_identity_is_plain(const struct dep_token *token)
{
    return is_item(token->sub) && is_item(token->client_id) && is_item(token->jti) && is_item(token->task_id) &&
           are_items(token->actors, token->actors_count) && are_items(token->aud, token->aud_count) &&
           (dep_str_is_blank(token->scope) || dep_is_ok(dep_scope_check(token->scope)));
}

struct dep_res dep_guard_identity(struct dep_arena *arena, struct dep_guard_decision *decision)
{
    const struct dep_token *token = decision->token;
    struct dep_str chain = join(arena, token->actors, token->actors_count, ", ");
    struct dep_str audience = join(arena, token->aud, token->aud_count, " ");
    const struct dep_header identity[DEP_GUARD_IDENTITY] = {
        { DEP_STR("Deputy-Subject"), token->sub },
        { DEP_STR("Deputy-Client"), token->client_id },
        { DEP_STR("Deputy-Actor"), token->actors_count > 0 ? token->actors[0] : DEP_STR("") },
        { DEP_STR("Deputy-Actor-Chain"), chain },
        { DEP_STR("Deputy-Scope"), or_empty(token->scope) },
        { DEP_STR("Deputy-Audience"), audience },
        { DEP_STR("Deputy-Task"), or_empty(token->task_id) },
        { DEP_STR("Deputy-Token-Id"), token->jti },
        { DEP_STR("Deputy-Decision"), dep_str(decision->id, sizeof(decision->id)) },
    };

    if (dep_str_is_absent(chain) || dep_str_is_absent(audience))
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < DEP_GUARD_IDENTITY; i++)
        decision->identity[i] = identity[i];
    return DEP_OK;
}

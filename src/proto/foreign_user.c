/* The user of a foreign token, as the record of its issuer maps claims: which one names the user, which ones must be there, and what
 * the user may hand on because of others. The record's ceiling holds in every case, in every later hop too. */
#include "proto/ctx.h"

#define NAME_BYTES_MAX 120u

static struct dep_str name_of(const struct dep_foreign *foreign)
{
    struct dep_str name = DEP_STR_ABSENT;

    if (dep_str_is_absent(foreign->issuer->subject_claim))
        return foreign->sub;
    return dep_is_ok(dep_json_str(dep_claim_at(foreign->claims, foreign->issuer->subject_claim), &name))
               ? name
               : DEP_STR_ABSENT;
}

struct dep_str dep_foreign_principal(struct dep_arena *arena, const struct dep_foreign *foreign)
{
    struct dep_str name = name_of(foreign);
    struct dep_buf buf;

    if (dep_str_is_blank(name) || name.len > NAME_BYTES_MAX)
        return DEP_STR_ABSENT;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= 0x20 || (unsigned char)name.ptr[i] >= 0x7F)
            return DEP_STR_ABSENT;
    dep_buf_init_arena(&buf, arena, name.len + foreign->issuer->name.len + 8);
    dep_buf_put_c(&buf, "user:");
    dep_buf_put(&buf, foreign->issuer->name);
    dep_buf_put_char(&buf, ':');
    dep_buf_put(&buf, name);
    return dep_buf_str(&buf);
}

struct dep_res dep_foreign_check_user(const struct dep_foreign *foreign)
{
    return dep_str_says_nothing(name_of(foreign)) ||
                   !dep_claims_have(foreign->claims, &foreign->issuer->required_claims)
               ? DEP_FAIL(JWT_TERMS)
               : DEP_OK;
}

/* Adds the scopes of a right to what the user has at that resource. */
static bool add_right(struct dep_arena *arena, struct dep_agent *user, const struct dep_right *right)
{
    struct dep_right *mine = NULL;
    struct dep_str *scopes;

    for (size_t i = 0; i < user->ceiling_count; i++)
        if (dep_str_eq(user->ceiling[i].resource, right->resource))
            mine = &user->ceiling[i];
    if (mine == NULL) {
        user->ceiling[user->ceiling_count++] = *right;
        return true;
    }
    scopes = DEP_NEW_ARRAY(arena, mine->scopes_count + right->scopes_count, struct dep_str);
    if (scopes == NULL)
        return false;
    for (size_t i = 0; i < mine->scopes_count; i++)
        scopes[i] = mine->scopes[i];
    mine->scopes = scopes;
    for (size_t i = 0; i < right->scopes_count; i++)
        if (!dep_right_has(mine, right->scopes[i]))
            mine->scopes[mine->scopes_count++] = right->scopes[i];
    return true;
}

struct dep_res dep_foreign_limit_user(struct dep_ctx *c, const struct dep_agent **user)
{
    const struct dep_trusted_issuer *issuer = c->foreign.issuer;
    struct dep_agent *limited;

    if (issuer->claim_ceilings_count == 0)
        return DEP_OK;
    limited = DEP_NEW(c->arena, struct dep_agent);
    if (limited == NULL)
        return DEP_FAIL(ARENA_FULL);
    *limited = **user;
    /* Rows stay within the issuer's ceiling, so there are no more resources than in that. */
    limited->ceiling = DEP_NEW_ARRAY(c->arena, issuer->ceiling_count, struct dep_right);
    limited->ceiling_count = 0;
    if (limited->ceiling == NULL)
        return DEP_FAIL(ARENA_FULL);
    for (size_t i = 0; i < issuer->claim_ceilings_count; i++) {
        const struct dep_claim_ceiling *row = &issuer->claim_ceilings[i];

        if (!dep_claims_have(c->foreign.claims, &row->claims))
            continue;
        for (size_t k = 0; k < row->rights_count; k++)
            if (!add_right(c->arena, limited, &row->rights[k]))
                return DEP_FAIL(ARENA_FULL);
    }
    *user = limited;
    return DEP_OK;
}

/* Copies of tokens: the struct, and its texts behind it. */
#include "guard/token_copy.h"

#include <string.h>

/* The text at `*at`, which moves on; `at` NULL only counts. */
static void place(struct dep_str *text, char **at, size_t *bytes)
{
    *bytes += text->len;
    if (at == NULL || text->ptr == NULL || text->len == 0)
        return;
    memcpy(*at, text->ptr, text->len);
    text->ptr = *at;
    *at += text->len;
}

/* Every text of the token, once. An empty text that is there keeps its pointer, which must not dangle: it becomes a
 * constant. */
static size_t place_all(struct dep_token *token, char **at)
{
    struct dep_str *texts[] = { &token->iss,
                                &token->sub,
                                &token->client_id,
                                &token->jti,
                                &token->scope,
                                &token->jkt,
                                &token->x5t,
                                &token->agent_name,
                                &token->agent_version,
                                &token->task_id,
                                &token->parent_task_id,
                                &token->org_id,
                                &token->may_act,
                                &token->may_act_iss,
                                &token->acr,
                                &token->details };
    size_t bytes = 0;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i]->ptr != NULL && texts[i]->len == 0)
            *texts[i] = DEP_STR("");
        place(texts[i], at, &bytes);
    }
    for (size_t i = 0; i < token->aud_count; i++)
        place(&token->aud[i], at, &bytes);
    for (size_t i = 0; i < token->resources_count; i++)
        place(&token->resources[i], at, &bytes);
    for (size_t i = 0; i < token->actors_count; i++)
        place(&token->actors[i], at, &bytes);
    for (size_t i = 0; i < token->origins_count; i++)
        place(&token->origins[i], at, &bytes);
    for (size_t i = 0; i < token->lineage_count; i++) {
        if (token->lineage[i].len == 0)
            token->lineage[i] = DEP_STR("");
        place(&token->lineage[i], at, &bytes);
    }
    return bytes;
}

size_t dep_token_copy_bytes(const struct dep_token *token)
{
    struct dep_token sized = *token;

    return sizeof(sized) + place_all(&sized, NULL);
}

struct dep_token *dep_token_copy(const struct dep_token *token, void *memory)
{
    struct dep_token *copy = memory;
    char *at = (char *)(copy + 1);

    *copy = *token;
    (void)place_all(copy, &at);
    return copy;
}

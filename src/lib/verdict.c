/* Verdicts, and what can be asked of them. */
#include "lib/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "guard/answer.h"
#include "proto/scope.h"

#define TEXTS_MAX 64u
#define BODY_MAX 1024u
#define NUMBER_MAX 24u

#define TEXT(literal)                      \
    {                                      \
        "" literal "", sizeof(literal) - 1 \
    }
#define TROUBLE_BODY "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}"
#define TROUBLE_HEADERS                                                                                          \
    {                                                                                                            \
        { TEXT("Cache-Control"), TEXT("no-store") }, { TEXT("Content-Type"), TEXT("application/problem+json") }, \
            { TEXT("Retry-After"), TEXT("1") },                                                                  \
    }
#define TROUBLE_HEADERS_COUNT 3u

static const struct deputy_header trouble_headers[TROUBLE_HEADERS_COUNT] = TROUBLE_HEADERS;
static const struct deputy_text trouble_body = TEXT(TROUBLE_BODY);
static const struct deputy_verdict trouble = {
    .is_static = true,
    .status = 503,
    .reason = DEP_ERR_ARENA_FULL,
    .answer = TROUBLE_HEADERS,
    .answer_count = TROUBLE_HEADERS_COUNT,
    .body = TEXT(TROUBLE_BODY),
};

struct deputy_verdict *dep_lib_verdict_trouble(void)
{
    /* Nothing writes to it: deputy_verdict_free() passes it over, and callers see no members. */
    union {
        const struct deputy_verdict *constant;
        struct deputy_verdict *plain;
    } one = { .constant = &trouble };

    return one.plain;
}

/* Texts that are to be copied: gathered first, so that one block holds them all. */
struct gathering {
    struct {
        size_t at; /* of the slice, within the verdict */
        struct dep_str text;
    } texts[TEXTS_MAX];
    size_t count, bytes;
};

static void gather(struct gathering *all, size_t at, struct dep_str text)
{
    if (dep_str_is_absent(text))
        return;
    DEP_ASSERT(all->count < TEXTS_MAX);
    all->texts[all->count].at = at;
    all->texts[all->count++].text = text;
    all->bytes += text.len + 1;
}

static struct deputy_verdict *place(const struct gathering *all)
{
    struct deputy_verdict *verdict = calloc(1, sizeof(*verdict) + all->bytes);
    char *to = (char *)(verdict + 1);

    for (size_t i = 0; verdict != NULL && i < all->count; i++) {
        struct dep_str text = all->texts[i].text;
        struct deputy_text *slot = (struct deputy_text *)(void *)((char *)verdict + all->texts[i].at);

        if (text.len > 0)
            memcpy(to, text.ptr, text.len);
        *slot = (struct deputy_text){ to, text.len };
        to += text.len + 1;
    }
    return verdict;
}

#define AT(member) offsetof(struct deputy_verdict, member)
#define AT_NTH(array, i, member) (AT(array) + (i) * sizeof(((struct deputy_verdict *)NULL)->array[0]) + (member))

static void gather_answer(struct gathering *all, size_t *count, const char *name, struct dep_str value)
{
    if (dep_str_is_blank(value))
        return;
    DEP_ASSERT(*count < DEP_LIB_HEADERS);
    gather(all, AT_NTH(answer, *count, offsetof(struct deputy_header, name)), dep_str_c(name));
    gather(all, AT_NTH(answer, *count, offsetof(struct deputy_header, value)), value);
    (*count)++;
}

static void gather_identity(struct gathering *all, const struct dep_guard_decision *decision)
{
    const struct dep_token *token = decision->token;
    const struct dep_str claims[DEP_LIB_CLAIMS] = {
        [DEPUTY_SUBJECT] = token->sub,
        [DEPUTY_CLIENT] = token->client_id,
        [DEPUTY_ACTOR] = token->actors_count > 0 ? token->actors[0] : DEP_STR_ABSENT,
        [DEPUTY_SCOPE] = token->scope,
        [DEPUTY_TASK] = token->task_id,
        [DEPUTY_PARENT_TASK] = token->parent_task_id,
        [DEPUTY_TOKEN_ID] = token->jti,
        [DEPUTY_ISSUER] = token->iss,
        [DEPUTY_ORGANISATION] = token->org_id,
        [DEPUTY_AGENT_NAME] = token->agent_name,
        [DEPUTY_AGENT_VERSION] = token->agent_version,
        [DEPUTY_KEY] = token->jkt,
        [DEPUTY_CERTIFICATE] = token->x5t,
    };

    for (size_t i = 0; i < DEP_LIB_CLAIMS; i++)
        gather(all, AT_NTH(claims, i, 0), claims[i]);
    for (size_t i = 0; i < token->actors_count; i++)
        gather(all, AT_NTH(actors, i, 0), token->actors[i]);
    for (size_t i = 0; i < DEP_GUARD_IDENTITY; i++) {
        gather(all, AT_NTH(identity, i, offsetof(struct deputy_header, name)), decision->identity[i].name);
        gather(all, AT_NTH(identity, i, offsetof(struct deputy_header, value)), decision->identity[i].value);
    }
}

struct deputy_verdict *dep_lib_verdict_new(const struct dep_lib_verdict_source *source)
{
    const struct dep_guard_decision *decision = source->decision;
    struct gathering all = { .count = 0 };
    char body[BODY_MAX], number[NUMBER_MAX];
    struct dep_buf text, digits;
    struct deputy_verdict *verdict;
    size_t answer_count = 0;

    dep_buf_init(&text, body, sizeof(body));
    dep_buf_init(&digits, number, sizeof(number));
    gather(&all, AT(id), dep_str(decision->id, sizeof(decision->id)));
    gather(&all, AT(record), source->record);
    if (decision->is_allowed) {
        gather_identity(&all, decision);
    } else {
        dep_guard_put_body(&text, decision);
        gather(&all, AT(body), dep_buf_str(&text));
        if (decision->retry_after_s > 0)
            dep_buf_put_int(&digits, decision->retry_after_s);
        gather_answer(&all, &answer_count, "Cache-Control", DEP_STR("no-store"));
        gather_answer(&all, &answer_count, "Deputy-Decision", dep_str(decision->id, sizeof(decision->id)));
        gather_answer(&all, &answer_count, "Content-Type", DEP_STR("application/problem+json"));
        gather_answer(&all, &answer_count, "WWW-Authenticate", decision->www_authenticate);
        gather_answer(&all, &answer_count, "Retry-After", dep_buf_str(&digits));
    }
    gather_answer(&all, &answer_count, "DPoP-Nonce", decision->dpop_nonce);
    verdict = place(&all);
    if (verdict == NULL)
        return NULL;
    verdict->guard = source->guard;
    verdict->user = source->user;
    verdict->is_allowed = decision->is_allowed;
    verdict->status = decision->status;
    verdict->reason = decision->reason;
    verdict->answer_count = answer_count;
    if (decision->is_allowed) {
        verdict->expires = decision->token->exp;
        verdict->actors_count = decision->token->actors_count;
        verdict->identity_count = DEP_GUARD_IDENTITY;
    }
    return verdict;
}

void dep_lib_verdict_spoil(struct deputy_verdict *verdict, enum dep_err reason)
{
    verdict->is_allowed = false;
    verdict->status = 503;
    verdict->reason = reason;
    verdict->expires = 0;
    verdict->body = trouble_body;
    verdict->record = (struct deputy_text){ NULL, 0 };
    memcpy(verdict->answer, trouble_headers, sizeof(trouble_headers));
    verdict->answer[TROUBLE_HEADERS_COUNT] = (struct deputy_header){ TEXT("Deputy-Decision"), verdict->id };
    verdict->answer_count = TROUBLE_HEADERS_COUNT + 1;
    verdict->identity_count = verdict->actors_count = 0;
    memset(verdict->claims, 0, sizeof(verdict->claims));
}

void deputy_verdict_free(struct deputy_verdict *verdict)
{
    if (verdict != NULL && !verdict->is_static)
        free(verdict);
}

bool deputy_verdict_is_allowed(const struct deputy_verdict *verdict)
{
    return verdict->is_allowed;
}

int deputy_verdict_status(const struct deputy_verdict *verdict)
{
    return verdict->status;
}

const struct deputy_header *deputy_verdict_answer(const struct deputy_verdict *verdict, size_t *ret_count)
{
    *ret_count = verdict->answer_count;
    return verdict->answer;
}

struct deputy_text deputy_verdict_body(const struct deputy_verdict *verdict)
{
    return verdict->body;
}

struct deputy_text deputy_verdict_id(const struct deputy_verdict *verdict)
{
    return verdict->id;
}

const char *deputy_verdict_reason(const struct deputy_verdict *verdict)
{
    return dep_err_name(verdict->reason);
}

struct deputy_text deputy_verdict_record(const struct deputy_verdict *verdict)
{
    return verdict->record;
}

void *deputy_verdict_user(const struct deputy_verdict *verdict)
{
    return verdict->user;
}

struct deputy_text deputy_verdict_claim(const struct deputy_verdict *verdict, enum deputy_claim claim)
{
    return (size_t)claim < DEP_LIB_CLAIMS ? verdict->claims[claim] : (struct deputy_text){ NULL, 0 };
}

const struct deputy_text *deputy_verdict_actors(const struct deputy_verdict *verdict, size_t *ret_count)
{
    *ret_count = verdict->actors_count;
    return verdict->actors;
}

int64_t deputy_verdict_expires(const struct deputy_verdict *verdict)
{
    return verdict->expires;
}

bool deputy_verdict_has_scope(const struct deputy_verdict *verdict, const char *scope)
{
    struct deputy_text has = verdict->claims[DEPUTY_SCOPE];

    if (scope == NULL || scope[0] == '\0' || has.ptr == NULL) /* blank never means "any" */
        return false;
    return dep_is_ok(dep_scope_check(dep_str_c(scope))) &&
           dep_scope_within(dep_str_c(scope), dep_str(has.ptr, has.len));
}

const struct deputy_header *deputy_verdict_identity(const struct deputy_verdict *verdict, size_t *ret_count)
{
    *ret_count = verdict->identity_count;
    return verdict->identity;
}

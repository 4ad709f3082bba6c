/* Tickets. See ticket.h. */
#include "proto/ticket.h"

#include "base/b64.h"
#include "proto/records_read.h"

/* Authenticated with what is sealed: a ticket of one kind is no ticket of another. */
static const struct dep_str contexts[DEP_TICKET_KINDS] = {
    [DEP_TICKET_PUSHED] = DEP_STR_INIT("deputy pushed request"),
    [DEP_TICKET_ASKED] = DEP_STR_INIT("deputy consent page"),
    [DEP_TICKET_CODE] = DEP_STR_INIT("deputy authorization code"),
    [DEP_TICKET_REFRESH] = DEP_STR_INIT("deputy refresh token"),
};

/* The texts of a ticket, each under its name. */
static const struct {
    const char *name;
    size_t offset;
    bool is_required;
} texts[] = {
    { "id", offsetof(struct dep_ticket, id), true },
    { "client_id", offsetof(struct dep_ticket, client_id), true },
    { "redirect_uri", offsetof(struct dep_ticket, redirect_uri), false },
    { "state", offsetof(struct dep_ticket, state), false },
    { "challenge", offsetof(struct dep_ticket, challenge), false },
    { "jkt", offsetof(struct dep_ticket, jkt), false },
    { "scope", offsetof(struct dep_ticket, scope), false },
    { "user", offsetof(struct dep_ticket, user), false },
    { "org", offsetof(struct dep_ticket, org), false },
    { "issuer", offsetof(struct dep_ticket, issuer), false },
    { "acr", offsetof(struct dep_ticket, acr), false },
};

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    { "made", offsetof(struct dep_ticket, made) },
    { "expires", offsetof(struct dep_ticket, expires) },
    { "auth_time", offsetof(struct dep_ticket, auth_time) },
    { "turn", offsetof(struct dep_ticket, turn) },
};

void dep_ticket_write(struct dep_json_writer *writer, const struct dep_ticket *ticket)
{
    const char *base = (const char *)ticket;

    dep_json_open(writer, '{');
    for (size_t i = 0; i < COUNT(texts); i++)
        dep_json_member(writer, texts[i].name, *(const struct dep_str *)(const void *)(base + texts[i].offset));
    for (size_t i = 0; i < COUNT(numbers); i++)
        dep_json_member_int(writer, numbers[i].name, *(const int64_t *)(const void *)(base + numbers[i].offset));
    dep_json_name(writer, "targets");
    dep_json_open(writer, '[');
    for (size_t i = 0; i < ticket->targets_count; i++)
        dep_json_put_str(writer, ticket->targets[i]);
    dep_json_close(writer, ']');
    dep_json_close(writer, '}');
}

static struct dep_res read_targets(const struct dep_json *array, struct dep_ticket *ticket)
{
    if (array == NULL || array->type != DEP_JSON_ARRAY || array->count > DEP_TICKET_TARGETS_MAX)
        return DEP_FAIL(ADMIN_INPUT);
    for (const struct dep_json *item = array->child; item != NULL; item = item->next)
        DEP_TRY(dep_json_str(item, &ticket->targets[ticket->targets_count++]));
    return DEP_OK;
}

struct dep_res dep_ticket_read(const struct dep_json *json, struct dep_ticket *ret_ticket)
{
    struct dep_ticket ticket = { .turn = 0 };
    char *base = (char *)&ticket;

    DEP_TRY(dep_record_only(json, "id client_id redirect_uri state challenge jkt scope user org issuer acr "
                                  "made expires auth_time turn targets"));
    for (size_t i = 0; i < COUNT(texts); i++)
        if (texts[i].is_required || dep_json_has(json, dep_str_c(texts[i].name)))
            DEP_TRY(dep_json_str(dep_json_get(json, dep_str_c(texts[i].name)),
                                 (struct dep_str *)(void *)(base + texts[i].offset)));
    for (size_t i = 0; i < COUNT(numbers); i++)
        DEP_TRY(dep_record_number(json, dep_str_c(numbers[i].name), (int64_t *)(void *)(base + numbers[i].offset)));
    DEP_TRY(read_targets(DEP_JSON_GET(json, "targets"), &ticket));
    *ret_ticket = ticket;
    return DEP_OK;
}

struct dep_res dep_ticket_seal(struct dep_arena *arena, struct dep_secret key, enum dep_ticket_kind kind,
                               const struct dep_ticket *ticket, struct dep_str *ret_text)
{
    struct dep_json_writer writer;
    struct dep_buf json, text;
    struct dep_str sealed;

    dep_buf_init_arena(&json, arena, DEP_TICKET_BYTES_MAX);
    dep_json_begin(&writer, &json);
    dep_ticket_write(&writer, ticket);
    if (json.has_failed)
        return DEP_FAIL(PARAM_SIZE);
    DEP_TRY(dep_seal(key, contexts[kind], dep_secret_of(dep_buf_str(&json)), arena, &sealed));
    if (DEP_B64_ENCODED(sealed.len) > DEP_TICKET_BYTES_MAX)
        return DEP_FAIL(PARAM_SIZE);
    dep_buf_init_arena(&text, arena, DEP_B64_ENCODED(sealed.len));
    dep_b64url_put(&text, sealed.ptr, sealed.len);
    if (text.has_failed)
        return DEP_FAIL(ARENA_FULL);
    *ret_text = dep_buf_str(&text);
    return DEP_OK;
}

static struct dep_res open_text(struct dep_arena *arena, struct dep_secret key, enum dep_ticket_kind kind,
                                struct dep_str text, struct dep_ticket *ret_ticket)
{
    struct dep_secret plain;
    struct dep_json *json;
    struct dep_str sealed;

    if (text.len > DEP_TICKET_BYTES_MAX)
        return DEP_FAIL(CRYPTO_SEAL);
    DEP_TRY(dep_b64url_decode(arena, text, &sealed));
    DEP_TRY(dep_unseal(key, contexts[kind], sealed, arena, &plain));
    DEP_TRY(dep_json_parse(arena, dep_str((const char *)plain.bytes, plain.len), 3, &json));
    return dep_ticket_read(json, ret_ticket);
}

struct dep_res dep_ticket_open(struct dep_arena *arena, struct dep_secret key, enum dep_ticket_kind kind,
                               struct dep_str text, struct dep_ticket *ret_ticket)
{
    struct dep_res res = open_text(arena, key, kind, text, ret_ticket);

    /* Out of memory is ours to answer for; whatever else went wrong tells the caller nothing. */
    return dep_is_ok(res) || res.err == DEP_ERR_ARENA_FULL ? res : DEP_FAIL(CRYPTO_SEAL);
}

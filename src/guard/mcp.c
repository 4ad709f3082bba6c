/* MCP messages, from headers (MCP 2026-07-28, transport: request metadata) or from the body (JSON-RPC 2.0). */
#include "guard/mcp.h"

#include "base/b64.h"
#include "base/json.h"

#define HEADERS_SINCE "2026-07-28"
#define WRAP_START "=?base64?"
#define WRAP_END "?="
#define BODY_DEPTH 16u

/* Where each method keeps the name. */
static const struct {
    struct dep_str method, member;
} named[] = {
    { DEP_STR_INIT("tools/call"), DEP_STR_INIT("name") },
    { DEP_STR_INIT("prompts/get"), DEP_STR_INIT("name") },
    { DEP_STR_INIT("resources/read"), DEP_STR_INIT("uri") },
};

static struct dep_str member_of(struct dep_str method)
{
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (dep_str_eq(named[i].method, method))
            return named[i].member;
    return DEP_STR_ABSENT;
}

bool dep_guard_mcp_has_name(struct dep_str method)
{
    return !dep_str_is_absent(member_of(method));
}

/* A date that says so in this form; anything else is taken for older. */
static bool has_headers(struct dep_str version)
{
    if (version.len != sizeof(HEADERS_SINCE) - 1)
        return false;
    for (size_t i = 0; i < version.len; i++)
        if (i == 4 || i == 7 ? version.ptr[i] != '-' : version.ptr[i] < '0' || version.ptr[i] > '9')
            return false;
    return dep_str_cmp(version, DEP_STR(HEADERS_SINCE)) >= 0;
}

static bool has_control(struct dep_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F)
            return true;
    return false;
}

static bool is_name(struct dep_str text)
{
    return text.len > 0 && text.len <= DEP_GUARD_MCP_NAME_MAX && !has_control(text) && dep_str_is_utf8(text);
}

struct dep_res dep_guard_mcp_decode(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_text)
{
    struct dep_str start = dep_str_sub(value, 0, sizeof(WRAP_START) - 1), text = value;

    if (dep_str_eq(start, DEP_STR(WRAP_START)) && dep_str_ends(value, DEP_STR(WRAP_END)) &&
        value.len >= sizeof(WRAP_START) + sizeof(WRAP_END) - 2) {
        struct dep_res res =
            dep_b64_decode(arena, dep_str_sub(value, start.len, value.len - start.len - (sizeof(WRAP_END) - 1)), &text);

        if (!dep_is_ok(res))
            return res.err == DEP_ERR_ARENA_FULL ? res : DEP_FAIL(GUARD_MCP);
    } else if (dep_str_eq_nocase(start, DEP_STR(WRAP_START))) {
        return DEP_FAIL(GUARD_MCP); /* almost wrapped: who would say how the server reads it */
    } else {
        for (size_t i = 0; i < value.len; i++)
            if ((unsigned char)value.ptr[i] >= 0x7F)
                return DEP_FAIL(GUARD_MCP);
    }
    if (!is_name(text))
        return DEP_FAIL(GUARD_MCP);
    *ret_text = text;
    return DEP_OK;
}

static struct dep_res read_headers(struct dep_arena *arena, const struct dep_guard_mcp_headers *headers,
                                   struct dep_guard_mcp *mcp)
{
    DEP_TRY(dep_guard_mcp_decode(arena, dep_str_trim(headers->method), &mcp->method));
    if (dep_guard_mcp_has_name(mcp->method))
        DEP_TRY(dep_guard_mcp_decode(arena, dep_str_trim(headers->name), &mcp->name));
    mcp->is_known = true;
    return DEP_OK;
}

/* The member by its exact name. One in another letter case is refused: there are servers that take it for the same. */
static struct dep_res get_exactly(const struct dep_json *object, struct dep_str name, const struct dep_json **ret_value)
{
    for (const struct dep_json *member = object->child; member != NULL; member = member->next)
        if (dep_str_eq_nocase(member->name, name) && !dep_str_eq(member->name, name))
            return DEP_FAIL(GUARD_MCP);
    *ret_value = dep_json_get(object, name);
    return DEP_OK;
}

static struct dep_res read_message(const struct dep_json *message, struct dep_guard_mcp *mcp)
{
    const struct dep_json *method = NULL, *params = NULL, *name = NULL;

    if (message->type != DEP_JSON_OBJECT) /* a batch too: no version that asks for a guard has them */
        return DEP_FAIL(GUARD_MCP);
    DEP_TRY(get_exactly(message, DEP_STR("method"), &method));
    DEP_TRY(get_exactly(message, DEP_STR("params"), &params));
    if (method == NULL) {
        if (DEP_JSON_GET(message, "result") == NULL && DEP_JSON_GET(message, "error") == NULL)
            return DEP_FAIL(GUARD_MCP);
        mcp->is_known = true;
        return DEP_OK;
    }
    if (!dep_is_ok(dep_json_str(method, &mcp->method)) || !is_name(mcp->method))
        return DEP_FAIL(GUARD_MCP);
    if (dep_guard_mcp_has_name(mcp->method)) {
        if (params == NULL || params->type != DEP_JSON_OBJECT)
            return DEP_FAIL(GUARD_MCP);
        DEP_TRY(get_exactly(params, member_of(mcp->method), &name));
        if (!dep_is_ok(dep_json_str(name, &mcp->name)) || !is_name(mcp->name))
            return DEP_FAIL(GUARD_MCP);
    }
    mcp->is_known = true;
    return DEP_OK;
}

static struct dep_res read_body(struct dep_arena *arena, struct dep_str body, struct dep_guard_mcp *mcp)
{
    struct dep_json *message = NULL;
    struct dep_res res = dep_json_parse(arena, body, BODY_DEPTH, &message);

    if (!dep_is_ok(res))
        return res.err == DEP_ERR_ARENA_FULL ? res : DEP_FAIL(GUARD_MCP);
    return read_message(message, mcp);
}

struct dep_res dep_guard_mcp_read(struct dep_arena *arena, const struct dep_guard_mcp_headers *headers,
                                  struct dep_str body, bool headers_count, struct dep_guard_mcp *ret_mcp)
{
    struct dep_guard_mcp said = { 0 }, mcp = { 0 };
    bool is_new = has_headers(headers->version);

    if (dep_str_is_absent(body)) {
        if (is_new && headers_count)
            DEP_TRY(read_headers(arena, headers, &mcp));
        *ret_mcp = mcp;
        return DEP_OK;
    }
    DEP_TRY(read_body(arena, body, &mcp));
    if (is_new && !dep_str_is_absent(mcp.method)) {
        DEP_TRY(read_headers(arena, headers, &said));
        if (!dep_str_eq(said.method, mcp.method) || !dep_str_eq(said.name, mcp.name))
            return DEP_FAIL(GUARD_MCP_MISMATCH);
    }
    *ret_mcp = mcp;
    return DEP_OK;
}

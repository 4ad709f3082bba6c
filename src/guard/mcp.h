/* Which MCP message a request carries: its JSON-RPC method, and the name of the tool, prompt or resource.
 *
 * From version 2026-07-28 on, clients say both in headers, and servers must refuse a message that its headers do not fit.
 * Before that only the body knows. So headers are believed when the version is new enough and it is known that the server
 * compares (integrations#3.4 G10); where the body is in sight, it decides, and the headers are compared with it. */
#ifndef DEP_GUARD_MCP_H
#define DEP_GUARD_MCP_H

#include "base/arena.h"
#include "base/res.h"

#define DEP_GUARD_MCP_NAME_MAX 1024u

struct dep_guard_mcp {
    bool is_known;
    struct dep_str method; /* "tools/call"; absent: an answer to a question of the server */
    struct dep_str name;   /* absent: the message has none */
};

/* The three headers as sent; absent: not there. */
struct dep_guard_mcp_headers {
    struct dep_str version, method, name;
};

/* `body` is absent when it is out of sight. `headers_count`: the server behind compares headers and body. What cannot be
 * known leaves is_known false; what is malformed or contradicts itself is DEP_ERR_GUARD_MCP or
 * DEP_ERR_GUARD_MCP_MISMATCH. */
DEP_MUST struct dep_res dep_guard_mcp_read(struct dep_arena *arena, const struct dep_guard_mcp_headers *headers,
                                           struct dep_str body, bool headers_count, struct dep_guard_mcp *ret_mcp);
/* A header's value, taken out of its "=?base64?…?=" form when it has it: DEP_ERR_GUARD_MCP. */
DEP_MUST struct dep_res dep_guard_mcp_decode(struct dep_arena *arena, struct dep_str value, struct dep_str *ret_text);
/* tools/call, prompts/get and resources/read: messages that name something. */
bool dep_guard_mcp_has_name(struct dep_str method);

#endif

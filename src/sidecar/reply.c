/* Answers over libmicrohttpd. */
#include "sidecar/reply.h"

#include <stdlib.h>
#include <string.h>

static void done(struct dep_journal_waiter *waiter, bool is_written)
{
    struct dep_reply *reply = (struct dep_reply *)waiter;

    if (is_written)
        dep_net_reply(reply->exchange, &reply->answer);
    else
        dep_reply_trouble(reply->exchange, dep_str(reply->id, sizeof(reply->id)));
    dep_reply_free(reply);
}

static struct dep_str move(char **at, struct dep_str text)
{
    struct dep_str moved = { *at, text.len };

    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return moved;
}

struct dep_reply *dep_reply_new(struct dep_net_exchange *exchange, const struct dep_guard_decision *decision,
                                const struct dep_net_answer *answer)
{
    size_t bytes = answer->body.len;
    struct dep_reply *reply;
    char *at;

    DEP_ASSERT(answer->headers_count <= DEP_SHAPE_HEADERS);
    for (size_t i = 0; i < answer->headers_count; i++)
        bytes += answer->headers[i].value.len;
    reply = malloc(sizeof(*reply) + bytes);
    if (reply == NULL)
        return NULL;
    *reply = (struct dep_reply){ .waiter = { NULL, done }, .exchange = exchange, .answer = *answer };
    memcpy(reply->id, decision->id, sizeof(reply->id));
    at = (char *)(reply + 1);
    for (size_t i = 0; i < answer->headers_count; i++)
        reply->headers[i] = (struct dep_header){ answer->headers[i].name, move(&at, answer->headers[i].value) };
    reply->answer.headers = reply->headers;
    reply->answer.body = move(&at, answer->body);
    return reply;
}

void dep_reply_free(struct dep_reply *reply)
{
    free(reply);
}

void dep_reply_trouble(struct dep_net_exchange *exchange, struct dep_str id)
{
    struct dep_answer_space space;
    struct dep_net_answer answer;

    dep_shape_trouble(id, &space, &answer);
    dep_net_reply(exchange, &answer);
}

void dep_reply_plain(struct dep_net_exchange *exchange, int status, const char *media_type, struct dep_str body)
{
    const struct dep_header headers[] = {
        { DEP_STR("Content-Type"), dep_str_c(media_type) },
        { DEP_STR("Cache-Control"),
          status == 200 && !dep_str_eq_c(exchange->path, "/readyz") ? DEP_STR("max-age=300") : DEP_STR("no-store") },
        { DEP_STR("Allow"), DEP_STR("GET, HEAD") },
    };
    const struct dep_net_answer answer = {
        .status = status, .headers = headers, .headers_count = status == 405 ? 3 : 2, .body = body
    };

    dep_net_reply(exchange, &answer);
}

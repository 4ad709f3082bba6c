/* Answers as headers and bodies. */
#include "sidecar/reply.h"

#include <stdlib.h>
#include <string.h>

#include "guard/answer.h"

static void add(struct dep_net_answer *answer, struct dep_header *headers, const char *name, struct dep_str value)
{
    DEP_ASSERT(answer->headers_count < DEP_REPLY_HEADERS);
    headers[answer->headers_count++] = (struct dep_header){ dep_str_c(name), value };
}

void dep_reply_shape(const struct dep_guard_decision *decision, struct dep_answer_space *space,
                     struct dep_net_answer *ret_answer)
{
    struct dep_net_answer answer = { .status = decision->status, .headers = space->headers };
    struct dep_buf buf;

    add(&answer, space->headers, "Cache-Control", DEP_STR("no-store"));
    if (decision->is_allowed) {
        /* The library leaves out headers without a value; a blank is none either (rfc9110#5.5), and is sent. */
        for (size_t i = 0; i < DEP_GUARD_IDENTITY; i++) {
            struct dep_header header = decision->identity[i];

            space->headers[answer.headers_count++] =
                (struct dep_header){ header.name, header.value.len > 0 ? header.value : DEP_STR(" ") };
        }
        *ret_answer = answer;
        return;
    }
    add(&answer, space->headers, "Deputy-Decision", dep_str(decision->id, sizeof(decision->id)));
    add(&answer, space->headers, "Content-Type", DEP_STR("application/problem+json"));
    if (!dep_str_is_blank(decision->www_authenticate))
        add(&answer, space->headers, "WWW-Authenticate", decision->www_authenticate);
    if (!dep_str_is_blank(decision->dpop_nonce))
        add(&answer, space->headers, "DPoP-Nonce", decision->dpop_nonce);
    if (decision->retry_after_s > 0) {
        dep_buf_init(&buf, space->number, sizeof(space->number));
        dep_buf_put_int(&buf, decision->retry_after_s);
        add(&answer, space->headers, "Retry-After", dep_buf_str(&buf));
    }
    dep_buf_init(&buf, space->body, sizeof(space->body));
    dep_guard_put_body(&buf, decision);
    answer.body = dep_buf_str(&buf);
    *ret_answer = answer;
}

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

    DEP_ASSERT(answer->headers_count <= DEP_REPLY_HEADERS);
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
    const struct dep_header headers[] = {
        { DEP_STR("Cache-Control"), DEP_STR("no-store") },
        { DEP_STR("Content-Type"), DEP_STR("application/problem+json") },
        { DEP_STR("Retry-After"), DEP_STR("1") },
        { DEP_STR("Deputy-Decision"), id },
    };
    const struct dep_net_answer answer = {
        .status = 503,
        .headers = headers,
        .headers_count = dep_str_is_blank(id) ? 3 : 4,
        .body = DEP_STR("{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}"),
    };

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

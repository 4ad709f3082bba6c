/* Decisions as headers and bodies. */
#include "sidecar/shape.h"

#include "guard/answer.h"

static void add(struct dep_net_answer *answer, struct dep_header *headers, const char *name, struct dep_str value)
{
    DEP_ASSERT(answer->headers_count < DEP_SHAPE_HEADERS);
    headers[answer->headers_count++] = (struct dep_header){ dep_str_c(name), value };
}

void dep_shape(const struct dep_guard_decision *decision, struct dep_answer_space *space,
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
        if (!dep_str_is_blank(decision->dpop_nonce)) /* for the client, not for what is behind the guard */
            add(&answer, space->headers, "DPoP-Nonce", decision->dpop_nonce);
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

void dep_shape_trouble(struct dep_str id, struct dep_answer_space *space, struct dep_net_answer *ret_answer)
{
    struct dep_net_answer answer = {
        .status = 503,
        .headers = space->headers,
        .body = DEP_STR("{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}"),
    };

    add(&answer, space->headers, "Cache-Control", DEP_STR("no-store"));
    add(&answer, space->headers, "Content-Type", DEP_STR("application/problem+json"));
    add(&answer, space->headers, "Retry-After", DEP_STR("1"));
    if (!dep_str_is_blank(id))
        add(&answer, space->headers, "Deputy-Decision", id);
    *ret_answer = answer;
}

/* Answers: just enough of HTTP to know where one ends, and of JWT to find a jti. */
#include <string.h>

#include "base/b64.h"
#include "base/num.h"
#include "load.h"

struct dep_str load_answer_header(struct dep_str head, const char *name)
{
    struct dep_str line, want = dep_str_c(name);

    while (dep_str_cut(&head, '\n', &line)) {
        size_t colon = dep_str_find(line, ':');

        if (colon != want.len || !dep_str_eq_nocase(dep_str_sub(line, 0, colon), want))
            continue;
        if (line.ptr[line.len - 1] == '\r')
            line.len--;
        return dep_str_trim(dep_str_sub(line, colon + 1, line.len));
    }
    return DEP_STR_ABSENT;
}

void load_answer_read(struct dep_str received, struct load_answer *ret_answer)
{
    struct load_answer answer = { 0 };
    const char *end = memmem(received.ptr, received.len, "\r\n\r\n", 4);
    int64_t status = 0, body_bytes = 0;

    *ret_answer = answer;
    if (end == NULL)
        return;
    answer.head = dep_str(received.ptr, (size_t)(end - received.ptr) + 2);

    struct dep_str length = load_answer_header(answer.head, "Content-Length");

    answer.closes = dep_str_eq_nocase(load_answer_header(answer.head, "Connection"), DEP_STR("close"));
    answer.is_broken = !dep_str_starts(answer.head, DEP_STR("HTTP/1.1 ")) ||
                       !dep_is_ok(dep_num_parse(dep_str_sub(answer.head, 9, 3), 100, 599, &status));
    if (!answer.is_broken && status != 204)
        answer.is_broken = !dep_is_ok(dep_num_parse(length, 0, INT64_C(1) << 20, &body_bytes));
    answer.status = (int)status;

    size_t bytes = answer.head.len + 2 + (size_t)body_bytes;

    if (!answer.is_broken && received.len < bytes)
        return;
    answer.bytes = answer.is_broken ? received.len : bytes;
    if (!answer.is_broken)
        answer.body = dep_str(end + 4, (size_t)body_bytes);
    *ret_answer = answer;
}

/* The text of a member of flat JSON that our peers and we write without blanks. */
static struct dep_str member(struct dep_str json, const char *quoted)
{
    const char *at = json.len == 0 ? NULL : memmem(json.ptr, json.len, quoted, strlen(quoted));

    if (at == NULL)
        return DEP_STR_ABSENT;
    at += strlen(quoted);

    struct dep_str rest = dep_str(at, json.len - (size_t)(at - json.ptr));

    return dep_str_sub(rest, 0, dep_str_find(rest, '"'));
}

struct dep_str load_answer_token(struct dep_str body)
{
    return member(body, "\"access_token\":\"");
}

bool load_token_jti(struct dep_str token, char ret_jti[LOAD_JTI_MAX + 1])
{
    unsigned char memory[8192] __attribute__((aligned(16)));
    struct dep_arena arena;
    struct dep_str part, claims;

    dep_arena_init(&arena, memory, sizeof(memory));
    if (!dep_str_cut(&token, '.', &part) || !dep_str_cut(&token, '.', &part))
        return false;
    if (!dep_is_ok(dep_b64url_decode(&arena, part, &claims)))
        return false;

    struct dep_str jti = member(claims, "\"jti\":\"");

    if (dep_str_is_blank(jti) || jti.len > LOAD_JTI_MAX)
        return false;
    memset(ret_jti, 0, LOAD_JTI_MAX + 1);
    memcpy(ret_jti, jti.ptr, jti.len);
    return true;
}

/* Answers at rest. Their form: status (2 bytes), number of headers (1), each name and value with its length in front (4), then
 * the body up to the end; big-endian. All of it is sealed under a key that is not in the ledger, and to the entry's name. */
#include "proto/idempotency_answer.h"

#include <string.h>

bool dep_idempotency_keeps(struct dep_str name)
{
    static const struct dep_str kept[] = {
        DEP_STR_INIT("cache-control"),
        DEP_STR_INIT("content-disposition"),
        DEP_STR_INIT("content-encoding"),
        DEP_STR_INIT("content-language"),
        DEP_STR_INIT("content-location"),
        DEP_STR_INIT("content-type"),
        DEP_STR_INIT("etag"),
        DEP_STR_INIT("last-modified"),
        DEP_STR_INIT("link"),
        DEP_STR_INIT("location"),
        DEP_STR_INIT("preference-applied"),
        DEP_STR_INIT("vary"),
    };

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (dep_str_eq_nocase(name, kept[i]))
            return true;
    return false;
}

bool dep_idempotency_answer_header(struct dep_idempotency_answer *answer, struct dep_str name, struct dep_str value)
{
    if (!dep_idempotency_keeps(name))
        return true;
    if (answer->headers_count == DEP_IDEMPOTENCY_HEADERS_MAX)
        return false;
    answer->headers[answer->headers_count++] = (struct dep_header){ name, value };
    return true;
}

static void put_number(struct dep_buf *buf, size_t value, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;)
        dep_buf_put_char(buf, (char)((value >> (8 * i)) & 0xff));
}

static void put_text(struct dep_buf *buf, struct dep_str text)
{
    put_number(buf, text.len, 4);
    dep_buf_put(buf, text);
}

static struct dep_str context_of(const struct dep_idempotency_names *names)
{
    return dep_str((const char *)names->scope, sizeof(names->scope));
}

struct dep_res dep_idempotency_answer_seal(struct dep_arena *arena, const struct dep_idempotency_names *names,
                                           const struct dep_idempotency_answer *answer, struct dep_str *ret_sealed)
{
    size_t bytes = 3 + answer->body.len;
    struct dep_buf buf;

    for (size_t i = 0; i < answer->headers_count; i++) {
        if (answer->headers[i].name.len > UINT32_MAX || answer->headers[i].value.len > UINT32_MAX)
            return DEP_FAIL(ARENA_FULL);
        bytes += 8 + answer->headers[i].name.len + answer->headers[i].value.len;
    }
    DEP_ASSERT(answer->status > 0 && answer->status < 1000);
    dep_buf_init_arena(&buf, arena, bytes);
    put_number(&buf, (size_t)answer->status, 2);
    put_number(&buf, answer->headers_count, 1);
    for (size_t i = 0; i < answer->headers_count; i++) {
        put_text(&buf, answer->headers[i].name);
        put_text(&buf, answer->headers[i].value);
    }
    dep_buf_put(&buf, answer->body);
    if (buf.has_failed)
        return DEP_FAIL(ARENA_FULL);
    return dep_seal(dep_secret(names->seal, sizeof(names->seal)), context_of(names), dep_secret(buf.ptr, buf.len),
                    arena, ret_sealed);
}

static bool take_number(struct dep_str *rest, unsigned bytes, size_t *ret_value)
{
    size_t value = 0;

    if (rest->len < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)rest->ptr[i];
    *rest = dep_str_sub(*rest, bytes, rest->len);
    *ret_value = value;
    return true;
}

static bool take_text(struct dep_str *rest, struct dep_str *ret_text)
{
    size_t len;

    if (!take_number(rest, 4, &len) || rest->len < len)
        return false;
    *ret_text = dep_str_sub(*rest, 0, len);
    *rest = dep_str_sub(*rest, len, rest->len);
    return true;
}

static bool take_answer(struct dep_str rest, struct dep_idempotency_answer *answer)
{
    size_t status;

    if (!take_number(&rest, 2, &status) || status == 0 || status > 999 ||
        !take_number(&rest, 1, &answer->headers_count) || answer->headers_count > DEP_IDEMPOTENCY_HEADERS_MAX)
        return false;
    answer->status = (int)status;
    for (size_t i = 0; i < answer->headers_count; i++)
        if (!take_text(&rest, &answer->headers[i].name) || !take_text(&rest, &answer->headers[i].value))
            return false;
    answer->body = rest;
    return true;
}

struct dep_res dep_idempotency_answer_open(struct dep_arena *arena, const struct dep_idempotency_names *names,
                                           struct dep_str sealed, struct dep_idempotency_answer *ret_answer)
{
    struct dep_idempotency_answer answer = { .status = 0 };
    struct dep_secret plain;

    DEP_TRY(dep_unseal(dep_secret(names->seal, sizeof(names->seal)), context_of(names), sealed, arena, &plain));
    if (!take_answer(dep_str((const char *)plain.bytes, plain.len), &answer))
        return DEP_FAIL(CRYPTO_SEAL);
    *ret_answer = answer;
    return DEP_OK;
}

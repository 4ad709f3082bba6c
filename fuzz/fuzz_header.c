/* Header values: credentials, Basic, media types, and what is written into a challenge. */
#include "fuzz/fuzz.h"
#include "http/header.h"

static void check_challenge(struct dep_arena *arena, struct dep_str text)
{
    struct dep_buf buf;

    dep_buf_init_arena(&buf, arena, text.len + 64);
    dep_challenge_put(&buf, &(struct dep_challenge){ .scheme = "Bearer", .error_description = text });

    struct dep_str line = dep_buf_str(&buf);
    size_t quotes = 0;

    DEP_FUZZ_CHECK(!dep_str_is_absent(line));
    for (size_t i = 0; i < line.len; i++) {
        DEP_FUZZ_CHECK(line.ptr[i] >= 0x20 && line.ptr[i] <= 0x7e && line.ptr[i] != '\\');
        quotes += line.ptr[i] == '"';
    }
    DEP_FUZZ_CHECK(quotes == 2);
}

void dep_fuzz_one(const uint8_t *data, size_t size)
{
    struct dep_str text = dep_fuzz_text(data, size), user;
    struct dep_credentials credentials;
    struct dep_secret password;
    struct dep_arena arena;

    if (size > 65536)
        return;
    dep_arena_init_debug(&arena, DEP_FUZZ_ARENA);
    if (dep_is_ok(dep_credentials_parse(text, &credentials))) {
        DEP_FUZZ_CHECK(credentials.scheme.len > 0 && credentials.token.len > 0);
        DEP_FUZZ_CHECK(credentials.scheme.ptr == text.ptr &&
                       credentials.token.ptr + credentials.token.len == text.ptr + text.len);
        text = credentials.token;
    }
    if (dep_is_ok(dep_basic_parse(&arena, text, &user, &password)))
        DEP_FUZZ_CHECK(dep_str_is_utf8(user) && !dep_str_has(user, '\0') && !dep_str_has(user, '\n'));
    if (dep_media_type_is(text, DEP_STR("application/json")))
        DEP_FUZZ_CHECK(text.len >= 16 && !dep_str_has(text, ','));
    check_challenge(&arena, text);
    dep_arena_reset(&arena);
}
